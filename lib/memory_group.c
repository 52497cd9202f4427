/* SPDX-License-Identifier: MIT */
/* Groups: who has which limits, and how many more of them may start. Slots are counted by the rows that run. */
#include "memory.h"

/* ---- groups, plans, lanes --------------------------------------------------------------------------------- */

static int order_groups(const struct mem_node *a, const struct mem_node *b)
{
    return mem_bytes_order(mem_of(a, struct mem_group, by_name)->name, mem_of(b, struct mem_group, by_name)->name);
}

static int order_lanes(const struct mem_node *a, const struct mem_node *b)
{
    return mem_bytes_order(mem_of(a, struct mem_lane, by_group)->group->name,
                           mem_of(b, struct mem_lane, by_group)->group->name);
}

static int order_circle(const struct mem_node *a, const struct mem_node *b)
{
    return mem_bytes_order(mem_of(a, struct mem_lane, in_circle)->group->name,
                           mem_of(b, struct mem_lane, in_circle)->group->name);
}

static void enter_group(struct mem *m, void *object)
{
    struct mem_group *group = object;
    (void)m;
    mem_tree_add(group->tree, &group->by_name);
}

static void leave_group(struct mem *m, void *object)
{
    struct mem_group *group = object;
    (void)m;
    mem_tree_remove(group->tree, &group->by_name);
}

static const struct mem_type group_type = {
    .enter = enter_group,
    .leave = leave_group,
    .cells = offsetof(struct mem_group, c),
    .cells_bytes = sizeof(struct mem_group_cells),
};

static void enter_lane(struct mem *m, void *object)
{
    struct mem_lane *lane = object;
    (void)m;
    mem_tree_add(&lane->queue->lanes, &lane->by_group);
}

static void leave_lane(struct mem *m, void *object)
{
    struct mem_lane *lane = object;
    (void)m;
    mem_tree_remove(&lane->queue->lanes, &lane->by_group);
}

static const struct mem_type lane_type = { .enter = enter_lane, .leave = leave_lane };

struct mem_group *mem_group_find(const struct mem_tree *tree, struct jobq_bytes name)
{
    struct mem_group key = { .name = name };
    struct mem_group *group = mem_of(mem_tree_from(tree, &key.by_name), struct mem_group, by_name);
    return group && mem_bytes_order(group->name, name) == 0 ? group : NULL;
}

struct mem_group *mem_group_after(const struct mem_tree *tree, struct jobq_bytes name)
{
    struct mem_group key = { .name = name };
    struct mem_node *node = name.data ? mem_tree_after(tree, &key.by_name) : mem_tree_first(tree);
    return mem_of(node, struct mem_group, by_name);
}

struct mem_group *mem_group_get(struct mem_unit *u, struct mem_tree *tree, struct jobq_bytes name)
{
    struct mem_group *group = mem_group_find(tree, name);
    if (group)
        return group;
    group = mem_alloc(u, sizeof *group);
    if (!group || mem_copy_bytes(u, name, &group->name) != 0)
        return NULL;
    group->object.type = &group_type;
    group->tree = tree;
    group->c.own = (struct jobq_bounds)JOBQ_BOUNDS_UNSET;
    return mem_add(u, group) == 0 ? group : NULL;
}

static struct mem_lane *find_lane(const struct mem_queue *queue, struct jobq_bytes name)
{
    struct mem_group group = { .name = name };
    struct mem_lane key = { .group = &group };
    struct mem_lane *lane = mem_of(mem_tree_from(&queue->lanes, &key.by_group), struct mem_lane, by_group);
    return lane && mem_bytes_order(lane->group->name, name) == 0 ? lane : NULL;
}

struct mem_lane *mem_lane_get(struct mem_unit *u, struct mem_queue *queue, struct jobq_bytes name)
{
    struct mem_lane *lane = find_lane(queue, name);
    if (lane)
        return lane;
    lane = mem_alloc(u, sizeof *lane);
    if (!lane || !(lane->group = mem_group_get(u, &u->m->groups, name)))
        return NULL;
    lane->object.type = &lane_type;
    lane->queue = queue;
    lane->ready.order = queue->ready.order;
    return mem_add(u, lane) == 0 ? lane : NULL;
}

/* The first lane in the circle not less than (`after`: greater than) this group. NULL: none. */
struct mem_lane *mem_circle_from(const struct mem_queue *queue, struct jobq_bytes name, bool after)
{
    struct mem_group group = { .name = name };
    struct mem_lane key = { .group = &group };
    struct mem_node *node = after ? mem_tree_after(&queue->circle, &key.in_circle)
                                  : mem_tree_from(&queue->circle, &key.in_circle);
    return mem_of(node, struct mem_lane, in_circle);
}

/* ---- what holds -------------------------------------------------------------------------------------------- */

struct jobq_bounds mem_limits_of(const struct mem *m, const struct mem_group *group)
{
    struct jobq_bounds limits = group ? group->c.own : (struct jobq_bounds)JOBQ_BOUNDS_UNSET;
    const struct mem_group *plan = group && group->c.plan.size ? mem_group_find(&m->plans, group->c.plan) : NULL;
    const struct mem_group *every = mem_group_find(&m->groups, (struct jobq_bytes){ "", 0 });
    if (plan)
        jobq_bounds_fill(&limits, &plan->c.own);
    if (every)
        jobq_bounds_fill(&limits, &every->c.own);
    return limits;
}

bool mem_frees_slot(const struct mem *m, const struct mem_row *row)
{
    if (row->queue->c.concurrency >= 0)
        return true;
    return row->lane && (row->queue->c.group_concurrency >= 0 || mem_limits_of(m, row->lane->group).concurrency >= 0);
}

/* ---- room --------------------------------------------------------------------------------------------------- */

static int64_t at_most(int64_t room, int64_t limit, size_t used)
{
    if (limit < 0)
        return room;
    int64_t left = (uint64_t)limit > used ? limit - (int64_t)used : 0;
    return left < room ? left : room;
}

static int64_t rate_room(const struct mem_unit *u, int64_t room, const struct jobq_gauge *gauge, int64_t n,
                         int64_t period_ms, int64_t *rate_ms)
{
    if (n < 0 || room == 0)
        return room;
    int64_t left = n - jobq_gauge_used(gauge, period_ms, u->now);
    if (left > 0)
        return left < room ? left : room;
    int64_t wait = jobq_gauge_wait(gauge, n, period_ms, u->now);
    if (wait < *rate_ms)
        *rate_ms = wait;
    return 0;
}

int64_t mem_queue_room(const struct mem_unit *u, const struct mem_queue *queue, int64_t *rate_ms)
{
    const struct mem_queue_cells *c = &queue->c;
    int64_t room = at_most(INT64_MAX, c->concurrency, queue->count[JOBQ_ROW_RUNNING]);
    return rate_room(u, room, &c->starts, c->rate, c->rate_period_ms, rate_ms);
}

int64_t mem_lane_room(const struct mem_unit *u, const struct mem_lane *lane, int64_t *rate_ms)
{
    const struct mem_group *group = lane->group;
    struct jobq_bounds limits = mem_limits_of(u->m, group);
    int64_t room = at_most(INT64_MAX, lane->queue->c.group_concurrency, lane->running);
    room = at_most(room, limits.concurrency, group->running);
    return rate_room(u, room, &group->c.starts, limits.rate, limits.rate_period_ms, rate_ms);
}

int mem_count_starts(struct mem_unit *u, struct mem_queue *queue, struct mem_group *group, int64_t count)
{
    if (queue && count && queue->c.rate >= 0) {
        if (mem_edit(u, queue) != 0)
            return -1;
        jobq_gauge_add(&queue->c.starts, queue->c.rate_period_ms, u->now, count);
        mem_done(u, queue);
    }
    if (!group || !count)
        return 0;
    struct jobq_bounds limits = mem_limits_of(u->m, group);
    if (limits.rate < 0)
        return 0;
    if (mem_edit(u, group) != 0)
        return -1;
    jobq_gauge_add(&group->c.starts, limits.rate_period_ms, u->now, count);
    mem_done(u, group);
    return 0;
}

int64_t mem_quota_wait(const struct mem_unit *u, struct jobq_bytes name)
{
    static const struct jobq_gauge empty;
    if (!name.size)
        return 0;
    const struct mem_group *group = mem_group_find(&u->m->groups, name);
    struct jobq_bounds limits = mem_limits_of(u->m, group);
    if (limits.quota < 0)
        return 0;
    return jobq_gauge_wait(group ? &group->c.puts : &empty, limits.quota, limits.quota_period_ms, u->now);
}

int mem_count_put(struct mem_unit *u, struct jobq_bytes name)
{
    if (!name.size)
        return 0;
    struct mem_group *group = mem_group_find(&u->m->groups, name);
    struct jobq_bounds limits = mem_limits_of(u->m, group);
    if (!group || limits.quota < 0)
        return 0;
    if (mem_edit(u, group) != 0)
        return -1;
    jobq_gauge_add(&group->c.puts, limits.quota_period_ms, u->now, 1);
    mem_done(u, group);
    return 0;
}

/* ---- begin and end of a store ---------------------------------------------------------------------------------- */

void mem_groups_init(struct mem *m)
{
    m->groups.order = m->plans.order = order_groups;
}

static void free_groups(struct mem_tree *tree)
{
    for (struct mem_group *g; (g = mem_of(mem_tree_first(tree), struct mem_group, by_name)) != NULL;) {
        mem_tree_remove(tree, &g->by_name);
        mem_free_now(g->name.data);
        mem_free_now(g->c.plan.data);
        mem_free_now(g);
    }
}

void mem_groups_free(struct mem *m)
{
    free_groups(&m->groups);
    free_groups(&m->plans);
}

void mem_lanes_init(struct mem_queue *queue)
{
    queue->lanes.order = order_lanes;
    queue->circle.order = order_circle;
}

void mem_lanes_free(struct mem_queue *queue)
{
    for (struct mem_lane *lane; (lane = mem_of(mem_tree_first(&queue->lanes), struct mem_lane, by_group)) != NULL;) {
        mem_tree_remove(&queue->lanes, &lane->by_group);
        mem_free_now(lane);
    }
}
