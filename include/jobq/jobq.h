/* SPDX-License-Identifier: MIT */
/*
 * libjobq: a job queue that a C program links.
 *
 * Conventions of this header
 *   Status   Functions that can fail return an int: JOBQ_OK (0), a positive code (it is all right, and
 *            here is what was special about it) or a negative one (an error). Every negative code but
 *            JOBQ_UNKNOWN means that the call certainly had no effect. After JOBQ_UNKNOWN repeat the
 *            call with the same id or token: it takes effect at most once.
 *   Detail   jobq_last_error() holds the text, and for bad input the field and its limit.
 *   Units    Durations are int64_t milliseconds and end in _ms. Instants are int64_t milliseconds since
 *            1970 UTC by the store's clock and end in _at_ms or _until_ms; 0 is "never / not yet".
 *   Memory   Getters and callbacks lend; an object given out through a pointer-to-pointer is owned by the
 *            caller and freed by the function named there. What is passed in is copied before return.
 *   Structs  Public structs that the caller fills start with `size`; set it to sizeof, zero the rest, and
 *            zero means "the default". Structs that the library fills grow only at their end.
 *   Text     Names (queue, kind, group, worker) are UTF-8 without control characters, 1 to 255 bytes.
 *            Payload, key, result, progress and error text are bytes with a length, NUL included.
 *   Threads  A handle may be used from any thread at any time; calls that overlap share one exchange with
 *            the store. A handle must not be used in a child after fork: JOBQ_FORKED.
 *            Unless a comment says otherwise a function may block for the handle's io_timeout_ms.
 */
#ifndef JOBQ_JOBQ_H
#define JOBQ_JOBQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
/* A function may have the name of a struct, as stat() has; g++ -Wshadow says that it hides a constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

#ifndef JOBQ_API
#define JOBQ_API __attribute__((visibility("default")))
#endif

#define JOBQ_VERSION_MAJOR 0
#define JOBQ_VERSION_MINOR 1
#define JOBQ_VERSION_PATCH 0

struct jobq;         /* a handle on one namespace of one store */
struct jobq_backend; /* what kind of store; see <jobq/sqlite.h>, <jobq/memory.h>, <jobq/backend.h> */
struct jobq_worker;  /* the loop that claims jobs and runs handlers */
struct jobq_ctx;     /* a running handler's view of its job */

/* What a call answers. Values never change; new ones are added. */
enum jobq_status {
    JOBQ_OK = 0,
    JOBQ_ALREADY = 1,   /* this very request took effect before; nothing changed now */
    JOBQ_DUPLICATE = 2, /* the idempotency key is held by another job; nothing changed */
    JOBQ_REPLACED = 3,  /* the key's waiting holder got the new payload */
    JOBQ_EXTENDED = 4,  /* the key's waiting holder got the new delay */
    JOBQ_SUCCESSOR = 5, /* kept as the one successor of the key's holder */

    JOBQ_FAILED = -1,      /* the store could not do it: certainly no effect, may be tried again */
    JOBQ_UNKNOWN = -2,     /* the connection died with the commit in flight: repeat the call */
    JOBQ_INVALID = -3,     /* bad input; jobq_last_error() names field and limit */
    JOBQ_STALE = -4,       /* the token no longer holds the job; nothing changed */
    JOBQ_NOT_FOUND = -5,   /* no such job */
    JOBQ_STATE = -6,       /* the job's state does not allow this */
    JOBQ_FULL = -7,        /* the queue's depth limit is reached */
    JOBQ_LIMITED = -8,     /* the group's quota is used up for now */
    JOBQ_NO_PARENT = -9,   /* a job named as parent does not exist */
    JOBQ_HELD = -10,       /* the key is held and the caller asked to be refused, or redrive cannot take it */
    JOBQ_TIMEOUT = -11,    /* the caller's time is over */
    JOBQ_UNREACHABLE = -12,/* the store cannot be opened or reached */
    JOBQ_UNSUPPORTED = -13,/* this store or this build does not have it */
    JOBQ_FORKED = -14,     /* the handle belongs to the parent process */
    JOBQ_FOREIGN = -15,    /* a table of ours has a shape that we do not know, or the file is something else */
    JOBQ_NEWER = -16,      /* the store was written by a newer libjobq */
    JOBQ_CORRUPT = -17,    /* the store is damaged */
    JOBQ_NOMEM = -18,      /* out of memory */
    JOBQ_CYCLE = -19,      /* the dependencies form a circle */
    JOBQ_OUTDATED = -20,   /* between core and store only: the row was edited meanwhile */
    JOBQ_SKIPPED = -21     /* not done because what it hung on was not done */
};

/* States as they are shown. SCHEDULED and READY differ by time alone. */
enum jobq_state {
    JOBQ_BLOCKED = 1,
    JOBQ_SCHEDULED = 2,
    JOBQ_READY = 3,
    JOBQ_RUNNING = 4,
    JOBQ_COMPLETED = 5,
    JOBQ_DEAD = 6,
    JOBQ_CANCELLED = 7
};
#define JOBQ_STATE_COUNT 8 /* size of an array indexed by enum jobq_state */

/* Why a job is blocked (1..9) or dead (10..), how it completed (30..), or who removed it (40..). */
enum jobq_reason {
    JOBQ_REASON_NONE = 0,
    JOBQ_REASON_PARENTS = 1,  /* blocked: waits for other jobs */
    JOBQ_REASON_CALLBACK = 2, /* blocked: parked until its callback token comes back */
    JOBQ_REASON_HOLD = 3,     /* blocked: held until jobq_unhold */
    JOBQ_REASON_ATTEMPTS = 10,
    JOBQ_REASON_PERMANENT = 11,
    JOBQ_REASON_POISON = 12,
    JOBQ_REASON_EXPIRED = 13,
    JOBQ_REASON_TIMEOUT = 14,
    JOBQ_REASON_DEPENDENCY = 15,
    JOBQ_REASON_CALLBACK_TIMEOUT = 16,
    JOBQ_REASON_UNDECODABLE = 17,
    JOBQ_REASON_OPERATOR = 18,
    JOBQ_REASON_EARLY_ACK = 30, /* completed before the handler ran: at-most-once by choice */
    JOBQ_REASON_RETENTION = 40  /* in an event: removed because newer ones have ended, or it ended long ago */
};

/* What kind of failure an entry of the error history records. */
enum jobq_error_kind {
    JOBQ_ERROR_HANDLER = 1,  /* the handler said so */
    JOBQ_ERROR_LOST = 2,     /* the lease ran out */
    JOBQ_ERROR_TIMEOUT = 3,  /* the job's own timeout */
    JOBQ_ERROR_CALLBACK = 4, /* the callback's deadline passed */
    JOBQ_ERROR_RESULT = 5,   /* the result could not be stored */
    JOBQ_ERROR_PARENT = 6,   /* a parent died */
    JOBQ_ERROR_EXPIRED = 7   /* expires_at passed */
};

/* 16 bytes, time-ordered (UUID version 7) when made by the library. Text form: 32 lower-case hex digits. */
struct jobq_id {
    uint8_t bytes[16];
};

/* Proof of holding a job: 8 random bytes and the fence. Same text form as an id, but not the same type. */
struct jobq_token {
    uint8_t bytes[16];
};

/* What an outside service gives back to resume a parked job: job id and secret. Text form: 64 hex digits. */
struct jobq_callback {
    uint8_t bytes[32];
};

/* Bytes with a length. data NULL means absent; data not NULL with size 0 means present and empty. */
struct jobq_bytes {
    const void *data;
    size_t size;
};

/* The calling thread's last error. */
struct jobq_error {
    int status;     /* the code that was returned */
    char field[32]; /* bad input: the field; otherwise empty */
    char text[480]; /* what happened, for people; never a password */
};

/* ---- version, errors, ids ------------------------------------------------------------------------- */

/* "0.1.0". Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_version(void);

/* "STALE" for JOBQ_STALE and so on; "?" for an unknown code. Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_status_name(int status);

/* One sentence for a code. Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_strerror(int status);

/* "ready" for JOBQ_READY and so on, as in JSON; "?" if unknown. Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_state_name(int state);

/* The state named, or 0. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int jobq_state_parse(const char *name);

/* "POISON" for JOBQ_REASON_POISON and so on; "" for none. Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_reason_name(int reason);

/* "HANDLER" for JOBQ_ERROR_HANDLER and so on. Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_error_kind_name(int kind);

/* Detail of the calling thread's last call that returned a negative code. Lent; valid until the thread's next
 * call into the library. Never NULL. Threads: any, each its own. Errors: none. Since 0.1. */
JOBQ_API const struct jobq_error *jobq_last_error(void);

/* Mint an id: strictly rising within the process. Threads: any. Errors: JOBQ_FAILED (no random source). Since 0.1. */
JOBQ_API int jobq_id_new(struct jobq_id *out);

/* Write the text form, 32 digits and a NUL, to out. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_id_format(const struct jobq_id *id, char out[33]);

/* Read the text form; 8-4-4-4-12 with dashes and upper case are taken too. Threads: any. Errors: JOBQ_INVALID. Since 0.1. */
JOBQ_API int jobq_id_parse(const char *text, struct jobq_id *out);

/* As jobq_id_format, for a lease token. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_token_format(const struct jobq_token *token, char out[33]);

/* As jobq_id_parse, for a lease token. Threads: any. Errors: JOBQ_INVALID. Since 0.1. */
JOBQ_API int jobq_token_parse(const char *text, struct jobq_token *out);

/* As jobq_id_format, for a callback token: 64 digits and a NUL. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_callback_format(const struct jobq_callback *callback, char out[65]);

/* As jobq_id_parse, for a callback token. Threads: any. Errors: JOBQ_INVALID. Since 0.1. */
JOBQ_API int jobq_callback_parse(const char *text, struct jobq_callback *out);

/* The fence inside a token: rises with every claim of the store, below 2^53. Hand it to outside systems so that
 * they can refuse an older one. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int64_t jobq_token_fence(const struct jobq_token *token);

/* ---- open and close --------------------------------------------------------------------------------- */

enum jobq_open_flags {
    JOBQ_OPEN_NO_CREATE = 1, /* a missing store is JOBQ_UNREACHABLE instead of being made */
    JOBQ_OPEN_INSPECT = 2    /* read only; neither creates nor upgrades, and takes a store of another version */
};

#define JOBQ_KEEP_ALL (-1)  /* no bound */
#define JOBQ_KEEP_NONE (-2) /* none are kept */

/* How long jobs that have ended stay, for each queue and state: the newest so many, and none that ended longer ago. What
 * is beyond either bound is removed, the oldest first, with exchanges that end jobs of that queue. */
struct jobq_keep {
    size_t size;
    int64_t completed, dead, cancelled;          /* jobs: 1 to 2^53, JOBQ_KEEP_ALL, JOBQ_KEEP_NONE; 0: the default */
    int64_t completed_ms, dead_ms, cancelled_ms; /* ms: 1 to 2^53, JOBQ_KEEP_ALL; 0: the default */
    int64_t results_ms; /* the same of what completed jobs left: a job that stays longer stays without its result */
    int32_t own;      /* answer: not 0 when the queue has values of its own, 0 when these are the handle's defaults */
    int32_t reserved; /* 0 */
};

struct jobq_options {
    size_t size;
    uint32_t flags;            /* enum jobq_open_flags */
    int64_t io_timeout_ms;     /* how long one exchange with the store may take; default 30,000, 100 to 600,000 */
    int64_t call_timeout_ms;   /* how long a call may wait for its answer; default io_timeout_ms */
    size_t payload_max_bytes;  /* default 1 MiB, at most 64 MiB */
    size_t result_max_bytes;   /* default 1 MiB, at most 64 MiB */
    int64_t age_step_ms;       /* one step of priority is worth this head start; default 600,000 */
    const struct jobq_keep *keep; /* of queues that have no values of their own; lent for the call; NULL: 1,000 completed,
                                     5,000 dead, 1,000 cancelled, of any age. Give every handle of a store the same */
    const char *alert_queue;   /* lent for the call; NULL for none. Each time a job becomes dead through this handle, the same
                                  exchange puts a job of kind "job_failed" into this queue, once for each death: its payload is
                                  {"type":"job_failed","job_id","queue","tenant_id","reason","error"}, tenant_id the group, or
                                  null. Without room for the alert the job does not die yet; but a depth of the queue refuses
                                  alerts beyond it. Jobs of the queue itself raise none. Give every handle the same */
    uint32_t connections;      /* how many exchanges may be under way at once, each on a connection of its own that is opened
                                  when calls meet, 1 to 8; default 2. Only Redis and Postgres gain by it; others have one */
    uint32_t reserved;         /* 0 */
};

/* Open a namespace of a store.
 *   out      receives the handle, owned by the caller: jobq_close. NULL on failure, and then nothing is left open.
 *   backend  jobq_sqlite(), jobq_memory() or another; lent for the life of the handle.
 *   uri      as the backend's header says; every store takes ?namespace=NAME (default "jobq"; letters, digits, _).
 *   options  NULL for the defaults.
 * Threads: any. Errors: JOBQ_INVALID (uri, an option), JOBQ_UNREACHABLE, JOBQ_FOREIGN, JOBQ_NEWER, JOBQ_CORRUPT,
 * JOBQ_UNSUPPORTED, JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_open(struct jobq **out, const struct jobq_backend *backend, const char *uri,
                       const struct jobq_options *options);

/* What a hook is told of. Values never change; new ones are added. */
enum jobq_hook_what {
    JOBQ_HOOK_ENQUEUED = 1,
    JOBQ_HOOK_CLAIMED = 2,
    JOBQ_HOOK_STARTED = 3,   /* a worker's handler is about to be called, in its thread */
    JOBQ_HOOK_RETURNED = 4,  /* and has returned; the same thread */
    JOBQ_HOOK_COMPLETED = 5,
    JOBQ_HOOK_FAILED = 6,    /* and waits for its next attempt */
    JOBQ_HOOK_DEAD = 7,      /* for `reason` */
    JOBQ_HOOK_CANCELLED = 8,
    JOBQ_HOOK_RELEASED = 9,
    JOBQ_HOOK_SNOOZED = 10,
    JOBQ_HOOK_PARKED = 11,
    JOBQ_HOOK_READY = 12     /* made to wait again by somebody who does not hold it: redriven, resumed, unheld */
};

struct jobq_hooked {
    size_t size;
    int32_t what;    /* enum jobq_hook_what */
    int32_t reason;  /* enum jobq_reason */
    struct jobq_id id;
    int64_t at_ms;   /* the store's clock; 0 for STARTED and RETURNED */
    int64_t fence;   /* of the lease that it happened under; 0: none */
    int32_t attempt; /* 0: not known here */
    int32_t reserved;
    struct jobq_bytes queue, kind, group, trace; /* absent: none, or not known here: an ack by hand names the job only */
};

/* Is told what this handle did; `what` and its bytes are lent for the call. Runs in the thread whose call did it, or a
 * thread of the worker, one at a time, after the store has answered; must be quick, and must not use the handle. */
typedef void (*jobq_hook_fn)(const struct jobq_hooked *what, void *user);

/* For tracing: have fn told of what this handle does; NULL for nobody. What it is told may be lost: a process that is killed
 * between the store's answer and the hook tells nothing, nor a caller whose time was over, nor what other processes do. Use
 * jobq_events for what must be complete and jobq_options.alert_queue for what must not be lost.
 *   user  lent to each call.
 * Threads: one, before others use the handle. Errors: JOBQ_INVALID, JOBQ_FORKED. Since 0.1. */
JOBQ_API int jobq_hook(struct jobq *q, jobq_hook_fn fn, void *user);

/* Close; NULL is fine. No other thread may be inside a call. Workers of the handle are destroyed first by the
 * caller. Leases that are held stay until they run out. In a forked child it only frees memory. Threads: one.
 * Errors: none. Since 0.1. */
JOBQ_API void jobq_close(struct jobq *q);

/* ---- enqueue ---------------------------------------------------------------------------------------- */

enum jobq_backoff_kind {
    JOBQ_BACKOFF_EXPONENTIAL = 0, /* base, base x factor, base x factor^2 ... */
    JOBQ_BACKOFF_FIXED = 1,       /* base each time */
    JOBQ_BACKOFF_LINEAR = 2,      /* base, 2 x base, 3 x base ... */
    JOBQ_BACKOFF_LIST = 3         /* list[0], list[1] ...; the last one repeats */
};

/* How long to wait before the next attempt. Values are saturating: the delay never exceeds cap_ms. */
struct jobq_backoff {
    size_t size;
    int32_t kind;           /* enum jobq_backoff_kind */
    int32_t factor_percent; /* exponential: default 200 (doubling); 100 to 10,000 */
    int64_t base_ms;        /* default 2,000; 0 to 2^53 */
    int64_t cap_ms;         /* default 3,600,000 */
    int32_t jitter_percent; /* the delay is drawn from [delay, delay + jitter]; 0 to 100, taken as it is */
    uint32_t list_count;    /* 1 to 32 when kind is LIST */
    const int64_t *list_ms;
};

enum jobq_key_scope { JOBQ_SCOPE_QUEUE = 0, JOBQ_SCOPE_KIND = 1, JOBQ_SCOPE_GROUP = 2 }; /* kind and group may be or-ed */

/* While which states the key is held. */
enum jobq_key_hold {
    JOBQ_HOLD_LIVE = 0,       /* until the job ends */
    JOBQ_HOLD_WAITING = 1,    /* until it is claimed */
    JOBQ_HOLD_UNRESOLVED = 2, /* until it completes or is cancelled; a dead one holds */
    JOBQ_HOLD_WINDOW = 3,     /* live, and completed or dead until key_window_ms after the enqueue */
    JOBQ_HOLD_FOREVER = 4
};

enum jobq_key_conflict {
    JOBQ_CONFLICT_RETURN = 0,    /* answer JOBQ_DUPLICATE with the holder */
    JOBQ_CONFLICT_REJECT = 1,    /* answer JOBQ_HELD */
    JOBQ_CONFLICT_REPLACE = 2,   /* give the waiting holder this payload */
    JOBQ_CONFLICT_EXTEND = 3,    /* give the waiting holder this delay */
    JOBQ_CONFLICT_SUCCESSOR = 4  /* remember this one, the newest wins, and enqueue it when the holder ends and lets
                                    the key go; a holder by another rule than LIVE or UNRESOLVED is returned. No parents */
};

/* What becomes of a job when one it waits for dies or is cancelled. */
enum jobq_parent_rule { JOBQ_PARENT_FAIL = 0, JOBQ_PARENT_CANCEL = 1, JOBQ_PARENT_IGNORE = 2 };

struct jobq_parent {
    struct jobq_id id;
    int32_t rule; /* enum jobq_parent_rule */
};

struct jobq_spec {
    size_t size;
    const char *queue;           /* required */
    const char *kind;            /* selects the handler; default: the queue's name */
    const char *group;           /* tenant; NULL for none */
    struct jobq_bytes payload;   /* absent is stored as empty */
    const struct jobq_id *id;    /* NULL: minted. Give one to be able to repeat the call from another process */
    struct jobq_bytes key;       /* idempotency key, 1 to 1,024 bytes; absent for none */
    int32_t key_scope;           /* enum jobq_key_scope */
    int32_t key_hold;            /* enum jobq_key_hold */
    int32_t key_conflict;        /* enum jobq_key_conflict */
    int32_t priority;            /* smaller runs first; -32,768 to 32,767 */
    int64_t key_window_ms;       /* JOBQ_HOLD_WINDOW: 1 to 2^53 */
    int64_t delay_ms;            /* from now, 0 to 2^53; not together with run_at_ms */
    int64_t run_at_ms;           /* absolute; 0 for none */
    int64_t expires_in_ms;       /* dead as EXPIRED if not started by then; 0 for never */
    int64_t timeout_ms;          /* of one attempt; 0 for none */
    int32_t max_attempts;        /* default 3; 1 to 65,535 */
    int32_t max_crashes;         /* default 3; 1 to 65,535 */
    int32_t max_snoozes;         /* default 1,000; 1 to 65,535 */
    int32_t max_releases;        /* default 1,000; 1 to 65,535 */
    const struct jobq_backoff *backoff; /* NULL: exponential from 2,000 ms, x 2, cap 1 h, jitter 10 % */
    const struct jobq_parent *parents;  /* jobs to wait for */
    size_t parent_count;                /* at most 1,000 */
    int32_t held;                       /* not 0: blocked until jobq_unhold */
    int32_t reserved;                   /* 0 */
    const char *trace;                  /* W3C traceparent, carried along; NULL for none; at most 255 bytes */
};

struct jobq_enqueued {
    size_t size;
    int32_t status;       /* this item's own code; see jobq_enqueue */
    int32_t state;        /* enum jobq_state of the job `id` names */
    int32_t same_payload; /* ALREADY, DUPLICATE: 1 if its payload is the same, 0 if it differs */
    int32_t reserved;
    struct jobq_id id;    /* the new job, or the key's holder */
    int64_t retry_ms;     /* JOBQ_LIMITED: come back after so long, if nobody else uses the quota; else 0 */
};

/* A key made from content: SHA-256 over the parts, each with its length in front, so that {"a", "bc"} and {"ab", "c"}
 * are two. An absent part counts as an empty one.
 *   parts  lent; part_count of them, of any size in bytes.
 *   out    32 bytes for spec.key.
 * Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_key_of(const struct jobq_bytes *parts, size_t part_count, uint8_t out[32]);

/* Put a job into the store. Durable on return as doc/durability.md says for the store.
 *   spec  lent.
 *   out   may be NULL; receives whose id it is and whether it is new.
 * Threads: any. Returns JOBQ_OK; JOBQ_ALREADY (this spec->id was put before), JOBQ_DUPLICATE, JOBQ_REPLACED,
 * JOBQ_EXTENDED, JOBQ_SUCCESSOR. Errors: JOBQ_INVALID, JOBQ_HELD, JOBQ_FULL, JOBQ_LIMITED, JOBQ_NO_PARENT,
 * JOBQ_CYCLE, JOBQ_UNSUPPORTED, JOBQ_FAILED, JOBQ_UNKNOWN (out->id is set: repeat with it). Since 0.1. */
JOBQ_API int jobq_enqueue(struct jobq *q, const struct jobq_spec *spec, struct jobq_enqueued *out);

/* Put many: each exchange takes at most 1,000 items or 4 MiB and is atomic; a longer array goes in several.
 * All specs are checked before the first is sent. Parents stand before their children.
 *   specs  count structs of specs[0].size bytes each; lent, not copied.
 *   out    count structs of out[0].size bytes each, or NULL.
 * Threads: any. Returns JOBQ_OK when every item has a code >= 0, else the first negative one; later exchanges
 * are then not sent and their items say JOBQ_SKIPPED. Errors: as jobq_enqueue. Since 0.1. */
JOBQ_API int jobq_enqueue_many(struct jobq *q, const struct jobq_spec *specs, size_t count,
                               struct jobq_enqueued *out);

/* ---- jobs as they are shown --------------------------------------------------------------------------- */

struct jobq_failure_entry {
    int32_t attempt;
    int32_t kind; /* enum jobq_error_kind */
    int64_t at_ms;
    const char *worker; /* "" when none */
    struct jobq_bytes text;
};

struct jobq_log_line {
    int32_t attempt;
    int32_t reserved;
    int64_t at_ms;      /* when the store took it */
    const char *worker; /* "" when none */
    struct jobq_bytes text;
};

struct jobq_job {
    size_t size;
    struct jobq_id id;
    struct jobq_token token; /* of the present lease in an answer to a claim; zero elsewhere */
    int64_t fence;           /* of the newest claim; 0 before the first */
    const char *queue;
    const char *kind;
    const char *group;  /* "" for none */
    const char *worker; /* who holds it, or held it last; "" for nobody */
    int32_t state;      /* enum jobq_state */
    int32_t reason;     /* enum jobq_reason */
    int32_t priority;
    int32_t attempt; /* starts */
    int32_t failures, crashes, snoozes, releases, redrives;
    int32_t max_attempts, max_crashes, max_snoozes, max_releases;
    int32_t cancel_asked;    /* a soft cancel is under way */
    int32_t stuck;           /* running with the lease past */
    int32_t pending_parents; /* jobs it still waits for */
    uint32_t edits;          /* changes made without its lease token */
    int32_t sweep;           /* in an answer of a sweep: why it was overdue, enum jobq_error_kind; else 0 */
    int64_t created_at_ms, run_at_ms, started_at_ms, finished_at_ms;
    int64_t lease_until_ms, stop_at_ms, expires_at_ms, callback_until_ms;
    int64_t timeout_ms;
    struct jobq_bytes payload, key, result, progress;
    struct jobq_bytes data; /* what the callback brought */
    const char *trace;      /* "" for none */
    const struct jobq_failure_entry *failures_log; /* the last 10, newest last */
    size_t failures_log_count;
    const struct jobq_log_line *log; /* in an answer of jobq_get: the last 100 lines, newest last */
    size_t log_count;
};

/* Some jobs. Owned by the caller: jobq_jobs_free. */
struct jobq_jobs {
    size_t size;
    size_t count;
    const struct jobq_job *jobs;
    int64_t now_ms; /* the store's clock at the answer */
};

/* Free; NULL is fine. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_jobs_free(struct jobq_jobs *jobs);

#define JOBQ_FINGERPRINT_BYTES 201

/* What went wrong last, whatever it was about: the first line of the newest error, at most 200 bytes and a NUL, with '#' for every
 * number, also for one in hexadecimal, and '?' for a NUL. Jobs that failed alike have the same. "" without an error.
 * Threads: any.
 * Errors: none. Since 0.1. */
JOBQ_API void jobq_error_fingerprint(const struct jobq_job *job, char out[JOBQ_FINGERPRINT_BYTES]);

/* ---- claim and outcomes ------------------------------------------------------------------------------- */

enum jobq_claim_flags {
    JOBQ_ACK_EARLY = 1, /* complete each job before it is handed over: at most once, and lost if you die */
    JOBQ_NO_SWEEP = 2   /* do not look for lost leases first */
};

struct jobq_claim_options {
    size_t size;
    const char *const *queues; /* in strict order */
    size_t queue_count;        /* 1 to 64 */
    const char *const *kinds;  /* NULL: any */
    size_t kind_count;         /* 0 to 256 */
    size_t limit;              /* default 1, at most 1,000 */
    size_t bytes;              /* of payload, default 4 MiB; at least one job is given */
    int64_t lease_ms;          /* default 30,000; 100 to 86,400,000 */
    const char *worker;        /* who claims, for people; NULL: "host:pid" */
    uint32_t flags;            /* enum jobq_claim_flags */
    uint32_t reserved;         /* 0 */
};

/* Take up to `limit` ready jobs under one fresh token. Finding none is JOBQ_OK with count 0. Sweeps lost leases
 * first when this handle has not done so for a third of a lease.
 *   out  owned by the caller: jobq_jobs_free.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_FAILED, JOBQ_UNKNOWN (what it may hold is released by the next call).
 * Since 0.1. */
JOBQ_API int jobq_claim(struct jobq *q, const struct jobq_claim_options *options, struct jobq_jobs **out);

/* Complete a claimed job. A late ack that nobody overtook is accepted.
 *   result  NULL for none; lent; kept with the job.
 * Threads: any. Returns JOBQ_OK or JOBQ_ALREADY. Errors: JOBQ_STALE, JOBQ_NOT_FOUND, JOBQ_INVALID (result),
 * JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_ack(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, const void *result,
                      size_t result_bytes);

/* Complete a job and put others in the same exchange: all of it happens or none.
 *   specs, out  as for jobq_enqueue_many, at most 999 items.
 * Threads: any. Returns and errors: as jobq_ack for the job; the puts answer in out. Since 0.1. */
JOBQ_API int jobq_ack_then(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token,
                           const void *result, size_t result_bytes, const struct jobq_spec *specs, size_t count,
                           struct jobq_enqueued *out);

struct jobq_failure {
    size_t size;
    struct jobq_bytes text; /* what went wrong; the first 8 KiB are kept */
    int32_t permanent;      /* not 0: dead at once, reason PERMANENT */
    int32_t has_retry_in;   /* not 0: retry_in_ms decides instead of the back-off */
    int64_t retry_in_ms;    /* 0 to 2^53 */
};

/* Fail a claimed job: it waits for its back-off or becomes dead, as lifecycle.md says.
 *   failure  lent; NULL for no text.
 * Threads: any. Returns JOBQ_OK or JOBQ_ALREADY. Errors: as jobq_ack. Since 0.1. */
JOBQ_API int jobq_fail(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token,
                       const struct jobq_failure *failure);

struct jobq_extended {
    size_t size;
    int64_t lease_until_ms;
    int32_t cancel_asked; /* the operator asked to stop */
    int32_t timed_out;    /* the job's timeout has passed; the lease was not extended */
};

/* Keep a claimed job for lease_ms from now (never past its timeout).
 *   out  may be NULL.
 * Threads: any. Errors: JOBQ_STALE, JOBQ_NOT_FOUND, JOBQ_INVALID, JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_extend(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, int64_t lease_ms,
                         struct jobq_extended *out);

/* Give a claimed job back at no cost; it keeps its place. Threads: any. Returns JOBQ_OK or JOBQ_ALREADY.
 * Errors: as jobq_ack. Since 0.1. */
JOBQ_API int jobq_release(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token);

/* Give a claimed job back for delay_ms (0 to 2^53), free of charge. Threads: any. Returns JOBQ_OK or
 * JOBQ_ALREADY. Errors: as jobq_ack. Since 0.1. */
JOBQ_API int jobq_snooze(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, int64_t delay_ms);

/* Store how far a claimed job is: at most 4,096 bytes, shown to whoever asks.
 * Threads: any. Errors: as jobq_ack. Since 0.1. */
JOBQ_API int jobq_progress(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token,
                           const void *progress, size_t progress_bytes);

/* Add a line to the log of a claimed job, for whoever reads it with jobq_get: the last 100 lines of a job are kept, over all
 * its attempts, as long as the job. A call of unknown outcome that is repeated may be there twice.
 *   text  lent; the first 2,048 bytes are kept.
 * Threads: any. Errors: as jobq_ack; JOBQ_UNSUPPORTED (the store keeps no log). Since 0.1. */
JOBQ_API int jobq_log(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, const void *text,
                      size_t text_bytes);

/* Mint the single-use token by which an outside service resumes this claimed job, and store its digest. Call it
 * before the token is given away; jobq_park follows. A further call replaces the token.
 * Threads: any. Errors: as jobq_ack. Since 0.1. */
JOBQ_API int jobq_callback_new(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token,
                               struct jobq_callback *out);

/* Let a claimed job rest until its callback token comes back, at most deadline_ms (1 to 2^53); later it is a
 * failure like any other. If the callback came first the job is ready at once.
 * Threads: any. Returns JOBQ_OK or JOBQ_ALREADY. Errors: as jobq_ack, JOBQ_STATE (no callback token). Since 0.1. */
JOBQ_API int jobq_park(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, int64_t deadline_ms);

/* Bring a callback token back: the parked job becomes ready and finds `data` in jobq_job.data.
 *   data  NULL for none; lent; at most payload_max_bytes.
 * Threads: any. Returns JOBQ_OK or JOBQ_ALREADY (a second callback, no effect). Errors: JOBQ_STALE (forged, replaced
 * or too late), JOBQ_NOT_FOUND, JOBQ_INVALID, JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_unpark(struct jobq *q, const struct jobq_callback *callback, const void *data, size_t data_bytes);

/* ---- operator's verbs ------------------------------------------------------------------------------- */

enum jobq_cancel_flags { JOBQ_CANCEL_HARD = 1 };

/* Stop a job. One that does not run becomes cancelled. A running one is told (soft; a success still counts, any
 * other outcome becomes cancelled) or has its token voided at once (hard).
 * Threads: any. Returns JOBQ_OK or JOBQ_ALREADY. Errors: JOBQ_NOT_FOUND, JOBQ_STATE (it has ended), JOBQ_FAILED,
 * JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_cancel(struct jobq *q, const struct jobq_id *id, uint32_t flags);

/* Run a dead or cancelled job again: failures, crashes and voluntary returns start anew, the history stays.
 * Threads: any. Errors: JOBQ_NOT_FOUND, JOBQ_STATE, JOBQ_HELD (its key has another holder), JOBQ_FAILED,
 * JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_redrive(struct jobq *q, const struct jobq_id *id);

/* Lift the hold of a job put with spec.held. Threads: any. Returns JOBQ_OK or JOBQ_ALREADY (not held). Errors:
 * JOBQ_NOT_FOUND, JOBQ_STATE, JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_unhold(struct jobq *q, const struct jobq_id *id);

/* Remove a job that is not running. Threads: any. Errors: JOBQ_NOT_FOUND, JOBQ_STATE, JOBQ_FAILED, JOBQ_UNKNOWN.
 * Since 0.1. */
JOBQ_API int jobq_drop(struct jobq *q, const struct jobq_id *id);

struct jobq_filter {
    size_t size;
    const char *queue;           /* NULL: all */
    const char *kind;            /* NULL: all */
    const char *group;           /* NULL: all */
    uint32_t states;             /* bits 1 << enum jobq_state; 0: all */
    int32_t reason;              /* enum jobq_reason; 0: all */
    int64_t older_ms;            /* created (ended jobs: ended) at least this long ago; 0: all */
    const struct jobq_id *after; /* ids greater than this one; NULL: from the first */
    size_t limit;                /* default 100, at most 1,000 */
    size_t bytes;                /* of payload and result, default 4 MiB */
};

/* Read one job with its error history and its log.
 *   out  one job, owned by the caller: jobq_jobs_free.
 * Threads: any. Errors: JOBQ_NOT_FOUND, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_get(struct jobq *q, const struct jobq_id *id, struct jobq_jobs **out);

/* Read jobs by id, ascending. A page may be shorter than its limit; only an empty one is the end.
 *   filter  NULL for all.
 *   out     owned by the caller: jobq_jobs_free.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_list(struct jobq *q, const struct jobq_filter *filter, struct jobq_jobs **out);

struct jobq_bulk {
    size_t size;
    uint64_t matched; /* jobs that the filter named */
    uint64_t done;    /* jobs that were changed; 0 in a dry run */
    struct jobq_id last; /* the last job looked at: as filter.after it goes on behind it; zero: none */
};

/* Remove every job that the filter names and that does not run, in bounded steps; `limit` of the filter is
 * ignored.
 *   dry_run  not 0: count only.
 *   out      may be NULL.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_FAILED, JOBQ_UNKNOWN; out tells how far it came. Since 0.1. */
JOBQ_API int jobq_purge(struct jobq *q, const struct jobq_filter *filter, int dry_run, struct jobq_bulk *out);

/* Redrive every dead job that the filter names, in bounded steps. Arguments, threads and errors as jobq_purge;
 * a job whose key is held is left and not counted as done. Since 0.1. */
JOBQ_API int jobq_redrive_all(struct jobq *q, const struct jobq_filter *filter, int dry_run, struct jobq_bulk *out);

struct jobq_bulk_options {
    size_t size;
    int32_t dry_run;        /* not 0: count only */
    uint32_t flags;         /* jobq_bulk_cancel: enum jobq_cancel_flags; else 0 */
    uint64_t max;           /* stop after so many jobs that the filter named; 0: no bound */
    int64_t rate;           /* jobq_bulk_redrive: of those redriven at most so many become ready ... 1 to 1,000,000; 0: all now */
    int64_t rate_period_ms; /* ... in any time of this length; 1 to 31,622,400,000; with rate only */
};

/* Cancel every job that the filter names and that has not ended, in steps of a bounded number; `limit` of the filter is
 * ignored. One that moves on meanwhile is cancelled where it has come to.
 *   filter   lent; NULL for all.
 *   options  lent; NULL for the defaults.
 *   out      may be NULL.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_FAILED, JOBQ_UNKNOWN; out tells how far it came. Since 0.1. */
JOBQ_API int jobq_bulk_cancel(struct jobq *q, const struct jobq_filter *filter,
                              const struct jobq_bulk_options *options, struct jobq_bulk *out);

/* Redrive every dead job that the filter names, as jobq_redrive_all, and at a rate: each is put off by its place in the
 * line, so nothing sleeps here and the rate holds whatever becomes of this process. The first runs now.
 * Arguments, threads and errors as jobq_bulk_cancel. Since 0.1. */
JOBQ_API int jobq_bulk_redrive(struct jobq *q, const struct jobq_filter *filter,
                               const struct jobq_bulk_options *options, struct jobq_bulk *out);

/* Remove every job that the filter names and that does not run, as jobq_purge. Arguments, threads and errors as
 * jobq_bulk_cancel. Since 0.1. */
JOBQ_API int jobq_bulk_drop(struct jobq *q, const struct jobq_filter *filter, const struct jobq_bulk_options *options,
                            struct jobq_bulk *out);

/* Remove the results of completed jobs that the filter names and keep the jobs. What jobq_keep.results_ms does by itself,
 * once and by hand. Jobs without a result are not counted as done. Arguments, threads and errors as jobq_bulk_cancel.
 * Since 0.1. */
JOBQ_API int jobq_bulk_forget(struct jobq *q, const struct jobq_filter *filter,
                              const struct jobq_bulk_options *options, struct jobq_bulk *out);

/* Wait until a job has ended.
 *   timeout_ms  at most this long; 0: look once; negative: no limit.
 *   out         the job as last seen, owned by the caller; may be NULL.
 * Threads: any. Errors: JOBQ_TIMEOUT (out is set), JOBQ_NOT_FOUND, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_wait(struct jobq *q, const struct jobq_id *id, int64_t timeout_ms, struct jobq_jobs **out);

/* Stop claims from a queue; running jobs go on, enqueue stays possible. Threads: any. Errors: JOBQ_INVALID,
 * JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_pause(struct jobq *q, const char *queue);

/* Allow claims again. Threads: any. Errors: as jobq_pause. Since 0.1. */
JOBQ_API int jobq_resume(struct jobq *q, const char *queue);

/* Set how long jobs of a queue that have ended stay, for everybody who uses the store. It holds from the next exchange on
 * that ends jobs of this queue.
 *   keep  lent; NULL or a 0 in it: what this handle's default is now.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED (results_ms, and the store knows one life only), JOBQ_FAILED,
 * JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_keep_set(struct jobq *q, const char *queue, const struct jobq_keep *keep);

/* Read what holds for a queue. Looks through the settings of all queues.
 *   out  filled on JOBQ_OK only; no 0 in it but for `own`.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED (a store without copies), JOBQ_NOMEM, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_keep_get(struct jobq *q, const char *queue, struct jobq_keep *out);

/* Ask a worker that has registered under this name, in whatever process, to end as after jobq_worker_stop. It hears of it
 * in the exchange of its next heartbeat or sweep, at the latest after a third of its lease or ten seconds. Workers of the
 * same name are all asked. Threads: any. Errors: JOBQ_INVALID, JOBQ_NOT_FOUND (no such worker is registered),
 * JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_ask_stop(struct jobq *q, const char *worker);

/* Judge at most `max` overdue jobs (lost leases, timeouts, callback deadlines, expiries, open dependencies)
 * now, and put the jobs of schedules that are due. Workers and jobq_claim do this by themselves.
 *   max   1 to 1,000.
 *   out_count  how many were judged; may be NULL.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_sweep(struct jobq *q, size_t max, size_t *out_count);

/* Tell other processes that something may be due: for writers the store cannot notice by itself (a transaction of
 * the caller's own). Never fails; at worst they find out by their next deadline. Threads: any. Errors: none.
 * Since 0.1. */
JOBQ_API void jobq_wake(struct jobq *q);

/* For tests: move the store's clock forward by ms (0 to 2^40), for everybody who uses the store, durably.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_clock_advance(struct jobq *q, int64_t ms);

/* ---- copies from store to store ------------------------------------------------------------------------- */

/* Takes a part of a copy, which is text in lines. Returns 0; anything else ends the export. */
typedef int (*jobq_write)(void *user, const void *data, size_t bytes);

/* Gives more of a copy: at most `room` bytes into buffer. Returns how many; 0 at its end; -1 when it cannot be read. */
typedef int64_t (*jobq_read)(void *user, void *buffer, size_t room);

struct jobq_copied {
    size_t size;
    uint64_t settings, schedules, jobs, keys; /* that the copy has; import: as far as it came */
    uint64_t already; /* import: of these, what was there before and was left as it is */
};

/* Write everything that the namespace holds: jobs in every state with history, result, token and lease, dependencies,
 * keys, callback digests, settings, totals, schedules. Each job is taken as it is at one moment, the whole is not: for a
 * true copy stop what enqueues and what works. Memory does not grow with the copy, but on Redis: 24 bytes a job.
 *   write, user  called in the calling thread, lines in order; must not use the handle.
 *   out          may be NULL.
 * Threads: any. Errors: JOBQ_FAILED (also: write said so), JOBQ_UNSUPPORTED (the store), JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_export(struct jobq *q, jobq_write write, void *user, struct jobq_copied *out);

/* Take such a copy over, ids and all. What is there already (the id, the key, the queue) is left as it is, so a copy
 * that was cut short is taken again from its beginning and comes to the same end. Jobs that were running are so here,
 * under their token, until the lease is past. Bounded memory.
 *   read, user  called in the calling thread; must not use the handle.
 *   out         may be NULL; tells how far it came.
 * Threads: any. Errors: JOBQ_INVALID (the line and the field; what stood before it was taken), JOBQ_UNSUPPORTED (the
 * store lacks something that the copy needs), JOBQ_FAILED, JOBQ_UNKNOWN, JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_import(struct jobq *q, jobq_read read, void *user, struct jobq_copied *out);

/* ---- schedules ------------------------------------------------------------------------------------------ */

/* What becomes of nominal times that nobody fired in time, because no process used the store then. */
enum jobq_missed {
    JOBQ_MISSED_ONE = 0,  /* one job for all of them, with the newest of them; none if one came in time meanwhile */
    JOBQ_MISSED_SKIP = 1, /* none */
    JOBQ_MISSED_ALL = 2   /* a job for each of the newest 100 */
};

/* What becomes of a local time that the clock jumps over, in spring. */
enum jobq_gap {
    JOBQ_GAP_DEFAULT = 0, /* RUN; SKIP when the minute or the hour of the expression begins with '*' */
    JOBQ_GAP_RUN = 1,     /* it runs at the first instant behind the gap */
    JOBQ_GAP_SKIP = 2     /* it does not run */
};

/* What becomes of a local time that the clock shows twice, in autumn. */
enum jobq_fold {
    JOBQ_FOLD_DEFAULT = 0, /* FIRST; BOTH when the minute or the hour of the expression begins with '*' */
    JOBQ_FOLD_FIRST = 1,   /* it runs the first time */
    JOBQ_FOLD_BOTH = 2     /* it runs both times */
};

/* When, and which job. doc/schedules.md says what an expression may hold. */
struct jobq_schedule {
    size_t size;
    const char *name;   /* 1 to 255 bytes */
    const char *cron;   /* 5 or 6 fields, @daily and the like, or "@every 90s"; NULL with every_ms */
    const char *zone;   /* of the time zone database, such as "Europe/Berlin"; NULL: UTC. Not with an interval */
    int64_t every_ms;   /* an interval, 1,000 to 2^53; 0 with cron */
    int64_t anchor_ms;  /* interval: an instant that it is counted from; 0: the one when it was added */
    int32_t missed;     /* enum jobq_missed */
    int32_t gap;        /* enum jobq_gap */
    int32_t fold;       /* enum jobq_fold */
    int32_t reserved;   /* 0 */
    int64_t late_ms;    /* a nominal time is missed when so much has passed since; default 60,000; 1 to 2^53 */
    const struct jobq_spec *spec; /* the job. Without id, delay_ms, run_at_ms and parents. run_at_ms becomes the nominal
                                     time; a key lets a run that still goes on leave the next one out */
};

/* Store a schedule, so that every process that claims, works or sweeps fires it, whatever queues it serves: each nominal
 * time once. The same definition again changes nothing; another one under the same name takes its place and keeps it
 * paused if it was, and if its times differ it begins now.
 *   schedule  lent.
 * Threads: any. Returns JOBQ_OK or JOBQ_ALREADY. Errors: JOBQ_INVALID (field "cron" also for an expression that never
 * comes), JOBQ_UNSUPPORTED (no schedules in this store; field "zone": no time zone database), JOBQ_NOMEM, JOBQ_FAILED,
 * JOBQ_UNKNOWN (repeat the call). Since 0.1. */
JOBQ_API int jobq_schedule_add(struct jobq *q, const struct jobq_schedule *schedule);

/* As jobq_schedule_add, for one that is there. Threads: any. Errors: as jobq_schedule_add; JOBQ_NOT_FOUND. Since 0.1. */
JOBQ_API int jobq_schedule_edit(struct jobq *q, const struct jobq_schedule *schedule);

/* Remove a schedule; its jobs stay. Threads: any. Errors: JOBQ_INVALID, JOBQ_NOT_FOUND, JOBQ_UNSUPPORTED, JOBQ_FAILED,
 * JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_schedule_remove(struct jobq *q, const char *name);

/* Let it rest. Nominal times that pass meanwhile are not missed. Threads: any. Returns JOBQ_OK or JOBQ_ALREADY. Errors:
 * as jobq_schedule_remove. Since 0.1. */
JOBQ_API int jobq_schedule_pause(struct jobq *q, const char *name);

/* Go on, from now. Threads: any. Returns JOBQ_OK or JOBQ_ALREADY. Errors: as jobq_schedule_remove. Since 0.1. */
JOBQ_API int jobq_schedule_resume(struct jobq *q, const char *name);

/* Put its job now, besides and whatever its times are, also when it is paused.
 *   out  as in jobq_enqueue.
 * Threads: any. Returns and errors: as jobq_enqueue; JOBQ_NOT_FOUND. Since 0.1. */
JOBQ_API int jobq_schedule_run(struct jobq *q, const char *name, struct jobq_enqueued *out);

struct jobq_schedule_info {
    size_t size;
    const char *name;
    const struct jobq_schedule *schedule; /* NULL: this libjobq cannot read it, and does not fire it */
    int64_t version;                      /* 1, raised by each new definition */
    int64_t fired_at_ms;                  /* every nominal time up to here is dealt with */
    int64_t next_at_ms;                   /* the next nominal time, past when it was not fired yet; 0: unknown */
    int32_t paused;
    int32_t reserved;
};

struct jobq_schedules {
    size_t size;
    size_t count;
    const struct jobq_schedule_info *schedules; /* count structs of schedules[0].size bytes each */
    int64_t now_ms; /* the clock that schedules go by */
};

/* Read one schedule.
 *   out  owned by the caller: jobq_schedules_free.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_NOT_FOUND, JOBQ_UNSUPPORTED, JOBQ_NOMEM, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_schedule_get(struct jobq *q, const char *name, struct jobq_schedules **out);

/* Read schedules by name, ascending. A page may be shorter than its limit; only an empty one is the end.
 *   after  names greater than this one; NULL: from the first.
 *   limit  default 100, at most 1,000.
 *   out    owned by the caller: jobq_schedules_free.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED, JOBQ_NOMEM, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_schedule_list(struct jobq *q, const char *after, size_t limit, struct jobq_schedules **out);

/* Free; NULL is fine. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_schedules_free(struct jobq_schedules *schedules);

/* The next nominal times of a stored schedule, as if it were not paused.
 *   after_ms   later than this; 0: than now.
 *   out_ms     room for `count` instants, 1 to 1,000.
 *   out_count  how many there are; fewer than `count` only when there are no more.
 * Threads: any. Errors: as jobq_schedule_get; JOBQ_UNSUPPORTED (its definition cannot be read here). Since 0.1. */
JOBQ_API int jobq_schedule_next(struct jobq *q, const char *name, int64_t after_ms, int64_t *out_ms, size_t count,
                                size_t *out_count);

/* The same for a definition that is in no store; name and spec may be missing. Does not block but to read the zone.
 *   after_ms  also the anchor of an interval that names none.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED (field "zone"), JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_schedule_preview(const struct jobq_schedule *schedule, int64_t after_ms, int64_t *out_ms,
                                   size_t count, size_t *out_count);

/* ---- limits -------------------------------------------------------------------------------------------- */

enum jobq_limit_of {
    JOBQ_LIMIT_QUEUE = 1,
    JOBQ_LIMIT_GROUP = 2, /* a tenant; name "" stands for every group that has no value of its own */
    JOBQ_LIMIT_PLAN = 3   /* values that groups take over by naming the plan */
};

enum jobq_limit_set {
    JOBQ_LIMIT_DEPTH = 1,             /* QUEUE: jobs that wait or are blocked; more are refused with JOBQ_FULL */
    JOBQ_LIMIT_CONCURRENCY = 2,       /* jobs of the queue, or of the group in all queues, that run at a time */
    JOBQ_LIMIT_GROUP_CONCURRENCY = 4, /* QUEUE: jobs of one group that run in it at a time */
    JOBQ_LIMIT_RATE = 8,              /* starts in a period: of the queue, or of the group in all queues */
    JOBQ_LIMIT_QUOTA = 16,            /* GROUP, PLAN: accepted enqueues in a period; more are JOBQ_LIMITED */
    JOBQ_LIMIT_PLAN_NAME = 32         /* GROUP: the plan */
};

#define JOBQ_LIMIT_NONE (-1)  /* no limit, although the plan or every group may have one */
#define JOBQ_LIMIT_UNSET (-2) /* no value of its own: what the plan says, else what every group has, else no limit */

struct jobq_limit {
    size_t size;
    int32_t of;       /* enum jobq_limit_of */
    uint32_t set;     /* enum jobq_limit_set. Setting: what to change; in an answer: what has a value */
    const char *name; /* queue, group, plan */
    const char *plan; /* GROUP; "" or NULL for none. One that nobody stored counts as none */
    int64_t depth, concurrency, group_concurrency; /* 0 to 2^53, JOBQ_LIMIT_NONE or JOBQ_LIMIT_UNSET */
    int64_t rate, rate_period_ms;                  /* as above; the period 100 ms to 366 days */
    int64_t quota, quota_period_ms;
    /* answer: in use */
    int64_t running;       /* jobs of the queue or group that run */
    int64_t rate_used;     /* starts that count now */
    int64_t rate_wait_ms;  /* until the rate allows a start; 0: now */
    int64_t quota_used;
    int64_t quota_wait_ms;
};

struct jobq_limits {
    size_t size;
    size_t count;
    const struct jobq_limit *limits;
    int64_t now_ms; /* the store's clock at the answer */
};

/* Set limits of a queue, a group, every group or a plan; in force for the next claim and enqueue of everybody. They hold
 * inside the claim itself and are never exceeded by one. Jobs that run are left alone. A rate of n per period means that
 * no interval of that length holds more than n starts; the next may come up to a tenth of it late.
 *   limit  of, name, set, and the values named in `set`; the rest is left as it is.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED, JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_limit_set(struct jobq *q, const struct jobq_limit *limit);

/* Read limits and what is in use of them.
 *   of     enum jobq_limit_of.
 *   name   one of them, set or not ("" with GROUP: what every group has); NULL: all that have a value, in order of
 *          bytes, at most 1,000.
 *   after  with name NULL: names greater than this one; NULL: from the first.
 *   out    owned by the caller: jobq_limits_free.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_limits(struct jobq *q, int of, const char *name, const char *after, struct jobq_limits **out);

/* Free; NULL is fine. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_limits_free(struct jobq_limits *limits);

/* ---- statistics --------------------------------------------------------------------------------------- */

/* Durations, counted in buckets: bucket i holds those shorter than jobq_duration_bound(i) and not shorter than the
 * bound before. Two buckets to an octave, so a quantile is right within a fifth. */
#define JOBQ_DURATION_BUCKETS 64
struct jobq_durations {
    uint64_t count;
    int64_t total_ms;
    uint64_t buckets[JOBQ_DURATION_BUCKETS];
};

/* Attempts that ended within the last window_ms. */
struct jobq_recent {
    int64_t window_ms; /* how long the window is: whole slots of ten seconds and the present one */
    uint64_t completed, failed;
};

struct jobq_queue_stats {
    const char *queue;
    uint64_t present[JOBQ_STATE_COUNT]; /* rows by enum jobq_state */
    uint64_t stuck;                     /* part of running */
    uint64_t enqueued_total, completed_total, dead_total, cancelled_total, failed_total; /* since creation */
    int64_t oldest_ready_at_ms; /* run_at of the oldest ready job; 0: none */
    int32_t at_least;           /* ready and scheduled are split by a bounded count and ready is a lower bound */
    int32_t paused;
    /* since creation, where the store keeps figures; else zero */
    struct jobq_durations waited; /* from when a job could have started until it was claimed */
    struct jobq_durations ran;    /* from the claim until it completed or failed */
    struct jobq_recent last_minute, last_quarter; /* of an hour */
    int64_t last_finished_at_ms; /* when an attempt last completed or failed; 0: never */
    uint64_t completed_trimmed, dead_trimmed, cancelled_trimmed; /* jobs that retention removed, since creation */
};

struct jobq_worker_stats {
    const char *name, *host;
    int64_t pid;
    int64_t started_at_ms, seen_at_ms, lease_ms;
    const char *queues; /* separated by ',' */
    const char *kinds;  /* separated by ','; "" for any */
    int32_t capacity, running;
    int32_t stop_asked;
    int32_t reserved;
};

/* A kind that has ready jobs. */
struct jobq_kind_stats {
    const char *queue, *kind;
    uint64_t ready; /* at most 10,000 are counted */
};

/* Another namespace of the same database. */
struct jobq_namespace_stats {
    const char *name;
    uint64_t workers; /* seen within 10 of their leases */
};

struct jobq_stats {
    size_t size;
    const char *engine;        /* "sqlite 3.40.1" */
    const char *address;       /* without secret */
    const char *name_space;    /* the namespace */
    const char *durability;    /* one sentence */
    uint8_t store_id[16];      /* random, made with the store */
    int32_t schema_version;    /* of the store */
    int32_t schema_known;      /* newest that this library writes */
    int64_t now_ms;            /* the store's clock */
    int64_t log_bytes;         /* size of the write-ahead log; -1 where there is none */
    const struct jobq_queue_stats *queues;
    size_t queue_count;
    const struct jobq_worker_stats *workers;
    size_t worker_count;
    const struct jobq_kind_stats *kinds;
    size_t kind_count;
    const struct jobq_namespace_stats *namespaces; /* others only */
    size_t namespace_count;
};

/* Read the statistics of one queue, or of all (queue NULL).
 *   out  owned by the caller: jobq_stats_free.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_stats(struct jobq *q, const char *queue, struct jobq_stats **out);

/* What the queues in `stats` come to together: counts, totals, durations and recent ends are added; the oldest ready job and the
 * last end of all; `queue` NULL and `paused` 0. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_stats_total(const struct jobq_stats *stats, struct jobq_queue_stats *out);

/* The duration below which `permille` of 1,000 lie, in ms, from the counts; 0 when there are none. Threads: any. Errors:
 * none. Since 0.1. */
JOBQ_API int64_t jobq_durations_quantile(const struct jobq_durations *durations, int permille);

/* What every duration in bucket 0 to JOBQ_DURATION_BUCKETS - 1 is less than, in ms; INT64_MAX for the last one. Threads:
 * any. Errors: none. Since 0.1. */
JOBQ_API int64_t jobq_duration_bound(int bucket);

/* Free; NULL is fine. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_stats_free(struct jobq_stats *stats);

/* ---- explain --------------------------------------------------------------------------------------------- */

/* Why a job is where it is: the first thing that stands between it and its start. */
enum jobq_why {
    JOBQ_WHY_NEXT = 1,        /* nothing is in its way: the next claim takes it */
    JOBQ_WHY_RUNNING = 2,     /* `who` runs it; its lease ends at until_ms */
    JOBQ_WHY_STUCK = 3,       /* the lease of `who` ended at until_ms; the next sweep takes it back */
    JOBQ_WHY_COMPLETED = 4,
    JOBQ_WHY_DEAD = 5,
    JOBQ_WHY_CANCELLED = 6,
    JOBQ_WHY_EXPIRED = 7,     /* its expires_at has passed; the next sweep ends it */
    JOBQ_WHY_HELD = 8,        /* until jobq_unhold */
    JOBQ_WHY_DEPENDENCY = 9,  /* it waits for `count` jobs; `job` is one of them */
    JOBQ_WHY_PARKED = 10,     /* until its callback comes, at the latest until_ms */
    JOBQ_WHY_NOT_DUE = 11,    /* until until_ms */
    JOBQ_WHY_PAUSED = 12,     /* the queue `who` is paused */
    JOBQ_WHY_NO_WORKER = 13,  /* no worker seen within three of its leases has the queue `who`; programs that claim by
                                 hand are not seen */
    JOBQ_WHY_KIND = 14,       /* `count` workers have the queue, and none takes the kind `who` */
    JOBQ_WHY_ALONE = 15,      /* it may only run alone, and waits for a worker that holds nothing */
    JOBQ_WHY_BEHIND = 16,     /* `count` ready jobs of its queue and group go first */
    JOBQ_WHY_LIMIT_QUEUE = 17,       /* the queue `who` runs `count` jobs, as many as it may */
    JOBQ_WHY_LIMIT_GROUP = 18,       /* the group `who` runs `count` jobs in all queues, as many as it may */
    JOBQ_WHY_LIMIT_QUEUE_GROUP = 19, /* the group `who` runs `count` jobs in this queue, as many as it may there */
    JOBQ_WHY_RATE_QUEUE = 20,        /* the queue `who` has used up its starts; until until_ms if nobody else uses them */
    JOBQ_WHY_RATE_GROUP = 21         /* the same of the group `who` */
};

struct jobq_explanation {
    size_t size;
    int32_t why;        /* enum jobq_why */
    int32_t at_least;   /* not 0: there may be more than `count` */
    uint64_t count;     /* see enum jobq_why; else 0 */
    int64_t until_ms;   /* when it changes by itself; 0: not by time alone */
    struct jobq_id job; /* see enum jobq_why; else zero */
    char who[256];      /* see enum jobq_why; else "" */
    char text[800];     /* the same for people */
};

/* Say why a job is not running: one reason, and the fact behind it. Costs a few reads of the store, more when many
 * jobs are ready; nothing is changed.
 *   out  filled on JOBQ_OK only.
 * Threads: any. Errors: JOBQ_NOT_FOUND, JOBQ_INVALID, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_explain(struct jobq *q, const struct jobq_id *id, struct jobq_explanation *out);

/* "not_due" for JOBQ_WHY_NOT_DUE and so on, as in JSON. Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_why_name(int why);

/* ---- events ---------------------------------------------------------------------------------------------- */

/* A job came to another state. */
struct jobq_event {
    int64_t cursor; /* 1, 2, 3 ... without a gap */
    int64_t at_ms;
    struct jobq_id id;
    const char *queue, *kind;
    const char *worker; /* running: who claimed it; else "" */
    int32_t state;      /* enum jobq_state; 0: it was removed */
    int32_t reason;     /* enum jobq_reason */
    int32_t attempt;
    int32_t reserved;
};

/* Owned by the caller: jobq_events_free. */
struct jobq_events {
    size_t size;
    size_t count;
    const struct jobq_event *events; /* by cursor */
    uint64_t lost;  /* how many between `after` and the first are no longer kept */
    int64_t next;   /* what to pass as `after` to go on */
    int64_t newest; /* the newest cursor of the store */
};

/* Keep the newest `count` events (0 to 100,000,000), for everybody who uses the store; 0, the default, keeps none. They
 * cost a write for every change of state.
 *   count  how many, a number of events.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED, JOBQ_FAILED, JOBQ_UNKNOWN. Since 0.1. */
JOBQ_API int jobq_events_keep(struct jobq *q, int64_t count);

/* Read what happened after a cursor, in order. Nothing is left out: what is no longer kept is counted in `lost`. What
 * retention removes has state 0 and JOBQ_REASON_RETENTION; what somebody dropped, the reason that it had.
 *   after  a cursor, a number without a unit; 0: from the oldest that is kept.
 *   limit  default 1,000, at most 10,000.
 *   out    owned by the caller: jobq_events_free. NULL on failure.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED, JOBQ_NOMEM, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_events(struct jobq *q, int64_t after, size_t limit, struct jobq_events **out);

/* Free; NULL is fine. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_events_free(struct jobq_events *events);

/* ---- health ---------------------------------------------------------------------------------------------- */

enum jobq_severity { JOBQ_SEVERITY_NONE = 0, JOBQ_SEVERITY_WARNING = 1, JOBQ_SEVERITY_CRITICAL = 2 };

/* What is out of the ordinary. */
enum jobq_finding_what {
    JOBQ_FINDING_ERRORS = 1,      /* `value` percent of the jobs that are kept are dead */
    JOBQ_FINDING_PENDING = 2,     /* `value` jobs wait */
    JOBQ_FINDING_STUCK = 3,       /* `value` running jobs whose lease has run out */
    JOBQ_FINDING_SLOW = 4,        /* attempts take `value` ms on average */
    JOBQ_FINDING_NO_WORKER = 5,   /* `value` jobs are ready and nobody was seen for three of his leases */
    JOBQ_FINDING_PAUSED = 6,      /* `value` jobs are ready and the queue is paused */
    JOBQ_FINDING_LONG = 7,        /* `value` jobs have been running for longer than `limit` ms */
    JOBQ_FINDING_LAST_ATTEMPT = 8, /* `value` jobs are on their last attempt */
    JOBQ_FINDING_RETENTION = 9     /* `value` dead jobs of `limit` that are kept: soon the oldest are removed */
};

/* From where on something is a finding. 0 in any member: the default. */
struct jobq_thresholds {
    size_t size;
    int32_t error_percent;   /* dead of all that is kept; more than this; default 5 */
    int32_t reserved;        /* 0 */
    uint64_t pending_max;    /* default 1,000 */
    uint64_t stuck_max;      /* a warning above; default 10 */
    uint64_t stuck_critical; /* critical above; default 5 */
    int64_t average_ms;      /* default 10,000 */
    int64_t running_ms;      /* default 600,000 */
    int32_t retention_percent; /* dead of those that retention keeps; from this on; default 80 */
    int32_t reserved_too;      /* 0 */
};

struct jobq_finding {
    int32_t what;     /* enum jobq_finding_what */
    int32_t severity; /* enum jobq_severity */
    const char *queue;
    uint64_t value, limit;
    const char *issue, *recommendation; /* for people */
};

/* Owned by the caller: jobq_health_free. */
struct jobq_health {
    size_t size;
    int32_t status; /* the worst severity of the findings */
    int32_t reserved;
    const struct jobq_finding *findings; /* by queue */
    size_t finding_count;
    /* of the queues asked for: rows present */
    uint64_t total, pending, processing, completed, failed, stuck;
    double error_rate;                    /* failed / total */
    int64_t average_ms, average_wait_ms;  /* since creation; 0 where the store keeps no figures */
    int64_t last_finished_at_ms;          /* 0: never */
    int64_t now_ms;
};

/* Look at one queue, or all (queue NULL), and say what is out of the ordinary. Reads the statistics, at most 1,000 running
 * jobs and the retention of the queues (of a store without copies: the handle's); nothing is changed.
 *   thresholds  lent; NULL for the defaults.
 *   out         owned by the caller: jobq_health_free. NULL on failure.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_NOMEM, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_health(struct jobq *q, const char *queue, const struct jobq_thresholds *thresholds,
                         struct jobq_health **out);

/* Free; NULL is fine. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_health_free(struct jobq_health *health);

/* "stuck" for JOBQ_FINDING_STUCK and so on, as in JSON. Static text. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const char *jobq_finding_name(int what);

/* ---- worker ------------------------------------------------------------------------------------------- */

/* What a handler says by returning. */
enum jobq_outcome {
    JOBQ_DONE = 0,    /* completed, with jobq_ctx_result */
    JOBQ_RETRY = 1,   /* failed: back-off, or jobq_ctx_delay if it was called */
    JOBQ_GIVE_UP = 2, /* failed for good: dead, reason PERMANENT */
    JOBQ_SNOOZE = 3,  /* again after jobq_ctx_delay, free of charge */
    JOBQ_RELEASE = 4, /* back to its place, free of charge */
    JOBQ_PARK = 5     /* until the token of jobq_ctx_callback comes back, at most jobq_ctx_delay */
};

/* Runs one attempt of a job in a thread of the worker. ctx is lent and valid until the return. Any other value than
 * those of enum jobq_outcome counts as JOBQ_RETRY. Must not destroy the worker or close its handle. */
typedef int (*jobq_handler)(struct jobq_ctx *ctx, void *user);

enum jobq_worker_flags {
    JOBQ_WORKER_DRAIN = 1,    /* end when nothing is ready, running or overdue in its queues; what is ready and cannot be
                                 run (its queue is paused, its kind has no handler) is left, and told as a notice */
    JOBQ_WORKER_ACK_EARLY = 2, /* at most once: complete before the handler starts */
    JOBQ_WORKER_NO_BATCH = 4   /* hold no job that does not run (`batch` is 0): for long jobs, which another worker
                                  could start at once and which a crash here should not count against */
};

/* The retry budget: of the attempts at a queue at most retry_percent are retries. A job that failed and is one too many waits
 * in a line, besides its back-off: its places follow one another the slower the less is tried beside them, at most 10 s
 * apart, and the last is at most an hour away. A worker counts its own jobs, so what holds for each holds for all of
 * them together. Leases that were lost are retried as ever. */
struct jobq_worker_options {
    size_t size;
    const char *name;          /* NULL: "host:pid" */
    const char *const *queues; /* strict order, or by weight when weights is given */
    const int32_t *weights;    /* queue_count values, 1 to 100; NULL: strict order */
    size_t queue_count;        /* 1 to 64 */
    size_t threads;            /* handlers at once; default 1, at most 1,024 */
    size_t batch;              /* jobs held beyond the running ones; default: as many as threads; at most 1,000 */
    int64_t lease_ms;          /* default 30,000 */
    int64_t grace_ms;          /* after a stop handlers may go on this long; default 10,000 */
    int64_t poll_ms;           /* longest time without looking for jobs; default 5,000 where the store has no wake-up, else
                                  nine tenths of the lease */
    uint32_t flags;            /* enum jobq_worker_flags */
    int32_t retry_percent;     /* a retry budget for each of its queues; 1 to 100; 0: none */
};

/* Make a worker on a handle. The handle stays usable and must outlive the worker. No thread starts yet.
 *   out  owned by the caller: jobq_worker_destroy.
 * Threads: any. Errors: JOBQ_INVALID, JOBQ_NOMEM, JOBQ_FAILED. Since 0.1. */
JOBQ_API int jobq_worker_create(struct jobq_worker **out, struct jobq *q, const struct jobq_worker_options *options);

/* Stop (as after jobq_worker_stop), wait for the handlers and free; NULL is fine. Not from a handler. Threads: one.
 * Errors: none. Since 0.1. */
JOBQ_API void jobq_worker_destroy(struct jobq_worker *w);

/* Register the handler of a kind; kind NULL takes every kind that has no handler of its own. Before the worker runs.
 * A kind without a handler is not claimed.
 *   user  lent to each call.
 * Threads: one. Errors: JOBQ_INVALID, JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_worker_handle(struct jobq_worker *w, const char *kind, jobq_handler handler, void *user);

/* What a worker has to tell the person who started it. Values never change; new ones are added. */
enum jobq_notice {
    JOBQ_NOTICE_TROUBLE = 1, /* the store fails or is full: what is in hand is kept and tried again. Once until mended */
    JOBQ_NOTICE_MENDED = 2,  /* and now it works again */
    JOBQ_NOTICE_LEASES = 3,  /* draining: it waits for jobs that somebody else holds. Once for each holder */
    JOBQ_NOTICE_LEFT = 4,    /* draining: it ends, and leaves jobs that it cannot run */
    JOBQ_NOTICE_ASKED = 5    /* an operator asked it to end: jobq_ask_stop */
};

/* Gets a notice; text is one line, lent for the call. Runs in the thread of jobq_worker_run or jobq_worker_dispatch. */
typedef void (*jobq_notice_fn)(int notice, const char *text, void *user);

/* Have notices told to fn; NULL for nobody. Before the worker runs.
 *   user  lent to each call.
 * Threads: one. Errors: JOBQ_INVALID, JOBQ_STATE (it runs). Since 0.1. */
JOBQ_API int jobq_worker_notify(struct jobq_worker *w, jobq_notice_fn fn, void *user);

/* Claim and run jobs until jobq_worker_stop (or, with JOBQ_WORKER_DRAIN, until nothing is left). The calling thread
 * does the exchanges; handlers run in `threads` others, and it returns when the last of them has. An unreachable
 * store is tried again with back-off.
 * Threads: one at a time. Returns JOBQ_OK after a clean stop. Errors: JOBQ_INVALID (no handler), JOBQ_FORKED,
 * JOBQ_NOMEM, JOBQ_FAILED (no threads; or the store took some outcomes not even until the end of the grace period:
 * these jobs run again after their lease). Since 0.1. */
JOBQ_API int jobq_worker_run(struct jobq_worker *w);

/* For the tests of programs: run everything that is due now, in the calling thread, one job after the other in the order
 * of claims, and return when nothing is due: overdue jobs are judged, schedules fire, and what a handler enqueues or makes
 * ready for now runs too. What waits for later, and what others hold, is left: move time with jobq_clock_advance and
 * call it again. No thread is started, nobody beats the heart of a handler that takes longer than its lease.
 *   out_count  how many handlers ran; may be NULL.
 * Threads: one at a time. Errors: as jobq_worker_run; JOBQ_STATE (it runs). Since 0.1. */
JOBQ_API int jobq_worker_run_due(struct jobq_worker *w, size_t *out_count);

/* Ask the worker to end: no new claim, handlers in hand get grace_ms and see JOBQ_CTX_STOPPING, what was not started
 * is released at no cost, what did not finish in time is left to its lease: a handler that returns later still
 * hands in its outcome, if nobody took the job over meanwhile. Returns at once. Threads: any; async-signal-safe.
 * Errors: none. Since 0.1. */
JOBQ_API void jobq_worker_stop(struct jobq_worker *w);

/* For a foreign event loop instead of jobq_worker_run: a descriptor that is readable when jobq_worker_dispatch
 * should be called. Lent, valid until destroy. The first call starts the handler threads. Threads: one. Errors:
 * JOBQ_FAILED (threads, descriptors). Since 0.1. */
JOBQ_API int jobq_worker_fd(struct jobq_worker *w);

/* Milliseconds until jobq_worker_dispatch should be called even if the descriptor stays quiet; 0: now. Threads: the
 * loop's. Errors: none. Since 0.1. */
JOBQ_API int64_t jobq_worker_next_ms(struct jobq_worker *w);

/* One turn: hand in outcomes, beat, sweep, claim. May block for one exchange. Threads: the loop's.
 * Returns JOBQ_OK, or JOBQ_ALREADY when the worker has come to its end. Errors: as jobq_worker_run; an unreachable
 * store is not an error but a later deadline. Since 0.1. */
JOBQ_API int jobq_worker_dispatch(struct jobq_worker *w);

struct jobq_worker_counts {
    size_t size;
    uint64_t exchanges;  /* calls to the store */
    uint64_t claimed, completed, failed, released, snoozed, parked, lost, swept;
    uint64_t fired; /* jobs put by schedules */
};

/* What the worker has done so far. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_worker_counts(struct jobq_worker *w, struct jobq_worker_counts *out);

/* ---- inside a handler ----------------------------------------------------------------------------------- */

enum jobq_ctx_flags {
    JOBQ_CTX_CANCEL = 1,   /* soft cancel: stop if you can; finishing still counts */
    JOBQ_CTX_LOST = 2,     /* the lease is lost: whatever you do will be refused */
    JOBQ_CTX_TIMEOUT = 4,  /* the job's timeout has passed */
    JOBQ_CTX_STOPPING = 8  /* the worker is ending */
};

/* The job. Lent until the handler returns. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const struct jobq_job *jobq_ctx_job(const struct jobq_ctx *ctx);

/* enum jobq_ctx_flags, at this moment; cheap. Threads: any. Errors: none. Since 0.1. */
JOBQ_API uint32_t jobq_ctx_flags(const struct jobq_ctx *ctx);

/* Set the result that JOBQ_DONE stores; copied; a later call replaces it. Threads: the handler's. Errors:
 * JOBQ_INVALID (result_max_bytes), JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_ctx_result(struct jobq_ctx *ctx, const void *result, size_t result_bytes);

/* Set the text that JOBQ_RETRY and JOBQ_GIVE_UP store; copied; the first 8 KiB are kept. Threads: the handler's.
 * Errors: JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_ctx_error(struct jobq_ctx *ctx, const void *text, size_t text_bytes);

/* Set the delay of JOBQ_RETRY, JOBQ_SNOOZE or JOBQ_PARK (0 to 2^53). Threads: the handler's. Errors: JOBQ_INVALID.
 * Since 0.1. */
JOBQ_API int jobq_ctx_delay(struct jobq_ctx *ctx, int64_t delay_ms);

/* Show how far the job is (at most 4,096 bytes). Sent with the worker's next exchange, so calling it often costs
 * nothing. Threads: any. Errors: JOBQ_INVALID, JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_ctx_progress(struct jobq_ctx *ctx, const void *progress, size_t progress_bytes);

/* Add a line to the job's log (the first 2,048 bytes are kept); copied. Sent with the worker's next exchange, at the latest
 * with the outcome, so calling it often costs little; of more than 100 lines in between the newest go. See jobq_log.
 * Threads: any. Errors: JOBQ_UNSUPPORTED (the store keeps no log; or with JOBQ_WORKER_ACK_EARLY: the job has completed
 * already), JOBQ_INVALID, JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_ctx_log(struct jobq_ctx *ctx, const void *text, size_t text_bytes);

/* Add a job that is put in the exchange that completes this one, if and only if the handler returns JOBQ_DONE and
 * that is accepted. At most 999. Later jobs may name earlier ones as parents.
 *   spec     copied.
 *   out_id   the id it will have; may be NULL.
 * Threads: the handler's. Errors: JOBQ_INVALID, JOBQ_UNSUPPORTED (with JOBQ_WORKER_ACK_EARLY: it has completed
 * already), JOBQ_NOMEM. Since 0.1. */
JOBQ_API int jobq_ctx_then(struct jobq_ctx *ctx, const struct jobq_spec *spec, struct jobq_id *out_id);

/* Mint and store the callback token of this job, durably, before it is given away; return JOBQ_PARK afterwards.
 * Blocks for an exchange. Threads: the handler's. Errors: as jobq_callback_new. Since 0.1. */
JOBQ_API int jobq_ctx_callback(struct jobq_ctx *ctx, struct jobq_callback *out);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif
#endif
