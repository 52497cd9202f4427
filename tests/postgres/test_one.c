/* SPDX-License-Identifier: MIT */
/* The short way of an exchange that ends one job and takes the next: it is gone where nothing is special,
 * each thing that is special leads to the usual way, and both say the same. A receipt of both parts tells which way
 * was gone. */
#include "kit.h"

#include <stdio.h>
#include <string.h>

enum { KEEP = 1280, SLACK = 10 };

static struct jobq_arena *arena;
static const struct jobq_bytes queue = {"q", 1};

/* To make a schema anew takes longer than all the rest. */
static void clean(void)
{
    sql("TRUNCATE @.job, @.queue, @.key, @.edge, @.receipt, @.tally, @.worker RESTART IDENTITY; "
        "UPDATE @.meta SET events = 0");
}

struct swap {
    struct jobq_change end;
    struct jobq_want want;
    struct jobq_exchange x;
};

/* Ends `row` and asks for one. */
static void swap_of(struct swap *w, const struct jobq_row *row)
{
    memset(w, 0, sizeof *w);
    w->end = (struct jobq_change){.id = row->id,
                                  .by = JOBQ_BY_TOKEN,
                                  .token = row->token,
                                  .edits = row->edits,
                                  .outcome = JOBQ_OUTCOME_COMPLETE,
                                  .state = JOBQ_ROW_COMPLETED,
                                  .set = JOBQ_SET_RESULT,
                                  .result = {"done", 4}};
    w->want = (struct jobq_want){.mode = JOBQ_WANT_DUE,
                                 .queues = &queue,
                                 .queue_count = 1,
                                 .limit = 1,
                                 .bytes = 1 << 20,
                                 .lease_ms = 30000,
                                 .worker = {"w", 1},
                                 .mint = "mintmin"};
    w->x = (struct jobq_exchange){.changes = &w->end,
                                  .change_count = 1,
                                  .want = &w->want,
                                  .trim = {.limit = 18, .slack_part = 128, .slack_most = 16}};
    for (int i = 0; i < 8; i++)
        w->x.trim.keep_count[i] = KEEP;
}

static bool run_short(struct jobq_store *s, struct swap *w)
{
    ck_assert_msg(exchange(s, &w->x) == JOBQ_OK && w->x.want_unit == JOBQ_OK, "%s", last.text);
    return sql_value("SELECT count(*) FROM @.receipt WHERE part = 0 AND more IS NOT NULL AND number = %llu",
                     (unsigned long long)w->x.number) == 1;
}

/* ---- what leads to the usual way
 * ------------------------------------------------------------------------------- */

struct scene {
    struct jobq_store *s;
    struct jobq_row held; /* what the exchange ends */
    struct swap swap;
};

/* Jobs 1 to 3, the first of them held; `first` and `second` have what a test gave them. */
static void open_scene(struct scene *c, const struct jobq_put *first, const struct jobq_put *second)
{
    const struct jobq_row *rows;
    struct jobq_put puts[] = {*first, *second, put_of(3)};
    struct jobq_exchange x = {.puts = puts, .put_count = 3};
    c->s = store_open(uri_with(""));
    ck_assert_msg(exchange(c->s, &x) == JOBQ_OK, "%s", last.text);
    ck_assert_uint_eq(claim_jobs(c->s, 1, &rows), 1);
    c->held = rows[0];
    swap_of(&c->swap, &c->held);
}

static void open_plain(struct scene *c)
{
    const struct jobq_put first = put_of(1), second = put_of(2);
    open_scene(c, &first, &second);
}

/* The usual way was gone, the job completed, and `number` was claimed (0: none). */
static void goes_long(struct scene *c, uint32_t number)
{
    ck_assert(!run_short(c->s, &c->swap));
    ck_assert_int_eq(c->swap.end.verdict, JOBQ_OK);
    ck_assert_uint_eq(c->swap.want.row_count, number ? 1 : 0);
    if (number)
        ck_assert_uint_eq(c->swap.want.rows[0].id.bytes[15], number);
    ck_assert_int_eq(sql_value("SELECT state FROM @.job WHERE id = '00000000-0000-0000-0000-000000000001'"),
                     4);
    store_close(c->s);
    clean();
}

static void after(const char *statement, uint32_t number)
{
    struct scene c;
    open_plain(&c);
    sql("%s", statement);
    goes_long(&c, number);
}

START_TEST(what_the_store_says)
{
    after("UPDATE @.queue SET paused = true", 0);
    after("UPDATE @.queue SET grouped = true", 2);
    after("UPDATE @.queue SET concurrency = 0", 0);
    after("UPDATE @.queue SET group_concurrency = 1", 2);
    after("UPDATE @.queue SET rate = 0, rate_ms = 1000", 0);
    after("UPDATE @.meta SET events = 10", 2);
    after("UPDATE @.job SET children = 1 WHERE state = 3; INSERT INTO @.edge SELECT j.id, h.id, 2, false, "
          "true FROM @.job AS j,"
          " @.job AS h WHERE h.state = 3 AND j.state = 2 LIMIT 1",
          2);
    after("UPDATE @.job SET flags = flags | 64 WHERE state = 3", 2);
    after("UPDATE @.job SET shelf = NULL, place = NULL, clock = 1, state = 1 WHERE state = 2",
          0); /* nothing waits */
}
END_TEST

START_TEST(what_the_jobs_have)
{
    const struct jobq_put plain = put_of(1), next = put_of(2);
    struct jobq_put_key key = {.scope = "scope", .payload_digest = "digest", .hold = JOBQ_HOLD_LIVE};
    struct scene c;
    struct jobq_put special = plain;
    special.unique = &key;
    open_scene(&c, &special, &next); /* its end lets the key go */
    goes_long(&c, 2);
    special = next;
    key.hold = JOBQ_HOLD_WAITING;
    special.unique = &key;
    open_scene(&c, &plain, &special); /* its claim does */
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.key"), 1);
    ck_assert(!run_short(c.s, &c.swap));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.key"), 0);
    store_close(c.s);
    clean();
    special = plain;
    special.group = (struct jobq_bytes){"g", 1};
    open_scene(&c, &special, &next);
    swap_of(&c.swap, &c.held);
    ck_assert(!run_short(c.s, &c.swap));
    store_close(c.s);
    clean();
    special = next;
    special.expires_at = (struct jobq_time){JOBQ_TIME_NOW, 1000000};
    open_scene(&c, &plain, &special);
    goes_long(&c, 2);
}
END_TEST

/* Its time has come, and it stands before the others. */
START_TEST(a_delay_that_is_over)
{
    const struct jobq_settings later = {.size = sizeof later, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = 5000};
    const struct jobq_put first = put_of(1);
    struct jobq_put second = put_of(2);
    struct scene c;
    second.run_at = (struct jobq_time){JOBQ_TIME_NOW, 4000};
    second.rank_add_ms = -1000000;
    open_scene(&c, &first, &second);
    ck_assert_int_eq(jobq_postgres()->configure(c.s, &later, &last), JOBQ_OK);
    goes_long(&c, 2);
}
END_TEST

START_TEST(what_the_exchange_holds)
{
    const struct jobq_bytes two[] = {{"q", 1}, {"r", 1}};
    struct jobq_worker_record worker = {.name = {"w", 1}, .lease_ms = 30000};
    struct jobq_put put = put_of(9);
    struct scene c;
    open_plain(&c);
    c.swap.want.limit = 2;
    ck_assert(!run_short(c.s, &c.swap) && c.swap.want.row_count == 2);
    store_close(c.s);
    clean();
    open_plain(&c);
    c.swap.want.queues = two;
    c.swap.want.queue_count = 2;
    goes_long(&c, 2);
    open_plain(&c);
    c.swap.want.mode = JOBQ_WANT_ALONE;
    goes_long(&c, 0);
    open_plain(&c);
    c.swap.x.worker = &worker;
    goes_long(&c, 2);
    open_plain(&c);
    c.swap.x.puts = &put;
    c.swap.x.put_count = 1;
    goes_long(&c, 2);
    open_plain(&c);
    c.swap.end.set |= JOBQ_SET_PROGRESS;
    goes_long(&c, 2);
}
END_TEST

START_TEST(an_outcome_that_does_not_count)
{
    struct scene c;
    open_plain(&c);
    c.swap.end.token.bytes[15] ^= 1;
    ck_assert(!run_short(c.s, &c.swap));
    ck_assert_int_eq(c.swap.end.verdict, JOBQ_STALE);
    ck_assert_uint_eq(c.swap.want.row_count, 1);
    store_close(c.s);
    clean();
    open_plain(&c);
    sql("UPDATE @.job SET edits = 7 WHERE state = 3");
    ck_assert(!run_short(c.s, &c.swap));
    ck_assert_int_eq(c.swap.end.verdict, JOBQ_OUTDATED);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 3"), 2);
    store_close(c.s);
}
END_TEST

/* ---- the short way itself
 * ---------------------------------------------------------------------------------------- */

static struct jobq_row read_row(struct jobq_store *s, struct jobq_id id)
{
    struct jobq_query query = {
        .size = sizeof query, .ids = &id, .id_count = 1, .flags = JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT};
    ck_assert_msg(jobq_postgres()->read(s, &query, arena, &last) == JOBQ_OK, "%s", last.text);
    ck_assert_uint_eq(query.row_count, 1);
    return query.rows[0];
}

static bool bytes_equal(struct jobq_bytes a, struct jobq_bytes b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static void check_same(const struct jobq_row *given, const struct jobq_row *read)
{
    ck_assert_mem_eq(given->token.bytes, read->token.bytes, 16);
    ck_assert(bytes_equal(given->payload, read->payload) && bytes_equal(given->policy, read->policy));
    ck_assert(bytes_equal(given->queue, read->queue) && bytes_equal(given->kind, read->kind));
    ck_assert(bytes_equal(given->key, read->key) && bytes_equal(given->trace, read->trace));
    ck_assert(bytes_equal(given->worker, read->worker));
    ck_assert(given->state == read->state && given->attempt == read->attempt &&
              given->priority == read->priority);
    ck_assert(given->rank_add_ms == read->rank_add_ms && given->run_at_ms == read->run_at_ms);
    ck_assert(given->created_at_ms == read->created_at_ms && given->started_at_ms == read->started_at_ms);
    ck_assert(given->lease_until_ms == read->lease_until_ms && given->stop_at_ms == read->stop_at_ms);
    ck_assert(given->timeout_ms == read->timeout_ms && given->ran_alone == read->ran_alone &&
              given->edits == read->edits);
    ck_assert(given->releases == read->releases && given->failures == read->failures &&
              given->fence == read->fence);
}

START_TEST(what_it_does)
{
    const struct jobq_put first = put_of(1);
    struct jobq_put second = put_of(2);
    struct scene c;
    arena = jobq_arena_create();
    second.priority = 3;
    second.rank_add_ms = 5;
    second.timeout_ms = 7000;
    second.policy = (struct jobq_bytes){"policy", 6};
    second.key = (struct jobq_bytes){"key", 3};
    second.trace = (struct jobq_bytes){"trace", 5};
    open_scene(&c, &first, &second);
    sql("UPDATE @.job SET place = created_at - 1000, run_at = created_at - 1000 - rank_add, releases = 4, "
        "progress = 'x',"
        " flags = 8, edits = 2 WHERE id = '00000000-0000-0000-0000-000000000002'");
    ck_assert(run_short(c.s, &c.swap));
    ck_assert_int_eq(c.swap.end.verdict, JOBQ_OK);
    ck_assert_ptr_null(c.swap.end.row);
    ck_assert_uint_eq(c.swap.want.row_count, 1);
    const struct jobq_row *given = c.swap.want.rows, held = read_row(c.s, given->id),
                          ended = read_row(c.s, c.held.id);
    ck_assert_uint_eq(given->id.bytes[15], 2);
    check_same(given, &held);
    ck_assert(held.attempt == 1 && held.ran_alone && !held.resumed && !held.progress.size);
    ck_assert_int_eq(held.stop_at_ms, held.started_at_ms + 7000);
    ck_assert_int_eq(c.swap.x.next_due_ms, held.lease_until_ms);
    ck_assert_int_eq(c.swap.x.now_ms, held.started_at_ms);
    ck_assert(ended.state == JOBQ_ROW_COMPLETED && ended.outcome == JOBQ_OUTCOME_COMPLETE &&
              !ended.lease_until_ms);
    ck_assert_mem_eq(ended.token.bytes, c.held.token.bytes, 16);
    ck_assert(ended.finished_at_ms == c.swap.x.now_ms &&
              bytes_equal(ended.result, (struct jobq_bytes){"done", 4}));
    ck_assert_int_eq(sql_value("SELECT @.present(1, 2)"), 1);
    ck_assert_int_eq(sql_value("SELECT @.present(1, 4)"), 1);
    ck_assert_int_eq(sql_value("SELECT @.present(1, 5)"), 1);
    store_close(c.s);
    jobq_arena_destroy(arena);
}
END_TEST

/* Whoever did not hear the answer asks again, and an older request is given up. */
START_TEST(the_same_number_again)
{
    struct scene c;
    open_plain(&c);
    ck_assert(run_short(c.s, &c.swap));
    struct jobq_token token = c.swap.want.token;
    for (int i = 0; i < 3; i++) {
        struct swap again = c.swap;
        again.end.verdict = JOBQ_STALE;
        again.want.row_count = 0;
        again.x.changes = &again.end;
        again.x.want = &again.want;
        ck_assert_int_eq(exchange(c.s, &again.x), JOBQ_OK);
        ck_assert_int_eq(again.end.verdict, JOBQ_OK);
        ck_assert_uint_eq(again.want.row_count, 1);
        ck_assert_uint_eq(again.want.rows[0].id.bytes[15], 2);
        ck_assert_mem_eq(again.want.token.bytes, token.bytes, 16);
        if (i == 1) { /* another handle of the same client */
            store_close(c.s);
            c.s = store_open(uri_with(""));
        }
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 3"), 1);
    struct swap next, old = c.swap;
    c.held = c.swap.want.rows[0];
    swap_of(&next, &c.held);
    ck_assert_int_eq(exchange(c.s, &next.x), JOBQ_OK);
    old.x.changes = &old.end;
    old.x.want = &old.want;
    ck_assert_int_ne(exchange(c.s, &old.x), JOBQ_OK);
    store_close(c.s);
}
END_TEST

/* The receipt before goes with the next one, whichever way either was left. */
START_TEST(one_receipt_a_client)
{
    const struct jobq_row *rows;
    struct scene c;
    open_plain(&c);
    ck_assert(run_short(c.s, &c.swap));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt"), 1);
    c.held = c.swap.want.rows[0];
    swap_of(&c.swap, &c.held);
    ck_assert(run_short(c.s, &c.swap));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt"), 1);
    ck_assert_int_eq(put_job(c.s, 9), JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt WHERE items = '{0,0,1}' AND ids IS NULL"), 1);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt"), 1);
    ck_assert_int_eq(put_job(c.s, 10), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(c.s, 1, &rows), 1); /* the usual way */
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt WHERE part = 1"), 1);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt"), 1);
    c.held = rows[0];
    swap_of(&c.swap, &c.held);
    ck_assert(run_short(c.s, &c.swap));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt WHERE items = '{0,1,0}'"), 1);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt"), 1);
    store_close(c.s);
}
END_TEST

/* ---- retention
 * ------------------------------------------------------------------------------------------------------ */

static int64_t completed(void)
{
    return sql_value("SELECT count(*) FROM @.job WHERE state = 4");
}

static void put_many(struct jobq_store *s, uint32_t first, uint32_t count)
{
    static struct jobq_put puts[200];
    for (uint32_t i = 0; i < count; i++)
        puts[i] = put_of(first + i);
    struct jobq_exchange x = {.puts = puts, .put_count = count};
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
}

/* Ends what is held and takes another, with this retention. */
static void swap_keeping(struct jobq_store *s, struct jobq_row *held, int64_t count, int64_t ms)
{
    struct swap w;
    swap_of(&w, held);
    w.x.trim.keep_count[JOBQ_ROW_COMPLETED] = count;
    w.x.trim.keep_ms[JOBQ_ROW_COMPLETED] = ms;
    ck_assert(run_short(s, &w));
    *held = w.want.rows[0];
}

START_TEST(retention)
{
    const struct jobq_settings later = {
        .size = sizeof later, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = 60000};
    const struct jobq_row *rows;
    int64_t most = 0, least = INT64_MAX;
    struct jobq_store *s = store_open(uri_with(""));
    put_many(s, 1, 120);
    ck_assert_uint_eq(claim_jobs(s, 1, &rows), 1);
    struct jobq_row held = rows[0];
    for (int i = 0; i < 8; i++) /* no slack: to the row */
        swap_keeping(s, &held, 5, 0);
    ck_assert_int_eq(completed(), 5);
    /* As many more as a slack lets stay, as if there were so many. */
    sql("INSERT INTO @.tally VALUES (1, 0, 5, %d)", KEEP - 5);
    sql("INSERT INTO @.job (id, payload_bytes, run_at, rank_add, created_at, queue, priority, state, "
        "outcome, finished_at, kind)"
        " SELECT gen_random_uuid(), 0, 0, 0, 0, 1, 0, 4, 1, 1000 + i, 'k' FROM generate_series(1, %d) AS i",
        KEEP - 5);
    sql("SELECT nextval('@.jump')"); /* they stand before the front */
    for (int i = 0; i < 40; i++) {
        swap_keeping(s, &held, KEEP, 0);
        most = completed() > most ? completed() : most;
        least = completed() < least ? completed() : least;
    }
    ck_assert_int_ge(least, KEEP);
    ck_assert_int_gt(most, KEEP);
    ck_assert_int_le(most, KEEP + SLACK);
    for (int i = 0; i < 4; i++) { /* none waits */
        struct swap w;
        swap_of(&w, &held);
        w.x.trim.slack_most = 0;
        ck_assert(run_short(s, &w));
        held = w.want.rows[0];
        ck_assert_int_eq(completed(), KEEP);
    }
    /* A count that was lowered holds at once, as fast as one exchange may remove. */
    for (int i = 0; i < 3; i++) {
        int64_t before = completed();
        swap_keeping(s, &held, KEEP - 100, 0);
        ck_assert_int_eq(completed(), before + 1 - 18);
    }
    /* What is too old goes when it is too old. */
    for (int i = 0; i < 10; i++)
        swap_keeping(s, &held, -1, 1000000000);
    ck_assert_int_gt(completed(), 0);
    sql("DELETE FROM @.job WHERE state = 4 AND finished_at < 100000");
    for (int i = 0; i < 4; i++)
        swap_keeping(s, &held, -1, 30000);
    int64_t young = completed();
    ck_assert_int_eq(jobq_postgres()->configure(s, &later, &last), JOBQ_OK);
    for (int i = 0; i < 6; i++)
        swap_keeping(s, &held, -1, 30000);
    ck_assert_int_gt(young, 6);
    ck_assert_int_eq(completed(), 6);
    store_close(s);
}
END_TEST

/* Several workers leave no more together than one. */
START_TEST(retention_of_many_workers)
{
    const struct jobq_row *rows;
    struct jobq_row held[4];
    struct jobq_store *s[4];
    for (int i = 0; i < 4; i++)
        s[i] = store_open(uri_with(""));
    put_many(s[0], 1, 120);
    sql("INSERT INTO @.worker SELECT 'w', decode(lpad(i::text, 16, '0'), 'hex'), '', '', '', 1, 1, (SELECT "
        "max(created_at) FROM @.job),"
        " 30000, 1, 0 FROM generate_series(1, 4) AS i");
    sql("INSERT INTO @.tally VALUES (1, 0, 5, %d)", KEEP);
    sql("INSERT INTO @.job (id, payload_bytes, run_at, rank_add, created_at, queue, priority, state, "
        "outcome, finished_at, kind)"
        " SELECT gen_random_uuid(), 0, 0, 0, 0, 1, 0, 4, 1, 1000 + i, 'k' FROM generate_series(1, %d) AS i",
        KEEP);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(claim_jobs(s[i], 1, &rows), 1);
        held[i] = rows[0];
    }
    for (int i = 0; i < 80; i++) {
        swap_keeping(s[i % 4], &held[i % 4], KEEP, 0);
        ck_assert_int_le(completed(), KEEP + SLACK);
    }
    for (int i = 0; i < 4; i++)
        store_close(s[i]);
}
END_TEST

/* ---- a put of its own --------------------------------------------------------------------------------- */

/* Which way was gone; the verdicts are in `puts`. */
static bool puts_short(struct jobq_store *s, struct jobq_put *puts, size_t count)
{
    struct jobq_exchange x = {.puts = puts, .put_count = count};
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    return sql_value("SELECT count(*) FROM @.receipt WHERE part = 0 AND more IS NOT NULL AND number = %llu",
                     (unsigned long long)x.number) == 1;
}

static bool put_short(struct jobq_store *s, struct jobq_put *put)
{
    return puts_short(s, put, 1);
}

/* A handle that has put job 1, so that there is a queue. */
static struct jobq_store *open_put(void)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_put first = put_of(1);
    ck_assert(!put_short(s, &first));
    store_close(s);
    return store_open(uri_with(""));
}

/* By itself, and before and between others that nothing is special about. */
static void puts_long(struct jobq_put put, const char *statement, int verdict)
{
    for (size_t count = 1; count <= 3; count++) {
        struct jobq_put puts[] = {put_of(20), put_of(21), put_of(22)};
        size_t at = count == 3;
        puts[at] = put;
        struct jobq_store *s = open_put();
        sql("%s", statement);
        ck_assert(!puts_short(s, puts, count));
        ck_assert_int_eq(puts[at].verdict, verdict);
        store_close(s);
        clean();
    }
}

START_TEST(what_a_put_has)
{
    const struct jobq_parent parent = {.id = id_of(1), .rule = JOBQ_PARENT_CANCEL};
    const struct jobq_put plain = put_of(2);
    struct jobq_put put = plain;
    put.group = (struct jobq_bytes){"g", 1};
    puts_long(put, "SELECT 1", JOBQ_OK);
    put = plain;
    put.run_at = (struct jobq_time){JOBQ_TIME_NOW, 1000};
    puts_long(put, "SELECT 1", JOBQ_OK);
    put = plain;
    put.expires_at = (struct jobq_time){JOBQ_TIME_NOW, 1000};
    puts_long(put, "SELECT 1", JOBQ_OK);
    put = plain;
    put.rank_add_ms = -5000;
    puts_long(put, "SELECT 1", JOBQ_OK);
    put = plain;
    put.held = 1;
    puts_long(put, "SELECT 1", JOBQ_OK);
    put = plain;
    put.parents = &parent;
    put.parent_count = 1;
    puts_long(put, "SELECT 1", JOBQ_OK);
    puts_long(plain, "UPDATE @.meta SET events = 10", JOBQ_OK);
    puts_long(plain, "UPDATE @.queue SET depth = 1", JOBQ_FULL);
    puts_long(plain, "UPDATE @.queue SET depth = 4", JOBQ_OK);
    puts_long(put_of(1), "SELECT 1", JOBQ_ALREADY);
    put = plain;
    put.queue = (struct jobq_bytes){"other", 5};
    puts_long(put, "SELECT 1", JOBQ_OK);
}
END_TEST

/* What is taken, what has run out, and a key whose put is not made. */
START_TEST(a_put_with_a_key)
{
    struct jobq_put_key key = {
        .scope = "scope", .payload_digest = "digest", .hold = JOBQ_HOLD_WINDOW, .window_ms = 1000};
    struct jobq_store *s = open_put();
    struct jobq_put put = put_of(2);
    put.unique = &key;
    ck_assert(put_short(s, &put));
    ck_assert_int_eq(put.verdict, JOBQ_OK);
    ck_assert_int_eq(
        sql_value("SELECT count(*) FROM @.key AS k JOIN @.job AS j ON k.job = j.id AND k.scope = j.key_scope"
                  " AND k.digest = j.key_digest AND k.hold = j.key_hold AND k.until = j.key_until"
                  " AND k.until = j.created_at + 1000 AND octet_length(k.scope) = 32"),
        1);
    put = put_of(3);
    put.unique = &key;
    ck_assert(!put_short(s, &put));
    ck_assert_int_eq(put.verdict, JOBQ_DUPLICATE);
    ck_assert_uint_eq(put.holder.bytes[15], 2);
    store_close(s);
    s = store_open(uri_with(""));
    memcpy(key.scope, "other", 5);
    put = put_of(2); /* the id is there, and lets the other key go */
    put.unique = &key;
    ck_assert(!put_short(s, &put));
    ck_assert_int_eq(put.verdict, JOBQ_ALREADY);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.key"), 1);
    store_close(s);
    s = store_open(uri_with(""));
    sql("UPDATE @.key SET fades = 1, ended = 4");
    put = put_of(4);
    put.unique = &key;
    ck_assert(!put_short(s, &put));
    ck_assert_int_eq(put.verdict, JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.key WHERE fades IS NOT NULL"), 0);
    store_close(s);
}
END_TEST

START_TEST(what_a_put_does)
{
    struct jobq_store *s = open_put();
    struct jobq_put put = put_of(2);
    put.run_at = (struct jobq_time){JOBQ_TIME_NOW, 0};
    put.rank_add_ms = 7;
    put.priority = 1;
    put.timeout_ms = 5000;
    put.policy = (struct jobq_bytes){"policy", 6};
    put.key = (struct jobq_bytes){"key", 3};
    put.trace = (struct jobq_bytes){"trace", 5};
    put.payload = (struct jobq_bytes){"payload", 7};
    arena = jobq_arena_create();
    sql("UPDATE @.job SET clock = 9000000000000");
    struct jobq_exchange x = {.puts = &put, .put_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt WHERE part = 0 AND more IS NOT NULL"), 1);
    ck_assert_int_eq(x.next_due_ms, 9000000000000);
    ck_assert_int_eq(x.next_tick_ms, INT64_MAX);
    ck_assert(put.verdict == JOBQ_OK && put.state == JOBQ_ROW_WAITING && put.shown == JOBQ_READY &&
              put.same_payload);
    ck_assert_mem_eq(put.holder.bytes, put.id.bytes, 16);
    const struct jobq_row row = read_row(s, put.id);
    ck_assert(row.created_at_ms == x.now_ms && row.run_at_ms == x.now_ms && row.rank_add_ms == 7);
    ck_assert(row.priority == 1 && row.timeout_ms == 5000 && row.due && row.payload_bytes == 7 &&
              !row.expires_at_ms && row.attempt == 0 && row.state == JOBQ_ROW_WAITING);
    ck_assert(bytes_equal(row.policy, put.policy) && bytes_equal(row.key, put.key));
    ck_assert(bytes_equal(row.trace, put.trace) && bytes_equal(row.payload, put.payload));
    ck_assert(bytes_equal(row.queue, put.queue) && bytes_equal(row.kind, put.kind));
    ck_assert_int_eq(sql_value("SELECT @.present(1, 2)"), 2);
    ck_assert_int_eq(sql_value("SELECT place - run_at FROM @.job WHERE rank_add = 7"), 7);
    for (int i = 0; i < 2; i++) { /* again: as it was answered, though the row has gone meanwhile */
        struct jobq_put same = put;
        same.verdict = same.state = 0;
        struct jobq_exchange again = x;
        again.puts = &same;
        ck_assert_int_eq(exchange(s, &again), JOBQ_OK);
        ck_assert(same.verdict == JOBQ_OK && same.state == JOBQ_ROW_WAITING);
        sql("DELETE FROM @.job WHERE rank_add = 7");
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 1);
    store_close(s);
    jobq_arena_destroy(arena);
}
END_TEST

/* ---- puts of their own, together ------------------------------------------------------------------------
 */

/* Each as it was put, in one receipt that answers a repeat. */
START_TEST(what_many_puts_do)
{
    struct jobq_put_key key = {
        .scope = "scope", .payload_digest = "digest", .hold = JOBQ_HOLD_WINDOW, .window_ms = 1000};
    struct jobq_store *s = open_put();
    struct jobq_put puts[] = {put_of(2), put_of(3), put_of(4)};
    puts[0].payload = (struct jobq_bytes){"payload", 7};
    puts[1].rank_add_ms = 7;
    puts[1].priority = 1;
    puts[1].policy = (struct jobq_bytes){"policy", 6};
    puts[1].trace = (struct jobq_bytes){"trace", 5};
    puts[2].timeout_ms = 5000;
    puts[2].key = (struct jobq_bytes){"key", 3};
    puts[2].unique = &key;
    arena = jobq_arena_create();
    sql("UPDATE @.job SET clock = 9000000000000");
    struct jobq_exchange x = {.puts = puts, .put_count = 3};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt WHERE part = 0 AND more IS NOT NULL AND items = '{0,0,3}'"), 1);
    ck_assert_int_eq(x.next_due_ms, 9000000000000);
    for (int i = 0; i < 3; i++) {
        const struct jobq_row row = read_row(s, puts[i].id);
        ck_assert(puts[i].verdict == JOBQ_OK && puts[i].state == JOBQ_ROW_WAITING &&
                  puts[i].shown == JOBQ_READY && puts[i].same_payload);
        ck_assert_mem_eq(puts[i].holder.bytes, puts[i].id.bytes, 16);
        ck_assert(row.created_at_ms == x.now_ms && row.run_at_ms == x.now_ms && row.due && !row.attempt);
        ck_assert(row.rank_add_ms == puts[i].rank_add_ms && row.priority == puts[i].priority &&
                  row.timeout_ms == puts[i].timeout_ms && row.payload_bytes == puts[i].payload.size);
        ck_assert(bytes_equal(row.payload, puts[i].payload) && bytes_equal(row.policy, puts[i].policy));
        ck_assert(bytes_equal(row.key, puts[i].key) && bytes_equal(row.trace, puts[i].trace));
        ck_assert(bytes_equal(row.queue, puts[i].queue) && bytes_equal(row.kind, puts[i].kind));
    }
    ck_assert_int_eq(sql_value("SELECT place - run_at FROM @.job WHERE rank_add = 7"), 7);
    ck_assert_int_eq(
        sql_value("SELECT count(*) FROM @.key AS k JOIN @.job AS j ON k.job = j.id AND k.scope = j.key_scope"
                  " AND k.digest = j.key_digest AND k.hold = j.key_hold AND k.until = j.key_until"
                  " AND k.until = j.created_at + 1000"),
        1);
    ck_assert_int_eq(
        sql_value("SELECT count(*) FROM @.job WHERE key_scope IS NOT NULL OR key_hold IS NOT NULL"), 1);
    ck_assert_int_eq(sql_value("SELECT @.present(1, 2)"), 4);
    sql("DELETE FROM @.job WHERE rank_add = 7");
    struct jobq_put same[] = {puts[0], puts[1], puts[2]};
    for (int i = 0; i < 3; i++)
        same[i].verdict = same[i].state = 0;
    struct jobq_exchange again = x;
    again.puts = same;
    ck_assert_int_eq(exchange(s, &again), JOBQ_OK);
    for (int i = 0; i < 3; i++)
        ck_assert(same[i].verdict == JOBQ_OK && same[i].state == JOBQ_ROW_WAITING);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 3);
    store_close(s);
    jobq_arena_destroy(arena);
}
END_TEST

/* What all have is said once: their kind, their numbers, both, or neither. */
START_TEST(many_puts_that_are_alike)
{
    struct jobq_store *s = open_put();
    for (int differ = 0; differ < 4; differ++) {
        struct jobq_put_key keys[3];
        struct jobq_put puts[3];
        arena = jobq_arena_create();
        for (int i = 0; i < 3; i++) {
            keys[i] = (struct jobq_put_key){.payload_digest = "digest", .hold = JOBQ_HOLD_WINDOW, .window_ms = 1000};
            snprintf((char *)keys[i].scope, sizeof keys[i].scope, "scope %d %d", differ, i);
            keys[i].window_ms += differ & 1 ? i : 0;
            puts[i] = put_of(2 + 3 * (uint32_t)differ + (uint32_t)i);
            puts[i].priority = 1;
            puts[i].rank_add_ms = 7;
            puts[i].timeout_ms = 5000;
            puts[i].unique = &keys[i];
            if (differ & 2 && i == 2)
                puts[i].kind = (struct jobq_bytes){"another", 7};
        }
        ck_assert(puts_short(s, puts, 3));
        for (int i = 0; i < 3; i++) {
            const struct jobq_row row = read_row(s, puts[i].id);
            ck_assert(row.priority == 1 && row.rank_add_ms == 7 && row.timeout_ms == 5000);
            ck_assert(bytes_equal(row.kind, puts[i].kind));
            ck_assert_int_eq(sql_value("SELECT k.until - j.created_at FROM @.key AS k JOIN @.job AS j ON k.job = j.id"
                                       " AND k.until = j.key_until AND k.hold = j.key_hold AND k.hold = %d"
                                       " WHERE j.id = '00000000-0000-0000-0000-0000000000%02x'",
                                       JOBQ_HOLD_WINDOW, puts[i].id.bytes[15]),
                             keys[i].window_ms);
        }
        jobq_arena_destroy(arena);
    }
    store_close(s);
}
END_TEST

/* Where one of them is special nothing is left of the short way. */
START_TEST(many_puts_of_which_one_is_not_made)
{
    struct jobq_put_key keys[] = {{.scope = "scope", .payload_digest = "digest", .hold = JOBQ_HOLD_LIVE},
                                  {.scope = "other", .payload_digest = "digest", .hold = JOBQ_HOLD_LIVE}};
    struct jobq_store *s = open_put();
    struct jobq_put puts[] = {put_of(2), put_of(3), put_of(4)};
    puts[0].unique = &keys[0];
    ck_assert(puts_short(s, puts, 2));
    struct jobq_put taken[] = {put_of(5), put_of(6), put_of(7)};
    taken[0].unique = &keys[1];
    taken[1].unique = &keys[0];
    ck_assert(!puts_short(s, taken, 3));
    ck_assert(taken[0].verdict == JOBQ_OK && taken[1].verdict == JOBQ_DUPLICATE &&
              taken[2].verdict == JOBQ_OK);
    ck_assert_uint_eq(taken[1].holder.bytes[15], 2);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.key"), 2);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 5);
    store_close(s);
    s = store_open(uri_with(""));
    keys[1].scope[0] = 'x';
    struct jobq_put there[] = {put_of(8), put_of(3)};
    there[0].unique = &keys[1];
    ck_assert(!puts_short(s, there, 2));
    ck_assert(there[0].verdict == JOBQ_OK && there[1].verdict == JOBQ_ALREADY);
    store_close(s);
    s = store_open(uri_with(""));
    sql("UPDATE @.key SET fades = 1, ended = 4 WHERE job = '00000000-0000-0000-0000-000000000008'");
    keys[0].scope[0] = 'y';
    struct jobq_put fading[] = {put_of(9), put_of(10)};
    fading[1].unique = &keys[0];
    ck_assert(!puts_short(s, fading, 2));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.key WHERE fades IS NOT NULL"), 0);
    ck_assert_int_eq(sql_value("SELECT @.present(1, 2)"), 8);
    store_close(s);
}
END_TEST

START_TEST(puts_that_do_not_go_together)
{
    struct jobq_put_key key = {.scope = "scope", .payload_digest = "digest", .hold = JOBQ_HOLD_LIVE};
    struct jobq_store *s = open_put();
    struct jobq_put queues[] = {put_of(2), put_of(3)}, ids[] = {put_of(4), put_of(4)},
                    keyed[] = {put_of(5), put_of(6)}, none[] = {put_of(7), put_of(8)};
    queues[1].queue = (struct jobq_bytes){"other", 5};
    ck_assert(!puts_short(s, queues, 2));
    ck_assert(!puts_short(s, ids, 2));
    ck_assert(ids[0].verdict == JOBQ_OK && ids[1].verdict == JOBQ_ALREADY);
    keyed[0].unique = keyed[1].unique = &key;
    ck_assert(!puts_short(s, keyed, 2));
    ck_assert(keyed[0].verdict == JOBQ_OK && keyed[1].verdict == JOBQ_DUPLICATE);
    ck_assert(puts_short(s, none, 2));
    store_close(s);
}
END_TEST

/* A handle that met what is special tries the short way less and less often, and again and again. */
START_TEST(how_often_it_is_tried)
{
    struct jobq_store *s = open_put();
    sql("UPDATE @.queue SET depth = 1000");
    for (uint32_t i = 2; i < 8; i++) {
        struct jobq_put put = put_of(i);
        ck_assert(!put_short(s, &put));
    }
    sql("UPDATE @.queue SET depth = NULL");
    uint32_t tries = 0;
    for (bool is_short = false; !is_short; tries++) {
        struct jobq_put put = put_of(100 + tries);
        is_short = put_short(s, &put);
        ck_assert_uint_lt(tries, 64);
    }
    struct jobq_put put = put_of(9);
    ck_assert(put_short(s, &put));
    store_close(s);
}
END_TEST

KIT_MAIN("postgres one", what_the_store_says, what_the_jobs_have, a_delay_that_is_over,
         what_the_exchange_holds, an_outcome_that_does_not_count, what_it_does, the_same_number_again,
         one_receipt_a_client, retention, retention_of_many_workers, what_a_put_has, a_put_with_a_key,
         what_a_put_does, what_many_puts_do, many_puts_that_are_alike, many_puts_of_which_one_is_not_made,
         puts_that_do_not_go_together, how_often_it_is_tried)
