/* SPDX-License-Identifier: MIT */
/* What somebody or something has let slip: rows of the sweeper. */
#include "want.h"

#include <stdlib.h>

struct late {
    int64_t *rows;
    size_t count, room;
};

static int reason_of(const struct job *job, int64_t now)
{
    const struct jobq_row *r = &job->row;
    if (r->state == JOBQ_ROW_RUNNING) {
        if (job->flags & (FLAG_SWEPT_LEASE | FLAG_SWEPT_TIMEOUT))
            return job->flags & FLAG_SWEPT_LEASE ? JOBQ_OVERDUE_LEASE : JOBQ_OVERDUE_TIMEOUT;
        return r->stop_at_ms && r->stop_at_ms <= now ? JOBQ_OVERDUE_TIMEOUT : JOBQ_OVERDUE_LEASE;
    }
    if (sq_is_ended(r->state))
        return JOBQ_OVERDUE_EDGES;
    bool late = r->state == JOBQ_ROW_BLOCKED && r->reason == JOBQ_REASON_CALLBACK && r->callback_until_ms &&
                r->callback_until_ms <= now;
    return late ? JOBQ_OVERDUE_CALLBACK : JOBQ_OVERDUE_EXPIRED;
}

static int give_as_is(struct catch *c, int64_t n, int reason)
{
    if (sq_view_row(c->t->s, c->t->arena, n, JOBQ_READ_PAYLOAD, &c->rows[c->count], NULL) <= 0)
        return -1;
    sq_want_give(c, reason);
    return sq_want_token(c);
}

static int sweep(struct catch *c, const struct job *job, int reason)
{
    struct jobq_token *token = &c->want->token;
    int32_t flags = job->flags | (reason == JOBQ_OVERDUE_LEASE ? FLAG_SWEPT_LEASE : FLAG_SWEPT_TIMEOUT);
    if (sq_want_token(c) != 0)
        return -1;
    if (sq_run(c->t->s, SQL_JOB_SWEEP,
               VALUES(number(job->n), blob(token->bytes, sizeof *token),
                      number(jobq_add_ms(c->t->now, c->want->lease_ms)),
                      number(flags_with(flags, JOBQ_OUTCOME_NONE, job->row.reason)))) != 0)
        return -1;
    return give_as_is(c, job->n, reason);
}

static int give_edges(struct catch *c, struct job *job)
{
    bool more = false;
    size_t count;
    struct jobq_edge *children = jobq_arena_alloc(c->t->arena, EDGES_AT_ONCE * sizeof *children);
    if (!children)
        return sq_fault_memory(c->t->s);
    if (sq_edges_resolve(c->t, job, &more) != 0)
        return -1;
    c->want->more |= more;
    if (sq_edges_undecided(c->t, job, children, &count) != 0)
        return -1;
    if (!count)
        return 0;
    if (give_as_is(c, job->n, JOBQ_OVERDUE_EDGES) != 0)
        return -1;
    c->rows[c->count - 1].children = children;
    c->rows[c->count - 1].child_count = count;
    return 0;
}

static int add(struct jobq_store *s, struct late *late, int64_t n)
{
    int64_t *rows = sq_grow(late->rows, late->count, &late->room, sizeof *rows);
    if (!rows)
        return sq_fault_memory(s);
    late->rows = rows;
    rows[late->count++] = n;
    return 0;
}

static int collect(struct jobq_store *s, int64_t now, size_t most, struct late *late)
{
    sqlite3_stmt *row = sq_start(s, SQL_OVERDUE_LIST, VALUES(number(now), number((int64_t)most)));
    int more;
    while ((more = sq_step(s, row)) > 0) {
        if (add(s, late, sqlite3_column_int64(row, 1)) == 0)
            continue;
        sqlite3_reset(row);
        return -1;
    }
    return more;
}

static int take_late(struct catch *c, const struct late *late)
{
    size_t looked_at = 0; /* ended rows; most of them need no decision and are not given */
    c->rows = jobq_arena_alloc(c->t->arena, at_most(late->count, c->want->limit) * sizeof *c->rows);
    if (!c->rows)
        return sq_fault_memory(c->t->s);
    for (size_t i = 0; i < late->count; i++) {
        struct job job;
        if (sq_job_load(c->t->s, late->rows[i], &job) <= 0)
            return -1;
        if (!sq_want_room(c, job.row.payload_bytes))
            break;
        int reason = reason_of(&job, c->t->now), result;
        if (reason == JOBQ_OVERDUE_EDGES && looked_at++ == c->want->limit) {
            c->want->more = 1;
            break;
        }
        if (reason == JOBQ_OVERDUE_EDGES)
            result = give_edges(c, &job);
        else if (job.row.state == JOBQ_ROW_RUNNING)
            result = sweep(c, &job, reason);
        else
            result = give_as_is(c, job.n, reason);
        if (result != 0)
            return -1;
    }
    return 0;
}

/* A lease that is over is the row's own again, and goes on as any other. */
int sq_take_overdue(struct catch *c)
{
    struct late late = { .count = 0 };
    size_t most = 2 * at_most(c->want->limit, INT32_MAX / 2) + 1;
    int result = sq_batch_leave_first(c->t->s, 0, c->t->now, (int64_t)most);
    if (result == 0)
        result = collect(c->t->s, c->t->now, most, &late);
    if (result == 0)
        result = take_late(c, &late);
    free(late.rows);
    return result;
}
