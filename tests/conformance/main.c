/* SPDX-License-Identifier: MIT */
/* Builds the suite from the topics, runs it, and checks that a pass did what it is for. */
#include "passes.h"

#include <stdlib.h>
#include <sys/mman.h>

#include <check.h>

#define POINT_AT_TOPIC(name) &topic_##name,
static const struct topic *const topics[] = { TOPICS(POINT_AT_TOPIC) };
#define TOPIC_COUNT (sizeof topics / sizeof *topics)
#define TEST_MAX 1024
#define NAME_MAX_BYTES 256

static const struct test *chosen[TEST_MAX];
static TTest ttests[TEST_MAX];
static char names[TEST_MAX][NAME_MAX_BYTES];
static int chosen_count, wanted_count;

static void run_chosen(int i)
{
    tcase_fn_start(names[i], __FILE__, __LINE__);
    pass_run(chosen[i]);
}

/* ---- was it worth something? ------------------------------------------------------------------------------------- */

static void floor_of_fail(int i)
{
    (void)i;
    tcase_fn_start("floors", __FILE__, __LINE__);
    const struct tally *t = run.tally;
    ck_assert_msg(t->cases >= 60 / run.every && t->fired >= 4 * t->cases / run.stride, "%ld faults fired in %ld cases: too few", t->fired,
                  t->cases);
}

static void floor_of_lost(int i)
{
    floor_of_fail(i);
    ck_assert_msg(run.tally->compared >= run.tally->fired, "%ld answers lost and only %ld compared",
                  run.tally->fired, run.tally->compared);
}

static void floor_of_again(int i)
{
    (void)i;
    tcase_fn_start("floors", __FILE__, __LINE__);
    for (int verb = 0; verb < VERB_COUNT; verb++)
        ck_assert_msg(run.tally->again[verb] >= 1, "no repeated %s was recognised", verb_names[verb]);
    ck_assert_msg(run.tally->again[VERB_PUT] >= 100 && run.tally->again[VERB_COMPLETE] >= 10, "too few repeats");
}

static void say_tally(void)
{
    const struct tally *t = run.tally;
    if (run.pass == PASS_FAIL)
        printf("# faults: %ld fired in %ld cases, every %ld of all\n", t->fired, t->cases, run.stride);
    if (run.pass == PASS_LOST)
        printf("# answers lost: %ld in %ld cases, %ld repeats compared\n", t->fired, t->cases, t->compared);
    if (run.pass != PASS_AGAIN)
        return;
    printf("# said again by another client, and known:");
    for (int verb = 0; verb < VERB_COUNT; verb++)
        printf(" %s %ld", verb_names[verb], t->again[verb]);
    printf(" in %ld cases\n", t->cases);
}

/* ---- the suite ------------------------------------------------------------------------------------------------------ */

static bool wanted(const struct test *test, const char *name)
{
    if (run.only && !strstr(name, run.only))
        return false;
    if (run.groups && (strncmp(name, "batch", 5) != 0 || test->flags & NO_GROUPS || !store_has(JOBQ_CAP_GROUPS)))
        return false;
    return store_has(test->needs) && !(test->flags & PLAIN_ONLY && run.pass != PASS_PLAIN);
}

static void add_test(TCase *tcase, const struct topic *topic, const struct test *test)
{
    if (chosen_count == TEST_MAX)
        abort(); /* TEST_MAX is too small */
    char *name = names[chosen_count];
    snprintf(name, NAME_MAX_BYTES, "%s: %s", topic->name, test->name);
    if (!wanted(test, name) || wanted_count++ % run.every != 0)
        return;
    chosen[chosen_count] = test;
    ttests[chosen_count] = (TTest){ .name = name, .fn = run_chosen, .file = __FILE__, .line = __LINE__ };
    _tcase_add_test(tcase, &ttests[chosen_count], 0, 0, chosen_count, chosen_count + 1);
    chosen_count++;
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create(run.fixture->name);
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        TCase *tcase = tcase_create(topics[i]->name);
        tcase_set_timeout(tcase, run.pass == PASS_FAIL ? 3600 : 300); /* the former does a test a hundred times and more */
        for (size_t t = 0; t < topics[i]->count; t++)
            add_test(tcase, topics[i], &topics[i]->tests[t]);
        suite_add_tcase(suite, tcase);
    }
    return suite;
}

static void add_floors(Suite *suite)
{
    static TTest floors[] = { [PASS_FAIL] = { .name = "the faults fired", .fn = floor_of_fail },
                              [PASS_LOST] = { .name = "the answers were lost", .fn = floor_of_lost },
                              [PASS_AGAIN] = { .name = "every verb was recognised", .fn = floor_of_again } };
    if (run.pass == PASS_PLAIN || run.only || run.groups || run.fault)
        return;
    floors[run.pass].file = __FILE__;
    floors[run.pass].line = __LINE__;
    TCase *tcase = tcase_create("floors");
    _tcase_add_test(tcase, &floors[run.pass], 0, 0, 0, 1);
    suite_add_tcase(suite, tcase);
}

static int choose_pass(const char *name)
{
    static const char *const passes[] = { "plain", "fail", "lost", "again" };
    for (int i = 0; i < 4; i++)
        if (strcmp(name, passes[i]) == 0) {
            run.pass = (enum pass)i;
            return 0;
        }
    fprintf(stderr, "unknown pass '%s': plain, fail, lost or again\n", name);
    return -1;
}

static int read_arguments(int argc, char **argv)
{
    const char *pass = getenv("JOBQ_PASS");
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0)
            run.trace = true;
        else if (strcmp(argv[i], "--groups") == 0)
            run.groups = true;
        else if (strcmp(argv[i], "--pass") == 0)
            pass = value, i++;
        else if (strcmp(argv[i], "--only") == 0)
            run.only = value, i++;
        else if (strcmp(argv[i], "--fault") == 0)
            run.fault = strtol(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--stride") == 0)
            run.stride = strtol(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--every") == 0)
            run.every = strtol(value, NULL, 10), i++;
        else
            return fprintf(stderr, "unknown argument '%s'\n", argv[i]), -1;
    }
    if (choose_pass(pass ? pass : "plain") != 0)
        return -1;
    run.full = getenv("JOBQ_TEST_FULL") != NULL;
    if (run.stride < 1 || run.pass != PASS_FAIL || run.full)
        run.stride = 1;
    if (run.every < 1 || run.full)
        run.every = 1;
    return 0;
}

int jobq_conformance(const struct jobq_conformance_fixture *fixture, int argc, char **argv)
{
    run = (struct run){ .fixture = fixture };
    if (read_arguments(argc, argv) != 0)
        return 2;
    run.tally = mmap(NULL, sizeof *run.tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.tally == MAP_FAILED)
        return 2;
    Suite *suite = make_suite();
    add_floors(suite);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failures = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    if (run.every > 1)
        printf("# %d of %d tests: every %ld\n", chosen_count, wanted_count, run.every);
    say_tally();
    if (!ran)
        fprintf(stderr, "no test ran\n");
    return failures || !ran ? 1 : 0;
}
