/* SPDX-License-Identifier: MIT */
/* Being told: L1, L3; reliability: a listener that died and was never noticed. */
#include "kit.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool woken(struct jobq_store *s, int ms)
{
    struct pollfd p = { .fd = jobq_postgres()->wake_fd(s), .events = POLLIN };
    int64_t end = ms_now() + ms;
    ck_assert_int_ge(p.fd, 0);
    for (int64_t left = ms; left >= 0; left = end - ms_now())
        if (poll(&p, 1, (int)left) > 0 && jobq_postgres()->wake_drain(s))
            return true;
    return false;
}

static void be_quiet(struct jobq_store *s)
{
    while (woken(s, 50))
        ;
}

START_TEST(a_listener_that_died_listens_again)
{
    struct jobq_store *s = store_open(uri_with("")), *other = store_open(uri_with(""));
    int fd = jobq_postgres()->wake_fd(s);
    be_quiet(s);
    ck_assert_int_eq(put_job(other, 1), JOBQ_OK);
    ck_assert(woken(s, 5000));
    be_quiet(s);
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN \"jobq:@\"%%'");
    ck_assert(woken(s, 5000)); /* what was missed is not known */
    ck_assert(woken(s, 10000)); /* it listens again, and says so */
    be_quiet(s);
    ck_assert_int_eq(put_job(other, 2), JOBQ_OK);
    ck_assert(woken(s, 5000));
    ck_assert_int_eq(jobq_postgres()->wake_fd(s), fd);
    store_close(other);
    store_close(s);
}
END_TEST

START_TEST(own_news_are_none)
{
    struct jobq_store *s = store_open(uri_with(""));
    be_quiet(s);
    ck_assert_int_eq(put_job(s, 1), JOBQ_OK);
    ck_assert(!woken(s, 200));
    store_close(s);
}
END_TEST

#define LISTENING "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)" \
                            " WHERE l.locktype = 'advisory' AND l.mode = 'ShareLock' AND a.query LIKE 'LISTEN \"jobq:@\"%%'"

/* Who only overhears has no lock. */
static PGconn *overhear(void)
{
    char text[120];
    PGconn *conn = PQconnectdb(server_address());
    snprintf(text, sizeof text, "LISTEN \"jobq:%s\"", name_space());
    PQclear(PQexec(conn, text));
    return conn;
}

static int overheard(PGconn *conn)
{
    int told = 0;
    PQclear(PQexec(conn, "SELECT 1"));
    for (PGnotify *n; (n = PQnotifies(conn)) != NULL; PQfreemem(n))
        told++;
    return told;
}

/* Who listens holds a lock that says so, and only then something is sent. */
START_TEST(told_only_when_somebody_listens)
{
    struct jobq_store *s = store_open(uri_with("")), *other = store_open(uri_with(""));
    PGconn *conn = overhear();
    ck_assert_int_eq(sql_value(LISTENING), 0);
    ck_assert_int_eq(put_job(other, 1), JOBQ_OK);
    ck_assert_int_eq(overheard(conn), 0);
    be_quiet(s);
    ck_assert_int_eq(sql_value(LISTENING), 1);
    ck_assert_int_eq(put_job(other, 2), JOBQ_OK);
    ck_assert(woken(s, 5000));
    ck_assert_int_eq(overheard(conn), 1);
    store_close(s);
    int64_t count = 1;
    for (int i = 0; i < 100 && count; i++)
        count = sql_value(LISTENING);
    ck_assert_int_eq(count, 0);
    overheard(conn); /* what the listener was told while it was there */
    ck_assert_int_eq(put_job(other, 3), JOBQ_OK);
    ck_assert_int_eq(overheard(conn), 0);
    PQfinish(conn);
    store_close(other);
}
END_TEST

/* However much one call puts, it says so once. */
START_TEST(told_once_a_call)
{
    struct jobq_store *s = store_open(uri_with("")), *other = store_open(uri_with(""));
    struct jobq_put puts[200];
    PGconn *conn = overhear();
    be_quiet(s); /* somebody listens */
    for (uint32_t i = 0; i < 200; i++)
        puts[i] = put_of(1 + i);
    struct jobq_exchange x = { .puts = puts, .put_count = 200 };
    ck_assert_msg(exchange(other, &x) == JOBQ_OK, "%s", last.text);
    ck_assert(woken(s, 5000));
    ck_assert_int_eq(overheard(conn), 1);
    PQfinish(conn);
    store_close(other);
    store_close(s);
}
END_TEST

START_TEST(switched_off)
{
    struct jobq_store *s = store_open(uri_with("")), *silent = store_open(uri_with("&notify=off"));
    struct jobq_store *deaf = store_open(uri_with("&listen=off"));
    be_quiet(s);
    ck_assert_int_eq(put_job(silent, 1), JOBQ_OK);
    ck_assert(!woken(s, 200));
    ck_assert_int_eq(jobq_postgres()->wake_fd(deaf), -1);
    ck_assert_int_eq(put_job(deaf, 2), JOBQ_OK);
    ck_assert(woken(s, 5000));
    store_close(deaf);
    store_close(silent);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres wake", a_listener_that_died_listens_again, own_news_are_none, told_only_when_somebody_listens,
         told_once_a_call, switched_off)
