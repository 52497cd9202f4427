/* SPDX-License-Identifier: MIT */
/* Schedules: rows that are looked at by time and compared by tick. What their bytes mean is not known here. */
#include "memory.h"

#include <string.h>

#define SCHEDULE_OF(node, member) mem_of(node, struct mem_schedule, member)

/* ---- in their trees ------------------------------------------------------------------------------------------ */

static int order_name(const struct mem_node *a, const struct mem_node *b)
{
    return mem_bytes_order(SCHEDULE_OF(a, by_name)->name, SCHEDULE_OF(b, by_name)->name);
}

static int order_next(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_schedule *x = SCHEDULE_OF(a, by_next), *y = SCHEDULE_OF(b, by_next);
    int order = (x->c.next_ms > y->c.next_ms) - (x->c.next_ms < y->c.next_ms);
    return order ? order : mem_bytes_order(x->name, y->name);
}

static void link_schedule(struct mem *m, void *object)
{
    struct mem_schedule *s = object;
    mem_tree_add(&m->schedules, &s->by_name);
    if (!s->c.paused)
        mem_tree_add(&m->ticks, &s->by_next);
}

static void unlink_schedule(struct mem *m, void *object)
{
    struct mem_schedule *s = object;
    if (!s->c.paused)
        mem_tree_remove(&m->ticks, &s->by_next);
    mem_tree_remove(&m->schedules, &s->by_name);
}

static const struct mem_type schedule_type = {
    .link = link_schedule,
    .unlink = unlink_schedule,
    .cells = offsetof(struct mem_schedule, c),
    .cells_bytes = sizeof(struct mem_schedule_cells),
};

static struct mem_schedule *find(const struct mem *m, struct jobq_bytes name)
{
    struct mem_schedule key = { .name = name };
    struct mem_schedule *s = SCHEDULE_OF(mem_tree_from(&m->schedules, &key.by_name), by_name);
    return s && mem_bytes_order(s->name, name) == 0 ? s : NULL;
}

static struct mem_schedule *by_name_next(const struct mem *m, struct jobq_bytes after)
{
    struct mem_schedule key = { .name = after };
    struct mem_node *node = after.data ? mem_tree_after(&m->schedules, &key.by_name) : mem_tree_first(&m->schedules);
    return SCHEDULE_OF(node, by_name);
}

int64_t mem_next_tick(const struct mem *m)
{
    const struct mem_schedule *s = SCHEDULE_OF(mem_tree_first(&m->ticks), by_next);
    return s ? s->c.next_ms : INT64_MAX;
}

int64_t mem_next_tick_after(const struct mem *m, int64_t now)
{
    struct mem_schedule key = { .c.next_ms = jobq_add_ms(now, 1) }; /* no name: the first of that instant */
    const struct mem_schedule *s = SCHEDULE_OF(mem_tree_from(&m->ticks, &key.by_next), by_next);
    return s ? s->c.next_ms : INT64_MAX;
}

/* ---- the tick of a put -------------------------------------------------------------------------------------- */

static int move(struct mem_unit *u, struct mem_schedule *s, const struct jobq_put_tick *tick)
{
    if (mem_edit(u, s) != 0)
        return -1;
    if (tick->mode != JOBQ_TICK_DEFER)
        s->c.fired_ms = tick->nominal_ms;
    s->c.next_ms = tick->next_ms;
    mem_done(u, s);
    u->wake = true;
    return 0;
}

int mem_tick_guard(struct mem_unit *u, const struct jobq_put_tick *tick, int32_t *verdict)
{
    struct mem_schedule *s = find(u->m, tick->schedule);
    *verdict = JOBQ_STALE;
    if (!s || s->c.version != tick->version || s->c.paused)
        return 0;
    *verdict = JOBQ_ALREADY;
    if (tick->nominal_ms <= s->c.fired_ms)
        return 0;
    *verdict = JOBQ_OK;
    return tick->mode == JOBQ_TICK_PUT ? 0 : move(u, s, tick);
}

int mem_tick_settle(struct mem_unit *u, const struct jobq_put_tick *tick)
{
    return move(u, find(u->m, tick->schedule), tick);
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

static int view(struct jobq_arena *arena, const struct mem_schedule *s, struct jobq_schedule_row *out)
{
    *out = (struct jobq_schedule_row){ .version = s->c.version, .fired_ms = s->c.fired_ms, .next_ms = s->c.next_ms,
                                       .paused = s->c.paused };
    return jobq_arena_bytes(arena, s->name.data, s->name.size, &out->name) != 0
               ? -1
               : jobq_arena_bytes(arena, s->c.bytes.data, s->c.bytes.size, &out->bytes);
}

int mem_ticks_due(struct mem_unit *u, struct jobq_want *want)
{
    struct jobq_schedule_row *rows = jobq_arena_alloc(u->arena, JOBQ_SCHEDULES_AT_ONCE * sizeof *rows);
    const struct mem_schedule *s = SCHEDULE_OF(mem_tree_first(&u->m->ticks), by_next);
    if (!rows)
        return -1;
    want->schedules = rows;
    want->schedule_now_ms = u->now;
    for (; s && s->c.next_ms <= u->now && want->schedule_count < JOBQ_SCHEDULES_AT_ONCE;
         s = SCHEDULE_OF(mem_tree_after(&u->m->ticks, &s->by_next), by_next))
        if (view(u->arena, s, &rows[want->schedule_count++]) != 0)
            return -1;
    return 0;
}

static size_t count_schedules(const struct mem *m)
{
    size_t count = 0;
    for (const struct mem_schedule *s = by_name_next(m, (struct jobq_bytes){ 0 }); s; s = by_name_next(m, s->name))
        count++;
    return count;
}

int mem_read_schedules(const struct mem *m, struct jobq_schedule_query *query, struct jobq_arena *arena)
{
    size_t stored = count_schedules(m), bytes = 0;
    size_t most = query->name.data ? 1 : query->limit < stored ? query->limit : stored;
    struct jobq_schedule_row *rows = jobq_arena_alloc(arena, most * sizeof *rows);
    if (!rows)
        return -1;
    const struct mem_schedule *s = query->name.data ? find(m, query->name) : by_name_next(m, query->after);
    query->rows = rows;
    query->row_count = 0;
    for (; s && query->row_count < most; s = by_name_next(m, s->name)) {
        bytes += s->c.bytes.size;
        if (query->row_count && query->bytes && bytes > query->bytes)
            break;
        if (view(arena, s, &rows[query->row_count++]) != 0)
            return -1;
    }
    return 0;
}

/* ---- settings ------------------------------------------------------------------------------------------------- */

static int drop(struct mem_unit *u, struct mem_schedule *s)
{
    if (mem_drop(u, s) != 0)
        return -1;
    mem_free(u, s->name.data);
    mem_free(u, s->c.bytes.data);
    return JOBQ_OK;
}

static struct mem_schedule *create(struct mem_unit *u, struct jobq_bytes name)
{
    struct mem_schedule *s = mem_alloc(u, sizeof *s);
    if (!s || mem_copy_bytes(u, name, &s->name) != 0)
        return NULL;
    s->object.type = &schedule_type;
    return mem_add(u, s) == 0 ? s : NULL;
}

static int set(struct mem_unit *u, struct mem_schedule *s, const struct jobq_settings *settings)
{
    if (mem_edit(u, s) != 0)
        return -1;
    if (settings->set & JOBQ_SETTING_SCHEDULE) {
        if (mem_set_bytes(u, &s->c.bytes, settings->schedule) != 0)
            return -1;
        s->c.version++;
    }
    if (settings->set & JOBQ_SETTING_PAUSED)
        s->c.paused = settings->paused != 0;
    if (settings->set & JOBQ_SETTING_NEXT) {
        s->c.next_ms = settings->next_ms;
        if (settings->fired_ms > s->c.fired_ms)
            s->c.fired_ms = settings->fired_ms;
    }
    mem_done(u, s);
    u->wake = true;
    return JOBQ_OK;
}

int mem_configure_schedule(struct mem_unit *u, const struct jobq_settings *settings)
{
    struct mem_schedule *s = find(u->m, settings->name);
    bool defines = (settings->set & JOBQ_SETTING_SCHEDULE) && settings->schedule.data;
    bool removes = (settings->set & JOBQ_SETTING_SCHEDULE) && !settings->schedule.data;
    if (settings->version != JOBQ_ANY_VERSION && settings->version != (s ? s->c.version : 0))
        return JOBQ_OUTDATED;
    if (!s && !defines)
        return JOBQ_NOT_FOUND;
    if (removes)
        return drop(u, s);
    if (!s && !(s = create(u, settings->name)))
        return -1;
    return set(u, s, settings);
}

int mem_schedule_load(struct mem_unit *u, const struct jobq_schedule_row *row)
{
    struct mem_schedule *s = find(u->m, row->name);
    if (s)
        return JOBQ_ALREADY;
    s = create(u, row->name);
    if (!s || mem_edit(u, s) != 0 || mem_set_bytes(u, &s->c.bytes, row->bytes) != 0)
        return -1;
    s->c.version = row->version;
    s->c.fired_ms = row->fired_ms;
    s->c.next_ms = row->next_ms;
    s->c.paused = row->paused != 0;
    mem_done(u, s);
    u->wake = true;
    return JOBQ_OK;
}

/* ---- begin and end of a store ------------------------------------------------------------------------------------ */

void mem_schedules_init(struct mem *m)
{
    m->schedules.order = order_name;
    m->ticks.order = order_next;
}

void mem_schedules_free(struct mem *m)
{
    for (struct mem_schedule *s; (s = SCHEDULE_OF(mem_tree_first(&m->schedules), by_name)) != NULL;) {
        unlink_schedule(m, s);
        mem_free_now(s->name.data);
        mem_free_now(s->c.bytes.data);
        mem_free_now(s);
    }
}
