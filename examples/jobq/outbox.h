/* SPDX-License-Identifier: MIT */
/* `jobq outbox`: triggers that put a job for each change of a table's rows. Each kind of store has its own
 * SQL. */
#ifndef JOBQ_OUTBOX_H
#define JOBQ_OUTBOX_H

#include "cli.h"

struct outbox {
    const char *table, *queue;
    const char *column;     /* what tells the rows apart; NULL: the only column of the primary key */
    const char *name_space; /* of the store */
    int dry_run;
    char *sql; /* answer, to be freed with free() */
};

/* Fill `sql` and, unless it is a dry run, run it in one transaction. Return an exit code, after a word when
 * it is not LEAVE_OK. */
int outbox_sqlite(struct cli *cli, struct outbox *outbox);
int outbox_postgres(struct cli *cli, struct outbox *outbox);

#endif
