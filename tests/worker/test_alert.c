/* SPDX-License-Identifier: MIT */
/* Rule 8: with an alert queue each death puts one alert, on whatever path it comes and wherever a process is killed. */
#include "door.h"

#include <stdio.h>
#include <string.h>

static const char *const work_queue = "work";

static void watch(struct kit *k)
{
    snprintf(k->q->alert_queue, sizeof k->q->alert_queue, "alerts");
}

static struct jobq_jobs *alerts_of(struct jobq *q)
{
    struct jobq_filter filter = { .size = sizeof filter, .queue = "alerts", .limit = 1000 };
    struct jobq_jobs *jobs = NULL;

    ck_assert_msg(jobq_list(q, &filter, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    return jobs;
}

static size_t count_alerts(struct kit *k)
{
    struct jobq_jobs *jobs = alerts_of(k->q);
    size_t count = jobs->count;

    jobq_jobs_free(jobs);
    return count;
}

/* Claim the next of `queue` by hand. */
static struct jobq_job claim(struct kit *k, const char *queue)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1, .flags = JOBQ_NO_SWEEP };
    static struct jobq_jobs *jobs;

    jobq_jobs_free(jobs);
    ck_assert_msg(jobq_claim(k->q, &o, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    ck_assert_uint_eq(jobs->count, 1);
    return jobs->jobs[0];
}

static void sweep_after(struct kit *k, int64_t ms)
{
    ck_assert_int_eq(jobq_clock_advance(k->q, ms), JOBQ_OK);
    ck_assert_msg(jobq_sweep(k->q, 100, NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
}

/* ---- what it says ------------------------------------------------------------------------------------------ */

START_TEST(rule_8_an_alert_says_what_died)
{
    struct jobq_failure f = { .size = sizeof f, .text = { "no \"such\" file\n", 15 }, .permanent = 1 };
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .group = "acme", .trace = "00-abc-def-01" };
    char hex[33], expected[400];
    struct kit k;

    kit_open(&k);
    watch(&k);
    struct jobq_id id = kit_put_spec(&k, &spec);
    struct jobq_job job = claim(&k, work_queue);
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, &f), JOBQ_OK);
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, &f), JOBQ_ALREADY); /* repeated: no second one */
    struct jobq_jobs *alerts = alerts_of(k.q);
    ck_assert_uint_eq(alerts->count, 1);
    jobq_id_format(&id, hex);
    snprintf(expected, sizeof expected,
             "{\"type\":\"job_failed\",\"job_id\":\"%s\",\"queue\":\"work\",\"tenant_id\":\"acme\","
             "\"reason\":\"PERMANENT\",\"error\":\"no \\u0022such\\u0022 file\\u000a\"}", hex);
    ck_assert_uint_eq(alerts->jobs[0].payload.size, strlen(expected));
    ck_assert_mem_eq(alerts->jobs[0].payload.data, expected, strlen(expected));
    ck_assert_str_eq(alerts->jobs[0].kind, "job_failed");
    ck_assert_str_eq(alerts->jobs[0].group, "");
    ck_assert_str_eq(alerts->jobs[0].trace, "00-abc-def-01");
    ck_assert_int_eq(alerts->jobs[0].state, JOBQ_READY);
    jobq_jobs_free(alerts);
    kit_close(&k);
}
END_TEST

START_TEST(rule_15_any_error_text)
{
    struct jobq_failure f = { .size = sizeof f, .text = { "\xff\0", 2 }, .permanent = 1 };
    struct kit k;

    kit_open(&k);
    watch(&k);
    struct jobq_id id = kit_put(&k, "work", NULL);
    struct jobq_job job = claim(&k, work_queue);
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, &f), JOBQ_OK);
    struct jobq_jobs *alerts = alerts_of(k.q);
    ck_assert_uint_eq(alerts->count, 1);
    const char *end = "\"tenant_id\":null,\"reason\":\"PERMANENT\",\"error_base64\":\"/wA=\"}";
    const struct jobq_bytes *payload = &alerts->jobs[0].payload;
    ck_assert_uint_gt(payload->size, strlen(end));
    ck_assert_mem_eq((const char *)payload->data + payload->size - strlen(end), end, strlen(end));
    jobq_jobs_free(alerts);
    kit_close(&k);
}
END_TEST

/* ---- whatever path ------------------------------------------------------------------------------------------- */

static void expect(struct kit *k, const struct jobq_id *id, int reason, size_t alerts)
{
    ck_assert_int_eq(kit_job(k, id)->state, JOBQ_DEAD);
    ck_assert_int_eq(kit_job(k, id)->reason, reason);
    ck_assert_uint_eq(count_alerts(k), alerts);
}

START_TEST(rule_8_on_whatever_path)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .max_attempts = 1, .max_releases = 1,
                              .max_snoozes = 1 };
    struct kit k;
    struct jobq_id id;
    struct jobq_job job;

    kit_open(&k);
    watch(&k);
    id = kit_put_spec(&k, &spec);
    job = claim(&k, work_queue);
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, NULL), JOBQ_OK);
    expect(&k, &id, JOBQ_REASON_ATTEMPTS, 1);
    id = kit_put_spec(&k, &spec);
    for (int i = 0; i < 2; i++) {
        job = claim(&k, work_queue);
        ck_assert_int_eq(jobq_release(k.q, &id, &job.token), JOBQ_OK);
    }
    expect(&k, &id, JOBQ_REASON_ATTEMPTS, 2);
    id = kit_put_spec(&k, &spec);
    job = claim(&k, work_queue); /* lost: the last attempt, alone */
    sweep_after(&k, LEASE);
    expect(&k, &id, JOBQ_REASON_ATTEMPTS, 3);
    spec.timeout_ms = 1000;
    id = kit_put_spec(&k, &spec);
    job = claim(&k, work_queue);
    sweep_after(&k, LEASE);
    expect(&k, &id, JOBQ_REASON_TIMEOUT, 4);
    spec.timeout_ms = 0;
    spec.expires_in_ms = 1000;
    id = kit_put_spec(&k, &spec);
    sweep_after(&k, 1000);
    expect(&k, &id, JOBQ_REASON_EXPIRED, 5);
    spec.expires_in_ms = 0;
    id = kit_put_spec(&k, &spec);
    job = claim(&k, work_queue);
    struct jobq_callback callback;
    ck_assert_int_eq(jobq_callback_new(k.q, &id, &job.token, &callback), JOBQ_OK);
    ck_assert_int_eq(jobq_park(k.q, &id, &job.token, 1000), JOBQ_OK);
    sweep_after(&k, 1000);
    expect(&k, &id, JOBQ_REASON_CALLBACK_TIMEOUT, 6);
    kit_close(&k);
}
END_TEST

START_TEST(rule_8_poison_and_those_that_hang_on_it)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .max_crashes = 1, .max_attempts = 5 };
    struct jobq_parent parent = { .rule = JOBQ_PARENT_FAIL };
    struct kit k;
    struct jobq_id children[3];

    kit_open(&k);
    watch(&k);
    parent.id = kit_put_spec(&k, &spec);
    spec.parents = &parent;
    spec.parent_count = 1;
    for (int i = 0; i < 3; i++)
        children[i] = kit_put_spec(&k, &spec);
    claim(&k, work_queue);
    sweep_after(&k, LEASE);
    sweep_after(&k, 0);
    ck_assert_int_eq(kit_job(&k, &parent.id)->reason, JOBQ_REASON_POISON);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(kit_job(&k, &children[i])->reason, JOBQ_REASON_DEPENDENCY);
    ck_assert_uint_eq(count_alerts(&k), 4);
    sweep_after(&k, LEASE);
    ck_assert_uint_eq(count_alerts(&k), 4);
    kit_close(&k);
}
END_TEST

START_TEST(rule_8_each_death_its_own)
{
    struct jobq_failure f = { .size = sizeof f, .permanent = 1 };
    struct kit k;

    kit_open(&k);
    watch(&k);
    struct jobq_id id = kit_put(&k, "work", NULL);
    for (size_t deaths = 1; deaths <= 3; deaths++) {
        struct jobq_job job = claim(&k, work_queue);
        ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, &f), JOBQ_OK);
        ck_assert_uint_eq(count_alerts(&k), deaths);
        ck_assert_int_eq(jobq_redrive(k.q, &id), JOBQ_OK);
    }
    kit_close(&k);
}
END_TEST

START_TEST(an_alert_raises_none)
{
    struct jobq_failure f = { .size = sizeof f, .permanent = 1 };
    struct kit k;

    kit_open(&k);
    watch(&k);
    struct jobq_id id = kit_put(&k, "alerts", NULL);
    struct jobq_job job = claim(&k, "alerts");
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, &f), JOBQ_OK);
    ck_assert_uint_eq(count_alerts(&k), 1); /* itself */
    kit_close(&k);
}
END_TEST

START_TEST(many_deaths_in_one_turn) /* within the bounds of an exchange */
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .max_attempts = 1 };
    struct kit k;

    open_behind_door(&k);
    watch(&k);
    kit_worker(&k, 4, 800, 0);
    jobq_worker_handle(k.w, NULL, gate_handler, &k);
    for (int i = 0; i < 700; i++)
        kit_put_spec(&k, &spec);
    KIT_UNTIL(k.w, claimed, 700);
    gate_open(&k.gate, -1, JOBQ_RETRY);
    kit_until_ended(&k);
    KIT_UNTIL(k.w, failed, 700);
    ck_assert_uint_eq(count_alerts(&k), 700);
    size_t most = 0;
    for (size_t i = 0; i < 64; i++) {
        size_t items = door.last[i].changes + door.last[i].puts + door.last[i].beats;
        most = items > most ? items : most;
    }
    ck_assert_uint_le(most, 1000);
    ck_assert_uint_gt(most, 700); /* and they were many at once */
    kit_close(&k);
}
END_TEST

/* ---- killed between any two steps -------------------------------------------------------------------------------- */

/* A process runs a job to its death by `path`, and is killed at exchange `at`: before it (JOBQ_FAILED: nothing of it
 * happened) or behind it (JOBQ_UNKNOWN: it happened, and nobody heard). False when it got through without the fault. */
static bool live_and_die(struct kit *k, int at, int fault)
{
    struct jobq_failure f = { .size = sizeof f, .text = { "boom", 4 } };
    struct jobq_claim_options o = { .size = sizeof o, .queues = &work_queue, .queue_count = 1 };

    door.calls = 0;
    door.fault_at = at;
    door.fault = fault;
    door.fault_length = 1000; /* from there on there is no process any more */
    for (int step = 0; step < 3; step++) {
        struct jobq_jobs *jobs = NULL;
        int rc = jobq_claim(k->q, &o, &jobs);
        if (rc == JOBQ_OK && jobs->count)
            rc = jobq_fail(k->q, &jobs->jobs[0].id, &jobs->jobs[0].token, &f);
        jobq_jobs_free(jobs);
        if (rc != JOBQ_OK)
            return false;
        if (jobq_clock_advance(k->q, 60000) != JOBQ_OK)
            return false;
    }
    return true;
}

static void bring_to_its_end(struct kit *k, const struct jobq_id *id)
{
    for (int i = 0; i < 12 && kit_job(k, id)->state != JOBQ_DEAD; i++) {
        struct jobq_claim_options o = { .size = sizeof o, .queues = &work_queue, .queue_count = 1 };
        struct jobq_jobs *jobs = NULL;
        sweep_after(k, 4 * LEASE);
        ck_assert_int_eq(jobq_claim(k->q, &o, &jobs), JOBQ_OK);
        if (jobs->count)
            ck_assert_int_eq(jobq_fail(k->q, id, &jobs->jobs[0].token, NULL), JOBQ_OK);
        jobq_jobs_free(jobs);
    }
    ck_assert_int_eq(kit_job(k, id)->state, JOBQ_DEAD);
}

static bool killed_at(int at, int fault)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .max_attempts = 2 };
    struct kit first, then;
    bool through;

    open_behind_door(&first);
    watch(&first);
    struct jobq_id id = kit_put_spec(&first, &spec);
    through = live_and_die(&first, at, fault);
    door.fault_at = 0;
    kit_join(&then, &first);
    watch(&then);
    bring_to_its_end(&then, &id);
    ck_assert_msg(count_alerts(&then) == 1, "killed at %d (%d): %zu alerts", at, fault, count_alerts(&then));
    sweep_after(&then, 4 * LEASE);
    ck_assert_uint_eq(count_alerts(&then), 1);
    kit_close(&then);
    kit_close(&first);
    return through;
}

START_TEST(rule_8_killed_between_any_two_steps)
{
    const int faults[] = { JOBQ_FAILED, JOBQ_UNKNOWN };
    bool through = false;
    int at;

    for (at = 1; !through; at++) {
        through = true;
        for (int i = 0; i < 2; i++)
            through &= killed_at(at, faults[i]);
        ck_assert_int_lt(at, 60);
    }
    ck_assert_int_gt(at, 5); /* there were steps to be killed between */
}
END_TEST

/* The alert cannot be stored: then the job does not die either, and does when there is room. */
START_TEST(rule_8_without_its_alert_no_death)
{
    struct jobq_spec spec = { .size = sizeof spec, .queue = "work", .max_attempts = 1 };
    struct kit k;

    open_behind_door(&k);
    watch(&k);
    struct jobq_id id = kit_put_spec(&k, &spec);
    struct jobq_job job = claim(&k, work_queue);
    door.fail = 1000;
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, NULL), JOBQ_FAILED);
    ck_assert_int_eq(kit_job(&k, &id)->state, JOBQ_RUNNING);
    door.fail = 0;
    ck_assert_int_eq(jobq_fail(k.q, &id, &job.token, NULL), JOBQ_OK);
    expect(&k, &id, JOBQ_REASON_ATTEMPTS, 1);
    kit_close(&k);
}
END_TEST

KIT_MAIN("alert", rule_8_an_alert_says_what_died, rule_15_any_error_text, rule_8_on_whatever_path,
         rule_8_poison_and_those_that_hang_on_it, rule_8_each_death_its_own, an_alert_raises_none,
         many_deaths_in_one_turn, rule_8_killed_between_any_two_steps, rule_8_without_its_alert_no_death)
