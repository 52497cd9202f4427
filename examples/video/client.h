/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_CLIENT_H
#define VIDEO_CLIENT_H

/* What submit and watch share: submissions as the server shows them, and how they are shown to people. */

#include <jansson.h>
#include <stddef.h>

struct submission {
    char id[33];
    char *name;   /* of the file, or the id */
    json_t *seen; /* the newest answer; NULL: none yet */
    json_t *told; /* what was last said of each part, in lines; NULL: nothing */
    int ended;
};

struct client {
    const char *server;
    char *authorization; /* a header line, or NULL */
    struct submission *submissions;
    size_t count;
};

/* ---- screen.c: while they run ---------------------------------------------------------------- */

/* Where standard output is a terminal that has room for it, a grid that is drawn anew in place; else a line
 * for each change. */
struct screen {
    int is_terminal;
    size_t lines_drawn;
};
void screen_init(struct screen *screen, const struct client *client);
void screen_show(struct screen *screen, const struct client *client);

/* A line for each part of the submission of which there is something new to say. */
void screen_tell_changes(struct submission *submission);

/* ---- table.c: when they are done ------------------------------------------------------------- */

/* What was found, step by step, with the job of each step and its attempts. */
void table_print(const struct submission *submission);

/* How many bytes of UTF-8 text fill at most `columns`; *used tells how many columns it takes. */
size_t text_fit(const char *text, size_t columns, size_t *used);

#endif
