/* SPDX-License-Identifier: MIT */
/*
 * A process that may be shot at any instant, and writes down what it does before and after it does it.
 *
 *   chaos-actor produce URI LOG NAME FIRST COUNT   puts jobs number FIRST to FIRST + COUNT - 1
 *   chaos-actor rival   URI LOG NAME COUNT         puts a job COUNT times, each of the key of that moment, as others do
 *   chaos-actor claim   URI LOG NAME LEASE-MS      claims, works and answers by hand, until SIGTERM
 *   chaos-actor work    URI LOG NAME LEASE-MS      the same by the library's worker, two threads, until SIGTERM
 *   chaos-actor prepare URI                        sets the limits, the retention and the schedule of the run
 *
 * Each line of the log is one JSON value and one write. What becomes of a job depends on its number alone, so that the
 * reader of the log can tell what should have come of it. tests/chaos/check.py reads these logs; it shares no code with
 * the library, and this program asks the library for nothing but its public interface.
 */
#include <jobq/jobq.h>
#include <jobq/postgres.h>
#include <jobq/redis.h>
#include <jobq/sqlite.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IO_MS 3000
#define IMPATIENT_IO_MS 150 /* of every third process, or what CHAOS_IMPATIENT_MS says of a slow machine: it gives up while the
                               answer may still be on its way */
#define TRIES 200 /* of a call that fails because the store is away */
#define CLAIM_MOST 6
#define PUT_MOST 12

static const char *name = "?";
static int out = -1;
static int64_t lease_ms = 1000;
static long keys = 40; /* so many different ones among the keyed jobs */
static volatile sig_atomic_t ended;

static const char *const queues[] = { "limited", "tenants", "keyed", "plain" };
#define QUEUES (sizeof queues / sizeof *queues)

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* {"t": microseconds, "p": name, "pid": pid, REST} in one write, so that a kill leaves a whole line or none. */
static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    char line[4000];
    int at = snprintf(line, sizeof line, "{\"t\":%" PRId64 ",\"p\":\"%s\",\"pid\":%ld,", now_us(), name, (long)getpid());
    va_list args;
    va_start(args, format);
    at += vsnprintf(line + at, sizeof line - (size_t)at - 3, format, args);
    va_end(args);
    line[at++] = '}';
    line[at++] = '\n';
    if (write(out, line, (size_t)at) != at)
        _exit(3);
}

static const char *hex(const uint8_t bytes[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    return text;
}

/* Of bytes, so that lines stay short: FNV-1a. */
static uint64_t sum_of(const void *data, size_t size)
{
    const unsigned char *c = data;
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ c[i]) * UINT64_C(1099511628211);
    return sum;
}

static void pause_ms(int64_t ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&ts, NULL);
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static const struct jobq_backend *backend_of(const char *uri)
{
    return strncmp(uri, "sqlite", 6) == 0 ? jobq_sqlite() : strncmp(uri, "redis", 5) == 0 ? jobq_redis() : jobq_postgres();
}

/* The number at the end of our name. */
static long serial(void)
{
    const char *dash = strrchr(name, '-');
    return dash ? atol(dash + 1) : 1;
}

static int64_t io_ms(void)
{
    const char *impatient = getenv("CHAOS_IMPATIENT_MS");
    return serial() % 3 ? IO_MS : impatient ? atol(impatient) : IMPATIENT_IO_MS;
}

/* A store that is away for a moment is waited for. */
static struct jobq *open_store(const char *uri)
{
    struct jobq *q = NULL;
    const struct jobq_keep keep = { .size = sizeof keep, .completed = JOBQ_KEEP_ALL, .dead = JOBQ_KEEP_ALL,
                                    .cancelled = JOBQ_KEEP_ALL };
    const struct jobq_options options = { .size = sizeof options,
                                          .io_timeout_ms = io_ms(),
                                          .keep = getenv("CHAOS_RETENTION") ? NULL : &keep };
    for (int i = 0; i < TRIES && !ended; i++) {
        int rc = jobq_open(&q, backend_of(uri), uri, &options);
        if (rc == JOBQ_OK)
            return q;
        if (rc != JOBQ_UNREACHABLE && rc != JOBQ_FAILED && rc != JOBQ_UNKNOWN) {
            fprintf(stderr, "%s: %s\n", name, jobq_last_error()->text);
            exit(1);
        }
        pause_ms(50);
    }
    exit(ended ? 0 : 1);
}

static bool again(int rc)
{
    return rc == JOBQ_UNKNOWN || rc == JOBQ_FAILED || rc == JOBQ_UNREACHABLE;
}

/* ---- producing --------------------------------------------------------------------------------------------------- */

struct job {
    char payload[120];
    size_t payload_bytes;
    char key[40], group[20];
    struct jobq_spec spec;
};

/* Number n as a job: its queue, key, group and limits follow from the number. */
static void job_of(struct job *job, long n, const struct jobq_id *id, const struct jobq_backoff *backoff)
{
    const char *queue = n % 20 < 12 ? "plain" : n % 20 < 15 ? "keyed" : n % 20 < 18 ? "limited" : "tenants";
    memset(job, 0, sizeof *job);
    job->payload_bytes = (size_t)snprintf(job->payload, sizeof job->payload, "%ld", n) + 1 + (size_t)(n % 60);
    for (size_t i = strlen(job->payload) + 1; i < job->payload_bytes; i++)
        job->payload[i] = (char)(n * 31 + (long)i * 7); /* any byte */
    job->spec = (struct jobq_spec){ .size = sizeof job->spec, .queue = queue, .kind = "chaos", .id = id,
                                    .payload = { job->payload, job->payload_bytes }, .backoff = backoff,
                                    .max_attempts = n % 10 ? 40 : 3, .max_crashes = n % 10 ? 40 : 3,
                                    .delay_ms = n % 13 ? 0 : n % 50 };
    if (strcmp(queue, "keyed") == 0) {
        snprintf(job->key, sizeof job->key, "key %ld", n / 20 % keys);
        job->spec.key = (struct jobq_bytes){ job->key, strlen(job->key) };
    }
    if (strcmp(queue, "tenants") == 0) {
        snprintf(job->group, sizeof job->group, "tenant %ld", n / 20 % 5);
        job->spec.group = job->group;
    }
}

static void note_enqueue_call(const struct job *job, const struct jobq_id *id, long n)
{
    char text[33];
    note("\"op\":\"enqueue\",\"ph\":\"call\",\"id\":\"%s\",\"n\":%ld,\"queue\":\"%s\",\"key\":\"%s\",\"group\":\"%s\","
         "\"sum\":\"%" PRIx64 "\",\"max\":%d", hex(id->bytes, text), n, job->spec.queue, job->key, job->group,
         sum_of(job->payload, job->payload_bytes), job->spec.max_attempts);
}

static void note_enqueue_done(const struct jobq_id *id, int rc, const struct jobq_enqueued *answer)
{
    char text[33], holder[33];
    note("\"op\":\"enqueue\",\"ph\":\"done\",\"id\":\"%s\",\"status\":\"%s\",\"holder\":\"%s\",\"same\":%d", hex(id->bytes, text),
         jobq_status_name(rc), hex(answer->id.bytes, holder), answer->same_payload);
}

/* The same ids until the answers are known. */
static void produce_some(struct jobq *q, long first, size_t count)
{
    struct jobq_backoff backoffs[PUT_MOST];
    struct jobq_spec specs[PUT_MOST];
    struct jobq_enqueued answers[PUT_MOST];
    struct jobq_id ids[PUT_MOST];
    struct job jobs[PUT_MOST];
    for (size_t k = 0; k < count; k++) {
        long n = first + (long)k;
        backoffs[k] = (struct jobq_backoff){ .size = sizeof *backoffs, .kind = JOBQ_BACKOFF_FIXED, .base_ms = 1 + n % 20 };
        if (jobq_id_new(&ids[k]) != JOBQ_OK)
            exit(1);
        job_of(&jobs[k], n, &ids[k], &backoffs[k]);
        specs[k] = jobs[k].spec;
    }
    for (int i = 0, rc = JOBQ_FAILED; i < TRIES && !ended && again(rc); i++) {
        if (i)
            pause_ms(rc == JOBQ_UNKNOWN ? 1 : 50);
        for (size_t k = 0; k < count; k++) {
            answers[k] = (struct jobq_enqueued){ .size = sizeof *answers };
            note_enqueue_call(&jobs[k], &ids[k], first + (long)k);
        }
        rc = count == 1 ? jobq_enqueue(q, specs, answers) : jobq_enqueue_many(q, specs, count, answers);
        for (size_t k = 0; k < count; k++)
            note_enqueue_done(&ids[k], count == 1 || rc < 0 ? rc : answers[k].status, &answers[k]);
    }
}

static void produce_one(struct jobq *q, long n)
{
    produce_some(q, n, 1);
}

static int produce(const char *uri, long first, long count)
{
    struct jobq *q = open_store(uri);
    long end = first + count;
    for (long n = first; n < end && !ended;) { /* of some forty those that are plain go together */
        size_t some = n % 40 || end - n < PUT_MOST ? 1 : PUT_MOST;
        produce_some(q, n, some);
        n += (long)some;
    }
    jobq_close(q);
    return 0;
}

#define TICK_NS INT64_C(10000000)

/* The number of the next tick of the machine's clock, when it has come: all rivals are at the same one at the same moment. */
static long next_tick(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t tick = (t.tv_sec * INT64_C(1000000000) + t.tv_nsec) / TICK_NS + 1;
    t.tv_sec = (time_t)(tick * TICK_NS / 1000000000);
    t.tv_nsec = (long)(tick * TICK_NS % 1000000000);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR && !ended)
        ;
    return (long)tick;
}

/* Who is late for a tick is in time for the next. */
static int rival(const char *uri, long count)
{
    struct jobq *q = open_store(uri);
    keys = count;
    for (long i = 0; i < count && !ended; i++)
        produce_one(q, 20 * (next_tick() % count) + 12);
    jobq_close(q);
    return 0;
}

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

enum fate { FATE_DONE, FATE_FAIL_ONCE, FATE_GIVE_UP, FATE_RELEASE_ONCE, FATE_SNOOZE_ONCE, FATE_SLOW, FATE_OVERSLEEP, FATE_TWICE };

/* Those that take longer than a lease are few: of sixty thousand jobs each hundredth is enough of them. */
static enum fate fate_of(long n)
{
    long d = n * 7919 % 200;
    return d < 160 ? FATE_DONE : d < 170 ? FATE_FAIL_ONCE : d < 174 ? FATE_GIVE_UP : d < 182 ? FATE_RELEASE_ONCE
         : d < 190 ? FATE_SNOOZE_ONCE : d < 192 ? FATE_SLOW : d < 194 ? FATE_OVERSLEEP : FATE_TWICE;
}

static long number_of(const struct jobq_job *job)
{
    return job->payload.size && memchr(job->payload.data, 0, job->payload.size) ? strtol(job->payload.data, NULL, 10) : -1;
}

static void note_job(const char *op, const char *phase, const struct jobq_job *job, const char *more)
{
    char id[33], token[33];
    note("\"op\":\"%s\",\"ph\":\"%s\",\"id\":\"%s\",\"token\":\"%s\",\"fence\":%" PRId64 ",\"attempt\":%d,\"n\":%ld%s", op, phase,
         hex(job->id.bytes, id), hex(job->token.bytes, token), jobq_token_fence(&job->token), job->attempt, number_of(job), more);
}

typedef int (*verb)(struct jobq *q, const struct jobq_job *job);

static int do_ack(struct jobq *q, const struct jobq_job *job)
{
    char result[40];
    int bytes = snprintf(result, sizeof result, "attempt %d", job->attempt);
    return jobq_ack(q, &job->id, &job->token, result, (size_t)bytes);
}

static int do_fail(struct jobq *q, const struct jobq_job *job)
{
    const struct jobq_failure failure = { .size = sizeof failure, .text = { "as its number says", 18 } };
    return jobq_fail(q, &job->id, &job->token, &failure);
}

static int do_give_up(struct jobq *q, const struct jobq_job *job)
{
    const struct jobq_failure failure = { .size = sizeof failure, .text = { "for good", 8 }, .permanent = 1 };
    return jobq_fail(q, &job->id, &job->token, &failure);
}

static int do_release(struct jobq *q, const struct jobq_job *job)
{
    return jobq_release(q, &job->id, &job->token);
}

static int do_snooze(struct jobq *q, const struct jobq_job *job)
{
    return jobq_snooze(q, &job->id, &job->token, 20);
}

static int do_extend(struct jobq *q, const struct jobq_job *job)
{
    return jobq_extend(q, &job->id, &job->token, lease_ms, NULL);
}

/* Until it is known what became of it. */
static int say(struct jobq *q, const char *op, verb call, const struct jobq_job *job)
{
    char more[60];
    int rc = JOBQ_FAILED;
    for (int i = 0; i < TRIES && again(rc) && !(ended && i > 3); i++) {
        if (i)
            pause_ms(rc == JOBQ_UNKNOWN ? 1 : 50);
        note_job(op, "call", job, "");
        rc = call(q, job);
        snprintf(more, sizeof more, ",\"status\":\"%s\"", jobq_status_name(rc));
        note_job(op, "done", job, more);
    }
    return rc;
}

static void end_job(struct jobq *q, const struct jobq_job *job)
{
    enum fate fate = fate_of(number_of(job));
    bool first = job->attempt == 1;
    if (fate == FATE_FAIL_ONCE && first)
        say(q, "fail", do_fail, job);
    else if (fate == FATE_GIVE_UP)
        say(q, "fail", do_give_up, job);
    else if (fate == FATE_RELEASE_ONCE && first)
        say(q, "release", do_release, job);
    else if (fate == FATE_SNOOZE_ONCE && first)
        say(q, "snooze", do_snooze, job);
    else {
        int rc = say(q, "ack", do_ack, job);
        if (fate == FATE_TWICE && rc == JOBQ_OK)
            say(q, "ack", do_ack, job);
    }
}

/* ---- claiming by hand ---------------------------------------------------------------------------------------------- */

static void one_job(struct jobq *q, const struct jobq_job *job)
{
    enum fate fate = fate_of(number_of(job));
    note_job("handler", "start", job, "");
    if (fate == FATE_SLOW)
        for (int i = 0; i < 4 && !ended; i++) {
            pause_ms(lease_ms / 3);
            if (say(q, "extend", do_extend, job) != JOBQ_OK)
                break;
        }
    if (fate == FATE_OVERSLEEP && job->attempt == 1)
        pause_ms(lease_ms + lease_ms / 3);
    note_job("handler", "end", job, "");
    end_job(q, job);
}

static void note_claimed(const struct jobq_jobs *jobs, long call)
{
    char more[500];
    for (size_t i = 0; i < jobs->count; i++) {
        const struct jobq_job *job = &jobs->jobs[i];
        snprintf(more, sizeof more, ",\"call\":%ld,\"queue\":\"%s\",\"group\":\"%s\",\"sum\":\"%" PRIx64 "\",\"lease\":%" PRId64, call,
                 job->queue, job->group, sum_of(job->payload.data, job->payload.size), lease_ms);
        note_job("claim", "row", job, more);
    }
}

static int claim(const char *uri)
{
    struct jobq *q = open_store(uri);
    for (long call = 1; !ended; call++) {
        const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = QUEUES,
                                                    .limit = 1 + (size_t)call % CLAIM_MOST, .lease_ms = lease_ms,
                                                    .worker = name };
        struct jobq_jobs *jobs = NULL;
        note("\"op\":\"claim\",\"ph\":\"call\",\"call\":%ld,\"lease\":%" PRId64, call, lease_ms);
        int rc = jobq_claim(q, &options, &jobs);
        if (rc == JOBQ_OK)
            note_claimed(jobs, call);
        note("\"op\":\"claim\",\"ph\":\"done\",\"call\":%ld,\"status\":\"%s\",\"rows\":%zu", call, jobq_status_name(rc),
             rc == JOBQ_OK ? jobs->count : 0);
        for (size_t i = 0; rc == JOBQ_OK && i < jobs->count; i++)
            one_job(q, &jobs->jobs[i]);
        if (rc != JOBQ_OK || jobs->count == 0)
            pause_ms(rc == JOBQ_OK ? 15 : 50);
        jobq_jobs_free(jobs);
    }
    jobq_close(q);
    return 0;
}

/* ---- the library's worker --------------------------------------------------------------------------------------------- */

static int handle(struct jobq_ctx *ctx, void *user)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);
    enum fate fate = fate_of(number_of(job));
    (void)user;
    note_job("handler", "start", job, "");
    if (fate == FATE_SLOW)
        pause_ms(lease_ms + lease_ms / 3); /* the worker's heartbeats keep it */
    note_job("handler", "end", job, "");
    if (jobq_ctx_flags(ctx) & JOBQ_CTX_LOST)
        return JOBQ_DONE; /* nobody listens */
    switch (fate) {
    case FATE_FAIL_ONCE:
        return job->attempt == 1 ? JOBQ_RETRY : JOBQ_DONE;
    case FATE_GIVE_UP:
        return JOBQ_GIVE_UP;
    case FATE_RELEASE_ONCE:
        return job->attempt == 1 ? JOBQ_RELEASE : JOBQ_DONE;
    case FATE_SNOOZE_ONCE:
        return job->attempt == 1 && jobq_ctx_delay(ctx, 20) == JOBQ_OK ? JOBQ_SNOOZE : JOBQ_DONE;
    default:
        return JOBQ_DONE;
    }
}

static struct jobq_worker *worker;

static void on_end(int signal_number)
{
    (void)signal_number;
    ended = 1;
    if (worker)
        jobq_worker_stop(worker);
}

static int work(const char *uri)
{
    struct jobq *q = open_store(uri);
    const struct jobq_worker_options options = { .size = sizeof options, .name = name, .queues = queues,
                                                 .queue_count = QUEUES, .threads = 2, .batch = serial() % 2 ? 3 : 24,
                                                 .lease_ms = lease_ms,
                                                 .grace_ms = 2000 };
    int rc = jobq_worker_create(&worker, q, &options);
    if (rc == JOBQ_OK)
        rc = jobq_worker_handle(worker, "chaos", handle, NULL);
    while (rc == JOBQ_OK && !ended) {
        rc = jobq_worker_run(worker);
        if (again(rc)) {
            pause_ms(50);
            rc = JOBQ_OK;
        }
    }
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", name, jobq_last_error()->text);
    jobq_worker_destroy(worker);
    worker = NULL;
    jobq_close(q);
    return rc < 0;
}

/* ---- settings of the run ------------------------------------------------------------------------------------------------ */

static int prepare(const char *uri)
{
    struct jobq *q = open_store(uri);
    const struct jobq_limit limited = { .size = sizeof limited, .of = JOBQ_LIMIT_QUEUE, .set = JOBQ_LIMIT_CONCURRENCY,
                                        .name = "limited", .concurrency = 3 };
    const struct jobq_limit tenants = { .size = sizeof tenants, .of = JOBQ_LIMIT_QUEUE, .set = JOBQ_LIMIT_GROUP_CONCURRENCY,
                                        .name = "tenants", .group_concurrency = 2 };
    const struct jobq_spec tick = { .size = sizeof tick, .queue = "ticks" };
    const struct jobq_schedule every = { .size = sizeof every, .name = "tick", .every_ms = 1000, .missed = JOBQ_MISSED_ALL,
                                         .spec = &tick };
    int rc = jobq_limit_set(q, &limited);
    if (rc == JOBQ_OK)
        rc = jobq_limit_set(q, &tenants);
    if (rc == JOBQ_OK)
        rc = jobq_schedule_add(q, &every);
    if (rc != JOBQ_OK)
        fprintf(stderr, "prepare: %s\n", jobq_last_error()->text);
    jobq_close(q);
    return rc != JOBQ_OK;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "prepare") == 0)
        return prepare(argv[2]);
    if (argc < 6 || (strcmp(argv[1], "produce") == 0 && argc < 7)) {
        fprintf(stderr, "usage: see the head of actor.c\n");
        return 2;
    }
    out = open(argv[3], O_WRONLY | O_CREAT | O_APPEND, 0600);
    name = argv[4];
    struct sigaction act = { .sa_handler = on_end };
    sigaction(SIGTERM, &act, NULL);
    if (strcmp(argv[1], "produce") == 0)
        return produce(argv[2], atol(argv[5]), atol(argv[6]));
    if (strcmp(argv[1], "rival") == 0)
        return rival(argv[2], atol(argv[5]));
    lease_ms = atol(argv[5]);
    return strcmp(argv[1], "work") == 0 ? work(argv[2]) : claim(argv[2]);
}
