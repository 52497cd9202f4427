/* SPDX-License-Identifier: MIT */
#include "spans.h"

#include "report.h"

void spans_start(struct spans *spans, int64_t start_ms)
{
    if (spans->open_ms < 0)
        spans->open_ms = start_ms < 0 ? 0 : start_ms;
}

void spans_end(struct spans *spans, int64_t end_ms)
{
    if (spans->open_ms < 0)
        return;
    if (end_ms > spans->open_ms) {
        if (json_array_size(spans->list) < SPANS_MOST)
            json_array_append_new(spans->list, report_span(spans->open_ms, end_ms));
        spans->total_ms += end_ms - spans->open_ms;
    }
    spans->open_ms = -1;
}

json_t *spans_take(struct spans *spans, int64_t duration_ms)
{
    json_t *list = spans->list;

    spans_end(spans, duration_ms);
    spans->list = NULL;
    return list;
}
