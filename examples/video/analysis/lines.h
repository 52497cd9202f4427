/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_LINES_H
#define VIDEO_LINES_H

#include <stddef.h>

#define LINE_BYTES 1024

/* Cuts a stream of bytes into lines. Start with a zeroed struct. */
struct lines {
    size_t size;
    int overlong;               /* the rest of a line that did not fit is being dropped */
    char text[LINE_BYTES];
};

/* Calls `line` for every complete line, without its end; a line of LINE_BYTES or more is cut. */
void lines_feed(struct lines *lines, const char *bytes, size_t size, void (*line)(void *arg, char *text),
                void *arg);

/* Calls `line` for a last line that has no end. */
void lines_end(struct lines *lines, void (*line)(void *arg, char *text), void *arg);

#endif
