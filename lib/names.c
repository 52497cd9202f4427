/* SPDX-License-Identifier: MIT */
/* Numbers to names: statuses, states, reasons. */
#include "internal.h"

#include <string.h>

struct name {
    int value;
    const char *name, *text;
};

static const struct name statuses[] = {
    { JOBQ_OK, "OK", "done" },
    { JOBQ_ALREADY, "ALREADY", "this very request took effect before" },
    { JOBQ_DUPLICATE, "DUPLICATE", "the idempotency key is held by another job" },
    { JOBQ_REPLACED, "REPLACED", "the waiting holder of the key got the new payload" },
    { JOBQ_EXTENDED, "EXTENDED", "the waiting holder of the key got the new delay" },
    { JOBQ_SUCCESSOR, "SUCCESSOR", "kept as the successor of the key's holder" },
    { JOBQ_FAILED, "FAILED", "the store could not do it; nothing changed" },
    { JOBQ_UNKNOWN, "UNKNOWN", "the outcome is unknown; repeat the call" },
    { JOBQ_INVALID, "INVALID", "bad input" },
    { JOBQ_STALE, "STALE", "the token no longer holds the job; nothing changed" },
    { JOBQ_NOT_FOUND, "NOT_FOUND", "no such job" },
    { JOBQ_STATE, "STATE", "the state of the job does not allow this" },
    { JOBQ_FULL, "FULL", "the queue is full" },
    { JOBQ_LIMITED, "LIMITED", "the quota is used up for now" },
    { JOBQ_NO_PARENT, "NO_PARENT", "a job named as parent does not exist" },
    { JOBQ_HELD, "HELD", "the idempotency key has another holder" },
    { JOBQ_TIMEOUT, "TIMEOUT", "the time is over" },
    { JOBQ_UNREACHABLE, "UNREACHABLE", "the store cannot be reached" },
    { JOBQ_UNSUPPORTED, "UNSUPPORTED", "this store does not have it" },
    { JOBQ_FORKED, "FORKED", "the handle belongs to the parent process" },
    { JOBQ_FOREIGN, "FOREIGN", "not a store of ours" },
    { JOBQ_NEWER, "NEWER", "the store was written by a newer libjobq" },
    { JOBQ_CORRUPT, "CORRUPT", "the store is damaged" },
    { JOBQ_NOMEM, "NOMEM", "out of memory" },
    { JOBQ_CYCLE, "CYCLE", "the dependencies form a circle" },
    { JOBQ_OUTDATED, "OUTDATED", "the job was edited meanwhile" },
    { JOBQ_SKIPPED, "SKIPPED", "not done because what it hung on was not done" },
};

static const struct name states[] = {
    { JOBQ_BLOCKED, "blocked", 0 },     { JOBQ_SCHEDULED, "scheduled", 0 }, { JOBQ_READY, "ready", 0 },
    { JOBQ_RUNNING, "running", 0 },     { JOBQ_COMPLETED, "completed", 0 }, { JOBQ_DEAD, "dead", 0 },
    { JOBQ_CANCELLED, "cancelled", 0 },
};

static const struct name reasons[] = {
    { JOBQ_REASON_NONE, "", 0 },
    { JOBQ_REASON_PARENTS, "PARENTS", 0 },
    { JOBQ_REASON_CALLBACK, "CALLBACK", 0 },
    { JOBQ_REASON_HOLD, "HOLD", 0 },
    { JOBQ_REASON_ATTEMPTS, "ATTEMPTS", 0 },
    { JOBQ_REASON_PERMANENT, "PERMANENT", 0 },
    { JOBQ_REASON_POISON, "POISON", 0 },
    { JOBQ_REASON_EXPIRED, "EXPIRED", 0 },
    { JOBQ_REASON_TIMEOUT, "TIMEOUT", 0 },
    { JOBQ_REASON_DEPENDENCY, "DEPENDENCY", 0 },
    { JOBQ_REASON_CALLBACK_TIMEOUT, "CALLBACK_TIMEOUT", 0 },
    { JOBQ_REASON_UNDECODABLE, "UNDECODABLE", 0 },
    { JOBQ_REASON_OPERATOR, "OPERATOR", 0 },
    { JOBQ_REASON_EARLY_ACK, "EARLY_ACK", 0 },
    { JOBQ_REASON_RETENTION, "RETENTION", 0 },
};

static const struct name error_kinds[] = {
    { JOBQ_ERROR_HANDLER, "HANDLER", 0 }, { JOBQ_ERROR_LOST, "LOST", 0 },
    { JOBQ_ERROR_TIMEOUT, "TIMEOUT", 0 }, { JOBQ_ERROR_CALLBACK, "CALLBACK", 0 },
    { JOBQ_ERROR_RESULT, "RESULT", 0 },   { JOBQ_ERROR_PARENT, "PARENT", 0 },
    { JOBQ_ERROR_EXPIRED, "EXPIRED", 0 },
};

static const struct name whys[] = {
    { JOBQ_WHY_NEXT, "next", 0 },           { JOBQ_WHY_RUNNING, "running", 0 },
    { JOBQ_WHY_STUCK, "stuck", 0 },         { JOBQ_WHY_COMPLETED, "completed", 0 },
    { JOBQ_WHY_DEAD, "dead", 0 },           { JOBQ_WHY_CANCELLED, "cancelled", 0 },
    { JOBQ_WHY_EXPIRED, "expired", 0 },     { JOBQ_WHY_HELD, "held", 0 },
    { JOBQ_WHY_DEPENDENCY, "dependency", 0 }, { JOBQ_WHY_PARKED, "parked", 0 },
    { JOBQ_WHY_NOT_DUE, "not_due", 0 },     { JOBQ_WHY_PAUSED, "paused", 0 },
    { JOBQ_WHY_NO_WORKER, "no_worker", 0 }, { JOBQ_WHY_KIND, "kind_unknown", 0 },
    { JOBQ_WHY_ALONE, "alone", 0 },         { JOBQ_WHY_BEHIND, "behind", 0 },
    { JOBQ_WHY_LIMIT_QUEUE, "limit_queue", 0 }, { JOBQ_WHY_LIMIT_GROUP, "limit_group", 0 },
    { JOBQ_WHY_LIMIT_QUEUE_GROUP, "limit_queue_group", 0 }, { JOBQ_WHY_RATE_QUEUE, "rate_queue", 0 },
    { JOBQ_WHY_RATE_GROUP, "rate_group", 0 },
};

static const struct name findings[] = {
    { JOBQ_FINDING_ERRORS, "errors", 0 }, { JOBQ_FINDING_PENDING, "pending", 0 },
    { JOBQ_FINDING_STUCK, "stuck", 0 },   { JOBQ_FINDING_SLOW, "slow", 0 },
    { JOBQ_FINDING_NO_WORKER, "no_worker", 0 }, { JOBQ_FINDING_PAUSED, "paused", 0 },
    { JOBQ_FINDING_LONG, "long", 0 },     { JOBQ_FINDING_LAST_ATTEMPT, "last_attempt", 0 },
    { JOBQ_FINDING_RETENTION, "retention", 0 },
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct name *find(const struct name *table, size_t count, int value)
{
    static const struct name unknown = { 0, "?", "unknown code" };

    for (size_t i = 0; i < count; i++)
        if (table[i].value == value)
            return &table[i];
    return &unknown;
}

const char *jobq_status_name(int status)
{
    return find(statuses, COUNT(statuses), status)->name;
}

const char *jobq_strerror(int status)
{
    return find(statuses, COUNT(statuses), status)->text;
}

const char *jobq_state_name(int state)
{
    return find(states, COUNT(states), state)->name;
}

const char *jobq_reason_name(int reason)
{
    return find(reasons, COUNT(reasons), reason)->name;
}

const char *jobq_error_kind_name(int kind)
{
    return find(error_kinds, COUNT(error_kinds), kind)->name;
}

const char *jobq_why_name(int why)
{
    return find(whys, COUNT(whys), why)->name;
}

const char *jobq_finding_name(int what)
{
    return find(findings, COUNT(findings), what)->name;
}

int jobq_state_parse(const char *name)
{
    for (size_t i = 0; name && i < COUNT(states); i++)
        if (strcmp(states[i].name, name) == 0)
            return states[i].value;
    return 0;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *jobq_version(void)
{
    return TEXT(JOBQ_VERSION_MAJOR) "." TEXT(JOBQ_VERSION_MINOR) "." TEXT(JOBQ_VERSION_PATCH);
}
