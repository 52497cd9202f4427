/* SPDX-License-Identifier: MIT */
/* The pure parts of the orchestrator: ids, keys and payloads of a submission's jobs, names of files, token
 * files. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth.h"
#include "folder.h"
#include "gather.h"
#include "parts.h"
#include "plan.h"
#include "request.h"
#include "secret.h"
#include "steps.h"
#include "tap_main.h"
#include "text.h"

/* ---- ids ------------------------------------------------------------------------------------- */

START_TEST(test_ids_of_a_submission_differ_in_one_digit)
{
    struct jobq_id submission, id;
    char text[33], other[33];

    ck_assert_int_eq(jobq_id_new(&submission), JOBQ_OK);
    jobq_id_format(&submission, text);
    for (int part = 0; part < PART_KNOWN; part++) {
        part_id(&submission, part, &id);
        jobq_id_format(&id, other);
        ck_assert_int_eq(other[12], "78f0129abcde"[part]);
        other[12] = text[12];
        ck_assert_str_eq(other, text);
        ck_assert_int_eq(is_submission_id(&id), part == PART_PROBE);
    }
}
END_TEST

START_TEST(test_parts_are_found_by_name_and_queue)
{
    for (int part = 0; part < PART_KNOWN; part++) {
        ck_assert_int_eq(part_by_name(parts[part].name), part);
        ck_assert_int_eq(part_by_queue(parts[part].queue), part);
        ck_assert_int_gt(parts[part].timeout_ms, 0);
        ck_assert(parts[part].threads > 0 || part == PART_FETCH);
        ck_assert(parts[part].runs != RUNS_SERVICE || parts[part].deadline_ms > 0);
    }
    ck_assert_int_eq(part_by_name("nose"), -1);
    ck_assert_int_eq(part_by_queue("face"), -1);
}
END_TEST

/* ---- added steps ----------------------------------------------------------------------------- */

static void add_steps(const char *const *names, size_t count)
{
    char why[STEP_WHY_BYTES] = "";

    part_end = PART_KNOWN;
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(steps_add(names[i], why) == 0, "%s: %s", names[i], why);
}

/* Two that were configured in another order name the same jobs. */
START_TEST(test_ids_of_added_steps_are_those_of_their_names)
{
    static const char *const one[] = {"blink", "pose"}, *const other[] = {"pose", "gaze", "blink"};
    struct jobq_id submission, first[2], again, id;
    char text[33];

    ck_assert_int_eq(jobq_id_new(&submission), JOBQ_OK);
    add_steps(one, 2);
    for (int i = 0; i < 2; i++)
        part_id(&submission, PART_KNOWN + i, &first[i]);
    add_steps(other, 3);
    for (int i = 0; i < 2; i++) {
        part_id(&submission, part_by_name(one[i]), &again);
        ck_assert_mem_eq(&again, &first[i], sizeof(again));
        jobq_id_format(&again, text);
        ck_assert_int_eq(text[12], '3');
        ck_assert(!is_submission_id(&again));
        ck_assert_mem_eq(again.bytes, submission.bytes, 6);
        ck_assert_int_eq(again.bytes[8] & 0xc0, 0x80);
        ck_assert_mem_eq(again.bytes + 14, submission.bytes + 14, 2); /* by which pulse.c finds them */
    }
    for (int part = 0; part < part_end; part++)
        for (int before = 0; before < part; before++) {
            part_id(&submission, part, &id);
            part_id(&submission, before, &again);
            ck_assert_mem_ne(&id, &again, sizeof(id));
        }
    part_end = PART_KNOWN;
}
END_TEST

START_TEST(test_steps_of_an_object_in_order)
{
    static const char *const added[] = {"blink"}, *const want[] = {"speech", "face", "blink", "gaze", "pose"};
    json_t *object = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "blink", 1, "gaze", 1, "face", 1,
                               "probe", 1, "pose", 1, "report", 1, "speech", 1);
    const char *name = NULL;

    add_steps(added, 1);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        name = steps_next(object, name);
        ck_assert_ptr_nonnull(name);
        ck_assert_str_eq(name, want[i]);
    }
    ck_assert_ptr_null(steps_next(object, name));
    ck_assert_ptr_null(steps_next(NULL, NULL));
    json_decref(object);
    object = json_pack("{s:i}", "report", 1);
    ck_assert_ptr_null(steps_next(object, NULL));
    json_decref(object);
    part_end = PART_KNOWN;
}
END_TEST

/* ---- the plan -------------------------------------------------------------------------------- */

static const char digest[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

struct planned {
    struct jobq_job probe;
    json_t *request;
    struct plan_file file;
    struct plan plan;
};

static void plan_begin(struct planned *planned, const char *request, const char *group)
{
    const struct plan_policy policy = {.max_attempts = 5, .backoff_ms = 70};

    *planned = (struct planned){.probe = {.group = group, .trace = "", .priority = -3}};
    ck_assert_int_eq(jobq_id_parse("0192f3a4b5c67abc8def0123456789ab", &planned->probe.id), JOBQ_OK);
    planned->request = json_loads(request, 0, NULL);
    planned->file = (struct plan_file){.video = "a.mp4", .size_bytes = 3, .modified_ns = 1234567890123456789};
    memcpy(planned->file.sha256, digest, sizeof(digest));
    ck_assert_int_eq(plan_init(&planned->plan, &planned->probe, planned->request, &planned->file, &policy),
                     0);
}

static void plan_end(struct planned *planned)
{
    plan_finish(&planned->plan);
    json_decref(planned->request);
}

static void expect_bytes(struct jobq_bytes bytes, const char *text)
{
    ck_assert_uint_eq(bytes.size, strlen(text));
    ck_assert_mem_eq(bytes.data, text, bytes.size);
}

START_TEST(test_a_step)
{
    struct planned planned;
    struct jobq_spec spec;

    plan_begin(&planned, "{\"video\":\"a.mp4\",\"metadata\":{\"candidate\":\"x/y\"}}", "tenant");
    ck_assert_int_eq(plan_step(&planned.plan, PART_SPEECH, 0, &spec), 0);
    ck_assert_str_eq(spec.queue, "video.speech");
    ck_assert_str_eq(spec.group, "tenant");
    ck_assert_int_eq(spec.priority, -3);
    ck_assert_int_eq(spec.max_attempts, 5);
    ck_assert_int_eq(spec.backoff->base_ms, 70);
    ck_assert_int_eq(spec.key_hold, JOBQ_HOLD_LIVE);
    ck_assert_int_eq(spec.key_scope, JOBQ_SCOPE_GROUP);
    expect_bytes(spec.key, "speech/1/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/"
                           "0192f3a4b5c67abc8def0123456789ab/x/y");
    expect_bytes(spec.payload,
                 "{\"modified_ns\":1234567890123456789,\"sha256\":"
                 "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"size_bytes\":3,"
                 "\"step\":\"speech\",\"submission\":\"0192f3a4b5c67abc8def0123456789ab\",\"version\":1,"
                 "\"video\":\"a.mp4\"}");
    plan_end(&planned);
}
END_TEST

START_TEST(test_a_shared_step_is_keyed_by_bytes_and_candidate)
{
    struct planned planned;
    struct jobq_spec spec;

    plan_begin(&planned, "{\"video\":\"a.mp4\",\"metadata\":{\"share\":true}}", "");
    ck_assert_int_eq(planned.plan.share, 1);
    ck_assert_int_eq(plan_step(&planned.plan, PART_FACE, 1, &spec), 0);
    ck_assert_ptr_null(spec.group);
    ck_assert_int_eq(spec.key_hold, JOBQ_HOLD_WINDOW);
    ck_assert_int_eq(spec.key_window_ms, SHARE_WINDOW_MS);
    expect_bytes(spec.key, "face/1/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/shared/");
    plan_end(&planned);
}
END_TEST

START_TEST(test_emotion_is_keyed_by_its_model_too)
{
    struct planned planned;
    struct jobq_spec spec;
    json_t *payload;

    plan_begin(&planned, "{\"video\":\"a.mp4\"}", "");
    planned.plan.model = "feed";
    ck_assert_int_eq(plan_step(&planned.plan, PART_EMOTION, 1, &spec), 0);
    expect_bytes(spec.key,
                 "emotion/1+feed/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/shared/");
    payload = json_of_bytes(spec.payload);
    ck_assert_str_eq(text_member(payload, "model", ""), "feed");
    json_decref(payload);
    ck_assert_int_eq(plan_step(&planned.plan, PART_SPEECH, 1, &spec), 0);
    payload = json_of_bytes(spec.payload);
    ck_assert_ptr_null(json_object_get(payload, "model"));
    json_decref(payload);
    plan_end(&planned);
}
END_TEST

/* A dead step must not keep the report from being made, and what is done already is not waited for. */
START_TEST(test_the_report_waits_for_what_is_not_done)
{
    struct planned planned;
    struct jobq_spec spec;
    struct jobq_id other;
    json_t *done = json_pack("{s:s}", "status", "ok"), *payload;

    plan_begin(&planned, "{\"video\":\"a.mp4\"}", "");
    ck_assert_int_eq(jobq_id_new(&other), JOBQ_OK);
    plan_use_job(&planned.plan, PART_SPEECH, &other);
    ck_assert_int_eq(plan_use_result(&planned.plan, PART_QUALITY, &other, done), 0);
    ck_assert_int_eq(plan_report(&planned.plan, done, &spec), 0);
    ck_assert_uint_eq(spec.parent_count, (PART_KNOWN - PART_FIRST_STEP) - 1);
    for (size_t i = 0; i < spec.parent_count; i++)
        ck_assert_int_eq(spec.parents[i].rule, JOBQ_PARENT_IGNORE);
    ck_assert_mem_eq(&spec.parents[1].id, &other, sizeof(other)); /* sound, speech, face ... */
    payload = json_of_bytes(spec.payload);
    ck_assert_uint_eq(json_object_size(json_object_get(payload, "steps")), (PART_KNOWN - PART_FIRST_STEP));
    ck_assert_uint_eq(json_object_size(json_object_get(payload, "results")), 1);
    ck_assert_str_eq(text_member(payload, "submission", ""), "0192f3a4b5c67abc8def0123456789ab");
    json_decref(payload);
    json_decref(done);
    plan_end(&planned);
}
END_TEST

/* ---- submissions that come together ------------------------------------------------------------ */

/* One client that sends one after the other is alone however fast it is; two within 5 ms are not. */
START_TEST(test_who_comes_alone)
{
    const char one = 0, other = 0;
    const struct gather_before never = {.from = NULL}, before = {&one, 1000000}, several = {NULL, 1000000};

    ck_assert(gather_is_alone(&never, &one, 1000000));
    ck_assert(gather_is_alone(&before, &one, 1000001));
    ck_assert(!gather_is_alone(&before, &other, 1000001));
    ck_assert(!gather_is_alone(&before, &other, 1005000));
    ck_assert(gather_is_alone(&before, &other, 1005001));
    ck_assert(!gather_is_alone(&several, &one, 1005000));
    ck_assert(gather_is_alone(&several, &one, 1005001));
}
END_TEST

/* ---- names of files -------------------------------------------------------------------------- */

static const struct {
    const char *given, *relative; /* NULL: refused */
} names[] = {
    {"a.mp4", "a.mp4"},
    {"/media/a.mp4", "a.mp4"},
    {"x//y/./a.mp4", "x/y/a.mp4"},
    {"./a.mp4", "a.mp4"},
    {"...", "..."},
    {"a..b", "a..b"},
    {"/media//a.mp4", "a.mp4"},
    {"", NULL},
    {"/", NULL},
    {".", NULL},
    {"..", NULL},
    {"../a", NULL},
    {"a/..", NULL},
    {"a/../b", NULL},
    {"/media", NULL},
    {"/media/", NULL},
    {"/media/..", NULL},
    {"/mediax/a", NULL},
    {"/etc/passwd", NULL},
    {"a/", NULL},
    {"//media/a", NULL},
};

START_TEST(test_names)
{
    const struct folder folder = {.fd = -1, .path = "/media"};
    char out[FOLDER_NAME_MAX_BYTES + 1];
    const char *given = names[_i].given;
    const char *problem = folder_relative(&folder, given, strlen(given), out);

    if (names[_i].relative) {
        ck_assert_msg(!problem, "%s: %s", given, problem);
        ck_assert_str_eq(out, names[_i].relative);
    } else {
        ck_assert_msg(problem != NULL, "%s was taken as %s", given, out);
    }
}
END_TEST

START_TEST(test_names_with_nul_and_too_long)
{
    const struct folder folder = {.fd = -1, .path = "/media"};
    char out[FOLDER_NAME_MAX_BYTES + 1], name[FOLDER_NAME_MAX_BYTES + 2];

    ck_assert_ptr_nonnull(folder_relative(&folder, "a\0b", 3, out));
    memset(name, 'x', sizeof(name));
    for (size_t i = 200; i < sizeof(name); i += 200)
        name[i] = '/';
    name[FOLDER_NAME_MAX_BYTES] = '\0';
    ck_assert_ptr_null(folder_relative(&folder, name, FOLDER_NAME_MAX_BYTES, out));
    name[FOLDER_NAME_MAX_BYTES] = 'x';
    ck_assert_ptr_nonnull(folder_relative(&folder, name, FOLDER_NAME_MAX_BYTES + 1, out));
}
END_TEST

/* What was looked at is what is opened, and nothing is left open. */
START_TEST(test_files)
{
    char path[] = "/tmp/jobq-folder-XXXXXX", command[128];
    struct folder folder;
    struct stat facts;
    int fd = -1;

    ck_assert_ptr_nonnull(mkdtemp(path));
    snprintf(command, sizeof(command),
             "cd %s && mkdir d && printf abc >d/a && ln -s d l && ln -s d/a f && mkfifo p", path);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(folder_open(&folder, path), 0);
    ck_assert_ptr_null(folder_look(&folder, "d/a", &facts));
    ck_assert_int_eq(facts.st_size, 3);
    ck_assert_ptr_null(folder_open_file(&folder, "d/a", &facts, &fd));
    ck_assert_int_ge(fd, 0);
    close(fd);
    for (size_t i = 0; i < 6; i++) {
        static const char *const bad[] = {"l/a", "f", "p", "d", "d/a/x", "none"};
        ck_assert_ptr_nonnull(folder_look(&folder, bad[i], &facts));
        ck_assert_ptr_nonnull(folder_open_file(&folder, bad[i], &facts, &fd));
        ck_assert_int_eq(fd, -1);
    }
    folder_close(&folder);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_lt(fd, 10);
    close(fd);
    snprintf(command, sizeof(command), "rm -r %s", path);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("plan");
    TCase *tc = tcase_create("plan");

    tcase_add_test(tc, test_ids_of_a_submission_differ_in_one_digit);
    tcase_add_test(tc, test_parts_are_found_by_name_and_queue);
    tcase_add_test(tc, test_ids_of_added_steps_are_those_of_their_names);
    tcase_add_test(tc, test_steps_of_an_object_in_order);
    tcase_add_test(tc, test_a_step);
    tcase_add_test(tc, test_a_shared_step_is_keyed_by_bytes_and_candidate);
    tcase_add_test(tc, test_emotion_is_keyed_by_its_model_too);
    tcase_add_test(tc, test_the_report_waits_for_what_is_not_done);
    tcase_add_test(tc, test_who_comes_alone);
    tcase_add_loop_test(tc, test_names, 0, (int)(sizeof(names) / sizeof(names[0])));
    tcase_add_test(tc, test_names_with_nul_and_too_long);
    tcase_add_test(tc, test_files);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return tap_main(suite());
}
