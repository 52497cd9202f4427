/* SPDX-License-Identifier: MIT */
/* Many plain jobs at once: most jobs are put, claimed and completed so, and a store may keep together what happened to them.
 * So half of the sequences have such jobs around, running and ended, when any other step comes. */
#include "diff.h"

#include <string.h>

/* ---- generating ------------------------------------------------------------------------------------------------ */

static bool is_there(const struct jobq_query *rows, int job)
{
    for (size_t i = 0; i < rows->row_count; i++)
        if (rows->rows[i].id.bytes[15] == job)
            return true;
    return false;
}

static void generate_puts(struct generator *g, const struct jobq_query *rows, struct put_burst *b)
{
    int wanted = between(g, 8, 40), first = between(g, 0, JOBS - 2);
    b->queue = (int)PICK(g, 0, 0, 0, 1, 2);
    b->kind = (int)PICK(g, 0, 0, 0, 1);
    b->payload = between(g, 0, 2);
    b->groups = g->groups && chance(g, 35) ? (int)PICK(g, 1, 3, 10, BURST, BURST) : 0;
    for (int i = 0; i < JOBS - 1 && b->count < wanted; i++) {
        int job = (first + i) % (JOBS - 1);
        if (!is_there(rows, job))
            b->jobs[b->count++] = (uint8_t)job;
    }
}

static void swap_some(struct generator *g, struct ack_burst *a)
{
    for (int i = a->count - 1; i > 0; i--) {
        int other = between(g, 0, i);
        uint8_t job = a->jobs[i];
        a->jobs[i] = a->jobs[other];
        a->jobs[other] = job;
    }
}

static const struct jobq_row *some_running(struct generator *g, const struct jobq_query *rows)
{
    for (int i = 0; i < 20 && rows->row_count; i++) {
        const struct jobq_row *r = &rows->rows[roll(&g->dice, (uint32_t)rows->row_count)];
        if (r->state == JOBQ_ROW_RUNNING)
            return r;
    }
    return NULL;
}

/* All that one token holds, a slice of it, or a few. */
static void generate_acks(struct generator *g, const struct side *side, const struct jobq_query *rows, struct ack_burst *a)
{
    const struct jobq_row *of = some_running(g, rows);
    if (!of)
        return;
    for (int i = WANTS - 1; i >= 0 && a->token == NO_TOKEN; i--)
        if (memcmp(&of->token, &side->tokens[i], sizeof of->token) == 0)
            a->token = i;
    for (size_t i = 0; i < rows->row_count && a->count < BURST; i++) {
        const struct jobq_row *r = &rows->rows[i];
        bool ours = memcmp(&r->token, &of->token, sizeof r->token) == 0;
        if ((ours && r->state == JOBQ_ROW_RUNNING) || (ours && chance(g, 5)) || chance(g, 1))
            a->jobs[a->count++] = r->id.bytes[15];
    }
    if (chance(g, 50))
        swap_some(g, a);
    if (chance(g, 60))
        a->count = between(g, 1, a->count);
    bool as_the_core = chance(g, 85);
    a->edits = as_the_core ? JOBQ_ANY_EDITS : 0;
    a->set = as_the_core ? JOBQ_SET_RESULT : 0;
    a->first = chance(g, 50);
}

void generate_bursts(struct generator *g, struct side *side, const struct jobq_query *rows, struct step *s)
{
    s->acks.token = NO_TOKEN;
    if (chance(g, 45))
        generate_puts(g, rows, &s->burst);
    if (chance(g, 55))
        generate_acks(g, side, rows, &s->acks);
}

/* ---- in words ---------------------------------------------------------------------------------------------------- */

static void show_jobs(FILE *out, const uint8_t *jobs, int count)
{
    for (int i = 0; i < count; i++)
        fprintf(out, " %d", jobs[i]);
    putc('\n', out);
}

void show_bursts(FILE *out, const struct step *s)
{
    if (s->acks.count) {
        fprintf(out, "  acks%s token=%d edits=%d set=%#x:", s->acks.first ? " first" : "", s->acks.token, (int)s->acks.edits,
                s->acks.set);
        show_jobs(out, s->acks.jobs, s->acks.count);
    }
    if (s->burst.count) {
        fprintf(out, "  plain puts queue=%d kind=%d payload=%d groups=%d:", s->burst.queue, s->burst.kind,
                s->burst.payload, s->burst.groups);
        show_jobs(out, s->burst.jobs, s->burst.count);
    }
}

/* ---- was it worth something? --------------------------------------------------------------------------------------- */

#define MANY 8

static long looks, while_running, while_ended, while_both;

static bool is_plain(const struct jobq_row *r, int state, int outcome)
{
    bool touched = r->edits || r->failures || r->crashes || r->snoozes || r->releases || r->redrives || r->reason ||
                   r->cancel_asked || r->alone || r->progress.data || r->error_count || r->has_callback;
    return r->state == state && r->outcome == outcome && r->attempt == 1 && !touched && !r->timeout_ms &&
           !r->expires_at_ms;
}

/* As many as a store keeps together: claimed by one want, and ended at one instant if they ended. */
static bool are_many(const struct jobq_query *rows, int state, int outcome)
{
    for (size_t i = 0; i < rows->row_count; i++) {
        const struct jobq_row *first = &rows->rows[i];
        int count = 0;
        for (size_t k = i; k < rows->row_count && is_plain(first, state, outcome); k++) {
            const struct jobq_row *r = &rows->rows[k];
            count += is_plain(r, state, outcome) && memcmp(&r->token, &first->token, sizeof r->token) == 0 &&
                     r->finished_at_ms == first->finished_at_ms;
        }
        if (count >= MANY)
            return true;
    }
    return false;
}

void count_batches(const struct jobq_query *rows)
{
    bool running = are_many(rows, JOBQ_ROW_RUNNING, JOBQ_OUTCOME_NONE);
    bool ended = are_many(rows, JOBQ_ROW_COMPLETED, JOBQ_OUTCOME_COMPLETE);
    looks++;
    while_running += running;
    while_ended += ended;
    while_both += running && ended;
}

int print_batches(void)
{
    printf("# bursts: of %ld steps %ld met many that run together, %ld many that ended together, %ld both\n", looks,
           while_running, while_ended, while_both);
    bool thin = looks >= 1000 && (while_running < looks * 3 / 10 || while_ended < looks * 2 / 5 || while_both < looks / 5);
    if (thin)
        printf("# too thin: bursts\n");
    return thin;
}
