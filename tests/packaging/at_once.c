/* SPDX-License-Identifier: MIT */
/* The store of the template between processes: two put the same keys and work them off at the same time, a third is killed in
 * the middle of its calls. Afterwards another process finds every job, and each of them done. */
#include "plain.h"

#include <jobq/jobq.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS 60

struct shared {
    int done[JOBS];
    int calls; /* of the one that is killed */
};

static char uri[64];

static void must(int status, const char *what)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, jobq_status_name(status), jobq_last_error()->text);
    _exit(1);
}

static struct jobq *open_store(void)
{
    struct jobq *q = NULL;
    must(jobq_open(&q, plain_store(), uri, NULL), "open");
    return q;
}

static void put(struct jobq *q, int number)
{
    char name[16];
    const size_t size = (size_t)snprintf(name, sizeof name, "%d", number);
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .payload = { name, size }, .key = { name, size } };
    must(jobq_enqueue(q, &spec, NULL), "enqueue");
}

/* Take one and hand it in; 0 when there is none. */
static int work(struct jobq *q, struct shared *shared)
{
    const char *const queues[] = { "q" };
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 1 };
    struct jobq_jobs *jobs = NULL;
    must(jobq_claim(q, &options, &jobs), "claim");
    int found = jobs->count > 0;
    if (found) {
        char name[16] = "";
        memcpy(name, jobs->jobs[0].payload.data, jobs->jobs[0].payload.size);
        int status = jobq_ack(q, &jobs->jobs[0].id, &jobs->jobs[0].token, NULL, 0);
        must(status, "ack");
        if (status == JOBQ_OK)
            __atomic_fetch_add(&shared->done[atoi(name)], 1, __ATOMIC_RELAXED);
    }
    jobq_jobs_free(jobs);
    return found;
}

static void be_a_process(struct shared *shared)
{
    struct jobq *q = open_store();
    for (int i = 0; i < JOBS; i++)
        put(q, i);
    while (work(q, shared))
        ;
    jobq_close(q);
    _exit(0);
}

/* Puts what is there already, again and again, until it is killed. */
static void be_the_victim(struct shared *shared)
{
    struct jobq *q = open_store();
    for (;;) {
        put(q, 0);
        __atomic_fetch_add(&shared->calls, 1, __ATOMIC_RELAXED);
    }
}

static pid_t start(void (*as)(struct shared *), struct shared *shared)
{
    pid_t child = fork();
    if (child == 0)
        as(shared);
    return child;
}

static int check(const struct shared *shared)
{
    struct jobq *q = open_store();
    struct jobq_stats *stats = NULL;
    must(jobq_stats(q, NULL, &stats), "stats");
    int good = stats->queue_count == 1 && stats->queues[0].present[JOBQ_COMPLETED] == stats->queues[0].enqueued_total;
    int missing = 0;
    for (int i = 0; i < JOBS; i++)
        missing += shared->done[i] == 0;
    fprintf(stderr, "%d of %d were not done; good %d\n", missing, JOBS, good);
    jobq_stats_free(stats);
    jobq_close(q);
    return good && !missing;
}

static void remove_folder(const char *folder)
{
    char path[400];
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(list);
    rmdir(folder);
}

int main(void)
{
    char folder[] = "/tmp/plain-XXXXXX";
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int good = mkdtemp(folder) && shared != MAP_FAILED;
    if (!good)
        return 1;
    snprintf(uri, sizeof uri, "plain:%s", folder);
    const pid_t victim = start(be_the_victim, shared), workers[] = { start(be_a_process, shared), start(be_a_process, shared) };
    while (__atomic_load_n(&shared->calls, __ATOMIC_RELAXED) < 10 && waitpid(victim, NULL, WNOHANG) == 0)
        usleep(1000);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    for (int i = 0; i < 2; i++) {
        int status = 1;
        waitpid(workers[i], &status, 0);
        good &= status == 0;
    }
    /* What the killed one put after the others found nothing more. */
    struct jobq *q = open_store();
    while (work(q, shared))
        ;
    jobq_close(q);
    good &= check(shared);
    remove_folder(folder);
    return !good;
}
