/* SPDX-License-Identifier: MIT */
/* What most jobs never have: numbers that are 0 and digests that are not there. They stand in one column of
 * the row, each behind a byte that says what it is, so that a row without them is small and quickly written.
 */
#include "store.h"

#include <string.h>

/* Stored: never give one another meaning. Digests have their bit. */
enum field {
    FIELD_EDITS = 1,
    FIELD_PRIORITY = 2,
    FIELD_RANK_ADD = 3,
    FIELD_FAILURES = 4,
    FIELD_CRASHES = 5,
    FIELD_SNOOZES = 6,
    FIELD_RELEASES = 7,
    FIELD_REDRIVES = 8,
    FIELD_PENDING = 9,
    FIELD_CHILDREN = 10,
    FIELD_ERRORS = 11,
    FIELD_EXPIRES_AT = 12,
    FIELD_CALLBACK_UNTIL = 13,
    FIELD_TIMEOUT = 14,
    FIELD_KEY_HOLD = 15,
    FIELD_KEY_UNTIL = 16,
    FIELD_PAYLOAD_BYTES = 17,
    FIELD_IS_DIGEST = 64,
    FIELD_KEY_SCOPE = 64,
    FIELD_KEY_DIGEST = 65,
    FIELD_CALLBACK = 66
};

/* ---- writing ------------------------------------------------------------------------------------------- */

/* Seven bits a byte, the sign in the lowest one. */
static void add_number(struct pack *p, enum field field, int64_t value)
{
    uint64_t left = (uint64_t)value << 1 ^ (uint64_t)(value < 0 ? -1 : 0);
    if (!value)
        return;
    p->bytes[p->size++] = (uint8_t)field;
    for (; left > 127; left >>= 7)
        p->bytes[p->size++] = (uint8_t)(left | 128);
    p->bytes[p->size++] = (uint8_t)left;
}

static void add_digest(struct pack *p, enum field field, const uint8_t digest[32])
{
    p->bytes[p->size++] = (uint8_t)field;
    memcpy(p->bytes + p->size, digest, 32);
    p->size += 32;
}

static void add_counters(struct pack *p, const struct job *job)
{
    const struct jobq_row *r = &job->row;
    add_number(p, FIELD_EDITS, r->edits);
    add_number(p, FIELD_FAILURES, r->failures);
    add_number(p, FIELD_CRASHES, r->crashes);
    add_number(p, FIELD_SNOOZES, r->snoozes);
    add_number(p, FIELD_RELEASES, r->releases);
    add_number(p, FIELD_REDRIVES, r->redrives);
    add_number(p, FIELD_PENDING, r->pending);
    add_number(p, FIELD_CHILDREN, job->children);
    add_number(p, FIELD_ERRORS, job->errors);
}

static void add_key(struct pack *p, const struct job *job)
{
    add_digest(p, FIELD_KEY_SCOPE, job->key.scope);
    add_digest(p, FIELD_KEY_DIGEST, job->key.payload_digest);
    add_number(p, FIELD_KEY_HOLD, job->key.hold);
    add_number(p, FIELD_KEY_UNTIL, job->window_until_ms);
}

struct value sq_pack(struct pack *p, const struct job *job)
{
    const struct jobq_row *r = &job->row;
    p->size = 0;
    add_number(p, FIELD_PRIORITY, r->priority);
    add_number(p, FIELD_RANK_ADD, r->rank_add_ms);
    add_counters(p, job);
    add_number(p, FIELD_EXPIRES_AT, r->expires_at_ms);
    add_number(p, FIELD_CALLBACK_UNTIL, r->callback_until_ms);
    add_number(p, FIELD_TIMEOUT, r->timeout_ms);
    if (job->has_key)
        add_key(p, job);
    if (job->has_digest)
        add_digest(p, FIELD_CALLBACK, job->digest);
    if (job->flags & FLAG_BULK_PAYLOAD)
        add_number(p, FIELD_PAYLOAD_BYTES, (int64_t)r->payload_bytes);
    return blob(p->size ? p->bytes : NULL, p->size);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void set_number(struct job *job, int field, int64_t value)
{
    struct jobq_row *r = &job->row;
    switch (field) {
    case FIELD_EDITS:
        r->edits = (uint32_t)value;
        break;
    case FIELD_PRIORITY:
        r->priority = (int32_t)value;
        break;
    case FIELD_RANK_ADD:
        r->rank_add_ms = value;
        break;
    case FIELD_FAILURES:
        r->failures = (int32_t)value;
        break;
    case FIELD_CRASHES:
        r->crashes = (int32_t)value;
        break;
    case FIELD_SNOOZES:
        r->snoozes = (int32_t)value;
        break;
    case FIELD_RELEASES:
        r->releases = (int32_t)value;
        break;
    case FIELD_REDRIVES:
        r->redrives = (int32_t)value;
        break;
    case FIELD_PENDING:
        r->pending = (uint32_t)value;
        break;
    case FIELD_CHILDREN:
        job->children = (uint32_t)value;
        break;
    case FIELD_ERRORS:
        job->errors = (int32_t)value;
        break;
    case FIELD_EXPIRES_AT:
        r->expires_at_ms = value;
        break;
    case FIELD_CALLBACK_UNTIL:
        r->callback_until_ms = value;
        break;
    case FIELD_TIMEOUT:
        r->timeout_ms = value;
        break;
    case FIELD_KEY_HOLD:
        job->key.hold = (int32_t)value;
        break;
    case FIELD_KEY_UNTIL:
        job->window_until_ms = value;
        break;
    case FIELD_PAYLOAD_BYTES:
        r->payload_bytes = (size_t)value;
        break;
    default:
        break; /* of a later library */
    }
}

static void set_digest(struct job *job, int field, const uint8_t *digest)
{
    job->has_key |= field == FIELD_KEY_SCOPE;
    job->has_digest |= field == FIELD_CALLBACK;
    uint8_t *to = field == FIELD_KEY_SCOPE    ? job->key.scope
                  : field == FIELD_KEY_DIGEST ? job->key.payload_digest
                  : field == FIELD_CALLBACK   ? job->digest
                                              : NULL;
    if (to)
        memcpy(to, digest, 32);
}

/* Returns what stands behind the number, NULL when it has no end. */
static const uint8_t *read_number(const uint8_t *at, const uint8_t *end, int64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte & 128)
            continue;
        *out = (int64_t)(value >> 1 ^ (~(value & 1) + 1));
        return at;
    }
    return NULL;
}

bool sq_unpack(struct jobq_bytes from, struct job *job)
{
    const uint8_t *at = from.data, *end = at + from.size;
    while (at < end) {
        int field = *at++;
        int64_t value;
        if (field >= FIELD_IS_DIGEST) {
            if (end - at < 32)
                return false;
            set_digest(job, field, at);
            at += 32;
            continue;
        }
        at = read_number(at, end, &value);
        if (!at)
            return false;
        set_number(job, field, value);
    }
    return true;
}
