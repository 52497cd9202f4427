/* SPDX-License-Identifier: MIT */
/*
 * Nominal times of an expression in a zone. The zone is walked span by span; within one, local time and UTC differ by a
 * constant. What is left is the two places where spans meet:
 *   a gap   the clock goes forward; the local times in between are never shown
 *   a fold  the clock goes back; the local times in between are shown twice
 */
#include "cron.h"

#include "internal.h"

#define FOLD_MOST_S (2 * 86400) /* no clock was ever put back further than by a day */

/* ---- by the calendar ------------------------------------------------------------------------------------------- */

static bool shows(const struct span *span, int64_t local)
{
    return (span->from == INT64_MIN || local >= span->from + span->offset_s) &&
           (span->to == INT64_MAX || local < span->to + span->offset_s);
}

/* Was this local time of `span` shown before? *behind: the local time at which that cannot be any more. */
static bool shown_before(const struct timing *t, const struct span *span, int64_t local, int64_t *behind)
{
    struct span earlier = *span;

    while (earlier.from != INT64_MIN && earlier.from > span->from - FOLD_MOST_S) {
        earlier = zone_span(t->zone, earlier.from - 1);
        if (shows(&earlier, local)) {
            *behind = earlier.to + earlier.offset_s;
            return true;
        }
    }
    return false;
}

/* Is there a time in the gap in front of the span? */
static bool gap_fits(const struct timing *t, const struct span *span)
{
    if (!t->gap_runs || span->from == INT64_MIN)
        return false;
    struct span before = zone_span(t->zone, span->from - 1);
    if (before.offset_s >= span->offset_s)
        return false;
    return cron_next_local(&t->cron, span->from + before.offset_s) < span->from + span->offset_s;
}

/* The first one of the span from `from` on. *next_local: where the calendar goes on, if there is none. */
static int64_t next_in_span(const struct timing *t, const struct span *span, int64_t from, int64_t *next_local)
{
    int64_t local = from + span->offset_s, behind;

    if (from == span->from && gap_fits(t, span))
        return from;
    for (;;) {
        local = *next_local = cron_next_local(&t->cron, local);
        if (local == NEVER_S || (span->to != INT64_MAX && local - span->offset_s >= span->to))
            return NEVER_S;
        if (t->fold_both || !shown_before(t, span, local, &behind))
            return local - span->offset_s;
        local = behind;
    }
}

/* The first one from `from` on. */
static int64_t next_by_calendar(const struct timing *t, int64_t from)
{
    for (;;) {
        struct span span = zone_span(t->zone, from);
        int64_t local = NEVER_S, at = next_in_span(t, &span, from, &local);
        if (at != NEVER_S || local == NEVER_S || span.to == INT64_MAX)
            return at;
        /* Nothing is due before that local time, so spans that end well before it need not be looked at; unless the
         * next one begins by showing again what lies before `from`. */
        bool looked_at_all = from < span.to - FOLD_MOST_S;
        from = span.to;
        if (looked_at_all && local - span.offset_s - FOLD_MOST_S > from)
            from = local - span.offset_s - FOLD_MOST_S;
    }
}

/* ---- by the interval --------------------------------------------------------------------------------------------- */

static int64_t next_by_interval(const struct timing *t, int64_t after_ms)
{
    int64_t since, whole, next;

    if (__builtin_sub_overflow(after_ms, t->anchor_ms, &since))
        return after_ms < 0 ? t->anchor_ms : INT64_MAX;
    whole = floor_div(since, t->every_ms) + 1;
    if (__builtin_mul_overflow(whole, t->every_ms, &next) || __builtin_add_overflow(next, t->anchor_ms, &next))
        return INT64_MAX;
    return next;
}

/* ---- both ----------------------------------------------------------------------------------------------------------- */

int64_t timing_next(const struct timing *timing, int64_t after_ms)
{
    int64_t at;

    if (timing->every_ms)
        return next_by_interval(timing, after_ms);
    if (after_ms > MAX_MS || after_ms < -MAX_MS)
        return INT64_MAX;
    at = next_by_calendar(timing, floor_div(after_ms, 1000) + 1);
    return at == NEVER_S ? INT64_MAX : at * 1000;
}

/* Halving: whether there is one in the later half is asked with timing_next. */
int64_t timing_last(const struct timing *timing, int64_t after_ms, int64_t until_ms)
{
    int64_t low = timing_next(timing, after_ms), high = until_ms;

    if (low > until_ms)
        return INT64_MIN;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2, next = timing_next(timing, middle - 1);
        if (next <= until_ms)
            low = next;
        else
            high = middle - 1;
    }
    return low;
}
