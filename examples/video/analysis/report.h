/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_REPORT_H
#define VIDEO_REPORT_H

/*
 * The report of a step: one JSON object {"step", "status", "reason", "package", ...}.
 *
 *   ok             the analysis was done; the other members are its result
 *   skipped        a program or its data is missing; "package" is the Debian package that holds it
 *   not_available  this cannot be said about this file, and "reason" says why
 *   failed         "reason" says why; trying again will not help unless it names a time or memory limit
 *
 * Setting a status replaces an earlier one.
 */

#include "step.h"

json_t *report_create(const char *step_name);

void report_ok(struct step *step);
void report_skipped(struct step *step, const char *package, const char *reason);
void report_not_available(struct step *step, const char *reason);
void report_failed(struct step *step, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A child that did not do its work: says how it ended, in the words of its last line on standard error if it
 * has any. `program` is its name. */
void report_child_failed(struct step *step, const char *program, const struct child_result *result);

int report_has_failed(const struct step *step);

/* Members that may not exist are null: a number that is not finite, a text that is NULL. A text is shown with
 * anything that is not UTF-8 or not printable replaced. `digits` are those after the point that are kept. */
json_t *report_number(double value, int digits);
json_t *report_text(const char *text);

/* {"start_ms", "end_ms"} */
json_t *report_span(int64_t start_ms, int64_t end_ms);

/* Seconds, as ffmpeg prints them, to whole milliseconds. */
int64_t report_ms(double seconds);

#endif
