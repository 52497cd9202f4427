/* SPDX-License-Identifier: MIT */
/*
 * What a distribution ships can say nothing honest about emotion: its smile cascade fires on a man who is not
 * smiling, and nothing else in it speaks of expressions at all. So without a model the answer is "not
 * available". With one that the user brings, it is asked about the faces that are found, by vision.py in a
 * process of its own (OpenCV's dnn module has no C interface), and its answer is handed on as the model's.
 */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "step.h"

#define ANSWER_MAX_BYTES (1 << 20)

static const char python[] = "/usr/bin/python3"; /* the distribution's, which has the distribution's OpenCV */

static const char without_model[] =
    "no trained model of facial or vocal expression comes with the distribution, and what can be measured "
    "without one (faces, movement, loudness, pauses) says nothing reliable about emotion; "
    "jobq-video worker --emotion-model FILE brings one";

struct answer {
    struct step *step;
    char *text;
    size_t size;
};

static int on_output(void *arg, const char *bytes, size_t size)
{
    struct answer *answer = arg;
    char *more = answer->size + size <= ANSWER_MAX_BYTES ? realloc(answer->text, answer->size + size) : NULL;

    if (!more)
        return -1;
    memcpy(more + answer->size, bytes, size);
    answer->text = more;
    answer->size += size;
    return 0;
}

/* Whole lines in short pieces, and at most ten a second: a reader that is away loses them. */
static int on_progress(void *arg, const char *bytes, size_t size)
{
    const struct answer *answer = arg;

    if (answer->step->progress_fd >= 0)
        (void)!write(answer->step->progress_fd, bytes, size);
    return 0;
}

/* As installed, below our own folder; as built, beside it. */
static int find_vision(char out[PATH_MAX])
{
    static const char *const near[] = {"services/vision.py", "../services/vision.py"};
    char self[PATH_MAX - 64];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *folder;

    if (size <= 0)
        return -1;
    self[size] = '\0';
    folder = dirname(self);
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        snprintf(out, PATH_MAX, "%s/%s", folder, near[i]);
        if (access(out, R_OK) == 0)
            return 0;
    }
    return -1;
}

/* Whatever it said, it is this step's report only if it is one. */
static void take_answer(struct step *step, const struct answer *answer, const struct child_result *result)
{
    json_t *said = answer->text ? json_loadb(answer->text, answer->size, 0, NULL) : NULL;
    const char *name = json_string_value(json_object_get(said, "step"));

    if (result->end == CHILD_EXITED && name && strcmp(name, step_emotion.name) == 0 &&
        json_is_string(json_object_get(said, "status"))) {
        json_object_clear(step->report);
        json_object_update(step->report, said);
    } else {
        report_child_failed(step, "vision.py", result);
    }
    json_decref(said);
}

static void ask_model(struct step *step)
{
    char vision[PATH_MAX], parent[48];
    const char *const argv[] = {python,     vision,    "--once",    "emotion",
                                step->path, "--model", step->model, NULL};
    const char *const env[] = {parent, NULL};
    struct answer answer = {.step = step};
    struct child_spec spec = {
        .program = python,
        .argv = argv,
        .env = env,
        .time_limit_ms = step->time_limit_ms,
        .memory_limit_bytes = step->memory_limit_bytes,
        .on_output = on_output,
        .on_progress = on_progress,
        .arg = &answer,
    };
    struct child_result result;

    if (access(python, X_OK) != 0) {
        report_skipped(step, "python3", "/usr/bin/python3 is not installed");
        return;
    }
    if (find_vision(vision) != 0) {
        report_failed(step, "vision.py is neither below nor beside the folder of jobq-video-step");
        return;
    }
    snprintf(parent, sizeof(parent), "JOBQ_DIE_WITH=%ld", (long)getpid());
    (void)child_run(&spec, &result); /* a failed report is a status of 1, and a report all the same */
    take_answer(step, &answer, &result);
    free(answer.text);
}

static void run(struct step *step)
{
    if (access(step->path, R_OK) != 0)
        report_failed(step, "the file cannot be read");
    else if (!step->model)
        report_not_available(step, without_model);
    else if (access(step->model, R_OK) != 0)
        report_failed(step, "the model named by --model cannot be read");
    else
        ask_model(step);
}

const struct step_kind step_emotion = {.name = "emotion", .needs_media = 0, .run = run};
