/* SPDX-License-Identifier: MIT */
#include "cron.h"
#include "fuzz.h"

#include <jobq/jobq.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct cron cron;
    int64_t every;
    int interval = cron_every(text, &every);
    MUST(interval != 1 || every > 0);
    if (cron_parse(text, &cron) == JOBQ_OK)
        for (int64_t at = 1700000000, i = 0; i < 5 && at != NEVER_S; i++) {
            int64_t next = cron_next_local(&cron, at);
            MUST(next >= at);
            at = next == NEVER_S ? next : next + 1;
        }
    free(text);
    return 0;
}
