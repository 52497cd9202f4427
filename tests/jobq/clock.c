/* SPDX-License-Identifier: MIT */
/* clock URI MS: moves the clock of a store forward, so that the tests need not wait. */
#include <jobq/jobq.h>
#ifdef HAVE_REDIS
#include <jobq/redis.h>
#endif
#ifdef HAVE_SQLITE
#include <jobq/sqlite.h>
#endif
#ifdef HAVE_POSTGRES
#include <jobq/postgres.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct jobq_backend *backend_of(const char *uri)
{
#ifdef HAVE_REDIS
    if (strncmp(uri, "redis", 5) == 0)
        return jobq_redis();
#endif
#ifdef HAVE_SQLITE
    if (strncmp(uri, "sqlite:", 7) == 0)
        return jobq_sqlite();
#endif
#ifdef HAVE_POSTGRES
    if (strncmp(uri, "postgres", 8) == 0)
        return jobq_postgres();
#endif
    return NULL;
}

int main(int argc, char **argv)
{
    const struct jobq_backend *backend = argc == 3 ? backend_of(argv[1]) : NULL;
    struct jobq *q = NULL;
    struct jobq_options options = {.size = sizeof options, .flags = JOBQ_OPEN_NO_CREATE};
    int status;

    if (!backend) {
        return 2;
    }
    status = jobq_open(&q, backend, argv[1], &options);
    if (status == JOBQ_OK) {
        status = jobq_clock_advance(q, strtoll(argv[2], NULL, 10));
    }
    if (status != JOBQ_OK) {
        fprintf(stderr, "clock: %s\n", jobq_last_error()->text);
    }
    jobq_close(q);
    return status == JOBQ_OK ? 0 : 1;
}
