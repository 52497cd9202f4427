/* SPDX-License-Identifier: MIT */
/* A request in the server's protocol, made in one piece of memory that is kept from call to call. Numbers are big endian, as
 * the scripts read them. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_ROOM 16 /* "$1234567890\r\n", set when the argument is finished */

static uint8_t *room_for(struct request *q, size_t more)
{
    if (q->no_memory)
        return NULL;
    if (q->room - q->size < more) {
        size_t room = q->room ? q->room : 4096;
        while (room - q->size < more)
            room *= 2;
        uint8_t *data = realloc(q->data, room);
        q->no_memory = !data;
        if (!data)
            return NULL;
        q->data = data;
        q->room = room;
    }
    return q->data + q->size;
}

void rd_request_begin(struct request *q)
{
    q->size = q->arguments = 0;
    q->no_memory = false;
}

void rd_request_free(struct request *q)
{
    free(q->data);
    *q = (struct request){ 0 };
}

void rd_raw(struct request *q, const void *data, size_t size)
{
    uint8_t *to = room_for(q, size);
    if (!to || !size)
        return;
    memcpy(to, data, size);
    q->size += size;
}

static size_t write_length(char *to, size_t size)
{
    char digits[24];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + size % 10);
    while ((size /= 10) != 0);
    *to++ = '$';
    for (size_t i = count; i > 0; i--)
        *to++ = digits[i - 1];
    *to++ = '\r';
    *to = '\n';
    return count + 3;
}

void rd_argument(struct request *q, const void *data, size_t size)
{
    char length[32];
    rd_raw(q, length, write_length(length, size));
    rd_raw(q, data, size);
    rd_raw(q, "\r\n", 2);
    q->arguments++;
}

/* The length is not known yet: four digits are what nearly all of them need, so room is left for those. */
void rd_argument_begin(struct request *q)
{
    uint8_t *to = room_for(q, LENGTH_ROOM + 2);
    if (!to)
        return;
    q->open = q->size;
    q->size += LENGTH_ROOM;
}

void rd_argument_end(struct request *q)
{
    if (q->no_memory)
        return;
    char length[32];
    uint8_t *start = q->data + q->open, *content = start + LENGTH_ROOM;
    size_t size = q->size - q->open - LENGTH_ROOM, bytes = write_length(length, size);
    memcpy(start, length, bytes);
    memmove(start + bytes, content, size);
    q->size = q->open + bytes + size;
    rd_raw(q, "\r\n", 2);
    q->arguments++;
}

static void put_number(struct request *q, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[size - 1 - i] = (uint8_t)(value >> 8 * i);
    rd_raw(q, bytes, size);
}

void rd_u8(struct request *q, unsigned value)
{
    put_number(q, value, 1);
}

void rd_u16(struct request *q, size_t value)
{
    put_number(q, value, 2);
}

void rd_u32(struct request *q, uint64_t value)
{
    put_number(q, value, 4);
}

void rd_i32(struct request *q, int32_t value)
{
    put_number(q, (uint32_t)value, 4);
}

void rd_i64(struct request *q, int64_t value)
{
    put_number(q, (uint64_t)value, 8);
}

void rd_time(struct request *q, const struct jobq_time *when)
{
    bool known = when->base >= JOBQ_TIME_KEEP && when->base <= JOBQ_TIME_ROW;
    rd_u8(q, known ? (unsigned)when->base : JOBQ_TIME_KEEP);
    rd_i64(q, when->offset_ms);
}
