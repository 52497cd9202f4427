/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_PULSE_H
#define VIDEO_PULSE_H

/*
 * Which submissions have changed, so that those who wait for one are asked again and the others are left
 * alone. One thread reads the store's events, and only while somebody waits. Submissions share counters, so
 * one that has not changed may look as if it had; never the other way round.
 */

#include <jobq/jobq.h>

#include "http.h"

struct pulse;

/* NULL without memory. */
struct pulse *pulse_create(struct jobq *q);

/* Begins to wake the server's waiting answers. Returns 0, or -1 when there is no thread. */
int pulse_start(struct pulse *pulse, struct http_server *server);

/* Ends the thread; call before the server is stopped. */
void pulse_stop(struct pulse *pulse);
void pulse_destroy(struct pulse *pulse);

/* How many changes, or only ends, of this submission were seen; read before the submission is. Threads: any.
 */
enum pulse_of { PULSE_CHANGES, PULSE_ENDS };
uint64_t pulse_count(struct pulse *pulse, const struct jobq_id *id, enum pulse_of of);

/* 1 while the store keeps events and they can be read: then nothing happens unseen. Threads: any. */
int pulse_sees(struct pulse *pulse);

/* Somebody waits for this submission and wants to be asked again within `ms` at the latest. Threads: any. */
void pulse_want(struct pulse *pulse, const struct jobq_id *id, int64_t ms);

/* What to wait for: until this submission has other counts than `seen`, `wait_ms` at most. Threads: any. */
struct http_topic pulse_topic(struct pulse *pulse, const struct jobq_id *id, enum pulse_of of, uint64_t seen,
                              int64_t wait_ms);

/* This tenant's submission was in the store and not over, after as many ends were counted as `ends`: whoever
 * asks about it next need not look again while nothing is counted and everything is seen. `tenant` is lent
 * for the server's life. Threads: any. */
void pulse_goes_on(struct pulse *pulse, const struct jobq_id *id, const char *tenant, uint64_t ends);
int pulse_is_known_to_go_on(struct pulse *pulse, const struct jobq_id *id, const char *tenant, uint64_t ends);

/* A change that is in no event. Threads: any. */
void pulse_touch(struct pulse *pulse, const struct jobq_id *id);

#endif
