/* SPDX-License-Identifier: MIT */
/* Statistics: one call of the script, and what the server says of itself. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

struct tally {
    struct jobq_store *s;
    struct jobq_arena *arena;
    struct jobq_stats *out;
};

enum what { WHAT_ONE, WHAT_ALL };

static int no_memory(struct jobq_store *s)
{
    return rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
}

static const char *text_of(const struct tally *t, struct jobq_bytes bytes)
{
    return jobq_arena_text(t->arena, bytes.data ? bytes.data : "", bytes.size);
}

/* ---- queues and kinds ------------------------------------------------------------------------------------------ */

/* Whole names: what the statistics show ends at a NUL, and the order is that of all bytes. */
struct named {
    struct jobq_bytes name;
    struct jobq_queue_stats q;
};

static int read_queue(const struct tally *t, struct strings *strings, struct named *out)
{
    out->name = rd_next_bytes(strings);
    struct reader r = rd_next_string(strings);
    struct jobq_queue_stats *q = &out->q;
    *q = (struct jobq_queue_stats){ .queue = text_of(t, out->name) };
    static const int shown[] = { JOBQ_BLOCKED, JOBQ_READY, JOBQ_RUNNING, JOBQ_COMPLETED, JOBQ_DEAD, JOBQ_CANCELLED };
    for (int i = 0; i < 6; i++)
        q->present[shown[i]] = rd_get_u48(&r);
    q->enqueued_total = rd_get_u48(&r);
    q->completed_total = rd_get_u48(&r);
    q->dead_total = rd_get_u48(&r);
    q->cancelled_total = rd_get_u48(&r);
    q->failed_total = rd_get_u48(&r);
    q->completed_trimmed = rd_get_u48(&r);
    q->dead_trimmed = rd_get_u48(&r);
    q->cancelled_trimmed = rd_get_u48(&r);
    q->present[JOBQ_SCHEDULED] = rd_get_u48(&r);
    q->stuck = rd_get_u48(&r);
    q->paused = rd_get_u8(&r);
    q->at_least = rd_get_u8(&r);
    q->oldest_ready_at_ms = rd_get_i64(&r);
    rd_figures_read(rd_next_bytes(strings), t->out->now_ms, q);
    if (r.broken || strings->broken)
        return rd_broken(t->s);
    return q->queue ? 0 : no_memory(t->s);
}

static int by_name(const void *a, const void *b)
{
    return rd_bytes_order(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int read_queues(const struct tally *t, struct strings *strings, size_t count)
{
    struct named *named = jobq_arena_alloc(t->arena, count * sizeof *named);
    struct jobq_queue_stats *queues = jobq_arena_alloc(t->arena, count * sizeof *queues);
    if (!named || !queues)
        return no_memory(t->s);
    for (size_t i = 0; i < count; i++)
        if (read_queue(t, strings, &named[i]) != 0)
            return -1;
    if (count)
        qsort(named, count, sizeof *named, by_name);
    for (size_t i = 0; i < count; i++)
        queues[i] = named[i].q;
    t->out->queues = queues;
    t->out->queue_count = count;
    return 0;
}

static int read_kinds(const struct tally *t, struct strings *strings, size_t count)
{
    struct jobq_kind_stats *kinds = jobq_arena_alloc(t->arena, count * sizeof *kinds);
    if (!kinds)
        return no_memory(t->s);
    for (size_t i = 0; i < count; i++) {
        struct jobq_bytes queue = rd_next_bytes(strings), kind = rd_next_bytes(strings);
        struct reader r = rd_next_string(strings);
        kinds[i] = (struct jobq_kind_stats){ .queue = text_of(t, queue), .kind = text_of(t, kind),
                                             .ready = rd_get_u32(&r) };
        if (r.broken || strings->broken)
            return rd_broken(t->s);
        if (!kinds[i].queue || !kinds[i].kind)
            return no_memory(t->s);
    }
    t->out->kinds = kinds;
    t->out->kind_count = count;
    return 0;
}

/* ---- workers ------------------------------------------------------------------------------------------------------ */

static struct jobq_bytes short_bytes(struct reader *r)
{
    return rd_get_bytes(r, rd_get_u16(r));
}

static int read_worker(const struct tally *t, struct strings *strings, struct jobq_worker_stats *w)
{
    struct reader field = rd_next_string(strings), r = rd_next_string(strings);
    *w = (struct jobq_worker_stats){ .name = text_of(t, short_bytes(&field)) };
    w->seen_at_ms = rd_get_i64(&r);
    w->stop_asked = rd_get_u8(&r);
    w->lease_ms = rd_get_i64(&r);
    w->pid = rd_get_i64(&r);
    w->started_at_ms = rd_get_i64(&r);
    w->capacity = (int32_t)rd_get_u32(&r);
    w->running = (int32_t)rd_get_u32(&r);
    w->host = text_of(t, short_bytes(&r));
    w->queues = text_of(t, short_bytes(&r));
    w->kinds = text_of(t, short_bytes(&r));
    if (r.broken || field.broken)
        return rd_broken(t->s);
    return w->name && w->host && w->queues && w->kinds ? 0 : no_memory(t->s);
}

static int by_worker(const void *a, const void *b)
{
    const struct jobq_worker_stats *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->started_at_ms > y->started_at_ms) - (x->started_at_ms < y->started_at_ms);
}

static int read_workers(const struct tally *t, struct strings *strings, size_t count)
{
    struct jobq_worker_stats *workers = jobq_arena_alloc(t->arena, count * sizeof *workers);
    if (!workers)
        return no_memory(t->s);
    for (size_t i = 0; i < count; i++)
        if (read_worker(t, strings, &workers[i]) != 0)
            return -1;
    if (count)
        qsort(workers, count, sizeof *workers, by_worker);
    t->out->workers = workers;
    t->out->worker_count = count;
    return 0;
}

/* ---- the script ----------------------------------------------------------------------------------------------------- */

static int ask(const struct tally *t, const struct jobq_bytes *queue, redisReply **out)
{
    const uint8_t what = queue->data ? WHAT_ONE : WHAT_ALL;
    rd_script_begin(t->s);
    rd_argument(&t->s->request, &what, 1);
    rd_argument(&t->s->request, queue->data, queue->size);
    return rd_script_run(t->s, SCRIPT_STATS, out);
}

static int fill_counts(const struct tally *t, const struct jobq_bytes *queue)
{
    redisReply *reply;
    if (ask(t, queue, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    struct reader head = rd_next_string(&strings);
    t->out->now_ms = rd_get_i64(&head);
    size_t queues = rd_get_u32(&head), kinds = rd_get_u32(&head), workers = rd_get_u32(&head);
    int result = head.broken || queues + kinds + workers > strings.count ? rd_broken(t->s) : 0;
    if (result == 0 && (read_queues(t, &strings, queues) != 0 || read_kinds(t, &strings, kinds) != 0 ||
                        read_workers(t, &strings, workers) != 0))
        result = -1;
    freeReplyObject(reply);
    return result;
}

/* ---- other namespaces --------------------------------------------------------------------------------------------------- */

static int by_space(const void *a, const void *b)
{
    return strcmp(((const struct jobq_namespace_stats *)a)->name, ((const struct jobq_namespace_stats *)b)->name);
}

static int read_names(const struct tally *t, struct strings *strings)
{
    size_t count = strings->count / 2;
    struct jobq_namespace_stats *spaces = jobq_arena_alloc(t->arena, count * sizeof *spaces);
    if (!spaces)
        return no_memory(t->s);
    for (size_t i = 0; i < count; i++) {
        struct jobq_bytes name = rd_next_bytes(strings), workers = rd_next_bytes(strings);
        const char *number = text_of(t, workers);
        spaces[i].name = text_of(t, name);
        if (!number || !spaces[i].name)
            return no_memory(t->s);
        spaces[i].workers = strtoull(number, NULL, 10);
    }
    if (count)
        qsort(spaces, count, sizeof *spaces, by_space);
    t->out->namespaces = spaces;
    t->out->namespace_count = count;
    return strings->broken ? rd_broken(t->s) : 0;
}

static int fill_namespaces(const struct tally *t)
{
    redisReply *reply;
    rd_script_begin(t->s);
    rd_argument(&t->s->request, NAMESPACES, strlen(NAMESPACES));
    if (rd_script_run(t->s, SCRIPT_SPACES, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    int result = read_names(t, &strings);
    freeReplyObject(reply);
    return result;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------------- */

static int fill_identity(const struct tally *t)
{
    struct jobq_stats *out = t->out;
    const struct jobq_store *s = t->s;
    char durability[300];
    if (rd_link_ready(&t->s->link) != 0 || rd_server_durability(t->s, durability, sizeof durability) != 0)
        return -1;
    out->engine = jobq_arena_text(t->arena, s->engine, strlen(s->engine));
    out->address = jobq_arena_text(t->arena, s->address.shown, strlen(s->address.shown));
    out->name_space = jobq_arena_text(t->arena, s->address.name_space, strlen(s->address.name_space));
    out->durability = jobq_arena_text(t->arena, durability, strlen(durability));
    memcpy(out->store_id, s->store_id, sizeof out->store_id);
    out->schema_version = s->version;
    out->schema_known = SCHEMA_VERSION;
    out->log_bytes = -1;
    return out->engine && out->address && out->name_space && out->durability ? 0 : no_memory(t->s);
}

int rd_stats_fill(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out, struct jobq_arena *arena,
                  struct jobq_error *err)
{
    struct tally t = { .s = s, .arena = arena, .out = out };
    out->kind_count = out->worker_count = out->namespace_count = out->queue_count = 0;
    rd_link_begin(&s->link);
    int result = fill_identity(&t);
    if (result == 0 && s->version == SCHEMA_VERSION) /* of another version only who it is can be told */
        result = fill_counts(&t, queue) != 0 || fill_namespaces(&t) != 0 ? -1 : 0;
    if (result == 0)
        return JOBQ_OK;
    rd_fault_report(&s->link, err);
    if (err)
        err->status = JOBQ_FAILED;
    return JOBQ_FAILED;
}
