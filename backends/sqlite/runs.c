/* SPDX-License-Identifier: MIT */
/* Numbers of rows that are to be changed alike, gathered as runs of numbers that follow each other: however they came,
 * each run is changed by one statement. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* The first run that does not end before n. */
static size_t place_of(const struct runs *runs, int64_t n)
{
    size_t low = 0, high = runs->count;
    if (high && runs->items[high - 1].last < n)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (runs->items[middle].last < n)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

bool sq_runs_have(const struct runs *runs, int64_t n)
{
    size_t at = place_of(runs, n);
    return at < runs->count && runs->items[at].first <= n;
}

static void take_away(struct runs *runs, size_t at)
{
    runs->count--;
    memmove(&runs->items[at], &runs->items[at + 1], (runs->count - at) * sizeof *runs->items);
}

int sq_runs_add(struct jobq_store *s, struct runs *runs, int64_t n)
{
    size_t at = place_of(runs, n);
    bool behind = at && runs->items[at - 1].last == n - 1, before = at < runs->count && runs->items[at].first == n + 1;
    if (behind) {
        runs->items[at - 1].last = before ? runs->items[at].last : n;
        if (before)
            take_away(runs, at);
        return 0;
    }
    if (before) {
        runs->items[at].first = n;
        return 0;
    }
    struct run *items = sq_grow(runs->items, runs->count, &runs->room, sizeof *items);
    if (!items)
        return sq_fault_memory(s);
    runs->items = items;
    memmove(&items[at + 1], &items[at], (runs->count++ - at) * sizeof *items);
    items[at] = (struct run){ n, n };
    return 0;
}
