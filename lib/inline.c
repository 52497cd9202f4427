/* SPDX-License-Identifier: MIT */
/* For the tests of programs: a worker that runs its handlers in the calling thread, one after the other, and is done when
 * nothing is due. It is the same worker, without threads and with room for one job. */
#include "worker.h"

static int run(struct jobq_worker *w, size_t *count)
{
    int rc = worker_begin(w);

    while (rc == JOBQ_OK && (rc = worker_step(w)) == JOBQ_OK) {
        size_t ran = pool_run_here(w);
        *count += ran;
        if (!ran) /* at most until the store is tried again */
            waker_wait(&w->waker, jobq_worker_next_ms(w));
    }
    return rc == JOBQ_ALREADY ? JOBQ_OK : rc;
}

int jobq_worker_run_due(struct jobq_worker *w, size_t *out_count)
{
    size_t count = 0;
    int rc = w ? handle_check(w->q) : fail_with(JOBQ_INVALID, "w", "w: is NULL");

    if (rc == JOBQ_OK && w->phase != PHASE_NEW && w->phase != PHASE_ENDED)
        rc = fail_with(JOBQ_STATE, NULL, "the worker runs already");
    if (rc != JOBQ_OK)
        return rc;
    size_t capacity = w->capacity;
    uint32_t flags = w->flags;
    w->in_line = true;
    w->capacity = 1; /* so that the next one is the first in order whatever this one puts */
    w->flags |= JOBQ_WORKER_DRAIN;
    rc = run(w, &count);
    w->in_line = false;
    w->capacity = capacity;
    w->flags = flags;
    if (out_count)
        *out_count = count;
    return rc;
}
