/* SPDX-License-Identifier: MIT */
/* What bare scripts reach on the least keys that could be a queue: payloads in one hash by a number, numbers
 * in a list, leases in a sorted set; no tokens, no retries. usage: limit-redis SOCKET SECONDS JOBS FIGURE...
 * figures: insert-1             one a script call, one call at a time pipeline-64          one a script call,
 * 64 calls on the way bulk-N               N a script call, 8 calls on the way drain-N              ack of N
 * and the next claim of N in one script call pickup               a blocking pop wakes another process, which
 * claims bytes                memory of the server per waiting job used                 memory of the server
 * for data wipe                 everything on the server is thrown away */
#include "../bench.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 1000 /* jobs a call */

enum { PUT, TAKE, PUT_AND_WAKE, SCRIPTS };

/* KEYS: last number, payloads, ready, leased, wake. A call with one job has no tables to build. */
static const char *const sources[SCRIPTS] = {
    [PUT] = "local n = #ARGV local b = redis.call('INCRBY', KEYS[1], n) - n "
            "if n == 1 then redis.call('HSET', KEYS[2], b + 1, ARGV[1]) redis.call('LPUSH', KEYS[3], b + 1) "
            "return b end "
            "local h, l = {}, {} for i = 1, n do h[2 * i - 1] = b + i h[2 * i] = ARGV[i] l[i] = b + i end "
            "redis.call('HSET', KEYS[2], unpack(h)) redis.call('LPUSH', KEYS[3], unpack(l)) return b",
    /* ARGV: how many, end of the lease, numbers to ack */
    [TAKE] = "if #ARGV > 2 then redis.call('ZREM', KEYS[4], unpack(ARGV, 3)) redis.call('HDEL', KEYS[2], "
             "unpack(ARGV, 3)) end "
             "local ids = redis.call('RPOP', KEYS[3], tonumber(ARGV[1])) if not ids then return {} end local "
             "z = {} "
             "for i = 1, #ids do z[2 * i - 1] = ARGV[2] z[2 * i] = ids[i] end redis.call('ZADD', KEYS[4], "
             "unpack(z)) "
             "return {ids, redis.call('HMGET', KEYS[2], unpack(ids))}",
    [PUT_AND_WAKE] = ("local b = redis.call('INCR', KEYS[1]) redis.call('HSET', KEYS[2], b, ARGV[1]) "
                      "redis.call('LPUSH', KEYS[3], b) redis.call('LPUSH', KEYS[5], 1) return b"),
};

static redisContext *server;
static const char *path;
static double seconds;
static uint64_t jobs, serial;
static char hashes[SCRIPTS][41];

static void fail(const char *what)
{
    fprintf(stderr, "redis: %s\n", what);
    exit(1);
}

static redisReply *checked(redisReply *reply)
{
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        fail(reply ? reply->str : server->errstr);
    return reply;
}

static void connect_server(void)
{
    server = redisConnectUnix(path);
    if (!server || server->err)
        fail("cannot connect");
    for (int i = 0; i < SCRIPTS; i++) {
        redisReply *reply = checked(redisCommand(server, "SCRIPT LOAD %s", sources[i]));
        snprintf(hashes[i], sizeof hashes[i], "%s", reply->str);
        freeReplyObject(reply);
    }
}

static void run(const char *command)
{
    freeReplyObject(checked(redisCommand(server, command)));
}

static redisReply *next_reply(void)
{
    void *reply = NULL;

    if (redisGetReply(server, &reply) != REDIS_OK)
        fail(server->errstr);
    return checked(reply);
}

/* ---- a call of a script, put together ------------------------------------------------------------------ */

static const char *words[MOST + 16];
static size_t sizes[MOST + 16];
static int word_count;

static void word(const char *text, size_t size)
{
    words[word_count] = text;
    sizes[word_count++] = size;
}

static void script(int which)
{
    static const char *const keys[] = {"5", "last", "payloads", "ready", "leased", "wake"};

    word_count = 0;
    word("EVALSHA", 7);
    word(hashes[which], 40);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        word(keys[i], strlen(keys[i]));
}

static void send_script(void)
{
    if (redisAppendCommandArgv(server, word_count, words, sizes) != REDIS_OK)
        fail(server->errstr);
}

static void send_put(int which, int count)
{
    static char payloads[MOST][BENCH_PAYLOAD + 1];

    script(which);
    for (int i = 0; i < count; i++) {
        bench_payload(payloads[i], ++serial);
        word(payloads[i], BENCH_PAYLOAD);
    }
    send_script();
}

/* ---- figures ------------------------------------------------------------------------------------------- */

static double measure_put(int calls, int batch)
{
    double start = bench_now(), end;
    uint64_t count = 0;

    do {
        for (int i = 0; i < calls; i++)
            send_put(PUT, batch);
        for (int i = 0; i < calls; i++)
            freeReplyObject(next_reply());
        count += (uint64_t)calls * (uint64_t)batch;
        end = bench_now();
    } while (end - start < seconds);
    return (double)count / (end - start);
}

static void fill(uint64_t count)
{
    for (uint64_t i = 0; i < count; i += 1000) {
        for (int k = 0; k < 10; k++)
            send_put(PUT, 100);
        for (int k = 0; k < 10; k++)
            freeReplyObject(next_reply());
    }
}

static double measure_drain(int batch)
{
    char limit[16];
    redisReply *held = NULL;
    uint64_t count = 0;
    int size = snprintf(limit, sizeof limit, "%d", batch);

    fill(jobs);
    double start = bench_now(), end;
    do {
        script(TAKE);
        word(limit, (size_t)size);
        word("1800000000000", 13);
        for (size_t i = 0; held && i < held->element[0]->elements; i++)
            word(held->element[0]->element[i]->str, held->element[0]->element[i]->len);
        send_script();
        freeReplyObject(held);
        held = next_reply();
        count += held->elements ? held->element[0]->elements : 0;
        end = bench_now();
    } while (held->elements && end - start < seconds);
    freeReplyObject(held);
    return (double)count / (end - start);
}

static void picker(int answer)
{
    connect_server();
    for (;;) {
        run("BRPOP wake 0");
        script(TAKE);
        word("1", 1);
        word("1800000000000", 13);
        send_script();
        freeReplyObject(next_reply());
        double now = bench_now();
        if (write(answer, &now, sizeof now) != sizeof now)
            _exit(1);
    }
}

static void print_pickup(void)
{
    double took[BENCH_PICKUPS], claimed;
    int answer[2];

    if (pipe(answer) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0)
        picker(answer[1]);
    for (int i = -1; i < BENCH_PICKUPS; i++) {
        bench_rest(0.005);
        double start = bench_now();
        send_put(PUT_AND_WAKE, 1);
        freeReplyObject(next_reply());
        if (read(answer[0], &claimed, sizeof claimed) != sizeof claimed)
            exit(1);
        if (i >= 0)
            took[i] = (claimed - start) * 1000;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    bench_print_pickup(took, BENCH_PICKUPS);
}

/* What the data takes, without what the server needs for itself, its clients and its scripts. */
static double used(void)
{
    double total = 0, overhead = 0;
    redisReply *reply = checked(redisCommand(server, "MEMORY STATS"));

    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *name = reply->element[i]->str;
        if (strcmp(name, "total.allocated") == 0)
            total = (double)reply->element[i + 1]->integer;
        if (strcmp(name, "clients.normal") == 0 || strcmp(name, "lua.caches") == 0 ||
            strcmp(name, "aof.buffer") == 0)
            overhead += (double)reply->element[i + 1]->integer;
    }
    freeReplyObject(reply);
    return total - overhead;
}

static void print_bytes(void)
{
    double before = used();

    fill(jobs);
    bench_print("bytes", (used() - before) / (double)((jobs + 999) / 1000 * 1000), "bytes");
}

static int measure(const char *figure)
{
    int n;

    if (strcmp(figure, "insert-1") == 0)
        bench_print(figure, measure_put(1, 1), "jobs/s");
    else if (sscanf(figure, "pipeline-%d", &n) == 1)
        bench_print(figure, measure_put(n, 1), "jobs/s");
    else if (sscanf(figure, "bulk-%d", &n) == 1)
        bench_print(figure, measure_put(8, n), "jobs/s");
    else if (sscanf(figure, "drain-%d", &n) == 1)
        bench_print(figure, measure_drain(n), "jobs/s");
    else if (strcmp(figure, "pickup") == 0)
        print_pickup();
    else if (strcmp(figure, "bytes") == 0)
        print_bytes();
    else if (strcmp(figure, "used") == 0)
        bench_print("used", used(), "bytes");
    else if (strcmp(figure, "wipe") == 0)
        run("FLUSHALL");
    else
        return 2;
    return 0;
}

int main(int argc, char **argv)
{
    int rc = argc < 5 ? 2 : 0;

    if (rc == 0) {
        path = argv[1];
        seconds = atof(argv[2]);
        jobs = (uint64_t)atoll(argv[3]);
        connect_server();
    }
    for (int i = 4; i < argc && rc == 0; i++)
        rc = measure(argv[i]);
    return rc;
}
