/* SPDX-License-Identifier: MIT */
/*
 * A worker inside a loop that the program has anyway: poll(2) waits for a line of standard input and for the
 * worker at the same time. Each line becomes a job; a handler thread turns it round. At the end of the input
 * the jobs that are still there are finished first.
 *
 *     printf 'one\ntwo\n' | loop sqlite:jobs.db
 */
#include <jobq/jobq.h>
#include <jobq/sqlite.h>

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 4096

/* Runs in a thread of the worker. */
static int turn_round(struct jobq_ctx *ctx, void *user)
{
    const struct jobq_bytes *line = &jobq_ctx_job(ctx)->payload;
    char turned[LINE_BYTES];

    (void)user;
    for (size_t i = 0; i < line->size; i++)
        turned[i] = ((const char *)line->data)[line->size - 1 - i];
    printf("%.*s\n", (int)line->size, turned);
    return jobq_ctx_result(ctx, turned, line->size) == JOBQ_OK ? JOBQ_DONE : JOBQ_RETRY;
}

static void put_line(struct jobq *q, const char *line, size_t size)
{
    struct jobq_spec spec = {.size = sizeof(spec), .queue = "lines", .payload = {line, size}};

    if (jobq_enqueue(q, &spec, NULL) < 0)
        fprintf(stderr, "loop: %s\n", jobq_last_error()->text);
}

/* Puts the lines that have come; 1 at the end of the input. read(2), because what stdio keeps, poll does not
 * see. */
static int take_input(struct jobq *q, char *line, size_t *size)
{
    ssize_t got = read(STDIN_FILENO, line + *size, LINE_BYTES - *size);
    char *end;

    if (got <= 0) {
        if (*size > 0)
            put_line(q, line, *size);
        return 1;
    }
    *size += (size_t)got;
    while ((end = memchr(line, '\n', *size)) || *size == LINE_BYTES) {
        size_t length = end ? (size_t)(end - line) : *size;
        put_line(q, line, length);
        length += end != NULL;
        *size -= length;
        memmove(line, line + length, *size);
    }
    return 0;
}

/* Nothing waits and nothing runs. */
static int is_idle(struct jobq *q)
{
    struct jobq_filter open = {.size = sizeof(open),
                               .queue = "lines",
                               .limit = 1,
                               .states = 1u << JOBQ_READY | 1u << JOBQ_RUNNING | 1u << JOBQ_SCHEDULED};
    struct jobq_jobs *jobs = NULL;
    int idle = jobq_list(q, &open, &jobs) == JOBQ_OK && jobs->count == 0;

    jobq_jobs_free(jobs);
    return idle;
}

static int loop(struct jobq *q, struct jobq_worker *worker)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = jobq_worker_fd(worker), .events = POLLIN}};
    char line[LINE_BYTES];
    size_t size = 0;
    int status = fds[1].fd < 0 ? fds[1].fd : JOBQ_OK;

    while (status == JOBQ_OK) {
        int64_t wait_ms = jobq_worker_next_ms(worker);
        poll(fds, 2, wait_ms < INT_MAX ? (int)wait_ms : INT_MAX);
        if (fds[0].fd >= 0 && fds[0].revents && take_input(q, line, &size))
            fds[0].fd = -1; /* poll leaves it out from now on */
        status = jobq_worker_dispatch(worker);
        if (fds[0].fd < 0 && is_idle(q))
            jobq_worker_stop(worker); /* dispatch says JOBQ_ALREADY when it has come to its end */
    }
    return status;
}

int main(int argc, char **argv)
{
    const char *queue = "lines";
    struct jobq_worker_options options = {.size = sizeof(options), .queues = &queue, .queue_count = 1};
    struct jobq *q = NULL;
    struct jobq_worker *worker = NULL;
    int status;

    setvbuf(stdout, NULL, _IOLBF, 0);
    status = jobq_open(&q, jobq_sqlite(), argc > 1 ? argv[1] : "sqlite:loop.db", NULL);

    if (status == JOBQ_OK)
        status = jobq_worker_create(&worker, q, &options);
    if (status == JOBQ_OK)
        status = jobq_worker_handle(worker, queue, turn_round, NULL);
    if (status == JOBQ_OK)
        status = loop(q, worker);
    if (status < 0)
        fprintf(stderr, "loop: %s\n", jobq_last_error()->text);
    jobq_worker_destroy(worker);
    jobq_close(q);
    return status < 0;
}
