/* SPDX-License-Identifier: MIT */
/* The operations that are stopped at each of their points. */
#ifndef CHAOS_POINTS_H
#define CHAOS_POINTS_H

#include <jobq/jobq.h>

#include <stdbool.h>

#define LEASE_MS 30000
#define ENDS_GONE -1 /* in the end the job is not there */

/* What a process that was stopped had in hand; handed through a pipe. */
struct scene {
    char queue[32];
    struct jobq_id ids[8]; /* those put while preparing, then those that the operation puts */
    struct jobq_token token; /* of ids[0], if it was claimed */
    int status;              /* what the operation answered */
};

struct operation {
    const char *name;
    int (*prepare)(struct jobq *q, struct scene *s);
    int (*act)(struct jobq *q, struct scene *s); /* what is stopped; said again by the one who looks */
    void (*after)(struct jobq *q, const struct scene *s); /* what is to be put away */
    size_t prepared, puts; /* jobs put by the one and by the other */
    size_t fires;          /* jobs of a schedule */
    int ends;              /* how ids[0] ends; 0: completed */
    int or_else;           /* what the repeat may answer beside OK and ALREADY */
    bool opens, makes;     /* the opening of the store is what is stopped; of a new one */
};

extern const struct operation operations[];
extern const size_t operation_count;
const struct operation *operation_find(const char *name);

#endif
