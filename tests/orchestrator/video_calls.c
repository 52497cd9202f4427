/* SPDX-License-Identifier: MIT */
/* Linked into a second jobq-video: what those of its threads that answer requests ask of the store about jobs
 * is said on standard error, a line for each call. */
#include <jobq/jobq.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static void say(const char *call)
{
    char thread[16] = "";

    if (prctl(PR_GET_NAME, thread) == 0 && strncmp(thread, "MHD", 3) == 0)
        fprintf(stderr, "call %s\n", call);
}

#define WRAP(name, parameters, arguments)                                                                    \
    int __real_jobq_##name parameters;                                                                       \
    int __wrap_jobq_##name parameters;                                                                       \
    int __wrap_jobq_##name parameters                                                                        \
    {                                                                                                        \
        say(#name);                                                                                          \
        return __real_jobq_##name arguments;                                                                 \
    }

/* clang-format off */
WRAP(get, (struct jobq *q, const struct jobq_id *id, struct jobq_jobs **out), (q, id, out))
WRAP(list, (struct jobq *q, const struct jobq_filter *filter, struct jobq_jobs **out), (q, filter, out))
WRAP(explain, (struct jobq *q, const struct jobq_id *id, struct jobq_explanation *out), (q, id, out))
WRAP(drop, (struct jobq *q, const struct jobq_id *id), (q, id))
WRAP(redrive, (struct jobq *q, const struct jobq_id *id), (q, id))
WRAP(unhold, (struct jobq *q, const struct jobq_id *id), (q, id))
WRAP(cancel, (struct jobq *q, const struct jobq_id *id, uint32_t flags), (q, id, flags))
WRAP(unpark, (struct jobq *q, const struct jobq_callback *callback, const void *data, size_t bytes),
     (q, callback, data, bytes))
