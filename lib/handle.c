/* SPDX-License-Identifier: MIT */
/* Open and close, and who is woken by what a handle did. */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint32_t random_dice(void)
{
    uint32_t dice = 0;

    (void)random_bytes(&dice, sizeof dice); /* without random bytes there is no jitter, nothing worse */
    return dice;
}

static int check_options(const struct jobq_options *o)
{
    int rc = check_range("flags", o->flags, 0, JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT);

    if (rc == JOBQ_OK)
        rc = check_range("io_timeout_ms", o->io_timeout_ms, 100, 600000);
    if (rc == JOBQ_OK)
        rc = check_range("call_timeout_ms", o->call_timeout_ms, 1, 86400000);
    if (rc == JOBQ_OK)
        rc = check_size("payload_max_bytes", o->payload_max_bytes, PAYLOAD_CEILING_BYTES);
    if (rc == JOBQ_OK)
        rc = check_size("result_max_bytes", o->result_max_bytes, PAYLOAD_CEILING_BYTES);
    if (rc == JOBQ_OK)
        rc = check_range("connections", o->connections, 1, LANES_MAX);
    if (rc == JOBQ_OK)
        rc = check_range("reserved", o->reserved, 0, 0);
    if (rc == JOBQ_OK)
        rc = check_range("age_step_ms", o->age_step_ms, 1, INT64_C(31536000000));
    return rc;
}

static int take_options(const struct jobq_options *given, struct jobq_options *out)
{
    *out = (struct jobq_options){ .size = sizeof *out };
    if (given) {
        int rc = read_struct("options", given, given->size, offsetof(struct jobq_options, keep), out, sizeof *out);
        if (rc != JOBQ_OK)
            return rc;
    }
    if (!out->io_timeout_ms)
        out->io_timeout_ms = 30000;
    if (!out->call_timeout_ms)
        out->call_timeout_ms = out->io_timeout_ms;
    if (!out->payload_max_bytes)
        out->payload_max_bytes = PAYLOAD_DEFAULT_BYTES;
    if (!out->result_max_bytes)
        out->result_max_bytes = PAYLOAD_DEFAULT_BYTES;
    if (!out->age_step_ms)
        out->age_step_ms = AGE_STEP_DEFAULT_MS;
    if (!out->connections)
        out->connections = LANES_DEFAULT;
    return check_options(out);
}

static int take_keep(struct jobq *q)
{
    struct keep_values defaults;

    keep_default(&defaults);
    int rc = keep_values_of(q->options.keep, &defaults, &q->keep);
    q->options.keep = NULL;
    return rc == JOBQ_OK ? keep_check(q, q->keep.ms) : rc;
}

static int take_alert_queue(struct jobq *q)
{
    const char *name = q->options.alert_queue;
    int rc = check_name_or_null("alert_queue", name);

    if (rc == JOBQ_OK && name)
        memcpy(q->alert_queue, name, strlen(name) + 1); /* names have at most 255 bytes */
    q->options.alert_queue = NULL;
    return rc;
}

static int check_backend(const struct jobq_backend *b)
{
    if (!b)
        return fail_with(JOBQ_INVALID, "backend", "backend: is NULL");
    if (b->size < offsetof(struct jobq_backend, wake_fd) || !b->open || !b->close || !b->exchange || !b->read ||
        !b->stats || !b->configure)
        return fail_with(JOBQ_INVALID, "backend", "backend: \"%s\" lacks a mandatory operation",
                         b->name ? b->name : "?");
    return JOBQ_OK;
}

static int open_store(struct jobq *q, const char *uri)
{
    struct jobq_store_options o = {
        .size = sizeof o, .uri = uri, .flags = q->options.flags, .io_timeout_ms = q->options.io_timeout_ms
    };
    struct jobq_error *error = last_error();
    int rc;

    if (handle_has(q, JOBQ_CAP_PARALLEL) && !(q->options.flags & JOBQ_OPEN_INSPECT))
        q->lane_count = q->options.connections;
    if (q->lane_count > 1) {
        q->uri = strdup(uri);
        if (!q->uri)
            return fail_with(JOBQ_NOMEM, NULL, "out of memory for a handle");
    }
    rc = q->backend->open(&q->lanes[0].store, &o, error);
    if (rc != JOBQ_OK && error->status == 0)
        return fail_with(rc, NULL, "%s: cannot open the store", q->backend->name);
    return rc;
}

static void name_worker(struct jobq *q)
{
    char host[200] = "localhost";

    gethostname(host, sizeof host - 1);
    snprintf(q->worker_name, sizeof q->worker_name, "%s:%ld", host, (long)q->pid);
}

/* A handle without a store yet. */
static int make_handle(struct jobq **out, const struct jobq_backend *backend, const struct jobq_options *options)
{
    struct jobq *q = calloc(1, sizeof *q);

    if (!q)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a handle");
    q->backend = backend;
    q->pid = getpid();
    q->tick_at_ms = INT64_MAX;
    name_worker(q);
    int rc = take_options(options, &q->options);
    q->repeat_ms = q->options.io_timeout_ms;
    if (rc == JOBQ_OK)
        rc = take_keep(q);
    if (rc == JOBQ_OK)
        rc = take_alert_queue(q);
    q->lane_count = 1;
    for (size_t i = 0; i < LANES_MAX; i++)
        q->lanes[i].q = q;
    if (rc == JOBQ_OK)
        rc = lane_name(&q->lanes[0]);
    if (rc != JOBQ_OK) {
        free(q);
        return rc;
    }
    *out = q;
    return JOBQ_OK;
}

static void start_handle(struct jobq *q)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->idle, NULL);
    crew_init(&q->crew);
}

int jobq_open(struct jobq **out, const struct jobq_backend *backend, const char *uri,
              const struct jobq_options *options)
{
    struct jobq *q;
    int rc = check_backend(backend);

    *out = NULL;
    if (rc == JOBQ_OK && !uri)
        rc = fail_with(JOBQ_INVALID, "uri", "uri: is NULL");
    if (rc == JOBQ_OK)
        rc = make_handle(&q, backend, options);
    if (rc != JOBQ_OK)
        return rc;
    rc = open_store(q, uri);
    if (rc != JOBQ_OK) {
        free(q->uri);
        free(q);
        return rc;
    }
    start_handle(q);
    *out = q;
    return JOBQ_OK;
}

int jobq_attach_store(struct jobq **out, const struct jobq_backend *backend, jobq_attach_fn attach, void *user,
                      const struct jobq_options *options)
{
    struct jobq_error *error;
    struct jobq *q;
    int rc = check_backend(backend);

    *out = NULL;
    if (rc == JOBQ_OK && !(backend->capabilities & JOBQ_CAP_ATTACH))
        rc = fail_with(JOBQ_UNSUPPORTED, NULL, "the %s store cannot work in a transaction of the program", backend->name);
    if (rc == JOBQ_OK)
        rc = make_handle(&q, backend, options);
    if (rc != JOBQ_OK)
        return rc;
    q->attached = true;
    rc = check_range("flags", q->options.flags, 0, 0);
    if (rc == JOBQ_OK) {
        error = last_error();
        rc = attach(&q->lanes[0].store, user, q->options.io_timeout_ms, error);
    }
    if (rc != JOBQ_OK) {
        free(q);
        return rc;
    }
    start_handle(q);
    *out = q;
    return JOBQ_OK;
}

void jobq_close(struct jobq *q)
{
    if (!q)
        return;
    lanes_close(q);
    if (q->pid == getpid()) { /* in a child the lock may be held by a thread that does not exist there */
        pthread_mutex_destroy(&q->lock);
        pthread_cond_destroy(&q->idle);
        crew_free(&q->crew);
    }
    returned_free(q);
    free(q->uri);
    free(q);
}

int handle_check(const struct jobq *q)
{
    if (!q)
        return fail_with(JOBQ_INVALID, "q", "q: is NULL");
    if (q->pid != getpid())
        return fail_with(JOBQ_FORKED, NULL, "the handle was opened by process %ld, this is %ld: open one of your own",
                         (long)q->pid, (long)getpid());
    return JOBQ_OK;
}

int handle_check_own(const struct jobq *q, const char *what)
{
    int rc = handle_check(q);

    if (rc == JOBQ_OK && q->attached)
        return fail_with(JOBQ_UNSUPPORTED, NULL,
                         "%s needs a handle of jobq_open: this one works inside transactions of the program", what);
    return rc;
}

bool handle_has(const struct jobq *q, uint32_t capability)
{
    return (q->backend->capabilities & capability) == capability;
}

void handle_poke_add(struct jobq *q, struct poke *poke)
{
    pthread_mutex_lock(&q->lock);
    poke->next = q->pokes;
    q->pokes = poke;
    pthread_mutex_unlock(&q->lock);
}

void handle_poke_remove(struct jobq *q, struct poke *poke)
{
    pthread_mutex_lock(&q->lock);
    for (struct poke **at = &q->pokes; *at; at = &(*at)->next)
        if (*at == poke) {
            *at = poke->next;
            break;
        }
    pthread_mutex_unlock(&q->lock);
}

void handle_poke(struct jobq *q)
{
    for (struct poke *p = q->pokes; p; p = p->next)
        p->fn(p->user);
}

void jobq_wake(struct jobq *q)
{
    if (handle_check(q) != JOBQ_OK)
        return;
    pthread_mutex_lock(&q->lock);
    handle_poke(q);
    pthread_mutex_unlock(&q->lock);
    if (q->backend->size > offsetof(struct jobq_backend, wake) && q->backend->wake) {
        struct jobq_store *store = handle_enter(q);
        q->backend->wake(store);
        handle_leave(q);
    }
}
