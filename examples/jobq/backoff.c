/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "backoff.h"

enum { JITTER_DEFAULT = 10 };

static int bad_shape(struct cli *cli, const char *text)
{
    return leave_usage(
        cli, "backoff",
        "'%s' is none of exponential:BASE[:FACTOR[:CAP]], fixed:MS, linear:BASE[:CAP], list:MS,MS...", text);
}

/* "2" or "1.5" to 200 or 150. */
static int factor(struct cli *cli, const char *text, int32_t *percent)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= 1.0 && value <= 100.0)) {
        return leave_usage(cli, "backoff", "the factor '%s' is not within 1 to 100", text);
    }
    *percent = (int32_t)(value * 100 + 0.5);
    return LEAVE_OK;
}

static int list(struct cli *cli, char *values, struct backoff *out)
{
    char *rest = NULL;

    out->shape.list_count = 0;
    for (char *one = strtok_r(values, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        if (out->shape.list_count == 32) {
            return leave_usage(cli, "backoff", "the list has more than 32 entries");
        }
        if (args_duration(cli, "backoff", one, 0, MS_MAX, &out->list[out->shape.list_count++]) != LEAVE_OK) {
            return LEAVE_USAGE;
        }
    }
    out->shape.kind = JOBQ_BACKOFF_LIST;
    return out->shape.list_count ? LEAVE_OK : leave_usage(cli, "backoff", "the list is empty");
}

/* To the library a base of 0 means the default; a list of one 0 is what was meant. */
static void keep_zero(struct backoff *out)
{
    if (out->shape.base_ms == 0) {
        out->shape.kind = JOBQ_BACKOFF_LIST;
        out->shape.list_count = 1;
        out->list[0] = 0;
    }
}

static int base_and_more(struct cli *cli, const char *text, char **part, int count, struct backoff *out)
{
    int exponential = strcmp(part[0], "exponential") == 0, linear = strcmp(part[0], "linear") == 0;
    const char *cap = exponential ? part[3] : linear ? part[2] : NULL;

    if ((!exponential && !linear && strcmp(part[0], "fixed") != 0) || count < 2 ||
        count > (exponential ? 4
                 : linear    ? 3
                             : 2)) {
        return bad_shape(cli, text);
    }
    out->shape.kind = exponential ? JOBQ_BACKOFF_EXPONENTIAL
                      : linear    ? JOBQ_BACKOFF_LINEAR
                                  : JOBQ_BACKOFF_FIXED;
    if (args_duration(cli, "backoff", part[1], 0, MS_MAX, &out->shape.base_ms) != LEAVE_OK ||
        (exponential && part[2] && factor(cli, part[2], &out->shape.factor_percent) != LEAVE_OK) ||
        (cap && args_duration(cli, "backoff", cap, 1, MS_MAX, &out->shape.cap_ms) != LEAVE_OK)) {
        return LEAVE_USAGE;
    }
    if (out->shape.kind == JOBQ_BACKOFF_FIXED && !cap) {
        out->shape.cap_ms = MS_MAX; /* the one delay that was asked for, however long */
    }
    keep_zero(out);
    return LEAVE_OK;
}

int backoff_shape(struct cli *cli, const char *text, struct backoff *out)
{
    char copy[1024];
    char *part[5] = {NULL}, *rest = NULL;
    int count = 0;

    out->shape = (struct jobq_backoff){.jitter_percent = out->shape.jitter_percent};
    out->given = 1;
    if (strlen(text) >= sizeof copy) {
        return bad_shape(cli, "...");
    }
    strcpy(copy, text);
    for (char *one = strtok_r(copy, ":", &rest); one && count < 5; one = strtok_r(NULL, ":", &rest)) {
        part[count++] = one;
    }
    if (count == 2 && strcmp(part[0], "list") == 0) {
        out->shape.cap_ms = MS_MAX;
        return list(cli, part[1], out);
    }
    return count > 0 ? base_and_more(cli, text, part, count, out) : bad_shape(cli, text);
}

int backoff_jitter(struct cli *cli, const char *text, struct backoff *out)
{
    out->jitter_given = 1;
    return args_int(cli, "jitter", text, 0, 100, &out->shape.jitter_percent);
}

const struct jobq_backoff *backoff_get(struct backoff *backoff)
{
    if (!backoff->given && !backoff->jitter_given) {
        return NULL;
    }
    backoff->shape.size = sizeof backoff->shape;
    backoff->shape.list_ms = backoff->list;
    if (!backoff->jitter_given) {
        backoff->shape.jitter_percent = JITTER_DEFAULT;
    }
    return &backoff->shape;
}
