/* SPDX-License-Identifier: MIT */
/* What claims and acks cost. When many jobs wait and many are dead: pages of the tables of jobs and of batches, and of
 * their indexes, that a session looked at, as the server counts them. 10,000 of each on any day, 1,000,000 with
 * JOBQ_TEST_FULL=1. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { AT_ONCE = 1000, FEW = 1000, ROUNDS = 10, FEW_ROWS = 5, A_BATCH = 10 };

static struct jobq_put jobs[AT_ONCE];
static struct jobq_change changes[AT_ONCE];
static uint32_t next_number;
static int64_t timeout_ms; /* of what is put; with one it never joins a batch */

static void fill(struct jobq_store *s, uint32_t count, bool dead)
{
    for (uint32_t done = 0; done < count;) {
        struct jobq_exchange x = { .puts = jobs }, end = { .changes = changes };
        for (; done < count && x.put_count < AT_ONCE; done++) {
            jobs[x.put_count] = put_of(++next_number);
            jobs[x.put_count].timeout_ms = timeout_ms;
            changes[x.put_count] = (struct jobq_change){
                .id = jobs[x.put_count].id, .by = JOBQ_BY_OPERATOR, .edits = JOBQ_ANY_EDITS, .state = JOBQ_ROW_DEAD,
                .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING), .reason = JOBQ_REASON_OPERATOR };
            x.put_count++;
        }
        end.change_count = x.put_count;
        ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
        if (dead)
            ck_assert_msg(exchange(s, &end) == JOBQ_OK, "%s", last.text);
    }
}

static int64_t pages(void)
{
    return sql_value("SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)"
                     " FROM pg_statio_user_tables WHERE schemaname = '@' AND relname IN ('job', 'batch')");
}

static int64_t scanned(void)
{
    return sql_value("SELECT seq_tup_read FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'job'");
}

static int64_t updated(void)
{
    return sql_value("SELECT n_tup_upd FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'job'");
}

/* What a session counted is told when it ends, and a moment later. */
static void wait_for_updates(int64_t least)
{
    for (int i = 0; i < 600 && updated() < least; i++)
        usleep(50000);
    ck_assert_int_ge(updated(), least);
}

/* Rows and batches that came, changed or went. */
static int64_t moved(void)
{
    return sql_value("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE schemaname = '@' "
                     "AND relname IN ('job', 'batch')");
}

static void wait_for_moves(int64_t least)
{
    for (int i = 0; i < 600 && moved() < least; i++)
        usleep(50000);
    ck_assert_int_ge(moved(), least);
}

/* Of some claims of so many and their acks by a session of their own, behind a claim that reads what is read once. */
static int64_t cost(size_t take)
{
    const struct jobq_row *rows;
    int64_t before_moves = moved(), most = (int64_t)take;
    struct jobq_store *s = store_open(uri_with(""));
    ck_assert_uint_eq(claim_jobs(s, take, &rows), take);
    store_close(s);
    wait_for_moves(before_moves + most);
    int64_t before = pages(), read = scanned(), done = moved();
    s = store_open(uri_with(""));
    for (int i = 0; i < ROUNDS; i++) {
        ck_assert_uint_eq(claim_jobs(s, take, &rows), take);
        for (size_t k = 0; k < take; k++)
            ck_assert_int_eq(ack_job(s, &rows[k]), JOBQ_OK);
    }
    store_close(s);
    wait_for_moves(done + 2 * ROUNDS * most);
    ck_assert_int_eq(scanned(), read); /* no plan that reads the table */
    return pages() - before;
}

START_TEST(a_backlog_costs_no_more_than_twice)
{
    uint32_t most = getenv("JOBQ_TEST_FULL") ? 1000000 : 10000;
    struct jobq_store *s = store_open(uri_with(""));
    /* Pages that autovacuum looks at would be counted too. */
    sql("ALTER TABLE @.job SET (autovacuum_enabled = off)");
    fill(s, FEW, false);
    fill(s, FEW, true);
    store_close(s);
    wait_for_updates(FEW);
    int64_t few = cost(FEW_ROWS), few_batches = cost(A_BATCH);
    s = store_open(uri_with(""));
    fill(s, most - FEW, false);
    fill(s, most - FEW, true);
    store_close(s);
    wait_for_updates(most);
    sql("VACUUM @.job"); /* as autovacuum does: the places that the dead left in the index of what waits are given back */
    int64_t many = cost(FEW_ROWS), many_batches = cost(A_BATCH);
    printf("# %d claims and acks: %lld pages, with %u waiting and %u dead %lld; of batches: %lld and %lld\n", ROUNDS,
           (long long)few, most, most, (long long)many, (long long)few_batches, (long long)many_batches);
    ck_assert_int_gt(few, ROUNDS * FEW_ROWS);
    ck_assert_int_le(many, 2 * few);
    ck_assert_int_gt(few_batches, ROUNDS * A_BATCH);
    ck_assert_int_le(many_batches, 2 * few_batches);
}
END_TEST

static int64_t fetched(void)
{
    return sql_value("SELECT coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'job'");
}

/* In the index of what runs; behind a long reader it has an entry for all that ever ran. */
static int64_t looks_at_what_runs(void)
{
    return sql_value("SELECT idx_scan FROM pg_stat_user_indexes WHERE schemaname = '@' AND indexrelname = 'job_held'");
}

enum { BATCH = 400, BEHIND = 5000, EACH = 8 };

/* Claimed in one session, acked together in another; how many rows of the table were fetched for that. */
static int64_t fetched_for_acks(int64_t moves)
{
    static struct jobq_change acks[BATCH];
    const struct jobq_row *rows;
    struct jobq_store *s = store_open(uri_with(""));
    fill(s, BATCH + BEHIND, false);
    sql("ANALYZE @.job"); /* nothing runs, as far as the server knows: what runs seems to be found at once */
    store_close(s);
    wait_for_moves(BATCH + BEHIND);
    int64_t done = moved();
    s = store_open(uri_with(""));
    ck_assert_uint_eq(claim_jobs(s, BATCH, &rows), BATCH);
    for (int i = 0; i < BATCH; i++)
        acks[i] = (struct jobq_change){ .id = rows[i].id, .by = JOBQ_BY_TOKEN, .token = rows[i].token,
                                        .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                        .state = JOBQ_ROW_COMPLETED };
    store_close(s);
    wait_for_moves(done + BATCH);
    int64_t before = fetched(), looks = looks_at_what_runs();
    done = moved();
    s = store_open(uri_with(""));
    struct jobq_exchange x = { .changes = acks, .change_count = BATCH };
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    for (int i = 0; i < BATCH; i++)
        ck_assert_int_eq(acks[i].verdict, JOBQ_OK);
    store_close(s);
    wait_for_moves(done + moves);
    ck_assert_int_eq(looks_at_what_runs(), looks);
    return fetched() - before;
}

/* All rows that were claimed together have one token: whoever looks them up by it meets each of them for each of
 * them. */
START_TEST(an_ack_of_many_meets_each_row_a_few_times)
{
    timeout_ms = 1000000;
    int64_t met = fetched_for_acks(BATCH);
    ck_assert_int_ge(met, BATCH);
    ck_assert_int_le(met, EACH * BATCH);
}
END_TEST

/* One row is written, whatever it holds. */
START_TEST(an_ack_of_a_batch_meets_no_row)
{
    ck_assert_int_eq(fetched_for_acks(1), 0);
    ck_assert_int_eq(sql_value("SELECT n_tup_upd FROM pg_stat_user_tables WHERE schemaname = '@' AND"
                               " relname = 'batch'"), 1);
}
END_TEST

static int64_t counted(void)
{
    return sql_value("SELECT n_tup_ins FROM pg_stat_user_tables WHERE schemaname = '@' AND relname = 'tally'");
}

/* Each statement that claims writes what it claimed to the tally. */
START_TEST(groups_are_claimed_together)
{
    enum { GROUPS = 50, FEW_STATEMENTS = 3 };
    char names[GROUPS];
    const struct jobq_row *rows;
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_exchange x = { .puts = jobs, .put_count = GROUPS };
    for (int i = 0; i < GROUPS; i++) {
        names[i] = (char)('0' + i);
        jobs[i] = put_of(++next_number);
        jobs[i].group = (struct jobq_bytes){ &names[i], 1 };
    }
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    store_close(s);
    for (int i = 0; i < 600 && counted() < 1; i++)
        usleep(50000);
    int64_t before = counted(), done = moved();
    s = store_open(uri_with(""));
    ck_assert_uint_eq(claim_jobs(s, GROUPS, &rows), GROUPS);
    for (int i = 0; i < GROUPS; i++)
        ck_assert(rows[i].group.size == 1 && *(const char *)rows[i].group.data == names[i]);
    store_close(s);
    wait_for_moves(done + GROUPS);
    ck_assert_int_gt(counted(), before);
    ck_assert_int_le(counted() - before, FEW_STATEMENTS);
}
END_TEST

KIT_MAIN("postgres backlog", a_backlog_costs_no_more_than_twice, an_ack_of_many_meets_each_row_a_few_times,
         an_ack_of_a_batch_meets_no_row, groups_are_claimed_together)
