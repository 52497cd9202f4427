/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t kit_clock(void *user)
{
    struct kit *k = user;

    return atomic_load(&k->clock);
}

static const struct test_store *chosen;

const struct jobq_backend *kit_backend(void)
{
    return chosen->backend();
}

static void open_at(struct kit *k, const struct jobq_backend *backend, const char *uri)
{
    struct jobq_options options = { .size = sizeof options, .io_timeout_ms = 60000, .call_timeout_ms = 60000 };
    int rc;

    memset(k, 0, sizeof *k);
    snprintf(k->uri, sizeof k->uri, "%s", uri);
    atomic_store(&k->clock, 1000000);
    pthread_mutex_init(&k->gate.lock, NULL);
    pthread_cond_init(&k->gate.changed, NULL);
    rc = jobq_open(&k->q, backend, uri, &options);
    ck_assert_msg(rc == JOBQ_OK, "%s: %s", uri, jobq_last_error()->text);
    k->q->repeat_ms = 100; /* a server, on whichever lane, may take its time */
}

void kit_open_with(struct kit *k, const struct jobq_backend *backend)
{
    char uri[STORE_URI];

    ck_assert_int_eq(store_fresh(chosen, uri), 0);
    open_at(k, backend, uri);
}

void kit_open(struct kit *k)
{
    kit_open_with(k, kit_backend());
}

void kit_join(struct kit *k, const struct kit *host)
{
    open_at(k, kit_backend(), host->uri);
    k->guest = true;
}

void kit_clock_of(struct kit *k, struct jobq_worker *w)
{
    w->clock = kit_clock;
    w->clock_user = k;
}

struct jobq_worker *kit_another(struct kit *k, struct jobq *q, const char *name, size_t threads, size_t batch,
                                uint32_t flags)
{
    const char *const queues[] = { "work" };
    struct jobq_worker_options o = { .size = sizeof o, .name = name, .queues = queues, .queue_count = 1,
                                     .threads = threads, .batch = batch, .flags = flags };
    struct jobq_worker *w;

    ck_assert_int_eq(jobq_worker_create(&w, q, &o), JOBQ_OK);
    kit_clock_of(k, w);
    return w;
}

void kit_worker(struct kit *k, size_t threads, size_t batch, uint32_t flags)
{
    k->w = kit_another(k, k->q, "w1", threads, batch, flags);
}

void kit_close(struct kit *k)
{
    gate_open(&k->gate, -1, JOBQ_RELEASE);
    jobq_worker_destroy(k->w);
    jobq_close(k->q);
    if (!k->guest)
        store_drop(chosen, k->uri);
    pthread_mutex_destroy(&k->gate.lock);
    pthread_cond_destroy(&k->gate.changed);
}

void kit_tick(struct kit *k, int64_t ms)
{
    ck_assert_int_eq(jobq_clock_advance(k->q, ms), JOBQ_OK);
    atomic_fetch_add(&k->clock, ms);
}

struct jobq_id kit_put_spec(struct kit *k, const struct jobq_spec *spec)
{
    struct jobq_enqueued out = { .size = sizeof out };

    ck_assert_msg(jobq_enqueue(k->q, spec, &out) == JOBQ_OK, "%s", jobq_last_error()->text);
    return out.id;
}

struct jobq_id kit_put(struct kit *k, const char *queue, const char *kind)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = queue, .kind = kind };

    return kit_put_spec(k, &spec);
}

const struct jobq_job *kit_job(struct kit *k, const struct jobq_id *id)
{
    static struct jobq_jobs *jobs; /* freed by the next call */

    jobq_jobs_free(jobs);
    jobs = NULL;
    ck_assert_msg(jobq_get(k->q, id, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    return jobs->jobs;
}

/* ---- driving ------------------------------------------------------------------------------------------ */

void kit_turns(struct jobq_worker *w)
{
    int rc;

    do {
        rc = jobq_worker_dispatch(w);
        ck_assert_msg(rc == JOBQ_OK || rc == JOBQ_ALREADY, "%d %s", rc, jobq_last_error()->text);
    } while (rc == JOBQ_OK && jobq_worker_next_ms(w) == 0);
}

static void wait_for(struct jobq_worker *w)
{
    struct pollfd fd = { .fd = jobq_worker_fd(w), .events = POLLIN };

    poll(&fd, 1, -1); /* a hang is ended by the time limit of the test */
}

uint64_t kit_count(struct jobq_worker *w, size_t offset)
{
    struct jobq_worker_counts counts = { .size = sizeof counts };
    uint64_t count;

    jobq_worker_counts(w, &counts);
    memcpy(&count, (char *)&counts + offset, sizeof count);
    return count;
}

void kit_until(struct jobq_worker *w, size_t offset, uint64_t least)
{
    for (;;) {
        kit_turns(w);
        if (kit_count(w, offset) >= least)
            return;
        wait_for(w);
    }
}

static bool pool_is_idle(struct pool *pool)
{
    bool idle;

    pthread_mutex_lock(&pool->lock);
    idle = !pool->first && pool->running == 0;
    pthread_mutex_unlock(&pool->lock);
    return idle;
}

void kit_until_ended(struct kit *k)
{
    while (!pool_is_idle(&k->w->pool))
        sched_yield();
}

/* ---- the gate ----------------------------------------------------------------------------------------- */

int gate_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;
    struct gate *gate = &k->gate;
    int outcome;

    pthread_mutex_lock(&gate->lock);
    gate->started++;
    gate->running++;
    gate->last = ctx;
    pthread_cond_broadcast(&gate->changed);
    while (gate->open == 0)
        pthread_cond_wait(&gate->changed, &gate->lock);
    if (gate->open > 0)
        gate->open--;
    gate->running--;
    outcome = gate->outcome;
    pthread_mutex_unlock(&gate->lock);
    return outcome;
}

void gate_wait_started(struct gate *gate, int count)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->started < count)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

void gate_open(struct gate *gate, int count, int outcome)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = count;
    gate->outcome = outcome;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

int count_handler(struct jobq_ctx *ctx, void *user)
{
    struct kit *k = user;

    (void)ctx;
    atomic_fetch_add(&k->calls, 1);
    return JOBQ_DONE;
}

/* ---- notices ------------------------------------------------------------------------------------------ */

struct kit_heard kit_heard;

void kit_listen(int notice, const char *text, void *user)
{
    (void)user;
    ck_assert_int_lt(kit_heard.count, 16);
    kit_heard.kinds[kit_heard.count] = notice;
    snprintf(kit_heard.texts[kit_heard.count++], sizeof kit_heard.texts[0], "%s", text);
}

void kit_expect_heard(int at, int kind, const char *part)
{
    ck_assert_int_lt(at, kit_heard.count);
    ck_assert_int_eq(kit_heard.kinds[at], kind);
    ck_assert_msg(strstr(kit_heard.texts[at], part) != NULL, "%s", kit_heard.texts[at]);
}

/* ---- the process -------------------------------------------------------------------------------------- */

static size_t entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;

    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

size_t kit_threads(void)
{
    return entries("/proc/self/task");
}

size_t kit_descriptors(void)
{
    return entries("/proc/self/fd");
}

/* -1: it cannot be had, and why is said. */
static int choose(int argc, char **argv)
{
    const char *name = argc == 3 && strcmp(argv[1], "--store") == 0 ? argv[2] : "memory";
    const char *lacks;

    chosen = store_find(name);
    if (!chosen) {
        printf("Bail out! no store \"%s\" in this build\n", name);
        return -1;
    }
    lacks = store_lacks(chosen);
    if (lacks)
        printf("Bail out! %s is not set: no server to run on\n", lacks);
    return lacks ? -1 : 0;
}

int kit_stride(int on_a_server)
{
    return chosen->server && !getenv("JOBQ_TEST_FULL") ? on_a_server : 1;
}

int kit_run(const char *name, int argc, char **argv, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *one = tcase_create(name);
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(one, 240);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(one, tests[i]);
    suite_add_tcase(suite, one);
    srunner_set_tap(runner, "-");
    if (choose(argc, argv) == 0)
        srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS; /* TAP says what failed */
}
