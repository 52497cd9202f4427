/* SPDX-License-Identifier: MIT */
/* What is told of the past: figures and events, and how the answers are compared. */
#include "diff.h"

#include <show.h>

#include <inttypes.h>

/* ---- figures ------------------------------------------------------------------------------------------------------ */

/* Durations are differences of instants that lie a grid apart, give or take what really passed. */
static int64_t grids(const struct jobq_durations *d)
{
    return (d->total_ms + GRID / 2) / GRID;
}

/* Two buckets that lie side by side could differ; what took nearly nothing and what took a grid do not. */
static void show_durations(FILE *out, const char *name, const struct jobq_durations *d)
{
    uint64_t below = 0;
    for (int i = 0; i < JOBQ_DURATION_BUCKETS && jobq_duration_bound(i) <= GRID / 2; i++)
        below += d->buckets[i];
    fprintf(out, " %s=%" PRIu64 ",%" PRIu64 ",%" PRId64, name, d->count, below, grids(d));
}

/* A step lies a grid behind the one before, which is more than a quarter of an hour: in the windows is what the newest did. */
void show_figures(FILE *out, const struct jobq_queue_stats *q)
{
    show_durations(out, "waited", &q->waited);
    show_durations(out, "ran", &q->ran);
    fprintf(out, " minute=%" PRIu64 ",%" PRIu64 " quarter=%" PRIu64 ",%" PRIu64, q->last_minute.completed,
            q->last_minute.failed, q->last_quarter.completed, q->last_quarter.failed);
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

void generate_events(struct generator *g, struct step *s)
{
    s->kind = STEP_EVENTS;
    s->keep_count = g->events_first ? 1000 : PICK(g, 0, 5, 1000);
    g->events_first = false;
}

void run_events(struct side *side, const struct step *s, FILE *out)
{
    struct jobq_error err = { 0 };
    const struct jobq_settings keep = { .size = sizeof keep, .what = JOBQ_CONFIGURE_EVENTS, .events = s->keep_count };
    fprintf(out, "  configure=%d\n", side->backend->configure(side->stores[s->client], &keep, &err));
    side->events_kept = s->keep_count;
}

static void show_event(struct side *side, FILE *out, const struct jobq_event_row *e)
{
    fprintf(out, "    event %" PRId64 " at=%" PRId64 " job=%d state=%d reason=%d attempt=%" PRId64 " run_at=%" PRId64,
            e->cursor, on_the_grid(side, e->at_ms), e->id.bytes[15], e->state, e->reason, e->attempt,
            on_the_grid(side, e->run_at_ms));
    show_bytes(out, "queue", e->queue);
    show_bytes(out, "kind", e->kind);
    show_bytes(out, "worker", e->worker);
    fputc('\n', out);
}

/* Those that are too many may go a little later. */
void show_events(struct side *side, FILE *out)
{
    struct jobq_error err = { 0 };
    struct jobq_event_query query = { .size = sizeof query, .limit = 10000 };
    int status = side->backend->events(side->stores[0], &query, side->arena, &err);
    int64_t first = query.newest - side->events_kept + 1;
    fprintf(out, "  events=%d newest=%" PRId64 " oldest=%" PRId64 "\n", status, query.newest,
            query.oldest > first ? query.oldest : first);
    for (size_t i = 0; i < query.row_count; i++)
        if (query.rows[i].cursor >= first)
            show_event(side, out, &query.rows[i]);
}
