/* SPDX-License-Identifier: MIT */
/* Groups and limits where only SQLite can see them: what a claim reads while the backlog grows, and many connections at once
 * at one limit. */
#include "kit.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- helpers ---------------------------------------------------------------------------------------------------- */

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){ .data = words, .size = strlen(words) };
}

/* Rows of `groups` groups in turn (0: of none), `count` in all, from this number on. */
static void put_many(struct jobq_store *s, uint32_t first, uint32_t count, uint32_t groups)
{
    enum { AT_ONCE = 500 };
    static struct jobq_put puts[AT_ONCE];
    static char names[AT_ONCE][16];
    for (uint32_t done = 0; done < count;) {
        struct jobq_exchange x = { .puts = puts };
        for (; done < count && x.put_count < AT_ONCE; done++) {
            struct jobq_put *put = &puts[x.put_count];
            char *name = names[x.put_count++];
            uint32_t job = first + done;
            *put = (struct jobq_put){ .queue = text("q"), .kind = text("k"), .payload = text("p"), .only_if = -1 };
            memcpy(put->id.bytes + 12, &job, sizeof job);
            snprintf(name, sizeof names[0], "g%06u", groups ? job % groups : 0);
            if (groups)
                put->group = text(name);
        }
        ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
        for (size_t i = 0; i < x.put_count; i++)
            ck_assert_int_eq(puts[i].verdict, JOBQ_OK);
    }
}

static void configure(struct jobq_store *s, struct jobq_settings settings)
{
    struct jobq_error err = { 0 };
    settings.size = sizeof settings;
    int status = jobq_sqlite()->configure(s, &settings, &err);
    ck_assert_msg(status == JOBQ_OK, "%s", err.text);
}

static void limit_queue(struct jobq_store *s, int64_t concurrency)
{
    configure(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_QUEUE, .name = text("q"),
                                         .set = JOBQ_SETTING_CONCURRENCY, .concurrency = concurrency });
}

static void limit_group(struct jobq_store *s, const char *group, int64_t concurrency)
{
    configure(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_GROUP, .group = text(group),
                                         .set = JOBQ_SETTING_CONCURRENCY, .concurrency = concurrency });
}

/* ---- what a claim reads ------------------------------------------------------------------------------------------- */

/* Everything that runs between the begin of a due want and its commit. */
static const enum sql of_claims[] = {
    SQL_LATER_LIST, SQL_LATER_FIRST, SQL_DUE_LIST, SQL_DUE_ROWS, SQL_LANE_NEXT, SQL_LANE_GET, SQL_LANE_READY, SQL_LANE_RUN,
    SQL_LANE_ROWS, SQL_LANE_RUNNING, SQL_LIMIT_GET, SQL_GAUGE_GET, SQL_GAUGE_SET, SQL_GAUGE_FADE, SQL_JOB_CLAIM,
    SQL_JOB_CLAIM_RUN, SQL_JOB_CALM, SQL_JOB_MARK, SQL_QUEUE_LOAD, SQL_TALLY_GET, SQL_TALLY_SET, SQL_FENCE_SET,
    SQL_NEXT_LEASE, SQL_NEXT_ALARM,
};

static void uses_indexes(struct jobq_store *s, enum sql which)
{
    sqlite3_stmt *row;
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(s->statements[which]));
    ck_assert_int_eq(sqlite3_prepare_v2(s->db, explain, -1, &row, NULL), SQLITE_OK);
    while (sqlite3_step(row) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(row, 3);
        ck_assert_msg(!strstr(line, "SCAN jobq") && !strstr(line, "SCAN j") && !strstr(line, "SCAN l"), "%s: %s", explain,
                      line);
        ck_assert_msg(!strstr(line, "TEMP B-TREE") && !strstr(line, "AUTOMATIC"), "%s: %s", explain, line);
    }
    sqlite3_finalize(row);
    sqlite3_free(explain);
}

START_TEST(claims_use_indexes)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    put_many(s, 0, 10, 2);
    for (size_t i = 0; i < sizeof of_claims / sizeof *of_claims; i++)
        uses_indexes(s, of_claims[i]);
    store_close(s);
}
END_TEST

/* Steps of SQLite's machine since the last time: a count of what was done that no load changes. */
static int64_t steps(struct jobq_store *s)
{
    int64_t sum = 0;
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sum += sqlite3_stmt_status(s->statements[i], SQLITE_STMTSTATUS_VM_STEP, 1);
        ck_assert_int_eq(sqlite3_stmt_status(s->statements[i], SQLITE_STMTSTATUS_SORT, 1), 0);
    }
    return sum;
}

struct cost {
    int64_t put, claim, ack;
};

/* Of one of each. The first round reads what need be read only once; the second is the one that counts. */
static struct cost cost_of(struct jobq_store *s, uint32_t next, uint32_t groups)
{
    const struct jobq_row *rows;
    struct cost cost = { 0, 0, 0 };
    for (int i = 0; i < 2; i++) {
        steps(s);
        put_many(s, next + (uint32_t)i, 1, groups);
        cost.put = steps(s);
        ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 60000, &rows), 5);
        cost.claim = steps(s);
        for (int k = 0; k < 5; k++)
            ck_assert_int_eq(ack_job(s, &rows[k]), JOBQ_OK);
        cost.ack = steps(s);
    }
    return cost;
}

static void costs_the_same(const struct cost *few, const struct cost *many)
{
    const int64_t pairs[][2] = { { few->put, many->put }, { few->claim, many->claim }, { few->ack, many->ack } };
    for (int i = 0; i < 3; i++) {
        ck_assert_int_gt(pairs[i][0], 50);
        ck_assert_int_le(pairs[i][1], pairs[i][0] + pairs[i][0] / 10);
    }
}

/* While the clock stands: a new second of the figures, or of the clock's high water, costs a write. */
static struct jobq_store *open_in_a_standing_clock(void)
{
    static struct hand hand;
    hand_set(&hand, "0f8fad5b-d9cb-469f-a165-70867728950e", 5000, 1767225600000);
    return store_open("a.db", "synchronous=normal", &hand);
}

static void backlog_costs_nothing(uint32_t groups, void (*set)(struct jobq_store *))
{
    struct jobq_store *s = open_in_a_standing_clock();
    put_many(s, 0, 200, groups);
    if (set)
        set(s);
    struct cost few = cost_of(s, 200, groups);
    put_many(s, 300, 9700, groups);
    struct cost many = cost_of(s, 10000, groups);
    costs_the_same(&few, &many);
    store_close(s);
}

START_TEST(a_backlog_without_groups_costs_nothing)
{
    backlog_costs_nothing(0, NULL);
}
END_TEST

START_TEST(a_backlog_of_groups_costs_nothing)
{
    backlog_costs_nothing(100, NULL);
}
END_TEST

static void some_limits(struct jobq_store *s)
{
    limit_queue(s, 50);
    limit_group(s, "", 2);
    configure(s, (struct jobq_settings){ .what = JOBQ_CONFIGURE_GROUP, .group = text("g000001"), .set = JOBQ_SETTING_RATE,
                                         .rate = 1000000, .rate_period_ms = 60000 });
}

START_TEST(a_backlog_with_limits_costs_nothing)
{
    backlog_costs_nothing(100, some_limits);
}
END_TEST

/* A queue without groups pays for none of it: the statements of groups and limits are not run. */
START_TEST(without_groups_nothing_is_asked)
{
    static const enum sql of_groups[] = { SQL_LANE_FIND, SQL_LANE_ADD,  SQL_LANE_NEXT, SQL_LANE_READY, SQL_LANE_RUN,
                                          SQL_LANE_ROWS, SQL_LANE_GET,  SQL_LIMIT_ANY, SQL_LIMIT_GET, SQL_GAUGE_GET,
                                          SQL_GAUGE_SET };
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    put_many(s, 0, 20, 0);
    cost_of(s, 20, 0);
    for (size_t i = 0; i < sizeof of_groups / sizeof *of_groups; i++)
        ck_assert_int_eq(sqlite3_stmt_status(s->statements[of_groups[i]], SQLITE_STMTSTATUS_RUN, 0), 0);
    store_close(s);
}
END_TEST

/* Groups that were emptied by others than claims leave the circle once, and are not looked at again. */
START_TEST(emptied_groups_are_looked_at_once)
{
    enum { GROUPS = 300 };
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    put_many(s, 0, GROUPS, GROUPS);
    for (uint32_t i = 0; i < GROUPS - 1; i++) {
        struct jobq_change change = { .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING),
                                      .edits = JOBQ_ANY_EDITS, .state = JOBQ_ROW_CANCELLED };
        struct jobq_exchange x = { .changes = &change, .change_count = 1 };
        memcpy(change.id.bytes + 12, &i, sizeof i);
        ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
        ck_assert_int_eq(change.verdict, JOBQ_OK);
    }
    ck_assert_int_eq(sql_value("a.db", "SELECT sum(ready) FROM jobq_lane"), GROUPS);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 60000, NULL), 1);
    ck_assert_int_eq(sql_value("a.db", "SELECT sum(ready) FROM jobq_lane"), 0);
    store_close(s);
}
END_TEST

/* ---- what a claim writes ----------------------------------------------------------------------------------------- */

/* How often it ran since it was asked last. */
static int runs(struct jobq_store *s, enum sql which)
{
    return sqlite3_stmt_status(s->statements[which], SQLITE_STMTSTATUS_RUN, 1);
}

/* The groups of rows 1 to 10 are 3, 4, 0, 1, 2, 3, 4, 0, 1, 2. */
static struct jobq_store *open_with_ten(void)
{
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    put_many(s, 3, 10, 5);
    return s;
}

static int64_t lanes_that_miscount(void)
{
    return sql_value("a.db", "SELECT count(*) FROM jobq_lane AS l WHERE running <> (SELECT count(*) FROM jobq_job AS j "
                             "WHERE j.lane = l.id AND j.state = 3)");
}

/* Taken in turn they are answered in the order of their groups, and written in the order in which they came. */
START_TEST(rows_of_many_groups_are_written_together)
{
    const struct jobq_row *rows;
    struct jobq_change changes[5];
    struct jobq_exchange x = { .changes = changes, .change_count = 5 };
    struct jobq_store *s = open_with_ten();
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 60000, &rows), 5);
    for (int i = 0; i < 5; i++) {
        const char name[] = { 'g', '0', '0', '0', '0', '0', (char)('0' + i), 0 };
        ck_assert_uint_eq(rows[i].group.size, 7);
        ck_assert_mem_eq(rows[i].group.data, name, 7);
        changes[i] = (struct jobq_change){ .id = rows[i].id, .by = JOBQ_BY_TOKEN, .token = rows[i].token,
                                           .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                           .state = JOBQ_ROW_COMPLETED };
    }
    ck_assert_int_eq(runs(s, SQL_JOB_CLAIM), 0);
    ck_assert_int_eq(runs(s, SQL_JOB_CLAIM_RUN), 1);
    ck_assert_int_eq(runs(s, SQL_LANE_RUN), 1);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_job WHERE state = 3 AND attempt = 1 AND n <= 5"), 5);
    ck_assert_int_eq(lanes_that_miscount(), 0);
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(runs(s, SQL_JOB_END), 1);
    ck_assert_int_eq(runs(s, SQL_LANE_RUN), 1);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_job WHERE state = 4 AND n <= 5"), 5);
    ck_assert_int_eq(sql_value("a.db", "SELECT sum(running) FROM jobq_lane"), 0);
    store_close(s);
}
END_TEST

/* Once round the circle and on: what was met is written before a group is met again, and counts where a limit asks. */
START_TEST(groups_are_met_again)
{
    const struct jobq_row *rows;
    struct jobq_store *s = open_with_ten();
    limit_group(s, "g000001", 1);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 20, 60000, &rows), 9);
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < i; k++)
            ck_assert_mem_ne(&rows[i].id, &rows[k].id, sizeof rows[i].id);
    ck_assert_int_eq(runs(s, SQL_JOB_CLAIM_RUN), 3); /* 1-5; 6-8, 10 */
    ck_assert_int_eq(sql_value("a.db", "SELECT n FROM jobq_job WHERE state = 2"), 9);
    ck_assert_int_eq(sql_value("a.db", "SELECT sum(running) FROM jobq_lane"), 9);
    ck_assert_int_eq(lanes_that_miscount(), 0);
    store_close(s);
}
END_TEST

/* ---- many at one limit ----------------------------------------------------------------------------------------------- */

#define PROCESSES 8
#define HANDLES 8
#define LIMIT 5

static int64_t running_of(const char *group)
{
    char query[100];
    snprintf(query, sizeof query, "SELECT count(*) FROM jobq_job WHERE state = 3 AND tenant = CAST('%s' AS BLOB)", group);
    return sql_value("a.db", query);
}

/* Each claims what it gets, through every one of its connections, looks how many run, and gives back one way or another. */
static void claim_and_end(int number)
{
    struct jobq_store *handles[HANDLES];
    for (int i = 0; i < HANDLES; i++)
        handles[i] = store_open("a.db", "synchronous=normal", NULL);
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < HANDLES; i++) {
            const struct jobq_row *rows;
            size_t count = claim_jobs(handles[i], "q", JOBQ_WANT_DUE, 3, 600000, &rows);
            if (running_of("g000000") > LIMIT || running_of("g000001") > LIMIT)
                _exit(1);
            for (size_t k = 0; k < count && (round < 3 || number % 2); k++)
                if (ack_job(handles[i], &rows[k]) != JOBQ_OK)
                    _exit(2);
        }
    for (int i = 0; i < HANDLES; i++)
        store_close(handles[i]);
}

/* Rule 10: never exceeded by one, by 64 connections in eight processes; and what is counted is what runs. */
START_TEST(never_exceeded_by_one)
{
    pid_t children[PROCESSES];
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    put_many(s, 0, 4000, 2);
    limit_group(s, "", LIMIT);
    store_close(s);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            claim_and_end(i);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(lanes_that_miscount(), 0);
    s = store_open("a.db", NULL, NULL);
    claim_jobs(s, "q", JOBQ_WANT_DUE, 100, 600000, NULL);
    ck_assert_int_eq(running_of("g000000"), LIMIT);
    ck_assert_int_eq(running_of("g000001"), LIMIT);
    store_close(s);
}
END_TEST

KIT_MAIN("groups", claims_use_indexes, a_backlog_without_groups_costs_nothing, a_backlog_of_groups_costs_nothing,
         a_backlog_with_limits_costs_nothing, without_groups_nothing_is_asked, emptied_groups_are_looked_at_once,
         rows_of_many_groups_are_written_together, groups_are_met_again,
         never_exceeded_by_one)
