/* SPDX-License-Identifier: MIT */
/* UTF-8 as it is needed for answers. Pure. */
#ifndef JOBQ_UTF8_H
#define JOBQ_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the sequence that begins at `at` (1 to 4) and its code point; 0 when it is not UTF-8 (overlong
 * forms, surrogates and values over 10FFFF are not). `left` is at least 1. */
size_t utf8_next(const unsigned char *at, size_t left, uint32_t *point);

/* Valid, and no NUL in it. */
int utf8_is_text(const void *data, size_t size);

/* Columns of a terminal: 0 for what combines, 2 for wide characters. */
int utf8_columns(uint32_t point);

#endif
