/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

#include "door.h"
#include "put.h"
#include "text.h"

#define BODY_MOST ((size_t)4 << 20)

struct serve {
    struct office *office;
    struct door door;
};

/* GET /admin/queues/stats: for administrators of all tenants. */
static void route_stats(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct serve *serve = user;
    char tenant[256];
    json_t *stats;

    if (dash_may(serve->door.dash, request, ROLE_ADMIN, tenant, reply) != 0)
        return;
    if (*tenant) {
        http_error(reply, 403, "", "the figures are of all tenants");
        return;
    }
    stats = put_stats(serve->office->q);
    if (!stats) {
        http_error(reply, 503, "store", "%s", jobq_last_error()->text);
        return;
    }
    reply->status = 200;
    reply->body = json_pack("{s:b, s:o}", "success", 1, "data", stats);
}

static void take(struct serve *serve, const char *what, const char *tenant, const json_t *data,
                 struct put_answer *answer)
{
    struct office *office = serve->office;

    if (strcmp(what, "bulk") == 0)
        put_bulk(office->q, tenant, data, answer);
    else if (strcmp(what, "event") == 0)
        put_event(office->q, &office->desks, tenant, data, answer);
    else if (strcmp(what, "schedule") == 0)
        put_schedule(office->q, &office->desks, tenant, data, answer);
    else
        put_one(office->q, what, tenant, data, answer);
}

/* POST /jobs/WHAT: a queue's name, "bulk", "event" or "schedule". The token says which tenant it is; one for
 * all tenants names it in "tenant_id". */
static void route_put(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct serve *serve = user;
    struct put_answer answer;
    char tenant[256];
    json_t *data;

    if (dash_may(serve->door.dash, request, ROLE_OPERATOR, tenant, reply) != 0)
        return;
    data = json_of_bytes((struct jobq_bytes){request->body, request->body_size});
    if (!data) {
        http_error(reply, 400, "", "the body must be a JSON object");
        return;
    }
    take(serve, request->rest, *tenant ? tenant : text_member(data, "tenant_id", ""), data, &answer);
    json_decref(data);
    reply->status = answer.status;
    reply->body = answer.body;
    reply->retry_after_s = (int)((answer.retry_ms + 999) / 1000);
}

static const struct http_route routes[] = {
    {"GET", "/admin/queues/stats", 0, route_stats, 0},
    {"POST", "/jobs/", BODY_MOST, route_put, 0},
    {NULL, NULL, 0, NULL, 0},
};

struct serve *serve_start(struct office *office, const struct serve_options *options, const char **why)
{
    struct serve *serve = calloc(1, sizeof(*serve));
    const struct http_mount own = {"", routes, serve};
    const struct dash_options dash = {
        .q = office->q,
        .auth = options->auth,
        .audit_file = options->audit_file,
        .webhook_queue = "webhook",
        .mask = 1,
        .columns = {{"to", "/to"}, {"event", "/event"}, {"report", "/report_type"}},
        .column_count = 3,
    };

    *why = "out of memory";
    if (!serve)
        return NULL;
    serve->office = office;
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
