/* SPDX-License-Identifier: MIT */
/* A line of a copy: what can be read is written as something that reads the same. */
#include "fuzz.h"

#include <jobq/backend.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_item item, again;
    struct jobq_bytes one, two;
    struct jobq_error err = { .status = 0 };
    if (jobq_item_read(arena, (struct jobq_bytes){ data, size }, &item, &err) == JOBQ_OK) {
        MUST(jobq_item_write(arena, &item, &one) == JOBQ_OK);
        MUST(jobq_item_read(arena, one, &again, &err) == JOBQ_OK);
        MUST(jobq_item_write(arena, &again, &two) == JOBQ_OK);
        MUST(one.size == two.size && memcmp(one.data, two.data, one.size) == 0);
    }
    jobq_arena_destroy(arena);
    return 0;
}
