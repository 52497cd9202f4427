/* SPDX-License-Identifier: MIT */
/* What one thread of the storm does: mostly exchanges that put, end and claim many at a time, between them
 * whatever else there is to be done to a job. */
#include "storm_turn.h"

#include <stdarg.h>
#include <stdio.h>

struct jobq_bytes storm_text(struct blower *b, const char *format, ...)
{
    char *text = need(jobq_arena_alloc(b->arena, 40));
    va_list more;
    va_start(more, format);
    int size = vsnprintf(text, 40, format, more);
    va_end(more);
    return (struct jobq_bytes){text, (size_t)size};
}

void storm_turn(struct blower *b)
{
    static const struct {
        int weight;
        void (*act)(struct blower *b);
    } acts[] = {{70, storm_edit}, {40, storm_tell}, {40, storm_cancel}, {60, storm_beat},
                {30, storm_list}, {50, storm_get},  {25, storm_count},  {20, storm_revive_or_remove}};
    int at = storm_dice(b, 1000);
    storm_new_turn(b);
    if (!b->storm->plain && at < 6) {
        if (at < 2)
            storm_die(b);
        else
            storm_bound(b, at < 4 ? 2 : JOBQ_LIMIT_UNSET);
        return;
    }
    at -= 6;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (at < acts[i].weight) {
            acts[i].act(b);
            return;
        }
        at -= acts[i].weight;
    }
    storm_work(b);
}

void storm_leave(struct blower *b)
{
    int count = one_in(b, 2) ? b->held_count : b->held_count / 2;
    struct jobq_exchange x = {.size = 0};
    storm_new_turn(b);
    if (!count)
        return;
    storm_add_acks(b, &x, 0, count, one_in(b, 2));
    if (storm_send(b, &x))
        storm_read_acks(b, &x, 0);
}

static bool drained(struct blower *b)
{
    struct jobq_stats stats = {.size = sizeof stats};
    uint64_t left = 0;
    if (!storm_stats(b, &stats))
        return true;
    for (size_t i = 0; i < stats.queue_count; i++)
        for (int state = JOBQ_BLOCKED; state <= JOBQ_RUNNING; state++)
            left += stats.queues[i].present[state];
    return left == 0;
}

static void finish_some(struct blower *b)
{
    struct jobq_exchange take = {.size = 0}, end = {.size = 0};
    storm_add_want(b, &take, STORM_MOST);
    take.want->queue_count = STORM_QUEUES;
    take.want->kind_count = 0;
    if (!storm_send(b, &take))
        return;
    storm_read_want(b, take.want);
    if (!b->held_count)
        return;
    storm_add_acks(b, &end, 0, b->held_count, false);
    if (storm_send(b, &end))
        storm_read_acks(b, &end, 0);
}

void storm_settle(struct blower *b)
{
    struct storm *storm = b->storm;
    storm_new_turn(b);
    for (int i = 0; i < STORM_GROUPS && !storm->plain && storm->backend->capabilities & JOBQ_CAP_GROUPS;
         i++) {
        struct jobq_settings s = {.size = sizeof s,
                                  .what = JOBQ_CONFIGURE_GROUP,
                                  .set = JOBQ_SETTING_CONCURRENCY,
                                  .group = storm_text(b, "group %d", i),
                                  .concurrency = JOBQ_LIMIT_UNSET};
        storm_configure(b, &s);
    }
    atomic_store(&storm->swept, true);
    for (long round = 0; !atomic_load(&storm->broken) && !drained(b); round++) {
        storm_new_turn(b);
        if (round % 50 == 0)
            storm_move_clock(b, STORM_LONG_MS);
        storm_sweep(b);
        finish_some(b);
        if (round > 1000 + storm->jobs)
            storm_note(storm, "jobs are left that nobody can take");
    }
}
