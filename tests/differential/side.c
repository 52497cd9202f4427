/* SPDX-License-Identifier: MIT */
/* A store for one sequence, and the values that numbers stand for. */
#include "diff.h"

#include <jobq/memory.h>
#include <jobq/sqlite.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int make_uri(struct side *side)
{
    static unsigned number;
    if (strcmp(side->name, "memory") == 0) {
        side->backend = jobq_memory();
        snprintf(side->uri, sizeof side->uri, "memory:differential-%u", number++);
        return 0;
    }
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

int side_open(struct side *side, const char *name)
{
    *side = (struct side){ .name = name };
    struct jobq_error err = { 0 };
    if (make_uri(side) != 0)
        return -1;
    const struct jobq_store_options options = { .size = sizeof options, .uri = side->uri, .io_timeout_ms = 60000 };
    for (int i = 0; i < CLIENTS; i++)
        if (side->backend->open(&side->stores[i], &options, &err) != JOBQ_OK) {
            fprintf(stderr, "%s: %s\n", side->name, err.text);
            return -1;
        }
    side_new_arena(side);
    struct jobq_exchange x = { .size = sizeof x };
    if (side->backend->exchange(side->stores[0], &x, side->arena, &err) != JOBQ_OK)
        return -1;
    side->base = x.now_ms;
    return 0;
}

static void remove_folder(const struct side *side)
{
    static const char *const names[] = { "store.db", "store.db-wal", "store.db-shm", "store.db-journal" };
    char file[300];
    for (int i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", side->folder, names[i]);
        unlink(file);
    }
    rmdir(side->folder);
}

void side_close(struct side *side)
{
    for (int i = 0; i < CLIENTS; i++)
        if (side->stores[i])
            side->backend->close(side->stores[i]);
    jobq_arena_destroy(side->arena);
    if (side->folder[0])
        remove_folder(side);
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
