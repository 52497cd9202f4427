/* SPDX-License-Identifier: MIT */
/* A store's address taken apart. Nothing of it is repeated in an error: it may hold a password. */
#include "internal.h"

#include <string.h>

#define NAME_SPACE_MAX 48

static int bad_uri(struct jobq_error *err, const char *what)
{
    return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: %s", what);
}

static int no_memory(struct jobq_error *err)
{
    return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
}

/* Copy [from, end) with every %XX decoded. A coded NUL would end the text early, so it is refused. */
static int decode(struct jobq_arena *arena, const char *from, const char *end, const char **out,
                  struct jobq_error *err)
{
    char *to = jobq_arena_alloc(arena, (size_t)(end - from) + 1);
    if (!to)
        return no_memory(err);
    *out = to;
    while (from < end) {
        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        int high = end - from > 2 ? hex_digit(from[1]) : -1;
        int low = high >= 0 ? hex_digit(from[2]) : -1;
        if (low < 0)
            return bad_uri(err, "'%' must be followed by two hexadecimal digits");
        if (high == 0 && low == 0)
            return bad_uri(err, "%00 is not allowed");
        *to++ = (char)(high << 4 | low);
        from += 3;
    }
    *to = 0;
    return JOBQ_OK;
}

static int parse_scheme(struct jobq_arena *arena, const char *uri, const char **rest, struct jobq_uri *out,
                        struct jobq_error *err)
{
    size_t length = strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    if (length == 0 || uri[length] != ':')
        return bad_uri(err, "must begin with the store's scheme and ':', as in \"sqlite:FILE\"");
    out->scheme = jobq_arena_text(arena, uri, length);
    *rest = uri + length + 1;
    return out->scheme ? JOBQ_OK : no_memory(err);
}

static int check_name_space(const char *name, struct jobq_error *err)
{
    size_t length = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (length == 0 || length > NAME_SPACE_MAX || good != length)
        return jobq_error_set(err, JOBQ_INVALID, "namespace", "namespace: 1 to %d letters, digits or '_'",
                              NAME_SPACE_MAX);
    return JOBQ_OK;
}

/* One NAME=VALUE of [from, end). */
static int parse_option(struct jobq_arena *arena, const char *from, const char *end, struct jobq_uri_option *out,
                        struct jobq_error *err)
{
    const char *equals = memchr(from, '=', (size_t)(end - from));
    if (!equals || equals == from)
        return bad_uri(err, "options are NAME=VALUE, separated by '&'");
    int status = decode(arena, from, equals, &out->name, err);
    return status ? status : decode(arena, equals + 1, end, &out->value, err);
}

static int parse_options(struct jobq_arena *arena, const char *from, struct jobq_uri *out, struct jobq_error *err)
{
    size_t most = 1;
    for (const char *p = from; *p; p++)
        most += *p == '&';
    struct jobq_uri_option *options = jobq_arena_alloc(arena, most * sizeof *options);
    if (!options)
        return no_memory(err);
    out->options = options;
    for (const char *end = from; *end; from = end + 1) {
        struct jobq_uri_option option;
        end = from + strcspn(from, "&");
        int status = parse_option(arena, from, end, &option, err);
        if (status)
            return status;
        if (strcmp(option.name, "namespace") != 0) {
            options[out->option_count++] = option;
            continue;
        }
        if (out->name_space)
            return jobq_error_set(err, JOBQ_INVALID, "namespace", "namespace: given twice");
        out->name_space = option.value;
        status = check_name_space(option.value, err);
        if (status)
            return status;
    }
    return JOBQ_OK;
}

int jobq_uri_parse(struct jobq_arena *arena, const char *uri, struct jobq_uri *out, struct jobq_error *err)
{
    *out = (struct jobq_uri){ 0 };
    if (!uri)
        return bad_uri(err, "missing");
    const char *rest = NULL;
    int status = parse_scheme(arena, uri, &rest, out, err);
    if (status)
        return status;
    const char *mark = rest + strcspn(rest, "?");
    status = decode(arena, rest, mark, &out->path, err);
    if (!status && mark[0] && mark[1])
        status = parse_options(arena, mark + 1, out, err);
    if (!out->name_space)
        out->name_space = "jobq";
    return status;
}
