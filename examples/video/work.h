/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_WORK_H
#define VIDEO_WORK_H

/* What the handlers of the parts share, and the handlers. All handlers may run in several threads at once. */

#include <jansson.h>
#include <jobq/jobq.h>

#include "folder.h"
#include "model.h"
#include "parts.h"
#include "plan.h"
#include "secret.h"
#include "target.h"
#include "watch.h"

/* In place of a service's URL: the step's orders are jobs, and results come back as jobs of PART_RESULTS. */
#define SERVICE_QUEUE "queue"

struct work {
    struct jobq *q;
    struct folder folder;
    struct watch *watch;
    const char *step_program;         /* absolute */
    const struct model *model;        /* for the emotion step; NULL: none */
    const char *services[PARTS_MOST]; /* URL of each part's service, SERVICE_QUEUE, or NULL: none */
    const char *callback;             /* URL of the orchestrator, without a '/' at its end */
    const struct secret *secret;      /* NULL: none */
    int64_t deadline_ms;              /* for callbacks; 0: each part's own */
    struct plan_policy policy;
    const char *webhook_secrets; /* a folder; NULL: none */
    int32_t webhook_attempts;
    int64_t webhook_backoff_ms, webhook_time_ms;
    struct target_policy target, fetch;
    int64_t fetch_max_bytes, fetch_time_ms;
};

/* A handler's user argument: which part it runs. */
struct station {
    const struct work *work;
    int part;
};

int handle_probe(struct jobq_ctx *ctx, void *station);
int handle_report(struct jobq_ctx *ctx, void *station);
int handle_child(struct jobq_ctx *ctx, void *station);
int handle_service(struct jobq_ctx *ctx, void *station);
int handle_notify(struct jobq_ctx *ctx, void *station);
int handle_webhook(struct jobq_ctx *ctx, void *station);
int handle_results(struct jobq_ctx *ctx, void *station);
int handle_fetch(struct jobq_ctx *ctx, void *station);

/* ---- run_orders.c ---------------------------------------------------------------------------- */

/* Put the order of a step into its queue, under the callback token that was stored: the outcome to return. */
int put_order(struct jobq_ctx *ctx, const struct station *station, const json_t *payload,
              const struct jobq_callback *callback);

/* ---- say.c: what a handler says -------------------------------------------------------------- */

/* Set the error's text and return `outcome`. */
int say_error(struct jobq_ctx *ctx, int outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Set a JSON value as the result and return JOBQ_DONE; takes the reference, also on failure. */
int say_result(struct jobq_ctx *ctx, json_t *result);

/* Show progress: what was really processed. */
void say_progress(struct jobq_ctx *ctx, double done, double total, const char *unit);

/* Judge a step's answer, {"status", "reason", ...}, whose reference is taken. JOBQ_DONE and the answer in
 * *out when there is something to keep; "failed" is JOBQ_GIVE_UP or, where another attempt may help,
 * JOBQ_RETRY, with the error set. */
int say_answer(struct jobq_ctx *ctx, json_t *answer, json_t **out);

/* The outcome of a job that was given up for these flags. */
int say_given_up(struct jobq_ctx *ctx, uint32_t flags);

/* ---- step_program.c -------------------------------------------------------------------------- */

/*
 * Runs "PROGRAM [limits] [--model MODEL] STEP FILE" over a file below the media folder, or the program of an
 * added step as steps.h says, with its progress shown as the job's; `model` NULL for none. Returns JOBQ_DONE
 * and its answer, a new reference, or the outcome to return, with its error set.
 */
int run_step_program(struct jobq_ctx *ctx, const struct work *work, int part, const char *model,
                     const char *video, json_t **out);

/* The step's payload, and the file it speaks of, unchanged since it was hashed: JOBQ_DONE, or the outcome to
 * return. */
int read_step(struct jobq_ctx *ctx, const struct work *work, json_t **payload);

#endif
