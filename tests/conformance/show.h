/* SPDX-License-Identifier: MIT */
/* A row as text, every member of it: two rows are the same if their texts are. */
#ifndef CONFORMANCE_SHOW_H
#define CONFORMANCE_SHOW_H

#include <jobq/backend.h>

#include <stdio.h>

/* How two stores are compared that differ in what they may: instants and tokens. Each member may be NULL: as it is. */
struct show_as {
    int64_t (*instant)(void *user, int64_t at_ms);
    int64_t (*token)(void *user, const struct jobq_token *token);
    void *user;
};

void show_row(FILE *out, const struct jobq_row *row);
char *show_text(const struct jobq_row *row); /* to be freed; without memory the program ends */
void show_row_as(FILE *out, const struct jobq_row *row, const struct show_as *as);
void show_bytes(FILE *out, const char *name, struct jobq_bytes b);

#endif
