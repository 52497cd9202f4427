/* SPDX-License-Identifier: MIT */
/* What the jobs of a queue took: one blob beside its counts, which most exchanges write anyway. Numbers of seven bits a
 * byte; buckets and slots that are empty take no room. */
#include "store.h"

#include <string.h>

#define SLOT_MS 10000

/* ---- writing and reading the blob -------------------------------------------------------------------------------- */

static void put_number(struct figures_blob *b, uint64_t value)
{
    for (; value > 127; value >>= 7)
        b->bytes[b->size++] = (uint8_t)(value | 128);
    b->bytes[b->size++] = (uint8_t)value;
}

static void put_durations(struct figures_blob *b, const struct jobq_durations *d)
{
    put_number(b, (uint64_t)d->total_ms);
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++)
        if (d->buckets[i]) {
            put_number(b, (uint64_t)i + 1);
            put_number(b, d->buckets[i]);
        }
    put_number(b, 0);
}

struct value sq_figures_pack(const struct figures *f, int64_t now, struct figures_blob *b)
{
    b->size = 0;
    put_number(b, (uint64_t)f->last_ms);
    put_durations(b, &f->waited);
    put_durations(b, &f->ran);
    for (int i = 0; i < FIGURE_SLOTS; i++) {
        const struct figure_slot *slot = &f->slots[i];
        if (slot->number <= now / SLOT_MS - FIGURE_SLOTS || !(slot->completed + slot->failed))
            continue;
        put_number(b, (uint64_t)slot->number);
        put_number(b, slot->completed);
        put_number(b, slot->failed);
    }
    return blob(b->bytes, b->size);
}

/* Past the end every number is 0, which ends whatever is being read. */
static uint64_t get_number(struct jobq_bytes *from)
{
    const uint8_t *bytes = from->data;
    uint64_t value = 0;
    size_t at = 0;
    for (unsigned shift = 0; at < from->size && shift < 64; shift += 7) {
        value |= (uint64_t)(bytes[at] & 127) << shift;
        if (!(bytes[at++] & 128))
            break;
    }
    from->data = bytes + at;
    from->size -= at;
    return value;
}

static void get_durations(struct jobq_bytes *from, struct jobq_durations *d)
{
    uint64_t bucket;
    d->total_ms = (int64_t)get_number(from);
    while ((bucket = get_number(from)) != 0 && bucket <= JOBQ_DURATION_BUCKETS) {
        d->buckets[bucket - 1] = get_number(from);
        d->count += d->buckets[bucket - 1];
    }
}

void sq_figures_unpack(struct jobq_bytes from, struct figures *f)
{
    *f = (struct figures){ 0 };
    if (!from.size)
        return;
    f->last_ms = (int64_t)get_number(&from);
    get_durations(&from, &f->waited);
    get_durations(&from, &f->ran);
    while (from.size) {
        uint64_t number = get_number(&from);
        struct figure_slot *slot = &f->slots[number % FIGURE_SLOTS];
        slot->number = (int64_t)number;
        slot->completed = get_number(&from);
        slot->failed = get_number(&from);
    }
}

/* ---- counting ------------------------------------------------------------------------------------------------------ */

static void count(struct jobq_durations *d, int64_t ms)
{
    d->count++;
    d->total_ms = jobq_add_ms(d->total_ms, ms < 0 ? 0 : ms);
    d->buckets[jobq_duration_bucket(ms)]++;
}

int sq_figures_waited(struct turn *t, int64_t queue_id, int64_t since_ms)
{
    struct queue *queue = sq_queue_loaded(t, queue_id);
    if (!queue)
        return -1;
    count(&queue->now.figures.waited, t->now - since_ms);
    queue->figured = true;
    return 0;
}

int sq_figures_ended(struct turn *t, int64_t queue_id, int outcome, int64_t started_ms)
{
    if (outcome != JOBQ_OUTCOME_COMPLETE && outcome != JOBQ_OUTCOME_FAIL)
        return 0;
    struct queue *queue = sq_queue_loaded(t, queue_id);
    if (!queue)
        return -1;
    struct figures *f = &queue->now.figures;
    int64_t number = t->now / SLOT_MS;
    struct figure_slot *slot = &f->slots[number % FIGURE_SLOTS];
    if (slot->number != number)
        *slot = (struct figure_slot){ .number = number };
    slot->completed += outcome == JOBQ_OUTCOME_COMPLETE;
    slot->failed += outcome == JOBQ_OUTCOME_FAIL;
    f->last_ms = t->now;
    count(&f->ran, t->now - started_ms);
    queue->figured = true;
    return 0;
}

/* ---- showing --------------------------------------------------------------------------------------------------------- */

static struct jobq_recent recent(const struct figures *f, int64_t now, int64_t back)
{
    int64_t number = now / SLOT_MS;
    struct jobq_recent out = { .window_ms = now - (number - back) * SLOT_MS };
    for (int i = 0; i < FIGURE_SLOTS; i++) {
        const struct figure_slot *slot = &f->slots[i];
        if (slot->number < number - back || slot->number > number)
            continue;
        out.completed += slot->completed;
        out.failed += slot->failed;
    }
    return out;
}

void sq_figures_view(const struct figures *f, int64_t now, struct jobq_queue_stats *out)
{
    out->waited = f->waited;
    out->ran = f->ran;
    out->last_minute = recent(f, now, 6);
    out->last_quarter = recent(f, now, 90);
    out->last_finished_at_ms = f->last_ms;
}
