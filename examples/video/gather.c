/* SPDX-License-Identifier: MIT */
#include "gather.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "log.h"
#include "parts.h"
#include "text.h"

#define BATCH_MOST       200
#define BATCH_MOST_BYTES (2u << 20)                  /* within one exchange of the library */
#define KEY_WINDOW_MS    (INT64_C(24) * 3600 * 1000) /* a repeated request is recognised for so long */
#define UNKNOWN_TRIES    3
#define SPECS_EACH       2
#define TOGETHER_US      5000 /* clients that come within this are several at once */

struct gather {
    struct jobq *q;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;      /* of all that is below */
    struct http_server *server; /* NULL: nobody is to be woken */
    int running, stopping;
    int busy; /* somebody uses the handle */
    struct gathered *first, **last;
    struct gather_before before;
};

/* ---- the specs ------------------------------------------------------------------------------- */

static struct jobq_spec spec_of(const struct gathered *one, int part, const struct jobq_id *id)
{
    return (struct jobq_spec){
        .size = sizeof(struct jobq_spec),
        .queue = parts[part].queue,
        .group = *one->tenant ? one->tenant : NULL,
        .payload = {one->request.payload, strlen(one->request.payload)},
        .id = id,
        .timeout_ms = parts[part].timeout_ms,
    };
}

/* The probe, last, and before it the fetch that it waits for. The key is the probe's: a fetch that was put
 * beside a repeated request finds that it has no submission. Returns how many. */
static size_t specs_of(const struct gathered *one, struct jobq_spec specs[SPECS_EACH])
{
    size_t count = 0;
    struct jobq_spec *probe;

    if (one->request.url)
        specs[count++] = spec_of(one, PART_FETCH, &one->fetch.id);
    probe = &specs[count++];
    *probe = spec_of(one, PART_PROBE, &one->id);
    if (one->request.url) {
        probe->parents = &one->fetch;
        probe->parent_count = 1;
    }
    if (one->request.key) {
        probe->key = (struct jobq_bytes){one->request.key, strlen(one->request.key)};
        probe->key_scope = JOBQ_SCOPE_GROUP;
        probe->key_hold = JOBQ_HOLD_WINDOW;
        probe->key_window_ms = KEY_WINDOW_MS;
    }
    return count;
}

/* ---- probes ---------------------------------------------------------------------------------- */

static void keep_problem(struct gathered *one)
{
    text_of_error(one->status, one->problem, sizeof(one->problem));
    snprintf(one->field, sizeof(one->field), "%s", jobq_last_error()->field);
}

/* A probe without a parent is one whose fetch was refused. */
static void keep_answer(struct gathered *one, const struct jobq_enqueued *puts, size_t count)
{
    one->put = puts[count - 1];
    one->status = one->put.status == JOBQ_NO_PARENT ? puts[0].status : one->put.status;
    if (one->status < 0)
        snprintf(one->problem, sizeof(one->problem), "%s", jobq_strerror(one->status));
}

/* In one exchange, whose items have a code each. Returns the library's code; JOBQ_INVALID: nothing was sent,
 * because one of them is bad. */
static int put_together(struct jobq *q, struct gathered **batch, size_t count)
{
    struct jobq_spec specs[SPECS_EACH * BATCH_MOST];
    struct jobq_enqueued puts[SPECS_EACH * BATCH_MOST];
    size_t used = 0, at = 0, counts[BATCH_MOST];
    int status = JOBQ_UNKNOWN;

    for (size_t i = 0; i < count; i++) {
        counts[i] = specs_of(batch[i], specs + used);
        used += counts[i];
    }
    for (size_t i = 0; i < used; i++)
        puts[i] = (struct jobq_enqueued){.size = sizeof(puts[i]), .status = JOBQ_NOMEM};
    for (int i = 0; i < UNKNOWN_TRIES && status == JOBQ_UNKNOWN; i++)
        status = jobq_enqueue_many(q, specs, used, puts);
    for (size_t i = 0; i < count; at += counts[i++])
        keep_answer(batch[i], puts + at, counts[i]);
    return status;
}

/* A bad one must not be the others' misfortune. */
static void put_probes(struct jobq *q, struct gathered **batch, size_t count)
{
    if (count > 1 && put_together(q, batch, count) != JOBQ_INVALID)
        return;
    for (size_t i = 0; i < count; i++) {
        int status = put_together(q, &batch[i], 1);
        if (status == JOBQ_INVALID)
            batch[i]->status = status;
        if (batch[i]->status < 0)
            keep_problem(batch[i]);
    }
}

/* ---- who waits for the probe, to tell the caller of the end ------------------------------------ */

static int wants_notify(const struct gathered *one)
{
    return one->request.callback_url && one->status >= 0 &&
           (one->status != JOBQ_DUPLICATE || one->put.same_payload);
}

/* A repeated request puts it again under the same id; when the submission is no longer kept there is nothing
 * to tell. */
static void put_notify(struct jobq *q, struct gathered *one)
{
    struct jobq_id id;
    const struct jobq_parent probe = {.id = one->put.id, .rule = JOBQ_PARENT_IGNORE};
    const struct jobq_spec spec = {
        .size = sizeof(spec),
        .queue = parts[PART_NOTIFY].queue,
        .group = *one->tenant ? one->tenant : NULL,
        .payload = {one->request.payload, strlen(one->request.payload)},
        .id = &id,
        .timeout_ms = parts[PART_NOTIFY].timeout_ms,
        .parents = &probe,
        .parent_count = 1,
    };
    int status = JOBQ_UNKNOWN;

    part_id(&one->put.id, PART_NOTIFY, &id);
    for (int i = 0; i < UNKNOWN_TRIES && status == JOBQ_UNKNOWN; i++)
        status = jobq_enqueue(q, &spec, NULL);
    if (status < 0 && status != JOBQ_NO_PARENT) {
        one->status = status;
        keep_problem(one);
    }
}

static void put_batch(struct jobq *q, struct gathered **batch, size_t count)
{
    put_probes(q, batch, count);
    for (size_t i = 0; i < count; i++)
        if (wants_notify(batch[i]))
            put_notify(q, batch[i]);
}

/* ---- who waits ------------------------------------------------------------------------------- */

int gather_is_alone(const struct gather_before *before, const void *from, int64_t now_us)
{
    return before->from == from || now_us - before->ended_us > TOGETHER_US;
}

/* The lock is held, and let go while the store is asked. */
static void run_batch(struct gather *gather, struct gathered **batch, size_t count)
{
    gather->busy = 1;
    pthread_mutex_unlock(&gather->lock);
    put_batch(gather->q, batch, count);
    pthread_mutex_lock(&gather->lock);
    gather->busy = 0;
    gather->before = (struct gather_before){count == 1 ? batch[0]->from : NULL, log_now_us()};
    for (size_t i = 0; i < count; i++) {
        batch[i]->together = count;
        batch[i]->done = 1;
    }
    pthread_cond_broadcast(&gather->change);
}

/* The lock is held. */
static void unref(struct gathered *one)
{
    if (--one->refs > 0)
        return;
    request_free(&one->request);
    free(one);
}

/* The lock is held. As many as fit into one exchange, at least one. */
static size_t take_batch(struct gather *gather, struct gathered **batch)
{
    size_t count = 0, bytes = 0;

    while (gather->first && count < BATCH_MOST) {
        struct gathered *one = gather->first;
        bytes += strlen(one->request.payload);
        if (count > 0 && bytes > BATCH_MOST_BYTES)
            break;
        gather->first = one->next;
        batch[count++] = one;
    }
    if (!gather->first)
        gather->last = &gather->first;
    return count;
}

static void *run(void *user)
{
    struct gather *gather = user;
    struct gathered *batch[BATCH_MOST];
    size_t count;

    pthread_mutex_lock(&gather->lock);
    for (;;) {
        while (gather->busy || (!gather->first && !gather->stopping))
            pthread_cond_wait(&gather->change, &gather->lock);
        if (!gather->first)
            break;
        count = take_batch(gather, batch);
        run_batch(gather, batch, count);
        for (size_t i = 0; i < count; i++)
            unref(batch[i]);
        if (gather->server)
            http_wake_short(gather->server);
    }
    pthread_mutex_unlock(&gather->lock);
    return NULL;
}

static struct gathered *gathered_of(struct request *request, const char *tenant)
{
    struct gathered *one = calloc(1, sizeof(*one));

    if (!one || jobq_id_new(&one->id) != JOBQ_OK) {
        free(one);
        return NULL;
    }
    one->refs = 1;
    one->fetch.rule = JOBQ_PARENT_FAIL;
    part_id(&one->id, PART_FETCH, &one->fetch.id);
    one->request = *request;
    *request = (struct request){.status = 0};
    snprintf(one->tenant, sizeof(one->tenant), "%s", tenant);
    return one;
}

struct gathered *gather_put(struct gather *gather, struct request *request, const char *tenant,
                            const void *from)
{
    struct gathered *one = gathered_of(request, tenant);

    if (!one)
        return NULL;
    one->from = from;
    pthread_mutex_lock(&gather->lock);
    if (gather->busy || gather->first || !gather_is_alone(&gather->before, from, log_now_us())) {
        one->refs = 2;
        *gather->last = one;
        gather->last = &one->next;
        /* Whoever uses the handle wakes the thread when he has done; before it has come there is nothing new
         * to tell it. */
        if (!gather->busy && gather->first == one)
            pthread_cond_broadcast(&gather->change);
    } else {
        run_batch(gather, &one, 1);
    }
    pthread_mutex_unlock(&gather->lock);
    return one;
}

int gather_is_done(struct gather *gather, struct gathered *gathered, int wait)
{
    int done;

    pthread_mutex_lock(&gather->lock);
    while (wait && !gathered->done)
        pthread_cond_wait(&gather->change, &gather->lock);
    done = gathered->done;
    pthread_mutex_unlock(&gather->lock);
    return done;
}

void gather_leave(struct gather *gather, struct gathered *gathered)
{
    pthread_mutex_lock(&gather->lock);
    unref(gathered);
    pthread_mutex_unlock(&gather->lock);
}

/* ---- its life -------------------------------------------------------------------------------- */

struct gather *gather_create(struct jobq *q)
{
    struct gather *gather = calloc(1, sizeof(*gather));

    if (!gather)
        return NULL;
    gather->q = q;
    gather->last = &gather->first;
    pthread_mutex_init(&gather->lock, NULL);
    pthread_cond_init(&gather->change, NULL);
    return gather;
}

int gather_start(struct gather *gather, struct http_server *server)
{
    int failed;

    pthread_mutex_lock(&gather->lock);
    gather->server = server;
    failed = pthread_create(&gather->thread, NULL, run, gather) != 0;
    gather->running = !failed;
    pthread_mutex_unlock(&gather->lock);
    return failed ? -1 : 0;
}

void gather_hush(struct gather *gather)
{
    pthread_mutex_lock(&gather->lock);
    gather->server = NULL;
    pthread_mutex_unlock(&gather->lock);
}

void gather_stop(struct gather *gather)
{
    int running;

    pthread_mutex_lock(&gather->lock);
    running = gather->running;
    gather->running = 0;
    gather->stopping = 1;
    pthread_cond_broadcast(&gather->change);
    pthread_mutex_unlock(&gather->lock);
    if (running)
        pthread_join(gather->thread, NULL);
}

void gather_destroy(struct gather *gather)
{
    if (!gather)
        return;
    gather_stop(gather);
    pthread_cond_destroy(&gather->change);
    pthread_mutex_destroy(&gather->lock);
    free(gather);
}
