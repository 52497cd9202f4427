/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

#define NAME_MOST 255

static const char *name_of(int what)
{
    static const char *const names[] = {
        [JOBQ_HOOK_ENQUEUED] = "enqueued",   [JOBQ_HOOK_CLAIMED] = "claimed",
        [JOBQ_HOOK_STARTED] = "started",     [JOBQ_HOOK_RETURNED] = "returned",
        [JOBQ_HOOK_COMPLETED] = "completed", [JOBQ_HOOK_FAILED] = "failed",
        [JOBQ_HOOK_DEAD] = "dead",           [JOBQ_HOOK_CANCELLED] = "cancelled",
        [JOBQ_HOOK_RELEASED] = "released",   [JOBQ_HOOK_SNOOZED] = "snoozed",
        [JOBQ_HOOK_PARKED] = "parked",       [JOBQ_HOOK_READY] = "ready",
    };

    return what > 0 && (size_t)what < sizeof(names) / sizeof(names[0]) ? names[what] : "other";
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void add_bytes(json_t *line, const char *name, struct jobq_bytes bytes)
{
    if (bytes.size > 0)
        json_object_set_new(line, name, json_of_text(bytes.data, bytes.size, NAME_MOST));
}

/* One write for a line, so that those of several threads and processes do not mix. */
static void write_line(const json_t *line)
{
    char *text = text_of_json(line);
    size_t size = text ? strlen(text) : 0;

    if (text) {
        text[size] = '\n'; /* over the NUL: nobody reads it as text any more */
        (void)!write(STDERR_FILENO, text, size + 1);
    }
    free(text);
}

static void tell(const struct jobq_hooked *hooked, void *user)
{
    json_t *line =
        json_pack("{s:o, s:s, s:o}", "at", json_of_instant(hooked->at_ms ? hooked->at_ms : now_ms()), "what",
                  name_of(hooked->what), "job", json_of_id(&hooked->id));

    (void)user;
    if (!line)
        return;
    add_bytes(line, "queue", hooked->queue);
    add_bytes(line, "group", hooked->group);
    if (hooked->attempt > 0)
        json_object_set_new(line, "attempt", json_integer(hooked->attempt));
    if (hooked->reason != JOBQ_REASON_NONE)
        json_object_set_new(line, "reason", json_string(jobq_reason_name(hooked->reason)));
    write_line(line);
    json_decref(line);
}

int64_t log_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void log_start(unsigned status, const struct jobq_id *job, int64_t read_us, int64_t put_us, size_t together)
{
    json_t *line = json_pack("{s:o, s:s, s:i, s:f, s:f, s:I}", "at", json_of_instant(now_ms()), "what",
                             "answered", "status", (int)status, "read_ms", (double)read_us / 1000.0, "put_ms",
                             (double)put_us / 1000.0, "together", (json_int_t)together);

    if (!line)
        return;
    if (job)
        json_object_set_new(line, "job", json_of_id(job));
    write_line(line);
    json_decref(line);
}

int log_jobs(struct jobq *q)
{
    return jobq_hook(q, tell, NULL);
}
