/* SPDX-License-Identifier: MIT */
/* A schedule's definition as bytes: a version byte, then numbers of variable length (7 bits a byte, low first) and byte
 * strings with their length + 1 in front (0: absent), in one order. The same definition has the same bytes. */
#include "schedule.h"

#include <string.h>

#define DEFINITION_VERSION 1
#define NUMBERS_ROOM 512 /* all numbers and lengths together take less */

/* ---- writing ------------------------------------------------------------------------------------------------- */

struct writer {
    uint8_t *at;
};

static void put_number(struct writer *w, int64_t number)
{
    uint64_t value = (uint64_t)number;

    for (; value >= 0x80; value >>= 7)
        *w->at++ = (uint8_t)(value | 0x80);
    *w->at++ = (uint8_t)value;
}

static void put_string(struct writer *w, struct jobq_bytes bytes)
{
    put_number(w, bytes.data ? (int64_t)bytes.size + 1 : 0);
    if (bytes.size)
        memcpy(w->at, bytes.data, bytes.size);
    w->at += bytes.size;
}

static void put_spec(struct writer *w, const struct jobq_spec *spec)
{
    struct job_policy policy;
    uint8_t policy_bytes[JOB_POLICY_MAX_BYTES];

    (void)check_policy(spec, &policy); /* the spec is checked */
    size_t size = job_policy_write(&policy, policy_bytes);
    put_string(w, bytes_of(spec->queue));
    put_string(w, bytes_of(spec->kind));
    put_string(w, bytes_of(spec->group));
    put_string(w, spec->payload);
    put_string(w, (struct jobq_bytes){ policy_bytes, size });
    put_string(w, spec->key);
    put_string(w, bytes_of(spec->trace));
    const int64_t numbers[] = { spec->key_scope, spec->key_hold, spec->key_conflict, spec->key_window_ms,
                                spec->priority + 32768, spec->expires_in_ms, spec->timeout_ms, spec->held != 0 };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        put_number(w, numbers[i]);
}

static size_t room_for(const struct jobq_schedule *s)
{
    const struct jobq_spec *spec = s->spec;

    return NUMBERS_ROOM + JOB_POLICY_MAX_BYTES + bytes_of(s->cron).size + bytes_of(s->zone).size +
           bytes_of(spec->queue).size + bytes_of(spec->kind).size + bytes_of(spec->group).size + spec->payload.size +
           spec->key.size + bytes_of(spec->trace).size;
}

int definition_write(struct jobq_arena *arena, const struct definition *d, struct jobq_bytes *out)
{
    const struct jobq_schedule *s = &d->schedule;
    uint8_t *bytes = jobq_arena_alloc(arena, room_for(s));
    struct writer w = { bytes };

    if (!bytes)
        return -1;
    *w.at++ = DEFINITION_VERSION;
    put_string(&w, bytes_of(s->cron));
    put_string(&w, bytes_of(s->zone));
    const int64_t numbers[] = { s->every_ms, d->anchor_given, s->anchor_ms, s->missed, s->gap, s->fold, s->late_ms };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        put_number(&w, numbers[i]);
    put_spec(&w, s->spec);
    *out = (struct jobq_bytes){ bytes, (size_t)(w.at - bytes) };
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Once something was wrong everything behind it is; asked at the end. */
struct reader {
    const uint8_t *at, *end;
    struct jobq_arena *arena;
    bool bad, no_memory;
};

static int64_t get_number(struct reader *r, int64_t low, int64_t high)
{
    uint64_t value = 0;

    for (int shift = 0; r->at < r->end && shift < 63; shift += 7) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if ((int64_t)value < low || (int64_t)value > high)
                break;
            return (int64_t)value;
        }
    }
    r->bad = true;
    return low;
}

static struct jobq_bytes get_string(struct reader *r, size_t most)
{
    int64_t size = get_number(r, 0, (int64_t)most + 1) - 1;
    struct jobq_bytes out = { r->at, (size_t)size };

    if (r->bad || size < 0)
        return (struct jobq_bytes){ NULL, 0 };
    if (size > r->end - r->at) {
        r->bad = true;
        return (struct jobq_bytes){ NULL, 0 };
    }
    r->at += size;
    return out;
}

static const char *get_text(struct reader *r, size_t most)
{
    struct jobq_bytes bytes = get_string(r, most);
    const char *text = NULL;

    if (!bytes.data)
        return NULL;
    if (memchr(bytes.data, 0, bytes.size))
        r->bad = true;
    text = jobq_arena_text(r->arena, bytes.data, bytes.size);
    r->no_memory |= !text;
    return text;
}

static void get_policy(struct reader *r, struct definition *out)
{
    struct jobq_bytes bytes = get_string(r, JOB_POLICY_MAX_BYTES);
    struct jobq_spec *spec = &out->spec;
    struct job_policy p;

    if (!job_policy_read(bytes, &p))
        r->bad = true;
    if (r->bad || bytes.size == 0)
        return;
    spec->max_attempts = p.max_attempts;
    spec->max_crashes = p.max_crashes;
    spec->max_snoozes = p.max_snoozes;
    spec->max_releases = p.max_releases;
    memcpy(out->list_ms, p.list_ms, p.list_count * sizeof out->list_ms[0]);
    out->backoff = (struct jobq_backoff){ .size = sizeof out->backoff, .kind = p.backoff_kind,
                                          .factor_percent = p.factor_percent, .base_ms = p.base_ms,
                                          .cap_ms = p.cap_ms, .jitter_percent = p.jitter_percent,
                                          .list_count = p.list_count,
                                          .list_ms = p.list_count ? out->list_ms : NULL };
    spec->backoff = &out->backoff;
}

static void get_spec(struct reader *r, struct definition *out)
{
    struct jobq_spec *spec = &out->spec;

    spec->size = sizeof *spec;
    spec->queue = get_text(r, NAME_MAX_BYTES);
    spec->kind = get_text(r, NAME_MAX_BYTES);
    spec->group = get_text(r, NAME_MAX_BYTES);
    spec->payload = get_string(r, PAYLOAD_CEILING_BYTES);
    get_policy(r, out);
    spec->key = get_string(r, KEY_MAX_BYTES);
    spec->trace = get_text(r, TRACE_MAX_BYTES);
    spec->key_scope = (int32_t)get_number(r, 0, JOBQ_SCOPE_KIND | JOBQ_SCOPE_GROUP);
    spec->key_hold = (int32_t)get_number(r, 0, JOBQ_HOLD_FOREVER);
    spec->key_conflict = (int32_t)get_number(r, 0, JOBQ_CONFLICT_SUCCESSOR);
    spec->key_window_ms = get_number(r, 0, MAX_MS);
    spec->priority = (int32_t)get_number(r, 0, 65535) - 32768;
    spec->expires_in_ms = get_number(r, 0, MAX_MS);
    spec->timeout_ms = get_number(r, 0, MAX_MS);
    spec->held = (int32_t)get_number(r, 0, 1);
    r->bad |= !spec->queue;
}

static void get_times(struct reader *r, struct definition *out)
{
    struct jobq_schedule *s = &out->schedule;

    s->cron = get_text(r, CRON_TEXT_MAX);
    s->zone = get_text(r, NAME_MAX_BYTES);
    s->every_ms = get_number(r, 0, MAX_MS);
    out->anchor_given = get_number(r, 0, 1);
    s->anchor_ms = get_number(r, 0, MAX_MS);
    s->missed = (int32_t)get_number(r, 0, JOBQ_MISSED_ALL);
    s->gap = (int32_t)get_number(r, 0, JOBQ_GAP_SKIP);
    s->fold = (int32_t)get_number(r, 0, JOBQ_FOLD_BOTH);
    s->late_ms = get_number(r, 1, MAX_MS);
    r->bad |= !s->cron == !s->every_ms;
}

int definition_read(struct jobq_arena *arena, const struct jobq_schedule_row *row, struct definition *out)
{
    struct reader r = { .at = row->bytes.data, .arena = arena };

    r.end = r.at + row->bytes.size;
    *out = (struct definition){ .schedule = { .size = sizeof out->schedule } };
    out->schedule.spec = &out->spec;
    out->schedule.name = jobq_arena_text(arena, row->name.data, row->name.size);
    r.no_memory = !out->schedule.name;
    r.bad = row->bytes.size == 0 || *r.at++ != DEFINITION_VERSION;
    if (!r.bad) {
        get_times(&r, out);
        get_spec(&r, out);
    }
    if (r.no_memory)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a schedule");
    if (r.bad || r.at != r.end)
        return fail_with(JOBQ_UNSUPPORTED, "schedule",
                         "schedule: its definition was written by a newer libjobq, or is damaged");
    return JOBQ_OK;
}
