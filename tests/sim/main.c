/* SPDX-License-Identifier: MIT */
/*
 * Runs of the simulation.
 *
 *   --seed N     the first seed; default: of the day's date; it is printed
 *   --count N    how many, from it on; JOBQ_TEST_FULL=1: 20,000
 *   --trace      tell each step of the run
 */
#include "sim.h"

#include <inject.h>
#include <jobq/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define PROCESSES 3
#define STEPS 150

struct hold { /* a lease in the hands of a process: it may be late, or said twice */
    struct jobq_id id;
    struct jobq_token token;
    bool is;
};

struct run {
    struct model model;
    struct inject_plan plan;
    struct jobq *q[PROCESSES];
    struct hold holds[PROCESSES][4];
    bool trace;
};

static const char *const queues[] = { SIM_QUEUE };

static void tell(const struct run *r, const char *what, int process, int status)
{
    if (r->trace)
        printf("  %4ld at %lld: process %d %s: %s\n", r->model.step, (long long)sim.monotonic_ms, process, what,
               jobq_status_name(status));
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

static void put(struct run *r, int process)
{
    if (r->model.count == MODEL_JOBS)
        return;
    int i = r->model.count++;
    struct model_job *j = &r->model.jobs[i];
    char key[2] = { 'k', 0 };
    if (jobq_id_new(&j->id) != JOBQ_OK)
        abort();
    j->max_attempts = 1 + (int32_t)(sim_roll() % 4);
    struct jobq_spec spec = { .size = sizeof spec, .queue = SIM_QUEUE, .id = &j->id, .payload = { &j->id, sizeof j->id },
                              .max_attempts = j->max_attempts, .group = sim_chance(50) ? "tenant" : NULL,
                              .priority = (int32_t)(sim_roll() % 5) - 2,
                              .delay_ms = sim_chance(30) ? (int64_t)(sim_roll() % 5000) : 0 };
    if (sim_chance(30)) {
        j->key = 1 + (int)(sim_roll() % 9);
        key[1] = (char)('0' + j->key);
        spec.key = (struct jobq_bytes){ key, sizeof key };
    }
    int status = jobq_enqueue(r->q[process], &spec, NULL);
    j->exists = status == JOBQ_OK || status == JOBQ_ALREADY;
    j->maybe = status == JOBQ_UNKNOWN;
    r->model.unknown += status == JOBQ_UNKNOWN;
    r->model.duplicates += status == JOBQ_DUPLICATE;
    tell(r, "puts", process, status);
}

static void keep_hold(struct hold *holds, const struct jobq_job *job)
{
    struct hold *free_one = &holds[sim_roll() % 4];
    *free_one = (struct hold){ job->id, job->token, true };
}

static void claim(struct run *r, int process)
{
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 1,
                                                .limit = 1 + sim_roll() % 3, .lease_ms = 1000 + (int64_t)(sim_roll() % 4000),
                                                .flags = sim_chance(50) ? JOBQ_NO_SWEEP : 0 };
    struct jobq_jobs *jobs;
    int status = jobq_claim(r->q[process], &options, &jobs);
    tell(r, "claims", process, status);
    if (status != JOBQ_OK) {
        r->model.unknown += status == JOBQ_UNKNOWN;
        for (int i = 0; i < r->model.count; i++) /* any of them may have been taken and given back */
            r->model.jobs[i].unsure_claims = true;
        return;
    }
    for (size_t i = 0; i < jobs->count; i++) {
        model_claimed(&r->model, &jobs->jobs[i], jobs->now_ms);
        keep_hold(r->holds[process], &jobs->jobs[i]);
    }
    jobq_jobs_free(jobs);
}

static int say_end(struct jobq *q, const struct hold *h, int how, uint32_t result)
{
    const struct jobq_failure failure = { .size = sizeof failure, .text = { "no\0good", 7 }, .permanent = how == 3 };
    switch (how) {
    case 0:
        return jobq_release(q, &h->id, &h->token);
    case 1:
        return jobq_snooze(q, &h->id, &h->token, 500);
    case 2:
    case 3:
        return jobq_fail(q, &h->id, &h->token, &failure);
    default:
        return jobq_ack(q, &h->id, &h->token, &result, sizeof result);
    }
}

/* With any lease that the process ever had and has not forgotten, from whatever other process it likes. */
static void end(struct run *r, int process)
{
    const struct hold *h = &r->holds[process][sim_roll() % 4];
    int job = h->is ? model_find(&r->model, &h->id) : -1, how = (int)(sim_roll() % 8);
    uint32_t result = (uint32_t)sim_roll();
    if (job < 0)
        return;
    int status = say_end(r->q[sim_roll() % PROCESSES], h, how, result);
    model_ended(&r->model, job, &h->token, status, how > 3, result);
    if (status == JOBQ_UNKNOWN) { /* repeated, as the header says */
        status = say_end(r->q[process], h, how, result);
        if (status == JOBQ_ALREADY && how > 3 && !r->model.jobs[job].completions) /* the first one was it */
            status = JOBQ_OK;
        model_ended(&r->model, job, &h->token, status, how > 3, result);
    }
    r->model.jobs[job].unsure_result |= status == JOBQ_UNKNOWN && how > 3;
    tell(r, "ends one", process, status);
    model_look(&r->model, r->q[process], job);
}

static void extend(struct run *r, int process)
{
    const struct hold *h = &r->holds[process][sim_roll() % 4];
    struct jobq_extended out = { .size = sizeof out };
    int job = h->is ? model_find(&r->model, &h->id) : -1;
    if (job < 0)
        return;
    struct model_job *j = &r->model.jobs[job];
    int status = jobq_extend(r->q[process], &h->id, &h->token, 3000, &out);
    bool current = memcmp(&j->token, &h->token, sizeof h->token) == 0;
    if (status == JOBQ_OK && !current && !j->unsure_claims)
        model_broken(&r->model, "S2", job, "extended under an old token");
    if (status == JOBQ_OK && current)
        j->lease_until_ms = out.lease_until_ms;
    tell(r, "extends", process, status);
}

static void operate(struct run *r, int process)
{
    if (!r->model.count)
        return;
    int job = (int)(sim_roll() % (uint64_t)r->model.count);
    struct model_job *j = &r->model.jobs[job];
    bool hard = sim_chance(30);
    int status = sim_chance(50) ? jobq_redrive(r->q[process], &j->id)
                                : jobq_cancel(r->q[process], &j->id, hard ? JOBQ_CANCEL_HARD : 0);
    if (status == JOBQ_OK || status == JOBQ_UNKNOWN)
        j->unsure_held = true; /* a hard cancel takes the lease, and what is redriven may be claimed */
    tell(r, "operates", process, status);
    model_look(&r->model, r->q[process], job);
}

static void sweep(struct run *r, int process)
{
    tell(r, "sweeps", process, jobq_sweep(r->q[process], 20, NULL));
}

/* A process dies with what it holds and another one takes its place; the last one keeps the store alive. */
static void restart(struct run *r, int process)
{
    const struct jobq_options options = { .size = sizeof options, .io_timeout_ms = 200 };
    if (process == 0)
        return;
    jobq_close(r->q[process]);
    memset(r->holds[process], 0, sizeof r->holds[process]);
    if (jobq_open(&r->q[process], inject_backend(), "memory:sim", &options) != JOBQ_OK)
        abort();
    tell(r, "is another one", process, JOBQ_OK);
}

static void pass_time(void)
{
    sim_pass((int64_t)(sim_roll() % (sim_chance(10) ? 20000 : 400)));
    if (sim_chance(2)) /* somebody sets the clock of the machine */
        sim.wall_ms += sim_chance(50) ? 3600000 : -3600000;
}

static void step(struct run *r)
{
    static void (*const steps[])(struct run *, int) = { put, put, put, claim, claim, claim, end, end, end, end, extend,
                                                        operate, sweep, restart };
    int process = (int)(sim_roll() % PROCESSES);
    uint64_t which = sim_roll() % (sizeof steps / sizeof *steps);
    r->plan.fail_call = sim_chance(5) ? r->plan.calls + 1 : 0;
    r->plan.lose_call = sim_chance(8) ? r->plan.calls + 1 : 0;
    if (r->plan.lose_call && sim_chance(70)) /* and the repeat finds nobody */
        r->plan.fail_call = r->plan.lose_call + 1;
    if (which + 1 == sizeof steps / sizeof *steps && !sim_chance(20))
        which = 0;
    steps[which](r, process);
    pass_time();
}

/* ---- a run ------------------------------------------------------------------------------------------------------------ */

static void begin(struct run *r, uint64_t seed)
{
    const struct jobq_options options = { .size = sizeof options, .io_timeout_ms = 200 };
    const struct jobq_limit limit = { .size = sizeof limit, .of = JOBQ_LIMIT_QUEUE, .name = SIM_QUEUE,
                                      .set = JOBQ_LIMIT_CONCURRENCY, .concurrency = SIM_LIMIT };
    sim = (struct sim_world){ .dice = seed * UINT64_C(0x9E3779B97F4A7C15) | 1, .monotonic_ms = 1000000,
                              .wall_ms = 1700000000000 };
    r->model.seed = seed;
    r->plan.inner = jobq_memory();
    inject_begin(&r->plan);
    for (int i = 0; i < PROCESSES; i++)
        if (jobq_open(&r->q[i], inject_backend(), "memory:sim", &options) != JOBQ_OK)
            abort();
    if (jobq_limit_set(r->q[0], &limit) != JOBQ_OK)
        abort();
}

/* No more faults: everything that may end comes to its end (L2, S6). */
static void settle(struct run *r)
{
    struct hold h = { .is = true };
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 1, .lease_ms = 1000 };
    r->plan.fail_call = r->plan.lose_call = 0;
    for (int quiet = 0, turns = 0; quiet < 12 && turns < 2000; turns++) {
        struct jobq_jobs *jobs;
        if (jobq_claim(r->q[0], &options, &jobs) != JOBQ_OK)
            abort();
        quiet = jobs->count ? 0 : quiet + 1;
        for (size_t i = 0; i < jobs->count; i++) {
            model_claimed(&r->model, &jobs->jobs[i], jobs->now_ms);
            h.id = jobs->jobs[i].id;
            h.token = jobs->jobs[i].token;
            model_ended(&r->model, model_find(&r->model, &h.id), &h.token, say_end(r->q[0], &h, 7, 1), true, 1);
        }
        sim_pass(jobs->count ? 10 : 1800000);
        jobq_jobs_free(jobs);
    }
    model_audit(&r->model, r->q[0]);
    for (int i = 0; i < r->model.count; i++)
        if (r->model.jobs[i].exists && r->model.jobs[i].last_state < JOBQ_COMPLETED)
            model_broken(&r->model, "L2", i, "it never comes to an end");
}

static bool simulate(uint64_t seed, bool trace, struct model *total)
{
    struct run r = { .trace = trace };
    begin(&r, seed);
    for (r.model.step = 1; r.model.step <= STEPS && !r.model.trouble[0]; r.model.step++) {
        step(&r);
        if (r.model.step % 5 == 0) {
            r.plan.fail_call = r.plan.lose_call = 0;
            model_audit(&r.model, r.q[0]);
        }
    }
    if (!r.model.trouble[0])
        settle(&r);
    for (int i = PROCESSES; i-- > 0;)
        jobq_close(r.q[i]);
    inject_end();
    total->stale += r.model.stale;
    total->already += r.model.already;
    total->unknown += r.model.unknown;
    total->expired += r.model.expired;
    total->duplicates += r.model.duplicates;
    if (r.model.trouble[0])
        fprintf(stderr, "%s\n  again: --seed %llu --count 1 --trace\n", r.model.trouble, (unsigned long long)seed);
    return !r.model.trouble[0];
}

int main(int argc, char **argv)
{
    struct timeval today;
    struct model total = { .seed = 0 };
    long count = getenv("JOBQ_TEST_FULL") ? 20000 : 400, failed = 0;
    bool trace = false;
    gettimeofday(&today, NULL);
    uint64_t seed = (uint64_t)today.tv_sec / 86400 * 100000;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            trace = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            count = strtol(argv[++i], NULL, 10);
    }
    for (long i = 0; i < count && failed < 5; i++)
        failed += !simulate(seed + (uint64_t)i, trace, &total);
    bool enough = count < 100 || (total.stale > count / 10 && total.expired > count / 10 && total.unknown > count / 50 &&
                                  total.already > 0 && total.duplicates > count / 10);
    printf("%s 1 - %ld seeds from %llu, %d steps each\n", failed ? "not ok" : "ok", count, (unsigned long long)seed, STEPS);
    printf("%s 2 - stale %ld, already %ld, unknown %ld, expired %ld, duplicates %ld\n1..2\n", enough ? "ok" : "not ok",
           total.stale, total.already, total.unknown, total.expired, total.duplicates);
    return failed || !enough;
}
