/* SPDX-License-Identifier: MIT */
/* The workers' own records. */
#include "store.h"

int sq_worker_note(struct turn *t, struct jobq_worker_record *w)
{
    struct jobq_store *s = t->s;
    struct value nonce = blob(w->nonce, sizeof w->nonce);
    int64_t stop = 0;
    w->stop_asked = 0;
    if (sq_run(s, SQL_WORKER_FORGET, VALUES(number(t->now))) != 0)
        return -1;
    if (w->leaving)
        return sq_run(s, SQL_WORKER_DROP, VALUES(bytes(w->name), nonce));
    if (sq_run(s, SQL_WORKER_PUT,
               VALUES(bytes(w->name), nonce, bytes(w->host), number(w->pid), number(w->started_at_ms), number(t->now),
                      number(w->lease_ms), bytes(w->queues), bytes(w->kinds), number(w->capacity),
                      number(w->running))) != 0)
        return -1;
    int found = sq_number(s, SQL_WORKER_STOP, &stop, VALUES(bytes(w->name), nonce));
    w->stop_asked = stop != 0;
    return found < 0 ? -1 : 0;
}
