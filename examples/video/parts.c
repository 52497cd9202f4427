/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define MINTED_VERSION 7

/* The time limits are generous: they end what hangs. What is slow has its progress to show. */
const struct part_info parts[PART_COUNT] = {
    [PART_PROBE] = { .name = "probe", .queue = "video.probe", .runs = RUNS_PROBE, .version = 1, .threads = 2,
                     .timeout_ms = 10 * MINUTE_MS },
    [PART_REPORT] = { .name = "report", .queue = "video.report", .runs = RUNS_REPORT, .version = 1, .threads = 1,
                      .timeout_ms = 1 * MINUTE_MS },
    [PART_QUALITY] = { .name = "quality", .queue = "video.quality", .runs = RUNS_CHILD, .version = 1, .threads = 1,
                       .timeout_ms = 10 * MINUTE_MS },
    [PART_SOUND] = { .name = "sound", .queue = "video.sound", .runs = RUNS_CHILD, .version = 1, .threads = 1,
                     .timeout_ms = 5 * MINUTE_MS },
    [PART_SPEECH] = { .name = "speech", .queue = "video.speech", .runs = RUNS_CHILD, .version = 1, .threads = 1,
                      .timeout_ms = 20 * MINUTE_MS },
    [PART_FACE] = { .name = "face", .queue = "video.face", .runs = RUNS_SERVICE, .version = 1, .threads = 2,
                    .timeout_ms = 1 * MINUTE_MS, .deadline_ms = 10 * MINUTE_MS },
    [PART_GESTURE] = { .name = "gesture", .queue = "video.gesture", .runs = RUNS_SERVICE, .version = 1, .threads = 2,
                       .timeout_ms = 1 * MINUTE_MS, .deadline_ms = 10 * MINUTE_MS },
    [PART_EMOTION] = { .name = "emotion", .queue = "video.emotion", .runs = RUNS_CHILD, .version = 1, .threads = 1,
                       .timeout_ms = 1 * MINUTE_MS },
};

int part_by_name(const char *name)
{
    for (int i = 0; i < PART_COUNT; i++)
        if (strcmp(parts[i].name, name) == 0)
            return i;
    return -1;
}

int part_by_queue(const char *queue)
{
    for (int i = 0; i < PART_COUNT; i++)
        if (strcmp(parts[i].queue, queue) == 0)
            return i;
    return -1;
}

static uint8_t version_of(const struct jobq_id *id)
{
    return (uint8_t)(id->bytes[6] >> 4);
}

void part_id(const struct jobq_id *submission, int part, struct jobq_id *out)
{
    *out = *submission;
    out->bytes[6] = (uint8_t)((submission->bytes[6] & 0x0f) | ((MINTED_VERSION + part) << 4));
}

int is_submission_id(const struct jobq_id *id)
{
    return version_of(id) == MINTED_VERSION;
}
