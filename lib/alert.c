/* SPDX-License-Identifier: MIT */
/* An alert that must not be lost is a job. Every change that makes a job dead, on whatever path, passes here on its way to
 * the store; the alert hangs on it, so both happen or none. A job dies at most once between two redrives: the alert's id is
 * made from the job's and their count, so that whoever computes it again, here or elsewhere, comes to the same job. */
#include "text.h"

#include <string.h>

/* ---- one alert: pure ------------------------------------------------------------------------------------------ */

void alert_id(const struct jobq_row *row, struct jobq_id *out)
{
    static const char purpose[] = "jobq alert";
    uint8_t digest[32], death[4];
    struct sha256 s;

    for (int i = 0; i < 4; i++)
        death[i] = (uint8_t)((uint32_t)row->redrives >> (24 - 8 * i));
    sha256_init(&s);
    sha256_part(&s, purpose, sizeof purpose - 1);
    sha256_part(&s, row->id.bytes, sizeof row->id.bytes);
    sha256_part(&s, death, sizeof death);
    sha256_end(&s, digest);
    memcpy(out->bytes, row->id.bytes, 6); /* among the ids of that time; the rest is UUID version 8 */
    memcpy(out->bytes + 6, digest, 10);
    out->bytes[6] = (uint8_t)(0x80 | (out->bytes[6] & 0x0f));
    out->bytes[8] = (uint8_t)(0x80 | (out->bytes[8] & 0x3f));
}

static void add_literal(struct text *t, const char *literal)
{
    text_add(t, literal, strlen(literal));
}

static void add_member(struct text *t, const char *name, struct jobq_bytes bytes)
{
    bool text = bytes_are_text(bytes);

    add_literal(t, ",\"");
    add_literal(t, name);
    add_literal(t, text ? "\":" : "_base64\":");
    if (!bytes.data)
        add_literal(t, "null");
    else if (text)
        text_string(t, bytes);
    else
        text_base64(t, bytes);
}

static size_t write_payload(const struct jobq_row *row, const struct jobq_change *death, char *at)
{
    struct text t = { .at = at };

    add_literal(&t, "{\"type\":\"job_failed\",\"job_id\":");
    text_hex(&t, row->id.bytes, sizeof row->id.bytes);
    add_member(&t, "queue", row->queue);
    add_member(&t, "tenant_id", row->group);
    add_member(&t, "reason", bytes_of(jobq_reason_name(death->reason)));
    add_member(&t, "error", death->set & JOBQ_ADD_ERROR ? death->error : (struct jobq_bytes){ NULL, 0 });
    text_char(&t, '}');
    return t.size;
}

int alert_payload(struct jobq_arena *arena, const struct jobq_row *row, const struct jobq_change *death,
                  struct jobq_bytes *out)
{
    size_t size = write_payload(row, death, NULL);
    char *at = jobq_arena_alloc(arena, size);

    if (!at)
        return -1;
    *out = (struct jobq_bytes){ at, write_payload(row, death, at) };
    return 0;
}

/* ---- the alerts of a call ---------------------------------------------------------------------------------------- */

static bool kills(const struct jobq_change *change)
{
    return change->state == JOBQ_ROW_DEAD;
}

static const struct jobq_row *row_of(const struct jobq_query *query, const struct jobq_id *id)
{
    for (size_t i = 0; i < query->row_count; i++)
        if (memcmp(&query->rows[i].id, id, sizeof *id) == 0)
            return &query->rows[i];
    return NULL;
}

static int make_put(struct jobq *q, struct call *call, size_t change, const struct jobq_row *row, struct jobq_put *out)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = q->alert_queue, .kind = "job_failed" };
    struct put_scratch *scratch = jobq_arena_alloc(call->arena, sizeof *scratch);
    struct jobq_id id;

    alert_id(row, &id);
    spec.id = &id;
    if (!scratch || alert_payload(call->arena, row, &call->changes[change], &spec.payload) != 0)
        return JOBQ_NOMEM;
    int rc = put_of_spec(q, &spec, scratch, out);
    out->trace = row->trace; /* lent by the answer of the read, which is in the call's memory too */
    out->only_if = (int32_t)change;
    return rc;
}

static int add_puts(struct jobq *q, struct call *call, const struct jobq_query *query, size_t deaths)
{
    struct jobq_put *puts = jobq_arena_alloc(call->arena, (call->put_count + deaths) * sizeof *puts);
    size_t count = call->put_count;
    int rc = puts ? JOBQ_OK : JOBQ_NOMEM;

    if (puts && count)
        memcpy(puts, call->puts, count * sizeof *puts);
    for (size_t i = 0; i < call->change_count && rc == JOBQ_OK; i++) {
        struct jobq_change *change = &call->changes[i];
        const struct jobq_row *row = kills(change) ? row_of(query, &change->id) : NULL;
        if (!row)
            continue;
        if (change->by == JOBQ_BY_OPERATOR && change->edits == JOBQ_ANY_EDITS)
            change->edits = row->edits; /* no redrive in between: this death and no other */
        if (row->queue.size != strlen(q->alert_queue) || memcmp(row->queue.data, q->alert_queue, row->queue.size) != 0)
            rc = make_put(q, call, i, row, &puts[count++]);
    }
    if (rc != JOBQ_OK)
        return rc;
    call->puts = puts;
    call->put_count = count;
    return JOBQ_OK;
}

int alerts_add(struct jobq *q, struct call *call)
{
    struct jobq_query query = { .size = sizeof query };
    struct jobq_id *ids;
    size_t deaths = 0;
    int rc;

    if (!*q->alert_queue)
        return JOBQ_OK;
    for (size_t i = 0; i < call->change_count; i++)
        deaths += kills(&call->changes[i]);
    if (deaths == 0)
        return JOBQ_OK;
    ids = jobq_arena_alloc(call->arena, deaths * sizeof *ids);
    for (size_t i = 0; ids && i < call->change_count; i++)
        if (kills(&call->changes[i]))
            ids[query.id_count++] = call->changes[i].id;
    query.ids = ids;
    query.limit = query.id_count;
    rc = ids ? read_rows(q, &query, call->arena) : JOBQ_NOMEM;
    if (rc == JOBQ_OK)
        rc = add_puts(q, call, &query, deaths);
    if (rc == JOBQ_OK || rc == JOBQ_FORKED)
        return rc;
    /* Whatever it was: nothing was sent. */
    return jobq_error_set(&call->error, JOBQ_FAILED, NULL, "no alert could be made, so the job does not die yet: %s",
                          rc == JOBQ_NOMEM ? "out of memory" : jobq_last_error()->text);
}
