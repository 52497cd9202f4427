/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_CSV_H
#define TENANTS_CSV_H

/* Rows as RFC 4180 wants them, into a file that is there whole or not at all. */

#include <stdio.h>

struct csv {
    FILE *file;
    char path[1024], part[1100];
    long rows;
};

/* FOLDER/TENANT/NAME.csv; the tenant's folder is made. 0, or -1 with errno. */
int csv_open(struct csv *csv, const char *folder, const char *tenant, const char *name);

/* For db_each; the first row is preceded by the names. Never ends the reading; csv_close tells of trouble. */
int csv_row(void *csv, int columns, const char *const *names, const char *const *values);

/* Written whole and durable, and in its place: 0. Otherwise, or with `keep` 0, nothing is left. */
int csv_close(struct csv *csv, int keep);

/* One field, quoted where it must be. A text that a spreadsheet would calculate gets a "'" in front. */
void csv_field(FILE *out, const char *text);

#endif
