/* SPDX-License-Identifier: MIT */
/* What the files of the Redis store know of each other.
 *
 * Functions that return int give 0, or -1 after store->fault was filled, unless their comment says otherwise. */
#ifndef JOBQ_REDIS_STORE_H
#define JOBQ_REDIS_STORE_H

#include <jobq/backend.h>

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#include "scripts.h"

#define SCHEMA_VERSION 6 /* 1 was never released; 2 to 5 are brought up */
#define EDGES_AT_ONCE 64
#define NAMESPACES "libjobq:namespaces" /* a set of names: the only key outside of a namespace */
#define INLINE_MOST 1024 /* a larger payload stands beside its row */
#define READ_EDGES 32    /* besides enum jobq_read_flags: edges as they are */
#define READ_ALL (JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS | JOBQ_READ_LOG | READ_EDGES) /* for a copy */
#define LOG_KEPT 100

/* ---- address.c: the URI ----------------------------------------------------------------------------------- */

struct address {
    char *host, *socket; /* one of them */
    int port, db;
    char *user, *password; /* NULL: none */
    bool tls, evict;
    char name_space[64];
    char shown[300]; /* without secret */
};

int rd_address_parse(struct address *out, const char *uri, struct jobq_error *err); /* a status; then free it */
void rd_address_free(struct address *address);

/* ---- faults --------------------------------------------------------------------------------------------------- */

/* Why the last call did not work, and whether the server can have done anything. */
struct fault {
    int status;   /* JOBQ_FAILED or JOBQ_UNKNOWN; while opening JOBQ_UNREACHABLE and the like */
    int failure;  /* enum jobq_failure_class */
    char text[300];
};

/* ---- link.c: one connection ------------------------------------------------------------------------------------ */

struct link {
    const struct address *address;
    redisContext *context; /* NULL: not connected */
    int64_t timeout_ms;    /* of one call, connecting included */
    int64_t deadline_us;   /* of the call under way */
    struct fault fault;
    bool unsent; /* TLS: hiredis has not sent all that it was given */
};

/* A request: what stands behind the name of the command or script. */
struct request {
    uint8_t *data;
    size_t size, room, arguments, open;
    bool no_memory;
};

void rd_link_begin(struct link *link); /* a call begins: its deadline */
/* Connected, logged in, the database chosen. Does nothing when that is so. */
int rd_link_ready(struct link *link);
void rd_link_drop(struct link *link);
/* Send `front` and the request's arguments, wait for the answer. An answer that is an error is an answer. fault.status
 * is JOBQ_UNKNOWN only if the server had the whole request. */
int rd_link_ask(struct link *link, const char *front, size_t front_bytes, const struct request *request,
                redisReply **out);
int rd_link_say(struct link *link, const char *text, size_t bytes); /* and do not wait */
int rd_link_command(struct link *link, redisReply **out, int count, const char *const *arguments);
int rd_link_read(struct link *link, redisReply **out);  /* the next answer, until the deadline */
int rd_link_try_read(struct link *link, redisReply **out); /* without waiting; *out NULL: nothing there */
int rd_fault(struct link *link, int status, int failure, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* What an error answer means: fault is filled. Returns -1. */
int rd_fault_answer(struct link *link, const redisReply *error);
int rd_fault_report(const struct link *link, struct jobq_error *err); /* fill err, return fault.status */
int64_t rd_time_us(void);
/* connect.c: a descriptor that does not block, or -1 and why (constant, or the system's). */
int rd_connect(const struct address *a, int64_t deadline_us, const char **why);

/* ---- request.c: numbers and bytes into arguments -------------------------------------------------------------------- */

void rd_request_begin(struct request *request);
void rd_request_free(struct request *request);
void rd_argument(struct request *request, const void *data, size_t size);
/* An argument made of parts. */
void rd_argument_begin(struct request *request);
void rd_argument_end(struct request *request);
void rd_u8(struct request *request, unsigned value);
void rd_u16(struct request *request, size_t value);
void rd_u32(struct request *request, uint64_t value);
void rd_i32(struct request *request, int32_t value);
void rd_i64(struct request *request, int64_t value);
void rd_raw(struct request *request, const void *data, size_t size);
void rd_time(struct request *request, const struct jobq_time *when);

/* ---- answer.c: out of an answer ---------------------------------------------------------------------------------------- */

/* One string taken apart from the front. Behind its end everything is 0 and `broken` is set. */
struct reader {
    const uint8_t *at, *end;
    bool broken;
};
struct reader rd_reader(const void *data, size_t size);
struct reader rd_reader_of(const redisReply *string);
uint8_t rd_get_u8(struct reader *r);
uint16_t rd_get_u16(struct reader *r);
uint32_t rd_get_u32(struct reader *r);
uint64_t rd_get_u48(struct reader *r);
int64_t rd_get_i64(struct reader *r);
const uint8_t *rd_get_raw(struct reader *r, size_t size); /* NULL: not so many */
struct jobq_bytes rd_get_bytes(struct reader *r, size_t size);

int rd_bytes_order(struct jobq_bytes a, struct jobq_bytes b); /* as memcmp, a shorter one first */

/* The strings of an answer, one after the other. */
struct strings {
    redisReply *const *items;
    size_t count, at;
    bool broken;
};
struct strings rd_strings(const redisReply *array);
struct reader rd_next_string(struct strings *s);
struct jobq_bytes rd_next_bytes(struct strings *s);

/* ---- row.c: rows --------------------------------------------------------------------------------------------------------- */

/* The next row of an answer into *out; its bytes are copied into the arena. asked: enum jobq_read_flags. 1 a row, 0 there is
 * none any more, -1 broken or no memory. */
int rd_row_view(struct strings *s, struct jobq_arena *arena, uint32_t asked, struct jobq_row *out);
/* The same with all that a copy has (the query's flags: all and READ_EDGES); `arrival`: its place among all rows. */
int rd_row_item(struct strings *s, struct jobq_arena *arena, struct jobq_item_row *out, uint8_t arrival[8]);
/* A row that was claimed for the first time: `hot` is that of all rows of the claim. */
int rd_row_fresh(struct strings *s, struct jobq_bytes hot, struct jobq_arena *arena, struct jobq_row *out);
bool rd_is_bulky(struct jobq_bytes payload);
void rd_row_rest(struct request *request, const struct jobq_put *put); /* what a put stores, without times */
void rd_entry_text(struct request *request, struct jobq_bytes text); /* the last part of a line of log */
void rd_row_load(struct request *request, const struct jobq_item_row *item); /* as lua/load.lua takes it */
bool rd_is_ended(int state);

/* ---- figures.c ------------------------------------------------------------------------------------------------------------- */

void rd_figures_read(struct jobq_bytes figures, int64_t now, struct jobq_queue_stats *out);

/* ---- events.c -------------------------------------------------------------------------------------------------------------- */

void rd_events_settings(struct request *request, const struct jobq_settings *settings);
int rd_events_read(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena, struct jobq_error *err);

/* ---- schedule.c ------------------------------------------------------------------------------------------------------------ */

void rd_schedule_tick(struct request *request, const struct jobq_put_tick *tick);
void rd_schedule_settings(struct request *request, const struct jobq_settings *settings);
/* The next schedule of an answer, copied into the arena. -1: broken or no memory. */
int rd_schedule_view(struct strings *s, struct jobq_arena *arena, struct jobq_schedule_row *out);

/* ---- verdicts.c: what an exchange answers ------------------------------------------------------------------------------------ */

enum answer_status { DONE_NOW, DONE_BEFORE, ANOTHER_REQUEST, STORE_GONE, STORE_NEWER };

/* The answer into the exchange. Returns its status, or -1 when it cannot be read. */
int rd_exchange_answer(const redisReply *reply, struct jobq_exchange *x, struct jobq_arena *arena);
void rd_want_clear(struct jobq_want *want);

/* ---- turn.c: groups in turn ------------------------------------------------------------------------------------------------ */

void rd_turn_place(struct request *request, struct jobq_bytes cursor, struct jobq_bytes queue);
int rd_turns_take(struct reader *r, struct jobq_want *want, struct jobq_arena *arena); /* next_cursor; -1: broken, no memory */

/* ---- wake.c: the connection that waits ------------------------------------------------------------------------------------- */

struct wake {
    struct link link;
    int epoll, timer; /* -1: not asked for */
    int64_t again_ms; /* how long until the next attempt to connect */
    bool asked;       /* whether the server is there, and no answer since */
};

/* ---- order.c: an order that the server does not keep ------------------------------------------------------------------------ */

#define ORDER_ROW 24 /* arrival, id */
#define ORDER_KEY 32 /* scope */
struct order {
    uint8_t *entries;
    size_t count, size; /* size: of an entry; 0: none is kept */
};

/* All entries of this size stand in s->order; *at is the first one behind `after`. */
int rd_order_from(struct jobq_store *s, size_t size, struct jobq_bytes after, size_t *at);
void rd_order_free(struct order *order);

/* ---- script.c --------------------------------------------------------------------------------------------------------------- */

struct jobq_store {
    struct address address;
    struct link link;
    struct request request;
    bool inspect;
    bool functions; /* the server has them, as far as is known */
    int version; /* of the schema found; differs from SCHEMA_VERSION only when inspecting */
    uint8_t store_id[16];
    char handle[17]; /* who woke whom */
    char engine[64];
    struct wake wake;
    struct order order; /* of the dump under way */
};

/* Run a script over the request and give its answer, an array or a number. */
int rd_script_run(struct jobq_store *s, enum script which, redisReply **out);
void rd_script_begin(struct jobq_store *s); /* a request with the key in it */
int rd_namespace_open(struct jobq_store *s, bool create, struct jobq_error *err); /* a status */
int rd_broken(struct jobq_store *s); /* the answer is not what a script of ours gives. Returns -1 */

/* ---- the operations ------------------------------------------------------------------------------------------------------------ */

int rd_exchange_run(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err);
int rd_read_rows(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err);
int rd_stats_fill(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
                  struct jobq_error *err);
int rd_schedules_read(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                      struct jobq_error *err);
int rd_configure_store(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err);
int rd_queue_read(struct reader *record, struct jobq_item_settings *out); /* a queue's string, but for its name */
void rd_queue_write(struct request *request, const struct jobq_settings *settings); /* the settings in it */
int rd_limits_read(struct reader *record, struct jobq_settings *out); /* of a group or plan, but for its name */
void rd_limits_write(struct request *request, const struct jobq_settings *settings);
int rd_limits_query(struct jobq_store *s, struct jobq_limit_query *query, struct jobq_arena *arena, struct jobq_error *err);
int rd_dump_page(struct jobq_store *s, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err);
int rd_load_items(struct jobq_store *s, struct jobq_item *items, size_t count, struct jobq_error *err);

/* ---- server.c: what the server says of itself ---------------------------------------------------------------------------------- */

int rd_server_check(struct jobq_store *s, struct jobq_error *err); /* a status: version and eviction */
int rd_server_durability(struct jobq_store *s, char *out, size_t room);

/* ---- wake.c ------------------------------------------------------------------------------------------------------------------------ */

int rd_wake_fd(struct jobq_store *s);
int rd_wake_drain(struct jobq_store *s);
void rd_wake_others(struct jobq_store *s);
void rd_wake_close(struct jobq_store *s);

#endif
