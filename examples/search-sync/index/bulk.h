/* SPDX-License-Identifier: MIT */
#ifndef INDEX_BULK_H
#define INDEX_BULK_H

/* The body of a _bulk request: a line for each action, followed by the document where there is one. */

#include <stddef.h>

#include "shelf.h"

struct bulk_item {
    struct shelf_write write; /* its texts are lent by `action` */
    const char *verb;
    json_t *action;
};

struct bulk {
    struct bulk_item *items;
    size_t count;
};

/* Reads the whole body before anything is done. `index` is that of the path, or NULL. Returns 0, or -1 with
 * the reason. */
int bulk_read(struct bulk *bulk, const char *body, size_t size, const char *index, char why[200]);
void bulk_free(struct bulk *bulk);

/* {"VERB": {"_index", "_id", "status", ...}} */
json_t *bulk_answer(const struct bulk_item *item, const struct shelf_result *result);

#endif
