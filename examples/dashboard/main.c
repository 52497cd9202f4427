/* SPDX-License-Identifier: MIT */
/* jobq-dashboard: look at any store, and after it, with a browser. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dashboard.h"
#include "program.h"
#include "store.h"
#include "text.h"

#define LISTEN_DEFAULT "127.0.0.1:8090"
#define PREFIX_LETTERS "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

const char program_name[] = "jobq-dashboard";

static const char usage_text[] =
    "usage: jobq-dashboard [-s URI] [OPTIONS]\n"
    "  -s, --store URI        the store, as sqlite:FILE; @FILE reads the URI from a file; $JOBQ_STORE and\n"
    "                         $JOBQ_STORE_FILE do the same\n"
    "  --listen ADDR:PORT     default " LISTEN_DEFAULT "; port 0 takes a free one\n"
    "  --token-file FILE      a line for each token: ROLE TENANT SHA256-HEX (viewer, operator, admin; "
    "tenant\n"
    "                         * for all); without it counts are open on this machine and all else is closed\n"
    "  --prefix PATH          where the endpoints are, " DASH_PREFIX " by default\n"
    "  --audit-log FILE       who did what, appended a line of JSON each; stderr without it\n"
    "  --column NAME=POINTER  a column of the table of jobs out of JSON payloads, as video=/videoPath\n"
    "  --step-queue QUEUE     its jobs are steps of others and not counted by stats, health and jobs\n"
    "  --webhook-queue QUEUE  its jobs are deliveries of webhooks\n"
    "  --mask                 payloads are hidden until somebody asks for them\n"
    "  --secure-cookie        browsers come over https\n"
    "  --interval MS          between two looks at the store while somebody looks (default 2000)\n"
    "  --io-timeout MS        how long the store may take before a request is answered 503 (default 10000)\n"
    "  --paths                say what is at which path, and who may do it\n"
    "Runs until SIGINT or SIGTERM.\n";

struct arguments {
    char *store;
    const char *listen, *tokens;
    int64_t io_timeout_ms;
    struct dash_options dash;
};

static void show_paths(void)
{
    static const char *const roles[] = {"open", "viewer", "operator", "admin"};

    for (const struct dash_path *path = dash_paths; path->method; path++)
        printf("%s %s%s%s %s%s\n", path->method, *path->path == '/' ? "" : DASH_PREFIX,
               *path->path == '/' ? "" : "/", path->path, roles[path->least], path->whole ? " whole" : "");
    for (const struct dash_verb *verb = dash_verbs; verb->name; verb++)
        printf("verb %s %s%s\n", verb->name, roles[verb->least], verb->whole ? " whole" : "");
}

/* NAME=POINTER, or a queue. Returns 0 or EXIT_USAGE. */
static int take_listed(struct dash_options *dash, int option, char *text)
{
    char *pointer = strchr(text, '=');

    if (option == 'q') {
        if (dash->step_count == DASH_QUEUES_MOST)
            return program_die(EXIT_USAGE, "--step-queue: at most %d", DASH_QUEUES_MOST);
        dash->steps[dash->step_count++].queue = text;
        return 0;
    }
    if (!pointer || pointer[1] != '/' || pointer == text || dash->column_count == DASH_COLUMNS_MOST)
        return program_die(EXIT_USAGE, "--column: as video=/videoPath, at most %d", DASH_COLUMNS_MOST);
    *pointer = '\0';
    dash->columns[dash->column_count++] = (struct dash_column){text, pointer + 1};
    return 0;
}

static int take_option(struct arguments *out, int option)
{
    switch (option) {
    case 's':
        out->store = optarg;
        return 0;
    case 'l':
        out->listen = optarg;
        return 0;
    case 't':
        out->tokens = optarg;
        return 0;
    case 'p':
        out->dash.prefix = optarg;
        return *optarg == '/' && optarg[strlen(optarg) - 1] != '/' && !optarg[strspn(optarg, PREFIX_LETTERS)]
                   ? 0
                   : program_die(EXIT_USAGE, "--prefix: it begins with a slash, does not end in one and has "
                                             "letters, digits, '-', '_' and '.' only");
    case 'a':
        out->dash.audit_file = optarg;
        return 0;
    case 'c':
    case 'q':
        return take_listed(&out->dash, option, optarg);
    case 'w':
        out->dash.webhook_queue = optarg;
        return 0;
    case 'm':
        out->dash.mask = 1;
        return 0;
    case 'S':
        out->dash.secure_cookie = 1;
        return 0;
    case 'i':
        return program_number("--interval", optarg, 100, 600000, &out->dash.interval_ms);
    case 'I':
        return program_number("--io-timeout", optarg, 100, 600000, &out->io_timeout_ms);
    default:
        fputs(usage_text, stderr);
        return EXIT_USAGE;
    }
}

/* Returns 0, or the exit status plus 1. */
static int parse(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},
        {"listen", required_argument, NULL, 'l'},
        {"token-file", required_argument, NULL, 't'},
        {"prefix", required_argument, NULL, 'p'},
        {"audit-log", required_argument, NULL, 'a'},
        {"column", required_argument, NULL, 'c'},
        {"step-queue", required_argument, NULL, 'q'},
        {"webhook-queue", required_argument, NULL, 'w'},
        {"mask", no_argument, NULL, 'm'},
        {"secure-cookie", no_argument, NULL, 'S'},
        {"interval", required_argument, NULL, 'i'},
        {"io-timeout", required_argument, NULL, 'I'},
        {"paths", no_argument, NULL, 'P'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int option, status;

    *out = (struct arguments){.listen = LISTEN_DEFAULT, .io_timeout_ms = 10000};
    while ((option = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
        if (option == 'h')
            fputs(usage_text, stdout);
        else if (option == 'P')
            show_paths();
        else if (option == 'V')
            printf("%s %s\n", program_name, jobq_version());
        else if ((status = take_option(out, option)) != 0)
            return status + 1;
        else
            continue;
        return EXIT_DONE + 1;
    }
    if (optind < argc)
        return program_die(EXIT_USAGE, "it takes no operand: %s", argv[optind]) + 1;
    return 0;
}

/* From the option, else from the environment. Owned by the caller: free. */
static char *store_name(const struct arguments *arguments)
{
    const char *uri = getenv("JOBQ_STORE"), *file = getenv("JOBQ_STORE_FILE");
    char *name = NULL;

    if (!arguments->store && !(uri && *uri) && file && *file) {
        if (asprintf(&name, "@%s", file) < 0)
            return NULL;
        return name;
    }
    return uri && *uri ? strdup(uri) : NULL;
}

static int serve(const struct arguments *arguments, struct dash *dash)
{
    struct http_mount mounts[3] = {{NULL, NULL, NULL}};
    const struct http_options http = {
        .listen = arguments->listen, .mounts = mounts, .open = arguments->dash.auth == NULL};
    const char *why = "";
    struct http_server *server;
    sigset_t signals;

    program_block_signals(&signals);
    dash_mounts(dash, mounts);
    server = http_start(&http, &why);
    if (!server)
        return program_die(EXIT_FAILED, "--listen %s: %s", arguments->listen, why);
    if (dash_start(dash, server) != 0) {
        http_stop(server);
        return program_die(EXIT_FAILED, "no thread can be started");
    }
    printf("listening on http://%s\n", http_address(server));
    fflush(stdout);
    program_wait(&signals);
    dash_stop(dash);
    http_stop(server);
    return EXIT_DONE;
}

static int open_and_serve(struct arguments *arguments)
{
    const char *why = "";
    char *named = store_name(arguments), *store = arguments->store ? arguments->store : named;
    struct dash *dash;
    int status;

    if (!store)
        return program_die(EXIT_USAGE, "which store? -s URI or $JOBQ_STORE");
    status = store_open_existing(&arguments->dash.q, store, arguments->io_timeout_ms, &why);
    if (status < 0) {
        status = program_die(status == JOBQ_INVALID ? EXIT_USAGE : EXIT_STORE, "--store: %s", why);
    } else if (!(dash = dash_create(&arguments->dash, &why))) {
        status = program_die(EXIT_USAGE, "--audit-log: %s", why);
    } else {
        status = serve(arguments, dash);
        dash_destroy(dash);
    }
    jobq_close(arguments->dash.q);
    free(named);
    return status;
}

static int check_listen(const struct arguments *arguments)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    const char *why = "";

    if (http_parse_address(arguments->listen, &address, &size, &why) != 0)
        return program_die(EXIT_USAGE, "--listen %s: %s", arguments->listen, why);
    if (!arguments->tokens && !http_is_loopback(&address))
        return program_die(
            EXIT_USAGE,
            "--listen %s: without --token-file only an address of this machine alone is taken, as "
            "127.0.0.1",
            arguments->listen);
    return 0;
}

int main(int argc, char **argv)
{
    struct auth auth = {.count = 0};
    struct arguments arguments;
    const char *problem;
    int line = 0, status = parse(argc, argv, &arguments);

    if (status != 0)
        return status - 1;
    status = check_listen(&arguments);
    if (status == 0 && arguments.tokens && (problem = auth_read(&auth, arguments.tokens, &line)))
        status = program_die(EXIT_USAGE, "--token-file %s, line %d: %s", arguments.tokens, line, problem);
    if (status == 0) {
        arguments.dash.auth = arguments.tokens ? &auth : NULL;
        status = open_and_serve(&arguments);
    }
    auth_free(&auth);
    return status;
}
