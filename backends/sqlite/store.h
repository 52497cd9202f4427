/* SPDX-License-Identifier: MIT */
/* What the files of the SQLite store know of each other.
 *
 * Functions that return int give 0, or -1 after store->fault was filled, unless their comment says otherwise. */
#ifndef JOBQ_SQLITE_STORE_H
#define JOBQ_SQLITE_STORE_H

#include <jobq/backend.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "statements.h"

#define SCHEMA_VERSION 3
#define EDGES_AT_ONCE 64
#define ERRORS_KEPT 10
#define LOG_KEPT 100

/* ---- clock.c: the store's time ------------------------------------------------------------------------------ */

/* Where time comes from; tests bring their own. */
struct clock_source {
    int64_t (*monotonic_ms)(void *user);
    int64_t (*wall_ms)(void *user);
    int (*boot_id)(void *user, char out[40]); /* 0 or -1 */
    void *user;
};

struct store_clock {
    struct clock_source source;
    char boot[40];
    int64_t fence_min; /* fences of this handle are above it */
    /* as stored; true as long as nobody else commits */
    uint64_t epoch;
    bool same_boot;
    int64_t anchor, high, shift;
    int64_t fence; /* the newest that was drawn */
    int64_t fence_taken; /* the newest that this handle may draw without asking the store */
    int64_t events, event; /* how many are kept; cursor of the newest */
    bool batches; /* there may be some */
};

/* ---- gate.c: waiting for the one writer ---------------------------------------------------------------------- */

struct gate {
    int wal_fd;            /* the lock that those who want to write hold in common */
    bool told;             /* this one holds it */
    int64_t deadline_us;   /* of the wait under way */
    int64_t wait_began_us; /* 0: not waiting */
    int64_t contended_us;  /* when this handle last had to wait; 0: never */
    int64_t held_since_us; /* 0: not writing */
    int64_t held_us;       /* for how long it wrote since it last looked whether others want to */
};

/* ---- log.c: the log in fewer writes ------------------------------------------------------------------------------- */

struct log_vfs {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    sqlite3_vfs *base;
    struct log_file *log; /* NULL: not opened */
    char name[40];
};

/* ---- names.c: queues and kinds by number ----------------------------------------------------------------------- */

/* What is counted per queue; the same order as the columns and as the parameters of queue_count. */
enum queue_count {
    COUNT_BLOCKED,
    COUNT_DUE,
    COUNT_LATER,
    COUNT_RUNNING,
    COUNT_COMPLETED,
    COUNT_DEAD,
    COUNT_CANCELLED,
    COUNT_ENQUEUED_TOTAL,
    COUNT_COMPLETED_TOTAL,
    COUNT_DEAD_TOTAL,
    COUNT_CANCELLED_TOTAL,
    COUNT_FAILED_TOTAL,
    COUNT_COMPLETED_TRIMMED,
    COUNT_DEAD_TRIMMED,
    COUNT_CANCELLED_TRIMMED,
    COUNT_OF_COUNTS
};

/* What the jobs of a queue took. Slots are of ten seconds; one is begun anew when its number has changed. */
#define FIGURE_SLOTS 91
struct figure_slot {
    int64_t number;
    uint64_t completed, failed;
};
struct figures {
    struct jobq_durations waited, ran;
    struct figure_slot slots[FIGURE_SLOTS];
    int64_t last_ms;
};

/* What counts for a rate, as far as this exchange has asked. */
struct meter {
    struct jobq_gauge gauge;
    bool read, counted; /* counted: to be written */
};

struct queue_settings {
    int64_t count[COUNT_OF_COUNTS];
    struct figures figures;
    bool paused;
    bool grouped; /* a row of a group has been in it */
    int64_t depth, concurrency, group_concurrency, rate; /* -1: no limit */
    int64_t rate_period_ms;
    bool keeps;    /* the keep values below go before the defaults */
    int64_t keep_count[8], keep_ms[8];
    int64_t results_at, results_n; /* results of rows that ended up to here are gone */
};

/* All rows of a due list that stand before this are in batches: those at lower places and, where `behind`, those at
 * this place up to n. It is found by who walks along the list, and goes back when a row comes before it. */
struct front {
    uint64_t epoch; /* true as long as this is the store's */
    int64_t place, n;
    bool behind;
};

struct queue {
    int64_t id;
    uint64_t turn;       /* of the exchange that the next two belong to */
    uint64_t epoch;      /* `now` is true as long as this is the store's */
    int64_t diff[COUNT_OF_COUNTS];
    uint32_t ended;      /* states that this unit ended rows in */
    bool figured;        /* now.figures changed in this exchange */
    bool claimed;        /* rows of it, in this exchange */
    bool batched;        /* a batch of it began or ended in this exchange */
    struct meter starts;
    struct front front;
    int64_t uncounted;   /* so many records of it have completed since they were counted */
    int64_t above;       /* rows of those beyond their bound, by that count, that are still to be written */
    struct queue *next_touched;
    struct queue_settings now;
};

struct name {
    int64_t id;
    struct jobq_bytes text;
    struct queue queue; /* of queues only */
};

struct names {
    struct name **by_text, **by_id; /* by_id[id - 1]; NULL where not seen yet */
    size_t count, room, id_room;
};

/* ---- runs.c: numbers of rows that are changed alike ------------------------------------------------------------- */

struct run {
    int64_t first, last;
};
struct runs { /* in their order, none next to another */
    struct run *items;
    size_t count, room;
};

/* ---- the store ----------------------------------------------------------------------------------------------------- */

/* Rows of one queue that are claimed, or have completed, by one record; the schema says how it is stored. */
struct batch {
    int64_t line; /* where they stand: the queue, or below 0 its lanes */
    int64_t rank, first, last, list, place, started_at;
    int32_t flags;
    struct jobq_token token;
    bool has_worker;
    size_t worker_size;
    uint8_t worker[256];
};

/* Which rows a claim gave by records, so that their ends need not look for them: in the order in which it gave them. */
#define HOLDS 4
#define HOLD_MOST 4096
struct held_row {
    struct jobq_id id;
    int64_t n, line, rank, lane;
};
struct hold {
    struct jobq_token token;
    struct held_row *rows;
    size_t count, room, at; /* at: behind the one that was asked for last */
};

struct fault {
    int code; /* extended result code of SQLite; 0: none */
    char text[200];
};

struct jobq_store {
    sqlite3 *db;
    struct log_vfs log;
    sqlite3 *keeper; /* makes checkpoints; opened when first needed */
    sqlite3_stmt *statements[SQL_COUNT];
    pthread_mutex_t lock; /* whoever uses db: an operation, or wake_drain */
    pid_t pid;
    char *path;
    char name_space[64];
    int version; /* of the schema found; differs from SCHEMA_VERSION only when inspecting */
    bool inspect, normal;
    int64_t io_timeout_ms;
    uint8_t store_id[16];
    struct store_clock clock;
    struct gate gate;
    struct names queues, kinds;
    uint64_t turns;
    uint64_t epoch;        /* rises when what was read may have been changed by others, or was rolled back */
    uint32_t data_version; /* after the newest transaction that wrote */
    struct jobq_receipt *receipt;
    int64_t next_tick; /* of the schedules, by the calendar; as read last */
    uint64_t tick_epoch;
    bool limits_any; /* a group or a plan has limits; as read last */
    bool limits_named; /* not only those of every group */
    struct jobq_bounds every; /* those of every group */
    uint64_t limits_epoch;
    int64_t grouped_queues; /* so many have met groups; 2 stands for more. As read last */
    uint64_t grouped_epoch;
    int64_t next_due; /* as computed last */
    uint64_t next_epoch;
    struct batch batch; /* as found last */
    uint64_t batch_epoch;
    int64_t ended_most; /* BATCH_ENDED_MOST; tests have fewer */
    int long_walks;     /* rises with each walk past more than BATCH_PASSED_MOST records, falls with each transaction */
    /* Of this exchange, yet to be written: numbers of rows and of lanes. */
    struct runs ended, ended_members;
    struct runs lanes_up, lanes_down; /* of one more of these runs, and one fewer */
    struct hold holds[HOLDS]; /* what this handle claimed by records */
    size_t next_hold;
    struct fault fault;
    /* wake.c */
    int wake_fd;
    char *shm_path;
    int64_t seen_version;
    /* checkpoint.c */
    int wal_frames, wal_limit;
    /* attach.c: db is the program's */
    bool attached;
    bool barred;      /* SQL_BAR is unfinished */
    bool checkpoints; /* its automatic ones are switched off: ours to make */
    int64_t checked_us;
};

/* Rows that end alike, yet to be written: those of store->ended, and of store->ended_members, which are in records. */
struct ends {
    int64_t list; /* 0: none */
    int64_t queue;
    int32_t told;       /* outcome and reason, as in `flags` */
    bool drop_result;   /* of those that are in no record */
    int64_t line, rank; /* of those that are in one */
};

/* One exchange under way. */
struct turn {
    struct jobq_store *s;
    struct jobq_arena *arena;
    int64_t now;
    bool wake; /* something waits that did not before */
    int64_t put_due;  /* the first instant that what was put waits for; INT64_MAX: none */
    bool only_puts;   /* nothing but new rows so far */
    bool happened;    /* an event was written */
    size_t trim_left; /* so many rows may still be removed */
    bool trims_later; /* rows are over their count, and stay if another one is claimed */
    int64_t rate_ms;  /* until a rate that held the want back lets one start; INT64_MAX: none did */
    struct ends ends;
    struct queue *touched;
    struct tenant **tenants; /* groups that were looked at, in chains; NULL: none */
    int32_t guilty_change, guilty_put;
};

/* ---- statement.c: the only place that prepares, binds and runs ---------------------------------------------------------- */

struct value {
    enum { VALUE_NULL, VALUE_NUMBER, VALUE_BYTES, VALUE_TEXT } kind;
    int64_t number;
    const void *data;
    size_t size;
};
static inline struct value number(int64_t v)
{
    return (struct value){ .kind = VALUE_NUMBER, .number = v };
}
static inline struct value nothing(void)
{
    return (struct value){ .kind = VALUE_NULL };
}
static inline struct value instant(int64_t v) /* 0: none */
{
    return (struct value){ .kind = v ? VALUE_NUMBER : VALUE_NULL, .number = v };
}
static inline struct value blob(const void *data, size_t size)
{
    return (struct value){ .kind = data ? VALUE_BYTES : VALUE_NULL, .data = data, .size = size };
}
static inline struct value bytes(struct jobq_bytes b)
{
    return blob(b.data, b.size);
}
static inline struct value id_value(const struct jobq_id *id)
{
    return blob(id->bytes, sizeof id->bytes);
}
#define VALUES(...) \
    (const struct value[]){ __VA_ARGS__ }, (int)(sizeof((const struct value[]){ __VA_ARGS__ }) / sizeof(struct value))

/* "[x" becomes "[<namespace>_x". Text to free with sqlite3_free, or NULL. */
char *sq_in_namespace(const struct jobq_store *s, const char *text);
int sq_prepare_all(struct jobq_store *s);
void sq_finalize_all(struct jobq_store *s);
/* Bind from parameter 1 on; the statement is then stepped with sq_step until that is not 1, or reset. */
sqlite3_stmt *sq_start(struct jobq_store *s, enum sql which, const struct value *values, int count);
int sq_step(struct jobq_store *s, sqlite3_stmt *statement);                /* 1 row, 0 end (reset), -1 (reset) */
int sq_run(struct jobq_store *s, enum sql which, const struct value *values, int count);
int sq_number(struct jobq_store *s, enum sql which, int64_t *out, const struct value *values, int count); /* as sq_step */
int sq_exec(struct jobq_store *s, const char *text); /* as it stands */
/* The items, of `size` each, where there is room for one more than `count`. NULL without memory: `items` is as it was. */
void *sq_grow(void *items, size_t count, size_t *room, size_t size);
/* Note what SQLite says now. Returns -1. */
int sq_fault(struct jobq_store *s, int code);
int sq_fault_memory(struct jobq_store *s);
int sq_fault_text(struct jobq_store *s, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int sq_fault_class(const struct jobq_store *s); /* enum jobq_failure_class */
int sq_fault_report(const struct jobq_store *s, struct jobq_error *err, int status); /* fill err, return status */
struct jobq_bytes sq_column_bytes(sqlite3_stmt *statement, int column); /* lent until the next step */

int sq_runs_add(struct jobq_store *s, struct runs *runs, int64_t n); /* one that is not among them */
bool sq_runs_have(const struct runs *runs, int64_t n);

/* ---- transaction.c ---------------------------------------------------------------------------------------------------------- */

int sq_tx_begin_read(struct jobq_store *s);
int sq_tx_begin_write(struct jobq_store *s);
void sq_tx_rollback(struct jobq_store *s);
int sq_tx_commit(struct jobq_store *s, bool *unknown); /* -1 and *unknown: it may have happened */

/* ---- attach.c: the same inside a transaction of the program ------------------------------------------------------------------- */

int sq_attach_begin(struct jobq_store *s);
void sq_attach_undo(struct jobq_store *s);
void sq_attach_bar(struct jobq_store *s); /* from here on it cannot be committed */
void sq_attach_wake(struct jobq_store *s);
void sq_detach(struct jobq_store *s);

/* ---- sqlite.c, file.c, schema.c ------------------------------------------------------------------------------------------------ */

int sq_store_create(struct jobq_store **out, int64_t io_timeout_ms, struct jobq_error *err); /* JOBQ_OK or a status */
void sq_store_free(struct jobq_store *s);
int sq_open_with(struct jobq_store **out, const struct jobq_store_options *options,
                     const struct clock_source *source, struct jobq_error *err);
/* JOBQ_OK, or a status with err filled. */
int sq_file_prepare(const char *path, uint32_t flags, struct jobq_error *err);
int sq_file_connect(struct jobq_store *s, sqlite3 **out, struct jobq_error *err);
int sq_schema_bring_up(struct jobq_store *s, uint32_t flags, struct jobq_error *err);
int sq_open_status(const struct jobq_store *s, struct jobq_error *err); /* the status of a failed open, from the fault */

/* ---- clock.c --------------------------------------------------------------------------------------------------------------------- */

void sq_clock_init(struct store_clock *clock, const struct clock_source *source);
int sq_clock_boot(struct jobq_store *s); /* learn the boot id */
int sq_clock_start(struct jobq_store *s); /* asks for the write lock only if we are the first opener since the boot */
int sq_clock_first_opener(struct jobq_store *s); /* under the write lock: a new boot gets its anchor, old leases are past */
int sq_clock_fence_floor(struct jobq_store *s);
int sq_clock_read(struct jobq_store *s, int64_t *now);
int sq_clock_write(struct jobq_store *s, int64_t *now); /* in a write transaction: also high water and lift */
int64_t sq_clock_calendar(const struct jobq_store *s); /* the wall clock, shifted; after sq_clock_read or _write */
int64_t sq_clock_anchor_for(const struct jobq_store *s, int64_t high_ms);
int64_t sq_time_us(void); /* CLOCK_MONOTONIC of this process, for waiting */

/* ---- log.c, gate.c, checkpoint.c, wake.c ---------------------------------------------------------------------------------------------------- */

int sq_log_open(struct log_vfs *of, const char *path, sqlite3 **out, int flags); /* as sqlite3_open_v2 */
void sq_log_forget(struct jobq_store *s); /* what a transaction has written that is not committed */
void sq_gate_begin(struct jobq_store *s); /* a wait may begin now */
void sq_gate_yield(struct jobq_store *s); /* let others write for as long as this one did */
void sq_gate_held(struct jobq_store *s); /* the write lock is had */
void sq_gate_given(struct jobq_store *s); /* and given back */
void sq_gate_end(struct jobq_store *s);
int sq_gate_busy(void *store, int count); /* busy handler */
void sq_gate_open(struct jobq_store *s);
void sq_gate_close(struct jobq_store *s);
int sq_gate_listen(struct jobq_store *s); /* until it is closed; 0 or -1 */
bool sq_gate_has_listeners(const struct jobq_store *s); /* others, or it cannot be known */
void sq_checkpoint_watch(struct jobq_store *s);
void sq_checkpoint_if_due(struct jobq_store *s);
void sq_checkpoint_make(struct jobq_store *s);
void sq_checkpoint_close(struct jobq_store *s);
int64_t sq_checkpoint_wal_bytes(const struct jobq_store *s);
void sq_wake_open(struct jobq_store *s);
void sq_wake_close(struct jobq_store *s);
void sq_leave_descriptors(struct jobq_store *s); /* in a forked child: close what is ours, touch nothing else */
void sq_wake_others(struct jobq_store *s); /* if anybody listens */
int sq_wake_seen(struct jobq_store *s); /* in a transaction: what others did up to here is known */
int sq_wake_fd_of(struct jobq_store *s);
int sq_wake_drain_of(struct jobq_store *s);

/* ---- names.c, queue.c --------------------------------------------------------------------------------------------------------------- */

int sq_bytes_order(struct jobq_bytes a, struct jobq_bytes b); /* as memcmp, the shorter one first */
void sq_names_clear(struct names *names);
/* The number of a name: 1 found, 0 there is none, -1. */
int sq_kind_find(struct jobq_store *s, struct jobq_bytes text, int64_t *id);
int sq_queue_find(struct jobq_store *s, struct jobq_bytes text, int64_t *id);
/* The same, made if it is missing. */
int sq_kind_make(struct jobq_store *s, struct jobq_bytes text, int64_t *id);
int sq_queue_make(struct jobq_store *s, struct jobq_bytes text, int64_t *id);
/* The name of a number; lent until the next rollback. */
int sq_kind_text(struct jobq_store *s, int64_t id, struct jobq_bytes *out);
int sq_queue_text(struct jobq_store *s, int64_t id, struct jobq_bytes *out);
struct queue *sq_queue_slot(struct jobq_store *s, int64_t id); /* NULL: fault */

/* The queue with the differences of this exchange, NULL after a fault; sq_queue_loaded: with its settings, too. */
struct queue *sq_queue_of(struct turn *t, int64_t id);
struct queue *sq_queue_loaded(struct turn *t, int64_t id);
int64_t sq_queue_rows(const struct queue *queue, enum queue_count which); /* of a loaded one, this exchange included */
int sq_queue_settings(struct jobq_store *s, int64_t id, struct queue_settings *out);
int sq_queue_write(struct turn *t); /* the differences into the store */

/* ---- gauge.c, group.c, limit.c -------------------------------------------------------------------------------------------- */

enum gauge { GAUGE_QUEUE = 1, GAUGE_STARTS = 2, GAUGE_PUTS = 3 }; /* stored; of a queue, of a group */
int sq_meter_read(struct jobq_store *s, enum gauge of, struct jobq_bytes name, struct meter *m); /* once */
int sq_meter_write(struct turn *t, enum gauge of, struct jobq_bytes name, struct meter *m);      /* if counted */
void sq_meter_count(struct meter *m, int64_t period_ms, int64_t now, int64_t count);

/* The rows of one group in one queue. */
struct lane {
    int64_t id, running;
    int64_t everywhere;       /* so many of the group run in all queues; -1: not asked yet */
    struct jobq_bytes tenant; /* in the arena of the turn */
};
/* Whether it is in the circle already, and where its front is; the schema says what that is. */
struct lane_mark {
    int64_t id, place, n;
    bool ready;
};
int sq_lane_make(struct turn *t, int64_t queue, struct jobq_bytes tenant, struct lane_mark *out); /* if it is missing */
/* A due row came into it. sq_lane_meets: the mark was read in this exchange; most often there is nothing to be written. */
int sq_lane_ready(struct turn *t, int64_t lane, int64_t place, int64_t n);
int sq_lane_meets(struct turn *t, const struct lane_mark *mark, int64_t place, int64_t n);
int sq_lane_run(struct turn *t, int64_t lane, int64_t by); /* lane 0: nothing */
/* Rows of these lanes, each as often as one of its rows, run as members of a record. Sorts them. */
int sq_lanes_take(struct turn *t, const struct batch *b, int64_t *lanes, size_t count);
int sq_lanes_write(struct turn *t); /* what sq_lane_run has left to be written: before `running` is read anywhere */
int sq_lane_get(struct turn *t, int64_t id, struct lane *out);
/* Groups with due rows one after the other, from this one on (`after`: behind it), each with its first due row, as
 * sq_view_here reads it. *out: to be reset, also where the next one is not wanted any more. 1, 0 there is none, -1. */
int sq_lane_walk(struct turn *t, int64_t queue, struct jobq_bytes from, bool after, sqlite3_stmt **out);
int sq_lane_step(struct turn *t, sqlite3_stmt *walk, struct lane *out);
/* The first with due rows that is not less than (`after`: greater than) this group. 1, 0 there is none, -1. */
int sq_lane_next(struct turn *t, int64_t queue, struct jobq_bytes from, bool after, struct lane *out);

/* A group as far as this exchange has looked at it. */
#define TENANT_CHAINS 1024
struct tenant {
    struct tenant *next;
    struct jobq_bytes name;
    struct jobq_bounds holds;
    struct meter starts, puts;
};
void sq_limits_read(sqlite3_stmt *row, struct jobq_bounds *out);
/* Its own ones. of: enum jobq_limit_of; the plan's name in the arena. 1 found, 0 it has none, -1. */
int sq_limits_get(struct jobq_store *s, int of, struct jobq_bytes name, struct jobq_bounds *out, struct jobq_bytes *plan,
                  struct jobq_arena *arena);
int sq_limits_any(struct jobq_store *s); /* has any group or plan limits? 1, 0, -1 */
int sq_limits_hold(struct jobq_store *s, struct jobq_bytes name, struct jobq_arena *arena, struct jobq_bounds *out);
int sq_limits_write(struct turn *t); /* what was counted for groups */
/* How many more may start now; t->rate_ms is lowered if it is a rate that leaves no room. */
int sq_queue_room(struct turn *t, struct queue *queue, int64_t *room);
int sq_lane_room(struct turn *t, const struct queue *queue, const struct lane *lane, int64_t *room);
int sq_starts_count(struct turn *t, struct queue *queue, const struct lane *lane, int64_t count); /* lane NULL: no group */
int sq_quota_has(struct turn *t, struct jobq_bytes group, bool *has);
int sq_quota_wait(struct turn *t, struct jobq_bytes group, int64_t *wait_ms); /* 0: one more may be put */
int sq_quota_count(struct turn *t, struct jobq_bytes group);
struct job;
int sq_slot_freed(struct turn *t, const struct job *job); /* it runs no more: does somebody wait for that? */
struct jobq_bytes sq_limit_name(const struct jobq_settings *settings, int *of); /* of GROUP or PLAN */
int sq_configure_group(struct turn *t, const struct jobq_settings *settings);
int sq_limits_show(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena,
                   struct jobq_error *err);

/* ---- figures.c, events.c ---------------------------------------------------------------------------------------------------- */

struct figures_blob {
    uint8_t bytes[6144]; /* every bucket and slot filled with the largest numbers */
    size_t size;
};
struct value sq_figures_pack(const struct figures *figures, int64_t now, struct figures_blob *out);
void sq_figures_unpack(struct jobq_bytes from, struct figures *out);
int sq_figures_waited(struct turn *t, int64_t queue, int64_t since_ms);
int sq_figures_ended(struct turn *t, int64_t queue, int outcome, int64_t started_ms);
void sq_figures_view(const struct figures *figures, int64_t now, struct jobq_queue_stats *out);

/* The row came to this state (GONE: it is about to go); RUNNING: its worker is told. */
int sq_event(struct turn *t, const struct jobq_row *row, int64_t queue, int64_t kind, int state);
int sq_events_write(struct turn *t); /* at the end of the exchange */
int sq_events_limit(struct turn *t, int64_t keep);
int sq_events_read(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena,
                   struct jobq_error *err);

/* ---- schedule.c ------------------------------------------------------------------------------------------------------------ */

int sq_schedules_next(struct jobq_store *s, struct jobq_exchange *x); /* next_tick_ms; next_due_ms if it comes first */
int sq_schedules_possible(struct jobq_store *s);                      /* is one due? 1, 0, -1 */
int sq_schedules_due(struct turn *t, struct jobq_want *want);
int sq_schedules_page(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena);
int sq_schedules_read(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                      struct jobq_error *err);
/* The guard of a tick; what needs no row is done. *verdict OK and mode PUT: the put goes on, then sq_tick_settle. */
int sq_tick_guard(struct turn *t, const struct jobq_put_tick *tick, int32_t *verdict);
int sq_tick_settle(struct turn *t, const struct jobq_put_tick *tick);
int sq_configure_schedule(struct turn *t, const struct jobq_settings *settings, int *status);
int sq_schedule_load(struct turn *t, const struct jobq_schedule_row *row); /* 1 it was there, 0 it is now, -1 */

/* ---- row.c: stored rows ------------------------------------------------------------------------------------------------------------- */

enum row_flag {
    FLAG_CANCEL_ASKED = 1,
    FLAG_HELD = 2,
    FLAG_ALONE = 4,
    FLAG_RAN_ALONE = 8,
    FLAG_RESUMED = 16,
    FLAG_DIGEST_USED = 32,
    FLAG_SWEPT_LEASE = 64,
    FLAG_SWEPT_TIMEOUT = 128,
    FLAG_BULK_PAYLOAD = 256,
    FLAG_BULK_RESULT = 512,
    FLAG_BULK_DATA = 1024,
    FLAG_BULK = FLAG_BULK_PAYLOAD | FLAG_BULK_RESULT | FLAG_BULK_DATA,
    FLAG_PARENTS = 2048,  /* it has, or had, edges to parents */
    FLAG_SUCCESSOR = 4096, /* its key keeps, or kept, a successor */
    FLAG_LOG = 8192,       /* it has lines of log */
    FLAG_RISES = 16384     /* of a batch: its ids rise with the numbers of its rows */
};
/* The column `flags` also holds two numbers. */
#define FLAGS_OWN 0xffff
#define FLAGS_OUTCOME_SHIFT 16
#define FLAGS_REASON_SHIFT 20
static inline int32_t flags_with(int32_t flags, int32_t outcome, int32_t reason)
{
    return (flags & FLAGS_OWN) | outcome << FLAGS_OUTCOME_SHIFT | reason << FLAGS_REASON_SHIFT;
}
/* Columns of the statements that read a row: all of them begin so. */
enum row_column {
    ROW_N, ROW_ID, ROW_STATE, ROW_QUEUE, ROW_KIND, ROW_FLAGS, ROW_LIST, ROW_PLACE, ROW_RUN_AT, ROW_CREATED_AT, ROW_ATTEMPT,
    ROW_TOKEN, ROW_WORKER, ROW_STARTED_AT, ROW_STOP_AT, ROW_PAYLOAD_BYTES, ROW_REST, ROW_LANE,
    /* job_view */
    VIEW_TENANT, VIEW_POLICY, VIEW_KEY, VIEW_TRACE, VIEW_PROGRESS, VIEW_PAYLOAD, VIEW_RESULT, VIEW_DATA
};
enum bulk { BULK_PAYLOAD = 1, BULK_RESULT = 2, BULK_DATA = 3 };
/* The last part of the number of a list; see the schema. Those of ended rows are their states. */
enum list { LIST_DUE = 1, LIST_ALONE = 2, LIST_LATER = 3, LIST_BLOCKED = 7 };
static inline int64_t list_of(int64_t queue, int list)
{
    return 16 * queue + list;
}

/* A row as stored, with what decides about it. `row` has no bytes but worker, which points at `worker` below. */
struct job {
    struct jobq_row row;
    int64_t n, queue, kind;
    int64_t lane; /* of its group in its queue; 0: it has no group */
    int32_t flags, errors;
    uint32_t children; /* open edges to rows that wait for this one */
    bool has_key, has_digest;
    bool member;  /* of a batch: its row is still as it was put, */
    int64_t rank; /* at this place of the due list */
    struct jobq_put_key key; /* as put: what TAKE_KEY acquires again */
    int64_t window_until_ms;
    uint8_t digest[32];
    int counted; /* enum queue_count it is counted under in the store */
    uint8_t worker[256];
};

bool sq_is_ended(int state);
void sq_copy_exactly(sqlite3_stmt *row, int column, void *out, size_t size); /* zeros where it is of another size */
void sq_token_read(sqlite3_stmt *row, int column, struct jobq_token *out);
int sq_job_read(struct jobq_store *s, sqlite3_stmt *row, struct job *out); /* the row the statement stands on */
int sq_job_read_stored(struct jobq_store *s, sqlite3_stmt *row, struct job *out); /* one that is in no batch */
int64_t sq_row_alarm(const struct job *job); /* 0: none */
int sq_row_count(const struct jobq_row *row); /* enum queue_count */
int64_t sq_job_list(const struct job *job);
int64_t sq_row_place(const struct jobq_row *row);
int sq_job_find(struct jobq_store *s, const struct jobq_id *id, struct job *out); /* 1 found, 0 not, -1 */
int sq_job_load(struct jobq_store *s, int64_t n, struct job *out);                /* 1 found, 0 not, -1 */
int sq_job_save(struct turn *t, struct job *job);   /* all but bytes and who it is; the counts follow */
int sq_job_remove(struct turn *t, const struct job *job); /* with all that hangs on it; it has no open children */
void sq_job_wait(struct turn *t, struct job *job);  /* enters WAITING: run_at is set, the bit is stored */
int sq_job_recount(struct turn *t, struct job *job);

/* pack.c: the column `rest`. */
struct pack {
    uint8_t bytes[320];
    size_t size;
};
struct value sq_pack(struct pack *p, const struct job *job); /* lent by p */
bool sq_unpack(struct jobq_bytes from, struct job *job);     /* into a job whose fields are 0; false: damaged */

/* Bytes too large to stand in their row. */
int32_t sq_bulk_flag(enum bulk what);
bool sq_is_bulky(struct jobq_bytes bytes);
int sq_bulk_put(struct jobq_store *s, int64_t n, enum bulk what, struct jobq_bytes bytes);
int sq_bulk_drop(struct jobq_store *s, int64_t n, enum bulk what);
/* Put new bytes where they belong; absent takes them away. The row is to be saved afterwards: job->flags may change. */
int sq_job_set_bytes(struct jobq_store *s, struct job *job, enum bulk what, struct jobq_bytes bytes);

/* ---- batch.c: many rows in one record -------------------------------------------------------------------------------------------- */

#define BATCH_LEAST 8         /* fewer rows are written one by one */
#define BATCH_AT_ONCE 64      /* rows that an exchange of fewer writes of old records */
#define BATCH_ENDED_MOST 16384 /* records of rows of a queue that have completed */
#define BATCH_PASSED_MOST 256 /* where walks often do not know the front: each is a step for who looks past them, */
#define LONG_WALKS_OFTEN 8    /* and a walk past more, which counts for four, is often when this is reached */
#define BATCH_OUT_MOST 1000   /* rows of older ones that an exchange writes at once */
void sq_batch_read(sqlite3_stmt *row, struct batch *out); /* the row that batch_first or batch_find stands on */
int64_t sq_batch_size(const struct batch *b);
static inline int64_t sq_batch_queue(const struct batch *b)
{
    return b->line < 0 ? -b->line : b->line;
}
static inline int64_t sq_line_of(int64_t queue, int64_t lane)
{
    return lane ? -queue : queue;
}
/* The one that the row n, which stands at `rank` in the line, is in. 1, 0 in none, -1. */
int sq_batch_find(struct jobq_store *s, int64_t line, int64_t rank, int64_t n, struct batch *out);
int sq_batch_first(struct jobq_store *s, int64_t list, int64_t from, int64_t to, struct batch *out); /* by place; as above */
int sq_batch_show(struct jobq_store *s, int64_t rank, struct job *job); /* if it is in one: what the record says of it */
int sq_batch_leave(struct jobq_store *s, struct job *job);              /* if it is in one: its row says so itself */
int sq_batch_leave_run(struct jobq_store *s, const struct batch *b, int64_t first, int64_t last);
int sq_batch_leave_first(struct jobq_store *s, int64_t list, int64_t to, int64_t most);
bool sq_batch_plain(const struct job *job, const struct jobq_row *shown); /* shown: with the bytes */
int sq_batch_begin(struct turn *t, const struct batch *b);
/* Rows that were members complete. *done: so many, from the first on. 1 their record says so; 0 they are in none (any more),
 * and are to be ended as others; -1. */
int sq_batch_end(struct turn *t, const struct ends *ends, const struct run *run, int64_t *done);
void sq_batch_hold(struct jobq_store *s, const struct jobq_token *token, const struct held_row *row);
void sq_batch_let_go(struct jobq_store *s); /* what was claimed may not have been */
/* A row that this handle claimed by a record, is it still in it? 1, 0 it is to be looked for, -1. */
int sq_batch_held(struct jobq_store *s, const struct jobq_token *token, const struct jobq_id *id, struct job *out);
int sq_batch_extend(struct turn *t, const struct batch *b, int64_t until);
int sq_batch_remove(struct jobq_store *s, const struct batch *b, int64_t count); /* its first rows; the counts are the caller's */
int sq_batch_settle(struct turn *t); /* at the end of an exchange: not too many */

/* ---- view.c: stored rows -> rows of an answer ----------------------------------------------------------------------------------------- */

/* asked: enum jobq_read_flags; job is filled, too, unless NULL. 1 found, 0 not, -1. */
int sq_view_row(struct jobq_store *s, struct jobq_arena *arena, int64_t n, uint32_t asked, struct jobq_row *out,
                struct job *job);
/* The row that a statement with all columns of a view stands on, with its payload; one that is in no batch. */
int sq_view_here(struct jobq_store *s, struct jobq_arena *arena, sqlite3_stmt *row, struct jobq_row *out,
                 struct job *job);
int sq_view_one(struct jobq_store *s, struct jobq_arena *arena, int64_t n, const struct jobq_row **out);

/* ---- the parts of an exchange ----------------------------------------------------------------------------------------------------------- */

int sq_exchange_run(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err);
int sq_beat_all(struct turn *t, struct jobq_exchange *x);
int64_t sq_lease_end(const struct jobq_row *r, int64_t now, int64_t lease_ms);
int sq_change_make(struct turn *t, struct jobq_change *change);
int sq_ends_write(struct turn *t); /* what changes have left to be written */
int sq_put_row(struct turn *t, struct jobq_put *put); /* its key is its own already */
int sq_puts_make(struct turn *t, struct jobq_exchange *x); /* all of them */
/* As far as t->trim_left goes. claims: a few rows may stay if the exchange comes to claim one (struct jobq_trim);
 * t->trims_later says that some did. */
int sq_trim_run(struct turn *t, const struct jobq_trim *trim, bool claims);
int sq_trim_results_anew(struct turn *t, struct queue *queue); /* rows came that may have ended before */
int sq_worker_note(struct turn *t, struct jobq_worker_record *record);
int sq_want_run(struct turn *t, struct jobq_want *want);
int sq_want_possible(struct jobq_store *s, const struct jobq_want *want, int64_t now); /* 1, 0, -1: a plain read */
void sq_want_clear(struct jobq_want *want);
int sq_next_due(struct jobq_store *s, int64_t now, int64_t *out);
/* This row comes into this list. */
void sq_front_meets(struct queue *queue, int64_t list, int64_t place, int64_t n);
/* The first row of a list that is in no batch. 1 found, 0 there is none, -1. */
int sq_list_first(struct jobq_store *s, int64_t list, int64_t *place, int64_t *n);

/* ---- key.c, edge.c ---------------------------------------------------------------------------------------------------------------------- */

struct key_holder {
    struct jobq_id job;
    uint8_t digest[32];
    bool has_digest; /* in its own row */
    int hold;        /* enum jobq_key_hold */
    int ended;       /* the state its job ended in, 0: it lives */
    bool present;    /* its row is there: */
    struct job row;
};
int sq_key_held(struct turn *t, const uint8_t scope[32], struct key_holder *out); /* 1 held, 0 free, -1 */
#define KEY_VALUES 4 /* of key_new and key_put */
void sq_key_values(const struct jobq_id *job, const struct jobq_put_key *key, int64_t window_until_ms,
                   struct value out[KEY_VALUES]);
/* 1 taken: the key had no row; 0 it has one, held or not; -1. */
int sq_key_try(struct turn *t, const struct jobq_id *job, const struct jobq_put_key *key, int64_t window_until_ms);
int sq_key_give_up(struct turn *t, const struct jobq_id *job, const uint8_t scope[32]);
int sq_key_take(struct turn *t, const struct jobq_id *job, const struct jobq_put_key *key, int64_t window_until_ms);
int sq_key_settle(struct turn *t, const struct job *job, int state); /* the row comes to this state */
int sq_key_outlive(struct turn *t, const struct job *job, int state); /* the row goes; its key may stay */
int sq_keys_fade(struct turn *t);

/* ---- successor.c ---------------------------------------------------------------------------------------------------------- */

int sq_successor_keep(struct turn *t, const struct jobq_put *put, const struct key_holder *holder);
int sq_successor_put(struct turn *t, const uint8_t scope[32]); /* the key was let go: its successor, if any, comes to be */

int sq_parent_state(struct jobq_store *s, const struct jobq_id *id, int *state); /* GONE: no such row */
int sq_edges_put(struct turn *t, const struct jobq_put *put, uint32_t *pending);
int sq_edges_reopen(struct turn *t, const struct jobq_id *child, uint32_t *pending);
int sq_edges_close(struct turn *t, const struct job *child, bool keep);
int sq_edges_resolve(struct turn *t, struct job *parent, bool *more); /* at most 64 that need no decision */
int sq_edges_undecided(struct turn *t, const struct job *parent, struct jobq_edge *out, size_t *count); /* at most 64 */
int sq_edges_parents(struct jobq_store *s, struct jobq_arena *arena, struct jobq_row *out);

/* ---- read.c, stats.c, configure.c ---------------------------------------------------------------------------------------------------------- */

int sq_read_rows(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err);
int sq_stats_fill(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
               struct jobq_error *err);
int sq_configure_queue(struct turn *t, const struct jobq_settings *settings);
int sq_configure_store(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err);

/* ---- copy.c -------------------------------------------------------------------------------------------------- */

int sq_dump(struct jobq_store *s, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err);
int sq_load(struct jobq_store *s, struct jobq_item *items, size_t count, struct jobq_error *err);

#endif
