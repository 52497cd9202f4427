/* SPDX-License-Identifier: MIT */
/* Heartbeats. All beats of an exchange are matched in one walk over the index of leases, which holds the tokens; the rows
 * themselves are read only where a token is one of ours. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

struct held {
    int64_t n, last; /* one row, or those of a batch */
    int64_t line, rank; /* of a batch; line 0: of none */
    struct jobq_token token;
    size_t beat;
};

struct held_list {
    struct held *items;
    size_t count, room;
};

static bool means(const struct jobq_beat *beat, const struct jobq_token *token)
{
    return memcmp(&beat->token, token, beat->flags & JOBQ_BEAT_MINT ? 8 : sizeof *token) == 0;
}

static int note(struct jobq_store *s, struct held_list *list, const struct held *held)
{
    struct held *items = sq_grow(list->items, list->count, &list->room, sizeof *items);
    if (!items)
        return sq_fault_memory(s);
    list->items = items;
    items[list->count++] = *held;
    return 0;
}

/* Under each beat that means it. */
static int note_beats(struct jobq_store *s, const struct jobq_exchange *x, struct held_list *list, struct held *held)
{
    for (held->beat = 0; held->beat < x->beat_count; held->beat++)
        if (means(&x->beats[held->beat], &held->token) && note(s, list, held) != 0)
            return -1;
    return 0;
}

static int collect_rows(struct jobq_store *s, const struct jobq_exchange *x, struct held_list *list)
{
    sqlite3_stmt *row = sq_start(s, SQL_LEASE_LIST, NULL, 0);
    int more;
    while ((more = sq_step(s, row)) > 0) {
        struct held held = { .n = sqlite3_column_int64(row, 0), .last = sqlite3_column_int64(row, 0) };
        struct jobq_bytes token = sq_column_bytes(row, 1);
        if (token.size != sizeof held.token)
            continue;
        memcpy(&held.token, token.data, sizeof held.token);
        if (note_beats(s, x, list, &held) == 0)
            continue;
        sqlite3_reset(row);
        return -1;
    }
    return more;
}

static int collect_batches(struct jobq_store *s, const struct jobq_exchange *x, struct held_list *list)
{
    sqlite3_stmt *row = sq_start(s, SQL_BATCH_FIRST, VALUES(number(0), number(INT64_MIN), number(INT64_MAX)));
    int more;
    while ((more = sq_step(s, row)) > 0) {
        struct batch b;
        sq_batch_read(row, &b);
        struct held held = { .n = b.first, .last = b.last, .line = b.line, .rank = b.rank, .token = b.token };
        if (note_beats(s, x, list, &held) == 0)
            continue;
        sqlite3_reset(row);
        return -1;
    }
    return more;
}

static int collect(struct jobq_store *s, const struct jobq_exchange *x, struct held_list *list)
{
    if (collect_rows(s, x, list) != 0)
        return -1;
    return s->clock.batches ? collect_batches(s, x, list) : 0;
}

/* Beat by beat, in each by token and then by arrival. */
static int by_beat(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    if (x->beat != y->beat)
        return x->beat < y->beat ? -1 : 1;
    int order = memcmp(&x->token, &y->token, sizeof x->token);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int give_back(struct turn *t, struct job *job)
{
    sq_job_wait(t, job);
    job->row.outcome = JOBQ_OUTCOME_RELEASE;
    job->row.releases += job->row.releases < INT32_MAX;
    return sq_job_save(t, job) != 0 ? -1 : sq_event(t, &job->row, job->queue, job->kind, JOBQ_ROW_WAITING);
}

static int extend(struct turn *t, struct job *job, int64_t lease_ms)
{
    job->row.lease_until_ms = sq_lease_end(&job->row, t->now, lease_ms);
    return sq_run(t->s, SQL_JOB_LEASE, VALUES(number(job->n), instant(job->row.lease_until_ms)));
}

static int beat_row(struct turn *t, struct jobq_beat *beat, int64_t n, struct jobq_row *marks)
{
    struct job job;
    int found = sq_job_load(t->s, n, &job);
    /* An earlier beat of this exchange may have given it back. */
    if (found <= 0 || job.row.state != JOBQ_ROW_RUNNING || job.row.outcome != JOBQ_OUTCOME_NONE)
        return found < 0 ? -1 : 0;
    beat->held++;
    if (beat->flags & JOBQ_BEAT_RELEASE)
        return give_back(t, &job);
    bool stopped = job.row.stop_at_ms && job.row.stop_at_ms <= t->now;
    if (!stopped && extend(t, &job, beat->lease_ms) != 0)
        return -1;
    if (!stopped && !job.row.cancel_asked)
        return 0;
    return sq_view_row(t->s, t->arena, n, 0, &marks[beat->mark_count++], NULL) < 0 ? -1 : 0;
}

/* One write for a lease that is extended: no row of a batch has a time limit, and none is to be told of. What is given back leaves
 * it. 1 done, 0 its rows are to be looked at one by one, -1. */
static int beat_batch(struct turn *t, struct jobq_beat *beat, const struct held *held)
{
    struct batch b;
    int found = held->line ? sq_batch_find(t->s, held->line, held->rank, held->n, &b) : 0;
    if (found <= 0)
        return found;
    if (beat->flags & JOBQ_BEAT_RELEASE)
        return sq_batch_leave_run(t->s, &b, b.first, b.last);
    beat->held += (uint32_t)sq_batch_size(&b);
    const struct jobq_row lease = { .lease_until_ms = b.place };
    return sq_batch_extend(t, &b, sq_lease_end(&lease, t->now, beat->lease_ms)) != 0 ? -1 : 1;
}

static int run_beat(struct turn *t, struct jobq_beat *beat, const struct held *held, size_t count)
{
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += (size_t)(held[i].last - held[i].n + 1);
    struct jobq_row *marks = jobq_arena_alloc(t->arena, rows * sizeof *marks);
    if (!marks)
        return sq_fault_memory(t->s);
    beat->marks = marks;
    for (size_t i = 0; i < count; i++) {
        int done = beat_batch(t, beat, &held[i]);
        for (int64_t n = held[i].n; done == 0 && n <= held[i].last; n++)
            done = beat_row(t, beat, n, marks);
        if (done < 0)
            return -1;
    }
    return 0;
}

int sq_beat_all(struct turn *t, struct jobq_exchange *x)
{
    struct held_list list = { 0 };
    int result = x->beat_count ? collect(t->s, x, &list) : 0;
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_beat);
    for (size_t i = 0, at = 0, end; i < x->beat_count; i++, at = end) {
        for (end = at; end < list.count && list.items[end].beat == i; end++)
            ;
        x->beats[i].held = x->beats[i].mark_count = 0;
        x->beats[i].marks = NULL;
        if (result == 0 && end > at)
            result = run_beat(t, &x->beats[i], list.items + at, end - at);
    }
    free(list.items);
    return result;
}
