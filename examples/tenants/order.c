/* SPDX-License-Identifier: MIT */
#include "order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define MINUTE_MS INT64_C(60000)
#define DAY_MS    (1440 * MINUTE_MS)

const size_t order_threads[CLASS_COUNT] = {10, 5, 2};

/* A mail is sent once for ever; an event is known again for a day; other work is done again when it is asked
 * for again after it has ended. */
const struct trade order_trades[ORDER_QUEUES] = {
    {"email", "send-email", CLASS_HIGH, 4, 1, 3, 2000, MINUTE_MS, JOBQ_HOLD_FOREVER, 0},
    {"notification", "send-notification", CLASS_HIGH, 3, 5, 3, 2000, MINUTE_MS, JOBQ_HOLD_WINDOW, DAY_MS},
    {"webhook", "trigger-webhook", CLASS_HIGH, 3, 5, 5, 5000, MINUTE_MS, JOBQ_HOLD_WINDOW, DAY_MS},
    {"report", "generate-report", CLASS_MEDIUM, 1, 5, 3, 2000, 5 * MINUTE_MS, JOBQ_HOLD_LIVE, 0},
    {"export", "export-data", CLASS_MEDIUM, 1, 5, 3, 2000, 5 * MINUTE_MS, JOBQ_HOLD_LIVE, 0},
    {"image-processing", "resize-image", CLASS_MEDIUM, 1, 5, 3, 2000, 5 * MINUTE_MS, JOBQ_HOLD_LIVE, 0},
    {"ai", "ai-prompt", CLASS_LOW, 1, 5, 3, 2000, 10 * MINUTE_MS, JOBQ_HOLD_LIVE, 0},
    {"analytics", "count", CLASS_LOW, 1, 5, 3, 2000, 10 * MINUTE_MS, JOBQ_HOLD_LIVE, 0},
    {"cleanup", "run-retention", CLASS_LOW, 1, 5, 3, 2000, 10 * MINUTE_MS, JOBQ_HOLD_LIVE, 0},
};

const struct trade *order_trade(const char *queue)
{
    for (size_t i = 0; i < ORDER_QUEUES; i++)
        if (strcmp(order_trades[i].queue, queue) == 0)
            return &order_trades[i];
    return NULL;
}

int order_is_tenant(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t size = strspn(text, letters);

    return size > 0 && size <= TENANT_MAX_BYTES && text[size] == '\0';
}

/* ---- what each queue wants ----------------------------------------------------------------------------- */

static int refuse(char why[ORDER_WHY], const char *field, const char *what)
{
    snprintf(why, ORDER_WHY, "%s: %s", field, what);
    return -1;
}

/* What goes into a line of a header has no line of its own. */
static int is_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            return 0;
    return 1;
}

static int check_line(const json_t *data, const char *field, int must, size_t most, char why[ORDER_WHY])
{
    const json_t *value = json_object_get(data, field);
    const char *text = json_string_value(value);

    if (!value && !must)
        return 0;
    if (!text || !*text || !is_line(text) || strlen(text) > most)
        return refuse(why, field, "must be a text of one line");
    return 0;
}

static int is_address(const char *text)
{
    const char *at = strchr(text, '@');

    return at && at != text && at[1] && !strchr(at + 1, '@') && !strpbrk(text, " <>,;\"()");
}

static int check_attachments(const json_t *list, char why[ORDER_WHY])
{
    size_t i;
    json_t *one;

    if (list && !json_is_array(list))
        return refuse(why, "attachments", "must be an array");
    json_array_foreach((json_t *)list, i, one)
    {
        if (check_line(one, "filename", 1, 200, why) != 0 ||
            check_line(one, "content_type", 0, 100, why) != 0)
            return -1;
        if (!json_is_string(json_object_get(one, "content")) &&
            !json_is_string(json_object_get(one, "content_base64")))
            return refuse(why, "attachments", "each has \"content\" or \"content_base64\"");
    }
    return 0;
}

static int check_email(json_t *data, char why[ORDER_WHY])
{
    if (check_line(data, "to", 1, 254, why) != 0 || check_line(data, "subject", 1, 500, why) != 0 ||
        check_line(data, "template", 0, 64, why) != 0)
        return -1;
    if (!is_address(text_member(data, "to", "")))
        return refuse(why, "to", "must be one address");
    if (!json_is_string(json_object_get(data, "body")) && !json_object_get(data, "template"))
        return refuse(why, "body", "a body or a template is needed");
    if (json_object_get(data, "template_data") && !json_is_object(json_object_get(data, "template_data")))
        return refuse(why, "template_data", "must be an object");
    return check_attachments(json_object_get(data, "attachments"), why);
}

static int check_hook(json_t *data, char why[ORDER_WHY])
{
    if (check_line(data, "webhook_id", 1, 100, why) != 0 || check_line(data, "event", 1, 100, why) != 0)
        return -1;
    const json_t *payload = json_object_get(data, "payload");
    return json_is_object(payload) || json_is_array(payload)
               ? 0
               : refuse(why, "payload", "must be an object or array");
}

static void by_default(json_t *data, const char *name, json_t *value)
{
    if (!json_object_get(data, name))
        json_object_set(data, name, value);
    json_decref(value);
}

static int check_report(json_t *data, char why[ORDER_WHY])
{
    by_default(data, "format", json_string("csv"));
    if (strcmp(text_member(data, "format", ""), "csv") != 0)
        return refuse(why, "format", "only csv is written");
    return check_line(data, "report_type", 1, 64, why);
}

static int check_image(json_t *data, char why[ORDER_WHY])
{
    json_int_t width = json_integer_value(json_object_get(data, "width")),
               height = json_integer_value(json_object_get(data, "height"));

    if (width < 1 || width > 8192 || height < 1 || height > 8192)
        return refuse(why, "width, height", "must be from 1 to 8192");
    return check_line(data, "image", 1, 200, why);
}

static int check_prompt(json_t *data, char why[ORDER_WHY])
{
    by_default(data, "model", json_string("gpt-4"));
    by_default(data, "max_tokens", json_integer(1000));
    by_default(data, "temperature", json_real(0.7));
    if (!json_is_string(json_object_get(data, "prompt")))
        return refuse(why, "prompt", "must be a text");
    return check_line(data, "model", 1, 100, why);
}

static int check_details(const char *queue, json_t *data, char why[ORDER_WHY])
{
    if (strcmp(queue, "email") == 0)
        return check_email(data, why);
    if (strcmp(queue, "webhook") == 0 || strcmp(queue, "notification") == 0)
        return check_hook(data, why);
    if (strcmp(queue, "report") == 0)
        return check_report(data, why);
    if (strcmp(queue, "export") == 0)
        return check_line(data, "table", 1, 64, why);
    if (strcmp(queue, "image-processing") == 0)
        return check_image(data, why);
    if (strcmp(queue, "ai") == 0)
        return check_prompt(data, why);
    if (strcmp(queue, "analytics") == 0)
        return check_line(data, "metric", 1, 64, why);
    return 0;
}

/* ---- the job ------------------------------------------------------------------------------------------- */

static int take_number(json_t *data, const char *name, int64_t least, int64_t most, int64_t *out,
                       char why[ORDER_WHY])
{
    const json_t *value = json_object_get(data, name);

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return refuse(why, name, "is no number, or out of range");
    *out = json_integer_value(value);
    json_object_del(data, name);
    return 0;
}

static void make_key(struct order *order)
{
    const struct jobq_bytes parts[] = {{order->kind, strlen(order->kind)},
                                       {order->tenant, strlen(order->tenant)},
                                       {order->payload, strlen(order->payload)}};

    jobq_key_of(parts, 3, order->key);
}

static int fill(struct order *out, json_t *data, char why[ORDER_WHY])
{
    int64_t priority = out->trade->priority;

    if (take_number(data, "priority", -1000, 1000, &priority, why) != 0 ||
        take_number(data, "delay", 0, 366 * DAY_MS, &out->delay_ms, why) != 0 ||
        check_details(out->trade->queue, data, why) != 0)
        return -1;
    out->priority = (int32_t)priority;
    json_object_set_new(data, "tenant_id", json_string(out->tenant));
    out->payload = text_of_json(data);
    if (!out->payload)
        return refuse(why, "data", "out of memory");
    make_key(out);
    return 0;
}

int order_read(struct order *out, const char *queue, const char *tenant, const json_t *data,
               char why[ORDER_WHY])
{
    json_t *copy = json_deep_copy(data);
    int status;

    *out = (struct order){.trade = order_trade(queue)};
    if (!out->trade)
        status = refuse(why, "queue", "is none of the nine");
    else if (!order_is_tenant(tenant))
        status = refuse(why, "tenant_id", "must be letters, digits, '_' or '-', at most 64");
    else if (!json_is_object(copy))
        status = refuse(why, "data", "must be an object");
    else {
        out->kind = out->trade->kind;
        snprintf(out->tenant, sizeof(out->tenant), "%s", tenant);
        status = fill(out, copy, why);
    }
    json_decref(copy);
    return status;
}

void order_free(struct order *order)
{
    free(order->payload);
    order->payload = NULL;
}

struct jobq_spec order_spec(const struct order *order, struct jobq_backoff *backoff)
{
    const struct trade *trade = order->trade;

    *backoff = (struct jobq_backoff){.size = sizeof(*backoff), .base_ms = trade->base_ms};
    return (struct jobq_spec){
        .size = sizeof(struct jobq_spec),
        .queue = trade->queue,
        .kind = order->kind,
        .group = order->tenant,
        .payload = {order->payload, strlen(order->payload)},
        .key = {order->key, sizeof(order->key)},
        .key_hold = trade->key_hold,
        .key_window_ms = trade->key_window_ms,
        .priority = order->priority,
        .delay_ms = order->delay_ms,
        .timeout_ms = trade->timeout_ms,
        .max_attempts = trade->max_attempts,
        .backoff = backoff,
    };
}
