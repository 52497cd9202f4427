/* SPDX-License-Identifier: MIT */
/* Schedules: what the scripts are told of them, and reading them. */
#include "store.h"

#include <string.h>

#define AT_ONCE 1000
#define BYTES_AT_ONCE ((size_t)16 << 20)

enum what { WHAT_ONE, WHAT_BEHIND, WHAT_ALL };

void rd_schedule_tick(struct request *q, const struct jobq_put_tick *tick)
{
    bool known = tick->mode == JOBQ_TICK_SKIP || tick->mode == JOBQ_TICK_DEFER;
    rd_argument_begin(q);
    rd_u8(q, known ? (unsigned)tick->mode : JOBQ_TICK_PUT);
    rd_i64(q, tick->version);
    rd_i64(q, tick->nominal_ms);
    rd_i64(q, tick->next_ms);
    rd_raw(q, tick->schedule.data, tick->schedule.size);
    rd_argument_end(q);
}

void rd_schedule_settings(struct request *q, const struct jobq_settings *settings)
{
    rd_argument_begin(q);
    rd_i64(q, settings->version);
    rd_i64(q, settings->fired_ms);
    rd_i64(q, settings->next_ms);
    rd_u8(q, settings->schedule.data != NULL);
    rd_argument_end(q);
    rd_argument(q, settings->schedule.data, settings->schedule.size);
}

int rd_schedule_view(struct strings *s, struct jobq_arena *arena, struct jobq_schedule_row *out)
{
    struct jobq_bytes name = rd_next_bytes(s);
    struct reader numbers = rd_next_string(s);
    struct jobq_bytes bytes = rd_next_bytes(s);
    *out = (struct jobq_schedule_row){ 0 };
    out->version = rd_get_i64(&numbers);
    out->paused = rd_get_u8(&numbers);
    out->fired_ms = rd_get_i64(&numbers);
    out->next_ms = rd_get_i64(&numbers);
    if (s->broken || numbers.broken)
        return -1;
    return jobq_arena_bytes(arena, name.data, name.size, &out->name) != 0
               ? -1
               : jobq_arena_bytes(arena, bytes.data, bytes.size, &out->bytes);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

struct page {
    struct jobq_store *s;
    struct jobq_schedule_query *query;
    struct jobq_arena *arena;
    struct jobq_schedule_row *rows;
    size_t count, room, bytes;
    bool end;
};

static int no_memory(struct jobq_store *s)
{
    return rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
}

static int make_room(struct page *p)
{
    struct jobq_schedule_row *rows = jobq_arena_grow(p->arena, p->rows, p->count, &p->room, sizeof *rows);
    if (!rows)
        return no_memory(p->s);
    p->rows = rows;
    return 0;
}

static int take_rows(struct page *p, struct strings *strings)
{
    while (strings->at < strings->count && !p->end) {
        if (make_room(p) != 0)
            return -1;
        struct jobq_schedule_row *row = &p->rows[p->count];
        if (rd_schedule_view(strings, p->arena, row) != 0)
            return rd_broken(p->s);
        p->bytes += row->bytes.size;
        p->end = p->count && p->query->bytes && p->bytes > p->query->bytes;
        p->count += !p->end;
    }
    return 0;
}

static void say(const struct page *p)
{
    struct request *q = &p->s->request;
    struct jobq_bytes from = p->query->name.data ? p->query->name
                           : p->count            ? p->rows[p->count - 1].name
                                                 : p->query->after;
    size_t left = p->query->name.data ? 1 : p->query->limit - p->count, room = BYTES_AT_ONCE;
    if (p->query->bytes && p->query->bytes - p->bytes < room)
        room = p->query->bytes - p->bytes + 1; /* the one that passes them ends it */
    rd_script_begin(p->s);
    rd_argument_begin(q);
    rd_u8(q, p->query->name.data ? WHAT_ONE : from.data ? WHAT_BEHIND : WHAT_ALL);
    rd_u32(q, left < AT_ONCE ? left : AT_ONCE);
    rd_i64(q, (int64_t)room);
    rd_argument_end(q);
    rd_argument(q, from.data, from.size);
}

static int ask(struct page *p)
{
    redisReply *reply;
    say(p);
    if (rd_script_run(p->s, SCRIPT_SCHEDULES, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    struct reader head = rd_next_string(&strings);
    p->query->now_ms = rd_get_i64(&head);
    bool more = rd_get_u8(&head);
    int result = head.broken ? rd_broken(p->s) : take_rows(p, &strings);
    freeReplyObject(reply);
    p->end |= !more || p->count >= p->query->limit;
    return result;
}

int rd_schedules_read(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                      struct jobq_error *err)
{
    struct page p = { .s = s, .query = query, .arena = arena };
    int result;
    rd_link_begin(&s->link);
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the namespace is of another version", s->address.shown);
    do
        result = ask(&p);
    while (result == 0 && !p.end);
    query->rows = p.rows;
    query->row_count = result == 0 ? p.count : 0;
    if (result == 0)
        return JOBQ_OK;
    rd_fault_report(&s->link, err);
    if (err)
        err->status = JOBQ_FAILED;
    return JOBQ_FAILED;
}
