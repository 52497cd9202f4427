/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "work.h"

#define ERROR_BYTES 1024

int say_error(struct jobq_ctx *ctx, int outcome, const char *format, ...)
{
    char text[ERROR_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    jobq_ctx_error(ctx, text, strlen(text));
    return outcome;
}

int say_result(struct jobq_ctx *ctx, json_t *result)
{
    char *text = text_of_json(result);
    int status = text ? jobq_ctx_result(ctx, text, strlen(text)) : JOBQ_NOMEM;

    json_decref(result);
    free(text);
    if (status == JOBQ_INVALID)
        return say_error(ctx, JOBQ_GIVE_UP, "the result is too large to be stored: %s",
                         jobq_last_error()->text);
    return status == JOBQ_OK ? JOBQ_DONE : say_error(ctx, JOBQ_RETRY, "out of memory for the result");
}

void say_progress(struct jobq_ctx *ctx, double done, double total, const char *unit)
{
    json_t *progress = NULL;
    char *text = NULL;

    if (isfinite(done) && isfinite(total) && done >= 0 && total >= 0)
        progress = json_pack("{s:f, s:f, s:s}", "done", done, "total", total, "unit", unit);
    text = text_of_json(progress);
    if (text)
        jobq_ctx_progress(ctx, text, strlen(text));
    json_decref(progress);
    free(text);
}

int say_given_up(struct jobq_ctx *ctx, uint32_t flags)
{
    if (flags & JOBQ_CTX_CANCEL)
        return say_error(ctx, JOBQ_GIVE_UP, "cancelled");
    if (flags & JOBQ_CTX_LOST)
        return say_error(ctx, JOBQ_RETRY, "the lease was lost");
    if (flags & JOBQ_CTX_TIMEOUT)
        return say_error(ctx, JOBQ_RETRY, "the time limit of the job has passed");
    return JOBQ_RELEASE;
}

/* A file that cannot be analysed cannot be analysed the next time either; a limit may have been the load's
 * fault. */
static int may_pass(const char *reason)
{
    static const char *const words[] = {" limit", "signal", "memory", "stopping", "could not be started"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(reason, words[i]))
            return 1;
    return 0;
}

int say_answer(struct jobq_ctx *ctx, json_t *answer, json_t **out)
{
    const char *status = text_member(answer, "status", "");
    const char *reason = text_member(answer, "reason", "the step failed without a reason");
    int outcome = may_pass(reason) ? JOBQ_RETRY : JOBQ_GIVE_UP;

    *out = NULL;
    if (strcmp(status, "ok") == 0 || strcmp(status, "skipped") == 0 || strcmp(status, "not_available") == 0) {
        *out = answer;
        return JOBQ_DONE;
    }
    say_error(ctx, outcome, "%s", reason);
    json_decref(answer);
    return outcome;
}
