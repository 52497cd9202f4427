/* SPDX-License-Identifier: MIT */
/*
 * A storm on one store; see storm.h for what it is.
 *
 *   chaos-storm --store NAME [--uri URI] [--jobs N] [--threads N] [--seed N] [--plain] [--planted]
 *
 *   --uri      of an empty store; else one is made, on the server that the environment names
 *   --jobs     3,000; 20 times as many with JOBQ_TEST_FULL=1
 *   --threads  6
 *   --seed     which storm; the clock's by default. How the threads meet is different each time all the same
 *   --plain    jobs that nothing hangs on, no bound, and nobody dies: the rate of what stores are fastest at
 *   --planted  the store makes one mistake after the other, each of which must be found
 *
 * When all jobs have ended: each that was put has completed, is dead or cancelled, exactly once; what the store counts
 * is what it lists and what the threads were told; no attempt was given to two, and no job lost that nobody took away;
 * and after the rest is removed nothing is left. Prints the rate: jobs that ended, and calls, in a second.
 */
#include "storm.h"

#include <stores.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MOST 64
#define IO_MS        60000

/* ---- a thread's own -------------------------------------------------------------------------------------- */

static pthread_mutex_t first_trouble = PTHREAD_MUTEX_INITIALIZER;

void storm_note(struct storm *storm, const char *format, ...)
{
    va_list more;
    pthread_mutex_lock(&first_trouble);
    if (!storm->trouble[0]) {
        va_start(more, format);
        vsnprintf(storm->trouble, sizeof storm->trouble, format, more);
        va_end(more);
    }
    atomic_store(&storm->broken, true);
    pthread_mutex_unlock(&first_trouble);
}

int storm_open(struct blower *b, struct storm *storm, int name)
{
    const struct jobq_store_options options = {
        .size = sizeof options, .uri = storm->uri, .io_timeout_ms = IO_MS};
    *b = (struct blower){.storm = storm, .name = (uint8_t)name,
                         .dice = (storm->seed + (uint64_t)name + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1};
    b->arena = jobq_arena_create();
    if (!b->arena)
        abort();
    if (storm->backend->open(&b->store, &options, &b->err) == JOBQ_OK)
        return 0;
    storm_note(storm, "open: %s", b->err.text);
    return -1;
}

void storm_close(struct blower *b)
{
    if (b->store)
        b->storm->backend->close(b->store);
    jobq_arena_destroy(b->arena);
}

void storm_new_turn(struct blower *b)
{
    jobq_arena_destroy(b->arena);
    b->arena = jobq_arena_create();
    if (!b->arena)
        abort();
}

int storm_dice(struct blower *b, int sides)
{
    b->dice ^= b->dice >> 12;
    b->dice ^= b->dice << 25;
    b->dice ^= b->dice >> 27;
    return (int)((b->dice * UINT64_C(2685821657736338717)) >> 33) % sides;
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

static bool went_well(struct blower *b, const char *what, int status)
{
    atomic_fetch_add(&b->storm->calls, 1);
    if (status == JOBQ_OK)
        return true;
    storm_note(b->storm, "%s: %s: %s", what, jobq_status_name(status), b->err.text);
    return false;
}

bool storm_send(struct blower *b, struct jobq_exchange *x)
{
    if (atomic_load(&b->storm->broken))
        return false;
    if (!x->beat_count && !x->change_count && !x->put_count && !x->want)
        return false;
    x->size = sizeof *x;
    x->client[0] = 's';
    x->client[1] = b->name;
    x->number = ++b->number;
    if (x->want) {
        x->want->mint[0] = b->name;
        b->wants++;
        memcpy(x->want->mint + 1, &b->wants, 7);
    }
    int status = b->storm->backend->exchange(b->store, x, b->arena, &b->err);
    return went_well(b, "exchange", status == JOBQ_OK && x->want ? x->want_unit : status);
}

bool storm_read(struct blower *b, struct jobq_query *query)
{
    if (!query->bytes)
        query->bytes = 1 << 20;
    return !atomic_load(&b->storm->broken) &&
           went_well(b, "read", b->storm->backend->read(b->store, query, b->arena, &b->err));
}

bool storm_stats(struct blower *b, struct jobq_stats *out)
{
    const struct jobq_bytes all = {0};
    return !atomic_load(&b->storm->broken) &&
           went_well(b, "stats", b->storm->backend->stats(b->store, &all, out, b->arena, &b->err));
}

bool storm_configure(struct blower *b, const struct jobq_settings *settings)
{
    return !atomic_load(&b->storm->broken) &&
           went_well(b, "configure", b->storm->backend->configure(b->store, settings, &b->err));
}

struct jobq_bytes storm_queue(int number)
{
    static const char *const names[STORM_QUEUES] = {"mail", "image", "report"};
    return (struct jobq_bytes){names[number], strlen(names[number])};
}

/* As ids are: of one moment, rising. */
struct jobq_id storm_id(long number)
{
    return (struct jobq_id){{0x01, 0x9a, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, (uint8_t)(number >> 24),
                             (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

long storm_number_of(const struct jobq_id *id)
{
    const uint8_t *b = id->bytes;
    return (long)b[12] << 24 | (long)b[13] << 16 | (long)b[14] << 8 | b[15];
}

/* ---- one storm ------------------------------------------------------------------------------------------- */

static void *blow(void *user)
{
    struct blower *b = user;
    struct storm *storm = b->storm;
    int late = 0; /* turns after the last put: most of what is left is soon done, the rest waits for a parent
                     or for its time */
    while (!atomic_load(&storm->broken) && late < 300 && atomic_load(&storm->ended) < storm->jobs) {
        storm_turn(b);
        late += atomic_load(&storm->next) >= storm->jobs;
    }
    storm_leave(b);
    return NULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void blow_all(struct storm *storm)
{
    struct blower blowers[THREADS_MOST];
    pthread_t threads[THREADS_MOST];
    int opened = 0;
    while (opened < storm->threads && storm_open(&blowers[opened], storm, opened + 1) == 0)
        opened++;
    double from = seconds();
    for (int i = 0; i < opened; i++)
        if (pthread_create(&threads[i], NULL, blow, &blowers[i]) != 0)
            abort();
    for (int i = 0; i < opened; i++)
        pthread_join(threads[i], NULL);
    double took = seconds() - from;
    long claims = atomic_load(&storm->claims);
    printf("# %ld of %ld jobs ended in %.2f s: %.0f jobs/s, %.0f calls/s, %.1f jobs a claim\n",
           atomic_load(&storm->ended), storm->jobs, took, (double)atomic_load(&storm->ended) / took,
           (double)atomic_load(&storm->calls) / took,
           claims ? (double)atomic_load(&storm->claimed) / (double)claims : 0.0);
    for (int i = 0; i < storm->threads && i <= opened; i++)
        if (i < opened || !blowers[i].store)
            storm_close(&blowers[i]);
}

static void storm_run(struct storm *storm)
{
    struct blower last;
    storm->ledger = calloc((size_t)storm->jobs, sizeof *storm->ledger);
    if (!storm->ledger)
        abort();
    for (long i = 0; i < storm->jobs; i++)
        storm->ledger[i].key = -1;
    if (storm_open(&last, storm, 0) ==
        0) { /* is there all the time: a store in memory lives as long as somebody has it open */
        blow_all(storm);
        atomic_store(&storm->next, storm->jobs);
        storm_settle(&last);
        if (!atomic_load(&storm->broken))
            storm_check_end(&last);
        if (!atomic_load(&storm->broken))
            storm_check_empty(&last);
    }
    storm_close(&last);
    free(storm->ledger);
}

/* ---- the program ----------------------------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr, "usage: chaos-storm --store NAME [--uri URI] [--jobs N] [--threads N] [--seed N] "
                    "[--plain] [--planted]\n");
    return 2;
}

static int run_on(struct storm *storm, const struct test_store *store, const char *uri)
{
    char fresh[STORE_URI];
    if (!uri && store_fresh(store, fresh) != 0) {
        printf("not ok - a store cannot be made\n");
        return -1;
    }
    storm->uri = uri ? uri : fresh;
    storm_run(storm);
    if (!uri)
        store_drop(store, fresh);
    return 0;
}

static int run_planted(const struct storm *like, const struct test_store *store)
{
    const char *name;
    int failed = 0, number = 0;
    const struct jobq_backend *backend;
    for (; (backend = storm_plant(store->backend(), number, &name)) != NULL; number++) {
        struct storm storm = {
            .jobs = like->jobs, .threads = like->threads, .seed = like->seed, .backend = backend};
        if (run_on(&storm, store, NULL) != 0)
            return 1;
        failed += !storm.trouble[0];
        printf("%s %d - %s\n# %s\n", storm.trouble[0] ? "ok" : "not ok", number + 1, name, storm.trouble);
    }
    printf("1..%d\n", number);
    return failed != 0;
}

static int run_once(struct storm *storm, const struct test_store *store, const char *uri)
{
    storm->backend = store->backend();
    printf("1..1\n# %s, %d threads, --seed %llu%s\n", store->name, storm->threads,
           (unsigned long long)storm->seed, storm->plain ? " --plain" : "");
    if (run_on(storm, store, uri) != 0)
        return 1;
    if (storm->trouble[0])
        printf("# %s\n", storm->trouble);
    printf("%s 1 - each job ends once, what is counted is there, and nothing is left\n",
           storm->trouble[0] ? "not ok" : "ok");
    return storm->trouble[0] != '\0';
}

int main(int argc, char **argv)
{
    struct storm storm = {.jobs = 3000, .threads = 6,
                          .seed = (uint64_t)time(NULL) * 1000 + (uint64_t)getpid()};
    const struct test_store *store = NULL;
    const char *uri = NULL;
    bool planted = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--plain") == 0)
            storm.plain = true;
        else if (strcmp(argv[i], "--planted") == 0)
            planted = true;
        else if (strcmp(argv[i], "--store") == 0)
            store = store_find(value), i++;
        else if (strcmp(argv[i], "--uri") == 0)
            uri = value, i++;
        else if (strcmp(argv[i], "--jobs") == 0)
            storm.jobs = atol(value), i++;
        else if (strcmp(argv[i], "--threads") == 0)
            storm.threads = atoi(value), i++;
        else if (strcmp(argv[i], "--seed") == 0)
            storm.seed = strtoull(value, NULL, 10), i++;
        else
            return usage();
    }
    if (!store || storm.jobs < 1 || storm.threads < 1 || storm.threads > THREADS_MOST)
        return usage();
    if (getenv("JOBQ_TEST_FULL") && !planted)
        storm.jobs *= 20;
    if (!uri && store_lacks(store)) {
        printf("Bail out! %s is not set\n", store_lacks(store));
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    return planted ? run_planted(&storm, store) : run_once(&storm, store, uri);
}
