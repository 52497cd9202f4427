/* SPDX-License-Identifier: MIT */
/* The operations that are stopped at each of their points. */
#ifndef CHAOS_POINTS_H
#define CHAOS_POINTS_H

#include <jobq/backend.h>

#include <stdbool.h>

#define LEASE_MS 30000
#define SCENE_JOBS 24
#define ENDS_GONE -1 /* in the end the job is not there */

/* What a process that was stopped had in hand; handed through a pipe. */
struct scene {
    char queue[32];
    struct jobq_id ids[SCENE_JOBS]; /* those put while preparing, then those that the operation puts */
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
    size_t ending;         /* ... and so many others behind it */
    size_t together;       /* the first so many are in one state: what happens to them happens to all or none */
    int or_else;           /* what the repeat may answer beside OK and ALREADY */
    bool opens, makes;     /* the opening of the store is what is stopped; of a new one */
};

/* The store below the handle: what one exchange does to many has no call of its own. Whoever acts in this process sets both. */
extern const struct jobq_backend *operations_backend;
extern const char *operations_uri;

extern const struct operation operations[];
extern const size_t operation_count;
const struct operation *operation_find(const char *name);

#endif
