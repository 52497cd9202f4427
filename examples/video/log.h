/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_LOG_H
#define VIDEO_LOG_H

/* What a process does with jobs, one JSON object a line on standard error:
 *   {"at", "what", "job", "queue", "group", "attempt", "reason"}
 * Members that are not known where it happens are left out. Bytes that are no text cannot begin a line. */

#include <jobq/jobq.h>

/* Before others use the handle. Returns as jobq_hook. */
int log_jobs(struct jobq *q);

/* Where the time of an answer of POST /analysis/start went, a line too: {"at", "what": "answered", "status",
 * "job", "read_ms", "put_ms", "together"}. `put_us` is until it was in the store, `together` how many were put in
 * that exchange; the job is left out when none was put. */
void log_start(unsigned status, const struct jobq_id *job, int64_t read_us, int64_t put_us, size_t together);

int64_t log_now_us(void); /* monotonic */

#endif
