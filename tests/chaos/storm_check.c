/* SPDX-License-Identifier: MIT */
/* What the store answers, held against the ledger. */
#include "storm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one row --------------------------------------------------------------------------------------------- */

long storm_number(struct storm *storm, const struct jobq_row *row)
{
    long number = storm_number_of(&row->id);
    struct jobq_id id = storm_id(number);
    char text[32];
    if (number >= atomic_load(&storm->next) || memcmp(&id, &row->id, sizeof id) != 0) {
        storm_note(storm, "a row %ld that nobody has put", number);
        return -1;
    }
    struct jobq_bytes queue = storm_queue(storm->ledger[number].queue);
    size_t size = (size_t)snprintf(text, sizeof text, "job %08ld", number);
    if (row->queue.size != queue.size || memcmp(row->queue.data, queue.data, queue.size) != 0)
        storm_note(storm, "job %ld is in queue %.*s", number, (int)row->queue.size,
                   (const char *)row->queue.data);
    else if (row->payload.data && (row->payload.size < size || memcmp(row->payload.data, text, size) != 0))
        storm_note(storm, "job %ld has the payload %.*s", number, (int)row->payload.size,
                   (const char *)row->payload.data);
    else
        return number;
    return -1;
}

void storm_claimed(struct storm *storm, const struct jobq_row *row, const struct jobq_want *want)
{
    long number = storm_number(storm, row);
    if (number < 0)
        return;
    if (row->state != JOBQ_ROW_RUNNING || row->outcome != JOBQ_OUTCOME_NONE || row->attempt < 1 ||
        memcmp(&row->token, &want->token, sizeof row->token) != 0)
        storm_note(storm, "job %ld is claimed in state %d, outcome %d, attempt %lld", number, row->state,
                   row->outcome, (long long)row->attempt);
    if (row->attempt > 63) /* more than the ledger can remember */
        return;
    uint64_t bit = UINT64_C(1) << row->attempt;
    if (atomic_fetch_or(&storm->ledger[number].attempts, bit) & bit)
        storm_note(storm, "attempt %lld of job %ld was given twice", (long long)row->attempt, number);
}

/* ---- counts ---------------------------------------------------------------------------------------------- */

static uint64_t present_in(const struct jobq_queue_stats *q)
{
    uint64_t sum = 0;
    for (int state = 0; state < JOBQ_STATE_COUNT; state++)
        sum += q->present[state];
    return sum;
}

/* In the middle of it: whatever was, was in some order. */
void storm_check_stats(struct storm *storm, const struct jobq_stats *stats)
{
    for (size_t i = 0; i < stats->queue_count; i++) {
        const struct jobq_queue_stats *q = &stats->queues[i];
        uint64_t trimmed = q->completed_trimmed + q->dead_trimmed + q->cancelled_trimmed;
        if (present_in(q) + trimmed > q->enqueued_total ||
            q->present[JOBQ_COMPLETED] + q->completed_trimmed > q->completed_total ||
            q->present[JOBQ_DEAD] + q->dead_trimmed > q->dead_total ||
            q->present[JOBQ_CANCELLED] + q->cancelled_trimmed > q->cancelled_total)
            storm_note(storm,
                       "queue %s: %llu present and %llu trimmed of %llu put; completed %llu + %llu of %llu, "
                       "dead %llu + %llu "
                       "of %llu, cancelled %llu + %llu of %llu",
                       q->queue, (unsigned long long)present_in(q), (unsigned long long)trimmed,
                       (unsigned long long)q->enqueued_total, (unsigned long long)q->present[JOBQ_COMPLETED],
                       (unsigned long long)q->completed_trimmed, (unsigned long long)q->completed_total,
                       (unsigned long long)q->present[JOBQ_DEAD], (unsigned long long)q->dead_trimmed,
                       (unsigned long long)q->dead_total, (unsigned long long)q->present[JOBQ_CANCELLED],
                       (unsigned long long)q->cancelled_trimmed, (unsigned long long)q->cancelled_total);
    }
}

/* ---- the end --------------------------------------------------------------------------------------------- */

/* Of one queue, by the ledger and by the list. */
struct sums {
    uint64_t put, completed, dead, cancelled, removed, listed[JOBQ_STATE_COUNT];
};

static void is_count(struct storm *storm, int queue, const char *what, uint64_t is, uint64_t should)
{
    if (is != should)
        storm_note(storm, "%s: %s is %llu and should be %llu", (const char *)storm_queue(queue).data, what,
                   (unsigned long long)is, (unsigned long long)should);
}

static void check_entry(struct storm *storm, long number, struct sums *sums)
{
    struct entry *e = &storm->ledger[number];
    int ends = e->completed + e->dead + e->cancelled - e->redriven;
    if (e->put + e->refused != 1 || ends != e->put || e->completed > 1 || e->removed > 1)
        storm_note(
            storm,
            "job %ld: put %d, refused %d, completed %d, dead %d, cancelled %d, redriven %d, removed %d",
            number, e->put, e->refused, e->completed, e->dead, e->cancelled, e->redriven, e->removed);
    if (e->lost > e->taken)
        storm_note(storm, "job %ld was lost %d times and taken away %d times", number, e->lost, e->taken);
    sums->put += (uint64_t)e->put;
    sums->completed += (uint64_t)e->completed;
    sums->dead += (uint64_t)e->dead;
    sums->cancelled += (uint64_t)e->cancelled;
    sums->removed += (uint64_t)e->removed;
}

static bool may_be(const struct entry *e, int state)
{
    switch (state) {
    case JOBQ_ROW_COMPLETED:
        return e->completed == 1;
    case JOBQ_ROW_DEAD:
        return !e->completed && e->dead;
    default:
        return state == JOBQ_ROW_CANCELLED && !e->completed && e->cancelled;
    }
}

static void check_row(struct storm *storm, const struct jobq_row *row, int64_t now, uint8_t *seen,
                      struct sums *sums)
{
    long number = storm_number(storm, row);
    if (number < 0)
        return;
    const struct entry *e = &storm->ledger[number];
    if (seen[number]++ || e->removed || !may_be(e, row->state))
        storm_note(storm,
                   "job %ld is listed in state %d, %d times; completed %d, dead %d, cancelled %d, removed %d",
                   number, row->state, seen[number], e->completed, e->dead, e->cancelled, e->removed);
    if (row->attempt < 63 && e->attempts >> row->attempt >> 1)
        storm_note(storm, "job %ld has had later attempts than %lld", number, (long long)row->attempt);
    sums[e->queue].listed[jobq_shown_state(row->state, row->run_at_ms, now)]++;
}

static void list_all(struct blower *b, uint8_t *seen, struct sums *sums)
{
    struct jobq_query query = {
        .size = sizeof query, .limit = 1000, .bytes = 1 << 22, .flags = JOBQ_READ_PAYLOAD};
    do {
        storm_new_turn(b);
        if (!storm_read(b, &query))
            return;
        for (size_t i = 0; i < query.row_count; i++)
            check_row(b->storm, &query.rows[i], query.now_ms, seen, sums);
        if (query.row_count)
            query.after = query.rows[query.row_count - 1].id;
    } while (query.row_count);
}

static void check_totals(struct storm *storm, const struct jobq_queue_stats *q, int queue,
                         const struct sums *sums)
{
    uint64_t trimmed = q->completed_trimmed + q->dead_trimmed + q->cancelled_trimmed;
    for (int state = 0; state < JOBQ_STATE_COUNT; state++)
        is_count(storm, queue, "what is present in a state", q->present[state], sums->listed[state]);
    is_count(storm, queue, "the total of puts", q->enqueued_total, sums->put);
    is_count(storm, queue, "the total of completed", q->completed_total, sums->completed);
    is_count(storm, queue, "the total of dead", q->dead_total, sums->dead);
    is_count(storm, queue, "the total of cancelled", q->cancelled_total, sums->cancelled);
    is_count(storm, queue, "what is present, trimmed or removed", present_in(q) + trimmed + sums->removed,
             sums->put);
}

static int queue_of(const char *name)
{
    for (int i = 0; i < STORM_QUEUES; i++)
        if (strcmp(name, storm_queue(i).data) == 0)
            return i;
    return -1;
}

static void check_queues(struct blower *b, const struct sums *sums)
{
    struct jobq_stats stats = {.size = sizeof stats};
    uint64_t failed = 0;
    size_t known = 0;
    storm_new_turn(b);
    if (!storm_stats(b, &stats))
        return;
    for (size_t i = 0; i < stats.queue_count; i++) {
        int queue = queue_of(stats.queues[i].queue);
        if (queue < 0)
            continue;
        known++;
        failed += stats.queues[i].failed_total;
        check_totals(b->storm, &stats.queues[i], queue, &sums[queue]);
    }
    for (int i = 0; i < STORM_QUEUES; i++)
        known -= sums[i].put > 0;
    if (known)
        storm_note(b->storm, "the statistics know another number of queues");
    is_count(b->storm, 0, "the total of failures, of all queues", failed,
             (uint64_t)atomic_load(&b->storm->failed));
}

void storm_check_end(struct blower *b)
{
    struct storm *storm = b->storm;
    struct sums sums[STORM_QUEUES];
    uint8_t *seen = calloc((size_t)storm->jobs, 1);
    memset(sums, 0, sizeof sums);
    if (!seen)
        abort();
    for (long i = 0; i < storm->jobs; i++)
        check_entry(storm, i, &sums[storm->ledger[i].queue]);
    list_all(b, seen, sums);
    check_queues(b, sums);
    free(seen);
}

/* ---- nothing is left ------------------------------------------------------------------------------------- */

static void nothing_of(struct blower *b, int kind, const char *what)
{
    struct jobq_dump dump = {.size = sizeof dump, .kind = kind, .limit = 10, .bytes = 1 << 20};
    if (b->storm->backend->dump(b->store, &dump, b->arena, &b->err) != JOBQ_OK)
        storm_note(b->storm, "dump: %s", b->err.text);
    else if (dump.item_count)
        storm_note(b->storm, "%s are left, %zu or more", what, dump.item_count);
}

static void remove_page(struct blower *b, const struct jobq_query *query)
{
    struct jobq_change *changes = jobq_arena_alloc(b->arena, query->row_count * sizeof *changes);
    struct jobq_exchange x = {.changes = changes, .change_count = query->row_count};
    if (!changes)
        abort();
    for (size_t i = 0; i < query->row_count; i++)
        changes[i] = (struct jobq_change){.id = query->rows[i].id, .by = JOBQ_BY_OPERATOR,
                                          .allowed = JOBQ_ROW_ENDED, .edits = JOBQ_ANY_EDITS,
                                          .state = JOBQ_ROW_GONE};
    if (!storm_send(b, &x))
        return;
    for (size_t i = 0; i < query->row_count; i++)
        if (changes[i].verdict != JOBQ_OK)
            storm_note(b->storm, "an ended job is not removed: %d, %d", changes[i].verdict, changes[i].stale);
}

void storm_check_empty(struct blower *b)
{
    struct jobq_stats stats = {.size = sizeof stats};
    struct jobq_query query = {.size = sizeof query, .limit = 500, .bytes = 1 << 22};
    for (;;) {
        storm_new_turn(b);
        if (!storm_read(b, &query) || query.row_count == 0 || atomic_load(&b->storm->broken))
            break;
        remove_page(b, &query);
    }
    if (!storm_stats(b, &stats))
        return;
    for (size_t i = 0; i < stats.queue_count; i++)
        if (present_in(&stats.queues[i]))
            storm_note(b->storm, "%s counts %llu jobs and there are none", stats.queues[i].queue,
                       (unsigned long long)present_in(&stats.queues[i]));
    if (!(b->storm->backend->capabilities & JOBQ_CAP_COPY))
        return;
    nothing_of(b, JOBQ_ITEM_ROW, "rows");
    nothing_of(b, JOBQ_ITEM_KEY, "keys");
}
