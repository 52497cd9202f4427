/* SPDX-License-Identifier: MIT */
/* Several handles on one store: backend.h "Three facts", wake-up, fork; S4, R3, R4. */
#include "suite.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int put_by(struct actor *who, uint32_t number)
{
    struct jobq_put p = put_of(number);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    go(who, &x);
    return p.verdict;
}

static void see_each_other(void)
{
    struct actor *you = another();
    is(put_by(you, 1), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change c = completed(r, "r");
    struct jobq_exchange x = { .changes = &c, .change_count = 1 };
    go(you, &x); /* the token is the proof, not the handle */
    is(c.verdict, JOBQ_OK);
    is(row_n(1)->state, JOBQ_ROW_COMPLETED);
}

/* S1: what was answered OK outlives the handle that asked. */
static void outlives_its_handle(void)
{
    struct actor *you = another();
    is(put_by(you, 1), JOBQ_OK);
    struct jobq_want w = due(1);
    want(you, &w);
    is(w.row_count, 1);
    leave(you);
    const struct jobq_row *r = row_n(1);
    is(r->state, JOBQ_ROW_RUNNING); /* its lease stays until it runs out */
    tick(LEASE);
    struct jobq_want o = overdue(1);
    want(me, &o);
    is(o.row_count, 1);
}

/* Contract "Fence": it rises across handles and opens. */
static void fences_rise(void)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < 4; i++) {
        struct actor *you = another();
        put_ok(i);
        struct jobq_want w = due(1);
        want(you, &w);
        is(w.row_count, 1);
        ok(w.rows[0].fence > last);
        last = w.rows[0].fence;
        leave(you);
    }
}

/* S15: another namespace is another store. */
static void namespaces_are_apart(void)
{
    char uri[JOBQ_CONFORMANCE_URI + 32];
    snprintf(uri, sizeof uri, "%s%snamespace=other_1", store_uri(), strchr(store_uri(), '?') ? "&" : "?");
    struct jobq_store_options options = { .size = sizeof options, .uri = uri, .io_timeout_ms = 10000 };
    struct actor you = { .arena = me->arena, .client = { 99, 99 } };
    is(store_table()->open(&you.store, &options, &you.err), JOBQ_OK);
    put_ok(1);
    struct jobq_query query = { .size = sizeof query, .limit = 9 };
    is(store_table()->read(you.store, &query, you.arena, &you.err), JOBQ_OK);
    is(query.row_count, 0);
    is(put_by(&you, 1), JOBQ_OK);
    is(queue_stats("q").enqueued_total, 1);
    struct jobq_stats s = stats_of(bytes(NULL, 0));
    is(s.namespace_count, 1);
    is(strcmp(s.namespaces[0].name, "other_1"), 0);
    is(strcmp(s.name_space, "jobq"), 0);
    store_table()->close(you.store);
}

/* ---- wake-up ------------------------------------------------------------------------------------------------ */

/* Readable within ms, and no false alarm? */
static bool woken(struct actor *who, int ms)
{
    struct pollfd p = { .fd = store_table()->wake_fd(who->store), .events = POLLIN };
    ok(p.fd >= 0);
    for (int i = 0; i < 100; i++) {
        if (poll(&p, 1, ms) <= 0)
            return false;
        if (store_table()->wake_drain(who->store))
            return true;
    }
    return false;
}

#define SOON 5000 /* an upper bound, not a wait */
#define QUIET 20

static void woken_by_another(void)
{
    struct actor *you = another();
    while (woken(me, QUIET))
        ;
    is(put_by(you, 1), JOBQ_OK);
    ok(woken(me, SOON));
    ok(!woken(me, QUIET));
    struct jobq_want w = due(1);
    want(you, &w);
    ok(!woken(me, QUIET)); /* a claim makes nothing due */
    struct jobq_beat beat = { .token = w.token, .lease_ms = LEASE };
    struct jobq_exchange x = { .beats = &beat, .beat_count = 1 };
    go(you, &x);
    ok(!woken(me, QUIET));
    struct jobq_change c = by_token(w.rows, JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING);
    x = (struct jobq_exchange){ .changes = &c, .change_count = 1 };
    go(you, &x);
    ok(woken(me, SOON));
    w = due(1);
    want(you, &w);
    ok(!woken(me, QUIET));
    if (store_table()->wake) { /* for what the store could not see in a commit */
        store_table()->wake(you->store);
        ok(woken(me, SOON));
    }
}

/* A job put for later moves the deadline of who sleeps; a pause that ends and a clock that moves do as well. */
static void woken_by_more(void)
{
    struct actor *you = another();
    while (woken(me, QUIET))
        ;
    struct jobq_put p = put_of(1);
    p.run_at = from_now(STEP);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    go(you, &x);
    ok(woken(me, SOON));
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED,
                               .name = text("q"), .paused = 1 };
    is(store_table()->configure(you->store, &s, &you->err), JOBQ_OK);
    s.paused = 0;
    is(store_table()->configure(you->store, &s, &you->err), JOBQ_OK);
    ok(woken(me, SOON));
}

/* ---- threads and processes -------------------------------------------------------------------------------------- */

#define THREADS 4
#define JOBS 200

struct shift {
    pthread_t thread;
    struct actor *who;
    uint32_t claimed[JOBS];
    size_t count;
    bool refused;
};

/* No checks in here: a failed one would leave the thread. */
static void *work(void *user)
{
    struct shift *shift = user;
    struct actor *who = shift->who;
    for (;;) {
        struct jobq_want w = due(3);
        struct jobq_exchange x = { .size = sizeof x, .number = ++who->number, .want = &w };
        memcpy(x.client, who->client, sizeof x.client);
        w.mint[0] = who->client[1];
        if (store_table()->exchange(who->store, &x, who->arena, &who->err) != JOBQ_OK)
            continue;
        if (!w.row_count)
            return NULL;
        struct jobq_change c[3];
        struct jobq_exchange y = { .size = sizeof y, .number = ++who->number, .changes = c,
                                   .change_count = w.row_count };
        memcpy(y.client, who->client, sizeof y.client);
        for (size_t i = 0; i < w.row_count; i++) {
            shift->claimed[shift->count++] = w.rows[i].id.bytes[15];
            c[i] = completed(&w.rows[i], "r");
        }
        while (store_table()->exchange(who->store, &y, who->arena, &who->err) != JOBQ_OK)
            ;
        for (size_t i = 0; i < w.row_count; i++)
            shift->refused |= c[i].verdict != JOBQ_OK;
    }
}

/* S4, S5: handles are independent, from threads of their own; every job is done once. */
static void many_threads(void)
{
    static struct shift shifts[THREADS];
    struct jobq_put puts[JOBS];
    for (uint32_t i = 0; i < JOBS; i++)
        puts[i] = put_of(i);
    struct jobq_exchange x = { .puts = puts, .put_count = JOBS };
    go(me, &x);
    for (int t = 0; t < THREADS; t++)
        shifts[t].who = another();
    for (int t = 0; t < THREADS; t++)
        is(pthread_create(&shifts[t].thread, NULL, work, &shifts[t]), 0);
    int done[JOBS] = { 0 };
    for (int t = 0; t < THREADS; t++) {
        is(pthread_join(shifts[t].thread, NULL), 0);
        ok(!shifts[t].refused);
        for (size_t i = 0; i < shifts[t].count; i++)
            done[shifts[t].claimed[i]]++;
    }
    for (int i = 0; i < JOBS; i++)
        is(done[i], 1);
    is(queue_stats("q").completed_total, JOBS);
}

/* R3: in a forked child only close is allowed, and it harms nobody. */
static void closed_in_a_child(void)
{
    put_ok(1);
    pid_t child = fork();
    ok(child >= 0);
    if (child == 0) {
        store_table()->close(me->store);
        _exit(0);
    }
    int status = 1;
    is(waitpid(child, &status, 0), child);
    is(status, 0);
    claim_n(1);
    put_ok(2);
    ok(exists(2));
}

static int lowest_free(void)
{
    int fd = dup(0);
    ok(fd >= 0);
    close(fd);
    return fd;
}

/* After open, work and close the process has the descriptors it had before. */
static void leaves_no_descriptor(void)
{
    leave(me);
    int before = lowest_free();
    for (uint32_t i = 0; i < 3; i++) {
        me = another();
        struct actor *you = another();
        is(put_by(you, i), JOBQ_OK);
        change_ok(completed(claim_n(i), "r"));
        leave(you);
        leave(me);
    }
    is(lowest_free(), before);
}

static const struct test tests[] = {
    { .name = "handles see each other", .run = see_each_other },
    { .name = "work outlives its handle (S1, L2)", .run = outlives_its_handle },
    { .name = "fences rise across handles (S2)", .run = fences_rise },
    { .name = "namespaces are apart (S15)", .run = namespaces_are_apart, .flags = PLAIN_ONLY },
    { .name = "woken by another, quiet otherwise (L1)", .run = woken_by_another, .needs = JOBQ_CAP_WAKE,
      .flags = PLAIN_ONLY },
    { .name = "woken by a later job, and by a resume (L1)", .run = woken_by_more, .needs = JOBQ_CAP_WAKE,
      .flags = PLAIN_ONLY },
    { .name = "four threads, 200 jobs, each once (S4, R4)", .run = many_threads, .flags = PLAIN_ONLY },
    { .name = "closed in a forked child (R3)", .run = closed_in_a_child, .flags = PLAIN_ONLY },
    { .name = "open and close leave no descriptor (R2)", .run = leaves_no_descriptor, .flags = PLAIN_ONLY },
};
const struct topic topic_handles = TOPIC("handles", tests);
