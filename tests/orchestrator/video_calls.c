/* SPDX-License-Identifier: MIT */
/* Linked into a second jobq-video: what those of its threads that answer requests ask of the store about jobs
 * is said on standard error, a line for each call. And one of them stands still: with
 * JOBQ_CALLS_GATE=NUMBER:FIFO it says "gate" after reading that many jobs since FIFO was made, and goes on
 * when somebody writes to it. */
#include <fcntl.h>
#include <jobq/jobq.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int is_answering(void)
{
    char thread[16] = "";

    return prctl(PR_GET_NAME, thread) == 0 && strncmp(thread, "MHD", 3) == 0;
}

static void say(const char *call)
{
    if (is_answering())
        fprintf(stderr, "call %s\n", call);
}

static void stand_at_gate(void)
{
    static atomic_int reads;
    const char *gate = getenv("JOBQ_CALLS_GATE"), *fifo = gate ? strchr(gate, ':') : NULL;

    if (fifo && is_answering() && access(fifo + 1, F_OK) == 0 &&
        atomic_fetch_add(&reads, 1) + 1 == atoi(gate)) {
        fprintf(stderr, "gate\n");
        close(open(fifo + 1, O_RDONLY)); /* which waits for who opens it to write */
    }
}

#define WRAP(name, parameters, arguments)                                                                    \
    int __real_jobq_##name parameters;                                                                       \
    int __wrap_jobq_##name parameters;                                                                       \
    int __wrap_jobq_##name parameters                                                                        \
    {                                                                                                        \
        int status;                                                                                          \
                                                                                                             \
        say(#name);                                                                                          \
        status = __real_jobq_##name arguments;                                                               \
        if (strcmp(#name, "get") == 0)                                                                       \
            stand_at_gate();                                                                                 \
        return status;                                                                                       \
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
