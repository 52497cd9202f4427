/* SPDX-License-Identifier: MIT */
/* One at a time: a worker hands in what it holds and takes the next in one exchange, for which lua/one.lua has a short way,
 * and a put of its own has one in lua/lone.lua. Both must come to what the other stores come to, and must be taken. */
#include "kit.h"

#include <jobq/memory.h>

static const struct jobq_bytes queue = { "q", 1 }, other_queue = { "r", 1 };

struct side {
    const struct jobq_backend *backend;
    struct jobq_store *store;
    struct jobq_arena *arena;
    struct jobq_error err;
    uint64_t number;
    bool careless, holds;
    uint32_t slack_part;
    struct jobq_id id; /* what is held */
    struct jobq_token token;
    struct jobq_want want;
    struct jobq_change change;
    struct jobq_exchange x;
    struct jobq_put put; /* of the newest exchange that put one; it may be repeated */
};

static void run(struct side *s)
{
    s->err = (struct jobq_error){ 0 };
    int unit = s->backend->exchange(s->store, &s->x, s->arena, &s->err);
    ck_assert_msg(unit == JOBQ_OK && (!s->x.want || s->x.want_unit == JOBQ_OK), "%s: %s", s->backend->name, s->err.text);
}

static void begin(struct side *s)
{
    s->x = (struct jobq_exchange){ .size = sizeof s->x, .client = { 'o' }, .number = ++s->number };
}

static void put(struct side *s, struct jobq_put p)
{
    begin(s);
    s->put = p;
    s->put.only_if = -1;
    s->x.puts = &s->put;
    s->x.put_count = 1;
    run(s);
    ck_assert_int_eq(s->put.verdict, JOBQ_OK);
}

static struct jobq_put plain(uint32_t i)
{
    return (struct jobq_put){ .id = kit_id(i), .queue = queue, .kind = { "k", 1 }, .payload = { "p", 1 } };
}

/* Plain ones, and between them some with something special. */
static struct jobq_put put_of(uint32_t i)
{
    static const uint8_t payload[200];
    static struct jobq_put_key keys[400];
    struct jobq_put p = { .id = kit_id(i), .queue = i % 17 ? queue : other_queue, .kind = { "k", 1 },
                          .payload = { payload, i % 200 } };
    p.timeout_ms = i % 7 == 0 ? 5000 : 0;
    p.rank_add_ms = i % 37 == 0 ? -1000000 : 0;
    p.priority = i % 37 == 0 ? 3 : 0;
    if (i % 11 == 0)
        p.kind.data = "l";
    keys[i].scope[0] = (uint8_t)(i >> 8);
    keys[i].scope[1] = (uint8_t)i;
    p.unique = i % 13 ? NULL : &keys[i];
    return p;
}

/* Hand in what is held and take one. `keep` rows stay; negative: all. */
static void turn(struct side *s, uint32_t i, int64_t keep)
{
    begin(s);
    s->change = (struct jobq_change){ .id = s->id, .by = JOBQ_BY_TOKEN, .token = s->token, .edits = JOBQ_ANY_EDITS,
                                      .outcome = JOBQ_OUTCOME_COMPLETE, .state = JOBQ_ROW_COMPLETED };
    if (i % 3 == 0) {
        s->change.set = JOBQ_SET_RESULT;
        s->change.result = (struct jobq_bytes){ "done", 4 };
    }
    if (s->careless && i % 43 == 0) /* of a job that is then left to its lease */
        s->change.token.bytes[15] ^= 1;
    s->want = (struct jobq_want){ .mode = JOBQ_WANT_DUE, .queues = i % 17 ? &queue : &other_queue, .queue_count = 1, .limit = 1, .lease_ms = 30000,
                                  .others = i % 5 == 0, .bytes = 10, .worker = { "w", i % 2 } };
    memcpy(s->want.mint, &i, sizeof i);
    static const struct jobq_bytes kinds[] = { { "k", 1 }, { "l", 1 } };
    s->want.kinds = kinds;
    s->want.kind_count = i % 4 ? 0 : i % 8 ? 1 : 2;
    if (s->holds) {
        s->x.changes = &s->change;
        s->x.change_count = 1;
        s->x.trim = (struct jobq_trim){ .limit = 18, .slack_part = s->slack_part, .slack_most = 16 };
        for (int state = 0; state < 8; state++)
            s->x.trim.keep_count[state] = keep;
    }
    s->x.want = &s->want;
    run(s);
    s->holds = s->want.row_count > 0;
    if (s->holds) {
        s->id = s->want.rows[0].id;
        s->token = s->want.token;
    }
}

static void same_bytes(struct jobq_bytes a, struct jobq_bytes b)
{
    ck_assert_uint_eq(a.size, b.size);
    ck_assert(a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Token and instants are each store's own; what is left of them is not. */
static void same_row(const struct side *a, const struct jobq_row *x, const struct side *b, const struct jobq_row *y)
{
    ck_assert(memcmp(&x->id, &y->id, sizeof x->id) == 0);
    ck_assert(memcmp(&x->token, &y->token, 8) == 0);
    same_bytes(x->payload, y->payload);
    same_bytes(x->worker, y->worker);
    same_bytes(x->result, y->result);
    ck_assert_int_eq(x->state, y->state);
    ck_assert_int_eq(x->reason, y->reason);
    ck_assert_int_eq(x->outcome, y->outcome);
    ck_assert_int_eq(x->attempt, y->attempt);
    ck_assert_int_eq(x->ran_alone, y->ran_alone);
    ck_assert_int_eq(x->timeout_ms, y->timeout_ms);
    ck_assert_int_eq(x->lease_until_ms ? x->lease_until_ms - x->started_at_ms : 0,
                     y->lease_until_ms ? y->lease_until_ms - y->started_at_ms : 0);
    ck_assert_int_eq(x->stop_at_ms ? x->stop_at_ms - x->started_at_ms : 0,
                     y->stop_at_ms ? y->stop_at_ms - y->started_at_ms : 0);
    ck_assert_int_eq(x->finished_at_ms != 0, y->finished_at_ms != 0);
    ck_assert(x->state != JOBQ_ROW_RUNNING || a->x.now_ms == x->started_at_ms);
    ck_assert(y->state != JOBQ_ROW_RUNNING || b->x.now_ms == y->started_at_ms);
}

static void same_answer(const struct side *a, const struct side *b)
{
    ck_assert_uint_eq(a->x.change_count, b->x.change_count);
    ck_assert_int_eq(a->change.verdict, b->change.verdict);
    ck_assert_uint_eq(a->want.row_count, b->want.row_count);
    ck_assert_int_eq(a->want.more, b->want.more);
    if (a->want.row_count)
        same_row(a, &a->want.rows[0], b, &b->want.rows[0]);
    ck_assert_int_eq(a->x.next_due_ms < a->x.now_ms + 30001, b->x.next_due_ms < b->x.now_ms + 30001);
}

static size_t held_now(struct side *s)
{
    begin(s);
    struct jobq_beat beat = { .token = s->token, .lease_ms = 1 }; /* makes no lease longer */
    s->x.beats = &beat;
    s->x.beat_count = 1;
    run(s);
    return beat.held;
}

static struct jobq_query all_rows(struct side *s)
{
    struct jobq_query query = { .size = sizeof query, .limit = 10000, .flags = JOBQ_READ_RESULT | JOBQ_READ_PAYLOAD };
    ck_assert_int_eq(s->backend->read(s->store, &query, s->arena, &s->err), JOBQ_OK);
    return query;
}

static struct jobq_queue_stats stats_of(struct side *s)
{
    struct jobq_stats stats = { .size = sizeof stats };
    ck_assert_int_eq(s->backend->stats(s->store, &queue, &stats, s->arena, &s->err), JOBQ_OK);
    ck_assert_uint_eq(stats.queue_count, 1);
    return stats.queues[0];
}

static void same_stats(struct side *a, struct side *b)
{
    struct jobq_queue_stats x = stats_of(a), y = stats_of(b);
    ck_assert(memcmp(x.present, y.present, sizeof x.present) == 0);
    ck_assert_uint_eq(x.completed_total, y.completed_total);
    ck_assert_uint_eq(x.enqueued_total, y.enqueued_total);
    ck_assert_uint_eq(x.waited.count, y.waited.count);
    ck_assert_uint_eq(x.ran.count, y.ran.count);
    ck_assert_uint_eq(x.last_minute.completed, y.last_minute.completed);
}

static void same_store(struct side *a, struct side *b)
{
    ck_assert_uint_eq(held_now(a), held_now(b));
    struct jobq_query x = all_rows(a), y = all_rows(b);
    ck_assert_uint_eq(x.row_count, y.row_count);
    for (size_t i = 0; i < x.row_count; i++) {
        struct side none = { .x = { .now_ms = x.rows[i].started_at_ms } }, other = { .x = { .now_ms = y.rows[i].started_at_ms } };
        same_row(&none, &x.rows[i], &other, &y.rows[i]);
    }
    same_stats(a, b);
}

/* Those whose leases pass, in a minute. */
static size_t overdue(struct side *s)
{
    const struct jobq_settings minute = { .size = sizeof minute, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = 60000 };
    ck_assert_int_eq(s->backend->configure(s->store, &minute, &s->err), JOBQ_OK);
    begin(s);
    s->want = (struct jobq_want){ .mode = JOBQ_WANT_OVERDUE, .limit = 100, .lease_ms = 30000, .mint = { 255 } };
    s->x.want = &s->want;
    run(s);
    return s->want.row_count;
}

static void same_overdue(struct side *a, struct side *b)
{
    ck_assert_uint_eq(overdue(a), overdue(b));
    ck_assert_uint_ge(a->want.row_count, 7); /* what was handed in carelessly */
    for (size_t i = 0; i < a->want.row_count; i++)
        ck_assert_int_eq(a->want.rows[i].overdue, JOBQ_OVERDUE_LEASE);
}

/* Is there an entry for each row that has a place there, and no other? */
static long long entries(struct kit *k, const char *command, const char *key)
{
    redisReply *reply = redis_server_ask(&k->server, "%s {jobq}:%s", command, key);
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    long long count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static void no_leftovers(struct kit *k, struct side *s)
{
    struct jobq_query rows = all_rows(s);
    long long running = 0, ended = 0;
    for (size_t i = 0; i < rows.row_count; i++) {
        running += rows.rows[i].state == JOBQ_ROW_RUNNING;
        ended += rows.rows[i].state == JOBQ_ROW_COMPLETED;
    }
    ck_assert_int_eq(entries(k, "ZCARD", "clock"), running + 1);
    ck_assert_int_eq(entries(k, "HLEN", "held"), running);
    ck_assert_int_eq(entries(k, "ZCARD", "ended:4:q") + entries(k, "ZCARD", "ended:4:r"), ended);
}

/* ---- the two sides ---------------------------------------------------------------------------------------------- */

static struct kit kit;
static struct side ours, theirs;

static void begin_sides(void)
{
    const struct jobq_store_options options = { .size = sizeof options, .uri = "memory:one", .io_timeout_ms = 2000 };
    kit_begin(&kit, NULL);
    ours = (struct side){ .backend = jobq_redis(), .store = kit.store, .arena = kit.arena, .slack_part = 128 };
    theirs = (struct side){ .backend = jobq_memory(), .arena = jobq_arena_create() };
    ck_assert_int_eq(theirs.backend->open(&theirs.store, &options, &theirs.err), JOBQ_OK);
}

static void end_sides(void)
{
    theirs.backend->close(theirs.store);
    jobq_arena_destroy(theirs.arena);
    kit_end(&kit);
}

static void put_both(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i <= to; i++) {
        put(&ours, put_of(i));
        put(&theirs, put_of(i));
    }
}

static void turn_both(uint32_t i, int64_t keep)
{
    turn(&ours, i, keep);
    turn(&theirs, i, keep);
    same_answer(&ours, &theirs);
}

/* How often the server ran a command since the last time. */
static long long calls_of(const char *command)
{
    char line[64];
    redisReply *reply = redis_server_ask(&kit.server, "INFO commandstats");
    snprintf(line, sizeof line, "cmdstat_%s:calls=", command);
    const char *at = strstr(reply->str, line);
    long long calls = at ? atoll(at + strlen(line)) : 0;
    freeReplyObject(reply);
    redis_server_do(&kit.server, "CONFIG RESETSTAT");
    return calls;
}

START_TEST(one_for_one_comes_to_what_the_memory_store_comes_to)
{
    begin_sides();
    put_both(1, 300);
    ours.careless = theirs.careless = true;
    for (uint32_t i = 1; i <= 310; i++) {
        turn_both(i, -1);
        if (i % 20 == 0)
            same_store(&ours, &theirs);
        if (i == 150)
            put_both(301, 310);
    }
    same_store(&ours, &theirs);
    no_leftovers(&kit, &ours);
    same_overdue(&ours, &theirs);
    end_sides();
}
END_TEST

/* A repeat answers as before and does nothing. */
START_TEST(a_repeat_of_one_for_one_does_nothing)
{
    begin_sides();
    for (uint32_t i = 1; i <= 5; i++)
        put_both(i, i);
    turn(&ours, 1, -1);
    turn(&ours, 2, -1);
    struct jobq_id first = ours.want.rows[0].id;
    struct jobq_token token = ours.want.token;
    run(&ours);
    ck_assert_uint_eq(ours.want.row_count, 1);
    ck_assert_int_eq(ours.change.verdict, JOBQ_OK);
    ck_assert(memcmp(&first, &ours.want.rows[0].id, sizeof first) == 0);
    ck_assert(memcmp(&token, &ours.want.rows[0].token, sizeof token) == 0);
    ck_assert_uint_eq(stats_of(&ours).completed_total, 1);
    end_sides();
}
END_TEST

/* The short way reads one key at a time: HMGET is left for the store's head. */
START_TEST(plain_jobs_are_taken_the_short_way)
{
    begin_sides();
    for (uint32_t i = 1; i <= 30; i++)
        put(&ours, plain(i));
    turn(&ours, 1, 1000);
    calls_of("hmget");
    for (uint32_t i = 2; i <= 22; i++)
        turn(&ours, i % 4 + 1, 1000);
    ck_assert_int_eq(calls_of("hmget"), 21);
    end_sides();
}
END_TEST

/* While jobs come, few beyond the count stay until there are enough of them; the newest are never taken, and in the end the count is
 * kept (rule 14). */
START_TEST(rows_beyond_the_count_go_some_at_a_time)
{
    begin_sides();
    for (uint32_t i = 1; i <= 300; i++)
        put(&ours, plain(i));
    uint64_t most = 0;
    for (uint32_t i = 1; i <= 300; i++) {
        ours.slack_part = i < 150 ? 128 : i < 220 ? 16 : 0;
        turn(&ours, i % 16 + 1, 128);
        uint64_t there = stats_of(&ours).present[JOBQ_COMPLETED];
        ck_assert_uint_le(there, i < 150 ? 129 : i < 220 ? 136 : 128);
        ck_assert(i < 140 || there >= 128);
        most = there > most ? there : most;
    }
    ck_assert_uint_gt(most, 129); /* what is handed in by the long way leaves none */
    turn(&ours, 1, 128); /* the last is handed in, and there is none to take */
    ck_assert_uint_eq(stats_of(&ours).present[JOBQ_COMPLETED], 128);
    end_sides();
}
END_TEST

/* ---- a put of its own ------------------------------------------------------------------------------------------- */

static void pass_time_of(struct side *s, int64_t ms)
{
    const struct jobq_settings clock = { .size = sizeof clock, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms };
    ck_assert_int_eq(s->backend->configure(s->store, &clock, &s->err), JOBQ_OK);
}

static void allow(struct side *s, int64_t depth)
{
    const struct jobq_settings most = {.size = sizeof most,
                                       .what = JOBQ_CONFIGURE_QUEUE,
                                       .name = queue,
                                       .set = JOBQ_SETTING_DEPTH,
                                       .depth = depth };
    ck_assert_int_eq(s->backend->configure(s->store, &most, &s->err), JOBQ_OK);
}

static struct jobq_put lone_put(struct side *s, struct jobq_put p)
{
    begin(s);
    p.only_if = -1;
    s->x.puts = &p;
    s->x.put_count = 1;
    run(s);
    return p;
}

/* How long from now until something happens by time alone, to the second: the clocks are two. */
static int64_t rest_of(const struct side *s)
{
    return s->x.next_due_ms == INT64_MAX ? INT64_MAX : (s->x.next_due_ms - s->x.now_ms + 500) / 1000;
}

static void lone_both(struct jobq_put p)
{
    struct jobq_put x = lone_put(&ours, p), y = lone_put(&theirs, p);
    ck_assert_int_eq(x.verdict, y.verdict);
    ck_assert_int_eq(x.same_payload, y.same_payload);
    ck_assert_int_eq(x.state, y.state);
    if (ours.x.next_due_ms < INT64_MAX / 2) /* so far away they are not told from each other to the second */
        ck_assert_int_eq(rest_of(&ours), rest_of(&theirs));
    else
        ck_assert(theirs.x.next_due_ms >= INT64_MAX / 2);
}

/* Into a full queue, of an id that is there, before what is delayed, and when the clock went back. */
START_TEST(a_put_of_its_own_comes_to_what_the_memory_store_comes_to)
{
    begin_sides();
    for (uint32_t i = 1; i <= 30; i++) {
        struct jobq_put later = plain(i + 100), again = plain(i);
        later.run_at = (struct jobq_time){ JOBQ_TIME_NOW, i == 3 ? INT64_MAX - 5000 : i * 10000 };
        again.payload = i % 2 ? again.payload : (struct jobq_bytes){ "other", 5 };
        lone_both(plain(i));
        lone_both(again);
        if (i >= 3 && i % 5 == 3)
            lone_both(later);
        if (i == 20 || i == 22 || i == 29) {
            pass_time_of(&ours, i == 20 ? 30000 : i == 22 ? -60000 : 60000);
            pass_time_of(&theirs, i == 20 ? 30000 : i == 22 ? -60000 : 60000);
        }
        if (i == 24 || i == 27) {
            allow(&ours, i == 24 ? 25 : -1);
            allow(&theirs, i == 24 ? 25 : -1);
        }
    }
    same_store(&ours, &theirs);
    end_sides();
}
END_TEST

/* The long way writes rows and head by an HSET each. */
START_TEST(plain_puts_take_the_short_way)
{
    begin_sides();
    put(&ours, plain(1));
    calls_of("hset");
    for (uint32_t i = 2; i <= 20; i++)
        put(&ours, plain(i));
    ck_assert_int_eq(calls_of("hset"), 19);
    run(&ours); /* a repeat */
    ck_assert_uint_eq(stats_of(&ours).enqueued_total, 20);
    end_sides();
}
END_TEST

KIT_MAIN("redis one at a time", 120, one_for_one_comes_to_what_the_memory_store_comes_to,
         a_repeat_of_one_for_one_does_nothing, plain_jobs_are_taken_the_short_way,
         rows_beyond_the_count_go_some_at_a_time, a_put_of_its_own_comes_to_what_the_memory_store_comes_to,
         plain_puts_take_the_short_way)
