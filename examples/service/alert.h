/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_ALERT_H
#define SERVICE_ALERT_H

/* What is wrong enough to tell somebody, and when to say so: once when it begins, at most hourly while it
 * lasts, once when it is over. Pure. */

#include <jobq/jobq.h>
#include <stdint.h>

#define ALERT_REPEAT_MS INT64_C(3600000)

enum alert_said { ALERT_NOTHING, ALERT_RAISED, ALERT_REPEATED, ALERT_CLEARED };

struct alert {
    int raised;
    int64_t since_ms, told_at_ms;
};

/* `wrong`: whether it is so now. Returns what is to be said. */
enum alert_said alert_step(struct alert *alert, int wrong, int64_t now_ms);

/* The word for what is said: raised, repeated, cleared; "" for nothing. */
const char *alert_word(enum alert_said said);

/* 1 for a finding that is an alert: errors, pending, slow, no worker, and more than ten stuck. */
int alert_is_for(const struct jobq_finding *finding);

#endif
