/* SPDX-License-Identifier: MIT */
/* Groups: their rows in a queue, which limits they have, and how many more of them may start. What is looked up for a group
 * is kept until the end of the exchange. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define HAS_PERHAPS 2 /* what lane_next says of a lane where something may wait before the front */

static const struct jobq_bytes every_group = { "", 0 };

/* ---- lanes ------------------------------------------------------------------------------------------------- */

int sq_lane_make(struct turn *t, int64_t queue, struct jobq_bytes tenant, struct lane_mark *out)
{
    struct jobq_store *s = t->s;
    sqlite3_stmt *row = sq_start(s, SQL_LANE_FIND, VALUES(bytes(tenant), number(queue)));
    int found = sq_step(s, row);
    *out = (struct lane_mark){ .place = INT64_MIN };
    if (found > 0) {
        *out = (struct lane_mark){ .id = sqlite3_column_int64(row, 0), .ready = sqlite3_column_int(row, 1) != 0,
                                   .place = sqlite3_column_int64(row, 2), .n = sqlite3_column_int64(row, 3) };
        sqlite3_reset(row);
    }
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (sq_run(s, SQL_LANE_ADD, VALUES(bytes(tenant), number(queue))) != 0)
        return -1;
    out->id = sqlite3_last_insert_rowid(s->db);
    struct queue *slot = sq_queue_loaded(t, queue);
    if (!slot || slot->now.grouped)
        return slot ? 0 : -1;
    slot->now.grouped = true;
    s->grouped_epoch = 0;
    return sq_run(s, SQL_QUEUE_GROUPED, VALUES(number(queue)));
}

int sq_lane_ready(struct turn *t, int64_t lane, int64_t place, int64_t n)
{
    return sq_run(t->s, SQL_LANE_READY, VALUES(number(lane), number(place), number(n)));
}

int sq_lane_meets(struct turn *t, const struct lane_mark *mark, int64_t place, int64_t n)
{
    bool before = place < mark->place || (place == mark->place && n <= mark->n);
    return mark->ready && !before ? 0 : sq_lane_ready(t, mark->id, place, n);
}

static int run_lanes(struct turn *t, struct runs *runs, int64_t by)
{
    for (size_t i = 0; i < runs->count; i++)
        if (sq_run(t->s, SQL_LANE_RUN,
                   VALUES(number(runs->items[i].first), number(runs->items[i].last), number(by))) != 0)
            return -1;
    runs->count = 0;
    return 0;
}

int sq_lanes_write(struct turn *t)
{
    return run_lanes(t, &t->s->lanes_up, 1) != 0 ? -1 : run_lanes(t, &t->s->lanes_down, -1);
}

/* Groups are numbered as they come, and their rows mostly come, and are taken, in turn: lanes that follow each other
 * are written by one statement. */
int sq_lane_run(struct turn *t, int64_t lane, int64_t by)
{
    struct runs *runs = by > 0 ? &t->s->lanes_up : &t->s->lanes_down;
    if (!lane || !by)
        return 0;
    if ((by == 1 || by == -1) && !sq_runs_have(runs, lane))
        return sq_runs_add(t->s, runs, lane);
    return sq_run(t->s, SQL_LANE_RUN, VALUES(number(lane), number(lane), number(by)));
}

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool is_sorted(const int64_t *lanes, size_t count)
{
    size_t i = 1;
    while (i < count && lanes[i - 1] <= lanes[i])
        i++;
    return i >= count;
}

static size_t same_from(const int64_t *lanes, size_t count, size_t i)
{
    size_t same = 1;
    while (i + same < count && lanes[i + same] == lanes[i])
        same++;
    return same;
}

/* As above, by one statement as far as their numbers follow each other and each has as many rows. */
int sq_lanes_take(struct turn *t, const struct batch *b, int64_t *lanes, size_t count)
{
    if (!is_sorted(lanes, count))
        qsort(lanes, count, sizeof *lanes, by_number);
    for (size_t i = 0, next; i < count; i = next) {
        size_t rows = same_from(lanes, count, i);
        int64_t last = lanes[i];
        for (next = i + rows; next < count && lanes[next] == last + 1 && same_from(lanes, count, next) == rows; next += rows)
            last++;
        if (sq_run(t->s, SQL_LANE_TAKE, VALUES(number(lanes[i]), number(last), number((int64_t)rows), number(b->rank),
                                               number(b->last))) != 0)
            return -1;
    }
    return 0;
}

/* Where one queue only has groups, what runs of a group runs there. 1, 0, -1. */
static int one_has_groups(struct jobq_store *s)
{
    if (s->grouped_epoch != s->epoch && sq_number(s, SQL_QUEUE_GROUPS, &s->grouped_queues, NULL, 0) < 0)
        return -1;
    s->grouped_epoch = s->epoch;
    return s->grouped_queues < 2;
}

static int read_lane(struct turn *t, sqlite3_stmt *row, int column, struct lane *out)
{
    struct jobq_bytes tenant = sq_column_bytes(row, column);
    out->running = sqlite3_column_int64(row, column + 1);
    out->everywhere = -1;
    return jobq_arena_bytes(t->arena, tenant.data, tenant.size, &out->tenant) == 0 ? 0 : sq_fault_memory(t->s);
}

int sq_lane_get(struct turn *t, int64_t id, struct lane *out)
{
    if (sq_lanes_write(t) != 0)
        return -1;
    sqlite3_stmt *row = sq_start(t->s, SQL_LANE_GET, VALUES(number(id)));
    int found = sq_step(t->s, row);
    if (found == 0)
        return sq_fault_text(t->s, SQLITE_CORRUPT, "lane number %lld does not exist", (long long)id);
    if (found < 0)
        return -1;
    out->id = id;
    int result = read_lane(t, row, 0, out);
    sqlite3_reset(row);
    return result;
}

/* Something may wait before the front of this lane: what waits there first, or else behind it? When nothing waits before it,
 * nobody looks again. 1, 0 nothing waits, -1. */
static int look_before(struct turn *t, int64_t id)
{
    int64_t front_place, front_n, early, place, n;
    sqlite3_stmt *row = sq_start(t->s, SQL_LANE_FRONT, VALUES(number(id)));
    int found = sq_step(t->s, row);
    if (found <= 0)
        return found;
    front_place = sqlite3_column_int64(row, 1);
    front_n = sqlite3_column_int64(row, 2);
    early = sqlite3_column_int64(row, 3);
    sqlite3_reset(row);
    found = sq_list_first(t->s, -id, &place, &n);
    if (found < 0)
        return -1;
    bool before = found && (place < front_place || (place == front_place && n <= front_n));
    if ((!before || place > early) &&
        sq_run(t->s, SQL_LANE_EARLY, VALUES(number(id), before ? number(place) : nothing())) != 0)
        return -1;
    return found;
}

static int leave_circle(struct turn *t, int64_t lane)
{
    return sq_run(t->s, SQL_LANE_EMPTY, VALUES(number(lane)));
}

/* Lanes that have run empty leave the circle here: each of them entered it once. */
int sq_lane_next(struct turn *t, int64_t queue, struct jobq_bytes from, bool after, struct lane *out)
{
    if (sq_lanes_write(t) != 0)
        return -1;
    for (;;) {
        sqlite3_stmt *row = sq_start(t->s, SQL_LANE_NEXT, VALUES(number(queue), bytes(from), number(after)));
        int found = sq_step(t->s, row);
        if (found <= 0)
            return found;
        out->id = sqlite3_column_int64(row, 0);
        int has_rows = sqlite3_column_int(row, 3);
        int result = read_lane(t, row, 1, out);
        sqlite3_reset(row);
        if (result == 0 && has_rows == HAS_PERHAPS)
            has_rows = look_before(t, out->id);
        if (result != 0 || has_rows)
            return result != 0 || has_rows < 0 ? -1 : 1;
        if (leave_circle(t, out->id) != 0)
            return -1;
    }
}

enum lane_column { LANE_ID = VIEW_DATA + 1, LANE_TENANT, LANE_RUNNING, LANE_EVERYWHERE, LANE_EARLY };

int sq_lane_walk(struct turn *t, int64_t queue, struct jobq_bytes from, bool after, sqlite3_stmt **out)
{
    int any = sq_limits_any(t->s);
    if (any < 0 || sq_lanes_write(t) != 0)
        return -1;
    bool counts = any && (t->s->limits_named || t->s->every.concurrency > 0);
    int one = counts ? one_has_groups(t->s) : 0;
    if (one < 0)
        return -1;
    *out = sq_start(t->s, SQL_LANE_ROWS, VALUES(number(queue), bytes(from), number(after), number(counts && !one)));
    return *out ? 0 : -1;
}

/* As above, those that have run empty leave the circle. */
int sq_lane_step(struct turn *t, sqlite3_stmt *walk, struct lane *out)
{
    int more;
    while ((more = sq_step(t->s, walk)) > 0) {
        int64_t id = sqlite3_column_int64(walk, LANE_ID);
        int has_rows = sqlite3_column_type(walk, ROW_N) != SQLITE_NULL;
        if (!has_rows && sqlite3_column_type(walk, LANE_EARLY) != SQLITE_NULL)
            has_rows = look_before(t, id);
        if (has_rows < 0 || (!has_rows && leave_circle(t, id) != 0))
            return -1;
        if (!has_rows)
            continue;
        if (read_lane(t, walk, LANE_TENANT, out) != 0)
            return -1;
        out->id = id;
        if (sqlite3_column_type(walk, LANE_EVERYWHERE) != SQLITE_NULL)
            out->everywhere = sqlite3_column_int64(walk, LANE_EVERYWHERE);
        return 1;
    }
    return more;
}

/* ---- what holds --------------------------------------------------------------------------------------------- */

static int64_t or_unset(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? JOBQ_LIMIT_UNSET : sqlite3_column_int64(row, column);
}

void sq_limits_read(sqlite3_stmt *row, struct jobq_bounds *out)
{
    out->concurrency = or_unset(row, 0);
    out->rate = or_unset(row, 1);
    out->rate_period_ms = sqlite3_column_int64(row, 2);
    out->quota = or_unset(row, 3);
    out->quota_period_ms = sqlite3_column_int64(row, 4);
}

int sq_limits_get(struct jobq_store *s, int of, struct jobq_bytes name, struct jobq_bounds *out, struct jobq_bytes *plan,
                  struct jobq_arena *arena)
{
    *out = (struct jobq_bounds)JOBQ_BOUNDS_UNSET;
    *plan = (struct jobq_bytes){ 0 };
    sqlite3_stmt *row = sq_start(s, SQL_LIMIT_GET, VALUES(number(of), bytes(name)));
    int found = sq_step(s, row);
    if (found <= 0)
        return found;
    sq_limits_read(row, out);
    struct jobq_bytes stored = sq_column_bytes(row, 5);
    int result = stored.data ? jobq_arena_bytes(arena, stored.data, stored.size, plan) : 0;
    sqlite3_reset(row);
    return result == 0 ? 1 : sq_fault_memory(s);
}

/* As long as nobody has a limit, and nobody else has written, this is all that limits cost. */
int sq_limits_any(struct jobq_store *s)
{
    struct jobq_bytes plan;
    int64_t names = 0;
    if (s->limits_epoch == s->epoch)
        return s->limits_any;
    int any = sq_number(s, SQL_LIMIT_ANY, &names, NULL, 0);
    if (any < 0 || sq_limits_get(s, JOBQ_LIMIT_GROUP, every_group, &s->every, &plan, NULL) < 0)
        return -1;
    s->limits_any = any;
    s->limits_named = names != 0;
    s->limits_epoch = s->epoch;
    return any;
}

int sq_limits_hold(struct jobq_store *s, struct jobq_bytes name, struct jobq_arena *arena, struct jobq_bounds *out)
{
    struct jobq_bounds of_plan;
    struct jobq_bytes plan, none;
    int any = sq_limits_any(s);
    if (any < 0 || sq_limits_get(s, JOBQ_LIMIT_GROUP, name, out, &plan, arena) < 0)
        return -1;
    if (plan.size && sq_limits_get(s, JOBQ_LIMIT_PLAN, plan, &of_plan, &none, arena) < 0)
        return -1;
    if (plan.size)
        jobq_bounds_fill(out, &of_plan);
    jobq_bounds_fill(out, &s->every);
    return 0;
}

/* Where groups of this name are, among TENANT_CHAINS chains: an exchange may meet hundreds of them. NULL: fault. */
static struct tenant **chain_of(struct turn *t, struct jobq_bytes name)
{
    uint32_t mark = 2166136261u;
    if (!t->tenants) {
        t->tenants = jobq_arena_alloc(t->arena, TENANT_CHAINS * sizeof *t->tenants);
        if (!t->tenants) {
            sq_fault_memory(t->s);
            return NULL;
        }
        memset(t->tenants, 0, TENANT_CHAINS * sizeof *t->tenants);
    }
    for (size_t i = 0; i < name.size; i++)
        mark = (mark ^ ((const uint8_t *)name.data)[i]) * 16777619u;
    return &t->tenants[mark % TENANT_CHAINS];
}

static struct tenant *tenant_of(struct turn *t, struct jobq_bytes name)
{
    struct tenant **chain = chain_of(t, name), *tenant;
    for (tenant = chain ? *chain : NULL; tenant; tenant = tenant->next)
        if (sq_bytes_order(tenant->name, name) == 0)
            return tenant;
    tenant = chain ? jobq_arena_alloc(t->arena, sizeof *tenant) : NULL;
    if (!tenant || jobq_arena_bytes(t->arena, name.data, name.size, &tenant->name) != 0) {
        sq_fault_memory(t->s);
        return NULL;
    }
    tenant->starts = tenant->puts = (struct meter){ .read = false };
    if (!t->s->limits_named)
        tenant->holds = t->s->every;
    else if (sq_limits_hold(t->s, name, t->arena, &tenant->holds) != 0)
        return NULL;
    tenant->next = *chain;
    return *chain = tenant;
}

/* After sq_limits_any. Where no group and no plan has limits of its own all groups have the same. NULL: fault. */
static const struct jobq_bounds *bounds_of(struct turn *t, struct jobq_bytes name)
{
    if (!t->s->limits_named)
        return &t->s->every;
    const struct tenant *tenant = tenant_of(t, name);
    return tenant ? &tenant->holds : NULL;
}

int sq_limits_write(struct turn *t)
{
    for (size_t i = 0; t->tenants && i < TENANT_CHAINS; i++)
        for (struct tenant *tenant = t->tenants[i]; tenant; tenant = tenant->next)
            if (sq_meter_write(t, GAUGE_STARTS, tenant->name, &tenant->starts) != 0 ||
                sq_meter_write(t, GAUGE_PUTS, tenant->name, &tenant->puts) != 0)
                return -1;
    return 0;
}

/* ---- room --------------------------------------------------------------------------------------------------- */

static int64_t at_most(int64_t room, int64_t limit, int64_t used)
{
    if (limit < 0)
        return room;
    int64_t left = limit > used ? limit - used : 0;
    return left < room ? left : room;
}

static int64_t rate_room(struct turn *t, int64_t room, const struct meter *m, int64_t n, int64_t period_ms)
{
    int64_t left = n - jobq_gauge_used(&m->gauge, period_ms, t->now);
    if (left > 0)
        return left < room ? left : room;
    int64_t wait = jobq_gauge_wait(&m->gauge, n, period_ms, t->now);
    if (wait < t->rate_ms)
        t->rate_ms = wait;
    return 0;
}

static int read_queue_starts(struct turn *t, struct queue *queue)
{
    struct jobq_bytes name;
    if (queue->starts.read)
        return 0;
    return sq_queue_text(t->s, queue->id, &name) != 0 ? -1
                                                      : sq_meter_read(t->s, GAUGE_QUEUE, name, &queue->starts);
}

int sq_queue_room(struct turn *t, struct queue *queue, int64_t *room)
{
    const struct queue_settings *own = &queue->now;
    *room = at_most(INT64_MAX, own->concurrency, sq_queue_rows(queue, COUNT_RUNNING));
    if (own->rate < 0 || !*room)
        return 0;
    if (read_queue_starts(t, queue) != 0)
        return -1;
    *room = rate_room(t, *room, &queue->starts, own->rate, own->rate_period_ms);
    return 0;
}

static int count_everywhere(struct turn *t, const struct lane *lane, int64_t *running)
{
    int one = one_has_groups(t->s);
    *running = lane->running;
    if (one != 0)
        return one < 0 ? -1 : 0;
    if (sq_lanes_write(t) != 0)
        return -1;
    return sq_number(t->s, SQL_LANE_RUNNING, running, VALUES(bytes(lane->tenant))) < 0 ? -1 : 0;
}

int sq_lane_room(struct turn *t, const struct queue *queue, const struct lane *lane, int64_t *room)
{
    int any = sq_limits_any(t->s);
    *room = at_most(INT64_MAX, queue->now.group_concurrency, lane->running);
    if (any <= 0)
        return any;
    const struct jobq_bounds *holds = bounds_of(t, lane->tenant);
    if (!holds)
        return -1;
    int64_t running = lane->everywhere;
    if (running < 0 && holds->concurrency > 0 && *room && count_everywhere(t, lane, &running) != 0)
        return -1;
    *room = at_most(*room, holds->concurrency, running < 0 ? 0 : running); /* not asked: for a limit of 0 */
    if (holds->rate < 0 || !*room)
        return 0;
    struct tenant *tenant = tenant_of(t, lane->tenant);
    if (!tenant || sq_meter_read(t->s, GAUGE_STARTS, lane->tenant, &tenant->starts) != 0)
        return -1;
    *room = rate_room(t, *room, &tenant->starts, holds->rate, holds->rate_period_ms);
    return 0;
}

int sq_starts_count(struct turn *t, struct queue *queue, const struct lane *lane, int64_t count)
{
    if (!count)
        return 0;
    if (queue->now.rate >= 0) {
        if (read_queue_starts(t, queue) != 0)
            return -1;
        sq_meter_count(&queue->starts, queue->now.rate_period_ms, t->now, count);
    }
    int any = lane ? sq_limits_any(t->s) : 0;
    if (any <= 0)
        return any;
    const struct jobq_bounds *holds = bounds_of(t, lane->tenant);
    if (!holds || holds->rate < 0)
        return holds ? 0 : -1;
    struct tenant *tenant = tenant_of(t, lane->tenant);
    if (!tenant || sq_meter_read(t->s, GAUGE_STARTS, lane->tenant, &tenant->starts) != 0)
        return -1;
    sq_meter_count(&tenant->starts, holds->rate_period_ms, t->now, count);
    return 0;
}

/* ---- the quota ------------------------------------------------------------------------------------------------ */

/* NULL in *out: there is none for this group. */
static int quota_of(struct turn *t, struct jobq_bytes group, struct tenant **out)
{
    *out = NULL;
    int any = group.size ? sq_limits_any(t->s) : 0;
    if (any <= 0)
        return any;
    const struct jobq_bounds *holds = bounds_of(t, group);
    if (!holds || holds->quota < 0)
        return holds ? 0 : -1;
    *out = tenant_of(t, group);
    return *out ? sq_meter_read(t->s, GAUGE_PUTS, group, &(*out)->puts) : -1;
}

int sq_quota_has(struct turn *t, struct jobq_bytes group, bool *has)
{
    struct tenant *tenant;
    int result = quota_of(t, group, &tenant);
    *has = tenant != NULL;
    return result;
}

int sq_quota_wait(struct turn *t, struct jobq_bytes group, int64_t *wait_ms)
{
    struct tenant *tenant;
    *wait_ms = 0;
    if (quota_of(t, group, &tenant) != 0)
        return -1;
    if (tenant)
        *wait_ms = jobq_gauge_wait(&tenant->puts.gauge, tenant->holds.quota, tenant->holds.quota_period_ms, t->now);
    return 0;
}

int sq_quota_count(struct turn *t, struct jobq_bytes group)
{
    struct tenant *tenant;
    if (quota_of(t, group, &tenant) != 0)
        return -1;
    if (tenant)
        sq_meter_count(&tenant->puts, tenant->holds.quota_period_ms, t->now, 1);
    return 0;
}

/* ---- a slot that is freed ---------------------------------------------------------------------------------------- */

static int group_waits(struct turn *t, int64_t id)
{
    struct lane lane;
    int any = sq_limits_any(t->s);
    if (any <= 0)
        return any;
    if (!t->s->limits_named)
        return t->s->every.concurrency >= 0;
    if (sq_lane_get(t, id, &lane) != 0)
        return -1;
    const struct jobq_bounds *holds = bounds_of(t, lane.tenant);
    return holds ? holds->concurrency >= 0 : -1;
}

int sq_slot_freed(struct turn *t, const struct job *job)
{
    const struct queue *queue = t->wake ? NULL : sq_queue_loaded(t, job->queue);
    if (t->wake)
        return 0;
    if (!queue)
        return -1;
    int waits = queue->now.concurrency >= 0 || (job->lane && queue->now.group_concurrency >= 0);
    if (!waits && job->lane)
        waits = group_waits(t, job->lane);
    t->wake |= waits > 0;
    return waits < 0 ? -1 : 0;
}
