/* SPDX-License-Identifier: MIT */
/* Threads that wait for the answers of exchanges while the turning thread goes on: one exchange takes new jobs while another
 * hands in what is done. They are started when there is such a thing to do, and touch nothing but the turn they carry. */
#include "turn.h"

int couriers_init(struct couriers *c)
{
    if (pthread_mutex_init(&c->lock, NULL) != 0)
        return -1;
    if (pthread_cond_init(&c->work, NULL) != 0) {
        pthread_mutex_destroy(&c->lock);
        return -1;
    }
    return 0;
}

void couriers_destroy(struct couriers *c)
{
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
}

/* Behind those in the list. Lock held. */
static void append(struct turn **first, struct turn **last, struct turn *t)
{
    t->next = NULL;
    if (*first)
        (*last)->next = t;
    else
        *first = t;
    *last = t;
}

static struct turn *next_turn(struct couriers *c)
{
    struct turn *t;

    while (!c->first && !c->closing)
        pthread_cond_wait(&c->work, &c->lock);
    t = c->first;
    if (t)
        c->first = t->next;
    return t;
}

static void *courier_thread(void *arg)
{
    struct jobq_worker *w = arg;
    struct couriers *c = &w->couriers;
    struct turn *t;

    pthread_mutex_lock(&c->lock);
    while ((t = next_turn(c)) != NULL) {
        pthread_mutex_unlock(&c->lock);
        t->rc = call_send(w->q, t->call, 0);
        pthread_mutex_lock(&c->lock);
        append(&c->back, &c->newest, t);
        pthread_mutex_unlock(&c->lock);
        waker_ring(&w->waker);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void couriers_stop(struct jobq_worker *w)
{
    struct couriers *c = &w->couriers;

    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->thread_count; i++)
        pthread_join(c->threads[i], NULL);
    c->thread_count = 0;
}

bool couriers_ready(struct jobq_worker *w)
{
    struct couriers *c = &w->couriers;

    if (c->thread_count)
        return true;
    c->closing = false;
    for (; c->thread_count < COURIERS; c->thread_count++)
        if (pthread_create(&c->threads[c->thread_count], NULL, courier_thread, w) != 0) {
            couriers_stop(w); /* the turning thread waits for its answers itself, then */
            c->wanted = false;
            return false;
        }
    return true;
}

void courier_give(struct jobq_worker *w, struct turn *t)
{
    struct couriers *c = &w->couriers;

    pthread_mutex_lock(&c->lock);
    append(&c->first, &c->last, t);
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
}

struct turn *courier_take(struct jobq_worker *w)
{
    struct couriers *c = &w->couriers;
    struct turn *list;

    pthread_mutex_lock(&c->lock);
    list = c->back;
    c->back = c->newest = NULL;
    pthread_mutex_unlock(&c->lock);
    return list;
}
