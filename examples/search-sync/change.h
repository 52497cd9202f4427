/* SPDX-License-Identifier: MIT */
#ifndef SYNC_CHANGE_H
#define SYNC_CHANGE_H

/* What a change of a row means for the index. */

#include <jobq/jobq.h>
#include <stddef.h>
#include <stdint.h>

struct change {
    char *index, *id;
    int64_t version;
    char *source; /* the document as one line of JSON; NULL: it has to go */
};

#define CHANGE_WHY 200

/* Takes the payload of an outbox's job. A row that may not be found by anybody, such as a listing that is not
 * active, has to go like one that was deleted. Returns 0, or -1 with the reason in `why` and nothing to free.
 */
int change_read(struct jobq_bytes payload, struct change *out, char why[CHANGE_WHY]);

void change_free(struct change *change);

/* Several changes of one record are one: newest[i] is the place of the newest change of the record of change
 * i, itself where there is no newer one. */
void change_fold(const struct change *const *changes, size_t count, size_t *newest);

/* The names of the tables that are followed, NULL at the end; mappings is JSON for their index. */
struct change_table {
    const char *name, *mappings;
};
extern const struct change_table change_tables[];

#endif
