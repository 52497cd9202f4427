/* SPDX-License-Identifier: MIT */
/* The plain store. A namespace is a list of items in memory, all of it in one arena, and a file with a line for each. A
 * call locks, reads the file if another process replaced it, works on the list, and replaces the file. Where memory runs
 * out on the way `failed` is set and the work goes on to its end: then the list is thrown away and the file stays. */
#ifndef PLAIN_STORE_H
#define PLAIN_STORE_H

#include <jobq/backend.h>

#include <stdbool.h>

struct item { /* settings of queues, rows, keys, workers, mixed; rows in order of arrival */
    struct jobq_item is;
    struct item *next;
    bool gone;
    uint32_t ended_now; /* of a queue: the states that the present unit ended rows in */
};

struct jobq_store {
    char folder[2048], path[2400]; /* path: folder/namespace.plain */
    int lock_fd;
    int64_t io_timeout_ms;
    bool inspect, changed, failed;
    struct jobq_receipt *receipt;
    struct jobq_arena *model, *answer; /* answer: of the call under way */
    struct item *first, **last;
    size_t waste;                                    /* bytes of the model that are of no use any more, about */
    int64_t generation, last_ms, offset_ms, fence;   /* the first line of the file */
    int64_t now;
};

int file_open(struct jobq_store *s, uint32_t flags, struct jobq_error *err);
int file_begin(struct jobq_store *s, struct jobq_arena *answer, struct jobq_error *err); /* lock, catch up, set now */
int file_end(struct jobq_store *s, struct jobq_error *err);                              /* save changes, unlock */
void file_forget(struct jobq_store *s);
struct item *item_new(struct jobq_store *s, int kind);                            /* NULL without memory */
struct item *item_next(const struct jobq_store *s, int kind, struct item *item); /* NULL: from the first; the end */
#define EACH(name, s, kind) \
    for (struct item *name = item_next(s, kind, NULL); name; name = item_next(s, kind, name))

#endif
