/* SPDX-License-Identifier: MIT */
/* The report: what all steps found, and by name what came of those that found nothing. */
#include <string.h>

#include "steps.h"
#include "text.h"
#include "work.h"

#define REASON_MAX_BYTES 1024

/* A job at a service is started once to hand the step over and once to take the answer, and again when the
 * service was busy: `starts`. What people call attempts is one more than failed. */
static void set_times(json_t *step, const struct jobq_job *job)
{
    int done = job->state == JOBQ_COMPLETED;

    json_object_set_new(step, "jobId", json_of_id(&job->id));
    json_object_set_new(step, "attempts", json_integer(job->failures + done));
    json_object_set_new(step, "starts", json_integer(job->attempt));
    if (job->started_at_ms > 0 && job->finished_at_ms >= job->started_at_ms)
        json_object_set_new(step, "run_ms", json_integer(job->finished_at_ms - job->started_at_ms));
}

static json_t *last_reason(const struct jobq_job *job)
{
    const struct jobq_failure_entry *last;

    if (job->failures_log_count == 0)
        return json_string("it left no reason");
    last = &job->failures_log[job->failures_log_count - 1];
    return json_of_text(last->text.data, last->text.size, REASON_MAX_BYTES);
}

/* A job that has ended; the caller owns the answer. */
static json_t *step_of_job(const struct jobq_job *job)
{
    json_t *step = job->state == JOBQ_COMPLETED ? json_of_bytes(job->result) : NULL;

    if (!step && job->state == JOBQ_COMPLETED)
        step = json_pack("{s:s, s:s}", "status", "failed", "reason", "its result cannot be read");
    else if (!step && job->state == JOBQ_DEAD)
        step = json_pack("{s:s, s:s, s:o}", "status", "failed", "why", jobq_reason_name(job->reason),
                         "reason", last_reason(job));
    else if (!step)
        step = json_pack("{s:s, s:s}", "status", jobq_state_name(job->state), "reason", "it was not done");
    if (step)
        set_times(step, job);
    return step;
}

static json_t *step_gone(void)
{
    return json_pack("{s:s, s:s}", "status", "failed", "reason",
                     "its job was removed from the store before the report was made");
}

/* NULL when the store cannot say now. */
static json_t *find_step(const struct work *work, const json_t *payload, const char *name)
{
    json_t *ready = json_object_get(json_object_get(payload, "results"), name);
    const char *text = text_member(json_object_get(payload, "steps"), name, "");
    struct jobq_jobs *found = NULL;
    struct jobq_id id;
    json_t *step;
    int status;

    if (ready) {
        step = json_copy(ready);
        json_object_set_new(step, "shared", json_true());
        json_object_set_new(step, "jobId", json_string(text));
        return step;
    }
    if (jobq_id_parse(text, &id) != JOBQ_OK)
        return step_gone();
    status = jobq_get(work->q, &id, &found);
    if (status == JOBQ_NOT_FOUND)
        return step_gone();
    step = status == JOBQ_OK ? step_of_job(&found->jobs[0]) : NULL;
    jobq_jobs_free(found);
    return step;
}

static int is_lacking(const json_t *step)
{
    const char *status = text_member(step, "status", "failed");

    return strcmp(status, "ok") != 0 && strcmp(status, "skipped") != 0 &&
           strcmp(status, "not_available") != 0;
}

/* The steps that the probe planned, whatever steps this worker was configured with. */
static int gather(struct jobq_ctx *ctx, const struct work *work, const json_t *payload, json_t *steps,
                  json_t *lacking)
{
    const json_t *planned = json_object_get(payload, "steps");
    const char *name = NULL;

    while ((name = steps_next(planned, name)) != NULL) {
        json_t *step = find_step(work, payload, name);
        if (!step)
            return say_error(ctx, JOBQ_RETRY, "the result of %s cannot be read: %s", name,
                             jobq_last_error()->text);
        if (is_lacking(step))
            json_array_append_new(lacking, json_string(name));
        json_object_set_new(steps, name, step);
    }
    return JOBQ_DONE;
}

static void copy_member(json_t *report, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);

    if (value)
        json_object_set(report, name, value);
}

/* Every array and object is made even when memory is short: then the packing fails and the job is tried
 * again. */
static int report(struct jobq_ctx *ctx, const struct work *work, const json_t *payload)
{
    json_t *steps = json_object(), *lacking = json_array(), *out;
    int outcome = gather(ctx, work, payload, steps, lacking);

    if (outcome != JOBQ_DONE) {
        json_decref(steps);
        json_decref(lacking);
        return outcome;
    }
    out = json_pack("{s:b, s:o, s:o}", "complete", json_array_size(lacking) == 0, "failed_steps", lacking,
                    "steps", steps);
    if (!out)
        return say_error(ctx, JOBQ_RETRY, "out of memory");
    copy_member(out, payload, "video");
    copy_member(out, payload, "metadata");
    copy_member(out, json_object_get(payload, "probe"), "sha256");
    copy_member(out, json_object_get(payload, "probe"), "size_bytes");
    copy_member(out, json_object_get(payload, "probe"), "media");
    return say_result(ctx, out);
}

int handle_report(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    json_t *payload = json_of_bytes(jobq_ctx_job(ctx)->payload);
    int is_one = json_object_size(json_object_get(payload, "steps")) > 0;
    int outcome = is_one ? report(ctx, station->work, payload)
                         : say_error(ctx, JOBQ_GIVE_UP, "the payload is not one of a report");

    json_decref(payload);
    return outcome;
}
