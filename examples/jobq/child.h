/* SPDX-License-Identifier: MIT */
/* One run of the program of `jobq work`: a child in a process group of its own, its three streams, its end.
 */
#ifndef JOBQ_CLI_CHILD_H
#define JOBQ_CLI_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "nest.h"

enum { STDERR_KEPT = 4096 };

/* What to run. Everything is made before a thread forks, because after the fork almost nothing may be called.
 */
struct program {
    char *path;      /* found on PATH */
    char **argv;     /* lent */
    char **by_shell; /* the same through /bin/sh, for a script without its first line */
};

/* Find argv[0] on PATH. 0, or -1 with errno. */
int program_find(struct program *program, char **argv);
void program_free(struct program *program);

struct child {
    pid_t pid;
    int in, out, err; /* our ends, not blocking; -1 when closed */
    int pidfd;        /* readable when it has ended; -1 where the kernel has none */
    int ended;
    int status; /* of waitpid, when ended */
    const struct nest *nest;
};

/* Start. environment ends with NULL and is lent. 0, or the errno of what did not work; then nothing is left.
 */
int child_start(struct child *child, const struct program *program, char **environment,
                const struct nest *nest);

/* Wait up to timeout_ms for its streams or its end. */
void child_poll(struct child *child, int more_input, int timeout_ms);

/* A signal to its whole group. */
void child_signal(const struct child *child, int signal);

/* Has it ended? Notices without reaping, so that its id is still its own. */
int child_ended(struct child *child);

/* Reap it, end what it left behind in its group, close the streams. */
void child_finish(struct child *child);

#endif
