/* SPDX-License-Identifier: MIT */
/* A store for one sequence, and the values that numbers stand for. */
#include "diff.h"

#include <jobq/memory.h>
#ifdef WITH_SQLITE
#include <jobq/sqlite.h>
#endif
#ifdef WITH_POSTGRES
#include "side_postgres.h"
#endif
#ifdef WITH_REDIS
#include "side_redis.h"
#endif

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fresh_memory(struct side *side)
{
    static unsigned number;
    side->backend = jobq_memory();
    snprintf(side->uri, sizeof side->uri, "memory:differential-%u", number++);
    return 0;
}

#ifdef WITH_SQLITE
static int fresh_sqlite(struct side *side)
{
    const char *base = getenv("TMPDIR");
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(side->folder, sizeof side->folder, "%.200s/jobq-differential-XXXXXX", base);
    side->backend = jobq_sqlite();
    if (!mkdtemp(side->folder))
        return -1;
    snprintf(side->uri, sizeof side->uri, "sqlite:%s/store.db", side->folder);
    return 0;
}

static void drop_sqlite(const struct side *side)
{
    static const char *const names[] = { "store.db", "store.db-wal", "store.db-shm", "store.db-journal" };
    char file[300];
    for (int i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", side->folder, names[i]);
        unlink(file);
    }
    rmdir(side->folder);
}
#endif

/* How a store comes and goes. kept: its handles stay open from one sequence to the next, because opening one costs more
 * than a sequence; fresh empties what they are of. */
static const struct maker {
    const char *name;
    int (*fresh)(struct side *side);
    void (*drop)(const struct side *side);
    bool kept;
} makers[] = {
    { .name = "memory", .fresh = fresh_memory },
#ifdef WITH_SQLITE
    { .name = "sqlite", .fresh = fresh_sqlite, .drop = drop_sqlite },
#endif
#ifdef WITH_POSTGRES
    { .name = "postgres", .fresh = side_fresh_postgres, .kept = true },
#endif
#ifdef WITH_REDIS
    { .name = "redis", .fresh = side_fresh_redis },
#endif
};

static const struct maker *maker_of(const char *name)
{
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (strcmp(makers[i].name, name) == 0)
            return &makers[i];
    fprintf(stderr, "this program was built without a store named %s\n", name);
    exit(2);
}

static struct jobq_store *kept[CLIENTS];
static const struct jobq_backend *keeper;

static int open_client(struct side *side, int client, bool keep)
{
    struct jobq_error err = { 0 };
    const struct jobq_store_options options = { .size = sizeof options, .uri = side->uri, .io_timeout_ms = 60000 };
    side->stores[client] = keep ? kept[client] : NULL;
    if (side->stores[client])
        return 0;
    if (side->backend->open(&side->stores[client], &options, &err) != JOBQ_OK) {
        fprintf(stderr, "%s: %s\n", side->name, err.text);
        return -1;
    }
    if (keep) {
        kept[client] = side->stores[client];
        keeper = side->backend;
    }
    return 0;
}

int side_open(struct side *side, const char *name, uint64_t seed)
{
    *side = (struct side){ .name = name, .seed = seed };
    struct jobq_error err = { 0 };
    const struct maker *maker = maker_of(name);
    if (maker->fresh(side) != 0)
        return -1;
    for (int i = 0; i < CLIENTS; i++)
        if (open_client(side, i, maker->kept) != 0)
            return -1;
    side_new_arena(side);
    struct jobq_exchange x = { .size = sizeof x };
    if (side->backend->exchange(side->stores[0], &x, side->arena, &err) != JOBQ_OK || side_align(side, x.now_ms) != 0 ||
        side->backend->exchange(side->stores[0], &x, side->arena, &err) != JOBQ_OK)
        return -1;
    side->base = x.now_ms;
    return 0;
}

void side_close(struct side *side)
{
    const struct maker *maker = maker_of(side->name);
    for (int i = 0; i < CLIENTS; i++)
        if (side->stores[i] && !maker->kept)
            side->backend->close(side->stores[i]);
    jobq_arena_destroy(side->arena);
    if (maker->drop)
        maker->drop(side);
}

void side_done(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (kept[i])
            keeper->close(kept[i]);
        kept[i] = NULL;
    }
}

void side_new_arena(struct side *side)
{
    jobq_arena_destroy(side->arena);
    side->arena = jobq_arena_create();
    if (!side->arena)
        abort();
}

/* Not rising with the number: the order of ids and the order of arrival must not be mixed up. */
struct jobq_id job_id(int job)
{
    struct jobq_id id;
    uint32_t x = (uint32_t)job * 2654435761u + 12345u;
    for (int i = 0; i < 16; i++) {
        x = x * 1664525u + 1013904223u;
        id.bytes[i] = (uint8_t)(x >> 24);
    }
    id.bytes[15] = (uint8_t)job;
    return id;
}

struct jobq_bytes name_value(int index)
{
    static const struct jobq_bytes names[NAME_VALUES] = {
        { "q", 1 }, { "q\0x", 3 }, { "'; --", 5 }, { "\xff\x00\xfe", 3 }, { "Q", 1 }, { "%_*", 3 },
    };
    return names[index];
}

struct jobq_bytes bytes_value(int index)
{
    static uint8_t every[600];
    static const struct jobq_bytes values[BYTES_VALUES] = {
        { NULL, 0 }, { "", 0 }, { "\0", 1 }, { "p", 1 }, { "{\"a\":1}", 7 }, { "\xc3\x28\xff", 3 },
        { every, 256 }, { every + 200, 300 },
    };
    for (size_t i = 0; i < sizeof every; i++)
        every[i] = (uint8_t)i;
    return values[index];
}
