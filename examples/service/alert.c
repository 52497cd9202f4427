/* SPDX-License-Identifier: MIT */
#include "alert.h"

enum alert_said alert_step(struct alert *alert, int wrong, int64_t now_ms)
{
    if (!wrong) {
        enum alert_said said = alert->raised ? ALERT_CLEARED : ALERT_NOTHING;
        alert->raised = 0;
        return said;
    }
    if (alert->raised && now_ms - alert->told_at_ms < ALERT_REPEAT_MS)
        return ALERT_NOTHING;
    alert->told_at_ms = now_ms;
    if (alert->raised)
        return ALERT_REPEATED;
    alert->raised = 1;
    alert->since_ms = now_ms;
    return ALERT_RAISED;
}
