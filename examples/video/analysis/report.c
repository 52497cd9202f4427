/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REASON_BYTES 512

json_t *report_create(const char *step_name)
{
    return json_pack("{s:s, s:s, s:s}", "step", step_name, "status", "failed", "reason",
                     "the step did not finish");
}

static void set_status(struct step *step, const char *status, const char *reason, const char *package)
{
    json_object_set_new(step->report, "status", json_string(status));
    if (reason)
        json_object_set_new(step->report, "reason", report_text(reason));
    else
        json_object_del(step->report, "reason");
    if (package)
        json_object_set_new(step->report, "package", json_string(package));
}

void report_ok(struct step *step)
{
    set_status(step, "ok", NULL, NULL);
}

void report_skipped(struct step *step, const char *package, const char *reason)
{
    set_status(step, "skipped", reason, package);
}

void report_not_available(struct step *step, const char *reason)
{
    set_status(step, "not_available", reason, NULL);
}

void report_failed(struct step *step, const char *format, ...)
{
    char reason[REASON_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    set_status(step, "failed", reason, NULL);
}

/* The programs put the file's name in front of what they have to say about it; whoever asked knows it. */
static const char *last_line(const struct step *step, char *text)
{
    size_t size = strlen(text);
    const char *line;
    const char *name;

    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = '\0';
    name = step->media.input ? strstr(text, step->media.input) : NULL;
    if (name && strncmp(name + strlen(step->media.input), ": ", 2) == 0)
        return name + strlen(step->media.input) + 2;
    line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

void report_child_failed(struct step *step, const char *program, const struct child_result *result)
{
    char text[CHILD_ERROR_BYTES + 1];
    const char *line;

    memcpy(text, result->error_text, sizeof(text));
    line = last_line(step, text);
    switch (result->end) {
    case CHILD_TIMED_OUT:
        report_failed(step, "%s passed the time limit of %lld s", program,
                      (long long)step->time_limit_ms / 1000);
        break;
    case CHILD_SIGNALLED:
        report_failed(step, "%s was ended by signal %d", program, result->code);
        break;
    case CHILD_NOT_STARTED:
        report_failed(step, "%s could not be started: %s", program, strerror(result->code));
        break;
    case CHILD_STOPPED:
    case CHILD_CANCELLED:
        report_failed(step, "%s was stopped", program);
        break;
    case CHILD_EXITED:
        report_failed(step, "%s: %s", program, *line ? line : "ended with an error and without a word");
        break;
    }
}

int report_has_failed(const struct step *step)
{
    const char *status = json_string_value(json_object_get(step->report, "status"));

    return !status || strcmp(status, "failed") == 0;
}

json_t *report_number(double value, int digits)
{
    double scale = pow(10.0, digits);

    return isfinite(value) ? json_real(round(value * scale) / scale) : json_null();
}

json_t *report_text(const char *text)
{
    char clean[REASON_BYTES];
    size_t size = 0;

    if (!text)
        return json_null();
    for (; *text && size < sizeof(clean) - 1; text++)
        clean[size++] = *text >= ' ' && *text <= '~' ? *text : '?';
    clean[size] = '\0';
    return json_string(clean);
}

json_t *report_span(int64_t start_ms, int64_t end_ms)
{
    return json_pack("{s:I, s:I}", "start_ms", (json_int_t)start_ms, "end_ms", (json_int_t)end_ms);
}

int64_t report_ms(double seconds)
{
    return llround(seconds * 1000.0);
}
