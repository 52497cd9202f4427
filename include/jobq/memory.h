/* SPDX-License-Identifier: MIT */
/* The memory store: no dependency, gone with the process. For tests, and the executable form of backend.h. */
#ifndef JOBQ_MEMORY_H
#define JOBQ_MEMORY_H

#include <jobq/jobq.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The table of the memory store. URI "memory:" is a store of the handle's own; "memory:NAME" is shared by every handle
 * of this process that names it, until the last one closes. Option: namespace. Its clock is CLOCK_MONOTONIC, set to the
 * wall clock at the first open, plus jobq_clock_advance. Static; never freed. Threads: any. Errors: none. Since 0.1. */
JOBQ_API const struct jobq_backend *jobq_memory(void);

#ifdef __cplusplus
}
#endif
#endif
