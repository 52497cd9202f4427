/* SPDX-License-Identifier: MIT */
/* Schedules as an application sees them, on the memory store: rule 13 of the lifecycle, S12. */
#include "unit.h"

#include "schedule.h"

#include <jobq/memory.h>

#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)

static struct jobq *q;
static const char *const queue = "q";

static void setup(void)
{
    ck_assert_int_eq(jobq_open(&q, jobq_memory(), "memory:", NULL), JOBQ_OK);
}

static void advance(int64_t ms)
{
    ck_assert_int_eq(jobq_clock_advance(q, ms), JOBQ_OK);
}

static struct jobq_spec spec_of(const char *payload)
{
    return (struct jobq_spec){ .size = sizeof(struct jobq_spec), .queue = queue, .payload = bytes_of(payload) };
}

static int add_to(const char *name, const char *cron, int missed, const char *payload)
{
    struct jobq_spec spec = spec_of(payload);
    struct jobq_schedule s = { .size = sizeof s, .name = name, .cron = cron, .missed = missed, .spec = &spec };

    return jobq_schedule_add(q, &s);
}

static void add(const char *name, const char *cron, int missed)
{
    ck_assert_msg(add_to(name, cron, missed, "p") == JOBQ_OK, "%s", jobq_last_error()->text);
}

static const struct jobq_schedule_info *get(const char *name)
{
    static struct jobq_schedules *one;

    jobq_schedules_free(one);
    one = NULL;
    ck_assert_msg(jobq_schedule_get(q, name, &one) == JOBQ_OK, "%s", jobq_last_error()->text);
    ck_assert_uint_eq(one->count, 1);
    return &one->schedules[0];
}

static const struct jobq_jobs *jobs(void)
{
    static struct jobq_jobs *all;
    struct jobq_filter f = { .size = sizeof f, .limit = 1000 };

    jobq_jobs_free(all);
    all = NULL;
    ck_assert_int_eq(jobq_list(q, &f, &all), JOBQ_OK);
    return all;
}

static void sweep(void)
{
    ck_assert_msg(jobq_sweep(q, 1000, NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
}

static int64_t next(const char *name, int64_t after_ms)
{
    int64_t at = 0;
    size_t count = 0;

    ck_assert_int_eq(jobq_schedule_next(q, name, after_ms, &at, 1, &count), JOBQ_OK);
    ck_assert_uint_eq(count, 1);
    return at;
}

/* Move the clock so far that `ms` have passed since this instant. */
static void advance_to(int64_t at_ms)
{
    int64_t now = jobs()->now_ms;

    advance(at_ms > now ? at_ms - now : 0);
}

/* ---- definitions -------------------------------------------------------------------------------------------------- */

START_TEST(what_is_stored_comes_back)
{
    static const int64_t list[] = { 5, 6, 7 };
    struct jobq_backoff backoff = { .size = sizeof backoff, .kind = JOBQ_BACKOFF_LIST, .list_count = 3, .list_ms = list,
                                    .jitter_percent = 3 };
    struct jobq_spec spec = { .size = sizeof spec, .queue = "reports", .kind = "k", .group = "g", .payload = { "a\0b", 3 },
                              .key = { "x\0", 2 }, .key_scope = JOBQ_SCOPE_GROUP, .key_hold = JOBQ_HOLD_WINDOW,
                              .key_window_ms = 99, .priority = -7, .expires_in_ms = 12345, .timeout_ms = 54321,
                              .max_attempts = 9, .max_crashes = 8, .held = 1, .trace = "00-trace", .backoff = &backoff };
    struct jobq_schedule s = { .size = sizeof s, .name = "weekly report", .cron = "0 9 * * 1", .zone = "Europe/Istanbul",
                               .missed = JOBQ_MISSED_ALL, .gap = JOBQ_GAP_SKIP, .fold = JOBQ_FOLD_BOTH, .late_ms = 777,
                               .spec = &spec };
    setup();
    ck_assert_msg(jobq_schedule_add(q, &s) == JOBQ_OK, "%s", jobq_last_error()->text);
    const struct jobq_schedule_info *info = get("weekly report");
    const struct jobq_schedule *back = info->schedule;
    ck_assert_str_eq(info->name, "weekly report");
    ck_assert_int_eq(info->version, 1);
    ck_assert_int_eq(info->paused, 0);
    ck_assert_int_eq(info->next_at_ms, next("weekly report", 0));
    ck_assert_str_eq(back->cron, "0 9 * * 1");
    ck_assert_str_eq(back->zone, "Europe/Istanbul");
    ck_assert(back->missed == JOBQ_MISSED_ALL && back->gap == JOBQ_GAP_SKIP && back->fold == JOBQ_FOLD_BOTH);
    ck_assert_int_eq(back->late_ms, 777);
    ck_assert_str_eq(back->spec->queue, "reports");
    ck_assert_str_eq(back->spec->kind, "k");
    ck_assert_str_eq(back->spec->group, "g");
    ck_assert_str_eq(back->spec->trace, "00-trace");
    ck_assert_mem_eq(back->spec->payload.data, "a\0b", 3);
    ck_assert_uint_eq(back->spec->key.size, 2);
    ck_assert(back->spec->key_scope == JOBQ_SCOPE_GROUP && back->spec->key_hold == JOBQ_HOLD_WINDOW);
    ck_assert(back->spec->key_window_ms == 99 && back->spec->priority == -7 && back->spec->held == 1);
    ck_assert(back->spec->expires_in_ms == 12345 && back->spec->timeout_ms == 54321);
    ck_assert(back->spec->max_attempts == 9 && back->spec->max_crashes == 8);
    ck_assert(back->spec->backoff->list_count == 3 && back->spec->backoff->list_ms[2] == 7);
    ck_assert_int_eq(back->spec->backoff->jitter_percent, 3);
    ck_assert_int_eq(jobq_schedule_add(q, back), JOBQ_ALREADY); /* what comes back is the same definition */
    jobq_close(q);
}
END_TEST

START_TEST(adding_again)
{
    setup();
    add("s", "0 9 * * *", JOBQ_MISSED_ONE);
    ck_assert_int_eq(add_to("s", "0 9 * * *", JOBQ_MISSED_ONE, "p"), JOBQ_ALREADY);
    ck_assert_int_eq(get("s")->version, 1);
    ck_assert_int_eq(add_to("s", "0 9 * * *", JOBQ_MISSED_ONE, "other"), JOBQ_OK);
    ck_assert_int_eq(get("s")->version, 2);
    ck_assert_int_eq(add_to("s", "0 10 * * *", JOBQ_MISSED_ONE, "other"), JOBQ_OK);
    ck_assert_int_eq(get("s")->version, 3);
    ck_assert_str_eq(get("s")->schedule->cron, "0 10 * * *");
    struct jobq_spec spec = spec_of("x");
    struct jobq_schedule none = { .size = sizeof none, .name = "none", .cron = "@daily", .spec = &spec };
    ck_assert_int_eq(jobq_schedule_edit(q, &none), JOBQ_NOT_FOUND);
    none.name = "s";
    ck_assert_int_eq(jobq_schedule_edit(q, &none), JOBQ_OK);
    ck_assert_int_eq(get("s")->version, 4);
    ck_assert_int_eq(jobq_schedule_remove(q, "s"), JOBQ_OK);
    ck_assert_int_eq(jobq_schedule_remove(q, "s"), JOBQ_NOT_FOUND);
    ck_assert_int_eq(jobq_schedule_pause(q, "s"), JOBQ_NOT_FOUND);
    ck_assert_int_eq(jobq_schedule_resume(q, "s"), JOBQ_NOT_FOUND);
    ck_assert_int_eq(jobq_schedule_run(q, "s", NULL), JOBQ_NOT_FOUND);
    jobq_close(q);
}
END_TEST

static void refused(struct jobq_schedule s, const char *field)
{
    int64_t at;
    size_t count;

    s.size = sizeof s;
    ck_assert_msg(jobq_schedule_add(q, &s) == JOBQ_INVALID, "%s was not refused", field);
    ck_assert_str_eq(jobq_last_error()->field, field);
    if (strcmp(field, "name") == 0 || s.spec == NULL || s.spec->id || s.spec->delay_ms || s.spec->run_at_ms ||
        s.spec->parent_count || !s.spec->queue)
        return;
    ck_assert_int_eq(jobq_schedule_preview(&s, 5, &at, 1, &count), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, field);
}

START_TEST(bad_input_names_its_field)
{
    struct jobq_id id = { .bytes = { 1 } };
    struct jobq_parent parent = { .id = id };
    struct jobq_spec good = spec_of("p"), bad[5];
    char long_name[300];
    setup();
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (int i = 0; i < 5; i++)
        bad[i] = good;
    bad[0].id = &id;
    bad[1].delay_ms = 1;
    bad[2].run_at_ms = 1;
    bad[3].parents = &parent;
    bad[3].parent_count = 1;
    bad[4].queue = NULL;
    static const char *const fields[] = { "id", "delay_ms", "run_at_ms", "parents", "queue" };
    for (int i = 0; i < 5; i++)
        refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .spec = &bad[i] }, fields[i]);
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily" }, "spec");
    refused((struct jobq_schedule){ .cron = "@daily", .spec = &good }, "name");
    refused((struct jobq_schedule){ .name = "", .cron = "@daily", .spec = &good }, "name");
    refused((struct jobq_schedule){ .name = long_name, .cron = "@daily", .spec = &good }, "name");
    refused((struct jobq_schedule){ .name = "s", .spec = &good }, "cron");
    refused((struct jobq_schedule){ .name = "s", .cron = "0 0 30 2 *", .spec = &good }, "cron");
    refused((struct jobq_schedule){ .name = "s", .cron = "30 2 ? 3 0L", .zone = "Europe/Berlin",
                                    .gap = JOBQ_GAP_SKIP, .anchor_ms = 1, .spec = &good }, "anchor_ms");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .zone = "Europe/Nowhere", .spec = &good }, "zone");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .zone = "../zone", .spec = &good }, "zone");
    refused((struct jobq_schedule){ .name = "s", .every_ms = 5000, .zone = "UTC", .spec = &good }, "zone");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .every_ms = 5000, .spec = &good }, "every_ms");
    refused((struct jobq_schedule){ .name = "s", .every_ms = 999, .spec = &good }, "every_ms");
    refused((struct jobq_schedule){ .name = "s", .every_ms = -1, .spec = &good }, "every_ms");
    refused((struct jobq_schedule){ .name = "s", .every_ms = INT64_MAX, .spec = &good }, "every_ms");
    refused((struct jobq_schedule){ .name = "s", .cron = "@every 1ms", .spec = &good }, "cron");
    refused((struct jobq_schedule){ .name = "s", .every_ms = 5000, .anchor_ms = -1, .spec = &good }, "anchor_ms");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .missed = 3, .spec = &good }, "missed");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .gap = -1, .spec = &good }, "gap");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .fold = 3, .spec = &good }, "fold");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .late_ms = -1, .spec = &good }, "late_ms");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .late_ms = INT64_MAX, .spec = &good }, "late_ms");
    refused((struct jobq_schedule){ .name = "s", .cron = "@daily", .reserved = 1, .spec = &good }, "reserved");
    struct jobq_schedule never = { .size = sizeof never, .name = "s", .cron = "30 2 ? 3 0L", .zone = "Europe/Berlin",
                                   .gap = JOBQ_GAP_SKIP, .spec = &good };
    ck_assert_int_eq(jobq_schedule_add(q, &never), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "cron");
    struct jobq_schedules *all;
    ck_assert_int_eq(jobq_schedule_list(q, NULL, 0, &all), JOBQ_OK);
    ck_assert_uint_eq(all->count, 0); /* nothing of it had an effect */
    jobq_schedules_free(all);
    ck_assert_int_eq(jobq_schedule_list(q, NULL, 1001, &all), JOBQ_INVALID);
    ck_assert_int_eq(jobq_schedule_add(q, NULL), JOBQ_INVALID);
    jobq_close(q);
}
END_TEST

START_TEST(without_a_zone_database)
{
    struct jobq_spec spec = spec_of("p");
    struct jobq_schedule s = { .size = sizeof s, .name = "s", .cron = "@daily", .zone = "Europe/Berlin", .spec = &spec };
    setup();
    setenv("TZDIR", "/nonexistent", 1);
    ck_assert_int_eq(jobq_schedule_add(q, &s), JOBQ_UNSUPPORTED);
    ck_assert_str_eq(jobq_last_error()->field, "zone");
    s.zone = NULL;
    ck_assert_int_eq(jobq_schedule_add(q, &s), JOBQ_OK);
    unsetenv("TZDIR");
    jobq_close(q);
}
END_TEST

START_TEST(a_store_without_schedules)
{
    struct jobq_backend poor = *jobq_memory();
    struct jobq_schedules *all;
    poor.capabilities &= ~(uint32_t)JOBQ_CAP_SCHEDULES;
    ck_assert_int_eq(jobq_open(&q, &poor, "memory:", NULL), JOBQ_OK);
    ck_assert_int_eq(add_to("s", "@daily", 0, "p"), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_schedule_list(q, NULL, 0, &all), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_schedule_run(q, "s", NULL), JOBQ_UNSUPPORTED);
    sweep();
    jobq_close(q);
    poor = *jobq_memory();
    poor.size = offsetof(struct jobq_backend, schedules); /* a table from before */
    ck_assert_int_eq(jobq_open(&q, &poor, "memory:", NULL), JOBQ_OK);
    ck_assert_int_eq(add_to("s", "@daily", 0, "p"), JOBQ_UNSUPPORTED);
    jobq_close(q);
}
END_TEST

/* ---- firing -------------------------------------------------------------------------------------------------------------- */

START_TEST(fires_at_its_time_and_once)
{
    setup();
    add("s", "0 * * * *", JOBQ_MISSED_ONE);
    sweep();
    ck_assert_uint_eq(jobs()->count, 0); /* what was before it was added is none of its business */
    int64_t at = next("s", 0);
    advance_to(at);
    sweep();
    ck_assert_uint_eq(jobs()->count, 1);
    const struct jobq_job *job = &jobs()->jobs[0];
    ck_assert_int_eq(job->run_at_ms, at);
    ck_assert_int_eq(job->state, JOBQ_READY);
    ck_assert_mem_eq(job->payload.data, "p", 1);
    ck_assert_int_eq(get("s")->fired_at_ms, at);
    ck_assert_int_eq(get("s")->next_at_ms, at + HOUR);
    sweep();
    ck_assert_uint_eq(jobs()->count, 1);
    jobq_close(q);
}
END_TEST

START_TEST(a_claim_fires_and_takes)
{
    struct jobq_claim_options o = { .size = sizeof o, .queues = &queue, .queue_count = 1 };
    struct jobq_jobs *claimed;
    setup();
    add("s", "* * * * *", JOBQ_MISSED_ONE);
    for (int i = 0; i < 3; i++) { /* also when its handle has just swept */
        advance_to(next("s", 0));
        ck_assert_int_eq(jobq_claim(q, &o, &claimed), JOBQ_OK);
        ck_assert_uint_eq(claimed->count, 1);
        jobq_jobs_free(claimed);
    }
    jobq_close(q);
}
END_TEST

static size_t caught_up(int missed)
{
    setup();
    add("s", "0 * * * *", missed);
    advance_to(next("s", 0) + 4 * HOUR + HOUR / 2); /* five were missed, the last one half an hour ago */
    sweep();
    sweep();
    size_t count = jobs()->count;
    ck_assert_int_eq(get("s")->next_at_ms > jobs()->now_ms, 1);
    advance(HOUR / 2 + 1000);
    sweep();
    ck_assert_uint_eq(jobs()->count, count + 1); /* and on it goes */
    jobq_close(q);
    return count;
}

START_TEST(missed_runs)
{
    ck_assert_uint_eq(caught_up(JOBQ_MISSED_ONE), 1);
    ck_assert_uint_eq(caught_up(JOBQ_MISSED_SKIP), 0);
    ck_assert_uint_eq(caught_up(JOBQ_MISSED_ALL), 5);
}
END_TEST

START_TEST(all_means_the_newest_100)
{
    setup();
    add("s", "* * * * *", JOBQ_MISSED_ALL);
    int64_t first = next("s", 0);
    advance_to(first + 149 * INT64_C(60000) + 30000);
    sweep();
    ck_assert_uint_eq(jobs()->count, 100);
    int64_t least = INT64_MAX, most = 0;
    for (size_t i = 0; i < 100; i++) {
        int64_t at = jobs()->jobs[i].run_at_ms;
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    ck_assert_int_eq(least, first + 50 * INT64_C(60000));
    ck_assert_int_eq(most, first + 149 * INT64_C(60000));
    jobq_close(q);
}
END_TEST

/* More than one exchange may carry: in several, each once. */
START_TEST(large_payloads)
{
    static char payload[200001];
    setup();
    memset(payload, 'x', sizeof payload - 1);
    ck_assert_int_eq(add_to("s", "* * * * *", JOBQ_MISSED_ALL, payload), JOBQ_OK);
    int64_t first = next("s", 0);
    advance_to(first + 49 * INT64_C(60000) + 30000);
    for (int i = 0; i < 10; i++)
        sweep();
    struct jobq_stats *stats;
    ck_assert_int_eq(jobq_stats(q, queue, &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queues[0].enqueued_total, 50);
    jobq_stats_free(stats);
    ck_assert_int_eq(get("s")->fired_at_ms, first + 49 * INT64_C(60000));
    jobq_close(q);
}
END_TEST

START_TEST(paused_time_is_not_missed)
{
    setup();
    add("s", "0 * * * *", JOBQ_MISSED_ALL);
    ck_assert_int_eq(jobq_schedule_pause(q, "s"), JOBQ_OK);
    ck_assert_int_eq(jobq_schedule_pause(q, "s"), JOBQ_ALREADY);
    advance(5 * HOUR);
    sweep();
    ck_assert_uint_eq(jobs()->count, 0);
    ck_assert_int_eq(get("s")->paused, 1);
    ck_assert_int_eq(add_to("s", "0 * * * *", JOBQ_MISSED_ALL, "changed"), JOBQ_OK);
    ck_assert_int_eq(get("s")->paused, 1); /* a new definition does not wake it */
    ck_assert_int_eq(jobq_schedule_resume(q, "s"), JOBQ_OK);
    ck_assert_int_eq(jobq_schedule_resume(q, "s"), JOBQ_ALREADY);
    sweep();
    ck_assert_uint_eq(jobs()->count, 0);
    advance_to(next("s", 0));
    sweep();
    ck_assert_uint_eq(jobs()->count, 1);
    jobq_close(q);
}
END_TEST

/* S12: at least once. A change just before somebody would have fired it takes nothing away. */
START_TEST(a_change_loses_no_run)
{
    setup();
    add("s", "0 * * * *", JOBQ_MISSED_ONE);
    advance_to(next("s", 0));
    ck_assert_int_eq(add_to("s", "0 * * * *", JOBQ_MISSED_ONE, "new"), JOBQ_OK); /* another job at the same times */
    sweep();
    ck_assert_uint_eq(jobs()->count, 1);
    ck_assert_mem_eq(jobs()->jobs[0].payload.data, "new", 3);
    advance_to(next("s", 0));
    ck_assert_int_eq(add_to("s", "30 3 * * *", JOBQ_MISSED_ONE, "newer"), JOBQ_OK); /* other times */
    ck_assert_uint_eq(jobs()->count, 2);
    advance_to(next("s", 0));
    ck_assert_int_eq(jobq_schedule_pause(q, "s"), JOBQ_OK);
    ck_assert_uint_eq(jobs()->count, 3);
    sweep();
    ck_assert_uint_eq(jobs()->count, 3);
    jobq_close(q);
}
END_TEST

START_TEST(run_now)
{
    struct jobq_enqueued out = { .size = sizeof out };
    setup();
    add("s", "0 * * * *", JOBQ_MISSED_ONE);
    int64_t fired = get("s")->fired_at_ms;
    ck_assert_int_eq(jobq_schedule_pause(q, "s"), JOBQ_OK);
    ck_assert_int_eq(jobq_schedule_run(q, "s", &out), JOBQ_OK);
    ck_assert_int_eq(out.state, JOBQ_READY);
    ck_assert_uint_eq(jobs()->count, 1);
    ck_assert_mem_eq(&jobs()->jobs[0].id, &out.id, sizeof out.id);
    ck_assert_int_eq(get("s")->fired_at_ms, fired);
    jobq_close(q);
}
END_TEST

/* A key: the next run is left out while the one before still goes on, and its time is settled. */
START_TEST(no_overlap_by_a_key)
{
    struct jobq_spec spec = spec_of("p");
    struct jobq_schedule s = { .size = sizeof s, .name = "s", .cron = "0 * * * *", .spec = &spec };
    setup();
    spec.key = (struct jobq_bytes){ "s", 1 };
    ck_assert_int_eq(jobq_schedule_add(q, &s), JOBQ_OK);
    for (int i = 0; i < 3; i++) {
        advance_to(next("s", 0));
        sweep();
    }
    ck_assert_uint_eq(jobs()->count, 1);
    ck_assert_int_gt(get("s")->next_at_ms, jobs()->now_ms);
    jobq_close(q);
}
END_TEST

static void set_depth(int64_t depth)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_DEPTH,
                               .name = bytes_of(queue), .depth = depth };

    ck_assert_int_eq(jobq_memory()->configure(q->lanes[0].store, &s, NULL), JOBQ_OK);
}

/* A full queue is tried again later, not at once and not never. */
START_TEST(a_full_queue)
{
    setup();
    add("s", "0 * * * *", JOBQ_MISSED_ONE);
    set_depth(0);
    int64_t at = next("s", 0);
    advance_to(at);
    sweep();
    ck_assert_uint_eq(jobs()->count, 0);
    ck_assert_int_lt(get("s")->fired_at_ms, at);
    set_depth(-1);
    sweep();
    ck_assert_uint_eq(jobs()->count, 0);
    advance(TICK_RETRY_MS);
    sweep();
    ck_assert_uint_eq(jobs()->count, 1);
    ck_assert_int_eq(jobs()->jobs[0].run_at_ms, at);
    jobq_close(q);
}
END_TEST

/* What this library cannot read is shown and left alone, and keeps no other from running (rule 16). */
START_TEST(unreadable_definitions)
{
    struct jobq_schedules *all;
    setup();
    for (int i = 0; i < 40; i++) {
        char name[8];
        snprintf(name, sizeof name, "bad%02d", i);
        struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_SCHEDULE, .name = bytes_of(name),
                                   .set = JOBQ_SETTING_SCHEDULE | JOBQ_SETTING_NEXT,
                                   .schedule = { i % 2 ? "\x01nonsense" : "\x63", i % 2 ? 9 : 1 } };
        ck_assert_int_eq(jobq_memory()->configure(q->lanes[0].store, &s, NULL), JOBQ_OK);
    }
    add("good", "0 * * * *", JOBQ_MISSED_ONE);
    advance_to(next("good", 0));
    sweep();
    sweep();
    sweep();
    ck_assert_uint_eq(jobs()->count, 1);
    ck_assert_int_eq(jobq_schedule_list(q, "bad38", 9, &all), JOBQ_OK);
    ck_assert_uint_eq(all->count, 2);
    ck_assert_str_eq(all->schedules[0].name, "bad39");
    ck_assert_ptr_null(all->schedules[0].schedule);
    ck_assert_int_eq(all->schedules[0].next_at_ms, 0);
    ck_assert_ptr_nonnull(all->schedules[1].schedule);
    jobq_schedules_free(all);
    int64_t at;
    size_t count;
    ck_assert_int_eq(jobq_schedule_next(q, "bad00", 0, &at, 1, &count), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_schedule_run(q, "bad00", NULL), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_schedule_pause(q, "bad00"), JOBQ_OK);
    ck_assert_int_eq(jobq_schedule_resume(q, "bad00"), JOBQ_OK);
    ck_assert_int_eq(add_to("bad00", "@daily", 0, "p"), JOBQ_OK); /* and can be put right */
    ck_assert_int_eq(jobq_schedule_remove(q, "bad01"), JOBQ_OK);
    jobq_close(q);
}
END_TEST

/* ---- intervals and the next times ------------------------------------------------------------------------------------------- */

START_TEST(intervals_keep_their_beat)
{
    struct jobq_spec spec = spec_of("p");
    struct jobq_schedule s = { .size = sizeof s, .name = "s", .cron = "@every 90s", .spec = &spec };
    setup();
    ck_assert_int_eq(jobq_schedule_add(q, &s), JOBQ_OK);
    ck_assert_ptr_null(get("s")->schedule->cron);
    ck_assert_int_eq(get("s")->schedule->every_ms, 90000);
    int64_t anchor = get("s")->schedule->anchor_ms;
    ck_assert_int_eq(get("s")->next_at_ms, anchor + 90000);
    advance(200000);
    s.cron = NULL;
    s.every_ms = 90000;
    ck_assert_int_eq(jobq_schedule_add(q, &s), JOBQ_ALREADY); /* the same, however it is said, and not begun anew */
    sweep();
    ck_assert_int_eq(get("s")->next_at_ms, anchor + 270000);
    spec.priority = 3;
    ck_assert_int_eq(jobq_schedule_add(q, &s), JOBQ_OK);
    ck_assert_int_eq(get("s")->schedule->anchor_ms, anchor);
    s.anchor_ms = 7;
    ck_assert_int_eq(jobq_schedule_add(q, &s), JOBQ_OK);
    ck_assert_int_eq(get("s")->next_at_ms % 90000, 7);
    jobq_close(q);
}
END_TEST

START_TEST(the_next_times)
{
    struct jobq_schedule s = { .size = sizeof s, .cron = "0 9 * * 1", .zone = "America/New_York" };
    int64_t at[5];
    size_t count;
    setup();
    ck_assert_int_eq(jobq_schedule_preview(&s, INT64_C(1772409600000), at, 5, &count), JOBQ_OK); /* 2 March 2026 */
    ck_assert_uint_eq(count, 5);
    ck_assert_int_eq(at[0], INT64_C(1772460000000)); /* 14:00 UTC */
    ck_assert_int_eq(at[1], INT64_C(1773061200000)); /* 13:00 UTC: summer time has begun */
    s = (struct jobq_schedule){ .size = sizeof s, .every_ms = 5000 };
    ck_assert_int_eq(jobq_schedule_preview(&s, 1000, at, 2, &count), JOBQ_OK);
    ck_assert_int_eq(at[1], 11000);
    ck_assert_int_eq(jobq_schedule_preview(&s, 1000, at, 0, &count), JOBQ_INVALID);
    ck_assert_int_eq(jobq_schedule_preview(&s, -1, at, 1, &count), JOBQ_INVALID);
    add("s", "0 0 1 1 *", JOBQ_MISSED_ONE);
    ck_assert_int_eq(jobq_schedule_next(q, "s", INT64_C(253370764800000) - 1, at, 5, &count), JOBQ_OK); /* 9999 */
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(jobq_schedule_next(q, "t", 0, at, 5, &count), JOBQ_NOT_FOUND);
    jobq_close(q);
}
END_TEST

START_TEST(pages)
{
    struct jobq_schedules *page;
    char name[8], last[8] = "";
    size_t seen = 0;
    setup();
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "s%d", (i * 3) % 7);
        add(name, "@daily", 0);
    }
    for (;;) {
        ck_assert_int_eq(jobq_schedule_list(q, *last ? last : NULL, 3, &page), JOBQ_OK);
        if (page->count == 0)
            break;
        for (size_t i = 0; i < page->count; i++) {
            ck_assert_str_gt(page->schedules[i].name, last);
            snprintf(last, sizeof last, "%s", page->schedules[i].name);
            seen++;
        }
        jobq_schedules_free(page);
    }
    jobq_schedules_free(page);
    ck_assert_uint_eq(seen, 7);
    jobq_close(q);
}
END_TEST

/* ---- bytes ---------------------------------------------------------------------------------------------------------------------- */

/* Whatever the store gives back: read, or refused; never a crash, never out of the limits. */
START_TEST(damaged_bytes)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_spec spec = spec_of("payload");
    struct definition d = { .schedule = { .cron = "0 9 * * 1", .zone = "Europe/Berlin", .late_ms = 60000,
                                          .spec = &spec } }, back;
    struct jobq_bytes bytes;
    uint8_t broken[256];
    unsigned seed = 11;
    spec.key = (struct jobq_bytes){ "key", 3 };
    ck_assert_int_eq(definition_write(arena, &d, &bytes), 0);
    struct jobq_schedule_row row = { .name = bytes_of("s") };
    for (size_t cut = 0; cut < bytes.size; cut++) {
        row.bytes = (struct jobq_bytes){ bytes.data, cut };
        ck_assert_int_eq(definition_read(arena, &row, &back), JOBQ_UNSUPPORTED);
    }
    row.bytes = bytes;
    ck_assert_int_eq(definition_read(arena, &row, &back), JOBQ_OK);
    for (int round = 0; round < 20000; round++) {
        memcpy(broken, bytes.data, bytes.size);
        for (int i = 0; i <= round % 3; i++, seed = seed * 1103515245 + 12345)
            broken[1 + (seed >> 8) % (bytes.size - 1)] = (uint8_t)(seed >> 20);
        row.bytes = (struct jobq_bytes){ broken, bytes.size };
        if (definition_read(arena, &row, &back) != JOBQ_OK)
            continue;
        ck_assert(back.schedule.missed <= JOBQ_MISSED_ALL && back.schedule.late_ms >= 1 && back.spec.queue);
        ck_assert(back.spec.priority >= -32768 && back.spec.priority <= 32767);
        ck_assert(!back.schedule.cron != !back.schedule.every_ms);
    }
    jobq_arena_destroy(arena);
}
END_TEST

UNIT_MAIN("schedule", what_is_stored_comes_back, adding_again, bad_input_names_its_field, without_a_zone_database,
          a_store_without_schedules, fires_at_its_time_and_once, a_claim_fires_and_takes, missed_runs,
          all_means_the_newest_100, large_payloads, paused_time_is_not_missed, a_change_loses_no_run, run_now,
          no_overlap_by_a_key, a_full_queue, unreadable_definitions, intervals_keep_their_beat, the_next_times, pages,
          damaged_bytes)
