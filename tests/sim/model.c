/* SPDX-License-Identifier: MIT */
/* What may be, by the rules of the library alone: nothing in here asks how it works. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

void model_broken(struct model *m, const char *rule, int job, const char *what)
{
    if (!m->trouble[0])
        snprintf(m->trouble, sizeof m->trouble, "seed %llu, step %ld, job %d: %s: %s", (unsigned long long)m->seed, m->step,
                 job, rule, what);
}

int model_find(const struct model *m, const struct jobq_id *id)
{
    for (int i = 0; i < m->count; i++)
        if (memcmp(&m->jobs[i].id, id, sizeof *id) == 0)
            return i;
    return -1;
}

static bool same_token(const struct jobq_token *a, const struct jobq_token *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void model_claimed(struct model *m, const struct jobq_job *job, int64_t now_ms)
{
    int i = model_find(m, &job->id);
    if (i < 0) {
        model_broken(m, "S15", i, "a job that nobody put");
        return;
    }
    struct model_job *j = &m->jobs[i];
    if (j->held && !j->unsure_held && now_ms < j->lease_until_ms)
        model_broken(m, "S4", i, "claimed while another lease was good");
    if (j->held && same_token(&j->token, &job->token))
        model_broken(m, "S2", i, "the same token again");
    if (j->completions)
        model_broken(m, "S6", i, "claimed although it was completed");
    m->expired += j->held && !j->unsure_held;
    j->claims++;
    if (job->attempt < j->claims || (!j->unsure_claims && job->attempt != j->claims))
        model_broken(m, "S5", i, "attempt is not the number of leases");
    j->claims = job->attempt;
    if (job->failures >= j->max_attempts)
        model_broken(m, "S5", i, "claimed with no attempt left");
    j->exists = j->held = true;
    j->maybe = j->unsure_held = false;
    j->token = job->token;
    j->lease_until_ms = job->lease_until_ms;
}

void model_ended(struct model *m, int job, const struct jobq_token *token, int status, bool completes, uint32_t result)
{
    struct model_job *j = &m->jobs[job];
    bool current = same_token(&j->token, token);
    m->stale += status == JOBQ_STALE;
    m->already += status == JOBQ_ALREADY;
    m->unknown += status == JOBQ_UNKNOWN;
    if (status == JOBQ_OK && !current && !j->unsure_claims)
        model_broken(m, "S2", job, "accepted under an old token");
    if (status == JOBQ_OK && completes) {
        if (j->completions++)
            model_broken(m, "S3", job, "completed twice");
        j->result = result;
    }
    if (status == JOBQ_UNKNOWN && current)
        j->unsure_held = true;
    else if ((status == JOBQ_OK || status == JOBQ_ALREADY) && current)
        j->held = false;
}

static void check_result(struct model *m, int i, const struct jobq_job *job)
{
    const struct model_job *j = &m->jobs[i];
    uint32_t found = 0;
    if (job->result.size == sizeof found)
        memcpy(&found, job->result.data, sizeof found);
    if (j->completions && (job->state != JOBQ_COMPLETED || (found != j->result && !j->unsure_result)))
        model_broken(m, "S3", i, "the accepted result is not what is stored");
}

/* S6: which states may follow which, with any number of steps between two looks. */
static bool may_follow(const struct model_job *j, const struct jobq_job *job)
{
    switch (j->last_state) {
    case JOBQ_COMPLETED:
        return job->state == JOBQ_COMPLETED;
    case JOBQ_CANCELLED:
    case JOBQ_DEAD:
        return job->state == j->last_state || job->redrives > j->redrives;
    default:
        return true;
    }
}

void model_look(struct model *m, struct jobq *q, int i)
{
    struct model_job *j = &m->jobs[i];
    struct jobq_jobs *jobs;
    int status = jobq_get(q, &j->id, &jobs);
    if (status == JOBQ_NOT_FOUND && j->exists)
        model_broken(m, "S1", i, "it is gone");
    if (status != JOBQ_OK)
        return; /* a call that failed on purpose */
    const struct jobq_job *job = &jobs->jobs[0];
    j->exists = true;
    if (!may_follow(j, job))
        model_broken(m, "S6", i, "no way leads from the state before to this one");
    if (job->failures > j->max_attempts)
        model_broken(m, "S5", i, "more failures than attempts");
    if (job->failures == j->max_attempts && (job->state == JOBQ_READY || job->state == JOBQ_SCHEDULED))
        model_broken(m, "S6", i, "ready with no attempt left");
    if (job->state == JOBQ_DEAD && (!job->reason || (job->reason != JOBQ_REASON_EXPIRED && !job->failures_log_count)))
        model_broken(m, "S13", i, "dead without a reason or an error");
    if (job->payload.size != sizeof j->id || memcmp(job->payload.data, &j->id, sizeof j->id) != 0)
        model_broken(m, "S14", i, "the payload is another one");
    check_result(m, i, job);
    j->last_state = job->state;
    j->redrives = job->redrives;
    jobq_jobs_free(jobs);
}

static void count_rows(struct model *m, const struct jobq_jobs *jobs, uint64_t counts[JOBQ_STATE_COUNT])
{
    int holders[16] = { 0 };
    for (size_t i = 0; i < jobs->count; i++) {
        int at = model_find(m, &jobs->jobs[i].id);
        counts[jobs->jobs[i].state]++;
        if (at < 0)
            model_broken(m, "S15", at, "a job that nobody put");
        else if (m->jobs[at].key && jobs->jobs[i].state < JOBQ_COMPLETED && holders[m->jobs[at].key]++)
            model_broken(m, "S7", at, "two live jobs with one key");
    }
}

void model_audit(struct model *m, struct jobq *q)
{
    const struct jobq_filter all = { .size = sizeof all, .limit = 1000 };
    uint64_t counts[JOBQ_STATE_COUNT] = { 0 };
    struct jobq_jobs *jobs = NULL;
    struct jobq_stats *stats = NULL;
    if (jobq_list(q, &all, &jobs) != JOBQ_OK || jobq_stats(q, SIM_QUEUE, &stats) != JOBQ_OK) {
        jobq_jobs_free(jobs);
        return;
    }
    count_rows(m, jobs, counts);
    for (int i = 0; i < m->count; i++)
        if (m->jobs[i].exists)
            model_look(m, q, i);
    if (counts[JOBQ_RUNNING] > SIM_LIMIT)
        model_broken(m, "S9", -1, "more jobs run than the limit allows");
    for (int state = 1; state < JOBQ_STATE_COUNT; state++)
        if (stats->queue_count && stats->queues[0].present[state] != counts[state])
            model_broken(m, "S10", state, "the count of a state is not the number of its rows");
    jobq_jobs_free(jobs);
    jobq_stats_free(stats);
}
