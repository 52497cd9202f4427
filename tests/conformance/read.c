/* SPDX-License-Identifier: MIT */
/* Reading: backend.h "read"; lifecycle rule 8, contract "Bounds". */
#include "suite.h"

static struct jobq_query find(struct jobq_query query)
{
    query.size = sizeof query;
    int status;
    do /* a read that the pass let fail is repeated */
        status = store_table()->read(me->store, &query, me->arena, &me->err);
    while (status == JOBQ_FAILED && strcmp(me->err.text, "injected") == 0);
    is(status, JOBQ_OK);
    return query;
}

static struct jobq_query all(void)
{
    return (struct jobq_query){ .limit = 100 };
}

static void found(struct jobq_query query, size_t count, const uint32_t *numbers)
{
    query = find(query);
    is(query.row_count, count);
    for (size_t i = 0; i < count; i++)
        ids_are(query.rows[i].id, id(numbers[i]));
}

/* In the order asked; unknown ones are left out. */
static void by_ids(void)
{
    put_ok(3);
    put_ok(1);
    const struct jobq_id ids[] = { id(3), id(7), id(1), id(3) };
    found((struct jobq_query){ .ids = ids, .id_count = 4, .queue = text("no such queue"), .limit = 1 }, 3,
          (const uint32_t[]){ 3, 1, 3 });
}

static void ascending_by_id(void)
{
    static const uint32_t order[] = { 5, 300, 2, 70000 };
    for (int i = 0; i < 4; i++)
        put_ok(order[i]);
    found(all(), 4, (const uint32_t[]){ 2, 5, 300, 70000 });
    struct jobq_query page = all();
    page.limit = 3;
    found(page, 3, (const uint32_t[]){ 2, 5, 300 });
    page.after = id(5);
    found(page, 2, (const uint32_t[]){ 300, 70000 });
    page.after = id(6); /* a cursor need not exist */
    page.limit = 1;
    found(page, 1, (const uint32_t[]){ 300 });
    page.after = id(70000);
    found(page, 0, NULL);
}

static void by_names(void)
{
    struct jobq_put p[] = { put_of(1), put_of(2), put_of(3), put_of(4) };
    p[1].queue = text("r");
    p[2].kind = text("l");
    p[3].group = text("g");
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    struct jobq_query query = all();
    query.queue = text("r");
    found(query, 1, (const uint32_t[]){ 2 });
    query = all();
    query.kind = text("k");
    found(query, 3, (const uint32_t[]){ 1, 2, 4 });
    query.group = text("g");
    found(query, 1, (const uint32_t[]){ 4 });
    query.queue = text("r");
    found(query, 0, NULL);
}

/* States as shown: scheduled and ready by time. */
static void by_states(void)
{
    static const int states[] = { JOBQ_ROW_BLOCKED, JOBQ_ROW_RUNNING, JOBQ_ROW_COMPLETED, JOBQ_ROW_DEAD,
                                  JOBQ_ROW_CANCELLED };
    static const int shown[] = { JOBQ_BLOCKED, JOBQ_RUNNING, JOBQ_COMPLETED, JOBQ_DEAD, JOBQ_CANCELLED };
    for (uint32_t i = 0; i < 5; i++)
        make(10 + i, states[i]);
    put_ok(1);
    struct jobq_put p = put_of(2);
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    for (uint32_t i = 0; i < 5; i++) {
        struct jobq_query query = all();
        query.states = 1u << shown[i];
        found(query, 1, (const uint32_t[]){ 10 + i });
    }
    struct jobq_query query = all();
    query.states = 1u << JOBQ_SCHEDULED;
    found(query, 1, (const uint32_t[]){ 2 });
    query.states = 1u << JOBQ_READY | 1u << JOBQ_DEAD;
    found(query, 2, (const uint32_t[]){ 1, 13 });
    tick(STEP);
    query.states = 1u << JOBQ_READY;
    found(query, 2, (const uint32_t[]){ 1, 2 });
}

static void by_reason_and_age(void)
{
    make(1, JOBQ_ROW_DEAD);
    tick(STEP);
    put_ok(2);
    change_ok(failed(claim_n(2), JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e"));
    put_ok(3);
    struct jobq_query query = all();
    query.reason = JOBQ_REASON_PERMANENT;
    found(query, 1, (const uint32_t[]){ 2 });
    query = all();
    query.older_ms = STEP / 2;
    found(query, 1, (const uint32_t[]){ 1 });
    tick(STEP);
    found(query, 3, (const uint32_t[]){ 1, 2, 3 });
    finish(3, JOBQ_ROW_COMPLETED); /* from now on its end counts, not its birth */
    found(query, 2, (const uint32_t[]){ 1, 2 });
}

/* Stops before the row that would pass the bytes; only an empty page is the end. */
static void bytes_of_a_page(void)
{
    struct jobq_put p[4];
    for (uint32_t i = 0; i < 4; i++) {
        p[i] = put_of(i + 1);
        p[i].payload = text("0123456789");
    }
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    struct jobq_query query = all();
    query.flags = JOBQ_READ_PAYLOAD;
    query.bytes = 25;
    found(query, 2, (const uint32_t[]){ 1, 2 });
    query.bytes = 1;
    query.after = id(2);
    found(query, 1, (const uint32_t[]){ 3 });
    query.flags = 0; /* nothing is given, nothing is counted */
    found(query, 2, (const uint32_t[]){ 3, 4 });
}

/* What was not asked for is absent, and its size is known all the same. */
static void only_what_was_asked(void)
{
    put_ok(1);
    const struct jobq_row *held = claim_n(1);
    struct jobq_change c = failed(held, JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e");
    c.set |= JOBQ_SET_RESULT | JOBQ_SET_DATA;
    c.result = text("r");
    c.data = text("d");
    change_ok(c);
    const struct jobq_id one = id(1);
    for (uint32_t flags = 0; flags < 16; flags++) {
        struct jobq_query query = find((struct jobq_query){ .ids = &one, .id_count = 1, .flags = flags });
        is(query.row_count, 1);
        const struct jobq_row *r = query.rows;
        is(r->payload_bytes, 1);
        bytes_are(r->payload, text(flags & JOBQ_READ_PAYLOAD ? "p" : NULL));
        bytes_are(r->data, text(flags & JOBQ_READ_PAYLOAD ? "d" : NULL));
        bytes_are(r->result, text(flags & JOBQ_READ_RESULT ? "r" : NULL));
        is(r->error_count, flags & JOBQ_READ_ERRORS ? 1 : 0);
    }
}

static void says_the_time(void)
{
    int64_t before = now_of_store();
    struct jobq_query query = find(all());
    is(query.row_count, 0);
    ok(query.now_ms >= before && query.now_ms <= now_of_store());
}

static void limit_zero(void)
{
    put_ok(1);
    struct jobq_query query = all();
    query.limit = 0;
    found(query, 0, NULL);
}

static const struct test tests[] = {
    { .name = "by ids, in the order asked", .run = by_ids },
    { .name = "ascending by id, from a cursor", .run = ascending_by_id },
    { .name = "by queue, kind, group", .run = by_names },
    { .name = "by states as shown", .run = by_states },
    { .name = "by reason and age", .run = by_reason_and_age },
    { .name = "bytes of a page", .run = bytes_of_a_page },
    { .name = "only what was asked for", .run = only_what_was_asked },
    { .name = "says the store's time", .run = says_the_time },
    { .name = "limit 0 gives none", .run = limit_zero },
};
const struct topic topic_read = TOPIC("read", tests);
