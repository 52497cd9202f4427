/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#ifdef SERVICE_SQLITE
#include <jobq/sqlite.h>
#endif
#ifdef SERVICE_REDIS
#include <jobq/redis.h>
#endif
#ifdef SERVICE_POSTGRES
#include <jobq/postgres.h>
#endif

#include "text.h"

#define URI_MAX_BYTES 4096

static const struct jobq_backend *backend_of(const char *uri)
{
#ifdef SERVICE_SQLITE
    if (strncmp(uri, "sqlite:", 7) == 0)
        return jobq_sqlite();
#endif
#ifdef SERVICE_REDIS
    if (strncmp(uri, "redis", 5) == 0)
        return jobq_redis();
#endif
#ifdef SERVICE_POSTGRES
    if (strncmp(uri, "postgres", 8) == 0)
        return jobq_postgres();
#endif
    (void)uri;
    return NULL;
}

/* Stars over the password in an argument: everybody can read the list of processes. */
static void hide_password(char *uri)
{
    char *user = strstr(uri, "://"), *end = user ? user + 3 + strcspn(user + 3, "/?") : NULL, *at = NULL;
    for (char *c = user; c && c < end; c++)
        if (*c == '@')
            at = c;
    char *colon = at ? memchr(user + 3, ':', (size_t)(at - user - 3)) : NULL;
    if (colon)
        memset(colon + 1, '*', (size_t)(at - colon - 1));
    for (char *c = uri; (c = strstr(c, "password=")) != NULL;) {
        c += strlen("password=");
        memset(c, '*', strcspn(c, "&"));
    }
}

int store_open_with(struct jobq **out, char *argument, const struct jobq_options *options, const char **why)
{
    const struct jobq_backend *backend;
    char *uri = *argument == '@' ? text_of_file(argument + 1, URI_MAX_BYTES) : strdup(argument);
    int status = JOBQ_INVALID;

    *out = NULL;
    *why = NULL;
    if (!uri) {
        *why = "the file with the store's address cannot be read";
        return JOBQ_UNREACHABLE;
    }
    if (*argument != '@')
        hide_password(argument);
    backend = backend_of(uri);
    if (!backend)
        *why = "a store's address begins with the name of a store this program was built with"
#ifdef SERVICE_SQLITE
               ", sqlite:FILE"
#endif
#ifdef SERVICE_REDIS
               ", redis://"
#endif
#ifdef SERVICE_POSTGRES
               ", postgres://"
#endif
            ;
    else
        status = jobq_open(out, backend, uri, options);
    if (status < 0 && !*why)
        *why = jobq_last_error()->text;
    free(uri);
    return status;
}

static int open_store(struct jobq **out, char *argument, uint32_t flags, int64_t io_timeout_ms,
                      const char **why)
{
    const struct jobq_options options = {
        .size = sizeof(options),
        .flags = flags,
        .io_timeout_ms = io_timeout_ms,
        .payload_max_bytes = REPORT_MAX_BYTES,
        .result_max_bytes = REPORT_MAX_BYTES,
    };

    return store_open_with(out, argument, &options, why);
}

int store_open(struct jobq **out, char *argument, int64_t io_timeout_ms, const char **why)
{
    return open_store(out, argument, 0, io_timeout_ms, why);
}

int store_open_existing(struct jobq **out, char *argument, int64_t io_timeout_ms, const char **why)
{
    return open_store(out, argument, JOBQ_OPEN_NO_CREATE, io_timeout_ms, why);
}
