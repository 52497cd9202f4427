/* SPDX-License-Identifier: MIT */
/* Limits of a group or a plan, member by member: what was set, and what holds. Pure. */
#include <jobq/backend.h>

static int64_t own_value(int64_t value)
{
    return value >= JOBQ_LIMIT_NONE ? value : JOBQ_LIMIT_UNSET;
}

static void set_rate(int64_t *rate, int64_t *period_ms, int64_t value, int64_t value_period_ms)
{
    *rate = own_value(value);
    *period_ms = *rate >= 0 ? value_period_ms : 0;
}

void jobq_bounds_set(struct jobq_bounds *own, const struct jobq_settings *settings)
{
    if (settings->set & JOBQ_SETTING_CONCURRENCY)
        own->concurrency = own_value(settings->concurrency);
    if (settings->set & JOBQ_SETTING_RATE)
        set_rate(&own->rate, &own->rate_period_ms, settings->rate, settings->rate_period_ms);
    if (settings->set & JOBQ_SETTING_QUOTA)
        set_rate(&own->quota, &own->quota_period_ms, settings->quota, settings->quota_period_ms);
}

void jobq_bounds_fill(struct jobq_bounds *bounds, const struct jobq_bounds *from)
{
    if (bounds->concurrency < JOBQ_LIMIT_NONE)
        bounds->concurrency = from->concurrency;
    if (bounds->rate < JOBQ_LIMIT_NONE) {
        bounds->rate = from->rate;
        bounds->rate_period_ms = from->rate_period_ms;
    }
    if (bounds->quota < JOBQ_LIMIT_NONE) {
        bounds->quota = from->quota;
        bounds->quota_period_ms = from->quota_period_ms;
    }
}
