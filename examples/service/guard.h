/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_GUARD_H
#define SERVICE_GUARD_H

/*
 * Who guesses has to wait: an address whose tries fail too often in a row, longer with each one more. In
 * memory; time is handed in, nothing here looks at a clock.
 */

#include <stdint.h>

#define GUARD_WAIT_MS     INT64_C(1000)
#define GUARD_WAIT_MAX_MS (INT64_C(15) * 60 * 1000)

struct guard;

/* `free` failures in a row cost nothing. NULL without memory. */
struct guard *guard_create(int free);
void guard_destroy(struct guard *guard);

/* How long this address has to wait before it may try again; 0: not at all. Threads: any, as both below. */
int64_t guard_wait(struct guard *guard, const char *address, int64_t now_ms);

/* What came of a try. */
void guard_failed(struct guard *guard, const char *address, int64_t now_ms);
void guard_done(struct guard *guard, const char *address);

#endif
