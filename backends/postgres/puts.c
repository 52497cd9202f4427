/* SPDX-License-Identifier: MIT */
/* New rows as parameters, in the order that functions/puts.sql and functions/plain.sql name. */
#include "store.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- puts that can be done together -------------------------------------------------------------------- */

static bool same_bytes(struct jobq_bytes a, struct jobq_bytes b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static bool keys_differ(const struct jobq_exchange *x, size_t keyed)
{
    char *scopes = malloc(16 * keyed);
    size_t used = 0;
    for (size_t i = 0; i < x->put_count && scopes; i++)
        if (x->puts[i].unique)
            memcpy(scopes + 16 * used++, x->puts[i].unique->scope, 16); /* half of it is enough */
    bool differ = scopes && pq_all_differ(scopes, 16, used);
    free(scopes);
    return differ;
}

bool pq_puts_are_apart(const struct jobq_exchange *x, size_t keyed)
{
    for (size_t i = 0; i < x->put_count; i++)
        if (x->puts[i].parent_count || x->puts[i].only_if >= 0 || x->puts[i].tick)
            return false;
    if (x->put_count > 1 && !pq_all_differ((const char *)x->puts[0].id.bytes, sizeof *x->puts, x->put_count))
        return false;
    return keyed < 2 || keys_differ(x, keyed);
}

static bool is_now(const struct jobq_time *when)
{
    return when->base == JOBQ_TIME_KEEP || (when->base == JOBQ_TIME_NOW && !when->offset_ms);
}

static bool is_plain(const struct jobq_put *put)
{
    return !put->tick && !put->parent_count && put->only_if < 0 && !put->group.data && !put->held &&
           is_now(&put->run_at) && put->expires_at.base == JOBQ_TIME_KEEP && put->rank_add_ms >= 0;
}

bool pq_puts_are_plain(const struct jobq_exchange *x)
{
    size_t keyed = 0;
    for (size_t i = 0; i < x->put_count; i++) {
        if (!is_plain(&x->puts[i]) || !same_bytes(x->puts[0].queue, x->puts[i].queue))
            return false;
        keyed += x->puts[i].unique != NULL;
    }
    return x->put_count && pq_puts_are_apart(x, keyed);
}

/* ---- the usual way ------------------------------------------------------------------------------------- */

/* NULL as a whole when no put has a value. */
static void pack_put_bytes(struct params *p, const struct jobq_exchange *x, size_t member)
{
    bool any = false;
    for (size_t i = 0; i < x->put_count && !any; i++)
        any = ((const struct jobq_bytes *)(const void *)((const char *)&x->puts[i] + member))->data != NULL;
    if (!any) {
        pack_null(p);
        return;
    }
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < x->put_count; i++)
        pack_add_bytes(p, *(const struct jobq_bytes *)(const void *)((const char *)&x->puts[i] + member));
    pack_end(p);
}

/* Queues are named once. Fills the number of each put's queue, from 1, and the first put of each queue. */
static void pack_queues(struct params *p, const struct jobq_exchange *x, int32_t *numbers, int32_t *firsts)
{
    size_t count = 0;
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < x->put_count; i++) {
        size_t q = i && same_bytes(x->puts[i].queue, x->puts[i - 1].queue) ? (size_t)numbers[i - 1] - 1 : 0;
        while (q < count && !same_bytes(x->puts[firsts[q]].queue, x->puts[i].queue))
            q++;
        if (q == count) {
            firsts[count++] = (int32_t)i;
            pack_add_bytes(p, x->puts[i].queue);
        }
        numbers[i] = (int32_t)q + 1;
    }
    pack_end(p);
}

/* A new row has no time of its own yet: what is left is "so long from now" or "then". */
static void pack_time(struct params *p, const struct jobq_time *when, bool now_by_default)
{
    bool relative = when->base == JOBQ_TIME_NOW || when->base == JOBQ_TIME_LATER ||
                    (when->base == JOBQ_TIME_KEEP && now_by_default);
    pack_add_int8(p, relative);
    pack_add_int8(p, when->base == JOBQ_TIME_KEEP ? 0 : when->offset_ms);
}

static void pack_put_numbers(struct params *p, const struct jobq_put *put, int32_t queue, size_t *parents)
{
    const struct jobq_put_key *key = put->unique;
    pack_add_int8(p, queue);
    pack_add_int8(p, put->priority);
    pack_add_int8(p, put->rank_add_ms);
    pack_time(p, &put->run_at, true);
    pack_time(p, &put->expires_at, false);
    pack_add_int8(p, put->timeout_ms);
    pack_add_int8(p, put->held != 0);
    pack_add_int8(p, key ? key->hold : 0);
    pack_add_int8(p, key ? key->conflict : 0);
    pack_add_int8(p, key ? key->window_ms : 0);
    pack_add_int8(p, put->only_if + 1);
    pack_add_int8(p, put->parent_count ? (int64_t)*parents + 1 : 0);
    pack_add_int8(p, (int64_t)put->parent_count);
    *parents += put->parent_count;
}

static void pack_put_keys(struct params *p, const struct jobq_exchange *x, size_t keyed)
{
    if (!keyed) {
        pack_nulls(p, 2);
        return;
    }
    for (int digest = 0; digest < 2; digest++) {
        pack_begin(p, ELEMENT_BYTES);
        for (size_t i = 0; i < x->put_count; i++) {
            const struct jobq_put_key *key = x->puts[i].unique;
            pack_add_bytes(
                p, key ? (struct jobq_bytes){.data = digest ? key->payload_digest : key->scope, .size = 32}
                       : (struct jobq_bytes){0});
        }
        pack_end(p);
    }
}

static void pack_parents(struct params *p, const struct jobq_exchange *x, size_t parents)
{
    if (!parents) {
        pack_nulls(p, 2);
        return;
    }
    pack_begin(p, ELEMENT_ID);
    for (size_t i = 0; i < x->put_count; i++)
        for (size_t k = 0; k < x->puts[i].parent_count; k++)
            pack_add_id(p, x->puts[i].parents[k].id.bytes);
    pack_end(p);
    pack_begin(p, ELEMENT_INT4);
    for (size_t i = 0; i < x->put_count; i++)
        for (size_t k = 0; k < x->puts[i].parent_count; k++)
            pack_add_int4(p, x->puts[i].parents[k].rule);
    pack_end(p);
}

void pq_puts_pack(const struct jobq_exchange *x, size_t keyed, struct params *p)
{
    int32_t *queues = x->put_count ? malloc(2 * x->put_count * sizeof *queues) : NULL;
    size_t parents = 0;
    pack_int4(p, (int32_t)keyed);
    if (!queues) {
        p->broken |= x->put_count > 0;
        pack_nulls(p, 15);
        return;
    }
    pack_queues(p, x, queues, &queues[x->put_count]);
    pack_begin(p, ELEMENT_ID);
    for (size_t i = 0; i < x->put_count; i++)
        pack_add_id(p, x->puts[i].id.bytes);
    pack_end(p);
    pack_begin(p, ELEMENT_INT8);
    for (size_t i = 0; i < x->put_count; i++)
        pack_put_numbers(p, &x->puts[i], queues[i], &parents);
    pack_end(p);
    pack_put_bytes(p, x, offsetof(struct jobq_put, kind));
    pack_put_bytes(p, x, offsetof(struct jobq_put, group));
    pack_put_bytes(p, x, offsetof(struct jobq_put, payload));
    pack_put_bytes(p, x, offsetof(struct jobq_put, policy));
    pack_put_bytes(p, x, offsetof(struct jobq_put, key));
    pack_put_bytes(p, x, offsetof(struct jobq_put, trace));
    pack_put_keys(p, x, keyed);
    pack_parents(p, x, parents);
    pq_ticks_pack(x, p);
    free(queues);
}

/* ---- by themselves ------------------------------------------------------------------------------------- */

/* {priority, rank_add, timeout, hold, window} of a put: functions/plain.sql. */
enum { PLAIN_NUMBERS = 5 };

static void plain_numbers(const struct jobq_put *put, int64_t numbers[PLAIN_NUMBERS])
{
    const struct jobq_put_key *key = put->unique;
    numbers[0] = put->priority;
    numbers[1] = put->rank_add_ms;
    numbers[2] = put->timeout_ms;
    numbers[3] = key ? key->hold : 0;
    numbers[4] = key ? key->window_ms : 0;
}

/* Said once where all have the same. */
static void pack_plain_numbers(struct params *p, const struct jobq_exchange *x)
{
    int64_t first[PLAIN_NUMBERS], numbers[PLAIN_NUMBERS];
    size_t told = 1;
    plain_numbers(&x->puts[0], first);
    for (size_t i = 1; i < x->put_count && told == 1; i++) {
        plain_numbers(&x->puts[i], numbers);
        told = memcmp(numbers, first, sizeof first) == 0 ? 1 : x->put_count;
    }
    pack_begin(p, ELEMENT_INT8);
    for (size_t i = 0; i < told; i++) {
        plain_numbers(&x->puts[i], numbers);
        for (int k = 0; k < PLAIN_NUMBERS; k++)
            pack_add_int8(p, numbers[k]);
    }
    pack_end(p);
}

static void pack_plain_kinds(struct params *p, const struct jobq_exchange *x)
{
    size_t i = 1;
    while (i < x->put_count && same_bytes(x->puts[0].kind, x->puts[i].kind))
        i++;
    if (i < x->put_count) {
        pack_put_bytes(p, x, offsetof(struct jobq_put, kind));
        return;
    }
    pack_begin(p, ELEMENT_BYTES);
    pack_add_bytes(p, x->puts[0].kind);
    pack_end(p);
}

/* The puts of an exchange that has nothing else, as functions/plain.sql takes them. */
void pq_puts_pack_plain(const struct jobq_exchange *x, struct params *p)
{
    size_t keyed = 0;
    pack_begin(p, ELEMENT_ID);
    for (size_t i = 0; i < x->put_count; i++)
        pack_add_id(p, x->puts[i].id.bytes);
    pack_end(p);
    for (size_t i = 0; i < x->put_count; i++)
        keyed += x->puts[i].unique != NULL;
    pack_plain_numbers(p, x);
    pack_plain_kinds(p, x);
    pack_put_bytes(p, x, offsetof(struct jobq_put, payload));
    pack_put_bytes(p, x, offsetof(struct jobq_put, policy));
    pack_put_bytes(p, x, offsetof(struct jobq_put, key));
    pack_put_bytes(p, x, offsetof(struct jobq_put, trace));
    pack_put_keys(p, x, keyed);
}
