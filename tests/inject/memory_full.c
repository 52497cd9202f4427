/* SPDX-License-Identifier: MIT */
/*
 * The memory store without memory (R1): every allocation of an exchange fails once. FAILED must mean that no byte
 * changed and the same exchange must succeed when there is memory again. A want that failed must leave its unit.
 */
#include <jobq/backend.h>
#include <jobq/memory.h>

#include <show.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

/* ---- allocations that fail --------------------------------------------------------------------------------- */

static long countdown; /* 0: never; 1: the next one */
static bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

/* ---- a store with something in it ----------------------------------------------------------------------------- */

static struct jobq_store *store;
static struct jobq_arena *arena;
static uint64_t number;

static struct jobq_bytes text(const char *s)
{
    return (struct jobq_bytes){ .data = s, .size = strlen(s) };
}

static struct jobq_id id(int job)
{
    return (struct jobq_id){ .bytes = { 1, [15] = (uint8_t)job } };
}

static struct jobq_put put_of(int job)
{
    return (struct jobq_put){ .id = id(job), .queue = text("q"), .kind = text("k"), .payload = text("payload"),
                              .only_if = -1 };
}

static struct jobq_change change_of(int job, int state)
{
    return (struct jobq_change){ .id = id(job), .by = JOBQ_BY_OPERATOR, .allowed = 0xff, .state = state,
                                 .edits = JOBQ_ANY_EDITS };
}

static int run(struct jobq_exchange *x)
{
    x->size = sizeof *x;
    x->client[0] = 1;
    if (!x->number)
        x->number = ++number;
    return jobq_memory()->exchange(store, x, arena, NULL);
}

static void move_clock(int64_t ms)
{
    const struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms };
    ck_assert_int_eq(jobq_memory()->configure(store, &s, NULL), JOBQ_OK);
}

static const struct jobq_bytes queue = { .data = "q", .size = 1 };

static struct jobq_want want_of(int mode, size_t limit)
{
    return (struct jobq_want){ .mode = mode, .queues = &queue, .queue_count = 1, .limit = limit, .lease_ms = 1000,
                               .worker = text("w"), .mint = { 7 } };
}

static const struct jobq_put_key key = { .scope = { 1 }, .hold = JOBQ_HOLD_LIVE,
                                         .conflict = JOBQ_CONFLICT_REPLACE };
static const struct jobq_put_key window = { .scope = { 2 }, .hold = JOBQ_HOLD_WINDOW, .window_ms = 10000 };
static const struct jobq_parent parents[] = { { .id = { { 1, [15] = 1 } } },
                                              { .id = { { 1, [15] = 2 } }, .rule = JOBQ_PARENT_IGNORE } };
static struct jobq_token token; /* holds jobs 1 and 2 */

/* A schedule that is due; its tick is in one of the puts. */
static const struct jobq_settings definition = { .size = sizeof definition, .what = JOBQ_CONFIGURE_SCHEDULE,
                                                 .set = JOBQ_SETTING_SCHEDULE | JOBQ_SETTING_NEXT,
                                                 .name = { "s", 1 }, .schedule = { "daily", 5 },
                                                 .version = JOBQ_ANY_VERSION, .fired_ms = 1, .next_ms = 2 };
static const struct jobq_put_tick tick = { .schedule = { "s", 1 }, .version = 1, .nominal_ms = 5, .next_ms = 9 };

static void open_store(void)
{
    const struct jobq_store_options options = { .size = sizeof options, .uri = "memory:", .io_timeout_ms = 1000 };
    ck_assert_int_eq(jobq_memory()->open(&store, &options, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_memory()->configure(store, &definition, NULL), JOBQ_OK);
    arena = jobq_arena_create();
    number = 0;
    struct jobq_put puts[10];
    for (int i = 0; i < 10; i++)
        puts[i] = put_of(i + 1);
    puts[2].parents = parents;
    puts[2].parent_count = 2;
    puts[3].unique = &key;
    puts[4].unique = &window;
    for (int i = 3; i < 10; i++)
        puts[i].run_at = (struct jobq_time){ .base = JOBQ_TIME_NOW, .offset_ms = 1000000 };
    struct jobq_want w = want_of(JOBQ_WANT_DUE, 2);
    struct jobq_exchange x = { .puts = puts, .put_count = 10, .want = &w };
    ck_assert_int_eq(run(&x), JOBQ_OK);
    ck_assert_uint_eq(w.row_count, 2);
    token = w.token;
    struct jobq_change ends[2] = { change_of(5, JOBQ_ROW_DEAD), change_of(6, JOBQ_ROW_COMPLETED) };
    struct jobq_exchange y = { .changes = ends, .change_count = 2 };
    ck_assert_int_eq(run(&y), JOBQ_OK);
}

static void close_store(void)
{
    jobq_arena_destroy(arena);
    jobq_memory()->close(store);
}

/* Everything stored, as text. */
static char *stored(void)
{
    struct jobq_query query = { .size = sizeof query, .limit = 100,
                                .flags = JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS |
                                         JOBQ_READ_PARENTS };
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    char *out = NULL;
    size_t size;
    ck_assert_int_eq(jobq_memory()->read(store, &query, arena, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_memory()->stats(store, &all, &stats, arena, NULL), JOBQ_OK);
    FILE *f = open_memstream(&out, &size);
    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; i < query.row_count; i++) {
        show_row(f, &query.rows[i]);
        putc('\n', f);
    }
    for (size_t i = 0; i < stats.queue_count; i++) {
        fprintf(f, "%s", stats.queues[i].queue);
        for (int state = 1; state < JOBQ_STATE_COUNT; state++)
            fprintf(f, " %llu", (unsigned long long)stats.queues[i].present[state]);
        fprintf(f, " total %llu %llu %llu\n", (unsigned long long)stats.queues[i].enqueued_total,
                (unsigned long long)stats.queues[i].dead_total, (unsigned long long)stats.queues[i].failed_total);
    }
    fprintf(f, "%zu workers\n", stats.worker_count);
    struct jobq_schedule_query schedules = { .size = sizeof schedules, .limit = 9 };
    ck_assert_int_eq(jobq_memory()->schedules(store, &schedules, arena, NULL), JOBQ_OK);
    for (size_t i = 0; i < schedules.row_count; i++) {
        const struct jobq_schedule_row *s = &schedules.rows[i];
        fprintf(f, "schedule %.*s %lld %lld %lld %d\n", (int)s->bytes.size, (const char *)s->bytes.data,
                (long long)s->version, (long long)s->fired_ms, (long long)s->next_ms, s->paused);
    }
    fclose(f);
    return out;
}

/* ---- exchanges that touch everything ------------------------------------------------------------------------------ */

struct scene {
    struct jobq_beat beat;
    struct jobq_change changes[5];
    struct jobq_put puts[5];
    struct jobq_worker_record worker;
    struct jobq_want want;
    struct jobq_exchange x;
};

static struct jobq_change held(int job, int outcome, int state)
{
    struct jobq_change c = change_of(job, state);
    c.by = JOBQ_BY_TOKEN;
    c.token = token;
    c.outcome = outcome;
    return c;
}

static void make_changes(struct scene *s)
{
    static struct jobq_bytes lines[2];

    lines[0] = text("one");
    lines[1] = text("two");
    s->changes[0] = held(1, JOBQ_OUTCOME_COMPLETE, JOBQ_ROW_COMPLETED);
    s->changes[0].set = JOBQ_SET_RESULT | JOBQ_SET_PROGRESS;
    s->changes[0].result = s->changes[0].progress = text("result");
    s->changes[1] = held(2, JOBQ_OUTCOME_FAIL, JOBQ_ROW_DEAD);
    s->changes[1].set = JOBQ_ADD_ERROR | JOBQ_ADD_LOG;
    s->changes[1].error = text("error");
    s->changes[1].log = lines;
    s->changes[1].log_count = 2;
    s->changes[2] = change_of(5, JOBQ_ROW_WAITING); /* redrive */
    s->changes[2].set = JOBQ_TAKE_KEY | JOBQ_BLOCK_AGAIN;
    s->changes[3] = change_of(7, JOBQ_ROW_GONE);
    s->changes[4] = change_of(77, JOBQ_ROW_CANCELLED);
}

static void make_puts(struct scene *s)
{
    for (int i = 0; i < 5; i++)
        s->puts[i] = put_of(20 + i);
    s->puts[0].parents = parents;
    s->puts[0].parent_count = 2;
    s->puts[1].unique = &key; /* replaces */
    s->puts[1].payload = text("replaced");
    s->puts[2].queue = text("new queue");
    s->puts[3].id = id(3);
    s->puts[4].tick = &tick;
    s->puts[4].policy = s->puts[4].key = s->puts[4].trace = s->puts[4].group = text("more");
}

static void make_scene(struct scene *s)
{
    *s = (struct scene){ .beat = { .token = token, .lease_ms = 5000 } };
    make_changes(s);
    make_puts(s);
    s->worker = (struct jobq_worker_record){ .name = text("anna"), .host = text("h"), .queues = text("q"),
                                             .kinds = text("k"), .lease_ms = 1000 };
    s->want = want_of(JOBQ_WANT_DUE, 10);
    s->x = (struct jobq_exchange){ .beats = &s->beat, .beat_count = 1, .changes = s->changes, .change_count = 5,
                                   .puts = s->puts, .put_count = 5, .worker = &s->worker, .want = &s->want,
                                   .trim = { .limit = 10, .keep_count = { [JOBQ_ROW_COMPLETED] = 1,
                                                                          [JOBQ_ROW_DEAD] = 100 } } };
}

static void make_sweep(struct scene *s)
{
    *s = (struct scene){ .want = want_of(JOBQ_WANT_OVERDUE, 10) };
    s->x = (struct jobq_exchange){ .want = &s->want };
}

static void make_release(struct scene *s)
{
    *s = (struct scene){ .beat = { .token = token, .flags = JOBQ_BEAT_RELEASE },
                         .want = want_of(JOBQ_WANT_DUE, 10) };
    s->x = (struct jobq_exchange){ .beats = &s->beat, .beat_count = 1, .want = &s->want };
}

/* One fault at allocation n. Returns false when the exchange needed fewer. */
static bool with_fault(void (*make)(struct scene *), int64_t clock_ms, long n)
{
    struct scene s;
    open_store();
    move_clock(clock_ms);
    make(&s);
    char *before = stored();
    failed = false;
    countdown = n;
    int unit = run(&s.x);
    countdown = 0;
    bool fired = failed;
    char *after = stored();
    if (unit != JOBQ_OK) {
        ck_assert_int_eq(unit, JOBQ_FAILED);
        ck_assert_int_eq(s.x.failure, JOBQ_FAILURE_FULL);
        ck_assert_int_eq(s.x.want_unit, JOBQ_SKIPPED);
        ck_assert_str_eq(before, after);
        make(&s);
        ck_assert_int_eq(run(&s.x), JOBQ_OK);
    }
    if (s.x.want_unit != JOBQ_OK) { /* the unit stands; the want took nothing */
        ck_assert_int_eq(s.x.want_unit, JOBQ_FAILED);
        ck_assert_uint_eq(s.want.row_count, 0);
        struct jobq_want again = want_of(s.want.mode, 10);
        struct jobq_exchange x = { .want = &again };
        ck_assert_int_eq(run(&x), JOBQ_OK);
    }
    free(before);
    free(after);
    close_store();
    return fired;
}

/* What it comes to when nothing fails. */
static char *without_fault(void (*make)(struct scene *), int64_t clock_ms)
{
    struct scene s;
    open_store();
    move_clock(clock_ms);
    make(&s);
    ck_assert_int_eq(run(&s.x), JOBQ_OK);
    ck_assert_int_eq(s.x.want_unit, JOBQ_OK);
    char *after = stored();
    close_store();
    return after;
}

static void enumerate(void (*make)(struct scene *), int64_t clock_ms, long least)
{
    long n = 1;
    while (with_fault(make, clock_ms, n))
        n++;
    ck_assert_msg(n > least && n > 1, "only %ld allocations could fail", n - 1);
    free(without_fault(make, clock_ms));
    printf("# %ld allocations failed in turn\n", n - 1);
    fflush(stdout);
}

START_TEST(test_everything)
{
    enumerate(make_scene, 0, 32);
}
END_TEST

START_TEST(test_sweep)
{
    enumerate(make_sweep, 5000, 2);
}
END_TEST

START_TEST(test_release)
{
    enumerate(make_release, 0, 5);
}
END_TEST

/* Settings of schedules without memory: all or nothing. */
START_TEST(test_settings)
{
    struct jobq_settings all = definition;
    all.schedule = text("weekly, and longer");
    all.set |= JOBQ_SETTING_PAUSED;
    all.paused = 1;
    all.next_ms = 77;
    for (int name = 0; name < 2; name++) {
        all.name = text(name ? "s" : "new");
        int status = JOBQ_FAILED;
        long n = 1;
        for (; status != JOBQ_OK; n++) {
            open_store();
            char *before = stored();
            countdown = n;
            status = jobq_memory()->configure(store, &all, NULL);
            countdown = 0;
            char *after = stored();
            ck_assert_int_eq(strcmp(before, after) == 0, status != JOBQ_OK);
            free(before);
            free(after);
            close_store();
        }
        ck_assert_int_gt((int)n, 3);
    }
}
END_TEST

/* Opening without memory leaves nothing, and says so. */
START_TEST(test_open)
{
    const struct jobq_store_options options = { .size = sizeof options, .uri = "memory:full?namespace=a",
                                                .io_timeout_ms = 1000 };
    for (long n = 1; n < 100; n++) {
        struct jobq_error err = { 0 };
        store = NULL;
        countdown = n;
        failed = false;
        int status = jobq_memory()->open(&store, &options, &err);
        countdown = 0;
        if (status == JOBQ_OK) {
            jobq_memory()->close(store);
            ck_assert_int_gt((int)n, 3);
            return;
        }
        ck_assert(failed);
        ck_assert_int_eq(status, JOBQ_NOMEM);
        ck_assert_int_eq(err.status, JOBQ_NOMEM);
        ck_assert_ptr_null(store);
    }
    ck_abort_msg("it never opened");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory-full");
    TCase *tcase = tcase_create("R1");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_everything);
    tcase_add_test(tcase, test_sweep);
    tcase_add_test(tcase, test_release);
    tcase_add_test(tcase, test_settings);
    tcase_add_test(tcase, test_open);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
