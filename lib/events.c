/* SPDX-License-Identifier: MIT */
/* The stream of what happened, page by page. */
#include "internal.h"

#include <stdlib.h>

#define EVENTS_MAX 10000

struct events_owner {
    struct jobq_events events;
    struct jobq_arena *arena;
};

static int need_events(const struct jobq *q)
{
    return handle_has(q, JOBQ_CAP_EVENTS) ? JOBQ_OK
                                          : fail_with(JOBQ_UNSUPPORTED, NULL, "this store keeps no events");
}

int jobq_events_keep(struct jobq *q, int64_t count)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_EVENTS, .events = count };
    int rc = handle_check_own(q, "a setting");

    if (rc == JOBQ_OK)
        rc = check_range("count", count, 0, INT64_C(100000000));
    if (rc == JOBQ_OK)
        rc = need_events(q);
    return rc == JOBQ_OK ? handle_configure(q, &s) : rc;
}

static int view_event(struct jobq_arena *arena, const struct jobq_event_row *row, struct jobq_event *out)
{
    bool gone = row->state == JOBQ_ROW_GONE;

    *out = (struct jobq_event){
        .cursor = row->cursor, .at_ms = row->at_ms, .id = row->id,
        .queue = jobq_arena_text(arena, row->queue.data, row->queue.size),
        .kind = jobq_arena_text(arena, row->kind.data, row->kind.size),
        .worker = row->worker.data ? jobq_arena_text(arena, row->worker.data, row->worker.size) : "",
        .state = gone ? 0 : jobq_shown_state(row->state, row->run_at_ms, row->at_ms),
        .reason = row->reason, .attempt = row->attempt < INT32_MAX ? (int32_t)row->attempt : INT32_MAX,
    };
    return out->queue && out->kind && out->worker ? 0 : -1;
}

/* Takes over the arena, also on failure. */
static int make(struct jobq_arena *arena, const struct jobq_event_query *query, struct jobq_events **out)
{
    struct events_owner *owner = calloc(1, sizeof *owner);
    struct jobq_event *events = jobq_arena_alloc(arena, (query->row_count + 1) * sizeof *events);
    int64_t wanted = query->after + 1;

    if (!owner || !events)
        goto no_memory;
    for (size_t i = 0; i < query->row_count; i++)
        if (view_event(arena, &query->rows[i], &events[i]) != 0)
            goto no_memory;
    owner->arena = arena;
    owner->events = (struct jobq_events){
        .size = sizeof owner->events, .count = query->row_count, .events = events,
        .lost = query->oldest > wanted ? (uint64_t)(query->oldest - wanted) : 0,
        .next = query->row_count ? events[query->row_count - 1].cursor
                : query->oldest > wanted ? query->oldest - 1 : query->after,
        .newest = query->newest,
    };
    *out = &owner->events;
    return JOBQ_OK;
no_memory:
    free(owner);
    jobq_arena_destroy(arena);
    return fail_with(JOBQ_NOMEM, NULL, "out of memory for the events");
}

int jobq_events(struct jobq *q, int64_t after, size_t limit, struct jobq_events **out)
{
    struct jobq_event_query query = { .size = sizeof query, .after = after, .limit = limit ? limit : 1000 };
    struct jobq_arena *arena;
    int rc = handle_check_own(q, "jobq_events");

    *out = NULL;
    if (rc == JOBQ_OK)
        rc = check_range("after", after, 0, INT64_MAX - 1);
    if (rc == JOBQ_OK)
        rc = check_size("limit", limit, EVENTS_MAX);
    if (rc == JOBQ_OK)
        rc = need_events(q);
    if (rc != JOBQ_OK)
        return rc;
    arena = jobq_arena_create();
    if (!arena)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for the events");
    struct jobq_store *store = handle_enter(q);
    rc = q->backend->events(store, &query, arena, last_error());
    handle_leave(q);
    if (rc == JOBQ_OK)
        return make(arena, &query, out);
    jobq_arena_destroy(arena);
    return rc;
}

void jobq_events_free(struct jobq_events *events)
{
    struct events_owner *owner = (struct events_owner *)(void *)events;

    if (!owner)
        return;
    jobq_arena_destroy(owner->arena);
    free(owner);
}
