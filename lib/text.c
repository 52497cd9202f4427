/* SPDX-License-Identifier: MIT */
/* Pieces of JSON, written once to learn how long it is and once in earnest. */
#include "text.h"

#include <stdio.h>
#include <string.h>

void text_add(struct text *t, const void *data, size_t size)
{
    if (t->at && size)
        memcpy(t->at + t->size, data, size);
    t->size += size;
}

void text_char(struct text *t, char c)
{
    text_add(t, &c, 1);
}

void text_hex(struct text *t, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    text_char(t, '"');
    for (size_t i = 0; i < size; i++) {
        text_char(t, digits[bytes[i] >> 4]);
        text_char(t, digits[bytes[i] & 15]);
    }
    text_char(t, '"');
}

bool bytes_are_text(struct jobq_bytes bytes)
{
    const uint8_t *s = bytes.data;
    for (size_t i = 0, step; i < bytes.size; i += step) {
        uint8_t four[4] = {0}; /* a sequence that is cut short meets a NUL */
        memcpy(four, s + i, bytes.size - i < 4 ? bytes.size - i : 4);
        step = four[0] ? utf8_step(four) : 0;
        if (!step)
            return false;
    }
    return true;
}

void text_string(struct text *t, struct jobq_bytes bytes)
{
    const char *s = bytes.data;
    text_char(t, '"');
    for (size_t i = 0, from = 0; i <= bytes.size; i++) {
        char code[8];
        if (i < bytes.size && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' && s[i] != 0x7f)
            continue;
        text_add(t, s + from, i - from);
        from = i + 1;
        if (i < bytes.size)
            text_add(t, code, (size_t)snprintf(code, sizeof code, "\\u%04x", (unsigned char)s[i]));
    }
    text_char(t, '"');
}

void text_base64(struct text *t, struct jobq_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *s = bytes.data;
    text_char(t, '"');
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t three =
            (uint32_t)s[i] << 16 | (left > 1 ? (uint32_t)s[i + 1] << 8 : 0) | (left > 2 ? s[i + 2] : 0u);
        const char four[] = {digits[three >> 18], digits[three >> 12 & 63],
                             left > 1 ? digits[three >> 6 & 63] : '=', left > 2 ? digits[three & 63] : '='};
        text_add(t, four, 4);
    }
    text_char(t, '"');
}
