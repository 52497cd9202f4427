/* SPDX-License-Identifier: MIT */
#include "handles.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"

static int open_one(struct jobq **out, const char *store, int64_t io_timeout_ms, const char **why)
{
    char *argument = strdup(store);
    int status = JOBQ_NOMEM;

    *why = "out of memory";
    if (!argument)
        return status;
    status = store_open(out, argument, io_timeout_ms, why);
    explicit_bzero(argument, strlen(argument));
    free(argument);
    return status;
}

int handles_open(struct handles *handles, const char *store, int64_t io_timeout_ms, const char **why)
{
    int status = JOBQ_OK;

    for (size_t i = 0; i < HTTP_THREADS && status >= 0; i++)
        status = open_one(&handles->q[i], store, io_timeout_ms, why);
    if (status >= 0)
        status = open_one(&handles->put, store, io_timeout_ms, why);
    return status;
}

void handles_close(struct handles *handles)
{
    for (size_t i = 0; i < HTTP_THREADS; i++)
        jobq_close(handles->q[i]);
    jobq_close(handles->put);
}

/* There are as many threads as handles, and they stay as long as the server. */
struct jobq *handles_mine(struct handles *handles)
{
    static _Thread_local unsigned mine;

    if (mine == 0)
        mine = 1 + atomic_fetch_add(&handles->next, 1) % HTTP_THREADS;
    return handles->q[mine - 1];
}
