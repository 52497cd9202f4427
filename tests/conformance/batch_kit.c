/* SPDX-License-Identifier: MIT */
#include "batch_kit.h"
#include "passes.h"

#include <stdlib.h>

/* As they were put. */
static struct {
    int64_t at_ms;
    const char *queue, *kind;
    char group[8]; /* of --groups: "": none */
} born[NUMBERS];

uint32_t number_of(const struct jobq_row *r)
{
    return r->id.bytes[15] | (uint32_t)r->id.bytes[14] << 8;
}

int64_t fence_in(const struct jobq_token *token)
{
    uint64_t fence = 0;
    for (int i = 8; i < 16; i++)
        fence = fence << 8 | token->bytes[i];
    return (int64_t)fence;
}

struct jobq_query found_by(struct jobq_query query)
{
    int status;
    query.size = sizeof query;
    do /* a read that the pass let fail is repeated */
        status = store_table()->read(me->store, &query, me->arena, &me->err);
    while (status == JOBQ_FAILED && strcmp(me->err.text, "injected") == 0);
    is(status, JOBQ_OK);
    return query;
}

int64_t clock_of_store(void)
{
    const struct jobq_id nobody = id(NUMBERS);
    return found_by((struct jobq_query){ .ids = &nobody, .id_count = 1 }).now_ms;
}

/* ---- doing ---------------------------------------------------------------------------------------------------- */

void put_numbers(const uint32_t *numbers, size_t count, const char *queue, const char *kind)
{
    struct jobq_put *puts = jobq_arena_alloc(me->arena, count * sizeof *puts);
    struct jobq_exchange x = { .puts = puts, .put_count = count };
    int64_t before = clock_of_store();
    ok(puts != NULL);
    for (size_t i = 0; i < count; i++) {
        puts[i] = put_of(numbers[i]);
        puts[i].queue = text(queue);
        puts[i].kind = text(kind);
        if (run.groups) {
            snprintf(born[numbers[i]].group, sizeof born->group, "g%04u", numbers[i] % 10000);
            puts[i].group = text(born[numbers[i]].group);
        }
    }
    go(me, &x);
    int64_t at_ms = row_n(numbers[0])->created_at_ms;
    ok(at_ms >= before && at_ms <= me->now);
    for (size_t i = 0; i < count; i++) {
        is(puts[i].verdict, JOBQ_OK);
        ok(numbers[i] < NUMBERS);
        born[numbers[i]].at_ms = at_ms;
        born[numbers[i]].queue = queue;
        born[numbers[i]].kind = kind;
    }
}

void put_many(uint32_t first, uint32_t count)
{
    uint32_t *numbers = jobq_arena_alloc(me->arena, count * sizeof *numbers);
    ok(numbers != NULL);
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = first + i;
    put_numbers(numbers, count, "q", "k");
}

struct batch claim_as(struct actor *who, struct jobq_want w, size_t count)
{
    struct batch b = { .w = w };
    int64_t before = clock_of_store();
    want(who, &b.w);
    is(b.w.row_count, count);
    for (size_t i = 0; i < count; i++) {
        struct jobq_row expected = as_claimed(number_of(&b.w.rows[i]), &b.w);
        row_is(&b.w.rows[i], &expected);
    }
    if (count)
        ok(b.w.rows[0].started_at_ms >= before && b.w.rows[0].started_at_ms <= clock_of_store());
    return b;
}

struct batch claim_many(struct actor *who, size_t count)
{
    return claim_as(who, due(count), count);
}

struct jobq_change plain_ack(const struct jobq_row *held)
{
    struct jobq_change c = by_token(held, JOBQ_OUTCOME_COMPLETE, JOBQ_ROW_COMPLETED);
    c.edits = JOBQ_ANY_EDITS;
    c.set = JOBQ_SET_RESULT;
    return c;
}

struct jobq_change *acks(const struct batch *b, size_t from, size_t count)
{
    struct jobq_change *changes = jobq_arena_alloc(me->arena, count * sizeof *changes);
    ok(changes != NULL);
    for (size_t i = 0; i < count; i++)
        changes[i] = plain_ack(&b->w.rows[from + i]);
    return changes;
}

void send(struct actor *who, struct jobq_change *changes, size_t count)
{
    struct jobq_exchange x = { .changes = changes, .change_count = count };
    go(who, &x);
}

void ack(struct batch *b, size_t from, size_t count)
{
    struct jobq_change *changes = acks(b, from, count);
    b->ended_from = clock_of_store();
    send(me, changes, count);
    b->ended_to = clock_of_store();
    for (size_t i = 0; i < count; i++)
        is(changes[i].verdict, JOBQ_OK);
}

struct batch begun(bool ended)
{
    put_many(0, MANY);
    struct batch b = claim_many(me, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        ids_are(b.w.rows[i].id, id(i));
    if (ended)
        ack(&b, 0, MANY);
    b.ended = ended;
    tick(1000); /* whatever is written later must not say that it was then */
    return b;
}

/* ---- what has to be -------------------------------------------------------------------------------------------- */

struct jobq_row as_put(uint32_t number)
{
    ok(number < NUMBERS && born[number].queue);
    return (struct jobq_row){ .id = id(number), .queue = text(born[number].queue), .kind = text(born[number].kind),
                              .group = run.groups ? text(born[number].group) : (struct jobq_bytes){ 0 }, .payload = text("p"), .payload_bytes = 1, .state = JOBQ_ROW_WAITING, .due = 1,
                              .created_at_ms = born[number].at_ms, .run_at_ms = born[number].at_ms };
}

struct jobq_row as_claimed(uint32_t number, const struct jobq_want *w)
{
    struct jobq_row r = as_put(number);
    r.state = JOBQ_ROW_RUNNING;
    r.due = 0;
    r.attempt = 1;
    r.token = w->token;
    r.fence = fence_in(&w->token);
    r.worker = w->worker;
    r.ran_alone = w->row_count == 1 && w->others == 0;
    r.started_at_ms = w->rows[0].started_at_ms;
    r.lease_until_ms = jobq_add_ms(r.started_at_ms, w->lease_ms);
    return r;
}

struct jobq_row as_ended(uint32_t number, const struct batch *b)
{
    struct jobq_row r = as_claimed(number, &b->w);
    r.state = JOBQ_ROW_COMPLETED;
    r.outcome = JOBQ_OUTCOME_COMPLETE;
    r.lease_until_ms = 0;
    r.finished_at_ms = row_n(number)->finished_at_ms;
    ok(r.finished_at_ms >= b->ended_from && r.finished_at_ms <= b->ended_to);
    return r;
}

void row_is_at(const char *file, int line, const struct jobq_row *actual, const struct jobq_row *expected)
{
    char *is_so = show_text(actual), *should_be = show_text(expected);
    if (strcmp(is_so, should_be) != 0)
        fail_test(file, line, "a row is not as it should be:\n  is     %s\n  should %s", is_so, should_be);
    free(is_so);
    free(should_be);
}

void waits(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        struct jobq_row expected = as_put(i);
        row_is(row_n(i), &expected);
    }
}

void runs(const struct batch *b, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        struct jobq_row expected = as_claimed(number_of(&b->w.rows[i]), &b->w);
        row_is(row(expected.id), &expected);
    }
}

void is_over(const struct batch *b, size_t from, size_t count)
{
    int64_t finished_at = 0;
    for (size_t i = from; i < from + count; i++) {
        struct jobq_row expected = as_ended(number_of(&b->w.rows[i]), b);
        row_is(row(expected.id), &expected);
        ok(!finished_at || expected.finished_at_ms == finished_at);
        finished_at = expected.finished_at_ms;
    }
}

void gone(const struct batch *b, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++)
        ok(!exists(number_of(&b->w.rows[i])));
}

void all_but(const struct batch *b, size_t one)
{
    size_t behind = one + 1;
    if (b->ended) {
        is_over(b, 0, one);
        is_over(b, behind, b->w.row_count - behind);
    } else {
        runs(b, 0, one);
        runs(b, behind, b->w.row_count - behind);
    }
}

void counts(const char *queue, uint64_t waiting, uint64_t running, uint64_t completed)
{
    struct jobq_queue_stats q = queue_stats(queue);
    is(q.present[JOBQ_READY] + q.present[JOBQ_SCHEDULED] + q.present[JOBQ_BLOCKED], waiting);
    is(q.present[JOBQ_RUNNING], running);
    is(q.present[JOBQ_COMPLETED], completed);
}
