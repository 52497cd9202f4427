/* SPDX-License-Identifier: MIT */
/* Reading rows: by id in one call; by a filter by walking and keeping the smallest ids that match, because the store has no
 * order by id. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define IDS_AT_ONCE 1000
#define SCAN_AT_ONCE 500

struct reading {
    struct jobq_store *s;
    struct jobq_query *query;
    struct jobq_arena *arena;
    struct jobq_row *rows;
    size_t count, room, bytes;
    bool full;
};

static int no_memory(struct jobq_store *s)
{
    return rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
}

static int make_room(struct reading *r)
{
    struct jobq_row *rows = jobq_arena_grow(r->arena, r->rows, r->count, &r->room, sizeof *rows);
    if (!rows)
        return no_memory(r->s);
    r->rows = rows;
    return 0;
}

/* ---- by ids --------------------------------------------------------------------------------------------------- */

static size_t size_given(const struct jobq_query *q, const struct jobq_row *row)
{
    return (q->flags & JOBQ_READ_PAYLOAD ? row->payload_bytes : 0) + row->result.size;
}

/* The script counts bytes of one call; what was given before counts here. A row that a walk found may have changed
 * since, so the filter is asked again of the row as it is given. */
static int take_rows(struct reading *r, struct strings *strings)
{
    while (strings->at < strings->count && !r->full) {
        if (make_room(r) != 0)
            return -1;
        struct jobq_row *row = &r->rows[r->count];
        if (rd_row_view(strings, r->arena, r->query->flags, row) <= 0)
            return rd_broken(r->s);
        if (!r->query->id_count && !jobq_query_matches(r->query, row, r->query->now_ms))
            continue;
        r->bytes += size_given(r->query, row);
        r->full = r->count && r->query->bytes && r->bytes > r->query->bytes;
        r->count += !r->full;
    }
    return 0;
}

static int ask_rows(struct reading *r, const struct jobq_id *ids, size_t count, size_t *looked_at)
{
    struct request *q = &r->s->request;
    redisReply *reply;
    size_t left = r->query->bytes > r->bytes ? r->query->bytes - r->bytes : 1;
    rd_script_begin(r->s);
    rd_argument_begin(q);
    rd_u8(q, r->query->flags);
    rd_i64(q, r->query->bytes && left < INT64_MAX ? (int64_t)left : 0);
    rd_argument_end(q);
    for (size_t i = 0; i < count; i++)
        rd_argument(q, ids[i].bytes, sizeof ids[i]);
    if (rd_script_run(r->s, SCRIPT_READ, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    struct reader head = rd_next_string(&strings);
    r->query->now_ms = rd_get_i64(&head);
    *looked_at = rd_get_u32(&head);
    int result = head.broken ? rd_broken(r->s) : take_rows(r, &strings);
    freeReplyObject(reply);
    return result;
}

static int read_ids(struct reading *r, const struct jobq_id *ids, size_t count)
{
    size_t done = 0;
    do {
        size_t asked = count - done < IDS_AT_ONCE ? count - done : IDS_AT_ONCE, looked_at = 0;
        if (ask_rows(r, ids + done, asked, &looked_at) != 0)
            return -1;
        r->full |= looked_at < asked;
        done += asked;
    } while (done < count && !r->full);
    return 0;
}

/* ---- by filter -------------------------------------------------------------------------------------------------- */

/* The smallest ids that match, at most `most` of them; kept in order and without doubles now and then. */
struct smallest {
    struct jobq_id *ids;
    size_t count, room, most;
};

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct jobq_id));
}

static void tidy(struct smallest *list)
{
    size_t kept = 0;
    if (!list->count)
        return;
    qsort(list->ids, list->count, sizeof *list->ids, by_id);
    for (size_t i = 1; i < list->count; i++)
        if (memcmp(&list->ids[i], &list->ids[kept], sizeof *list->ids) != 0)
            list->ids[++kept] = list->ids[i];
    list->count = kept + 1 < list->most ? kept + 1 : list->most;
}

static int keep(struct smallest *list, const void *ids, size_t count)
{
    if (list->count + count > list->room)
        tidy(list);
    if (list->count + count > list->room) {
        size_t room = 2 * (list->count + count) + SCAN_AT_ONCE;
        struct jobq_id *larger = realloc(list->ids, room * sizeof *larger);
        if (!larger)
            return -1;
        list->ids = larger;
        list->room = room;
    }
    if (count)
        memcpy(list->ids + list->count, ids, count * sizeof *list->ids);
    list->count += count;
    return 0;
}

enum way { WAY_ALL, WAY_RUNNING, WAY_ENDED };

static enum way way_to(const struct jobq_query *q)
{
    const uint32_t ended = 1u << JOBQ_COMPLETED | 1u << JOBQ_DEAD | 1u << JOBQ_CANCELLED;
    if (q->states == 1u << JOBQ_RUNNING)
        return WAY_RUNNING;
    return q->states && !(q->states & ~ended) && q->queue.data ? WAY_ENDED : WAY_ALL;
}

static void say_scan(struct reading *r, const char *cursor)
{
    const struct jobq_query *query = r->query;
    struct request *q = &r->s->request;
    const uint8_t way = (uint8_t)way_to(query);
    rd_script_begin(r->s);
    rd_argument(q, &way, 1);
    rd_argument(q, cursor, strlen(cursor));
    rd_argument_begin(q);
    rd_u32(q, SCAN_AT_ONCE);
    rd_u32(q, query->states);
    rd_i32(q, query->reason);
    rd_i64(q, query->older_ms);
    rd_u8(q, query->queue.data != NULL);
    rd_u8(q, query->kind.data != NULL);
    rd_u8(q, query->group.data != NULL);
    rd_raw(q, query->after.bytes, sizeof query->after);
    rd_argument_end(q);
    rd_argument(q, query->queue.data, query->queue.size);
    rd_argument(q, query->kind.data, query->kind.size);
    rd_argument(q, query->group.data, query->group.size);
}

/* One step of the walk; cursor "0" afterwards: it is at its end. */
static int scan(struct reading *r, char cursor[32], struct smallest *list)
{
    redisReply *reply;
    say_scan(r, cursor);
    if (rd_script_run(r->s, SCRIPT_SCAN, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    struct reader now = rd_next_string(&strings);
    struct jobq_bytes next = rd_next_bytes(&strings), ids = rd_next_bytes(&strings);
    r->query->now_ms = rd_get_i64(&now);
    int result = 0;
    if (now.broken || strings.broken || next.size >= 32 || ids.size % sizeof(struct jobq_id)) {
        result = rd_broken(r->s);
    } else {
        memcpy(cursor, next.data, next.size);
        cursor[next.size] = 0;
        if (keep(list, ids.data, ids.size / sizeof(struct jobq_id)) != 0)
            result = no_memory(r->s);
    }
    freeReplyObject(reply);
    return result;
}

/* Each step has its own deadline: a walk over a large store takes many. */
static int walk(struct reading *r, struct smallest *list)
{
    char cursor[32] = "0";
    int result;
    do {
        rd_link_begin(&r->s->link);
        result = scan(r, cursor, list);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    tidy(list);
    return result;
}

/* An empty page says that there is nothing behind it: when all that was found has changed since, the walk goes on. */
static int read_filter(struct reading *r)
{
    struct smallest list = { .most = r->query->limit };
    const struct jobq_id after = r->query->after;
    int result;
    while ((result = walk(r, &list)) == 0 && list.count) {
        rd_link_begin(&r->s->link);
        result = read_ids(r, list.ids, list.count);
        if (result != 0 || r->count)
            break;
        r->query->after = list.ids[0];
        r->full = false;
        list.count = 0;
    }
    r->query->after = after;
    free(list.ids);
    return result;
}

int rd_read_rows(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    struct reading r = { .s = s, .query = query, .arena = arena };
    query->rows = NULL;
    query->row_count = 0;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the store has version %d of the schema, this library reads %d",
                              s->address.shown, s->version, SCHEMA_VERSION);
    rd_link_begin(&s->link);
    int result = query->id_count ? read_ids(&r, query->ids, query->id_count) : query->limit ? read_filter(&r) : 0;
    if (result != 0) {
        rd_fault_report(&s->link, err);
        if (err)
            err->status = JOBQ_FAILED;
        return JOBQ_FAILED;
    }
    query->rows = r.rows;
    query->row_count = r.count;
    return JOBQ_OK;
}
