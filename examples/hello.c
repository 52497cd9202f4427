/* SPDX-License-Identifier: MIT */
/* Put a job into a store and work it off:  hello [STORE-URI]     (sqlite:hello.db) */
#include <jobq/sqlite.h>
#include <stdio.h>

static int greet(struct jobq_ctx *ctx, void *user)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);

    fprintf((FILE *)user, "hello %.*s, attempt %d\n", (int)job->payload.size, (const char *)job->payload.data,
            job->attempt);
    return JOBQ_DONE;
}

int main(int argc, char **argv)
{
    const char *queues[] = { "greetings" };
    struct jobq_spec spec = { .size = sizeof spec, .queue = "greetings", .payload = { "world", 5 } };
    struct jobq_worker_options options = { .size = sizeof options, .queues = queues, .queue_count = 1,
                                           .flags = JOBQ_WORKER_DRAIN }; /* end when nothing is left */
    struct jobq_worker *worker = NULL;
    struct jobq *q = NULL;
    int status = jobq_open(&q, jobq_sqlite(), argc > 1 ? argv[1] : "sqlite:hello.db", NULL);

    if (status >= 0)
        status = jobq_enqueue(q, &spec, NULL);
    if (status >= 0)
        status = jobq_worker_create(&worker, q, &options);
    if (status >= 0)
        status = jobq_worker_handle(worker, NULL, greet, stdout); /* NULL: every kind of job */
    if (status >= 0)
        status = jobq_worker_run(worker);
    if (status < 0)
        fprintf(stderr, "hello: %s: %s\n", jobq_status_name(status), jobq_last_error()->text);
    jobq_worker_destroy(worker);
    jobq_close(q);
    return status < 0;
}
