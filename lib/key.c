/* SPDX-License-Identifier: MIT */
/* What stands for an idempotency key, and for a key made of parts. */
#include "internal.h"

#include <string.h>

/* Stores keep keys in the order of their scopes, and a digest alone puts each somewhere else: a thousand
 * numbered keys would be a thousand pages to change. So a scope begins with where its key belongs: with those
 * that begin alike, as dates do, there with those that differ in their last places only, as numbers do, and
 * there by these. The rest is of the digest. functions/enqueue.sql of the Postgres store does the same. */
enum { NEAR_HEAD = 8, NEAR_LAST = 3, NEAR_BYTES = 4 + 4 + NEAR_LAST };

static void mark(uint8_t out[4], const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a: any spread will do, if it is the same on every machine */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 16777619u;
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(hash >> (24 - 8 * i));
}

static void begin_near(uint8_t scope[32], struct jobq_bytes key)
{
    const uint8_t *data = key.data;
    const size_t last = key.size < NEAR_LAST ? key.size : NEAR_LAST, before = key.size - last;
    memmove(scope + NEAR_BYTES, scope, 32 - NEAR_BYTES);
    mark(scope, data, before < NEAR_HEAD ? before : NEAR_HEAD);
    mark(scope + 4, data, before);
    memset(scope + 8, 0, NEAR_LAST);
    memcpy(scope + 8, data + before, last);
}

void key_of_spec(const struct jobq_spec *spec, const char *kind, struct jobq_put_key *out)
{
    const uint8_t scope = (uint8_t)spec->key_scope;
    struct sha256 s;

    *out = (struct jobq_put_key){
        .hold = spec->key_hold, .conflict = spec->key_conflict, .window_ms = spec->key_window_ms};
    sha256_init(&s);
    sha256_part(&s, &scope, sizeof scope);
    sha256_part(&s, spec->queue, strlen(spec->queue));
    sha256_part(&s, kind, spec->key_scope & JOBQ_SCOPE_KIND ? strlen(kind) : 0);
    sha256_part(&s, spec->group, spec->key_scope & JOBQ_SCOPE_GROUP && spec->group ? strlen(spec->group) : 0);
    sha256_part(&s, spec->key.data, spec->key.size);
    sha256_end(&s, out->scope);
    begin_near(out->scope, spec->key);
    sha256_init(&s);
    sha256_add(&s, spec->payload.data, spec->payload.size);
    sha256_end(&s, out->payload_digest);
}

void jobq_key_of(const struct jobq_bytes *parts, size_t part_count, uint8_t out[32])
{
    struct sha256 s;

    sha256_init(&s);
    for (size_t i = 0; i < part_count; i++)
        sha256_part(&s, parts[i].data, parts[i].size);
    sha256_end(&s, out);
}
