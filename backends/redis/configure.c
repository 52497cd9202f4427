/* SPDX-License-Identifier: MIT */
/* Settings. */
#include "store.h"

static bool is_known(const struct jobq_settings *settings)
{
    const uint32_t known = JOBQ_SETTING_PAUSED | JOBQ_SETTING_DEPTH | JOBQ_SETTING_KEEP;
    const uint32_t of_schedule = JOBQ_SETTING_SCHEDULE | JOBQ_SETTING_NEXT | JOBQ_SETTING_PAUSED;
    if (settings->what == JOBQ_CONFIGURE_QUEUE)
        return !(settings->set & ~known);
    if (settings->what == JOBQ_CONFIGURE_SCHEDULE)
        return !(settings->set & ~of_schedule);
    return settings->what == JOBQ_CONFIGURE_CLOCK || settings->what == JOBQ_CONFIGURE_WORKER;
}

static void say(struct jobq_store *s, const struct jobq_settings *settings)
{
    struct request *q = &s->request;
    rd_script_begin(s);
    rd_argument_begin(q);
    rd_u8(q, (unsigned)settings->what);
    rd_raw(q, s->handle, sizeof s->handle - 1);
    rd_u32(q, settings->set);
    rd_u8(q, settings->paused != 0);
    rd_i64(q, settings->depth < 0 ? -1 : settings->depth);
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, settings->keep_count[state]);
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, settings->keep_ms[state]);
    rd_i64(q, settings->clock_ms);
    rd_argument_end(q);
    rd_argument(q, settings->name.data, settings->name.size);
    if (settings->what == JOBQ_CONFIGURE_SCHEDULE)
        rd_schedule_settings(q, settings);
}

/* lua/configure.lua numbers them. */
static int status_of(const struct jobq_store *s, long long answer, struct jobq_error *err)
{
    switch (answer) {
    case 0:
        return JOBQ_OK;
    case 1:
        return JOBQ_NOT_FOUND;
    case 3:
        return JOBQ_OUTDATED;
    default:
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the namespace is gone", s->address.shown);
    }
}

/* ---- a queue's string ------------------------------------------------------------------------------------------ */

enum part { PART_KEEP = 1 };

int rd_queue_read(struct reader *r, struct jobq_item_settings *out)
{
    struct jobq_settings *s = &out->settings;
    rd_get_raw(r, (size_t)6 * 6); /* rows by state */
    uint64_t *const totals[] = { &out->enqueued_total, &out->completed_total, &out->dead_total, &out->cancelled_total,
                                 &out->failed_total };
    for (int i = 0; i < 5; i++)
        *totals[i] = rd_get_u48(r);
    *s = (struct jobq_settings){ .size = sizeof *s, .what = JOBQ_CONFIGURE_QUEUE, .depth = rd_get_i64(r) };
    s->set = s->depth >= 0 ? JOBQ_SETTING_DEPTH : 0;
    s->depth = s->depth >= 0 ? s->depth : 0;
    s->paused = rd_get_u8(r);
    s->set |= s->paused ? JOBQ_SETTING_PAUSED : 0;
    unsigned parts = rd_get_u8(r);
    if (parts & PART_KEEP) {
        s->set |= JOBQ_SETTING_KEEP;
        for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
            s->keep_count[state] = rd_get_i64(r);
        for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
            s->keep_ms[state] = rd_get_i64(r);
    }
    return r->broken ? -1 : 0;
}

void rd_queue_write(struct request *q, const struct jobq_settings *s)
{
    bool has_keep = s->set & JOBQ_SETTING_KEEP, has_depth = s->set & JOBQ_SETTING_DEPTH && s->depth >= 0;
    rd_argument_begin(q);
    rd_i64(q, has_depth ? s->depth : -1);
    rd_u8(q, s->set & JOBQ_SETTING_PAUSED && s->paused);
    rd_u8(q, has_keep ? PART_KEEP : 0);
    for (int state = JOBQ_ROW_COMPLETED; has_keep && state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, s->keep_count[state]);
    for (int state = JOBQ_ROW_COMPLETED; has_keep && state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, s->keep_ms[state]);
    rd_argument_end(q);
}

/* ---- configure --------------------------------------------------------------------------------------------------- */

int rd_configure_store(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err)
{
    redisReply *reply;
    if (s->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: opened to inspect: nothing can be written", s->address.shown);
    if (!is_known(settings))
        return jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "redis: limits of groups and rates are not supported");
    rd_link_begin(&s->link);
    say(s, settings);
    if (rd_script_run(s, SCRIPT_CONFIGURE, &reply) != 0)
        return rd_fault_report(&s->link, err);
    long long status = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 2;
    freeReplyObject(reply);
    return status_of(s, status, err);
}
