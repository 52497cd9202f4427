/* SPDX-License-Identifier: MIT */
/* From a URI to an open store, with care for passwords. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jobq/memory.h>
#ifdef HAVE_REDIS
#include <jobq/redis.h>
#endif
#ifdef HAVE_SQLITE
#include <jobq/sqlite.h>
#endif
#ifdef HAVE_POSTGRES
#include <jobq/postgres.h>
#endif

#include "args.h"
#include "cli.h"

static const struct {
    const char *scheme;
    const struct jobq_backend *(*backend)(void); /* NULL: known, and not in this build */
} stores[] = {
#ifdef HAVE_SQLITE
    {"sqlite", jobq_sqlite},
#else
    {"sqlite", NULL},
#endif
#ifdef HAVE_POSTGRES
    {"postgres", jobq_postgres}, {"postgresql", jobq_postgres},
#else
    {"postgres", NULL}, {"postgresql", NULL},
#endif
#ifdef HAVE_REDIS
    {"redis", jobq_redis}, {"redis+unix", jobq_redis}, {"rediss", jobq_redis},
#else
    {"redis", NULL}, {"redis+unix", NULL}, {"rediss", NULL},
#endif
    {"memory", jobq_memory},
};

enum { STORE_COUNT = sizeof stores / sizeof *stores };

const char *store_built(size_t index)
{
    for (size_t i = 0; i < STORE_COUNT; i++) {
        if (stores[i].backend && index-- == 0) {
            return stores[i].scheme;
        }
    }
    return NULL;
}

/* Stars over a password in uri: behind user: before @, or behind password=. Returns whether there was one. One that should have
 * been encoded may hold anything, so it reaches to the last @. */
static int hide_password(char *uri)
{
    char *authority = strstr(uri, "://");
    char *at, *colon, *end;
    int found = 0;

    if (authority) {
        authority += 3;
        end = authority + strcspn(authority, "?");
        if (!memchr(authority, '@', (size_t)(end - authority))) {
            end = authority + strlen(authority);
        }
        for (at = end; at > authority && *at != '@'; at--) {
        }
        colon = memchr(authority, ':', (size_t)(at - authority));
        if (at > authority && colon) {
            memset(colon + 1, '*', (size_t)(at - colon - 1));
            found = at - colon > 1;
        }
    }
    for (at = uri; (at = strstr(at, "password=")) != NULL; at += strcspn(at, "& ")) {
        at += strlen("password=");
        found |= at[0] != 0;
        memset(at, '*', strcspn(at, "& "));
    }
    return found;
}

static int read_uri(struct cli *cli, const char *field, const char *path)
{
    struct jobq_bytes bytes = {0};
    char name[4096];
    size_t size;
    int code;

    snprintf(name, sizeof name, "@%s", path);
    if ((code = args_bytes(cli, field, name, 8192, &bytes)) != LEAVE_OK) {
        return code;
    }
    size = bytes.size;
    while (size > 0 && strchr(" \t\r\n", ((const char *)bytes.data)[size - 1])) {
        size--;
    }
    free(cli->uri_owned);
    cli->uri_owned = size > 0 && size <= 8192 ? strndup(bytes.data, size) : NULL;
    args_free(&bytes);
    if (!cli->uri_owned || strlen(cli->uri_owned) != size) {
        return leave_usage(cli, field, "the file '%s' does not hold one URI of at most 8192 bytes", path);
    }
    cli->uri = cli->uri_owned;
    return LEAVE_OK;
}

int store_name(struct cli *cli, char *argument)
{
    cli->uri_given = 1;
    if (argument[0] == '@') {
        return read_uri(cli, "store", argument + 1);
    }
    free(cli->uri_owned);
    cli->uri = cli->uri_owned = strdup(argument);
    if (!cli->uri) {
        return leave_error(cli, JOBQ_NOMEM, "store", "out of memory");
    }
    if (hide_password(argument)) {
        warn_text(cli, "warning: a password on the command line can be seen by others; "
                       "use -s @FILE, JOBQ_STORE_FILE or JOBQ_STORE");
    }
    return LEAVE_OK;
}

static int find_uri(struct cli *cli)
{
    const char *file;

    if (cli->uri) {
        return LEAVE_OK;
    }
    cli->uri = getenv("JOBQ_STORE");
    if (cli->uri && cli->uri[0]) {
        return LEAVE_OK;
    }
    file = getenv("JOBQ_STORE_FILE");
    if (file && file[0]) {
        return read_uri(cli, "JOBQ_STORE_FILE", file);
    }
    cli->uri = NULL;
    return leave_usage(cli, "store", "none named; give -s sqlite:FILE or set JOBQ_STORE");
}

int store_locate(struct cli *cli)
{
    int code = find_uri(cli);

    if (code == LEAVE_OK && !cli->uri_shown) {
        cli->uri_shown = strdup(cli->uri);
        if (!cli->uri_shown) {
            return leave_error(cli, JOBQ_NOMEM, "store", "out of memory");
        }
        hide_password(cli->uri_shown);
    }
    return code;
}

static int find_backend(struct cli *cli, const struct jobq_backend **out)
{
    size_t n = strcspn(cli->uri, ":");

    *out = NULL;
    for (size_t i = 0; i < STORE_COUNT; i++) {
        if (cli->uri[n] == ':' && strlen(stores[i].scheme) == n &&
            memcmp(stores[i].scheme, cli->uri, n) == 0) {
            *out = stores[i].backend ? stores[i].backend() : NULL;
            return *out ? LEAVE_OK
                        : leave_error(cli, JOBQ_UNREACHABLE, "store",
                                      "the %s store is not in this build of jobq", stores[i].scheme);
        }
    }
    /* None of it is repeated: nobody knows where a password would stand. */
    return leave_usage(cli, "store", "that is no kind of store; a URI such as sqlite:FILE is needed");
}

int store_try(struct cli *cli, uint32_t flags, int *status)
{
    const struct jobq_backend *backend;
    int code;

    if ((code = store_locate(cli)) != LEAVE_OK || (code = find_backend(cli, &backend)) != LEAVE_OK) {
        return code;
    }
    cli->options.flags = flags;
    *status = jobq_open(&cli->q, backend, cli->uri, &cli->options);
    return LEAVE_OK;
}

int store_open_as(struct cli *cli, enum store_need need)
{
    int status = JOBQ_OK;
    int code = store_try(cli, need == STORE_EXISTING ? JOBQ_OPEN_NO_CREATE : 0, &status);

    return code == LEAVE_OK ? leave_status(cli, status, NULL) : code;
}

int store_open(struct cli *cli)
{
    return store_open_as(cli, cli->command->need);
}

void store_close(struct cli *cli)
{
    jobq_close(cli->q);
    free(cli->uri_owned);
    free(cli->uri_shown);
    cli->q = NULL;
    cli->uri = NULL;
    cli->uri_owned = cli->uri_shown = NULL;
}

static int hex_value(char digit)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = digit ? strchr(digits, digit) : NULL;

    return at ? (int)(at - digits) % 16 : -1;
}

char *store_file(const char *uri)
{
    const char *in;
    char *file, *out;

    if (strncmp(uri, "sqlite:", 7) != 0) {
        return NULL;
    }
    file = out = strdup(uri + 7);
    for (in = file; in && *in && *in != '?'; in++) {
        if (*in == '%' && hex_value(in[1]) >= 0 && hex_value(in[2]) >= 0) {
            *out++ = (char)(hex_value(in[1]) * 16 + hex_value(in[2]));
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    if (out) {
        *out = 0;
    }
    return file;
}
