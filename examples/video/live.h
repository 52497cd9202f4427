/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_LIVE_H
#define VIDEO_LIVE_H

/*
 * How far the services are with the steps they were given: what they last told this server, and nothing that
 * anything depends on. A parked job has no lease, so it is not kept in the store. The newest few are
 * remembered.
 */

#include <jansson.h>
#include <jobq/jobq.h>

struct live;

struct live *live_create(void); /* NULL without memory */
void live_destroy(struct live *live);

/* Threads: any. */
void live_keep(struct live *live, const struct jobq_id *id, double done, double total, const char *unit);

/* Puts done, total and unit into `out` if they are known. Threads: any. */
void live_show(struct live *live, const struct jobq_id *id, json_t *out);

#endif
