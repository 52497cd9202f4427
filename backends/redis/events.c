/* SPDX-License-Identifier: MIT */
/* Events: how many are kept, and reading them, a page a call of the script. */
#include "store.h"

#define AT_ONCE 1000

void rd_events_settings(struct request *q, const struct jobq_settings *settings)
{
    rd_argument_begin(q);
    rd_i64(q, settings->events > 0 ? settings->events : 0);
    rd_argument_end(q);
}

static int read_event(struct reader r, struct jobq_arena *arena, struct jobq_event_row *out)
{
    *out = (struct jobq_event_row){ 0 };
    out->cursor = rd_get_i64(&r);
    out->at_ms = rd_get_i64(&r);
    const uint8_t *id = rd_get_raw(&r, sizeof out->id);
    for (size_t i = 0; id && i < sizeof out->id; i++)
        out->id.bytes[i] = id[i];
    out->state = rd_get_u8(&r);
    out->reason = rd_get_u8(&r);
    out->attempt = rd_get_i64(&r);
    out->run_at_ms = rd_get_i64(&r);
    struct jobq_bytes queue = rd_get_bytes(&r, rd_get_u8(&r)), kind = rd_get_bytes(&r, rd_get_u8(&r)), worker = { 0 };
    bool by = !r.broken && r.at < r.end;
    if (by && rd_get_u8(&r) == 1)
        worker = rd_get_bytes(&r, (size_t)(r.end - r.at));
    if (r.broken || jobq_arena_bytes(arena, queue.data, queue.size, &out->queue) != 0 ||
        jobq_arena_bytes(arena, kind.data, kind.size, &out->kind) != 0)
        return -1;
    return by ? jobq_arena_bytes(arena, worker.data, worker.size, &out->worker) : 0;
}

struct page {
    struct jobq_store *s;
    struct jobq_event_query *query;
    struct jobq_arena *arena;
    struct jobq_event_row *rows;
    size_t limit; /* more than there can be would be room for nothing */
    bool end;
};

/* Those that went while the page was read leave a gap: what lies behind it is the next page's. */
static int take_events(struct page *p, struct strings *strings, size_t asked)
{
    struct jobq_event_query *query = p->query;
    size_t before = query->row_count;
    while (strings->at < strings->count && query->row_count < p->limit) {
        struct jobq_event_row *row = &p->rows[query->row_count];
        if (read_event(rd_next_string(strings), p->arena, row) != 0)
            return rd_broken(p->s);
        p->end = query->row_count && row->cursor != row[-1].cursor + 1;
        if (p->end)
            return 0;
        query->row_count++;
    }
    p->end = query->row_count - before < asked || query->row_count == p->limit;
    return 0;
}

static int make_room(struct page *p)
{
    int64_t after = p->query->after > 0 ? p->query->after : 0;
    uint64_t left = p->query->newest > after ? (uint64_t)(p->query->newest - after) : 0;
    p->limit = p->query->limit < left ? p->query->limit : (size_t)left;
    p->rows = jobq_arena_alloc(p->arena, p->limit * sizeof *p->rows);
    p->query->rows = p->rows;
    return p->rows ? 0 : rd_fault(&p->s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
}

static int ask(struct page *p)
{
    struct jobq_event_query *query = p->query;
    size_t count = query->row_count, left = p->rows ? p->limit - count : query->limit;
    size_t asked = left < AT_ONCE ? left : AT_ONCE;
    redisReply *reply;
    rd_script_begin(p->s);
    rd_argument_begin(&p->s->request);
    rd_i64(&p->s->request, count ? p->rows[count - 1].cursor : query->after);
    rd_u32(&p->s->request, asked);
    rd_argument_end(&p->s->request);
    if (rd_script_run(p->s, SCRIPT_EVENTS, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    struct reader head = rd_next_string(&strings);
    query->oldest = rd_get_i64(&head);
    query->newest = rd_get_i64(&head);
    int result = head.broken ? rd_broken(p->s) : p->rows ? 0 : make_room(p);
    if (result == 0)
        result = take_events(p, &strings, asked);
    freeReplyObject(reply);
    return result;
}

int rd_events_read(struct jobq_store *s, struct jobq_event_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    struct page p = { .s = s, .query = query, .arena = arena };
    int result;
    query->rows = NULL;
    query->row_count = 0;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the namespace is of another version", s->address.shown);
    rd_link_begin(&s->link);
    do
        result = ask(&p);
    while (result == 0 && !p.end);
    if (result == 0)
        return JOBQ_OK;
    rd_fault_report(&s->link, err);
    if (err)
        err->status = JOBQ_FAILED;
    return JOBQ_FAILED;
}
