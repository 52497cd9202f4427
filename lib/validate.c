/* SPDX-License-Identifier: MIT */
/* Every check of input. The only place with limits; each refusal names the field and the limit. */
#include "internal.h"

#include <inttypes.h>
#include <string.h>

static bool all_zero(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (at[i])
            return false;
    return true;
}

int check_struct(const char *what, size_t size, size_t least)
{
    if (size < least)
        return fail_with(JOBQ_INVALID, "size", "%s.size: is %zu, must be at least %zu (set it to sizeof)", what, size,
                         least);
    return JOBQ_OK;
}

int read_struct(const char *what, const void *in, size_t in_size, size_t least, void *out, size_t out_size)
{
    size_t common = in_size < out_size ? in_size : out_size;
    int rc = check_struct(what, in_size, least);

    if (rc != JOBQ_OK)
        return rc;
    if (in_size > out_size && !all_zero((const uint8_t *)in + out_size, in_size - out_size))
        return fail_with(JOBQ_INVALID, "size", "%s: uses members that this version of libjobq does not know", what);
    memset(out, 0, out_size);
    memcpy(out, in, common);
    return JOBQ_OK;
}

/* Length of the UTF-8 sequence at s, 0 if there is none (overlong forms and surrogates are none). */
size_t utf8_step(const uint8_t *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        uint8_t low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;
        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        uint8_t low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;
        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4 : 0;
    }
    return 0;
}

static int check_text(const char *field, const char *text, size_t high)
{
    const uint8_t *start = (const uint8_t *)text, *at = start;

    while (*at) {
        size_t step = utf8_step(at);
        if (*at < 0x20 || *at == 0x7f)
            return fail_with(JOBQ_INVALID, field, "%s: byte %zu is a control character", field, (size_t)(at - start));
        if (step == 0)
            return fail_with(JOBQ_INVALID, field, "%s: byte %zu is not UTF-8", field, (size_t)(at - start));
        at += step;
        if ((size_t)(at - start) > high)
            return fail_with(JOBQ_INVALID, field, "%s: longer than %zu bytes", field, high);
    }
    return JOBQ_OK;
}

int check_name(const char *field, const char *name)
{
    if (!name || !*name)
        return fail_with(JOBQ_INVALID, field, "%s: is empty, must have 1 to %d bytes", field, NAME_MAX_BYTES);
    return check_text(field, name, NAME_MAX_BYTES);
}

int check_name_or_null(const char *field, const char *name)
{
    return name ? check_name(field, name) : JOBQ_OK;
}

int check_range(const char *field, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high)
        return JOBQ_OK;
    return fail_with(JOBQ_INVALID, field, "%s: is %" PRId64 ", must be %" PRId64 " to %" PRId64, field, value, low,
                     high);
}

int check_size(const char *field, size_t size, size_t high)
{
    if (size <= high)
        return JOBQ_OK;
    return fail_with(JOBQ_INVALID, field, "%s: has %zu bytes, at most %zu are allowed", field, size, high);
}

static int check_bytes(const char *field, const struct jobq_bytes *bytes, size_t high)
{
    if (!bytes->data && bytes->size)
        return fail_with(JOBQ_INVALID, field, "%s: data is NULL but size is %zu", field, bytes->size);
    return check_size(field, bytes->size, high);
}

static int check_key(const struct jobq_spec *spec)
{
    int rc = check_bytes("key", &spec->key, KEY_MAX_BYTES);

    if (rc == JOBQ_OK && spec->key.data && spec->key.size == 0)
        return fail_with(JOBQ_INVALID, "key", "key: is empty, must have 1 to %d bytes", KEY_MAX_BYTES);
    if (rc == JOBQ_OK)
        rc = check_range("key_scope", spec->key_scope, 0, JOBQ_SCOPE_KIND | JOBQ_SCOPE_GROUP);
    if (rc == JOBQ_OK)
        rc = check_range("key_hold", spec->key_hold, JOBQ_HOLD_LIVE, JOBQ_HOLD_FOREVER);
    if (rc == JOBQ_OK)
        rc = check_range("key_conflict", spec->key_conflict, JOBQ_CONFLICT_RETURN, JOBQ_CONFLICT_SUCCESSOR);
    if (rc == JOBQ_OK)
        rc = check_range("key_window_ms", spec->key_window_ms, spec->key_hold == JOBQ_HOLD_WINDOW, MAX_MS);
    return rc;
}

static int check_times(const struct jobq_spec *spec)
{
    if (spec->delay_ms && spec->run_at_ms)
        return fail_with(JOBQ_INVALID, "run_at_ms", "run_at_ms: cannot be given together with delay_ms");
    int rc = check_range("priority", spec->priority, -32768, 32767);
    if (rc == JOBQ_OK)
        rc = check_range("delay_ms", spec->delay_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("run_at_ms", spec->run_at_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("expires_in_ms", spec->expires_in_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("timeout_ms", spec->timeout_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("reserved", spec->reserved, 0, 0);
    return rc;
}

static int check_parents(const struct jobq_spec *spec)
{
    int rc = check_range("parent_count", (int64_t)spec->parent_count, 0, EXCHANGE_ITEMS);

    if (rc == JOBQ_OK && spec->parent_count && spec->key.data && spec->key_conflict == JOBQ_CONFLICT_SUCCESSOR)
        return fail_with(JOBQ_INVALID, "parents", "parents: a job that may become a successor has none");
    if (rc == JOBQ_OK && spec->parent_count && !spec->parents)
        return fail_with(JOBQ_INVALID, "parents", "parents: is NULL but parent_count is %zu", spec->parent_count);
    for (size_t i = 0; i < spec->parent_count && rc == JOBQ_OK; i++) {
        rc = check_range("parents.rule", spec->parents[i].rule, JOBQ_PARENT_FAIL, JOBQ_PARENT_IGNORE);
        if (rc == JOBQ_OK && spec->id && memcmp(spec->id, &spec->parents[i].id, sizeof *spec->id) == 0)
            return fail_with(JOBQ_CYCLE, "parents", "parents: the job would wait for itself");
        for (size_t k = 0; k < i && rc == JOBQ_OK; k++)
            if (memcmp(&spec->parents[k].id, &spec->parents[i].id, sizeof spec->parents[i].id) == 0)
                return fail_with(JOBQ_INVALID, "parents", "parents: entry %zu repeats entry %zu", i, k);
    }
    return rc;
}

int check_spec(const struct jobq *q, const struct jobq_spec *spec)
{
    struct job_policy policy;
    int rc = check_name("queue", spec->queue);

    if (rc == JOBQ_OK)
        rc = check_name_or_null("kind", spec->kind);
    if (rc == JOBQ_OK)
        rc = check_name_or_null("group", spec->group);
    if (rc == JOBQ_OK)
        rc = check_bytes("payload", &spec->payload, q->options.payload_max_bytes);
    if (rc == JOBQ_OK)
        rc = check_key(spec);
    if (rc == JOBQ_OK)
        rc = check_times(spec);
    if (rc == JOBQ_OK)
        rc = check_policy(spec, &policy);
    if (rc == JOBQ_OK)
        rc = check_parents(spec);
    if (rc == JOBQ_OK && spec->trace)
        rc = check_text("trace", spec->trace, TRACE_MAX_BYTES);
    return rc;
}

static int32_t or_default(int32_t value, int32_t fallback)
{
    return value ? value : fallback;
}

static int check_list(const struct jobq_backoff *b, struct job_policy *out)
{
    int rc = check_range("backoff.list_count", b->list_count, 1, 32);

    if (rc == JOBQ_OK && !b->list_ms)
        return fail_with(JOBQ_INVALID, "backoff.list_ms", "backoff.list_ms: is NULL");
    for (uint32_t i = 0; rc == JOBQ_OK && i < b->list_count; i++) {
        rc = check_range("backoff.list_ms", b->list_ms[i], 0, MAX_MS);
        out->list_ms[i] = b->list_ms[i];
    }
    out->list_count = b->list_count;
    return rc;
}

static int check_backoff(const struct jobq_backoff *given, struct job_policy *out)
{
    struct jobq_backoff b;
    int rc = read_struct("backoff", given, given->size, sizeof b, &b, sizeof b);

    if (rc != JOBQ_OK)
        return rc;
    out->backoff_kind = b.kind;
    out->factor_percent = or_default(b.factor_percent, 200);
    out->base_ms = b.base_ms ? b.base_ms : 2000;
    out->cap_ms = b.cap_ms ? b.cap_ms : 3600000;
    out->jitter_percent = b.jitter_percent;
    rc = check_range("backoff.kind", b.kind, JOBQ_BACKOFF_EXPONENTIAL, JOBQ_BACKOFF_LIST);
    if (rc == JOBQ_OK)
        rc = check_range("backoff.factor_percent", out->factor_percent, 100, 10000);
    if (rc == JOBQ_OK)
        rc = check_range("backoff.base_ms", b.base_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("backoff.cap_ms", b.cap_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("backoff.jitter_percent", b.jitter_percent, 0, 100);
    return rc == JOBQ_OK && b.kind == JOBQ_BACKOFF_LIST ? check_list(&b, out) : rc;
}

int check_policy(const struct jobq_spec *spec, struct job_policy *out)
{
    job_policy_default(out);
    out->max_attempts = or_default(spec->max_attempts, out->max_attempts);
    out->max_crashes = or_default(spec->max_crashes, out->max_crashes);
    out->max_snoozes = or_default(spec->max_snoozes, out->max_snoozes);
    out->max_releases = or_default(spec->max_releases, out->max_releases);
    int rc = check_range("max_attempts", out->max_attempts, 1, COUNT_MAX);
    if (rc == JOBQ_OK)
        rc = check_range("max_crashes", out->max_crashes, 1, COUNT_MAX);
    if (rc == JOBQ_OK)
        rc = check_range("max_snoozes", out->max_snoozes, 1, COUNT_MAX);
    if (rc == JOBQ_OK)
        rc = check_range("max_releases", out->max_releases, 1, COUNT_MAX);
    return rc == JOBQ_OK && spec->backoff ? check_backoff(spec->backoff, out) : rc;
}

static int check_list_of_names(const char *field, const char *const *names, size_t count, size_t low, size_t high)
{
    int rc = check_range(field, (int64_t)count, (int64_t)low, (int64_t)high);

    if (rc == JOBQ_OK && count && !names)
        return fail_with(JOBQ_INVALID, field, "%s: is NULL but its count is %zu", field, count);
    for (size_t i = 0; i < count && rc == JOBQ_OK; i++)
        rc = check_name(field, names[i]);
    return rc;
}

int check_claim(const struct jobq_claim_options *options)
{
    int rc = check_list_of_names("queues", options->queues, options->queue_count, 1, QUEUES_MAX);

    if (rc == JOBQ_OK)
        rc = check_list_of_names("kinds", options->kinds, options->kind_count, 0, KINDS_MAX);
    if (rc == JOBQ_OK)
        rc = check_name_or_null("worker", options->worker);
    if (rc == JOBQ_OK)
        rc = check_range("limit", (int64_t)options->limit, 0, EXCHANGE_ITEMS);
    if (rc == JOBQ_OK && options->lease_ms)
        rc = check_range("lease_ms", options->lease_ms, LEASE_MIN_MS, LEASE_MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("flags", options->flags, 0, JOBQ_ACK_EARLY | JOBQ_NO_SWEEP);
    return rc;
}

int check_filter(const struct jobq_filter *filter)
{
    int rc = check_name_or_null("queue", filter->queue);

    if (rc == JOBQ_OK)
        rc = check_name_or_null("kind", filter->kind);
    if (rc == JOBQ_OK)
        rc = check_name_or_null("group", filter->group);
    if (rc == JOBQ_OK)
        rc = check_range("states", filter->states, 0, (1 << JOBQ_STATE_COUNT) - 2);
    if (rc == JOBQ_OK)
        rc = filter->states & 1u ? fail_with(JOBQ_INVALID, "states", "states: bit 0 stands for no state") : rc;
    if (rc == JOBQ_OK)
        rc = check_range("older_ms", filter->older_ms, 0, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("limit", (int64_t)filter->limit, 0, EXCHANGE_ITEMS);
    return rc;
}
