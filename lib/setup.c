/* SPDX-License-Identifier: MIT */
/* Making a worker: options, names, handlers. */
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t real_clock(void *user)
{
    (void)user;
    return monotonic_ms();
}

/* ---- options ------------------------------------------------------------------------------------------ */

static int check_queues(const struct jobq_worker_options *o)
{
    int rc = check_range("queue_count", (int64_t)o->queue_count, 1, QUEUES_MAX);

    if (rc == JOBQ_OK && !o->queues)
        rc = fail_with(JOBQ_INVALID, "queues", "queues: is NULL");
    for (size_t i = 0; rc == JOBQ_OK && i < o->queue_count; i++) {
        rc = check_name("queues", o->queues[i]);
        if (rc == JOBQ_OK && o->weights)
            rc = check_range("weights", o->weights[i], 1, 100);
    }
    return rc;
}

static int take_options(const struct jobq_worker_options *given, struct jobq_worker_options *o)
{
    int rc = given ? read_struct("worker_options", given, given->size,
                                 offsetof(struct jobq_worker_options, threads), o, sizeof *o)
                   : fail_with(JOBQ_INVALID, "options", "options: is NULL");

    if (rc != JOBQ_OK)
        return rc;
    o->threads = o->threads ? o->threads : 1;
    o->batch = o->batch ? o->batch : o->threads < EXCHANGE_ITEMS ? o->threads : EXCHANGE_ITEMS;
    o->lease_ms = o->lease_ms ? o->lease_ms : LEASE_DEFAULT_MS;
    o->grace_ms = o->grace_ms ? o->grace_ms : 10000;
    rc = check_name_or_null("name", o->name);
    if (rc == JOBQ_OK)
        rc = check_queues(o);
    if (rc == JOBQ_OK && o->threads > 1024)
        rc = fail_with(JOBQ_INVALID, "threads", "threads: is %zu, must be 1 to 1024", o->threads);
    if (rc == JOBQ_OK && o->batch > EXCHANGE_ITEMS)
        rc = fail_with(JOBQ_INVALID, "batch", "batch: is %zu, must be 1 to %d", o->batch, EXCHANGE_ITEMS);
    if (rc == JOBQ_OK)
        rc = check_range("lease_ms", o->lease_ms, LEASE_MIN_MS, LEASE_MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("grace_ms", o->grace_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("poll_ms", o->poll_ms, 0, LEASE_MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("flags", o->flags, 0,
                         JOBQ_WORKER_DRAIN | JOBQ_WORKER_ACK_EARLY | JOBQ_WORKER_NO_BATCH);
    return rc == JOBQ_OK ? check_range("retry_percent", o->retry_percent, 0, 100) : rc;
}

/* Names with commas between them; NULL without memory. */
static char *join_names(const struct jobq_bytes *names, size_t count)
{
    size_t bytes = 1;

    for (size_t i = 0; i < count; i++)
        bytes += names[i].size + 1;
    char *text = malloc(bytes), *at = text;
    for (size_t i = 0; text && i < count; i++) {
        if (i)
            *at++ = ',';
        memcpy(at, names[i].data, names[i].size);
        at += names[i].size;
    }
    if (text)
        *at = '\0';
    return text;
}

static int copy_queues(struct jobq_worker *w, const struct jobq_worker_options *o)
{
    w->queues = calloc(o->queue_count, sizeof *w->queues);
    w->queue_bytes = calloc(o->queue_count, sizeof *w->queue_bytes);
    w->want_queues = calloc(o->queue_count, sizeof *w->want_queues);
    w->credits = calloc(o->queue_count, sizeof *w->credits);
    w->budgets = calloc(o->queue_count, sizeof *w->budgets);
    if (!w->queues || !w->queue_bytes || !w->want_queues || !w->credits || !w->budgets)
        return -1;
    for (; w->queue_count < o->queue_count; w->queue_count++) {
        char *copy = strdup(o->queues[w->queue_count]);
        if (!copy)
            return -1;
        w->queues[w->queue_count] = copy;
        w->queue_bytes[w->queue_count] = bytes_of(copy);
    }
    if (o->weights) {
        w->weights = malloc(o->queue_count * sizeof *w->weights);
        if (!w->weights)
            return -1;
        memcpy(w->weights, o->weights, o->queue_count * sizeof *w->weights);
    }
    w->queue_list = join_names(w->queue_bytes, w->queue_count);
    return w->queue_list ? 0 : -1;
}

static int copy_options(struct jobq_worker *w, const struct jobq_worker_options *o)
{
    const char *name = o->name ? o->name : w->q->worker_name;

    memcpy(w->name, name, strlen(name) + 1); /* names have at most 255 bytes */
    gethostname(w->host, sizeof w->host - 1);
    w->thread_count = o->threads;
    w->capacity = o->threads + (o->flags & JOBQ_WORKER_NO_BATCH ? 0 : o->batch);
    w->lease_ms = o->lease_ms;
    w->grace_ms = o->grace_ms;
    /* Where it is told of news this is for what was lost on the way, and each such look is two calls. A lease after the
     * newest look for a job that runs alone there would be another one. */
    w->poll_ms = o->poll_ms ? o->poll_ms : w->waker.store >= 0 ? o->lease_ms - o->lease_ms / 10 : 5000;
    w->flags = o->flags;
    w->retry_percent = o->retry_percent;
    if (copy_queues(w, o) != 0)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a worker");
    if (random_bytes(w->nonce, sizeof w->nonce) != 0)
        return fail_with(JOBQ_FAILED, NULL, "no random bytes from the system");
    return JOBQ_OK;
}

/* ---- create and free ---------------------------------------------------------------------------------- */

static int store_wake_fd(struct jobq *q)
{
    const struct jobq_backend *b = q->backend;

    if (b->size < offsetof(struct jobq_backend, wake) || !b->wake_fd || !b->wake_drain)
        return -1;
    return b->wake_fd(q->lanes[0].store);
}

/* Called with the handle's lock held: atomics only. Who stops watching looks at the pokes after that. */
static void on_poke(void *user)
{
    struct jobq_worker *w = user;

    atomic_fetch_add(&w->pokes, 1);
    if (atomic_load(&w->turning))
        return;
    if (atomic_load(&w->pool.watching))
        waker_call(&w->waker);
    else
        waker_ring(&w->waker);
}

static void free_handlers(struct jobq_worker *w)
{
    for (size_t i = 0; i < w->handler_count; i++)
        free(w->handlers[i].kind);
    free(w->handlers);
    free(w->kind_bytes);
    free(w->kind_list);
}

void worker_free(struct jobq_worker *w)
{
    for (size_t i = 0; i < w->queue_count; i++)
        free(w->queues[i]);
    free(w->queues);
    free(w->queue_bytes);
    free(w->want_queues);
    free(w->credits);
    free(w->budgets);
    free(w->weights);
    free(w->queue_list);
    free(w->spare);
    free_handlers(w);
    waker_close(&w->waker);
    free(w);
}

static int threads_init(struct jobq_worker *w)
{
    if (pool_init(&w->pool) != 0)
        return -1;
    if (couriers_init(&w->couriers) != 0) {
        pool_destroy(&w->pool);
        return -1;
    }
    if (pthread_mutex_init(&w->turns, NULL) != 0) {
        couriers_destroy(&w->couriers);
        pool_destroy(&w->pool);
        return -1;
    }
    return 0;
}

int jobq_worker_create(struct jobq_worker **out, struct jobq *q, const struct jobq_worker_options *options)
{
    struct jobq_worker_options o;
    struct jobq_worker *w;
    int rc = handle_check_own(q, "a worker");

    *out = NULL;
    if (rc == JOBQ_OK)
        rc = take_options(options, &o);
    if (rc != JOBQ_OK)
        return rc;
    w = calloc(1, sizeof *w);
    if (!w || threads_init(w) != 0) {
        free(w);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a worker");
    }
    w->q = q;
    w->clock = real_clock;
    w->poke = (struct poke){ .fn = on_poke, .user = w };
    if (waker_open(&w->waker, store_wake_fd(q)) != 0)
        rc = fail_with(JOBQ_FAILED, NULL, "no descriptor for a worker: %s", strerror(errno));
    if (rc == JOBQ_OK)
        rc = copy_options(w, &o);
    if (rc != JOBQ_OK) {
        pool_destroy(&w->pool);
        couriers_destroy(&w->couriers);
        pthread_mutex_destroy(&w->turns);
        worker_free(w);
        return rc;
    }
    *out = w;
    return JOBQ_OK;
}

/* ---- handlers ----------------------------------------------------------------------------------------- */

static struct handler_entry *find_handler(const struct jobq_worker *w, const void *kind, size_t size)
{
    for (size_t i = 0; i < w->handler_count; i++) {
        const char *mine = w->handlers[i].kind;
        if (kind ? mine && strlen(mine) == size && memcmp(mine, kind, size) == 0 : !mine)
            return &w->handlers[i];
    }
    return NULL;
}

const struct handler_entry *worker_handler(const struct jobq_worker *w, struct jobq_bytes kind)
{
    const struct handler_entry *entry = kind.data ? find_handler(w, kind.data, kind.size) : NULL;

    return entry ? entry : find_handler(w, NULL, 0);
}

static int add_handler(struct jobq_worker *w, const char *kind, jobq_handler handler, void *user)
{
    struct handler_entry *grown = realloc(w->handlers, (w->handler_count + 1) * sizeof *grown);
    char *copy = kind ? strdup(kind) : NULL;

    if (grown)
        w->handlers = grown;
    if (!grown || (kind && !copy)) {
        free(copy);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a handler");
    }
    w->handlers[w->handler_count++] = (struct handler_entry){ copy, handler, user };
    return JOBQ_OK;
}

int jobq_worker_handle(struct jobq_worker *w, const char *kind, jobq_handler handler, void *user)
{
    struct handler_entry *entry = find_handler(w, kind, kind ? strlen(kind) : 0);
    int rc = check_name_or_null("kind", kind);

    if (rc == JOBQ_OK && !handler)
        rc = fail_with(JOBQ_INVALID, "handler", "handler: is NULL");
    if (rc == JOBQ_OK && w->phase != PHASE_NEW && w->phase != PHASE_ENDED)
        rc = fail_with(JOBQ_INVALID, "kind", "kind: handlers are registered before the worker runs");
    if (rc == JOBQ_OK && !entry && w->handler_count > KINDS_MAX)
        rc = fail_with(JOBQ_INVALID, "kind", "kind: a worker has at most %d kinds", KINDS_MAX);
    if (rc != JOBQ_OK || !entry)
        return rc == JOBQ_OK ? add_handler(w, kind, handler, user) : rc;
    entry->fn = handler;
    entry->user = user;
    return JOBQ_OK;
}

/* What to ask for: the kinds that have a handler, or any. */
int worker_list_kinds(struct jobq_worker *w)
{
    bool any = find_handler(w, NULL, 0) != NULL;

    free(w->kind_bytes);
    free(w->kind_list);
    w->kind_list = NULL;
    w->kind_count = any ? 0 : w->handler_count;
    w->kind_bytes = calloc(w->handler_count, sizeof *w->kind_bytes);
    for (size_t i = 0; w->kind_bytes && i < w->kind_count; i++)
        w->kind_bytes[i] = bytes_of(w->handlers[i].kind);
    if (w->kind_bytes)
        w->kind_list = join_names(w->kind_bytes, w->kind_count);
    return w->kind_list ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for a worker");
}
