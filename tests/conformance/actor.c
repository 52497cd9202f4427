/* SPDX-License-Identifier: MIT */
/* The calls to the store. A call that failed or was lost is repeated here, under the same number. */
#include "passes.h"

#include <stdlib.h>

#include <inject.h>

#define ACTORS 16

static struct actor actors[ACTORS];
static size_t actor_count;
static char uri[JOBQ_CONFORMANCE_URI];
static struct inject_plan *plan;
struct actor *me;

const struct jobq_backend *store_table(void)
{
    return inject_backend();
}

const char *store_uri(void)
{
    return uri;
}

bool store_has(uint32_t capabilities)
{
    return (run.fixture->backend->capabilities & capabilities) == capabilities;
}

struct actor *another(void)
{
    ok(actor_count < ACTORS);
    struct actor *who = &actors[actor_count++];
    struct jobq_store_options options = { .size = sizeof options, .uri = uri, .io_timeout_ms = 10000 };
    *who = (struct actor){ .client = { 'c', (uint8_t)actor_count }, .arena = jobq_arena_create() };
    ok(who->arena != NULL);
    if (store_table()->open(&who->store, &options, &who->err) != JOBQ_OK)
        fail_test(__FILE__, __LINE__, "open: %s", who->err.text);
    return who;
}

void leave(struct actor *who)
{
    if (who->store)
        store_table()->close(who->store);
    jobq_arena_destroy(who->arena);
    who->store = NULL;
    who->arena = NULL;
}

void actors_begin(struct inject_plan *new_plan)
{
    plan = new_plan;
    inject_begin(plan);
    ok(run.fixture->fresh(uri) == 0);
    me = another();
}

void actors_end(void)
{
    for (size_t i = 0; i < actor_count; i++)
        leave(&actors[i]);
    actor_count = 0;
    if (run.fixture->drop)
        run.fixture->drop(uri);
    inject_end();
}

static bool was_injected(const struct actor *who, int status)
{
    return (status == JOBQ_FAILED || status == JOBQ_UNKNOWN) && strcmp(who->err.text, "injected") == 0;
}

/* What nobody holds is not given again by a repeat; a client finds it by the next overdue want. */
static void find_unheld(struct actor *who, struct jobq_want *w, size_t before)
{
    size_t kept = w->row_count;
    if (kept >= before && !(w->mode == JOBQ_WANT_OVERDUE && store_has(JOBQ_CAP_SCHEDULES)))
        return;
    struct jobq_want more = overdue(before - kept);
    struct jobq_exchange x = { .size = sizeof x, .want = &more, .number = ++who->number };
    memcpy(x.client, who->client, sizeof x.client);
    long each = plan->lose_each;
    plan->lose_each = 0;
    is(store_table()->exchange(who->store, &x, who->arena, &who->err), JOBQ_OK);
    plan->lose_each = (int)each;
    w->schedules = more.schedules;
    w->schedule_count = more.schedule_count;
    w->schedule_now_ms = more.schedule_now_ms;
    struct jobq_row *rows = jobq_arena_alloc(who->arena, (kept + more.row_count) * sizeof *rows);
    ok(rows != NULL);
    if (kept)
        memcpy(rows, w->rows, kept * sizeof *rows);
    if (more.row_count)
        memcpy(rows + kept, more.rows, more.row_count * sizeof *rows);
    w->rows = rows;
    w->row_count = kept + more.row_count;
}

int go_status(struct actor *who, struct jobq_exchange *x)
{
    int status;
    x->size = sizeof *x;
    memcpy(x->client, who->client, sizeof x->client);
    if (!x->number)
        x->number = ++who->number;
    if (x->want && !x->want->mint[0]) {
        who->wants++;
        x->want->mint[0] = who->client[1];
        memcpy(x->want->mint + 1, &who->wants, sizeof who->wants);
    }
    bool lost = false;
    do {
        status = store_table()->exchange(who->store, x, who->arena, &who->err);
        is(status, x->unit);
        lost |= status == JOBQ_UNKNOWN;
    } while (was_injected(who, status));
    who->now = x->now_ms;
    if (lost && status == JOBQ_OK) {
        check_lost(x);
        if (x->want)
            find_unheld(who, x->want, inject_lost()->want.row_count);
    }
    if (run.pass == PASS_AGAIN && status == JOBQ_OK)
        check_again(who, x);
    return status;
}

const struct jobq_row *row(struct jobq_id which)
{
    struct jobq_query query = { .size = sizeof query, .ids = &which, .id_count = 1,
                                .flags = JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS |
                                         JOBQ_READ_PARENTS | JOBQ_READ_LOG };
    int status;
    do
        status = store_table()->read(me->store, &query, me->arena, &me->err);
    while (was_injected(me, status));
    is(status, JOBQ_OK);
    ok(query.row_count <= 1);
    return query.row_count ? query.rows : NULL;
}

struct jobq_stats stats_of(struct jobq_bytes queue)
{
    struct jobq_stats out;
    int status;
    do {
        out = (struct jobq_stats){ .size = sizeof out };
        status = store_table()->stats(me->store, &queue, &out, me->arena, &me->err);
    } while (was_injected(me, status));
    is(status, JOBQ_OK);
    return out;
}

int configure(const struct jobq_settings *settings)
{
    int status;
    do
        status = store_table()->configure(me->store, settings, &me->err);
    while (was_injected(me, status));
    return status;
}

struct jobq_schedule_query schedules(struct jobq_schedule_query query)
{
    int status;
    do {
        query.size = sizeof query;
        status = store_table()->schedules(me->store, &query, me->arena, &me->err);
    } while (was_injected(me, status));
    is(status, JOBQ_OK);
    return query;
}

int load(struct jobq_item *items, size_t count)
{
    int status;
    do
        status = store_table()->load(me->store, items, count, &me->err);
    while (was_injected(me, status));
    return status;
}

void dump(struct actor *who, struct jobq_dump *page)
{
    int status;
    do
        status = store_table()->dump(who->store, page, who->arena, &who->err);
    while (was_injected(who, status));
    is(status, JOBQ_OK);
}

const struct jobq_limit *limits_of(int of, const char *name, size_t *count)
{
    struct jobq_limit_query query;
    int status;
    do {
        query = (struct jobq_limit_query){ .size = sizeof query, .of = of, .name = text(name), .limit = 1000 };
        status = store_table()->limits(me->store, &query, me->arena, &me->err);
    } while (was_injected(me, status));
    is(status, JOBQ_OK);
    if (count)
        *count = query.limit_count;
    else
        is(query.limit_count, 1);
    return query.limits;
}

int64_t now_of_store(void)
{
    return stats_of(bytes(NULL, 0)).now_ms;
}
