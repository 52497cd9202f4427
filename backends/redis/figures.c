/* SPDX-License-Identifier: MIT */
/* What the jobs of a queue took, out of the string that lua/figures.lua describes. What was never counted is not there. */
#include "store.h"

#define SLOT_MS 10000
#define SLOTS 91

static int64_t number(struct reader *r)
{
    return r->broken ? 0 : rd_get_i64(r);
}

static struct jobq_durations durations(struct reader *r)
{
    struct jobq_durations d = { .total_ms = number(r) };
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++) {
        d.buckets[i] = (uint64_t)number(r);
        d.count += d.buckets[i];
    }
    return d;
}

static void add_slot(struct jobq_recent *recent, int64_t slots_ago, int64_t back, int64_t completed, int64_t failed)
{
    if (slots_ago < 0 || slots_ago > back)
        return;
    recent->completed += (uint64_t)completed;
    recent->failed += (uint64_t)failed;
}

void rd_figures_read(struct jobq_bytes figures, int64_t now, struct jobq_queue_stats *out)
{
    struct reader r = rd_reader(figures.data, figures.size);
    int64_t present = now / SLOT_MS;
    out->last_finished_at_ms = number(&r);
    out->waited = durations(&r);
    out->ran = durations(&r);
    out->last_minute = (struct jobq_recent){ .window_ms = now - (present - 6) * SLOT_MS };
    out->last_quarter = (struct jobq_recent){ .window_ms = now - (present - 90) * SLOT_MS };
    for (int i = 0; i < SLOTS; i++) {
        int64_t ago = present - number(&r), completed = number(&r), failed = number(&r);
        add_slot(&out->last_minute, ago, 6, completed, failed);
        add_slot(&out->last_quarter, ago, 90, completed, failed);
    }
}
