/* SPDX-License-Identifier: MIT */
#include "points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS 3600000
#define MANY 16

const struct jobq_backend *operations_backend;
const char *operations_uri;

/* ---- preparing ------------------------------------------------------------------------------------------------- */

static int mint(struct scene *s, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++)
        if (jobq_id_new(&s->ids[i]) != JOBQ_OK)
            return JOBQ_FAILED;
    return JOBQ_OK;
}

static int put(struct jobq *q, const struct scene *s, size_t at)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = s->queue, .id = &s->ids[at] };
    return jobq_enqueue(q, &spec, NULL);
}

static int claim(struct jobq *q, struct scene *s, size_t limit)
{
    const char *const queues[] = { s->queue };
    const struct jobq_claim_options want = { .size = sizeof want, .queues = queues, .queue_count = 1, .limit = limit,
                                             .lease_ms = LEASE_MS };
    struct jobq_jobs *jobs;
    int rc = jobq_claim(q, &want, &jobs);
    if (rc != JOBQ_OK)
        return rc;
    if (jobs->count)
        s->token = jobs->jobs[0].token;
    jobq_jobs_free(jobs);
    return JOBQ_OK;
}

static int prepare_one(struct jobq *q, struct scene *s)
{
    return mint(s, 0, SCENE_JOBS) == JOBQ_OK ? put(q, s, 0) : JOBQ_FAILED;
}

static int prepare_ids(struct jobq *q, struct scene *s)
{
    (void)q;
    return mint(s, 0, SCENE_JOBS);
}

static int prepare_three(struct jobq *q, struct scene *s)
{
    int rc = prepare_one(q, s);
    for (size_t i = 1; i < 3 && rc == JOBQ_OK; i++)
        rc = put(q, s, i);
    return rc;
}

static int prepare_held(struct jobq *q, struct scene *s)
{
    int rc = prepare_one(q, s);
    return rc == JOBQ_OK ? claim(q, s, 1) : rc;
}

static int prepare_lost(struct jobq *q, struct scene *s)
{
    int rc = prepare_held(q, s);
    return rc == JOBQ_OK ? jobq_clock_advance(q, LEASE_MS + 1) : rc;
}

/* ---- acting ------------------------------------------------------------------------------------------------------- */

static int act_put(struct jobq *q, struct scene *s)
{
    return put(q, s, 0);
}

static int act_keyed(struct jobq *q, struct scene *s)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = s->queue, .id = &s->ids[0], .key = { s->queue, strlen(s->queue) } };
    return jobq_enqueue(q, &spec, NULL);
}

static int act_many(struct jobq *q, struct scene *s)
{
    struct jobq_spec specs[5];
    struct jobq_enqueued out[5];
    for (size_t i = 0; i < 5; i++) {
        specs[i] = (struct jobq_spec){ .size = sizeof specs[i], .queue = s->queue, .id = &s->ids[i] };
        out[i] = (struct jobq_enqueued){ .size = sizeof out[i] };
    }
    return jobq_enqueue_many(q, specs, 5, out);
}

static int act_child(struct jobq *q, struct scene *s)
{
    const struct jobq_parent parent = { .id = s->ids[0] };
    const struct jobq_spec spec = { .size = sizeof spec, .queue = s->queue, .id = &s->ids[1], .parents = &parent, .parent_count = 1 };
    return jobq_enqueue(q, &spec, NULL);
}

static int act_claim(struct jobq *q, struct scene *s)
{
    return claim(q, s, 3);
}

static int act_ack(struct jobq *q, struct scene *s)
{
    return jobq_ack(q, &s->ids[0], &s->token, "done", 4);
}

static int act_ack_then(struct jobq *q, struct scene *s)
{
    struct jobq_spec specs[2];
    struct jobq_enqueued out[2];
    for (size_t i = 0; i < 2; i++) {
        specs[i] = (struct jobq_spec){ .size = sizeof specs[i], .queue = s->queue, .id = &s->ids[i + 1] };
        out[i] = (struct jobq_enqueued){ .size = sizeof out[i] };
    }
    return jobq_ack_then(q, &s->ids[0], &s->token, "done", 4, specs, 2, out);
}

static int fail(struct jobq *q, struct scene *s, int permanent)
{
    const struct jobq_failure failure = { .size = sizeof failure, .text = { "no", 2 }, .permanent = permanent };
    return jobq_fail(q, &s->ids[0], &s->token, &failure);
}

static int act_fail(struct jobq *q, struct scene *s)
{
    return fail(q, s, 0);
}

static int act_give_up(struct jobq *q, struct scene *s)
{
    return fail(q, s, 1);
}

static int act_release(struct jobq *q, struct scene *s)
{
    return jobq_release(q, &s->ids[0], &s->token);
}

static int act_snooze(struct jobq *q, struct scene *s)
{
    return jobq_snooze(q, &s->ids[0], &s->token, 1000);
}

static int act_extend(struct jobq *q, struct scene *s)
{
    return jobq_extend(q, &s->ids[0], &s->token, LEASE_MS, NULL);
}

static int act_progress(struct jobq *q, struct scene *s)
{
    return jobq_progress(q, &s->ids[0], &s->token, "half", 4);
}

static int act_sweep(struct jobq *q, struct scene *s)
{
    (void)s;
    return jobq_sweep(q, 100, NULL);
}

static int act_cancel(struct jobq *q, struct scene *s)
{
    return jobq_cancel(q, &s->ids[0], 0);
}

static int prepare_dead(struct jobq *q, struct scene *s)
{
    int rc = prepare_held(q, s);
    return rc == JOBQ_OK ? act_give_up(q, s) : rc;
}

static int act_redrive(struct jobq *q, struct scene *s)
{
    return jobq_redrive(q, &s->ids[0]);
}

static int prepare_done(struct jobq *q, struct scene *s)
{
    int rc = prepare_held(q, s);
    return rc == JOBQ_OK ? act_ack(q, s) : rc;
}

static int act_drop(struct jobq *q, struct scene *s)
{
    return jobq_drop(q, &s->ids[0]);
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

/* A store object of this process, opened before the first point counts, and open as long as the process lives. */
static struct jobq_store *store_of_ours(void)
{
    static struct jobq_store *store;
    const struct jobq_store_options options = { .size = sizeof options, .uri = operations_uri, .io_timeout_ms = 10000 };
    struct jobq_error err = { 0 };
    if (!store && operations_backend->open(&store, &options, &err) != JOBQ_OK)
        store = NULL;
    return store;
}

/* Plain acks of ids[from] and those behind it in one exchange, and retention that leaves `keep` (negative: all). */
static int end_many(const struct scene *s, size_t from, size_t count, int64_t keep)
{
    struct jobq_change changes[SCENE_JOBS];
    struct jobq_exchange x = { .size = sizeof x, .changes = changes, .change_count = count, .trim.limit = keep < 0 ? 0 : 100 };
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct jobq_change){ .id = s->ids[from + i], .by = JOBQ_BY_TOKEN, .token = s->token,
                                           .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                           .state = JOBQ_ROW_COMPLETED, .set = JOBQ_SET_RESULT };
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = keep;
    struct jobq_error err = { 0 };
    struct jobq_store *store = store_of_ours();
    struct jobq_arena *arena = jobq_arena_create();
    int rc = arena && store ? operations_backend->exchange(store, &x, arena, &err) : JOBQ_FAILED;
    jobq_arena_destroy(arena);
    for (size_t i = 0; i < count && rc == JOBQ_OK; i++)
        if (changes[i].verdict != JOBQ_OK && changes[i].verdict != JOBQ_ALREADY)
            rc = changes[i].verdict;
    return rc;
}

static int prepare_many(struct jobq *q, struct scene *s)
{
    struct jobq_spec specs[MANY];
    struct jobq_enqueued out[MANY];
    if (mint(s, 0, SCENE_JOBS) != JOBQ_OK)
        return JOBQ_FAILED;
    for (size_t i = 0; i < MANY; i++) {
        specs[i] = (struct jobq_spec){ .size = sizeof specs[i], .queue = s->queue, .id = &s->ids[i] };
        out[i] = (struct jobq_enqueued){ .size = sizeof out[i] };
    }
    return jobq_enqueue_many(q, specs, MANY, out);
}

static int act_claim_many(struct jobq *q, struct scene *s)
{
    return claim(q, s, MANY);
}

static int prepare_many_held(struct jobq *q, struct scene *s)
{
    int rc = store_of_ours() ? prepare_many(q, s) : JOBQ_FAILED;
    return rc == JOBQ_OK ? claim(q, s, MANY) : rc;
}

static int act_end_nine(struct jobq *q, struct scene *s)
{
    (void)q;
    return end_many(s, 0, 9, -1);
}

static int prepare_seven_left(struct jobq *q, struct scene *s)
{
    int rc = prepare_many_held(q, s);
    return rc == JOBQ_OK ? end_many(s, 7, 9, -1) : rc;
}

static int act_end_seven(struct jobq *q, struct scene *s)
{
    (void)q;
    return end_many(s, 0, 7, -1);
}

/* The last one takes six of those that ended before it along. */
static int prepare_one_left(struct jobq *q, struct scene *s)
{
    int rc = prepare_many_held(q, s);
    return rc == JOBQ_OK ? end_many(s, 0, MANY - 1, -1) : rc;
}

static int act_end_and_trim(struct jobq *q, struct scene *s)
{
    (void)q;
    return end_many(s, MANY - 1, 1, 10);
}

static int prepare_many_lost(struct jobq *q, struct scene *s)
{
    int rc = prepare_many_held(q, s);
    return rc == JOBQ_OK ? jobq_clock_advance(q, LEASE_MS + 1) : rc;
}

/* One of many that run: it goes its own way. */
static int act_cancel_one(struct jobq *q, struct scene *s)
{
    return jobq_cancel(q, &s->ids[0], JOBQ_CANCEL_HARD);
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static int act_limit(struct jobq *q, struct scene *s)
{
    const struct jobq_limit limit = { .size = sizeof limit, .of = JOBQ_LIMIT_QUEUE, .set = JOBQ_LIMIT_CONCURRENCY, .name = s->queue,
                                      .concurrency = 3 };
    return jobq_limit_set(q, &limit);
}

static int act_pause(struct jobq *q, struct scene *s)
{
    return jobq_pause(q, s->queue);
}

static void after_pause(struct jobq *q, const struct scene *s)
{
    if (jobq_resume(q, s->queue) != JOBQ_OK)
        abort();
}

static int act_schedule(struct jobq *q, struct scene *s)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = s->queue };
    const struct jobq_schedule every = { .size = sizeof every, .name = s->queue, .every_ms = HOUR_MS, .spec = &spec };
    return jobq_schedule_add(q, &every);
}

static void after_schedule(struct jobq *q, const struct scene *s)
{
    int rc = jobq_schedule_remove(q, s->queue);
    if (rc != JOBQ_OK)
        abort();
}

static int prepare_tick(struct jobq *q, struct scene *s)
{
    int rc = act_schedule(q, s);
    return rc == JOBQ_OK ? jobq_clock_advance(q, HOUR_MS + 1000) : rc;
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

const struct operation operations[] = {
    { .name = "enqueue", .prepare = prepare_ids, .act = act_put, .puts = 1 },
    { .name = "enqueue-keyed", .prepare = prepare_ids, .act = act_keyed, .puts = 1 },
    { .name = "enqueue-many", .prepare = prepare_ids, .act = act_many, .puts = 5 },
    { .name = "enqueue-child", .prepare = prepare_one, .act = act_child, .prepared = 1, .puts = 1 },
    { .name = "claim", .prepare = prepare_three, .act = act_claim, .prepared = 3 },
    { .name = "ack", .prepare = prepare_held, .act = act_ack, .prepared = 1 },
    { .name = "ack-then", .prepare = prepare_held, .act = act_ack_then, .prepared = 1, .puts = 2 },
    { .name = "fail", .prepare = prepare_held, .act = act_fail, .prepared = 1 },
    { .name = "give-up", .prepare = prepare_held, .act = act_give_up, .prepared = 1, .ends = JOBQ_DEAD },
    { .name = "release", .prepare = prepare_held, .act = act_release, .prepared = 1 },
    { .name = "snooze", .prepare = prepare_held, .act = act_snooze, .prepared = 1 },
    { .name = "extend", .prepare = prepare_held, .act = act_extend, .prepared = 1 },
    { .name = "progress", .prepare = prepare_held, .act = act_progress, .prepared = 1 },
    { .name = "sweep", .prepare = prepare_lost, .act = act_sweep, .prepared = 1 },
    { .name = "cancel", .prepare = prepare_one, .act = act_cancel, .prepared = 1, .ends = JOBQ_CANCELLED },
    { .name = "redrive", .prepare = prepare_dead, .act = act_redrive, .prepared = 1, .or_else = JOBQ_STATE },
    { .name = "drop", .prepare = prepare_done, .act = act_drop, .prepared = 1, .ends = ENDS_GONE, .or_else = JOBQ_NOT_FOUND },
    { .name = "claim-many", .prepare = prepare_many, .act = act_claim_many, .prepared = MANY, .together = MANY },
    { .name = "ack-9-of-16", .prepare = prepare_many_held, .act = act_end_nine, .prepared = MANY, .together = 9 },
    { .name = "ack-the-other-7", .prepare = prepare_seven_left, .act = act_end_seven, .prepared = MANY, .together = 7 },
    { .name = "ack-and-trim", .prepare = prepare_one_left, .act = act_end_and_trim, .prepared = MANY, .ends = ENDS_GONE, .ending = 5,
      .together = 6 },
    { .name = "sweep-many", .prepare = prepare_many_lost, .act = act_sweep, .prepared = MANY },
    { .name = "cancel-one-of-many", .prepare = prepare_many_held, .act = act_cancel_one, .prepared = MANY, .ends = JOBQ_CANCELLED,
      .or_else = JOBQ_STATE },
    { .name = "limit", .prepare = prepare_one, .act = act_limit, .prepared = 1 },
    { .name = "pause", .prepare = prepare_one, .act = act_pause, .after = after_pause, .prepared = 1 },
    { .name = "schedule", .act = act_schedule, .after = after_schedule },
    { .name = "tick", .prepare = prepare_tick, .act = act_sweep, .after = after_schedule, .fires = 1 },
    { .name = "open", .opens = true },
    { .name = "make", .opens = true, .makes = true },
};
const size_t operation_count = sizeof operations / sizeof *operations;

const struct operation *operation_find(const char *name)
{
    for (size_t i = 0; i < operation_count; i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    fprintf(stderr, "no operation '%s'\n", name);
    exit(2);
}
