/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "help.h"
#include "instant.h"

enum { GLOBAL_JSON = ARGS_GLOBAL, GLOBAL_HELP, GLOBAL_STORE, GLOBAL_IO_TIMEOUT };

static const struct option globals[] = {
    {"store", required_argument, NULL, GLOBAL_STORE},
    {"json", no_argument, NULL, GLOBAL_JSON},
    {"help", no_argument, NULL, GLOBAL_HELP},
    {"io-timeout", required_argument, NULL, GLOBAL_IO_TIMEOUT},
    {NULL, 0, NULL, 0},
};

static size_t option_count(const struct option *options)
{
    size_t n = 0;
    while (options[n].name) {
        n++;
    }
    return n;
}

void args_begin(struct args *args, struct cli *cli, int argc, char **argv, const char *shorts,
                const struct option *own)
{
    size_t n = own ? option_count(own) : 0;

    *args = (struct args){.cli = cli, .argc = argc, .argv = argv, .shorts = shorts};
    if (n > 0) {
        memcpy(args->longs, own, n * sizeof *own);
    }
    memcpy(args->longs + n, globals, sizeof globals);
    optind = 0; /* getopt begins anew */
    opterr = 0;
}

static int global_option(struct args *args, int option)
{
    struct cli *cli = args->cli;

    switch (option) {
    case GLOBAL_JSON:
        cli->json = 1;
        return LEAVE_OK;
    case 's':
    case GLOBAL_STORE:
        return store_name(cli, optarg);
    case GLOBAL_IO_TIMEOUT:
        return args_duration(cli, "io-timeout", optarg, 100, 600000, &cli->options.io_timeout_ms);
    case 'h':
    case GLOBAL_HELP:
        cli->helped = 1;
        help_command(cli, cli->command);
        return LEAVE_USAGE;
    default:
        return LEAVE_USAGE;
    }
}

static void complain(struct args *args, int option)
{
    /* After an unknown long option optopt is 0 and the word itself stands before optind. */
    const char *word = optind > 0 && optind <= args->argc ? args->argv[optind - 1] : "?";
    char letter[3] = {'-', (char)optopt, 0};

    if (optopt > 0 && optopt < 256) {
        word = letter;
    }
    leave_usage(args->cli, word, option == ':' ? "needs a value" : "no such option, or it takes no value");
}

int args_next(struct args *args)
{
    for (;;) {
        int option = getopt_long(args->argc, args->argv, args->shorts, args->longs, NULL);

        if (option == -1) {
            return ARGS_END;
        }
        if (option == '?' || option == ':') {
            complain(args, option);
            return ARGS_STOP;
        }
        if (option < ARGS_GLOBAL && option != 's' && option != 'h') {
            return option;
        }
        if (global_option(args, option) != LEAVE_OK) {
            return ARGS_STOP;
        }
    }
}

int args_leave(const struct args *args)
{
    return args->cli->helped ? LEAVE_OK : LEAVE_USAGE;
}

int args_operands(const struct args *args, int min, int max)
{
    int left = args->argc - optind;

    if (left < min) {
        return leave_usage(args->cli, "arguments", "missing; usage: jobq %s %s", args->cli->command->name,
                           args->cli->command->operands);
    }
    if (max >= 0 && left > max) {
        return leave_usage(args->cli, "arguments", "'%s' is one too many; usage: jobq %s %s",
                           args->argv[optind + max], args->cli->command->name, args->cli->command->operands);
    }
    return LEAVE_OK;
}

static int out_of_range(struct cli *cli, const char *field, const char *text, int64_t min, int64_t max)
{
    return leave_usage(cli, field, "'%s' is not within %lld to %lld", text, (long long)min, (long long)max);
}

int args_number(struct cli *cli, const char *field, const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (end == text || *end || strchr(" \t\n\v\f\r", *text)) {
        return leave_usage(cli, field, "'%s' is not a number", text);
    }
    if (errno == ERANGE || value < min || value > max) {
        return out_of_range(cli, field, text, min, max);
    }
    *out = value;
    return LEAVE_OK;
}

int args_int(struct cli *cli, const char *field, const char *text, int min, int max, int32_t *out)
{
    int64_t value = 0;
    int code = args_number(cli, field, text, min, max, &value);

    if (code == LEAVE_OK) {
        *out = (int32_t)value;
    }
    return code;
}

int args_size(struct cli *cli, const char *field, const char *text, size_t min, size_t max, size_t *out)
{
    int64_t value = 0;
    int code = args_number(cli, field, text, (int64_t)min, (int64_t)max, &value);

    if (code == LEAVE_OK) {
        *out = (size_t)value;
    }
    return code;
}

static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

int args_duration(struct cli *cli, const char *field, const char *text, int64_t min, int64_t max,
                  int64_t *out)
{
    char *end;
    long long value;
    int64_t unit;

    errno = 0;
    value = strtoll(text, &end, 10);
    unit = end == text || strchr(" \t\n\v\f\r", *text) ? 0 : unit_ms(end);
    if (unit == 0) {
        return leave_usage(cli, field, "'%s' is not a duration such as 1500, 1500ms, 2s, 5m, 1h or 7d", text);
    }
    if (errno == ERANGE || value > INT64_MAX / unit || value < INT64_MIN / unit || value * unit < min ||
        value * unit > max) {
        return leave_usage(cli, field, "'%s' is not within %lld to %lld ms", text, (long long)min,
                           (long long)max);
    }
    *out = value * unit;
    return LEAVE_OK;
}

int args_rate(struct cli *cli, const char *field, const char *text, int64_t min, int64_t *count, int64_t *period_ms)
{
    const char *slash = strchr(text, '/');
    char number[32], period[32];
    int code;

    if (!slash || (size_t)(slash - text) >= sizeof number || strlen(slash + 1) > sizeof period - 2) {
        return leave_usage(cli, field, "'%s' is not like 100/s or 10/5m", text);
    }
    snprintf(number, sizeof number, "%.*s", (int)(slash - text), text);
    snprintf(period, sizeof period, "%s%s", isalpha((unsigned char)slash[1]) ? "1" : "", slash + 1);
    code = args_number(cli, field, number, min, MS_MAX, count);
    return code == LEAVE_OK ? args_duration(cli, field, period, 1, MS_MAX, period_ms) : code;
}

int args_instant(struct cli *cli, const char *field, const char *text, int64_t *out)
{
    if (instant_parse(text, out) == 0 && *out > 0 && *out <= MS_MAX) {
        return LEAVE_OK;
    }
    if (text[strspn(text, "+-0123456789")] == 0 && text[0]) {
        return args_number(cli, field, text, 1, MS_MAX, out);
    }
    return leave_usage(cli, field, "'%s' is neither milliseconds since 1970 nor like 2030-05-01T12:00:00Z",
                       text);
}

int args_id(struct cli *cli, const char *text, struct jobq_id *out)
{
    if (jobq_id_parse(text, out) != JOBQ_OK) {
        return leave_usage(cli, "id", "'%s' is not 32 hexadecimal digits", text);
    }
    return LEAVE_OK;
}

int args_token(struct cli *cli, const char *text, struct jobq_token *out)
{
    if (jobq_token_parse(text, out) != JOBQ_OK) {
        return leave_usage(cli, "token", "'%s' is not 32 hexadecimal digits", text);
    }
    return LEAVE_OK;
}

int args_states(struct cli *cli, const char *text, uint32_t *mask)
{
    const char *at = text;

    for (;;) {
        char name[16];
        size_t n = strcspn(at, ",");
        int state = 0;

        if (n < sizeof name) {
            memcpy(name, at, n);
            name[n] = 0;
            state = jobq_state_parse(name);
        }
        if (state == 0) {
            return leave_usage(
                cli, "state",
                "'%.*s' is none of blocked, scheduled, ready, running, completed, dead, cancelled",
                (int)(n < 100 ? n : 100), at);
        }
        *mask |= 1u << state;
        if (!at[n]) {
            return LEAVE_OK;
        }
        at += n + 1;
    }
}

int args_reason(struct cli *cli, const char *text, int32_t *out)
{
    for (int reason = 1; reason < 64; reason++) {
        const char *name = jobq_reason_name(reason);
        if (name[0] && strcmp(name, text) == 0) {
            *out = reason;
            return LEAVE_OK;
        }
    }
    return leave_usage(cli, "reason", "'%s' is no reason such as ATTEMPTS, PERMANENT, POISON or EXPIRED",
                       text);
}
