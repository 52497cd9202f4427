/* SPDX-License-Identifier: MIT */
/* An order that the server does not keep: rows by arrival, keys by scope. It is walked once, the handle keeps the sorted
 * places until the last page, 24 bytes a row. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define WALK_AT_ONCE "1000"

void rd_order_free(struct order *order)
{
    free(order->entries);
    *order = (struct order){ 0 };
}

static int by_row(const void *a, const void *b)
{
    return memcmp(a, b, ORDER_ROW);
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, ORDER_KEY);
}

static int no_memory(struct jobq_store *s)
{
    return rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory");
}

static int add_entries(struct jobq_store *s, struct jobq_bytes bytes, size_t *room)
{
    struct order *order = &s->order;
    size_t used = order->count * order->size;
    if (bytes.size % order->size)
        return rd_broken(s);
    if (*room - used < bytes.size) {
        size_t more = 2 * (*room + bytes.size);
        uint8_t *entries = realloc(order->entries, more);
        if (!entries)
            return no_memory(s);
        order->entries = entries;
        *room = more;
    }
    if (bytes.size)
        memcpy(order->entries + used, bytes.data, bytes.size);
    order->count += bytes.size / order->size;
    return 0;
}

/* One step; `cursor` goes on, and is "0" at the end. */
static int step(struct jobq_store *s, char cursor[32], size_t *room)
{
    const uint8_t what = s->order.size == ORDER_KEY;
    redisReply *reply;
    rd_link_begin(&s->link); /* each step has the time of a call: a long walk has many */
    rd_script_begin(s);
    rd_argument(&s->request, &what, 1);
    rd_argument(&s->request, cursor, strlen(cursor));
    rd_argument(&s->request, WALK_AT_ONCE, sizeof WALK_AT_ONCE - 1);
    if (rd_script_run(s, SCRIPT_WALK, &reply) != 0)
        return -1;
    struct strings strings = rd_strings(reply);
    struct jobq_bytes next = rd_next_bytes(&strings), entries = rd_next_bytes(&strings);
    int result = strings.broken || !next.size || next.size > 31 ? rd_broken(s) : add_entries(s, entries, room);
    if (result == 0) {
        memcpy(cursor, next.data, next.size);
        cursor[next.size] = 0;
    }
    freeReplyObject(reply);
    return result;
}

/* Sorted, and each once: a walk may meet one twice. */
static void tidy(struct order *order)
{
    size_t kept = 0;
    if (!order->count)
        return;
    qsort(order->entries, order->count, order->size, order->size == ORDER_ROW ? by_row : by_key);
    for (size_t i = 1; i < order->count; i++)
        if (memcmp(order->entries + i * order->size, order->entries + kept * order->size, order->size) != 0)
            memmove(order->entries + ++kept * order->size, order->entries + i * order->size, order->size);
    order->count = kept + 1;
}

static int walk(struct jobq_store *s, size_t size)
{
    char cursor[32] = "0";
    size_t room = 0;
    rd_order_free(&s->order);
    s->order.size = size;
    do
        if (step(s, cursor, &room) != 0) {
            rd_order_free(&s->order);
            return -1;
        }
    while (strcmp(cursor, "0") != 0);
    tidy(&s->order);
    return 0;
}

/* The first entry greater than this one. */
static size_t place_after(const struct order *order, const uint8_t *after)
{
    size_t low = 0, high = order->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(order->entries + middle * order->size, after, order->size) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int rd_order_from(struct jobq_store *s, size_t size, struct jobq_bytes after, size_t *at)
{
    *at = 0;
    if ((!after.data || s->order.size != size) && walk(s, size) != 0)
        return -1;
    if (after.data && after.size == size)
        *at = place_after(&s->order, after.data);
    return 0;
}
