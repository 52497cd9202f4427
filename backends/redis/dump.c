/* SPDX-License-Identifier: MIT */
/* Everything that is stored, page by page. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 250

struct page {
    struct jobq_store *s;
    struct jobq_dump *dump;
    struct jobq_arena *arena;
    struct jobq_item *items;
    size_t room, bytes;
    bool full;
};

static int no_memory(struct jobq_store *s)
{
    return rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
}

/* Room for `more` items, as many as may be asked for at once. */
static int make_room(struct page *p, size_t more)
{
    size_t count = p->dump->item_count;
    if (p->room - count >= more)
        return 0;
    struct jobq_item *items = jobq_arena_alloc(p->arena, (count + more) * 2 * sizeof *items);
    if (!items)
        return no_memory(p->s);
    if (count)
        memcpy(items, p->items, count * sizeof *items);
    p->items = items;
    p->room = (count + more) * 2;
    return 0;
}

static struct jobq_item *next_item(struct page *p)
{
    struct jobq_item *item = &p->items[p->dump->item_count];
    memset(item, 0, sizeof *item);
    item->kind = p->dump->kind;
    return item;
}

/* The page goes on behind this place. */
static int keep_item(struct page *p, const void *place, size_t bytes)
{
    p->dump->item_count++;
    return jobq_arena_bytes(p->arena, place, bytes, &p->dump->last) == 0 ? 0 : no_memory(p->s);
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct jobq_row *r)
{
    return r->payload.size + r->data.size + r->result.size;
}

/* Entries from `place` on, of rows that may be gone by now, or come again behind the others. */
static int take_rows(struct page *p, struct strings *strings, const uint8_t *place, size_t count)
{
    const uint8_t *end = place + count * ORDER_ROW;
    while (strings->at < strings->count && !p->full) {
        struct jobq_item *item = next_item(p);
        uint8_t arrival[8];
        if (rd_row_item(strings, p->arena, &item->as.row, arrival) <= 0)
            return rd_broken(p->s);
        while (place < end && memcmp(place + 8, &item->as.row.row.id, 16) != 0)
            place += ORDER_ROW;
        if (place == end)
            return rd_broken(p->s);
        if (memcmp(place, arrival, sizeof arrival) != 0)
            continue;
        p->bytes += bytes_of(&item->as.row.row);
        p->full = p->dump->item_count && p->dump->bytes && p->bytes > p->dump->bytes;
        if (!p->full && keep_item(p, place, ORDER_ROW) != 0)
            return -1;
        p->full |= p->dump->item_count == p->dump->limit;
    }
    return 0;
}

static int ask_rows(struct page *p, const uint8_t *place, size_t count, size_t *looked_at)
{
    struct request *q = &p->s->request;
    redisReply *reply;
    size_t left = p->dump->bytes > p->bytes ? p->dump->bytes - p->bytes : 1;
    rd_script_begin(p->s);
    rd_argument_begin(q);
    rd_u8(q, READ_ALL);
    rd_i64(q, p->dump->bytes && left < INT64_MAX ? (int64_t)left : 0);
    rd_argument_end(q);
    for (size_t i = 0; i < count; i++)
        rd_argument(q, place + i * ORDER_ROW + 8, 16);
    if (rd_script_run(p->s, SCRIPT_READ, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    struct reader head = rd_next_string(&strings);
    rd_get_i64(&head);
    *looked_at = rd_get_u32(&head);
    int result = head.broken ? rd_broken(p->s) : take_rows(p, &strings, place, count);
    freeReplyObject(reply);
    return result;
}

static int give_rows(struct page *p)
{
    struct order *order = &p->s->order;
    size_t at, asked, looked_at = 0;
    if (rd_order_from(p->s, ORDER_ROW, p->dump->after, &at) != 0)
        return -1;
    for (; at < order->count && !p->full; at += looked_at) {
        asked = at_most(at_most(order->count - at, AT_ONCE), p->dump->limit - p->dump->item_count);
        if (make_room(p, asked) != 0 || ask_rows(p, order->entries + at * ORDER_ROW, asked, &looked_at) != 0)
            return -1;
        if (looked_at < asked && p->dump->item_count)
            return 0; /* the next one is too large for this page */
    }
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static int take_keys(struct page *p, struct strings *strings)
{
    while (strings->at < strings->count) {
        struct jobq_item *item = next_item(p);
        struct jobq_item_key *key = &item->as.key;
        struct jobq_bytes scope = rd_next_bytes(strings);
        struct reader r = rd_next_string(strings);
        const uint8_t *job = rd_get_raw(&r, sizeof key->job);
        key->key.hold = rd_get_u8(&r);
        key->ended = rd_get_u8(&r);
        key->window_until_ms = rd_get_i64(&r);
        const uint8_t *digest = rd_get_raw(&r, sizeof key->key.payload_digest);
        if (strings->broken || r.broken || scope.size != sizeof key->key.scope)
            return rd_broken(p->s);
        memcpy(&key->job, job, sizeof key->job);
        memcpy(key->key.payload_digest, digest, sizeof key->key.payload_digest);
        memcpy(key->key.scope, scope.data, scope.size);
        if (keep_item(p, scope.data, scope.size) != 0)
            return -1;
    }
    return 0;
}

static int ask_keys(struct page *p, const uint8_t *place, size_t count)
{
    redisReply *reply;
    rd_script_begin(p->s);
    for (size_t i = 0; i < count; i++)
        rd_argument(&p->s->request, place + i * ORDER_KEY, ORDER_KEY);
    if (rd_script_run(p->s, SCRIPT_KEYS, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    int result = strings.broken ? rd_broken(p->s) : take_keys(p, &strings);
    freeReplyObject(reply);
    return result;
}

static int give_keys(struct page *p)
{
    struct order *order = &p->s->order;
    size_t at, asked;
    if (rd_order_from(p->s, ORDER_KEY, p->dump->after, &at) != 0)
        return -1;
    for (; at < order->count && p->dump->item_count < p->dump->limit; at += asked) {
        asked = at_most(at_most(order->count - at, AT_ONCE), p->dump->limit - p->dump->item_count);
        if (make_room(p, asked) != 0 || ask_keys(p, order->entries + at * ORDER_KEY, asked) != 0)
            return -1;
    }
    return 0;
}

/* ---- settings --------------------------------------------------------------------------------------------------- */

struct named {
    struct jobq_bytes name;
    struct reader record;
};

static int by_name(const void *a, const void *b)
{
    return rd_bytes_order(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Place of a queue, group or plan: 'q', 'r' or 's' and its name. */
static bool is_behind(const struct page *p, char of, struct jobq_bytes *after)
{
    const char *at = p->dump->after.data;
    *after = (struct jobq_bytes){ 0 };
    if (!at || !p->dump->after.size || at[0] < of)
        return true;
    *after = (struct jobq_bytes){ at + 1, p->dump->after.size - 1 };
    return at[0] == of;
}

static int take_queue(struct page *p, struct named *q)
{
    struct jobq_item_settings *out = &next_item(p)->as.settings;
    char place[256];
    place[0] = 'q';
    if (q->name.size >= sizeof place)
        return rd_broken(p->s);
    if (q->name.size)
        memcpy(place + 1, q->name.data, q->name.size);
    if (rd_queue_read(&q->record, out) != 0)
        return rd_broken(p->s);
    if (jobq_arena_bytes(p->arena, q->name.data, q->name.size, &out->settings.name) != 0)
        return no_memory(p->s);
    return keep_item(p, place, q->name.size + 1);
}

static int take_queues(struct page *p, struct strings *strings)
{
    size_t count = strings->count / 2;
    struct named *queues = jobq_arena_alloc(p->arena, count * sizeof *queues);
    struct jobq_bytes after;
    is_behind(p, 'q', &after);
    if (!queues || make_room(p, count) != 0)
        return no_memory(p->s);
    for (size_t i = 0; i < count; i++)
        queues[i] = (struct named){ rd_next_bytes(strings), rd_next_string(strings) };
    if (strings->broken)
        return rd_broken(p->s);
    if (count)
        qsort(queues, count, sizeof *queues, by_name);
    for (size_t i = 0; i < count && p->dump->item_count < p->dump->limit; i++)
        if ((!after.data || rd_bytes_order(queues[i].name, after) > 0) && take_queue(p, &queues[i]) != 0)
            return -1;
    return 0;
}

static int give_queues(struct page *p)
{
    redisReply *reply;
    rd_script_begin(p->s);
    rd_argument(&p->s->request, "q", 1);
    if (rd_script_run(p->s, SCRIPT_SETTINGS, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    int result = strings.broken ? rd_broken(p->s) : take_queues(p, &strings);
    freeReplyObject(reply);
    return result;
}

static int take_limits(struct page *p, char of, struct jobq_bytes name, struct reader *record)
{
    struct jobq_settings *s = &next_item(p)->as.settings.settings;
    char place[256];
    *s = (struct jobq_settings){ .size = sizeof *s, .what = of == 'r' ? JOBQ_CONFIGURE_GROUP : JOBQ_CONFIGURE_PLAN };
    if (name.size >= sizeof place || rd_limits_read(record, s) != 0)
        return rd_broken(p->s);
    place[0] = of;
    if (name.size)
        memcpy(place + 1, name.data, name.size);
    struct jobq_bytes *out = of == 'r' ? &s->group : &s->name;
    if ((name.size && jobq_arena_bytes(p->arena, name.data, name.size, out) != 0) ||
        (s->plan.size && jobq_arena_bytes(p->arena, s->plan.data, s->plan.size, &s->plan) != 0))
        return no_memory(p->s);
    if (!s->plan.size)
        s->plan = (struct jobq_bytes){ 0 };
    return keep_item(p, place, name.size + 1);
}

static int ask_limits(struct page *p, char of, struct jobq_bytes after)
{
    struct request *q = &p->s->request;
    size_t left = p->dump->limit - p->dump->item_count;
    redisReply *reply;
    rd_script_begin(p->s);
    rd_argument(q, of == 'r' ? "g" : "p", 1);
    rd_argument_begin(q);
    rd_u8(q, after.data != NULL);
    rd_u32(q, at_most(left, UINT32_MAX));
    rd_argument_end(q);
    rd_argument(q, after.data, after.size);
    if (rd_script_run(p->s, SCRIPT_SETTINGS, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    int result = strings.broken ? rd_broken(p->s) : make_room(p, strings.count / 2);
    while (result == 0 && strings.at < strings.count) {
        struct jobq_bytes name = rd_next_bytes(&strings);
        struct reader record = rd_next_string(&strings);
        result = strings.broken ? rd_broken(p->s) : take_limits(p, of, name, &record);
    }
    freeReplyObject(reply);
    return result;
}

static int give_settings(struct page *p)
{
    struct jobq_bytes after;
    if (is_behind(p, 'q', &after) && give_queues(p) != 0)
        return -1;
    for (int of = 'r'; of <= 's'; of++)
        if (p->dump->item_count < p->dump->limit && is_behind(p, (char)of, &after) &&
            ask_limits(p, (char)of, after) != 0)
            return -1;
    return 0;
}

/* ---- schedules -------------------------------------------------------------------------------------------------- */

static int give_schedules(struct page *p)
{
    struct jobq_error err = { 0 };
    struct jobq_schedule_query query = { .size = sizeof query, .after = p->dump->after, .limit = p->dump->limit,
                                         .bytes = p->dump->bytes };
    if (rd_schedules_read(p->s, &query, p->arena, &err) != JOBQ_OK)
        return -1; /* its fault is the page's */
    if (make_room(p, query.row_count) != 0)
        return -1;
    for (size_t i = 0; i < query.row_count; i++) {
        next_item(p)->as.schedule = query.rows[i];
        if (keep_item(p, query.rows[i].name.data, query.rows[i].name.size) != 0)
            return -1;
    }
    return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static int give(struct page *p)
{
    switch (p->dump->kind) {
    case JOBQ_ITEM_SETTINGS:
        return give_settings(p);
    case JOBQ_ITEM_SCHEDULE:
        return give_schedules(p);
    case JOBQ_ITEM_ROW:
        return give_rows(p);
    case JOBQ_ITEM_KEY:
        return give_keys(p);
    default:
        return 0; /* there are none */
    }
}

int rd_dump_page(struct jobq_store *s, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err)
{
    struct page p = { .s = s, .dump = dump, .arena = arena };
    dump->items = NULL;
    dump->item_count = 0;
    dump->last = (struct jobq_bytes){ 0 };
    rd_link_begin(&s->link);
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the namespace is of another version", s->address.shown);
    int result = dump->limit ? give(&p) : 0;
    if (result != 0 || !dump->item_count)
        rd_order_free(&s->order);
    if (result != 0)
        return rd_fault_report(&s->link, err) == JOBQ_OK ? JOBQ_OK : JOBQ_FAILED;
    dump->items = p.items;
    return JOBQ_OK;
}
