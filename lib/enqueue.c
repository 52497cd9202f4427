/* SPDX-License-Identifier: MIT */
/* Enqueue: a checked spec becomes a put; the store's exchange does the rest. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- spec -> put ------------------------------------------------------------------------------------------------ */

static void times_of_spec(const struct jobq_spec *spec, struct jobq_put *out)
{
    if (spec->delay_ms)
        out->run_at = (struct jobq_time){ JOBQ_TIME_NOW, spec->delay_ms };
    else if (spec->run_at_ms)
        out->run_at = (struct jobq_time){ JOBQ_TIME_ABS, spec->run_at_ms };
    if (spec->expires_in_ms)
        out->expires_at = (struct jobq_time){ JOBQ_TIME_NOW, spec->expires_in_ms };
    out->timeout_ms = spec->timeout_ms;
}

static int check_capabilities(const struct jobq *q, const struct jobq_spec *spec)
{
    const char *name = q->backend->name;

    if (spec->parent_count && !handle_has(q, JOBQ_CAP_EDGES))
        return fail_with(JOBQ_UNSUPPORTED, "parents", "parents: the %s store has no dependencies", name);
    if (!spec->key.data)
        return JOBQ_OK;
    if ((spec->key_conflict == JOBQ_CONFLICT_REPLACE || spec->key_conflict == JOBQ_CONFLICT_EXTEND) &&
        !handle_has(q, JOBQ_CAP_KEY_MODES))
        return fail_with(JOBQ_UNSUPPORTED, "key_conflict", "key_conflict: the %s store cannot replace or extend", name);
    if (spec->key_conflict == JOBQ_CONFLICT_SUCCESSOR && !handle_has(q, JOBQ_CAP_SUCCESSOR))
        return fail_with(JOBQ_UNSUPPORTED, "key_conflict", "key_conflict: the %s store keeps no successor", name);
    return JOBQ_OK;
}

int put_of_spec(struct jobq *q, const struct jobq_spec *spec, struct put_scratch *scratch, struct jobq_put *out)
{
    const char *kind = spec->kind ? spec->kind : spec->queue;
    struct job_policy policy;
    int rc = check_capabilities(q, spec);

    *out = (struct jobq_put){ .only_if = -1 };
    if (rc == JOBQ_OK)
        rc = check_policy(spec, &policy);
    if (rc == JOBQ_OK && !spec->id)
        rc = id_new(q->pid, &out->id);
    if (rc != JOBQ_OK)
        return rc;
    if (spec->id)
        out->id = *spec->id;
    size_t policy_bytes = job_policy_write(&policy, scratch->policy);
    out->queue = bytes_of(spec->queue);
    out->kind = bytes_of(kind);
    out->group = bytes_of(spec->group);
    out->payload = spec->payload.data ? spec->payload : (struct jobq_bytes){ "", 0 };
    out->policy = (struct jobq_bytes){ policy_bytes ? scratch->policy : NULL, policy_bytes };
    out->trace = bytes_of(spec->trace);
    out->priority = spec->priority;
    out->rank_add_ms = spec->priority * q->options.age_step_ms;
    out->held = spec->held != 0;
    out->parents = spec->parents;
    out->parent_count = spec->parent_count;
    times_of_spec(spec, out);
    if (spec->key.data) {
        key_of_spec(spec, kind, &scratch->key);
        out->key = spec->key;
        out->unique = &scratch->key;
    }
    return JOBQ_OK;
}

static int copy_bytes(struct jobq_arena *arena, struct jobq_bytes *bytes)
{
    return bytes->data ? jobq_arena_bytes(arena, bytes->data, bytes->size, bytes) : 0;
}

int put_copy(struct jobq_arena *arena, struct jobq_put *put)
{
    struct jobq_bytes *const all[] = { &put->queue, &put->kind, &put->group, &put->payload,
                                       &put->policy, &put->key, &put->trace };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (copy_bytes(arena, all[i]) != 0)
            return -1;
    if (put->unique) {
        struct jobq_put_key *unique = jobq_arena_alloc(arena, sizeof *unique);
        if (!unique)
            return -1;
        *unique = *put->unique;
        put->unique = unique;
    }
    if (put->parent_count) {
        struct jobq_parent *parents = jobq_arena_alloc(arena, put->parent_count * sizeof *parents);
        if (!parents)
            return -1;
        memcpy(parents, put->parents, put->parent_count * sizeof *parents);
        put->parents = parents;
    }
    return 0;
}

size_t put_bytes(const struct jobq_put *put)
{
    return put->queue.size + put->kind.size + put->group.size + put->payload.size + put->key.size +
           put->parent_count * sizeof *put->parents;
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

static int put_status(const struct jobq_put *put, const struct jobq_spec *spec)
{
    switch (put->verdict) {
    case JOBQ_DUPLICATE:
        if (spec->key_conflict == JOBQ_CONFLICT_REJECT)
            return fail_with(JOBQ_HELD, "key", "key: is held by another job");
        return JOBQ_DUPLICATE;
    case JOBQ_NO_PARENT:
        return fail_with(JOBQ_NO_PARENT, "parents", "parents: a job to wait for does not exist");
    case JOBQ_FULL:
        return fail_with(JOBQ_FULL, "queue", "queue: \"%s\" is full", spec->queue);
    case JOBQ_LIMITED:
        return fail_with(JOBQ_LIMITED, "group", "group: the quota of \"%s\" is used up for %lld ms", spec->group,
                         (long long)put->retry_ms);
    default:
        return put->verdict;
    }
}

int enqueued_of_put(const struct jobq_put *put, const struct jobq_spec *spec, struct jobq_enqueued *out)
{
    int status = put_status(put, spec);
    struct jobq_enqueued answer = {
        .status = status,
        .state = put->shown,
        .same_payload = put->same_payload,
        .id = status == JOBQ_UNKNOWN || status == JOBQ_OK ? put->id : put->holder,
        .retry_ms = status == JOBQ_LIMITED ? put->retry_ms : 0,
    };

    if (!out)
        return status;
    answer.size = out->size;
    memcpy(out, &answer, out->size < sizeof answer ? out->size : sizeof answer);
    return status;
}

/* ---- one ---------------------------------------------------------------------------------------------------------------- */

#define SPEC_LEAST offsetof(struct jobq_spec, id)

static int read_spec(const struct jobq *q, const struct jobq_spec *given, struct jobq_spec *out)
{
    int rc = given ? read_struct("spec", given, given->size, SPEC_LEAST, out, sizeof *out)
                   : fail_with(JOBQ_INVALID, "spec", "spec: is NULL");

    return rc == JOBQ_OK ? check_spec(q, out) : rc;
}

static int check_out(const struct jobq_enqueued *out)
{
    return out ? check_struct("jobq_enqueued", out->size, offsetof(struct jobq_enqueued, id)) : JOBQ_OK;
}

int jobq_enqueue(struct jobq *q, const struct jobq_spec *given, struct jobq_enqueued *out)
{
    struct jobq_spec spec;
    struct put_scratch scratch;
    struct call *call;
    int rc = handle_check(q);

    if (rc == JOBQ_OK)
        rc = check_out(out);
    if (rc == JOBQ_OK)
        rc = read_spec(q, given, &spec);
    if (rc != JOBQ_OK)
        return rc;
    call = call_create();
    struct jobq_put *put = call ? jobq_arena_alloc(call->arena, sizeof *put) : NULL;
    if (!put) {
        call_unref(call);
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for an enqueue");
    }
    rc = put_of_spec(q, &spec, &scratch, put);
    if (rc == JOBQ_OK && put_copy(call->arena, put) != 0)
        rc = fail_with(JOBQ_NOMEM, NULL, "out of memory for an enqueue");
    if (rc == JOBQ_OK) {
        struct jobq_put unanswered = *put; /* a caller who leaves early must not look at the call again */
        call->puts = put;
        call->put_count = 1;
        rc = call_run(q, call, 0);
        unanswered.verdict = rc;
        rc = enqueued_of_put(rc == JOBQ_OK ? put : &unanswered, &spec, out);
    }
    call_unref(call);
    return rc;
}

/* ---- many ---------------------------------------------------------------------------------------------------------------- */

/* An array of the caller whose elements may be shorter or longer than ours. */
static const struct jobq_spec *spec_at(const struct jobq_spec *specs, size_t i)
{
    return (const struct jobq_spec *)(const void *)((const char *)specs + i * specs[0].size);
}

static struct jobq_enqueued *out_at(struct jobq_enqueued *out, size_t i)
{
    return out ? (struct jobq_enqueued *)(void *)((char *)out + i * out[0].size) : NULL;
}

static void out_fill(struct jobq_enqueued *out, size_t from, size_t count, int status)
{
    for (size_t i = from; out && i < count; i++) {
        struct jobq_enqueued *one = out_at(out, i);
        one->size = out[0].size;
        one->status = status;
    }
}

/* Fill puts from checked specs while they fit into one exchange; *taken tells how many. Bytes are lent. */
static int puts_of_specs(struct jobq *q, const struct jobq_spec *specs, size_t from, size_t count,
                         struct put_scratch *scratch, struct jobq_put *puts, size_t room, size_t *taken)
{
    size_t bytes = 0;
    int rc = JOBQ_OK;

    for (*taken = 0; *taken < room && from + *taken < count; ++*taken) {
        struct jobq_spec spec;
        const struct jobq_spec *at = spec_at(specs, from + *taken);
        rc = read_struct("spec", at, at->size, SPEC_LEAST, &spec, sizeof spec);
        if (rc == JOBQ_OK)
            rc = put_of_spec(q, &spec, &scratch[*taken], &puts[*taken]);
        if (rc != JOBQ_OK)
            return rc;
        bytes += put_bytes(&puts[*taken]);
        if (*taken && bytes > EXCHANGE_BYTES)
            break;
    }
    return rc;
}

static int check_specs(struct jobq *q, const struct jobq_spec *specs, size_t count)
{
    struct jobq_spec spec;
    int rc = specs || count == 0 ? JOBQ_OK : fail_with(JOBQ_INVALID, "specs", "specs: is NULL");

    for (size_t i = 0; i < count && rc == JOBQ_OK; i++) {
        rc = read_spec(q, spec_at(specs, i), &spec);
        if (rc == JOBQ_OK)
            rc = check_capabilities(q, &spec);
        if (rc == JOBQ_OK && spec_at(specs, i)->size != specs[0].size)
            rc = fail_with(JOBQ_INVALID, "size", "spec.size: all specs of one call must have the same size");
    }
    return rc;
}

/* The answers of puts[0..count) that stand for specs[from..]; the first error wins. */
static int answer_many(const struct jobq_put *puts, size_t count, const struct jobq_spec *specs, size_t from,
                       struct jobq_enqueued *out)
{
    int worst = JOBQ_OK;

    for (size_t i = 0; i < count; i++) {
        struct jobq_spec spec;
        const struct jobq_spec *at = spec_at(specs, from + i);
        struct jobq_enqueued *one = out_at(out, from + i);
        (void)read_struct("spec", at, at->size, SPEC_LEAST, &spec, sizeof spec);
        if (one)
            one->size = out[0].size;
        int rc = enqueued_of_put(&puts[i], &spec, one);
        if (rc < 0 && worst == JOBQ_OK)
            worst = rc;
    }
    return worst;
}

struct many {
    struct call *call;
    struct jobq_put *puts;
    struct put_scratch *scratch;
    size_t room;
};

static int many_begin(struct many *m, size_t count)
{
    m->room = count < EXCHANGE_ITEMS ? count : EXCHANGE_ITEMS;
    m->call = call_create();
    m->puts = malloc((m->room + 1) * sizeof *m->puts);
    m->scratch = malloc((m->room + 1) * sizeof *m->scratch);
    if (m->call && m->puts && m->scratch)
        return JOBQ_OK;
    return fail_with(JOBQ_NOMEM, NULL, "out of memory for %zu jobs", count);
}

static void many_end(struct many *m)
{
    call_unref(m->call);
    free(m->puts);
    free(m->scratch);
}

/* One exchange of a bulk enqueue, from specs[from] on. The caller's bytes are lent until the exchange is over. */
static int many_step(struct jobq *q, const struct jobq_spec *specs, size_t from, size_t count,
                     struct jobq_enqueued *out, size_t *taken)
{
    struct many m = { 0 };
    int rc = many_begin(&m, count - from);

    if (rc == JOBQ_OK)
        rc = puts_of_specs(q, specs, from, count, m.scratch, m.puts, m.room, taken);
    if (rc == JOBQ_OK) {
        m.call->puts = m.puts;
        m.call->put_count = *taken;
        m.call->lends = true;
        rc = call_run(q, m.call, 0);
        if (rc != JOBQ_OK)
            for (size_t i = 0; i < *taken; i++)
                m.puts[i].verdict = rc;
        rc = answer_many(m.puts, *taken, specs, from, out);
    }
    many_end(&m);
    return rc;
}

int jobq_enqueue_many(struct jobq *q, const struct jobq_spec *specs, size_t count, struct jobq_enqueued *out)
{
    int rc = handle_check(q), worst = JOBQ_OK;

    if (rc == JOBQ_OK)
        rc = check_out(out);
    if (rc == JOBQ_OK)
        rc = check_specs(q, specs, count);
    if (rc != JOBQ_OK)
        return rc;
    out_fill(out, 0, count, JOBQ_SKIPPED);
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        rc = many_step(q, specs, from, count, out, &taken);
        if (rc < 0 && worst == JOBQ_OK)
            worst = rc;
        if (rc == JOBQ_FAILED || rc == JOBQ_UNKNOWN || rc == JOBQ_NOMEM)
            break; /* what follows is not sent and says SKIPPED */
    }
    return worst;
}

/* ---- ack and enqueue in one exchange ------------------------------------------------------------------------------------- */

int jobq_ack_then(struct jobq *q, const struct jobq_id *id, const struct jobq_token *token, const void *result,
                  size_t result_bytes, const struct jobq_spec *specs, size_t count, struct jobq_enqueued *out)
{
    struct many m = { 0 };
    struct jobq_change change;
    size_t taken = 0;
    int rc = handle_check(q);

    if (rc == JOBQ_OK)
        rc = check_out(out);
    if (rc == JOBQ_OK)
        rc = check_size("result", result_bytes, q->options.result_max_bytes);
    if (rc == JOBQ_OK)
        rc = check_range("count", (int64_t)count, 0, EXCHANGE_ITEMS - 1);
    if (rc == JOBQ_OK)
        rc = check_specs(q, specs, count);
    if (rc != JOBQ_OK)
        return rc;
    out_fill(out, 0, count, JOBQ_SKIPPED);
    rc = many_begin(&m, count);
    if (rc == JOBQ_OK)
        rc = puts_of_specs(q, specs, 0, count, m.scratch, m.puts, m.room, &taken);
    if (rc == JOBQ_OK && taken < count)
        rc = fail_with(JOBQ_INVALID, "specs", "specs: more than %zu bytes in one exchange", EXCHANGE_BYTES);
    if (rc == JOBQ_OK) {
        policy_complete(id, token, (struct jobq_bytes){ result, result_bytes }, false, &change);
        for (size_t i = 0; i < taken; i++)
            m.puts[i].only_if = 0;
        m.call->changes = &change;
        m.call->change_count = 1;
        m.call->puts = m.puts;
        m.call->put_count = taken;
        m.call->lends = true;
        rc = call_run(q, m.call, 0);
        if (rc == JOBQ_OK) {
            (void)answer_many(m.puts, taken, specs, 0, out);
            rc = status_of_change(&change);
        }
    }
    many_end(&m);
    return rc;
}
