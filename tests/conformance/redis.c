/* SPDX-License-Identifier: MIT */
/* With JOBQ_TEST_CLUSTER the server is a node of a cluster that has the slots of the tests' namespaces, that of their list, and no
 * other. With JOBQ_TEST_SCRIPTS the store may not use functions, and has scripts as on a server of before 7. */
#include <jobq/conformance.h>
#include <jobq/redis.h>

#include <redis_server.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_server server;

/* In a cluster all keys of a namespace must stand in one slot: so each begins with "{namespace}:". The list of namespaces is no
 * part of any. */
static int keys_are_tagged(void)
{
    redisReply *keys = redis_server_ask(&server, "KEYS *");
    int good = keys->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; good && i < keys->elements; i++) {
        const char *key = keys->element[i]->str, *end = strchr(key, '}');
        good = (key[0] == '{' && end > key + 1 && end[1] == ':') || strcmp(key, "libjobq:namespaces") == 0;
        if (!good)
            fprintf(stderr, "a key outside of its namespace's slot: %s\n", key);
    }
    freeReplyObject(keys);
    return good ? 0 : -1;
}

/* One server for the program, emptied for each store. */
static int fresh(char uri[JOBQ_CONFORMANCE_URI])
{
    if (keys_are_tagged() != 0)
        return -1;
    redis_server_do(&server, "FLUSHALL");
    if (getenv("JOBQ_TEST_SCRIPTS"))
        snprintf(uri, JOBQ_CONFORMANCE_URI, "redis+unix://%s?user=scripts&password=only", server.socket);
    else
        snprintf(uri, JOBQ_CONFORMANCE_URI, "redis+unix://%s", server.socket);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const name_spaces[] = { "jobq", "other_1", "libjobq:namespaces", NULL };
    const struct jobq_conformance_fixture fixture = {
        .size = sizeof fixture, .name = "redis", .backend = jobq_redis(), .fresh = fresh,
    };
    if (getenv("JOBQ_TEST_CLUSTER"))
        redis_server_start_cluster(&server, name_spaces);
    else
        redis_server_start(&server, NULL);
    redis_server_do(&server, "ACL SETUSER scripts on >only ~* &* +@all -fcall -function");
    int result = jobq_conformance(&fixture, argc, argv);
    if (keys_are_tagged() != 0)
        result = 1;
    redis_server_stop(&server);
    return result;
}
