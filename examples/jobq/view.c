/* SPDX-License-Identifier: MIT */
#include "view.h"
#include "table.h"

static void put_errors(struct json *json, const struct jobq_job *job)
{
    json_array(json, "errors");
    for (size_t i = 0; i < job->failures_log_count; i++) {
        const struct jobq_failure_entry *e = &job->failures_log[i];
        json_object(json, NULL);
        json_int(json, "attempt", e->attempt);
        json_instant(json, "at", e->at_ms);
        json_name(json, "worker", e->worker);
        json_text(json, "kind", jobq_error_kind_name(e->kind));
        json_bytes(json, "text", &e->text);
        json_end(json);
    }
    json_end(json);
}

static void put_counters(struct json *json, const struct jobq_job *job)
{
    json_int(json, "priority", job->priority);
    json_int(json, "attempt", job->attempt);
    json_int(json, "failures", job->failures);
    json_int(json, "crashes", job->crashes);
    json_int(json, "snoozes", job->snoozes);
    json_int(json, "releases", job->releases);
    json_int(json, "redrives", job->redrives);
    json_int(json, "max_attempts", job->max_attempts);
    json_int(json, "max_crashes", job->max_crashes);
    json_int(json, "max_snoozes", job->max_snoozes);
    json_int(json, "max_releases", job->max_releases);
    json_int(json, "pending_parents", job->pending_parents);
    json_bool(json, "cancel_asked", job->cancel_asked);
    json_bool(json, "stuck", job->stuck);
    json_int(json, "fence", job->fence);
}

static void put_times(struct json *json, const struct jobq_job *job)
{
    json_instant(json, "created_at", job->created_at_ms);
    json_instant(json, "run_at", job->run_at_ms);
    json_instant(json, "started_at", job->started_at_ms);
    json_instant(json, "finished_at", job->finished_at_ms);
    json_instant(json, "lease_until", job->lease_until_ms);
    json_instant(json, "stop_at", job->stop_at_ms);
    json_instant(json, "expires_at", job->expires_at_ms);
    json_instant(json, "callback_until", job->callback_until_ms);
    if (job->timeout_ms) {
        json_int(json, "timeout_ms", job->timeout_ms);
    } else {
        json_null(json, "timeout_ms");
    }
}

void view_job(struct json *json, const struct jobq_job *job, int claimed)
{
    json_object(json, NULL);
    json_id(json, "id", &job->id);
    if (claimed) {
        char token[33];
        jobq_token_format(&job->token, token);
        json_text(json, "token", token);
    }
    json_text(json, "queue", job->queue);
    json_text(json, "kind", job->kind);
    json_name(json, "group", job->group);
    json_text(json, "state", jobq_state_name(job->state));
    json_name(json, "reason", jobq_reason_name(job->reason));
    put_counters(json, job);
    put_times(json, job);
    json_name(json, "worker", job->worker);
    json_name(json, "trace", job->trace);
    json_bytes(json, "key", &job->key);
    json_bytes(json, "progress", &job->progress);
    json_bytes(json, "payload", &job->payload);
    json_bytes(json, "data", &job->data);
    json_bytes(json, "result", &job->result);
    put_errors(json, job);
    json_end(json);
}

static void line_text(struct table *table, const char *name, const char *text)
{
    if (text && text[0]) {
        table_text(table, name);
        table_text(table, text);
    }
}

static void line_int(struct table *table, const char *name, int64_t value)
{
    if (value) {
        table_text(table, name);
        table_int(table, value);
    }
}

static void line_instant(struct table *table, const char *name, int64_t at_ms)
{
    if (at_ms) {
        table_text(table, name);
        table_instant(table, at_ms);
    }
}

static void line_bytes(struct table *table, const char *name, const struct jobq_bytes *bytes)
{
    if (bytes->data) {
        table_text(table, name);
        table_bytes(table, bytes);
    }
}

static void sheet_errors(struct table *table, const struct jobq_job *job)
{
    for (size_t i = 0; i < job->failures_log_count; i++) {
        const struct jobq_failure_entry *e = &job->failures_log[i];
        char name[64];
        snprintf(name, sizeof name, "error %d %s", e->attempt, jobq_error_kind_name(e->kind));
        line_instant(table, name, e->at_ms);
        line_text(table, name, e->worker);
        line_bytes(table, name, &e->text);
    }
}

void view_sheet(struct cli *cli, const struct jobq_job *job)
{
    static const char *const heads[] = {"field", "value", NULL};
    struct table table;

    table_begin(&table, cli, heads);
    table_text(&table, "id");
    table_id(&table, &job->id);
    line_text(&table, "queue", job->queue);
    line_text(&table, "kind", job->kind);
    line_text(&table, "group", job->group);
    line_text(&table, "state", jobq_state_name(job->state));
    line_text(&table, "reason", jobq_reason_name(job->reason));
    line_text(&table, "stuck", job->stuck ? "yes" : "");
    line_text(&table, "cancel asked", job->cancel_asked ? "yes" : "");
    line_int(&table, "priority", job->priority);
    line_int(&table, "attempt", job->attempt);
    line_int(&table, "failures", job->failures);
    line_int(&table, "crashes", job->crashes);
    line_int(&table, "max_attempts", job->max_attempts);
    line_int(&table, "pending_parents", job->pending_parents);
    line_instant(&table, "created_at", job->created_at_ms);
    line_instant(&table, "run_at", job->run_at_ms);
    line_instant(&table, "started_at", job->started_at_ms);
    line_instant(&table, "finished_at", job->finished_at_ms);
    line_instant(&table, "lease_until", job->lease_until_ms);
    line_instant(&table, "expires_at", job->expires_at_ms);
    line_instant(&table, "callback_until", job->callback_until_ms);
    line_int(&table, "timeout_ms", job->timeout_ms);
    line_text(&table, "worker", job->worker);
    line_text(&table, "trace", job->trace);
    line_bytes(&table, "key", &job->key);
    line_bytes(&table, "progress", &job->progress);
    line_bytes(&table, "payload", &job->payload);
    line_bytes(&table, "data", &job->data);
    line_bytes(&table, "result", &job->result);
    sheet_errors(&table, job);
    table_end(&table);
}

int view_done(struct cli *cli, const struct jobq_id *id, int status)
{
    static const char *const heads[] = {"id", "status", NULL};
    struct table table;

    if (status < 0) {
        return leave_status(cli, status, id);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_id(&json, "id", id);
        json_text(&json, "status", jobq_status_name(status));
        json_end(&json);
        return LEAVE_OK;
    }
    table_begin(&table, cli, heads);
    table_id(&table, id);
    table_text(&table, jobq_status_name(status));
    table_end(&table);
    return LEAVE_OK;
}

void view_bulk(struct cli *cli, const struct jobq_bulk *bulk)
{
    static const char *const heads[] = {"matched", "done", NULL};
    struct table table;

    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_uint(&json, "matched", bulk->matched);
        json_uint(&json, "done", bulk->done);
        json_end(&json);
        return;
    }
    table_begin(&table, cli, heads);
    table_int(&table, (int64_t)bulk->matched);
    table_int(&table, (int64_t)bulk->done);
    table_end(&table);
}
