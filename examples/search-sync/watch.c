/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <inttypes.h>
#include <jobq/jobq.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text.h"

static const struct {
    const char *name;
    int finding; /* enum jobq_finding_what; 0: of our own */
} kinds[WATCH_ALERTS] = {
    {"errors", JOBQ_FINDING_ERRORS}, {"pending", JOBQ_FINDING_PENDING},     {"stuck", JOBQ_FINDING_STUCK},
    {"slow", JOBQ_FINDING_SLOW},     {"no_worker", JOBQ_FINDING_NO_WORKER}, {"index", 0},
};

static const struct jobq_finding *finding_of(const struct jobq_health *health, int what)
{
    for (size_t i = 0; i < health->finding_count; i++)
        if (health->findings[i].what == what)
            return &health->findings[i];
    return NULL;
}

/* Before our own worker has called the store for the first time, nobody may have the queue: that is the
 * beginning, no alarm. */
static int is_alarming(const struct watch *watch, const struct jobq_finding *finding)
{
    if (!finding)
        return 0;
    return finding->what == JOBQ_FINDING_NO_WORKER ? watch->has_begun : alert_is_for(finding);
}

static void say(struct watch *watch, int i, int wrong, int64_t now_ms)
{
    enum alert_said said = alert_step(&watch->alerts[i], wrong, now_ms);

    if (said != ALERT_NOTHING)
        fprintf(stderr, "ALERT %s %s: %s\n", alert_word(said), kinds[i].name, watch->issues[i]);
}

static int index_is_away(struct watch *watch, char *issue, size_t size)
{
    int away;

    pthread_mutex_lock(&watch->batch->lock);
    away = watch->batch->reachable == 0;
    if (away)
        snprintf(issue, size, "the index cannot be reached: %s", watch->batch->trouble);
    pthread_mutex_unlock(&watch->batch->lock);
    return away;
}

static void judge(struct watch *watch, const struct jobq_health *health)
{
    for (int i = 0; i < WATCH_ALERTS; i++) {
        const struct jobq_finding *finding = kinds[i].finding ? finding_of(health, kinds[i].finding) : NULL;
        int wrong = kinds[i].finding ? is_alarming(watch, finding)
                                     : index_is_away(watch, watch->issues[i], sizeof(watch->issues[i]));
        if (wrong && finding)
            snprintf(watch->issues[i], sizeof(watch->issues[i]), "%s", finding->issue);
        say(watch, i, wrong, health->now_ms);
    }
}

/* Lost leases are taken back by the worker itself; here it is told. */
static void tell_health(struct watch *watch, const struct jobq_health *health,
                        const struct jobq_worker_counts *counts)
{
    if (counts->swept > watch->swept)
        fprintf(stderr, "health: %" PRIu64 " jobs of lost workers were taken back\n",
                counts->swept - watch->swept);
    watch->swept = counts->swept;
    if (health->stuck > 5)
        fprintf(stderr, "health: CRITICAL: %" PRIu64 " jobs are stuck\n", health->stuck);
}

void watch_look(struct watch *watch)
{
    struct jobq_worker_counts counts = {.size = sizeof(counts)};
    struct jobq_health *health = NULL;

    jobq_worker_counts(watch->w, &counts); /* before the look: what it calls begun is in the store by then */
    if (jobq_health(watch->q, watch->queue, NULL, &health) < 0) {
        fprintf(stderr, "health: %s\n", jobq_last_error()->text);
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->has_begun = counts.exchanges > 0;
    tell_health(watch, health, &counts);
    judge(watch, health);
    pthread_mutex_unlock(&watch->lock);
    jobq_health_free(health);
}

json_t *watch_alerts(struct watch *watch)
{
    json_t *out = json_array();

    pthread_mutex_lock(&watch->lock);
    for (int i = 0; i < WATCH_ALERTS; i++)
        if (watch->alerts[i].raised)
            json_array_append_new(out,
                                  json_pack("{s:s, s:o, s:o}", "alert", kinds[i].name, "issue",
                                            json_of_text(watch->issues[i], strlen(watch->issues[i]), 300),
                                            "since", json_of_instant(watch->alerts[i].since_ms)));
    pthread_mutex_unlock(&watch->lock);
    return out;
}

static void *run(void *user)
{
    struct watch *watch = user;
    struct timespec at;

    pthread_mutex_lock(&watch->lock);
    while (!watch->ending) {
        pthread_mutex_unlock(&watch->lock);
        watch_look(watch);
        pthread_mutex_lock(&watch->lock);
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += watch->every_ms / 1000;
        at.tv_nsec += watch->every_ms % 1000 * 1000000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        while (!watch->ending && pthread_cond_timedwait(&watch->changed, &watch->lock, &at) == 0)
            ;
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

int watch_start(struct watch *watch)
{
    pthread_condattr_t by;

    if (pthread_condattr_init(&by) != 0)
        return -1;
    pthread_condattr_setclock(&by, CLOCK_MONOTONIC);
    int code = pthread_mutex_init(&watch->lock, NULL) || pthread_cond_init(&watch->changed, &by) ||
               pthread_create(&watch->thread, NULL, run, watch);
    pthread_condattr_destroy(&by);
    return code ? -1 : 0;
}

void watch_stop(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->ending = 1;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
}
