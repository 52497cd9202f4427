/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_LOG_H
#define VIDEO_LOG_H

/* What a process does with jobs, one JSON object a line on standard error:
 *   {"at", "what", "job", "queue", "group", "attempt", "reason"}
 * Members that are not known where it happens are left out. Bytes that are no text cannot begin a line. */

#include <jobq/jobq.h>

/* Before others use the handle. Returns as jobq_hook. */
int log_jobs(struct jobq *q);

#endif
