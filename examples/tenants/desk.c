/* SPDX-License-Identifier: MIT */
#include "desk.h"

#include <stdio.h>

int desks_init(struct desks *desks)
{
    desks->count = 0;
    return pthread_mutex_init(&desks->lock, NULL) == 0 ? 0 : -1;
}

static void leave(struct desk *desk)
{
    jobq_close(desk->mine);
    db_close(desk->db);
}

void desks_finish(struct desks *desks)
{
    while (desks->count > 0)
        leave(&desks->free[--desks->count]);
    pthread_mutex_destroy(&desks->lock);
}

static int furnish(const struct desks *desks, struct desk *out, char why[300])
{
    *out = (struct desk){.db = db_open(desks->database, why)};
    if (!out->db)
        return -1;
    if (!desks->store || (out->mine = db_attach(out->db, desks->store, desks->options, why)) != NULL)
        return 0;
    db_close(out->db);
    return -1;
}

int desk_take(struct desks *desks, struct desk *out, char why[300])
{
    int found;

    if (!desks->database) {
        snprintf(why, 300, "there is no database for this: --database");
        return -1;
    }
    pthread_mutex_lock(&desks->lock);
    found = desks->count > 0;
    if (found)
        *out = desks->free[--desks->count];
    pthread_mutex_unlock(&desks->lock);
    return found ? 0 : furnish(desks, out, why);
}

void desk_give_back(struct desks *desks, struct desk *desk, int failed)
{
    int kept;

    pthread_mutex_lock(&desks->lock);
    kept = !failed && desks->count < DESKS_MOST;
    if (kept)
        desks->free[desks->count++] = *desk;
    pthread_mutex_unlock(&desks->lock);
    if (!kept)
        leave(desk);
}
