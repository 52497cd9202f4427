/* SPDX-License-Identifier: MIT */
/*
 * Clocks on the wall that are hours off, and set in the middle (S4): nobody's ends another's lease, holds it open, or makes a job
 * due. --store NAME: sqlite, redis, postgres.
 */
#include "stores.h"
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int __real_clock_gettime(clockid_t which, struct timespec *out);
int __wrap_clock_gettime(clockid_t which, struct timespec *out);

static int64_t wall_off_s;

int __wrap_clock_gettime(clockid_t which, struct timespec *out)
{
    int status = __real_clock_gettime(which, out);
    if (which == CLOCK_REALTIME)
        out->tv_sec += wall_off_s;
    return status;
}

static int hold_for_a_minute(struct jobq *q)
{
    static const char *const queues[] = { "work" };
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 1, .limit = 10,
                                                .lease_ms = 60000 };
    struct jobq_jobs *jobs;
    world_must(jobq_claim(q, &options, &jobs), "claim");
    int count = (int)jobs->count;
    jobq_jobs_free(jobs);
    return count;
}

static size_t sweep(struct jobq *q)
{
    size_t judged = 0;
    world_must(jobq_sweep(q, 10, &judged), "sweep");
    return judged;
}

/* One lease is out, one job is for later. A process whose clock is `hours` off looks, while it is set by an hour either way. */
static bool changes_nothing(const struct world *w, int hours)
{
    struct world other = *w;
    bool good = true;
    wall_off_s = hours * 3600;
    world_open(&other);
    for (int step = -1; step <= 1; step++) {
        wall_off_s = (hours + step) * 3600;
        good = good && sweep(other.q) == 0 && hold_for_a_minute(other.q) == 0;
    }
    world_close(&other);
    wall_off_s = 0;
    return good;
}

/* What is put by somebody whose clock is off is due at once all the same, and its lease is a minute for everybody. */
static bool is_as_long_for_all(const struct world *w, int hours)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "work" };
    struct world other = *w;
    wall_off_s = hours * 3600;
    world_open(&other);
    world_must(jobq_enqueue(other.q, &spec, NULL), "put");
    bool good = hold_for_a_minute(other.q) == 1;
    wall_off_s = 0;
    world_must(jobq_clock_advance(w->q, 50000), "clock");
    good = good && sweep(w->q) == 0 && sweep(other.q) == 0;
    world_must(jobq_clock_advance(w->q, 11000), "clock");
    good = good && sweep(w->q) == 1;
    world_close(&other);
    return good;
}

static int told(int number, const char *what, int hours, bool good)
{
    printf("%s %d - %s, %d hours off\n", good ? "ok" : "not ok", number, what, hours);
    return good ? 0 : 1;
}

static int run(struct world *w)
{
    static const int hours[] = { 0, -2, 2 };
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "work" };
    const struct jobq_spec later = { .size = sizeof later, .queue = "work", .delay_ms = 10 * 3600000 };
    int failed = 0, number = 0;
    world_open(w);
    world_must(jobq_enqueue(w->q, &spec, NULL), "put");
    world_must(jobq_enqueue(w->q, &later, NULL), "put for later");
    failed += told(++number, "a lease", 0, hold_for_a_minute(w->q) == 1);
    for (int i = 0; i < 3; i++)
        failed += told(++number, "a lease and a delay stay", hours[i], changes_nothing(w, hours[i]));
    world_must(jobq_clock_advance(w->q, 61000), "clock");
    failed += told(++number, "when the minute is over, it is over", 0, sweep(w->q) == 1);
    world_begin(w, &calls[0]); /* an empty store */
    for (int i = 0; i < 3; i++) {
        failed += told(++number, "a job put and held for a minute", hours[i], is_as_long_for_all(w, hours[i]));
        world_begin(w, &calls[0]);
    }
    world_close(w);
    printf("1..%d\n", number);
    return failed;
}

int main(int argc, char **argv)
{
    const struct test_store *store = argc == 3 && strcmp(argv[1], "--store") == 0 ? store_find(argv[2]) : NULL;
    if (!store || store_lacks(store)) {
        fprintf(stderr, "usage: --store NAME; a server's address is in %s\n", store && store->server ? store->server : "its variable");
        return 2;
    }
    struct world w = { .backend = store->backend(), .options = { .size = sizeof w.options, .io_timeout_ms = 30000 } };
    if (store_fresh(store, w.uri) != 0)
        return 1;
    int failed = run(&w);
    store_drop(store, w.uri);
    return failed ? 1 : 0;
}
