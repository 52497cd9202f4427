/* SPDX-License-Identifier: MIT */
/* The memory of a server per waiting job, beside that of the least layout that could be a queue: payloads in one hash by a
 * number, the numbers in a list.
 * usage: redis-memory [MOST]    starts a private server; fails when the ratio of plain jobs is more than MOST. Without MOST it
 * also measures jobs with groups. */
#include "../bench.h"

#include <jobq/jobq.h>
#include <jobq/redis.h>

#include <redis_server.h>

#define JOBS 100000
#define BATCH 1000

static struct redis_server server;

static void must(int status, const char *what)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, jobq_status_name(status), jobq_last_error()->text);
    exit(1);
}

/* What the data takes, without what the server needs for itself and its clients. */
static double used_memory(void)
{
    double total = 0, overhead = 0;
    redisReply *reply = redis_server_ask(&server, "MEMORY STATS");
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        if (strcmp(reply->element[i]->str, "total.allocated") == 0)
            total = (double)reply->element[i + 1]->integer;
        if (strcmp(reply->element[i]->str, "clients.normal") == 0 || strcmp(reply->element[i]->str, "lua.caches") == 0)
            overhead += (double)reply->element[i + 1]->integer;
    }
    freeReplyObject(reply);
    return total - overhead;
}

/* ---- the least ------------------------------------------------------------------------------------------------- */

static void answers(redisContext *c, int count)
{
    void *reply = NULL;
    while (count-- > 0) {
        if (redisGetReply(c, &reply) != REDIS_OK || ((redisReply *)reply)->type == REDIS_REPLY_ERROR) {
            fprintf(stderr, "redis: %s\n", c->errstr);
            exit(1);
        }
        freeReplyObject(reply);
    }
}

static double least(void)
{
    char payload[BENCH_PAYLOAD + 1];
    redisContext *c = redisConnectUnix(server.socket);
    double before = used_memory();
    for (long i = 1; i <= JOBS; i++) {
        bench_payload(payload, (uint64_t)i);
        redisAppendCommand(c, "HSET q %ld %b", i, payload, (size_t)BENCH_PAYLOAD);
        redisAppendCommand(c, "LPUSH l %ld", i);
        if (i % BATCH == 0)
            answers(c, 2 * BATCH);
    }
    redisFree(c);
    return (used_memory() - before) / JOBS;
}

/* ---- the library ---------------------------------------------------------------------------------------------------- */

enum { KEYED = 1, DELAYED = 2, GROUPED = 4 };

/* With GROUPED the jobs are dealt out among so many groups. */
static void put(struct jobq *q, uint64_t first, uint32_t count, int how, uint64_t groups)
{
    static struct jobq_spec specs[BATCH];
    static char payloads[BATCH][BENCH_PAYLOAD + 1], keys[BATCH][32], names[BATCH][32];
    for (uint32_t i = 0; i < count; i++) {
        bench_payload(payloads[i], first + i);
        specs[i] = (struct jobq_spec){ .size = sizeof *specs, .queue = "bench", .payload = { payloads[i], BENCH_PAYLOAD } };
        int size = snprintf(keys[i], sizeof keys[i], "key-%llu", (unsigned long long)(first + i));
        if (how & KEYED)
            specs[i].key = (struct jobq_bytes){ keys[i], (size_t)size };
        if (how & GROUPED) {
            snprintf(names[i], sizeof names[i], "group-%06llu", (unsigned long long)((first + i) % groups));
            specs[i].group = names[i];
        }
        if (how & DELAYED)
            specs[i].delay_ms = 3600000 + (int64_t)(first + i);
    }
    must(jobq_enqueue_many(q, specs, count, NULL), "enqueue");
}

/* The first jobs make what a namespace has in any case. */
static double library(int how, uint64_t groups)
{
    char uri[200];
    struct jobq *q = NULL;
    redis_server_do(&server, "FLUSHALL");
    snprintf(uri, sizeof uri, "redis+unix://%s", server.socket);
    must(jobq_open(&q, jobq_redis(), uri, NULL), "open");
    put(q, 1, 1, how, groups);
    double before = used_memory();
    for (uint64_t i = 0; i < JOBS; i += BATCH)
        put(q, 2 + i, BATCH, how, groups);
    double after = used_memory();
    jobq_close(q);
    return (after - before) / JOBS;
}

static void grouped(void)
{
    bench_print("grouped_by_1000", library(GROUPED, JOBS / 1000), "bytes a job");
    bench_print("grouped_by_50", library(GROUPED, JOBS / 50), "bytes a job");
    bench_print("grouped_by_1", library(GROUPED, JOBS), "bytes a job");
}

int main(int argc, char **argv)
{
    const double most = argc > 1 ? strtod(argv[1], NULL) : 0;
    redis_server_start(&server, NULL);
    double floor = least(), plain = library(0, 0), keyed = library(KEYED, 0), delayed = library(DELAYED, 0);
    bench_print("least", floor, "bytes a job");
    bench_print("plain", plain, "bytes a job");
    bench_print("keyed", keyed, "bytes a job");
    bench_print("delayed", delayed, "bytes a job");
    if (most <= 0)
        grouped();
    redis_server_stop(&server);
    bench_print("ratio", plain / floor, "plain to least");
    if (most <= 0 || plain <= most * floor)
        return 0;
    fprintf(stderr, "more than %.2f times the least\n", most);
    return 1;
}
