/* SPDX-License-Identifier: MIT */
/*
 * What the files of the worker know of each other.
 *
 *   setup.c   options, names, handlers
 *   worker.c  run and dispatch: the life of a worker
 *   turn.c    one turn: what goes to the store in one exchange
 *   answer.c  what the answer means
 *   hold.c    the jobs in hand: claimed, beaten, lost, over
 *   pool.c    the threads that run handlers
 *   ctx.c     what a handler sees
 *   wake.c    the one descriptor that a loop waits for
 *   order.c   which queue comes first
 *   crew.c    the other workers of the handle
 *   courier.c exchanges that are under way while the turning thread goes on
 *   inline.c  handlers in the calling thread, for the tests of programs
 *   drain.c   when a draining worker has come to its end
 *   notice.c  what is told to people
 *
 * Who owns what. The turning thread (the one inside jobq_worker_run or jobq_worker_dispatch) owns everything
 * that is not in `struct pool` or `struct couriers`, and a turn unless a courier has it. While it runs it holds the lock
 * of turns, and gives it away while it waits: a thread of the pool that has nothing to do may then turn in its place
 * (worker_turn_aside), which is "the turning thread" until it is back. One of those that have nothing to do also waits in
 * its place for the store's wake-up and the handle's pokes (`watching`), so that who hears of a job runs it. The pool's
 * lock guards the pool, `counts` and the progress of the jobs. A job belongs to the turning thread, except from pool_give
 * until it comes back from pool_take_finished: then what its handler says belongs to the handler's thread. `flags` and
 * `lease_end_ms` are atomic: the turning thread writes, handlers read.
 */
#ifndef JOBQ_WORKER_H
#define JOBQ_WORKER_H

#include "budget.h"
#include "internal.h"

#include <stdatomic.h>

#define PROGRESS_EVERY_MS 500 /* progress alone makes at most two exchanges a second */
#define SWEEP_MOST_MS 10000
#define SWEEP_ROWS 100
#define RETRY_MOST_MS 5000
#define DRAIN_LOOK_MS 1000 /* how often a draining worker looks whether others are done */
#define HOLDERS_SAID 32    /* of so many holders a draining worker says that it waits for them */
#define NEVER INT64_MAX

/* ---- wake.c ------------------------------------------------------------------------------------------- */

struct waker {
    int epoll, event, store, call; /* -1: none */
};
enum wake_source { WAKE_RUNG = 1, WAKE_STORE = 2 };

/* store_fd -1: none. 0, or -1 with errno; then nothing is left open. */
int waker_open(struct waker *waker, int store_fd);
void waker_close(struct waker *waker);
void waker_ring(const struct waker *waker); /* async-signal-safe; keeps errno */
/* enum wake_source that are up; the bell is made quiet, the store not. */
int waker_look(const struct waker *waker);
/* Until something is up, a signal came or the time is over. */
void waker_wait(const struct waker *waker, int64_t ms);
/* For a thread that waits for the store in the loop's place, until it is up, a signal came or somebody calls. Returns
 * whether the store is up; it is the loop's again after waker_watched. */
bool waker_watch(const struct waker *waker);
void waker_watched(const struct waker *waker);
void waker_call(const struct waker *waker);

/* ---- order.c ------------------------------------------------------------------------------------------ */

/* Smooth weighted round robin: over any `sum of weights` calls queue i stands first weights[i] times,
 * spread evenly. The others follow by what they are owed, so that an empty first queue costs nobody its
 * turn. `credits` starts as zero. */
void queue_order(const int32_t *weights, int64_t *credits, size_t count, size_t *order);

/* ---- jobs in hand ------------------------------------------------------------------------------------- */

/* An exchange whose answer is still needed: by jobs of its claim, by rows that came back, by rows to be
 * judged. */
struct answer {
    struct call *call;
    size_t users;
};

enum job_stage {
    JOB_CLAIMED, /* waits for its early ack */
    JOB_QUEUED,  /* with the pool */
    JOB_RUNNING,
    JOB_FINISHED /* nobody is inside any more; its outcome is to be handed in */
};

/* One claimed job, and what its handler says. */
struct jobq_ctx {
    struct jobq_worker *worker;
    struct claim *claim;
    struct jobq_ctx *next;
    struct answer *fresh; /* where its row came from, when not from the claim */
    jobq_handler handler;
    void *user;
    int64_t stop_ms; /* the worker's clock at stop_at; NEVER: no timeout */
    _Atomic uint32_t flags;
    enum job_stage stage; /* under the pool's lock */
    bool acked;   /* completed before the start */
    bool lost;    /* the store gave it to somebody else: nothing more is said about it */
    bool refused; /* the store does not take what the handler said */
    bool over;
    bool counted;     /* as an attempt that ended, for the budget of its queue */
    int64_t retry_ms; /* its place in the line of retries, by the worker's clock; 0: none yet */
    /* what the handler says */
    int outcome;
    bool has_delay;
    int64_t delay_ms;
    struct jobq_bytes result, error; /* own memory */
    struct jobq_arena *arena;        /* of the follow-ups */
    struct jobq_put *puts;
    size_t put_count, put_room, put_bytes;
    /* under the pool's lock */
    uint8_t *progress;
    size_t progress_bytes;
    bool progress_new;
    struct jobq_bytes *log; /* lines that the store has not taken yet, own memory; room for LOG_LINES */
    size_t log_count;
    size_t log_sent; /* of these, the first so many are on their way */
    /* given as a whole; all before them starts as zero */
    struct jobq_row row; /* the newest copy, from which policy is computed */
    struct jobq_job job; /* of a job that has a handler */
};

/* The rows that one want gave: one token. */
struct claim {
    struct claim *next;
    struct answer *answer;
    struct jobq_token token;
    int64_t beat_ms;              /* when the next heartbeat is due */
    _Atomic int64_t lease_end_ms; /* the worker's clock; what is not started by then is not started */
    bool shared;                  /* other callers of the handle hold rows under this token too */
    size_t open;                  /* jobs that are not over */
    size_t count;
    struct jobq_ctx jobs[];
};

/* ---- pool.c ------------------------------------------------------------------------------------------- */

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct jobq_ctx *first, *last;       /* queued */
    struct jobq_ctx *finished, *newest; /* in order of their end */
    pthread_t *threads;
    size_t thread_count, running, idle, queued;
    _Atomic bool watching; /* one of the idle ones waits for the store; changed under the lock */
    bool closing;
    bool progress_new; /* some job has progress that was not sent */
};

struct jobq_worker;

int pool_init(struct pool *pool);
void pool_destroy(struct pool *pool);
int pool_start(struct jobq_worker *w); /* JOBQ_OK, NOMEM, FAILED; then no thread is left */
void pool_stop(struct jobq_worker *w); /* waits for the handlers */
bool pool_inside(const struct jobq_worker *w); /* is the caller one of the threads? */
void pool_give(struct jobq_worker *w, struct jobq_ctx *list); /* linked by next */
struct jobq_ctx *pool_take_finished(struct jobq_worker *w);
/* Take out what nobody has started: `acked` says whether also jobs that were acked early. Linked by next. */
struct jobq_ctx *pool_take_queued(struct jobq_worker *w, bool acked);
/* Take one job out; false if it has started. */
bool pool_take_job(struct jobq_worker *w, struct jobq_ctx *job);
size_t pool_running(struct jobq_worker *w);
/* The turning thread is about to wait: somebody who has nothing to do may wait in its place. */
void pool_offer_watch(struct jobq_worker *w);
size_t pool_run_here(struct jobq_worker *w); /* run what is queued in this thread; returns how many */

/* ---- courier.c ---------------------------------------------------------------------------------------- */

#define COURIERS 2 /* one takes new jobs while another hands in what is done */

struct turn;
struct couriers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct turn *first, *last;   /* to be carried */
    struct turn *back, *newest;  /* answered */
    pthread_t threads[COURIERS];
    size_t thread_count;
    bool wanted;  /* the store gains by them */
    bool closing;
};

int couriers_init(struct couriers *c);
void couriers_destroy(struct couriers *c);
/* Are they there, or can they be started? */
bool couriers_ready(struct jobq_worker *w);
void couriers_stop(struct jobq_worker *w); /* nothing may be under way */
void courier_give(struct jobq_worker *w, struct turn *t);
struct turn *courier_take(struct jobq_worker *w); /* what was answered, in that order, linked by next */

/* ---- the worker --------------------------------------------------------------------------------------- */

struct handler_entry {
    char *kind; /* NULL: every other kind */
    jobq_handler fn;
    void *user;
};

enum phase {
    PHASE_NEW,
    PHASE_WORKING,
    PHASE_STOPPING, /* no new claim, heartbeats go on until grace_until */
    PHASE_LATE,     /* grace is over: waits for handlers to return, their leases run out */
    PHASE_ENDED
};

/* What fails: a want, or all that is to be handed in. Heartbeats alone prove neither to work. */
enum trouble { TROUBLE_NONE, TROUBLE_UNIT, TROUBLE_WANT };

struct jobq_worker {
    struct jobq *q;
    struct waker waker;
    struct poke poke;
    _Atomic bool stop_asked;
    _Atomic uint32_t pokes; /* how often the handle said that something may be due */
    _Atomic bool turning;   /* somebody is at it, and looks at the pokes before going */
    int64_t (*clock)(void *user); /* monotonic ms; tests bring their own */
    void *clock_user;

    /* options, constant */
    char name[256];
    char host[256];
    uint8_t nonce[8];
    char **queues;
    struct jobq_bytes *queue_bytes, *kind_bytes, *want_queues;
    int32_t *weights; /* NULL: strict order */
    int64_t *credits;
    int32_t retry_percent;  /* 0: no budget */
    struct budget *budgets; /* by queue; the turning thread's */
    char *queue_list, *kind_list;
    size_t queue_count, kind_count;
    struct handler_entry *handlers;
    size_t handler_count;
    size_t thread_count, capacity;
    int64_t lease_ms, grace_ms, poll_ms;
    uint32_t flags;
    jobq_notice_fn notice; /* NULL: nobody listens */
    void *notice_user;
    struct pool pool;
    struct couriers couriers;
    struct jobq_worker_counts counts; /* under the pool's lock */
    pthread_mutex_t turns;            /* held by whoever turns; the rest of this is under it */
    _Atomic bool lends_turns;         /* inside jobq_worker_run */
    bool aside;                       /* a thread of the pool turns */
    bool takes_one;                   /* and the first that it gives is its own: nobody is woken for that */
    int64_t waits_until_ms;           /* when the turning thread wakes by itself */
    int late_notice;                  /* what it has to tell then; 0: nothing */
    char late_text[512];
    bool look_late;                   /* and whether that is the end, when it drains */

    /* the turning thread's */
    enum phase phase;
    struct claim *claims;
    struct claim *spare; /* room for the rows of the next want, made before it is asked */
    size_t spare_room;
    size_t held;              /* jobs that are not over; changed by crew.c under its lock */
    size_t asked;             /* and that may come with the answer that is under way; the same */
    struct jobq_worker *crew_next; /* under the crew's lock */
    struct jobq_ctx *alone;   /* runs alone; nothing is started beside it */
    struct jobq_ctx *handin;  /* finished; outcome not accepted yet */
    struct jobq_ctx *early;   /* waiting for their early ack */
    struct {
        struct answer *answer;
        const struct jobq_row *rows;
        size_t count;
    } judge; /* overdue rows that this worker has to judge */
    int64_t ask_at_ms;   /* when to ask for jobs; 0: now */
    int64_t alone_at_ms; /* when to ask for one that runs alone; NEVER: not now */
    int64_t alone_asked_ms;
    bool alone_asked_once;
    int64_t tick_at_ms; /* when the next schedule is due, as far as this worker has heard: sweep then */
    int64_t tick_hold_ms; /* but not before this: the store did not take the last one */
    int64_t sweep_at_ms, beat_at_ms, progress_at_ms, progress_sent_ms, grace_until_ms;
    int64_t retry_at_ms;      /* after a failure no exchange before this */
    int64_t want_retry_at_ms; /* after a failed want no want before this */
    int64_t started_at_ms;    /* the store's clock at the first answer */
    uint32_t pokes_seen;
    int troubles; /* failed turns in a row */
    enum trouble trouble; /* what people were told of */
    uint32_t holders[HOLDERS_SAID]; /* of whose leases they were told, as marks of their names */
    size_t holder_count;
    int last_mode;
    size_t under_way; /* turns that couriers have */
    bool asking;      /* one of them has a want */
    bool in_line;     /* handlers run in the calling thread: jobq_worker_run_due */
    bool beats_alone; /* the turn before failed: heartbeats travel alone */
    bool record_new;  /* the worker's record was never written */
    int32_t record_running; /* what it says of the handlers that run */
    bool empty_due, empty_alone, empty_sweep; /* what the last want of each mode found, for draining */
    size_t abandoned; /* outcomes that the store did not take until the end */
};

int64_t worker_now(const struct jobq_worker *w);
int worker_begin(struct jobq_worker *w); /* of a run; JOBQ_OK, INVALID (no handler), NOMEM, FAILED */
int worker_step(struct jobq_worker *w);  /* the turn that is due, if any; JOBQ_ALREADY at the end */
/* For a thread of the pool that has just put a job among the finished and finds no other, or that waited for the store
 * and `heard` it: hand in what is done and take the next, if that is all that is due and nobody else turns. */
enum aside {
    ASIDE_ALL,  /* that is done */
    ASIDE_REST, /* the turning thread has to be told */
    ASIDE_NONE  /* and somebody else turns; the store was not heard */
};
enum aside worker_turn_aside(struct jobq_worker *w, bool heard);
void worker_free(struct jobq_worker *w);     /* all of its memory and descriptors */
int worker_list_kinds(struct jobq_worker *w); /* what to ask for, from the handlers; JOBQ_OK or NOMEM */
/* The handler of a kind, or NULL. */
const struct handler_entry *worker_handler(const struct jobq_worker *w, struct jobq_bytes kind);

/* ---- crew.c: the other workers of the handle ------------------------------------------------------------ */

/* From the start of a run to its end. */
void crew_join(struct jobq_worker *w, int64_t now);
void crew_leave(struct jobq_worker *w, int64_t now);
/* It holds so many more, or less. */
void crew_took(struct jobq_worker *w, size_t count);
void crew_dropped(struct jobq_worker *w, size_t count);
/* May it ask for so many now, while `handing` of its own are handed in? *others: whom the rows will have beside them.
 * After a yes crew_answered is called when the answer has been dealt out. */
bool crew_asks(struct jobq_worker *w, int mode, size_t limit, size_t handing, size_t *others);
void crew_answered(struct jobq_worker *w);
void crew_asked_alone(struct jobq_worker *w, int64_t now);
size_t crew_others(const struct jobq_worker *w); /* jobs that the others hold or have asked for */
bool crew_hushed(const struct jobq_worker *w);   /* another one wants the process to itself */
/* A worker that is never idle would never take a job that must run alone. So once a lease one of the crew has a window
 * of a tenth of one, in which nobody asks for other jobs; with short jobs that is the moment until those in hand are
 * done. */
bool crew_window(const struct jobq_worker *w, int64_t now);
int64_t crew_window_end(const struct jobq_worker *w);
bool crew_is_silent(const struct jobq_worker *w, int64_t now); /* and nobody of several holds anything: ask now */
int64_t crew_wakes_at(const struct jobq_worker *w, int64_t now); /* when it has to see to its window */
/* Begin and end what is due of that; often. */
void crew_settle(struct jobq_worker *w, int64_t now);

/* ---- drain.c ------------------------------------------------------------------------------------------ */

/* Wants found nothing: is that the end? Others may still run jobs of these queues. Says what it waits for
 * or leaves. */
bool worker_nothing_left(struct jobq_worker *w);

/* ---- notice.c ----------------------------------------------------------------------------------------- */

void worker_say(struct jobq_worker *w, int notice, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void worker_trouble(struct jobq_worker *w, enum trouble trouble, const char *why);
void worker_mended(struct jobq_worker *w, enum trouble done); /* what was done without failing */

/* ---- hold.c ------------------------------------------------------------------------------------------- */

struct answer *answer_create(void); /* with a call and one user; NULL without memory */
void answer_drop(struct answer *answer);

/* Room for the rows of a want of `limit`. -1 without memory. */
int claim_reserve(struct jobq_worker *w, size_t limit);
/* Take the rows that are jobs in hand; `sent_ms` is the worker's clock before the exchange. Returns how
 * many. */
size_t claim_take(struct jobq_worker *w, struct answer *answer, const struct jobq_want *want,
                  int64_t sent_ms);
/* How many rows the store should still hold under the claim's token. */
size_t claim_expected(const struct claim *claim);
/* The heartbeat sent at sent_ms was answered. */
void claim_beaten(struct jobq_worker *w, struct claim *claim, const struct jobq_beat *beat, int64_t sent_ms,
                  int64_t store_now_ms);
/* Ask the store which of the claim's jobs are lost. */
void claim_verify(struct jobq_worker *w, struct claim *claim);
void job_lost(struct jobq_worker *w, struct jobq_ctx *job);
/* It is settled and nobody is inside: forget it. */
void job_over(struct jobq_worker *w, struct jobq_ctx *job);
void jobs_over(struct jobq_worker *w, struct jobq_ctx **list); /* forget those marked over */
void jobs_flag(struct jobq_worker *w, uint32_t flag);
void jobs_append(struct jobq_ctx **list, struct jobq_ctx *more);
void beats_schedule(struct jobq_worker *w); /* beat_at_ms from the claims */

/* ---- ctx.c -------------------------------------------------------------------------------------------- */

/* The first `count` lines of its log are done with. */
void job_log_drop(struct jobq_ctx *job, size_t count);

/* ---- turn.c ------------------------------------------------------------------------------------------- */

/* One exchange with all that is due. JOBQ_OK also when the store failed (later deadline); JOBQ_FORKED. */
int worker_turn(struct jobq_worker *w);
/* One with outcomes, and a want if none is under way, that a courier carries. */
void worker_turn_beside(struct jobq_worker *w);
/* Deal out what came back of those. Returns whether any did. */
bool worker_turns_back(struct jobq_worker *w);
/* Free slots for a want, when `handing` jobs are handed in with it. */
size_t worker_free_slots(const struct jobq_worker *w, size_t handing);
/* Is it holding back so that the process comes to hold nothing and it can ask for a job that must run alone? */
bool worker_holds_back(const struct jobq_worker *w, int64_t now);

#endif
