/* SPDX-License-Identifier: MIT */
/* What a change stores: contract "Changes"; the members of enum jobq_set; entering and leaving states. */
#include "suite.h"

static struct jobq_change edit(uint32_t set)
{
    struct jobq_change c = by_operator(id(1), ANY_STATE, JOBQ_ROW_KEEP);
    c.set = set;
    return c;
}

/* Without a bit the member is not touched, whatever the change carries. */
static void nothing_without_its_bit(void)
{
    put_ok(1);
    struct jobq_row before = *row_n(1);
    struct jobq_change c = edit(0);
    c.run_at = from_now(5);
    c.callback_until = from_now(5);
    c.lease_ms = 5;
    c.failures = c.crashes = c.snoozes = c.releases = c.redrives = 5;
    c.alone = 1;
    c.error_kind = JOBQ_ERROR_HANDLER;
    c.reason = JOBQ_REASON_POISON;
    c.result = c.progress = c.data = c.payload = c.error = text("x");
    memset(c.digest, 7, sizeof c.digest);
    change_ok(c);
    const struct jobq_row *r = row_n(1);
    is(r->edits, 1);
    struct jobq_row after = *r;
    after.edits = before.edits;
    ok(after.run_at_ms == before.run_at_ms && after.callback_until_ms == 0 && after.lease_until_ms == 0);
    is(after.failures + after.crashes + after.snoozes + after.releases + after.redrives, 0);
    is(after.alone + after.has_callback + after.reason + after.resumed + after.cancel_asked, 0);
    ok(!after.result.data && !after.progress.data && !after.data.data && after.error_count == 0);
    bytes_are(after.payload, text("p"));
}

static void counters(void)
{
    put_ok(1);
    struct jobq_change c = edit(JOBQ_SET_COUNTERS);
    c.failures = 1;
    c.crashes = 2;
    c.snoozes = 3;
    c.releases = 4;
    c.redrives = INT32_MAX;
    change_ok(c);
    const struct jobq_row *r = row_n(1);
    is(r->failures, 1);
    is(r->crashes, 2);
    is(r->snoozes, 3);
    is(r->releases, 4);
    is(r->redrives, INT32_MAX);
    is(r->attempt, 0);
}

static void payload_and_its_size(void)
{
    put_ok(1);
    struct jobq_change c = edit(JOBQ_SET_PAYLOAD);
    c.payload = text("longer");
    change_ok(c);
    bytes_are(row_n(1)->payload, text("longer"));
    is(row_n(1)->payload_bytes, 6);
    bytes_are(claim_n(1)->payload, text("longer"));
}

/* run_at moves the rank and the due bit with it. */
static void run_at_moves_rank_and_bit(void)
{
    put_ok(1);
    put_ok(2);
    struct jobq_change c = edit(JOBQ_SET_RUN_AT);
    c.run_at = from_now(STEP);
    change_ok(c);
    is(row_n(1)->due, 0);
    claim_n(2);
    ok(none_due());
    c.run_at = from_now(0);
    change_ok(c);
    is(row_n(1)->due, 1);
    claim_n(1);
}

static int64_t run_at_after(int base, int64_t offset)
{
    struct jobq_change c = edit(JOBQ_SET_RUN_AT);
    c.run_at = (struct jobq_time){ .base = base, .offset_ms = offset };
    change_ok(c);
    return row_n(1)->run_at_ms;
}

/* Contract: base = now, row, later of both, absolute; the store adds, saturating. */
static void time_bases(void)
{
    struct jobq_put p = put_of(1);
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    int64_t own = row_n(1)->run_at_ms;
    is(run_at_after(JOBQ_TIME_KEEP, 99), own);
    is(run_at_after(JOBQ_TIME_ROW, 99), own + 99);
    is(run_at_after(JOBQ_TIME_ROW, -99), own);
    is(run_at_after(JOBQ_TIME_LATER, 5), own + 5);
    is(run_at_after(JOBQ_TIME_ABS, 12345), 12345);
    int64_t before = now_of_store();
    int64_t later = run_at_after(JOBQ_TIME_LATER, STEP);
    ok(later >= before + STEP && later <= me->now + STEP);
    int64_t now = run_at_after(JOBQ_TIME_NOW, -STEP);
    ok(now >= before - STEP && now <= me->now - STEP);
    is(run_at_after(JOBQ_TIME_NOW, INT64_MAX), INT64_MAX);
    is(run_at_after(JOBQ_TIME_ROW, INT64_MAX), INT64_MAX);
    is(run_at_after(JOBQ_TIME_LATER, INT64_MAX), INT64_MAX);
}

/* Rule 8: attempt, kind, time, worker, text of each failure; the last ten stay. */
static void errors(void)
{
    put_ok(1);
    char words[12][8];
    for (int i = 0; i < 12; i++) {
        snprintf(words[i], sizeof words[i], "e%d", i);
        const struct jobq_row *r = claim_n(1);
        struct jobq_change c = failed(r, JOBQ_ROW_WAITING, 0, words[i]);
        c.error_kind = i % 2 ? JOBQ_ERROR_LOST : JOBQ_ERROR_HANDLER;
        change_ok(c);
    }
    const struct jobq_row *r = row_n(1);
    is(r->error_count, 10);
    for (int i = 0; i < 10; i++) {
        is(r->errors[i].attempt, i + 3);
        is(r->errors[i].kind, i % 2 ? JOBQ_ERROR_LOST : JOBQ_ERROR_HANDLER);
        bytes_are(r->errors[i].text, text(words[i + 2]));
        bytes_are(r->errors[i].worker, text("w"));
        ok(r->errors[i].at_ms >= r->created_at_ms && r->errors[i].at_ms <= me->now);
        ok(i == 0 || r->errors[i].at_ms >= r->errors[i - 1].at_ms);
    }
    is(r->failures, 12);
    is(r->attempt, 12);
}

/* An error of nobody, without a text. */
static void error_without_words(void)
{
    put_ok(1);
    struct jobq_change c = edit(JOBQ_ADD_ERROR);
    c.error_kind = JOBQ_ERROR_EXPIRED;
    change_ok(c);
    const struct jobq_row *r = row_n(1);
    is(r->error_count, 1);
    is(r->errors[0].attempt, 0);
    bytes_are(r->errors[0].worker, text(NULL));
    bytes_are(r->errors[0].text, text(NULL));
}

/* Leaving running ends the lease; who held it stays to be read. */
static void leaving_running(void)
{
    struct jobq_put p = put_of(1);
    p.timeout_ms = STEP;
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    ok(r->stop_at_ms > 0);
    change_ok(by_token(r, JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    const struct jobq_row *now = row_n(1);
    is(now->lease_until_ms, 0);
    is(now->stop_at_ms, 0);
    is(now->started_at_ms, r->started_at_ms);
    is(now->fence, r->fence);
    is(now->outcome, JOBQ_OUTCOME_RELEASE);
    bytes_are(now->worker, text("w"));
    ok(memcmp(&now->token, &r->token, sizeof r->token) == 0);
}

static void entering_and_leaving_an_end(void)
{
    struct jobq_put p = put_of(1);
    p.expires_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change c = failed(r, JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e");
    c.set |= JOBQ_SET_RESULT;
    c.result = text("part");
    change_ok(c);
    const struct jobq_row *dead = row_n(1);
    is(dead->reason, JOBQ_REASON_PERMANENT);
    ok(dead->finished_at_ms >= r->started_at_ms && dead->finished_at_ms <= me->now);
    bytes_are(dead->result, text("part"));
    change_ok(by_operator(id(1), JOBQ_ROW_BIT(JOBQ_ROW_DEAD), JOBQ_ROW_WAITING));
    const struct jobq_row *again = row_n(1);
    is(again->state, JOBQ_ROW_WAITING);
    is(again->reason, JOBQ_REASON_NONE);
    is(again->finished_at_ms, 0);
    is(again->expires_at_ms, 0);
    bytes_are(again->result, text(NULL));
    is(again->error_count, 1); /* history stays */
    is(again->due, 1);
    claim_n(1);
}

/* A change that keeps the state of an ended row leaves its end alone. */
static void touching_an_ended_row(void)
{
    make(1, JOBQ_ROW_COMPLETED);
    int64_t finished = row_n(1)->finished_at_ms;
    uint64_t total = queue_stats("q").completed_total;
    tick(STEP);
    change_ok(edit(JOBQ_SET_CANCEL_ASKED));
    is(row_n(1)->finished_at_ms, finished);
    bytes_are(row_n(1)->result, text("r"));
    is(queue_stats("q").completed_total, total);
}

static void cancel_asked_and_cleared(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    change_ok(edit(JOBQ_SET_CANCEL_ASKED));
    is(row_n(1)->cancel_asked, 1);
    is(row_n(1)->state, JOBQ_ROW_RUNNING);
    is(row_n(1)->lease_until_ms, r->lease_until_ms);
    change_ok(edit(JOBQ_CLEAR_CANCEL));
    is(row_n(1)->cancel_asked, 0);
}

/* Rule 5: an extension never passes stop_at, and never shortens. */
static void extension(void)
{
    struct jobq_put p = put_of(1);
    p.timeout_ms = STEP;
    is(put(&p), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change c = by_token(r, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_LEASE;
    c.lease_ms = LEASE / 10;
    is(change(&c), JOBQ_OK);
    is(c.lease_until_ms, r->lease_until_ms);
    c.lease_ms = 5 * LEASE;
    is(change(&c), JOBQ_OK);
    ok(c.lease_until_ms >= r->started_at_ms + 5 * LEASE && c.lease_until_ms < r->stop_at_ms);
    is(row_n(1)->lease_until_ms, c.lease_until_ms);
    ok(c.row != NULL);
    is(c.row->state, JOBQ_ROW_RUNNING);
    c.lease_ms = 5 * STEP;
    is(change(&c), JOBQ_OK);
    is(c.lease_until_ms, r->stop_at_ms);
    is(row_n(1)->outcome, JOBQ_OUTCOME_NONE);
}

/* GONE removes the row; a put of the id is a new job then. */
static void gone(void)
{
    make(1, JOBQ_ROW_DEAD);
    change_ok(by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_GONE));
    ok(!exists(1));
    is(queue_stats("q").present[JOBQ_DEAD], 0);
    put_ok(1);
    is(row_n(1)->edits, 0);
}

static void early_result_and_progress(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change c = by_token(r, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_PROGRESS | JOBQ_SET_RESULT;
    c.progress = text("50 %");
    c.result = bytes("", 0);
    change_ok(c);
    bytes_are(row_n(1)->progress, text("50 %"));
    bytes_are(row_n(1)->result, bytes("", 0));
    change_ok(completed(r, "done"));
    bytes_are(row_n(1)->progress, text("50 %"));
    bytes_are(row_n(1)->result, text("done"));
}

/* What is kept of a completed job may be less than all: no result is what it had before. */
static void a_result_is_taken_away(void)
{
    make(1, JOBQ_ROW_COMPLETED);
    struct jobq_change c = edit(JOBQ_SET_RESULT);
    c.allowed = JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED);
    c.result = text("late");
    change_ok(c);
    bytes_are(row_n(1)->result, text("late"));
    struct jobq_row before = *row_n(1);
    c.result = bytes(NULL, 0);
    change_ok(c);
    const struct jobq_row *r = row_n(1);
    ok(!r->result.data);
    is(r->state, JOBQ_ROW_COMPLETED);
    is(r->finished_at_ms, before.finished_at_ms);
    is(r->outcome, before.outcome);
    is(r->edits, before.edits + 1);
}

static const struct test tests[] = {
    { .name = "nothing without its bit", .run = nothing_without_its_bit },
    { .name = "counters, and attempt is none of them (S5)", .run = counters },
    { .name = "payload and its size", .run = payload_and_its_size },
    { .name = "run_at moves rank and due bit", .run = run_at_moves_rank_and_bit },
    { .name = "times from every base, saturating", .run = time_bases },
    { .name = "errors: all members, the last ten (rule 8, S13)", .run = errors },
    { .name = "an error without worker and text", .run = error_without_words },
    { .name = "leaving running ends lease and stop_at only", .run = leaving_running },
    { .name = "entering and leaving an end (rule 8)", .run = entering_and_leaving_an_end },
    { .name = "keeping the state of an ended row", .run = touching_an_ended_row },
    { .name = "a result is taken away (rule 14)", .run = a_result_is_taken_away },
    { .name = "cancel asked and cleared (rule 6)", .run = cancel_asked_and_cleared },
    { .name = "extension: max(own, min(now + lease, stop_at)) (rule 5)", .run = extension },
    { .name = "gone is gone", .run = gone },
    { .name = "progress and result while running (S14)", .run = early_result_and_progress },
};
const struct topic topic_set = TOPIC("set", tests);
