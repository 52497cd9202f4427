/* SPDX-License-Identifier: MIT */
/*
 * Every allocation may fail (R1): through every public call, on every store, the n-th allocation of the process fails for
 * n = 1, 2, 3 ... until the call needs fewer; once it alone, and once with all that follow. The answer must be definite or
 * honestly UNKNOWN, what it says must be so, the handle goes on, and at its close no block is left.
 *
 *   --store NAME   memory, sqlite, redis, postgres
 *   --stride N     of other libraries' allocations try every N-th only, from an offset that the seed gives; JOBQ_TEST_FULL=1
 *                  tries all. The library's own are all tried
 *   --seed N       default: of the day's date, and it is printed
 *   --only NAME    one call
 *   --at N         one allocation
 *   --own N        one of the library's own
 */
#include "alloc.h"
#include "stores.h"
#include "world.h"

#include <jobq/backend.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Shared with the processes in which the calls are made, so that a crash tells where it was. */
struct tally {
    long faults, refused, unknown, around, at, leaked, once;
    int all, own;
};

static const struct test_store *store;
static long stride = 1, seed, only_at;
static bool only_own;
static struct tally *tally;

/* ---- time -------------------------------------------------------------------------------------------------------- */

int __real_nanosleep(const struct timespec *wanted, struct timespec *left);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __real_clock_gettime(clockid_t which, struct timespec *out);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_clock_gettime(clockid_t which, struct timespec *out);

#define PATIENCE_MS 300

static _Atomic int64_t passed_ns;

/* A library that could not keep an answer waits for it as long as the call may take, and who got none asks again until then. Once
 * something has failed that time passes at once, but for a moment in which a server may answer. One that is slower was not heard,
 * which is an outcome like others. */
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    if (!alloc_has_failed())
        return __real_nanosleep(wanted, left);
    atomic_fetch_add(&passed_ns, (int64_t)wanted->tv_sec * 1000000000 + wanted->tv_nsec);
    return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (!alloc_has_failed() || (timeout_ms >= 0 && timeout_ms <= PATIENCE_MS))
        return __real_poll(fds, count, timeout_ms);
    int ready = __real_poll(fds, count, PATIENCE_MS);
    if (ready == 0 && timeout_ms > 0)
        atomic_fetch_add(&passed_ns, (int64_t)(timeout_ms - PATIENCE_MS) * 1000000);
    return ready;
}

int __wrap_clock_gettime(clockid_t which, struct timespec *out)
{
    int result = __real_clock_gettime(which, out);
    if (result == 0 && which == CLOCK_MONOTONIC) {
        int64_t ns = out->tv_nsec + atomic_load(&passed_ns);
        out->tv_sec += ns / 1000000000;
        out->tv_nsec = ns % 1000000000;
    }
    return result;
}

/* ---- one attempt -------------------------------------------------------------------------------------------- */

struct expected {
    int first, second;
};

static struct expected learn(struct world *w, const struct call *call)
{
    struct expected e;
    world_begin(w, call);
    e.first = call->run(w);
    e.second = call->run(w);
    return e;
}

static void describe(char *where, size_t room)
{
    snprintf(where, room, " [allocation %ld%s%s]", tally->at, tally->own ? " of our own" : "",
             tally->all ? " and all behind it" : "");
}

/* False when the call needed fewer than n allocations; *good: as the rules want it. */
static bool attempt(struct world *w, const struct call *call, const struct expected *e, long n, bool all, bool own, bool *good)
{
    char where[64];
    tally->at = n;
    tally->all = all;
    tally->own = own;
    world_begin(w, call);
    char *before = world_dump(w);
    alloc_fail(n, all, own);
    int status = call->run(w);
    long failures = alloc_end();
    describe(where, sizeof where);
    if (failures) {
        tally->faults++;
        tally->unknown += status == JOBQ_UNKNOWN;
        tally->around += status == e->first;
        tally->refused += status < 0 && status != JOBQ_UNKNOWN && status != e->first;
        *good = world_judge(w, call, status, e->first, e->second, before, where);
    } else if (status != e->first) {
        fprintf(stderr, "%s%s: nothing failed, and it answered %d\n", call->name, where, status);
        *good = false;
    }
    free(before);
    return failures > 0;
}

static bool enumerate(struct world *w, const struct call *call, const struct expected *e, bool all, bool own)
{
    const long step = own ? 1 : stride;
    bool good = true, fired = true;
    for (long n = only_at ? only_at : 1 + seed % step; good && fired; n += step) {
        fired = attempt(w, call, e, n, all, own, &good);
        if (only_at)
            break;
    }
    return good;
}

/* Where all are tried, our own are among them. */
static bool enumerate_all(struct world *w, const struct call *call, const struct expected *e)
{
    bool good = true;
    for (int all = 0; all < 2 && good; all++)
        good = enumerate(w, call, e, all, only_own) && (stride == 1 || only_at || enumerate(w, call, e, all, true));
    return good;
}

/* ---- one call, in a process of its own ------------------------------------------------------------------------ */

/* What libraries make once for a process is made before blocks are counted. */
static void warm_up(struct world *w, const struct call *call)
{
    for (int i = 0; i < 2; i++) {
        world_open(w);
        learn(w, call);
        world_close(w);
    }
}

/* Blocks that are left behind it are in the tally. */
static bool pass(struct world *w, const struct call *call)
{
    long live = alloc_live();
    world_open(w);
    struct expected e = learn(w, call);
    bool good = enumerate_all(w, call, &e);
    world_close(w);
    tally->leaked = alloc_live() - live;
    return good;
}

/* Some things a library makes once for a process because an allocation failed: other sources of names, the texts of errors. All of
 * it a second time tells them from a leak, which would be there again. */
static int try_call(struct world *w, const struct call *call)
{
    warm_up(w, call);
    bool good = pass(w, call);
    if (good && tally->leaked) {
        tally->once += tally->leaked;
        good = pass(w, call);
    }
    if (good && tally->leaked)
        fprintf(stderr, "%s: %ld blocks are left\n", call->name, tally->leaked);
    return good && !tally->leaked ? 0 : 1;
}

static bool in_child(struct world *w, const struct call *call)
{
    int status;
    tally->at = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        exit(try_call(w, call));
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFSIGNALED(status)) {
        char where[64];
        describe(where, sizeof where);
        fprintf(stderr, "%s%s: %s\n", call->name, where, strsignal(WTERMSIG(status)));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------- */

static int run_all(const char *only)
{
    struct world w = { .backend = store->backend() };
    int failed = 0, number = 0;
    w.options.io_timeout_ms = store->server ? 2000 : 0;
    if (store_fresh(store, w.uri) != 0)
        return 1;
    for (size_t i = 0; i < call_count; i++) {
        if (only && strcmp(only, calls[i].name) != 0)
            continue;
        long before = tally->faults;
        bool good = in_child(&w, &calls[i]);
        failed += !good;
        printf("%s %d - %s: %ld allocations failed\n", good ? "ok" : "not ok", ++number, calls[i].name,
               tally->faults - before);
        fflush(stdout);
    }
    store_drop(store, w.uri);
    printf("1..%d\n# %s: allocations failed %ld: definite errors %ld, got around it %ld, unknown %ld; "
           "blocks kept once %ld; seed %ld, every %ld.\n",
           number, store->name, tally->faults, tally->refused, tally->around, tally->unknown, tally->once, seed, stride);
    if (number == 0 || (!only && !only_at && tally->refused == 0)) {
        fprintf(stderr, "nothing was tried\n");
        failed++;
    }
    return failed;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    seed = (long)(time(NULL) / 86400);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--store") == 0)
            store = store_find(argv[i + 1]);
        else if (strcmp(argv[i], "--stride") == 0)
            stride = getenv("JOBQ_TEST_FULL") ? 1 : strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--at") == 0 || (only_own = strcmp(argv[i], "--own") == 0))
            only_at = strtol(argv[i + 1], NULL, 10);
    }
    if (!store || store_lacks(store) || stride < 1 || seed < 0) {
        fprintf(stderr, "usage: --store NAME [--stride N] [--seed N] [--only CALL] [--at N | --own N]; a server's address is in %s\n",
                store && store->server ? store->server : "its variable");
        return 2;
    }
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return tally == MAP_FAILED || run_all(only) ? 1 : 0;
}
