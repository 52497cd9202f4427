/* SPDX-License-Identifier: MIT */
/* Lists of a call that grow while they are read. */
#include "store.h"

#include <stdlib.h>

void *sq_grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    size_t wanted = *room ? 2 * *room : 64;
    void *grown = realloc(items, wanted * size);
    if (grown)
        *room = wanted;
    return grown;
}
