/* SPDX-License-Identifier: MIT */
/* For commands that go on for a while: Ctrl-C ends the rest between two looks, so that they leave in order.
 */
#ifndef JOBQ_CLI_INTERRUPT_H
#define JOBQ_CLI_INTERRUPT_H

#include <stdint.h>

/* From now on SIGINT and SIGTERM wait for interrupt_rest(). Before the store is opened: its threads inherit
 * it. */
void interrupt_hold(void);

/* Rest for so long. Returns 1 at once when a signal is there, else 0. */
int interrupt_rest(int64_t ms);

#endif
