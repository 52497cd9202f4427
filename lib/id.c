/* SPDX-License-Identifier: MIT */
/* Ids and tokens: minting, reading, writing. */
#include "internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int random_bytes(void *out, size_t size)
{
    uint8_t *at = out;

    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

/* Random bytes for ids, drawn from the kernel 64 at a time. A child of fork must not use what its parent drew. */
static int id_bytes(pid_t pid, uint8_t out[8])
{
    static _Thread_local struct {
        pid_t pid;
        size_t left;
        uint8_t bytes[512];
    } stock;

    if (stock.left == 0 || stock.pid != pid) {
        if (random_bytes(stock.bytes, sizeof stock.bytes) != 0)
            return -1;
        stock.pid = pid;
        stock.left = sizeof stock.bytes;
    }
    stock.left -= 8;
    memcpy(out, stock.bytes + stock.left, 8);
    return 0;
}

/* 48 bits of time and 12 of sequence as one number that never falls: ids of one process are strictly rising also
 * within a millisecond and when the wall clock steps back. */
static uint64_t next_stamp(void)
{
    static _Atomic uint64_t newest;
    struct timespec now;
    uint64_t stamp, seen = atomic_load_explicit(&newest, memory_order_relaxed);

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t fresh = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) << 12;
    do
        stamp = fresh > seen ? fresh : seen + 1;
    while (!atomic_compare_exchange_weak_explicit(&newest, &seen, stamp, memory_order_relaxed, memory_order_relaxed));
    return stamp;
}

int id_new(pid_t pid, struct jobq_id *out)
{
    if (id_bytes(pid, out->bytes + 8) != 0)
        return fail_with(JOBQ_FAILED, NULL, "no random bytes from the system");
    uint64_t stamp = next_stamp(), ms = stamp >> 12;
    for (int i = 0; i < 6; i++)
        out->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    out->bytes[6] = (uint8_t)(0x70 | ((stamp >> 8) & 0x0f));
    out->bytes[7] = (uint8_t)stamp;
    out->bytes[8] = (uint8_t)(0x80 | (out->bytes[8] & 0x3f));
    return JOBQ_OK;
}

int jobq_id_new(struct jobq_id *out)
{
    return id_new(getpid(), out);
}

static void hex_write(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * size] = 0;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Dashes are taken only where the text form of a UUID has them. */
static bool dash_at(size_t digits, size_t size)
{
    return size == 16 && (digits == 8 || digits == 12 || digits == 16 || digits == 20);
}

static int hex_read(const char *field, const char *text, uint8_t *bytes, size_t size)
{
    size_t digits = 0;

    for (const char *c = text; c && *c; c++) {
        int value = hex_digit(*c);
        if (*c == '-' && dash_at(digits, size))
            continue;
        if (value < 0 || digits == 2 * size)
            break;
        if (digits % 2)
            bytes[digits / 2] = (uint8_t)(bytes[digits / 2] << 4 | value);
        else
            bytes[digits / 2] = (uint8_t)value;
        digits++;
        if (c[1] == 0 && digits == 2 * size)
            return JOBQ_OK;
    }
    return fail_with(JOBQ_INVALID, field, "%s: must be %zu hexadecimal digits", field, 2 * size);
}

void jobq_id_format(const struct jobq_id *id, char out[33])
{
    hex_write(id->bytes, sizeof id->bytes, out);
}

int jobq_id_parse(const char *text, struct jobq_id *out)
{
    return hex_read("id", text, out->bytes, sizeof out->bytes);
}

void jobq_token_format(const struct jobq_token *token, char out[33])
{
    hex_write(token->bytes, sizeof token->bytes, out);
}

int jobq_token_parse(const char *text, struct jobq_token *out)
{
    return hex_read("token", text, out->bytes, sizeof out->bytes);
}

void jobq_callback_format(const struct jobq_callback *callback, char out[65])
{
    hex_write(callback->bytes, sizeof callback->bytes, out);
}

int jobq_callback_parse(const char *text, struct jobq_callback *out)
{
    return hex_read("callback", text, out->bytes, sizeof out->bytes);
}

int64_t jobq_token_fence(const struct jobq_token *token)
{
    uint64_t fence = 0;

    for (int i = 8; i < 16; i++)
        fence = fence << 8 | token->bytes[i];
    return (int64_t)fence;
}
