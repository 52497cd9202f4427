/* SPDX-License-Identifier: MIT */
#include "pulse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http.h"
#include "parts.h"

#define SLOTS     4096
#define BEAT_MS   200
#define LINGER_MS 2000 /* events are read for so long after the last one who waits */
#define EVENTS    1000
#define KNOWN_MS  10000 /* what was looked at is believed for so long, whatever is seen */

struct slot {
    _Atomic uint64_t changes, ends;
    int64_t wanted_until_ms;
    /* the last that was found to go on: */
    struct jobq_id id;
    const char *tenant; /* NULL: none */
    uint64_t known_ends;
    int64_t known_ms;
};

struct pulse {
    struct jobq *q;
    struct http_server *server;
    pthread_mutex_t lock;
    pthread_cond_t change;
    pthread_t thread;
    int running, stopping, sees;
    int64_t wanted_until_ms; /* the latest of all */
    int64_t cursor;          /* -1: not known yet */
    struct slot slots[SLOTS];
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All parts of a submission have the same last bytes. */
static struct slot *slot_of(struct pulse *pulse, const struct jobq_id *id)
{
    return &pulse->slots[(id->bytes[14] << 8 | id->bytes[15]) % SLOTS];
}

/* ---- what is asked --------------------------------------------------------------------------- */

uint64_t pulse_count(struct pulse *pulse, const struct jobq_id *id, enum pulse_of of)
{
    const struct slot *slot = slot_of(pulse, id);

    return atomic_load(of == PULSE_ENDS ? &slot->ends : &slot->changes);
}

void pulse_goes_on(struct pulse *pulse, const struct jobq_id *id, const char *tenant, uint64_t ends)
{
    struct slot *slot = slot_of(pulse, id);

    pthread_mutex_lock(&pulse->lock);
    slot->id = *id;
    slot->tenant = tenant;
    slot->known_ends = ends;
    slot->known_ms = now_ms();
    pthread_mutex_unlock(&pulse->lock);
}

int pulse_is_known_to_go_on(struct pulse *pulse, const struct jobq_id *id, const char *tenant, uint64_t ends)
{
    const struct slot *slot = slot_of(pulse, id);
    int known;

    pthread_mutex_lock(&pulse->lock);
    known = pulse->sees && slot->tenant && slot->known_ends == ends && slot->known_ms + KNOWN_MS > now_ms() &&
            memcmp(&slot->id, id, sizeof(*id)) == 0 && strcmp(slot->tenant, tenant) == 0;
    pthread_mutex_unlock(&pulse->lock);
    return known;
}

int pulse_sees(struct pulse *pulse)
{
    int sees;

    pthread_mutex_lock(&pulse->lock);
    sees = pulse->sees;
    pthread_mutex_unlock(&pulse->lock);
    return sees;
}

void pulse_want(struct pulse *pulse, const struct jobq_id *id, int64_t ms)
{
    int64_t until = now_ms() + ms;
    struct slot *slot = slot_of(pulse, id);

    pthread_mutex_lock(&pulse->lock);
    if (slot->wanted_until_ms < until)
        slot->wanted_until_ms = until;
    if (pulse->wanted_until_ms < until)
        pulse->wanted_until_ms = until;
    pthread_cond_signal(&pulse->change);
    pthread_mutex_unlock(&pulse->lock);
}

struct http_topic pulse_topic(struct pulse *pulse, const struct jobq_id *id, enum pulse_of of, uint64_t seen,
                              int64_t wait_ms)
{
    size_t slot = (size_t)(slot_of(pulse, id) - pulse->slots);

    return (struct http_topic){.thing = 2 * slot + of, .seen = seen, .wait_ms = wait_ms};
}

/* For http_wake_topics: without our lock. */
static int is_news(void *user, const struct http_topic *topic)
{
    const struct pulse *pulse = user;
    const struct slot *slot = &pulse->slots[topic->thing / 2];

    return atomic_load(topic->thing % 2 == PULSE_ENDS ? &slot->ends : &slot->changes) != topic->seen;
}

/* Those for whom there is news, or whose time is over. */
static void tell(struct pulse *pulse)
{
    http_wake_topics(pulse->server, is_news, pulse);
}

void pulse_touch(struct pulse *pulse, const struct jobq_id *id)
{
    int wake;

    pthread_mutex_lock(&pulse->lock);
    slot_of(pulse, id)->changes++;
    wake = pulse->running && slot_of(pulse, id)->wanted_until_ms > now_ms();
    pthread_mutex_unlock(&pulse->lock);
    if (wake)
        tell(pulse);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Everybody may have changed: some events are not kept any more. */
static void touch_all(struct pulse *pulse)
{
    for (size_t i = 0; i < SLOTS; i++) {
        pulse->slots[i].changes++;
        pulse->slots[i].ends++;
    }
}

/* A submission ends with its report, or before it with its probe. */
static int is_end(const struct jobq_event *event)
{
    int part = part_by_queue(event->queue);

    switch (event->state) {
    case JOBQ_COMPLETED:
        return part == PART_REPORT;
    case 0: /* removed */
    case JOBQ_DEAD:
    case JOBQ_CANCELLED:
        return part == PART_REPORT || part == PART_PROBE;
    default:
        return 0;
    }
}

static void count_events(struct pulse *pulse, const struct jobq_events *events)
{
    pthread_mutex_lock(&pulse->lock);
    if (events->lost > 0)
        touch_all(pulse);
    for (size_t i = 0; i < events->count; i++) {
        struct slot *slot = slot_of(pulse, &events->events[i].id);
        slot->changes++;
        slot->ends += (uint64_t)is_end(&events->events[i]);
    }
    pthread_mutex_unlock(&pulse->lock);
}

static void set_sight(struct pulse *pulse, int sees)
{
    pthread_mutex_lock(&pulse->lock);
    pulse->sees = sees;
    pthread_mutex_unlock(&pulse->lock);
}

/* After a pause nobody remembers what was counted before it, so the newest event is where to begin. */
static void find_newest(struct pulse *pulse)
{
    struct jobq_events *events = NULL;

    if (jobq_events(pulse->q, 0, 1, &events) != JOBQ_OK)
        return;
    pulse->cursor = events->newest;
    jobq_events_free(events);
    pthread_mutex_lock(&pulse->lock);
    touch_all(pulse);
    pthread_mutex_unlock(&pulse->lock);
}

static void read_events(struct pulse *pulse)
{
    struct jobq_events *events = NULL;
    size_t count = EVENTS;
    int status = JOBQ_OK;

    while (count == EVENTS && status == JOBQ_OK) {
        status = jobq_events(pulse->q, pulse->cursor, EVENTS, &events);
        if (status != JOBQ_OK)
            break;
        count = events->count;
        count_events(pulse, events);
        pulse->cursor = events->next;
        set_sight(pulse, events->newest > 0);
        jobq_events_free(events);
    }
    if (status != JOBQ_OK)
        set_sight(pulse, 0);
}

static void beat(struct pulse *pulse)
{
    if (pulse->cursor < 0)
        find_newest(pulse);
    else
        read_events(pulse);
    tell(pulse);
}

/* Until the next beat, or as long as nobody waits. Returns 0 when it is to end. */
static int rest(struct pulse *pulse)
{
    struct timespec until;
    int go_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += BEAT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&pulse->lock);
    while (!pulse->stopping && pthread_cond_timedwait(&pulse->change, &pulse->lock, &until) == 0)
        continue;
    while (!pulse->stopping && pulse->wanted_until_ms + LINGER_MS < now_ms()) {
        pulse->cursor = -1;
        pulse->sees = 0;
        pthread_cond_wait(&pulse->change, &pulse->lock);
    }
    go_on = !pulse->stopping;
    pthread_mutex_unlock(&pulse->lock);
    return go_on;
}

static void *run(void *user)
{
    struct pulse *pulse = user;

    while (rest(pulse))
        beat(pulse);
    return NULL;
}

/* ---- its life -------------------------------------------------------------------------------- */

struct pulse *pulse_create(struct jobq *q)
{
    struct pulse *pulse = calloc(1, sizeof(*pulse));
    pthread_condattr_t attributes;

    if (!pulse)
        return NULL;
    pulse->q = q;
    pulse->cursor = -1;
    pthread_mutex_init(&pulse->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pulse->change, &attributes);
    pthread_condattr_destroy(&attributes);
    return pulse;
}

int pulse_start(struct pulse *pulse, struct http_server *server)
{
    int failed;

    pthread_mutex_lock(&pulse->lock);
    pulse->server = server;
    failed = pthread_create(&pulse->thread, NULL, run, pulse) != 0;
    pulse->running = !failed;
    pthread_mutex_unlock(&pulse->lock);
    return failed ? -1 : 0;
}

void pulse_stop(struct pulse *pulse)
{
    int running;

    if (!pulse)
        return;
    pthread_mutex_lock(&pulse->lock);
    running = pulse->running;
    pulse->running = 0;
    pulse->stopping = 1;
    pthread_cond_signal(&pulse->change);
    pthread_mutex_unlock(&pulse->lock);
    if (running)
        pthread_join(pulse->thread, NULL);
}

void pulse_destroy(struct pulse *pulse)
{
    if (pulse) {
        pulse_stop(pulse);
        pthread_cond_destroy(&pulse->change);
        pthread_mutex_destroy(&pulse->lock);
    }
    free(pulse);
}
