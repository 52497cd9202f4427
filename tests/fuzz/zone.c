/* SPDX-License-Identifier: MIT */
#include "cron.h"
#include "fuzz.h"

#include <jobq/jobq.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t instants[] = { -(INT64_C(1) << 52), 0, 1700000000, INT64_C(1) << 38 };
    struct zone *zone;
    if (zone_read(data, size, &zone) != JOBQ_OK)
        return 0;
    for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
        struct span span = zone_span(zone, instants[i]);
        MUST(span.from <= instants[i] && instants[i] < span.to);
    }
    zone_free(zone);
    return 0;
}
