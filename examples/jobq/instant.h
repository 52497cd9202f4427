/* SPDX-License-Identifier: MIT */
/* Instants as text, without the C library's time zones. Pure. */
#ifndef JOBQ_INSTANT_H
#define JOBQ_INSTANT_H

#include <stdint.h>

enum { INSTANT_TEXT = 64 }; /* room for one, and for what a compiler thinks it might need */

/* Milliseconds since 1970 as RFC 3339 UTC with milliseconds; clamped to the years 0 to 9999. */
void instant_format(int64_t at_ms, char out[INSTANT_TEXT]);

/* RFC 3339 with Z or an offset, fraction optional. 0, or -1 when it is something else. */
int instant_parse(const char *text, int64_t *out);

#endif
