/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_must(int status, const char *what)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, jobq_status_name(status), jobq_last_error()->text);
    abort();
}

static struct jobq *open_handle(const struct world *w, int64_t io_timeout_ms)
{
    struct jobq_options options = w->options;
    struct jobq *q;
    int status, tries = 0;
    options.io_timeout_ms = io_timeout_ms;
    do
        status = jobq_open(&q, w->backend, w->uri, &options);
    while (status == JOBQ_UNREACHABLE && ++tries < 10); /* a server on a busy machine */
    world_must(status, "open");
    return q;
}

void world_open(struct world *w)
{
    w->options.size = sizeof w->options;
    if (!w->options.io_timeout_ms)
        w->options.io_timeout_ms = 1000; /* so long an outcome that stays unknown is asked for again */
    w->q = open_handle(w, w->options.io_timeout_ms);
    w->calm = open_handle(w, 60000);
}

void world_close(struct world *w)
{
    jobq_close(w->q);
    jobq_close(w->calm);
    w->q = w->calm = NULL;
    free(w->copy);
    w->copy = NULL;
}

static void name_ids(struct world *w)
{
    w->serial++;
    memset(w->ids, 0, sizeof w->ids);
    for (int i = 0; i < WORLD_JOBS; i++) {
        w->ids[i].bytes[0] = 1;
        w->ids[i].bytes[15] = (uint8_t)(i + 1);
        memcpy(w->ids[i].bytes + 4, &w->serial, sizeof w->serial);
    }
}

/* Behind a lost connection a server has much to learn anew, so this is done on the calm handle; but a handle that passes the clock
 * knows that it has to sweep. */
void world_begin(struct world *w, const struct call *call)
{
    const struct jobq_bulk_options hard = { .size = sizeof hard, .flags = JOBQ_CANCEL_HARD };
    struct jobq *q = w->q;
    w->q = w->calm;
    world_must(jobq_bulk_cancel(w->q, NULL, &hard, NULL), "cancel all");
    world_must(jobq_purge(w->q, NULL, 0, NULL), "drop all");
    world_must(jobq_purge(w->q, NULL, 0, NULL), "drop what successors left");
    name_ids(w);
    if (call->flags & CALL_LATER)
        w->q = q;
    if (call->prepare)
        call->prepare(w);
    w->q = q;
}

struct text {
    char *data;
    size_t size, room;
};

static int append(void *user, const void *data, size_t bytes)
{
    struct text *text = user;
    if (text->size + bytes + 1 > text->room) {
        text->room = 2 * (text->size + bytes) + 1000;
        text->data = realloc(text->data, text->room);
        if (!text->data)
            abort();
    }
    memcpy(text->data + text->size, data, bytes);
    text->size += bytes;
    text->data[text->size] = '\0';
    return 0;
}

char *world_dump(struct world *w)
{
    struct text text = { 0 };
    world_must(jobq_export(w->calm, append, &text, NULL), "export");
    return text.data;
}

static bool wrong(const struct call *call, const char *where, const char *what, int status)
{
    fprintf(stderr, "%s%s: %s: %s (%d)%s%s\n", call->name, where, what, jobq_status_name(status), status,
            status < 0 ? ": " : "", status < 0 ? jobq_last_error()->text : "");
    return false;
}

/* The first line that differs, for people. */
static void show_difference(const char *before, const char *after)
{
    while (*before && *before == *after) {
        before++;
        after++;
    }
    fprintf(stderr, "  before ...%.300s\n  after  ...%.300s\n", before, after);
}

static bool unchanged(struct world *w, const struct call *call, const char *before, const char *where, int status)
{
    if (call->flags & CALL_PARTLY)
        return true;
    char *after = world_dump(w);
    bool same = strcmp(before, after) == 0;
    if (!same) {
        wrong(call, where, "changed something although it failed for certain", status);
        show_difference(before, after);
    }
    free(after);
    return same;
}

/* A file that answers no reads is damaged, one whose first page reads as zeros is no database. Who opens it is told; whoever has
 * it open knows it. */
static bool definite(const struct call *call, int status)
{
    switch (status) {
    case JOBQ_FAILED:
    case JOBQ_NOMEM:
    case JOBQ_UNREACHABLE:
        return true;
    case JOBQ_CORRUPT:
    case JOBQ_FOREIGN:
        return call->flags & CALL_CLOSED;
    default:
        return false;
    }
}

/* Time passes and somebody sweeps: a lease that was taken for a moment is over. */
static int run_again(struct world *w, const struct call *call)
{
    if (call->flags & CALL_LATER) {
        world_must(jobq_clock_advance(w->q, 3600000), "clock");
        world_must(jobq_sweep(w->q, 100, NULL), "sweep");
    }
    return call->run(w);
}

bool world_judge(struct world *w, const struct call *call, int status, int first, int second, const char *before,
                 const char *where)
{
    if (status == JOBQ_UNKNOWN) {
        int again = run_again(w, call);
        return again == first || again == second || wrong(call, where, "repeated after UNKNOWN it answered", again);
    }
    if (status == first) {
        int again = call->flags & CALL_BLIND ? second : call->run(w);
        return again == second || wrong(call, where, "it went well; said a second time it answered", again);
    }
    if (status == WRONG && call->flags & CALL_LATER) { /* it went well but for what must be judged first */
        int again = run_again(w, call);
        return again == first || wrong(call, where, "said again after a lease it answered", again);
    }
    if (!definite(call, status))
        return wrong(call, where, "no definite error", status);
    if (!unchanged(w, call, before, where, status))
        return false;
    int again = run_again(w, call);
    return again == first || wrong(call, where, "failed, and repeated without a fault it answered", again);
}
