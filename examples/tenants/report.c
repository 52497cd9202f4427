/* SPDX-License-Identifier: MIT */
/* What is read out of the tables: reports and exports as CSV, counts as JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "office.h"
#include "text.h"

#define WEEK_MS (INT64_C(7) * 86400000)

/* Each takes the tenant, and where it is of a time its beginning and its end. */
struct question {
    const char *name, *sql;
    int timed;
};

static const struct question reports[] = {
    {"orders",
     "SELECT id, customer, item, cents, at_ms FROM orders WHERE tenant_id = $1 AND at_ms >= $2 AND at_ms < $3"
     " ORDER BY at_ms, id",
     1},
    {"customers",
     "SELECT customer, count(*) AS orders, sum(cents) AS cents FROM orders"
     " WHERE tenant_id = $1 AND at_ms >= $2 AND at_ms < $3 GROUP BY customer ORDER BY 3 DESC, 1",
     1},
    {NULL, NULL, 0},
};

static const struct question exports[] = {
    {"orders", "SELECT id, customer, item, cents, at_ms FROM orders WHERE tenant_id = $1 ORDER BY id", 0},
    {"sent_emails",
     "SELECT job_id, recipient, message_id, sent_at_ms FROM sent_emails WHERE tenant_id = $1 ORDER BY "
     "sent_at_ms,"
     " job_id",
     0},
    {"webhook_deliveries",
     "SELECT job_id, webhook_id, attempt, status, http_status, response_ms, error, at_ms FROM "
     "webhook_deliveries"
     " WHERE tenant_id = $1 ORDER BY at_ms, job_id",
     0},
    {NULL, NULL, 0},
};

static const struct question metrics[] = {
    {"orders",
     "SELECT count(*) AS orders, coalesce(sum(cents), 0) AS cents, count(DISTINCT customer) AS customers"
     " FROM orders WHERE tenant_id = $1 AND at_ms >= $2 AND at_ms < $3",
     1},
    {"emails",
     "SELECT count(*) AS emails, count(DISTINCT recipient) AS recipients FROM sent_emails"
     " WHERE tenant_id = $1 AND sent_at_ms >= $2 AND sent_at_ms < $3",
     1},
    {"webhooks",
     "SELECT count(*) AS attempts, coalesce(sum(CASE WHEN status = 'success' THEN 1 ELSE 0 END), 0) AS "
     "delivered"
     " FROM webhook_deliveries WHERE tenant_id = $1 AND at_ms >= $2 AND at_ms < $3",
     1},
    {NULL, NULL, 0},
};

static const struct question *find(const struct question *questions, const char *name)
{
    for (; questions->name; questions++)
        if (strcmp(questions->name, name) == 0)
            return questions;
    return NULL;
}

/* ---- asking -------------------------------------------------------------------------------------------- */

struct asking {
    struct jobq_ctx *ctx;
    struct office *office;
    const json_t *data;
    const struct question *question;
    char from[32], to[32];
};

/* What the params say; a report by the clock is of the week before the time that it was due at. */
static void take_period(struct asking *a)
{
    const struct jobq_job *job = jobq_ctx_job(a->ctx);
    const json_t *params = json_object_get(a->data, "params");
    int64_t to = INT64_MAX, from = 0;

    if (strcmp(job->kind, "scheduled-report") == 0) {
        to = job->run_at_ms;
        from = to - WEEK_MS;
    }
    if (json_is_integer(json_object_get(params, "from_ms")))
        from = json_integer_value(json_object_get(params, "from_ms"));
    if (json_is_integer(json_object_get(params, "to_ms")))
        to = json_integer_value(json_object_get(params, "to_ms"));
    snprintf(a->from, sizeof(a->from), "%" PRId64, from);
    snprintf(a->to, sizeof(a->to), "%" PRId64, to);
}

/* Rows to fn; -1 after the job was told why not. */
static int ask(struct asking *a, db_row fn, void *user)
{
    const char *const values[] = {jobq_ctx_job(a->ctx)->group, a->from, a->to};
    struct desk desk;
    char why[300];
    long rows;

    take_period(a);
    if (desk_take(&a->office->desks, &desk, why) != 0) {
        work_fail(a->ctx, JOBQ_RETRY, "%s", why);
        return -1;
    }
    rows = db_each(desk.db, a->question->sql, a->question->timed ? 3 : 1, values, fn, user);
    if (rows < 0)
        work_fail(a->ctx, JOBQ_RETRY, "%s", db_error(desk.db));
    desk_give_back(&a->office->desks, &desk, rows < 0);
    return rows < 0 ? -1 : 0;
}

/* Ends the reading when nobody waits for it any more. */
struct sheet {
    struct csv csv;
    struct jobq_ctx *ctx;
};

static int put_row(void *user, int columns, const char *const *names, const char *const *values)
{
    struct sheet *sheet = user;

    if (jobq_ctx_flags(sheet->ctx) & ~(uint32_t)JOBQ_CTX_STOPPING)
        return 1;
    return csv_row(&sheet->csv, columns, names, values);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static int write_file(struct asking *a, const char *what)
{
    struct sheet sheet = {.ctx = a->ctx};
    char name[160], id[33];
    int asked;

    jobq_id_format(&jobq_ctx_job(a->ctx)->id, id);
    snprintf(name, sizeof(name), "%s-%s-%s", what, a->question->name, id);
    if (csv_open(&sheet.csv, a->office->out_dir, jobq_ctx_job(a->ctx)->group, name) != 0)
        return work_fail(a->ctx, JOBQ_RETRY, "%s: %s", a->office->out_dir, strerror(errno));
    asked = ask(a, put_row, &sheet);
    if (asked == 0 && jobq_ctx_flags(a->ctx) & ~(uint32_t)JOBQ_CTX_STOPPING)
        asked = work_fail(a->ctx, -1, "it took too long, or was cancelled");
    if (csv_close(&sheet.csv, asked == 0) != 0)
        return work_fail(a->ctx, JOBQ_RETRY, "%s: %s", sheet.csv.path, strerror(errno));
    if (asked != 0)
        return JOBQ_RETRY;
    return work_done(a->ctx, json_pack("{s:s, s:I, s:s, s:s, s:s}", "file", sheet.csv.path, "rows",
                                       (json_int_t)sheet.csv.rows, "format", "csv", "from_ms", a->from,
                                       "to_ms", a->to));
}

static int handle_file(struct jobq_ctx *ctx, struct office *office, const struct question *questions,
                       const char *member, const char *what)
{
    struct asking a = {.ctx = ctx, .office = office};
    json_t *data = work_data(ctx);
    int outcome;

    if (!data)
        return JOBQ_GIVE_UP;
    a.data = data;
    a.question = find(questions, text_member(data, member, ""));
    if (!a.question)
        outcome =
            work_fail(ctx, JOBQ_GIVE_UP, "%s: there is no '%.64s'", member, text_member(data, member, ""));
    else
        outcome = write_file(&a, what);
    json_decref(data);
    return outcome;
}

int report_handle(struct jobq_ctx *ctx, void *office)
{
    return handle_file(ctx, office, reports, "report_type", "report");
}

int export_handle(struct jobq_ctx *ctx, void *office)
{
    return handle_file(ctx, office, exports, "table", "export");
}

/* ---- counts -------------------------------------------------------------------------------------------- */

static int take_counts(void *user, int columns, const char *const *names, const char *const *values)
{
    for (int i = 0; i < columns; i++)
        json_object_set_new(user, names[i], json_integer(values[i] ? strtoll(values[i], NULL, 10) : 0));
    return 0;
}

int count_handle(struct jobq_ctx *ctx, void *office)
{
    struct asking a = {.ctx = ctx, .office = office};
    json_t *data = work_data(ctx), *counts;
    int outcome = JOBQ_RETRY;

    if (!data)
        return JOBQ_GIVE_UP;
    a.data = data;
    a.question = find(metrics, text_member(data, "metric", ""));
    counts = json_pack("{s:s}", "metric", text_member(data, "metric", ""));
    if (!a.question)
        outcome =
            work_fail(ctx, JOBQ_GIVE_UP, "metric: there is no '%.64s'", text_member(data, "metric", ""));
    else if (ask(&a, take_counts, counts) == 0)
        outcome = work_done(ctx, json_incref(counts));
    json_decref(counts);
    json_decref(data);
    return outcome;
}
