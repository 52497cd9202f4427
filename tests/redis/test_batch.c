/* SPDX-License-Identifier: MIT */
/* Plain jobs that are claimed together stand in one record (backends/redis/lua/batch.lua): that it is so, that it ends, and what must
 * not get lost at its edges. What jobs look like meanwhile is the conformance suite's affair. */
#include "kit.h"

enum { MOST = 6000 };

static struct kit kit;
static struct jobq_row held[MOST]; /* by the last claim */
static const struct jobq_bytes queue = { "q", 1 };

static int run(struct jobq_exchange *x)
{
    x->size = sizeof *x;
    x->client[0] = 'b';
    x->number = x->number ? x->number : ++kit.number;
    return jobq_redis()->exchange(kit.store, x, kit.arena, &kit.err);
}

static void run_ok(struct jobq_exchange *x)
{
    int unit = run(x);
    ck_assert_msg(unit == JOBQ_OK, "%s", kit.err.text);
}

static struct jobq_put plain(uint32_t id)
{
    return (struct jobq_put){ .id = kit_id(id), .queue = queue, .kind = { "k", 1 }, .only_if = -1, .payload = { "p", 1 } };
}

static void put_some(uint32_t from, uint32_t to)
{
    struct jobq_put *puts = calloc(to - from + 1, sizeof *puts);
    for (uint32_t i = from; i <= to; i++)
        puts[i - from] = plain(i);
    struct jobq_exchange x = { .puts = puts, .put_count = to - from + 1 };
    run_ok(&x);
    free(puts);
}

static size_t claim_as(uint64_t number, uint8_t mint, size_t limit, struct jobq_exchange *x)
{
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = limit, .lease_ms = 30000,
                              .worker = { "w", 1 }, .mint = { 9, mint } };
    *x = (struct jobq_exchange){ .want = &want, .number = number };
    run_ok(x);
    for (size_t i = 0; i < want.row_count; i++)
        held[i] = want.rows[i];
    return want.row_count;
}

static size_t claim(uint8_t mint, size_t limit)
{
    struct jobq_exchange x;
    return claim_as(0, mint, limit, &x);
}

static void complete(struct jobq_exchange *x, struct jobq_change *changes, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct jobq_change){ .id = held[from + i].id, .by = JOBQ_BY_TOKEN, .token = held[from + i].token,
                                           .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                           .state = JOBQ_ROW_COMPLETED };
    x->changes = changes;
    x->change_count = count;
    run_ok(x);
}

/* What was claimed, from one place on; `keep` completed rows stay, negative: all. */
static void ack(size_t from, size_t count, int64_t keep)
{
    struct jobq_change *changes = calloc(count, sizeof *changes);
    struct jobq_exchange x = { .trim = { .limit = MOST } };
    for (int state = 0; state < 8; state++)
        x.trim.keep_count[state] = keep;
    complete(&x, changes, from, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
    free(changes);
}

static long long entries(const char *command, const char *key)
{
    redisReply *reply = redis_server_ask(&kit.server, "%s {jobq}:%s", command, key);
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    long long count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static void there_are(long long running, long long completed, long long rows)
{
    ck_assert_int_eq(entries("HLEN", "batches"), running);
    ck_assert_int_eq(entries("HLEN", "members"), running);
    ck_assert_int_eq(entries("LLEN", "past:q"), completed);
    ck_assert_int_eq(entries("LLEN", "members:q"), completed);
    ck_assert_int_eq(entries("HLEN", "hot"), rows);
}

static void pass_time(int64_t ms)
{
    const struct jobq_settings clock = { .size = sizeof clock, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms };
    ck_assert_int_eq(jobq_redis()->configure(kit.store, &clock, &kit.err), JOBQ_OK);
}

static void keep_events(int64_t number)
{
    const struct jobq_settings events = { .size = sizeof events, .what = JOBQ_CONFIGURE_EVENTS, .events = number };
    ck_assert_int_eq(jobq_redis()->configure(kit.store, &events, &kit.err), JOBQ_OK);
}

static struct jobq_row read_row(uint32_t id)
{
    const struct jobq_id ids[] = { kit_id(id) };
    struct jobq_query query = { .size = sizeof query, .ids = ids, .id_count = 1, .flags = JOBQ_READ_PAYLOAD };
    ck_assert_int_eq(jobq_redis()->read(kit.store, &query, kit.arena, &kit.err), JOBQ_OK);
    return query.row_count ? query.rows[0] : (struct jobq_row){ 0 };
}

static size_t list(uint32_t states, const struct jobq_bytes *of)
{
    struct jobq_query query = { .size = sizeof query, .limit = 10000, .states = states };
    if (of)
        query.queue = *of;
    ck_assert_int_eq(jobq_redis()->read(kit.store, &query, kit.arena, &kit.err), JOBQ_OK);
    return query.row_count;
}

static struct jobq_queue_stats stats_of(void)
{
    struct jobq_stats stats = { .size = sizeof stats };
    ck_assert_int_eq(jobq_redis()->stats(kit.store, &queue, &stats, kit.arena, &kit.err), JOBQ_OK);
    ck_assert_uint_eq(stats.queue_count, 1);
    return stats.queues[0];
}

static int fail_one(size_t at)
{
    struct jobq_change c = { .id = held[at].id, .by = JOBQ_BY_TOKEN, .token = held[at].token, .edits = JOBQ_ANY_EDITS,
                             .outcome = JOBQ_OUTCOME_FAIL, .state = JOBQ_ROW_DEAD };
    struct jobq_exchange x = { .changes = &c, .change_count = 1 };
    run_ok(&x);
    return c.verdict;
}

/* ---- that it is so ------------------------------------------------------------------------------------------------ */

START_TEST(a_batch_is_written_once_and_removed_once)
{
    kit_begin(&kit, NULL);
    put_some(1, 60);
    ck_assert_uint_eq(claim(1, 40), 40);
    there_are(1, 0, 0);
    ck_assert_int_eq(entries("ZCARD", "clock"), 2);
    ck_assert_int_eq(entries("HLEN", "held"), 0);
    ack(0, 25, -1);
    there_are(1, 1, 0);
    pass_time(1); /* of one millisecond the ids say who goes first: those are rows */
    ack(25, 15, 18);
    there_are(0, 2, 0);
    ck_assert_int_eq(entries("ZCARD", "clock"), 1);
    ck_assert_int_eq(entries("HLEN", "cold"), 20 + 18);
    ck_assert_uint_eq(claim(2, 20), 20);
    ack(0, 20, 0);
    there_are(0, 0, 0);
    ck_assert_int_eq(entries("HLEN", "cold"), 0);
    ck_assert_uint_eq(stats_of().completed_total, 60);
    kit_end(&kit);
}
END_TEST

START_TEST(few_are_rows)
{
    kit_begin(&kit, NULL);
    put_some(1, 30);
    ck_assert_uint_eq(claim(1, 7), 7);
    there_are(0, 0, 7);
    ck_assert_uint_eq(claim(2, 8), 8);
    there_are(1, 0, 7);
    ack(0, 7, -1); /* one is left, and is a row too */
    there_are(0, 0, 15);
    kit_end(&kit);
}
END_TEST

START_TEST(what_is_special_is_a_row)
{
    const struct jobq_put_key key = { .scope = { 's' }, .conflict = JOBQ_CONFLICT_RETURN };
    kit_begin(&kit, NULL);
    put_some(1, 9);
    struct jobq_put puts[5];
    for (uint32_t i = 0; i < 5; i++)
        puts[i] = plain(20 + i);
    puts[0].unique = &key;
    puts[1].timeout_ms = 5000;
    puts[2].expires_at = (struct jobq_time){ JOBQ_TIME_NOW, 60000 };
    puts[3].rank_add_ms = -1000; /* is plain */
    puts[4].payload.data = memset(calloc(1, 5000), 'x', 5000);
    puts[4].payload.size = 5000;
    struct jobq_exchange x = { .puts = puts, .put_count = 5 };
    run_ok(&x);
    ck_assert_uint_eq(claim(1, 100), 14);
    there_are(1, 0, 4);
    ck_assert_int_eq(entries("ZCARD", "clock"), 1 + 1 + 4);
    ack(0, 14, -1);
    there_are(0, 1, 4);
    free((void *)(uintptr_t)puts[4].payload.data);
    kit_end(&kit);
}
END_TEST

/* One that was changed where it stands in its list has a hot string, and is claimed with it. */
START_TEST(an_edited_row_is_no_member)
{
    kit_begin(&kit, NULL);
    put_some(1, 20);
    struct jobq_change c = { .id = kit_id(5), .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING),
                             .edits = JOBQ_ANY_EDITS, .set = JOBQ_SET_PAYLOAD, .payload = { "new", 3 } };
    struct jobq_exchange x = { .changes = &c, .change_count = 1 };
    run_ok(&x);
    ck_assert_int_eq(c.verdict, JOBQ_OK);
    ck_assert_uint_eq(claim(1, 20), 20);
    there_are(1, 0, 1);
    ck_assert_uint_eq(held[4].edits, 1);
    ck_assert_uint_eq(read_row(5).edits, 1);
    ck_assert_mem_eq(read_row(5).payload.data, "new", 3);
    kit_end(&kit);
}
END_TEST

/* ---- leaving ------------------------------------------------------------------------------------------------------ */

START_TEST(some_leave_and_then_all)
{
    kit_begin(&kit, NULL);
    put_some(1, 100);
    ck_assert_uint_eq(claim(1, 100), 100);
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(fail_one(i), JOBQ_OK);
    there_are(1, 0, 8);
    ck_assert_int_eq(fail_one(8), JOBQ_OK);
    there_are(0, 0, 100);
    ck_assert_int_eq(entries("ZCARD", "clock"), 1 + 91);
    ck_assert_int_eq(fail_one(8), JOBQ_ALREADY);
    ack(9, 91, -1);
    ck_assert_uint_eq(stats_of().present[JOBQ_COMPLETED], 91);
    kit_end(&kit);
}
END_TEST

START_TEST(reading_and_repeats_write_nothing)
{
    struct jobq_exchange x;
    struct jobq_row first[12];
    kit_begin(&kit, NULL);
    put_some(1, 32);
    ck_assert_uint_eq(claim_as(1000, 1, 12, &x), 12);
    memcpy(first, held, sizeof first);
    ck_assert_uint_eq(claim_as(1000, 1, 12, &x), 12);
    for (size_t i = 0; i < 12; i++)
        ck_assert(memcmp(&first[i].id, &held[i].id, sizeof held[i].id) == 0 && held[i].attempt == 1);
    ck_assert_int_eq(read_row(3).state, JOBQ_ROW_RUNNING);
    ck_assert_int_eq(read_row(13).state, JOBQ_ROW_WAITING);
    ck_assert_uint_eq(list(1u << JOBQ_RUNNING, NULL), 12);
    ck_assert_uint_eq(list(1u << JOBQ_READY, NULL), 20);
    ck_assert_uint_eq(list(0, NULL), 32);
    there_are(1, 0, 0);
    ack(0, 12, -1);
    ck_assert_int_eq(read_row(3).state, JOBQ_ROW_COMPLETED);
    ck_assert_uint_eq(list(1u << JOBQ_COMPLETED, &queue), 12);
    ck_assert_uint_eq(list(1u << JOBQ_COMPLETED, NULL), 12);
    there_are(0, 1, 0);
    kit_end(&kit);
}
END_TEST

/* A member has left since: it is answered all the same, as it is. */
START_TEST(a_repeat_finds_who_left)
{
    struct jobq_exchange x;
    kit_begin(&kit, NULL);
    put_some(1, 12);
    ck_assert_uint_eq(claim_as(1000, 1, 12, &x), 12);
    struct jobq_change c = { .id = kit_id(4), .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING),
                             .edits = JOBQ_ANY_EDITS, .set = JOBQ_SET_CANCEL_ASKED };
    struct jobq_exchange other = { .changes = &c, .change_count = 1 };
    other.client[1] = 1;
    run_ok(&other);
    ck_assert_int_eq(c.verdict, JOBQ_OK);
    there_are(1, 0, 1);
    ck_assert_uint_eq(claim_as(1000, 1, 12, &x), 12);
    int asked = 0;
    for (size_t i = 0; i < 12; i++)
        asked += held[i].cancel_asked;
    ck_assert_int_eq(asked, 1);
    kit_end(&kit);
}
END_TEST

/* A job of another store comes in that waits for one of a batch. */
START_TEST(a_parent_of_a_loaded_job_leaves)
{
    kit_begin(&kit, NULL);
    put_some(1, 20);
    ck_assert_uint_eq(claim(1, 20), 20);
    const struct jobq_item_edge edge = { .parent = kit_id(3), .rule = JOBQ_PARENT_CANCEL, .open = 1 };
    struct jobq_item item = { .kind = JOBQ_ITEM_ROW };
    item.as.row.edges = &edge;
    item.as.row.edge_count = 1;
    item.as.row.row = (struct jobq_row){ .id = kit_id(100), .queue = queue, .kind = { "k", 1 }, .state = JOBQ_ROW_BLOCKED,
                                         .reason = JOBQ_REASON_PARENTS, .pending = 1, .created_at_ms = 1, .run_at_ms = 1 };
    ck_assert_int_eq(jobq_redis()->load(kit.store, &item, 1, &kit.err), JOBQ_OK);
    ck_assert_int_eq(item.verdict, JOBQ_OK);
    there_are(1, 0, 2);
    ck_assert_int_eq(entries("HLEN", "held"), 1);
    ack(0, 20, -1);
    there_are(0, 1, 2);
    ck_assert_int_eq(read_row(100).state, JOBQ_ROW_WAITING);
    ck_assert_uint_eq(stats_of().present[JOBQ_COMPLETED], 20);
    kit_end(&kit);
}
END_TEST

/* Two stores of one server have queues of one name. */
START_TEST(a_record_is_of_one_namespace)
{
    struct jobq_store *first, *other;
    struct jobq_put again;
    char uri[300];
    kit_begin(&kit, NULL);
    snprintf(uri, sizeof uri, "%s?namespace=other", kit.uri);
    ck_assert_int_eq(kit_open(&kit, uri, 0, &other), JOBQ_OK);
    first = kit.store;
    for (int i = 0; i < 3; i++) {
        kit.store = i == 1 ? first : other;
        if (i < 2) {
            put_some(1, 30);
            ck_assert_uint_eq(claim((uint8_t)(i + 1), i == 1 ? 20 : 8), i == 1 ? 20 : 8);
        }
        again = plain(i == 1 ? 25 : 15); /* is looked for in records */
        struct jobq_exchange x = { .puts = &again, .put_count = 1 };
        run_ok(&x);
        ck_assert_int_eq(again.verdict, JOBQ_ALREADY);
        ck_assert_int_eq(again.state, JOBQ_ROW_WAITING);
    }
    kit.store = first;
    jobq_redis()->close(other);
    kit_end(&kit);
}
END_TEST

/* ---- leases --------------------------------------------------------------------------------------------------------- */

static size_t beat(unsigned flags, int64_t lease_ms)
{
    struct jobq_beat b = { .token = held[0].token, .flags = flags, .lease_ms = lease_ms };
    struct jobq_exchange x = { .beats = &b, .beat_count = 1 };
    run_ok(&x);
    return b.held;
}

START_TEST(one_write_makes_all_leases_longer)
{
    kit_begin(&kit, NULL);
    put_some(1, 20);
    ck_assert_uint_eq(claim(1, 20), 20);
    pass_time(20000);
    ck_assert_uint_eq(beat(0, 30000), 20);
    there_are(1, 0, 0);
    ck_assert_int_ge(read_row(7).lease_until_ms, held[6].lease_until_ms + 19000);
    pass_time(20000);
    struct jobq_want want = { .mode = JOBQ_WANT_OVERDUE, .limit = 100, .lease_ms = 30000, .mint = { 3 } };
    struct jobq_exchange x = { .want = &want };
    run_ok(&x);
    ck_assert_uint_eq(want.row_count, 0);
    ck_assert_int_eq(x.next_due_ms, read_row(7).lease_until_ms);
    pass_time(20000);
    ck_assert_uint_eq(stats_of().stuck, 20);
    struct jobq_exchange y = { .want = &want };
    run_ok(&y);
    ck_assert_uint_eq(want.row_count, 20);
    there_are(0, 0, 20);
    ck_assert_int_eq(want.rows[19].overdue, JOBQ_OVERDUE_LEASE);
    kit_end(&kit);
}
END_TEST

/* A lease beyond what the clock's scores can say is a row's. */
START_TEST(what_is_given_back_waits)
{
    kit_begin(&kit, NULL);
    put_some(1, 20);
    ck_assert_uint_eq(claim(1, 10), 10);
    ck_assert_uint_eq(beat(0, INT64_MAX), 10);
    there_are(0, 0, 10);
    ck_assert_int_eq(read_row(1).lease_until_ms, INT64_MAX);
    ck_assert_uint_eq(claim(2, 10), 10);
    there_are(1, 0, 10);
    ck_assert_uint_eq(beat(JOBQ_BEAT_RELEASE | JOBQ_BEAT_MINT, 0), 10);
    there_are(0, 0, 20);
    ck_assert_uint_eq(stats_of().present[JOBQ_READY], 10);
    ck_assert_uint_eq(claim(3, 10), 10);
    ck_assert_int_eq(held[0].attempt, 2);
    kit_end(&kit);
}
END_TEST

/* ---- events --------------------------------------------------------------------------------------------------------- */

static size_t events_told(void)
{
    struct jobq_event_query query = { .size = sizeof query, .limit = 10000 };
    ck_assert_int_eq(jobq_redis()->events(kit.store, &query, kit.arena, &kit.err), JOBQ_OK);
    return query.row_count;
}

START_TEST(while_events_are_kept_each_row_tells)
{
    kit_begin(&kit, NULL);
    put_some(1, 40);
    ck_assert_uint_eq(claim(1, 10), 10);
    ack(0, 10, -1);
    ck_assert_uint_eq(claim(2, 10), 10);
    keep_events(1000);
    ack(0, 10, -1); /* ten ends */
    there_are(0, 0, 20);
    ck_assert_uint_eq(events_told(), 10);
    ck_assert_uint_eq(claim(3, 10), 10); /* ten starts */
    there_are(0, 0, 30);
    ack(0, 10, 4); /* ten ends, twenty-six that are no more */
    there_are(0, 0, 4);
    ck_assert_uint_eq(events_told(), 56);
    kit_end(&kit);
}
END_TEST

/* ---- those that have completed -------------------------------------------------------------------------------------- */

/* Of one end the smallest ids go first, in whatever order they were claimed; ends in the order of their time, rows among them. */
START_TEST(retention_goes_by_end_and_id)
{
    kit_begin(&kit, NULL);
    struct jobq_put puts[20];
    for (uint32_t i = 0; i < 20; i++)
        puts[i] = plain(120 - i);
    struct jobq_exchange x = { .puts = puts, .put_count = 20 };
    run_ok(&x);
    put_some(1, 20);
    ck_assert_uint_eq(claim(1, 20), 20); /* 120 .. 101 */
    ack(0, 20, -1);
    pass_time(1000);
    ck_assert_uint_eq(claim(2, 3), 3);
    ack(0, 3, 16); /* 101 .. 107 go */
    ck_assert_int_eq(read_row(107).state, 0);
    ck_assert_int_eq(read_row(108).state, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(read_row(120).state, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(read_row(1).state, JOBQ_ROW_COMPLETED);
    pass_time(1000);
    ck_assert_uint_eq(claim(3, 17), 17);
    ack(0, 17, 19);
    ck_assert_int_eq(read_row(120).state, 0);
    ck_assert_int_eq(read_row(1).state, 0);
    ck_assert_int_eq(read_row(2).state, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(read_row(4).state, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(entries("HLEN", "cold"), 19);
    kit_end(&kit);
}
END_TEST

START_TEST(an_end_before_the_last_one_is_a_row)
{
    kit_begin(&kit, NULL);
    put_some(1, 20);
    ck_assert_uint_eq(claim(1, 10), 10);
    ack(0, 10, -1);
    ck_assert_uint_eq(claim(2, 10), 10);
    pass_time(-60000);
    ack(0, 10, 12);
    there_are(0, 0, 12);
    ck_assert_int_eq(read_row(1).state, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(read_row(20).state, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(read_row(18).state, 0);
    kit_end(&kit);
}
END_TEST

START_TEST(no_queue_keeps_more_than_so_many)
{
    kit_begin(&kit, NULL);
    put_some(1, MOST);
    for (uint8_t i = 1; i <= 6; i++) {
        ck_assert_uint_eq(claim(i, 1000), 1000);
        ack(0, 1000, -1);
        there_are(0, i < 5 ? i : 4, i < 5 ? 0 : 1000 * (i - 4));
    }
    ck_assert_uint_eq(stats_of().present[JOBQ_COMPLETED], MOST);
    ck_assert_int_eq(entries("ZCARD", "ended:4:q"), 2000);
    kit_end(&kit);
}
END_TEST

START_TEST(small_steps_are_rid_of_records)
{
    kit_begin(&kit, NULL);
    put_some(1, 40);
    for (uint8_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(claim(i, 10), 10);
        ack(0, 10, -1);
    }
    there_are(0, 3, 0);
    for (uint8_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(claim(10 + i, 1), 1);
        ack(0, 1, -1);
        there_are(0, 3 - i, 11 * i);
    }
    ck_assert_uint_eq(stats_of().present[JOBQ_COMPLETED], 33);
    kit_end(&kit);
}
END_TEST

/* The short way of an exchange that hands one in and takes one (lua/one.lua) leaves records to the long way. */
START_TEST(one_for_one_is_rid_of_records_too)
{
    kit_begin(&kit, NULL);
    put_some(1, 40);
    for (uint8_t i = 1; i <= 2; i++) {
        ck_assert_uint_eq(claim(i, 10), 10);
        ack(0, 10, -1);
    }
    ck_assert_uint_eq(claim(10, 1), 1);
    for (uint8_t i = 1; i <= 3; i++) {
        struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1, .lease_ms = 30000,
                                  .mint = { 9, (uint8_t)(10 + i) } };
        struct jobq_change change;
        struct jobq_exchange x = { .want = &want, .trim = { .limit = 18 } };
        for (int state = 0; state < 8; state++)
            x.trim.keep_count[state] = -1;
        complete(&x, &change, 0, 1);
        ck_assert_int_eq(change.verdict, JOBQ_OK);
        ck_assert_uint_eq(want.row_count, 1);
        held[0] = want.rows[0];
        there_are(0, i < 2 ? 1 : 0, (i < 2 ? 10 : 20) + i + 1);
    }
    kit_end(&kit);
}
END_TEST

/* ---- groups ------------------------------------------------------------------------------------------------------- */

/* From one number to another: of groups "a" to "e" in turn, every sixth of none. */
static void put_grouped(uint32_t from, uint32_t to)
{
    static const char names[] = "abcde";
    struct jobq_put *puts = calloc(to - from + 1, sizeof *puts);
    for (uint32_t i = from; i <= to; i++) {
        puts[i - from] = plain(i);
        if (i % 6)
            puts[i - from].group = (struct jobq_bytes){ names + i % 6 - 1, 1 };
    }
    struct jobq_exchange x = { .puts = puts, .put_count = to - from + 1 };
    run_ok(&x);
    free(puts);
}

static size_t take(struct jobq_want want)
{
    want.queues = &queue;
    want.queue_count = 1;
    want.limit = 100;
    want.lease_ms = 30000;
    want.share = 1;
    want.mint[0] = 9;
    struct jobq_exchange x = { .want = &want };
    run_ok(&x);
    for (size_t i = 0; i < want.row_count; i++)
        held[i] = want.rows[i];
    return want.row_count;
}

static size_t take_due(uint8_t mint)
{
    return take((struct jobq_want){ .mode = JOBQ_WANT_DUE, .mint = { 0, mint } });
}

/* Running rows of each group, as they are counted. */
static void slots_are(long long a, long long b, long long c, long long d, long long e)
{
    const long long expected[] = { a, b, c, d, e };
    long long groups = 0;
    for (size_t i = 0; i < 5; i++) {
        char name[] = "ga", inside[] = "q\001qa";
        name[1] = inside[3] = (char)('a' + i);
        groups += expected[i] > 0;
        const char *const names[] = { name, inside };
        for (size_t k = 0; k < 2; k++) {
            redisReply *reply = redis_server_ask(&kit.server, "HGET {jobq}:slots %s", names[k]);
            ck_assert_int_eq(reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : 0, expected[i]);
            freeReplyObject(reply);
        }
    }
    ck_assert_int_eq(entries("HLEN", "slots"), 2 * groups);
}

static void limit_each_group(int64_t most)
{
    const struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_GROUP,
                                     .set = JOBQ_SETTING_CONCURRENCY, .concurrency = most };
    ck_assert_int_eq(jobq_redis()->configure(kit.store, &s, &kit.err), JOBQ_OK);
}

static size_t at_of(uint32_t id, size_t count)
{
    const struct jobq_id wanted = kit_id(id);
    for (size_t i = 0; i < count; i++)
        if (memcmp(&held[i].id, &wanted, sizeof wanted) == 0)
            return i;
    ck_abort_msg("%u is not among them", id);
}

START_TEST(groups_stand_in_one_record)
{
    kit_begin(&kit, NULL);
    put_grouped(1, 36);
    ck_assert_uint_eq(take_due(1), 36);
    there_are(1, 0, 0);
    ck_assert_int_eq(entries("HLEN", "grouped"), 1);
    slots_are(6, 6, 6, 6, 6);
    for (size_t i = 0; i < 36; i++)
        ck_assert_uint_eq(held[i].group.size, held[i].id.bytes[15] % 6 ? 1 : 0);
    ck_assert_uint_eq(stats_of().present[JOBQ_RUNNING], 36);
    ack(0, 12, -1); /* two of each, and two of none */
    there_are(1, 1, 0);
    slots_are(4, 4, 4, 4, 4);
    pass_time(1);
    ack(12, 24, -1);
    there_are(0, 2, 0);
    ck_assert_int_eq(entries("HLEN", "grouped"), 0);
    slots_are(0, 0, 0, 0, 0);
    ck_assert_uint_eq(list(1u << JOBQ_COMPLETED, NULL), 36);
    kit_end(&kit);
}
END_TEST

/* A row by itself says which group it has: whoever ends it counts by that. */
START_TEST(members_leave_with_their_group)
{
    kit_begin(&kit, NULL);
    put_grouped(1, 36);
    ck_assert_uint_eq(take_due(1), 36);
    struct jobq_change c = { .id = kit_id(2), .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING),
                             .edits = JOBQ_ANY_EDITS, .set = JOBQ_SET_CANCEL_ASKED };
    struct jobq_exchange x = { .changes = &c, .change_count = 1 };
    run_ok(&x); /* it runs on, by itself */
    ck_assert_int_eq(fail_one(at_of(1, 36)), JOBQ_OK);
    ck_assert_int_eq(fail_one(at_of(6, 36)), JOBQ_OK);
    there_are(1, 0, 3);
    slots_are(5, 6, 6, 6, 6);
    size_t left = 0;
    for (size_t i = 0; i < 36; i++)
        if (held[i].id.bytes[15] != 1 && held[i].id.bytes[15] != 6)
            held[left++] = held[i];
    ck_assert_uint_eq(left, 34);
    ack(0, 34, -1);
    there_are(0, 1, 3);
    ck_assert_int_eq(entries("HLEN", "grouped"), 0);
    slots_are(0, 0, 0, 0, 0);
    ck_assert_int_eq(read_row(2).state, JOBQ_ROW_COMPLETED);
    kit_end(&kit);
}
END_TEST

START_TEST(all_leave_with_their_groups)
{
    kit_begin(&kit, NULL);
    put_grouped(1, 30);
    ck_assert_uint_eq(take_due(1), 30);
    pass_time(31000);
    ck_assert_uint_eq(take((struct jobq_want){ .mode = JOBQ_WANT_OVERDUE, .mint = { 0, 2 } }), 30);
    there_are(0, 0, 30);
    ck_assert_int_eq(entries("HLEN", "grouped"), 0);
    slots_are(5, 5, 5, 5, 5);
    for (size_t i = 0; i < 30; i++)
        ck_assert_int_eq(fail_one(i), JOBQ_OK);
    slots_are(0, 0, 0, 0, 0);
    kit_end(&kit);
}
END_TEST

/* What of a completed record leaves it has its group, too, when it runs again. */
START_TEST(what_completed_leaves_with_its_group)
{
    kit_begin(&kit, NULL);
    put_grouped(1, 24);
    ck_assert_uint_eq(take_due(1), 24);
    ack(0, 24, -1);
    there_are(0, 1, 0);
    struct jobq_change c = { .id = kit_id(3), .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED),
                             .edits = JOBQ_ANY_EDITS, .state = JOBQ_ROW_WAITING,
                             .set = JOBQ_SET_RUN_AT, .run_at = { JOBQ_TIME_NOW, 0 } };
    struct jobq_exchange x = { .changes = &c, .change_count = 1 };
    run_ok(&x);
    ck_assert_int_eq(c.verdict, JOBQ_OK);
    there_are(0, 1, 1);
    ck_assert_uint_eq(take_due(2), 1);
    slots_are(0, 0, 1, 0, 0);
    ack(0, 1, -1);
    slots_are(0, 0, 0, 0, 0);
    kit_end(&kit);
}
END_TEST

/* Limits that come while a record runs find its members counted. */
START_TEST(a_limit_sees_members)
{
    kit_begin(&kit, NULL);
    put_grouped(1, 24);
    ck_assert_uint_eq(take_due(1), 24);
    struct jobq_row first[24];
    memcpy(first, held, sizeof first);
    put_grouped(25, 48);
    limit_each_group(5); /* four of each run */
    ck_assert_uint_eq(take_due(2), 5 + 4);
    there_are(2, 0, 0);
    slots_are(5, 5, 5, 5, 5);
    ck_assert_uint_eq(take_due(3), 0);
    memcpy(held, first, sizeof first);
    ack(0, 24, -1);
    slots_are(1, 1, 1, 1, 1);
    ck_assert_uint_eq(take_due(4), 15);
    slots_are(4, 4, 4, 4, 4);
    kit_end(&kit);
}
END_TEST

/* ---- a store of the version before ---------------------------------------------------------------------------------- */

static long long version_of(void)
{
    redisReply *reply = redis_server_ask(&kit.server, "HGET {jobq}:meta version");
    long long version = reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : -1;
    freeReplyObject(reply);
    return version;
}

/* A queue's string as it was: without the last of its counts. */
static void make_old(void)
{
    redisReply *reply = redis_server_ask(&kit.server, "EVAL %s 0",
                                         "local k = '{jobq}:meta' local s = redis.call('HGET', k, 'qq') "
                                         "redis.call('HSET', k, 'qq', s:sub(1, 84) .. s:sub(91), 'version', '2') "
                                         "redis.call('HDEL', k, 'lacks') return 1");
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
}

static void is_of_version(int version)
{
    redis_server_do(&kit.server, "HSET {jobq}:meta version %d", version);
}

/* Its records, which have no groups, are read as they are. */
START_TEST(a_store_of_version_3_is_brought_up)
{
    kit_begin(&kit, NULL);
    put_some(1, 30);
    ck_assert_uint_eq(claim(1, 20), 20);
    is_of_version(3);
    struct jobq_put p = plain(31);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    ck_assert_int_ne(run(&x), JOBQ_OK);
    jobq_redis()->close(kit.store);
    ck_assert_int_eq(kit_open(&kit, kit.uri, 0, &kit.store), JOBQ_OK);
    ck_assert_int_eq(version_of(), 6);
    there_are(1, 0, 0);
    ack(0, 20, -1);
    there_are(0, 1, 0);
    kit_end(&kit);
}
END_TEST

START_TEST(an_older_store_is_brought_up)
{
    const struct jobq_settings most = { .size = sizeof most, .what = JOBQ_CONFIGURE_QUEUE, .name = queue,
                                        .set = JOBQ_SETTING_DEPTH, .depth = 12 };
    struct jobq_store *looks;
    kit_begin(&kit, NULL);
    put_some(1, 10);
    ck_assert_int_eq(jobq_redis()->configure(kit.store, &most, &kit.err), JOBQ_OK);
    make_old();
    ck_assert_int_eq(kit_open(&kit, kit.uri, JOBQ_OPEN_INSPECT, &looks), JOBQ_OK);
    ck_assert_int_eq(version_of(), 2);
    jobq_redis()->close(looks);
    jobq_redis()->close(kit.store);
    ck_assert_int_eq(kit_open(&kit, kit.uri, 0, &kit.store), JOBQ_OK);
    ck_assert_int_eq(version_of(), 6);
    ck_assert_uint_eq(stats_of().present[JOBQ_READY], 10);
    put_some(11, 12);
    struct jobq_put p = plain(13);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    run_ok(&x);
    ck_assert_int_eq(p.verdict, JOBQ_FULL);
    ck_assert_uint_eq(claim(1, 12), 12);
    there_are(1, 0, 0);
    ack(0, 12, 0);
    ck_assert_uint_eq(stats_of().completed_total, 12);
    kit_end(&kit);
}
END_TEST

KIT_MAIN("redis batch", 120, a_batch_is_written_once_and_removed_once, few_are_rows, what_is_special_is_a_row,
         an_edited_row_is_no_member, some_leave_and_then_all, reading_and_repeats_write_nothing,
         a_repeat_finds_who_left, a_parent_of_a_loaded_job_leaves, a_record_is_of_one_namespace,
         one_write_makes_all_leases_longer, what_is_given_back_waits, while_events_are_kept_each_row_tells,
         retention_goes_by_end_and_id, an_end_before_the_last_one_is_a_row, no_queue_keeps_more_than_so_many,
         small_steps_are_rid_of_records, one_for_one_is_rid_of_records_too, groups_stand_in_one_record,
         members_leave_with_their_group, all_leave_with_their_groups, what_completed_leaves_with_its_group,
         a_limit_sees_members, a_store_of_version_3_is_brought_up, an_older_store_is_brought_up)
