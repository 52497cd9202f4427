/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_WATCH_H
#define VIDEO_WATCH_H

/*
 * Looks ten times a second whether a running job should be given up (cancelled, its time over, its lease
 * lost, the worker ending) while its handler waits for a child process, and makes a descriptor readable when
 * it should. One thread for all jobs of a process; it sleeps when there are none.
 */

#include <jobq/jobq.h>

struct watch;

/* One watched job, in the handler's own memory. */
struct watched {
    struct watched *next;
    const struct jobq_ctx *ctx;
    int fd;         /* readable: give up */
    uint32_t flags; /* why; valid after watch_end */
    int64_t stopping_at_ms;
};

/* `grace_ms`: how long a job may go on after the worker was asked to end. Returns NULL when there is no
 * thread or no memory left. */
struct watch *watch_create(int64_t grace_ms);
void watch_destroy(struct watch *watch);

/* Returns 0, or -1 when there is no descriptor left. watch_end follows. */
int watch_begin(struct watch *watch, struct watched *watched, const struct jobq_ctx *ctx);

/* Returns the flags (enum jobq_ctx_flags) for which the job was given up; 0: it was not. */
uint32_t watch_end(struct watch *watch, struct watched *watched);

#endif
