/* SPDX-License-Identifier: MIT */
/* What stands in stored rows and is the core's: the policy of a job, the definition of a schedule. */
#include "fuzz.h"
#include "schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct job_policy policy;
    struct definition definition;
    const struct jobq_schedule_row row = { .name = { "s", 1 }, .bytes = { data, size } };
    uint8_t bytes[JOB_POLICY_MAX_BYTES];
    if (job_policy_read((struct jobq_bytes){ data, size }, &policy)) {
        MUST(policy.max_attempts >= 1 && policy.max_attempts <= 65535);
        MUST(job_policy_write(&policy, bytes) <= sizeof bytes);
    }
    int status = definition_read(arena, &row, &definition);
    MUST(status == JOBQ_OK || status == JOBQ_UNSUPPORTED);
    jobq_arena_destroy(arena);
    return 0;
}
