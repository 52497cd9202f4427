/* SPDX-License-Identifier: MIT */
/* Retention: how many of the jobs that ended stay, and for how long. The rule itself rides on exchanges (policy_trim). */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_ITEMS 250
#define PLACE_MAX_BYTES 1024

static const int ended[] = { JOBQ_ROW_COMPLETED, JOBQ_ROW_DEAD, JOBQ_ROW_CANCELLED };
#define ENDED_COUNT (sizeof ended / sizeof ended[0])

void keep_default(struct keep_values *out)
{
    *out = (struct keep_values){ .count = { 0 } };
    out->count[JOBQ_ROW_COMPLETED] = 1000;
    out->count[JOBQ_ROW_DEAD] = 5000;
    out->count[JOBQ_ROW_CANCELLED] = 1000;
}

int keep_check(const struct jobq *q, const int64_t ms[8])
{
    if (ms[JOBQ_KEEP_RESULTS] <= 0 || handle_has(q, JOBQ_CAP_RESULTS))
        return JOBQ_OK;
    return fail_with(JOBQ_UNSUPPORTED, "results_ms", "results_ms: the %s store keeps results as long as their jobs",
                     q->backend->name);
}

/* ---- as the application says it, as the store takes it ---------------------------------------------------- */

static int count_of(const char *field, int64_t given, int64_t otherwise, int64_t *out)
{
    *out = given == 0 ? otherwise : given == JOBQ_KEEP_ALL ? -1 : given == JOBQ_KEEP_NONE ? 0 : given;
    return given == JOBQ_KEEP_NONE ? JOBQ_OK : check_range(field, given, JOBQ_KEEP_ALL, MAX_MS);
}

static int age_of(const char *field, int64_t given, int64_t otherwise, int64_t *out)
{
    *out = given == 0 ? otherwise : given == JOBQ_KEEP_ALL ? 0 : given;
    return check_range(field, given, JOBQ_KEEP_ALL, MAX_MS);
}

int keep_values_of(const struct jobq_keep *given, const struct keep_values *defaults, struct keep_values *out)
{
    struct jobq_keep keep = { .size = sizeof keep };
    int rc = given ? read_struct("keep", given, given->size, offsetof(struct jobq_keep, own), &keep, sizeof keep)
                   : JOBQ_OK;
    const int64_t counts[] = { keep.completed, keep.dead, keep.cancelled };
    const int64_t ages[] = { keep.completed_ms, keep.dead_ms, keep.cancelled_ms };
    static const char *const count_names[] = { "completed", "dead", "cancelled" };
    static const char *const age_names[] = { "completed_ms", "dead_ms", "cancelled_ms" };

    *out = *defaults;
    for (size_t i = 0; i < ENDED_COUNT && rc == JOBQ_OK; i++) {
        rc = count_of(count_names[i], counts[i], defaults->count[ended[i]], &out->count[ended[i]]);
        if (rc == JOBQ_OK)
            rc = age_of(age_names[i], ages[i], defaults->ms[ended[i]], &out->ms[ended[i]]);
    }
    if (rc == JOBQ_OK)
        rc = age_of("results_ms", keep.results_ms, defaults->ms[JOBQ_KEEP_RESULTS], &out->ms[JOBQ_KEEP_RESULTS]);
    return rc;
}

static int64_t shown_count(int64_t stored)
{
    return stored < 0 ? JOBQ_KEEP_ALL : stored == 0 ? JOBQ_KEEP_NONE : stored;
}

static int64_t shown_age(int64_t stored)
{
    return stored <= 0 ? JOBQ_KEEP_ALL : stored;
}

static void show(const struct keep_values *values, bool own, struct jobq_keep *out)
{
    struct jobq_keep keep = {
        .size = out->size,
        .completed = shown_count(values->count[JOBQ_ROW_COMPLETED]),
        .dead = shown_count(values->count[JOBQ_ROW_DEAD]),
        .cancelled = shown_count(values->count[JOBQ_ROW_CANCELLED]),
        .completed_ms = shown_age(values->ms[JOBQ_ROW_COMPLETED]),
        .dead_ms = shown_age(values->ms[JOBQ_ROW_DEAD]),
        .cancelled_ms = shown_age(values->ms[JOBQ_ROW_CANCELLED]),
        .results_ms = shown_age(values->ms[JOBQ_KEEP_RESULTS]),
        .own = own,
    };

    memcpy(out, &keep, out->size < sizeof keep ? out->size : sizeof keep);
}

/* ---- set --------------------------------------------------------------------------------------------------- */

int jobq_keep_set(struct jobq *q, const char *queue, const struct jobq_keep *keep)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_KEEP,
                               .name = bytes_of(queue) };
    struct keep_values values;
    int rc = handle_check(q);

    if (rc == JOBQ_OK)
        rc = check_name("queue", queue);
    if (rc == JOBQ_OK)
        rc = keep_values_of(keep, &q->keep, &values);
    if (rc == JOBQ_OK)
        rc = keep_check(q, values.ms);
    if (rc != JOBQ_OK)
        return rc;
    memcpy(s.keep_count, values.count, sizeof s.keep_count);
    memcpy(s.keep_ms, values.ms, sizeof s.keep_ms);
    return handle_configure(q, &s);
}

/* ---- read: a store tells its settings when it is copied, and so it can be read there ------------------------- */

/* Is told of a queue that has values of its own; true: enough. */
typedef bool (*own_fn)(void *user, const struct jobq_settings *own);

static bool tell_page(const struct jobq_dump *page, own_fn fn, void *user)
{
    bool enough = false;

    for (size_t i = 0; i < page->item_count && !enough; i++) {
        const struct jobq_settings *s = &page->items[i].as.settings.settings;
        if (s->what == JOBQ_CONFIGURE_QUEUE && s->set & JOBQ_SETTING_KEEP)
            enough = fn(user, s);
    }
    return enough;
}

/* The page behind *place; *more: there may be others. */
static int look_at_page(struct jobq *q, uint8_t place[PLACE_MAX_BYTES], size_t *place_bytes, own_fn fn, void *user,
                        bool *more)
{
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_SETTINGS, .limit = PAGE_ITEMS,
                              .bytes = EXCHANGE_BYTES };
    struct jobq_arena *arena = jobq_arena_create();
    int rc = arena ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for the settings");

    if (*place_bytes)
        page.after = (struct jobq_bytes){ place, *place_bytes };
    if (rc == JOBQ_OK) {
        struct jobq_store *store = handle_enter(q);
        rc = q->backend->dump(store, &page, arena, last_error());
        handle_leave(q);
    }
    bool enough = rc == JOBQ_OK && tell_page(&page, fn, user);
    *more = rc == JOBQ_OK && !enough && page.item_count && page.last.size && page.last.size <= PLACE_MAX_BYTES;
    if (*more)
        memcpy(place, page.last.data, *place_bytes = page.last.size);
    jobq_arena_destroy(arena);
    return rc;
}

static int each_own(struct jobq *q, own_fn fn, void *user)
{
    uint8_t place[PLACE_MAX_BYTES];
    size_t place_bytes = 0;
    bool more = true;
    int rc = JOBQ_OK;

    while (rc == JOBQ_OK && more)
        rc = look_at_page(q, place, &place_bytes, fn, user, &more);
    return rc;
}

struct one {
    struct jobq_bytes queue;
    struct keep_values values;
    bool found;
};

static bool is_named(struct jobq_bytes name, const struct jobq_settings *own)
{
    return own->name.size == name.size && memcmp(own->name.data, name.data, name.size) == 0;
}

static bool find_one(void *user, const struct jobq_settings *own)
{
    struct one *one = user;

    if (!is_named(one->queue, own))
        return false;
    memcpy(one->values.count, own->keep_count, sizeof one->values.count);
    memcpy(one->values.ms, own->keep_ms, sizeof one->values.ms);
    return one->found = true;
}

int jobq_keep_get(struct jobq *q, const char *queue, struct jobq_keep *out)
{
    struct one one = { .queue = bytes_of(queue) };
    int rc = handle_check_own(q, "jobq_keep_get");

    if (rc == JOBQ_OK)
        rc = check_name("queue", queue);
    if (rc == JOBQ_OK)
        rc = check_struct("jobq_keep", out->size, offsetof(struct jobq_keep, own));
    if (rc == JOBQ_OK && !handle_has(q, JOBQ_CAP_COPY))
        rc = fail_with(JOBQ_UNSUPPORTED, NULL, "the %s store does not tell its settings", q->backend->name);
    if (rc == JOBQ_OK)
        rc = each_own(q, find_one, &one);
    if (rc == JOBQ_OK)
        show(one.found ? &one.values : &q->keep, one.found, out);
    return rc;
}

struct all {
    const struct jobq_stats *stats;
    int state;
    int64_t *out;
};

static bool note_one(void *user, const struct jobq_settings *own)
{
    const struct all *all = user;

    for (size_t i = 0; i < all->stats->queue_count; i++)
        if (is_named(bytes_of(all->stats->queues[i].queue), own))
            all->out[i] = own->keep_count[all->state];
    return false;
}

int keep_of_state(struct jobq *q, const struct jobq_stats *stats, int state, int64_t *out)
{
    struct all all = { stats, state, out };

    for (size_t i = 0; i < stats->queue_count; i++)
        out[i] = q->keep.count[state];
    return handle_has(q, JOBQ_CAP_COPY) && stats->queue_count ? each_own(q, note_one, &all) : JOBQ_OK;
}
