/* SPDX-License-Identifier: MIT */
/* Settings. */
#include "store.h"

static void pack_keep(struct params *p, bool given, const int64_t values[8])
{
    if (!given) {
        pack_null(p);
        return;
    }
    pack_begin(p, ELEMENT_INT8);
    for (int i = 0; i < 8; i++)
        pack_add_int8(p, values[i]);
    pack_end(p);
}

static enum sql pack_settings(const struct jobq_settings *set, struct params *p)
{
    switch (set->what) {
    case JOBQ_CONFIGURE_QUEUE:
        pack_bytes(p, set->name);
        if (set->set & JOBQ_SETTING_PAUSED)
            pack_bool(p, set->paused != 0);
        else
            pack_null(p);
        pack_int8_if(p, set->set & JOBQ_SETTING_DEPTH, set->depth);
        pack_keep(p, set->set & JOBQ_SETTING_KEEP, set->keep_count);
        pack_keep(p, set->set & JOBQ_SETTING_KEEP, set->keep_ms);
        pack_int8_if(p, set->set & JOBQ_SETTING_CONCURRENCY, set->concurrency);
        pack_int8_if(p, set->set & JOBQ_SETTING_GROUP_CONCURRENCY, set->group_concurrency);
        pack_int8_if(p, set->set & JOBQ_SETTING_RATE, set->rate);
        pack_int8_if(p, set->set & JOBQ_SETTING_RATE, set->rate_period_ms);
        return SQL_SET_QUEUE;
    case JOBQ_CONFIGURE_GROUP:
    case JOBQ_CONFIGURE_PLAN:
        pq_bound_pack(set, p);
        return SQL_SET_BOUND;
    case JOBQ_CONFIGURE_SCHEDULE:
        pq_schedule_pack(set, p);
        return SQL_SET_SCHEDULE;
    case JOBQ_CONFIGURE_EVENTS:
        pack_int8(p, set->events);
        return SQL_SET_EVENTS;
    case JOBQ_CONFIGURE_CLOCK:
        pack_int8(p, set->clock_ms);
        return SQL_SET_CLOCK;
    default:
        pack_bytes(p, set->name);
        return SQL_SET_STOP;
    }
}

static bool is_known(const struct jobq_settings *settings)
{
    const uint32_t bound = JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_QUOTA;
    switch (settings->what) {
    case JOBQ_CONFIGURE_QUEUE:
        return !(settings->set & ~(uint32_t)(JOBQ_SETTING_PAUSED | JOBQ_SETTING_DEPTH | JOBQ_SETTING_KEEP |
                                             JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_GROUP_CONCURRENCY | JOBQ_SETTING_RATE));
    case JOBQ_CONFIGURE_GROUP:
        return !(settings->set & ~(bound | (settings->group.size ? JOBQ_SETTING_PLAN : 0)));
    case JOBQ_CONFIGURE_PLAN:
        return !(settings->set & ~bound);
    case JOBQ_CONFIGURE_CLOCK:
    case JOBQ_CONFIGURE_WORKER:
    case JOBQ_CONFIGURE_SCHEDULE:
    case JOBQ_CONFIGURE_EVENTS:
        return true;
    default:
        return false;
    }
}

/* What the functions return. */
static int status_of(int64_t made, struct jobq_error *err)
{
    if (made < 0)
        return jobq_error_set(err, JOBQ_OUTDATED, "version", "postgres: the schedule was changed meanwhile");
    return made > 0 ? JOBQ_OK : JOBQ_NOT_FOUND;
}

static int run(struct jobq_store *s, struct transaction *t, struct jobq_error *err)
{
    for (int turn = 0;; turn++) {
        t->ms = s->io_timeout_ms;
        if (pq_link_run(&s->link, t, 1) == 0)
            return status_of(cell_int(cell_of(t->calls[0].result, 0, 0)), err);
        if (!pq_fault_again(&t->fault) || turn == 5 || !s->link.conn)
            return pq_fault_report(s, &t->fault, err, t->fault.kind == FAULT_LOST ? JOBQ_UNKNOWN : JOBQ_FAILED);
        pq_transaction_clear(t);
        pq_pause(turn);
    }
}

int pq_configure_store(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err)
{
    struct params params = { 0 };
    struct transaction t = { .count = 1 };
    struct fault fault = { 0 };
    if (s->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "postgres: opened to inspect: nothing can be written");
    if (!is_known(settings))
        return jobq_error_set(err, JOBQ_UNSUPPORTED, NULL,
                              "postgres: it has no such setting");
    pq_store_begin(s);
    if (pq_store_connect(s, &fault) != 0)
        return pq_fault_report(s, &fault, err, JOBQ_FAILED);
    enum sql which = pack_settings(settings, &params);
    t.calls[0] = (struct call){ .text = s->sql[which], .params = &params };
    int status = run(s, &t, err);
    pq_transaction_clear(&t);
    pack_free(&params);
    return status;
}
