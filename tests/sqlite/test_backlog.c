/* SPDX-License-Identifier: MIT */
/* What a put, a claim and an ack cost when many jobs wait and many are dead, in steps of SQLite's machine: a count that no load
 * of the machine changes. 10,000 of each on any day, 1,000,000 with JOBQ_TEST_FULL=1. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 500, FEW = 1000, ROUNDS = 2, TAKE = 10 };

static struct jobq_put jobs[AT_ONCE];
static struct jobq_change changes[AT_ONCE];
static uint32_t next_number;

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){ .data = words, .size = strlen(words) };
}

/* So many jobs more; dead: that are dead. */
static void fill(struct jobq_store *s, uint32_t count, bool dead)
{
    for (uint32_t done = 0; done < count;) {
        struct jobq_exchange x = { .puts = jobs };
        for (; done < count && x.put_count < AT_ONCE; done++) {
            struct jobq_put *put = &jobs[x.put_count];
            *put = (struct jobq_put){ .queue = text("q"), .kind = text("k"), .payload = text("p"), .only_if = -1 };
            memcpy(put->id.bytes + 12, &next_number, sizeof next_number);
            changes[x.put_count++] = (struct jobq_change){
                .id = put->id, .by = JOBQ_BY_OPERATOR, .edits = JOBQ_ANY_EDITS, .state = JOBQ_ROW_DEAD,
                .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING), .reason = JOBQ_REASON_OPERATOR };
            next_number++;
        }
        ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
        struct jobq_exchange end = { .changes = changes, .change_count = x.put_count };
        if (dead)
            ck_assert_int_eq(exchange(s, &end), JOBQ_OK);
    }
}

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

/* The first round reads what need be read only once; the second is the one that counts. */
static struct cost cost_of(struct jobq_store *s)
{
    const struct jobq_row *rows;
    struct cost cost = { 0, 0, 0 };
    for (int i = 0; i < ROUNDS; i++) {
        (void)steps(s);
        fill(s, TAKE, false);
        cost.put = steps(s);
        ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, TAKE, 60000, &rows), TAKE);
        cost.claim = steps(s);
        for (int k = 0; k < TAKE; k++)
            ck_assert_int_eq(ack_job(s, &rows[k]), JOBQ_OK);
        cost.ack = steps(s);
    }
    return cost;
}

static void no_more_than_twice(const char *what, int64_t few, int64_t many)
{
    printf("# %s: %lld steps, with the backlog %lld\n", what, (long long)few, (long long)many);
    ck_assert_int_gt(few, 50);
    ck_assert_int_le(many, 2 * few);
}

START_TEST(a_backlog_costs_no_more_than_twice)
{
    uint32_t most = getenv("JOBQ_TEST_FULL") ? 1000000 : 10000;
    struct hand hand; /* the clock stands: a new second costs a write */
    hand_set(&hand, "0f8fad5b-d9cb-469f-a165-70867728950e", 5000, 1767225600000);
    struct jobq_store *s = store_open("a.db", "synchronous=normal", &hand);
    fill(s, FEW, false);
    fill(s, FEW, true);
    struct cost few = cost_of(s);
    fill(s, most - FEW, false);
    fill(s, most - FEW, true);
    struct cost many = cost_of(s);
    printf("# %u wait and %u are dead\n", most, most);
    no_more_than_twice("put", few.put, many.put);
    no_more_than_twice("claim", few.claim, many.claim);
    no_more_than_twice("ack", few.ack, many.ack);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_DEAD), most);
    store_close(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite backlog");
    TCase *one = kit_case("backlog");
    tcase_set_timeout(one, 1800);
    tcase_add_test(one, a_backlog_costs_no_more_than_twice);
    suite_add_tcase(suite, one);
    return kit_suite(suite);
}
