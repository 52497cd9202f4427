/* SPDX-License-Identifier: MIT */
#include "stores.h"

#include <jobq/memory.h>
#ifdef WITH_REDIS
#include <jobq/redis.h>
#endif
#ifdef WITH_SQLITE
#include <jobq/sqlite.h>
#endif
#ifdef WITH_POSTGRES
#include <jobq/postgres.h>
#include <test_server.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Named, so that a second handle finds it; each process of the tests has its own. */
static int fresh_memory(char *uri)
{
    static unsigned count;

    snprintf(uri, STORE_URI, "memory:store-%u", count++);
    return 0;
}

#ifdef WITH_SQLITE
/* In memory where that is possible: asked is what a worker does, not how safely it is kept. */
static int fresh_sqlite(char *uri)
{
    char folder[] = "/dev/shm/jobq-worker-XXXXXX", other[] = "/tmp/jobq-worker-XXXXXX";
    const char *made = mkdtemp(folder);

    if (!made)
        made = mkdtemp(other);
    snprintf(uri, STORE_URI, "sqlite:%s/store.db", made ? made : "");
    return made ? 0 : -1;
}

static void drop_sqlite(const char *uri)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    const char *path = strchr(uri, ':') + 1;
    char file[STORE_URI + 8];

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        unlink(file);
    }
    *strrchr(strcpy(file, path), '/') = '\0';
    rmdir(file);
}
#endif

#if defined WITH_POSTGRES || defined WITH_REDIS
static void with_namespace(const char *server, const char *name, char *uri)
{
    snprintf(uri, STORE_URI, "%s%cnamespace=%s", server, strchr(server, '?') ? '&' : '?', name);
}
#endif

#ifdef WITH_POSTGRES
/* One for all tests of a program, which has started this process: to make a schema takes longer than most tests. */
static int fresh_postgres(char *uri)
{
    char name[32];

    snprintf(name, sizeof name, "w_%ld", (long)getppid());
    with_namespace(server_address(), name, uri);
    return server_empty("postgres", name);
}
#endif

#ifdef WITH_REDIS
/* A namespace that nobody had before; it goes with the private server. */
static int fresh_redis(char *uri)
{
    static unsigned count;
    struct timespec now;
    char name[64];

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, sizeof name, "w%lx_%ld_%u", (long)now.tv_sec, (long)getpid(), count++);
    with_namespace(getenv("JOBQ_TEST_REDIS"), name, uri);
    return 0;
}
#endif

static const struct test_store stores[] = {
    { .name = "memory", .backend = jobq_memory, .fresh = fresh_memory },
#ifdef WITH_SQLITE
    { .name = "sqlite", .backend = jobq_sqlite, .fresh = fresh_sqlite, .drop = drop_sqlite },
#endif
#ifdef WITH_POSTGRES
    { .name = "postgres", .backend = jobq_postgres, .server = "JOBQ_TEST_POSTGRES", .fresh = fresh_postgres },
#endif
#ifdef WITH_REDIS
    { .name = "redis", .backend = jobq_redis, .server = "JOBQ_TEST_REDIS", .fresh = fresh_redis },
#endif
};

const struct test_store *store_find(const char *name)
{
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++)
        if (strcmp(stores[i].name, name) == 0)
            return &stores[i];
    return NULL;
}

const char *store_lacks(const struct test_store *store)
{
    return store->server && !getenv(store->server) ? store->server : NULL;
}

int store_fresh(const struct test_store *store, char uri[STORE_URI])
{
    return store->fresh(uri);
}

void store_drop(const struct test_store *store, const char *uri)
{
    if (store->drop)
        store->drop(uri);
}
