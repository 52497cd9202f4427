/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_STEPS_H
#define VIDEO_STEPS_H

/*
 * Steps added by configuration: a row of parts[] without a recompilation.
 *
 *     --step NAME[,version=N][,timeout=MS][,program=FILE]
 *
 * The queue is video.NAME. With a program, a worker runs "FILE" for each job, the job's payload on its
 * standard input and the media folder in the environment's MEDIA; it writes one JSON object {"status": "ok",
 * ...} to standard output, and progress, if it likes, as lines "DONE TOTAL UNIT" to the descriptor
 * JOBQ_PROGRESS_FD. Without one somebody else does the step, as `jobq work video.NAME -- FILE`, or a service.
 */

#include <jansson.h>

#include "parts.h"

#define STEP_WHY_BYTES 256

/* Add one, before threads are started. Returns 0, or -1 with what is wrong in `why` and nothing added. */
int steps_add(const char *text, char why[STEP_WHY_BYTES]);

/* The steps among the members of an object, as a report's "steps" or an answer's "progress": those known
 * here in their order, then all that are no part known here. `name` NULL: the first one; NULL: there is none
 * after it. Lent by the object or the table. */
const char *steps_next(const json_t *object, const char *name);

#endif
