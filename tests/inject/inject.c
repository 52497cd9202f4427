/* SPDX-License-Identifier: MIT */
#include "inject.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct jobq_store {
    struct jobq_store *inner;
};

/* Opaque on both sides: the inner store's own struct has the same name and another shape. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct inject_plan *plan;
static struct inject_answer lost;

void inject_begin(struct inject_plan *new_plan)
{
    plan = new_plan;
    plan->calls = plan->failed = plan->lost = 0;
}

static void forget(void)
{
    free(lost.beats);
    free(lost.changes);
    free(lost.puts);
    memset(&lost, 0, sizeof lost);
}

void inject_end(void)
{
    plan = NULL;
    forget();
}

const struct inject_answer *inject_lost(void)
{
    return &lost;
}

static void stop_at(long call, int late)
{
    if (call == plan->stop_call && late == plan->stop_late)
        _exit(INJECT_STOPPED);
}

/* Count a call; 1 if it must fail. *number (may be NULL): the how-manieth it is. */
static int next_call(const char *what, long *number)
{
    pthread_mutex_lock(&lock);
    long call = ++plan->calls;
    int fails = call == plan->fail_call;
    plan->failed += fails;
    pthread_mutex_unlock(&lock);
    stop_at(call, 0);
    if (number)
        *number = call;
    if (plan->trace)
        fprintf(stderr, "%s %ld %s%s\n", plan->trace, call, what, fails ? " FAILED" : "");
    return fails;
}

static int injected(struct jobq_error *err)
{
    return jobq_error_set(err, JOBQ_FAILED, NULL, "injected");
}

static int inject_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    struct jobq_store *store = malloc(sizeof *store);
    if (!store)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    int status = plan->inner->open(&store->inner, options, err);
    if (status == JOBQ_OK)
        *out = store;
    else
        free(store);
    return status;
}

static void inject_close(struct jobq_store *store)
{
    if (!store)
        return;
    plan->inner->close(store->inner);
    free(store);
}

static void *copy_of(const void *items, size_t count, size_t item_bytes)
{
    void *copy = count ? malloc(count * item_bytes) : NULL;
    if (copy)
        memcpy(copy, items, count * item_bytes);
    return copy;
}

/* Keep the answer for who wants to compare, and spoil it for the caller. */
static void lose(struct jobq_exchange *x)
{
    forget();
    memcpy(lost.client, x->client, sizeof lost.client);
    lost.number = x->number;
    lost.unit = x->unit;
    lost.want_unit = x->want_unit;
    lost.beats = copy_of(x->beats, x->beat_count, sizeof *x->beats);
    lost.changes = copy_of(x->changes, x->change_count, sizeof *x->changes);
    lost.puts = copy_of(x->puts, x->put_count, sizeof *x->puts);
    if (x->want)
        lost.want = *x->want;
    for (size_t i = 0; i < x->change_count; i++)
        x->changes[i].verdict = x->changes[i].stale = INT32_MAX;
    for (size_t i = 0; i < x->put_count; i++)
        x->puts[i].verdict = x->puts[i].state = x->puts[i].shown = INT32_MAX;
    for (size_t i = 0; i < x->beat_count; i++)
        x->beats[i].held = SIZE_MAX;
    if (x->want)
        x->want->row_count = SIZE_MAX;
    x->unit = JOBQ_UNKNOWN;
    x->want_unit = JOBQ_SKIPPED;
}

/* Is the answer of this exchange to be lost? A repeat of the one just lost gets through. */
static int must_lose(const struct jobq_exchange *x, long call)
{
    int repeated = lost.number && lost.number == x->number && memcmp(lost.client, x->client, sizeof lost.client) == 0;
    return (plan->lose_each && !repeated) || plan->lose_call == call;
}

static int inject_exchange(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena,
                           struct jobq_error *err)
{
    long call;
    if (next_call("exchange", &call)) {
        x->failure = JOBQ_FAILURE_TRANSIENT;
        x->guilty_change = x->guilty_put = -1;
        x->want_unit = JOBQ_SKIPPED;
        return x->unit = injected(err);
    }
    int status = plan->inner->exchange(store->inner, x, arena, err);
    stop_at(call, 1);
    pthread_mutex_lock(&lock);
    bool loses = status == JOBQ_OK && x->number && must_lose(x, call);
    if (loses) {
        plan->lost++;
        lose(x);
    }
    pthread_mutex_unlock(&lock);
    if (!loses)
        return status;
    return jobq_error_set(err, JOBQ_UNKNOWN, NULL, "injected");
}

static int inject_read(struct jobq_store *store, struct jobq_query *query, struct jobq_arena *arena,
                       struct jobq_error *err)
{
    return next_call("read", NULL) ? injected(err) : plan->inner->read(store->inner, query, arena, err);
}

static int inject_stats(struct jobq_store *store, const struct jobq_bytes *queue, struct jobq_stats *out,
                        struct jobq_arena *arena, struct jobq_error *err)
{
    return next_call("stats", NULL) ? injected(err) : plan->inner->stats(store->inner, queue, out, arena, err);
}

static int inject_configure(struct jobq_store *store, const struct jobq_settings *settings, struct jobq_error *err)
{
    long call;
    if (next_call("configure", &call))
        return injected(err);
    int status = plan->inner->configure(store->inner, settings, err);
    stop_at(call, 1);
    return status;
}

static int inject_schedules(struct jobq_store *store, struct jobq_schedule_query *query, struct jobq_arena *arena,
                            struct jobq_error *err)
{
    return next_call("schedules", NULL) ? injected(err) : plan->inner->schedules(store->inner, query, arena, err);
}

static int inject_dump(struct jobq_store *store, struct jobq_dump *dump, struct jobq_arena *arena,
                       struct jobq_error *err)
{
    return next_call("dump", NULL) ? injected(err) : plan->inner->dump(store->inner, dump, arena, err);
}

static int inject_load(struct jobq_store *store, struct jobq_item *items, size_t count, struct jobq_error *err)
{
    return next_call("load", NULL) ? injected(err) : plan->inner->load(store->inner, items, count, err);
}

static int inject_events(struct jobq_store *store, struct jobq_event_query *query, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    return next_call("events", NULL) ? injected(err) : plan->inner->events(store->inner, query, arena, err);
}

static int inject_limits(struct jobq_store *store, struct jobq_limit_query *query, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    return next_call("limits", NULL) ? injected(err) : plan->inner->limits(store->inner, query, arena, err);
}

static int inject_wake_fd(struct jobq_store *store)
{
    return plan->inner->wake_fd ? plan->inner->wake_fd(store->inner) : -1;
}

static int inject_wake_drain(struct jobq_store *store)
{
    return plan->inner->wake_drain ? plan->inner->wake_drain(store->inner) : 0;
}

static void inject_wake(struct jobq_store *store)
{
    if (plan->inner->wake)
        plan->inner->wake(store->inner);
}

const struct jobq_backend *inject_backend(void)
{
    static struct jobq_backend table = {
        .size = sizeof table,
        .name = "inject",
        .open = inject_open,
        .close = inject_close,
        .exchange = inject_exchange,
        .read = inject_read,
        .stats = inject_stats,
        .configure = inject_configure,
        .wake_fd = inject_wake_fd,
        .wake_drain = inject_wake_drain,
        .wake = inject_wake,
        .dump = inject_dump,
        .load = inject_load,
        .schedules = inject_schedules,
        .events = inject_events,
        .limits = inject_limits,
    };
    /* Written by the first caller only: later ones may be threads. */
    uint32_t capabilities = plan->inner->capabilities;
    if (__atomic_load_n(&table.capabilities, __ATOMIC_RELAXED) != capabilities)
        __atomic_store_n(&table.capabilities, capabilities, __ATOMIC_RELAXED);
    return &table;
}
