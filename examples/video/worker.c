/* SPDX-License-Identifier: MIT */
/* jobq-video worker: one process, one store handle, and for each part a jobq_worker with threads of its own,
 * so that no part can take another's places. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "log.h"
#include "program.h"
#include "steps.h"
#include "store.h"
#include "work.h"

#ifndef VIDEO_LIBEXEC
#define VIDEO_LIBEXEC "/usr/libexec/jobq-video"
#endif

#define CALLBACK_DEFAULT "http://127.0.0.1:8080"
#define THREADS_MOST     64
#define FETCH_THREADS    2
#define GRACE_RESERVE_MS                                                                                     \
    2000 /* of the library's grace, for handlers to return after their children were ended */

static const char usage_text[] =
    "usage: jobq-video worker --store URI --media DIR [OPTIONS]\n"
    "  --store URI            the queue's store; @FILE reads the URI from a file\n"
    "  --media DIR            the folder that submissions name files in\n"
    "  --services URL         the service of the face and gesture steps; without it they end as skipped\n"
    "  --services PART=URL    the service of one step, whichever; several times\n"
    "  --services PART=queue  its orders are put into the queue video.PART.orders, for whoever pulls them\n"
    "                         there and puts what he found into video.results\n"
    "  --secret-file FILE     keys shared with the services, one whsec_... a line, mode 0600\n"
    "  --callback-url URL     where services reach jobq-video serve (default " CALLBACK_DEFAULT ")\n"
    "  --callback-deadline MS how long a step waits for its callback (default 600000)\n"
    "  -j N, -j PART=N,...    how many of each step, or of one part, at a time: probe, report, quality,\n"
    "                         sound, speech, emotion, webhook, results, fetch; of a service's: how many are\n"
    "                         handed over at once; PART=0 leaves a part to others, as jobq work\n"
    "  --lease MS             of a job (default 30000); lost work is found after so long\n"
    "  --grace MS             after SIGTERM steps may go on so long (default 5000)\n"
    "  --attempts N           of a step (default 3)\n"
    "  --backoff MS           before the second attempt, doubled each time (default 2000)\n"
    "  --webhook-secrets DIR  keys that sign results posted to a callbackUrl: a file for each name, as\n"
    "                         \"default\", read for each message; of a tenant's: TENANT/NAME\n"
    "  --webhook-attempts N   of posting a result (default 8)\n"
    "  --webhook-backoff MS   before the second attempt, doubled each time (default 5000)\n"
    "  --webhook-time MS      how long a receiver may take, from first to last (default 15000)\n"
    "  --callback-allow NET   results may be posted to these addresses too, as 10.1.0.0/16; several times\n"
    "  --callback-http        results may be posted to http: URLs too\n"
    "  --allow-fetch          videos that are elsewhere are fetched, into the folder fetched below --media\n"
    "  --fetch-allow NET      and from these addresses too, as 10.1.0.0/16; several times\n"
    "  --fetch-http           and from http: URLs too\n"
    "  --fetch-max-bytes N    a larger one is refused (default 1073741824)\n"
    "  --fetch-time MS        how long one may take (default 600000)\n"
    "  --emotion-model FILE   asked by the emotion step, which has none of its own; FILE.json describes it\n"
    "  --step NAME[,version=N][,timeout=MS][,program=FILE]\n"
    "                         a further step of each video, in the queue video.NAME; several times. FILE is "
    "run\n"
    "                         for each: the payload on stdin, the media folder in $MEDIA, one JSON object\n"
    "                         on stdout. Without it others do the step, as jobq work, or --services. The "
    "same\n"
    "                         for every worker and server of the store\n"
    "  --log                  what becomes of each job, a line of JSON on standard error\n"
    "  --step-command FILE    run in place of jobq-video-step: STEP FILE, one JSON object on stdout\n"
    "Runs until SIGINT or SIGTERM.\n";

struct worker_options {
    char *store;
    const char *services[PARTS_MOST];
    const char *media, *secrets, *callback, *step, *model;
    int64_t threads[PARTS_MOST];
    int named[PARTS_MOST]; /* whose threads were given by name */
    int64_t lease_ms, grace_ms, attempts, backoff_ms, deadline_ms;
    const char *webhook_secrets;
    int64_t webhook_attempts, webhook_backoff_ms, webhook_time_ms;
    struct target_policy target, fetch;
    int64_t fetch_max_bytes, fetch_time_ms;
    int log;
};

struct crew {
    struct station station;
    struct jobq_worker *worker;
    pthread_t thread;
    int running;
    int status;
};

/* ---- options --------------------------------------------------------------------------------- */

static int set_threads(struct worker_options *out, const char *part, const char *count)
{
    int64_t value = 0;
    int which = part ? part_by_name(part) : -1;

    if (part && which < 0)
        return program_die(EXIT_USAGE, "-j: there is no part of this name: %s", part);
    if (program_number("-j", count, part ? 0 : 1, THREADS_MOST, &value) != 0)
        return EXIT_USAGE;
    for (int i = 0; i < part_end; i++)
        if (part ? i == which : i >= PART_FIRST_STEP) {
            out->threads[i] = value;
            out->named[i] = part != NULL;
        }
    return 0;
}

static int parse_threads(struct worker_options *out, char *text)
{
    char *rest = NULL;
    int status = 0;

    for (char *item = strtok_r(text, ",", &rest); item && status == 0; item = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(item, '=');
        if (equals)
            *equals = '\0';
        status = set_threads(out, equals ? item : NULL, equals ? equals + 1 : item);
    }
    return status;
}

/* "URL", of the two that no program of ours does, "PART=URL" or "PART=queue". */
static int set_service(struct worker_options *out, char *text)
{
    char *equals = strchr(text, '=');
    const char *scheme = strstr(text, "://");
    int part;

    if (!equals || (scheme && scheme < equals)) {
        out->services[PART_FACE] = out->services[PART_GESTURE] = text;
        return 0;
    }
    *equals = '\0';
    part = part_by_name(text);
    if (part < PART_FIRST_STEP)
        return program_die(EXIT_USAGE, "--services: there is no step of this name: %s", text);
    out->services[part] = equals + 1;
    return 0;
}

static int has_service(const struct worker_options *options)
{
    for (int part = 0; part < part_end; part++)
        if (options->services[part] && strcmp(options->services[part], SERVICE_QUEUE) != 0)
            return 1;
    return 0;
}

static int open_target(struct target_policy *policy, const char *option)
{
    const char *problem = target_open(policy, optarg);

    return problem ? program_die(EXIT_USAGE, "%s %s: %s", option, optarg, problem) : 0;
}

static int parse_fetch(int option, struct worker_options *out)
{
    switch (option) {
    case 'F':
        if (out->threads[PART_FETCH] == 0)
            out->threads[PART_FETCH] = FETCH_THREADS;
        return 0;
    case 'X':
        return open_target(&out->fetch, "--fetch-allow");
    case 'Y':
        out->fetch.http = 1;
        return 0;
    case 'Z':
        return program_number("--fetch-max-bytes", optarg, 1, INT64_C(1) << 40, &out->fetch_max_bytes);
    case 'T':
        return program_number("--fetch-time", optarg, 1, 840000, &out->fetch_time_ms);
    default:
        fputs(usage_text, stderr);
        return EXIT_USAGE;
    }
}

static int parse_target(int option, struct worker_options *out)
{

    switch (option) {
    case 'W':
        out->webhook_secrets = optarg;
        return 0;
    case 'A':
        return program_number("--webhook-attempts", optarg, 1, 65535, &out->webhook_attempts);
    case 'B':
        return program_number("--webhook-backoff", optarg, 0, 3600000, &out->webhook_backoff_ms);
    case 'I':
        return program_number("--webhook-time", optarg, 1, 45000, &out->webhook_time_ms);
    case 'L':
        out->log = 1;
        return 0;
    case 'H':
        out->target.http = 1;
        return 0;
    case 'N':
        return open_target(&out->target, "--callback-allow");
    default:
        return parse_fetch(option, out);
    }
}

static int parse_option(int option, struct worker_options *out)
{
    switch (option) {
    case 's':
        out->store = optarg;
        return 0;
    case 'm':
        out->media = optarg;
        return 0;
    case 'u':
        return set_service(out, optarg);
    case 'S':
        out->secrets = optarg;
        return 0;
    case 'c':
        out->callback = optarg;
        return 0;
    case 'p':
        out->step = optarg;
        return 0;
    case 'M':
        out->model = optarg;
        return 0;
    case 'P': /* parse_steps */
        return 0;
    case 'j':
        return parse_threads(out, optarg);
    case 'l':
        return program_number("--lease", optarg, 300, 86400000, &out->lease_ms);
    case 'g':
        return program_number("--grace", optarg, 0, 3600000, &out->grace_ms);
    case 'a':
        return program_number("--attempts", optarg, 1, 65535, &out->attempts);
    case 'b':
        return program_number("--backoff", optarg, 0, 3600000, &out->backoff_ms);
    case 'd':
        return program_number("--callback-deadline", optarg, 1, 86400000, &out->deadline_ms);
    default:
        return parse_target(option, out);
    }
}

static void set_defaults(struct worker_options *out)
{
    *out = (struct worker_options){.callback = CALLBACK_DEFAULT,
                                   .lease_ms = 30000,
                                   .grace_ms = 5000,
                                   .attempts = 3,
                                   .backoff_ms = 2000,
                                   .webhook_attempts = 8,
                                   .webhook_backoff_ms = 5000,
                                   .webhook_time_ms = 15000,
                                   .fetch = {.fetch = 1},
                                   .fetch_max_bytes = INT64_C(1) << 30,
                                   .fetch_time_ms = 600000};
    for (int i = 0; i < part_end; i++)
        out->threads[i] = (int64_t)parts[i].threads;
}

/* Of the steps added: what they are called must be known before other options speak of them. Whatever else is
 * wrong with the options is said when they are read. */
static int parse_steps(int argc, char **argv, const struct option *options)
{
    char why[STEP_WHY_BYTES];
    int option, status = 0;

    opterr = 0;
    while (status == 0 && (option = getopt_long(argc, argv, "hj:", options, NULL)) != -1)
        if (option == 'P' && steps_add(optarg, why) != 0)
            status = program_die(EXIT_USAGE, "--step %s: %s", optarg, why);
    opterr = 1;
    optind = 0; /* from the beginning */
    return status;
}

static int check_step(struct worker_options *options, int part)
{
    const char *program = parts[part].program;

    if (program && access(program, X_OK) != 0)
        return program_die(EXIT_USAGE, "--step %s: program: %s: %s", parts[part].name, program,
                           strerror(errno));
    if (program || options->services[part])
        return 0;
    if (options->named[part] && options->threads[part] > 0)
        return program_die(EXIT_USAGE, "-j %s=%lld: this worker has no program and no service for the step",
                           parts[part].name, (long long)options->threads[part]);
    options->threads[part] = 0;
    return 0;
}

/* The added steps: what this worker can do, and leaves to others. */
static int check_steps(struct worker_options *options)
{
    int status = 0;

    for (int part = PART_KNOWN; part < part_end && status == 0; part++)
        status = check_step(options, part);
    return status;
}

/* Returns 0, or the exit status plus 1. */
static int parse(int argc, char **argv, struct worker_options *out)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},
        {"media", required_argument, NULL, 'm'},
        {"services", required_argument, NULL, 'u'},
        {"secret-file", required_argument, NULL, 'S'},
        {"callback-url", required_argument, NULL, 'c'},
        {"callback-deadline", required_argument, NULL, 'd'},
        {"emotion-model", required_argument, NULL, 'M'},
        {"jobs", required_argument, NULL, 'j'},
        {"lease", required_argument, NULL, 'l'},
        {"grace", required_argument, NULL, 'g'},
        {"attempts", required_argument, NULL, 'a'},
        {"backoff", required_argument, NULL, 'b'},
        {"step-command", required_argument, NULL, 'p'},
        {"webhook-secrets", required_argument, NULL, 'W'},
        {"webhook-attempts", required_argument, NULL, 'A'},
        {"webhook-backoff", required_argument, NULL, 'B'},
        {"webhook-time", required_argument, NULL, 'I'},
        {"callback-allow", required_argument, NULL, 'N'},
        {"callback-http", no_argument, NULL, 'H'},
        {"allow-fetch", no_argument, NULL, 'F'},
        {"fetch-allow", required_argument, NULL, 'X'},
        {"fetch-http", no_argument, NULL, 'Y'},
        {"fetch-max-bytes", required_argument, NULL, 'Z'},
        {"fetch-time", required_argument, NULL, 'T'},
        {"step", required_argument, NULL, 'P'},
        {"log", no_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status;

    if (parse_steps(argc, argv, options) != 0)
        return EXIT_USAGE + 1;
    set_defaults(out);
    while ((option = getopt_long(argc, argv, "hj:", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage_text, stdout);
            return EXIT_DONE + 1;
        }
        status = parse_option(option, out);
        if (status != 0)
            return status + 1;
    }
    if (optind < argc)
        return 1 + program_die(EXIT_USAGE, "worker takes no operand: %s", argv[optind]);
    if (!out->store || !out->media)
        return 1 + program_die(EXIT_USAGE, "worker needs --store and --media");
    if (has_service(out) && !out->secrets)
        return 1 + program_die(EXIT_USAGE, "--services needs --secret-file: what services say is signed");
    return check_steps(out) == 0 ? 0 : EXIT_USAGE + 1;
}

/* ---- where the step's program is ------------------------------------------------------------- */

static int is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* As installed, or as built and not installed yet: beside or below the folder of our own program. */
static int find_step_program(const struct worker_options *options, char out[PATH_MAX])
{
    static const char *const near[] = {"/jobq-video-step", "/analysis/jobq-video-step",
                                       "/../libexec/jobq-video/jobq-video-step"};
    char self[PATH_MAX - 64];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (options->step) {
        if (realpath(options->step, out) && is_program(out))
            return 0;
        return program_die(EXIT_USAGE, "--step-command %s: there is no such program", options->step);
    }
    self[size > 0 ? size : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; slash && i < sizeof(near) / sizeof(near[0]); i++) {
        snprintf(out, PATH_MAX, "%s%s", self, near[i]);
        if (is_program(out))
            return 0;
    }
    snprintf(out, PATH_MAX, "%s/jobq-video-step", VIDEO_LIBEXEC);
    return is_program(out)
               ? 0
               : program_die(EXIT_FAILED, "jobq-video-step is not beside this program and not in %s",
                             VIDEO_LIBEXEC);
}

/* ---- the crew -------------------------------------------------------------------------------- */

static jobq_handler handler_of(const struct work *work, int part)
{
    if (work->services[part])
        return handle_service;
    switch (parts[part].runs) {
    case RUNS_PROBE:
        return handle_probe;
    case RUNS_REPORT:
        return handle_report;
    case RUNS_SERVICE:
        return handle_service;
    case RUNS_NOTIFY:
        return handle_notify;
    case RUNS_WEBHOOK:
        return handle_webhook;
    case RUNS_RESULTS:
        return handle_results;
    case RUNS_FETCH:
        return handle_fetch;
    default:
        return handle_child;
    }
}

static int create_worker(struct crew *crew, struct jobq *q, const struct worker_options *options)
{
    const struct part_info *part = &parts[crew->station.part];
    struct jobq_worker_options settings = {
        .size = sizeof(settings),
        .queues = &part->queue,
        .queue_count = 1,
        .threads = (size_t)options->threads[crew->station.part],
        .lease_ms = options->lease_ms,
        .grace_ms = options->grace_ms + GRACE_RESERVE_MS,
        .flags = JOBQ_WORKER_NO_BATCH,
    };
    int status = jobq_worker_create(&crew->worker, q, &settings);

    if (status == JOBQ_OK)
        status = jobq_worker_handle(crew->worker, part->queue,
                                    handler_of(crew->station.work, crew->station.part), &crew->station);
    return status;
}

/* A part that cannot work any more ends the process, so that whoever looks after it notices. */
static void *run_worker(void *user)
{
    struct crew *crew = user;

    crew->status = jobq_worker_run(crew->worker);
    if (crew->status < 0) {
        program_die(0, "%s: %s", parts[crew->station.part].name, jobq_last_error()->text);
        kill(getpid(), SIGTERM);
    }
    return NULL;
}

static int start_crew(struct crew *crew, const struct work *work, const struct worker_options *options)
{
    for (int i = 0; i < part_end; i++) {
        crew[i].station = (struct station){.work = work, .part = i};
        if (options->threads[i] > 0 && create_worker(&crew[i], work->q, options) != JOBQ_OK)
            return program_die(EXIT_FAILED, "%s: %s", parts[i].name, jobq_last_error()->text);
    }
    for (int i = 0; i < part_end; i++) {
        if (!crew[i].worker)
            continue;
        if (pthread_create(&crew[i].thread, NULL, run_worker, &crew[i]) != 0)
            return program_die(EXIT_FAILED, "no thread for %s", parts[i].name);
        crew[i].running = 1;
    }
    return 0;
}

static int end_crew(struct crew *crew)
{
    int status = 0;

    for (int i = 0; i < part_end; i++)
        if (crew[i].worker)
            jobq_worker_stop(crew[i].worker);
    for (int i = 0; i < part_end; i++) {
        if (crew[i].running)
            pthread_join(crew[i].thread, NULL);
        if (crew[i].status < 0)
            status = EXIT_FAILED;
        jobq_worker_destroy(crew[i].worker);
    }
    return status;
}

static void say_ready(const struct worker_options *options)
{
    printf("working:");
    for (int i = 0; i < part_end; i++)
        printf(" %s %lld", parts[i].name, (long long)options->threads[i]);
    printf("\n");
    fflush(stdout);
}

static int work_on(struct work *work, const struct worker_options *options)
{
    struct crew crew[PARTS_MOST] = {{.status = 0}};
    sigset_t signals;
    int status, ended;

    program_block_signals(&signals);
    work->watch = watch_create(options->grace_ms);
    if (!work->watch)
        return program_die(EXIT_FAILED, "no memory or no thread to watch with");
    status = start_crew(crew, work, options);
    if (status == 0) {
        say_ready(options);
        program_wait(&signals);
    }
    ended = end_crew(crew);
    watch_destroy(work->watch);
    return status ? status : ended;
}

int worker_main(int argc, char **argv)
{
    struct worker_options options;
    char step[PATH_MAX];
    struct secret secret = {.count = 0};
    struct model model;
    struct work work = {.step_program = step};
    const char *why = NULL;
    int status = parse(argc, argv, &options);

    if (status != 0)
        return status - 1;
    status = find_step_program(&options, step);
    if (status == 0 && options.secrets && (why = secret_read(&secret, options.secrets)))
        status = program_die(EXIT_USAGE, "--secret-file %s: %s", options.secrets, why);
    if (status == 0 && options.model && (why = model_read(&model, options.model)))
        status = program_die(EXIT_USAGE, "--emotion-model %s: %s", options.model, why);
    if (status != 0)
        return status;
    if (folder_open(&work.folder, options.media) != 0)
        return program_die(EXIT_USAGE, "--media %s: %s", options.media, strerror(errno));
    work.model = options.model ? &model : NULL;
    memcpy(work.services, options.services, sizeof(work.services));
    work.callback = options.callback;
    work.secret = options.secrets ? &secret : NULL;
    work.deadline_ms = options.deadline_ms;
    work.webhook_secrets = options.webhook_secrets;
    work.webhook_attempts = (int32_t)options.webhook_attempts;
    work.webhook_backoff_ms = options.webhook_backoff_ms;
    work.webhook_time_ms = options.webhook_time_ms;
    work.target = options.target;
    work.fetch = options.fetch;
    work.fetch_max_bytes = options.fetch_max_bytes;
    work.fetch_time_ms = options.fetch_time_ms;
    work.policy =
        (struct plan_policy){(int32_t)options.attempts, options.backoff_ms, work.model ? model.sha256 : NULL};
    status = store_open(&work.q, options.store, 0, &why);
    if (status < 0)
        status = program_die(status == JOBQ_INVALID ? EXIT_USAGE : EXIT_STORE, "--store: %s", why);
    else if (options.log && log_jobs(work.q) != JOBQ_OK)
        status = program_die(EXIT_FAILED, "--log: %s", jobq_last_error()->text);
    else
        status = work_on(&work, &options);
    jobq_close(work.q);
    folder_close(&work.folder);
    return status;
}
