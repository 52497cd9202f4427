/* SPDX-License-Identifier: MIT */
/* Events for browsers. One thread looks at the store, for all who listen: how many of them there are costs
 * the store nothing. A stream that was cut goes on behind the last event that it had (Last-Event-ID). */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dash.h"
#include "text.h"

#define RING         1024 /* events that are remembered; who is behind reads from the store */
#define BATCH        500
#define STREAMS_MOST 64
#define ADDRESS_MOST 16              /* streams of one address */
#define QUIET_MS     INT64_C(10000)  /* between two looks while nobody listens */
#define LIFE_MS      INT64_C(300000) /* then the browser asks again, and is asked who it is */
#define SAMPLES      180
#define SAMPLE_MS    INT64_C(5000)

enum kind { FULL, COUNTS, TICKS };

struct told {
    int64_t cursor;
    char *text;
};

struct stream {
    struct http_stream base;
    struct feed *feed;
    struct stream *next;
    enum kind kind;
    char from[64];
    int64_t cursor, turn, ends_ms;
    char *text;
    size_t size, at;
};

struct feed {
    struct dash *dash;
    struct http_server *server;
    pthread_mutex_t lock;
    pthread_cond_t change;
    pthread_t thread;
    int running;
    struct stream *streams;
    size_t stream_count;
    /* what was seen last */
    int64_t turn; /* raised by each look */
    char *full, *counts, *trouble;
    int64_t cursor; /* of the newest event that was read; -1: not looked yet */
    struct told ring[RING];
    size_t ring_at, ring_count;
    double samples[SAMPLES][6];
    size_t sample_at, sample_count;
    int64_t sampled_ms;
};

/* ---- what is said ----------------------------------------------------------------------------- */

static char *of_event(const struct jobq_event *event)
{
    json_t *data = json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "cursor", (json_int_t)event->cursor, "at",
        json_of_instant(event->at_ms), "id", json_of_id(&event->id), "queue", json_of_name(event->queue),
        "kind", json_of_name(event->kind), "worker", json_of_name(event->worker), "state",
        event->state ? json_string(jobq_state_name(event->state)) : json_string("removed"), "reason",
        json_of_name(jobq_reason_name(event->reason)), "attempt", (int)event->attempt);
    char *json = text_of_json(data), *text = NULL;

    if (json && asprintf(&text, "id: %lld\nevent: job\ndata: %s\n\n", (long long)event->cursor, json) < 0)
        text = NULL;
    free(json);
    json_decref(data);
    return text;
}

static char *of_stats(json_t *stats)
{
    char *json = text_of_json(stats), *text = NULL;

    if (json && asprintf(&text, "event: stats\ndata: %s\n\n", json) < 0)
        text = NULL;
    free(json);
    return text;
}

static void replace(char **old, char *text)
{
    free(*old);
    *old = text;
}

/* ---- looking ---------------------------------------------------------------------------------- */

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

/* The lock is held. */
static void take_sample(struct feed *feed, const json_t *total)
{
    double *sample = feed->samples[feed->sample_at];
    struct timespec now;
    int64_t at_ms;

    if (feed->sampled_ms && dash_now_ms() - feed->sampled_ms < SAMPLE_MS)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    feed->sampled_ms = dash_now_ms();
    at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    sample[0] = (double)at_ms;
    sample[1] = number(total, "ready") + number(total, "scheduled") + number(total, "blocked");
    sample[2] = number(total, "running");
    sample[3] = number(total, "completed_total");
    sample[4] = number(total, "failed_total");
    sample[5] = number(total, "enqueued_total");
    feed->sample_at = (feed->sample_at + 1) % SAMPLES;
    if (feed->sample_count < SAMPLES)
        feed->sample_count++;
}

json_t *feed_history(struct feed *feed)
{
    json_t *out = json_array();

    pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < feed->sample_count; i++) {
        const double *sample = feed->samples[(feed->sample_at + SAMPLES - feed->sample_count + i) % SAMPLES];
        json_t *row = json_array();
        for (size_t j = 0; j < 6; j++)
            json_array_append_new(row, json_integer((json_int_t)sample[j]));
        json_array_append_new(out, row);
    }
    pthread_mutex_unlock(&feed->lock);
    return out;
}

static void look_at_stats(struct feed *feed)
{
    int status = JOBQ_OK;
    json_t *full = dash_overview(feed->dash, 1, &status), *counts = full ? json_copy(full) : NULL;
    char text[600], *said = NULL;

    if (counts) {
        json_object_del(counts, "workers");
        json_object_del(counts, "running");
        json_object_del(counts, "store");
    } else {
        text_of_error(status, text, sizeof(text));
        json_t *error = json_pack("{s:o}", "error", json_of_text(text, strlen(text), sizeof(text)));
        char *json = text_of_json(error);
        if (!json || asprintf(&said, "event: trouble\ndata: %s\n\n", json) < 0)
            said = NULL;
        free(json);
        json_decref(error);
    }
    pthread_mutex_lock(&feed->lock);
    feed->turn++;
    replace(&feed->trouble, said);
    if (full) {
        replace(&feed->full, of_stats(full));
        replace(&feed->counts, of_stats(counts));
        take_sample(feed, json_object_get(full, "total"));
    }
    pthread_mutex_unlock(&feed->lock);
    json_decref(counts);
    json_decref(full);
}

/* The lock is held. */
static void remember(struct feed *feed, const struct jobq_event *event)
{
    struct told *told = &feed->ring[feed->ring_at];

    replace(&told->text, of_event(event));
    told->cursor = event->cursor;
    feed->ring_at = (feed->ring_at + 1) % RING;
    if (feed->ring_count < RING)
        feed->ring_count++;
}

/* Returns 1 when there may be more. */
static int look_at_events(struct feed *feed)
{
    struct jobq_events *events = NULL;
    int more = 0;

    if (jobq_events(feed->dash->q, feed->cursor < 0 ? 0 : feed->cursor, feed->cursor < 0 ? 1 : BATCH,
                    &events) < 0)
        return 0;
    pthread_mutex_lock(&feed->lock);
    if (feed->cursor < 0)
        feed->cursor = events->newest; /* what was before is for those who ask for it */
    else {
        for (size_t i = 0; i < events->count; i++)
            remember(feed, &events->events[i]);
        feed->cursor = events->next > feed->cursor ? events->next : feed->cursor;
        more = events->count == BATCH;
    }
    pthread_mutex_unlock(&feed->lock);
    jobq_events_free(events);
    return more;
}

static void pause_until_next(struct feed *feed)
{
    struct timespec until;
    int64_t ms = feed->stream_count > 0 ? feed->dash->options.interval_ms : QUIET_MS;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&feed->change, &feed->lock, &until);
}

static void *look(void *user)
{
    struct feed *feed = user;

    pthread_mutex_lock(&feed->lock);
    while (feed->running) {
        pthread_mutex_unlock(&feed->lock);
        while (look_at_events(feed))
            continue;
        look_at_stats(feed);
        http_wake(feed->server);
        pthread_mutex_lock(&feed->lock);
        if (feed->running)
            pause_until_next(feed);
    }
    pthread_mutex_unlock(&feed->lock);
    return NULL;
}

struct feed *feed_create(struct dash *dash)
{
    struct feed *feed = calloc(1, sizeof(*feed));

    if (!feed)
        return NULL;
    feed->dash = dash;
    feed->cursor = -1;
    pthread_mutex_init(&feed->lock, NULL);
    pthread_cond_init(&feed->change, NULL);
    return feed;
}

void feed_destroy(struct feed *feed)
{
    if (!feed)
        return;
    for (size_t i = 0; i < RING; i++)
        free(feed->ring[i].text);
    free(feed->full);
    free(feed->counts);
    free(feed->trouble);
    pthread_cond_destroy(&feed->change);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

int feed_start(struct feed *feed, struct http_server *server)
{
    feed->server = server;
    feed->running = 1;
    if (pthread_create(&feed->thread, NULL, look, feed) == 0)
        return 0;
    feed->running = 0;
    return -1;
}

void feed_stop(struct feed *feed)
{
    int running;

    pthread_mutex_lock(&feed->lock);
    running = feed->running;
    feed->running = 0;
    pthread_cond_broadcast(&feed->change);
    pthread_mutex_unlock(&feed->lock);
    if (running)
        pthread_join(feed->thread, NULL);
}

/* ---- a stream --------------------------------------------------------------------------------- */

static void say(struct stream *stream, const char *text)
{
    size_t more = text ? strlen(text) : 0;
    char *longer = more ? realloc(stream->text, stream->size + more + 1) : NULL;

    if (!longer)
        return;
    memcpy(longer + stream->size, text, more + 1);
    stream->text = longer;
    stream->size += more;
}

/* It is behind what is remembered: from the store. Not under the lock, since it may take its time. */
static void catch_up(struct stream *stream)
{
    struct jobq_events *events = NULL;
    char lost[96];

    if (jobq_events(stream->feed->dash->q, stream->cursor, BATCH, &events) < 0)
        return;
    if (events->lost > 0) {
        snprintf(lost, sizeof(lost), "event: lost\ndata: {\"events\":%llu}\n\n",
                 (unsigned long long)events->lost);
        say(stream, lost);
    }
    for (size_t i = 0; i < events->count; i++) {
        char *text = of_event(&events->events[i]);
        say(stream, text);
        free(text);
    }
    if (events->next > stream->cursor)
        stream->cursor = events->next;
    jobq_events_free(events);
}

/* The lock is held. */
static int is_behind(const struct stream *stream)
{
    const struct feed *feed = stream->feed;
    const struct told *oldest = &feed->ring[(feed->ring_at + RING - feed->ring_count) % RING];

    if (stream->kind != FULL || stream->cursor >= feed->cursor)
        return 0;
    return feed->ring_count == 0 || oldest->cursor > stream->cursor + 1;
}

/* The lock is held. */
static void say_news(struct stream *stream)
{
    struct feed *feed = stream->feed;

    for (size_t i = 0; i < feed->ring_count && stream->kind == FULL; i++) {
        const struct told *told = &feed->ring[(feed->ring_at + RING - feed->ring_count + i) % RING];
        if (told->cursor <= stream->cursor)
            continue;
        say(stream, told->text);
        stream->cursor = told->cursor;
    }
    if (stream->turn == feed->turn)
        return;
    stream->turn = feed->turn;
    if (feed->trouble)
        say(stream, stream->kind == FULL ? feed->trouble : "event: trouble\ndata: {}\n\n");
    else if (stream->kind == TICKS)
        say(stream, "event: tick\ndata: {}\n\n");
    else
        say(stream, stream->kind == FULL ? feed->full : feed->counts);
}

static ssize_t read_stream(struct http_stream *base, char *out, size_t room)
{
    struct stream *stream = (struct stream *)(void *)base;
    size_t left;
    int behind;

    if (stream->at == stream->size) {
        free(stream->text);
        stream->text = NULL;
        stream->at = stream->size = 0;
        if (dash_now_ms() > stream->ends_ms)
            return -1;
        pthread_mutex_lock(&stream->feed->lock);
        behind = is_behind(stream);
        if (!behind)
            say_news(stream);
        pthread_mutex_unlock(&stream->feed->lock);
        if (behind)
            catch_up(stream);
    }
    left = stream->size - stream->at;
    if (left > room)
        left = room;
    if (left > 0)
        memcpy(out, stream->text + stream->at, left);
    stream->at += left;
    return (ssize_t)left;
}

static void free_stream(struct http_stream *base)
{
    struct stream *stream = (struct stream *)(void *)base;
    struct feed *feed = stream->feed;
    struct stream **at = &feed->streams;

    pthread_mutex_lock(&feed->lock);
    while (*at && *at != stream)
        at = &(*at)->next;
    if (*at) {
        *at = stream->next;
        feed->stream_count--;
    }
    pthread_mutex_unlock(&feed->lock);
    free(stream->text);
    free(stream);
}

/* Returns 0, or -1 when there are as many as are taken. */
static int join(struct feed *feed, struct stream *stream)
{
    size_t own = 0;
    int taken;

    pthread_mutex_lock(&feed->lock);
    for (struct stream *other = feed->streams; other; other = other->next)
        own += strcmp(other->from, stream->from) == 0;
    taken = feed->stream_count < STREAMS_MOST && own < ADDRESS_MOST;
    if (taken) {
        stream->next = feed->streams;
        feed->streams = stream;
        if (feed->stream_count++ == 0)
            pthread_cond_broadcast(&feed->change); /* it looked rarely */
        if (stream->cursor < 0)
            stream->cursor = feed->cursor < 0 ? 0 : feed->cursor;
    }
    pthread_mutex_unlock(&feed->lock);
    return taken ? 0 : -1;
}

static int64_t last_of(const struct http_request *request)
{
    const char *text = http_header(request, "Last-Event-ID");
    char room[24];

    if (!text)
        text = http_query(request, "after", room, sizeof(room));
    if (!text || !*text || strlen(text) > 18 || strspn(text, "0123456789") != strlen(text))
        return -1;
    return strtoll(text, NULL, 10);
}

void route_events(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct stream *stream;
    struct caller caller;

    if (dash_enter(dash, request, "/events", &caller, reply) != 0)
        return;
    stream = calloc(1, sizeof(*stream));
    if (!stream)
        return;
    stream->base = (struct http_stream){read_stream, free_stream};
    stream->feed = dash->feed;
    stream->kind = caller.open ? COUNTS : *caller.tenant ? TICKS : FULL;
    memcpy(stream->from, caller.from, sizeof(stream->from));
    stream->cursor = last_of(request);
    stream->ends_ms = dash_now_ms() + LIFE_MS;
    if (join(dash->feed, stream) != 0) {
        free(stream);
        http_error(reply, 503, "", "as many listen as can");
        reply->retry_after_s = 30;
        return;
    }
    say(stream, "retry: 2000\n\n");
    reply->status = 200;
    reply->type = "text/event-stream";
    reply->stream = &stream->base;
    http_set_header(reply, "X-Accel-Buffering", "no");
}
