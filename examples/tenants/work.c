/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "office.h"
#include "text.h"

json_t *work_data(struct jobq_ctx *ctx)
{
    json_t *data = json_of_bytes(jobq_ctx_job(ctx)->payload);

    if (!data)
        work_fail(ctx, JOBQ_GIVE_UP, "the payload is no JSON object");
    return data;
}

int work_done(struct jobq_ctx *ctx, json_t *result)
{
    char *text = text_of_json(result);
    int status = text ? jobq_ctx_result(ctx, text, strlen(text)) : JOBQ_NOMEM;

    free(text);
    json_decref(result);
    return status < 0 ? work_fail(ctx, JOBQ_RETRY, "the result cannot be kept: %s", jobq_strerror(status))
                      : JOBQ_DONE;
}

int work_fail(struct jobq_ctx *ctx, int outcome, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    jobq_ctx_error(ctx, text, strlen(text));
    return outcome;
}

int64_t work_now_ms(void)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}
