/* SPDX-License-Identifier: MIT */
/* The body of a request to the orchestrator: refused with a status of 400 to 499, or a payload comes of it. */
#include "fuzz.h"
#include "request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct folder folder;
    static int opened;
    struct request request;
    if (!opened)
        MUST(folder_open(&folder, "/usr/share") == 0);
    opened = 1;
    memset(&request, 0, sizeof request);
    if (request_read(&request, &folder, data, size, NULL) == 0)
        MUST(request.payload);
    else
        MUST(request.status >= 400 && request.problem[0]);
    request_free(&request);
    return 0;
}
