/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "instant.h"
#include "json.h"
#include "utf8.h"

struct json json_begin(struct cli *cli)
{
    cli->answered = 1;
    return (struct json){.out = stdout};
}

static void put_point(FILE *out, const unsigned char *at, size_t n, uint32_t point)
{
    static const char letters[] = "btn\0fr"; /* for 8 to 13 */

    if (point == '"' || point == '\\') {
        fprintf(out, "\\%c", (int)point);
    } else if (point >= 8 && point <= 13 && point != 11) {
        fprintf(out, "\\%c", letters[point - 8]);
    } else if (point < 0x20 || point == 0x7F) {
        fprintf(out, "\\u%04x", (unsigned)point);
    } else {
        fwrite(at, 1, n, out);
    }
}

static void put_string(FILE *out, const void *data, size_t size)
{
    const unsigned char *at = data;

    putc('"', out);
    while (size > 0) {
        uint32_t point = 0;
        size_t n = utf8_next(at, size, &point);
        if (n == 0) {
            fputs("\\ufffd", out);
            n = 1;
        } else {
            put_point(out, at, n, point);
        }
        at += n;
        size -= n;
    }
    putc('"', out);
}

static void put_base64(FILE *out, const unsigned char *at, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    putc('"', out);
    for (size_t i = 0; i < size; i += 3) {
        size_t have = size - i < 3 ? size - i : 3;
        uint32_t three =
            (uint32_t)at[i] << 16 | (have > 1 ? (uint32_t)at[i + 1] << 8 : 0) | (have > 2 ? at[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        have > 1 ? digits[three >> 6 & 63] : '=', have > 2 ? digits[three & 63] : '='};
        fwrite(four, 1, 4, out);
    }
    putc('"', out);
}

static void begin_value(struct json *json, const char *name)
{
    if (json->wrote[json->depth]) {
        fputs(json->depth == 1 && json->closer[1] == ']' ? ",\n " : ", ", json->out);
    }
    json->wrote[json->depth] = 1;
    if (name) {
        put_string(json->out, name, strlen(name));
        fputs(": ", json->out);
    }
}

static void open_scope(struct json *json, const char *name, char opener, char closer)
{
    begin_value(json, name);
    putc(opener, json->out);
    json->depth++;
    json->wrote[json->depth] = 0;
    json->closer[json->depth] = closer;
}

void json_object(struct json *json, const char *name)
{
    open_scope(json, name, '{', '}');
}

void json_array(struct json *json, const char *name)
{
    open_scope(json, name, '[', ']');
}

void json_end(struct json *json)
{
    putc(json->closer[json->depth], json->out);
    if (--json->depth == 0) {
        putc('\n', json->out);
    }
}

void json_null(struct json *json, const char *name)
{
    begin_value(json, name);
    fputs("null", json->out);
}

void json_bool(struct json *json, const char *name, int value)
{
    begin_value(json, name);
    fputs(value ? "true" : "false", json->out);
}

void json_int(struct json *json, const char *name, int64_t value)
{
    begin_value(json, name);
    fprintf(json->out, "%" PRId64, value);
}

void json_uint(struct json *json, const char *name, uint64_t value)
{
    begin_value(json, name);
    fprintf(json->out, "%" PRIu64, value);
}

void json_ratio(struct json *json, const char *name, double value)
{
    begin_value(json, name);
    fprintf(json->out, "%.4f", value);
}

void json_text(struct json *json, const char *name, const char *text)
{
    begin_value(json, name);
    put_string(json->out, text, strlen(text));
}

void json_name(struct json *json, const char *name, const char *text)
{
    if (text && text[0]) {
        json_text(json, name, text);
    } else {
        json_null(json, name);
    }
}

void json_instant(struct json *json, const char *name, int64_t at_ms)
{
    char text[INSTANT_TEXT];

    if (at_ms == 0) {
        json_null(json, name);
        return;
    }
    instant_format(at_ms, text);
    json_text(json, name, text);
}

void json_id(struct json *json, const char *name, const struct jobq_id *id)
{
    char text[33];

    jobq_id_format(id, text);
    json_text(json, name, text);
}

void json_bytes(struct json *json, const char *name, const struct jobq_bytes *bytes)
{
    char encoded[64];

    if (!bytes->data) {
        json_null(json, name);
    } else if (utf8_is_text(bytes->data, bytes->size)) {
        begin_value(json, name);
        put_string(json->out, bytes->data, bytes->size);
    } else {
        json_null(json, name);
        snprintf(encoded, sizeof encoded, "%s_base64", name);
        begin_value(json, encoded);
        put_base64(json->out, bytes->data, bytes->size);
    }
}
