/* SPDX-License-Identifier: MIT */
/* --backoff and --jitter. */
#ifndef JOBQ_CLI_BACKOFF_H
#define JOBQ_CLI_BACKOFF_H

#include "cli.h"

struct backoff {
    struct jobq_backoff shape;
    int64_t list[32];
    int given, jitter_given;
};

/* exponential:BASE[:FACTOR[:CAP]], fixed:MS, linear:BASE[:CAP], list:MS,MS... Returns an exit code. */
int backoff_shape(struct cli *cli, const char *text, struct backoff *out);
int backoff_jitter(struct cli *cli, const char *text, struct backoff *out);

/* For jobq_spec.backoff; NULL when neither option was given. */
const struct jobq_backoff *backoff_get(struct backoff *backoff);

#endif
