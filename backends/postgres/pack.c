/* SPDX-License-Identifier: MIT */
/* Parameters in the server's binary form: no text is made, so no byte needs an escape. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

void pack_free(struct params *p)
{
    free(p->data);
    *p = (struct params){ 0 };
}

static char *grow(struct params *p, size_t bytes)
{
    if (p->broken || bytes > INT32_MAX - p->size) {
        p->broken = true;
        return NULL;
    }
    if (p->room - p->size < bytes) {
        size_t room = p->room ? p->room : 2048;
        while (room - p->size < bytes)
            room *= 2;
        char *data = realloc(p->data, room);
        if (!data) {
            p->broken = true;
            return NULL;
        }
        p->data = data;
        p->room = room;
    }
    char *at = p->data + p->size;
    p->size += bytes;
    return at;
}

static void store4(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (24 - 8 * i));
}

static void add4(struct params *p, int32_t value)
{
    char *at = grow(p, 4);
    if (at)
        store4(at, (uint32_t)value);
}

static void add8(struct params *p, int64_t value)
{
    char *at = grow(p, 8);
    for (int i = 0; at && i < 8; i++)
        at[i] = (char)((uint64_t)value >> (56 - 8 * i));
}

static void add_bytes(struct params *p, const void *data, size_t size)
{
    char *at = grow(p, size);
    if (at && size)
        memcpy(at, data, size);
}

/* ---- single values ------------------------------------------------------------------------------------------- */

static void open_param(struct params *p)
{
    if (p->count == PARAMS_MAX)
        p->broken = true;
    else
        p->start[p->count] = p->size;
}

static void close_param(struct params *p)
{
    if (p->count < PARAMS_MAX)
        p->length[p->count] = (int)(p->size - p->start[p->count]);
    p->count++;
}

void pack_null(struct params *p)
{
    open_param(p);
    close_param(p);
    if (!p->broken)
        p->length[p->count - 1] = -1;
}

void pack_nulls(struct params *p, int count)
{
    while (count-- > 0)
        pack_null(p);
}

void pack_bool(struct params *p, bool value)
{
    const char byte = value;
    open_param(p);
    add_bytes(p, &byte, 1);
    close_param(p);
}

void pack_int4(struct params *p, int32_t value)
{
    open_param(p);
    add4(p, value);
    close_param(p);
}

void pack_int8(struct params *p, int64_t value)
{
    open_param(p);
    add8(p, value);
    close_param(p);
}

void pack_int8_if(struct params *p, bool given, int64_t value)
{
    if (given)
        pack_int8(p, value);
    else
        pack_null(p);
}

void pack_bytes(struct params *p, struct jobq_bytes value)
{
    if (!value.data) {
        pack_null(p);
        return;
    }
    open_param(p);
    add_bytes(p, value.data, value.size);
    close_param(p);
}

void pack_id(struct params *p, const void *id)
{
    pack_bytes(p, (struct jobq_bytes){ .data = id, .size = 16 });
}

/* ---- arrays ----------------------------------------------------------------------------------------------------- */

void pack_begin(struct params *p, enum element type)
{
    open_param(p);
    p->array = p->size;
    p->elements = 0;
    p->nulls = false;
    const int32_t header[] = { 1, 0, (int32_t)type, 0, 1 }; /* dimensions, has nulls, type, length, lower bound */
    for (int i = 0; i < 5; i++)
        add4(p, header[i]);
}

void pack_add_int8(struct params *p, int64_t value)
{
    add4(p, 8);
    add8(p, value);
    p->elements++;
}

void pack_add_int4(struct params *p, int32_t value)
{
    add4(p, 4);
    add4(p, value);
    p->elements++;
}

void pack_add_bytes(struct params *p, struct jobq_bytes value)
{
    p->elements++;
    if (!value.data) {
        p->nulls = true;
        add4(p, -1);
        return;
    }
    if (value.size > INT32_MAX) {
        p->broken = true;
        return;
    }
    add4(p, (int32_t)value.size);
    add_bytes(p, value.data, value.size);
}

void pack_add_id(struct params *p, const void *id)
{
    pack_add_bytes(p, (struct jobq_bytes){ .data = id, .size = 16 });
}

void pack_end(struct params *p)
{
    if (p->broken) {
        p->count++;
        return;
    }
    char *header = p->data + p->array;
    if (p->elements == 0) { /* an empty array has no dimension */
        store4(header, 0);
        p->size = p->array + 12;
    } else {
        store4(header + 4, p->nulls);
        store4(header + 12, (uint32_t)p->elements);
    }
    close_param(p);
}
