/* SPDX-License-Identifier: MIT */
/* The parts of search-sync that need nothing: what a change means, folding, requests and answers, alerts,
 * what is watched. */
#include <check.h>
#include <jobq/jobq.h>
#include <jobq/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "change.h"
#include "request.h"
#include "watch.h"

static int read_text(const char *text, struct change *out)
{
    char why[CHANGE_WHY] = "";
    int code = change_read((struct jobq_bytes){text, strlen(text)}, out, why);

    ck_assert(code == 0 || why[0]);
    return code;
}

#define CHANGE(table, op, data)                                                                              \
    "{\"table_name\":\"" table "\",\"operation\":\"" op                                                      \
    "\",\"record_id\":\"r1\",\"version\":7,\"change_data\":" data "}"

/* What becomes of a listing: NULL when it has to go. */
static char *source_of(const char *text)
{
    struct change change;
    char *source;

    ck_assert_int_eq(read_text(text, &change), 0);
    ck_assert_str_eq(change.id, "r1");
    ck_assert_int_eq(change.version, 7);
    source = change.source;
    change.source = NULL;
    change_free(&change);
    return source;
}

START_TEST(only_active_listings_are_found)
{
    static const char *const gone[] = {
        CHANGE("listings", "INSERT", "{\"status\":\"draft\"}"),
        CHANGE("listings", "INSERT", "{}"),
        CHANGE("listings", "UPDATE", "{\"old\":{\"status\":\"active\"},\"new\":{\"status\":\"inactive\"}}"),
        CHANGE("listings", "DELETE", "{\"status\":\"active\"}"),
        CHANGE("profiles", "DELETE", "{\"name\":\"x\"}"),
    };
    for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++)
        ck_assert_ptr_null(source_of(gone[i]));
    char *there = source_of(
        CHANGE("listings", "UPDATE", "{\"old\":{\"status\":\"draft\"},\"new\":{\"status\":\"active\"}}"));
    ck_assert_str_eq(there, "{\"status\":\"active\"}");
    free(there);
    there = source_of(CHANGE("profiles", "INSERT", "{\"name\":\"x\"}"));
    ck_assert_str_eq(there, "{\"name\":\"x\"}");
    free(there);
}
END_TEST

START_TEST(what_is_no_change_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"table_name\":",
        CHANGE("users", "INSERT", "{}"),
        CHANGE("listings", "TRUNCATE", "{}"),
        CHANGE("listings", "UPDATE", "{\"old\":{}}"),
        CHANGE("listings", "INSERT", "[]"),
        "{\"table_name\":\"listings\",\"operation\":\"INSERT\",\"record_id\":\"\",\"version\":7,\"change_"
        "data\":{}}",
        "{\"table_name\":\"listings\",\"operation\":\"INSERT\",\"record_id\":\"a\",\"version\":0,\"change_"
        "data\":{}}",
        "{\"table_name\":\"listings\",\"operation\":\"INSERT\",\"record_id\":\"a\",\"version\":\"7\","
        "\"change_data\":{}}",
    };
    struct change change;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(read_text(bad[i], &change) == -1, "taken: %s", bad[i]);
}
END_TEST

START_TEST(changes_of_one_record_fold_into_the_newest)
{
    static char listings[] = "listings", profiles[] = "profiles", a[] = "a", b[] = "b";
    const struct change all[] = {
        {listings, a, 3, NULL}, {listings, b, 1, NULL}, {listings, a, 9, NULL},
        {profiles, a, 2, NULL}, {listings, a, 5, NULL},
    };
    const struct change *list[5];
    size_t newest[5], expected[] = {2, 1, 2, 3, 2};
    for (size_t i = 0; i < 5; i++)
        list[i] = &all[i];
    change_fold(list, 5, newest);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(newest[i], expected[i]);
}
END_TEST

static char record_index[] = "listings", first[] = "a", second[] = "q\"\n", document[] = "{\"x\":1}";
static const struct change put = {record_index, first, 5, document}, gone = {record_index, second, 6, NULL};

START_TEST(a_request_has_a_line_for_each_action_and_document)
{
    const struct item items[] = {{.change = &put}, {.change = &gone}};
    char *body = request_body(items, 2);
    ck_assert_str_eq(
        body,
        "{\"index\":{\"_index\":\"listings\",\"_id\":\"a\",\"version\":5,\"version_type\":\"external\"}}\n"
        "{\"x\":1}\n"
        "{\"delete\":{\"_index\":\"listings\",\"_id\":\"q\\\"\\n\",\"version\":6,"
        "\"version_type\":\"external\"}}\n");
    free(body);
}
END_TEST

START_TEST(an_answer_is_taken_apart_by_items)
{
    struct item items[] = {{.change = &put}, {.change = &gone}};
    const char *answer =
        "{\"took\":1,\"errors\":true,\"items\":[{\"index\":{\"_id\":\"a\",\"status\":400,"
        "\"error\":{\"type\":\"t\",\"reason\":\"r\"}}},{\"delete\":{\"_id\":\"q\\\"\\n\",\"status\":404}}]}";
    ck_assert_int_eq(request_verdicts(items, 2, answer, strlen(answer)), 0);
    ck_assert_int_eq(items[0].verdict, VERDICT_REJECTED);
    ck_assert_str_eq(items[0].why, "index: 400 t: r");
    ck_assert_int_eq(items[1].verdict, VERDICT_DONE);
}
END_TEST

START_TEST(an_answer_to_another_request_gives_no_verdict)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"items\":[]}",
        "{\"items\":[{\"index\":{\"_id\":\"b\",\"status\":200}}]}",
        "{\"items\":[{\"delete\":{\"_id\":\"a\",\"status\":200}}]}",
        "{\"items\":[{\"index\":{\"_id\":\"a\"}}]}",
        "{\"items\":[{\"index\":{\"_id\":\"a\",\"status\":200}},{\"index\":{\"_id\":\"a\",\"status\":200}}]}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct item items[] = {{.change = &put}};
        ck_assert_int_eq(request_verdicts(items, 1, bad[i], strlen(bad[i])), -1);
        ck_assert_int_eq(items[0].verdict, VERDICT_NONE);
    }
}
END_TEST

START_TEST(statuses_mean)
{
    static const struct {
        int is_delete, status;
        enum verdict verdict;
    } table[] = {
        {0, 200, VERDICT_DONE},  {0, 201, VERDICT_DONE},     {1, 200, VERDICT_DONE},
        {1, 404, VERDICT_DONE},  {0, 404, VERDICT_REJECTED}, {0, 409, VERDICT_OLDER},
        {1, 409, VERDICT_OLDER}, {0, 400, VERDICT_REJECTED}, {0, 413, VERDICT_REJECTED},
        {0, 429, VERDICT_LATER}, {0, 500, VERDICT_LATER},    {0, 503, VERDICT_LATER},
        {0, 0, VERDICT_LATER},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        ck_assert_int_eq(request_verdict(table[i].is_delete, table[i].status), table[i].verdict);
}
END_TEST

START_TEST(an_alert_rises_once_repeats_hourly_and_clears_once)
{
    struct alert alert = {0};
    int64_t at = 1000;
    ck_assert_int_eq(alert_step(&alert, 0, at), ALERT_NOTHING);
    ck_assert_int_eq(alert_step(&alert, 1, at), ALERT_RAISED);
    for (int i = 1; i < 240; i++) /* every 15 seconds for an hour */
        ck_assert_int_eq(alert_step(&alert, 1, at + i * 15000), ALERT_NOTHING);
    ck_assert_int_eq(alert_step(&alert, 1, at + 3600000), ALERT_REPEATED);
    ck_assert_int_eq(alert_step(&alert, 1, at + 3615000), ALERT_NOTHING);
    ck_assert_int_eq(alert_step(&alert, 0, at + 3630000), ALERT_CLEARED);
    ck_assert_int_eq(alert_step(&alert, 0, at + 3645000), ALERT_NOTHING);
    ck_assert_int_eq(alert_step(&alert, 1, at + 3660000), ALERT_RAISED);
}
END_TEST

START_TEST(more_than_ten_stuck_are_an_alert_and_the_others_always)
{
    static const int always[] = {JOBQ_FINDING_ERRORS, JOBQ_FINDING_PENDING, JOBQ_FINDING_SLOW,
                                 JOBQ_FINDING_NO_WORKER};
    struct jobq_finding finding = {.what = JOBQ_FINDING_STUCK, .value = 10};
    ck_assert(!alert_is_for(&finding));
    finding.value = 11;
    ck_assert(alert_is_for(&finding));
    for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
        ck_assert(alert_is_for(&(struct jobq_finding){.what = always[i]}));
    ck_assert(!alert_is_for(&(struct jobq_finding){.what = JOBQ_FINDING_PAUSED}));
    ck_assert_str_eq(alert_word(ALERT_RAISED), "raised");
    ck_assert_str_eq(alert_word(ALERT_CLEARED), "cleared");
}
END_TEST

static int done(struct jobq_ctx *ctx, void *user)
{
    (void)ctx, (void)user;
    return JOBQ_DONE;
}

static void enqueue(struct jobq *q)
{
    const struct jobq_spec spec = {.size = sizeof(spec), .queue = "q", .kind = "change"};

    ck_assert_int_eq(jobq_enqueue(q, &spec, NULL), JOBQ_OK);
}

static size_t count_of_alerts(struct watch *watch)
{
    watch_look(watch);
    json_t *alerts = watch_alerts(watch);
    size_t count = json_array_size(alerts);
    json_decref(alerts);
    return count;
}

START_TEST(nobody_answers_only_after_our_worker_has_begun)
{
    const char *const queues[] = {"q"};
    const struct jobq_worker_options options = {.size = sizeof(options), .queues = queues, .queue_count = 1};
    struct batch batch = {.reachable = 1};
    struct watch watch = {.batch = &batch, .queue = "q"};

    pthread_mutex_init(&batch.lock, NULL);
    pthread_mutex_init(&watch.lock, NULL);
    ck_assert_int_eq(jobq_open(&watch.q, jobq_memory(), "memory:", NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_create(&watch.w, watch.q, &options), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_handle(watch.w, "change", done, NULL), JOBQ_OK);
    enqueue(watch.q);
    ck_assert_uint_eq(count_of_alerts(&watch), 0);
    ck_assert_int_eq(jobq_worker_run_due(watch.w, NULL), JOBQ_OK); /* registers nobody */
    enqueue(watch.q);
    ck_assert_uint_eq(count_of_alerts(&watch), 1);
    jobq_worker_destroy(watch.w);
    jobq_close(watch.q);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search-sync");
    TCase *parts = tcase_create("parts");
    tcase_add_test(parts, only_active_listings_are_found);
    tcase_add_test(parts, what_is_no_change_is_refused);
    tcase_add_test(parts, changes_of_one_record_fold_into_the_newest);
    tcase_add_test(parts, a_request_has_a_line_for_each_action_and_document);
    tcase_add_test(parts, an_answer_is_taken_apart_by_items);
    tcase_add_test(parts, an_answer_to_another_request_gives_no_verdict);
    tcase_add_test(parts, statuses_mean);
    tcase_add_test(parts, an_alert_rises_once_repeats_hourly_and_clears_once);
    tcase_add_test(parts, more_than_ten_stuck_are_an_alert_and_the_others_always);
    tcase_add_test(parts, nobody_answers_only_after_our_worker_has_begun);
    suite_add_tcase(suite, parts);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
