/* SPDX-License-Identifier: MIT */
/* Jobs that a claim took from the store and could not hand to its caller, because there was no memory for the answer. The
 * caller is told that nothing happened, so they go back at no cost: at once, or, if that fails too, before the next claim
 * or sweep of the handle. The memory for it is taken before the claim is sent. */
#include "internal.h"

#include <stdlib.h>

struct returned {
    struct returned *next;
    size_t count;
    struct jobq_change changes[];
};

struct returned *returned_create(size_t room)
{
    return calloc(1, sizeof(struct returned) + room * sizeof(struct jobq_change));
}

void returned_add(struct jobq *q, struct returned *list, const struct jobq_row *rows, size_t count)
{
    const struct verdict_said back = { .outcome = JOBQ_RELEASE };

    for (size_t i = 0; i < count; i++)
        if (!row_is_judged(&rows[i]))
            policy_outcome(&rows[i], &back, 0, &list->changes[list->count++]);
    pthread_mutex_lock(&q->lock);
    list->next = q->returned;
    q->returned = list;
    pthread_mutex_unlock(&q->lock);
}

static struct returned *take_all(struct jobq *q)
{
    pthread_mutex_lock(&q->lock);
    struct returned *all = q->returned;
    q->returned = NULL;
    pthread_mutex_unlock(&q->lock);
    return all;
}

static void keep(struct jobq *q, struct returned *list)
{
    pthread_mutex_lock(&q->lock);
    list->next = q->returned;
    q->returned = list;
    pthread_mutex_unlock(&q->lock);
}

/* JOBQ_FAILED leaves them to the next time; after JOBQ_UNKNOWN what is still held runs out by itself. */
static int send_back(struct jobq *q, struct returned *list)
{
    struct call *call = call_create();
    int rc = JOBQ_FAILED;

    if (!call)
        return rc;
    call->changes = list->changes;
    call->change_count = list->count;
    call->lends = call->separable = true;
    rc = call_run(q, call, 0);
    call_unref(call);
    return rc;
}

void returned_send(struct jobq *q)
{
    struct returned *list = take_all(q), *next;

    if (!list)
        return;
    const struct jobq_error error = *last_error();
    for (; list; list = next) {
        next = list->next;
        if (send_back(q, list) == JOBQ_FAILED)
            keep(q, list);
        else
            free(list);
    }
    *last_error() = error;
}

void returned_free(struct jobq *q)
{
    for (struct returned *list = q->returned, *next; list; list = next) {
        next = list->next;
        free(list);
    }
}
