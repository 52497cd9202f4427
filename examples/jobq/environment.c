/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "environment.h"

extern char **environ;

enum { OWN = 6 };

static const char *const names[OWN] = {"JOBQ_ID",    "JOBQ_ATTEMPT", "JOBQ_FENCE",
                                       "JOBQ_QUEUE", "JOBQ_KIND",    "TRACEPARENT"};

/* Is it one that only the job may set? */
static int is_own(const char *entry)
{
    for (int i = 0; i < OWN; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(entry, names[i], n) == 0 && entry[n] == '=') {
            return 1;
        }
    }
    return 0;
}

static char *entry_of(const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 2;
    char *entry = malloc(size);

    if (entry) {
        snprintf(entry, size, "%s=%s", name, value);
    }
    return entry;
}

char **environment_make(const struct jobq_job *job)
{
    char id[33], attempt[16], fence[24];
    const char *const values[OWN] = {id, attempt, fence, job->queue, job->kind, job->trace};
    size_t count = 0, n = 0;
    char **out;

    jobq_id_format(&job->id, id);
    snprintf(attempt, sizeof attempt, "%d", job->attempt);
    snprintf(fence, sizeof fence, "%lld", (long long)job->fence);
    while (environ[count]) {
        count++;
    }
    out = calloc(count + OWN + 1, sizeof *out);
    if (!out) {
        return NULL;
    }
    for (int i = 0; i < OWN; i++) {
        if (values[i] && values[i][0] && !(out[n++] = entry_of(names[i], values[i]))) {
            environment_free(out);
            return NULL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_own(environ[i]) && !(out[n++] = strdup(environ[i]))) {
            environment_free(out);
            return NULL;
        }
    }
    return out;
}

void environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        free(environment[i]);
    }
    free(environment);
}
