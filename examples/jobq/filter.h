/* SPDX-License-Identifier: MIT */
/* The options by which several commands name many jobs. */
#ifndef JOBQ_CLI_FILTER_H
#define JOBQ_CLI_FILTER_H

#include "args.h"

/* Values of the options below, beside a command's own. */
enum filter_option {
    FILTER_QUEUE = 500, /* above every letter */
    FILTER_KIND,
    FILTER_GROUP,
    FILTER_STATE,
    FILTER_REASON,
    FILTER_OLDER,
    FILTER_LIMIT,
    FILTER_AFTER,
    FILTER_PAIR
};

#define FILTER_OPTIONS                                                                                       \
    {"queue", required_argument, NULL, FILTER_QUEUE}, {"kind", required_argument, NULL, FILTER_KIND},        \
        {"group", required_argument, NULL, FILTER_GROUP},                                                    \
        {"reason", required_argument, NULL, FILTER_REASON},                                                  \
        {"filter", required_argument, NULL, FILTER_PAIR},                                                    \
    {                                                                                                        \
        "older", required_argument, NULL, FILTER_OLDER                                                       \
    }

struct filter {
    struct jobq_filter jobs;
    struct jobq_id after;
    size_t wanted; /* of --limit, which may be more than the library gives at once */
};

void filter_init(struct filter *filter, size_t wanted);

/* Take one of those options. Returns an exit code. */
int filter_take(struct cli *cli, struct filter *filter, int option);

/* Read what the filter names, page by page, and hand each job to `each`, whose answer not 0 ends it. Returns
 * an exit code. */
int filter_read(struct cli *cli, struct filter *filter, int (*each)(const struct jobq_job *job, void *user),
                void *user);

#endif
