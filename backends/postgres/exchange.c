/* SPDX-License-Identifier: MIT */
/* One exchange: the unit in one transaction, the want in a second one, both sent before the first answer is read. */
#include "store.h"

#include <string.h>

enum { FLAG_NOTIFY = 1, FLAG_FOLD = 4, FLAG_NO_NEXT_DUE = 32 };

#define TRIES 5
#define FOLD_EVERY 32 /* exchanges of a handle between two looks at the tally */

/* ---- before anything is done ---------------------------------------------------------------------------------- */

static int refuse(struct jobq_exchange *x, struct jobq_error *err, int32_t put, const char *what)
{
    x->failure = JOBQ_FAILURE_REFUSED;
    x->guilty_put = put;
    x->want_unit = JOBQ_SKIPPED;
    x->unit = jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: %s", what);
    return -1;
}

/* What this store does not have. */
static int check(const struct jobq_store *s, struct jobq_exchange *x, struct jobq_error *err)
{
    if (s->inspect)
        return refuse(x, err, -1, "opened to inspect: nothing can be written");
    for (size_t i = 0; i < x->put_count; i++) {
        const struct jobq_put *put = &x->puts[i];
        if (put->only_if >= 0 && (size_t)put->only_if >= x->change_count)
            return refuse(x, err, (int32_t)i, "only_if names no change of this exchange");
    }
    return 0;
}

/* ---- the two transactions ----------------------------------------------------------------------------------------- */

struct run {
    struct jobq_store *s;
    struct jobq_exchange *x;
    struct jobq_arena *arena;
    struct jobq_error *err;
    bool fold, has_unit;
    struct params unit_params, want_params;
    struct transaction unit, want;
};

static int64_t shorter(int64_t a, int64_t b)
{
    return b > 0 && b < a ? b : a;
}

/* A busy server needs so long for what is not waiting for anybody. */
#define SERVER_LEAST_MS 200

/* What waits in the server must be over well before a lease of those who wait is. */
static int64_t server_ms(const struct jobq_store *s, const struct jobq_exchange *x)
{
    int64_t lease = 90000, left = (s->link.deadline_us - pq_now_us()) / 1000;
    for (size_t i = 0; i < x->beat_count; i++)
        lease = shorter(lease, x->beats[i].lease_ms);
    if (x->want)
        lease = shorter(lease, x->want->lease_ms);
    if (x->worker)
        lease = shorter(lease, x->worker->lease_ms);
    int64_t ms = lease / 3 - 1 < left ? lease / 3 - 1 : left;
    return ms > SERVER_LEAST_MS ? ms : SERVER_LEAST_MS;
}

static bool has_work(const struct jobq_exchange *x)
{
    return x->beat_count || x->change_count || x->put_count || x->worker;
}

static void prepare(struct run *r)
{
    struct jobq_store *s = r->s;
    r->has_unit = has_work(r->x) || !r->x->want;
    int32_t flags = (s->address.notify ? FLAG_NOTIFY : 0) | (r->fold ? FLAG_FOLD : 0) |
                    (r->x->want ? FLAG_NO_NEXT_DUE : 0);
    if (r->has_unit)
        pq_unit_pack(s, r->x, flags, &r->unit_params);
    if (r->x->want)
        pq_want_pack(s, r->x, !r->has_unit, &r->want_params);
    r->unit.calls[0] = (struct call){ .text = s->sql[SQL_UNIT], .name = "jobq_unit", .params = &r->unit_params };
    r->want.calls[0] = (struct call){ .text = s->sql[SQL_WANT], .name = "jobq_want", .params = &r->want_params };
    r->unit.count = r->want.count = 1;
}

/* Send what is not done yet. */
static void attempt(struct run *r, bool unit, bool want)
{
    struct transaction both[2];
    int count = 0;
    if (r->s->attached) {
        pq_attach_run(r->s, &r->unit);
        return;
    }
    r->unit.ms = r->want.ms = server_ms(r->s, r->x);
    if (unit)
        both[count++] = r->unit;
    if (want)
        both[count++] = r->want;
    pq_link_run(&r->s->link, both, count);
    if (want)
        r->want = both[--count];
    if (unit)
        r->unit = both[--count];
}

static bool time_left(const struct run *r)
{
    return r->s->link.conn && pq_now_us() < r->s->link.deadline_us;
}

/* Errors that pass are tried again; a want that fails does not undo the unit. So is a want that others were in the way of. */
static void attempt_often(struct run *r)
{
    bool unit = r->has_unit, want = r->x->want != NULL;
    for (int turn = 0; turn <= TRIES; turn++) {
        attempt(r, unit, want);
        bool unit_again = unit && pq_fault_again(&r->unit.fault);
        bool want_again = want && (pq_fault_again(&r->want.fault) || pq_want_is_busy(r->want.calls[0].result));
        if ((!unit_again && !want_again) || turn == TRIES || !time_left(r) || r->s->attached)
            return;
        if (unit_again && want && r->want.calls[0].result)
            return; /* cannot be: the want came through behind a unit that did not */
        unit = unit_again;
        want = unit_again ? r->x->want != NULL : want_again;
        if (unit)
            pq_transaction_clear(&r->unit);
        if (want)
            pq_transaction_clear(&r->want);
        pq_pause(turn);
    }
}

/* ---- the answer ------------------------------------------------------------------------------------------------------ */

static int status_of(const struct fault *fault)
{
    return fault->kind == FAULT_LOST ? JOBQ_UNKNOWN : JOBQ_FAILED;
}

static int fail(struct run *r, const struct fault *fault)
{
    struct jobq_exchange *x = r->x;
    x->want_unit = JOBQ_SKIPPED;
    x->failure = pq_fault_class(fault);
    bool named = fault->kind == FAULT_REPORTED && x->failure == JOBQ_FAILURE_REFUSED;
    x->guilty_change = named && x->change_count == 1 && !x->put_count ? 0 : -1;
    x->guilty_put = named && x->put_count == 1 && !x->change_count ? 0 : -1;
    x->unit = pq_fault_report(r->s, fault, r->err, status_of(fault));
    return x->unit;
}

/* It happened, and cannot be told. */
static int garbled(struct run *r, const char *what)
{
    struct fault fault;
    pq_fault_set(&fault, FAULT_LOST, "%s", what);
    pq_link_close(&r->s->link);
    return fail(r, &fault);
}

static void note_receipt(struct run *r)
{
    struct jobq_store *s = r->s;
    if (!r->x->number || (!has_work(r->x) && !r->x->want))
        return;
    memcpy(s->last_client, r->x->client, sizeof s->last_client);
    s->last_receipt = r->x->number;
}

static int answer_want(struct run *r)
{
    struct jobq_exchange *x = r->x;
    struct fault *fault = &r->want.fault;
    x->want_unit = JOBQ_OK;
    if (fault->kind != FAULT_NONE) {
        x->want_unit = pq_fault_report(r->s, fault, r->err, status_of(fault));
        x->failure = pq_fault_class(fault);
        pq_want_clear(x->want);
    } else if (pq_want_answer(r->s, r->want.calls[0].result, x, r->arena) != 0) {
        x->want_unit = jobq_error_set(r->err, JOBQ_UNKNOWN, NULL, "postgres: no memory for the rows, or no rows");
        pq_want_clear(x->want);
    }
    return x->want_unit;
}

static int answer(struct run *r)
{
    struct jobq_exchange *x = r->x;
    x->unit = JOBQ_OK;
    if (r->has_unit) {
        if (r->unit.fault.kind != FAULT_NONE)
            return fail(r, &r->unit.fault);
        if (pq_unit_answer(r->s, r->unit.calls[0].result, x, r->arena) != 0)
            return garbled(r, "no memory for the answer, or no answer");
        if (x->unit != JOBQ_OK)
            return refuse(x, r->err, -1, "this number was used for another request"), x->unit;
    } else if (r->want.fault.kind == FAULT_UNSENT || r->want.fault.kind == FAULT_LOST) {
        pq_want_clear(x->want);
        return fail(r, &r->want.fault);
    }
    x->want_unit = JOBQ_OK;
    if (!x->want || answer_want(r) == JOBQ_OK)
        note_receipt(r);
    return x->unit;
}

/* A short way. Returns 0 when nothing was done, and the usual one is to be gone. Folding waits for others, so it has a
 * transaction of its own; whether it came through does not matter here. */
static int run_one(struct run *r, enum pq_way way)
{
    static const struct {
        const char *name;
        enum sql text;
    } calls[PQ_WAYS] = {[PQ_SWAP] = {"jobq_one", SQL_ONE},
                        [PQ_PUT] = {"jobq_one_put", SQL_ONE_PUT},
                        [PQ_PUTS] = {"jobq_plain_puts", SQL_PLAIN_PUTS}};
    struct params params = { 0 };
    struct transaction t[2] = { { .count = 1, .ms = server_ms(r->s, r->x) } };
    pq_one_pack(r->s, way, r->x, &params);
    t[0].calls[0] = (struct call){ .text = r->s->sql[calls[way].text], .name = calls[way].name, .params = &params };
    t[1] = t[0];
    t[1].calls[0] = (struct call){ .text = r->s->sql[SQL_FOLD] };
    pq_link_run(&r->s->link, t, r->fold ? 2 : 1);
    r->fold = false;
    const struct fault *fault = &t[0].fault;
    const PGresult *result = fault->kind == FAULT_NONE ? t[0].calls[0].result : NULL;
    enum pq_one what = pq_one_answer(r->s, way, result, r->x, r->arena);
    if (what == PQ_ONE_DONE)
        note_receipt(r);
    else if (what == PQ_ONE_GARBLED)
        garbled(r, "no memory for the answer, or no answer");
    else if (fault->kind != FAULT_NONE && (fault->kind != FAULT_REPORTED || !r->s->link.conn))
        fail(r, fault);
    pq_transaction_clear(&t[0]);
    pq_transaction_clear(&t[1]);
    pack_free(&params);
    return what == PQ_ONE_DONE || r->x->unit != JOBQ_OK;
}

/* Within the program's transaction: what it did beside an outcome that does not count must not be committed. */
static void bar_if_stale(struct run *r)
{
    bool stale = false, outcome = false;
    for (size_t i = 0; i < r->x->change_count; i++) {
        outcome |= r->x->changes[i].by == JOBQ_BY_TOKEN;
        stale |= r->x->changes[i].by == JOBQ_BY_TOKEN && r->x->changes[i].verdict == JOBQ_STALE;
    }
    if (outcome && (r->x->unit != JOBQ_OK || stale))
        pq_attach_bar(r->s);
}

static void finish(struct run *r)
{
    pq_transaction_clear(&r->unit);
    pq_transaction_clear(&r->want);
    pack_free(&r->unit_params);
    pack_free(&r->want_params);
}

int pq_exchange_run(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    struct run r = { .s = s, .x = x, .arena = arena, .err = err };
    struct fault fault = { 0 };
    x->failure = 0;
    x->guilty_change = x->guilty_put = -1;
    x->now_ms = 0;
    x->next_due_ms = x->next_tick_ms = INT64_MAX;
    pq_store_begin(s);
    if (check(s, x, err) != 0)
        return x->unit;
    if (pq_store_connect(s, &fault) != 0)
        return fail(&r, &fault);
    x->unit = x->want_unit = JOBQ_OK;
    /* In the program's transaction the locks would last as long as it likes. */
    r.fold = s->exchanges++ % FOLD_EVERY == 0 && has_work(x) && !s->attached;
    enum pq_way way = pq_one_way(s, x);
    if (way != PQ_USUAL && run_one(&r, way))
        return x->unit;
    prepare(&r);
    attempt_often(&r);
    int status = answer(&r);
    if (s->attached)
        bar_if_stale(&r);
    finish(&r);
    return status;
}
