/* SPDX-License-Identifier: MIT */
/* Jobs that are taken together stand in another table: a store from before is brought up, and between the two
 * places nobody loses one, sees it twice or puts it a second time, whoever moves it meanwhile. */
#include "kit.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 16

/* ---- what is done ------------------------------------------------------------------------------------- */

static void put_many(struct jobq_store *s, uint32_t first, int32_t verdict)
{
    struct jobq_put puts[MANY];
    struct jobq_exchange x = {.puts = puts, .put_count = MANY};
    for (uint32_t i = 0; i < MANY; i++)
        puts[i] = put_of(first + i);
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "put: %s", last.text);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(puts[i].verdict, verdict);
}

/* They are members of one batch, in the order of their numbers. */
static const struct jobq_row *taken(struct jobq_store *s, uint32_t first)
{
    const struct jobq_row *rows;
    put_many(s, first, JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, MANY, &rows), MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        struct jobq_id id = id_of(first + i);
        ck_assert_mem_eq(&rows[i].id, &id, sizeof id);
    }
    return rows;
}

static struct jobq_change completed(const struct jobq_row *row)
{
    return (struct jobq_change){.id = row->id,
                                .by = JOBQ_BY_TOKEN,
                                .token = row->token,
                                .edits = JOBQ_ANY_EDITS,
                                .outcome = JOBQ_OUTCOME_COMPLETE,
                                .state = JOBQ_ROW_COMPLETED};
}

static void complete(struct jobq_store *s, const struct jobq_row *rows, size_t count)
{
    struct jobq_change changes[MANY];
    struct jobq_exchange x = {.changes = changes, .change_count = count};
    for (size_t i = 0; i < count; i++)
        changes[i] = completed(&rows[i]);
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "complete: %s", last.text);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
}

/* A waiting one is cancelled, a running one is asked to stop. */
static struct jobq_change cancelled(uint32_t number, uint32_t state)
{
    bool runs = state == JOBQ_ROW_RUNNING;
    return (struct jobq_change){.id = id_of(number),
                                .by = JOBQ_BY_OPERATOR,
                                .allowed = JOBQ_ROW_BIT(state),
                                .edits = JOBQ_ANY_EDITS,
                                .state = runs ? JOBQ_ROW_KEEP : JOBQ_ROW_CANCELLED,
                                .set = runs ? JOBQ_SET_CANCEL_ASKED : 0};
}

/* One look: those of these ids that are there, each once. */
static size_t found(struct jobq_store *s, uint32_t first, uint32_t count, struct jobq_arena *arena,
                    const struct jobq_row **rows)
{
    struct jobq_id ids[MANY];
    struct jobq_error err;
    struct jobq_query query = {.size = sizeof query, .ids = ids, .id_count = count, .flags = JOBQ_READ_PAYLOAD};
    for (uint32_t i = 0; i < count; i++)
        ids[i] = id_of(first + i);
    ck_assert_msg(jobq_postgres()->read(s, &query, arena, &err) == JOBQ_OK, "read: %s", err.text);
    if (rows)
        *rows = query.rows;
    return query.row_count;
}

static int32_t state_of(struct jobq_store *s, uint32_t number)
{
    const struct jobq_row *rows;
    struct jobq_arena *arena = jobq_arena_create();
    ck_assert_ptr_nonnull(arena);
    int32_t state = found(s, number, 1, arena, &rows) ? rows[0].state : 0;
    jobq_arena_destroy(arena);
    return state;
}

static void places_are(int64_t rows, int64_t members)
{
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), rows);
    ck_assert_int_eq(sql_value("SELECT coalesce(sum(running + completed), 0) FROM @.batch"), members);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job AS j JOIN @.batch AS b"
                               " ON b.fates[array_position(b.ids, j.id)] >= 0"),
                     0);
}

/* ---- a store from before ------------------------------------------------------------------------------ */

#define DROP_FUNCTIONS                                                                                        \
    "DO $$ DECLARE f record; BEGIN"                                                                           \
    " FOR f IN SELECT p.oid::regprocedure AS name FROM pg_proc AS p WHERE p.pronamespace = '@'::regnamespace" \
    " LOOP EXECUTE 'DROP FUNCTION IF EXISTS ' || f.name || ' CASCADE'; END LOOP; END $$;"

/* As step 1 made it: what came later is taken away. */
START_TEST(brought_up)
{
    const struct jobq_row *rows;
    struct jobq_store *s = store_open(uri_with(""));
    for (uint32_t i = 0; i < 6; i++)
        ck_assert_int_eq(put_job(s, i), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, 4, &rows), 4);
    complete(s, rows, 2);
    store_close(s);
    sql(WITHOUT_STEP_5 DROP_FUNCTIONS "DROP TABLE @.batch CASCADE;"
                                      "UPDATE @.meta SET version = 1, shape = 'of then'");
    s = store_open(uri_with(""));
    ck_assert_int_eq(sql_value("SELECT version FROM @.meta"), 5);
    places_are(6, 0);
    complete(s, rows + 2, 2);
    ck_assert_uint_eq(claim_jobs(s, 4, &rows), 2);
    complete(s, rows, 2);
    rows = taken(s, 100);
    places_are(6, MANY);
    complete(s, rows, MANY);
    ck_assert_int_eq(sql_value("SELECT completed FROM @.batch"), MANY);
    ck_assert_int_eq(state_of(s, 100), JOBQ_ROW_COMPLETED);
    store_close(s);
}
END_TEST

#define AS_PUT "SELECT hashtextextended(string_agg(b.bytes::text || b.numbers::text, ''), 0) FROM @.batch AS b"

/* As step 3 left it: members stay where they are, and what they were put with with them. */
START_TEST(brought_up_with_members)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows = taken(s, 100);
    const int64_t as_put = sql_value(AS_PUT);
    store_close(s);
    sql(WITHOUT_STEP_5 DROP_FUNCTIONS "ALTER TABLE @.batch DROP COLUMN tenants;"
                                      "UPDATE @.meta SET version = 3, shape = 'of then'");
    s = store_open(uri_with(""));
    ck_assert_int_eq(sql_value("SELECT version FROM @.meta"), 5);
    places_are(0, MANY);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.batch WHERE tenants IS NULL"), 1);
    ck_assert_int_eq(sql_value(AS_PUT), as_put);
    ck_assert_int_eq(state_of(s, 100), JOBQ_ROW_RUNNING);
    complete(s, rows, MANY);
    ck_assert_int_eq(sql_value("SELECT completed FROM @.batch"), MANY);
    store_close(s);
}
END_TEST

/* ---- what a claim gives ------------------------------------------------------------------------------- */

static void same_bytes(struct jobq_bytes a, struct jobq_bytes b)
{
    ck_assert_int_eq(a.data == NULL, b.data == NULL);
    ck_assert_uint_eq(a.size, b.size);
    if (a.size)
        ck_assert_mem_eq(a.data, b.data, a.size);
}

static void same_row(const struct jobq_row *a, const struct jobq_row *b)
{
    const struct jobq_bytes as[] = {a->queue,  a->kind, a->group, a->worker, a->payload,
                                    a->policy, a->key,  a->trace, a->result, a->data};
    const struct jobq_bytes bs[] = {b->queue,  b->kind, b->group, b->worker, b->payload,
                                    b->policy, b->key,  b->trace, b->result, b->data};
    const int64_t an[] = {a->fence,           a->state,         a->reason,         a->outcome,
                          a->priority,        a->rank_add_ms,   a->attempt,        (int64_t)a->payload_bytes,
                          a->created_at_ms,   a->run_at_ms,     a->started_at_ms,  a->finished_at_ms,
                          a->lease_until_ms,  a->stop_at_ms,    a->timeout_ms,     a->edits,
                          a->failures,        a->ran_alone};
    const int64_t bn[] = {b->fence,           b->state,         b->reason,         b->outcome,
                          b->priority,        b->rank_add_ms,   b->attempt,        (int64_t)b->payload_bytes,
                          b->created_at_ms,   b->run_at_ms,     b->started_at_ms,  b->finished_at_ms,
                          b->lease_until_ms,  b->stop_at_ms,    b->timeout_ms,     b->edits,
                          b->failures,        b->ran_alone};
    for (size_t i = 0; i < sizeof as / sizeof *as; i++)
        same_bytes(as[i], bs[i]);
    for (size_t i = 0; i < sizeof an / sizeof *an; i++)
        ck_assert_msg(an[i] == bn[i], "number %zu: %lld and %lld", i, (long long)an[i], (long long)bn[i]);
    ck_assert_mem_eq(&a->id, &b->id, sizeof a->id);
    ck_assert_mem_eq(&a->token, &b->token, sizeof a->token);
}

/* One want, three queues: two whose rows all become members, and one where every other has a timeout and stays a row.
 * Each is given as it is read, in the order of the queues. */
START_TEST(of_several_queues)
{
    const struct jobq_bytes queues[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    struct jobq_put puts[3 * MANY];
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_arena *arena = jobq_arena_create();
    const struct jobq_row *rows;
    ck_assert_ptr_nonnull(arena);
    for (uint32_t i = 0; i < 3 * MANY; i++) {
        puts[i] = put_of(i);
        puts[i].queue = queues[i / MANY];
        puts[i].priority = (int32_t)(i % 2);
        puts[i].rank_add_ms = i;
        puts[i].timeout_ms = i >= 2 * MANY && i % 2 ? 1000 : 0;
        puts[i].payload = i % 3 ? (struct jobq_bytes){"payload", i % 8} : (struct jobq_bytes){0};
        puts[i].policy = i % 4 ? (struct jobq_bytes){0} : (struct jobq_bytes){"policy", 6};
        puts[i].key = i % 5 ? (struct jobq_bytes){0} : (struct jobq_bytes){"key", 3};
        puts[i].trace = i % 6 ? (struct jobq_bytes){0} : (struct jobq_bytes){"trace", 5};
    }
    struct jobq_exchange put = {.puts = puts, .put_count = 3 * MANY};
    ck_assert_msg(exchange(s, &put) == JOBQ_OK, "put: %s", last.text);
    struct jobq_want want = {.mode = JOBQ_WANT_DUE,
                             .queues = queues,
                             .queue_count = 3,
                             .limit = 4 * MANY,
                             .lease_ms = 600,
                             .worker = {"w", 1}};
    struct jobq_exchange take = {.want = &want};
    ck_assert_msg(exchange(s, &take) == JOBQ_OK && take.want_unit == JOBQ_OK, "claim: %s", last.text);
    ck_assert_uint_eq(want.row_count, 3 * MANY);
    places_are(MANY / 2, 2 * MANY + MANY / 2);
    for (uint32_t i = 0; i < 3 * MANY; i++) {
        struct jobq_id id = id_of(i);
        ck_assert_mem_eq(&want.rows[i].id, &id, sizeof id);
        ck_assert_uint_eq(found(s, i, 1, arena, &rows), 1);
        same_row(&want.rows[i], rows);
        same_bytes(rows->queue, queues[i / MANY]);
    }
    for (uint32_t i = 0; i < 3; i++)
        complete(s, want.rows + i * MANY, MANY);
    places_are(MANY / 2, 2 * MANY + MANY / 2);
    jobq_arena_destroy(arena);
    store_close(s);
}
END_TEST

/* ---- one by one --------------------------------------------------------------------------------------- */

/* One whose id is a member's is known, whichever way it is put; one that was removed is not. */
START_TEST(put_again)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows = taken(s, 0);
    for (int round = 0; round < 2; round++) {
        struct jobq_put usual[2] = {put_of(3), put_of(4)};
        struct jobq_exchange x = {.puts = usual, .put_count = 2};
        put_many(s, 0, JOBQ_ALREADY);
        for (uint32_t number = 0; number < 2; number++) {
            struct jobq_put one = put_of(number);
            struct jobq_exchange alone = {.puts = &one, .put_count = 1};
            one.run_at = (struct jobq_time){number ? JOBQ_TIME_NOW : JOBQ_TIME_KEEP, number ? 100000 : 0};
            ck_assert_msg(exchange(s, &alone) == JOBQ_OK, "put: %s", last.text);
            ck_assert_int_eq(one.verdict, JOBQ_ALREADY);
            ck_assert_int_eq(one.state, round ? JOBQ_ROW_COMPLETED : JOBQ_ROW_RUNNING);
            ck_assert_int_eq(one.same_payload, 1);
        }
        usual[0].run_at = usual[1].run_at = (struct jobq_time){JOBQ_TIME_NOW, 100000};
        usual[1].payload = (struct jobq_bytes){"q", 1};
        ck_assert_msg(exchange(s, &x) == JOBQ_OK, "put: %s", last.text);
        ck_assert_int_eq(usual[0].verdict, JOBQ_ALREADY);
        ck_assert_int_eq(usual[1].verdict, JOBQ_ALREADY);
        ck_assert_int_eq(usual[1].same_payload, 0);
        places_are(0, MANY);
        if (!round)
            complete(s, rows, MANY);
    }
    struct jobq_change gone = {.id = id_of(0),
                               .by = JOBQ_BY_OPERATOR,
                               .allowed = JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED),
                               .edits = JOBQ_ANY_EDITS,
                               .state = JOBQ_ROW_GONE};
    struct jobq_exchange x = {.changes = &gone, .change_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(gone.verdict, JOBQ_OK);
    ck_assert_int_eq(put_job(s, 0), JOBQ_OK);
    places_are(1, MANY - 1);
    store_close(s);
}
END_TEST

/* Who waits for a member: it leaves, and when it ends the child is due. One that ended lets the child go at once. */
START_TEST(a_member_as_parent)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows = taken(s, 0);
    const struct jobq_parent parents[] = {{.id = id_of(1)}, {.id = id_of(2)}};
    struct jobq_put child = put_of(100), late = put_of(101), lost = put_of(102);
    const struct jobq_parent nobody[] = {{.id = id_of(2)}, {.id = id_of(99)}};
    struct jobq_exchange x = {.puts = &child, .put_count = 1};
    child.parents = parents;
    child.parent_count = 2;
    ck_assert_msg(exchange(s, &x) == JOBQ_OK && child.verdict == JOBQ_OK, "child: %s", last.text);
    ck_assert_int_eq(child.state, JOBQ_ROW_BLOCKED);
    places_are(3, MANY - 2);
    complete(s, rows, MANY);
    ck_assert_int_eq(state_of(s, 100), JOBQ_ROW_WAITING);
    struct jobq_exchange y = {.puts = &late, .put_count = 1}, z = {.puts = &lost, .put_count = 1};
    late.parents = parents;
    late.parent_count = 2;
    ck_assert_msg(exchange(s, &y) == JOBQ_OK && late.verdict == JOBQ_OK, "late: %s", last.text);
    ck_assert_int_eq(late.state, JOBQ_ROW_WAITING);
    lost.parents = nobody;
    lost.parent_count = 2;
    ck_assert_int_eq(exchange(s, &z), JOBQ_OK);
    ck_assert_int_eq(lost.verdict, JOBQ_NO_PARENT);
    store_close(s);
}
END_TEST

/* ---- two at the same moment --------------------------------------------------------------------------- */

/* What another does meanwhile, on a connection of its own. */
struct late {
    struct jobq_store *s;
    struct jobq_exchange *x;
    pthread_t thread;
    atomic_bool done;
};

static void *do_late(void *user)
{
    struct late *l = user;
    exchange(l->s, l->x);
    atomic_store(&l->done, true);
    return NULL;
}

/* It has begun, and waits for who holds what it needs. */
static void late_begin(struct late *l, struct jobq_exchange *x)
{
    l->x = x;
    atomic_store(&l->done, false);
    ck_assert_int_eq(pthread_create(&l->thread, NULL, do_late, l), 0);
    while (sql_value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
        ck_assert_msg(!atomic_load(&l->done), "it waits for nobody: %s", last.text);
}

static void late_end(struct late *l)
{
    pthread_join(l->thread, NULL);
    ck_assert_msg(l->x->unit == JOBQ_OK, "%s", last.text);
}

static PGconn *connection(void)
{
    PGconn *conn = PQconnectdb(server_address());
    ck_assert_int_eq(PQstatus(conn), CONNECTION_OK);
    return conn;
}

static void say(PGconn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(PGconn *conn, const char *format, ...)
{
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    ck_assert_msg(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", text, PQerrorMessage(conn));
    PQclear(result);
}

/* A claim of many that is not committed yet. */
static void claim_slowly(PGconn *conn)
{
    say(conn, "BEGIN");
    say(conn,
        "SELECT %s.want(NULL, 0, 0, 1, 16, 0, 30000, true, 'w', '\\x0102030405060708', ARRAY['q'::bytea], NULL, 16,"
        " NULL, NULL, NULL, NULL)",
        name_space());
}

START_TEST(cancelled_while_it_is_claimed)
{
    PGconn *claims = connection();
    struct late late = {.s = store_open(uri_with(""))};
    for (int commit = 0; commit < 2; commit++) {
        uint32_t first = commit ? 100 : 0, number = first + 5;
        struct jobq_change change = cancelled(number, commit ? JOBQ_ROW_RUNNING : JOBQ_ROW_WAITING);
        struct jobq_exchange x = {.changes = &change, .change_count = 1};
        put_many(late.s, first, JOBQ_OK);
        claim_slowly(claims);
        late_begin(&late, &x);
        say(claims, "%s", commit ? "COMMIT" : "ROLLBACK");
        late_end(&late);
        ck_assert_int_eq(change.verdict, JOBQ_OK);
        ck_assert_int_eq(state_of(late.s, number), commit ? JOBQ_ROW_RUNNING : JOBQ_ROW_CANCELLED);
        if (!commit)
            sql("DELETE FROM @.job");
    }
    places_are(1, MANY - 1);
    PQfinish(claims);
    store_close(late.s);
}
END_TEST

/* Several changes at once, some of whose rows are members when they are looked at again. */
START_TEST(changed_while_they_are_claimed)
{
    PGconn *claims = connection();
    struct late late = {.s = store_open(uri_with(""))};
    struct jobq_change changes[3] = {cancelled(5, JOBQ_ROW_RUNNING), cancelled(99, JOBQ_ROW_RUNNING),
                                     cancelled(100, JOBQ_ROW_WAITING)};
    struct jobq_exchange x = {.changes = changes, .change_count = 3};
    put_many(late.s, 0, JOBQ_OK);
    claim_slowly(claims);
    ck_assert_int_eq(put_job(late.s, 100), JOBQ_OK);
    late_begin(&late, &x);
    say(claims, "COMMIT");
    late_end(&late);
    ck_assert_int_eq(changes[0].verdict, JOBQ_OK);
    ck_assert_int_eq(changes[1].verdict, JOBQ_STALE);
    ck_assert_int_eq(changes[1].stale, JOBQ_STALE_GONE);
    ck_assert_int_eq(changes[2].verdict, JOBQ_OK);
    places_are(2, MANY - 1);
    PQfinish(claims);
    store_close(late.s);
}
END_TEST

/* A unit that ends a member of one batch and changes one of another locks both in their order: whoever has the first and
 * wants the second gets it. */
START_TEST(batches_are_locked_in_their_order)
{
    PGconn *holder = connection();
    struct late late = {.s = store_open(uri_with(""))};
    struct jobq_row rows[2] = {*taken(late.s, 0)};
    rows[1] = *taken(late.s, 100);
    int low = memcmp(rows[0].token.bytes, rows[1].token.bytes, sizeof rows[0].token.bytes) > 0;
    struct jobq_change changes[2] = {completed(&rows[!low]), cancelled(low ? 100 : 0, JOBQ_ROW_RUNNING)};
    struct jobq_exchange x = {.changes = changes, .change_count = 2};
    say(holder, "BEGIN; SELECT 1 FROM %s.batch ORDER BY token LIMIT 1 FOR UPDATE", name_space());
    late_begin(&late, &x);
    say(holder, "SELECT 1 FROM %s.batch ORDER BY token FOR UPDATE NOWAIT", name_space());
    say(holder, "COMMIT");
    late_end(&late);
    ck_assert_int_eq(changes[0].verdict, JOBQ_OK);
    ck_assert_int_eq(changes[1].verdict, JOBQ_OK);
    places_are(1, 2 * MANY - 1);
    PQfinish(holder);
    store_close(late.s);
}
END_TEST

/* The insert waits for the claim that moves the row away; then the id is a member's. By each way of putting. */
static void put_beside_a_claim(PGconn *claims, struct late *late, bool many, bool usual, bool commit)
{
    struct jobq_put puts[2] = {put_of(5), put_of(100)};
    struct jobq_exchange x = {.puts = puts, .put_count = many ? 2 : 1};
    sql("TRUNCATE @.job, @.batch, @.tally; UPDATE @.queue SET enqueued_total = 0");
    put_many(late->s, 0, JOBQ_OK);
    if (usual)
        puts[0].run_at = (struct jobq_time){JOBQ_TIME_NOW, 100000};
    claim_slowly(claims);
    late_begin(late, &x);
    say(claims, "%s", commit ? "COMMIT" : "ROLLBACK");
    late_end(late);
    ck_assert_int_eq(puts[0].verdict, JOBQ_ALREADY);
    ck_assert_int_eq(puts[0].state, commit ? JOBQ_ROW_RUNNING : JOBQ_ROW_WAITING);
    ck_assert(!many || puts[1].verdict == JOBQ_OK);
    places_are((commit ? 0 : MANY) + many, commit ? MANY : 0);
    ck_assert_int_eq(sql_value("SELECT enqueued_total FROM @.stats_queues(NULL, @.clock())"), MANY + many);
}

START_TEST(put_while_it_is_claimed)
{
    PGconn *claims = connection();
    for (int i = 0; i < 8; i++) {
        /* A handle that has found no way barred yet. */
        struct late late = {.s = store_open(uri_with(""))};
        put_beside_a_claim(claims, &late, i & 1, i & 2, i & 4);
        store_close(late.s);
    }
    PQfinish(claims);
}
END_TEST

/* It is a member when the child is put, and has ended when the child has it. */
START_TEST(a_parent_that_ends_meanwhile)
{
    PGconn *ends = connection();
    struct late late = {.s = store_open(uri_with(""))};
    const struct jobq_parent parent = {.id = id_of(5)};
    struct jobq_put child = put_of(100);
    struct jobq_exchange x = {.puts = &child, .put_count = 1};
    taken(late.s, 0);
    child.parents = &parent;
    child.parent_count = 1;
    say(ends, "BEGIN");
    say(ends,
        "UPDATE %s.batch SET fates = array_fill(1::smallint, ARRAY[16]), ends = '{1000,0}', running = 0,"
        " completed = 16,"
        " finished_at = 1000",
        name_space());
    late_begin(&late, &x);
    say(ends, "COMMIT");
    late_end(&late);
    ck_assert_int_eq(child.verdict, JOBQ_OK);
    ck_assert_int_eq(child.state, JOBQ_ROW_WAITING);
    PQfinish(ends);
    store_close(late.s);
}
END_TEST

/* Events are switched on while a claim is under way: its members are rows again, and what happens to them is told. */
START_TEST(events_from_now_on)
{
    PGconn *claims = connection();
    struct late late = {.s = store_open(uri_with(""))};
    const struct jobq_row *rows;
    put_many(late.s, 0, JOBQ_OK);
    claim_slowly(claims);
    PGconn *sets = connection();
    char text[100];
    snprintf(text, sizeof text, "SELECT %s.set_events(100)", name_space());
    ck_assert_int_eq(PQsendQuery(sets, text), 1);
    while (sql_value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
        ck_assert_int_eq(PQstatus(sets), CONNECTION_OK);
    say(claims, "COMMIT");
    for (PGresult *result; (result = PQgetResult(sets)) != NULL; PQclear(result))
        ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(sets));
    places_are(MANY, 0);
    struct jobq_arena *arena = jobq_arena_create();
    ck_assert_uint_eq(found(late.s, 0, MANY, arena, &rows), MANY);
    complete(late.s, rows, MANY);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.happened WHERE state = 4"), MANY);
    taken(late.s, 100);
    places_are(2 * MANY, 0);
    jobq_arena_destroy(arena);
    PQfinish(sets);
    PQfinish(claims);
    store_close(late.s);
}
END_TEST

/* ---- in a program's transaction ----------------------------------------------------------------------- */

static struct jobq_jobs *claim_all(struct jobq *q)
{
    const char *const queues[] = {"q"};
    const struct jobq_claim_options options = {
        .size = sizeof options, .queues = queues, .queue_count = 1, .lease_ms = 30000, .limit = MANY};
    struct jobq_jobs *jobs = NULL;
    ck_assert_msg(jobq_claim(q, &options, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    ck_assert_uint_eq(jobs->count, MANY);
    return jobs;
}

struct other_ack {
    struct jobq *q;
    const struct jobq_job *job;
    int status;
};

static void *ack_beside(void *user)
{
    struct other_ack *a = user;
    a->status = jobq_ack(a->q, &a->job->id, &a->job->token, NULL, 0);
    return NULL;
}

/* The program holds a batch by one of its members. Another's ack of another member waits for the program, whichever
 * way that ends, and for nobody else. */
START_TEST(held_by_a_program)
{
    struct jobq *mine, *q;
    PGconn *conn = connection();
    ck_assert_int_eq(jobq_postgres_attach(&mine, conn, name_space(), NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_open(&q, jobq_postgres(), uri_with(""), NULL), JOBQ_OK);
    struct jobq_store *s = store_open(uri_with(""));
    put_many(s, 0, JOBQ_OK);
    struct jobq_jobs *jobs = claim_all(q);
    for (size_t i = 0; i < 4; i += 2) {
        struct other_ack other = {.q = q, .job = &jobs->jobs[i + 1]};
        pthread_t thread;
        say(conn, "BEGIN");
        ck_assert_int_eq(jobq_ack(mine, &jobs->jobs[i].id, &jobs->jobs[i].token, NULL, 0), JOBQ_OK);
        ck_assert_int_eq(pthread_create(&thread, NULL, ack_beside, &other), 0);
        while (sql_value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
            ck_assert_int_eq(PQstatus(conn), CONNECTION_OK);
        say(conn, "%s", i ? "ROLLBACK" : "COMMIT");
        pthread_join(thread, NULL);
        ck_assert_int_eq(other.status, JOBQ_OK);
    }
    ck_assert_int_eq(state_of(s, 0), JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(state_of(s, 1), JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(state_of(s, 2), JOBQ_ROW_RUNNING);
    ck_assert_int_eq(state_of(s, 3), JOBQ_ROW_COMPLETED);
    jobq_jobs_free(jobs);
    store_close(s);
    jobq_close(mine);
    jobq_close(q);
    PQfinish(conn);
}
END_TEST

/* A program's snapshot from before the claim has the row, and its put must not find the id free. */
START_TEST(put_from_an_old_snapshot)
{
    struct jobq *mine;
    PGconn *conn = connection();
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows;
    struct jobq_id id = id_of(5);
    struct jobq_spec spec = {.size = sizeof spec, .id = &id, .queue = "q", .payload = {"p", 1}};
    put_many(s, 0, JOBQ_OK);
    ck_assert_int_eq(jobq_postgres_attach(&mine, conn, name_space(), NULL), JOBQ_OK);
    say(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    say(conn, "SELECT count(*) FROM %s.meta", name_space());
    ck_assert_uint_eq(claim_jobs(s, MANY, &rows), MANY);
    ck_assert_int_eq(jobq_enqueue(mine, &spec, NULL), JOBQ_FAILED);
    say(conn, "ROLLBACK");
    say(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    ck_assert_int_eq(jobq_enqueue(mine, &spec, NULL), JOBQ_ALREADY);
    say(conn, "COMMIT");
    places_are(0, MANY);
    store_close(s);
    jobq_close(mine);
    PQfinish(conn);
}
END_TEST

/* What that snapshot cannot know: an id that was put and claimed since. It comes twice, and then is in nobody's way: who
 * looks after leases finds one job, and counts are those of what is there. */
START_TEST(put_twice_from_an_old_snapshot)
{
    struct jobq *mine;
    PGconn *conn = connection();
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_id id = id_of(5);
    struct jobq_spec spec = {.size = sizeof spec, .id = &id, .queue = "q", .payload = {"p", 1}};
    complete(s, taken(s, 200), MANY);
    ck_assert_int_eq(jobq_postgres_attach(&mine, conn, name_space(), NULL), JOBQ_OK);
    say(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    say(conn, "SELECT count(*) FROM %s.meta", name_space());
    taken(s, 0);
    ck_assert_int_eq(jobq_enqueue(mine, &spec, NULL), JOBQ_OK);
    say(conn, "COMMIT");
    say(conn, "SELECT %s.set_clock(40000)", name_space());
    struct jobq_want want = {.mode = JOBQ_WANT_OVERDUE, .limit = 100, .lease_ms = 30000};
    struct jobq_exchange x = {.want = &want};
    ck_assert_msg(exchange(s, &x) == JOBQ_OK && x.want_unit == JOBQ_OK, "%s", last.text);
    ck_assert_uint_eq(want.row_count, MANY - 1);
    ck_assert_int_eq(state_of(s, 5), JOBQ_ROW_WAITING);
    places_are(MANY, MANY);
    ck_assert_int_eq(sql_value("SELECT running FROM @.stats_queues(NULL, @.clock())"), MANY - 1);
    ck_assert_int_eq(sql_value("SELECT due FROM @.stats_queues(NULL, @.clock())"), 1);
    store_close(s);
    jobq_close(mine);
    PQfinish(conn);
}
END_TEST

/* ---- a crowd ------------------------------------------------------------------------------------------ */

enum { CROWD = 6, ROUNDS = 30, JOBS = 200 };

/* What each has: a connection, and dice that fall the same way each time. */
struct one {
    struct jobq_store *s;
    struct jobq_arena *arena;
    struct jobq_error err;
    uint32_t dice;
    pthread_t thread;
    bool failed;
};

static uint32_t dice(struct one *me, uint32_t sides)
{
    me->dice = me->dice * 1664525 + 1013904223;
    return (me->dice >> 8) % sides;
}

static bool did(struct one *me, struct jobq_exchange *x)
{
    x->size = sizeof *x;
    me->failed |= jobq_postgres()->exchange(me->s, x, me->arena, &me->err) != JOBQ_OK || x->want_unit != JOBQ_OK;
    return !me->failed;
}

/* Ids that others put too; some of them have parents that somebody may hold. */
static void crowd_puts(struct one *me)
{
    struct jobq_put puts[MANY];
    struct jobq_parent parent = {.id = id_of(dice(me, JOBS))};
    uint32_t first = dice(me, JOBS - MANY);
    bool special = dice(me, 3) == 0;
    struct jobq_exchange x = {.puts = puts, .put_count = MANY};
    for (uint32_t i = 0; i < MANY; i++)
        puts[i] = put_of(first + i);
    if (special) {
        puts[0].parents = &parent;
        puts[0].parent_count = 1;
    }
    did(me, &x);
}

static void crowd_ends(struct one *me, const struct jobq_row *rows, size_t count)
{
    struct jobq_change changes[MANY];
    struct jobq_exchange x = {.changes = changes, .change_count = count, .trim = {.limit = 20}};
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = 40;
    for (size_t i = 0; i < count; i++) {
        changes[i] = completed(&rows[i]);
        if (dice(me, 12) == 0) {
            changes[i].outcome = JOBQ_OUTCOME_FAIL;
            changes[i].state = dice(me, 2) ? JOBQ_ROW_WAITING : JOBQ_ROW_DEAD;
        }
    }
    if (count)
        did(me, &x);
}

/* By operators, in any order. */
static void crowd_changes(struct one *me)
{
    static const uint32_t states[] = {JOBQ_ROW_WAITING, JOBQ_ROW_RUNNING};
    struct jobq_change changes[5];
    struct jobq_exchange x = {.changes = changes, .change_count = 5};
    for (int i = 0; i < 5; i++)
        changes[i] = cancelled(dice(me, JOBS), states[dice(me, 2)]);
    if (dice(me, 3) == 0) {
        changes[0].allowed = JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED);
        changes[0].state = JOBQ_ROW_GONE;
        changes[0].set = 0;
    }
    did(me, &x);
}

static void *crowd_member(void *user)
{
    struct one *me = user;
    const struct jobq_bytes queue = {"q", 1};
    for (int round = 0; round < ROUNDS && !me->failed; round++) {
        struct jobq_want want = {.mode = JOBQ_WANT_DUE,
                                 .queues = &queue,
                                 .queue_count = 1,
                                 .limit = MANY,
                                 .lease_ms = 30000,
                                 .worker = {"w", 1}};
        struct jobq_exchange x = {.want = &want};
        crowd_puts(me);
        if (!did(me, &x))
            break;
        crowd_changes(me);
        size_t part = want.row_count ? dice(me, (uint32_t)want.row_count + 1) : 0;
        crowd_ends(me, want.rows, part);
        struct jobq_beat beat = {.token = want.token, .lease_ms = 30000, .flags = dice(me, 4) ? 0 : JOBQ_BEAT_RELEASE};
        struct jobq_exchange beats = {.beats = &beat, .beat_count = 1};
        if (want.row_count)
            did(me, &beats);
        crowd_ends(me, want.rows + part, want.row_count - part);
        jobq_arena_destroy(me->arena);
        me->arena = jobq_arena_create();
    }
    return NULL;
}

/* What is counted of each state is what is there. */
static void counts_are_right(const char *column, int state)
{
    int64_t counted = sql_value("SELECT sum(%s) FROM @.stats_queues(NULL, @.clock())", column);
    int64_t rows = sql_value("SELECT count(*) FROM @.job WHERE state = %d", state);
    int64_t members = sql_value("SELECT count(*) FROM @.members(NULL, 24, '00000000-0000-0000-0000-000000000000') AS m"
                                " WHERE m.state = %d", state);
    ck_assert_msg(counted == rows + members, "%s: counted %lld, there are %lld and %lld", column, (long long)counted,
                  (long long)rows, (long long)members);
}

START_TEST(all_at_once)
{
    struct one ones[CROWD];
    store_close(store_open(uri_with("")));
    for (uint32_t i = 0; i < CROWD; i++) {
        ones[i] = (struct one){.s = store_open(uri_with("")), .arena = jobq_arena_create(), .dice = i};
        ck_assert_ptr_nonnull(ones[i].arena);
    }
    for (int i = 0; i < CROWD; i++)
        ck_assert_int_eq(pthread_create(&ones[i].thread, NULL, crowd_member, &ones[i]), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(ones[i].thread, NULL);
    for (int i = 0; i < CROWD; i++) {
        ck_assert_msg(!ones[i].failed, "%s", ones[i].err.text);
        jobq_arena_destroy(ones[i].arena);
        store_close(ones[i].s);
    }
    ck_assert_int_gt(sql_value("SELECT count(*) FROM @.batch"), 0);
    ck_assert_int_eq(sql_value("SELECT count(*) - count(DISTINCT id) FROM (SELECT j.id FROM @.job AS j UNION ALL"
                               " SELECT m.id FROM @.members(NULL, 24, '00000000-0000-0000-0000-000000000000') AS m)"
                               " AS x"),
                     0);
    counts_are_right("blocked", 1);
    counts_are_right("due", 2);
    counts_are_right("running", 3);
    counts_are_right("completed", 4);
    counts_are_right("dead", 5);
    counts_are_right("cancelled", 6);
}
END_TEST

/* While others move jobs between the two places a look finds each of them once, by its id and in a list. */
static void *move_about(void *user)
{
    struct one *me = user;
    PGconn *conn = PQconnectdb(server_address());
    for (int round = 0; round < 4 * ROUNDS && !me->failed; round++) {
        char text[300];
        snprintf(text, sizeof text, "SELECT %s.batch_leave(ARRAY(SELECT u FROM %s.batch AS b, unnest(b.ids) AS u))",
                 name_space(), name_space());
        PQclear(PQexec(conn, text));
        snprintf(text, sizeof text,
                 "UPDATE %s.job SET state = 2, shelf = 1, place = 0, clock = NULL, attempt = 0, token = NULL,"
                 " worker = NULL, lease_until = NULL, started_at = NULL",
                 name_space());
        PQclear(PQexec(conn, text));
        const struct jobq_bytes queue = {"q", 1};
        struct jobq_want want = {
            .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = MANY, .lease_ms = 30000};
        struct jobq_exchange x = {.want = &want};
        did(me, &x);
        me->failed |= want.row_count != MANY;
        jobq_arena_destroy(me->arena);
        me->arena = jobq_arena_create();
    }
    PQfinish(conn);
    me->dice = 1;
    return NULL;
}

START_TEST(found_while_they_move)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_arena *arena = jobq_arena_create();
    struct one mover = {.s = store_open(uri_with("")), .arena = jobq_arena_create()};
    put_many(s, 1, JOBQ_OK);
    ck_assert_int_eq(pthread_create(&mover.thread, NULL, move_about, &mover), 0);
    for (int round = 0; round < 4 * ROUNDS; round++) {
        struct jobq_query list = {.size = sizeof list, .limit = 100};
        ck_assert_uint_eq(found(s, 1, MANY, arena, NULL), MANY);
        ck_assert_int_eq(jobq_postgres()->read(s, &list, arena, &last), JOBQ_OK);
        ck_assert_uint_eq(list.row_count, MANY);
    }
    pthread_join(mover.thread, NULL);
    ck_assert_msg(!mover.failed, "%s", mover.err.text);
    jobq_arena_destroy(mover.arena);
    jobq_arena_destroy(arena);
    store_close(mover.s);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres batch", brought_up, brought_up_with_members, of_several_queues, put_again, a_member_as_parent,
         cancelled_while_it_is_claimed, changed_while_they_are_claimed, batches_are_locked_in_their_order,
         put_while_it_is_claimed, a_parent_that_ends_meanwhile, events_from_now_on, held_by_a_program,
         put_from_an_old_snapshot, put_twice_from_an_old_snapshot, all_at_once, found_while_they_move)
