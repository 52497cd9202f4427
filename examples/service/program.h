/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_PROGRAM_H
#define SERVICE_PROGRAM_H

/* What the programs with an HTTP door share: how they complain, how they read numbers, how they wait to be
 * ended. */

#include <jobq/jobq.h>
#include <signal.h>
#include <stdint.h>

enum program_exit {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_STORE = 4, /* the store, or the server, cannot be reached */
};

/* Who speaks; each program defines it. */
extern const char program_name[];

/* "NAME: text" to stderr; returns `status`. */
int program_die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a whole number within the limits. Returns 0, or EXIT_USAGE after saying what is wrong. */
int program_number(const char *option, const char *text, int64_t least, int64_t most, int64_t *out);

/* Block INT, TERM and HUP for this thread and those it starts; afterwards program_wait returns when one
 * comes. */
void program_block_signals(sigset_t *out);

/* The signal that ended the waiting. */
int program_wait(const sigset_t *signals);

#endif
