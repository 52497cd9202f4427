/* SPDX-License-Identifier: MIT */
/* Any sequence of calls on the memory store, one from every three bytes. At its end the counts are those of the rows. */
#include "fuzz.h"

#include <jobq/memory.h>

struct play {
    struct jobq *q;
    struct jobq_id ids[8];
    struct jobq_token tokens[8];
};

static int claim(struct play *p, uint8_t a)
{
    static const char *const queues[] = { "a", "b" };
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 2,
                                                .lease_ms = 100 + a * 10 };
    struct jobq_jobs *jobs;
    int status = jobq_claim(p->q, &options, &jobs);
    for (int i = 0; status == JOBQ_OK && jobs->count && i < 8; i++)
        if (memcmp(&p->ids[i], &jobs->jobs[0].id, sizeof p->ids[i]) == 0)
            p->tokens[i] = jobs->jobs[0].token;
    jobq_jobs_free(jobs);
    return status;
}

static int put(struct play *p, uint8_t a, uint8_t b)
{
    struct jobq_id *id = &p->ids[a % 8];
    const struct jobq_parent parent = { .id = p->ids[b % 8], .rule = b % 3 };
    struct jobq_spec spec = { .size = sizeof spec, .queue = b & 1 ? "a" : "b", .id = id, .payload = { &b, 1 },
                              .delay_ms = a & 64 ? b : 0, .held = a & 128 && b & 128, .max_attempts = 1 + b % 3,
                              .key_hold = b % 5, .key_conflict = a / 8 % 5, .key_window_ms = 500 };
    memset(id, a % 8 + 1, sizeof *id);
    if (b & 2)
        spec.key = (struct jobq_bytes){ "key", 1u + (b & 1u) };
    if (b & 4) {
        spec.parents = &parent;
        spec.parent_count = 1;
    }
    return jobq_enqueue(p->q, &spec, NULL);
}

static int say(struct play *p, uint8_t op, uint8_t a, uint8_t b)
{
    const struct jobq_id *id = &p->ids[a % 8];
    const struct jobq_token *token = &p->tokens[b & 128 ? b % 8 : a % 8];
    const struct jobq_failure failure = { .size = sizeof failure, .text = { &b, 1 }, .permanent = b & 1 };
    switch (op % 16) {
    case 0:
    case 1:
        return put(p, a, b);
    case 2:
        return claim(p, a);
    case 3:
        return jobq_ack(p->q, id, token, &a, b & 1);
    case 4:
        return jobq_fail(p->q, id, token, &failure);
    case 5:
        return jobq_release(p->q, id, token);
    case 6:
        return jobq_snooze(p->q, id, token, b);
    case 7:
        return jobq_extend(p->q, id, token, 100 + b, NULL);
    case 8:
        return jobq_cancel(p->q, id, b & 1);
    case 9:
        return jobq_redrive(p->q, id);
    case 10:
        return jobq_unhold(p->q, id);
    case 11:
        return jobq_drop(p->q, id);
    case 12:
        return b & 1 ? jobq_pause(p->q, "a") : jobq_resume(p->q, "a");
    case 13:
        return jobq_sweep(p->q, 1 + b % 9u, NULL);
    case 14:
        return jobq_log(p->q, id, token, &b, 1);
    default:
        return jobq_clock_advance(p->q, a * b);
    }
}

static void audit(struct jobq *q)
{
    uint64_t rows[JOBQ_STATE_COUNT] = { 0 }, counts[JOBQ_STATE_COUNT] = { 0 };
    struct jobq_jobs *jobs;
    struct jobq_stats *stats;
    MUST(jobq_list(q, NULL, &jobs) == JOBQ_OK && jobq_stats(q, NULL, &stats) == JOBQ_OK);
    for (size_t i = 0; i < jobs->count; i++)
        rows[jobs->jobs[i].state]++;
    for (size_t i = 0; i < stats->queue_count; i++)
        for (int state = 0; state < JOBQ_STATE_COUNT; state++)
            counts[state] += stats->queues[i].present[state];
    /* Ready and scheduled differ by time alone, which goes on between the two. */
    MUST(rows[JOBQ_READY] + rows[JOBQ_SCHEDULED] == counts[JOBQ_READY] + counts[JOBQ_SCHEDULED]);
    for (int state = JOBQ_RUNNING; state < JOBQ_STATE_COUNT; state++)
        MUST(rows[state] == counts[state]);
    jobq_jobs_free(jobs);
    jobq_stats_free(stats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = { .q = NULL };
    MUST(jobq_open(&p.q, jobq_memory(), "memory:", NULL) == JOBQ_OK);
    for (size_t i = 0; i + 3 <= size && i < 900; i += 3) {
        int status = say(&p, data[i], data[i + 1], data[i + 2]);
        MUST(status != JOBQ_UNKNOWN && status != JOBQ_FAILED && status != JOBQ_OUTDATED && status != JOBQ_CORRUPT);
    }
    audit(p.q);
    jobq_close(p.q);
    return 0;
}
