/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MINUTE_MS      INT64_C(60000)
#define MINTED_VERSION 7
#define MIXED_FIRST    8 /* of an id's bytes; the two last ones are those of the submission in all parts */
#define MIXED_BYTES    6

/* The time limits are generous: they end what hangs. What is slow has its progress to show. */
/* clang-format off */
struct part_info parts[PARTS_MOST] = {
    /* name, queue, orders, runs, digit, version, threads, timeout, deadline, program */
    [PART_PROBE]   = {"probe",   "video.probe",   NULL,                   RUNS_PROBE,    7, 1, 2, 10 * MINUTE_MS, 0, NULL},
    [PART_REPORT]  = {"report",  "video.report",  NULL,                   RUNS_REPORT,   8, 1, 1, 1 * MINUTE_MS,  0, NULL},
    [PART_NOTIFY]  = {"notify",  "video.notify",  NULL,                   RUNS_NOTIFY,  15, 1, 1, 1 * MINUTE_MS,  0, NULL},
    [PART_WEBHOOK] = {"webhook", "video.webhook", NULL,                   RUNS_WEBHOOK,  0, 1, 4, 1 * MINUTE_MS,  0, NULL},
    [PART_RESULTS] = {"results", "video.results", NULL,                   RUNS_RESULTS,  1, 1, 1, 1 * MINUTE_MS,  0, NULL},
    [PART_FETCH]   = {"fetch",   "video.fetch",   NULL,                   RUNS_FETCH,    2, 1, 0, 15 * MINUTE_MS, 0, NULL},
    [PART_QUALITY] = {"quality", "video.quality", "video.quality.orders", RUNS_CHILD,    9, 1, 1, 10 * MINUTE_MS, 10 * MINUTE_MS, NULL},
    [PART_SOUND]   = {"sound",   "video.sound",   "video.sound.orders",   RUNS_CHILD,   10, 1, 1, 5 * MINUTE_MS,  10 * MINUTE_MS, NULL},
    [PART_SPEECH]  = {"speech",  "video.speech",  "video.speech.orders",  RUNS_CHILD,   11, 1, 1, 20 * MINUTE_MS, 20 * MINUTE_MS, NULL},
    [PART_FACE]    = {"face",    "video.face",    "video.face.orders",    RUNS_SERVICE, 12, 1, 2, 10 * MINUTE_MS, 10 * MINUTE_MS, NULL},
    [PART_GESTURE] = {"gesture", "video.gesture", "video.gesture.orders", RUNS_SERVICE, 13, 1, 2, 10 * MINUTE_MS, 10 * MINUTE_MS, NULL},
    [PART_EMOTION] = {"emotion", "video.emotion", "video.emotion.orders", RUNS_CHILD,   14, 1, 1, 10 * MINUTE_MS, 10 * MINUTE_MS, NULL},
};
/* clang-format on */
int part_end = PART_KNOWN;

int part_by_name(const char *name)
{
    for (int i = 0; i < part_end; i++)
        if (strcmp(parts[i].name, name) == 0)
            return i;
    return -1;
}

int part_by_queue(const char *queue)
{
    for (int i = 0; i < part_end; i++)
        if (strcmp(parts[i].queue, queue) == 0)
            return i;
    return -1;
}

static uint8_t version_of(const struct jobq_id *id)
{
    return (uint8_t)(id->bytes[6] >> 4);
}

/* FNV-1a: names are few and nobody's secret. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

/* All but the two highest bits, which say whose layout an id has. */
static void mix(struct jobq_id *id, uint64_t hash)
{
    hash = (hash ^ hash >> 48) & UINT64_C(0x3fffffffffff);
    for (int i = 0; i < MIXED_BYTES; i++)
        id->bytes[MIXED_FIRST + i] ^= (uint8_t)(hash >> 8 * (MIXED_BYTES - 1 - i));
}

void part_id(const struct jobq_id *submission, int part, struct jobq_id *out)
{
    *out = *submission;
    out->bytes[6] = (uint8_t)((submission->bytes[6] & 0x0f) | parts[part].digit << 4);
    if (part >= PART_KNOWN)
        mix(out, hash_of(parts[part].name));
}

/* The end of the URL's path when it is one that players know; what the file is its bytes will tell. */
static const char *ending_of(const char *url)
{
    static const char *const endings[] = {".mp4", ".m4v", ".webm", ".mov", ".ogv", ".mkv", ".avi"};
    size_t size = strcspn(url, "?#");

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t end = strlen(endings[i]);
        if (size > end && strncasecmp(url + size - end, endings[i], end) == 0)
            return endings[i];
    }
    return "";
}

void fetched_name(const struct jobq_id *submission, const char *url, char out[FETCHED_NAME_BYTES])
{
    char id[33];

    jobq_id_format(submission, id);
    snprintf(out, FETCHED_NAME_BYTES, FETCHED_FOLDER "/%s%s", id, ending_of(url));
}

int is_submission_id(const struct jobq_id *id)
{
    return version_of(id) == MINTED_VERSION;
}
