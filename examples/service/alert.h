/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_ALERT_H
#define SERVICE_ALERT_H

/* When to say that something is wrong: once when it begins, at most hourly while it lasts, once when it is
 * over. Pure. */

#include <stdint.h>

#define ALERT_REPEAT_MS INT64_C(3600000)

enum alert_said { ALERT_NOTHING, ALERT_RAISED, ALERT_REPEATED, ALERT_CLEARED };

struct alert {
    int raised;
    int64_t since_ms, told_at_ms;
};

/* `wrong`: whether it is so now. Returns what is to be said. */
enum alert_said alert_step(struct alert *alert, int wrong, int64_t now_ms);

#endif
