/* SPDX-License-Identifier: MIT */
/* For commands that go on for a while: Ctrl-C ends the rest between two looks, so that they leave in order. */
#ifndef JOBQ_CLI_INTERRUPT_H
#define JOBQ_CLI_INTERRUPT_H

#include <stdint.h>

/* From now on a first SIGINT or SIGTERM is told by interrupt_rest(); a second one ends the process. */
void interrupt_hold(void);

/* Rest for so long. Returns 1 at once when a signal has come, else 0. */
int interrupt_rest(int64_t ms);

#endif
