/* SPDX-License-Identifier: MIT */
/* Copies of a namespace as lines of text: {"jobq_export":1}, a line for each item, {"jobq_end":COUNT}. */
#include "item.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE     "{\"jobq_export\":1}\n"
#define LAST_LINE      "{\"jobq_end\":"
#define PAGE_ITEMS     250
#define LINE_MAX_BYTES ((size_t)256 << 20)
#define LOAD_TRIES     3

static int begin(const struct jobq *q, struct jobq_copied *out)
{
    int rc = handle_check_own(q, "a copy");

    if (rc == JOBQ_OK && out && (rc = check_struct("jobq_copied", out->size, sizeof *out)) == JOBQ_OK)
        *out = (struct jobq_copied){.size = out->size};
    if (rc == JOBQ_OK && !handle_has(q, JOBQ_CAP_COPY))
        rc = fail_with(JOBQ_UNSUPPORTED, NULL, "the %s store cannot be copied", q->backend->name);
    return rc;
}

static void count_item(struct jobq_copied *count, int kind)
{
    count->settings += kind == JOBQ_ITEM_SETTINGS;
    count->schedules += kind == JOBQ_ITEM_SCHEDULE;
    count->jobs += kind == JOBQ_ITEM_ROW;
    count->keys += kind == JOBQ_ITEM_KEY;
}

static uint64_t items_of(const struct jobq_copied *count)
{
    return count->settings + count->schedules + count->jobs + count->keys;
}

/* ---- export ------------------------------------------------------------------------------------------ */

struct export
{
    struct jobq *q;
    jobq_write write;
    void *user;
    struct jobq_copied count;
};

static int put_text(const struct export *e, const void *data, size_t size)
{
    return e->write(e->user, data, size) == 0 ? JOBQ_OK
                                              : fail_with(JOBQ_FAILED, NULL, "the copy could not be written");
}

static int put_page(struct export *e, struct jobq_arena *arena, const struct jobq_dump *page)
{
    struct jobq_bytes line;
    int rc = JOBQ_OK;

    for (size_t i = 0; rc == JOBQ_OK && i < page->item_count; i++) {
        rc = jobq_item_write(arena, &page->items[i], &line);
        rc = rc == JOBQ_OK ? put_text(e, line.data, line.size)
                           : fail_with(rc, NULL, "out of memory for a line");
        if (rc == JOBQ_OK)
            count_item(&e->count, page->items[i].kind);
    }
    return rc;
}

static int read_page(struct jobq *q, struct jobq_dump *page, struct jobq_arena *arena)
{
    struct jobq_error *error;
    int rc;

    if (!arena)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a page");
    struct jobq_store *store = handle_enter(q);
    error = last_error();
    rc = q->backend->dump(store, page, arena, error);
    handle_leave(q);
    error->status = rc;
    return rc;
}

static int put_kind(struct export *e, int kind)
{
    uint8_t after[KEY_MAX_BYTES];
    struct jobq_bytes last = {0};
    int rc = JOBQ_OK;

    for (bool more = true; rc == JOBQ_OK && more;) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_dump page = {
            .size = sizeof page, .kind = kind, .after = last, .limit = PAGE_ITEMS, .bytes = EXCHANGE_BYTES};
        rc = read_page(e->q, &page, arena);
        more = rc == JOBQ_OK && page.item_count > 0;
        if (more)
            rc = put_page(e, arena, &page);
        if (more && page.last.size <= sizeof after && page.last.data) {
            memcpy(after, page.last.data, page.last.size);
            last = (struct jobq_bytes){after, page.last.size};
        } else if (more) {
            rc = fail_with(JOBQ_FAILED, NULL, "the store gave a page without its place");
        }
        jobq_arena_destroy(arena);
    }
    return rc;
}

int jobq_export(struct jobq *q, jobq_write write, void *user, struct jobq_copied *out)
{
    struct export e = {.q = q, .write = write, .user = user};
    char end[64];
    int rc = begin(q, out);

    if (rc == JOBQ_OK && !write)
        rc = fail_with(JOBQ_INVALID, "write", "write: is NULL");
    if (rc == JOBQ_OK)
        rc = put_text(&e, FIRST_LINE, sizeof FIRST_LINE - 1);
    for (int kind = JOBQ_ITEM_SETTINGS; rc == JOBQ_OK && kind <= JOBQ_ITEM_KEY; kind++)
        rc = put_kind(&e, kind);
    if (rc == JOBQ_OK) {
        int size = snprintf(end, sizeof end, LAST_LINE "%" PRIu64 "}\n", items_of(&e.count));
        rc = put_text(&e, end, (size_t)size);
    }
    if (out && out->size >= sizeof *out) {
        e.count.size = out->size;
        *out = e.count;
    }
    return rc;
}

/* ---- import: what may come in ------------------------------------------------------------------------ */

static int check_bytes_name(const char *field, struct jobq_bytes name)
{
    if (name.data && strlen(name.data) != name.size)
        return fail_with(JOBQ_INVALID, field, "%s: has a NUL", field);
    return check_name(field, name.data);
}

static int check_name_if(const char *field, struct jobq_bytes name)
{
    return name.data ? check_bytes_name(field, name) : JOBQ_OK;
}

static int check_numbers(const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    const struct {
        const char *field;
        int64_t value, low, high;
    } numbers[] = {
        {"state", r->state, JOBQ_ROW_BLOCKED, JOBQ_ROW_CANCELLED},
        {"reason", r->reason, 0, INT32_MAX},
        {"outcome", r->outcome, 0, JOBQ_OUTCOME_VOID},
        {"attempt", r->attempt, 0, INT64_MAX},
        {"failures", r->failures, 0, INT32_MAX},
        {"crashes", r->crashes, 0, INT32_MAX},
        {"snoozes", r->snoozes, 0, INT32_MAX},
        {"releases", r->releases, 0, INT32_MAX},
        {"redrives", r->redrives, 0, INT32_MAX},
        {"fence", r->fence, 0, MAX_MS},
        {"swept", item->swept, 0, JOBQ_OVERDUE_TIMEOUT},
        {"errors", (int64_t)r->error_count, 0, 10},
        {"log", (int64_t)r->log_count, 0, LOG_LINES},
        {"key_hold", item->key.hold, 0, JOBQ_HOLD_FOREVER},
        {"priority", r->priority, -32768, 32767},
    };
    int rc = JOBQ_OK;

    for (size_t i = 0; rc == JOBQ_OK && i < sizeof numbers / sizeof *numbers; i++)
        rc = check_range(numbers[i].field, numbers[i].value, numbers[i].low, numbers[i].high);
    return rc;
}

static int check_sizes(const struct jobq_row *r)
{
    const struct {
        const char *field;
        size_t size, high;
    } sizes[] = {
        {"payload", r->payload.size, PAYLOAD_CEILING_BYTES},
        {"result", r->result.size, PAYLOAD_CEILING_BYTES},
        {"data", r->data.size, PAYLOAD_CEILING_BYTES},
        {"key", r->key.size, KEY_MAX_BYTES},
        {"policy", r->policy.size, JOB_POLICY_MAX_BYTES},
        {"trace", r->trace.size, TRACE_MAX_BYTES},
        {"progress", r->progress.size, PROGRESS_MAX_BYTES},
    };
    int rc = JOBQ_OK;

    for (size_t i = 0; rc == JOBQ_OK && i < sizeof sizes / sizeof *sizes; i++)
        rc = check_size(sizes[i].field, sizes[i].size, sizes[i].high);
    for (size_t i = 0; rc == JOBQ_OK && i < r->error_count; i++)
        rc = check_size("errors.text", r->errors[i].text.size, ERROR_TEXT_MAX_BYTES);
    for (size_t i = 0; rc == JOBQ_OK && i < r->log_count; i++)
        rc = check_size("log.text", r->log[i].text.size, LOG_TEXT_MAX_BYTES);
    return rc;
}

static int check_edge(const struct jobq_item_edge *edges, size_t i)
{
    for (size_t before = 0; before < i; before++)
        if (memcmp(&edges[before].parent, &edges[i].parent, sizeof edges[i].parent) == 0)
            return fail_with(JOBQ_INVALID, "parents", "parents: one is named twice");
    return check_range("parents.rule", edges[i].rule, 0, JOBQ_PARENT_IGNORE);
}

static int check_row(const struct jobq *q, const struct jobq_item_row *item)
{
    const struct jobq_row *r = &item->row;
    int rc = check_numbers(item);

    if (rc == JOBQ_OK)
        rc = check_bytes_name("queue", r->queue);
    if (rc == JOBQ_OK)
        rc = check_bytes_name("kind", r->kind);
    if (rc == JOBQ_OK)
        rc = check_name_if("group", r->group);
    if (rc == JOBQ_OK)
        rc = check_name_if("worker", r->worker);
    if (rc == JOBQ_OK)
        rc = check_sizes(r);
    if (rc == JOBQ_OK && item->edge_count && !handle_has(q, JOBQ_CAP_EDGES))
        rc = fail_with(JOBQ_UNSUPPORTED, "parents", "parents: the %s store has no dependencies",
                       q->backend->name);
    if (rc == JOBQ_OK && r->log_count && !handle_has(q, JOBQ_CAP_LOG))
        rc = fail_with(JOBQ_UNSUPPORTED, "log", "log: the %s store keeps no log", q->backend->name);
    if (rc == JOBQ_OK)
        rc = check_size("parents", item->edge_count, EXCHANGE_ITEMS);
    for (size_t i = 0; rc == JOBQ_OK && i < item->edge_count; i++)
        rc = check_edge(item->edges, i);
    return rc;
}

static int check_settings(const struct jobq *q, const struct jobq_settings *s)
{
    const uint32_t plain = JOBQ_SETTING_PAUSED | JOBQ_SETTING_DEPTH | JOBQ_SETTING_KEEP;
    int rc = s->what == JOBQ_CONFIGURE_QUEUE || s->what == JOBQ_CONFIGURE_GROUP || s->what == JOBQ_CONFIGURE_PLAN
                 ? JOBQ_OK
                 : fail_with(JOBQ_INVALID, "what", "what: is neither a queue's nor a group's nor a plan's");

    if (rc == JOBQ_OK)
        rc = s->what != JOBQ_CONFIGURE_GROUP ? check_bytes_name("name", s->name) : check_name_if("name", s->name);
    if (rc == JOBQ_OK)
        rc = check_name_if("plan", s->plan);
    if (rc == JOBQ_OK && s->set & JOBQ_SETTING_KEEP)
        rc = keep_check(q, s->keep_ms);
    if (rc == JOBQ_OK)
        rc = check_name_if("group", s->group);
    if (rc == JOBQ_OK && (s->what != JOBQ_CONFIGURE_QUEUE || s->set & ~plain) &&
        !handle_has(q, JOBQ_CAP_GROUPS))
        rc = fail_with(JOBQ_UNSUPPORTED, "set", "set: the %s store has no such limits", q->backend->name);
    return rc;
}

static int check_item(const struct jobq *q, const struct jobq_item *item)
{
    switch (item->kind) {
    case JOBQ_ITEM_SETTINGS:
        return check_settings(q, &item->as.settings.settings);
    case JOBQ_ITEM_SCHEDULE:
        if (!handle_has(q, JOBQ_CAP_SCHEDULES))
            return fail_with(JOBQ_UNSUPPORTED, "item", "item: the %s store has no schedules",
                             q->backend->name);
        return check_bytes_name("name", item->as.schedule.name);
    case JOBQ_ITEM_ROW:
        return check_row(q, &item->as.row);
    case JOBQ_ITEM_KEY:
        return check_range("hold", item->as.key.key.hold, 0, JOBQ_HOLD_FOREVER);
    default:
        return fail_with(JOBQ_INVALID, "item", "item: no copy has one of this kind");
    }
}

/* ---- import ------------------------------------------------------------------------------------------ */

struct import {
    struct jobq *q;
    jobq_read read;
    void *user;
    char *buffer; /* [from, to) was read and not looked at */
    size_t from, to, room;
    uint64_t line; /* the number of the newest */
    struct jobq_arena *arena;
    struct jobq_item *items;
    size_t count, bytes; /* of what waits to be loaded */
    struct jobq_copied copied;
};

static int more_room(struct import *im)
{
    size_t room = im->room ? 2 * im->room : 65536;
    char *buffer;

    if (im->from) {
        memmove(im->buffer, im->buffer + im->from, im->to - im->from);
        im->to -= im->from;
        im->from = 0;
    }
    if (im->to < im->room)
        return JOBQ_OK;
    if (im->room >= LINE_MAX_BYTES)
        return fail_with(JOBQ_INVALID, "line", "line %" PRIu64 ": longer than %zu bytes", im->line,
                         LINE_MAX_BYTES);
    buffer = realloc(im->buffer, room);
    if (!buffer)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for line %" PRIu64, im->line);
    im->buffer = buffer;
    im->room = room;
    return JOBQ_OK;
}

/* The next line with its end; absent at the end of the text. */
static int next_line(struct import *im, struct jobq_bytes *line)
{
    size_t looked = im->from;

    im->line++;
    *line = (struct jobq_bytes){0};
    for (;;) {
        const char *end = im->to > looked ? memchr(im->buffer + looked, '\n', im->to - looked) : NULL;
        if (end) {
            *line = (struct jobq_bytes){im->buffer + im->from, (size_t)(end + 1 - im->buffer) - im->from};
            im->from += line->size;
            return JOBQ_OK;
        }
        looked = im->to - im->from; /* where they are once the front is gone */
        int rc = more_room(im);
        if (rc != JOBQ_OK)
            return rc;
        int64_t got = im->read(im->user, im->buffer + im->to, im->room - im->to);
        if (got < 0 || (uint64_t)got > im->room - im->to)
            return fail_with(JOBQ_FAILED, NULL, "the copy could not be read");
        if (got == 0)
            return JOBQ_OK;
        im->to += (size_t)got;
    }
}

static int load(struct import *im)
{
    struct jobq_error *error = NULL;
    int rc = JOBQ_UNKNOWN;

    for (int i = 0; rc == JOBQ_UNKNOWN && i < LOAD_TRIES; i++) {
        struct jobq_store *store = handle_enter(im->q);
        error = last_error();
        rc = im->q->backend->load(store, im->items, im->count, error);
        handle_leave(im->q);
        error->status = rc;
    }
    for (size_t i = 0; rc == JOBQ_OK && i < im->count; i++) {
        count_item(&im->copied, im->items[i].kind);
        im->copied.already += im->items[i].verdict == JOBQ_ALREADY;
    }
    jobq_arena_destroy(im->arena);
    im->arena = NULL;
    im->count = im->bytes = 0;
    return rc;
}

/* Where an error in the text is. */
static int at_line(const struct import *im, int rc)
{
    struct jobq_error error = *jobq_last_error();

    return fail_with(rc, error.field, "line %" PRIu64 ": %.400s", im->line, error.text);
}

static int take_line(struct import *im, struct jobq_bytes line)
{
    struct jobq_item *item;
    int rc;

    if (!im->arena) {
        im->arena = jobq_arena_create();
        im->items = im->arena ? jobq_arena_alloc(im->arena, PAGE_ITEMS * sizeof *im->items) : NULL;
        if (!im->items)
            return fail_with(JOBQ_NOMEM, NULL, "out of memory for line %" PRIu64, im->line);
    }
    item = &im->items[im->count];
    rc = jobq_item_read(im->arena, line, item, last_error());
    if (rc == JOBQ_OK)
        rc = check_item(im->q, item);
    if (rc != JOBQ_OK)
        return at_line(im, rc);
    im->count++;
    im->bytes += line.size;
    return im->count == PAGE_ITEMS || im->bytes >= EXCHANGE_BYTES ? load(im) : JOBQ_OK;
}

static bool begins_with(struct jobq_bytes line, const char *text)
{
    return line.size >= strlen(text) && memcmp(line.data, text, strlen(text)) == 0;
}

static int take_end(struct import *im, struct jobq_bytes line)
{
    char expected[64];
    int rc = im->count ? load(im) : JOBQ_OK;

    if (rc != JOBQ_OK)
        return rc;
    int size = snprintf(expected, sizeof expected, LAST_LINE "%" PRIu64 "}\n", items_of(&im->copied));
    if (line.size != (size_t)size || memcmp(line.data, expected, line.size) != 0)
        return fail_with(JOBQ_INVALID, "jobq_end",
                         "line %" PRIu64 ": the copy has not as many items as it says", im->line);
    rc = next_line(im, &line);
    if (rc == JOBQ_OK && (line.data || im->from != im->to))
        rc = fail_with(JOBQ_INVALID, "jobq_end", "line %" PRIu64 ": there is text behind the end", im->line);
    return rc;
}

static int run(struct import *im)
{
    struct jobq_bytes line;
    int rc = next_line(im, &line);

    if (rc == JOBQ_OK && (line.size != sizeof FIRST_LINE - 1 || !begins_with(line, FIRST_LINE)))
        return fail_with(JOBQ_INVALID, "jobq_export", "line 1: not a copy of version 1 made by jobq_export");
    while (rc == JOBQ_OK) {
        rc = next_line(im, &line);
        if (rc != JOBQ_OK)
            return rc;
        if (!line.data)
            return fail_with(JOBQ_INVALID, "jobq_end", "line %" PRIu64 ": the copy ends in the middle",
                             im->line);
        if (begins_with(line, LAST_LINE))
            return take_end(im, line);
        rc = take_line(im, line);
    }
    return rc;
}

int jobq_import(struct jobq *q, jobq_read read, void *user, struct jobq_copied *out)
{
    struct import im = {.q = q, .read = read, .user = user};
    int rc = begin(q, out);

    if (rc == JOBQ_OK && !read)
        rc = fail_with(JOBQ_INVALID, "read", "read: is NULL");
    if (rc != JOBQ_OK)
        return rc;
    rc = run(&im);
    jobq_arena_destroy(im.arena);
    free(im.buffer);
    if (out) {
        im.copied.size = out->size;
        *out = im.copied;
    }
    jobq_wake(q);
    return rc;
}
