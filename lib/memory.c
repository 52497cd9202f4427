/* SPDX-License-Identifier: MIT */
/*
 * The memory store: the contract of <jobq/backend.h> in plain C. Read this file first, then memory_change.c,
 * memory_put.c and memory_want.c, which are the three parts of an exchange.
 */
#include "memory.h"

#include <jobq/memory.h>

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Stores that have a name are found by it within the process: the one thing that all handles share. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mem *registry;

/* ---- clock ------------------------------------------------------------------------------------------------- */

/* Nanoseconds: two stores that are opened one after the other must not differ by what milliseconds round away. */
static int64_t read_clock(clockid_t which)
{
    struct timespec ts;
    if (clock_gettime(which, &ts) != 0)
        return 0;
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t now_of(const struct mem *m)
{
    return jobq_add_ms((read_clock(CLOCK_MONOTONIC) + m->clock_ns) / 1000000, m->offset_ms);
}

/* Fences begin at the clock in microseconds, so that they rise across stores; they stay below 2^53. */
static void lift_fence(struct mem *m)
{
    const int64_t ceiling = INT64_C(1) << 52;
    int64_t now = now_of(m);
    int64_t least = now > ceiling / 1000 ? ceiling : now * 1000;
    if (m->fence < least)
        m->fence = least;
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

static void destroy(struct mem *m)
{
    mem_edges_free(m);
    mem_keys_free(m);
    mem_rows_free(m);
    mem_groups_free(m);
    mem_workers_free(m);
    mem_schedules_free(m);
    mem_events_free(m);
    mem_ids_free(&m->ids);
    pthread_mutex_destroy(&m->lock);
    free(m->name);
    free(m->name_space);
    free(m);
}

static struct mem *create(const char *name, const char *name_space)
{
    struct mem *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return NULL;
    }
    mem_rows_init(m);
    mem_groups_init(m);
    mem_keys_init(m);
    mem_edges_init(m);
    mem_workers_init(m);
    mem_schedules_init(m);
    m->name = strdup(name);
    m->name_space = strdup(name_space);
    if (!m->name || !m->name_space || getrandom(m->store_id, sizeof m->store_id, 0) < 0) {
        destroy(m);
        return NULL;
    }
    m->clock_ns = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
    return m;
}

static struct mem *find_registered(const char *name, const char *name_space)
{
    struct mem *m = *name ? registry : NULL;
    while (m && (strcmp(m->name, name) != 0 || strcmp(m->name_space, name_space) != 0))
        m = m->next;
    return m;
}

/* With registry_lock held: the store of this name, made if need be. */
static int find_or_create(const struct jobq_uri *uri, uint32_t flags, struct mem **out, struct jobq_error *err)
{
    struct mem *m = find_registered(uri->path, uri->name_space);
    *out = m;
    if (m)
        return JOBQ_OK;
    if (flags & (JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT))
        return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "memory: there is no store of this name");
    *out = m = create(uri->path, uri->name_space);
    if (!m)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "memory: out of memory");
    if (*m->name) {
        m->next = registry;
        registry = m;
    }
    return JOBQ_OK;
}

static int open_handle(struct jobq_store *store, const struct jobq_uri *uri, uint32_t flags, struct jobq_error *err)
{
    store->pid = getpid();
    store->inspect = flags & JOBQ_OPEN_INSPECT;
    store->wake_fd = *uri->path ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
    if (*uri->path && store->wake_fd < 0)
        return jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "memory: no descriptor left for the wake-up");
    pthread_mutex_lock(&registry_lock);
    int status = find_or_create(uri, flags, &store->m, err);
    if (status == JOBQ_OK) {
        pthread_mutex_lock(&store->m->lock);
        store->next = store->m->handles;
        store->m->handles = store;
        lift_fence(store->m);
        pthread_mutex_unlock(&store->m->lock);
    }
    pthread_mutex_unlock(&registry_lock);
    if (status != JOBQ_OK && store->wake_fd >= 0)
        close(store->wake_fd);
    return status;
}

static int parse(struct jobq_arena *arena, const char *text, struct jobq_uri *uri, struct jobq_error *err)
{
    int status = jobq_uri_parse(arena, text, uri, err);
    if (status != JOBQ_OK)
        return status;
    if (strcmp(uri->scheme, "memory") != 0)
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: the memory store is \"memory:\" or \"memory:NAME\"");
    if (uri->option_count)
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: memory: has no option '%.40s'", uri->options[0].name);
    return JOBQ_OK;
}

static int memory_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_store *store = calloc(1, sizeof *store);
    struct jobq_uri uri;
    int status = arena && store ? parse(arena, options->uri, &uri, err)
                                : jobq_error_set(err, JOBQ_NOMEM, NULL, "memory: out of memory");
    if (status == JOBQ_OK)
        status = open_handle(store, &uri, options->flags, err);
    if (status == JOBQ_OK)
        *out = store;
    else
        free(store);
    jobq_arena_destroy(arena);
    return status;
}

static void take_out(struct jobq_store *store)
{
    struct jobq_store **at = &store->m->handles;
    while (*at != store)
        at = &(*at)->next;
    *at = store->next;
}

static void leave_store(struct jobq_store *store)
{
    struct mem *m = store->m;
    pthread_mutex_lock(&registry_lock);
    pthread_mutex_lock(&m->lock);
    take_out(store);
    bool last = !m->handles;
    pthread_mutex_unlock(&m->lock);
    if (last && *m->name) {
        struct mem **at = &registry;
        while (*at != m)
            at = &(*at)->next;
        *at = m->next;
    }
    pthread_mutex_unlock(&registry_lock);
    if (last)
        destroy(m);
}

static void memory_close(struct jobq_store *store)
{
    if (!store)
        return;
    /* In a forked child a lock may be held by a thread that is not there. What is shared is left to its end. */
    if (store->pid == getpid())
        leave_store(store);
    else if (!*store->m->name)
        destroy(store->m);
    if (store->wake_fd >= 0)
        close(store->wake_fd);
    jobq_receipt_free(store->receipt);
    free(store);
}

/* ---- wake-up ------------------------------------------------------------------------------------------------------ */

static void wake_others(struct jobq_store *store)
{
    const uint64_t one = 1;
    for (struct jobq_store *other = store->m->handles; other; other = other->next)
        if (other != store && other->wake_fd >= 0 && write(other->wake_fd, &one, sizeof one) < 0)
            continue; /* the counter is full: it is readable as it is */
}

static void memory_wake(struct jobq_store *store)
{
    pthread_mutex_lock(&store->m->lock);
    wake_others(store);
    pthread_mutex_unlock(&store->m->lock);
}

static int memory_wake_fd(struct jobq_store *store)
{
    return store->wake_fd;
}

static int memory_wake_drain(struct jobq_store *store)
{
    uint64_t count;
    return store->wake_fd >= 0 && read(store->wake_fd, &count, sizeof count) == (ssize_t)sizeof count;
}

/* ---- exchange ------------------------------------------------------------------------------------------------------ */

static int refuse(struct jobq_exchange *x, struct jobq_error *err, int32_t change, int32_t put, const char *what)
{
    x->failure = JOBQ_FAILURE_REFUSED;
    x->guilty_change = change;
    x->guilty_put = put;
    x->unit = jobq_error_set(err, JOBQ_FAILED, NULL, "memory: %s", what);
    x->want_unit = JOBQ_SKIPPED;
    return -1;
}

/* What this store does not have, before anything is done. */
static int check(const struct jobq_store *store, struct jobq_exchange *x, struct jobq_error *err)
{
    if (store->inspect)
        return refuse(x, err, -1, -1, "opened to inspect: nothing can be written");
    for (size_t i = 0; i < x->put_count; i++) {
        const struct jobq_put *put = &x->puts[i];
        if (put->unique && put->unique->conflict == JOBQ_CONFLICT_SUCCESSOR && put->parent_count)
            return refuse(x, err, -1, (int32_t)i, "a successor has no parents");
        if (put->only_if >= 0 && (size_t)put->only_if >= x->change_count)
            return refuse(x, err, -1, (int32_t)i, "only_if names no change of this exchange");
    }
    return 0;
}

static int do_unit(struct mem_unit *u, struct jobq_exchange *x)
{
    if (mem_keys_fade(u) != 0)
        return -1;
    for (size_t i = 0; i < x->beat_count; i++)
        if (mem_beat(u, &x->beats[i]) != 0)
            return -1;
    for (size_t i = 0; i < x->change_count; i++)
        if (mem_change(u, &x->changes[i]) != 0)
            return -1;
    for (size_t i = 0; i < x->put_count; i++)
        if (mem_put(u, &x->puts[i], x->changes) != 0)
            return -1;
    if (x->trim.limit && mem_trim(u, &x->trim) != 0)
        return -1;
    return x->worker ? mem_worker_note(u, x->worker) : 0;
}

static int end_unit(struct mem_unit *u, int result, struct jobq_exchange *x, struct jobq_error *err)
{
    if (result == 0) {
        mem_unit_commit(u);
        return JOBQ_OK;
    }
    mem_unit_rollback(u);
    x->failure = JOBQ_FAILURE_FULL;
    return jobq_error_set(err, JOBQ_FAILED, NULL, "memory: out of memory");
}

static void forget_want(struct jobq_want *want)
{
    want->token = (struct jobq_token){ 0 };
    want->rows = NULL;
    want->row_count = 0;
    want->more = 0;
    want->schedules = NULL;
    want->schedule_count = 0;
    want->next_cursor = (struct jobq_bytes){ 0 };
}

static void run(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    struct mem_unit u = { .m = store->m, .arena = arena, .now = x->now_ms, .rate_ms = INT64_MAX };
    x->want_unit = JOBQ_SKIPPED;
    if (check(store, x, err) != 0)
        return;
    x->unit = end_unit(&u, do_unit(&u, x), x, err);
    if (u.wake)
        wake_others(store);
    if (x->unit != JOBQ_OK)
        return;
    x->want_unit = JOBQ_OK;
    if (x->want)
        x->want_unit = end_unit(&u, mem_want(&u, x->want), x, err);
    if (x->want_unit != JOBQ_OK)
        forget_want(x->want);
    else
        x->next_due_ms = jobq_add_ms(x->now_ms, u.rate_ms);
    store->receipt = jobq_receipt_keep(store->receipt, x);
}

/* ---- the same request again ----------------------------------------------------------------------------------------- */

static int view_claimed(struct mem *m, struct jobq_want *want, struct jobq_arena *arena, const struct jobq_id *ids,
                        size_t count, struct jobq_token token)
{
    struct jobq_row *rows = jobq_arena_alloc(arena, count * sizeof *rows);
    if (!rows)
        return -1;
    want->token = token;
    want->rows = rows;
    want->row_count = 0;
    want->next_cursor = (struct jobq_bytes){ 0 };
    for (size_t i = 0; i < count; i++) {
        const struct mem_row *row = mem_find(m, &ids[i]);
        if (!row || row->c.row.state != JOBQ_ROW_RUNNING || row->c.row.outcome != JOBQ_OUTCOME_NONE ||
            memcmp(&row->c.row.token, &token, sizeof token) != 0)
            continue;
        struct jobq_row *out = &rows[want->row_count++];
        if (mem_view(m, arena, row, JOBQ_READ_PAYLOAD, out) != 0)
            return -1;
        out->overdue = row->c.swept;
    }
    return 0;
}

static int view_refused(struct mem *m, struct jobq_exchange *x, struct jobq_arena *arena)
{
    for (size_t i = 0; i < x->change_count; i++) {
        struct jobq_change *change = &x->changes[i];
        const struct mem_row *row = mem_find(m, &change->id);
        if (!row || (change->verdict == JOBQ_OK && !(change->set & JOBQ_SET_LEASE)))
            continue;
        change->row = mem_view_one(m, arena, row);
        if (!change->row)
            return -1;
    }
    return 0;
}

/* Nothing is done; what was answered is answered again, with the rows as they are now. */
static bool repeat(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    const struct jobq_id *ids;
    size_t count;
    struct jobq_token token;
    if (!jobq_receipt_answer(store->receipt, x, &ids, &count, &token))
        return false;
    if (view_refused(store->m, x, arena) != 0 ||
        (x->want && view_claimed(store->m, x->want, arena, ids, count, token) != 0))
        x->unit = jobq_error_set(err, JOBQ_UNKNOWN, NULL, "memory: out of memory while repeating an answer");
    return true;
}

static int memory_exchange(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena,
                           struct jobq_error *err)
{
    pthread_mutex_lock(&store->m->lock);
    x->failure = 0;
    x->guilty_change = x->guilty_put = -1;
    x->now_ms = now_of(store->m);
    x->next_due_ms = INT64_MAX;
    if (!repeat(store, x, arena, err))
        run(store, x, arena, err);
    int64_t next = mem_next_due(store->m, x->now_ms);
    x->next_due_ms = next < x->next_due_ms ? next : x->next_due_ms;
    x->next_tick_ms = mem_next_tick(store->m);
    pthread_mutex_unlock(&store->m->lock);
    return x->unit;
}

/* ---- the other operations ------------------------------------------------------------------------------------------------ */

static int no_memory(struct jobq_error *err)
{
    return jobq_error_set(err, JOBQ_FAILED, NULL, "memory: out of memory");
}

static int memory_read(struct jobq_store *store, struct jobq_query *query, struct jobq_arena *arena,
                       struct jobq_error *err)
{
    pthread_mutex_lock(&store->m->lock);
    int result = mem_read(store->m, query, arena, now_of(store->m));
    pthread_mutex_unlock(&store->m->lock);
    return result == 0 ? JOBQ_OK : no_memory(err);
}

/* Other namespaces under the same name. */
static int list_name_spaces(const struct jobq_store *store, struct jobq_stats *out, struct jobq_arena *arena)
{
    size_t count = 0, room = 0;
    for (const struct mem *m = registry; m; m = m->next)
        room++;
    struct jobq_namespace_stats *spaces = jobq_arena_alloc(arena, room * sizeof *spaces);
    if (!spaces)
        return -1;
    for (struct mem *m = registry; m; m = m->next) {
        if (m == store->m || strcmp(m->name, store->m->name) != 0)
            continue;
        struct jobq_stats other = { 0 };
        const struct jobq_bytes all = { 0 };
        pthread_mutex_lock(&m->lock);
        int result = mem_stats(m, &all, &other, arena, now_of(m));
        pthread_mutex_unlock(&m->lock);
        spaces[count].name = jobq_arena_text(arena, m->name_space, strlen(m->name_space));
        spaces[count].workers = other.worker_count;
        if (result != 0 || !spaces[count++].name)
            return -1;
    }
    out->namespaces = spaces;
    out->namespace_count = count;
    return 0;
}

static int memory_stats(struct jobq_store *store, const struct jobq_bytes *queue, struct jobq_stats *out,
                        struct jobq_arena *arena, struct jobq_error *err)
{
    size_t name_bytes = strlen(store->m->name);
    char *address = jobq_arena_alloc(arena, sizeof "memory:" + name_bytes);
    out->engine = "memory";
    out->durability = "none: the store ends with the process";
    out->schema_version = out->schema_known = 1;
    out->log_bytes = -1;
    out->address = address;
    out->name_space = jobq_arena_text(arena, store->m->name_space, strlen(store->m->name_space));
    if (!address || !out->name_space)
        return no_memory(err);
    memcpy(address, "memory:", sizeof "memory:" - 1);
    memcpy(address + sizeof "memory:" - 1, store->m->name, name_bytes + 1);
    pthread_mutex_lock(&registry_lock);
    int result = list_name_spaces(store, out, arena);
    pthread_mutex_unlock(&registry_lock);
    pthread_mutex_lock(&store->m->lock);
    if (result == 0)
        result = mem_stats(store->m, queue, out, arena, now_of(store->m));
    pthread_mutex_unlock(&store->m->lock);
    return result == 0 ? JOBQ_OK : no_memory(err);
}

static int memory_configure(struct jobq_store *store, const struct jobq_settings *settings, struct jobq_error *err)
{
    if (store->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "memory: opened to inspect: nothing can be written");
    pthread_mutex_lock(&store->m->lock);
    struct mem_unit u = { .m = store->m, .now = now_of(store->m) };
    int status = mem_configure(&u, settings);
    if (status == JOBQ_OK)
        mem_unit_commit(&u);
    else
        mem_unit_rollback(&u);
    if (u.wake)
        wake_others(store);
    pthread_mutex_unlock(&store->m->lock);
    if (status == JOBQ_UNSUPPORTED)
        return jobq_error_set(err, status, NULL, "memory: there is no such setting");
    if (status == JOBQ_OUTDATED)
        return jobq_error_set(err, status, "version", "memory: the schedule was changed meanwhile");
    return status < 0 && status != JOBQ_NOT_FOUND ? no_memory(err) : status;
}

static int memory_limits(struct jobq_store *store, struct jobq_limit_query *query, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    pthread_mutex_lock(&store->m->lock);
    int result = mem_limits(store->m, query, arena, now_of(store->m));
    pthread_mutex_unlock(&store->m->lock);
    return result == 0 ? JOBQ_OK : no_memory(err);
}

static int memory_schedules(struct jobq_store *store, struct jobq_schedule_query *query, struct jobq_arena *arena,
                            struct jobq_error *err)
{
    pthread_mutex_lock(&store->m->lock);
    query->now_ms = now_of(store->m);
    int result = mem_read_schedules(store->m, query, arena);
    pthread_mutex_unlock(&store->m->lock);
    return result == 0 ? JOBQ_OK : no_memory(err);
}

static int memory_dump(struct jobq_store *store, struct jobq_dump *dump, struct jobq_arena *arena,
                       struct jobq_error *err)
{
    pthread_mutex_lock(&store->m->lock);
    int result = mem_dump(store->m, dump, arena, now_of(store->m));
    pthread_mutex_unlock(&store->m->lock);
    return result == 0 ? JOBQ_OK : no_memory(err);
}

static int memory_load(struct jobq_store *store, struct jobq_item *items, size_t count, struct jobq_error *err)
{
    if (store->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "memory: opened to inspect: nothing can be written");
    pthread_mutex_lock(&store->m->lock);
    struct mem_unit u = { .m = store->m, .now = now_of(store->m) };
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = mem_load(&u, &items[i]);
    if (result == 0)
        mem_unit_commit(&u);
    else
        mem_unit_rollback(&u);
    if (u.wake)
        wake_others(store);
    pthread_mutex_unlock(&store->m->lock);
    return result == 0 ? JOBQ_OK : no_memory(err);
}

static int memory_events(struct jobq_store *store, struct jobq_event_query *query, struct jobq_arena *arena,
                         struct jobq_error *err)
{
    pthread_mutex_lock(&store->m->lock);
    int result = mem_read_events(store->m, query, arena);
    pthread_mutex_unlock(&store->m->lock);
    return result == 0 ? JOBQ_OK : no_memory(err);
}

const struct jobq_backend *jobq_memory(void)
{
    static const struct jobq_backend table = {
        .size = sizeof table,
        .name = "memory",
        .capabilities = JOBQ_CAP_LOG | JOBQ_CAP_RESULTS | JOBQ_CAP_EDGES
            | JOBQ_CAP_KEY_MODES
            | JOBQ_CAP_SUCCESSOR
            | JOBQ_CAP_GROUPS
            | JOBQ_CAP_SCHEDULES
            | JOBQ_CAP_EVENTS
            | JOBQ_CAP_WAKE
            | JOBQ_CAP_FIGURES
            | JOBQ_CAP_COPY,
        .open = memory_open,
        .close = memory_close,
        .exchange = memory_exchange,
        .read = memory_read,
        .stats = memory_stats,
        .configure = memory_configure,
        .wake_fd = memory_wake_fd,
        .wake_drain = memory_wake_drain,
        .wake = memory_wake,
        .schedules = memory_schedules,
        .dump = memory_dump,
        .load = memory_load,
        .events = memory_events,
        .limits = memory_limits,
    };
    return &table;
}
