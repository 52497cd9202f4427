/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "door.h"
#include "text.h"

#define PREFIX "/api/v1/ai-suggestions/queue"

struct serve {
    struct watch *watch;
    const struct auth *auth;
    struct door door;
    int64_t started_ms;
};

static int64_t monotonic_ms(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

/* Counts are open where there are no tokens, else for whoever has one. 0, or -1 with the reply filled. */
static int enter(const struct serve *serve, const struct http_request *request, struct http_reply *reply)
{
    char tenant[256];

    return serve->auth ? dash_may(serve->door.dash, request, ROLE_VIEWER, tenant, reply) : 0;
}

/* ---- the index ---------------------------------------------------------------------------------------- */

/* A request of its own, now. */
static json_t *test_index(const struct serve *serve, int *reachable)
{
    struct client client = serve->watch->batch->client;
    struct client_answer answer;
    int64_t began = monotonic_ms();
    json_t *told, *root, *version;

    client.timeout_ms = 5000;
    client.give_up = NULL;
    client_ask(&client, "GET", "/", NULL, &answer);
    root = answer.body ? json_loadb(answer.body, answer.size, 0, NULL) : NULL;
    version = json_object_get(json_object_get(root, "version"), "number");
    *reachable = answer.status == 200 && json_is_string(version);
    told = json_pack("{s:b, s:I, s:I}", "success", *reachable, "status", (json_int_t)answer.status, "took_ms",
                     (json_int_t)(monotonic_ms() - began));
    if (*reachable)
        json_object_set(told, "version", version);
    else
        json_object_set_new(told, "error",
                            answer.why[0] ? json_of_text(answer.why, strlen(answer.why), sizeof(answer.why))
                                          : json_string("it does not answer as an index does"));
    json_decref(root);
    client_answer_free(&answer);
    return told;
}

static void route_test(void *user, const struct http_request *request, struct http_reply *reply)
{
    int reachable = 0;

    if (enter(user, request, reply) != 0)
        return;
    reply->body = test_index(user, &reachable);
    reply->status = reachable ? 200 : 503;
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

static json_t *memory_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    int read = file ? fscanf(file, "%*d %ld", &pages) : 0;

    if (file)
        fclose(file);
    return read == 1 ? json_integer((json_int_t)pages * 4096) : json_null();
}

static json_t *worker_counts(struct watch *watch)
{
    struct jobq_worker_counts c = {.size = sizeof(c)};
    struct batch *b = watch->batch;
    json_t *told;

    jobq_worker_counts(watch->w, &c);
    pthread_mutex_lock(&b->lock);
    told = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "claimed", (json_int_t)c.claimed,
                     "completed", (json_int_t)c.completed, "failed", (json_int_t)c.failed, "taken_back",
                     (json_int_t)c.swept, "requests", (json_int_t)b->requests, "documents",
                     (json_int_t)b->sent, "folded", (json_int_t)b->folded, "older", (json_int_t)b->older,
                     "unreachable", (json_int_t)b->unreachable);
    pthread_mutex_unlock(&b->lock);
    return told;
}

static json_t *queue_figures(const struct jobq_health *h)
{
    json_t *issues = json_array();

    for (size_t i = 0; i < h->finding_count; i++)
        json_array_append_new(issues, json_of_text(h->findings[i].issue, strlen(h->findings[i].issue), 300));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:o, s:o}", "total", (json_int_t)h->total,
                     "pending", (json_int_t)h->pending, "processing", (json_int_t)h->processing, "completed",
                     (json_int_t)h->completed, "failed", (json_int_t)h->failed, "stuck", (json_int_t)h->stuck,
                     "errorRate", h->error_rate, "avgProcessingTime", (json_int_t)h->average_ms,
                     "avgWaitingTime", (json_int_t)h->average_wait_ms, "lastProcessedAt",
                     json_of_instant(h->last_finished_at_ms), "issues", issues);
}

static void route_detailed(void *user, const struct http_request *request, struct http_reply *reply)
{
    static const char *const words[] = {"healthy", "warning", "critical"};
    struct serve *serve = user;
    struct jobq_health *health = NULL;
    int reachable = 0, worst;

    if (enter(serve, request, reply) != 0)
        return;
    if (jobq_health(serve->watch->q, serve->watch->queue, NULL, &health) < 0) {
        http_error(reply, 503, "store", "%s", jobq_last_error()->text);
        return;
    }
    json_t *index = test_index(serve, &reachable);
    worst = !reachable ? JOBQ_SEVERITY_CRITICAL : health->status;
    reply->status = 200;
    reply->body = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "status", words[worst], "queue",
                            queue_figures(health), "index", index, "worker", worker_counts(serve->watch),
                            "alerts", watch_alerts(serve->watch), "memoryBytes", memory_bytes(), "uptimeMs",
                            (json_int_t)(monotonic_ms() - serve->started_ms));
    jobq_health_free(health);
}

static const struct http_route routes[] = {
    {"GET", "/elasticsearch/test-connection", 0, route_test, 0},
    {"GET", "/health/detailed", 0, route_detailed, 0},
    {NULL, NULL, 0, NULL, 0},
};

/* ---- from start to stop -------------------------------------------------------------------------------- */

struct serve *serve_start(struct watch *watch, const struct serve_options *options, const char **why)
{
    struct serve *serve = calloc(1, sizeof(*serve));
    const struct http_mount own = {"/api/v1", routes, serve};
    const struct dash_options dash = {
        .q = watch->q,
        .auth = options->auth,
        .prefix = PREFIX,
        .audit_file = options->audit_file,
        .columns = {{"table", "/table_name"}, {"operation", "/operation"}, {"record", "/record_id"}},
        .column_count = 3,
    };

    *why = "out of memory";
    if (!serve)
        return NULL;
    *serve = (struct serve){.watch = watch, .auth = options->auth, .started_ms = monotonic_ms()};
    if (door_open(&serve->door, options->listen, &own, &dash, why) == 0)
        return serve;
    free(serve);
    return NULL;
}

const char *serve_address(const struct serve *serve)
{
    return http_address(serve->door.server);
}

void serve_stop(struct serve *serve)
{
    if (serve)
        door_close(&serve->door);
    free(serve);
}
