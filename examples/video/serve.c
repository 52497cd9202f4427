/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alarm.h"
#include "board.h"
#include "commands.h"
#include "gather.h"
#include "log.h"
#include "program.h"
#include "request.h"
#include "steps.h"
#include "store.h"

#define LISTEN_DEFAULT     "127.0.0.1:8080"
#define EVENTS_DEFAULT     100000
#define ALERT_EVERY_MS     15000
#define CALLBACK_MAX_BYTES (STEP_RESULT_MAX_BYTES + 65536)

static const char usage_text[] =
    "usage: jobq-video serve --store URI --media DIR [OPTIONS]\n"
    "  --store URI         the queue's store, as sqlite:FILE; @FILE reads the URI from a file\n"
    "  --media DIR         videos are read below this folder and nowhere else\n"
    "  --listen ADDR:PORT  default " LISTEN_DEFAULT "; port 0 takes a free one\n"
    "  --token-file FILE   a line for each token: ROLE TENANT SHA256-HEX (viewer, operator, admin; tenant\n"
    "                      * for all); without it everybody on this machine may start and read, and\n"
    "                      nobody else\n"
    "  --secret-file FILE  keys of the services' callbacks, one whsec_... a line, mode 0600; without it\n"
    "                      callbacks are refused\n"
    "  --callback-allow NET  a callbackUrl may name these addresses too, as 10.1.0.0/16; several times;\n"
    "                      the workers need the same\n"
    "  --callback-http     a callbackUrl may be http: too; likewise\n"
    "  --allow-fetch       a videoUrl may be https:, of the public internet; it is fetched by a worker that "
    "has\n"
    "                      the same option\n"
    "  --fetch-allow NET   and of these addresses too, as 10.1.0.0/16; several times; the workers need the "
    "same\n"
    "  --fetch-http        and http: too; likewise\n"
    "  --events N          keep the newest N events of the store (default 100000; 0 leaves it as it is);\n"
    "                      whoever waits for a result is answered later when none are kept\n"
    "  --audit-log FILE    who did what by the dashboard, appended a line of JSON each; stderr without it\n"
    "  --step NAME,...     a step that was added: as of the workers, which see; several times\n"
    "  --log               what is done with each job, a line of JSON on standard error\n"
    "  --alert PROGRAM     run when something is wrong with a queue, and when it is right again, with one "
    "JSON\n"
    "                      object on standard input\n"
    "  --alert-slow MS     of an attempt on average; longer is an alert (default 10000)\n"
    "  --alert-every MS    how often is looked (default 15000)\n"
    "  --io-timeout MS     how long the store may take before a request is answered 503 (default 10000)\n"
    "Runs until SIGINT or SIGTERM.\n";

struct serve_options {
    char *store, *media, *listen, *tokens, *secrets, *audit;
    int64_t io_timeout_ms, events;
    struct alarm_options alarm;
    char alarm_program[PATH_MAX];
    struct target_policy target, fetch;
    int log, allow_fetch;
};

static const struct http_route routes[] = {
    {"POST", "/analysis/start", REQUEST_BODY_MAX_BYTES, route_start, 0},
    {"GET", "/analysis/result/", 0, route_result, 0},
    {"POST", "/callback/", CALLBACK_MAX_BYTES, route_callback, 0},
    {NULL, NULL, 0, NULL, 0},
};

/* What an option does with its value. Returns 0 or EXIT_USAGE. */
static int take_io_timeout(struct serve_options *out)
{
    return program_number("--io-timeout", optarg, 100, 600000, &out->io_timeout_ms);
}

static int take_events(struct serve_options *out)
{
    return program_number("--events", optarg, 0, 100000000, &out->events);
}

static int take_alert(struct serve_options *out)
{
    if (!realpath(optarg, out->alarm_program) || access(out->alarm_program, X_OK) != 0)
        return program_die(EXIT_USAGE, "--alert %s: there is no such program", optarg);
    return 0;
}

static int take_alert_slow(struct serve_options *out)
{
    return program_number("--alert-slow", optarg, 1, 86400000, &out->alarm.slow_ms);
}

static int take_alert_every(struct serve_options *out)
{
    return program_number("--alert-every", optarg, 100, 3600000, &out->alarm.every_ms);
}

static int take_step(struct serve_options *out)
{
    char why[STEP_WHY_BYTES];

    (void)out;
    return steps_add(optarg, why) == 0 ? 0 : program_die(EXIT_USAGE, "--step %s: %s", optarg, why);
}

static int take_net(struct target_policy *policy, const char *option)
{
    const char *problem = target_open(policy, optarg);

    return problem ? program_die(EXIT_USAGE, "%s %s: %s", option, optarg, problem) : 0;
}

static int take_callback_allow(struct serve_options *out)
{
    return take_net(&out->target, "--callback-allow");
}

static int take_fetch_allow(struct serve_options *out)
{
    return take_net(&out->fetch, "--fetch-allow");
}

/* Each option is a text, a flag or what its function makes of it. */
static const struct taken {
    const char *name;
    size_t text, flag; /* where it goes; no flag is at the beginning, so 0 is none */
    int (*take)(struct serve_options *out);
} taken[] = {
#define TEXT(member)   offsetof(struct serve_options, member), 0, NULL
#define FLAG(member)   0, offsetof(struct serve_options, member), NULL
#define CALL(function) 0, 0, function
    {"store", TEXT(store)},
    {"media", TEXT(media)},
    {"listen", TEXT(listen)},
    {"token-file", TEXT(tokens)},
    {"secret-file", TEXT(secrets)},
    {"audit-log", TEXT(audit)},
    {"log", FLAG(log)},
    {"callback-http", FLAG(target.http)},
    {"allow-fetch", FLAG(allow_fetch)},
    {"fetch-http", FLAG(fetch.http)},
    {"callback-allow", CALL(take_callback_allow)},
    {"fetch-allow", CALL(take_fetch_allow)},
    {"alert", CALL(take_alert)},
    {"alert-slow", CALL(take_alert_slow)},
    {"alert-every", CALL(take_alert_every)},
    {"io-timeout", CALL(take_io_timeout)},
    {"events", CALL(take_events)},
    {"step", CALL(take_step)},
};
#define TAKEN (sizeof(taken) / sizeof(taken[0]))

static int take(const struct taken *one, struct serve_options *out)
{
    char *base = (char *)out;

    if (one->take)
        return one->take(out);
    if (one->flag)
        *(int *)(void *)(base + one->flag) = 1;
    else
        *(char **)(void *)(base + one->text) = optarg;
    return 0;
}

/* getopt's own table; behind ours --help, which begins with another number. */
static void fill(struct option options[TAKEN + 2])
{
    for (size_t i = 0; i < TAKEN; i++)
        options[i] = (struct option){taken[i].name, taken[i].flag ? no_argument : required_argument, NULL,
                                     256 + (int)i};
    options[TAKEN] = (struct option){"help", no_argument, NULL, 'h'};
    options[TAKEN + 1] = (struct option){NULL, 0, NULL, 0};
}

/* Returns 0, or the exit status plus 1. */
static int parse(int argc, char **argv, struct serve_options *out)
{
    static char listen[] = LISTEN_DEFAULT;
    struct option options[TAKEN + 2];
    int option;

    fill(options);
    *out = (struct serve_options){.listen = listen,
                                  .io_timeout_ms = 10000,
                                  .events = EVENTS_DEFAULT,
                                  .fetch = {.fetch = 1},
                                  .alarm = {.every_ms = ALERT_EVERY_MS}};
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage_text, stdout);
            return EXIT_DONE + 1;
        }
        if (option == '?') {
            fputs(usage_text, stderr);
            return EXIT_USAGE + 1;
        }
        if (take(&taken[option - 256], out) != 0)
            return EXIT_USAGE + 1;
    }
    if (optind == argc && out->store && out->media)
        return 0;
    program_die(0, optind < argc ? "serve takes no operand: %s" : "serve needs --store and --media%s",
                optind < argc ? argv[optind] : "");
    fputs(usage_text, stderr);
    return EXIT_USAGE + 1;
}

static int read_files(const struct serve_options *options, struct auth *auth, struct secret *secret,
                      struct serve *serve)
{
    const char *problem;
    int line = 0;

    if (options->tokens && (problem = auth_read(auth, options->tokens, &line)))
        return program_die(EXIT_USAGE, "--token-file %s, line %d: %s", options->tokens, line, problem);
    if (options->secrets && (problem = secret_read(secret, options->secrets)))
        return program_die(EXIT_USAGE, "--secret-file %s: %s", options->secrets, problem);
    serve->target = options->target;
    serve->log = options->log;
    serve->fetch = options->fetch;
    serve->allow_fetch = options->allow_fetch;
    serve->auth = options->tokens ? auth : NULL;
    serve->secret = options->secrets ? secret : NULL;
    return 0;
}

static int check_listen(const struct serve_options *options)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    const char *why = "";

    if (http_parse_address(options->listen, &address, &size, &why) != 0)
        return program_die(EXIT_USAGE, "--listen %s: %s", options->listen, why);
    if (!options->tokens && !http_is_loopback(&address))
        return program_die(EXIT_USAGE,
                           "--listen %s: without --token-file only an address of this machine alone is "
                           "taken, as 127.0.0.1",
                           options->listen);
    return 0;
}

static int run(const struct serve_options *options, struct serve *serve, struct board *board)
{
    struct http_mount mounts[BOARD_MOUNTS + 2] = {{"", routes, serve}};
    const struct http_options http = {
        .listen = options->listen, .mounts = mounts, .open = serve->auth == NULL};
    const char *why = "";
    struct alarm_options look = options->alarm;
    struct http_server *server;
    struct alarm *alarm = NULL;
    sigset_t signals;
    int status;

    program_block_signals(&signals);
    look.program = options->alarm_program;
    board_mounts(board, mounts + 1);
    server = http_start(&http, &why);
    if (!server)
        return program_die(EXIT_FAILED, "--listen %s: %s", options->listen, why);
    if (pulse_start(serve->pulse, server) == 0 && gather_start(serve->gather, server) == 0 &&
        board_start(board, server) == 0 &&
        (!*look.program || (alarm = alarm_start(serve->q, &look)) != NULL)) {
        printf("listening on http://%s\n", http_address(server));
        fflush(stdout);
        program_wait(&signals);
        status = EXIT_DONE;
    } else {
        status = program_die(EXIT_FAILED, "no thread for those who wait");
    }
    alarm_stop(alarm);
    board_stop(board);
    pulse_stop(serve->pulse);
    gather_hush(serve->gather);
    http_stop(server);
    gather_stop(serve->gather);
    return status;
}

/* Without them everything works, later; a store that cannot be written now will say so to those who ask. */
static void keep_events(struct jobq *q, int64_t count)
{
    if (count > 0 && jobq_events_keep(q, count) != JOBQ_OK)
        program_die(0, "no events are kept: %s", jobq_last_error()->text);
}

static int open_store(const struct serve_options *options, struct serve *serve, const char **why)
{
    char *store = strdup(options->store);
    int status = JOBQ_NOMEM;

    *why = "out of memory";
    if (!store)
        return status;
    status = store_open(&serve->q, options->store, options->io_timeout_ms, why);
    if (status >= 0)
        status = handles_open(serve->handles, store, options->io_timeout_ms, why);
    for (size_t i = 0; i < HTTP_THREADS && status >= 0 && options->log; i++)
        status = log_jobs(serve->handles->q[i]);
    if (status >= 0 && options->log)
        status = log_jobs(serve->handles->put);
    explicit_bzero(store, strlen(store));
    free(store);
    return status;
}

static int open_and_run(const struct serve_options *options, struct serve *serve)
{
    struct board *board = NULL;
    const char *why = "";
    int status;

    if (folder_open(&serve->folder, options->media) != 0)
        return program_die(EXIT_USAGE, "--media %s: %s", options->media, strerror(errno));
    status = open_store(options, serve, &why);
    if (status < 0)
        status = program_die(status == JOBQ_INVALID ? EXIT_USAGE : EXIT_STORE, "--store: %s", why);
    else if (!(serve->live = live_create()) || !(serve->pulse = pulse_create(serve->q)) ||
             !(serve->gather = gather_create(serve->handles->put)))
        status = program_die(EXIT_FAILED, "out of memory");
    else if (!(board = board_create(serve, options->audit, &why)))
        status = program_die(EXIT_USAGE, "--audit-log: %s", why);
    else {
        keep_events(serve->q, options->events);
        status = run(options, serve, board);
    }
    board_destroy(board);
    gather_destroy(serve->gather);
    pulse_destroy(serve->pulse);
    live_destroy(serve->live);
    handles_close(serve->handles);
    jobq_close(serve->q);
    folder_close(&serve->folder);
    return status;
}

int serve_main(int argc, char **argv)
{
    struct serve_options options;
    struct handles handles = {.next = 0};
    struct serve serve = {.folder = {.fd = -1}, .handles = &handles};
    struct secret secret = {.count = 0};
    struct auth auth = {.count = 0};
    int status = parse(argc, argv, &options);

    if (status != 0)
        return status - 1;
    status = check_listen(&options);
    if (status == 0)
        status = read_files(&options, &auth, &secret, &serve);
    if (status == 0)
        status = open_and_run(&options, &serve);
    auth_free(&auth);
    return status;
}
