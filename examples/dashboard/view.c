/* SPDX-License-Identifier: MIT */
/* What the library says, as JSON with the names that the jobq command has for it. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "dash.h"
#include "text.h"

json_t *json_of_name(const char *text)
{
    return text && *text ? json_of_text(text, strlen(text), 4096) : json_null();
}

json_t *json_of_count(uint64_t count)
{
    return json_integer((json_int_t)count);
}

json_t *json_of_payload(struct jobq_bytes bytes)
{
    if (!bytes.data || memchr(bytes.data, 0, bytes.size))
        return NULL;
    return json_stringn(bytes.data, bytes.size);
}

void json_set_bytes(json_t *object, const char *name, struct jobq_bytes bytes)
{
    json_t *text = json_of_payload(bytes);
    char long_name[64], *coded;

    json_object_set_new(object, name, text ? text : json_null());
    if (text || !bytes.data || !(coded = malloc(bytes.size / 3 * 4 + 5)))
        return;
    EVP_EncodeBlock((unsigned char *)coded, bytes.data, (int)bytes.size);
    snprintf(long_name, sizeof(long_name), "%s_base64", name);
    json_object_set_new(object, long_name, json_string(coded));
    free(coded);
}

/* ---- a job ----------------------------------------------------------------------------------- */

static json_t *errors_of(const struct jobq_job *job)
{
    json_t *errors = json_array();

    for (size_t i = 0; i < job->failures_log_count; i++) {
        const struct jobq_failure_entry *entry = &job->failures_log[i];
        json_t *error = json_pack("{s:i, s:o, s:o, s:s}", "attempt", (int)entry->attempt, "at",
                                  json_of_instant(entry->at_ms), "worker", json_of_name(entry->worker),
                                  "kind", jobq_error_kind_name(entry->kind));
        json_set_bytes(error, "text", entry->text);
        json_array_append_new(errors, error);
    }
    return errors;
}

static json_t *log_of(const struct jobq_job *job)
{
    json_t *log = json_array();

    for (size_t i = 0; i < job->log_count; i++) {
        const struct jobq_log_line *line = &job->log[i];
        json_t *entry = json_pack("{s:i, s:o, s:o}", "attempt", (int)line->attempt, "at",
                                  json_of_instant(line->at_ms), "worker", json_of_name(line->worker));
        json_set_bytes(entry, "text", line->text);
        json_array_append_new(log, entry);
    }
    return log;
}

static void set_counters(json_t *out, const struct jobq_job *job)
{
    const struct {
        const char *name;
        int32_t value;
    } counters[] = {
        {"priority", job->priority},         {"attempt", job->attempt},
        {"failures", job->failures},         {"crashes", job->crashes},
        {"snoozes", job->snoozes},           {"releases", job->releases},
        {"redrives", job->redrives},         {"max_attempts", job->max_attempts},
        {"max_crashes", job->max_crashes},   {"max_snoozes", job->max_snoozes},
        {"max_releases", job->max_releases}, {"pending_parents", job->pending_parents},
    };

    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        json_object_set_new(out, counters[i].name, json_integer(counters[i].value));
    json_object_set_new(out, "cancel_asked", json_boolean(job->cancel_asked));
    json_object_set_new(out, "stuck", json_boolean(job->stuck));
}

static void set_times(json_t *out, const struct jobq_job *job, int64_t now_ms)
{
    const struct {
        const char *name;
        int64_t at_ms;
    } times[] = {
        {"created_at", job->created_at_ms},
        {"run_at", job->run_at_ms},
        {"started_at", job->started_at_ms},
        {"finished_at", job->finished_at_ms},
        {"lease_until", job->lease_until_ms},
        {"stop_at", job->stop_at_ms},
        {"expires_at", job->expires_at_ms},
        {"callback_until", job->callback_until_ms},
        {"now", now_ms},
    };

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        json_object_set_new(out, times[i].name, json_of_instant(times[i].at_ms));
}

json_t *json_of_job(const struct dash *dash, const struct jobq_job *job, int full, int64_t now_ms)
{
    json_t *out = json_object();

    json_object_set_new(out, "id", json_of_id(&job->id));
    json_object_set_new(out, "queue", json_of_name(job->queue));
    json_object_set_new(out, "kind", json_of_name(job->kind));
    json_object_set_new(out, "group", json_of_name(job->group));
    json_object_set_new(out, "state", json_string(jobq_state_name(job->state)));
    json_object_set_new(out, "reason", json_of_name(jobq_reason_name(job->reason)));
    json_object_set_new(out, "worker", json_of_name(job->worker));
    set_counters(out, job);
    set_times(out, job, now_ms);
    json_set_bytes(out, "progress", job->progress);
    json_object_set_new(out, "columns", json_of_columns(dash, job));
    json_object_set_new(out, "errors", errors_of(job));
    if (!full)
        return out;
    json_object_set_new(out, "timeout_ms", job->timeout_ms ? json_integer(job->timeout_ms) : json_null());
    json_object_set_new(out, "trace", json_of_name(job->trace));
    json_set_bytes(out, "key", job->key);
    json_set_bytes(out, "payload", job->payload);
    json_set_bytes(out, "data", job->data);
    json_set_bytes(out, "result", job->result);
    json_object_set_new(out, "log", log_of(job));
    return out;
}

/* ---- columns --------------------------------------------------------------------------------- */

/* RFC 6901: "~1" is a slash, "~0" a tilde. */
static const json_t *member_of(const json_t *value, const char *part, size_t size)
{
    char name[128];
    size_t n = 0;

    for (size_t i = 0; i < size && n + 1 < sizeof(name); i++) {
        char c = part[i];
        if (c == '~' && i + 1 < size)
            c = part[++i] == '1' ? '/' : '~';
        name[n++] = c;
    }
    name[n] = '\0';
    if (json_is_array(value))
        return json_array_get(value, (size_t)strtoul(name, NULL, 10));
    return json_object_get(value, name);
}

static const json_t *at_pointer(const json_t *value, const char *pointer)
{
    while (value && *pointer == '/') {
        size_t size = strcspn(pointer + 1, "/");
        value = member_of(value, pointer + 1, size);
        pointer += 1 + size;
    }
    return value;
}

json_t *json_of_columns(const struct dash *dash, const struct jobq_job *job)
{
    const struct dash_options *options = &dash->options;
    json_t *columns = json_object(), *payload = options->column_count ? json_of_bytes(job->payload) : NULL;

    for (size_t i = 0; i < options->column_count; i++) {
        const json_t *value = at_pointer(payload, options->columns[i].pointer);
        json_object_set_new(columns, options->columns[i].name, value ? json_deep_copy(value) : json_null());
    }
    json_decref(payload);
    return columns;
}

/* ---- statistics ------------------------------------------------------------------------------ */

static json_t *of_durations(const struct jobq_durations *d)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)d->count, "average_ms",
                     (json_int_t)(d->count ? d->total_ms / (int64_t)d->count : 0), "p50_ms",
                     (json_int_t)jobq_durations_quantile(d, 500), "p95_ms",
                     (json_int_t)jobq_durations_quantile(d, 950), "p99_ms",
                     (json_int_t)jobq_durations_quantile(d, 990));
}

static json_t *of_recent(const struct jobq_recent *r)
{
    double seconds = r->window_ms > 0 ? (double)r->window_ms / 1000 : 1;

    return json_pack("{s:I, s:I, s:I, s:f, s:f}", "window_ms", (json_int_t)r->window_ms, "completed",
                     (json_int_t)r->completed, "failed", (json_int_t)r->failed, "completed_per_s",
                     (double)r->completed / seconds, "failed_per_s", (double)r->failed / seconds);
}

static void set_counts(json_t *out, const struct jobq_queue_stats *q)
{
    for (int state = 1; state < JOBQ_STATE_COUNT; state++)
        json_object_set_new(out, jobq_state_name(state), json_of_count(q->present[state]));
    json_object_set_new(out, "stuck", json_of_count(q->stuck));
    json_object_set_new(out, "enqueued_total", json_of_count(q->enqueued_total));
    json_object_set_new(out, "completed_total", json_of_count(q->completed_total));
    json_object_set_new(out, "dead_total", json_of_count(q->dead_total));
    json_object_set_new(out, "cancelled_total", json_of_count(q->cancelled_total));
    json_object_set_new(out, "failed_total", json_of_count(q->failed_total));
    json_object_set_new(out, "completed_trimmed", json_of_count(q->completed_trimmed));
    json_object_set_new(out, "dead_trimmed", json_of_count(q->dead_trimmed));
    json_object_set_new(out, "cancelled_trimmed", json_of_count(q->cancelled_trimmed));
    json_object_set_new(out, "at_least", json_boolean(q->at_least));
}

static json_t *of_queue(const struct jobq_queue_stats *q)
{
    json_t *out = json_object();

    json_object_set_new(out, "queue", json_of_name(q->queue));
    set_counts(out, q);
    json_object_set_new(out, "oldest_ready_at", json_of_instant(q->oldest_ready_at_ms));
    json_object_set_new(out, "paused", json_boolean(q->paused));
    json_object_set_new(out, "waited", of_durations(&q->waited));
    json_object_set_new(out, "ran", of_durations(&q->ran));
    json_object_set_new(out, "last_minute", of_recent(&q->last_minute));
    json_object_set_new(out, "last_quarter", of_recent(&q->last_quarter));
    json_object_set_new(out, "last_finished_at", json_of_instant(q->last_finished_at_ms));
    return out;
}

static json_t *of_total(const struct jobq_stats *stats)
{
    struct jobq_queue_stats sum;
    json_t *out = json_object();

    jobq_stats_total(stats, &sum);
    set_counts(out, &sum);
    return out;
}

static json_t *of_worker(const struct jobq_stats *stats, const struct jobq_worker_stats *w)
{
    json_t *out = json_object();

    json_object_set_new(out, "worker", json_of_name(w->name));
    json_object_set_new(out, "host", json_of_name(w->host));
    json_object_set_new(out, "pid", json_integer(w->pid));
    json_object_set_new(out, "started_at", json_of_instant(w->started_at_ms));
    json_object_set_new(out, "seen_at", json_of_instant(w->seen_at_ms));
    json_object_set_new(out, "alive", json_boolean(stats->now_ms - w->seen_at_ms <= w->lease_ms));
    json_object_set_new(out, "lease_ms", json_integer(w->lease_ms));
    json_object_set_new(out, "queues", json_of_name(w->queues));
    json_object_set_new(out, "kinds", json_of_name(w->kinds));
    json_object_set_new(out, "capacity", json_integer(w->capacity));
    json_object_set_new(out, "running", json_integer(w->running));
    json_object_set_new(out, "stop_asked", json_boolean(w->stop_asked));
    return out;
}

json_t *json_of_stats(const struct jobq_stats *stats, int names)
{
    json_t *out = json_object(), *queues = json_array(), *workers = json_array();

    for (size_t i = 0; i < stats->queue_count; i++)
        json_array_append_new(queues, of_queue(&stats->queues[i]));
    for (size_t i = 0; i < stats->worker_count && names; i++)
        json_array_append_new(workers, of_worker(stats, &stats->workers[i]));
    json_object_set_new(out, "queues", queues);
    json_object_set_new(out, "total", of_total(stats));
    json_object_set_new(out, "now", json_of_instant(stats->now_ms));
    json_object_set_new(out, "workers", workers);
    if (names)
        json_object_set_new(out, "store",
                            json_pack("{s:o, s:o, s:o, s:o}", "engine", json_of_name(stats->engine),
                                      "address", json_of_name(stats->address), "namespace",
                                      json_of_name(stats->name_space), "durability",
                                      json_of_name(stats->durability)));
    return out;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void set_limit(json_t *out, const struct jobq_limit *limit, uint32_t bit, const char *name,
                      int64_t value)
{
    int has = (limit->set & bit) != 0;

    json_object_set_new(out, name,
                        !has || value == JOBQ_LIMIT_UNSET ? json_null()
                        : value == JOBQ_LIMIT_NONE        ? json_string("none")
                                                          : json_integer(value));
}

json_t *json_of_limit(const struct jobq_limit *limit)
{
    json_t *out = json_object();

    json_object_set_new(out, "of",
                        json_string(limit->of == JOBQ_LIMIT_QUEUE   ? "queue"
                                    : limit->of == JOBQ_LIMIT_GROUP ? "group"
                                                                    : "plan"));
    json_object_set_new(out, "name", json_of_text(limit->name, strlen(limit->name), 255));
    json_object_set_new(out, "plan", json_of_name(limit->plan));
    set_limit(out, limit, JOBQ_LIMIT_DEPTH, "depth", limit->depth);
    set_limit(out, limit, JOBQ_LIMIT_CONCURRENCY, "concurrency", limit->concurrency);
    set_limit(out, limit, JOBQ_LIMIT_GROUP_CONCURRENCY, "group_concurrency", limit->group_concurrency);
    set_limit(out, limit, JOBQ_LIMIT_RATE, "rate", limit->rate);
    set_limit(out, limit, JOBQ_LIMIT_RATE, "rate_period_ms", limit->rate_period_ms);
    set_limit(out, limit, JOBQ_LIMIT_QUOTA, "quota", limit->quota);
    set_limit(out, limit, JOBQ_LIMIT_QUOTA, "quota_period_ms", limit->quota_period_ms);
    json_object_set_new(out, "running", json_integer(limit->running));
    json_object_set_new(out, "rate_used", json_integer(limit->rate_used));
    json_object_set_new(out, "quota_used", json_integer(limit->quota_used));
    return out;
}
