/* SPDX-License-Identifier: MIT */
/* The passes: one test, run plain, with every call failing in turn, with every answer lost, or said twice. */
#include "passes.h"

#include <stdlib.h>

#include <inject.h>

struct run run;
static struct inject_plan plan;
static struct actor *stranger;

const char *const verb_names[VERB_COUNT] = { "put",  "complete", "fail",   "release", "snooze",
                                             "park", "void",     "cancel", "resume" };

void pass_where(char *out, size_t size)
{
    static const char *const names[] = { "plain", "fail", "lost", "again" };
    if (run.pass == PASS_FAIL)
        snprintf(out, size, " [pass fail, --fault %ld]", plan.fail_call);
    else
        snprintf(out, size, " [pass %s, call %ld]", names[run.pass], plan.calls);
}

static void run_once(const struct test *test)
{
    plan.inner = run.fixture->backend;
    plan.trace = run.trace ? "#" : NULL;
    stranger = NULL;
    actors_begin(&plan);
    test->run();
    actors_end();
}

/* A fault at call n for n = 1, 2, 3 ... (or every so many) until there is no call n. */
static void run_with_faults(const struct test *test)
{
    long stride = test->flags & MANY_CALLS && !run.full ? 12 * run.stride : run.stride;
    if (run.fault) {
        plan.fail_call = run.fault;
        run_once(test);
        run.tally->fired += plan.failed;
        return;
    }
    plan.fail_call = 1 + run.tally->cases % stride;
    do {
        run_once(test);
        run.tally->fired += plan.failed;
        plan.fail_call += stride;
    } while (plan.failed);
}

void pass_run(const struct test *test)
{
    plan = (struct inject_plan){ .lose_each = run.pass == PASS_LOST };
    if (run.pass == PASS_FAIL)
        run_with_faults(test);
    else
        run_once(test);
    run.tally->fired += plan.lost;
    run.tally->cases++;
}

/* ---- lost: the same answer again ------------------------------------------------------------------------------ */

static void same_row(const struct jobq_row *a, const struct jobq_row *b)
{
    char *first = show_text(a), *second = show_text(b);
    if (strcmp(first, second) != 0)
        fail_test(__FILE__, __LINE__, "a repeat answered another row:\n  first %s\n  then  %s", first, second);
    free(first);
    free(second);
}

static void same_changes(const struct jobq_exchange *x, const struct inject_answer *before)
{
    for (size_t i = 0; i < x->change_count; i++) {
        const struct jobq_change *now = &x->changes[i], *was = &before->changes[i];
        is(now->verdict, was->verdict);
        is(now->stale, was->stale);
        is(now->lease_until_ms, was->lease_until_ms);
        ids_are(now->holder, was->holder);
        is(!now->row, !was->row);
    }
}

static void same_puts(const struct jobq_exchange *x, const struct inject_answer *before)
{
    for (size_t i = 0; i < x->put_count; i++) {
        const struct jobq_put *now = &x->puts[i], *was = &before->puts[i];
        is(now->verdict, was->verdict);
        is(now->state, was->state);
        is(now->shown, was->shown);
        is(now->same_payload, was->same_payload);
        is(now->retry_ms, was->retry_ms);
        ids_are(now->holder, was->holder);
    }
}

static void same_beats(const struct jobq_exchange *x, const struct inject_answer *before)
{
    for (size_t i = 0; i < x->beat_count; i++) {
        is(x->beats[i].held, before->beats[i].held);
        is(x->beats[i].mark_count, before->beats[i].mark_count);
        for (size_t m = 0; m < x->beats[i].mark_count; m++) {
            ids_are(x->beats[i].marks[m].id, before->beats[i].marks[m].id);
            is(x->beats[i].marks[m].cancel_asked, before->beats[i].marks[m].cancel_asked);
        }
    }
}

/* The rows that it claimed; those that it gave without a lease are not part of a repeat. */
static void same_claims(const struct jobq_want *now, const struct jobq_want *was)
{
    size_t at = 0;
    for (size_t i = 0; i < was->row_count; i++) {
        if (was->rows[i].state != JOBQ_ROW_RUNNING)
            continue;
        ok(at < now->row_count);
        same_row(&was->rows[i], &now->rows[at++]);
    }
    is(now->row_count, at);
    if (at)
        ok(memcmp(&now->token, &was->token, sizeof now->token) == 0);
}

void check_lost(const struct jobq_exchange *x)
{
    const struct inject_answer *before = inject_lost();
    is(x->number, before->number);
    is(x->want_unit, before->want_unit);
    same_beats(x, before);
    same_changes(x, before);
    same_puts(x, before);
    if (x->want)
        same_claims(x->want, &before->want);
    run.tally->compared++;
}

/* ---- again: another client says it a second time -------------------------------------------------------------------- */

static char *all_rows(void)
{
    struct jobq_query query = { .size = sizeof query, .limit = 1000,
                                .flags = JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS |
                                         JOBQ_READ_PARENTS | JOBQ_READ_LOG };
    is(store_table()->read(stranger->store, &query, stranger->arena, &stranger->err), JOBQ_OK);
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    ok(f != NULL);
    for (size_t i = 0; i < query.row_count; i++) {
        show_row(f, &query.rows[i]);
        putc('\n', f);
    }
    fclose(f);
    return out;
}

static void send_again(struct jobq_change *change, struct jobq_put *put)
{
    struct jobq_exchange x = { .size = sizeof x, .number = ++stranger->number, .changes = change,
                               .change_count = change != NULL, .puts = put, .put_count = put != NULL };
    memcpy(x.client, stranger->client, sizeof x.client);
    char *before = all_rows();
    is(store_table()->exchange(stranger->store, &x, stranger->arena, &stranger->err), JOBQ_OK);
    char *after = all_rows();
    if (strcmp(before, after) != 0)
        fail_test(__FILE__, __LINE__, "said again it had an effect again:\n  before\n%s  after\n%s", before, after);
    free(before);
    free(after);
}

static enum verb verb_of(const struct jobq_change *change)
{
    if (change->by == JOBQ_BY_CALLBACK)
        return VERB_RESUME;
    switch (change->outcome) {
    case JOBQ_OUTCOME_COMPLETE:
        return VERB_COMPLETE;
    case JOBQ_OUTCOME_FAIL:
        return VERB_FAIL;
    case JOBQ_OUTCOME_RELEASE:
        return VERB_RELEASE;
    case JOBQ_OUTCOME_SNOOZE:
        return VERB_SNOOZE;
    case JOBQ_OUTCOME_PARK:
        return VERB_PARK;
    case JOBQ_OUTCOME_VOID:
        return VERB_VOID;
    default:
        return change->state == JOBQ_ROW_CANCELLED ? VERB_CANCEL : VERB_COUNT;
    }
}

static void count_again(enum verb verb)
{
    if (verb == VERB_COUNT)
        return;
    run.tally->again[verb]++;
    run.tally->fired++;
}

static void change_again(const struct jobq_change *done)
{
    struct jobq_change again = *done;
    const struct jobq_row *now = row(done->id);
    if (done->verdict != JOBQ_OK || !now)
        return;
    bool operators = done->by == JOBQ_BY_OPERATOR;
    if (done->by == JOBQ_BY_TOKEN && done->outcome == JOBQ_OUTCOME_NONE)
        return;
    /* An operator has no token: what he did before is known by the state alone. */
    if (operators && (done->state == JOBQ_ROW_KEEP || done->allowed & JOBQ_ROW_BIT((unsigned)now->state)))
        return;
    send_again(&again, NULL);
    if (operators) {
        is(again.verdict, JOBQ_STALE);
        is(again.stale, JOBQ_STALE_STATE);
    } else if (done->by == JOBQ_BY_TOKEN && memcmp(&now->token, &done->token, sizeof now->token) != 0) {
        is(again.verdict, JOBQ_STALE);
        is(again.stale, JOBQ_STALE_OVERTAKEN);
        return;
    } else {
        is(again.verdict, JOBQ_ALREADY);
    }
    ok(again.row != NULL);
    is(again.row->state, now->state);
    count_again(verb_of(done));
}

static void put_again(const struct jobq_put *done)
{
    struct jobq_put again = *done;
    const struct jobq_row *now = row(done->id);
    if (done->verdict != JOBQ_OK || !now)
        return;
    again.only_if = -1;
    send_again(NULL, &again);
    is(again.verdict, JOBQ_ALREADY);
    is(again.same_payload, 1);
    is(again.state, now->state);
    ids_are(again.holder, done->id);
    count_again(VERB_PUT);
}

/* Of many that came together some are enough for every day. */
static size_t step_of(size_t count)
{
    return run.full ? 1 : 1 + count / 7;
}

void check_again(struct actor *who, const struct jobq_exchange *x)
{
    if (!stranger)
        stranger = another();
    if (who == stranger)
        return;
    for (size_t i = 0; i < x->change_count; i += step_of(x->change_count))
        change_again(&x->changes[i]);
    for (size_t i = 0; i < x->put_count; i += step_of(x->put_count))
        put_again(&x->puts[i]);
    run.tally->compared++;
}
