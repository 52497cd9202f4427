/* SPDX-License-Identifier: MIT */
/* Writes one JSON value to stdout. Names are NULL inside arrays. */
#ifndef JOBQ_JSON_H
#define JOBQ_JSON_H

#include <stdio.h>

#include "cli.h"

struct json {
    FILE *out;
    int depth;
    int wrote[16];   /* per depth: something stands before the next value */
    char closer[16]; /* per depth: what ends it */
};

/* A writer on stdout; from now on an error no longer prints an object of its own there. */
struct json json_begin(struct cli *cli);

void json_object(struct json *json, const char *name);
void json_array(struct json *json, const char *name);
void json_end(struct json *json); /* of the innermost object or array; a newline behind the outermost */

void json_null(struct json *json, const char *name);
void json_bool(struct json *json, const char *name, int value);
void json_int(struct json *json, const char *name, int64_t value);
void json_uint(struct json *json, const char *name, uint64_t value);
void json_ratio(struct json *json, const char *name, double value); /* with four decimals */
void json_text(struct json *json, const char *name, const char *text); /* invalid UTF-8 becomes U+FFFD */
void json_name(struct json *json, const char *name,
               const char *text); /* as json_text, "" and NULL are null */
void json_instant(struct json *json, const char *name, int64_t at_ms); /* 0 is null */
void json_id(struct json *json, const char *name, const struct jobq_id *id);

/* A string when the bytes are UTF-8 without NUL; otherwise null and NAME_base64. Absent is null. */
void json_bytes(struct json *json, const char *name, const struct jobq_bytes *bytes);

#endif
