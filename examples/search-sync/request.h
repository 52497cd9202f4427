/* SPDX-License-Identifier: MIT */
#ifndef SYNC_REQUEST_H
#define SYNC_REQUEST_H

/* The _bulk request for some changes, and what its answer means for each of them. */

#include "change.h"

enum verdict {
    VERDICT_NONE,     /* not sent, or not answered */
    VERDICT_DONE,     /* it is in the index */
    VERDICT_OLDER,    /* the index has a newer one: as good as done */
    VERDICT_LATER,    /* may be tried again */
    VERDICT_REJECTED, /* will not be taken as it is */
};

struct item {
    const struct change *change; /* lent */
    enum verdict verdict;
    char why[300];
};

/* To be freed; NULL without memory. */
char *request_body(const struct item *items, size_t count);

/* Fill in the verdicts from the body of an answer 200. Returns 0, or -1 for one that does not belong to the
 * request: then no verdict is given. */
int request_verdicts(struct item *items, size_t count, const char *answer, size_t size);

/* What the status of one item means. */
enum verdict request_verdict(int is_delete, int status);

#endif
