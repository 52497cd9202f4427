/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_HANDLES_H
#define VIDEO_HANDLES_H

/* A handle on the store for each thread that answers: calls on one handle may wait for each other, and an
 * answer must not wait for another's. And one for those who put. */

#include <jobq/jobq.h>
#include <stdatomic.h>

#include "http.h"

struct handles {
    struct jobq *q[HTTP_THREADS], *put;
    atomic_uint next;
};

/* As store_open, which may have overwritten the password in its argument: this one is left as it is. */
int handles_open(struct handles *handles, const char *store, int64_t io_timeout_ms, const char **why);
void handles_close(struct handles *handles);

/* The handle of the calling thread. */
struct jobq *handles_mine(struct handles *handles);

#endif
