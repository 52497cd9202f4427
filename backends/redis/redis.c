/* SPDX-License-Identifier: MIT */
/* The Redis store: its table, open and close. Start reading at lua/exchange.lua, which is where things happen; exchange.c
 * makes its arguments, verdicts.c reads its answer. */
#include "store.h"

#include <jobq/redis.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void free_store(struct jobq_store *s)
{
    rd_wake_close(s);
    rd_link_drop(&s->link);
    rd_request_free(&s->request);
    rd_order_free(&s->order);
    rd_address_free(&s->address);
    free(s);
}

/* The server was reached or was not: an open has no other shades. */
static int open_status(struct jobq_store *s, struct jobq_error *err, int status)
{
    if (status == JOBQ_FAILED || status == JOBQ_UNKNOWN)
        status = JOBQ_UNREACHABLE;
    if (err)
        err->status = status;
    (void)s;
    return status;
}

static int connect_store(struct jobq_store *s, uint32_t flags, struct jobq_error *err)
{
    if (rd_link_ready(&s->link) != 0)
        return rd_fault_report(&s->link, err);
    int status = rd_server_check(s, err);
    if (status != JOBQ_OK)
        return status;
    return rd_namespace_open(s, !(flags & (JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT)), err);
}

/* A name among those who wake each other. */
static int name_handle(struct jobq_store *s)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return -1;
    snprintf(s->handle, sizeof s->handle, "%016llx", (unsigned long long)number);
    return 0;
}

static int redis_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    struct jobq_store *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    s->wake.epoll = s->wake.timer = -1;
    s->inspect = options->flags & JOBQ_OPEN_INSPECT;
    s->link.address = &s->address;
    s->link.timeout_ms = options->io_timeout_ms > 0 ? options->io_timeout_ms : 30000;
    int status = rd_address_parse(&s->address, options->uri, err);
    if (status == JOBQ_OK && name_handle(s) != 0)
        status = jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "no random bytes from the system");
    if (status == JOBQ_OK) {
        rd_link_begin(&s->link);
        status = open_status(s, err, connect_store(s, options->flags, err));
    }
    if (status == JOBQ_OK)
        *out = s;
    else
        free_store(s);
    return status;
}

/* A connection is closed by closing its descriptor, and nothing is sent: so a forked child may do it as well. */
static void redis_close(struct jobq_store *s)
{
    if (s)
        free_store(s);
}

const struct jobq_backend *jobq_redis(void)
{
    static const struct jobq_backend table = {
        .size = sizeof table,
        .name = "redis",
        .capabilities = JOBQ_CAP_EDGES | JOBQ_CAP_KEY_MODES | JOBQ_CAP_SUCCESSOR | JOBQ_CAP_COPY | JOBQ_CAP_SCHEDULES |
                        JOBQ_CAP_GROUPS | JOBQ_CAP_FIGURES | JOBQ_CAP_EVENTS | JOBQ_CAP_LOG | JOBQ_CAP_RESULTS | JOBQ_CAP_WAKE |
                        JOBQ_CAP_PARALLEL,
        .open = redis_open,
        .close = redis_close,
        .exchange = rd_exchange_run,
        .read = rd_read_rows,
        .stats = rd_stats_fill,
        .configure = rd_configure_store,
        .wake_fd = rd_wake_fd,
        .wake_drain = rd_wake_drain,
        .wake = rd_wake_others,
        .events = rd_events_read,
        .schedules = rd_schedules_read,
        .dump = rd_dump_page,
        .load = rd_load_items,
        .limits = rd_limits_query,
    };
    return &table;
}
