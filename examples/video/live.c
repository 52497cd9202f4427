/* SPDX-License-Identifier: MIT */
#include "live.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 1024 /* a slot is taken by the job's random bytes; a newer job takes an older one's */

struct entry {
    struct jobq_id id;
    double done, total;
    char unit[16];
};

struct live {
    pthread_mutex_t lock;
    struct entry entries[ENTRIES];
};

static struct entry *slot(struct live *live, const struct jobq_id *id)
{
    return &live->entries[(id->bytes[14] << 8 | id->bytes[15]) % ENTRIES];
}

struct live *live_create(void)
{
    struct live *live = calloc(1, sizeof(*live));

    if (live)
        pthread_mutex_init(&live->lock, NULL);
    return live;
}

void live_destroy(struct live *live)
{
    if (live)
        pthread_mutex_destroy(&live->lock);
    free(live);
}

void live_keep(struct live *live, const struct jobq_id *id, double done, double total, const char *unit)
{
    struct entry *entry = slot(live, id);

    pthread_mutex_lock(&live->lock);
    *entry = (struct entry){.id = *id, .done = done, .total = total};
    snprintf(entry->unit, sizeof(entry->unit), "%s", unit);
    pthread_mutex_unlock(&live->lock);
}

void live_show(struct live *live, const struct jobq_id *id, json_t *out)
{
    struct entry entry;

    pthread_mutex_lock(&live->lock);
    entry = *slot(live, id);
    pthread_mutex_unlock(&live->lock);
    if (memcmp(&entry.id, id, sizeof(*id)) != 0)
        return;
    json_object_set_new(out, "done", json_real(entry.done));
    json_object_set_new(out, "total", json_real(entry.total));
    json_object_set_new(out, "unit", json_string(entry.unit));
}
