/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_RESULT_H
#define VIDEO_RESULT_H

/*
 * The answer of GET /analysis/result/:jobId:
 *
 *   {"jobId", "video", "status": "processing" | "completed" | "failed", "progress": {PART: {...}}, "result" |
 * "error"}
 *
 * A part shows its job's id, state, attempt and, while it runs, "done", "total" and "unit" as really
 * processed; one that has no job yet shows the state "waiting". A report that lacks a step is completed and
 * names it in "failed_steps".
 */

#include <jansson.h>
#include <jobq/jobq.h>

#include "live.h"

/* `tenant` "" sees all. Returns JOBQ_OK and the answer, JOBQ_NOT_FOUND (no such submission, or another
 * tenant's, or it was pruned), or another negative code. */
int result_of(struct jobq *q, struct live *live, const struct jobq_id *submission, const char *tenant,
              json_t **out);

#endif
