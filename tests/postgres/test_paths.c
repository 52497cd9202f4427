/* SPDX-License-Identifier: MIT */
/* One by itself, many together and what depends on another are put, claimed and ended by statements of their own. The same history
 * must leave the same rows, keys and counts whichever way it went. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum path { ALONE, TOGETHER, IN_TURN, PATHS };
enum { JOBS = 40, OF_PATH = 1000 };

static const char *const queues[PATHS] = { "alone", "together", "in turn" };

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){ words, strlen(words) };
}

static void must(struct jobq_store *s, struct jobq_exchange *x)
{
    ck_assert_msg(exchange(s, x) == JOBQ_OK && (!x->want || x->want_unit == JOBQ_OK), "%s", last.text);
}

/* ---- putting --------------------------------------------------------------------------------------------------- */

/* Of all kinds: with a time limit, an expiry, a group, a rank, a key of each rule, bytes of each column. */
static struct jobq_put job_of(enum path path, uint32_t i, struct jobq_put_key *key)
{
    struct jobq_put put = put_of(OF_PATH * (uint32_t)path + i);
    put.queue = text(queues[path]);
    put.timeout_ms = i % 3 ? 0 : 20000;
    put.priority = (int32_t)(i % 4);
    put.rank_add_ms = 1000 * (int64_t)(i % 4);
    if (i % 4 == 1)
        put.group = text(i % 8 == 1 ? "group" : "other group");
    if (i % 5 == 1)
        put.expires_at = (struct jobq_time){ JOBQ_TIME_NOW, 3600000 };
    if (i % 5 == 2)
        put.policy = text("policy");
    if (i % 7 == 3)
        put.trace = text("trace");
    *key = (struct jobq_put_key){ .scope = { 's', (uint8_t)path, (uint8_t)i }, .payload_digest = { 'd' },
                                  .hold = (int32_t)(i / 2 % 5), .conflict = JOBQ_CONFLICT_RETURN, .window_ms = 3600000 };
    if (i % 2) {
        put.key = text("key");
        put.unique = key;
    }
    return put;
}

static void put_jobs(struct jobq_store *s, enum path path)
{
    struct jobq_put_key keys[JOBS];
    struct jobq_put puts[JOBS + 1];
    for (uint32_t i = 0; i < JOBS; i++)
        puts[i] = job_of(path, i, &keys[i]);
    puts[JOBS] = puts[0]; /* twice in a unit: they are looked at one after another */
    for (size_t i = 0; path == ALONE && i < JOBS; i++)
        must(s, &(struct jobq_exchange){ .puts = &puts[i], .put_count = 1 });
    if (path != ALONE)
        must(s, &(struct jobq_exchange){ .puts = puts, .put_count = JOBS + (path == IN_TURN) });
    for (size_t i = 0; i < JOBS; i++)
        ck_assert_int_eq(puts[i].verdict, JOBQ_OK);
    if (path == IN_TURN)
        ck_assert_int_eq(puts[JOBS].verdict, JOBQ_ALREADY);
}

/* ---- claiming and changing -------------------------------------------------------------------------------------- */

static size_t claim(struct jobq_store *s, enum path path, struct jobq_change *out)
{
    const struct jobq_bytes queue = text(queues[path]);
    size_t count = 0, given;
    do {
        struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1,
                                  .limit = path == ALONE ? 1 : JOBS, .lease_ms = 30000, .worker = text("w"), .others = 1 };
        must(s, &(struct jobq_exchange){ .want = &want });
        given = want.row_count;
        ck_assert_uint_le(count + given, JOBS);
        for (size_t i = 0; i < given; i++)
            out[count++] = (struct jobq_change){ .id = want.rows[i].id, .by = JOBQ_BY_TOKEN, .token = want.token,
                                                 .edits = JOBQ_ANY_EDITS };
    } while (given && count < JOBS);
    return count;
}

static void make(struct jobq_store *s, enum path path, struct jobq_change *changes, size_t count)
{
    for (size_t i = 0; path == ALONE && i < count; i++)
        must(s, &(struct jobq_exchange){ .changes = &changes[i], .change_count = 1 });
    if (path != ALONE)
        must(s, &(struct jobq_exchange){ .changes = changes, .change_count = count });
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
}

static void tell_progress(struct jobq_store *s, enum path path, struct jobq_change *held)
{
    struct jobq_change changes[JOBS];
    for (size_t i = 0; i < JOBS; i++) {
        changes[i] = held[i];
        changes[i].set = JOBQ_SET_PROGRESS;
        changes[i].progress = text("half");
    }
    make(s, path, changes, JOBS);
}

/* What sets nothing but a result has a statement of its own; to set what is there already is no other outcome. */
static void complete(struct jobq_store *s, enum path path, struct jobq_change *changes)
{
    for (size_t i = 0; i < JOBS; i++) {
        uint32_t number = (uint32_t)(changes[i].id.bytes[14] << 8 | changes[i].id.bytes[15]) % OF_PATH;
        changes[i].outcome = JOBQ_OUTCOME_COMPLETE;
        changes[i].state = JOBQ_ROW_COMPLETED;
        changes[i].set = number % 3 ? JOBQ_SET_RESULT : 0;
        changes[i].result = number % 3 ? text("result") : (struct jobq_bytes){ 0 };
        if (path == IN_TURN) {
            changes[i].set |= JOBQ_SET_PROGRESS;
            changes[i].progress = text("half");
        }
    }
    make(s, path, changes, JOBS);
}

static void fail_all(struct jobq_store *s, enum path path, struct jobq_change *changes)
{
    for (size_t i = 0; i < JOBS; i++) {
        changes[i].outcome = JOBQ_OUTCOME_FAIL;
        changes[i].state = JOBQ_ROW_WAITING;
        changes[i].set = JOBQ_ADD_ERROR | JOBQ_SET_COUNTERS;
        changes[i].failures = 1;
        changes[i].error = text("failed");
    }
    make(s, path, changes, JOBS);
}

/* ---- comparing ------------------------------------------------------------------------------------------------- */

/* Of rows and of members of batches all columns, those of time by how far they are from the step that set them. */
#define SHOWN                                                                                                             \
    "(to_jsonb(j) - ARRAY['id', 'n', 'token', 'queue', 'created_at', 'run_at', 'place', 'clock', 'started_at',"            \
    " 'finished_at', 'lease_until', 'stop_at', 'expires_at', 'key_until', 'key_scope']"                                    \
    " || jsonb_build_object('run_at', j.run_at - j.created_at, 'place', j.place - j.run_at,"                               \
    " 'clock', j.clock - CASE WHEN j.state = 3 THEN j.started_at ELSE j.created_at END, 'token', j.token IS NULL,"         \
    " 'lease_until', j.lease_until - j.started_at, 'stop_at', j.stop_at - j.started_at,"                                   \
    " 'expires_at', j.expires_at - j.created_at, 'key_until', j.key_until - j.created_at, 'scope', j.key_scope IS NULL,"   \
    " 'started_at', j.started_at >= j.created_at, 'finished_at', j.finished_at >= j.started_at))::text"
#define NUMBER "('x' || right(%s::text, 8))::bit(32)::integer %% 1000"

static void no_difference(const char *format, const char *when)
{
    char *said = server_ask("postgres", format);
    ck_assert_msg(!*said, "%s: %s", when, said);
    free(said);
}

static void rows_are_equal(const char *when)
{
    char question[4000];
    snprintf(question, sizeof question,
             "SELECT coalesce(string_agg(y.said, '; '), '') FROM (SELECT concat(x.i, ': ', count(*), ' ', min(x.shown), ' <> ',"
             " max(x.shown)) AS said FROM (SELECT " NUMBER " AS i, " SHOWN " AS shown FROM (SELECT k.* FROM %s.job AS k"
             " UNION ALL SELECT m.* FROM %s.members(NULL, 24, '00000000-0000-0000-0000-000000000000') AS m) AS j) AS x"
             " GROUP BY x.i HAVING count(DISTINCT x.shown) <> 1 OR count(*) <> %d LIMIT 1) AS y",
             "j.id", name_space(), name_space(), PATHS);
    no_difference(question, when);
    snprintf(question, sizeof question,
             "SELECT coalesce(string_agg(y.said, '; '), '') FROM (SELECT concat(x.i, ': ', count(*), ' ', min(x.shown), ' <> ',"
             " max(x.shown)) AS said FROM (SELECT " NUMBER " AS i, concat(k.hold, ' ', k.ended, ' ', k.until IS NULL, ' ',"
             " k.fades IS NULL, ' ', k.heir) AS shown FROM %s.key AS k) AS x"
             " GROUP BY x.i HAVING count(DISTINCT x.shown) <> 1 OR count(*) <> %d LIMIT 1) AS y",
             "k.job", name_space(), PATHS);
    no_difference(question, when);
}

static struct jobq_queue_stats counts_of(struct jobq_store *s, struct jobq_arena *arena, enum path path)
{
    const struct jobq_bytes queue = text(queues[path]);
    struct jobq_stats stats = { .size = sizeof stats };
    ck_assert_msg(jobq_postgres()->stats(s, &queue, &stats, arena, &last) == JOBQ_OK, "%s", last.text);
    ck_assert_uint_eq(stats.queue_count, 1);
    return stats.queues[0];
}

static void counts_are_equal(struct jobq_store *s, const char *when)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_queue_stats first = counts_of(s, arena, ALONE);
    for (enum path path = TOGETHER; path < PATHS; path++) {
        struct jobq_queue_stats other = counts_of(s, arena, path);
        ck_assert_msg(memcmp(first.present, other.present, sizeof first.present) == 0, "%s: %s", when, queues[path]);
        ck_assert_uint_eq(first.enqueued_total, other.enqueued_total);
        ck_assert_uint_eq(first.completed_total, other.completed_total);
        ck_assert_uint_eq(first.failed_total, other.failed_total);
    }
    jobq_arena_destroy(arena);
}

static void are_equal(struct jobq_store *s, const char *when)
{
    rows_are_equal(when);
    counts_are_equal(s, when);
}

/* ---- the history ------------------------------------------------------------------------------------------------ */

START_TEST(whichever_way_it_went)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_change held[PATHS][JOBS];
    for (enum path path = ALONE; path < PATHS; path++)
        put_jobs(s, path);
    are_equal(s, "put");
    for (int failed = 0; failed < 2; failed++) {
        for (enum path path = ALONE; path < PATHS; path++)
            ck_assert_uint_eq(claim(s, path, held[path]), JOBS);
        are_equal(s, "claimed");
        for (enum path path = ALONE; path < PATHS; path++) {
            tell_progress(s, path, held[path]);
            if (!failed)
                fail_all(s, path, held[path]);
        }
        are_equal(s, "told how far it is, and failed once");
    }
    for (enum path path = ALONE; path < PATHS; path++)
        complete(s, path, held[path]);
    are_equal(s, "completed");
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 4"), PATHS * JOBS);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres paths", whichever_way_it_went)
