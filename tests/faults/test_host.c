/* SPDX-License-Identifier: MIT */
/*
 * Programs that are not as one expects: in a Turkish locale, under a rain of signals, without standard descriptors, at the limit
 * of what they may use, on a disk that is full. Every public call must do its work on the memory store and on SQLite, or say for
 * certain that it did not.
 */
#define _GNU_SOURCE
#include "world.h"

#include <jobq/memory.h>
#include <jobq/sqlite.h>

#include <fcntl.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static char folder[] = "/dev/shm/jobq-host-XXXXXX";
static volatile sig_atomic_t signals;

static struct world world_on(const struct jobq_backend *backend, const char *name)
{
    struct world w = { .backend = backend, .options = { .size = sizeof w.options, .io_timeout_ms = 30000 } };
    if (backend == jobq_memory())
        snprintf(w.uri, sizeof w.uri, "memory:%s", name);
    else
        snprintf(w.uri, sizeof w.uri, "sqlite:%s/%s.db", folder, name);
    return w;
}

/* Each call answers what it is made to answer: what it answers twice in an ordinary program. */
static void all_calls(struct world *w, int answers[][2], bool compare)
{
    world_open(w);
    for (size_t i = 0; i < call_count; i++) {
        world_begin(w, &calls[i]);
        for (int k = 0; k < 2; k++) {
            int status = calls[i].run(w);
            if (compare && status != answers[i][k]) {
                fprintf(stderr, "%s: %d instead of %d\n", calls[i].name, status, answers[i][k]);
                exit(1);
            }
            answers[i][k] = status;
        }
    }
    world_close(w);
}

static void on_both(const char *name)
{
    static int answers[128][2];
    struct world plain = world_on(jobq_memory(), name), file = world_on(jobq_sqlite(), name);
    all_calls(&plain, answers, false);
    all_calls(&file, answers, true);
}

/* ---- the cases: each in a process of its own ------------------------------------------------------------------- */

/* Where I and i are not the same letter in two cases, and a comma stands in numbers. */
static void turkish(void)
{
    char command[200];
    const struct jobq_schedule schedule = { .size = sizeof schedule, .cron = "30 4 * JAN-DEC FRI", .zone = "Europe/Istanbul" };
    int64_t times[2];
    size_t count;
    snprintf(command, sizeof command, "localedef -i tr_TR -f UTF-8 %s/tr_TR.UTF-8 >%s/localedef.log 2>&1", folder, folder);
    if (system(command) == -1 || setenv("LOCPATH", folder, 1) != 0 || !setlocale(LC_ALL, "tr_TR.UTF-8")) {
        fprintf(stderr, "no Turkish locale: localedef and its sources are needed (packages libc-bin and locales)\n");
        exit(1);
    }
    on_both("turkish");
    if (jobq_schedule_preview(&schedule, 1700000000000, times, 2, &count) != JOBQ_OK || count != 2 ||
        jobq_state_parse("ready") != JOBQ_READY) {
        fprintf(stderr, "names of months, days and zones: %s\n", jobq_last_error()->text);
        exit(2);
    }
}

static void count_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

/* 200 in a second, without SA_RESTART: what is interrupted is taken up again. */
static void rained_on(void)
{
    const struct sigaction action = { .sa_handler = count_signal };
    const struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    on_both("signals");
    while (!signals)
        pause();
}

/* Nothing of ours may be where the program believes its output to be. */
static void closed_descriptors(void)
{
    struct world w = world_on(jobq_sqlite(), "closed");
    struct jobq_jobs *jobs;
    close(0);
    close(1);
    close(2);
    world_open(&w);
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "work" };
    world_must(jobq_enqueue(w.q, &spec, NULL), "put");
    for (int i = 0; i < 3; i++)
        if (write(i, "printed by the program\n", 23) > 0)
            exit(3);
    world_must(jobq_list(w.q, NULL, &jobs), "list");
    if (jobs->count != 1)
        exit(4);
    jobq_jobs_free(jobs);
    world_close(&w);
}

static bool certain(int status)
{
    return status >= 0 || status == JOBQ_FAILED || status == JOBQ_NOMEM || status == JOBQ_UNREACHABLE || status == JOBQ_UNKNOWN;
}

/* What is put until room is short, and refused from then on. */
struct felt {
    uint64_t put, refused;
};

static void put_one(struct world *w, struct felt *felt)
{
    static char payload[20000];
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .payload = { payload, sizeof payload } };
    int status = jobq_enqueue(w->q, &spec, NULL);
    if (!certain(status))
        exit(8);
    felt->put += status == JOBQ_OK;
    felt->refused += status < 0;
}

static void open_another(struct world *w, struct felt *felt)
{
    struct jobq *another = NULL;
    int status = jobq_open(&another, w->backend, w->uri, &w->options);
    jobq_close(another);
    if (!certain(status))
        exit(8);
    felt->refused += status < 0;
}

/* With room again the same handle goes on, and all that was answered is there. */
static void all_is_there(struct world *w, const struct felt *felt)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "work" };
    struct jobq_stats *stats;
    world_must(jobq_enqueue(w->q, &spec, NULL), "put when there is room again");
    world_must(jobq_stats(w->q, NULL, &stats), "stats");
    if (!felt->refused || stats->queues[0].present[JOBQ_READY] != felt->put + 1)
        exit(9);
    jobq_stats_free(stats);
}

#ifdef __GLIBC__
typedef __rlimit_resource_t resource; /* an enumeration there with _GNU_SOURCE */
#else
typedef int resource;
#endif

static void within_a_limit(const struct jobq_backend *backend, const char *name, resource which, rlim_t low,
                           void (*one)(struct world *, struct felt *))
{
    struct world w = world_on(backend, name);
    struct rlimit limit, before;
    struct felt felt = { 0, 0 };
    w.options.io_timeout_ms = 200;
    world_open(&w);
    getrlimit(which, &before);
    limit = (struct rlimit){ low, before.rlim_max };
    setrlimit(which, &limit);
    for (int i = 0; i < (which == RLIMIT_NOFILE ? 10 : 200); i++)
        one(&w, &felt);
    setrlimit(which, &before);
    all_is_there(&w, &felt);
    world_close(&w);
}

static void small_files(void)
{
    signal(SIGXFSZ, SIG_IGN); /* as the manual says for programs with such a limit */
    within_a_limit(jobq_sqlite(), "size", RLIMIT_FSIZE, 1 << 20, put_one);
}

static void few_descriptors(void)
{
    within_a_limit(jobq_sqlite(), "descriptors", RLIMIT_NOFILE, 8, open_another);
}

/* How much of the address space is in use. */
static rlim_t space_used(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%lu", &pages) != 1)
        exit(10);
    fclose(statm);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void little_memory(void)
{
    within_a_limit(jobq_memory(), "space", RLIMIT_AS, space_used() + (2 << 20), put_one);
}

static void mounted(const char *size, unsigned long flags)
{
    char where[60];
    snprintf(where, sizeof where, "%s/small", folder);
    if (mount("none", where, "tmpfs", flags, size) != 0)
        exit(11);
}

/* A file system of its own, as far as this process sees; what cannot have one says so. */
static void small_file_system(void)
{
    char where[60];
    struct felt felt = { 0, 0 };
    struct world w = world_on(jobq_sqlite(), "small/full");
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        _exit(SKIPPED);
    snprintf(where, sizeof where, "%s/small", folder);
    if (mkdir(where, 0700) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        exit(12);
    mounted("size=2m", 0);
    w.options.io_timeout_ms = 200;
    world_open(&w);
    for (int i = 0; i < 200; i++)
        put_one(&w, &felt);
    mounted("size=32m", MS_REMOUNT);
    all_is_there(&w, &felt);
    world_close(&w);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    { "a Turkish locale", turkish },
    { "200 signals in a second", rained_on },
    { "no standard descriptors", closed_descriptors },
    { "files of at most 1 MiB", small_files },
    { "eight descriptors", few_descriptors },
    { "a file system of 2 MiB", small_file_system },
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ /* they need all the space there is */
    { "2 MiB of memory", little_memory },
#endif
};

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", folder);
}

int main(void)
{
    int failed = 0;
    if (!mkdtemp(folder))
        return 2;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = 0;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            cases[i].run();
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
            status = -1;
        bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
        status = skipped ? 0 : status;
        failed += status != 0;
        printf("%s %zu - %s%s\n", status ? "not ok" : "ok", i + 1, cases[i].name,
               skipped ? " # SKIP no file system of its own for this user" : status && WIFSIGNALED(status) ? " (a signal)" : "");
        if (status)
            printf("# status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    printf("1..%zu\n", sizeof cases / sizeof *cases);
    remove_folder();
    return failed;
}
