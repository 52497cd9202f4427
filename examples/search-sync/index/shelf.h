/* SPDX-License-Identifier: MIT */
#ifndef INDEX_SHELF_H
#define INDEX_SHELF_H

/*
 * Documents in a SQLite file, found by words through FTS5. Every write has a version, also of what was
 * deleted: a deleted document leaves its version behind, so that an older write that comes late is refused.
 */

#include <jansson.h>
#include <stdint.h>

struct shelf;

enum shelf_op { SHELF_INDEX, SHELF_CREATE, SHELF_DELETE };

struct shelf_write {
    enum shelf_op op;
    const char *index, *id;
    int64_t version; /* of the sender's; 0: the next one */
    int or_equal;    /* the same version again is taken, too */
    json_t *source;  /* NULL: it could not be read, or there is none */
};

struct shelf_result {
    int status; /* of HTTP: 200, 201, 404, 409, 400, 500 */
    int64_t version;
    const char *result; /* "created", "updated", "deleted", "not_found"; NULL for an error */
    const char *type;   /* of the error */
    char reason[200];
};

/* `history` keeps a line for every write that was taken. Returns NULL and *why. */
struct shelf *shelf_open(const char *file, int history, const char **why);
void shelf_close(struct shelf *shelf);

/* Around several writes: all of them are kept, or none. 0 or -1. */
int shelf_begin(struct shelf *shelf);
int shelf_commit(struct shelf *shelf);
void shelf_rollback(struct shelf *shelf);

void shelf_write(struct shelf *shelf, const struct shelf_write *write, struct shelf_result *out);

/* 1 made, 0 it was there before, -1. `mappings` may be NULL. */
int shelf_make_index(struct shelf *shelf, const char *index, const json_t *mappings);
int shelf_has_index(struct shelf *shelf, const char *index);
int64_t shelf_count(struct shelf *shelf, const char *index);

/* In the form of an answer; NULL when it is not there. */
json_t *shelf_get(struct shelf *shelf, const char *index, const char *id);

/* {"hits": ...}; words NULL: all. NULL when it fails. */
json_t *shelf_search(struct shelf *shelf, const char *index, const char *words, int64_t from, int64_t size);

#endif
