/* SPDX-License-Identifier: MIT */
#include "show.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct show_as as_it_is;

void show_bytes(FILE *out, const char *name, struct jobq_bytes b)
{
    if (!b.data)
        return;
    fprintf(out, " %s=\"", name);
    for (size_t i = 0; i < b.size; i++) {
        unsigned char c = ((const unsigned char *)b.data)[i];
        if (c > 32 && c < 127 && c != '"' && c != '\\')
            putc(c, out);
        else
            fprintf(out, "\\%02x", c);
    }
    putc('"', out);
}

static void show_number(FILE *out, const char *name, int64_t value)
{
    if (value)
        fprintf(out, " %s=%" PRId64, name, value);
}

static void show_instant(FILE *out, const char *name, int64_t at, const struct show_as *as)
{
    if (at)
        fprintf(out, " %s=%" PRId64, name, as->instant ? as->instant(as->user, at) : at);
}

static void show_id(FILE *out, const uint8_t *id)
{
    for (int i = 0; i < 16; i++)
        fprintf(out, "%02x", id[i]);
}

static void show_token(FILE *out, const struct jobq_row *r, const struct show_as *as)
{
    if (as->token) {
        fprintf(out, " token=%" PRId64, as->token(as->user, &r->token));
        return;
    }
    fputs(" token=", out);
    show_id(out, r->token.bytes);
    show_number(out, "fence", r->fence);
}

static void show_times(FILE *out, const struct jobq_row *r, const struct show_as *as)
{
    show_instant(out, "created", r->created_at_ms, as);
    show_instant(out, "run_at", r->run_at_ms, as);
    show_instant(out, "started", r->started_at_ms, as);
    show_instant(out, "finished", r->finished_at_ms, as);
    show_instant(out, "lease_until", r->lease_until_ms, as);
    show_instant(out, "stop_at", r->stop_at_ms, as);
    show_instant(out, "expires", r->expires_at_ms, as);
    show_instant(out, "callback_until", r->callback_until_ms, as);
    show_number(out, "timeout", r->timeout_ms);
}

static void show_numbers(FILE *out, const struct jobq_row *r)
{
    show_number(out, "payload_bytes", (int64_t)r->payload_bytes);
    show_number(out, "reason", r->reason);
    show_number(out, "outcome", r->outcome);
    show_number(out, "priority", r->priority);
    show_number(out, "rank_add", r->rank_add_ms);
    show_number(out, "attempt", r->attempt);
    show_number(out, "failures", r->failures);
    show_number(out, "crashes", r->crashes);
    show_number(out, "snoozes", r->snoozes);
    show_number(out, "releases", r->releases);
    show_number(out, "redrives", r->redrives);
    show_number(out, "edits", r->edits);
    show_number(out, "cancel_asked", r->cancel_asked);
    show_number(out, "held", r->held);
    show_number(out, "alone", r->alone);
    show_number(out, "ran_alone", r->ran_alone);
    show_number(out, "resumed", r->resumed);
    show_number(out, "due", r->due);
    show_number(out, "has_callback", r->has_callback);
    show_number(out, "pending", r->pending);
    show_number(out, "overdue", r->overdue);
}

static void show_all_bytes(FILE *out, const struct jobq_row *r)
{
    show_bytes(out, "queue", r->queue);
    show_bytes(out, "kind", r->kind);
    show_bytes(out, "group", r->group);
    show_bytes(out, "worker", r->worker);
    show_bytes(out, "payload", r->payload);
    show_bytes(out, "policy", r->policy);
    show_bytes(out, "key", r->key);
    show_bytes(out, "result", r->result);
    show_bytes(out, "progress", r->progress);
    show_bytes(out, "data", r->data);
    show_bytes(out, "trace", r->trace);
}

static void show_errors(FILE *out, const struct jobq_row *r, const struct show_as *as)
{
    for (size_t i = 0; i < r->error_count; i++) {
        const struct jobq_row_error *e = &r->errors[i];
        fprintf(out, " error(attempt=%d kind=%d", e->attempt, e->kind);
        show_instant(out, "at", e->at_ms, as);
        show_bytes(out, "worker", e->worker);
        show_bytes(out, "text", e->text);
        putc(')', out);
    }
}

static void show_log(FILE *out, const struct jobq_row *r, const struct show_as *as)
{
    for (size_t i = 0; i < r->log_count; i++) {
        const struct jobq_row_error *e = &r->log[i];
        fprintf(out, " log(attempt=%d", e->attempt);
        show_instant(out, "at", e->at_ms, as);
        show_bytes(out, "worker", e->worker);
        show_bytes(out, "text", e->text);
        putc(')', out);
    }
}

static void show_edges(FILE *out, const char *name, const struct jobq_edge *edges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, " %s(", name);
        show_id(out, edges[i].id.bytes);
        fprintf(out, " rule=%d state=%d)", edges[i].rule, edges[i].state);
    }
}

void show_row_as(FILE *out, const struct jobq_row *r, const struct show_as *as)
{
    show_id(out, r->id.bytes);
    fprintf(out, " state=%d", r->state);
    show_token(out, r, as);
    show_all_bytes(out, r);
    show_numbers(out, r);
    show_times(out, r, as);
    show_errors(out, r, as);
    show_log(out, r, as);
    show_edges(out, "parent", r->parents, r->parent_count);
    show_edges(out, "child", r->children, r->child_count);
}

void show_row(FILE *out, const struct jobq_row *r)
{
    show_row_as(out, r, &as_it_is);
}

char *show_text(const struct jobq_row *r)
{
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    if (!f)
        abort();
    show_row(f, r);
    if (fclose(f) != 0)
        abort();
    return out;
}
