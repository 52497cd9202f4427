/* SPDX-License-Identifier: MIT */
/* The lanes of a handle to a store that serves several exchanges at once: contract.md, "Concurrent callers", holds for each of
 * them. The store here is a script. */
#include "unit.h"

#include <poll.h>
#include <string.h>

#define STORES 4
/* For callers who wait for others that a busy machine is slow to start. */
#define PATIENT_MS 3600000

struct jobq_store {
    int exchanges, reads;
    bool held; /* exchanges stay inside */
    uint8_t client[16];
    uint64_t number;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct jobq_store stores[STORES];
    int opened, closed, refuse_open;
    uint32_t flags;      /* of the newest open */
    int inside; /* exchanges under way */
    int answer;          /* JOBQ_OK or UNKNOWN */
    int released;
    const struct jobq_store *released_by;
    size_t puts[8]; /* of each exchange, in the order in which they began */
    int begun;
} world;

static int fake_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    int rc = JOBQ_OK;

    pthread_mutex_lock(&world.lock);
    world.flags = options->flags;
    if (world.refuse_open && world.opened)
        rc = jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "no more connections");
    else
        *out = &world.stores[world.opened];
    world.opened++;
    pthread_mutex_unlock(&world.lock);
    return rc;
}

static void fake_close(struct jobq_store *s)
{
    (void)s;
    world.closed++;
}

static void wait_for_leave(struct jobq_store *s, const struct jobq_exchange *x)
{
    pthread_mutex_lock(&world.lock);
    if (world.begun < 8)
        world.puts[world.begun] = x->put_count;
    world.begun++;
    world.inside++;
    s->exchanges++;
    memcpy(s->client, x->client, sizeof s->client);
    ck_assert_uint_ge(x->number, s->number); /* of each lane by itself; the same for a repeat */
    s->number = x->number;
    pthread_cond_broadcast(&world.changed);
    while (s->held)
        pthread_cond_wait(&world.changed, &world.lock);
    world.inside--;
    pthread_mutex_unlock(&world.lock);
}

static int fake_exchange(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    (void)arena;
    if (x->beat_count && x->beats[0].flags & JOBQ_BEAT_MINT) {
        world.released++;
        world.released_by = s;
    } else {
        wait_for_leave(s, x);
    }
    for (size_t i = 0; i < x->put_count; i++) {
        x->puts[i].verdict = JOBQ_OK;
        x->puts[i].holder = x->puts[i].id;
        x->puts[i].shown = JOBQ_READY;
    }
    x->now_ms = 1000;
    x->want_unit = JOBQ_SKIPPED;
    if (x->want && world.answer == JOBQ_UNKNOWN) {
        x->failure = JOBQ_FAILURE_TRANSIENT;
        return x->unit = jobq_error_set(err, JOBQ_UNKNOWN, NULL, "no answer");
    }
    if (x->want)
        x->want_unit = JOBQ_OK;
    return x->unit = JOBQ_OK;
}

static int fake_read(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    (void)arena;
    (void)err;
    s->reads++;
    query->row_count = 0;
    return JOBQ_OK;
}

static int fake_stats(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out,
                      struct jobq_arena *arena, struct jobq_error *err)
{
    (void)s;
    (void)queue;
    (void)out;
    (void)arena;
    (void)err;
    return JOBQ_OK;
}

static int fake_configure(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err)
{
    (void)s;
    (void)settings;
    (void)err;
    return JOBQ_OK;
}

static struct jobq *open_fake(uint32_t capabilities, uint32_t connections)
{
    static struct jobq_backend fake;
    struct jobq_options o = {
        .size = sizeof o, .io_timeout_ms = 200, .call_timeout_ms = PATIENT_MS, .connections = connections
    };
    struct jobq *q;

    fake = (struct jobq_backend){ .size = sizeof fake, .name = "fake", .capabilities = capabilities, .open = fake_open,
                                  .close = fake_close, .exchange = fake_exchange, .read = fake_read,
                                  .stats = fake_stats, .configure = fake_configure };
    memset(&world, 0, sizeof world);
    pthread_mutex_init(&world.lock, NULL);
    pthread_cond_init(&world.changed, NULL);
    ck_assert_int_eq(jobq_open(&q, &fake, "fake:", &o), JOBQ_OK);
    return q;
}

static void hold(int store, bool held)
{
    pthread_mutex_lock(&world.lock);
    world.stores[store].held = held;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

static void hold_all(bool held)
{
    for (int i = 0; i < STORES; i++)
        hold(i, held);
}

static void until_inside(int count)
{
    pthread_mutex_lock(&world.lock);
    while (world.inside < count)
        pthread_cond_wait(&world.changed, &world.lock);
    pthread_mutex_unlock(&world.lock);
}

/* ---- callers ------------------------------------------------------------------------------------------------------ */

struct caller {
    pthread_t thread;
    struct jobq *q;
    int rc;
};

static int put(struct jobq *q)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "q" };

    return jobq_enqueue(q, &spec, NULL);
}

static void *put_one(void *user)
{
    struct caller *c = user;

    c->rc = put(c->q);
    return NULL;
}

static void start(struct caller *c, struct jobq *q)
{
    *c = (struct caller){ .q = q };
    ck_assert_int_eq(pthread_create(&c->thread, NULL, put_one, c), 0);
}

static void finish(struct caller *callers, int count)
{
    hold_all(false);
    for (int i = 0; i < count; i++) {
        pthread_join(callers[i].thread, NULL);
        ck_assert_int_eq(callers[i].rc, JOBQ_OK);
    }
}

static void until_waiting(struct jobq *q, size_t count)
{
    for (size_t seen = count + 1; seen != count; poll(NULL, 0, 1)) {
        pthread_mutex_lock(&q->lock);
        seen = q->waiting;
        pthread_mutex_unlock(&q->lock);
    }
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

START_TEST(calls_that_meet_open_another_lane)
{
    struct jobq *q = open_fake(JOBQ_CAP_PARALLEL, 0);
    struct caller callers[2];

    ck_assert_int_eq(put(q), JOBQ_OK);
    ck_assert_int_eq(world.opened, 1); /* one caller needs one connection */
    hold_all(true);
    start(&callers[0], q);
    start(&callers[1], q);
    until_inside(2);
    ck_assert_int_eq(world.opened, 2);
    ck_assert_uint_eq(world.flags, JOBQ_OPEN_NO_CREATE);
    ck_assert_mem_ne(world.stores[0].client, world.stores[1].client, 16); /* receipts of its own */
    finish(callers, 2);
    jobq_close(q);
    ck_assert_int_eq(world.closed, 2);
}
END_TEST

START_TEST(no_more_lanes_than_asked_for)
{
    struct jobq *q = open_fake(JOBQ_CAP_PARALLEL, 3);
    struct caller callers[5];

    ck_assert_int_eq(put(q), JOBQ_OK);
    hold_all(true);
    for (int i = 0; i < 5; i++) {
        start(&callers[i], q);
        if (i < 3)
            until_inside(i + 1);
    }
    until_waiting(q, 2);
    ck_assert_int_eq(world.inside, 3);
    finish(callers, 5);
    jobq_close(q);
    ck_assert_int_eq(world.closed, 3);
}
END_TEST

START_TEST(one_connection_where_one_is_asked_for_or_the_store_gains_nothing)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct jobq *q = open_fake(i ? JOBQ_CAP_PARALLEL : 0, i ? 1 : 4);
        struct caller callers[2];
        ck_assert_int_eq(put(q), JOBQ_OK);
        hold_all(true);
        start(&callers[0], q);
        until_inside(1);
        start(&callers[1], q);
        until_waiting(q, 1);
        finish(callers, 2);
        ck_assert_int_eq(world.opened, 1);
        jobq_close(q);
    }
}
END_TEST

START_TEST(the_option_has_a_range)
{
    struct jobq_options o = { .size = sizeof o, .connections = 9 };
    struct jobq *q = open_fake(0, 8);

    jobq_close(q);
    const struct jobq_backend *none = NULL;
    ck_assert_int_eq(jobq_open(&q, none, "fake:", &o), JOBQ_INVALID);
    static struct jobq_backend fake;
    fake = (struct jobq_backend){ .size = sizeof fake, .name = "fake", .open = fake_open, .close = fake_close,
                                  .exchange = fake_exchange, .read = fake_read, .stats = fake_stats,
                                  .configure = fake_configure };
    ck_assert_int_eq(jobq_open(&q, &fake, "fake:", &o), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "connections");
    o.connections = 0;
    o.reserved = 1;
    ck_assert_int_eq(jobq_open(&q, &fake, "fake:", &o), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "reserved");
}
END_TEST

/* Many who wait are dealt out evenly: not one large exchange beside a row of small ones. */
START_TEST(each_lane_takes_its_share)
{
    struct jobq *q = open_fake(JOBQ_CAP_PARALLEL, 2);
    struct caller callers[18];

    ck_assert_int_eq(put(q), JOBQ_OK);
    hold_all(true);
    start(&callers[0], q);
    start(&callers[1], q);
    until_inside(2);
    for (int i = 2; i < 18; i++)
        start(&callers[i], q);
    until_waiting(q, 16);
    hold(0, false);
    until_waiting(q, 0); /* the first lane goes on by itself: of 17 it takes 9, of the 8 that are left 4, and so on */
    ck_assert_uint_eq(world.puts[3], 9);
    ck_assert_uint_eq(world.puts[4], 4);
    finish(callers, 18);
    jobq_close(q);
}
END_TEST

/* What cannot be opened hurts nobody: the first lane serves all, and there is no second try at once. */
START_TEST(a_lane_that_cannot_be_opened)
{
    struct jobq *q = open_fake(JOBQ_CAP_PARALLEL, 2);
    struct caller callers[4];

    ck_assert_int_eq(put(q), JOBQ_OK);
    world.refuse_open = 1;
    hold_all(true);
    start(&callers[0], q);
    until_inside(1);
    for (int i = 1; i < 4; i++)
        start(&callers[i], q);
    until_waiting(q, 3);
    finish(callers, 4);
    ck_assert_int_eq(world.opened, 2);
    ck_assert_int_eq(world.stores[1].exchanges, 0);
    jobq_close(q);
    ck_assert_int_eq(world.closed, 1);
}
END_TEST

START_TEST(a_reader_waits_for_the_first_lane_only)
{
    struct jobq *q = open_fake(JOBQ_CAP_PARALLEL, 2);
    struct caller callers[2];
    struct jobq_jobs *jobs;

    ck_assert_int_eq(put(q), JOBQ_OK);
    hold_all(true);
    start(&callers[0], q);
    start(&callers[1], q);
    until_inside(2);
    hold(0, false);
    ck_assert_int_eq(jobq_list(q, NULL, &jobs), JOBQ_OK); /* while the other one is still inside */
    ck_assert_int_eq(world.inside, 1);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(world.stores[0].reads, 1);
    ck_assert_int_eq(world.stores[1].reads, 0);
    finish(callers, 2);
    jobq_close(q);
}
END_TEST

static void *claim_one(void *user)
{
    struct caller *c = user;
    const char *queue = "q";
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .flags = JOBQ_NO_SWEEP };
    struct jobq_jobs *jobs;

    c->rc = jobq_claim(c->q, &o, &jobs);
    return NULL;
}

/* S16: what a claim that was given up may hold goes back with the next call, whichever lane it was. */
START_TEST(a_given_up_claim_of_another_lane_is_released_first_thing)
{
    struct jobq *q = open_fake(JOBQ_CAP_PARALLEL, 2);
    struct caller callers[2];

    ck_assert_int_eq(put(q), JOBQ_OK);
    world.answer = JOBQ_UNKNOWN;
    hold_all(true);
    start(&callers[0], q);
    until_inside(1);
    callers[1] = (struct caller){ .q = q };
    ck_assert_int_eq(pthread_create(&callers[1].thread, NULL, claim_one, &callers[1]), 0);
    until_inside(2);
    hold_all(false);
    pthread_join(callers[0].thread, NULL);
    pthread_join(callers[1].thread, NULL);
    ck_assert_int_eq(callers[1].rc, JOBQ_UNKNOWN);
    ck_assert_int_eq(world.released, 0);
    ck_assert_int_eq(put(q), JOBQ_OK);
    ck_assert_int_eq(world.released, 1);
    ck_assert_ptr_eq(world.released_by, &world.stores[1]);
    jobq_close(q);
}
END_TEST

UNIT_MAIN("lanes", calls_that_meet_open_another_lane, no_more_lanes_than_asked_for,
          one_connection_where_one_is_asked_for_or_the_store_gains_nothing, the_option_has_a_range, each_lane_takes_its_share,
          a_lane_that_cannot_be_opened, a_reader_waits_for_the_first_lane_only,
          a_given_up_claim_of_another_lane_is_released_first_thing)
