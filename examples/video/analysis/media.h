/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_MEDIA_H
#define VIDEO_MEDIA_H

/*
 * The file under analysis and the programs that read it. ffmpeg and ffprobe are only ever told to read this
 * one file: the name is given as "file:NAME" (so a leading '-' or a "http:" in it means nothing), other
 * protocols are not allowed, and only container formats that carry their own media are: a playlist, an image
 * pattern or a text that names other files is refused before it is read.
 */

#include "step.h"

/* Opens the file and asks ffprobe about it. Returns 0, or -1 with the report's status set. */
int media_open(struct step *step);

void media_close(struct step *step);

/*
 * Runs ffmpeg over the file; `arguments` (NULL at the end) is what comes after the input, output included.
 * What it writes on standard output goes to `on_output`. Returns 0, or -1 with the report's status set.
 * `result` may be NULL.
 */
int media_ffmpeg(struct step *step, const char *const *arguments, child_bytes_fn on_output, void *arg,
                 struct child_result *result);

#endif
