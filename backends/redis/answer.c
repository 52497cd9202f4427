/* SPDX-License-Identifier: MIT */
/* Answers of scripts, read without trust: a string that is too short reads as zeros and says so. */
#include "store.h"

#include <string.h>

int rd_bytes_order(struct jobq_bytes a, struct jobq_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

struct reader rd_reader(const void *data, size_t size)
{
    return (struct reader){ .at = data, .end = (const uint8_t *)data + size };
}

struct reader rd_reader_of(const redisReply *string)
{
    if (string->type != REDIS_REPLY_STRING)
        return (struct reader){ .broken = true };
    return rd_reader(string->str, (size_t)string->len);
}

const uint8_t *rd_get_raw(struct reader *r, size_t size)
{
    if (r->broken || (size_t)(r->end - r->at) < size) {
        r->broken = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += size;
    return at;
}

struct jobq_bytes rd_get_bytes(struct reader *r, size_t size)
{
    const uint8_t *at = rd_get_raw(r, size);
    return (struct jobq_bytes){ .data = at, .size = at ? size : 0 };
}

static uint64_t get_number(struct reader *r, size_t size)
{
    const uint8_t *at = rd_get_raw(r, size);
    uint64_t value = 0;
    for (size_t i = 0; at && i < size; i++)
        value = value << 8 | at[i];
    return value;
}

uint8_t rd_get_u8(struct reader *r)
{
    return (uint8_t)get_number(r, 1);
}

uint16_t rd_get_u16(struct reader *r)
{
    return (uint16_t)get_number(r, 2);
}

uint32_t rd_get_u32(struct reader *r)
{
    return (uint32_t)get_number(r, 4);
}

uint64_t rd_get_u48(struct reader *r)
{
    return get_number(r, 6);
}

int64_t rd_get_i64(struct reader *r)
{
    return (int64_t)get_number(r, 8);
}

struct strings rd_strings(const redisReply *array)
{
    if (array->type != REDIS_REPLY_ARRAY)
        return (struct strings){ .broken = true };
    return (struct strings){ .items = array->element, .count = array->elements };
}

struct reader rd_next_string(struct strings *s)
{
    if (s->broken || s->at == s->count) {
        s->broken = true;
        return (struct reader){ .broken = true };
    }
    struct reader r = rd_reader_of(s->items[s->at++]);
    s->broken |= r.broken;
    return r;
}

struct jobq_bytes rd_next_bytes(struct strings *s)
{
    struct reader r = rd_next_string(s);
    return rd_get_bytes(&r, (size_t)(r.end - r.at));
}
