/* SPDX-License-Identifier: MIT */
/* Durations in buckets, two to an octave: what a store counts, and what can be said from the counts. */
#include "internal.h"

int jobq_duration_bucket(int64_t ms)
{
    if (ms < 2)
        return ms > 0;
    int octave = 63 - __builtin_clzll((unsigned long long)ms);
    octave = 2 * octave + (int)(ms >> (octave - 1) & 1);
    return octave < JOBQ_DURATION_BUCKETS ? octave : JOBQ_DURATION_BUCKETS - 1;
}

int64_t jobq_duration_bound(int bucket)
{
    if (bucket < 0)
        return 0;
    if (bucket >= JOBQ_DURATION_BUCKETS - 1)
        return INT64_MAX;
    return bucket % 2 || bucket == 0 ? INT64_C(1) << (bucket + 1) / 2 : INT64_C(3) << (bucket / 2 - 1);
}

int64_t jobq_durations_quantile(const struct jobq_durations *d, int permille)
{
    double rank = (double)d->count * (permille < 0 ? 0 : permille > 1000 ? 1000 : permille) / 1000;
    double before = 0;

    for (int i = 0; i < JOBQ_DURATION_BUCKETS && d->count; i++) {
        int64_t low = jobq_duration_bound(i - 1), high = jobq_duration_bound(i);
        double in = (double)d->buckets[i];

        if (in <= 0 || before + in < rank) {
            before += in;
            continue;
        }
        return high == INT64_MAX ? low : low + (int64_t)((double)(high - 1 - low) * (rank - before) / in);
    }
    return 0;
}
