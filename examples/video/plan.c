/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define KEY_MAX_BYTES 1024

int plan_init(struct plan *plan, const struct jobq_job *probe, const json_t *request,
              const struct plan_file *file, const struct plan_policy *policy)
{
    *plan = (struct plan){
        .probe = probe,
        .request = request,
        .file = file,
        .backoff = {.size = sizeof(struct jobq_backoff), .base_ms = policy->backoff_ms, .jitter_percent = 10},
        .max_attempts = policy->max_attempts,
        .model = policy->model,
        .share = json_is_true(json_object_get(json_object_get(request, "metadata"), "share")),
        .results = json_object(),
    };
    for (int part = 0; part < part_end; part++)
        part_id(&probe->id, part, &plan->ids[part]);
    return plan->results ? 0 : -1;
}

void plan_finish(struct plan *plan)
{
    for (int part = 0; part < part_end; part++) {
        free(plan->payloads[part]);
        free(plan->keys[part]);
    }
    json_decref(plan->results);
}

/* What all parts have in common. */
static void begin_spec(const struct plan *plan, int part, struct jobq_spec *spec)
{
    *spec = (struct jobq_spec){
        .size = sizeof(*spec),
        .queue = parts[part].queue,
        .group = plan->probe->group[0] ? plan->probe->group : NULL,
        .payload = {plan->payloads[part], strlen(plan->payloads[part])},
        .id = &plan->ids[part],
        .priority = plan->probe->priority,
        .timeout_ms = parts[part].timeout_ms,
        .max_attempts = plan->max_attempts,
        .backoff = &plan->backoff,
        .trace = plan->probe->trace[0] ? plan->probe->trace : NULL,
    };
}

static char *step_payload(const struct plan *plan, int part)
{
    json_t *payload =
        json_pack("{s:o, s:s, s:i, s:s, s:s, s:I, s:I}", "submission", json_of_id(&plan->probe->id), "step",
                  parts[part].name, "version", parts[part].version, "video", plan->file->video, "sha256",
                  plan->file->sha256, "size_bytes", (json_int_t)plan->file->size_bytes, "modified_ns",
                  (json_int_t)plan->file->modified_ns);
    char *text;

    if (part == PART_EMOTION && plan->model &&
        json_object_set_new(payload, "model", json_string(plan->model)) != 0) {
        json_decref(payload);
        return NULL;
    }
    text = text_of_json(payload);
    json_decref(payload);
    return text;
}

/* The candidate is last: it is the only member that may hold a '/'. */
static char *step_key(const struct plan *plan, int part, int shared)
{
    const char *candidate = text_member(json_object_get(plan->request, "metadata"), "candidate", "");
    const char *model = part == PART_EMOTION ? plan->model : NULL;
    char submission[33] = "shared";
    char text[KEY_MAX_BYTES];

    if (!shared)
        jobq_id_format(&plan->probe->id, submission);
    snprintf(text, sizeof(text), "%s/%d%s%s/%s/%s/%s", parts[part].name, parts[part].version,
             model ? "+" : "", model ? model : "", plan->file->sha256, submission, candidate);
    return strdup(text);
}

int plan_step(struct plan *plan, int part, int shared, struct jobq_spec *spec)
{
    free(plan->payloads[part]);
    free(plan->keys[part]);
    plan->payloads[part] = step_payload(plan, part);
    plan->keys[part] = step_key(plan, part, shared);
    if (!plan->payloads[part] || !plan->keys[part])
        return -1;
    begin_spec(plan, part, spec);
    spec->key = (struct jobq_bytes){plan->keys[part], strlen(plan->keys[part])};
    spec->key_scope = JOBQ_SCOPE_GROUP;
    if (shared) {
        spec->key_hold = JOBQ_HOLD_WINDOW;
        spec->key_window_ms = SHARE_WINDOW_MS;
    }
    return 0;
}

void plan_use_job(struct plan *plan, int part, const struct jobq_id *id)
{
    plan->ids[part] = *id;
}

int plan_use_result(struct plan *plan, int part, const struct jobq_id *id, json_t *result)
{
    plan->ids[part] = *id;
    return json_object_set(plan->results, parts[part].name, result);
}

static char *report_payload(const struct plan *plan, const json_t *probe_result)
{
    json_t *payload = json_copy((json_t *)(uintptr_t)plan->request);
    json_t *steps = json_object();
    char *text = NULL;

    for (int part = PART_FIRST_STEP; part < part_end; part++)
        json_object_set_new(steps, parts[part].name, json_of_id(&plan->ids[part]));
    if (json_object_set_new(payload, "steps", steps) == 0 &&
        json_object_set(payload, "results", plan->results) == 0 &&
        json_object_set(payload, "probe", (json_t *)(uintptr_t)probe_result) == 0 &&
        json_object_set_new(payload, "submission", json_of_id(&plan->probe->id)) == 0)
        text = text_of_json(payload);
    json_decref(payload);
    return text;
}

int plan_report(struct plan *plan, const json_t *probe_result, struct jobq_spec *spec)
{
    size_t count = 0;

    free(plan->payloads[PART_REPORT]);
    plan->payloads[PART_REPORT] = report_payload(plan, probe_result);
    if (!plan->payloads[PART_REPORT])
        return -1;
    /* A step that dies does not take the others' results with it: the report names it. */
    for (int part = PART_FIRST_STEP; part < part_end; part++)
        if (!json_object_get(plan->results, parts[part].name))
            plan->parents[count++] = (struct jobq_parent){.id = plan->ids[part], .rule = JOBQ_PARENT_IGNORE};
    begin_spec(plan, PART_REPORT, spec);
    spec->parents = count > 0 ? plan->parents : NULL;
    spec->parent_count = count;
    return 0;
}
