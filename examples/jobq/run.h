/* SPDX-License-Identifier: MIT */
/* What `jobq work` does with one job. */
#ifndef JOBQ_CLI_RUN_H
#define JOBQ_CLI_RUN_H

#include <stdint.h>

#include "child.h"
#include "cli.h"

struct run {
    struct program program;
    struct nest nest;
    int64_t timeout_ms; /* of the command line; 0: none */
    int64_t grace_ms;
    size_t result_max_bytes;
};

/* A jobq_handler; user is a struct run. */
int run_job(struct jobq_ctx *ctx, void *user);

/* How often the worker was asked to stop; the second time it hurries. */
int work_signals(void);

#endif
