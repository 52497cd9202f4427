/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <stdio.h>
#include <string.h>

#include "program.h"

static const struct {
    const char *kind;
    jobq_handler handler;
} handlers[] = {
    {"send-email", email_handle},       {"send-notification", hook_handle},  {"trigger-webhook", hook_handle},
    {"generate-report", report_handle}, {"scheduled-report", report_handle}, {"export-data", export_handle},
    {"resize-image", image_handle},     {"ai-prompt", prompt_handle},        {"count", count_handle},
    {"run-retention", cleanup_handle},  {"job_failed", alert_handle},
};

static void tell(int notice, const char *text, void *user)
{
    (void)notice, (void)user;
    fprintf(stderr, "%s: %s\n", program_name, text);
}

static struct jobq_worker *make_worker(struct office *office, const struct jobq_worker_options *options)
{
    struct jobq_worker *w = NULL;
    int status = jobq_worker_create(&w, office->q, options);

    if (status >= 0)
        status = jobq_worker_notify(w, tell, NULL);
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]) && status >= 0; i++)
        status = jobq_worker_handle(w, handlers[i].kind, handlers[i].handler, office);
    if (status >= 0)
        return w;
    jobq_worker_destroy(w);
    return NULL;
}

/* Its jobs differ much in length: none waits in a process that is busy while another is idle. */
static struct jobq_worker *make_class(struct office *office, const struct crew_options *given, int class)
{
    const char *queues[ORDER_QUEUES];
    int32_t weights[ORDER_QUEUES];
    struct jobq_worker_options options = {.size = sizeof(options),
                                          .queues = queues,
                                          .weights = weights,
                                          .threads = order_threads[class],
                                          .lease_ms = given->lease_ms,
                                          .poll_ms = given->poll_ms,
                                          .grace_ms = given->grace_ms,
                                          .flags = JOBQ_WORKER_NO_BATCH |
                                                   (given->drain ? (uint32_t)JOBQ_WORKER_DRAIN : 0u)};

    for (size_t i = 0; i < ORDER_QUEUES; i++)
        if ((int)order_trades[i].class == class) {
            queues[options.queue_count] = order_trades[i].queue;
            weights[options.queue_count++] = order_trades[i].weight;
        }
    return make_worker(office, &options);
}

static struct jobq_worker *make_alerts(struct office *office, const struct crew_options *given)
{
    const char *const queue = ALERT_QUEUE;
    const struct jobq_worker_options options = {.size = sizeof(options),
                                                .queues = &queue,
                                                .queue_count = 1,
                                                .lease_ms = given->lease_ms,
                                                .poll_ms = given->poll_ms,
                                                .grace_ms = given->grace_ms,
                                                .flags = given->drain ? (uint32_t)JOBQ_WORKER_DRAIN : 0u};

    return make_worker(office, &options);
}

int crew_init(struct crew *crew, struct office *office, const struct crew_options *options)
{
    *crew = (struct crew){.members = {{.worker = NULL}}};
    for (int i = 0; i <= CLASS_COUNT; i++) {
        crew->members[i].crew = crew;
        crew->members[i].worker =
            i < CLASS_COUNT ? make_class(office, options, i) : make_alerts(office, options);
        if (!crew->members[i].worker)
            return -1;
    }
    return 0;
}

static void *work(void *user)
{
    struct crew_member *member = user;

    member->status = jobq_worker_run(member->worker);
    if (member->status < 0) {
        fprintf(stderr, "%s: %s\n", program_name, jobq_last_error()->text);
        crew_stop(member->crew); /* a class without its worker would go unnoticed for long */
    }
    return NULL;
}

static int run_some(struct crew *crew, int first, int end)
{
    int status = JOBQ_OK;

    for (int i = first; i < end; i++) {
        struct crew_member *m = &crew->members[i];
        m->running = pthread_create(&m->thread, NULL, work, m) == 0;
        m->status = m->running ? JOBQ_OK : JOBQ_FAILED;
        if (!m->running)
            crew_stop(crew);
    }
    for (int i = first; i < end; i++) {
        struct crew_member *m = &crew->members[i];
        if (m->running)
            pthread_join(m->thread, NULL);
        if (m->status < 0)
            status = m->status;
    }
    return status;
}

/* To drain the alerts is possible only when nothing can fail any more. */
int crew_run(struct crew *crew, int drain)
{
    int status;

    if (!drain)
        return run_some(crew, 0, CLASS_COUNT + 1);
    status = run_some(crew, 0, CLASS_COUNT);
    return status < 0 ? status : run_some(crew, CLASS_COUNT, CLASS_COUNT + 1);
}

void crew_stop(struct crew *crew)
{
    for (int i = 0; i <= CLASS_COUNT; i++)
        if (crew->members[i].worker)
            jobq_worker_stop(crew->members[i].worker);
}

void crew_finish(struct crew *crew)
{
    for (int i = 0; i <= CLASS_COUNT; i++)
        jobq_worker_destroy(crew->members[i].worker);
}
