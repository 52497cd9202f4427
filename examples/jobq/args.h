/* SPDX-License-Identifier: MIT */
/* Arguments: options on top of getopt_long, numbers within bounds, durations, bytes from -, @FILE or argv. */
#ifndef JOBQ_ARGS_H
#define JOBQ_ARGS_H

#include <getopt.h>

#include "cli.h"

/* Options that every command has use values from here on; a command's own long options stay below. */
enum { ARGS_END = -1, ARGS_STOP = -2, ARGS_GLOBAL = 1000 };

struct args {
    struct cli *cli;
    int argc;
    char **argv;
    const char *shorts;
    struct option longs[40];
};

/* Begin with argv[0] the command's name. `own` ends with an empty entry; at most 32. */
void args_begin(struct args *args, struct cli *cli, int argc, char **argv, const char *shorts,
                const struct option *own);

/* The next option of the command's own; ARGS_END when the operands begin (optind); ARGS_STOP after a
 * complaint or after --help: then leave with args_leave(). Options that all commands have are dealt with
 * inside. */
int args_next(struct args *args);

/* The exit code after ARGS_STOP. */
int args_leave(const struct args *args);

/* Check that between min and max operands are left (max -1: any number). Returns an exit code. */
int args_operands(const struct args *args, int min, int max);

/* All of these return LEAVE_OK or LEAVE_USAGE with a complaint that names the field and its limits. */
int args_number(struct cli *cli, const char *field, const char *text, int64_t min, int64_t max, int64_t *out);
int args_int(struct cli *cli, const char *field, const char *text, int min, int max, int32_t *out);
int args_size(struct cli *cli, const char *field, const char *text, size_t min, size_t max, size_t *out);

/* 1500, 1500ms, 2s, 5m, 1h, 7d; plain numbers are milliseconds. */
int args_duration(struct cli *cli, const char *field, const char *text, int64_t min, int64_t max,
                  int64_t *out);

/* N/PERIOD, such as 100/s or 10/5m: at least `min` in a period. */
int args_rate(struct cli *cli, const char *field, const char *text, int64_t min, int64_t *count, int64_t *period_ms);

/* Milliseconds since 1970, or RFC 3339: 2024-05-01T12:00:00.250+03:00. */
int args_instant(struct cli *cli, const char *field, const char *text, int64_t *out);

int args_id(struct cli *cli, const char *text, struct jobq_id *out);
int args_token(struct cli *cli, const char *text, struct jobq_token *out);

/* States by name, separated by commas, added to the mask of 1 << enum jobq_state. */
int args_states(struct cli *cli, const char *text, uint32_t *mask);
int args_reason(struct cli *cli, const char *text, int32_t *out);

/* Bytes: "-" is stdin, "@FILE" a file, anything else itself. At most `limit` + 1 bytes are read, so that the
 * library can say that they are too many. out->data is never NULL afterwards and is freed with args_free. */
int args_bytes(struct cli *cli, const char *field, const char *text, size_t limit, struct jobq_bytes *out);
void args_free(struct jobq_bytes *bytes);

#endif
