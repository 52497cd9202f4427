/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#ifdef VIDEO_SQLITE
#include <jobq/sqlite.h>
#endif
#ifdef VIDEO_REDIS
#include <jobq/redis.h>
#endif
#ifdef VIDEO_POSTGRES
#include <jobq/postgres.h>
#endif

#include "text.h"

#define URI_MAX_BYTES 4096

static const struct jobq_backend *backend_of(const char *uri)
{
#ifdef VIDEO_SQLITE
    if (strncmp(uri, "sqlite:", 7) == 0)
        return jobq_sqlite();
#endif
#ifdef VIDEO_REDIS
    if (strncmp(uri, "redis", 5) == 0)
        return jobq_redis();
#endif
#ifdef VIDEO_POSTGRES
    if (strncmp(uri, "postgres", 8) == 0)
        return jobq_postgres();
#endif
    (void)uri;
    return NULL;
}

int store_open(struct jobq **out, const char *uri, int64_t io_timeout_ms, const char **why)
{
    const struct jobq_options options = {
        .size = sizeof(options),
        .io_timeout_ms = io_timeout_ms,
        .payload_max_bytes = REPORT_MAX_BYTES,
        .result_max_bytes = REPORT_MAX_BYTES,
    };
    const struct jobq_backend *backend;
    char *read = NULL;
    int status = JOBQ_INVALID;

    *out = NULL;
    *why = NULL;
    if (*uri == '@')
        uri = read = text_of_file(uri + 1, URI_MAX_BYTES);
    if (!uri) {
        *why = "the file with the store's address cannot be read";
        return JOBQ_UNREACHABLE;
    }
    backend = backend_of(uri);
    if (!backend)
        *why = "a store's address begins with the name of a store this program was built with"
#ifdef VIDEO_SQLITE
               ", sqlite:FILE"
#endif
#ifdef VIDEO_REDIS
               ", redis://"
#endif
#ifdef VIDEO_POSTGRES
               ", postgres://"
#endif
            ;
    else
        status = jobq_open(out, backend, uri, &options);
    if (status < 0 && !*why)
        *why = jobq_last_error()->text;
    free(read);
    return status;
}
