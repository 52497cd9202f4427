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
    if (rc != JOBQ_OK)
        return rc;
    memcpy(s.keep_count, values.count, sizeof s.keep_count);
    memcpy(s.keep_ms, values.ms, sizeof s.keep_ms);
    return configure(q, &s);
}

/* ---- read: a store tells its settings when it is copied, and so it can be read there ------------------------- */

static bool is_named(const struct jobq_settings *s, struct jobq_bytes queue)
{
    return s->what == JOBQ_CONFIGURE_QUEUE && s->set & JOBQ_SETTING_KEEP && s->name.size == queue.size &&
           memcmp(s->name.data, queue.data, queue.size) == 0;
}

static bool find_in_page(const struct jobq_dump *page, struct jobq_bytes queue, struct keep_values *out)
{
    for (size_t i = 0; i < page->item_count; i++) {
        const struct jobq_settings *s = &page->items[i].as.settings.settings;
        if (!is_named(s, queue))
            continue;
        memcpy(out->count, s->keep_count, sizeof out->count);
        memcpy(out->ms, s->keep_ms, sizeof out->ms);
        return true;
    }
    return false;
}

/* One page behind *place; *more: there may be others. */
static int look_at_page(struct jobq *q, struct jobq_bytes queue, uint8_t place[PLACE_MAX_BYTES], size_t *place_bytes,
                        struct keep_values *out, bool *found, bool *more)
{
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_SETTINGS, .limit = PAGE_ITEMS,
                              .bytes = EXCHANGE_BYTES };
    struct jobq_arena *arena = jobq_arena_create();
    int rc = arena ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for the settings");

    if (*place_bytes)
        page.after = (struct jobq_bytes){ place, *place_bytes };
    if (rc == JOBQ_OK) {
        handle_enter(q);
        rc = q->backend->dump(q->store, &page, arena, last_error());
        handle_leave(q);
    }
    *found = rc == JOBQ_OK && find_in_page(&page, queue, out);
    *more = rc == JOBQ_OK && page.item_count && page.last.size && page.last.size <= PLACE_MAX_BYTES;
    if (*more)
        memcpy(place, page.last.data, *place_bytes = page.last.size);
    jobq_arena_destroy(arena);
    return rc;
}

int jobq_keep_get(struct jobq *q, const char *queue, struct jobq_keep *out)
{
    uint8_t place[PLACE_MAX_BYTES];
    size_t place_bytes = 0;
    struct keep_values values;
    bool found = false, more = true;
    int rc = handle_check_own(q, "jobq_keep_get");

    if (rc == JOBQ_OK)
        rc = check_name("queue", queue);
    if (rc == JOBQ_OK)
        rc = check_struct("jobq_keep", out->size, offsetof(struct jobq_keep, own));
    if (rc == JOBQ_OK && !handle_has(q, JOBQ_CAP_COPY))
        rc = fail_with(JOBQ_UNSUPPORTED, NULL, "the %s store does not tell its settings", q->backend->name);
    while (rc == JOBQ_OK && more && !found)
        rc = look_at_page(q, bytes_of(queue), place, &place_bytes, &values, &found, &more);
    if (rc == JOBQ_OK)
        show(found ? &values : &q->keep, found, out);
    return rc;
}
