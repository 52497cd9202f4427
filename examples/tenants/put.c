/* SPDX-License-Identifier: MIT */
#include "put.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"
#include "plan.h"
#include "text.h"

#define STAGGER_MS 100
#define BULK_MOST  100000
#define HOOKS_MOST 1000

static void answer(struct put_answer *out, unsigned status, json_t *body)
{
    *out = (struct put_answer){.status = status, .body = body};
}

static void refuse(struct put_answer *out, const char *why)
{
    answer(out, 400,
           json_pack("{s:b, s:o}", "success", 0, "error", json_of_text(why, strlen(why), ORDER_WHY)));
}

/* Why an enqueue was not taken. */
static void tell_trouble(struct jobq *q, const char *tenant, int status, int64_t retry_ms,
                         struct put_answer *out)
{
    char why[300];
    unsigned http = status == JOBQ_LIMITED ? 429 : status == JOBQ_INVALID ? 400 : 503;

    text_of_error(status, why, sizeof(why));
    if (status == JOBQ_LIMITED)
        plan_say(q, tenant, why, sizeof(why));
    answer(out, http,
           json_pack("{s:b, s:o, s:I}", "success", 0, "error", json_of_text(why, strlen(why), sizeof(why)),
                     "retry_ms", (json_int_t)retry_ms));
    out->retry_ms = retry_ms;
}

void put_one(struct jobq *q, const char *queue, const char *tenant, const json_t *data,
             struct put_answer *out)
{
    struct jobq_enqueued told = {.size = sizeof(told)};
    struct jobq_backoff backoff;
    struct order order;
    char why[ORDER_WHY];
    int status;

    if (order_read(&order, queue, tenant, data, why) != 0)
        refuse(out, why);
    else {
        const struct jobq_spec spec = order_spec(&order, &backoff);
        status = jobq_enqueue(q, &spec, &told);
        if (status < 0)
            tell_trouble(q, tenant, status, told.retry_ms, out);
        else
            answer(out, 202,
                   json_pack("{s:b, s:o, s:b, s:s}", "success", 1, "job_id", json_of_id(&told.id), "new",
                             status == JOBQ_OK, "state", jobq_state_name(told.state)));
    }
    order_free(&order);
}

/* ---- many at once -------------------------------------------------------------------------------------- */

struct bundle {
    struct order *orders;
    struct jobq_backoff *backoffs;
    struct jobq_spec *specs;
    struct jobq_enqueued *told;
    size_t count;
};

static int bundle_init(struct bundle *b, size_t room)
{
    *b = (struct bundle){calloc(room + 1, sizeof(*b->orders)), calloc(room + 1, sizeof(*b->backoffs)),
                         calloc(room + 1, sizeof(*b->specs)), calloc(room + 1, sizeof(*b->told)), 0};
    return b->orders && b->backoffs && b->specs && b->told ? 0 : -1;
}

static void bundle_free(struct bundle *b)
{
    for (size_t i = 0; b->orders && i < b->count; i++)
        order_free(&b->orders[i]);
    free(b->orders);
    free(b->backoffs);
    free(b->specs);
    free(b->told);
}

static int bundle_add(struct bundle *b, const char *queue, const char *tenant, const json_t *data,
                      char why[ORDER_WHY])
{
    struct order *order = &b->orders[b->count];
    int status = order_read(order, queue, tenant, data, why);

    b->told[b->count].size = sizeof(b->told[0]);
    b->specs[b->count] =
        status == 0 ? order_spec(order, &b->backoffs[b->count]) : (struct jobq_spec){.size = 0};
    b->count++;
    return status;
}

/* The first code that is neither good nor a quota that is used up; what was taken stays. */
static int bundle_put(struct jobq *q, struct bundle *b, size_t *taken, size_t *new_ones, int64_t *retry_ms)
{
    int status = b->count > 0 ? jobq_enqueue_many(q, b->specs, b->count, b->told) : JOBQ_OK;

    *taken = *new_ones = 0;
    *retry_ms = 0;
    for (size_t i = 0; i < b->count; i++) {
        *taken += b->told[i].status >= 0;
        *new_ones += b->told[i].status == JOBQ_OK;
        if (b->told[i].status == JOBQ_LIMITED && !*retry_ms)
            *retry_ms = b->told[i].retry_ms;
    }
    return status < 0 ? status : JOBQ_OK;
}

static int add_mails(struct bundle *b, const char *tenant, const json_t *data, char why[ORDER_WHY])
{
    json_t *copy = json_deep_copy(data);
    const json_t *to = json_object_get(data, "to");
    int64_t first = json_integer_value(json_object_get(data, "delay"));
    int status = 0;

    for (size_t i = 0; i < json_array_size(to) && status == 0; i++) {
        json_object_set(copy, "to", json_array_get(to, i));
        json_object_set_new(copy, "delay", json_integer(first + (json_int_t)i * STAGGER_MS));
        status = bundle_add(b, "email", tenant, copy, why);
    }
    json_decref(copy);
    return status;
}

static void tell_bulk(struct jobq *q, const char *tenant, struct bundle *b, struct put_answer *out)
{
    size_t taken, new_ones;
    int64_t retry_ms;
    int status = bundle_put(q, b, &taken, &new_ones, &retry_ms);

    if (status < 0)
        tell_trouble(q, tenant, status, retry_ms, out);
    else
        answer(out, 202, json_pack("{s:b}", "success", 1));
    json_object_set_new(out->body, "count", json_integer((json_int_t)taken));
    json_object_set_new(out->body, "new", json_integer((json_int_t)new_ones));
    json_object_set_new(out->body, "refused", json_integer((json_int_t)(b->count - taken)));
}

void put_bulk(struct jobq *q, const char *tenant, const json_t *data, struct put_answer *out)
{
    size_t count = json_array_size(json_object_get(data, "to"));
    struct bundle b;
    char why[ORDER_WHY] = "to: must be an array of 1 to 100,000 addresses";

    if (bundle_init(&b, count) != 0)
        refuse(out, "out of memory");
    else if (count < 1 || count > BULK_MOST || add_mails(&b, tenant, data, why) != 0)
        refuse(out, why);
    else
        tell_bulk(q, tenant, &b, out);
    bundle_free(&b);
}

/* ---- an event ------------------------------------------------------------------------------------------ */

struct hooks {
    struct bundle *bundle;
    const char *tenant, *queue;
    json_t *data;
    int status;
    char why[ORDER_WHY];
};

static int add_hook(void *user, int columns, const char *const *names, const char *const *values)
{
    struct hooks *hooks = user;

    (void)columns, (void)names;
    json_object_set_new(hooks->data, "webhook_id", json_string(values[0]));
    json_object_set_new(hooks->data, "webhook_url", json_string(values[1]));
    hooks->status = bundle_add(hooks->bundle, hooks->queue, hooks->tenant, hooks->data, hooks->why);
    return hooks->status != 0 || hooks->bundle->count >= HOOKS_MOST;
}

/* The secrets stay in their table: who reads the queue does not need them. */
static int find_hooks(struct desks *desks, struct hooks *hooks, const char *event)
{
    const char *const values[] = {hooks->tenant, event};
    struct desk desk;
    long rows;

    if (desk_take(desks, &desk, hooks->why) != 0)
        return -1;
    rows =
        db_each(desk.db,
                "SELECT id, url FROM webhooks WHERE tenant_id = $1 AND event = $2 AND active = 1 ORDER BY id",
                2, values, add_hook, hooks);
    if (rows < 0)
        snprintf(hooks->why, sizeof(hooks->why), "%s", db_error(desk.db));
    desk_give_back(desks, &desk, rows < 0);
    return rows < 0 ? -1 : hooks->status;
}

static void name_event(json_t *data)
{
    struct jobq_id id;

    if (!json_object_get(data, "event_id") && jobq_id_new(&id) == JOBQ_OK)
        json_object_set_new(data, "event_id", json_of_id(&id));
}

static void tell_event(struct jobq *q, struct hooks *hooks, struct put_answer *out)
{
    size_t taken, new_ones;
    int64_t retry_ms;
    int status = bundle_put(q, hooks->bundle, &taken, &new_ones, &retry_ms);

    if (status < 0)
        tell_trouble(q, hooks->tenant, status, retry_ms, out);
    else
        answer(out, 202, json_pack("{s:b}", "success", 1));
    json_object_set_new(out->body, "webhooks", json_integer((json_int_t)taken));
    json_object_set_new(out->body, "new", json_integer((json_int_t)new_ones));
    json_object_set(out->body, "event_id", json_object_get(hooks->data, "event_id"));
}

void put_event(struct jobq *q, struct desks *desks, const char *tenant, const json_t *data,
               struct put_answer *out)
{
    const char *event = text_member(data, "event", "");
    struct bundle b;
    struct hooks hooks = {.bundle = &b,
                          .tenant = tenant,
                          .queue = strcmp(event, "notification") == 0 ? "notification" : "webhook",
                          .data = json_deep_copy(data)};

    name_event(hooks.data);
    if (bundle_init(&b, HOOKS_MOST) != 0)
        refuse(out, "out of memory");
    else if (find_hooks(desks, &hooks, event) != 0)
        refuse(out, hooks.why);
    else
        tell_event(q, &hooks, out);
    bundle_free(&b);
    json_decref(hooks.data);
}

/* ---- reports by the clock ------------------------------------------------------------------------------ */

static int take_zone(void *user, int columns, const char *const *names, const char *const *values)
{
    (void)columns, (void)names;
    snprintf(user, 64, "%s", values[0]);
    return 1;
}

/* The tenant's, from its table; UTC when nobody knows it. */
static void zone_of(struct desks *desks, const char *tenant, char out[64])
{
    struct desk desk;
    char why[300];

    snprintf(out, 64, "UTC");
    if (!desks->database || desk_take(desks, &desk, why) != 0)
        return;
    long rows = db_each(desk.db, "SELECT zone FROM tenants WHERE id = $1", 1, &tenant, take_zone, out);
    desk_give_back(desks, &desk, rows < 0);
}

static void add_schedule(struct jobq *q, const char *tenant, const json_t *config, const char *zone,
                         struct order *order, struct put_answer *out)
{
    struct jobq_backoff backoff;
    struct jobq_spec spec = order_spec(order, &backoff);
    char name[256];
    int64_t next_ms = 0;
    size_t count = 0;
    const struct jobq_schedule schedule = {.size = sizeof(schedule),
                                           .name = name,
                                           .cron = text_member(config, "cron", "0 9 * * 1"),
                                           .zone = zone,
                                           .spec = &spec};

    snprintf(name, sizeof(name), "report:%s:%.128s", tenant, text_member(config, "id", ""));
    int status = jobq_schedule_add(q, &schedule);
    if (status < 0) {
        tell_trouble(q, tenant, status, 0, out);
        return;
    }
    jobq_schedule_next(q, name, 0, &next_ms, 1, &count);
    answer(out, 202,
           json_pack("{s:b, s:s, s:s, s:o}", "success", 1, "schedule", name, "zone", zone, "next",
                     json_of_instant(next_ms)));
}

void put_schedule(struct jobq *q, struct desks *desks, const char *tenant, const json_t *data,
                  struct put_answer *out)
{
    const char *zone = text_member(data, "timezone", NULL), *id = text_member(data, "id", "");
    char why[ORDER_WHY], own_zone[64];
    struct order order;

    if (order_read(&order, "report", tenant, data, why) != 0)
        refuse(out, why);
    else if (!order_is_tenant(id))
        refuse(out, "id: must be letters, digits, '_' or '-', at most 64");
    else {
        if (!zone)
            zone_of(desks, tenant, own_zone);
        order.kind = "scheduled-report";
        add_schedule(q, tenant, data, zone ? zone : own_zone, &order, out);
    }
    order_free(&order);
}

/* ---- figures ------------------------------------------------------------------------------------------- */

static const struct jobq_queue_stats *stats_of(const struct jobq_stats *stats, const char *queue)
{
    static const struct jobq_queue_stats nothing;

    for (size_t i = 0; i < stats->queue_count; i++)
        if (strcmp(stats->queues[i].queue, queue) == 0)
            return &stats->queues[i];
    return &nothing;
}

json_t *put_stats(struct jobq *q)
{
    struct jobq_stats *stats = NULL;
    json_t *out = json_array();

    if (jobq_stats(q, NULL, &stats) < 0) {
        json_decref(out);
        return NULL;
    }
    for (size_t i = 0; i < ORDER_QUEUES; i++) {
        const struct jobq_queue_stats *s = stats_of(stats, order_trades[i].queue);
        json_int_t waiting = (json_int_t)s->present[JOBQ_READY] + (json_int_t)s->present[JOBQ_BLOCKED],
                   active = (json_int_t)s->present[JOBQ_RUNNING],
                   delayed = (json_int_t)s->present[JOBQ_SCHEDULED];
        json_array_append_new(out, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "queue",
                                             order_trades[i].queue, "waiting", waiting, "active", active,
                                             "completed", (json_int_t)s->present[JOBQ_COMPLETED], "failed",
                                             (json_int_t)s->present[JOBQ_DEAD], "delayed", delayed, "total",
                                             waiting + active + delayed));
    }
    jobq_stats_free(stats);
    return out;
}
