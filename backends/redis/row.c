/* SPDX-License-Identifier: MIT */
/* A row's two strings, made and read. lua/row.lua has the layout; here is the client's half of it. */
#include "store.h"

#include <string.h>

enum part { PART_RUN_AT = 1, PART_EXPIRES = 2, PART_WINDOW = 4 };
enum mask {
    MASK_RANK = 1, MASK_TIMEOUT = 2, MASK_KEY = 4, MASK_PAYLOAD = 8, MASK_BULK = 16, MASK_PRIORITY = 32, MASK_GROUP = 64,
    MASK_POLICY = 128, MASK_KEY_BYTES = 256, MASK_TRACE = 512
};
enum flag {
    F_CANCEL = 1, F_HELD = 2, F_ALONE = 4, F_RAN_ALONE = 8, F_RESUMED = 16, F_USED = 32, F_DIGEST = 32768,
    F_OWN_TIMES = 131072
};
enum info { INFO_PROGRESS = 1, INFO_BULK = 2, INFO_DATA = 4, INFO_RESULT = 8, INFO_ERRORS = 16, INFO_PARENTS = 32,
            INFO_CHILDREN = 64 };

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

/* ---- read ------------------------------------------------------------------------------------------------------- */

static struct jobq_bytes read_long(struct reader *r, unsigned mask, unsigned bit)
{
    return mask & bit ? rd_get_bytes(r, rd_get_u32(r)) : (struct jobq_bytes){ 0 };
}

/* Bytes point into the answer until copy_bytes. */
static unsigned read_cold(struct jobq_bytes cold, struct jobq_row *out, bool *broken)
{
    struct reader r = rd_reader(cold.data, cold.size);
    unsigned parts = rd_get_u8(&r);
    out->created_at_ms = out->run_at_ms = rd_get_i64(&r);
    rd_get_raw(&r, 8); /* arrival */
    if (parts & PART_RUN_AT)
        out->run_at_ms = rd_get_i64(&r);
    if (parts & PART_EXPIRES)
        out->expires_at_ms = rd_get_i64(&r);
    if (parts & PART_WINDOW)
        rd_get_raw(&r, 8);
    unsigned mask = rd_get_u16(&r);
    out->payload_bytes = rd_get_u32(&r);
    out->queue = rd_get_bytes(&r, rd_get_u8(&r));
    out->kind = rd_get_bytes(&r, rd_get_u8(&r));
    if (mask & MASK_RANK)
        out->rank_add_ms = rd_get_i64(&r);
    if (mask & MASK_TIMEOUT)
        out->timeout_ms = rd_get_i64(&r);
    if (mask & MASK_KEY)
        rd_get_raw(&r, 65);
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

static void read_hot(struct jobq_bytes hot, struct jobq_row *out, bool *broken)
{
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
    size_t worker = rd_get_u16(&r);
    if (worker)
        out->worker = rd_get_bytes(&r, worker - 1);
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

static int read_errors(struct reader r, struct jobq_arena *arena, struct jobq_row *out)
{
    size_t count = rd_get_u8(&r);
    struct jobq_row_error *errors = jobq_arena_alloc(arena, count * sizeof *errors);
    if (!errors)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct jobq_row_error *e = &errors[i];
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
    out->errors = errors;
    out->error_count = count;
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

static int read_extras(struct strings *s, unsigned info, struct jobq_arena *arena, struct jobq_row *out)
{
    if (info & INFO_PROGRESS)
        out->progress = rd_next_bytes(s);
    if (info & INFO_BULK)
        out->payload = rd_next_bytes(s);
    if (info & INFO_DATA)
        out->data = rd_next_bytes(s);
    if (info & INFO_RESULT)
        out->result = rd_next_bytes(s);
    if (info & INFO_ERRORS && read_errors(rd_next_string(s), arena, out) != 0)
        return -1;
    if (info & INFO_PARENTS && read_edges(rd_next_bytes(s), arena, &out->parents, &out->parent_count) != 0)
        return -1;
    if (info & INFO_CHILDREN && read_edges(rd_next_bytes(s), arena, &out->children, &out->child_count) != 0)
        return -1;
    return 0;
}

int rd_row_view(struct strings *s, struct jobq_arena *arena, uint32_t asked, struct jobq_row *out)
{
    struct reader head = rd_next_string(s);
    unsigned info = rd_get_u8(&head), due = rd_get_u8(&head);
    struct jobq_bytes id = rd_next_bytes(s), cold = rd_next_bytes(s), hot = rd_next_bytes(s);
    bool broken = s->broken || head.broken;
    *out = (struct jobq_row){ 0 };
    if (!broken && !id.size)
        return 0;
    if (broken || id.size != sizeof out->id)
        return -1;
    memcpy(&out->id, id.data, sizeof out->id);
    read_cold(cold, out, &broken);
    if (hot.size)
        read_hot(hot, out, &broken);
    else
        out->state = JOBQ_ROW_WAITING;
    out->due = out->state == JOBQ_ROW_WAITING && due;
    if (!(asked & JOBQ_READ_PAYLOAD))
        out->payload = (struct jobq_bytes){ 0 };
    if (broken || read_extras(s, info, arena, out) != 0 || s->broken)
        return -1;
    return copy_bytes(arena, out) == 0 ? 1 : -1;
}

int rd_row_fresh(struct strings *s, struct jobq_bytes hot, struct jobq_arena *arena, struct jobq_row *out)
{
    struct jobq_bytes id = rd_next_bytes(s), cold = rd_next_bytes(s);
    bool broken = s->broken || id.size != sizeof out->id;
    *out = (struct jobq_row){ 0 };
    if (broken)
        return -1;
    memcpy(&out->id, id.data, sizeof out->id);
    read_cold(cold, out, &broken);
    read_hot(hot, out, &broken);
    return !broken && copy_bytes(arena, out) == 0 ? 1 : -1;
}
