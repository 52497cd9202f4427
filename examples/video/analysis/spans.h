/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_SPANS_H
#define VIDEO_SPANS_H

#include <jansson.h>
#include <stdint.h>

#define SPANS_MOST 2000     /* further ones are counted in the total, but not listed: a report has its size */

/* Stretches of time that are told by a start and, later or never, an end. Start with SPANS_INIT. */
struct spans {
    json_t *list;           /* [{"start_ms", "end_ms"}] */
    int64_t open_ms;        /* start of one that has no end yet; -1 = none */
    int64_t total_ms;       /* sum of those that have ended */
};

#define SPANS_INIT { .list = json_array(), .open_ms = -1 }

/* A start while one is open is ignored, as is an end while none is. */
void spans_start(struct spans *spans, int64_t start_ms);
void spans_end(struct spans *spans, int64_t end_ms);

/* Ends an open one at the end of the file and gives the list away. */
json_t *spans_take(struct spans *spans, int64_t duration_ms);

#endif
