/* SPDX-License-Identifier: MIT */
#include "result.h"

#include <string.h>

#include "parts.h"
#include "steps.h"
#include "text.h"

#define ERROR_MAX_BYTES 2048

/* The rows of a submission that are there, and what is made of them. */
struct view {
    struct jobq *q;
    struct live *live;
    const struct jobq_id *submission;
    const struct jobq_job *probe;   /* NULL: pruned, as completed probes are before their reports are made */
    const struct jobq_job *report;  /* NULL: none yet */
    json_t *report_payload;         /* NULL likewise */
    const struct jobq_job *fetch;   /* NULL: the video was not elsewhere, or the row is no longer kept */
    const struct jobq_job *telling; /* the job that posts, or else the one that will put it; NULL: neither */
};

/* ---- one part -------------------------------------------------------------------------------- */

static void show_progress(const struct view *view, const struct jobq_job *job, json_t *out)
{
    json_t *progress = job->state == JOBQ_RUNNING ? json_of_bytes(job->progress) : NULL;

    if (progress)
        json_object_update_missing(out, progress);
    else if (view->live && job->state == JOBQ_BLOCKED && job->reason == JOBQ_REASON_CALLBACK)
        live_show(view->live, &job->id, out);
    json_decref(progress);
}

static json_t *last_error(const struct jobq_job *job)
{
    const struct jobq_failure_entry *last;

    if (job->failures_log_count == 0)
        return json_null();
    last = &job->failures_log[job->failures_log_count - 1];
    return json_of_text(last->text.data, last->text.size, ERROR_MAX_BYTES);
}

/* It was not taken, and comes back when the service said. */
static int is_put_off(const struct jobq_job *job)
{
    return (job->state == JOBQ_SCHEDULED || job->state == JOBQ_READY) &&
           job->progress.size == strlen(PROGRESS_BUSY) &&
           memcmp(job->progress.data, PROGRESS_BUSY, job->progress.size) == 0;
}

static json_t *part_of_job(const struct view *view, const struct jobq_job *job)
{
    json_t *out =
        json_pack("{s:s, s:o, s:i, s:i}", "state", jobq_state_name(job->state), "id", json_of_id(&job->id),
                  "attempt", (int)job->attempt, "failures", (int)job->failures);

    if (!out)
        return NULL;
    if (job->state == JOBQ_BLOCKED && job->reason == JOBQ_REASON_CALLBACK)
        json_object_set_new(out, "state", json_string("at the service"));
    else if (job->state == JOBQ_BLOCKED)
        json_object_set_new(out, "state", json_string("waiting"));
    else if (is_put_off(job))
        json_object_set_new(out, "state", json_string("service busy"));
    if (job->state == JOBQ_RUNNING)
        json_object_set_new(out, "worker", json_of_text(job->worker, strlen(job->worker), 255));
    if (job->failures > 0)
        json_object_set_new(out, "last_error", last_error(job));
    if (job->started_at_ms > 0 && job->finished_at_ms > 0)
        json_object_set_new(out, "run_ms", json_integer(job->finished_at_ms - job->started_at_ms));
    show_progress(view, job, out);
    return out;
}

static json_t *part_without_job(const char *state)
{
    return json_pack("{s:s}", "state", state);
}

/* A step is found through the report, because a shared one is another submission's job. */
static int step_id(const struct view *view, const char *name, struct jobq_id *id)
{
    const char *text = text_member(json_object_get(view->report_payload, "steps"), name, NULL);

    return text && jobq_id_parse(text, id) == JOBQ_OK ? 0 : -1;
}

static int step_of(const struct view *view, const char *name, json_t **out)
{
    struct jobq_jobs *found = NULL;
    struct jobq_id id;
    int status;

    if (step_id(view, name, &id) != 0) {
        *out = part_without_job(view->report ? "removed" : "waiting");
        return JOBQ_OK;
    }
    status = jobq_get(view->q, &id, &found);
    if (status == JOBQ_NOT_FOUND)
        *out = part_without_job("removed");
    else if (status == JOBQ_OK)
        *out = part_of_job(view, &found->jobs[0]);
    jobq_jobs_free(found);
    return status == JOBQ_NOT_FOUND ? JOBQ_OK : status;
}

static int show_step(const struct view *view, const char *name, json_t *progress)
{
    json_t *step = NULL;
    int status = step_of(view, name, &step);

    if (step)
        json_object_set_new(progress, name, step);
    return status;
}

/* Those that the submission began with stand in its report; until there is one, those that are known here are
 * shown as to come. */
static int show_steps(const struct view *view, json_t *progress)
{
    const json_t *planned = json_object_get(view->report_payload, "steps");
    const char *name = NULL;
    int status = JOBQ_OK;

    if (!planned)
        for (int part = PART_FIRST_STEP; part < part_end && status == JOBQ_OK; part++)
            status = show_step(view, parts[part].name, progress);
    while (status == JOBQ_OK && (name = steps_next(planned, name)) != NULL)
        status = show_step(view, name, progress);
    return status;
}

static int show_parts(const struct view *view, json_t *progress)
{
    int status;

    if (view->fetch)
        json_object_set_new(progress, parts[PART_FETCH].name, part_of_job(view, view->fetch));
    json_object_set_new(progress, parts[PART_PROBE].name,
                        view->probe ? part_of_job(view, view->probe) : part_without_job("removed"));
    status = show_steps(view, progress);
    json_object_set_new(progress, parts[PART_REPORT].name,
                        view->report ? part_of_job(view, view->report) : part_without_job("waiting"));
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int is_ended(const struct jobq_job *job)
{
    return job->state == JOBQ_COMPLETED || job->state == JOBQ_DEAD || job->state == JOBQ_CANCELLED;
}

static void set_failed(json_t *out, const char *what, const struct jobq_job *job)
{
    json_t *error;

    if (job->state == JOBQ_CANCELLED)
        error = json_sprintf("%s: cancelled", what);
    else if (job->failures_log_count > 0) {
        json_t *text = last_error(job);
        error = json_sprintf("%s: %s", what, json_string_value(text));
        json_decref(text);
    } else
        error = json_sprintf("%s: %s", what, jobq_reason_name(job->reason));
    json_object_set_new(out, "status", json_string("failed"));
    json_object_set_new(out, "error", error);
}

static void judge(const struct view *view, json_t *out)
{
    json_t *result;

    if (view->probe && view->probe->state == JOBQ_DEAD && view->probe->reason == JOBQ_REASON_DEPENDENCY &&
        view->fetch) {
        set_failed(out, parts[PART_FETCH].name, view->fetch);
    } else if (view->probe && is_ended(view->probe) && view->probe->state != JOBQ_COMPLETED) {
        set_failed(out, parts[PART_PROBE].name, view->probe);
    } else if (view->report && view->report->state == JOBQ_COMPLETED) {
        result = json_of_bytes(view->report->result);
        json_object_set_new(out, "status", json_string(result ? "completed" : "failed"));
        if (result)
            json_object_set_new(out, "result", result);
        else
            json_object_set_new(out, "error", json_string("report: its result cannot be read"));
    } else if (view->report && is_ended(view->report)) {
        set_failed(out, parts[PART_REPORT].name, view->report);
    } else if (!view->report && view->probe && is_ended(view->probe)) {
        json_object_set_new(out, "status", json_string("failed"));
        json_object_set_new(out, "error", json_string("report: it is not in the store (any more)"));
    }
}

static json_t *callback_of_job(const struct jobq_job *job)
{
    char id[33];
    json_t *out;

    jobq_id_format(&job->id, id);
    out = json_pack("{s:s+, s:s, s:i}", "id", CALLBACK_ID_PREFIX, id, "state", jobq_state_name(job->state),
                    "failures", (int)job->failures);
    if (out && job->failures > 0)
        json_object_set_new(out, "last_error", last_error(job));
    if (out && job->state == JOBQ_COMPLETED)
        json_object_set_new(out, "delivered_at", json_of_instant(job->finished_at_ms));
    return out;
}

/* What becomes of telling the caller. Until there is a job that posts, the one that will put it waits. */
static void show_callback(const struct view *view, json_t *out)
{
    const struct jobq_job *job = view->telling;

    if (job)
        json_object_set_new(out, "callback",
                            strcmp(job->queue, parts[PART_WEBHOOK].queue) == 0 || job->state == JOBQ_DEAD
                                ? callback_of_job(job)
                                : json_pack("{s:s}", "state", "waiting"));
}

/* Which file it is about, and whether somebody is to be told, stands in both payloads. */
static void show_request(const struct view *view, json_t *out)
{
    json_t *payload = json_of_bytes(view->probe ? view->probe->payload : view->report->payload);
    json_t *video = json_object_get(payload, "video");
    const char *url = text_member(payload, "url", NULL);
    char fetched[FETCHED_NAME_BYTES];

    if (url) {
        fetched_name(view->submission, url, fetched);
        json_object_set_new(out, "video", json_string(fetched));
        json_object_set_new(out, "videoUrl", json_string(url));
    }

    if (video)
        json_object_set(out, "video", video);
    if (json_object_get(payload, "callbackUrl"))
        show_callback(view, out);
    json_decref(payload);
}

static int answer(const struct view *view, json_t **out)
{
    json_t *progress = json_object();
    int status = show_parts(view, progress);

    *out = json_pack("{s:o, s:s, s:o}", "jobId", json_of_id(view->submission), "status", "processing",
                     "progress", progress);
    if (!*out)
        return JOBQ_NOMEM;
    if (status == JOBQ_OK) {
        show_request(view, *out);
        judge(view, *out);
        return JOBQ_OK;
    }
    json_decref(*out);
    *out = NULL;
    return status;
}

/* NOT_FOUND is no error here: *out stays NULL. */
static int get_or_none(struct jobq *q, const struct jobq_id *id, struct jobq_jobs **out)
{
    int status = jobq_get(q, id, out);

    return status == JOBQ_NOT_FOUND ? JOBQ_OK : status;
}

static int is_visible(const struct jobq_job *job, int part, const char *tenant)
{
    return strcmp(job->queue, parts[part].queue) == 0 && (!*tenant || strcmp(job->group, tenant) == 0);
}

static int find_row(struct view *view, int part, const char *tenant, struct jobq_jobs **jobs,
                    const struct jobq_job **out)
{
    struct jobq_id id;
    int status;

    part_id(view->submission, part, &id);
    status = get_or_none(view->q, &id, jobs);
    if (status == JOBQ_OK && *jobs && is_visible(&(*jobs)->jobs[0], part, tenant))
        *out = &(*jobs)->jobs[0];
    return status;
}

/* The one that puts it may be removed between two looks, once the one that posts is there. */
static int find_telling(struct view *view, struct jobq_jobs **jobs)
{
    static const int order[] = {PART_WEBHOOK, PART_NOTIFY, PART_WEBHOOK};
    int status = JOBQ_OK;

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && status == JOBQ_OK && !*jobs; i++) {
        struct jobq_id id;
        part_id(view->submission, order[i], &id);
        status = get_or_none(view->q, &id, jobs);
    }
    if (*jobs)
        view->telling = &(*jobs)->jobs[0];
    return status;
}

static int is_elsewhere(const struct view *view)
{
    json_t *payload = json_of_bytes(view->probe ? view->probe->payload : view->report->payload);
    int is = json_object_get(payload, "url") != NULL;

    json_decref(payload);
    return is;
}

/* What is put or ends last is read first, so that nothing is shown without what went before it: the caller is
 * told when the report has ended, and the report is put in the exchange that completes the probe. */
int result_of(struct jobq *q, struct live *live, const struct jobq_id *submission, const char *tenant,
              json_t **out)
{
    struct view view = {.q = q, .live = live, .submission = submission};
    struct jobq_jobs *telling = NULL, *probe = NULL, *report = NULL, *fetch = NULL;
    int status;

    *out = NULL;
    if (!is_submission_id(submission))
        return JOBQ_NOT_FOUND;
    status = find_telling(&view, &telling);
    if (status == JOBQ_OK)
        status = find_row(&view, PART_PROBE, tenant, &probe, &view.probe);
    if (status == JOBQ_OK)
        status = find_row(&view, PART_REPORT, tenant, &report, &view.report);
    if (status == JOBQ_OK && !view.probe && !view.report)
        status = JOBQ_NOT_FOUND;
    if (status == JOBQ_OK && is_elsewhere(&view))
        status = find_row(&view, PART_FETCH, tenant, &fetch, &view.fetch);
    if (status == JOBQ_OK) {
        view.report_payload = view.report ? json_of_bytes(view.report->payload) : NULL;
        status = answer(&view, out);
    }
    json_decref(view.report_payload);
    jobq_jobs_free(fetch);
    jobq_jobs_free(report);
    jobq_jobs_free(probe);
    jobq_jobs_free(telling);
    return status;
}

int result_may_be_over(struct jobq *q, const struct jobq_id *submission, const char *tenant, int *over)
{
    static const int ends[] = {PART_REPORT, PART_PROBE};
    struct view view = {.q = q, .submission = submission};
    const struct jobq_job *job = NULL;
    int status = JOBQ_OK;

    *over = 0;
    if (!is_submission_id(submission))
        return JOBQ_NOT_FOUND;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]) && status == JOBQ_OK && !job; i++) {
        struct jobq_jobs *jobs = NULL;
        status = find_row(&view, ends[i], tenant, &jobs, &job);
        *over = job && is_ended(job);
        jobq_jobs_free(jobs);
    }
    return status == JOBQ_OK && !job ? JOBQ_NOT_FOUND : status;
}
