/* SPDX-License-Identifier: MIT */
#include "alert.h"

#define STUCK_MOST 10 /* in the library's eyes five are critical; an alert is for more than this */

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

const char *alert_word(enum alert_said said)
{
    static const char *const words[] = {[ALERT_NOTHING] = "",
                                        [ALERT_RAISED] = "raised",
                                        [ALERT_REPEATED] = "repeated",
                                        [ALERT_CLEARED] = "cleared"};

    return words[said];
}

int alert_is_for(const struct jobq_finding *finding)
{
    switch (finding->what) {
    case JOBQ_FINDING_ERRORS:
    case JOBQ_FINDING_PENDING:
    case JOBQ_FINDING_SLOW:
    case JOBQ_FINDING_NO_WORKER:
        return 1;
    case JOBQ_FINDING_STUCK:
        return finding->value > STUCK_MOST;
    default:
        return 0;
    }
}
