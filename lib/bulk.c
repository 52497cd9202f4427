/* SPDX-License-Identifier: MIT */
/* An operator's verb for everything that a filter names: read a page, plan, send it as one exchange, go on behind it. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define BULK_STEP 250
#define RATE_MOST 1000000
#define PERIOD_MOST_MS INT64_C(31622400000)

struct bulk {
    struct jobq *q;
    verb_plan plan;
    uint32_t states; /* the states that the verb can work on */
    uint32_t read;   /* enum jobq_read_flags that the plan needs */
    bool follows;    /* a job that moves on between read and change is followed */
    struct jobq_bulk_options options;
    uint64_t planned; /* so far: the place in the line of the next one */
    struct jobq_bulk count;
};

/* ---- one page ------------------------------------------------------------------------------------------------------ */

/* The i-th becomes ready i / rate periods from now: so no period holds more than `rate` of them. Pages are sent later
 * and later, which only puts them further apart. */
static void put_off(const struct jobq_bulk_options *o, uint64_t place, struct jobq_change *change)
{
    uint64_t rate = (uint64_t)o->rate, period = (uint64_t)o->rate_period_ms, whole = place / rate;
    int64_t offset = whole > (uint64_t)MAX_MS / period ? MAX_MS
                                                       : (int64_t)(whole * period + place % rate * period / rate);

    change->run_at.offset_ms = jobq_add_ms(change->run_at.offset_ms, offset);
}

static size_t plan_page(struct bulk *b, const struct jobq_row *rows, size_t count, struct jobq_change *changes,
                        const struct jobq_row **about)
{
    size_t planned = 0;

    for (size_t i = 0; i < count; i++) {
        if (b->plan(&rows[i], b->options.flags, &changes[planned]) != JOBQ_OK)
            continue;
        if (b->options.rate)
            put_off(&b->options, b->planned, &changes[planned]);
        about[planned++] = &rows[i];
        b->planned++;
    }
    return planned;
}

/* Others work meanwhile: what was waiting may be running by now. */
static int follow(struct bulk *b, const struct jobq_change *change)
{
    bool moved = change->verdict == JOBQ_OUTDATED ||
                 (change->verdict == JOBQ_STALE && change->stale == JOBQ_STALE_STATE);
    int rc;

    if (!moved || !b->follows)
        return JOBQ_OK;
    rc = edit_job(b->q, &change->id, b->options.flags, b->plan);
    b->count.done += rc == JOBQ_OK;
    return rc == JOBQ_FAILED || rc == JOBQ_UNKNOWN || rc == JOBQ_NOMEM ? rc : JOBQ_OK;
}

/* What the state forbids is left. */
static int change_page(struct bulk *b, const struct jobq_row *rows, size_t count)
{
    struct call *call = call_create();
    struct jobq_change *changes = calloc(count, sizeof *changes);
    const struct jobq_row **about = call ? jobq_arena_alloc(call->arena, count * sizeof *about) : NULL;
    size_t planned = 0;
    int rc = about && changes ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for a bulk change");

    if (rc == JOBQ_OK)
        planned = plan_page(b, rows, count, changes, about);
    if (planned) {
        call->changes = changes;
        call->change_count = planned;
        call->about = about;
        call->lends = true;
        rc = call_run(b->q, call, 0);
    }
    for (size_t i = 0; rc == JOBQ_OK && i < planned; i++) {
        b->count.done += changes[i].verdict == JOBQ_OK;
        rc = follow(b, &changes[i]);
    }
    free(changes);
    call_unref(call);
    return rc;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------- */

static size_t room_of(const struct bulk *b)
{
    uint64_t left = b->options.max ? b->options.max - b->count.matched : BULK_STEP;

    return left < BULK_STEP ? (size_t)left : BULK_STEP;
}

static int do_page(struct bulk *b, struct jobq_query *query, bool *more)
{
    struct jobq_arena *arena = jobq_arena_create();
    int rc;

    query->limit = room_of(b);
    rc = read_rows(b->q, query, arena);
    size_t found = rc == JOBQ_OK ? query->row_count : 0;
    b->count.matched += found;
    *more = found > 0;
    if (found) {
        query->after = b->count.last = query->rows[found - 1].id;
        if (!b->options.dry_run)
            rc = change_page(b, query->rows, found);
    }
    jobq_arena_destroy(arena);
    return rc;
}

static int check_bulk(const struct jobq_bulk_options *o, uint32_t flags, bool paced, const struct jobq_bulk *out)
{
    int rc = out ? check_struct("jobq_bulk", out->size, offsetof(struct jobq_bulk, last)) : JOBQ_OK;

    if (rc == JOBQ_OK && o->flags & ~flags)
        rc = fail_with(JOBQ_INVALID, "flags", "flags: has bits that are not of this call");
    if (rc == JOBQ_OK)
        rc = check_range("rate", o->rate, 0, paced ? RATE_MOST : 0);
    if (rc == JOBQ_OK)
        rc = check_range("rate_period_ms", o->rate_period_ms, o->rate ? 1 : 0, o->rate ? PERIOD_MOST_MS : 0);
    return rc;
}

static int bulk_run(struct bulk *b, const struct jobq_filter *filter, struct jobq_bulk *out)
{
    struct jobq_query query;
    int rc = query_of_filter(b->q, filter, &query);

    query.flags = b->read;
    query.states = query.states ? query.states & b->states : b->states;
    for (bool more = query.states != 0; rc == JOBQ_OK && more;)
        if ((more = room_of(b) > 0))
            rc = do_page(b, &query, &more);
    if (out) {
        b->count.size = out->size;
        memcpy(out, &b->count, out->size < sizeof b->count ? out->size : sizeof b->count);
    }
    return rc;
}

#define SHOWN(state) (1u << (state))
#define SHOWN_LIVE (SHOWN(JOBQ_BLOCKED) | SHOWN(JOBQ_SCHEDULED) | SHOWN(JOBQ_READY))

/* The options of a call with options. */
static int take_options(struct bulk *b, const struct jobq_bulk_options *given, uint32_t flags, bool paced,
                        const struct jobq_bulk *out)
{
    int rc = JOBQ_OK;

    b->options = (struct jobq_bulk_options){ .size = sizeof b->options };
    if (given)
        rc = read_struct("bulk_options", given, given->size, offsetof(struct jobq_bulk_options, flags), &b->options,
                         sizeof b->options);
    return rc == JOBQ_OK ? check_bulk(&b->options, flags, paced, out) : rc;
}

/* ---- the verbs ------------------------------------------------------------------------------------------------------- */

int jobq_bulk_cancel(struct jobq *q, const struct jobq_filter *filter, const struct jobq_bulk_options *options,
                     struct jobq_bulk *out)
{
    struct bulk b = { .q = q, .plan = plan_cancel, .states = SHOWN_LIVE | SHOWN(JOBQ_RUNNING), .follows = true };
    int rc = take_options(&b, options, JOBQ_CANCEL_HARD, false, out);

    return rc == JOBQ_OK ? bulk_run(&b, filter, out) : rc;
}

int jobq_bulk_redrive(struct jobq *q, const struct jobq_filter *filter, const struct jobq_bulk_options *options,
                      struct jobq_bulk *out)
{
    struct bulk b = { .q = q, .plan = plan_redrive, .states = SHOWN(JOBQ_DEAD) };
    int rc = take_options(&b, options, 0, true, out);

    return rc == JOBQ_OK ? bulk_run(&b, filter, out) : rc;
}

int jobq_bulk_drop(struct jobq *q, const struct jobq_filter *filter, const struct jobq_bulk_options *options,
                   struct jobq_bulk *out)
{
    struct bulk b = { .q = q, .plan = plan_drop };
    int rc = take_options(&b, options, 0, false, out);

    b.states = SHOWN_LIVE | SHOWN(JOBQ_COMPLETED) | SHOWN(JOBQ_DEAD) | SHOWN(JOBQ_CANCELLED);
    return rc == JOBQ_OK ? bulk_run(&b, filter, out) : rc;
}

static int plan_forget(const struct jobq_row *row, uint32_t flags, struct jobq_change *change)
{
    (void)flags;
    if (!row->result.data)
        return JOBQ_ALREADY;
    *change = operator_change(row, JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED));
    change->set = JOBQ_SET_RESULT;
    return JOBQ_OK;
}

int jobq_bulk_forget(struct jobq *q, const struct jobq_filter *filter, const struct jobq_bulk_options *options,
                     struct jobq_bulk *out)
{
    struct bulk b = { .q = q, .plan = plan_forget, .states = SHOWN(JOBQ_COMPLETED), .read = JOBQ_READ_RESULT };
    int rc = take_options(&b, options, 0, false, out);

    return rc == JOBQ_OK ? bulk_run(&b, filter, out) : rc;
}

int jobq_purge(struct jobq *q, const struct jobq_filter *filter, int dry_run, struct jobq_bulk *out)
{
    const struct jobq_bulk_options options = { .size = sizeof options, .dry_run = dry_run };

    return jobq_bulk_drop(q, filter, &options, out);
}

int jobq_redrive_all(struct jobq *q, const struct jobq_filter *filter, int dry_run, struct jobq_bulk *out)
{
    const struct jobq_bulk_options options = { .size = sizeof options, .dry_run = dry_run };

    return jobq_bulk_redrive(q, filter, &options, out);
}
