/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_CHILD_START_H
#define SERVICE_CHILD_START_H

/* The half of the process runner that brings a child to life; child.c keeps it company until it ends. */

#include <sys/types.h>

#include "child.h"

/* Our ends of the pipes; -1 where there is none. */
struct child_pipes {
    int input;
    int output;
    int error;
    int progress;
};

/*
 * Starts the child. On success returns 0; `pid` is its process id and the id of its process group, and the
 * pipes are the caller's to close. On failure returns an errno value, nothing is left and no descriptor is
 * open.
 */
int child_start(const struct child_spec *spec, pid_t *pid, struct child_pipes *pipes);

#endif
