/* SPDX-License-Identifier: MIT */
/* The calling thread's last error. Thread-local, so that reporting needs neither a lock nor memory and cannot fail. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct jobq_error thread_error;

struct jobq_error *last_error(void)
{
    memset(&thread_error, 0, sizeof thread_error);
    return &thread_error;
}

const struct jobq_error *jobq_last_error(void)
{
    return &thread_error;
}

int fail_with(int status, const char *field, const char *format, ...)
{
    struct jobq_error *error = last_error();
    va_list args;

    error->status = status;
    if (field)
        snprintf(error->field, sizeof error->field, "%s", field);
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

int fail_copy(const struct jobq_error *error)
{
    thread_error = *error;
    return error->status;
}
