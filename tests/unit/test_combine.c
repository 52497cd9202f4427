/* SPDX-License-Identifier: MIT */
/* combine: concurrent callers share exchanges, keep their own verdicts, and one bad item hurts nobody else
 * (contract.md, "Concurrent callers"; design "one bad item"). The store here is a script, not a store. */
#include "unit.h"

#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    sem_t entered, go; /* the test holds the store inside an exchange */
    int hold;
    int exchanges, items, most_items;
    int unknown;       /* answer UNKNOWN this many times */
    const char *poison; /* refuse an exchange with this payload in it */
    uint64_t last_number;
    int repeats;
    int failed_claims, released;
    int fail_transient;
} store;

static int fake_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    (void)options;
    (void)err;
    *out = (struct jobq_store *)&store;
    return JOBQ_OK;
}

static void fake_close(struct jobq_store *s)
{
    (void)s;
}

static int poisoned(const struct jobq_exchange *x)
{
    for (size_t i = 0; store.poison && i < x->put_count; i++)
        if (x->puts[i].payload.size == strlen(store.poison) &&
            memcmp(x->puts[i].payload.data, store.poison, x->puts[i].payload.size) == 0)
            return 1;
    for (size_t i = 0; store.poison && i < x->change_count; i++)
        if (x->changes[i].result.size == strlen(store.poison))
            return 1;
    return 0;
}

static void answer(struct jobq_exchange *x, struct jobq_arena *arena)
{
    for (size_t i = 0; i < x->put_count; i++) {
        x->puts[i].verdict = x->puts[i].only_if >= 0 && x->changes[x->puts[i].only_if].verdict != JOBQ_OK
                                 ? JOBQ_SKIPPED : JOBQ_OK;
        x->puts[i].holder = x->puts[i].id;
        x->puts[i].shown = JOBQ_READY;
    }
    if (x->want) {
        struct jobq_row *rows = jobq_arena_alloc(arena, x->want->limit * sizeof *rows);
        memset(rows, 0, x->want->limit * sizeof *rows);
        for (size_t i = 0; i < x->want->limit; i++) {
            rows[i].state = JOBQ_ROW_RUNNING;
            rows[i].id.bytes[15] = (uint8_t)(i + 1);
            rows[i].queue = rows[i].kind = (struct jobq_bytes){ "q", 1 };
        }
        x->want->rows = rows;
        x->want->row_count = x->want->limit;
    }
    x->unit = JOBQ_OK;
    x->want_unit = x->want ? JOBQ_OK : JOBQ_SKIPPED;
    x->now_ms = 1000;
}

static int fake_exchange(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    int items = (int)(x->put_count + x->change_count);

    (void)s;
    if (store.hold) {
        sem_post(&store.entered);
        sem_wait(&store.go);
    }
    store.exchanges++;
    store.repeats += x->number == store.last_number;
    store.last_number = x->number;
    store.items += items;
    store.most_items = items > store.most_items ? items : store.most_items;
    for (size_t i = 0; i < x->beat_count; i++)
        store.released += (x->beats[i].flags & JOBQ_BEAT_MINT) != 0;
    if (store.unknown && !(x->beat_count && x->beats[0].flags)) {
        store.unknown--;
        return x->unit = jobq_error_set(err, JOBQ_UNKNOWN, NULL, "lost");
    }
    if (store.fail_transient) {
        x->failure = JOBQ_FAILURE_TRANSIENT;
        return x->unit = jobq_error_set(err, JOBQ_FAILED, NULL, "not now");
    }
    if (poisoned(x)) {
        x->failure = JOBQ_FAILURE_REFUSED;
        return x->unit = jobq_error_set(err, JOBQ_FAILED, NULL, "refused");
    }
    answer(x, arena);
    return JOBQ_OK;
}

static int fake_read(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    (void)s;
    (void)arena;
    (void)err;
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

static const struct jobq_backend fake = {
    .size = sizeof fake, .name = "fake", .open = fake_open, .close = fake_close, .exchange = fake_exchange,
    .read = fake_read, .stats = fake_stats, .configure = fake_configure,
};

/* For callers who wait for others that a busy machine is slow to start. */
#define PATIENT_MS 3600000

static struct jobq *open_fake(int64_t call_timeout_ms)
{
    struct jobq_options o = { .size = sizeof o, .io_timeout_ms = 200, .call_timeout_ms = call_timeout_ms };
    struct jobq *q;

    memset(&store, 0, sizeof store);
    sem_init(&store.entered, 0, 0);
    sem_init(&store.go, 0, 0);
    ck_assert_int_eq(jobq_open(&q, &fake, "fake:", &o), JOBQ_OK);
    return q;
}

struct caller {
    pthread_t thread;
    struct jobq *q;
    const char *payload;
    int rc;
    struct jobq_enqueued out;
};

static void *enqueue_one(void *user)
{
    struct caller *c = user;
    struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .payload = { c->payload, strlen(c->payload) } };

    c->out.size = sizeof c->out;
    c->rc = jobq_enqueue(c->q, &spec, &c->out);
    return NULL;
}

static void start(struct caller *c, struct jobq *q, const char *payload)
{
    *c = (struct caller){ .q = q, .payload = payload };
    pthread_create(&c->thread, NULL, enqueue_one, c);
}

/* Wait until `n` calls stand in the handle's list. A look now and then: one who only looks keeps them from the lock. */
static void until_waiting(struct jobq *q, int n)
{
    for (int seen = -1; seen != n; poll(NULL, 0, 1)) {
        seen = 0;
        pthread_mutex_lock(&q->lock);
        for (struct call *c = q->first; c; c = c->next)
            seen++;
        pthread_mutex_unlock(&q->lock);
    }
}

/* One caller inside the store, n behind it. */
static void pile_up(struct jobq *q, struct caller *callers, int n, const char *odd)
{
    store.hold = 1;
    start(&callers[0], q, "first");
    sem_wait(&store.entered);
    for (int i = 1; i <= n; i++)
        start(&callers[i], q, i == n / 2 && odd ? odd : "x");
    until_waiting(q, n);
    store.hold = 0;
    sem_post(&store.go);
    for (int i = 0; i <= n; i++)
        pthread_join(callers[i].thread, NULL);
}

START_TEST(waiting_callers_share_one_exchange)
{
    struct jobq *q = open_fake(PATIENT_MS);
    struct caller callers[65];

    pile_up(q, callers, 64, NULL);
    ck_assert_int_eq(store.exchanges, 2);
    ck_assert_int_eq(store.most_items, 64);
    for (int i = 0; i < 65; i++)
        ck_assert_int_eq(callers[i].rc, JOBQ_OK);
    jobq_close(q);
}
END_TEST

START_TEST(only_the_guilty_caller_gets_the_error)
{
    struct jobq *q = open_fake(PATIENT_MS);
    struct caller callers[65];

    store.poison = "bad";
    pile_up(q, callers, 64, "bad");
    for (int i = 0; i < 65; i++)
        ck_assert_int_eq(callers[i].rc, i == 32 ? JOBQ_FAILED : JOBQ_OK);
    jobq_close(q);
}
END_TEST

START_TEST(unknown_is_repeated_under_the_same_number)
{
    struct jobq *q = open_fake(5000);
    struct caller c = { .q = q, .payload = "x" };

    store.unknown = 3;
    enqueue_one(&c);
    ck_assert_int_eq(c.rc, JOBQ_OK);
    ck_assert_int_eq(store.repeats, 3);
    jobq_close(q);
}
END_TEST

/* S16: the answer was lost, and then the server could not be reached. */
START_TEST(a_repeat_that_fails_leaves_the_outcome_unknown)
{
    struct jobq *q = open_fake(5000);
    struct caller c = { .q = q, .payload = "x" };

    store.unknown = 1;
    store.fail_transient = 1;
    enqueue_one(&c);
    ck_assert_int_eq(c.rc, JOBQ_UNKNOWN);
    ck_assert_int_ge(store.repeats, 2);
    jobq_close(q);
}
END_TEST

START_TEST(a_repeat_that_is_refused_leaves_the_outcome_unknown)
{
    struct jobq *q = open_fake(5000);
    struct caller c = { .q = q, .payload = "x" };

    store.unknown = 1;
    store.poison = "x";
    enqueue_one(&c);
    ck_assert_int_eq(c.rc, JOBQ_UNKNOWN);
    ck_assert_int_eq(store.repeats, 1);
    jobq_close(q);
}
END_TEST

START_TEST(unknown_to_the_end_tells_the_id_to_repeat_with)
{
    struct jobq *q = open_fake(5000);
    struct caller c = { .q = q, .payload = "x" };
    static const struct jobq_id none;

    store.unknown = 1000;
    enqueue_one(&c);
    ck_assert_int_eq(c.rc, JOBQ_UNKNOWN);
    ck_assert_mem_ne(&c.out.id, &none, sizeof none);
    jobq_close(q);
}
END_TEST

START_TEST(a_given_up_claim_is_released_first_thing)
{
    struct jobq *q = open_fake(5000);
    const char *queue = "q";
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .flags = JOBQ_NO_SWEEP };
    struct jobq_jobs *jobs;
    struct caller c = { .q = q, .payload = "x" };

    store.unknown = 1000;
    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_UNKNOWN);
    ck_assert_int_eq(store.released, 0);
    store.unknown = 0;
    enqueue_one(&c);
    enqueue_one(&c);
    ck_assert_int_eq(store.released, 1);
    jobq_close(q);
}
END_TEST

START_TEST(an_impatient_caller_leaves_alone)
{
    struct jobq *q = open_fake(30);
    struct caller first, second;

    store.hold = 1;
    start(&first, q, "first");
    sem_wait(&store.entered);
    start(&second, q, "late"); /* its 30 ms pass in the list: FAILED, certainly not sent */
    pthread_join(second.thread, NULL);
    ck_assert_int_eq(second.rc, JOBQ_FAILED);
    store.hold = 0;
    sem_post(&store.go);
    pthread_join(first.thread, NULL);
    ck_assert_int_eq(first.rc, JOBQ_OK); /* the leader stays to the end of its exchange */
    ck_assert_int_eq(store.items, 1);
    jobq_close(q);
}
END_TEST

START_TEST(a_caller_whose_exchange_was_sent_leaves_with_unknown)
{
    struct jobq *q = open_fake(30);
    struct caller first, second, third;

    store.hold = 1;
    start(&first, q, "first");
    sem_wait(&store.entered);
    pthread_mutex_lock(&q->lock);
    q->options.call_timeout_ms = PATIENT_MS; /* the next ones queue up patiently */
    pthread_mutex_unlock(&q->lock);
    start(&second, q, "leads");
    until_waiting(q, 1);
    q->options.call_timeout_ms = 1500; /* enough to get into the exchange on a busy machine */
    start(&third, q, "rides");
    until_waiting(q, 2);
    sem_post(&store.go);
    sem_wait(&store.entered); /* the second leads, the third rides and its time passes inside the exchange */
    pthread_join(first.thread, NULL);
    pthread_join(third.thread, NULL);
    ck_assert_int_eq(third.rc, JOBQ_UNKNOWN);
    store.hold = 0;
    sem_post(&store.go);
    pthread_join(second.thread, NULL);
    ck_assert_int_eq(second.rc, JOBQ_OK);
    ck_assert_int_eq(store.items, 3);
    jobq_close(q);
}
END_TEST

struct claimer {
    pthread_t thread;
    struct jobq *q;
    size_t limit, got;
    struct jobq_id first;
};

static void *claim_some(void *user)
{
    struct claimer *c = user;
    const char *queue = "q";
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .limit = c->limit,
                                    .flags = JOBQ_NO_SWEEP };
    struct jobq_jobs *jobs;

    if (jobq_claim(c->q, &o, &jobs) == JOBQ_OK) {
        c->got = jobs->count;
        c->first = jobs->jobs[0].id;
    }
    jobq_jobs_free(jobs);
    return NULL;
}

START_TEST(equal_claims_are_joined_and_the_rows_dealt_out)
{
    struct jobq *q = open_fake(PATIENT_MS);
    struct caller first;
    struct claimer a = { .q = q, .limit = 2 }, b = { .q = q, .limit = 3 };

    q->alone_at_ms = monotonic_ms(); /* no look for a row that must run alone in between */
    store.hold = 1;
    start(&first, q, "first");
    sem_wait(&store.entered);
    pthread_create(&a.thread, NULL, claim_some, &a);
    until_waiting(q, 1);
    pthread_create(&b.thread, NULL, claim_some, &b);
    until_waiting(q, 2);
    store.hold = 0;
    sem_post(&store.go);
    pthread_join(first.thread, NULL);
    pthread_join(a.thread, NULL);
    pthread_join(b.thread, NULL);
    ck_assert_int_eq(store.exchanges, 2);
    ck_assert_uint_eq(a.got, 2);
    ck_assert_uint_eq(b.got, 3);
    ck_assert_int_ne(a.first.bytes[15], b.first.bytes[15]);
    jobq_close(q);
}
END_TEST

START_TEST(a_separable_call_is_sent_in_pieces_when_refused)
{
    struct jobq *q = open_fake(5000);
    struct call *call = call_create();
    struct jobq_beat beat = { .lease_ms = 1000 };
    struct jobq_change changes[3] = { { .result = { "x", 1 } }, { .result = { "bad", 3 } }, { .result = { "y", 1 } } };
    struct jobq_put puts[2] = { { .only_if = 1 }, { .only_if = 2 } };

    store.poison = "bad";
    call->beats = &beat;
    call->beat_count = 1;
    call->changes = changes;
    call->change_count = 3;
    call->puts = puts;
    call->put_count = 2;
    call->lends = call->separable = true;
    ck_assert_int_eq(call_run(q, call, 0), JOBQ_OK);
    ck_assert_int_eq(changes[0].verdict, JOBQ_OK);
    ck_assert_int_eq(changes[1].verdict, JOBQ_FAILED);
    ck_assert_int_eq(changes[2].verdict, JOBQ_OK);
    ck_assert_int_eq(puts[0].verdict, JOBQ_FAILED); /* never parted from its change */
    ck_assert_int_eq(puts[1].verdict, JOBQ_OK);
    ck_assert_int_eq(puts[1].only_if, 2);
    ck_assert_int_eq(store.exchanges, 5); /* whole, heartbeat alone, three changes */
    call_unref(call);
    jobq_close(q);
}
END_TEST

START_TEST(a_transient_failure_is_not_split)
{
    struct jobq *q = open_fake(5000);
    struct caller c = { .q = q, .payload = "x" };

    store.fail_transient = 1;
    enqueue_one(&c);
    ck_assert_int_eq(c.rc, JOBQ_FAILED);
    ck_assert_int_eq(store.exchanges, 1);
    ck_assert_str_eq(jobq_last_error()->text, "not now");
    jobq_close(q);
}
END_TEST

START_TEST(bulk_is_cut_at_the_bounds)
{
    struct jobq *q = open_fake(5000);
    struct jobq_spec *specs = calloc(2500, sizeof *specs);
    struct jobq_enqueued *out = calloc(2500, sizeof *out);

    for (int i = 0; i < 2500; i++)
        specs[i] = (struct jobq_spec){ .size = sizeof *specs, .queue = "q" };
    out[0].size = sizeof *out;
    ck_assert_int_eq(jobq_enqueue_many(q, specs, 2500, out), JOBQ_OK);
    ck_assert_int_eq(store.exchanges, 3);
    ck_assert_int_eq(store.most_items, 1000);
    char *mib = calloc(1, 1 << 20);
    for (int i = 0; i < 10; i++)
        specs[i].payload = (struct jobq_bytes){ mib, 1 << 20 };
    store.exchanges = store.most_items = 0;
    ck_assert_int_eq(jobq_enqueue_many(q, specs, 10, out), JOBQ_OK);
    ck_assert_int_le(store.most_items, 4);
    specs[7].priority = 1 << 20;
    store.exchanges = 0;
    ck_assert_int_eq(jobq_enqueue_many(q, specs, 10, out), JOBQ_INVALID); /* all are checked before one is sent */
    ck_assert_int_eq(store.exchanges, 0);
    free(mib);
    free(specs);
    free(out);
    jobq_close(q);
}
END_TEST

START_TEST(r3_a_forked_child_gets_an_error)
{
    struct jobq *q = open_fake(5000);
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct caller c = { .q = q, .payload = "x" };
        enqueue_one(&c);
        jobq_close(q);
        _exit(c.rc == JOBQ_FORKED ? 0 : 1);
    }
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    jobq_close(q);
}
END_TEST

UNIT_MAIN("combine", waiting_callers_share_one_exchange, only_the_guilty_caller_gets_the_error,
          unknown_is_repeated_under_the_same_number, unknown_to_the_end_tells_the_id_to_repeat_with,
          a_repeat_that_fails_leaves_the_outcome_unknown, a_repeat_that_is_refused_leaves_the_outcome_unknown,
          a_given_up_claim_is_released_first_thing, an_impatient_caller_leaves_alone,
          a_caller_whose_exchange_was_sent_leaves_with_unknown, equal_claims_are_joined_and_the_rows_dealt_out,
          a_separable_call_is_sent_in_pieces_when_refused, a_transient_failure_is_not_split,
          bulk_is_cut_at_the_bounds, r3_a_forked_child_gets_an_error)
