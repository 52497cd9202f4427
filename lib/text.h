/* SPDX-License-Identifier: MIT */
/* Pieces of JSON, written once to learn how long it is and once in earnest. */
#ifndef JOBQ_TEXT_H
#define JOBQ_TEXT_H

#include "internal.h"

struct text {
    char *at; /* NULL: only count */
    size_t size;
};

void text_add(struct text *t, const void *data, size_t size);
void text_char(struct text *t, char c);
void text_hex(struct text *t, const uint8_t *bytes, size_t size); /* in quotes, as the two below */
void text_string(struct text *t, struct jobq_bytes bytes);
void text_base64(struct text *t, struct jobq_bytes bytes);
bool bytes_are_text(struct jobq_bytes bytes); /* UTF-8 without NUL: a string; else base64 */

#endif
