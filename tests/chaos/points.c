/* SPDX-License-Identifier: MIT */
/*
 * Every point at which a process can stop within an operation, one after the other: it ends (or its line is cut) at the n-th
 * call of the store, SQL statement, file operation or packet, for n = 1, 2, 3 ... until the operation gets through.
 *
 *   chaos-points --store URI | --server redis|postgres [--every K] [--seed N] [--only OPERATION]
 *                [--kind call|statement|file|packet]
 *
 * For each point a process of its own is started, which prepares what the operation needs, tells what it prepared, and stops.
 * Then a handle that nothing happened to looks: what was answered is there, what is one unit is there as a whole or not at all,
 * the operation can be repeated, and whatever is left is worked off without a manual step and is there once. --every K takes
 * each K-th point (5; 1 with JOBQ_TEST_FULL in the environment); the seed, which is printed, says from which on. With --server
 * the address is the one that the scripts with a server set. Writes TAP, a line for each operation.
 *
 *   chaos-points child ...   is that process
 */
#include "points.h"
#include "stop.h"

#include <jobq/postgres.h>
#include <jobq/redis.h>
#include <jobq/sqlite.h>

#include <inject.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum kind { KIND_CALL, KIND_STATEMENT, KIND_FILE, KIND_PACKET };
static const char *const kind_names[] = { "call", "statement", "file", "packet" };
static const char *const how_names[] = { "before", "after", "cut before", "cut after" };

#define NOT_REACHED 97 /* how a child ends that got through: there is no n-th */
#define SURVIVED 98    /* its line was cut, and it went on */
#define HOUR_MS 3600000
#define ROUNDS 100     /* of working off */
#define QUICK_ROUNDS 6 /* of these; before each later one the server gets PAUSE_MS */
#define PAUSE_MS 100

static const struct jobq_backend *backend_of(const char *uri)
{
    return strncmp(uri, "sqlite", 6) == 0 ? jobq_sqlite() : strncmp(uri, "redis", 5) == 0 ? jobq_redis() : jobq_postgres();
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "chaos-points: %s: %s\n", what, jobq_last_error()->text);
    exit(2);
}

static struct jobq *open_store(const char *uri, const struct jobq_backend *backend)
{
    const struct jobq_options options = { .size = sizeof options, .io_timeout_ms = 10000 };
    struct jobq *q;
    return jobq_open(&q, backend, uri, &options) == JOBQ_OK ? q : NULL;
}

/* ---- the child ---------------------------------------------------------------------------------------------------- */

struct point {
    enum kind kind;
    int how;
    long n;
};

static struct inject_plan plan;

static void arm(const struct point *p)
{
    if (p->kind == KIND_CALL) {
        plan.calls = 0;
        plan.stop_call = p->n;
        plan.stop_late = p->how == STOP_AFTER;
    } else {
        stop_arm((int)p->kind, p->how, p->n);
    }
}

static bool reached(const struct point *p)
{
    long seen = stop_disarm();
    return (p->kind == KIND_CALL ? plan.calls : seen) >= p->n;
}

static void tell(const struct scene *s)
{
    if (write(STDOUT_FILENO, s, sizeof *s) != (ssize_t)sizeof *s)
        _exit(2);
}

/* child URI OPERATION KIND HOW N QUEUE */
static int child(char **words)
{
    const struct operation *op = operation_find(words[1]);
    const struct point p = { .kind = (enum kind)atoi(words[2]), .how = atoi(words[3]), .n = atol(words[4]) };
    struct scene s = { .status = JOBQ_OK };
    plan.inner = backend_of(words[0]);
    struct jobq_backend table = *plan.inner;
    if (p.kind == KIND_CALL) {
        inject_begin(&plan);
        table = *inject_backend();
        table.name = plan.inner->name;
    }
    operations_backend = &table;
    operations_uri = words[0];
    snprintf(s.queue, sizeof s.queue, "%s", words[5]);
    if (op->opens)
        arm(&p);
    struct jobq *q = open_store(words[0], &table);
    if (!q && !op->opens)
        die("open");
    if (q && op->prepare && op->prepare(q, &s) != JOBQ_OK)
        die(op->name);
    if (!op->opens) {
        tell(&s);
        arm(&p);
    }
    s.status = q ? op->act ? op->act(q, &s) : JOBQ_OK : jobq_last_error()->status;
    bool there = reached(&p);
    tell(&s);
    jobq_close(q);
    return there ? SURVIVED : NOT_REACHED;
}

/* ---- the parent --------------------------------------------------------------------------------------------------- */

static struct {
    const char *program, *uri, *only;
    const char *server; /* without a namespace; NULL: a file */
    long every, seed;
    int kind; /* -1: all */
    long serial, operations, points, failed;
} run = { .kind = -1 };

static char place[200]; /* of what is told */

static void complain(const char *what, long a, long b)
{
    printf("# %s: %s (%ld, %ld)\n", place, what, a, b);
    run.failed++;
}

/* Runs the child; how it ended. What it told last is in *s, the number of times it told in *told. */
static int run_child(const char *uri, const struct operation *op, const struct point *p, struct scene *s, int *told)
{
    char kind[8], how[8], n[24];
    int ends[2], status = 0;
    snprintf(kind, sizeof kind, "%d", (int)p->kind);
    snprintf(how, sizeof how, "%d", p->how);
    snprintf(n, sizeof n, "%ld", p->n);
    if (pipe(ends) != 0)
        die("pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(run.program, run.program, "child", uri, op->name, kind, how, n, s->queue, (char *)NULL);
        _exit(2);
    }
    close(ends[1]);
    struct scene heard;
    *told = 0;
    while (read(ends[0], &heard, sizeof heard) == (ssize_t)sizeof heard) {
        *s = heard;
        ++*told;
    }
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("child");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static size_t rows_of(struct jobq *q, const char *queue, uint32_t states)
{
    const struct jobq_filter filter = { .size = sizeof filter, .queue = queue, .states = states, .limit = 100 };
    struct jobq_jobs *jobs;
    if (jobq_list(q, &filter, &jobs) != JOBQ_OK)
        die("list");
    size_t count = jobs->count;
    jobq_jobs_free(jobs);
    return count;
}

#define LIVE (1u << JOBQ_BLOCKED | 1u << JOBQ_SCHEDULED | 1u << JOBQ_READY | 1u << JOBQ_RUNNING)

/* Leases run out, back-offs pass, and somebody works. A server may still be busy with what the dead one had sent, and nobody can
 * take the rows that it has locked: it is waited for. */
static void work_off(struct jobq *q, const char *queue)
{
    const char *const queues[] = { queue };
    const struct jobq_claim_options want = { .size = sizeof want, .queues = queues, .queue_count = 1, .limit = 100 };
    for (int i = 0; i < ROUNDS && (i == 0 || rows_of(q, queue, LIVE)); i++) {
        struct jobq_jobs *jobs;
        if (i >= QUICK_ROUNDS)
            poll(NULL, 0, PAUSE_MS);
        if (jobq_clock_advance(q, i ? HOUR_MS : LEASE_MS + 1) != JOBQ_OK || jobq_sweep(q, 100, NULL) != JOBQ_OK ||
            jobq_claim(q, &want, &jobs) != JOBQ_OK)
            die("working off");
        for (size_t k = 0; k < jobs->count; k++)
            if (jobq_ack(q, &jobs->jobs[k].id, &jobs->jobs[k].token, NULL, 0) != JOBQ_OK)
                complain("what was claimed cannot be completed", (long)k, jobq_last_error()->status);
        jobq_jobs_free(jobs);
    }
}

/* The state of a job, 0 if it is not there. */
static int state_of(struct jobq *q, const struct jobq_id *id, int *attempt)
{
    struct jobq_jobs *jobs;
    int rc = jobq_get(q, id, &jobs);
    if (rc == JOBQ_NOT_FOUND)
        return 0;
    if (rc != JOBQ_OK)
        die("get");
    int state = jobs->jobs[0].state;
    *attempt = (int)jobs->jobs[0].attempt;
    jobq_jobs_free(jobs);
    return state;
}

static size_t present(struct jobq *q, const struct scene *s, size_t from, size_t count)
{
    size_t there = 0;
    int attempt;
    for (size_t i = from; i < from + count; i++)
        there += state_of(q, &s->ids[i], &attempt) != 0;
    return there;
}

/* A server may still be busy with what the dead one had sent, and get through with it between two looks. */
static size_t present_at_rest(struct jobq *q, const struct scene *s, size_t from, size_t count)
{
    size_t before, there = present(q, s, from, count);
    do {
        before = there;
        there = present(q, s, from, count);
    } while (there != before);
    return there;
}

/* One state for all of them; nor is it another while a server gets through with what the dead one had sent. */
static size_t changed_together(struct jobq *q, const struct scene *s, size_t count)
{
    size_t before, changed = SIZE_MAX;
    do {
        int first = 0, attempt;
        before = changed;
        changed = 0;
        for (size_t i = 0; i < count; i++) {
            int state = state_of(q, &s->ids[i], &attempt);
            first = i ? first : state;
            changed += state != first;
        }
    } while (changed != before);
    return changed;
}

static void check_stats(struct jobq *q, const char *queue)
{
    struct jobq_stats *stats;
    if (jobq_stats(q, queue, &stats) != JOBQ_OK)
        die("stats");
    for (int state = 0; state < JOBQ_STATE_COUNT; state++) {
        size_t rows = state ? rows_of(q, queue, 1u << state) : 0;
        size_t said = stats->queue_count ? (size_t)stats->queues[0].present[state] : 0;
        if (state && rows != said)
            complain("S10: counted and there", (long)said, (long)rows);
    }
    jobq_stats_free(stats);
}

/* What is there before anybody repeats or mends anything. */
static void check_half(struct jobq *q, const struct operation *op, const struct scene *s, bool answered)
{
    size_t there = present_at_rest(q, s, op->prepared, op->puts), old = present_at_rest(q, s, 0, op->prepared);
    if (old != op->prepared && op->ends != ENDS_GONE)
        complain("S1: of what was put before, so many are there", (long)old, (long)op->prepared);
    if (changed_together(q, s, op->together))
        complain("half of what happens to many has happened", (long)changed_together(q, s, op->together), (long)op->together);
    if (there != 0 && there != op->puts)
        complain("half of a unit is there", (long)there, (long)op->puts);
    if (answered && s->status == JOBQ_OK && there != op->puts)
        complain("S1: answered OK, and there are", (long)there, (long)op->puts);
    if (answered && s->status == JOBQ_FAILED && there)
        complain("S16: answered FAILED, and it is there", (long)there, s->status);
    if (rows_of(q, s->queue, 0) > op->prepared + op->puts + op->fires)
        complain("more is there than was put", (long)rows_of(q, s->queue, 0), (long)(op->prepared + op->puts));
}

static void check_end(struct jobq *q, const struct operation *op, const struct scene *s)
{
    size_t all = op->prepared + op->puts;
    for (size_t i = 0; i < all; i++) {
        int attempt = 0, state = state_of(q, &s->ids[i], &attempt), wanted = i <= op->ending && op->ends ? op->ends : JOBQ_COMPLETED;
        if (wanted == ENDS_GONE ? state != 0 : state != wanted)
            complain("in the end a job is in another state", state, wanted);
        if (attempt > 4)
            complain("S5: attempts", attempt, 4);
    }
    size_t wanted = all + op->fires - (op->ends == ENDS_GONE ? 1 + op->ending : 0);
    if (rows_of(q, s->queue, 0) != wanted)
        complain("in the end there are", (long)rows_of(q, s->queue, 0), (long)wanted);
    if (rows_of(q, s->queue, LIVE))
        complain("L2: still live", (long)rows_of(q, s->queue, LIVE), 0);
    check_stats(q, s->queue);
}

static void check_point(struct jobq *q, const struct operation *op, struct scene *s, bool answered)
{
    check_half(q, op, s, answered);
    if (op->act) {
        int rc = op->act(q, s);
        if (rc != JOBQ_OK && rc != JOBQ_ALREADY && rc != op->or_else)
            complain("cannot be repeated", rc, op->or_else);
    }
    if (op->after)
        op->after(q, s);
    work_off(q, s->queue);
    check_end(q, op, s);
}

/* A store of its own for the operations that make one. */
/* A namespace of our own in a server: others may use it too. */
static const char *named(const char *server, long number, char *out, size_t size)
{
    snprintf(out, size, "%s%cnamespace=p%ld_%ld", server, strchr(server, '?') ? '&' : '?', (long)getpid(), number);
    return out;
}

static const char *uri_for(const struct operation *op, char *out, size_t size)
{
    if (!op->makes)
        return run.uri;
    if (run.server)
        return named(run.server, run.serial, out, size);
    snprintf(out, size, "%s.%ld", run.uri, run.serial);
    return out;
}

/* One point; false when the operation got through without it. */
static bool try_point(struct jobq *shared, const struct operation *op, const struct point *p)
{
    struct scene s = { .status = 0 };
    char own[600];
    int told;
    snprintf(s.queue, sizeof s.queue, "p%ld", ++run.serial);
    snprintf(place, sizeof place, "%s, %s %ld, %s", op->name, kind_names[p->kind], p->n, how_names[p->how]);
    const char *uri = uri_for(op, own, sizeof own);
    int ended = run_child(uri, op, p, &s, &told);
    if (ended != STOPPED && ended != SURVIVED && ended != NOT_REACHED) {
        complain("the child ended with", ended, 0);
        return false;
    }
    struct jobq *q = op->makes ? open_store(uri, backend_of(uri)) : shared;
    operations_uri = uri;
    if (!q)
        die("a store that was begun cannot be opened");
    if (op->opens) /* nothing was put yet: is it of use? */
        operation_find("enqueue-many")->prepare(q, &s);
    check_point(q, op->opens ? operation_find("enqueue-many") : op, &s, !op->opens && told == 2);
    if (q != shared)
        jobq_close(q);
    run.points += ended != NOT_REACHED;
    return ended != NOT_REACHED;
}

static void run_kind(struct jobq *q, const struct operation *op, enum kind kind, int hows)
{
    for (int how = 0; how < hows; how++) {
        struct point p = { .kind = kind, .how = how, .n = 1 + run.seed++ % run.every };
        while (try_point(q, op, &p))
            p.n += run.every;
    }
}

static void run_operation(struct jobq *q, const struct operation *op)
{
    bool sqlite = strncmp(run.uri, "sqlite", 6) == 0;
    const bool has[] = { !op->opens, sqlite, sqlite, !sqlite };
    const int hows[] = { 2, 2, 2, 4 };
    long points = run.points, failed = run.failed;
    for (int kind = 0; kind < 4; kind++)
        if (has[kind] && (run.kind < 0 || run.kind == kind))
            run_kind(q, op, (enum kind)kind, op->makes && !sqlite ? 1 : hows[kind]);
    printf("%sok %ld - %s: %ld points\n", run.failed > failed ? "not " : "", ++run.operations, op->name, run.points - points);
}

static int kind_of(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(kind_names[i], name) == 0)
            return i;
    return -1;
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "child") == 0)
        return child(argv + 2);
    char own[600];
    run.program = "/proc/self/exe";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--store") == 0)
            run.uri = argv[i + 1];
        else if (strcmp(argv[i], "--server") == 0)
            run.uri = getenv(strcmp(argv[i + 1], "redis") == 0 ? "JOBQ_TEST_REDIS" : "JOBQ_TEST_POSTGRES");
        else if (strcmp(argv[i], "--only") == 0)
            run.only = argv[i + 1];
        else if (strcmp(argv[i], "--every") == 0)
            run.every = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            run.seed = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--kind") == 0)
            run.kind = kind_of(argv[i + 1]);
    }
    if (!run.every)
        run.every = getenv("JOBQ_TEST_FULL") ? 1 : 5;
    if (!run.seed)
        run.seed = time(NULL) % 1000;
    if (!run.uri || run.every < 1) {
        fprintf(stderr, "usage: see the head of points.c\n");
        return 2;
    }
    if (strncmp(run.uri, "sqlite:", 7) != 0) {
        run.server = run.uri;
        run.uri = named(run.server, 0, own, sizeof own);
    }
    printf("# every %ld, seed %ld\n", run.every, run.seed);
    operations_backend = backend_of(run.uri);
    struct jobq *q = open_store(run.uri, backend_of(run.uri));
    if (!q)
        die("open");
    for (size_t i = 0; i < operation_count; i++)
        if (!run.only || strcmp(run.only, operations[i].name) == 0)
            run_operation(q, &operations[i]);
    jobq_close(q);
    printf("# points=%ld failed=%ld\n1..%ld\n", run.points, run.failed, run.operations);
    return run.failed != 0;
}
