/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_PLAN_H
#define VIDEO_PLAN_H

/*
 * What the probe puts: the specs of the steps and of the report. Pure, apart from memory.
 *
 * Keys. A step's key is "STEP/VERSION/SHA-256/SUBMISSION/CANDIDATE"; the version of emotion with a model is
 * "VERSION+SHA-256 of the model". With `share` in the metadata of the
 * submission "shared" stands in place of the submission: then a step that another sharing submission of the
 * same candidate and tenant put for the same bytes within a day is not done again; its job, or its result, is
 * used.
 *
 * Payloads
 *   step    {"submission", "step", "version", "video", "sha256", "size_bytes", "modified_ns"}, and "model" of
 *           emotion when there is one
 *   report  the probe's payload, and "submission", "probe" (its result), "steps" {name: id of the job that
 * does it}, "results" {name: what a shared step had already found}
 */

#include <jansson.h>
#include <jobq/jobq.h>

#include "parts.h"

#define SHARE_WINDOW_MS   (INT64_C(24) * 3600 * 1000)
#define SHA256_TEXT_BYTES 65

/* How failed attempts are repeated, and the model for emotion; from the worker's options. */
struct plan_policy {
    int32_t max_attempts;
    int64_t backoff_ms;
    const char *model; /* SHA-256 as text; NULL: none */
};

struct plan_file {
    const char *video; /* below the media folder */
    char sha256[SHA256_TEXT_BYTES];
    int64_t size_bytes;
    int64_t modified_ns;
};

struct plan {
    const struct jobq_job *probe; /* lent */
    const json_t *request;        /* the probe's payload, lent */
    const struct plan_file *file; /* lent */
    struct jobq_backoff backoff;
    int32_t max_attempts;
    const char *model; /* lent; NULL: none */
    int share;
    /* what is owned */
    char *payloads[PARTS_MOST];
    char *keys[PARTS_MOST];
    struct jobq_id ids[PARTS_MOST]; /* of the job that does each part; a shared step's is somebody else's */
    json_t *results;                /* of shared steps that are done */
    struct jobq_parent parents[PARTS_MOST];
};

/* Returns 0, or -1 without memory. */
int plan_init(struct plan *plan, const struct jobq_job *probe, const json_t *request,
              const struct plan_file *file, const struct plan_policy *policy);
void plan_finish(struct plan *plan);

/* The step as a job of this submission (`shared` 0) or as one that others may use. What the spec points at
 * belongs to the plan and lives until the next call for the same part. Returns 0, or -1 without memory. */
int plan_step(struct plan *plan, int part, int shared, struct jobq_spec *spec);

/* A shared step is done by that job, or is done. */
void plan_use_job(struct plan *plan, int part, const struct jobq_id *id);
int plan_use_result(struct plan *plan, int part, const struct jobq_id *id, json_t *result);

/* The report, waiting for the jobs of all steps that have no result yet. */
int plan_report(struct plan *plan, const json_t *probe_result, struct jobq_spec *spec);

#endif
