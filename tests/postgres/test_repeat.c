/* SPDX-License-Identifier: MIT */
/* A line breaks while the server is at a request, and who asked asks again before that has come to its end (contract:
 * a repeat does nothing and is answered from the receipt): done once, whichever way either went. */
#include "kit.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct jobq_bytes queue = { "q", 1 };

/* The same request, by two handles of one client. */
struct asking {
    struct jobq_store *s;
    struct jobq_arena *arena;
    struct jobq_error err;
    pthread_t thread;
    struct jobq_put puts[2];
    struct jobq_change end;
    struct jobq_want want;
    struct jobq_exchange x;
};

static void *ask(void *user)
{
    struct asking *a = user;
    jobq_postgres()->exchange(a->s, &a->x, a->arena, &a->err);
    return NULL;
}

static void start(struct asking *a, int waiting)
{
    ck_assert_int_eq(pthread_create(&a->thread, NULL, ask, a), 0);
    while (sql_value("SELECT count(*) FROM pg_stat_activity"
                     " WHERE application_name = '@' AND wait_event_type = 'Lock'") != waiting)
        sched_yield();
}

static void say(PGconn *conn, const char *text)
{
    PGresult *result = PQexec(conn, text);
    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK, "%s: %s", text, PQerrorMessage(conn));
    PQclear(result);
}

/* Both wait: the first for the tally, behind its rows and before its receipt, the second for the first. */
static void ask_twice(struct asking *asked)
{
    PGconn *other = PQconnectdb(getenv("JOBQ_TEST_POSTGRES"));
    char text[120];
    snprintf(text, sizeof text, "BEGIN; LOCK TABLE %s.tally IN SHARE MODE", name_space());
    say(other, text);
    start(&asked[0], 1);
    start(&asked[1], 2);
    say(other, "COMMIT");
    PQfinish(other);
    for (int i = 0; i < 2; i++) {
        pthread_join(asked[i].thread, NULL);
        ck_assert_msg(asked[i].x.unit == JOBQ_OK, "%d: %s", i, asked[i].err.text);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt WHERE number = 900 AND part <> 1"), 1);
}

enum { SHORT, LONG };

/* A short way that was of no use is not gone the next time. */
static void open_asking(struct asking *a, int way, bool swaps)
{
    char more[80];
    snprintf(more, sizeof more, "&application_name=%s", name_space());
    *a = (struct asking){ .s = store_open(uri_with(more)), .arena = jobq_arena_create() };
    ck_assert_ptr_nonnull(a->arena);
    a->puts[0] = put_of(10);
    a->puts[1] = put_of(11);
    a->want = (struct jobq_want){ .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1,
                                  .bytes = 1 << 20, .lease_ms = 30000, .worker = { "w", 1 }, .mint = "mintmin" };
    a->end = (struct jobq_change){ .id = id_of(1), .by = JOBQ_BY_TOKEN, .outcome = JOBQ_OUTCOME_COMPLETE,
                                   .state = JOBQ_ROW_COMPLETED, .set = JOBQ_SET_RESULT };
    if (way == SHORT)
        return;
    struct jobq_put there[2] = { put_of(1), put_of(2) };
    for (size_t count = 1; count <= 2; count++) {
        struct jobq_exchange of_no_use = { .puts = there, .put_count = count };
        ck_assert_int_eq(exchange(a->s, &of_no_use), JOBQ_OK);
    }
    if (swaps) { /* with a token that nobody holds it by */
        struct jobq_change stale = a->end;
        struct jobq_want none = a->want;
        struct jobq_exchange of_no_use = { .changes = &stale, .change_count = 1, .want = &none };
        none.queues = &(const struct jobq_bytes){ "none", 4 };
        ck_assert_int_eq(exchange(a->s, &of_no_use), JOBQ_OK);
        ck_assert_int_eq(stale.verdict, JOBQ_STALE);
    }
}

static void close_asking(struct asking *a)
{
    jobq_arena_destroy(a->arena);
    store_close(a->s);
}

static void give_number(struct asking *a)
{
    a->x.size = sizeof a->x;
    a->x.number = 900;
    memcpy(a->x.client, "the same client", sizeof a->x.client);
}

static struct jobq_store *open_queue(void)
{
    struct jobq_store *s = store_open(uri_with(""));
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    ck_assert_int_eq(put_job(s, 2), JOBQ_OK);
    return s;
}

static void puts_twice(int first, int second, size_t count)
{
    struct jobq_store *s = open_queue();
    const int ways[] = { first, second };
    struct asking asked[2];
    for (int i = 0; i < 2; i++) {
        open_asking(&asked[i], ways[i], false);
        asked[i].x = (struct jobq_exchange){ .puts = asked[i].puts, .put_count = count };
        give_number(&asked[i]);
    }
    ask_twice(asked);
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < count; k++)
            ck_assert_msg(asked[i].puts[k].verdict == JOBQ_OK, "%d answers %d", i, asked[i].puts[k].verdict);
        close_asking(&asked[i]);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 2 + (int)count);
    store_close(s);
    sql("TRUNCATE @.job, @.receipt, @.tally");
}

START_TEST(what_is_put)
{
    for (size_t count = 1; count <= 2; count++)
        for (int ways = 0; ways < 4; ways++)
            puts_twice(ways / 2, ways % 2, count);
}
END_TEST

/* Of two jobs one is held; it ends, and the other is claimed. */
static void swap_twice(int first, int second)
{
    struct jobq_store *s = open_queue();
    const int ways[] = { first, second };
    struct asking asked[2];
    const struct jobq_row *held;
    ck_assert_uint_eq(claim_jobs(s, 1, &held), 1);
    for (int i = 0; i < 2; i++) {
        open_asking(&asked[i], ways[i], true);
        asked[i].end.token = held->token;
        asked[i].end.edits = held->edits;
        asked[i].x = (struct jobq_exchange){ .changes = &asked[i].end, .change_count = 1, .want = &asked[i].want,
                                             .trim = { .limit = 18, .slack_part = 128, .slack_most = 16 } };
        for (int k = 0; k < 8; k++)
            asked[i].x.trim.keep_count[k] = 1280;
        give_number(&asked[i]);
    }
    ask_twice(asked);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(asked[i].end.verdict == JOBQ_OK, "%d answers %d", i, asked[i].end.verdict);
        ck_assert_int_eq(asked[i].x.want_unit, JOBQ_OK);
        ck_assert_uint_eq(asked[i].want.row_count, asked[0].want.row_count);
        ck_assert_mem_eq(asked[i].want.token.bytes, asked[0].want.token.bytes, 16);
        if (asked[i].want.row_count)
            ck_assert_uint_eq(asked[i].want.rows[0].id.bytes[15], 2);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 3"), (int)asked[0].want.row_count);
    /* The usual way claims in a transaction of its own: who is told first may be told that somebody has the row. */
    ck_assert(first == LONG || asked[0].want.row_count == 1);
    for (int i = 0; i < 2; i++)
        close_asking(&asked[i]);
    store_close(s);
    sql("TRUNCATE @.job, @.receipt, @.tally");
}

START_TEST(an_end_and_a_claim)
{
    for (int ways = 0; ways < 4; ways++)
        swap_twice(ways / 2, ways % 2);
}
END_TEST

/* A receipt as version 2 of the schema left it answers too. */
START_TEST(a_receipt_of_before)
{
    struct jobq_store *s = open_queue();
    struct asking a;
    open_asking(&a, SHORT, false);
    a.x = (struct jobq_exchange){ .puts = a.puts, .put_count = 1 };
    give_number(&a);
    ask(&a);
    ck_assert_int_eq(a.puts[0].verdict, JOBQ_OK);
    store_close(s);
    sql(WITHOUT_STEP_5 "UPDATE @.receipt SET part = 2, more = NULL WHERE part = 0;"
        " ALTER TABLE @.batch DROP COLUMN tenants;"
        " UPDATE @.meta SET version = 2, shape = 'of then'");
    s = store_open(uri_with(""));
    ask(&a);
    ck_assert_int_eq(a.x.unit, JOBQ_OK);
    ck_assert_int_eq(a.puts[0].verdict, JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.receipt WHERE part = 2"), 0);
    close_asking(&a);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres repeat", what_is_put, an_end_and_a_claim, a_receipt_of_before)
