/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_PUT_H
#define TENANTS_PUT_H

/* How jobs come into the queues. Each call answers with what the caller is told, as JSON and as an HTTP
 * status: 202 accepted (also what was there already), 400 refused as it is, 429 over the tenant's quota, with
 * retry_ms, 503 the store. */

#include <jansson.h>

#include "desk.h"

struct put_answer {
    unsigned status;
    int64_t retry_ms;
    json_t *body; /* owned by the caller */
};

/* One job: {"job_id", "new"}. */
void put_one(struct jobq *q, const char *queue, const char *tenant, const json_t *data,
             struct put_answer *out);

/* A mail to each of data.to, 100 ms apart: {"count", "new", "refused"}. */
void put_bulk(struct jobq *q, const char *tenant, const json_t *data, struct put_answer *out);

/* An event, to each active webhook of the tenant: {"webhooks", "event_id"}. data: event, payload, and
 * event_id, by which the same event is known again. "notification" goes to that queue. */
void put_event(struct jobq *q, struct desks *desks, const char *tenant, const json_t *data,
               struct put_answer *out);

/* A report by the clock, in the tenant's zone unless it names one: data has id, cron, report_type, params. */
void put_schedule(struct jobq *q, struct desks *desks, const char *tenant, const json_t *data,
                  struct put_answer *out);

/* [{"queue", "waiting", "active", "completed", "failed", "delayed", "total"}] of the nine. NULL: the store.
 */
json_t *put_stats(struct jobq *q);

#endif
