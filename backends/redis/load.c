/* SPDX-License-Identifier: MIT */
/* Items of another store are taken as they are: one call of lua/load.lua. */
#include "store.h"

#include <string.h>

#define ITEM_LIMITS 5
enum load_status { LOADED = 0, NAMESPACE_GONE = 2, NAMESPACE_NEWER = 3 };

/* ---- the request ------------------------------------------------------------------------------------------------ */

static void say_u48(struct request *q, uint64_t value)
{
    rd_u16(q, (size_t)(value >> 32 & UINT16_MAX));
    rd_u32(q, value & UINT32_MAX);
}

static void say_queue(struct request *q, const struct jobq_item_settings *in)
{
    const uint64_t totals[] = { in->enqueued_total, in->completed_total, in->dead_total, in->cancelled_total,
                                in->failed_total, in->completed_trimmed, in->dead_trimmed, in->cancelled_trimmed };
    rd_argument(q, in->settings.name.data, in->settings.name.size);
    rd_argument_begin(q);
    for (int i = 0; i < 8; i++)
        say_u48(q, totals[i]);
    rd_argument_end(q);
    rd_queue_write(q, &in->settings);
}

static void say_limits(struct request *q, const struct jobq_settings *s)
{
    bool is_group = s->what == JOBQ_CONFIGURE_GROUP;
    rd_argument_begin(q);
    rd_u8(q, is_group ? 'g' : 'p');
    rd_raw(q, is_group ? s->group.data : s->name.data, is_group ? s->group.size : s->name.size);
    rd_argument_end(q);
    rd_limits_write(q, s);
}

static void say_key(struct request *q, const struct jobq_item_key *key)
{
    rd_argument(q, key->key.scope, sizeof key->key.scope);
    rd_argument_begin(q);
    rd_raw(q, key->job.bytes, sizeof key->job);
    rd_u8(q, (unsigned)key->key.hold);
    rd_u8(q, (unsigned)key->ended);
    rd_i64(q, key->window_until_ms);
    rd_raw(q, key->key.payload_digest, sizeof key->key.payload_digest);
    rd_argument_end(q);
}

static void say_schedule(struct request *q, const struct jobq_schedule_row *row)
{
    rd_argument(q, row->name.data, row->name.size);
    rd_argument_begin(q);
    rd_i64(q, row->version);
    rd_u8(q, row->paused != 0);
    rd_i64(q, row->fired_ms);
    rd_i64(q, row->next_ms);
    rd_argument_end(q);
    rd_argument(q, row->bytes.data, row->bytes.size);
}

static void say_item(struct request *q, const struct jobq_item *item)
{
    const struct jobq_settings *settings = &item->as.settings.settings;
    bool has_limits = item->kind == JOBQ_ITEM_SETTINGS && settings->what != JOBQ_CONFIGURE_QUEUE;
    const uint8_t kind = has_limits ? ITEM_LIMITS : (uint8_t)item->kind;
    rd_argument(q, &kind, 1);
    if (has_limits)
        say_limits(q, settings);
    else if (item->kind == JOBQ_ITEM_SETTINGS)
        say_queue(q, &item->as.settings);
    else if (item->kind == JOBQ_ITEM_SCHEDULE)
        say_schedule(q, &item->as.schedule);
    else if (item->kind == JOBQ_ITEM_ROW)
        rd_row_load(q, &item->as.row);
    else
        say_key(q, &item->as.key);
}

/* What this store does not have. The core sees to that; nothing half is taken all the same. */
static bool is_known(const struct jobq_item *item)
{
    int what = item->as.settings.settings.what;
    if (item->kind == JOBQ_ITEM_SETTINGS)
        return what == JOBQ_CONFIGURE_QUEUE || what == JOBQ_CONFIGURE_GROUP || what == JOBQ_CONFIGURE_PLAN;
    return item->kind == JOBQ_ITEM_SCHEDULE || item->kind == JOBQ_ITEM_ROW || item->kind == JOBQ_ITEM_KEY;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

static int run_once(struct jobq_store *s, struct jobq_item *items, size_t count)
{
    redisReply *reply;
    rd_script_begin(s);
    rd_argument(&s->request, s->handle, sizeof s->handle - 1);
    for (size_t i = 0; i < count; i++)
        say_item(&s->request, &items[i]);
    if (rd_script_run(s, SCRIPT_LOAD, &reply) != 0)
        return -1;
    struct reader r = rd_reader_of(reply);
    int status = rd_get_u8(&r);
    for (size_t i = 0; i < count && status == LOADED; i++)
        items[i].verdict = rd_get_u8(&r) ? JOBQ_ALREADY : JOBQ_OK;
    if (r.broken)
        status = rd_broken(s);
    freeReplyObject(reply);
    return status;
}

int rd_load_items(struct jobq_store *s, struct jobq_item *items, size_t count, struct jobq_error *err)
{
    if (s->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: opened to inspect: nothing can be written", s->address.shown);
    for (size_t i = 0; i < count; i++)
        if (!is_known(&items[i]))
            return jobq_error_set(err, JOBQ_FAILED, NULL, "redis: an item of a kind that this store has not");
    rd_link_begin(&s->link);
    int status = run_once(s, items, count);
    if (status == NAMESPACE_GONE) {
        if (rd_namespace_open(s, true, err) != JOBQ_OK)
            return JOBQ_FAILED;
        status = run_once(s, items, count);
    }
    if (status < 0)
        return rd_fault_report(&s->link, err);
    if (status != LOADED)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the namespace is of another version by now", s->address.shown);
    return JOBQ_OK;
}
