/* SPDX-License-Identifier: MIT */
/* What the files of the core know of each other. Pure parts first, then the parts that touch a store or a thread. */
#ifndef JOBQ_INTERNAL_H
#define JOBQ_INTERNAL_H

#include <jobq/backend.h>
#include <jobq/jobq.h>

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* ---- limits: the one place where they stand ------------------------------------------------------------- */

#define NAME_MAX_BYTES 255
#define KEY_MAX_BYTES 1024
#define TRACE_MAX_BYTES 255
#define PROGRESS_MAX_BYTES 4096
#define ERROR_TEXT_MAX_BYTES 8192
#define LOG_LINES 100
#define LOG_TEXT_MAX_BYTES 2048
#define PAYLOAD_DEFAULT_BYTES ((size_t)1 << 20)
#define PAYLOAD_CEILING_BYTES ((size_t)64 << 20)
#define EXCHANGE_ITEMS 1000
#define EXCHANGE_BYTES ((size_t)4 << 20)
#define MAX_MS (INT64_C(1) << 53)
#define LEASE_DEFAULT_MS 30000
#define LEASE_MIN_MS 100
#define LEASE_MAX_MS 86400000
#define COUNT_MAX 65535
#define QUEUES_MAX 64
#define KINDS_MAX 256
#define AGE_STEP_DEFAULT_MS 600000

/* ---- error.c: the calling thread's last error -------------------------------------------------------------- */

/* The record to hand to a store or to jobq_error_set; clears it. */
struct jobq_error *last_error(void);

/* Record status and text (printf) and return status. field may be NULL. */
int fail_with(int status, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Record a copy of another error; returns its status. */
int fail_copy(const struct jobq_error *error);

/* ---- id.c, sha256.c, sha256_x86.c ----------------------------------------------------------------------------------------- */

/* Fill with random bytes from the kernel. 0 or -1. */
int random_bytes(void *out, size_t size);
int hex_digit(char c); /* its value, -1: it is none */

/* jobq_id_new for callers who know that they are process `pid`: to ask is a system call, and they mint by the thousand. */
int id_new(pid_t pid, struct jobq_id *out);

typedef void sha256_compress(uint32_t state[8], const uint8_t *block);
struct sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
    sha256_compress *compress; /* as sha256_init found it */
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_part(struct sha256 *s, const void *data, size_t size); /* with its length in front: parts cannot run together */
void sha256_end(struct sha256 *s, uint8_t out[32]);
/* One block of 64 bytes, at any address: in C, and by instructions of the processor, NULL where it has none. */
extern const uint32_t sha256_rounds[64];
void sha256_by_hand(uint32_t state[8], const uint8_t *block);
sha256_compress *sha256_by_processor(void);

/* ---- options.c: the bytes of `policy` on a row ----------------------------------------------------------------- */

/* What decides about a job's failures; stored as bytes that only the core reads. */
struct job_policy {
    int32_t max_attempts, max_crashes, max_snoozes, max_releases;
    int32_t backoff_kind, factor_percent, jitter_percent;
    int64_t base_ms, cap_ms;
    uint32_t list_count;
    int64_t list_ms[32];
};
#define JOB_POLICY_MAX_BYTES 512

void job_policy_default(struct job_policy *p);
size_t job_policy_write(const struct job_policy *p, uint8_t out[JOB_POLICY_MAX_BYTES]); /* 0: all default */
bool job_policy_read(struct jobq_bytes bytes, struct job_policy *p);                    /* false: undecodable */

/* ---- validate.c: every check of input; JOBQ_OK or JOBQ_INVALID with field and limit recorded ---------------------- */

int check_name(const char *field, const char *name);       /* required */
size_t utf8_step(const uint8_t *s); /* length of the sequence at s (a NUL comes somewhere); 0: there is none */
int check_name_or_null(const char *field, const char *name);
int check_range(const char *field, int64_t value, int64_t low, int64_t high);
int check_size(const char *field, size_t size, size_t high);
int check_struct(const char *what, size_t size, size_t least);
/* Copy a caller's struct of in_size bytes into ours: zero where it is shorter, refused where it is longer and not zero. */
int read_struct(const char *what, const void *in, size_t in_size, size_t least, void *out, size_t out_size);
int check_spec(const struct jobq *q, const struct jobq_spec *spec);
int check_policy(const struct jobq_spec *spec, struct job_policy *out); /* limits and back-off, defaults filled in */
int check_claim(const struct jobq_claim_options *options);
int check_filter(const struct jobq_filter *filter);

/* ---- policy.c: (row, what happened, random) -> change. Pure ------------------------------------------------------- */

/* Delay before attempt failures + 1, in ms; `dice` are random bits for the jitter. */
int64_t backoff_delay(const struct job_policy *p, int32_t failures, uint32_t dice);

/* What a worker says about a job. */
struct verdict_said {
    int outcome; /* enum jobq_outcome */
    struct jobq_bytes result, error;
    bool has_delay;
    int64_t delay_ms;
    bool timed_out; /* the handler was told that the job's timeout has passed: a failure is one of kind TIMEOUT */
};

/* The change that hands in `said` for a row held under its token. Cancel asked, limits and back-off are applied. */
void policy_outcome(const struct jobq_row *row, const struct verdict_said *said, uint32_t dice,
                    struct jobq_change *out);
/* Complete under a token without knowing the row. */
void policy_complete(const struct jobq_id *id, const struct jobq_token *token, struct jobq_bytes result, bool early,
                     struct jobq_change *out);
/* The judgement of an overdue row as the want gave it (not EDGES). */
void policy_overdue(const struct jobq_row *row, uint32_t dice, struct jobq_change *out);
/* A row that cannot be decoded is never handed out: it becomes dead as UNDECODABLE, its bytes stay. */
bool row_readable(const struct jobq_row *row);
void policy_undecodable(const struct jobq_row *row, struct jobq_change *out);
/* The end of a child whose parent died, by the edge's rule. */
void policy_orphan(const struct jobq_edge *child, struct jobq_change *out);
void policy_cancel(const struct jobq_row *row, bool hard, struct jobq_change *out); /* verdict STATE set if illegal */
void policy_redrive(const struct jobq_row *row, struct jobq_change *out);
void policy_resume(const struct jobq_row *row, struct jobq_bytes data, const uint8_t digest[32],
                   struct jobq_change *out);
/* How many of the ended to keep, as the store takes it: index enum jobq_row_state. */
struct keep_values {
    int64_t count[8], ms[8];
};
void policy_trim(const struct keep_values *keep, size_t ended, struct jobq_trim *out);
/* Does this change end its row (for the trim)? */
bool change_ends(const struct jobq_change *change);

/* ---- view.c: stored rows -> jobs as they are shown ------------------------------------------------------------------ */

/* An answer that owns its memory. `jobs` is first, so that the pointer handed out can be freed. */
struct jobs_owner {
    struct jobq_jobs jobs;
    struct jobq_arena *arena;
};

/* Fill one job from a row; strings and errors in the arena, bytes lent by the row. -1 without memory. */
/* The names of the newest row that was shown in an arena: of those behind it most have the same, and share them. Starts zeroed;
 * the bytes are lent by the row. */
struct shown_names {
    struct shown_name {
        struct jobq_bytes bytes;
        const char *text;
    } queue, kind, group, worker;
};
int job_view(struct jobq_arena *arena, const struct jobq_row *row, int64_t now_ms, struct shown_names *names,
             struct jobq_job *out);
/* Take over the arena (also on failure) and make the list. */
int jobs_make(struct jobq_arena *arena, const struct jobq_row *rows, size_t count, int64_t now_ms,
              struct jobq_jobs **out);
/* Leave those whose change was accepted; changes[i] belongs to jobs[i]. */
void jobs_keep_accepted(struct jobq_jobs *jobs, const struct jobq_change *changes);
struct jobq_bytes bytes_of(const char *text); /* NULL: absent */

/* ---- explain.c: why a job is not running. Pure --------------------------------------------------------------------- */

struct explain_limit {
    bool full; /* as many run as may */
    int64_t most, running;
};
struct explain_facts {
    const struct jobq_job *job;
    int64_t now_ms;
    const struct jobq_worker_stats *workers;
    size_t worker_count;
    struct jobq_id parent; /* one that it waits for, and its state as shown */
    int32_t parent_state;
    uint64_t ahead; /* ready jobs that a claim would take first */
    bool ahead_at_least;
    bool alone;  /* the row is marked so */
    bool paused; /* its queue */
    struct explain_limit queue_limit, lane_limit, group_limit; /* lane: of its group in its queue */
    int64_t queue_rate_ms, group_rate_ms;                      /* until a rate lets one start; 0: now */
};
/* Is `name` one of a list separated by commas? Names may hold commas themselves, so it is looked for as a whole. */
bool name_listed(const char *list, const char *name);
/* Three leases without a word: whatever it held has been lost twice over. Not one that was asked to stop either. */
bool worker_alive(const struct jobq_worker_stats *worker, int64_t now_ms);
/* Fill in what is said of limits; nothing on a store without them. explain_limits.c */
int explain_limits(struct jobq *q, struct explain_facts *facts);
/* Exactly one reason for any facts. */
void explain_job(const struct explain_facts *facts, struct jobq_explanation *out);

/* ---- health.c: (statistics, what runs, thresholds) -> what is out of the ordinary. Pure ------------------------------- */

/* What it says is in the arena; dead_kept: how many dead jobs retention keeps, by queue of the statistics, less than 1: no
 * matter how many. -1 without memory. */
int health_judge(struct jobq_arena *arena, const struct jobq_stats *stats, const struct jobq_jobs *running,
                 const int64_t *dead_kept, const struct jobq_thresholds *thresholds, struct jobq_health *out);

/* ---- enqueue.c: spec -> put -------------------------------------------------------------------------------------------- */

/* Fill a put from a checked spec. What the spec points at is copied into the arena, or lent when arena is NULL (then
 * `scratch` keeps what must be made: policy bytes and key digests). */
struct put_scratch {
    uint8_t policy[JOB_POLICY_MAX_BYTES];
    struct jobq_put_key key;
};
int put_of_spec(struct jobq *q, const struct jobq_spec *spec, struct put_scratch *scratch, struct jobq_put *out);
void key_of_spec(const struct jobq_spec *spec, const char *kind, struct jobq_put_key *out); /* key.c */
int put_copy(struct jobq_arena *arena, struct jobq_put *put); /* make it own its bytes; -1 without memory */
size_t put_bytes(const struct jobq_put *put);
/* The answer of a put for the application; returns its status. */
int enqueued_of_put(const struct jobq_put *put, const struct jobq_spec *spec, struct jobq_enqueued *out);

/* ---- keep.c: retention --------------------------------------------------------------------------------------------------- */

void keep_default(struct keep_values *out);
/* Checked; what is 0 in `given` (NULL: all of it) is taken from `defaults`. */
int keep_of_state(struct jobq *q, const struct jobq_stats *stats, int state, int64_t *out); /* counts, by queue */
int keep_values_of(const struct jobq_keep *given, const struct keep_values *defaults, struct keep_values *out);
int keep_check(const struct jobq *q, const int64_t ms[8]); /* may this store be asked for that? */

/* ---- operator.c: from a row to the change of a verb: JOBQ_OK to send it ----------------------------------------------------- */

typedef int (*verb_plan)(const struct jobq_row *row, uint32_t flags, struct jobq_change *change);
int plan_cancel(const struct jobq_row *row, uint32_t flags, struct jobq_change *change);
int plan_redrive(const struct jobq_row *row, uint32_t flags, struct jobq_change *change);
int plan_drop(const struct jobq_row *row, uint32_t flags, struct jobq_change *change);
struct jobq_change operator_change(const struct jobq_row *row, uint32_t allowed);
/* Read the row, plan, send. The row may move on in between: then again. */
int edit_job(struct jobq *q, const struct jobq_id *id, uint32_t flags, verb_plan plan);

/* ---- call.c: concurrent calls share one exchange -------------------------------------------------------------------------- */

/* One caller's part of an exchange. Made by call_create, filled by the caller, run once by call_run. The arrays belong
 * to the caller unless call_own_* was used; with `lends` the caller stays until the exchange is over. */
struct call {
    struct jobq_beat *beats;
    size_t beat_count;
    struct jobq_change *changes;
    size_t change_count;
    struct jobq_put *puts; /* only_if: index into this call's changes */
    size_t put_count;
    struct jobq_want *want;
    struct jobq_worker_record *worker;
    const struct jobq_row *const *about; /* by change: the row that it was computed from; NULL: not known. For hooks only, read
                                            while the caller is inside call_run */
    bool lends;     /* the items point at memory of the caller: never left before the exchange is over */
    bool separable; /* the items are independent: after a FAILED exchange they are sent one by one (a change with the
                       puts that hang on it) and each has its own verdict, JOBQ_FAILED included; `stale` of a change
                       that failed is then its enum jobq_failure_class */
    /* answer; rows live in `answer` until call_unref */
    int unit, want_unit;
    int64_t now_ms, next_due_ms;
    int64_t next_tick_ms; /* INT64_MAX where the store has no schedules */
    bool beats_failed; /* with `separable`: the heartbeats and the worker's record, sent apart */
    bool poked; /* the exchange made work, so everybody who wants to hear of it was poked, once */
    struct jobq_error error; /* when unit is not OK */
    struct jobq_arena *answer;
    struct jobq_arena *arena; /* the call's own memory, for copies of input */
    struct shared_answer *shared; /* keeps `answer`, which other calls of the exchange may use too */
    /* of call.c, combine.c and send.c */
    struct call *next;
    int stage; /* under the handle's lock */
    int refs;
    size_t bytes;
    pthread_mutex_t own; /* guards bell; taken last */
    pthread_cond_t wake;
    int bell; /* enum bell */
};

struct call *call_create(void); /* NULL without memory */
void call_unref(struct call *call);
/* Run it. Returns call->unit (JOBQ_OK, FAILED, UNKNOWN, FORKED); the error is recorded for the thread too. A failed want
 * is in call->want_unit. deadline_ms: how long this caller waits (0: the handle's call_timeout_ms). */
int call_run(struct jobq *q, struct call *call, int64_t deadline_ms);
/* Its two halves, for a caller who lets another thread wait for the answer: JOBQ_OK when it has come, and only then what a
 * caller's own thread is to do with it, which returns call->unit. */
int call_send(struct jobq *q, struct call *call, int64_t deadline_ms);
int call_told(struct jobq *q, struct call *call);
/* Somebody may have to lead it: the first that waits. The handle's lock held. */
void call_look(struct call *call);

/* ---- alert.c: dead jobs that must not go unnoticed ------------------------------------------------------------------------- */

/* Of the death that brings this row to its end. */
void alert_id(const struct jobq_row *row, struct jobq_id *out);
int alert_payload(struct jobq_arena *arena, const struct jobq_row *row, const struct jobq_change *death,
                  struct jobq_bytes *out); /* -1 without memory */
/* Hang an alert on each change of the call that makes a job dead. The puts are then in the call's own memory. JOBQ_OK,
 * FORKED, FAILED with call->error set: then the call must not be sent. */
int alerts_add(struct jobq *q, struct call *call);
#define ALERT_BYTES 1024 /* beside its error */

/* ---- hook.c: tracing -------------------------------------------------------------------------------------------------- */

int hook_of_change(const struct jobq_change *change); /* enum jobq_hook_what of a change that was made; 0: nothing to tell */
void hook_call(const struct jobq *q, const struct call *call); /* what an answered call did; in its caller's thread */
void hook_handler(const struct jobq *q, const struct jobq_row *row, int what); /* STARTED, RETURNED */

/* ---- crew.c: the workers of one handle ---------------------------------------------------------------------------------------- */

struct crew {
    pthread_mutex_t lock;
    struct jobq_worker *first; /* linked by crew_next */
    size_t capacity;           /* jobs that they can hold */
    size_t held;               /* that they hold, or have asked for */
    struct jobq_worker *quiet; /* has the process to itself, or tries to: the others ask for no jobs */
    struct jobq_worker *turn;  /* who may try so next, a lease after */
    int64_t window_ms;         /* the worker's clock when somebody last did */
};
void crew_init(struct crew *crew);
void crew_free(struct crew *crew);
size_t crew_held(struct jobq *q);

/* ---- returned.c: claimed, and not handed over ------------------------------------------------------------------------------ */

struct returned;
struct returned *returned_create(size_t room); /* NULL without memory; free(), or give it to returned_add */
/* The ordinary ones of these rows, at most `room`, are to go back. Their bytes are not needed after it. */
void returned_add(struct jobq *q, struct returned *list, const struct jobq_row *rows, size_t count);
void returned_send(struct jobq *q); /* as far as it can; leaves the thread's last error alone */
void returned_free(struct jobq *q);

/* ---- handle.c ----------------------------------------------------------------------------------------------------------- */

/* ---- lane.c: the ways to the store ------------------------------------------------------------------------------------- */

#define LANES_MAX 8
#define LANES_DEFAULT 2

/* One store object. Its exchanges go one after another and are numbered for it. A handle has one; of a store that serves
 * several at once (JOBQ_CAP_PARALLEL) another is opened when calls meet. */
struct lane {
    struct jobq *q;
    struct jobq_store *store; /* NULL: not open */
    bool busy;                /* an operation is under way, or it is being opened; under the handle's lock, as the next */
    int64_t open_at_ms;       /* monotonic; not before this, when it could not be opened */
    /* of who is busy with it */
    uint8_t client[16];
    uint64_t number;
    uint8_t *cursor; /* whose turn it is among groups, for its next want */
    size_t cursor_bytes;
    bool lost_claim; /* a claim was given up: release what it may hold first */
    uint8_t lost_mint[8];
};

int lane_name(struct lane *lane); /* as which client it is known to the store; JOBQ_OK or FAILED */
void lanes_close(struct jobq *q);
/* A lane for an exchange that nobody uses, which may have to be opened first; NULL: none. Lock held. */
struct lane *lane_free(struct jobq *q);
void lane_open(struct lane *lane);  /* the lock is held on entry and return, and not between; it may have failed */
void lane_leave(struct lane *lane); /* with the lock held: end of an operation, whoever is next is woken */
size_t lanes_open(const struct jobq *q); /* lock held */

struct jobq {
    const struct jobq_backend *backend;
    char *uri; /* to open another lane by; NULL: there is only one */
    pid_t pid;
    bool attached; /* inside transactions of the program: see jobq_attach_store */
    struct jobq_options options; /* defaults filled in; nothing in it is lent any more */
    int64_t repeat_ms;           /* as long as an outcome is asked for again: io_timeout_ms, but where tests want less */
    struct keep_values keep;     /* what queues without settings of their own have */
    char worker_name[256];       /* "host:pid" */
    char alert_queue[256];       /* "": none */
    pthread_mutex_t lock;        /* guards what follows */
    struct lane lanes[LANES_MAX]; /* the first is always open */
    size_t lane_count;           /* so many may be */
    struct call *first, *last;   /* calls that wait for their exchange */
    size_t waiting, sent;        /* how many those are, and how many are on their way */
    pthread_cond_t idle;         /* signalled when it is a reader's turn at the first lane: for read, stats, configure */
    size_t idle_waiters;
    bool readers_turn; /* who goes next when both kinds wait */
    bool answers;      /* the newest exchange was answered with OK */
    struct returned *returned; /* what claims could not hand over; see returned.c */
    int64_t swept_at_ms; /* monotonic time of the last sweep of this handle; 0: never */
    int64_t alone_at_ms; /* and of its last look for a row that must run alone */
    int64_t tick_at_ms;  /* monotonic time of the next tick of a schedule that is known of; 0: look */
    struct crew crew;    /* with its own lock */
    jobq_hook_fn hook;   /* NULL: nobody listens */
    void *hook_user;
    struct poke *pokes;  /* who wants to be woken when a put of this handle made something due */
};

/* Somebody (a worker) who is woken when this handle put or changed something. Called with q->lock held; must not
 * block. */
struct poke {
    void (*fn)(void *user);
    void *user;
    struct poke *next;
};
void handle_poke_add(struct jobq *q, struct poke *poke);
void handle_poke_remove(struct jobq *q, struct poke *poke);

int handle_check(const struct jobq *q); /* JOBQ_OK or JOBQ_FORKED; before any lock is touched */
int handle_check_own(const struct jobq *q, const char *what); /* the same, and JOBQ_UNSUPPORTED when attached */
/* Use the store of the first lane (read, stats, configure): waits for its exchange under way. */
struct jobq_store *handle_enter(struct jobq *q);
void handle_leave(struct jobq *q);
void handle_poke(struct jobq *q);       /* with the lock held */
bool handle_has(const struct jobq *q, uint32_t capability);
int64_t monotonic_ms(void);
uint32_t random_dice(void);

/* ---- query.c, sweep.c, claim ------------------------------------------------------------------------------------------------ */

/* The store's query for a filter of the application (NULL: all), checked. */
int query_of_filter(struct jobq *q, const struct jobq_filter *filter, struct jobq_query *out);

/* As jobq_list, without payload, result and errors. */
int list_bare(struct jobq *q, const struct jobq_filter *filter, struct jobq_jobs **out);

/* Store settings, checked by the caller. */
int handle_configure(struct jobq *q, const struct jobq_settings *settings);

/* Read rows into an arena of the caller; a NULL arena is JOBQ_NOMEM. */
int read_rows(struct jobq *q, struct jobq_query *query, struct jobq_arena *arena);

/* How many changes the judgement of these rows takes (overdue ones; EDGES: one per undecided child; undecodable ones). */
size_t judge_count(const struct jobq_row *rows, size_t count);
/* Write them; `out` has room for judge_count. The changes lend from the rows. */
void judge_rows(const struct jobq_row *rows, size_t count, struct jobq_change *out);
/* Is this row to be judged instead of handed out? */
bool row_is_judged(const struct jobq_row *row);

/* The status of a change's verdict for the application; records the error. */
int status_of_change(const struct jobq_change *change);

#endif
