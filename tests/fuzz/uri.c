/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <jobq/backend.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_uri uri;
    struct jobq_error err = { .status = 0 };
    int status = jobq_uri_parse(arena, text, &uri, &err);
    MUST(status == JOBQ_OK || status == JOBQ_INVALID);
    MUST(status != JOBQ_OK || (uri.scheme && uri.path && uri.name_space[0]));
    jobq_arena_destroy(arena);
    free(text);
    return 0;
}
