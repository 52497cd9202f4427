/* SPDX-License-Identifier: MIT */
/* Rows for people (aligned, on a terminal) or for cut and awk (separated by tabs, without a heading, when
 * piped). Whatever could break a line or drive a terminal is written as an escape: \t, \n, \\ or \xHH. */
#ifndef JOBQ_TABLE_H
#define JOBQ_TABLE_H

#include <stdio.h>

#include "cli.h"

struct table {
    const char *const *heads;
    size_t columns;
    int aligned; /* wait for all rows and align them */
    int coloured;
    char **cells; /* of the rows so far when aligned, else of the present one */
    size_t count, room;
    int failed; /* out of memory */
};

/* `heads` is lent and ends with NULL. */
void table_begin(struct table *table, struct cli *cli, const char *const *heads);

void table_text(struct table *table, const char *text); /* NULL is empty */
void table_bytes(struct table *table, const struct jobq_bytes *bytes);
void table_int(struct table *table, int64_t value);
void table_instant(struct table *table, int64_t at_ms); /* 0 is empty */
void table_id(struct table *table, const struct jobq_id *id);

/* Print and free. */
void table_end(struct table *table);

/* Write bytes with those escapes. */
void table_escape(FILE *out, const void *data, size_t size);

/* Write text for people: what would drive a terminal is escaped, a backslash stays what it is. */
void table_plain(FILE *out, const char *text);

#endif
