/* SPDX-License-Identifier: MIT */
/* What a worker has to tell the person who started it. */
#include "worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int jobq_worker_notify(struct jobq_worker *w, jobq_notice_fn fn, void *user)
{
    if (!w)
        return fail_with(JOBQ_INVALID, "w", "w: is NULL");
    if (w->phase != PHASE_NEW && w->phase != PHASE_ENDED)
        return fail_with(JOBQ_STATE, NULL, "the worker runs already");
    w->notice = fn;
    w->notice_user = user;
    return JOBQ_OK;
}

void worker_say(struct jobq_worker *w, int notice, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!w->notice)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!w->aside) {
        w->notice(notice, text, w->notice_user);
        return;
    }
    w->late_notice = notice; /* nothing but trouble, once, begins in a turn aside */
    memcpy(w->late_text, text, sizeof w->late_text);
}

/* Once for each time that it begins to fail, however often it is tried. */
void worker_trouble(struct jobq_worker *w, enum trouble trouble, const char *why)
{
    if (w->trouble == TROUBLE_NONE)
        worker_say(w, JOBQ_NOTICE_TROUBLE, "the store fails: %s; what is in hand is kept and tried again",
                   why && *why ? why : "no answer");
    if (w->trouble < trouble)
        w->trouble = trouble;
}

/* It is over when what failed is done: heartbeats may pass where results find no room, and acks where claims
 * do not. */
void worker_mended(struct jobq_worker *w, enum trouble done)
{
    if (w->trouble == TROUBLE_NONE || w->trouble > done)
        return;
    w->trouble = TROUBLE_NONE;
    worker_say(w, JOBQ_NOTICE_MENDED, "the store works again");
}
