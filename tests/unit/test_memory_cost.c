/* SPDX-License-Identifier: MIT */
/* What a put, a claim and an ack cost in the memory store when many jobs wait and many are dead: how often it compares two of
 * what it keeps, a count that no load of the machine changes. 10,000 of each on any day, 1,000,000 with JOBQ_TEST_FULL=1. */
#include "unit.h"

#include "memory.h"

#include <jobq/memory.h>

#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 500, FEW = 1000, ROUNDS = 100 };

static struct jobq_store *store;
static struct jobq_arena *arena;
static struct jobq_put jobs[AT_ONCE];
static struct jobq_change changes[AT_ONCE];
static uint32_t numbers;
static int64_t compared;

/* ---- counting: each order goes through a function that counts ----------------------------------------------------------- */

#define COUNTED(name)                                                               \
    static mem_order *name##_order;                                                 \
    static int name##_counted(const struct mem_node *a, const struct mem_node *b)   \
    {                                                                               \
        compared++;                                                                 \
        return name##_order(a, b);                                                  \
    }                                                                               \
    static void count_##name(struct mem_tree *tree)                                 \
    {                                                                               \
        if (tree->order != name##_counted)                                          \
            name##_order = tree->order;                                             \
        tree->order = name##_counted;                                               \
    }

COUNTED(rows)
COUNTED(arrived)
COUNTED(clock)
COUNTED(held)
COUNTED(queues)
COUNTED(ready)
COUNTED(asleep)
COUNTED(ended)

static void count_compared(void)
{
    struct mem *m = store->m;
    struct mem_queue *queue = mem_queue_after(m, NULL);
    ck_assert_ptr_nonnull(queue);
    count_rows(&m->rows);
    count_arrived(&m->arrived);
    count_clock(&m->clock);
    count_held(&m->held);
    count_queues(&m->queues);
    count_ready(&queue->ready);
    count_asleep(&queue->asleep);
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        count_ended(&queue->ended[state]);
}

/* ---- jobs ------------------------------------------------------------------------------------------------------------------ */

static void run(struct jobq_exchange *x)
{
    struct jobq_error err = { 0 };
    x->size = sizeof *x;
    ck_assert_msg(jobq_memory()->exchange(store, x, arena, &err) == JOBQ_OK, "%s", err.text);
}

static void new_arena(void)
{
    jobq_arena_destroy(arena);
    arena = jobq_arena_create();
    ck_assert_ptr_nonnull(arena);
}

/* In turn as the library makes them, 300 a millisecond, and as a program may count them. */
static struct jobq_id next_id(void)
{
    struct jobq_id id = { { 0 } };
    uint32_t n = ++numbers, ms = n / 2 / 300, sequence = n / 2 % 300;
    memcpy(id.bytes + 12, &n, sizeof n);
    if (n % 2)
        return id;
    for (int i = 0; i < 4; i++)
        id.bytes[5 - i] = (uint8_t)(ms >> 8 * i);
    id.bytes[6] = (uint8_t)(0x70 | sequence >> 8);
    id.bytes[7] = (uint8_t)sequence;
    id.bytes[8] = 0x80;
    return id;
}

static void put(size_t count)
{
    struct jobq_exchange x = { .puts = jobs, .put_count = count };
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (struct jobq_put){ .queue = { "q", 1 }, .kind = { "k", 1 }, .payload = { "p", 1 }, .only_if = -1 };
        jobs[i].id = next_id();
    }
    run(&x);
}

static void fill(uint32_t count, bool dead)
{
    for (uint32_t done = 0, part; done < count; done += part) {
        part = count - done < AT_ONCE ? count - done : AT_ONCE;
        new_arena();
        put(part);
        struct jobq_exchange x = { .changes = changes, .change_count = part };
        for (size_t i = 0; i < part; i++)
            changes[i] = (struct jobq_change){ .id = jobs[i].id, .by = JOBQ_BY_OPERATOR, .edits = JOBQ_ANY_EDITS,
                                               .state = JOBQ_ROW_DEAD, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING),
                                               .reason = JOBQ_REASON_OPERATOR };
        if (dead)
            run(&x);
    }
}

/* One claimed and completed, with the trim that rides along. */
static void claim_and_ack(uint8_t round, int64_t *claims, int64_t *acks)
{
    static const struct jobq_bytes queue = { "q", 1 };
    struct jobq_want w = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 1, .lease_ms = 30000,
                           .worker = { "w", 1 }, .mint = { 1, round } };
    struct jobq_exchange claim = { .want = &w }, ack = { .changes = changes, .change_count = 1, .trim = { .limit = 18 } };
    int64_t before = compared;
    for (int i = 0; i < 8; i++)
        ack.trim.keep_count[i] = -1;
    run(&claim);
    ck_assert_uint_eq(w.row_count, 1);
    *claims += compared - before;
    before = compared;
    changes[0] = (struct jobq_change){ .id = w.rows[0].id, .by = JOBQ_BY_TOKEN, .token = w.token, .edits = JOBQ_ANY_EDITS,
                                       .outcome = JOBQ_OUTCOME_COMPLETE, .state = JOBQ_ROW_COMPLETED };
    run(&ack);
    ck_assert_int_eq(changes[0].verdict, JOBQ_OK);
    *acks += compared - before;
}

struct cost {
    int64_t put, claim, ack;
};

/* Trees are balanced by chance: of many. */
static struct cost cost_of_rounds(void)
{
    struct cost cost = { 0, 0, 0 };
    count_compared();
    for (uint8_t round = 0; round < ROUNDS; round++) {
        int64_t before = compared;
        new_arena();
        put(1);
        cost.put += compared - before;
        claim_and_ack(round, &cost.claim, &cost.ack);
    }
    return cost;
}

static int64_t depth_of(int64_t rows)
{
    int64_t depth = 0;
    while (rows >> depth)
        depth++;
    return depth;
}

/* Comparisons are what grows with the depth of a tree, and only a part of what a claim does: twice as many, for each step that
 * trees are deep. */
static void grows_with_the_depth(const char *what, int64_t few, int64_t many, int64_t most)
{
    printf("# %s: %lld comparisons, with %lld waiting and as many dead %lld\n", what, (long long)few / ROUNDS,
           (long long)most, (long long)many / ROUNDS);
    ck_assert_int_ge(few, ROUNDS / 2); /* it was counted */
    ck_assert_msg(many * depth_of(FEW) <= 2 * few * depth_of(most), "%s: %lld of %lld", what, (long long)many, (long long)few);
}

/* Who looks for an id finds it close to where its mark says. */
static void ids_are_found_at_once(void)
{
    const struct mem_ids *ids = &store->m->ids;
    size_t steps = 0, most = 0;
    for (size_t i = 0; i < ids->room; i++) {
        size_t away = ids->places[i].row ? (i - (size_t)ids->places[i].mark) & (ids->room - 1) : 0;
        steps += away;
        most = away > most ? away : most;
    }
    printf("# %zu ids in %zu places: %zu steps to find all, at most %zu for one\n", ids->count, ids->room, steps, most);
    ck_assert_uint_ge(ids->count, 2 * FEW);
    ck_assert_uint_le(steps, 2 * ids->count);
    ck_assert_uint_le(most, 500);
}

START_TEST(a_backlog_costs_what_a_deeper_tree_costs)
{
    uint32_t most = getenv("JOBQ_TEST_FULL") ? 1000000 : 10000;
    struct jobq_store_options o = { .size = sizeof o, .uri = "memory:", .io_timeout_ms = 30000 };
    struct jobq_error err = { 0 };
    ck_assert_msg(jobq_memory()->open(&store, &o, &err) == JOBQ_OK, "%s", err.text);
    fill(FEW, false);
    fill(FEW, true);
    struct cost few = cost_of_rounds();
    fill(most - FEW, false);
    fill(most - FEW, true);
    struct cost many = cost_of_rounds();
    grows_with_the_depth("put", few.put, many.put, most);
    grows_with_the_depth("claim", few.claim, many.claim, most);
    grows_with_the_depth("ack", few.ack, many.ack, most);
    ids_are_found_at_once();
    jobq_arena_destroy(arena);
    jobq_memory()->close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory cost");
    TCase *one = tcase_create("backlog");
    tcase_set_timeout(one, 1800);
    tcase_add_test(one, a_backlog_costs_what_a_deeper_tree_costs);
    suite_add_tcase(suite, one);
    return unit_run(suite);
}
