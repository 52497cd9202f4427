/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_PROGRESS_H
#define VIDEO_PROGRESS_H

/*
 * Progress on the descriptor named by JOBQ_PROGRESS_FD: one line "DONE TOTAL UNIT" each, at most ten a
 * second. DONE and TOTAL count what was really processed: "120 180 frames" or "3.2 7.1 seconds". TOTAL is 0
 * when unknown. A reader that does not keep up loses lines, never time.
 */

#include "step.h"

/* Returns the descriptor, or -1 when the variable is not set or names nothing that is open. */
int progress_open(void);

void progress_frames(struct step *step, int64_t done, int64_t total);
void progress_seconds(struct step *step, int64_t done_ms, int64_t total_ms);

/* The last line, whatever the time since the one before: all of it is done. */
void progress_end_frames(struct step *step, int64_t done);
void progress_end_seconds(struct step *step, int64_t done_ms);

#endif
