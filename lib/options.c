/* SPDX-License-Identifier: MIT */
/* The bytes of a row's policy: a version byte, then variable-length numbers (7 bits a byte, low first). A row with the
 * defaults has no bytes at all, which is what nearly every row has. */
#include "internal.h"

#include <string.h>

#define POLICY_VERSION 1

/* Of list_ms only what list_count counts means something: nothing else is set. Each row that is read asks for this. */
void job_policy_default(struct job_policy *p)
{
    p->max_attempts = 3;
    p->max_crashes = 3;
    p->max_snoozes = 1000;
    p->max_releases = 1000;
    p->backoff_kind = JOBQ_BACKOFF_EXPONENTIAL;
    p->factor_percent = 200;
    p->jitter_percent = 10;
    p->base_ms = 2000;
    p->cap_ms = 3600000;
    p->list_count = 0;
}

static size_t write_number(uint8_t *out, uint64_t value)
{
    size_t n = 0;

    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

static bool read_number(const uint8_t **at, const uint8_t *end, int64_t high, int64_t *out)
{
    uint64_t value = 0;

    for (int shift = 0; *at < end && shift < 63; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (int64_t)value;
            return value <= (uint64_t)high;
        }
    }
    return false;
}

static bool is_default(const struct job_policy *p)
{
    struct job_policy d;

    job_policy_default(&d);
    return p->max_attempts == d.max_attempts && p->max_crashes == d.max_crashes && p->max_snoozes == d.max_snoozes &&
           p->max_releases == d.max_releases && p->backoff_kind == d.backoff_kind &&
           p->factor_percent == d.factor_percent && p->jitter_percent == d.jitter_percent &&
           p->base_ms == d.base_ms && p->cap_ms == d.cap_ms && p->list_count == 0;
}

size_t job_policy_write(const struct job_policy *p, uint8_t out[JOB_POLICY_MAX_BYTES])
{
    const int64_t numbers[] = { p->max_attempts, p->max_crashes, p->max_snoozes, p->max_releases, p->backoff_kind,
                                p->factor_percent, p->jitter_percent, p->base_ms, p->cap_ms, p->list_count };
    size_t n = 0;

    if (is_default(p))
        return 0;
    out[n++] = POLICY_VERSION;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        n += write_number(out + n, (uint64_t)numbers[i]);
    for (uint32_t i = 0; i < p->list_count; i++)
        n += write_number(out + n, (uint64_t)p->list_ms[i]);
    return n;
}

static bool read_list(const uint8_t **at, const uint8_t *end, struct job_policy *p)
{
    for (uint32_t i = 0; i < p->list_count; i++)
        if (!read_number(at, end, MAX_MS, &p->list_ms[i]))
            return false;
    return *at == end;
}

bool job_policy_read(struct jobq_bytes bytes, struct job_policy *p)
{
    static const int64_t highs[] = { COUNT_MAX, COUNT_MAX, COUNT_MAX, COUNT_MAX, JOBQ_BACKOFF_LIST,
                                     10000, 100, MAX_MS, MAX_MS, 32 };
    const uint8_t *at = bytes.data, *end = at ? at + bytes.size : NULL;
    int64_t n[10];

    job_policy_default(p);
    if (bytes.size == 0)
        return true;
    if (*at++ != POLICY_VERSION)
        return false;
    for (size_t i = 0; i < 10; i++)
        if (!read_number(&at, end, highs[i], &n[i]))
            return false;
    if (n[0] < 1 || n[1] < 1 || n[2] < 1 || n[3] < 1 || n[5] < 100 || (n[4] == JOBQ_BACKOFF_LIST) != (n[9] > 0))
        return false;
    p->max_attempts = (int32_t)n[0];
    p->max_crashes = (int32_t)n[1];
    p->max_snoozes = (int32_t)n[2];
    p->max_releases = (int32_t)n[3];
    p->backoff_kind = (int32_t)n[4];
    p->factor_percent = (int32_t)n[5];
    p->jitter_percent = (int32_t)n[6];
    p->base_ms = n[7];
    p->cap_ms = n[8];
    p->list_count = (uint32_t)n[9];
    return read_list(&at, end, p);
}
