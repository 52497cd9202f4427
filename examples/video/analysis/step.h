/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_STEP_H
#define VIDEO_STEP_H

/*
 * One analysis step over one file. A step fills `report` and returns nothing: what came of it is in the
 * report's "status" (see report.h). All times in reports are whole milliseconds from the start of the file.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "child.h"

struct media {
    char *input;            /* the file as ffmpeg and ffprobe are told it: "file:" and the name */
    int64_t size_bytes;
    json_t *facts;          /* what ffprobe said */
    int64_t duration_ms;    /* 0 when unknown */
    json_t *video;          /* first video stream that is not a cover picture, borrowed from facts; or NULL */
    json_t *audio;          /* first audio stream, borrowed; or NULL */
};

struct step {
    const char *path;           /* the file, as given */
    const char *model;          /* --model, or NULL */
    int64_t time_limit_ms;      /* for each child process */
    size_t memory_limit_bytes;
    int progress_fd;            /* -1 = nobody wants to know */
    int64_t progress_at_ms;     /* when the last line was written */
    struct media media;
    json_t *report;
};

struct step_kind {
    const char *name;
    int needs_media;            /* media.h has opened the file before run() is called */
    void (*run)(struct step *step);
};

extern const struct step_kind step_probe;
extern const struct step_kind step_quality;
extern const struct step_kind step_sound;
extern const struct step_kind step_speech;
extern const struct step_kind step_emotion;

#endif
