/* SPDX-License-Identifier: MIT */
/* The keeper of `jobq work`: a small process beside the worker that ends the programs' process groups when
 * the worker itself dies, be it by SIGKILL. It reads a pipe whose other end only the worker holds: "+PID" and
 * "-PID" lines, and then the end. */
#ifndef JOBQ_CLI_NEST_H
#define JOBQ_CLI_NEST_H

#include <sys/types.h>

struct nest {
    int fd; /* -1: there is no keeper */
    pid_t pid;
};

/* Before any thread and before the store is open. Without a keeper (no process left) children still die with
 * the worker, only what they started may survive. */
void nest_begin(struct nest *nest);

/* Both may be called between fork and exec. */
void nest_add(const struct nest *nest, pid_t group);
void nest_remove(const struct nest *nest, pid_t group);

/* Let the keeper go and reap it. */
void nest_end(struct nest *nest);

#endif
