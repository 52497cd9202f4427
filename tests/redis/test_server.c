/* SPDX-License-Identifier: MIT */
/* A server that forgets scripts, is full, refuses to write, wants a password, evicts, or goes away. */
#include "kit.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* R2, L3: the script cache is emptied between any two calls. */
START_TEST(scripts_are_forgotten)
{
    struct kit k;
    struct jobq_row rows[4];
    int verdict;
    kit_begin(&k, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        redis_server_do(&k.server, "SCRIPT FLUSH");
        kit_put(&k, i);
    }
    redis_server_do(&k.server, "SCRIPT FLUSH");
    ck_assert_uint_eq(kit_claim(&k, rows), 4);
    redis_server_do(&k.server, "SCRIPT FLUSH");
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK);
    redis_server_do(&k.server, "SCRIPT FLUSH");
    ck_assert_uint_eq(kit_count(&k, k.store), 4);
    kit_end(&k);
}
END_TEST

/* ---- functions: servers from 7 on, and Valkey, have them ------------------------------------------------------------- */

static bool has_functions(const struct kit *k)
{
    redisReply *list = redis_server_ask(&k->server, "FUNCTION LIST");
    bool has = list->type == REDIS_REPLY_ARRAY;
    freeReplyObject(list);
    return has;
}

static size_t libraries(const struct kit *k)
{
    redisReply *list = redis_server_ask(&k->server, "FUNCTION LIST LIBRARYNAME libjobq_*");
    ck_assert_int_eq(list->type, REDIS_REPLY_ARRAY);
    size_t count = list->elements;
    freeReplyObject(list);
    return count;
}

/* How often this command was called since the last CONFIG RESETSTAT. */
static int calls_of(const struct kit *k, const char *command)
{
    char name[64];
    redisReply *info = redis_server_ask(&k->server, "INFO commandstats");
    snprintf(name, sizeof name, "cmdstat_%s:calls=", command);
    const char *at = strstr(info->str, name);
    int calls = at ? atoi(at + strlen(name)) : 0;
    freeReplyObject(info);
    return calls;
}

static void put_claim_complete(struct kit *k, uint32_t id)
{
    struct jobq_row rows[4];
    int verdict;
    kit_put(k, id);
    ck_assert_uint_eq(kit_claim(k, rows), 1);
    ck_assert_int_eq(kit_complete(k, &rows[0], &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK);
}

/* R2, L3: a server that was restarted without what it had, or a replica that never had it. Libraries of other versions stay. */
START_TEST(functions_are_forgotten)
{
    struct kit k;
    kit_begin(&k, NULL);
    if (has_functions(&k)) {
        redis_server_do(&k.server, "FUNCTION LOAD %s", "#!lua name=libjobq_exchange_0\n"
                        "redis.register_function('libjobq_exchange_0', function() return 1 end)");
        put_claim_complete(&k, 1);
        ck_assert_uint_eq(libraries(&k), 2);
        redis_server_do(&k.server, "FUNCTION FLUSH");
        put_claim_complete(&k, 2);
        ck_assert_uint_eq(libraries(&k), 1);
        redis_server_do(&k.server, "FUNCTION FLUSH");
        redis_server_do(&k.server, "SCRIPT FLUSH");
        put_claim_complete(&k, 3);
        ck_assert_int_eq(calls_of(&k, "evalsha") + calls_of(&k, "eval"), 2); /* the open */
        ck_assert_uint_eq(kit_count(&k, k.store), 3);
    }
    kit_end(&k);
}
END_TEST

/* Who may not load or call functions has scripts, and is refused no more than once. */
START_TEST(functions_are_not_for_everybody)
{
    static const char *const missing[] = { "-function", "-fcall", "-fcall -function" };
    struct kit k;
    char uri[300];
    kit_begin(&k, NULL);
    for (uint32_t i = 0; i < 3 && has_functions(&k); i++) {
        redis_server_do(&k.server, "FUNCTION FLUSH");
        char rule[128];
        snprintf(rule, sizeof rule, "ACL SETUSER dora reset on >word ~* &* +@all %s", missing[i]);
        redis_server_do(&k.server, rule);
        jobq_redis()->close(k.store);
        snprintf(uri, sizeof uri, "%s?user=dora&password=word", k.uri);
        ck_assert_msg(kit_open(&k, uri, 0, &k.store) == JOBQ_OK, "%s", k.err.text);
        redis_server_do(&k.server, "CONFIG RESETSTAT");
        put_claim_complete(&k, i);
        ck_assert_int_eq(calls_of(&k, "evalsha"), 3);
        ck_assert_int_le(calls_of(&k, "fcall"), 1);
        ck_assert_uint_eq(libraries(&k), 0);
    }
    kit_end(&k);
}
END_TEST

/* S16; contract "Units": at maxmemory a put is refused and leaves nothing; what hands back passes. */
START_TEST(a_full_server)
{
    struct kit k;
    struct jobq_row rows[4];
    int verdict;
    kit_begin(&k, NULL);
    for (uint32_t i = 0; i < 4; i++)
        kit_put(&k, i);
    ck_assert_int_eq(kit_put_as(&k, k.store, 77, 4, 10, &verdict), JOBQ_OK);
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    ck_assert_int_eq(kit_put_as(&k, k.store, 77, 4, 10, &verdict), JOBQ_OK); /* the same request again: it was done */
    ck_assert_int_eq(verdict, JOBQ_OK);
    ck_assert_int_eq(kit_put_as(&k, k.store, 0, 100, 10, &verdict), JOBQ_FAILED);
    ck_assert_int_eq(verdict, JOBQ_FAILURE_FULL);
    ck_assert_ptr_nonnull(strstr(k.err.text, "OOM"));
    ck_assert_uint_eq(kit_count(&k, k.store), 5);
    ck_assert_uint_eq(kit_claim(&k, rows), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(kit_complete(&k, &rows[i], &verdict), JOBQ_OK);
        ck_assert_int_eq(verdict, JOBQ_OK);
    }
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    kit_put(&k, 100);
    kit_end(&k);
}
END_TEST

/* S16: a server that became a replica refuses every write, and nothing is half done. */
START_TEST(a_replica)
{
    struct kit k;
    struct jobq_row rows[4];
    int verdict;
    kit_begin(&k, NULL);
    for (uint32_t i = 0; i < 3; i++)
        kit_put(&k, i);
    ck_assert_uint_eq(kit_claim(&k, rows), 3);
    ck_assert_int_eq(kit_put_as(&k, k.store, 77, 3, 10, &verdict), JOBQ_OK);
    redis_server_do(&k.server, "CONFIG SET replica-serve-stale-data yes");
    redis_server_do(&k.server, "REPLICAOF 127.0.0.1 1");
    ck_assert_int_eq(kit_put_as(&k, k.store, 77, 3, 10, &verdict), JOBQ_OK); /* the same request again: it was done */
    ck_assert_int_eq(verdict, JOBQ_OK);
    ck_assert_int_eq(kit_put_as(&k, k.store, 0, 100, 10, &verdict), JOBQ_FAILED);
    ck_assert_int_eq(verdict, JOBQ_FAILURE_TRANSIENT);
    ck_assert_ptr_nonnull(strstr(k.err.text, "READONLY"));
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_FAILED);
    ck_assert_int_eq(verdict, JOBQ_FAILURE_TRANSIENT);
    redis_server_do(&k.server, "REPLICAOF NO ONE");
    ck_assert_uint_eq(kit_count(&k, k.store), 4);
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK);
    kit_end(&k);
}
END_TEST

/* S16: a server whose snapshot could not be written refuses every write. Here it cannot put the file in place, because a folder
 * has its name. */
START_TEST(a_failed_snapshot)
{
    static const char *const arguments[] = { "--save", "100000 1000000", "--dbfilename", "taken", NULL };
    struct kit k;
    struct jobq_row rows[4];
    char taken[96];
    int verdict;
    kit_begin(&k, arguments);
    snprintf(taken, sizeof taken, "%s/taken", k.server.folder);
    ck_assert_int_eq(mkdir(taken, 0700), 0);
    for (uint32_t i = 0; i < 3; i++)
        kit_put(&k, i);
    ck_assert_uint_eq(kit_claim(&k, rows), 3);
    redis_server_do(&k.server, "BGSAVE");
    for (bool failed = false; !failed; usleep(2000)) { /* a hang is ended by the time limit of the test */
        redisReply *info = redis_server_ask(&k.server, "INFO persistence");
        failed = strstr(info->str, "rdb_last_bgsave_status:err") != NULL;
        freeReplyObject(info);
    }
    ck_assert_int_eq(kit_put_as(&k, k.store, 0, 100, 10, &verdict), JOBQ_FAILED);
    ck_assert_int_eq(verdict, JOBQ_FAILURE_TRANSIENT);
    ck_assert_msg(strstr(k.err.text, "MISCONF") != NULL, "%s", k.err.text);
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_FAILED);
    ck_assert_int_eq(verdict, JOBQ_FAILURE_TRANSIENT);
    ck_assert_uint_eq(kit_count(&k, k.store), 3);
    redis_server_do(&k.server, "CONFIG SET stop-writes-on-bgsave-error no");
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK);
    kit_put(&k, 100);
    rmdir(taken);
    kit_end(&k);
}
END_TEST

/* An exchange is one call, whatever is in it; and so is a want that finds nothing. */
START_TEST(one_call_an_exchange)
{
    struct kit k;
    struct jobq_row rows[4];
    int verdict;
    kit_begin(&k, NULL);
    kit_put(&k, 1);
    ck_assert_uint_eq(kit_claim(&k, rows), 1);
    redis_server_do(&k.server, "CONFIG RESETSTAT");
    kit_put(&k, 2);
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_OK);
    ck_assert_uint_eq(kit_claim(&k, rows), 1);
    ck_assert_uint_eq(kit_claim(&k, rows), 0);
    ck_assert_int_eq(calls_of(&k, "fcall") + calls_of(&k, "evalsha"), 4);
    ck_assert_int_eq(calls_of(&k, "eval") + calls_of(&k, "ping"), 0);
    ck_assert_int_eq(calls_of(&k, "fcall"), has_functions(&k) ? 4 : 0);
    kit_end(&k);
}
END_TEST

/* ---- passwords: rule 16; the canary is nowhere to be seen ------------------------------------------------------------- */

#define CANARY "c4n4ry-s3cr3t"

static void refused(struct kit *k, const char *uri, int status)
{
    struct jobq_store *store = NULL;
    ck_assert_int_eq(kit_open(k, uri, 0, &store), status);
    ck_assert_ptr_null(store);
    ck_assert_int_ne(k->err.text[0], 0);
    ck_assert_ptr_null(strstr(k->err.text, CANARY));
    ck_assert_ptr_null(strstr(k->err.text, "s3cr3t"));
}

START_TEST(passwords)
{
    struct kit k;
    struct jobq_store *store;
    char uri[512];
    kit_begin(&k, NULL);
    redis_server_do(&k.server, "ACL SETUSER anna on >" CANARY " ~* &* +@all");
    redis_server_do(&k.server, "ACL SETUSER bert on >" CANARY " ~* &* +@all -config -info");
    redis_server_do(&k.server, "CONFIG SET requirepass " CANARY);
    refused(&k, k.uri, JOBQ_UNREACHABLE); /* none given */
    snprintf(uri, sizeof uri, "redis://:wrong" CANARY "@127.0.0.1:%d", k.server.port);
    refused(&k, uri, JOBQ_UNREACHABLE);
    snprintf(uri, sizeof uri, "redis://carl:" CANARY "@127.0.0.1:%d/0", k.server.port);
    refused(&k, uri, JOBQ_UNREACHABLE);
    snprintf(uri, sizeof uri, "redis://anna:" CANARY "@127.0.0.1:%d/99999", k.server.port);
    refused(&k, uri, JOBQ_UNREACHABLE);
    snprintf(uri, sizeof uri, "redis://anna:" CANARY "@127.0.0.1:1");
    refused(&k, uri, JOBQ_UNREACHABLE);
    snprintf(uri, sizeof uri, "redis://anna:" CANARY "@127.0.0.1:70000");
    refused(&k, uri, JOBQ_INVALID);
    snprintf(uri, sizeof uri, "redis://anna" CANARY "@127.0.0.1");
    refused(&k, uri, JOBQ_INVALID);
    snprintf(uri, sizeof uri, "redis://anna:" CANARY "@127.0.0.1:%d?nonsense=" CANARY, k.server.port);
    refused(&k, uri, JOBQ_INVALID);
    snprintf(uri, sizeof uri, "rediss://anna:" CANARY "@127.0.0.1:%d", k.server.port);
#ifdef REDIS_TLS
    refused(&k, uri, JOBQ_UNREACHABLE); /* this port does not speak it */
#else
    refused(&k, uri, JOBQ_UNSUPPORTED);
#endif
    ck_assert_ptr_nonnull(strstr(k.err.text, "TLS"));
    snprintf(uri, sizeof uri, "redis://anna:" CANARY "@127.0.0.1:%d/3", k.server.port);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_OK);
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    ck_assert_int_eq(jobq_redis()->stats(store, &all, &stats, k.arena, &k.err), JOBQ_OK);
    ck_assert_ptr_null(strstr(stats.address, CANARY));
    ck_assert_ptr_nonnull(strstr(stats.address, "127.0.0.1"));
    jobq_redis()->close(store);
    snprintf(uri, sizeof uri, "%s?user=bert&password=" CANARY "&db=2", k.uri); /* may not ask for settings */
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_OK);
    ck_assert_int_eq(jobq_redis()->stats(store, &all, &stats, k.arena, &k.err), JOBQ_OK);
    ck_assert_ptr_nonnull(strstr(stats.durability, "unknown"));
    jobq_redis()->close(store);
    redis_server_stop(&k.server);
    jobq_redis()->close(k.store);
    jobq_arena_destroy(k.arena);
}
END_TEST

START_TEST(an_evicting_server)
{
    static const char *const arguments[] = { "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", NULL };
    struct kit k = { 0 };
    struct jobq_store *store = NULL;
    char uri[300];
    redis_server_start(&k.server, arguments);
    snprintf(uri, sizeof uri, "redis+unix://%s", k.server.socket);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(k.err.text, "allkeys-lru"));
    strcat(uri, "?evict=allow");
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_OK);
    jobq_redis()->close(store);
    redis_server_stop(&k.server);
}
END_TEST

START_TEST(foreign_and_newer)
{
    struct kit k;
    struct jobq_store *store = NULL;
    char uri[300];
    kit_begin(&k, NULL);
    redis_server_do(&k.server, "SET {a}:meta x");
    redis_server_do(&k.server, "HSET {b}:cold x y");
    redis_server_do(&k.server, "HSET {c}:meta version 99 id 0123456789abcdef");
    redis_server_do(&k.server, "HSET {d}:meta version 1 id 0123456789abcdef");
    snprintf(uri, sizeof uri, "%s?namespace=a", k.uri);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_FOREIGN);
    snprintf(uri, sizeof uri, "%s?namespace=b", k.uri);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_FOREIGN);
    snprintf(uri, sizeof uri, "%s?namespace=c", k.uri);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_NEWER);
    ck_assert_int_eq(kit_open(&k, uri, JOBQ_OPEN_INSPECT, &store), JOBQ_OK);
    jobq_redis()->close(store);
    snprintf(uri, sizeof uri, "%s?namespace=d", k.uri);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_UNSUPPORTED);
    snprintf(uri, sizeof uri, "%s?namespace=none", k.uri);
    ck_assert_int_eq(kit_open(&k, uri, JOBQ_OPEN_NO_CREATE, &store), JOBQ_UNREACHABLE);
    ck_assert_int_eq(kit_open(&k, uri, JOBQ_OPEN_INSPECT, &store), JOBQ_UNREACHABLE);
    kit_end(&k);
}
END_TEST

/* A node that has the slot of this namespace and no other: the namespace needs none. The list of namespaces is elsewhere, so
 * nobody knows of others; and one that is elsewhere cannot be used here. */
START_TEST(in_a_cluster)
{
    static const char *const names[] = { "jobq", NULL };
    struct kit k = { 0 };
    struct jobq_row rows[4];
    struct jobq_store *store = NULL;
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    char uri[300];
    int verdict;
    redis_server_start_cluster(&k.server, names);
    snprintf(k.uri, sizeof k.uri, "redis+unix://%s", k.server.socket);
    k.arena = jobq_arena_create();
    ck_assert_msg(kit_open(&k, k.uri, 0, &k.store) == JOBQ_OK, "%s", k.err.text);
    for (uint32_t i = 0; i < 3; i++)
        kit_put(&k, i);
    ck_assert_uint_eq(kit_claim(&k, rows), 3);
    ck_assert_int_eq(kit_complete(&k, &rows[0], &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK);
    ck_assert_msg(jobq_redis()->stats(k.store, &all, &stats, k.arena, &k.err) == JOBQ_OK, "%s", k.err.text);
    ck_assert_uint_eq(stats.queue_count, 1);
    ck_assert_uint_eq(stats.namespace_count, 0);
    snprintf(uri, sizeof uri, "%s?namespace=elsewhere", k.uri);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_UNREACHABLE);
    ck_assert_msg(strstr(k.err.text, "CLUSTERDOWN") != NULL, "%s", k.err.text);
    kit_end(&k);
}
END_TEST

/* S2: a store that was emptied is a new one; tokens of before hold nothing. */
START_TEST(emptied)
{
    struct kit k;
    struct jobq_row old[4], fresh[4];
    int verdict;
    kit_begin(&k, NULL);
    kit_put(&k, 1);
    ck_assert_uint_eq(kit_claim(&k, old), 1);
    redis_server_do(&k.server, "FLUSHALL");
    kit_put(&k, 1);
    ck_assert_uint_eq(kit_claim(&k, fresh), 1);
    ck_assert_int_gt(fresh[0].fence, old[0].fence);
    ck_assert_int_eq(kit_complete(&k, &old[0], &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_STALE);
    kit_end(&k);
}
END_TEST

/* ---- wake-up: L1, L3 ------------------------------------------------------------------------------------------------- */

static bool woken(struct jobq_store *store, int ms)
{
    struct pollfd p = { .fd = jobq_redis()->wake_fd(store), .events = POLLIN };
    ck_assert_int_ge(p.fd, 0);
    for (int i = 0; i < 1000 && poll(&p, 1, ms) > 0; i++)
        if (jobq_redis()->wake_drain(store))
            return true;
    return false;
}

START_TEST(woken_again_after_the_connection_died)
{
    struct kit k;
    struct jobq_store *sleeper;
    kit_begin(&k, NULL);
    ck_assert_int_eq(kit_open(&k, k.uri, 0, &sleeper), JOBQ_OK);
    while (woken(sleeper, 20))
        ;
    kit_put(&k, 1);
    ck_assert(woken(sleeper, 5000));
    int fd = jobq_redis()->wake_fd(sleeper);
    redis_server_do(&k.server, "CLIENT KILL TYPE pubsub");
    ck_assert(woken(sleeper, 5000)); /* it cannot know what it missed */
    ck_assert_int_eq(jobq_redis()->wake_fd(sleeper), fd);
    ck_assert(!woken(sleeper, 20));
    kit_put(&k, 2);
    ck_assert(woken(sleeper, 5000));
    jobq_redis()->close(sleeper);
    kit_end(&k);
}
END_TEST

/* An idle connection that the server closed is not used: nothing is UNKNOWN for that. */
START_TEST(closed_while_idle)
{
    struct kit k;
    kit_begin(&k, NULL);
    kit_put(&k, 1);
    redis_server_do(&k.server, "CLIENT KILL TYPE normal SKIPME yes");
    usleep(20000);
    kit_put(&k, 2);
    ck_assert_uint_eq(kit_count(&k, k.store), 2);
    kit_end(&k);
}
END_TEST

/* R2: a server that does not answer costs the time limit and no more. */
START_TEST(a_server_that_sleeps)
{
    struct kit k;
    int verdict;
    kit_begin(&k, NULL);
    jobq_redis()->close(k.store);
    const struct jobq_store_options options = { .size = sizeof options, .uri = k.uri, .io_timeout_ms = 200 };
    ck_assert_int_eq(jobq_redis()->open(&k.store, &options, &k.err), JOBQ_OK);
    kit_put(&k, 5);
    kill(k.server.pid, SIGSTOP);
    ck_assert_int_eq(kit_put_as(&k, k.store, 77, 1, 10, &verdict), JOBQ_UNKNOWN);
    kill(k.server.pid, SIGCONT);
    ck_assert_int_eq(kit_put_as(&k, k.store, 77, 1, 10, &verdict), JOBQ_OK); /* the same request again */
    ck_assert_int_eq(verdict, JOBQ_OK);
    ck_assert_uint_eq(kit_count(&k, k.store), 2);
    kit_end(&k);
}
END_TEST

static void says_of_durability(const char *append, const char *sync, const char *text)
{
    const char *const arguments[] = { "--appendonly", append, "--appendfsync", sync, NULL };
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    struct kit k;
    kit_begin(&k, arguments);
    ck_assert_int_eq(jobq_redis()->stats(k.store, &all, &stats, k.arena, &k.err), JOBQ_OK);
    ck_assert_msg(strstr(stats.durability, text) != NULL, "\"%s\" is not in \"%s\"", text, stats.durability);
    kit_end(&k);
}

START_TEST(how_much_may_be_lost)
{
    says_of_durability("no", "always", "no append-only file");
    says_of_durability("yes", "always", "appendfsync always: on disk before a call returns");
    says_of_durability("yes", "everysec", "appendfsync everysec: about the last second");
    says_of_durability("yes", "no", "appendfsync no: what the system has not written yet");
}
END_TEST

/* Nothing was sent: certainly nothing happened. */
START_TEST(a_server_that_is_gone)
{
    struct kit k;
    int verdict;
    kit_begin(&k, NULL);
    kit_put(&k, 1);
    redis_server_stop(&k.server);
    ck_assert_int_eq(kit_put_as(&k, k.store, 0, 2, 10, &verdict), JOBQ_FAILED);
    ck_assert_int_eq(verdict, JOBQ_FAILURE_TRANSIENT);
    jobq_redis()->close(k.store);
    jobq_arena_destroy(k.arena);
}
END_TEST

KIT_MAIN("redis-server", 60, scripts_are_forgotten, functions_are_forgotten, functions_are_not_for_everybody,
         a_full_server, a_replica, a_failed_snapshot, one_call_an_exchange, passwords, an_evicting_server,
         foreign_and_newer, in_a_cluster, emptied, woken_again_after_the_connection_died, closed_while_idle,
         a_server_that_sleeps, a_server_that_is_gone, how_much_may_be_lost)
