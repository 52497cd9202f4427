/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_RESULT_H
#define VIDEO_RESULT_H

/*
 * The answer of GET /analysis/result/:jobId:
 *
 *   {"jobId", "video", "status": "processing" | "completed" | "failed", "progress": {PART: {...}}, "result" |
 * "error", "callback": {"id", "state", "failures", "last_error", "delivered_at"}}
 *
 * A part shows its job's id, state, attempt and, while it runs, "done", "total" and "unit" as really
 * processed; one that has no job yet shows the state "waiting". A report that lacks a step is completed and
 * names it in "failed_steps". "callback" is there when a callbackUrl was given, and says how far telling it
 * has come; its id is the message's.
 */

#include <jansson.h>
#include <jobq/jobq.h>

#include "live.h"

#define CALLBACK_ID_PREFIX "evt_" /* of a message's id, before that of the job that posts it */

/* `tenant` "" sees all; `live` may be NULL. Returns JOBQ_OK and the answer, JOBQ_NOT_FOUND (no such
 * submission, or another tenant's, or it was pruned), or another negative code. */
int result_of(struct jobq *q, struct live *live, const struct jobq_id *submission, const char *tenant,
              json_t **out);

/* 1 in *over when result_of might say that it is no longer processing, for the price of one or two rows.
 * Returns as result_of. */
int result_may_be_over(struct jobq *q, const struct jobq_id *submission, const char *tenant, int *over);

#endif
