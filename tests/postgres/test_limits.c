/* SPDX-License-Identifier: MIT */
/* Limits under many connections at once: never exceeded by one, and nobody is told of a deadlock. Rule 10; S9. And quotas where
 * there is no library between the program and the store. */
#define _GNU_SOURCE /* pthread_tryjoin_np */
#include "kit.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define THREADS 8
#define HANDLES 64
#define ROUNDS 3

static struct jobq_bytes text(const char *s)
{
    return (struct jobq_bytes){ s, strlen(s) };
}

static void set_limit(struct jobq_store *s, struct jobq_settings settings)
{
    settings.size = sizeof settings;
    ck_assert_msg(jobq_postgres()->configure(s, &settings, &last) == JOBQ_OK, "%s", last.text);
}

static void limit_queue(struct jobq_store *s, uint32_t set, int64_t value)
{
    set_limit(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_QUEUE, .name = text("q"), .set = set, .concurrency = value,
                                         .group_concurrency = value, .rate = value, .rate_period_ms = 3600000 });
}

static void limit_every_group(struct jobq_store *s, uint32_t set, int64_t value)
{
    set_limit(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_GROUP, .set = set, .concurrency = value, .rate = value,
                                         .rate_period_ms = 3600000, .quota = value, .quota_period_ms = 3600000 });
}

/* Jobs of three groups, and some of none. */
static void put_jobs(struct jobq_store *s, uint32_t count)
{
    static const char *const groups[] = { "a", "b", "c", NULL };
    struct jobq_put puts[100];
    for (uint32_t i = 0; i < count; i++) {
        puts[i] = put_of(i);
        if (groups[i % 4])
            puts[i].group = text(groups[i % 4]);
    }
    struct jobq_exchange x = { .puts = puts, .put_count = count };
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
}

/* ---- many who claim ---------------------------------------------------------------------------------------------- */

struct crowd {
    struct jobq_store *stores[HANDLES];
    pthread_barrier_t barrier;
    _Atomic int failed, claimed;
    struct jobq_error why; /* the first failure */
};

struct part {
    struct crowd *crowd;
    int number;
};

/* One claim of up to three by each handle of this thread, nobody ends any. A call of the kit's would share its state. */
static void *claim_some(void *argument)
{
    struct part *part = argument;
    struct crowd *c = part->crowd;
    const struct jobq_bytes queue = text("q");
    pthread_barrier_wait(&c->barrier);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = part->number; i < HANDLES; i += THREADS) {
            struct jobq_arena *arena = jobq_arena_create();
            struct jobq_error err = { 0 };
            struct jobq_want w = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 3, .lease_ms = 60000,
                                   .worker = text("w"), .mint = { 1, (uint8_t)i, (uint8_t)round } };
            struct jobq_exchange x = { .size = sizeof x, .want = &w, .client = { 7, (uint8_t)i },
                                       .number = (uint64_t)round + 1 };
            int status = jobq_postgres()->exchange(c->stores[i], &x, arena, &err);
            if ((status != JOBQ_OK || x.want_unit != JOBQ_OK) && atomic_fetch_add(&c->failed, 1) == 0)
                c->why = err;
            atomic_fetch_add(&c->claimed, (int)w.row_count);
            jobq_arena_destroy(arena);
        }
    return NULL;
}

static void let_claim(struct crowd *c)
{
    pthread_t threads[THREADS];
    struct part parts[THREADS];
    c->failed = c->claimed = 0;
    pthread_barrier_init(&c->barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        parts[i] = (struct part){ c, i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, claim_some, &parts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&c->barrier);
    ck_assert_msg(c->failed == 0, "%d claims failed: %s", c->failed, c->why.text);
}

static void crowd_open(struct crowd *c)
{
    for (int i = 0; i < HANDLES; i++)
        c->stores[i] = store_open(uri_with(""));
}

static void crowd_close(struct crowd *c)
{
    for (int i = 0; i < HANDLES; i++)
        store_close(c->stores[i]);
}

/* One more by itself, so that what all were in each other's way of is taken too. */
static void claim_the_rest(struct jobq_store *s)
{
    const struct jobq_row *rows;
    while (claim_jobs(s, 100, &rows) > 0)
        ;
}

static const struct {
    const char *name;
    bool of_groups;
    uint32_t set;
    int64_t value, expected;
} limits[] = {
    { "jobs of a queue", false, JOBQ_SETTING_CONCURRENCY, 7, 7 },
    { "starts of a queue", false, JOBQ_SETTING_RATE, 7, 7 },
    { "jobs of each group in a queue", false, JOBQ_SETTING_GROUP_CONCURRENCY, 5, 3 * 5 + 25 },
    { "jobs of each group", true, JOBQ_SETTING_CONCURRENCY, 5, 3 * 5 + 25 },
    { "starts of each group", true, JOBQ_SETTING_RATE, 5, 3 * 5 + 25 },
};

/* What runs never passes the limit, and all of it is used. */
START_TEST(never_exceeded_by_one)
{
    static struct crowd c;
    crowd_open(&c);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        sql("TRUNCATE @.job, @.batch, @.tally, @.queue, @.bound, @.gauge, @.receipt");
        put_jobs(c.stores[0], 100);
        if (limits[i].of_groups)
            limit_every_group(c.stores[0], limits[i].set, limits[i].value);
        else
            limit_queue(c.stores[0], limits[i].set, limits[i].value);
        let_claim(&c);
        ck_assert_msg(c.claimed <= limits[i].expected, "%s: %d", limits[i].name, c.claimed);
        claim_the_rest(c.stores[0]);
        int64_t running = sql_value("SELECT (SELECT count(*) FROM @.job WHERE state = 3)"
                                    " + (SELECT coalesce(sum(b.running), 0) FROM @.batch AS b)");
        ck_assert_msg(running == limits[i].expected, "%s: %d run", limits[i].name, (int)running);
    }
    crowd_close(&c);
}
END_TEST

/* ---- members of batches ------------------------------------------------------------------------------------------- */

enum { GROUPS = 10, OF_EACH = 5, SLOTS = 2, FIRST = GROUPS * SLOTS };

static void places_are(int64_t rows, int64_t members)
{
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), rows);
    ck_assert_int_eq(sql_value("SELECT coalesce(sum(running), 0) FROM @.batch"), members);
}

static int64_t running_of(const char *group)
{
    return sql_value("SELECT running FROM @.limits_bounds(2, '%s', NULL, 10)", group);
}

/* Two of each group may run. They are members of one batch, though the circle is gone round twice, and count as rows do:
 * while they are members, when they have left, and no more when they have ended. */
static void members_use_slots(bool here)
{
    char names[GROUPS];
    const struct jobq_row *rows;
    struct jobq_put puts[GROUPS * OF_EACH];
    struct jobq_exchange x = { .puts = puts, .put_count = GROUPS * OF_EACH };
    struct jobq_store *s = store_open(uri_with(""));
    sql("TRUNCATE @.job, @.batch, @.tally, @.queue, @.bound, @.gauge, @.receipt");
    for (uint32_t i = 0; i < GROUPS * OF_EACH; i++) {
        names[i % GROUPS] = (char)('a' + i % GROUPS);
        puts[i] = put_of(i);
        puts[i].group = (struct jobq_bytes){ &names[i % GROUPS], 1 };
    }
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    if (here)
        limit_queue(s, JOBQ_SETTING_GROUP_CONCURRENCY, SLOTS);
    else
        limit_every_group(s, JOBQ_SETTING_CONCURRENCY, SLOTS);
    ck_assert_uint_eq(claim_jobs(s, 100, &rows), FIRST);
    for (uint32_t i = 0; i < FIRST; i++) { /* in turns */
        struct jobq_id id = id_of(i);
        ck_assert_mem_eq(&rows[i].id, &id, sizeof id);
        ck_assert(rows[i].group.size == 1 && *(const char *)rows[i].group.data == names[i % GROUPS]);
    }
    places_are(GROUPS * OF_EACH - FIRST, FIRST);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.batch"), 1);
    ck_assert_int_eq(running_of("a"), SLOTS);
    ck_assert_int_eq(running_of("z"), 0);
    const struct jobq_row first = rows[0];
    ck_assert_uint_eq(claim_jobs(s, 100, &rows), 0);
    sql("SELECT @.rows_lock(ARRAY(SELECT ids[1] FROM @.batch))"); /* what makes it leave */
    places_are(GROUPS * OF_EACH - FIRST + 1, FIRST - 1);
    ck_assert_int_eq(running_of("a"), SLOTS);
    ck_assert_uint_eq(claim_jobs(s, 100, &rows), 0);
    ck_assert_int_eq(ack_job(s, &first), JOBQ_OK);
    ck_assert_int_eq(running_of("a"), SLOTS - 1);
    ck_assert_uint_eq(claim_jobs(s, 100, &rows), 1);
    ck_assert_int_eq(running_of("a"), SLOTS);
    ck_assert_uint_eq(claim_jobs(s, 100, &rows), 0);
    store_close(s);
}

START_TEST(members_use_the_slots_of_groups)
{
    members_use_slots(true);
    members_use_slots(false);
}
END_TEST

/* Where each lap of the circle is short, what it gives are members all the same, but for the first few. */
START_TEST(few_groups_have_members)
{
    struct jobq_put puts[40];
    struct jobq_exchange x = { .puts = puts, .put_count = 40 };
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows;
    for (uint32_t i = 0; i < 40; i++) {
        puts[i] = put_of(i);
        puts[i].group = text(i % 2 ? "a" : "b");
    }
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    ck_assert_uint_eq(claim_jobs(s, 40, &rows), 40);
    places_are(6, 34);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.batch"), 1);
    store_close(s);
}
END_TEST

/* A list by group finds them, running and completed. */
START_TEST(members_have_groups)
{
    static const char names[] = "abcdefghijklmnop";
    struct jobq_put puts[16];
    struct jobq_change changes[16];
    struct jobq_exchange x = { .puts = puts, .put_count = 16 };
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows;
    for (uint32_t i = 0; i < 16; i++) {
        puts[i] = put_of(i);
        puts[i].group = (struct jobq_bytes){ &names[i], 1 };
    }
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    ck_assert_uint_eq(claim_jobs(s, 16, &rows), 16);
    for (int ended = 0; ended < 2; ended++) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_error err;
        struct jobq_query query = { .size = sizeof query, .group = text("c"), .limit = 10 };
        places_are(0, ended ? 0 : 16);
        ck_assert_msg(jobq_postgres()->read(s, &query, arena, &err) == JOBQ_OK, "%s", err.text);
        ck_assert_uint_eq(query.row_count, 1);
        ck_assert(query.rows[0].group.size == 1 && *(const char *)query.rows[0].group.data == 'c');
        ck_assert_int_eq(query.rows[0].state, ended ? JOBQ_ROW_COMPLETED : JOBQ_ROW_RUNNING);
        jobq_arena_destroy(arena);
        for (uint32_t i = 0; i < 16 && !ended; i++)
            changes[i] = (struct jobq_change){ .id = rows[i].id, .by = JOBQ_BY_TOKEN, .token = rows[i].token,
                                               .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                               .state = JOBQ_ROW_COMPLETED };
        x = (struct jobq_exchange){ .changes = changes, .change_count = 16 };
        if (!ended)
            ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    }
    store_close(s);
}
END_TEST

/* ---- a limit that is set while others claim -------------------------------------------------------------------------- */

struct late {
    struct jobq_store *store;
    uint8_t number;
    const char *group; /* of the limit; NULL: the queue's */
    bool failed;
    size_t claimed;
};

static void *claim_ten(void *argument)
{
    struct late *l = argument;
    const struct jobq_bytes queue = text("q");
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_error err = { 0 };
    struct jobq_want w = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 10, .share = 10,
                           .lease_ms = 60000, .worker = text("w"), .mint = { 2, l->number } };
    struct jobq_exchange x = { .size = sizeof x, .want = &w, .client = { 8, l->number }, .number = 1 };
    l->failed = jobq_postgres()->exchange(l->store, &x, arena, &err) != JOBQ_OK || x.want_unit != JOBQ_OK;
    l->claimed = w.row_count;
    jobq_arena_destroy(arena);
    return NULL;
}

static void *set_two(void *argument)
{
    struct late *l = argument;
    struct jobq_error err = { 0 };
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .name = text("q"),
                               .set = JOBQ_SETTING_CONCURRENCY, .concurrency = 2 };
    if (l->group) {
        s.what = JOBQ_CONFIGURE_GROUP;
        s.name = (struct jobq_bytes){ 0 };
        s.group = text(l->group);
    }
    l->failed = jobq_postgres()->configure(l->store, &s, &err) != JOBQ_OK;
    l->claimed = 1;
    return NULL;
}

/* Until so many sessions wait for a lock, or what we wait for is done without one. */
static void wait_for_waiting(int64_t count, pthread_t thread, bool *joined)
{
    *joined = false;
    for (int i = 0; i < 3000 && !*joined; i++) {
        if (sql_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") >= count)
            return;
        *joined = pthread_tryjoin_np(thread, NULL) == 0;
        usleep(10000);
    }
    ck_assert_msg(*joined, "nobody waits");
}

/* One claims and has not committed, the limit is set, another claims: that one counts what the first took. */
static void set_beside_a_claim(const char *group)
{
    struct late parts[3];
    void *(*const run[3])(void *) = { claim_ten, set_two, claim_ten };
    pthread_t threads[3];
    bool joined[3];
    struct jobq_put puts[20];
    for (uint8_t i = 0; i < 3; i++)
        parts[i] = (struct late){ .store = store_open(uri_with("")), .number = i, .group = group };
    sql("TRUNCATE @.job, @.batch, @.tally, @.queue, @.bound, @.gauge, @.receipt");
    for (uint32_t i = 0; i < 20; i++) {
        puts[i] = put_of(i);
        puts[i].group = text(group ? group : "");
    }
    struct jobq_exchange x = { .puts = puts, .put_count = 20 };
    ck_assert_int_eq(exchange(parts[0].store, &x), JOBQ_OK);
    PGconn *conn = PQconnectdb(server_address());
    char command[100];
    PQclear(PQexec(conn, "BEGIN"));
    snprintf(command, sizeof command, "LOCK TABLE %s.tally IN SHARE MODE", name_space()); /* claims count there, settings do not */
    PGresult *locked = PQexec(conn, command);
    ck_assert_int_eq(PQresultStatus(locked), PGRES_COMMAND_OK);
    PQclear(locked);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run[i], &parts[i]), 0);
        wait_for_waiting(i + 1 - (i == 2 && joined[1]), threads[i], &joined[i]);
    }
    PQclear(PQexec(conn, "COMMIT"));
    PQfinish(conn);
    for (int i = 0; i < 3; i++) {
        if (!joined[i])
            pthread_join(threads[i], NULL);
        ck_assert(!parts[i].failed);
        store_close(parts[i].store);
    }
    ck_assert_uint_eq(parts[0].claimed, 10);
    ck_assert_uint_eq(parts[2].claimed, 0);
}

START_TEST(set_while_others_claim)
{
    set_beside_a_claim(NULL);
    set_beside_a_claim("a");
}
END_TEST

/* ---- gauges that are not there yet ---------------------------------------------------------------------------- */

static PGconn *in_a_transaction(void)
{
    PGconn *conn = PQconnectdb(server_address());
    PGresult *result = PQexec(conn, "BEGIN; SET LOCAL lock_timeout = '2s'"); /* for who waits after all */
    ck_assert_int_eq(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    return conn;
}

static bool yes(PGconn *conn, const char *what)
{
    char command[200];
    snprintf(command, sizeof command, "SELECT * FROM %s.%s", name_space(), what);
    PGresult *result = PQexec(conn, command);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", what, PQerrorMessage(conn));
    bool is = PQntuples(result) == 1;
    PQclear(result);
    return is;
}

/* Two claims that make gauges, each in an order of its own: nobody waits for the other. */
START_TEST(gauges_are_made_in_any_order)
{
    static const char *const looks[] = { "gate(1, 'a') AS x WHERE x", "gate(1, 'b') AS x WHERE x",
                                         "lanes_look(0, 1, '{a}', 1, '{}') AS x WHERE NOT x.o_busy",
                                         "lanes_look(0, 1, '{b}', 1, '{}') AS x WHERE NOT x.o_busy" };
    struct jobq_store *s = store_open(uri_with(""));
    for (int i = 0; i < 4; i += 2) {
        const char *first = looks[i], *second = looks[i + 1];
        PGconn *one = in_a_transaction(), *other = in_a_transaction();
        ck_assert(yes(one, first));
        yes(other, second); /* made or not */
        ck_assert(!yes(other, first));
        ck_assert(yes(one, second));
        PQclear(PQexec(one, "COMMIT"));
        ck_assert(yes(other, first));
        ck_assert(yes(other, second));
        PQfinish(one);
        PQfinish(other);
    }
    store_close(s);
}
END_TEST

/* ---- many who put ------------------------------------------------------------------------------------------------- */

static void *put_some(void *argument)
{
    struct part *part = argument;
    struct crowd *c = part->crowd;
    pthread_barrier_wait(&c->barrier);
    for (int i = part->number; i < HANDLES; i += THREADS) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_error err = { 0 };
        struct jobq_put puts[4];
        for (uint32_t k = 0; k < 4; k++) {
            puts[k] = put_of((uint32_t)i * 4 + k);
            puts[k].group = text((i + (int)k) % 2 ? "a" : "b"); /* in either order */
        }
        struct jobq_exchange x = { .size = sizeof x, .puts = puts, .put_count = 4, .client = { 7, (uint8_t)i }, .number = 1 };
        int status = jobq_postgres()->exchange(c->stores[i], &x, arena, &err);
        if (status != JOBQ_OK && atomic_fetch_add(&c->failed, 1) == 0)
            c->why = err;
        jobq_arena_destroy(arena);
    }
    return NULL;
}

START_TEST(puts_of_each_group)
{
    static struct crowd c;
    pthread_t threads[THREADS];
    struct part parts[THREADS];
    crowd_open(&c);
    limit_every_group(c.stores[0], JOBQ_SETTING_QUOTA, 33);
    c.failed = 0;
    pthread_barrier_init(&c.barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        parts[i] = (struct part){ &c, i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_some, &parts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&c.barrier);
    ck_assert_msg(c.failed == 0, "%s", c.why.text);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE tenant = 'a'"), 33);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE tenant = 'b'"), 33);
    crowd_close(&c);
}
END_TEST

/* ---- without the library -------------------------------------------------------------------------------------------- */

START_TEST(the_quota_of_plain_sql)
{
    struct jobq_store *s = store_open(uri_with(""));
    char command[200];
    limit_every_group(s, JOBQ_SETTING_QUOTA, 1);
    sql("SELECT job FROM @.enqueue('q', 'x', tenant => 'a')");
    sql("SELECT job FROM @.enqueue('q', 'x', tenant => 'b')");
    sql("SELECT job FROM @.enqueue('q', 'x')");
    PGconn *conn = PQconnectdb(server_address());
    snprintf(command, sizeof command, "SELECT job FROM %s.enqueue('q', 'x', tenant => 'a')", name_space());
    PGresult *result = PQexec(conn, command);
    ck_assert_int_eq(PQresultStatus(result), PGRES_FATAL_ERROR);
    ck_assert_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), "54000");
    ck_assert_ptr_nonnull(strstr(PQresultErrorMessage(result), "quota of tenant \"a\""));
    PQclear(result);
    PQfinish(conn);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 3);
    store_close(s);
}
END_TEST

/* What a transaction puts and takes back has not used the quota. */
START_TEST(the_quota_of_a_transaction)
{
    struct jobq_store *s = store_open(uri_with(""));
    PGconn *conn = PQconnectdb(server_address());
    struct jobq *q;
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .group = "a" };
    struct jobq_enqueued out = { .size = sizeof out };
    limit_every_group(s, JOBQ_SETTING_QUOTA, 1);
    ck_assert_msg(jobq_postgres_attach(&q, conn, name_space(), NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
    for (int round = 0; round < 2; round++) {
        PQclear(PQexec(conn, "BEGIN"));
        ck_assert_int_eq(jobq_enqueue(q, &spec, &out), JOBQ_OK);
        ck_assert_int_eq(jobq_enqueue(q, &spec, &out), JOBQ_LIMITED);
        ck_assert_int_gt(out.retry_ms, 0);
        PQclear(PQexec(conn, round ? "COMMIT" : "ROLLBACK"));
    }
    PQclear(PQexec(conn, "BEGIN"));
    ck_assert_int_eq(jobq_enqueue(q, &spec, &out), JOBQ_LIMITED);
    PQclear(PQexec(conn, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 1);
    jobq_close(q);
    PQfinish(conn);
    store_close(s);
}
END_TEST

/* ---- fences ------------------------------------------------------------------------------------------------------- */

/* As it is when another claims and gives back what we have not reached yet, after our token was made. */
static void give_back_under_a_higher_fence(void)
{
    sql("UPDATE @.job SET token = encode(int8send(9) || int8send((SELECT last_value + 5 FROM @.fence)), 'hex')::uuid"
        " WHERE id = (SELECT max(id::text)::uuid FROM @.job)");
}

/* From claim to claim of one job the fence rises; S5. */
static void fences_rise(const char *queue_of_last, const char *group_of_last)
{
    static const struct jobq_bytes queues[] = { { "q", 1 }, { "r", 1 } };
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_put puts[] = { put_of(1), put_of(2) };
    struct jobq_exchange x = { .puts = puts, .put_count = 2 };
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = queues, .queue_count = 2, .limit = 2, .lease_ms = 30000,
                              .worker = { "w", 1 } };
    sql("TRUNCATE @.job, @.batch, @.tally, @.queue, @.receipt");
    puts[0].group = text("a");
    puts[1].queue = text(queue_of_last);
    puts[1].group = text(group_of_last);
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    give_back_under_a_higher_fence();
    for (uint8_t i = 1; i <= 2; i++) { /* the other one, and when the fences are higher that one */
        x = (struct jobq_exchange){ .want = &want };
        ck_assert_msg(exchange(s, &x) == JOBQ_OK && x.want_unit == JOBQ_OK, "%s", last.text);
        ck_assert_uint_eq(want.row_count, 1);
        ck_assert_uint_eq(want.rows[0].id.bytes[15], i);
        sql("SELECT setval('@.fence', last_value + 10) FROM @.fence");
    }
    store_close(s);
}

START_TEST(fences_rise_in_turns)
{
    fences_rise("q", "a");
    fences_rise("q", "b");
}
END_TEST

START_TEST(fences_rise_behind_turns)
{
    fences_rise("r", "");
}
END_TEST

KIT_MAIN("postgres limits", fences_rise_in_turns, fences_rise_behind_turns, never_exceeded_by_one,
         members_use_the_slots_of_groups, few_groups_have_members, members_have_groups, set_while_others_claim,
         gauges_are_made_in_any_order, puts_of_each_group, the_quota_of_plain_sql, the_quota_of_a_transaction)
