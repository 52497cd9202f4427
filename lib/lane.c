/* SPDX-License-Identifier: MIT */
/* The ways to the store: open another one, find a free one, take turns at them. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_AGAIN_MS 10000

int lane_name(struct lane *lane)
{
    if (random_bytes(lane->client, sizeof lane->client) != 0)
        return fail_with(JOBQ_FAILED, NULL, "no random bytes from the system");
    return JOBQ_OK;
}

void lanes_close(struct jobq *q)
{
    for (size_t i = 0; i < q->lane_count; i++) {
        if (q->lanes[i].store)
            q->backend->close(q->lanes[i].store);
        free(q->lanes[i].cursor);
    }
}

size_t lanes_open(const struct jobq *q)
{
    size_t open = 0;

    for (size_t i = 0; i < q->lane_count; i++)
        open += q->lanes[i].store != NULL;
    return open;
}

/* Among those that are open the one that owes the store the release of a claim. Another one is worth its connection when the
 * others are busy, and is not tried while the store does not answer. */
struct lane *lane_free(struct jobq *q)
{
    struct lane *closed = NULL, *best = NULL;

    for (size_t i = 0; i < q->lane_count; i++) {
        struct lane *lane = &q->lanes[i];
        if (!lane->store)
            closed = closed ? closed : lane;
        else if (!lane->busy && (!best || lane->lost_claim))
            best = lane;
    }
    if (best)
        return best;
    return closed && !closed->busy && q->answers && monotonic_ms() >= closed->open_at_ms ? closed : NULL;
}

void lane_open(struct lane *lane)
{
    struct jobq *q = lane->q;
    struct jobq_store_options o = { .size = sizeof o, .uri = q->uri, .flags = JOBQ_OPEN_NO_CREATE,
                                    .io_timeout_ms = q->options.io_timeout_ms };
    struct jobq_store *store = NULL;
    struct jobq_error error; /* nobody's: what the first lane can do is done */

    lane->busy = true;
    pthread_mutex_unlock(&q->lock);
    memset(&error, 0, sizeof error);
    if (lane_name(lane) == JOBQ_OK && q->backend->open(&store, &o, &error) != JOBQ_OK)
        store = NULL;
    pthread_mutex_lock(&q->lock);
    lane->store = store;
    lane->open_at_ms = jobq_add_ms(monotonic_ms(), OPEN_AGAIN_MS);
    lane_leave(lane);
}

void lane_leave(struct lane *lane)
{
    struct jobq *q = lane->q;
    bool first = lane == &q->lanes[0];

    lane->busy = false;
    if (first)
        q->readers_turn = !q->readers_turn;
    if (first && q->idle_waiters && (q->readers_turn || !q->first))
        pthread_cond_signal(&q->idle);
    else if (q->first)
        call_look(q->first);
}

struct jobq_store *handle_enter(struct jobq *q)
{
    pthread_mutex_lock(&q->lock);
    q->idle_waiters++;
    while (q->lanes[0].busy)
        pthread_cond_wait(&q->idle, &q->lock);
    q->idle_waiters--;
    q->lanes[0].busy = true;
    pthread_mutex_unlock(&q->lock);
    return q->lanes[0].store;
}

void handle_leave(struct jobq *q)
{
    pthread_mutex_lock(&q->lock);
    lane_leave(&q->lanes[0]);
    pthread_mutex_unlock(&q->lock);
}
