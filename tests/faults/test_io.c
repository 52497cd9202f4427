/* SPDX-License-Identifier: MIT */
/*
 * Every file operation of SQLite's may fail (R2): through every public call the n-th read, write, sync and so on fails for
 * n = 1, 2, 3 ... until the call needs fewer; once it alone, and once with all that follow. What the call answers must be so
 * (S16), the handle goes on, and the file stays whole.
 *
 *   --stride N   every N-th only, from an offset that the seed gives; JOBQ_TEST_FULL=1 tries all
 *   --seed N     default: of the day's date; it is printed
 *   --only NAME  one call
 *   --mode M     full or normal, as in the store's address
 */
#include "vfs.h"
#include "world.h"

#include <jobq/sqlite.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long stride = 1, seed, faults, unknown, refused;
static char path[80];

static int is_ok(void *good, int count, char **values, char **names)
{
    (void)names;
    *(bool *)good = count == 1 && strcmp(values[0], "ok") == 0;
    return 0;
}

/* As another program sees it. */
static bool whole(void)
{
    sqlite3 *db;
    bool good = false;
    if (sqlite3_open(path, &db) == SQLITE_OK)
        sqlite3_exec(db, "PRAGMA integrity_check", is_ok, &good, NULL);
    sqlite3_close(db);
    return good;
}

/* False when the call needed fewer than n of them. */
static bool attempt(struct world *w, const struct call *call, const int expected[2], enum vfs_what what, long n, bool all,
                    bool *good)
{
    char where[96];
    world_begin(w, call);
    char *before = world_dump(w);
    vfs_fail(what, n, all);
    int status = call->run(w);
    long failures = vfs_fail_end();
    snprintf(where, sizeof where, " [%s %ld%s]", vfs_names[what], n, all ? " and all behind it" : "");
    faults += failures > 0;
    unknown += failures > 0 && status == JOBQ_UNKNOWN;
    refused += failures > 0 && status < 0 && status != JOBQ_UNKNOWN && status != expected[0];
    *good = world_judge(w, call, status, expected[0], expected[1], before, where);
    if (*good && failures && n % 8 == 1 && !whole()) {
        fprintf(stderr, "%s%s: the file is damaged\n", call->name, where);
        *good = false;
    }
    free(before);
    return failures > 0;
}

static bool enumerate(struct world *w, const struct call *call)
{
    bool good = true;
    world_begin(w, call);
    const int expected[2] = { call->run(w), call->run(w) };
    for (int what = 0; what < VFS_WHAT_COUNT && good; what++)
        for (int all = 0; all < 2 && good; all++) {
            bool fired = true;
            /* The first read of a call is that of the page which a handle must not keep when it makes no sense. */
            long first = what == VFS_SHORT_READ ? 1 : 1 + (seed + what) % stride;
            for (long n = first; good && fired; n += stride)
                fired = attempt(w, call, expected, (enum vfs_what)what, n, all, &good);
        }
    return good;
}

/* ---- making a store ------------------------------------------------------------------------------------------------ */

static void remove_files(void)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    char name[96];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

/* What is left of a store that could not be made is no hindrance to the next try. */
static bool attempt_to_make(struct world *w, enum vfs_what what, long n, bool all, bool *good)
{
    struct jobq *q;
    remove_files();
    vfs_fail(what, n, all);
    int status = jobq_open(&q, w->backend, w->uri, &w->options);
    long failures = vfs_fail_end();
    jobq_close(q);
    faults += failures > 0;
    refused += failures > 0 && status < 0;
    int again = jobq_open(&q, w->backend, w->uri, &w->options);
    jobq_close(q);
    /* A page that is cut short reads as zeros: no database. */
    bool definite = status == JOBQ_UNREACHABLE || status == JOBQ_CORRUPT || status == JOBQ_NOMEM || status == JOBQ_UNSUPPORTED ||
                    (status == JOBQ_FOREIGN && what == VFS_SHORT_READ);
    *good = again == JOBQ_OK && whole() && (status == JOBQ_OK || definite);
    if (!*good)
        fprintf(stderr, "making a store [%s %ld%s]: answered %d, and then %d: %s\n", vfs_names[what], n,
                all ? " and all behind it" : "", status, again, jobq_last_error()->text);
    return failures > 0;
}

static bool make_stores(struct world *w)
{
    bool good = true;
    for (int what = 0; what < VFS_WHAT_COUNT && good; what++)
        for (int all = 0; all < 2 && good; all++) {
            bool fired = true;
            for (long n = 1 + (seed + what) % stride; good && fired; n += stride)
                fired = attempt_to_make(w, (enum vfs_what)what, n, all, &good);
        }
    return good;
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

static int run_all(struct world *w, const char *only)
{
    int failed = 0, number = 0;
    if (!only) {
        bool made = make_stores(w);
        failed += !made;
        printf("%s %d - making a store: %ld operations failed\n", made ? "ok" : "not ok", ++number, faults);
    }
    for (size_t i = 0; i < call_count; i++) {
        if (only && strcmp(only, calls[i].name) != 0)
            continue;
        long before = faults;
        world_open(w);
        bool good = enumerate(w, &calls[i]);
        world_close(w);
        failed += !good;
        printf("%s %d - %s: %ld operations failed\n", good ? "ok" : "not ok", ++number, calls[i].name, faults - before);
        fflush(stdout);
    }
    bool good = whole();
    failed += !good;
    printf("%s %d - the file is whole\n1..%d\n", good ? "ok" : "not ok", number + 1, number + 1);
    printf("# file operations failed %ld: definite errors %ld, unknown %ld; seed %ld, every %ld.\n", faults, refused,
           unknown, seed, stride);
    /* Only what syncs at its commit can leave it in doubt. */
    if (!only && (refused == 0 || (stride == 1 && unknown == 0 && !strstr(w->uri, "=normal")))) {
        fprintf(stderr, "it tried too little to prove anything\n");
        failed++;
    }
    return failed;
}

int main(int argc, char **argv)
{
    const char *only = NULL, *mode = "full";
    struct world w = { .backend = jobq_sqlite(), .options = { .size = sizeof w.options } };
    char folder[] = "/dev/shm/jobq-io-XXXXXX";
    seed = (long)(time(NULL) / 86400);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--stride") == 0)
            stride = getenv("JOBQ_TEST_FULL") ? 1 : strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--mode") == 0)
            mode = argv[i + 1];
    }
    if (stride < 1 || !mkdtemp(folder))
        return 2;
    snprintf(path, sizeof path, "%s/store.db", folder);
    snprintf(w.uri, sizeof w.uri, "sqlite:%s?synchronous=%s", path, mode);
    vfs_begin();
    int failed = run_all(&w, only);
    remove_files();
    rmdir(folder);
    return failed ? 1 : 0;
}
