/* SPDX-License-Identifier: MIT */
#include "alarm.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alert.h"
#include "child.h"
#include "text.h"

#define KINDS_MOST       512 /* kinds of trouble times queues that ever had one; more are not told */
#define PROGRAM_LIMIT_MS 60000

/* One kind of trouble of one queue, from its first time on. */
struct kind {
    int what; /* enum jobq_finding_what */
    char queue[256];
    struct alert alert;
    enum alert_said unsaid; /* what the program is still to be told */
    char issue[300], recommendation[300];
    uint64_t value, limit;
};

struct alarm {
    struct jobq *q;
    struct alarm_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int stopping;
    int stop[2]; /* a pipe whose end says so to the program */
    size_t count;
    struct kind kinds[KINDS_MOST];
};

/* ---- the program ----------------------------------------------------------------------------- */

static char *text_of(const struct kind *kind)
{
    json_t *json = json_pack(
        "{s:s, s:o, s:s, s:o, s:o, s:I, s:I, s:o}", "alert", jobq_finding_name(kind->what), "queue",
        json_of_text(kind->queue, strlen(kind->queue), sizeof(kind->queue)), "state",
        alert_word(kind->unsaid), "issue",
        json_of_text(kind->issue, strlen(kind->issue), sizeof(kind->issue)), "recommendation",
        json_of_text(kind->recommendation, strlen(kind->recommendation), sizeof(kind->recommendation)),
        "value", (json_int_t)kind->value, "limit", (json_int_t)kind->limit, "since",
        json_of_instant(kind->alert.since_ms));
    char *text = text_of_json(json);

    json_decref(json);
    return text;
}

/* Returns 0 when it was told. */
static int run_program(const struct alarm *alarm, const struct kind *kind)
{
    const char *const argv[] = {alarm->options.program, NULL};
    char *text = text_of(kind);
    struct child_result result;
    struct child_spec spec = {.program = alarm->options.program,
                              .argv = argv,
                              .time_limit_ms = PROGRAM_LIMIT_MS,
                              .cancel_fd = alarm->stop[0]};
    int failed;

    if (!text)
        return -1;
    spec.input = text;
    spec.input_size = strlen(text);
    failed = child_run(&spec, &result);
    free(text);
    if (failed)
        fprintf(stderr, "ALERT %s was not told to %s: %s\n", jobq_finding_name(kind->what),
                alarm->options.program,
                result.end == CHILD_EXITED ? result.error_text : "it did not end well");
    return failed;
}

static void tell(struct alarm *alarm, struct kind *kind, enum alert_said said)
{
    if (said != ALERT_NOTHING) {
        kind->unsaid = said;
        fprintf(stderr, "ALERT %s %s %s: %s\n", alert_word(said), jobq_finding_name(kind->what), kind->queue,
                kind->issue);
    }
    if (kind->unsaid != ALERT_NOTHING && run_program(alarm, kind) == 0)
        kind->unsaid = ALERT_NOTHING;
}

/* ---- looking --------------------------------------------------------------------------------- */

static struct kind *kind_of(struct alarm *alarm, const struct jobq_finding *finding)
{
    for (size_t i = 0; i < alarm->count; i++)
        if (alarm->kinds[i].what == finding->what && strcmp(alarm->kinds[i].queue, finding->queue) == 0)
            return &alarm->kinds[i];
    if (alarm->count == KINDS_MOST)
        return NULL;
    alarm->kinds[alarm->count].what = finding->what;
    snprintf(alarm->kinds[alarm->count].queue, sizeof(alarm->kinds[0].queue), "%s", finding->queue);
    return &alarm->kinds[alarm->count++];
}

static void look(struct alarm *alarm)
{
    const struct jobq_thresholds thresholds = {.size = sizeof(thresholds),
                                               .average_ms = alarm->options.slow_ms};
    unsigned char wrong[KINDS_MOST] = {0};
    struct jobq_health *health = NULL;

    if (jobq_health(alarm->q, NULL, &thresholds, &health) < 0) {
        fprintf(stderr, "ALERT the store cannot be looked at: %s\n", jobq_last_error()->text);
        return;
    }
    for (size_t i = 0; i < health->finding_count; i++) {
        const struct jobq_finding *finding = &health->findings[i];
        struct kind *kind = alert_is_for(finding) ? kind_of(alarm, finding) : NULL;
        if (!kind)
            continue;
        wrong[kind - alarm->kinds] = 1;
        snprintf(kind->issue, sizeof(kind->issue), "%s", finding->issue);
        snprintf(kind->recommendation, sizeof(kind->recommendation), "%s", finding->recommendation);
        kind->value = finding->value;
        kind->limit = finding->limit;
    }
    for (size_t i = 0; i < alarm->count; i++)
        tell(alarm, &alarm->kinds[i], alert_step(&alarm->kinds[i].alert, wrong[i], health->now_ms));
    jobq_health_free(health);
}

/* Returns 0 when it is to end. */
static int rest(struct alarm *alarm)
{
    struct timespec until;
    int go_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(alarm->options.every_ms / 1000);
    until.tv_nsec += (long)(alarm->options.every_ms % 1000) * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&alarm->lock);
    while (!alarm->stopping && pthread_cond_timedwait(&alarm->change, &alarm->lock, &until) == 0)
        continue;
    go_on = !alarm->stopping;
    pthread_mutex_unlock(&alarm->lock);
    return go_on;
}

static void *run(void *user)
{
    struct alarm *alarm = user;

    do
        look(alarm);
    while (rest(alarm));
    return NULL;
}

/* ---- its life -------------------------------------------------------------------------------- */

static void release(struct alarm *alarm)
{
    pthread_cond_destroy(&alarm->change);
    pthread_mutex_destroy(&alarm->lock);
    for (int i = 0; i < 2; i++)
        if (alarm->stop[i] >= 0)
            close(alarm->stop[i]);
    free(alarm);
}

struct alarm *alarm_start(struct jobq *q, const struct alarm_options *options)
{
    struct alarm *alarm = calloc(1, sizeof(*alarm));
    pthread_condattr_t attributes;

    if (!alarm)
        return NULL;
    alarm->q = q;
    alarm->options = *options;
    pthread_mutex_init(&alarm->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&alarm->change, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pipe2(alarm->stop, O_CLOEXEC) != 0)
        alarm->stop[0] = alarm->stop[1] = -1;
    else if (pthread_create(&alarm->thread, NULL, run, alarm) == 0)
        return alarm;
    release(alarm);
    return NULL;
}

void alarm_stop(struct alarm *alarm)
{
    if (!alarm)
        return;
    pthread_mutex_lock(&alarm->lock);
    alarm->stopping = 1;
    pthread_cond_signal(&alarm->change);
    pthread_mutex_unlock(&alarm->lock);
    (void)!write(alarm->stop[1], "", 1);
    pthread_join(alarm->thread, NULL);
    release(alarm);
}
