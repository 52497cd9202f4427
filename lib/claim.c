/* SPDX-License-Identifier: MIT */
/* Claim for people with a loop of their own, and the sweep that goes with it. */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

#define JUDGE_STEP (EXCHANGE_ITEMS / 2)
#define CLAIM_ROUNDS 1024 /* with at most 64 groups looked at in each that may not start */

/* ---- judgement ------------------------------------------------------------------------------------------------------- */

bool row_is_judged(const struct jobq_row *row)
{
    return row->overdue != JOBQ_OVERDUE_NONE || !row_readable(row);
}

static size_t changes_for(const struct jobq_row *row)
{
    if (!row_is_judged(row))
        return 0;
    return row->overdue == JOBQ_OVERDUE_EDGES ? row->child_count : 1;
}

size_t judge_count(const struct jobq_row *rows, size_t count)
{
    size_t changes = 0;

    for (size_t i = 0; i < count; i++)
        changes += changes_for(&rows[i]);
    return changes;
}

static void judge_row(const struct jobq_row *row, struct jobq_change *out)
{
    if (row->overdue == JOBQ_OVERDUE_EDGES)
        for (size_t i = 0; i < row->child_count; i++)
            policy_orphan(&row->children[i], &out[i]);
    else if (!row_readable(row))
        policy_undecodable(row, out);
    else
        policy_overdue(row, random_dice(), out);
}

void judge_rows(const struct jobq_row *rows, size_t count, struct jobq_change *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t made = changes_for(&rows[i]);
        if (made)
            judge_row(&rows[i], out);
        out += made;
    }
}

/* A part of the judgement, small enough that each change can have an alert beside it. */
static int judge_part(struct jobq *q, struct jobq_change *changes, const struct jobq_row *const *about, size_t count,
                      size_t *judged)
{
    struct call *call = call_create();
    int rc;

    if (!call)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a sweep");
    call->changes = changes;
    call->change_count = count;
    call->about = about;
    call->lends = true;
    call->separable = true;
    rc = call_run(q, call, 0);
    for (size_t i = 0; rc == JOBQ_OK && i < count; i++)
        *judged += changes[i].verdict == JOBQ_OK;
    call_unref(call);
    return rc;
}

/* Of the children of a dead parent only the ids are known. */
static void note_rows(const struct jobq_row *rows, size_t count, const struct jobq_row **about)
{
    for (size_t i = 0; i < count; i++) {
        size_t made = changes_for(&rows[i]);
        if (made && rows[i].overdue != JOBQ_OVERDUE_EDGES)
            *about = &rows[i];
        about += made;
    }
}

/* Send the judgement of some rows. One that was edited in between is found again by the next sweep. */
static int judge_send(struct jobq *q, const struct jobq_row *rows, size_t count, size_t *judged)
{
    size_t changes = judge_count(rows, count);
    struct jobq_change *made = calloc(changes + 1, sizeof *made);
    const struct jobq_row **about = calloc(changes + 1, sizeof *about);
    int rc = made && about ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for a sweep");

    if (rc == JOBQ_OK) {
        judge_rows(rows, count, made);
        note_rows(rows, count, about);
    }
    for (size_t from = 0; from < changes && rc == JOBQ_OK; from += JUDGE_STEP) {
        size_t left = changes - from;
        rc = judge_part(q, made + from, about + from, left < JUDGE_STEP ? left : JUDGE_STEP, judged);
    }
    free(made);
    free(about);
    return rc;
}

/* ---- sweep ------------------------------------------------------------------------------------------------------------------ */

/* Put the jobs of schedules that are due. */
static int fire_due(struct jobq *q, const struct jobq_want *want, int64_t store_now_ms, size_t *fired)
{
    struct ticks ticks = { .rows = want->schedules, .count = want->schedule_count,
                           .now_ms = want->schedule_now_ms, .store_now_ms = store_now_ms };
    int rc = want->schedule_count ? ticks_fire(q, &ticks) : JOBQ_OK;

    *fired += ticks.fired;
    return rc;
}

/* Take overdue rows and judge them, and fire what is due. *more: there may be others. */
static int sweep_step(struct jobq *q, size_t limit, int64_t lease_ms, size_t *judged, size_t *fired, bool *more)
{
    struct jobq_want want = { .mode = JOBQ_WANT_OVERDUE, .limit = limit, .bytes = EXCHANGE_BYTES,
                              .lease_ms = lease_ms, .worker = bytes_of(q->worker_name) };
    struct call *call = call_create();
    int rc;

    *more = false;
    if (!call)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a sweep");
    call->want = &want;
    call->lends = true;
    rc = call_run(q, call, 0);
    if (rc == JOBQ_OK && call->want_unit != JOBQ_OK)
        rc = fail_copy(&(struct jobq_error){ .status = call->want_unit, .text = "the sweep failed" });
    if (rc == JOBQ_OK) {
        *more = want.row_count == limit || want.more || want.schedule_count == JOBQ_SCHEDULES_AT_ONCE;
        rc = judge_send(q, want.rows, want.row_count, judged);
    }
    if (rc == JOBQ_OK)
        rc = fire_due(q, &want, call->now_ms, fired);
    call_unref(call);
    return rc;
}

int jobq_sweep(struct jobq *q, size_t max, size_t *out_count)
{
    size_t judged = 0, fired = 0, before;
    bool more = true;
    int rc = handle_check_own(q, "jobq_sweep");

    if (rc == JOBQ_OK)
        rc = check_range("max", (int64_t)max, 1, EXCHANGE_ITEMS);
    if (rc != JOBQ_OK)
        return rc;
    returned_send(q);
    do {
        size_t left = max - judged;
        before = judged + fired;
        rc = sweep_step(q, left < 64 ? left : 64, LEASE_DEFAULT_MS, &judged, &fired, &more);
    } while (rc == JOBQ_OK && more && judged < max && judged + fired > before);
    __atomic_store_n(&q->swept_at_ms, monotonic_ms(), __ATOMIC_RELAXED);
    if (out_count)
        *out_count = judged;
    return rc;
}

/* ---- claim ------------------------------------------------------------------------------------------------------------------- */

static struct jobq_bytes *names_of(struct jobq_arena *arena, const char *const *names, size_t count)
{
    struct jobq_bytes *out = jobq_arena_alloc(arena, (count + 1) * sizeof *out);

    for (size_t i = 0; out && i < count; i++)
        out[i] = bytes_of(names[i]);
    return out;
}

static int want_of(struct jobq *q, const struct jobq_claim_options *o, int mode, struct jobq_arena *arena,
                   struct jobq_want *want)
{
    *want = (struct jobq_want){
        .mode = mode,
        .queues = names_of(arena, o->queues, o->queue_count),
        .queue_count = o->queue_count,
        .kinds = names_of(arena, o->kinds, o->kind_count),
        .kind_count = o->kind_count,
        .limit = o->limit && mode == JOBQ_WANT_DUE ? o->limit : 1,
        .bytes = o->bytes ? o->bytes : EXCHANGE_BYTES,
        .lease_ms = o->lease_ms ? o->lease_ms : LEASE_DEFAULT_MS,
        .worker = bytes_of(o->worker ? o->worker : q->worker_name),
        .others = crew_held(q), /* by workers of this handle; who claims by hand may hand in elsewhere: not counted */
        .share = 1,
    };
    return want->queues && want->kinds ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for a claim");
}

/* Keep the rows that are jobs; those to be judged are moved behind. Returns how many stay. */
static size_t part_rows(struct jobq_row *rows, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (!row_is_judged(&rows[i])) {
            struct jobq_row row = rows[i];
            rows[i] = rows[kept];
            rows[kept++] = row;
        }
    return kept;
}

/* Early ack: complete what was claimed; only what was accepted is handed over. The answer is made before, so that nothing can
 * go wrong once they count as done. */
static int ack_early(struct jobq *q, const struct jobq_row *rows, size_t count, struct jobq_jobs *answer)
{
    struct call *call = call_create();
    struct jobq_change *changes = calloc(count + 1, sizeof *changes);
    int rc = call && changes ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for an early ack");

    for (size_t i = 0; rc == JOBQ_OK && i < count; i++)
        policy_complete(&rows[i].id, &rows[i].token, (struct jobq_bytes){ NULL, 0 }, true, &changes[i]);
    if (rc == JOBQ_OK) {
        call->changes = changes;
        call->change_count = count;
        call->lends = true;
        rc = call_run(q, call, 0);
    }
    if (rc == JOBQ_OK)
        jobs_keep_accepted(answer, changes);
    free(changes);
    call_unref(call);
    return rc;
}

static void show_as_done(struct jobq_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rows[i].state = JOBQ_ROW_COMPLETED;
        rows[i].reason = JOBQ_REASON_EARLY_ACK;
    }
}

/* The rows outlive the call, so they and their bytes are copied once into the answer's own arena. */
static int copy_rows(struct jobq_arena *arena, const struct jobq_row *from, size_t count, struct jobq_row **out)
{
    struct jobq_row *rows = jobq_arena_alloc(arena, (count + 1) * sizeof *rows);

    if (!rows)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a claim");
    for (size_t i = 0; i < count; i++) {
        rows[i] = from[i];
        struct jobq_bytes *const all[] = { &rows[i].queue, &rows[i].kind, &rows[i].group, &rows[i].worker,
                                           &rows[i].payload, &rows[i].policy, &rows[i].key, &rows[i].result,
                                           &rows[i].progress, &rows[i].data, &rows[i].trace };
        rows[i].errors = NULL;
        rows[i].error_count = 0;
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            if (all[k]->data && jobq_arena_bytes(arena, all[k]->data, all[k]->size, all[k]) != 0)
                return fail_with(JOBQ_NOMEM, NULL, "out of memory for a claim");
    }
    *out = rows;
    return JOBQ_OK;
}

static int send_want(struct jobq *q, struct call *call, struct jobq_want *want)
{
    call->want = want;
    call->lends = true;
    int rc = call_run(q, call, 0);
    if (rc == JOBQ_OK && call->want_unit != JOBQ_OK) {
        call->error.status = call->want_unit;
        rc = fail_copy(&call->error);
    }
    return rc;
}

/* Judge what is to be judged, and make the answer of the rest. */
static int hand_over(struct jobq *q, const struct jobq_claim_options *o, const struct jobq_want *want, int64_t now_ms,
                     struct jobq_jobs **out, size_t *judged)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_row *rows = NULL;
    int rc = arena ? copy_rows(arena, want->rows, want->row_count, &rows)
                   : fail_with(JOBQ_NOMEM, NULL, "out of memory for a claim");

    if (rc != JOBQ_OK) {
        jobq_arena_destroy(arena);
        return rc;
    }
    size_t kept = part_rows(rows, want->row_count);
    (void)judge_send(q, rows + kept, want->row_count - kept, judged);
    bool early = o->flags & JOBQ_ACK_EARLY && kept;
    if (early)
        show_as_done(rows, kept);
    rc = jobs_make(arena, rows, kept, now_ms, out); /* the arena is its own now */
    if (rc == JOBQ_OK && early && (rc = ack_early(q, rows, kept, *out)) != JOBQ_OK) {
        jobq_jobs_free(*out);
        *out = NULL;
    }
    return rc;
}

/* Claim once. *again: only rows to be judged came, or none from the groups that were looked at, so ask again. */
static int claim_once(struct jobq *q, const struct jobq_claim_options *o, int mode, struct jobq_jobs **out,
                      bool *again)
{
    struct jobq_want want;
    struct call *call = call_create();
    size_t judged = 0;
    int rc = call ? want_of(q, o, mode, call->arena, &want) : fail_with(JOBQ_NOMEM, NULL, "out of memory for a claim");
    struct returned *returned = rc == JOBQ_OK ? returned_create(want.limit) : NULL;

    if (rc == JOBQ_OK && !returned)
        rc = fail_with(JOBQ_NOMEM, NULL, "out of memory for a claim");
    if (rc == JOBQ_OK)
        rc = send_want(q, call, &want);
    if (rc == JOBQ_OK) {
        rc = hand_over(q, o, &want, call->now_ms, out, &judged);
        *again = rc == JOBQ_OK && (*out)->count == 0 && (judged > 0 || (want.more && want.row_count == 0));
        if (rc != JOBQ_OK) {
            returned_add(q, returned, want.rows, want.row_count);
            returned = NULL;
            returned_send(q);
        }
    }
    free(returned);
    call_unref(call);
    return rc;
}

/* Claim in one mode until jobs came or nothing is left to judge. */
static int claim_mode(struct jobq *q, const struct jobq_claim_options *o, int mode, struct jobq_jobs **out)
{
    bool again = true;
    int rc = JOBQ_OK;

    for (int round = 0; rc == JOBQ_OK && again && round < CLAIM_ROUNDS; round++) {
        jobq_jobs_free(*out);
        *out = NULL;
        rc = claim_once(q, o, mode, out, &again);
    }
    return rc;
}

/* Has this handle not done something that is due every third of a lease? Then it is noted as done now. */
static bool third_is_over(int64_t *last_ms, int64_t lease_ms)
{
    int64_t now = monotonic_ms(), last = __atomic_load_n(last_ms, __ATOMIC_RELAXED);

    if (last != 0 && now - last < lease_ms / 3)
        return false;
    __atomic_store_n(last_ms, now, __ATOMIC_RELAXED);
    return true;
}

/* Is a schedule due, as far as this handle has heard? */
static bool tick_is_due(const struct jobq *q)
{
    return monotonic_ms() >= __atomic_load_n(&q->tick_at_ms, __ATOMIC_RELAXED) &&
           handle_has(q, JOBQ_CAP_SCHEDULES);
}

int jobq_claim(struct jobq *q, const struct jobq_claim_options *given, struct jobq_jobs **out)
{
    struct jobq_claim_options o;
    int rc = handle_check_own(q, "jobq_claim");

    *out = NULL;
    if (rc == JOBQ_OK && !given)
        rc = fail_with(JOBQ_INVALID, "options", "options: is NULL");
    if (rc == JOBQ_OK)
        rc = read_struct("options", given, given->size, offsetof(struct jobq_claim_options, kinds), &o, sizeof o);
    if (rc == JOBQ_OK)
        rc = check_claim(&o);
    if (rc != JOBQ_OK)
        return rc;
    int64_t lease = o.lease_ms ? o.lease_ms : LEASE_DEFAULT_MS;
    returned_send(q);
    if (!(o.flags & JOBQ_NO_SWEEP) && (third_is_over(&q->swept_at_ms, lease) || tick_is_due(q)))
        rc = jobq_sweep(q, 64, NULL);
    /* Ordinary wants pass by a row that must run alone. Looked for by time, it starts however full the queue is. */
    if (rc == JOBQ_OK && crew_held(q) == 0 && third_is_over(&q->alone_at_ms, lease))
        rc = claim_mode(q, &o, JOBQ_WANT_ALONE, out);
    if (rc == JOBQ_OK && (!*out || (*out)->count == 0))
        rc = claim_mode(q, &o, JOBQ_WANT_DUE, out);
    return rc;
}
