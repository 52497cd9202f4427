/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "store.h"
#include "text.h"
#include "work.h"

#define LINE_BYTES       128
#define NICE             10
#define ARGUMENTS_MOST   10
#define MEMORY_LIMIT_MIB 2048
#define MARGIN_MS                                                                                            \
    5000 /* the program ends before the job's own time limit, so that its error is the one kept */

struct talk {
    struct jobq_ctx *ctx;
    char *output;
    size_t output_size, output_room;
    int too_large;
    char line[LINE_BYTES];
    size_t line_size;
};

/* ---- what the program says ------------------------------------------------------------------- */

static int take_output(void *user, const char *bytes, size_t size)
{
    struct talk *talk = user;

    if (talk->output_size + size > STEP_RESULT_MAX_BYTES) {
        talk->too_large = 1;
        return -1;
    }
    if (talk->output_size + size > talk->output_room) {
        size_t room = 2 * (talk->output_size + size);
        char *more = realloc(talk->output, room);
        if (!more)
            return -1;
        talk->output = more;
        talk->output_room = room;
    }
    memcpy(talk->output + talk->output_size, bytes, size);
    talk->output_size += size;
    return 0;
}

/* "DONE TOTAL UNIT" */
static void take_line(struct talk *talk)
{
    double done = 0, total = 0;
    char unit[17];

    talk->line[talk->line_size] = '\0';
    if (sscanf(talk->line, "%lf %lf %16[a-z]", &done, &total, unit) == 3)
        say_progress(talk->ctx, done, total, unit);
    talk->line_size = 0;
}

static int take_progress(void *user, const char *bytes, size_t size)
{
    struct talk *talk = user;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            take_line(talk);
        else if (talk->line_size < sizeof(talk->line) - 1)
            talk->line[talk->line_size++] = bytes[i];
    }
    return 0;
}

/* ---- how it ended ---------------------------------------------------------------------------- */

static const char *last_line(char *text)
{
    size_t size = strlen(text);
    const char *line;

    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = '\0';
    line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

/* Without an answer of its own. Another attempt may find more memory, time or a repaired installation. */
static int say_end(struct talk *talk, struct child_result *result)
{
    switch (result->end) {
    case CHILD_NOT_STARTED:
        return say_error(talk->ctx, JOBQ_RETRY, "the step's program could not be started: %s",
                         strerror(result->code));
    case CHILD_SIGNALLED:
        return say_error(talk->ctx, JOBQ_RETRY, "the step's program was ended by signal %d", result->code);
    case CHILD_TIMED_OUT:
        return say_error(talk->ctx, JOBQ_RETRY, "the step's program passed its time limit");
    case CHILD_STOPPED:
        if (talk->too_large)
            return say_error(talk->ctx, JOBQ_GIVE_UP, "the step's answer is larger than %zu bytes",
                             STEP_RESULT_MAX_BYTES);
        return say_error(talk->ctx, JOBQ_RETRY, "out of memory for the step's answer");
    default:
        return say_error(talk->ctx, JOBQ_RETRY, "the step's program ended with status %d and no answer: %s",
                         result->code, last_line(result->error_text));
    }
}

/* ---- running it ------------------------------------------------------------------------------ */

/* What is run over what, of the steps that jobq-video-step knows; argv is NULL behind what it has. */
static void add_arguments(const char **argv, const char *model, int part, const char *path)
{
    while (*argv)
        argv++;
    if (model) {
        *argv++ = "--model";
        *argv++ = model;
    }
    *argv++ = parts[part].name;
    *argv = path;
}

/* An added step's: all that is to be known stands in the payload and in the environment. */
static void be_added(struct child_spec *spec, int part, const struct jobq_job *job,
                     const char *argv[ARGUMENTS_MOST])
{
    spec->program = argv[0] = parts[part].program;
    argv[1] = NULL;
    spec->input = job->payload.data;
    spec->input_size = job->payload.size;
}

static int run_child(struct talk *talk, const struct work *work, int part, const char *model,
                     const char *path, struct child_result *result, uint32_t *given_up)
{
    const struct jobq_job *job = jobq_ctx_job(talk->ctx);
    int64_t limit_ms = parts[part].timeout_ms - MARGIN_MS;
    char seconds[24], memory[24], id[48], attempt[32], media[PATH_MAX + 8];
    const char *argv[ARGUMENTS_MOST] = {"jobq-video-step", "--time-limit", seconds, "--memory-limit", memory};
    const char *const env[] = {id, attempt, media, NULL};
    struct watched watched;
    struct child_spec spec = {
        .program = work->step_program,
        .argv = argv,
        .env = env,
        .time_limit_ms = limit_ms,
        .memory_limit_bytes = (size_t)MEMORY_LIMIT_MIB << 20,
        .nice = NICE,
        .on_output = take_output,
        .on_progress = take_progress,
        .arg = talk,
    };

    add_arguments(argv, model, part, path);
    snprintf(seconds, sizeof(seconds), "%lld", (long long)(limit_ms - MARGIN_MS) / 1000);
    snprintf(memory, sizeof(memory), "%d", MEMORY_LIMIT_MIB);
    memcpy(id, "JOBQ_ID=", 8);
    jobq_id_format(&job->id, id + 8);
    snprintf(attempt, sizeof(attempt), "JOBQ_ATTEMPT=%d", job->attempt);
    snprintf(media, sizeof(media), "MEDIA=%s", work->folder.path);
    if (parts[part].program)
        be_added(&spec, part, job, argv);
    if (watch_begin(work->watch, &watched, talk->ctx) != 0)
        return -1;
    spec.cancel_fd = watched.fd;
    child_run(&spec, result);
    *given_up = watch_end(work->watch, &watched);
    return 0;
}

static int judge(struct talk *talk, struct child_result *result, json_t **out)
{
    json_t *answer = NULL;

    if (result->end == CHILD_EXITED)
        answer = json_of_bytes((struct jobq_bytes){talk->output, talk->output_size});
    return answer ? say_answer(talk->ctx, answer, out) : say_end(talk, result);
}

int run_step_program(struct jobq_ctx *ctx, const struct work *work, int part, const char *model,
                     const char *video, json_t **out)
{
    struct talk talk = {.ctx = ctx};
    struct child_result result;
    uint32_t given_up = 0;
    char path[PATH_MAX];
    int outcome;

    *out = NULL;
    if (folder_absolute(&work->folder, video, path) != 0)
        return say_error(ctx, JOBQ_GIVE_UP, "the file's name is too long");
    if (run_child(&talk, work, part, model, path, &result, &given_up) != 0)
        outcome = say_error(ctx, JOBQ_RETRY, "no descriptor left to watch the step with");
    else if (result.end == CHILD_CANCELLED)
        outcome = say_given_up(ctx, given_up);
    else
        outcome = judge(&talk, &result, out);
    free(talk.output);
    return outcome;
}

/* ---- the steps that run in a program --------------------------------------------------------- */

static int same_file(const struct work *work, const json_t *payload, const char **problem)
{
    struct stat facts;
    json_int_t modified_ns;

    *problem = folder_look(&work->folder, text_member(payload, "video", ""), &facts);
    if (*problem)
        return 0;
    modified_ns = (json_int_t)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec;
    if (facts.st_size == json_integer_value(json_object_get(payload, "size_bytes")) &&
        modified_ns == json_integer_value(json_object_get(payload, "modified_ns")))
        return 1;
    *problem = "the file has changed since it was hashed";
    return 0;
}

int read_step(struct jobq_ctx *ctx, const struct work *work, json_t **payload)
{
    const char *problem;

    *payload = json_of_bytes(jobq_ctx_job(ctx)->payload);
    if (!*payload || !*text_member(*payload, "video", ""))
        return say_error(ctx, JOBQ_GIVE_UP, "the payload is not one of a step");
    if (!same_file(work, *payload, &problem))
        return say_error(ctx, JOBQ_GIVE_UP, "%s: %s", text_member(*payload, "video", ""), problem);
    return JOBQ_DONE;
}

/* The model that the step was planned with and is named after: that one or none, so that equal keys are equal
 * work. */
static int choose_model(struct jobq_ctx *ctx, const struct work *work, const json_t *payload,
                        const char **model)
{
    const char *planned = text_member(payload, "model", "");

    *model = NULL;
    if (!*planned)
        return JOBQ_DONE;
    if (!work->model || strcmp(planned, work->model->sha256) != 0)
        return say_error(ctx, JOBQ_RETRY,
                         "planned with a model (SHA-256 %.16s...) that this worker was not given", planned);
    *model = work->model->path;
    return JOBQ_DONE;
}

int handle_child(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    json_t *payload = NULL, *answer = NULL;
    const char *problem, *model = NULL;
    int outcome = read_step(ctx, station->work, &payload);

    if (outcome == JOBQ_DONE)
        outcome = choose_model(ctx, station->work, payload, &model);
    if (outcome == JOBQ_DONE)
        outcome = run_step_program(ctx, station->work, station->part, model,
                                   text_member(payload, "video", ""), &answer);
    if (outcome == JOBQ_DONE && !same_file(station->work, payload, &problem)) {
        json_decref(answer);
        outcome = say_error(ctx, JOBQ_GIVE_UP, "%s: %s", text_member(payload, "video", ""), problem);
    } else if (outcome == JOBQ_DONE) {
        outcome = say_result(ctx, answer);
    }
    json_decref(payload);
    return outcome;
}
