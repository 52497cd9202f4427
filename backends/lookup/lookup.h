/* SPDX-License-Identifier: MIT */
/* Addresses of a host, within a time. The system's own look-up cannot be told how long it may take, so it is
 * done by a thread that is left behind when the time is over. For the stores that connect to servers; each is
 * built with it. */
#ifndef JOBQ_LOOKUP_H
#define JOBQ_LOOKUP_H

#include <stdint.h>

#define LOOKUP_MOST 8
#define LOOKUP_ROOM 64 /* an address as text, with the number of its interface */

struct lookup {
    char addresses[LOOKUP_MOST][LOOKUP_ROOM]; /* in the system's order */
    int count;
    const char *why; /* when there is none; constant */
};

/* Text that is an address already is answered at once. Returns 0, or -1 with why. */
__attribute__((visibility("hidden"))) int jobq_lookup(const char *host, int64_t ms, struct lookup *out);

#endif
