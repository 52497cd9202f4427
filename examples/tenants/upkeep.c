/* SPDX-License-Identifier: MIT */
/* What the program does for itself: old things go, and who runs it hears of what failed for good. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "office.h"
#include "text.h"

#define DAY_MS INT64_C(86400000)

/* ---- cleanup ------------------------------------------------------------------------------------------- */

/* Ended jobs of the tenant. Dead ones stay: they wait for somebody to look at them. */
static int drop_jobs(struct office *office, const char *tenant, int64_t older_ms, uint64_t *done)
{
    const struct jobq_filter filter = {.size = sizeof(filter),
                                       .group = tenant,
                                       .states = 1u << JOBQ_COMPLETED | 1u << JOBQ_CANCELLED,
                                       .older_ms = older_ms};
    struct jobq_bulk bulk = {.size = sizeof(bulk)};
    int status = jobq_bulk_drop(office->q, &filter, NULL, &bulk);

    *done = bulk.done;
    return status;
}

/* -1 after the job was told why not. */
static int drop_rows(struct jobq_ctx *ctx, struct office *office, int64_t older_ms)
{
    char before[32], why[300];
    const char *const values[] = {jobq_ctx_job(ctx)->group, before};
    struct desk desk;
    int rows;

    if (!office->desks.database)
        return 0;
    if (desk_take(&office->desks, &desk, why) != 0)
        return work_fail(ctx, -1, "%s", why);
    snprintf(before, sizeof(before), "%" PRId64, work_now_ms() - older_ms);
    rows = db_run(desk.db, "DELETE FROM webhook_deliveries WHERE tenant_id = $1 AND at_ms <= $2", 2, values);
    if (rows < 0)
        work_fail(ctx, -1, "%s", db_error(desk.db));
    desk_give_back(&office->desks, &desk, rows < 0);
    return rows;
}

int cleanup_handle(struct jobq_ctx *ctx, void *user)
{
    struct office *office = user;
    json_t *data = work_data(ctx);
    int64_t older_ms = 30 * DAY_MS;
    uint64_t jobs = 0;
    int rows, status;

    if (!data)
        return JOBQ_GIVE_UP;
    if (json_is_integer(json_object_get(data, "older_ms")))
        older_ms = json_integer_value(json_object_get(data, "older_ms"));
    json_decref(data);
    if (older_ms < 1)
        return work_fail(ctx, JOBQ_GIVE_UP, "older_ms: must be at least 1");
    rows = drop_rows(ctx, office, older_ms);
    if (rows < 0)
        return JOBQ_RETRY;
    status = drop_jobs(office, jobq_ctx_job(ctx)->group, older_ms, &jobs);
    if (status < 0)
        return work_fail(ctx, JOBQ_RETRY, "%s", jobq_last_error()->text);
    return work_done(ctx, json_pack("{s:I, s:i}", "jobs", (json_int_t)jobs, "webhook_deliveries", rows));
}

/* ---- alerts -------------------------------------------------------------------------------------------- */

static int mail_alert(struct jobq_ctx *ctx, struct office *office, const json_t *data, const char *text)
{
    char subject[300], id[33], message_id[128], why[600];
    json_t *content;
    enum mail_verdict verdict;

    jobq_id_format(&jobq_ctx_job(ctx)->id, id);
    snprintf(message_id, sizeof(message_id), "%s@alerts", id);
    snprintf(subject, sizeof(subject), "job_failed in %.200s", text_member(data, "queue", "?"));
    content = json_pack("{s:s, s:s, s:s}", "to", office->alert_to, "subject", subject, "body", text);
    const struct mail mail = {content, message_id, jobq_ctx_job(ctx)->created_at_ms};
    verdict = mail_send(ctx, &office->mail, &mail, why);
    json_decref(content);
    if (verdict == MAIL_SENT)
        return JOBQ_DONE;
    return work_fail(ctx, verdict == MAIL_LATER ? JOBQ_RETRY : JOBQ_GIVE_UP, "%s", why);
}

/* It was put in the exchange that made the job dead, so none is lost. */
int alert_handle(struct jobq_ctx *ctx, void *user)
{
    struct office *office = user;
    json_t *data = work_data(ctx);
    char *text = text_of_json(data);
    int outcome = text ? JOBQ_DONE : JOBQ_GIVE_UP;

    if (text)
        fprintf(stderr, "ALERT %s\n", text);
    if (text && office->alert_to)
        outcome = mail_alert(ctx, office, data, text);
    free(text);
    json_decref(data);
    return outcome;
}
