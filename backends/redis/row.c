/* SPDX-License-Identifier: MIT */
/* A row's two strings, made and read. lua/row.lua has the layout; here is the client's half of it. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

enum part { PART_RUN_AT = 1, PART_EXPIRES = 2, PART_WINDOW = 4 };
enum mask {
    MASK_RANK = 1, MASK_TIMEOUT = 2, MASK_KEY = 4, MASK_PAYLOAD = 8, MASK_BULK = 16, MASK_PRIORITY = 32, MASK_GROUP = 64,
    MASK_POLICY = 128, MASK_KEY_BYTES = 256, MASK_TRACE = 512
};
enum flag {
    F_CANCEL = 1, F_HELD = 2, F_ALONE = 4, F_RAN_ALONE = 8, F_RESUMED = 16, F_USED = 32, F_SWEPT_LEASE = 64,
    F_SWEPT_TIMEOUT = 128, F_PARENTS = 512, F_RESULT = 1024, F_PROGRESS = 2048, F_DATA = 4096, F_ERRORS = 8192,
    F_DIGEST = 32768, F_KEYED = 65536, F_OWN_TIMES = 131072, F_BULK = 262144, F_GROUPED = 524288,
    F_LOG = 1048576
};
enum info { INFO_PROGRESS = 1, INFO_BULK = 2, INFO_DATA = 4, INFO_RESULT = 8, INFO_ERRORS = 16, INFO_PARENTS = 32,
            INFO_CHILDREN = 64, INFO_EDGES = 128 };
enum more { MORE_DUE = 1, MORE_LOG = 2 }; /* the byte behind it */

bool rd_is_ended(int state)
{
    return state > 0 && state < 8 && JOBQ_ROW_BIT((unsigned)state) & JOBQ_ROW_ENDED;
}

bool rd_is_bulky(struct jobq_bytes payload)
{
    return payload.data && payload.size > INLINE_MOST;
}

/* ---- made ----------------------------------------------------------------------------------------------------- */

static unsigned mask_if(bool present, unsigned bit)
{
    return present ? bit : 0;
}

static unsigned mask_of(const struct jobq_put *p)
{
    return mask_if(p->rank_add_ms, MASK_RANK) | mask_if(p->timeout_ms, MASK_TIMEOUT) | mask_if(p->unique, MASK_KEY) |
           mask_if(p->payload.data, MASK_PAYLOAD) | mask_if(rd_is_bulky(p->payload), MASK_BULK) |
           mask_if(p->priority, MASK_PRIORITY) | mask_if(p->group.data, MASK_GROUP) |
           mask_if(p->policy.data, MASK_POLICY) | mask_if(p->key.data, MASK_KEY_BYTES) |
           mask_if(p->trace.data, MASK_TRACE);
}

static void long_bytes(struct request *q, struct jobq_bytes bytes)
{
    if (!bytes.data)
        return;
    rd_u32(q, bytes.size);
    rd_raw(q, bytes.data, bytes.size);
}

void rd_row_rest(struct request *q, const struct jobq_put *p)
{
    rd_argument_begin(q);
    rd_u16(q, mask_of(p));
    rd_u32(q, p->payload.size);
    rd_u8(q, (unsigned)p->queue.size);
    rd_raw(q, p->queue.data, p->queue.size);
    rd_u8(q, (unsigned)p->kind.size);
    rd_raw(q, p->kind.data, p->kind.size);
    if (p->rank_add_ms)
        rd_i64(q, p->rank_add_ms);
    if (p->timeout_ms)
        rd_i64(q, p->timeout_ms);
    if (p->unique) {
        rd_u8(q, (unsigned)p->unique->hold);
        rd_raw(q, p->unique->scope, sizeof p->unique->scope);
        rd_raw(q, p->unique->payload_digest, sizeof p->unique->payload_digest);
    }
    if (p->priority)
        rd_i32(q, p->priority);
    long_bytes(q, p->group);
    long_bytes(q, p->policy);
    long_bytes(q, p->key);
    long_bytes(q, p->trace);
    if (!rd_is_bulky(p->payload))
        rd_raw(q, p->payload.data, p->payload.size);
    rd_argument_end(q);
}

/* ---- made of what another store had: lua/load.lua --------------------------------------------------------------- */

static uint32_t flag_if(bool present, uint32_t flag)
{
    return present ? flag : 0;
}

static uint32_t flags_of(const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    return F_OWN_TIMES | flag_if(r->cancel_asked, F_CANCEL) | flag_if(r->held, F_HELD) | flag_if(r->alone, F_ALONE) |
           flag_if(r->ran_alone, F_RAN_ALONE) | flag_if(r->resumed, F_RESUMED) | flag_if(item->digest_used, F_USED) |
           flag_if(item->swept == JOBQ_OVERDUE_LEASE, F_SWEPT_LEASE) |
           flag_if(item->swept == JOBQ_OVERDUE_TIMEOUT, F_SWEPT_TIMEOUT) | flag_if(item->edge_count, F_PARENTS) |
           flag_if(r->result.data, F_RESULT) | flag_if(r->progress.data, F_PROGRESS) | flag_if(r->data.data, F_DATA) |
           flag_if(r->error_count, F_ERRORS) | flag_if(item->has_digest, F_DIGEST) | flag_if(item->has_key, F_KEYED) |
           flag_if(rd_is_bulky(r->payload), F_BULK) | flag_if(r->group.size, F_GROUPED) |
           flag_if(r->log_count, F_LOG);
}

/* Is it as a put makes it? Then it has no hot string. */
static bool is_fresh(const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    static const struct jobq_token none;
    return r->state == JOBQ_ROW_WAITING && !(flags_of(item) & ~(uint32_t)(F_OWN_TIMES | F_KEYED | F_BULK | F_GROUPED)) &&
           memcmp(&r->token, &none, sizeof none) == 0 && !r->worker.data && !r->attempt && !r->edits && !r->outcome &&
           !r->reason && !r->pending && !(r->failures | r->crashes | r->snoozes | r->releases | r->redrives) &&
           !(r->started_at_ms | r->finished_at_ms | r->lease_until_ms | r->stop_at_ms | r->callback_until_ms);
}

static void say_hot(struct request *q, const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    const int32_t counters[] = { r->failures, r->crashes, r->snoozes, r->releases, r->redrives };
    const int64_t times[] = { r->run_at_ms,  r->started_at_ms, r->finished_at_ms,   r->lease_until_ms,
                              r->stop_at_ms, r->expires_at_ms, r->callback_until_ms };
    rd_u8(q, (unsigned)r->state);
    rd_u8(q, (unsigned)r->reason);
    rd_u8(q, (unsigned)r->outcome);
    rd_u32(q, flags_of(item));
    rd_u32(q, r->edits);
    rd_raw(q, r->token.bytes, sizeof r->token);
    rd_i64(q, r->attempt);
    for (int i = 0; i < 5; i++)
        rd_i32(q, counters[i]);
    rd_u32(q, r->pending);
    for (int i = 0; i < 7; i++)
        rd_i64(q, times[i]);
    rd_u8(q, (unsigned)r->queue.size);
    rd_raw(q, r->queue.data, r->queue.size);
    if (r->group.size) {
        rd_u8(q, (unsigned)r->group.size);
        rd_raw(q, r->group.data, r->group.size);
    }
    rd_u16(q, r->worker.data ? r->worker.size + 1 : 0);
    rd_raw(q, r->worker.data, r->worker.size);
    if (item->has_digest)
        rd_raw(q, item->digest, sizeof item->digest);
}

void rd_entry_text(struct request *q, struct jobq_bytes text)
{
    rd_u32(q, text.data ? text.size + 1 : 0);
    rd_raw(q, text.data, text.size);
}

/* An error, or a line of log. */
static void say_entry(struct request *q, const struct jobq_row_error *e)
{
    rd_i32(q, e->attempt);
    rd_i32(q, e->kind);
    rd_i64(q, e->at_ms);
    rd_u16(q, e->worker.data ? e->worker.size + 1 : 0);
    rd_raw(q, e->worker.data, e->worker.size);
    rd_entry_text(q, e->text);
}

static void say_errors(struct request *q, const struct jobq_row *r)
{
    rd_argument_begin(q);
    rd_u8(q, (unsigned)r->error_count);
    for (size_t i = 0; i < r->error_count; i++)
        say_entry(q, &r->errors[i]);
    rd_argument_end(q);
}

static void say_log(struct request *q, const struct jobq_row *r)
{
    size_t skip = r->log_count > LOG_KEPT ? r->log_count - LOG_KEPT : 0;
    const uint8_t count = (uint8_t)(r->log_count - skip);
    rd_argument(q, &count, 1);
    for (size_t i = skip; i < r->log_count; i++) {
        rd_argument_begin(q);
        say_entry(q, &r->log[i]);
        rd_argument_end(q);
    }
}

static void say_edges(struct request *q, const struct jobq_item_row *item)
{
    rd_argument_begin(q);
    for (size_t i = 0; i < item->edge_count; i++) {
        rd_raw(q, item->edges[i].parent.bytes, sizeof item->edges[i].parent);
        rd_u8(q, (unsigned)item->edges[i].rule);
        rd_u8(q, item->edges[i].open != 0);
    }
    rd_argument_end(q);
}

/* Payload, result, data, progress, errors, edges, log: in this order. */
static unsigned extras_of(const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    return mask_if(rd_is_bulky(r->payload), 1) | mask_if(r->result.data, 2) | mask_if(r->data.data, 4) |
           mask_if(r->progress.data, 8) | mask_if(r->error_count, 16) | mask_if(item->edge_count, 32) |
           mask_if(r->log_count, 64);
}

static void say_extras(struct request *q, const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    const struct jobq_bytes *const list[] = { &r->payload, &r->result, &r->data, &r->progress };
    unsigned extras = extras_of(item);
    for (unsigned i = 0; i < 4; i++)
        if (extras & 1u << i)
            rd_argument(q, list[i]->data, list[i]->size);
    if (r->error_count)
        say_errors(q, r);
    if (item->edge_count)
        say_edges(q, item);
    if (r->log_count)
        say_log(q, r);
}

static void say_times(struct request *q, const struct jobq_item_row *item, bool fresh)
{
    const struct jobq_row *r = &item->row;
    unsigned parts = mask_if(fresh && r->run_at_ms != r->created_at_ms, PART_RUN_AT) |
                     mask_if(fresh && r->expires_at_ms, PART_EXPIRES) | mask_if(item->has_key, PART_WINDOW);
    rd_u8(q, parts);
    rd_i64(q, r->created_at_ms);
    if (parts & PART_RUN_AT)
        rd_i64(q, r->run_at_ms);
    if (parts & PART_EXPIRES)
        rd_i64(q, r->expires_at_ms);
    if (parts & PART_WINDOW)
        rd_i64(q, item->window_until_ms);
}

void rd_row_load(struct request *q, const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    const struct jobq_put put = { .queue = r->queue, .kind = r->kind, .group = r->group, .payload = r->payload,
                                  .policy = r->policy, .key = r->key, .trace = r->trace, .priority = r->priority,
                                  .rank_add_ms = r->rank_add_ms, .timeout_ms = r->timeout_ms,
                                  .unique = item->has_key ? &item->key : NULL };
    bool fresh = is_fresh(item);
    rd_argument_begin(q);
    rd_raw(q, r->id.bytes, sizeof r->id);
    say_times(q, item, fresh);
    rd_u8(q, r->state == JOBQ_ROW_WAITING && r->due);
    rd_u8(q, extras_of(item));
    rd_argument_end(q);
    rd_row_rest(q, &put);
    rd_argument_begin(q);
    if (!fresh)
        say_hot(q, item);
    rd_argument_end(q);
    say_extras(q, item);
}

/* ---- read ------------------------------------------------------------------------------------------------------- */

static struct jobq_bytes read_long(struct reader *r, unsigned mask, unsigned bit)
{
    return mask & bit ? rd_get_bytes(r, rd_get_u32(r)) : (struct jobq_bytes){ 0 };
}

static void read_key(struct reader *r, struct jobq_item_row *item)
{
    item->has_key = 1;
    item->key.hold = rd_get_u8(r);
    const uint8_t *scope = rd_get_raw(r, sizeof item->key.scope), *digest = rd_get_raw(r, sizeof item->key.payload_digest);
    if (!digest)
        return;
    memcpy(item->key.scope, scope, sizeof item->key.scope);
    memcpy(item->key.payload_digest, digest, sizeof item->key.payload_digest);
}

/* Bytes point into the answer until copy_bytes. `item`: what only a copy has. */
static unsigned read_cold(struct jobq_bytes cold, struct jobq_item_row *item, bool *broken)
{
    struct jobq_row *out = &item->row;
    struct reader r = rd_reader(cold.data, cold.size);
    unsigned parts = rd_get_u8(&r);
    out->created_at_ms = out->run_at_ms = rd_get_i64(&r);
    rd_get_raw(&r, 8); /* arrival */
    if (parts & PART_RUN_AT)
        out->run_at_ms = rd_get_i64(&r);
    if (parts & PART_EXPIRES)
        out->expires_at_ms = rd_get_i64(&r);
    if (parts & PART_WINDOW)
        item->window_until_ms = rd_get_i64(&r);
    unsigned mask = rd_get_u16(&r);
    out->payload_bytes = rd_get_u32(&r);
    out->queue = rd_get_bytes(&r, rd_get_u8(&r));
    out->kind = rd_get_bytes(&r, rd_get_u8(&r));
    if (mask & MASK_RANK)
        out->rank_add_ms = rd_get_i64(&r);
    if (mask & MASK_TIMEOUT)
        out->timeout_ms = rd_get_i64(&r);
    if (mask & MASK_KEY)
        read_key(&r, item);
    if (mask & MASK_PRIORITY)
        out->priority = (int32_t)rd_get_u32(&r);
    out->group = read_long(&r, mask, MASK_GROUP);
    out->policy = read_long(&r, mask, MASK_POLICY);
    out->key = read_long(&r, mask, MASK_KEY_BYTES);
    out->trace = read_long(&r, mask, MASK_TRACE);
    if ((mask & MASK_PAYLOAD) && !(mask & MASK_BULK))
        out->payload = rd_get_bytes(&r, out->payload_bytes);
    *broken |= r.broken;
    return mask;
}

static void read_flags(struct jobq_row *out, uint32_t flags)
{
    out->cancel_asked = (flags & F_CANCEL) != 0;
    out->held = (flags & F_HELD) != 0;
    out->alone = (flags & F_ALONE) != 0;
    out->ran_alone = (flags & F_RAN_ALONE) != 0;
    out->resumed = (flags & F_RESUMED) != 0;
    out->has_callback = (flags & F_DIGEST) && !(flags & F_USED);
}

static void read_counters(struct reader *r, struct jobq_row *out)
{
    out->attempt = rd_get_i64(r);
    out->failures = (int32_t)rd_get_u32(r);
    out->crashes = (int32_t)rd_get_u32(r);
    out->snoozes = (int32_t)rd_get_u32(r);
    out->releases = (int32_t)rd_get_u32(r);
    out->redrives = (int32_t)rd_get_u32(r);
    out->pending = rd_get_u32(r);
}

static void read_times(struct reader *r, struct jobq_row *out, bool own_times)
{
    int64_t run_at = rd_get_i64(r);
    out->started_at_ms = rd_get_i64(r);
    out->finished_at_ms = rd_get_i64(r);
    out->lease_until_ms = rd_get_i64(r);
    out->stop_at_ms = rd_get_i64(r);
    int64_t expires_at = rd_get_i64(r);
    out->callback_until_ms = rd_get_i64(r);
    if (!own_times)
        return;
    out->run_at_ms = run_at;
    out->expires_at_ms = expires_at;
}

static int64_t fence_of(const struct jobq_token *token)
{
    uint64_t fence = 0;
    for (size_t i = 8; i < 16; i++)
        fence = fence << 8 | token->bytes[i];
    return (int64_t)fence;
}

static void read_digest(struct reader *r, uint32_t flags, struct jobq_item_row *item)
{
    const uint8_t *digest = flags & F_DIGEST ? rd_get_raw(r, sizeof item->digest) : NULL;
    item->has_digest = digest != NULL;
    item->digest_used = (flags & F_USED) != 0;
    item->swept = flags & F_SWEPT_LEASE ? JOBQ_OVERDUE_LEASE : flags & F_SWEPT_TIMEOUT ? JOBQ_OVERDUE_TIMEOUT : 0;
    if (digest)
        memcpy(item->digest, digest, sizeof item->digest);
}

static void read_hot(struct jobq_bytes hot, struct jobq_item_row *item, bool *broken)
{
    struct jobq_row *out = &item->row;
    struct reader r = rd_reader(hot.data, hot.size);
    out->state = rd_get_u8(&r);
    out->reason = rd_get_u8(&r);
    out->outcome = rd_get_u8(&r);
    uint32_t flags = rd_get_u32(&r);
    out->edits = rd_get_u32(&r);
    const uint8_t *token = rd_get_raw(&r, sizeof out->token);
    if (token)
        memcpy(&out->token, token, sizeof out->token);
    out->fence = fence_of(&out->token);
    read_flags(out, flags);
    read_counters(&r, out);
    read_times(&r, out, flags & F_OWN_TIMES);
    rd_get_raw(&r, rd_get_u8(&r)); /* the queue's name again */
    if (flags & F_GROUPED)
        rd_get_raw(&r, rd_get_u8(&r)); /* the group's, too */
    size_t worker = rd_get_u16(&r);
    if (worker)
        out->worker = rd_get_bytes(&r, worker - 1);
    read_digest(&r, flags, item);
    *broken |= r.broken;
}

static int copy(struct jobq_arena *arena, struct jobq_bytes *bytes)
{
    return jobq_arena_bytes(arena, bytes->data, bytes->size, bytes);
}

static int copy_bytes(struct jobq_arena *arena, struct jobq_row *r)
{
    struct jobq_bytes *const all[] = { &r->queue, &r->kind, &r->group, &r->worker, &r->payload, &r->policy,
                                       &r->key, &r->result, &r->progress, &r->data, &r->trace };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (copy(arena, all[i]) != 0)
            return -1;
    return 0;
}

/* Errors, or lines of log. */
static int read_entries(struct reader r, struct jobq_arena *arena, const struct jobq_row_error **out, size_t *out_count)
{
    size_t count = rd_get_u8(&r);
    struct jobq_row_error *entries = jobq_arena_alloc(arena, count * sizeof *entries);
    if (!entries)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct jobq_row_error *e = &entries[i];
        *e = (struct jobq_row_error){ 0 };
        e->attempt = (int32_t)rd_get_u32(&r);
        e->kind = (int32_t)rd_get_u32(&r);
        e->at_ms = rd_get_i64(&r);
        size_t worker = rd_get_u16(&r);
        if (worker)
            e->worker = rd_get_bytes(&r, worker - 1);
        size_t text = rd_get_u32(&r);
        if (text)
            e->text = rd_get_bytes(&r, text - 1);
        if (r.broken || copy(arena, &e->worker) != 0 || copy(arena, &e->text) != 0)
            return -1;
    }
    *out = entries;
    *out_count = count;
    return 0;
}

/* 18 bytes each: id, rule, state. */
static int read_edges(struct jobq_bytes bytes, struct jobq_arena *arena, const struct jobq_edge **out, size_t *count)
{
    struct reader r = rd_reader(bytes.data, bytes.size);
    *count = bytes.size / 18;
    struct jobq_edge *edges = jobq_arena_alloc(arena, *count * sizeof *edges);
    if (!edges)
        return -1;
    for (size_t i = 0; i < *count; i++) {
        memcpy(&edges[i].id, rd_get_raw(&r, sizeof edges[i].id), sizeof edges[i].id);
        edges[i].rule = rd_get_u8(&r);
        edges[i].state = rd_get_u8(&r);
    }
    *out = edges;
    return 0;
}

static int by_parent(const void *a, const void *b)
{
    return memcmp(&((const struct jobq_item_edge *)a)->parent, &((const struct jobq_item_edge *)b)->parent,
                  sizeof(struct jobq_id));
}

/* 18 bytes each: parent, rule, open. */
static int read_item_edges(struct jobq_bytes bytes, struct jobq_arena *arena, struct jobq_item_row *item)
{
    struct reader r = rd_reader(bytes.data, bytes.size);
    item->edge_count = bytes.size / 18;
    struct jobq_item_edge *edges = jobq_arena_alloc(arena, item->edge_count * sizeof *edges);
    if (!edges)
        return -1;
    for (size_t i = 0; i < item->edge_count; i++) {
        memcpy(&edges[i].parent, rd_get_raw(&r, sizeof edges[i].parent), sizeof edges[i].parent);
        edges[i].rule = rd_get_u8(&r);
        edges[i].open = rd_get_u8(&r);
    }
    if (item->edge_count)
        qsort(edges, item->edge_count, sizeof *edges, by_parent);
    item->edges = edges;
    return 0;
}

static int read_extras(struct strings *s, unsigned info, unsigned more, struct jobq_arena *arena, struct jobq_item_row *item)
{
    struct jobq_row *out = &item->row;
    if (info & INFO_PROGRESS)
        out->progress = rd_next_bytes(s);
    if (info & INFO_BULK)
        out->payload = rd_next_bytes(s);
    if (info & INFO_DATA)
        out->data = rd_next_bytes(s);
    if (info & INFO_RESULT)
        out->result = rd_next_bytes(s);
    if (info & INFO_ERRORS && read_entries(rd_next_string(s), arena, &out->errors, &out->error_count) != 0)
        return -1;
    if (info & INFO_PARENTS && read_edges(rd_next_bytes(s), arena, &out->parents, &out->parent_count) != 0)
        return -1;
    if (info & INFO_EDGES && read_item_edges(rd_next_bytes(s), arena, item) != 0)
        return -1;
    if (info & INFO_CHILDREN && read_edges(rd_next_bytes(s), arena, &out->children, &out->child_count) != 0)
        return -1;
    if (more & MORE_LOG && read_entries(rd_next_string(s), arena, &out->log, &out->log_count) != 0)
        return -1;
    return 0;
}

static int read_view(struct strings *s, struct jobq_arena *arena, uint32_t asked, struct jobq_item_row *item,
                     struct jobq_bytes *cold)
{
    struct reader head = rd_next_string(s);
    unsigned info = rd_get_u8(&head), more = rd_get_u8(&head);
    struct jobq_bytes id = rd_next_bytes(s), hot;
    struct jobq_row *out = &item->row;
    *cold = rd_next_bytes(s);
    hot = rd_next_bytes(s);
    bool broken = s->broken || head.broken;
    memset(item, 0, sizeof *item);
    if (!broken && !id.size)
        return 0;
    if (broken || id.size != sizeof out->id)
        return -1;
    memcpy(&out->id, id.data, sizeof out->id);
    read_cold(*cold, item, &broken);
    if (hot.size)
        read_hot(hot, item, &broken);
    else
        out->state = JOBQ_ROW_WAITING;
    out->due = out->state == JOBQ_ROW_WAITING && more & MORE_DUE;
    if (!(asked & JOBQ_READ_PAYLOAD))
        out->payload = (struct jobq_bytes){ 0 };
    if (broken || read_extras(s, info, more, arena, item) != 0 || s->broken)
        return -1;
    return copy_bytes(arena, out) == 0 ? 1 : -1;
}

int rd_row_view(struct strings *s, struct jobq_arena *arena, uint32_t asked, struct jobq_row *out)
{
    struct jobq_item_row item;
    struct jobq_bytes cold;
    int given = read_view(s, arena, asked, &item, &cold);
    *out = item.row;
    return given;
}

int rd_row_item(struct strings *s, struct jobq_arena *arena, struct jobq_item_row *out, uint8_t arrival[8])
{
    struct jobq_bytes cold;
    int given = read_view(s, arena, READ_ALL, out, &cold);
    if (given > 0)
        memcpy(arrival, (const uint8_t *)cold.data + 9, 8);
    return given;
}

int rd_row_fresh(struct strings *s, struct jobq_bytes hot, struct jobq_arena *arena, struct jobq_row *out)
{
    struct jobq_bytes id = rd_next_bytes(s), cold = rd_next_bytes(s);
    bool broken = s->broken || id.size != sizeof out->id;
    struct jobq_item_row item = { 0 };
    *out = item.row;
    if (broken)
        return -1;
    read_cold(cold, &item, &broken);
    read_hot(hot, &item, &broken);
    *out = item.row;
    memcpy(&out->id, id.data, sizeof out->id);
    return !broken && copy_bytes(arena, out) == 0 ? 1 : -1;
}
