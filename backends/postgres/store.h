/* SPDX-License-Identifier: MIT */
/* What the files of the Postgres store know of each other.
 *
 * Functions that return int give 0, or -1 after a fault was filled, unless their comment says otherwise. */
#ifndef JOBQ_POSTGRES_STORE_H
#define JOBQ_POSTGRES_STORE_H

#include <jobq/backend.h>

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define SCHEMA_VERSION 5
#define NAME_SPACE_ROOM 64

/* A claim of fewer makes no batch, and no batch, nor what has completed in those of a queue, has more members than the most:
 * functions/batch.sql. */
enum { BATCH_FEW = 8, BATCH_MOST = 4096 };

/* ---- faults -------------------------------------------------------------------------------------------------- */

enum fault_kind {
    FAULT_NONE,
    FAULT_REPORTED, /* the server said so: certainly no effect */
    FAULT_UNSENT,   /* it was not sent: certainly no effect */
    FAULT_LOST,     /* the connection ended or the time was over before the answer */
    FAULT_MEMORY    /* no memory here */
};

struct fault {
    enum fault_kind kind;
    char state[6]; /* SQLSTATE, empty for none */
    char text[240];
};

/* ---- pack.c: parameters in binary form -------------------------------------------------------------------------- */

enum element { ELEMENT_BOOL = 16, ELEMENT_BYTES = 17, ELEMENT_INT8 = 20, ELEMENT_INT4 = 23, ELEMENT_ID = 2950 };

#define PARAMS_MAX 48
struct params {
    char *data;
    size_t size, room;
    bool broken; /* no memory */
    int count;
    size_t start[PARAMS_MAX];
    int length[PARAMS_MAX]; /* -1: NULL */
    size_t array;           /* where the open array's header is */
    int32_t elements;
    bool nulls;
};

void pack_free(struct params *p);
void pack_null(struct params *p);
void pack_nulls(struct params *p, int count);
void pack_bool(struct params *p, bool value);
void pack_int4(struct params *p, int32_t value);
void pack_int8(struct params *p, int64_t value);
void pack_int8_if(struct params *p, bool given, int64_t value); /* else NULL */
void pack_bytes(struct params *p, struct jobq_bytes value); /* absent: NULL */
void pack_id(struct params *p, const void *id);             /* 16 bytes; NULL: NULL */
/* An array: begin, elements, end. */
void pack_begin(struct params *p, enum element type);
void pack_add_int8(struct params *p, int64_t value);
void pack_add_int4(struct params *p, int32_t value);
void pack_add_bytes(struct params *p, struct jobq_bytes value);
void pack_add_id(struct params *p, const void *id);
void pack_end(struct params *p);

/* ---- view.c: answers in binary form -------------------------------------------------------------------------------- */

struct cell {
    const char *data;
    int size; /* -1: NULL */
};

struct cell cell_of(const PGresult *result, int row, int column);
int64_t cell_int(struct cell cell); /* 2, 4 or 8 bytes; NULL: 0 */
bool cell_bool(struct cell cell);
struct jobq_bytes cell_bytes(struct cell cell);
void cell_copy(struct cell cell, void *out, size_t size); /* zeros when it has another size */

/* The elements of an array, taken one after another. */
struct elements {
    const char *at, *end;
    int32_t left;
};
struct elements cell_elements(struct cell cell);
bool elements_next(struct elements *e, struct cell *out);

/* Rows out of an array of views; all memory from the arena. Returns 0, or -1 without memory or for bytes that are no row. */
int view_rows(struct jobq_arena *arena, struct cell array, struct jobq_row **rows, size_t *count);
/* The same of rows that were gathered without edges, errors and lines, behind `before` rows that are left zero; without
 * any of both, *rows stays as it is. */
int view_gathered(struct jobq_arena *arena, struct cell token, struct cell bytes, struct cell numbers, size_t before,
                  struct jobq_row **rows, size_t *count);

int64_t view_fence_of(const struct jobq_token *token);

/* Members of batches that were claimed just now, as these have them; the queue of each batch and how many it has. */
struct members {
    struct cell ids, bytes, numbers, queues, counts;
};
size_t view_member_count(struct cell ids);
/* Fills as many rows; `claimed`: what is the same for all of them, its bytes from the arena. */
int view_members(struct jobq_arena *arena, const struct members *m, const struct jobq_row *claimed,
                 struct jobq_row *rows);
/* One view by itself. */
int view_row(struct jobq_arena *arena, struct cell record, struct jobq_row *row);

struct address;

/* ---- link.c: one connection, with a deadline on everything ------------------------------------------------------------ */

struct pq_link {
    PGconn *conn;
    int64_t deadline_us; /* of the operation under way */
    bool borrowed;       /* the program's: never closed here */
    bool direct;         /* the session is ours alone: it may remember settings and statements */
    bool prepared;       /* it knows the statements that have a name */
    int64_t settings_ms; /* of the session; 0: to be set */
};

int64_t pq_now_us(void);
/* Connect. The text of a fault never holds the password. */
int pq_link_connect(struct pq_link *link, const struct address *address, struct fault *fault);
void pq_link_close(struct pq_link *link);
void pq_link_forget(struct pq_link *link); /* in a forked child: free memory, leave the server alone */
/* The connection is there and in step, and nothing came that says otherwise? */
bool pq_link_usable(struct pq_link *link);
/* One statement, or several without parameters, outside a pipeline. NULL after a fault. */
PGresult *pq_link_query(struct pq_link *link, const char *text, struct fault *fault);
void pq_fault_set(struct fault *fault, enum fault_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void pq_fault_result(struct fault *fault, const PGresult *result);

/* A transaction on its way: statements with their parameters, and what came back. */
#define CALLS_MAX 5
struct call {
    const char *text;
    const char *name; /* under which a direct link may know it; NULL: none */
    struct params *params;
    PGresult *result; /* to clear */
};
struct transaction {
    bool reads;     /* one snapshot for all, nothing is written */
    int64_t ms;     /* statement and lock timeout */
    bool sets;      /* it begins by setting them */
    struct call calls[CALLS_MAX];
    int count;
    struct fault fault; /* kind NONE: committed */
};
/* Send all and read all answers: one round trip. Each is a transaction of its own; one that fails makes the later ones fail.
 * Returns 0 when every one was committed. */
int pq_link_run(struct pq_link *link, struct transaction *transactions, int count);
void pq_transaction_clear(struct transaction *t);

/* ---- address.c: the URI --------------------------------------------------------------------------------------------------- */

struct address {
    const char **keywords, **values; /* for libpq, NULL at the end */
    size_t count;
    char name_space[NAME_SPACE_ROOM];
    char shown[256]; /* without password */
    bool notify, listen;
    void *memory; /* PQconninfoOption, lent to the above */
};
int pq_address_parse(struct address *out, const char *uri, struct jobq_error *err);
void pq_address_free(struct address *address);

/* resolve.c: the same with addresses instead of names that would have to be looked up */
struct resolved {
    const char **keywords, **values; /* NULL: as in the address */
    char *texts[3];
};
int pq_resolve(const struct address *address, int64_t deadline_us, struct resolved *out, struct fault *fault);
void pq_resolved_free(struct resolved *resolved);
PGconn *pq_start(const struct address *address, const struct resolved *resolved); /* begins to connect */

/* Overwrite every occurrence of the password. */
void pq_address_hide(const struct address *address, char *text);

/* ---- the store ----------------------------------------------------------------------------------------------------------------- */

#include "statements.h"

/* Rows in order of arrival, as they were when a copy was last at `after`: what its next pages are made of. */
struct arrivals {
    int64_t after, *n;
    struct jobq_id *ids;
    size_t at, count;
};

/* Where the fronts of indexes were: front.c. */
#define FRONT_QUEUES 16
#define FRONT_ENDED 25 /* as many as functions/front.sql keeps */
struct front {
    int64_t clock_ms, clock_until_us; /* the next clock, and how long it may be used; monotonic */
    char *of;                         /* the queues and kinds that the places are of */
    size_t of_size, count;
    int64_t jump, places[FRONT_QUEUES];
    int64_t whole_us; /* look from the very front then */
    bool costly;      /* the last such look met many entries */
    bool whole;       /* the want under way looks from there */
    int64_t ended[FRONT_ENDED], ended_until_us;
    size_t ended_count;
    int64_t left, left_of; /* so many rows may end before a look at retention; the count that this goes by */
};

/* Which way an exchange goes: one.c. */
enum pq_way { PQ_USUAL, PQ_SWAP, PQ_PUT, PQ_PUTS, PQ_WAYS };
struct rest {
    unsigned left, whole; /* exchanges that do not try a short way; how many they are in all */
};

enum { PQ_CLAIMS = 16 };

struct jobq_store {
    struct pq_link link;
    struct address address;
    pid_t pid;
    bool inspect;
    bool attached; /* in the program's transactions, on its connection */
    bool pooled; /* what we talk to is not the server itself: sessions may change hands */
    int version; /* of the schema found; differs from SCHEMA_VERSION only when inspecting */
    int64_t io_timeout_ms;
    uint8_t store_id[16];
    int64_t lock_key; /* the advisory locks of this namespace begin here */
    char *sql[SQL_COUNT]; /* with names filled in */
    uint64_t exchanges, operations;
    struct arrivals arrivals;
    struct front front;
    struct rest rests[PQ_WAYS];
    uint8_t claims[PQ_CLAIMS][16]; /* tokens of the newest claims of many */
    size_t claim_next;
    uint64_t last_receipt; /* number of the newest request that left one */
    uint8_t last_client[16];
    _Atomic int backend_pid;
    struct listener *listener;
    pthread_mutex_t listen_lock; /* of the listener: wake_fd and wake_drain against close */
};

struct jobq_store *pq_store_create(int64_t io_timeout_ms, struct jobq_error *err);
int pq_store_prepare(struct jobq_store *s, struct jobq_error *err); /* what follows from the namespace; a status */
void pq_store_free(struct jobq_store *s);
int pq_store_connect(struct jobq_store *s, struct fault *fault); /* if need be */
void pq_store_begin(struct jobq_store *s);                       /* an operation: its deadline starts */
int pq_fault_class(const struct fault *fault);                   /* enum jobq_failure_class */
int pq_fault_report(const struct jobq_store *s, const struct fault *fault, struct jobq_error *err, int status);
bool pq_fault_again(const struct fault *fault); /* certain, and passes: deadlock, serialization */
void pq_pause(int turn);                        /* with jitter */
/* The three in a row with "@." and the like filled in; to free. */
char *pq_text(const struct jobq_store *s, const char *before, const char *text, const char *after);

/* schema.c */
int pq_schema_bring_up(struct jobq_store *s, uint32_t flags, struct jobq_error *err);

/* The operations. */
int pq_exchange_run(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err);
int pq_read_rows(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err);
int pq_stats_fill(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
                  struct jobq_error *err);
int pq_configure_store(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err);

/* unit.c: the parameters of the two calls, and their answers */
void pq_unit_pack(const struct jobq_store *s, const struct jobq_exchange *x, int32_t flags, struct params *p);
int pq_unit_answer(struct jobq_store *s, const PGresult *result, struct jobq_exchange *x, struct jobq_arena *arena);
void pq_want_pack(struct jobq_store *s, const struct jobq_exchange *x, bool first, struct params *p);
int pq_want_answer(struct jobq_store *s, const PGresult *result, struct jobq_exchange *x, struct jobq_arena *arena);
bool pq_want_is_busy(const PGresult *result); /* it gave nothing because others looked at what is limited */
void pq_want_clear(struct jobq_want *want);
bool pq_change_is_plain(const struct jobq_change *change);
void pq_put_is_made(struct jobq_put *put, int64_t then); /* fills in what is said of it */
void pq_request_pack(const struct jobq_store *s, const struct jobq_exchange *x, bool kept, struct params *p);
void pq_trim_pack(struct params *p, const struct jobq_trim *trim);
void pq_names_pack(struct params *p, const struct jobq_bytes *names, size_t count);

/* puts.c: new rows as parameters */
bool pq_all_differ(const char *first, size_t step, size_t count); /* in their first 16 bytes */
bool pq_puts_are_apart(const struct jobq_exchange *x, size_t keyed); /* none hangs on another or on a change */
bool pq_puts_are_plain(const struct jobq_exchange *x);               /* functions/plain.sql takes them */
void pq_puts_pack(const struct jobq_exchange *x, size_t keyed, struct params *p);
void pq_puts_pack_plain(const struct jobq_exchange *x, struct params *p);

/* one.c: the short ways */
enum pq_one {
    PQ_ONE_NOTHING, /* nothing was done */
    PQ_ONE_DONE,
    PQ_ONE_GARBLED
};
enum pq_way pq_one_way(struct jobq_store *s, const struct jobq_exchange *x);
void pq_one_pack(struct jobq_store *s, enum pq_way way, const struct jobq_exchange *x, struct params *p);
/* NULL: it failed. */
enum pq_one pq_one_answer(struct jobq_store *s, enum pq_way way, const PGresult *result, struct jobq_exchange *x,
                          struct jobq_arena *arena);

/* front.c: a parameter of each of the two calls, and a column of their answers */
void pq_front_forget(struct front *front);
void pq_front_pack_clock(const struct front *front, const struct jobq_exchange *x, struct params *p);
void pq_front_note_clock(struct front *front, int64_t clock, int64_t met);
void pq_front_pack_unit(const struct front *front, const struct jobq_exchange *x, struct params *p);
void pq_front_note_unit(struct front *front, struct cell from);
/* Behind the want's queues and kinds, and then its parameter. */
void pq_front_choose(struct front *front, const struct jobq_exchange *x, const struct params *p);
void pq_front_pack_want(const struct front *front, const struct jobq_exchange *x, struct params *p);
void pq_front_note_want(struct front *front, struct cell from, struct jobq_exchange *x);

/* schedule.c */
void pq_ticks_pack(const struct jobq_exchange *x, struct params *p);
void pq_schedule_pack(const struct jobq_settings *settings, struct params *p);
/* From three columns on: names, bytes, numbers. Returns 0, or -1 without memory or for what is no schedule. */
int pq_schedules_view(const PGresult *result, int column, struct jobq_arena *arena,
                      const struct jobq_schedule_row **rows, size_t *count);
int pq_schedules_read(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                      struct jobq_error *err);

/* limits.c */
enum { OF_GROUP = 2, OF_PLAN = 3 }; /* whose limits they are, in the tables */
void pq_bound_pack(const struct jobq_settings *settings, struct params *p);
int pq_limits_read(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena, struct jobq_error *err);

/* dump.c, load.c */
int pq_dump(struct jobq_store *s, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err);
int pq_load(struct jobq_store *s, struct jobq_item *items, size_t count, struct jobq_error *err);
void pq_arrivals_free(struct arrivals *arrivals);

/* events.c */
int pq_events_read(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena,
                   struct jobq_error *err);

/* attach.c */
int pq_attach_ready(struct jobq_store *s, struct fault *fault); /* a transaction of the program is open? */
int pq_attach_run(struct jobq_store *s, struct transaction *t);
void pq_attach_bar(struct jobq_store *s); /* its transaction must not be committed */

/* wake.c */
int pq_wake_fd_of(struct jobq_store *s);
int pq_wake_drain_of(struct jobq_store *s);
void pq_wake_others(struct jobq_store *s);
void pq_wake_close(struct jobq_store *s, bool forked);

#endif
