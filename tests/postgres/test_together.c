/* SPDX-License-Identifier: MIT */
/* Several connections at the same moment: a tick fires once, nothing is counted twice or not at all, no reader
 * of events misses one. */
#include "kit.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CROWD 8
#define ROUNDS 20

/* What each of the crowd has: a connection, an arena, numbers that are nobody else's. */
struct one {
    struct jobq_store *store;
    struct jobq_arena *arena;
    struct jobq_error err;
    int number, made[ROUNDS + 1];
    bool failed;
};

static pthread_barrier_t all_here;

static void crowd(struct one *ones, void *(*act)(void *))
{
    pthread_t threads[CROWD];
    pthread_barrier_init(&all_here, NULL, CROWD);
    for (int i = 0; i < CROWD; i++) {
        ones[i] = (struct one){ .store = store_open(uri_with("")), .arena = jobq_arena_create(), .number = i };
        ck_assert_ptr_nonnull(ones[i].arena);
    }
    for (int i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, act, &ones[i]), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CROWD; i++) {
        ck_assert_msg(!ones[i].failed, "%s", ones[i].err.text);
        jobq_arena_destroy(ones[i].arena);
        store_close(ones[i].store);
    }
    pthread_barrier_destroy(&all_here);
}

/* Without a receipt: nothing gets lost here. */
static int run(struct one *me, struct jobq_exchange *x)
{
    x->size = sizeof *x;
    int status = jobq_postgres()->exchange(me->store, x, me->arena, &me->err);
    me->failed |= status != JOBQ_OK || (x->want && x->want_unit != JOBQ_OK);
    return status;
}

static const struct jobq_bytes schedule_name = { .data = "nightly", .size = 7 };

static void define_schedule(void)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_settings settings = {
        .size = sizeof settings, .what = JOBQ_CONFIGURE_SCHEDULE, .set = JOBQ_SETTING_SCHEDULE,
        .name = schedule_name, .schedule = schedule_name, .version = 0,
    };
    ck_assert_int_eq(jobq_postgres()->configure(s, &settings, &last), JOBQ_OK);
    store_close(s);
}

static void *fire(void *user)
{
    struct one *me = user;
    for (int round = 1; round <= ROUNDS; round++) {
        const struct jobq_put_tick tick = { .schedule = schedule_name, .version = 1, .nominal_ms = round,
                                            .next_ms = round + 1 };
        struct jobq_put put = put_of((uint32_t)(1000 * me->number + round));
        struct jobq_exchange x = { .puts = &put, .put_count = 1 };
        put.tick = &tick;
        pthread_barrier_wait(&all_here);
        if (run(me, &x) != JOBQ_OK)
            continue;
        me->made[round] = put.verdict == JOBQ_OK;
        me->failed |= put.verdict != JOBQ_OK && put.verdict != JOBQ_ALREADY;
    }
    return NULL;
}

START_TEST(a_tick_fires_once)
{
    struct one ones[CROWD];
    define_schedule();
    crowd(ones, fire);
    for (int round = 1; round <= ROUNDS; round++) {
        int made = 0;
        for (int i = 0; i < CROWD; i++)
            made += ones[i].made[round];
        ck_assert_msg(made == 1, "nominal time %d fired %d times", round, made);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), ROUNDS);
    ck_assert_int_eq(sql_value("SELECT fired_at FROM @.schedule"), ROUNDS);
}
END_TEST

/* Two who define it anew from the same version: one is told. */
static void *define(void *user)
{
    struct one *me = user;
    for (int round = 0; round < ROUNDS; round++) {
        const struct jobq_settings settings = {
            .size = sizeof settings, .what = JOBQ_CONFIGURE_SCHEDULE, .set = JOBQ_SETTING_SCHEDULE,
            .name = schedule_name, .schedule = schedule_name, .version = round,
        };
        pthread_barrier_wait(&all_here);
        int status = jobq_postgres()->configure(me->store, &settings, &me->err);
        me->made[round] = status == JOBQ_OK;
        me->failed |= status != JOBQ_OK && status != JOBQ_OUTDATED;
        pthread_barrier_wait(&all_here);
    }
    return NULL;
}

START_TEST(a_version_is_given_once)
{
    struct one ones[CROWD];
    crowd(ones, define);
    for (int round = 0; round < ROUNDS; round++) {
        int made = 0;
        for (int i = 0; i < CROWD; i++)
            made += ones[i].made[round];
        ck_assert_msg(made == 1, "version %d was made %d times", round + 1, made);
    }
    ck_assert_int_eq(sql_value("SELECT version FROM @.schedule"), ROUNDS);
}
END_TEST

/* ---- figures --------------------------------------------------------------------------------------------------------- */

#define JOBS_EACH 60

static void put_claim_complete(struct one *me, int number)
{
    const struct jobq_bytes queue = { "q", 1 };
    struct jobq_put put = put_of((uint32_t)number);
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1, .lease_ms = 30000,
                              .worker = { "w", 1 } };
    struct jobq_exchange x = { .puts = &put, .put_count = 1, .want = &want };
    if (run(me, &x) != JOBQ_OK || !want.row_count) /* another has it */
        return;
    struct jobq_change change = { .id = want.rows[0].id, .by = JOBQ_BY_TOKEN, .token = want.rows[0].token,
                                  .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                  .state = JOBQ_ROW_COMPLETED };
    if (number % 3 == 0) {
        change.outcome = JOBQ_OUTCOME_FAIL;
        change.state = JOBQ_ROW_DEAD;
    }
    struct jobq_exchange end = { .changes = &change, .change_count = 1 };
    run(me, &end);
    me->made[0] += change.outcome == JOBQ_OUTCOME_COMPLETE;
    me->made[1] += change.outcome == JOBQ_OUTCOME_FAIL;
}

static void *work(void *user)
{
    struct one *me = user;
    pthread_barrier_wait(&all_here);
    for (int i = 0; i < JOBS_EACH; i++)
        put_claim_complete(me, 1000 * me->number + i);
    return NULL;
}

static struct jobq_queue_stats queue_stats(struct jobq_arena *arena)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    ck_assert_msg(jobq_postgres()->stats(s, &all, &stats, arena, &last) == JOBQ_OK, "stats: %s", last.text);
    ck_assert_uint_eq(stats.queue_count, 1);
    struct jobq_queue_stats q = stats.queues[0];
    store_close(s);
    return q;
}

static void same_figures(const struct jobq_queue_stats *a, const struct jobq_queue_stats *b)
{
    ck_assert_mem_eq(&a->waited, &b->waited, sizeof a->waited);
    ck_assert_mem_eq(&a->ran, &b->ran, sizeof a->ran);
    ck_assert_uint_eq(a->last_quarter.completed, b->last_quarter.completed);
    ck_assert_uint_eq(a->last_quarter.failed, b->last_quarter.failed);
    ck_assert_int_eq(a->last_finished_at_ms, b->last_finished_at_ms);
}

/* While they work others fold; what is told does not depend on what was folded. */
START_TEST(figures_are_exact)
{
    struct one ones[CROWD];
    struct jobq_arena *arena = jobq_arena_create();
    uint64_t completed = 0, failed = 0;
    crowd(ones, work);
    for (int i = 0; i < CROWD; i++) {
        completed += (uint64_t)ones[i].made[0];
        failed += (uint64_t)ones[i].made[1];
    }
    ck_assert_int_gt(sql_value("SELECT count(*) FROM @.figure"), 0);
    ck_assert_int_gt(sql_value("SELECT count(*) FROM @.tally"), 0);
    struct jobq_queue_stats before = queue_stats(arena);
    ck_assert_uint_eq(before.ran.count, completed + failed);
    ck_assert_uint_eq(before.waited.count, completed + failed);
    ck_assert_uint_eq(before.last_quarter.completed, completed);
    ck_assert_uint_eq(before.last_quarter.failed, failed);
    sql("SET search_path = pg_catalog; SELECT @.fold(); SELECT @.fold()");
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.tally"), 0);
    struct jobq_queue_stats after = queue_stats(arena);
    same_figures(&before, &after);
    jobq_arena_destroy(arena);
}
END_TEST

/* The server's way of finding a bucket is the library's. */
START_TEST(buckets_are_the_librarys)
{
    store_close(store_open(uri_with("")));
    for (int i = 0; i < JOBQ_DURATION_BUCKETS - 1; i++) {
        int64_t bound = jobq_duration_bound(i);
        ck_assert_int_eq(sql_value("SELECT @.bucket(%lld)", (long long)bound), jobq_duration_bucket(bound));
        ck_assert_int_eq(sql_value("SELECT @.bucket(%lld)", (long long)bound - 1), jobq_duration_bucket(bound - 1));
    }
    ck_assert_int_eq(sql_value("SELECT @.bucket(9223372036854775807)"), JOBQ_DURATION_BUCKETS - 1);
}
END_TEST

/* Slots that no window reaches do not pile up. */
START_TEST(old_slots_go)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows;
    const struct jobq_settings hour = { .size = sizeof hour, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = 3600000 };
    for (uint32_t i = 1; i <= 3; i++) {
        ck_assert_int_eq(put_job(s, i), JOBQ_OK);
        ck_assert_uint_eq(claim_jobs(s, 1, &rows), 1);
        ck_assert_int_eq(ack_job(s, &rows[0]), JOBQ_OK);
        sql("SET search_path = pg_catalog; SELECT @.fold()");
        ck_assert_int_eq(jobq_postgres()->configure(s, &hour, &last), JOBQ_OK);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.figure WHERE what = 3"), 1);
    ck_assert_int_eq(sql_value("SELECT sum(rows) FROM @.figure WHERE what = 2"), 3);
    store_close(s);
}
END_TEST

/* ---- events ---------------------------------------------------------------------------------------------------------- */

static void keep_events(int64_t count)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_settings keep = { .size = sizeof keep, .what = JOBQ_CONFIGURE_EVENTS, .events = count };
    ck_assert_msg(jobq_postgres()->configure(s, &keep, &last) == JOBQ_OK, "keep: %s", last.text);
    store_close(s);
}

/* What a reader has seen: cursors one after another, each job's states in their order. */
struct seen {
    int64_t cursor;
    int8_t state[CROWD * 1000];
};

static uint32_t number_of(const struct jobq_id *id)
{
    return (uint32_t)id->bytes[14] << 8 | id->bytes[15];
}

/* A job waits, runs and has ended: 2, 3, 4 or 5. */
static bool follows(int before, int state)
{
    return before == 0 ? state == JOBQ_ROW_WAITING
                       : before == JOBQ_ROW_WAITING ? state == JOBQ_ROW_RUNNING
                                                    : before == JOBQ_ROW_RUNNING && state > JOBQ_ROW_RUNNING;
}

/* The next page; how many there were, or -1 after something that must not be. */
static int read_on(struct one *me, struct seen *seen, size_t limit)
{
    struct jobq_event_query query = { .size = sizeof query, .after = seen->cursor, .limit = limit };
    if (jobq_postgres()->events(me->store, &query, me->arena, &me->err) != JOBQ_OK)
        return -1;
    for (size_t i = 0; i < query.row_count; i++) {
        const struct jobq_event_row *e = &query.rows[i];
        int8_t *state = &seen->state[number_of(&e->id)];
        if (e->cursor != seen->cursor + 1 || !follows(*state, e->state)) {
            snprintf(me->err.text, sizeof me->err.text, "event %lld behind %lld: job %u from %d to %d",
                     (long long)e->cursor, (long long)seen->cursor, number_of(&e->id), *state, e->state);
            return -1;
        }
        *state = (int8_t)e->state;
        seen->cursor = e->cursor;
    }
    return query.newest < seen->cursor || query.oldest != 1 ? -1 : (int)query.row_count;
}

static atomic_int at_work;

/* Two read while the others work, and go on until nothing comes after all work is done. */
static void *work_or_read(void *user)
{
    struct one *me = user;
    static struct seen seen[2];
    pthread_barrier_wait(&all_here);
    if (me->number >= 2) {
        for (int i = 0; i < JOBS_EACH; i++)
            put_claim_complete(me, 1000 * me->number + i);
        atomic_fetch_sub(&at_work, 1);
        return NULL;
    }
    seen[me->number] = (struct seen){ 0 };
    for (int got = 1, left = 1; (left > 0 || got > 0) && !me->failed; me->failed |= got < 0) {
        left = atomic_load(&at_work); /* before the look: what was done then is seen */
        got = read_on(me, &seen[me->number], me->number ? 1000 : 7);
    }
    me->made[0] = (int)seen[me->number].cursor;
    return NULL;
}

START_TEST(no_reader_misses_an_event)
{
    struct one ones[CROWD];
    keep_events(1000000);
    atomic_store(&at_work, CROWD - 2);
    crowd(ones, work_or_read);
    int64_t happened = sql_value("SELECT sum(attempt + 1 + (state >= 4)::integer) FROM @.job");
    ck_assert_int_gt(happened, (CROWD - 2) * JOBS_EACH);
    ck_assert_int_eq(ones[0].made[0], happened);
    ck_assert_int_eq(ones[1].made[0], happened);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.happened"), 0);
}
END_TEST

static void say(PGconn *conn, const char *text)
{
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    ck_assert_msg(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", text, PQerrorMessage(conn));
    PQclear(result);
}

static void enqueue_by(PGconn *conn)
{
    char text[200];
    snprintf(text, sizeof text, "SELECT * FROM %s.enqueue('q', 'p')", name_space());
    say(conn, text);
}

static size_t events_after(struct jobq_store *s, struct jobq_arena *arena, int64_t after, int64_t expected_first)
{
    struct jobq_event_query query = { .size = sizeof query, .after = after, .limit = 100 };
    ck_assert_msg(jobq_postgres()->events(s, &query, arena, &last) == JOBQ_OK, "events: %s", last.text);
    ck_assert_int_eq(query.oldest, 1);
    if (query.row_count)
        ck_assert_int_eq(query.rows[0].cursor, expected_first);
    return query.row_count;
}

/* What was written first is committed last; meanwhile nobody waits, and no reader goes past it. */
START_TEST(a_late_commit_is_not_skipped)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_arena *arena = jobq_arena_create();
    PGconn *early = PQconnectdb(getenv("JOBQ_TEST_POSTGRES")), *none = PQconnectdb(getenv("JOBQ_TEST_POSTGRES"));
    keep_events(100);
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK); /* the queue is there: making it would be waited for */
    say(early, "BEGIN");
    enqueue_by(early);
    say(none, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    enqueue_by(none);
    ck_assert_int_eq(put_job(s, 2), JOBQ_OK);
    ck_assert_uint_eq(events_after(s, arena, 0, 1), 2);
    say(early, "COMMIT");
    ck_assert_uint_eq(events_after(s, arena, 2, 3), 1);
    say(none, "ROLLBACK");
    ck_assert_int_eq(put_job(s, 3), JOBQ_OK);
    ck_assert_uint_eq(events_after(s, arena, 3, 4), 1);
    PQfinish(none);
    PQfinish(early);
    jobq_arena_destroy(arena);
    store_close(s);
}
END_TEST

/* Exchanges number what nobody reads, and more than are to be kept go. */
START_TEST(unread_events_do_not_pile_up)
{
    struct jobq_store *s = store_open(uri_with(""));
    keep_events(10);
    for (uint32_t i = 1; i <= 200; i++)
        ck_assert_int_eq(put_job(s, i), JOBQ_OK);
    ck_assert_int_le(sql_value("SELECT count(*) FROM @.happened"), 32);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.event"), 10);
    store_close(s);
}
END_TEST

/* Not kept: nothing is written, whatever the session says. */
START_TEST(nothing_is_written_unless_asked)
{
    struct jobq_store *s = store_open(uri_with("&options=-c%20jobq.events%3Dx"));
    const struct jobq_row *rows;
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, 1, &rows), 1);
    ck_assert_int_eq(ack_job(s, &rows[0]), JOBQ_OK);
    PGconn *other = PQconnectdb(getenv("JOBQ_TEST_POSTGRES"));
    char text[100];
    snprintf(text, sizeof text, "SET jobq.events = '%s'", name_space());
    say(other, text);
    enqueue_by(other);
    PQfinish(other);
    ck_assert_int_eq(sql_value("SELECT last_value FROM @.happened_seq_seq"), 1);
    ck_assert_int_eq(sql_value("SELECT is_called::integer FROM @.happened_seq_seq"), 0);
    store_close(s);
}
END_TEST

/* ---- retention beside others ---------------------------------------------------------------------------- */

enum { DEAD = 10000 };

/* Until retention has some of the first of them. */
static void wait_for_trim(PGconn *other)
{
    char text[200];
    int found = 1;
    for (int i = 0; found; i = (i + 1) % 100) { /* another one each time: it passes by what we have */
        snprintf(text, sizeof text, "SELECT 1 FROM %s.job WHERE finished_at = %d FOR UPDATE SKIP LOCKED", name_space(),
                 i + 1);
        PGresult *result = PQexec(other, text);
        found = PQntuples(result);
        PQclear(result);
    }
}

/* Retention locks the oldest rows, one after the other; the last of them comes to life meanwhile, or gets a child.
 * Returns whether it came first. */
static bool trim_beside(PGconn *trims, PGconn *other, const char *change)
{
    char text[400];
    sql("TRUNCATE @.job, @.tally; INSERT INTO @.tally VALUES (1, 0, 6, %d); INSERT INTO @.job (id, payload_bytes, run_at, "
        "rank_add, created_at, queue, priority, state, outcome, finished_at, kind) SELECT gen_random_uuid(), 0, 0, 0, "
        "0, 1, 0, 5, 2, i, 'k' FROM generate_series(1, %d) AS i",
        DEAD, DEAD);
    snprintf(text, sizeof text,
             "SELECT %s.trim(1000000, ARRAY[1, 5], array_fill(0::bigint, ARRAY[0]) || %d::bigint || "
             "array_fill(0::bigint, ARRAY[16]), ARRAY[0::bigint], 0)",
             name_space(), DEAD);
    ck_assert_int_eq(PQsendQuery(trims, text), 1);
    wait_for_trim(other);
    snprintf(text, sizeof text, "UPDATE %s.job SET %s WHERE finished_at = %d", name_space(), change, DEAD);
    PGresult *changed = PQexec(other, text);
    ck_assert_msg(PQresultStatus(changed) == PGRES_COMMAND_OK, "%s", PQerrorMessage(other));
    bool first = strcmp(PQcmdTuples(changed), "1") == 0;
    PQclear(changed);
    for (PGresult *result; (result = PQgetResult(trims)) != NULL; PQclear(result))
        ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(trims));
    return first;
}

/* Rules 13 and 14 of lifecycle.md: what was redriven is not ended any more, and who is waited for stays. */
START_TEST(retention_asks_again_when_it_has_the_row)
{
    static const char *const changes[] = {"state = 2, shelf = 1, place = 0, outcome = 0, finished_at = NULL",
                                          "children = 1, clock = finished_at"};
    struct jobq_store *s = store_open(uri_with(""));
    PGconn *trims = PQconnectdb(getenv("JOBQ_TEST_POSTGRES")), *other = PQconnectdb(getenv("JOBQ_TEST_POSTGRES"));
    say(trims, "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; "
               "SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan"); /* as an exchange has them */
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    for (int round = 0; round < 4; round++) {
        bool first = trim_beside(trims, other, changes[round % 2]);
        ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 2 OR children = 1"), first);
    }
    PQfinish(other);
    PQfinish(trims);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres together", a_tick_fires_once, a_version_is_given_once, figures_are_exact, buckets_are_the_librarys,
         old_slots_go, no_reader_misses_an_event, a_late_commit_is_not_skipped, unread_events_do_not_pile_up,
         nothing_is_written_unless_asked, retention_asks_again_when_it_has_the_row)
