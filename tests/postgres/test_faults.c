/* SPDX-License-Identifier: MIT */
/* What goes wrong: errors of the server, lines that break at any byte, no answer. Contract "Units", "Repeating a request";
 * S1, S11, S16. */
#include "kit.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- errors of the server ---------------------------------------------------------------------------------------- */

/* The next `times` inserts of a job fail with this error. A sequence is not taken back with the transaction. */
static void fail_inserts(const char *state, int times)
{
    sql("DROP SEQUENCE IF EXISTS @.broken; CREATE SEQUENCE @.broken;"
        "CREATE OR REPLACE FUNCTION @.break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        "  IF nextval('@.broken') <= %d THEN RAISE EXCEPTION 'broken on purpose' USING ERRCODE = '%s'; END IF;"
        "  RETURN new; END $$;"
        "DROP TRIGGER IF EXISTS break ON @.job;"
        "CREATE TRIGGER break BEFORE INSERT ON @.job FOR EACH ROW EXECUTE FUNCTION @.break()", times, state);
}

START_TEST(what_passes_is_tried_again)
{
    static const char *const states[] = { "40001", "40P01" };
    struct jobq_store *s = store_open(uri_with(""));
    for (uint32_t i = 0; i < 2; i++) {
        fail_inserts(states[i], 4);
        ck_assert_msg(put_job(s, 1 + i) == JOBQ_OK, "%s", last.text);
        fail_inserts(states[i], 100);
        ck_assert_int_eq(put_job(s, 11 + i), JOBQ_FAILED);
        ck_assert_ptr_nonnull(strstr(last.text, states[i]));
        ck_assert_int_le(sql_value("SELECT last_value FROM @.broken"), 6);
        ck_assert(!exists(s, 11 + i));
    }
    sql("DROP TRIGGER break ON @.job; TRUNCATE @.job, @.tally");
    whole_life(s, 100);
    store_close(s);
}
END_TEST

static void failure_is(struct jobq_store *s, const char *state, int failure, int guilty)
{
    struct jobq_put put = put_of(7);
    const struct jobq_bytes queue = { "q", 1 };
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1, .lease_ms = 30000 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1, .want = &want };
    fail_inserts(state, 100);
    ck_assert_int_eq(exchange(s, &x), JOBQ_FAILED);
    ck_assert_int_eq(x.want_unit, JOBQ_SKIPPED);
    ck_assert_msg(x.failure == failure, "%s is of class %d", state, x.failure);
    ck_assert_int_eq(x.guilty_put, guilty);
    ck_assert_int_eq(x.guilty_change, -1);
    ck_assert(!exists(s, 7));
}

START_TEST(errors_have_their_class)
{
    struct jobq_store *s = store_open(uri_with(""));
    failure_is(s, "53100", JOBQ_FAILURE_FULL, -1);
    failure_is(s, "23514", JOBQ_FAILURE_REFUSED, 0);
    failure_is(s, "P0001", JOBQ_FAILURE_REFUSED, 0);
    failure_is(s, "42501", JOBQ_FAILURE_REFUSED, 0);
    failure_is(s, "53300", JOBQ_FAILURE_TRANSIENT, -1);
    failure_is(s, "57014", JOBQ_FAILURE_TRANSIENT, -1);
    failure_is(s, "58030", JOBQ_FAILURE_TRANSIENT, -1);
    sql("DROP TRIGGER break ON @.job; TRUNCATE @.job, @.tally");
    whole_life(s, 100);
    store_close(s);
}
END_TEST

/* A want that fails undoes nothing. */
START_TEST(a_want_that_fails)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_put put = put_of(1);
    const struct jobq_bytes queue = { "q", 1 };
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1, .lease_ms = 30000 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1, .want = &want };
    sql("CREATE FUNCTION @.break() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$;"
        "CREATE TRIGGER break BEFORE UPDATE ON @.job FOR EACH ROW EXECUTE FUNCTION @.break()");
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    ck_assert_int_eq(put.verdict, JOBQ_OK);
    ck_assert_int_eq(x.want_unit, JOBQ_FAILED);
    ck_assert_uint_eq(want.row_count, 0);
    ck_assert(exists(s, 1));
    sql("DROP TRIGGER break ON @.job");
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_jobs(s, 1, &rows), 1);
    store_close(s);
}
END_TEST

/* ---- the line ------------------------------------------------------------------------------------------------------- */

/* Cut after `at` more bytes of one way, put a job, and find out by another line what is true. Returns whether the cut was
 * reached. */
static bool cut_at(struct proxy *p, struct jobq_store *s, struct jobq_store *direct, bool to_server, int64_t at,
                   uint32_t number)
{
    struct jobq_put put = put_of(number), again = put;
    struct jobq_exchange x = { .size = sizeof x, .client = "cut", .number = number, .puts = &put, .put_count = 1 };
    int64_t began = ms_now();
    proxy_cut(p, to_server, at);
    int status = exchange(s, &x);
    proxy_cut(p, to_server, -1);
    ck_assert_int_lt(ms_now() - began, 15000);
    proxy_settle(p);
    usleep(2000); /* the server may still be at it */
    if (status == JOBQ_OK) {
        ck_assert(exists(direct, number));
        return false;
    }
    if (status == JOBQ_FAILED)
        ck_assert_msg(!exists(direct, number), "FAILED, and it is there: %s", last.text);
    struct jobq_exchange y = { .size = sizeof y, .client = "cut", .number = number, .puts = &again, .put_count = 1 };
    ck_assert_msg(exchange(direct, &y) == JOBQ_OK, "%s", last.text);
    ck_assert_int_eq(again.verdict, JOBQ_OK); /* the repeat is answered as the first would have been */
    ck_assert(exists(direct, number));
    return true;
}

/* Each byte where messages begin and end, and each of the middle with JOBQ_TEST_FULL=1. */
static void cut_everywhere(bool to_server)
{
    int step = getenv("JOBQ_TEST_FULL") ? 1 : 11;
    struct jobq_store *direct = store_open(uri_with(""));
    struct proxy *p = proxy_start();
    struct jobq_store *s = store_open(proxy_uri(p));
    uint32_t number = 10;
    int unknown = 0;
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    int64_t before = proxy_bytes(p, to_server);
    ck_assert_int_eq(put_job(s, 2), JOBQ_OK);
    int64_t whole = proxy_bytes(p, to_server) - before;
    ck_assert_int_gt(whole, 50);
    for (int64_t at = 0; at < whole; at += at < 40 || whole - at < 60 ? 1 : step) {
        cut_at(p, s, direct, to_server, at, ++number);
        unknown += last.status == JOBQ_UNKNOWN;
        ck_assert_msg(put_job(s, ++number) == JOBQ_OK, "the line is not taken up again: %s", last.text);
    }
    ck_assert_int_gt(unknown, 10);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), number - 10 + 2);
    store_close(s);
    proxy_stop(p);
    store_close(direct);
}

START_TEST(answers_cut_at_any_byte)
{
    cut_everywhere(false);
}
END_TEST

START_TEST(requests_cut_at_any_byte)
{
    cut_everywhere(true);
}
END_TEST

START_TEST(a_server_that_says_nothing)
{
    struct proxy *p = proxy_start();
    struct jobq_store *s = NULL, *direct = store_open(uri_with(""));
    ck_assert_int_eq(store_try(&s, proxy_uri(p), 0, 700, &last), JOBQ_OK);
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    proxy_hold(p, true);
    int64_t began = ms_now();
    ck_assert_int_eq(put_job(s, 2), JOBQ_UNKNOWN);
    ck_assert_int_lt(ms_now() - began, 5000);
    ck_assert_int_eq(put_job(s, 3), JOBQ_FAILED); /* it could not even connect */
    struct jobq_store *other = NULL;
    ck_assert_int_eq(store_try(&other, proxy_uri(p), 0, 500, &last), JOBQ_UNREACHABLE);
    proxy_hold(p, false);
    int status = JOBQ_FAILED;
    for (int i = 0; i < 50 && status != JOBQ_OK; i++)
        status = put_job(s, 4);
    ck_assert_msg(status == JOBQ_OK, "%s", last.text);
    ck_assert(exists(direct, 4) && !exists(direct, 3));
    store_close(s);
    store_close(direct);
    proxy_stop(p);
}
END_TEST

/* A lock that somebody holds is waited for no longer than the deadline, and then nothing happened. */
START_TEST(a_lock_that_is_held)
{
    struct jobq_store *s = NULL, *direct = store_open(uri_with(""));
    ck_assert_int_eq(store_try(&s, uri_with(""), 0, 600, &last), JOBQ_OK);
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    sql("CREATE FUNCTION @.linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN new; END $$;"
        "CREATE TRIGGER linger BEFORE INSERT ON @.job FOR EACH ROW EXECUTE FUNCTION @.linger()");
    int64_t began = ms_now();
    int status = put_job(s, 2);
    ck_assert_int_lt(ms_now() - began, 5000);
    ck_assert(status == JOBQ_FAILED || status == JOBQ_UNKNOWN);
    sql("DROP TRIGGER linger ON @.job");
    ck_assert(!exists(direct, 2));
    store_close(s);
    store_close(direct);
}
END_TEST

/* Another store of the database that somebody holds locked is named, and not waited for. */
START_TEST(a_neighbour_that_is_locked)
{
    struct jobq_store *s = NULL;
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    struct jobq_arena *arena = jobq_arena_create();
    PGconn *other = PQconnectdb(getenv("JOBQ_TEST_POSTGRES"));
    ck_assert_int_eq(store_try(&s, uri_with(""), 0, 2000, &last), JOBQ_OK);
    sql("CREATE SCHEMA @_beside; CREATE TABLE @_beside.meta (shift bigint); CREATE TABLE @_beside.tally ();"
        "CREATE TABLE @_beside.worker (seen_at bigint, lease bigint)");
    char text[200];
    snprintf(text, sizeof text, "BEGIN; LOCK TABLE %s_beside.worker IN ACCESS EXCLUSIVE MODE", name_space());
    PQclear(PQexec(other, text));
    ck_assert_int_eq(PQtransactionStatus(other), PQTRANS_INTRANS);
    int status = jobq_postgres()->stats(s, &all, &stats, arena, &last);
    bool named = false;
    for (size_t i = 0; i < stats.namespace_count; i++)
        named |= strncmp(stats.namespaces[i].name, name_space(), strlen(name_space())) == 0;
    PQfinish(other);
    sql("DROP SCHEMA @_beside CASCADE");
    ck_assert_msg(status == JOBQ_OK, "%s", last.text);
    ck_assert(named);
    jobq_arena_destroy(arena);
    store_close(s);
}
END_TEST

START_TEST(the_server_ends_our_session)
{
    char more[80]; /* the server is others' too */
    snprintf(more, sizeof more, "&application_name=%s", name_space());
    struct jobq_store *s = store_open(uri_with(more));
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    ck_assert_int_ge(sql_value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '@'"), 1);
    usleep(100000);
    ck_assert_msg(put_job(s, 2) == JOBQ_OK, "an idle line that was closed costs nothing: %s", last.text);
    store_close(s);
}
END_TEST

/* ---- secrets ----------------------------------------------------------------------------------------------------------- */

#define CANARY "Kanari7vogel"

static void no_canary(const char *text)
{
    ck_assert_msg(strstr(text, CANARY) == NULL, "the password is in: %s", text);
}

START_TEST(the_password_is_never_said)
{
    static const char *const uris[] = {
        "postgres://u:" CANARY "@127.0.0.1:1/x",
        "postgres://u:" CANARY "@[::1:1/x",
        "postgres://u:" CANARY "@host:port:7/x",
        "postgres://u:" CANARY "@127.0.0.1:1/x?nonsense=1",
        "postgres://u:" CANARY "@127.0.0.1:1/x?namespace=a-b",
        "postgres://u:" CANARY "@127.0.0.1:1/x?notify=perhaps",
        "postgres://u:" CANARY "%zz@127.0.0.1:1/x",
        "postgres://127.0.0.1:1/x?password=" CANARY,
        "postgres:" CANARY,
        "postgresql://" CANARY ":" CANARY "@127.0.0.1:1/" CANARY "?sslmode=disable",
    };
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        struct jobq_store *s = NULL;
        memset(&last, 0, sizeof last);
        int status = store_try(&s, uris[i], 0, 2000, &last);
        ck_assert_msg(status == JOBQ_INVALID || status == JOBQ_UNREACHABLE, "%s: %d", uris[i], status);
        ck_assert_ptr_null(s);
        ck_assert(last.text[0]);
        no_canary(last.text);
    }
    char more[64];
    snprintf(more, sizeof more, "&password=%s", CANARY);
    struct jobq_store *s = store_open(uri_with(more));
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    struct jobq_arena *arena = jobq_arena_create();
    ck_assert_int_eq(jobq_postgres()->stats(s, &all, &stats, arena, &last), JOBQ_OK);
    no_canary(stats.address);
    fail_inserts("P0001", 100);
    sql("CREATE OR REPLACE FUNCTION @.break() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'it is %s'; END $$", CANARY);
    ck_assert_int_eq(put_job(s, 1), JOBQ_FAILED);
    no_canary(last.text);
    store_close(s);
    jobq_arena_destroy(arena);
}
END_TEST

/* Unit and want of an exchange are two transactions, and go out before either is answered. The least of many counts: on a
 * slow machine the first answer may come while the proxy has not seen all of what was sent. */
START_TEST(one_round_trip)
{
    int64_t least = INT64_MAX;
    struct proxy *p = proxy_start();
    struct jobq_store *s = store_open(proxy_uri(p));
    const struct jobq_bytes queue = { "q", 1 };
    for (uint32_t i = 0; i < 25; i++) {
        struct jobq_put put = put_of(i);
        struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1, .lease_ms = 30000 };
        struct jobq_exchange x = { .puts = &put, .put_count = 1, .want = &want };
        int64_t before = proxy_rounds(p);
        ck_assert_msg(exchange(s, &x) == JOBQ_OK && want.row_count == 1, "%s", last.text);
        int64_t rounds = proxy_rounds(p) - before;
        least = rounds < least ? rounds : least;
    }
    ck_assert_int_eq(least, 1);
    store_close(s);
    proxy_stop(p);
}
END_TEST

KIT_MAIN("postgres faults", one_round_trip, what_passes_is_tried_again, errors_have_their_class, a_want_that_fails,
         answers_cut_at_any_byte, requests_cut_at_any_byte, a_server_that_says_nothing, a_lock_that_is_held,
         a_neighbour_that_is_locked, the_server_ends_our_session, the_password_is_never_said)
