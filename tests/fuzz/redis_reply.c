/* SPDX-License-Identifier: MIT */
/* What a server may say to an exchange with one of everything. */
#include "fuzz.h"
#include "store.h"

static void read_as_exchange(const redisReply *reply, struct jobq_arena *arena)
{
    struct jobq_beat beat = { .lease_ms = 1 };
    struct jobq_change change = { .by = JOBQ_BY_TOKEN };
    struct jobq_put put = { .only_if = -1 };
    struct jobq_want want = { .limit = 4, .lease_ms = 1000 };
    struct jobq_exchange x = { .size = sizeof x, .beats = &beat, .beat_count = 1, .changes = &change, .change_count = 1,
                               .puts = &put, .put_count = 1, .want = &want };
    rd_exchange_answer(reply, &x, arena);
}

static void read_as_rows(const redisReply *reply, struct jobq_arena *arena)
{
    struct strings strings = rd_strings(reply);
    struct jobq_row row;
    for (int i = 0; i < 1000 && rd_row_view(&strings, arena, UINT32_MAX, &row) > 0; i++)
        MUST(row.payload.size == 0 || row.payload.data);
    strings = rd_strings(reply);
    struct jobq_schedule_row schedule;
    for (int i = 0; i < 1000 && !strings.broken && strings.at < strings.count; i++)
        if (rd_schedule_view(&strings, arena, &schedule) < 0)
            break;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    MUST(reader);
    if (redisReaderFeed(reader, (const char *)data, size) == REDIS_OK && redisReaderGetReply(reader, &reply) == REDIS_OK &&
        reply) {
        struct jobq_arena *arena = jobq_arena_create();
        read_as_exchange(reply, arena);
        read_as_rows(reply, arena);
        jobq_arena_destroy(arena);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    return 0;
}
