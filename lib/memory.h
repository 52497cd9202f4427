/* SPDX-License-Identifier: MIT */
/* The memory store's own. What is stored are objects; what finds them are trees. A unit keeps a note of every object
 * before it touches it, so that a unit that runs out of memory half-way can be taken back. */
#ifndef JOBQ_MEMORY_STORE_H
#define JOBQ_MEMORY_STORE_H

#include <jobq/backend.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define EDGES_AT_ONCE 64
#define ERRORS_KEPT 10
#define LOG_KEPT 100

/* ---- memory_tree.c: ordered, intrusive; adding and removing cannot fail --------------------------------- */

struct mem_node {
    struct mem_node *left, *right, *above;
    uint32_t heat;
};

/* A strict order: two nodes of one tree are never equal. */
typedef int mem_order(const struct mem_node *a, const struct mem_node *b);

struct mem_tree {
    struct mem_node *root, *last;
    mem_order *order;
    uint32_t seed;
};

void mem_tree_add(struct mem_tree *tree, struct mem_node *node);
void mem_tree_remove(struct mem_tree *tree, struct mem_node *node);
struct mem_node *mem_tree_first(const struct mem_tree *tree);
struct mem_node *mem_tree_next(const struct mem_node *node); /* of one that is in a tree */
struct mem_node *mem_tree_from(const struct mem_tree *tree, const struct mem_node *key); /* the first not less */
struct mem_node *mem_tree_after(const struct mem_tree *tree, const struct mem_node *key); /* the first greater */

#define mem_of(node, type, member) \
    ((node) ? (type *)(void *)((char *)(void *)(node) - offsetof(type, member)) : NULL)

/* ---- what is stored ---------------------------------------------------------------------------------------- */

struct mem;

/* How a kind of object enters and leaves the trees, and which of its bytes are its value. An object that is edited leaves the
 * trees of `link` meanwhile; it stays in those of `enter`, whose order nothing changes. NULL: there are none. */
struct mem_type {
    void (*enter)(struct mem *m, void *object);
    void (*leave)(struct mem *m, void *object);
    void (*link)(struct mem *m, void *object);
    void (*unlink)(struct mem *m, void *object);
    size_t cells, cells_bytes;
};

struct mem_object {
    const struct mem_type *type;
    uint64_t noted; /* the newest unit that keeps a note of what it was */
    bool entered, linked;
};

/* What the jobs of a queue took. Slots are of ten seconds; one is begun anew when its number has changed. */
#define MEM_SLOTS 91
struct mem_slot {
    int64_t number;
    uint64_t completed, failed;
};
struct mem_figures {
    struct jobq_durations waited, ran;
    struct mem_slot slots[MEM_SLOTS];
    int64_t last_ms;
};

struct mem_queue_cells {
    uint64_t enqueued, completed, dead, cancelled, failed; /* totals */
    uint64_t trimmed[8];                                   /* the same of what retention removed; index enum jobq_row_state */
    bool known;                                            /* ever had a row or settings */
    int32_t paused;
    int64_t depth; /* -1: no limit; the next three too */
    int64_t concurrency, group_concurrency, rate, rate_period_ms;
    struct jobq_gauge starts;
    bool has_keep;
    int64_t keep_count[8], keep_ms[8];
    int64_t results_at_ms; /* the results of rows that ended up to here are gone: finished_at, id */
    struct jobq_id results_id;
};

struct mem_queue {
    struct mem_object object;
    struct mem_node by_name;
    struct jobq_bytes name;
    struct mem_tree ready;    /* waiting, due bit set, no group: rank, arrival; behind them all that are marked alone */
    struct mem_tree lanes;    /* one for each group that ever had a row here */
    struct mem_tree circle;   /* those with due rows */
    struct mem_tree asleep;   /* waiting, due bit not set: run_at, arrival */
    struct mem_tree ended[8]; /* by state: finished_at, id */
    size_t count[8];          /* rows by state */
    uint32_t ended_now;       /* states that the present unit ended rows in */
    struct mem_figures figures;
    struct mem_queue_cells c;
};

struct mem_group_cells {
    struct jobq_bounds own;
    struct jobq_bytes plan;
    struct jobq_gauge starts, puts;
};

/* A group that ever had a row or limits; the one of no bytes stands for every group. A plan has the same shape. */
struct mem_group {
    struct mem_object object;
    struct mem_node by_name;
    struct mem_tree *tree; /* groups or plans */
    struct jobq_bytes name;
    size_t running;
    struct mem_group_cells c;
};

/* The rows of one group in one queue. */
struct mem_lane {
    struct mem_object object;
    struct mem_node by_group;  /* in its queue's lanes */
    struct mem_node in_circle; /* as long as `ready` has rows */
    struct mem_queue *queue;
    struct mem_group *group;
    struct mem_tree ready; /* waiting, due bit set, not marked alone: rank, arrival */
    size_t running;
};

struct mem_row_cells {
    struct jobq_row row;
    int64_t arrival;
    bool has_key;
    struct jobq_put_key key; /* as put: what TAKE_KEY acquires again */
    int64_t window_until_ms;
    bool has_digest, digest_used;
    uint8_t digest[32];
    int32_t swept;          /* LEASE or TIMEOUT as first found; NONE after a claim */
    uint32_t open_children; /* edges to children still open */
};

struct mem_row {
    struct mem_object object;
    struct mem_node by_id, by_arrival;
    struct mem_node place; /* in one of the trees of its queue or lane */
    struct mem_node clock; /* overdue_at, arrival; unless that is never */
    int64_t overdue_at;    /* as long as it is linked; INT64_MAX: never */
    struct mem_node held;  /* running: token, arrival */
    struct mem_queue *queue;
    struct mem_lane *lane; /* NULL: no group */
    struct mem_row_cells c;
    size_t text_bytes;
    char text[]; /* what it was put with: kind, payload and so on, as long as `c` points there */
};

/* Present as long as it is held, but for a window that ran out unseen. */
struct mem_key_cells {
    struct jobq_put_key key;
    struct jobq_id job;
    int64_t window_until_ms;
    int32_t ended; /* the state its job ended in; 0: it has not */
    struct jobq_put *successor; /* in the store's memory, with all it points at; NULL: none */
};

struct mem_key {
    struct mem_object object;
    struct mem_node by_scope;
    struct mem_node fading; /* windows of ended jobs: window_until_ms, scope */
    struct mem_key_cells c;
};

struct mem_edge_cells {
    bool open;
};

struct mem_edge {
    struct mem_object object;
    struct mem_node by_parent; /* parent, open first, rule IGNORE first, child */
    struct mem_node by_child;  /* child, parent */
    struct jobq_id parent, child;
    int32_t rule;
    struct mem_edge_cells c;
};

struct mem_worker_cells {
    struct jobq_bytes host, queues, kinds;
    int64_t pid, started_at_ms, lease_ms, seen_at_ms;
    int32_t capacity, running, stop_asked;
};

struct mem_worker {
    struct mem_object object;
    struct mem_node by_name; /* name, nonce */
    struct jobq_bytes name;
    uint8_t nonce[8];
    struct mem_worker_cells c;
};

struct mem_schedule_cells {
    struct jobq_bytes bytes;
    int64_t version, fired_ms, next_ms;
    int32_t paused;
};

struct mem_schedule {
    struct mem_object object;
    struct mem_node by_name;
    struct mem_node by_next; /* those not paused: next_ms, name */
    struct jobq_bytes name;
    struct mem_schedule_cells c;
};

struct mem_place {
    uint64_t mark; /* of the id */
    struct mem_row *row; /* NULL: free */
};

/* Half of its places at least are free. */
struct mem_ids {
    struct mem_place *places;
    size_t room, count;
};

struct mem_event;

/* The newest `keep` events, oldest first. */
struct mem_events {
    struct mem_event *first, *last;
    int64_t cursor, count, keep;
};

struct mem {
    pthread_mutex_t lock;
    char *name, *name_space; /* name NULL: private */
    struct mem *next;        /* in the registry */
    struct jobq_store *handles;
    uint8_t store_id[16];
    int64_t clock_ns;  /* added to CLOCK_MONOTONIC: wall clock at the first open */
    int64_t offset_ms; /* test offset */
    int64_t fence, arrivals;
    uint64_t units; /* that came to an end */
    struct mem_ids ids;
    struct mem_tree rows, arrived, clock, held, keys, fading, by_parent, by_child, queues, workers, schedules, ticks,
        groups, plans;
    struct mem_events events;
};

/* A handle. */
struct jobq_store {
    struct mem *m;
    struct jobq_store *next; /* of the same store */
    struct jobq_receipt *receipt;
    pid_t pid;
    int wake_fd;
    bool inspect;
};

/* ---- memory_unit.c: all or nothing --------------------------------------------------------------------------- */

struct mem_undo;
struct mem_piece;
struct mem_figure;

struct mem_unit {
    struct mem *m;
    struct jobq_arena *arena;
    int64_t now;
    struct mem_queue *queue; /* of the newest put */
    bool wake; /* something waits that did not before */
    int64_t rate_ms; /* until a rate that held the want back lets one start; INT64_MAX: none did */
    struct jobq_arena *notes; /* of what was: for taking it back */
    struct mem_undo *undo;
    struct mem_piece *fresh, *dropped;
    struct mem_event *events, *last_event; /* to be numbered when the unit is kept */
    struct mem_figure *figures; /* to be counted when the unit is kept */
    size_t figure_count, figure_room;
};

/* Functions of a unit that return int: 0, or -1 when there is no memory left and the unit must be taken back. */
void mem_unit_commit(struct mem_unit *u);
void mem_unit_rollback(struct mem_unit *u);
void *mem_alloc(struct mem_unit *u, size_t bytes); /* zeroed; gone again if the unit is taken back */
void *mem_room(struct mem_unit *u, size_t bytes);  /* the same, as it comes */
void mem_share(const void *piece); /* has one user more; of a piece that this unit made */
void mem_free(struct mem_unit *u, const void *piece); /* one user less, when the unit is kept; NULL is fine */
void mem_free_now(const void *piece);
int mem_add(struct mem_unit *u, void *object);  /* a new one enters the trees */
int mem_edit(struct mem_unit *u, void *object); /* it leaves the trees to be changed; mem_done puts it back */
void mem_done(struct mem_unit *u, void *object);
int mem_drop(struct mem_unit *u, void *object); /* it leaves the trees for good */
int mem_copy_bytes(struct mem_unit *u, struct jobq_bytes from, struct jobq_bytes *to);
int mem_set_bytes(struct mem_unit *u, struct jobq_bytes *cell, struct jobq_bytes value); /* frees the old ones */

/* ---- memory_rows.c: rows and queues in their trees ------------------------------------------------------------- */

void mem_rows_init(struct mem *m);
void mem_rows_free(struct mem *m);
int mem_bytes_order(struct jobq_bytes a, struct jobq_bytes b);
bool mem_is_newest(const struct mem *m, const struct jobq_id *id); /* greater than any that is there */
struct mem_row *mem_row_after(const struct mem *m, const struct jobq_id *id); /* by id */
struct mem_row *mem_row_arrived(const struct mem *m, int64_t after);
struct mem_row *mem_queue_next(const struct mem_tree *tree, const struct mem_row *row); /* NULL: the first */
struct mem_row *mem_ready_from(const struct mem_queue *queue, bool alone);
struct mem_row *mem_held_from(const struct mem *m, const struct jobq_token *token);
struct mem_row *mem_held_next(const struct mem_row *row);
struct mem_row *mem_clock_next(const struct mem *m, const struct mem_row *row); /* NULL: the first */
struct mem_queue *mem_queue_find(const struct mem *m, struct jobq_bytes name);
struct mem_queue *mem_queue_get(struct mem_unit *u, struct jobq_bytes name); /* made if missing */
struct mem_queue *mem_queue_after(const struct mem *m, const struct mem_queue *queue); /* NULL: the first */
int64_t mem_next_due(const struct mem *m, int64_t now);

/* A row of this value, whose bytes become its own; it is in no tree yet. */
struct mem_row *mem_row_make(struct mem_unit *u, struct mem_queue *queue, struct mem_lane *lane,
                             const struct jobq_row *value);
int mem_row_set(struct mem_unit *u, struct mem_row *row, struct jobq_bytes *cell, struct jobq_bytes value);

/* Free what a row owns and the row, its edges and its key's tie with it. It must have no open children. */
int mem_row_remove(struct mem_unit *u, struct mem_row *row);

/* ---- memory_ids.c: rows by their ids -------------------------------------------------------------------------- */

void mem_ids_free(struct mem_ids *ids);
int mem_ids_reserve(struct mem_ids *ids); /* a place for one more; -1 without memory */
void mem_ids_add(struct mem_ids *ids, struct mem_row *row);
void mem_ids_remove(struct mem_ids *ids, const struct mem_row *row);
struct mem_row *mem_find(const struct mem *m, const struct jobq_id *id);

/* ---- memory_keys.c, memory_edges.c ----------------------------------------------------------------------------------- */

void mem_keys_init(struct mem *m);
void mem_keys_free(struct mem *m);
struct mem_row *mem_key_holder(const struct mem *m, const struct mem_key *key); /* NULL: the key outlives it */
struct mem_key *mem_key_held(const struct mem *m, const uint8_t scope[32], int64_t now); /* NULL: free */
int mem_key_take(struct mem_unit *u, const struct mem_row *row);
int mem_key_succeed(struct mem_unit *u, struct mem_key *key, const struct jobq_put *put); /* keep as its successor */
int mem_key_settle(struct mem_unit *u, const struct mem_row *row, int state); /* the row comes to this state */
int mem_keys_fade(struct mem_unit *u);

void mem_edges_init(struct mem *m);
void mem_edges_free(struct mem *m);
/* Let the child wait for these parents; *pending is raised by those that do not let go at once. */
int mem_edges_put(struct mem_unit *u, const struct jobq_id *child, const struct jobq_parent *parents, size_t count,
                  uint32_t *pending);
int mem_edges_reopen(struct mem_unit *u, const struct mem_row *child, uint32_t *pending);
int mem_edges_close(struct mem_unit *u, const struct jobq_id *child, bool keep);
int mem_edges_resolve(struct mem_unit *u, struct mem_row *parent, bool *more); /* at most 64 that need no decision */
size_t mem_edges_undecided(const struct mem *m, const struct mem_row *parent, struct jobq_edge *out, size_t room);
size_t mem_edges_parents(const struct mem *m, const struct jobq_id *child, struct jobq_edge *out, size_t room);

/* ---- memory_events.c ------------------------------------------------------------------------------------------------- */

/* The row has come to this state (GONE: it is about to go). */
int mem_event(struct mem_unit *u, const struct mem_row *row, int state);
int mem_event_trimmed(struct mem_unit *u, const struct mem_row *row); /* retention removes it */
void mem_events_keep(struct mem_unit *u);
void mem_events_forget(struct mem_unit *u);
void mem_events_limit(struct mem *m, int64_t keep);
void mem_events_free(struct mem *m);
int mem_read_events(const struct mem *m, struct jobq_event_query *query, struct jobq_arena *arena);

/* ---- memory_figures.c ------------------------------------------------------------------------------------------------ */

enum mem_figure_what { MEM_WAITED, MEM_COMPLETED, MEM_FAILED };
int mem_figure(struct mem_unit *u, struct mem_queue *queue, enum mem_figure_what what, int64_t ms);
void mem_figures_keep(struct mem_unit *u);
void mem_figures_forget(struct mem_unit *u);
void mem_figures_view(const struct mem_queue *queue, int64_t now, struct jobq_queue_stats *out);

/* ---- memory_group.c: groups, their limits, and what these leave room for --------------------------------------- */

void mem_groups_init(struct mem *m);
void mem_groups_free(struct mem *m);
struct mem_group *mem_group_find(const struct mem_tree *tree, struct jobq_bytes name);
struct mem_group *mem_group_get(struct mem_unit *u, struct mem_tree *tree, struct jobq_bytes name);
struct mem_group *mem_group_after(const struct mem_tree *tree, struct jobq_bytes name); /* the first greater */
struct mem_lane *mem_lane_get(struct mem_unit *u, struct mem_queue *queue, struct jobq_bytes group);
void mem_lanes_init(struct mem_queue *queue);
void mem_lanes_free(struct mem_queue *queue);
struct mem_lane *mem_circle_from(const struct mem_queue *queue, struct jobq_bytes group, bool after);
struct jobq_bounds mem_limits_of(const struct mem *m, const struct mem_group *group); /* what holds for it */
bool mem_frees_slot(const struct mem *m, const struct mem_row *row); /* does something wait for its end? */
/* How many may start now. `rate_ms` is lowered to the wait for the rate if that is what leaves no room. */
int64_t mem_queue_room(const struct mem_unit *u, const struct mem_queue *queue, int64_t *rate_ms);
int64_t mem_lane_room(const struct mem_unit *u, const struct mem_lane *lane, int64_t *rate_ms);
int mem_count_starts(struct mem_unit *u, struct mem_queue *queue, struct mem_group *group, int64_t count);
int64_t mem_quota_wait(const struct mem_unit *u, struct jobq_bytes group); /* 0: one more may be put */
int mem_count_put(struct mem_unit *u, struct jobq_bytes group);

/* ---- memory_limits.c: limits are set and read ----------------------------------------------------------------------- */

int mem_limits(struct mem *m, struct jobq_limit_query *query, struct jobq_arena *arena, int64_t now);
int mem_configure_group(struct mem_unit *u, const struct jobq_settings *settings); /* GROUP or PLAN */

/* ---- memory_change.c, memory_put.c, memory_want.c, memory_trim.c: the parts of an exchange ------------------------------ */

int mem_beat(struct mem_unit *u, struct jobq_beat *beat);
int mem_change(struct mem_unit *u, struct jobq_change *change);
/* The row enters WAITING, one way or another: run_at is set, the bit is stored. Between mem_edit and mem_done. */
void mem_wait(struct mem_unit *u, struct mem_row *row);
int mem_put(struct mem_unit *u, struct jobq_put *put, const struct jobq_change *changes);
int mem_put_successor(struct mem_unit *u, struct jobq_put *put);
int mem_trim(struct mem_unit *u, const struct jobq_trim *trim);
int mem_worker_note(struct mem_unit *u, struct jobq_worker_record *record);
int mem_want(struct mem_unit *u, struct jobq_want *want);

/* ---- memory_schedules.c ------------------------------------------------------------------------------------------------ */

void mem_schedules_init(struct mem *m);
void mem_schedules_free(struct mem *m);
int64_t mem_next_tick(const struct mem *m); /* INT64_MAX: none */
int64_t mem_next_tick_after(const struct mem *m, int64_t now);
/* The guard of a tick; what needs no row is done. *verdict OK and mode PUT: the put goes on, then mem_tick_settle. */
int mem_tick_guard(struct mem_unit *u, const struct jobq_put_tick *tick, int32_t *verdict);
int mem_tick_settle(struct mem_unit *u, const struct jobq_put_tick *tick);
int mem_ticks_due(struct mem_unit *u, struct jobq_want *want);
int mem_read_schedules(const struct mem *m, struct jobq_schedule_query *query, struct jobq_arena *arena);
int mem_configure_schedule(struct mem_unit *u, const struct jobq_settings *settings); /* a status; -1: no memory */

/* ---- memory_copy.c and what it needs of the others ------------------------------------------------------------------------ */

int mem_dump(struct mem *m, struct jobq_dump *dump, struct jobq_arena *arena, int64_t now);
int mem_load(struct mem_unit *u, struct jobq_item *item);
struct mem_key *mem_key_after(const struct mem *m, const uint8_t *scope); /* NULL: the first */
int mem_key_load(struct mem_unit *u, const struct jobq_item_key *key);     /* what is there and not held goes */
int mem_edges_dump(const struct mem *m, struct jobq_arena *arena, const struct jobq_id *child,
                   const struct jobq_item_edge **out, size_t *out_count);
int mem_workers_dump(const struct mem *m, struct jobq_arena *arena, struct jobq_dump *dump); /* all in one page */
int mem_worker_load(struct mem_unit *u, const struct jobq_item_worker *in);
uint32_t mem_edges_open(const struct mem *m, const struct jobq_id *parent);
int mem_edges_load(struct mem_unit *u, const struct jobq_id *child, const struct jobq_item_edge *edges, size_t count);
int mem_schedule_load(struct mem_unit *u, const struct jobq_schedule_row *row); /* a status; -1: no memory */

/* ---- memory_view.c, memory_read.c: what goes out ---------------------------------------------------------------------------- */

int mem_view(const struct mem *m, struct jobq_arena *arena, const struct mem_row *row, uint32_t flags,
             struct jobq_row *out); /* flags: enum jobq_read_flags */
/* The same; names that it shares with the row whose view is out[-1] are copied once. `last` NULL: there is none. */
int mem_view_next(const struct mem *m, struct jobq_arena *arena, const struct mem_row *row, const struct mem_row *last,
                  uint32_t flags, struct jobq_row *out);
const struct jobq_row *mem_view_one(const struct mem *m, struct jobq_arena *arena, const struct mem_row *row);
void mem_workers_init(struct mem *m);
void mem_workers_free(struct mem *m);
int mem_read(struct mem *m, struct jobq_query *query, struct jobq_arena *arena, int64_t now);
int mem_stats(struct mem *m, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
              int64_t now);
int mem_configure(struct mem_unit *u, const struct jobq_settings *settings);
void mem_set_queue_limits(struct mem_queue_cells *c, const struct jobq_settings *settings);

#endif
