/* SPDX-License-Identifier: MIT */
/* Opening: many at once, hostile surroundings, roles with few rights, what is not ours. Lifecycle rule 16; S16. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(eight_processes_make_one_store)
{
    pid_t children[8];
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            struct jobq_store *s = NULL;
            int status = store_try(&s, uri_with(""), 0, 20000, &last);
            if (status != JOBQ_OK)
                fprintf(stderr, "%s\n", last.text);
            else if (put_job(s, 100 + (uint32_t)i) != JOBQ_OK)
                status = 1;
            store_close(s);
            _exit(status == JOBQ_OK ? 0 : 1);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status = 1;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 8);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.meta"), 1);
}
END_TEST

static const struct jobq_bytes nightly = { .data = "nightly", .size = 7 };

static void set(struct jobq_store *s, struct jobq_settings settings)
{
    settings.size = sizeof settings;
    ck_assert_msg(jobq_postgres()->configure(s, &settings, &last) == JOBQ_OK, "configure: %s", last.text);
}

static void put_tick(struct jobq_store *s, uint32_t number)
{
    const struct jobq_put_tick tick = { .schedule = nightly, .version = 1, .nominal_ms = number, .next_ms = number + 1 };
    struct jobq_put put = put_of(number);
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    put.tick = &tick;
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "tick: %s", last.text);
    ck_assert_int_eq(put.verdict, JOBQ_OK);
    ck_assert_int_eq(x.next_tick_ms, number + 1);
}

/* What has calls of its own: schedules and events. */
static void schedule_and_events(struct jobq_store *s, uint32_t first)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_schedule_query schedules = { .size = sizeof schedules, .limit = 10 };
    struct jobq_event_query events = { .size = sizeof events, .limit = 100 };
    set(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_EVENTS, .events = 100 });
    set(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_SCHEDULE, .set = JOBQ_SETTING_SCHEDULE, .name = nightly,
                                   .schedule = nightly });
    put_tick(s, first);
    ck_assert_msg(jobq_postgres()->schedules(s, &schedules, arena, &last) == JOBQ_OK, "schedules: %s", last.text);
    ck_assert_uint_eq(schedules.row_count, 1);
    ck_assert_int_eq(schedules.rows[0].fired_ms, first);
    ck_assert_msg(jobq_postgres()->events(s, &events, arena, &last) == JOBQ_OK, "events: %s", last.text);
    ck_assert_uint_eq(events.row_count, 1);
    ck_assert_int_eq(events.rows[0].id.bytes[15], (int)first);
    jobq_arena_destroy(arena);
}

/* The worst that a role's settings can be, and objects that shadow what the store uses. */
START_TEST(hostile_settings)
{
    sql("DROP SCHEMA IF EXISTS evil_@ CASCADE; CREATE SCHEMA evil_@; GRANT USAGE ON SCHEMA evil_@ TO PUBLIC;"
        "CREATE TABLE evil_@.job (id int); CREATE TABLE evil_@.queue (id int); CREATE TABLE evil_@.meta (id int);"
        "CREATE FUNCTION evil_@.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT (1/0)::text $$;"
        "CREATE FUNCTION evil_@.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1999-01-01'::timestamptz $$;"
        "CREATE FUNCTION evil_@.wrong(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "CREATE FUNCTION evil_@.wrong(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "CREATE FUNCTION evil_@.wrong(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "CREATE FUNCTION evil_@.wrong(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT false';"
        "CREATE OPERATOR evil_@.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil_@.wrong);"
        "CREATE OPERATOR evil_@.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil_@.wrong);"
        "CREATE OPERATOR evil_@.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil_@.wrong);"
        "CREATE OPERATOR evil_@.> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil_@.wrong);"
        "CREATE OPERATOR evil_@.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil_@.wrong);");
    sql("DROP ROLE IF EXISTS hostile_@; CREATE ROLE hostile_@ LOGIN; GRANT CREATE ON DATABASE postgres TO hostile_@");
    static const char *const settings[] = {
        "default_transaction_isolation = 'serializable'", "default_transaction_read_only = on",
        "default_transaction_deferrable = on", "timezone = 'Asia/Kathmandu'", "datestyle = 'SQL, DMY'",
        "intervalstyle = 'iso_8601'", "standard_conforming_strings = off", "backslash_quote = off",
        "bytea_output = 'escape'", "client_encoding = 'LATIN1'", "statement_timeout = '2s'", "lock_timeout = '1ms'",
        "enable_indexscan = off", "enable_nestloop = off", "jit_above_cost = 0", "plan_cache_mode = force_custom_plan",
        "extra_float_digits = -15", "array_nulls = off", "transform_null_equals = on", "quote_all_identifiers = on",
        "row_security = off", "check_function_bodies = on",
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        sql("ALTER ROLE hostile_@ SET %s", settings[i]);
    sql("ALTER ROLE hostile_@ SET search_path = evil_@, pg_catalog");
    char role[80];
    snprintf(role, sizeof role, "hostile_%s", name_space());
    struct jobq_store *s = store_open(uri_as(role, ""));
    whole_life(s, 1);
    store_close(s);
    sql("TRUNCATE @.job, @.tally");
    s = store_open(uri_as(role, "")); /* what is there already */
    whole_life(s, 50);
    schedule_and_events(s, 60);
    store_close(s);
    sql("DROP SCHEMA @ CASCADE; DROP SCHEMA evil_@ CASCADE; DROP OWNED BY hostile_@; DROP ROLE hostile_@");
}
END_TEST

/* Making a store does not read the functions; here the server reads each of them as it stands there. */
START_TEST(functions_that_the_server_can_read)
{
    store_close(store_open(uri_with("")));
    sql("SET check_function_bodies = on; DO $$ DECLARE f record; n integer := 0; BEGIN"
        " FOR f IN SELECT pg_get_functiondef(p.oid) AS text FROM pg_proc AS p WHERE p.pronamespace = '@'::regnamespace LOOP"
        " EXECUTE f.text; n := n + 1; END LOOP;"
        " IF n < 100 THEN RAISE EXCEPTION '%% functions', n; END IF; END $$");
    sql("SET check_function_bodies = on; DO $$ BEGIN BEGIN"
        " EXECUTE 'CREATE FUNCTION @.bad() RETURNS integer LANGUAGE sql AS $f$ SELECT x $f$';"
        " EXCEPTION WHEN undefined_column THEN RETURN; END; RAISE EXCEPTION 'it reads nothing'; END $$");
}
END_TEST

START_TEST(a_role_that_may_not_create)
{
    char role[80];
    struct jobq_store *s = NULL;
    snprintf(role, sizeof role, "plain_%s", name_space());
    sql("DROP ROLE IF EXISTS plain_@; CREATE ROLE plain_@ LOGIN");
    ck_assert_int_eq(store_try(&s, uri_as(role, ""), 0, 20000, &last), JOBQ_UNREACHABLE);
    ck_assert_ptr_null(s);
    ck_assert_msg(strstr(last.text, "permission denied") != NULL, "%s", last.text);
    store_close(store_open(uri_with("")));
    sql("GRANT USAGE ON SCHEMA @ TO plain_@; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA @ TO plain_@;"
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA @ TO plain_@");
    s = store_open(uri_as(role, ""));
    whole_life(s, 1);
    schedule_and_events(s, 60);
    store_close(s);
    sql("DROP OWNED BY plain_@; DROP ROLE plain_@");
}
END_TEST

static void open_is(uint32_t flags, int status)
{
    struct jobq_store *s = NULL;
    ck_assert_msg(store_try(&s, uri_with(""), flags, 20000, &last) == status, "%s", last.text);
    ck_assert((s != NULL) == (status == JOBQ_OK));
    if (s)
        store_close(s);
    else
        ck_assert(last.status == status && last.text[0]);
}

START_TEST(somebody_elses_tables)
{
    sql("CREATE SCHEMA @; CREATE TABLE @.job (mine text)");
    open_is(0, JOBQ_FOREIGN);
    open_is(JOBQ_OPEN_INSPECT, JOBQ_FOREIGN);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM pg_class WHERE relnamespace = '@'::regnamespace AND relkind = 'r'"), 1);
}
END_TEST

/* A schema that is there and has other things in it is used. */
START_TEST(a_schema_with_other_things)
{
    sql("CREATE SCHEMA @; CREATE TABLE @.mine (id int)");
    open_is(0, JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.mine"), 0);
}
END_TEST

START_TEST(a_table_that_was_changed)
{
    open_is(0, JOBQ_OK);
    sql("ALTER TABLE @.job ADD COLUMN extra int");
    open_is(0, JOBQ_FOREIGN);
    sql("ALTER TABLE @.job DROP COLUMN extra");
    open_is(0, JOBQ_OK);
    sql("ALTER TABLE @.receipt ALTER COLUMN part TYPE bigint");
    open_is(0, JOBQ_FOREIGN);
}
END_TEST

START_TEST(a_newer_store)
{
    open_is(0, JOBQ_OK);
    sql("UPDATE @.meta SET version = 99");
    open_is(0, JOBQ_NEWER);
    open_is(JOBQ_OPEN_INSPECT, JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT version FROM @.meta"), 99);
    sql("UPDATE @.meta SET version = 5");
    open_is(0, JOBQ_OK);
    sql("DELETE FROM @.meta");
    open_is(0, JOBQ_CORRUPT);
}
END_TEST

START_TEST(nothing_is_made_when_asked_not_to)
{
    open_is(JOBQ_OPEN_NO_CREATE, JOBQ_UNREACHABLE);
    open_is(JOBQ_OPEN_INSPECT, JOBQ_UNREACHABLE);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM pg_namespace WHERE nspname = '@'"), 0);
}
END_TEST

/* Contract "Fence": not below the clock after a wipe or a restore. */
START_TEST(fences_are_lifted)
{
    struct jobq_store *s = store_open(uri_with(""));
    sql("SELECT setval('@.fence', 5)");
    store_close(s);
    s = store_open(uri_with(""));
    ck_assert_int_gt(sql_value("SELECT last_value FROM @.fence"), INT64_C(1500000000000000));
    store_close(s);
}
END_TEST

/* S: a claim touches the rows it takes, not the table, also when its plan was made while the table was empty. */
START_TEST(the_plan_of_a_claim)
{
    const struct jobq_row *rows;
    struct jobq_put *puts = calloc(1000, sizeof *puts);
    struct jobq_store *s = store_open(uri_with(""));
    ck_assert_ptr_nonnull(puts);
    for (int i = 0; i < 8; i++)
        ck_assert_uint_eq(claim_jobs(s, 10, &rows), 0);
    for (uint32_t page = 0; page < 20; page++) {
        for (uint32_t i = 0; i < 1000; i++)
            puts[i] = put_of(1 + page * 1000 + i);
        struct jobq_exchange x = { .puts = puts, .put_count = 1000 };
        ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    }
    free(puts);
    store_close(s);
    s = store_open(uri_with(""));
    int64_t scanned = sql_value("SELECT seq_tup_read FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'job'");
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(claim_jobs(s, 10, &rows), 10);
        ck_assert_int_eq(ack_job(s, &rows[0]), JOBQ_OK);
    }
    store_close(s); /* what a session counted is told when it ends */
    int64_t fetched = -1;
    for (int i = 0; i < 100 && fetched <= 0; i++) {
        usleep(50000);
        fetched = sql_value("SELECT n_tup_upd FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'job'");
    }
    ck_assert_int_le(fetched, 120);
    int64_t after = sql_value("SELECT seq_tup_read FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'job'");
    ck_assert_int_eq(after, scanned);
    ck_assert_int_le(sql_value("SELECT idx_tup_fetch FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'job'"),
                     20 * 1000);
}
END_TEST

/* A kind of plan is switched off by a price that no plan reaches; where nothing else is left the server would take that for
 * a query worth compiling, which costs a second of its time. */
START_TEST(no_plan_is_compiled)
{
    store_close(store_open(uri_with("")));
    int64_t steered = sql_value("SELECT count(*) FROM pg_proc WHERE pronamespace = '@'::regnamespace"
                                " AND array_to_string(proconfig, ' ') LIKE '%%enable_%%=off%%'");
    ck_assert_int_ge(steered, 10);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM pg_proc WHERE pronamespace = '@'::regnamespace"
                               " AND array_to_string(proconfig, ' ') LIKE '%%enable_%%=off%%' AND 'jit=off' = ANY (proconfig)"),
                     steered);
}
END_TEST

/* What is set again and again uses nothing up: a queue's number has 31 bits. */
START_TEST(settings_take_no_numbers)
{
    struct jobq_store *s = store_open(uri_with(""));
    for (int i = 0; i < 20; i++)
        set(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED, .name = nightly, .paused = i % 2 });
    set(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED, .name = { "next", 4 } });
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.queue"), 2);
    ck_assert_int_eq(sql_value("SELECT max(id) - min(id) FROM @.queue"), 1);
    for (uint32_t i = 0; i < 20; i++)
        ck_assert_int_eq(put_job(s, 1 + i), JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT last_value FROM pg_sequences WHERE schemaname = '@' AND sequencename = 'queue_id_seq'"), 3);
    store_close(s);
}
END_TEST

/* Whatever is counted goes on beyond the sizes of numbers. */
START_TEST(counters_pass_the_sizes_of_numbers)
{
    static const int sizes[] = { 31, 32, 53 };
    store_close(store_open(uri_with("")));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t last_one = (INT64_C(1) << sizes[i]) - 3;
        struct jobq_event_query events = { .size = sizeof events, .after = last_one, .limit = 100 };
        struct jobq_arena *arena = jobq_arena_create();
        sql("TRUNCATE @.job, @.tally, @.happened, @.event");
        sql("SELECT setval('@.job_n_seq', %lld), setval('@.happened_seq_seq', %lld), setval('@.jump', %lld)",
            (long long)last_one, (long long)last_one, (long long)last_one);
        sql("UPDATE @.meta SET event = %lld", (long long)last_one);
        struct jobq_store *s = store_open(uri_with(""));
        set(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_EVENTS, .events = 1000 });
        whole_life(s, (uint32_t)sizes[i] * 4);
        ck_assert_int_eq(sql_value("SELECT max(n) FROM @.job"), last_one + 4);
        ck_assert_int_eq(jobq_postgres()->events(s, &events, arena, &last), JOBQ_OK);
        ck_assert_uint_ge(events.row_count, 9); /* four were put, three claimed, two of them ended */
        for (size_t e = 0; e < events.row_count; e++)
            ck_assert_int_eq(events.rows[e].cursor, last_one + 1 + (int64_t)e);
        store_close(s);
        jobq_arena_destroy(arena);
    }
}
END_TEST

/* From SQL the same keys hold as from C. */
START_TEST(enqueued_by_sql)
{
    struct jobq *q;
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .payload = { "p", 1 }, .key = { "one", 3 } };
    struct jobq_enqueued out = { .size = sizeof out };
    ck_assert_int_eq(jobq_open(&q, jobq_postgres(), uri_with(""), NULL), JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT fresh::int FROM @.enqueue('q', 'p', key => 'one')"), 1);
    ck_assert_int_eq(sql_value("SELECT fresh::int FROM @.enqueue('q', 'p', key => 'one')"), 0);
    ck_assert_int_eq(jobq_enqueue(q, &spec, &out), JOBQ_DUPLICATE);
    ck_assert_int_eq(out.same_payload, 1);
    ck_assert_int_eq(sql_value("SELECT fresh::int FROM @.enqueue('other', 'p', key => 'one', delay_ms => 1000, priority => 3)"), 1);
    ck_assert_int_eq(sql_value("SELECT fresh::int FROM @.enqueue('other', NULL)"), 1);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 3);
    ck_assert_int_eq(server_run("postgres", "SELECT 1"), 0);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE id > '00000000-0000-0000-0000-000000000000' AND kind = 'q'"), 1);
    jobq_close(q);
}
END_TEST

/* A key put by either is known to the other, whatever its bytes and size. */
START_TEST(keys_of_sql_are_the_librarys)
{
    const unsigned char bytes[] = { 0, 1, 0x7f, 0x80, 0xff, 'a', 0, 0, 9, 200, 33, 0xfe, 0 };
    struct jobq *q;
    ck_assert_int_eq(jobq_open(&q, jobq_postgres(), uri_with(""), NULL), JOBQ_OK);
    for (size_t size = 1; size <= sizeof bytes; size++) {
        struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .key = { bytes, size } };
        char hex[2 * sizeof bytes + 1];
        for (size_t i = 0; i < size; i++)
            snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
        ck_assert_int_eq(sql_value("SELECT fresh::int FROM @.enqueue('q', '', key => decode('%s', 'hex'))", hex), 1);
        ck_assert_int_eq(jobq_enqueue(q, &spec, NULL), JOBQ_DUPLICATE);
    }
    jobq_close(q);
}
END_TEST

KIT_MAIN("postgres schema", functions_that_the_server_can_read, enqueued_by_sql, keys_of_sql_are_the_librarys,
         eight_processes_make_one_store, hostile_settings, a_role_that_may_not_create,
         somebody_elses_tables, a_schema_with_other_things, a_table_that_was_changed, a_newer_store,
         nothing_is_made_when_asked_not_to, fences_are_lifted, the_plan_of_a_claim,
         settings_take_no_numbers, counters_pass_the_sizes_of_numbers, no_plan_is_compiled)
