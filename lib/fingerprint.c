/* SPDX-License-Identifier: MIT */
/* Errors without what differs from one to the next. */
#include "internal.h"

#include <string.h>

static bool is_figure(char c)
{
    return c >= '0' && c <= '9';
}

/* How many bytes from here on are one number: figures, or six hexadecimal digits and more with a figure among them, as words
 * are not. */
static size_t number_length(const char *at, const char *end)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    size_t run = 0, figures = 0;

    for (; at + run < end && at[run] && strchr(hex, at[run]); run++)
        figures += is_figure(at[run]);
    return figures && (figures == run || run >= 6) ? run : 0;
}

void jobq_error_fingerprint(const struct jobq_job *job, char out[JOBQ_FINGERPRINT_BYTES])
{
    size_t count = job->failures_log_count, n = 0;
    const struct jobq_bytes text = count ? job->failures_log[count - 1].text : (struct jobq_bytes){ 0 };
    const char *at = text.data, *end = text.size ? at + text.size : at;

    while (at < end && *at != '\n' && n < JOBQ_FINGERPRINT_BYTES - 1) {
        size_t number = number_length(at, end);
        out[n++] = number ? '#' : *at ? *at : '?';
        at += number ? number : 1;
    }
    out[n] = '\0';
}
