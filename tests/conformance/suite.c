/* SPDX-License-Identifier: MIT */
/* Clients of a store, and the shorthands that tests are written in. */
#include "suite.h"

#include "passes.h"

#include <stdarg.h>
#include <stdlib.h>

#include <check.h>

/* ---- what must hold ------------------------------------------------------------------------------------------ */

void fail_test(const char *file, int line, const char *format, ...)
{
    char what[1024], where[128];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    pass_where(where, sizeof where);
    const char *base = strrchr(file, '/');
    ck_abort_msg("%s:%d: %s%s", base ? base + 1 : file, line, what, where);
    abort(); /* not reached; ck_abort_msg is not declared noreturn everywhere */
}

void is_at(const char *file, int line, const char *what, int64_t actual, int64_t expected)
{
    if (actual != expected)
        fail_test(file, line, "%s is %lld, not %lld", what, (long long)actual, (long long)expected);
}

void bytes_at(const char *file, int line, const char *what, struct jobq_bytes actual, struct jobq_bytes expected)
{
    if (!actual.data != !expected.data)
        fail_test(file, line, "%s is %s", what, actual.data ? "present" : "absent");
    if (actual.size != expected.size)
        fail_test(file, line, "%s has %zu bytes, not %zu", what, actual.size, expected.size);
    if (actual.size && memcmp(actual.data, expected.data, actual.size) != 0)
        fail_test(file, line, "%s differs: %.*s", what, (int)(actual.size < 60 ? actual.size : 60),
                  (const char *)actual.data);
}

void ids_at(const char *file, int line, const char *what, struct jobq_id actual, struct jobq_id expected)
{
    if (memcmp(&actual, &expected, sizeof actual) != 0)
        fail_test(file, line, "%s is id %u, not %u", what, actual.bytes[15] | (unsigned)actual.bytes[14] << 8,
                  expected.bytes[15] | (unsigned)expected.bytes[14] << 8);
}

/* ---- shorthands ------------------------------------------------------------------------------------------------ */

void go(struct actor *who, struct jobq_exchange *x)
{
    if (go_status(who, x) != JOBQ_OK)
        fail_test(__FILE__, __LINE__, "exchange: %s", who->err.text);
    is(x->want_unit, JOBQ_OK);
}

struct jobq_bytes bytes(const void *data, size_t size)
{
    return (struct jobq_bytes){ .data = data, .size = size };
}

struct jobq_bytes text(const char *s)
{
    return s ? bytes(s, strlen(s)) : bytes(NULL, 0);
}

struct jobq_id id(uint32_t number)
{
    struct jobq_id out = { .bytes = { 1 } };
    for (int i = 0; i < 4; i++)
        out.bytes[15 - i] = (uint8_t)(number >> 8 * i);
    return out;
}

struct jobq_put put_of(uint32_t number)
{
    return (struct jobq_put){ .id = id(number), .queue = text("q"), .kind = text("k"), .payload = text("p"),
                              .only_if = -1 };
}

struct jobq_time from_now(int64_t ms)
{
    return (struct jobq_time){ .base = JOBQ_TIME_NOW, .offset_ms = ms };
}

struct jobq_time at(int64_t instant)
{
    return (struct jobq_time){ .base = JOBQ_TIME_ABS, .offset_ms = instant };
}

struct jobq_change by_token(const struct jobq_row *held, int outcome, int state)
{
    return (struct jobq_change){ .id = held->id, .by = JOBQ_BY_TOKEN, .token = held->token, .outcome = outcome,
                                 .state = state, .edits = held->edits };
}

struct jobq_change by_operator(struct jobq_id which, uint32_t allowed, int state)
{
    return (struct jobq_change){ .id = which, .by = JOBQ_BY_OPERATOR, .allowed = allowed, .state = state,
                                 .edits = JOBQ_ANY_EDITS };
}

struct jobq_change by_callback(struct jobq_id which, const uint8_t digest[32], uint32_t allowed, int state)
{
    struct jobq_change c = by_operator(which, allowed, state);
    c.by = JOBQ_BY_CALLBACK;
    memcpy(c.digest, digest, sizeof c.digest);
    return c;
}

struct jobq_change completed(const struct jobq_row *held, const char *result)
{
    struct jobq_change c = by_token(held, JOBQ_OUTCOME_COMPLETE, JOBQ_ROW_COMPLETED);
    c.set = JOBQ_SET_RESULT;
    c.result = text(result);
    return c;
}

struct jobq_change failed(const struct jobq_row *held, int state, int reason, const char *error)
{
    struct jobq_change c = by_token(held, JOBQ_OUTCOME_FAIL, state);
    c.set = JOBQ_ADD_ERROR | JOBQ_SET_COUNTERS;
    c.reason = reason;
    c.failures = held->failures + 1;
    c.crashes = held->crashes;
    c.snoozes = held->snoozes;
    c.releases = held->releases;
    c.redrives = held->redrives;
    c.error_kind = JOBQ_ERROR_HANDLER;
    c.error = text(error);
    return c;
}

int put(struct jobq_put *one)
{
    struct jobq_exchange x = { .puts = one, .put_count = 1 };
    go(me, &x);
    return one->verdict;
}

void put_ok(uint32_t number)
{
    struct jobq_put p = put_of(number);
    is(put(&p), JOBQ_OK);
}

void put_child(uint32_t number, const struct jobq_parent *parents, size_t count)
{
    struct jobq_put p = put_of(number);
    p.parents = parents;
    p.parent_count = count;
    is(put(&p), JOBQ_OK);
}

int change(struct jobq_change *one)
{
    struct jobq_exchange x = { .changes = one, .change_count = 1 };
    go(me, &x);
    return one->verdict;
}

void change_ok(struct jobq_change one)
{
    is(change(&one), JOBQ_OK);
}

const struct jobq_row *row_n(uint32_t number)
{
    const struct jobq_row *r = row(id(number));
    if (!r)
        fail_test(__FILE__, __LINE__, "there is no job %u", number);
    return r;
}

bool exists(uint32_t number)
{
    return row(id(number)) != NULL;
}

struct jobq_want due(size_t most)
{
    static const struct jobq_bytes q = { .data = "q", .size = 1 };
    return (struct jobq_want){ .mode = JOBQ_WANT_DUE, .queues = &q, .queue_count = 1, .limit = most,
                               .lease_ms = LEASE, .worker = text("w") };
}

int put_in(uint32_t number, const char *queue, const char *group)
{
    struct jobq_put p = put_of(number);
    p.queue = text(queue);
    p.group = text(group);
    return put(&p);
}

size_t starts(size_t most)
{
    struct jobq_want w = due(most);
    want(me, &w);
    return w.row_count;
}

static void limit(struct jobq_settings s, uint32_t bit, int64_t value, int64_t period_ms)
{
    s.size = sizeof s;
    s.set = bit;
    s.depth = s.concurrency = s.group_concurrency = s.rate = s.quota = value;
    s.rate_period_ms = s.quota_period_ms = period_ms;
    is(configure(&s), JOBQ_OK);
}

void limit_queue(const char *name, uint32_t bit, int64_t value, int64_t period_ms)
{
    limit((struct jobq_settings){ .what = JOBQ_CONFIGURE_QUEUE, .name = text(name) }, bit, value, period_ms);
}

void limit_group(const char *name, uint32_t bit, int64_t value, int64_t period_ms)
{
    limit((struct jobq_settings){ .what = JOBQ_CONFIGURE_GROUP, .group = *name ? text(name) : bytes(NULL, 0) }, bit,
          value, period_ms);
}

void limit_plan(const char *name, uint32_t bit, int64_t value, int64_t period_ms)
{
    limit((struct jobq_settings){ .what = JOBQ_CONFIGURE_PLAN, .name = text(name) }, bit, value, period_ms);
}

void give_plan(const char *group, const char *plan)
{
    limit((struct jobq_settings){ .what = JOBQ_CONFIGURE_GROUP, .group = text(group), .plan = text(plan) },
          JOBQ_SETTING_PLAN, 0, 0);
}

struct jobq_want overdue(size_t most)
{
    return (struct jobq_want){ .mode = JOBQ_WANT_OVERDUE, .limit = most, .lease_ms = LEASE,
                               .worker = text("sweeper") };
}

void want(struct actor *who, struct jobq_want *w)
{
    struct jobq_exchange x = { .want = w };
    go(who, &x);
}

const struct jobq_row *claim(void)
{
    struct jobq_want w = due(1);
    want(me, &w);
    is(w.row_count, 1);
    is(w.rows[0].overdue, JOBQ_OVERDUE_NONE);
    return &w.rows[0];
}

const struct jobq_row *claim_n(uint32_t number)
{
    const struct jobq_row *r = claim();
    ids_are(r->id, id(number));
    return r;
}

bool none_due(void)
{
    struct jobq_want w = due(1);
    want(me, &w);
    return w.row_count == 0;
}

void finish(uint32_t number, int state)
{
    if (state == JOBQ_ROW_COMPLETED) {
        change_ok(completed(claim_n(number), "r"));
        return;
    }
    struct jobq_change c = by_operator(id(number), LIVE, state);
    c.reason = state == JOBQ_ROW_DEAD ? JOBQ_REASON_OPERATOR : JOBQ_REASON_NONE;
    change_ok(c);
}

const struct jobq_row *make(uint32_t number, int state)
{
    struct jobq_put p = put_of(number);
    p.held = state == JOBQ_ROW_BLOCKED;
    is(put(&p), JOBQ_OK);
    if (state == JOBQ_ROW_RUNNING)
        return claim_n(number);
    if (JOBQ_ROW_BIT((unsigned)state) & JOBQ_ROW_ENDED)
        finish(number, state);
    const struct jobq_row *r = row_n(number);
    is(r->state, state);
    return r;
}

char *remember(struct jobq_id which)
{
    char *memory = NULL;
    size_t size;
    const struct jobq_row *r = row(which);
    FILE *out = open_memstream(&memory, &size);
    ok(out != NULL);
    if (r)
        show_row(out, r);
    else
        fputs("none", out);
    fclose(out);
    char *kept = jobq_arena_alloc(me->arena, size + 1);
    ok(kept != NULL);
    memcpy(kept, memory, size + 1);
    free(memory);
    return kept;
}

void is_as_remembered(struct jobq_id which, const char *memory)
{
    char *now = remember(which);
    if (strcmp(memory, now) != 0)
        fail_test(__FILE__, __LINE__, "the row changed:\n  was %s\n  is  %s", memory, now);
}

struct jobq_queue_stats queue_stats(const char *queue)
{
    struct jobq_stats all = stats_of(text(queue));
    ok(all.queue_count <= 1);
    return all.queue_count ? all.queues[0] : (struct jobq_queue_stats){ 0 };
}

void tick(int64_t ms)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms };
    is(configure(&s), JOBQ_OK);
}
