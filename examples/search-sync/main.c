/* SPDX-License-Identifier: MIT */
/* jobq-search-sync: takes the changes that an outbox put into the queue and keeps a search index equal to the
 * tables. */
#include <curl/curl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "program.h"
#include "serve.h"
#include "store.h"

const char program_name[] = "jobq-search-sync";

static const char usage_text[] =
    "usage: jobq-search-sync [-s URI] [--index URL] [OPTIONS]\n"
    "  -s, --store URI      the store, as postgres:///shop; @FILE reads the URI from a file; or $JOBQ_STORE\n"
    "  --index URL          Elasticsearch, OpenSearch or jobq-search-index; or $ELASTICSEARCH_URL\n"
    "                       (http://127.0.0.1:9200)\n"
    "  --queue QUEUE        that the outbox puts into (elasticsearch)\n"
    "  --batch N            changes in one request, 1 to 100 (10)\n"
    "  --lease MS           after so long the batch of a dead process is taken back (30000)\n"
    "  --poll MS            longest time without looking for changes (5000)\n"
    "  --pause MS           first wait for an index that cannot be reached; grows to thirty times as much "
    "(1000)\n"
    "  --health-every MS    between two looks at the queue (15000)\n"
    "  --timeout MS         of a request to the index (60000)\n"
    "  --listen ADDR:PORT   the door (127.0.0.1:3002); --no-http: none\n"
    "  --token-file FILE    a line for each token: ROLE TENANT SHA256-HEX\n"
    "  --audit-log FILE     who did what\n"
    "  --drain              end when nothing is left to do\n"
    "Runs until SIGINT or SIGTERM.\n";

struct arguments {
    char *store;
    const char *index, *queue, *tokens;
    int64_t batch, lease_ms, poll_ms, pause_ms, health_ms, timeout_ms;
    struct serve_options serve;
    int drain;
};

static int take_option(struct arguments *out, int option)
{
    switch (option) {
    case 's':
        out->store = optarg;
        return 0;
    case 'i':
        out->index = optarg;
        return 0;
    case 'q':
        out->queue = optarg;
        return 0;
    case 'b':
        return program_number("--batch", optarg, 1, BATCH_MOST, &out->batch);
    case 'l':
        return program_number("--lease", optarg, 100, 86400000, &out->lease_ms);
    case 'p':
        return program_number("--poll", optarg, 10, 3600000, &out->poll_ms);
    case 'P':
        return program_number("--pause", optarg, 1, 600000, &out->pause_ms);
    case 'H':
        return program_number("--health-every", optarg, 10, 3600000, &out->health_ms);
    case 'T':
        return program_number("--timeout", optarg, 100, 3600000, &out->timeout_ms);
    case 'L':
        out->serve.listen = optarg;
        return 0;
    case 'N':
        out->serve.listen = NULL;
        return 0;
    case 't':
        out->tokens = optarg;
        return 0;
    case 'a':
        out->serve.audit_file = optarg;
        return 0;
    case 'd':
        out->drain = 1;
        return 0;
    default:
        fputs(usage_text, option == 'h' ? stdout : stderr);
        return option == 'h' ? -1 : EXIT_USAGE;
    }
}

/* Returns 0, an exit status, or -1 after --help. */
static int parse(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},
        {"index", required_argument, NULL, 'i'},
        {"queue", required_argument, NULL, 'q'},
        {"batch", required_argument, NULL, 'b'},
        {"lease", required_argument, NULL, 'l'},
        {"poll", required_argument, NULL, 'p'},
        {"pause", required_argument, NULL, 'P'},
        {"health-every", required_argument, NULL, 'H'},
        {"timeout", required_argument, NULL, 'T'},
        {"listen", required_argument, NULL, 'L'},
        {"no-http", no_argument, NULL, 'N'},
        {"token-file", required_argument, NULL, 't'},
        {"audit-log", required_argument, NULL, 'a'},
        {"drain", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, status;

    *out = (struct arguments){.index = getenv("ELASTICSEARCH_URL"),
                              .queue = "elasticsearch",
                              .batch = 10,
                              .lease_ms = 30000,
                              .poll_ms = 5000,
                              .pause_ms = 1000,
                              .health_ms = 15000,
                              .timeout_ms = 60000,
                              .store = getenv("JOBQ_STORE"),
                              .serve = {.listen = "127.0.0.1:3002"}};
    while ((option = getopt_long(argc, argv, "s:h", options, NULL)) != -1)
        if ((status = take_option(out, option)) != 0)
            return status;
    if (optind < argc)
        return program_die(EXIT_USAGE, "it takes no operand: %s", argv[optind]);
    if (!out->store)
        return program_die(EXIT_USAGE, "which store? -s URI or $JOBQ_STORE");
    if (!out->index || !*out->index)
        out->index = "http://127.0.0.1:9200";
    return 0;
}

/* ---- the worker ---------------------------------------------------------------------------------------- */

static void tell(int notice, const char *text, void *user)
{
    (void)notice, (void)user;
    fprintf(stderr, "%s: %s\n", program_name, text);
}

static struct jobq_worker *make_worker(struct jobq *q, const struct arguments *arguments, struct batch *batch)
{
    const char *const queues[] = {arguments->queue};
    const struct jobq_worker_options options = {
        .size = sizeof(options),
        .queues = queues,
        .queue_count = 1,
        .threads = (size_t)arguments->batch,
        .lease_ms = arguments->lease_ms,
        .poll_ms = arguments->poll_ms,
        .flags = arguments->drain ? JOBQ_WORKER_DRAIN : 0,
    };
    struct jobq_worker *w = NULL;

    if (jobq_worker_create(&w, q, &options) < 0)
        return NULL;
    if (jobq_worker_notify(w, tell, NULL) < 0 || jobq_worker_handle(w, "change", batch_handle, batch) < 0) {
        jobq_worker_destroy(w);
        return NULL;
    }
    return w;
}

struct ending {
    struct jobq_worker *w;
    struct batch *batch;
    sigset_t signals;
    atomic_int over; /* the worker has ended by itself */
};

/* A second signal ends a request under way. */
static void *wait_for_signals(void *user)
{
    struct ending *ending = user;

    program_wait(&ending->signals);
    if (ending->over)
        return NULL;
    jobq_worker_stop(ending->w);
    program_wait(&ending->signals);
    batch_give_up(ending->batch); /* or there is none any more */
    return NULL;
}

static int run_worker(struct jobq_worker *w, struct batch *batch, const sigset_t *signals)
{
    struct ending ending = {w, batch, *signals, 0};
    pthread_t waiting;
    int status;

    if (pthread_create(&waiting, NULL, wait_for_signals, &ending) != 0)
        return program_die(EXIT_FAILED, "no thread can be started");
    status = jobq_worker_run(w);
    ending.over = 1;
    pthread_kill(waiting, SIGTERM);
    pthread_join(waiting, NULL);
    return status < 0 ? program_die(EXIT_STORE, "%s", jobq_last_error()->text) : EXIT_DONE;
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

static int run_with_door(struct watch *watch, const struct arguments *arguments, const sigset_t *signals)
{
    const char *why = "";
    struct serve *serve = NULL;
    int status;

    if (arguments->serve.listen) {
        serve = serve_start(watch, &arguments->serve, &why);
        if (!serve)
            return program_die(EXIT_FAILED, "--listen %s: %s", arguments->serve.listen, why);
        printf("listening on http://%s\n", serve_address(serve));
    }
    printf("working queue %s\n", arguments->queue);
    fflush(stdout);
    status = run_worker(watch->w, watch->batch, signals);
    serve_stop(serve);
    return status;
}

static int run(struct jobq *q, const struct arguments *arguments)
{
    struct batch batch = {.client = {.url = arguments->index, .timeout_ms = (long)arguments->timeout_ms},
                          .most = (size_t)arguments->batch,
                          .pause_ms = arguments->pause_ms};
    struct watch watch = {
        .q = q, .batch = &batch, .queue = arguments->queue, .every_ms = arguments->health_ms};
    sigset_t signals;
    int status = EXIT_FAILED;

    program_block_signals(&signals);
    if (batch_init(&batch) != 0)
        return program_die(EXIT_FAILED, "out of memory");
    watch.w = make_worker(q, arguments, &batch);
    if (!watch.w)
        program_die(EXIT_FAILED, "%s", jobq_last_error()->text);
    else if (watch_start(&watch) != 0)
        program_die(EXIT_FAILED, "no thread can be started");
    else {
        status = run_with_door(&watch, arguments, &signals);
        watch_stop(&watch);
    }
    jobq_worker_destroy(watch.w);
    batch_finish(&batch);
    return status;
}

static int check_listen(const struct arguments *arguments)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    const char *why = "";

    if (!arguments->serve.listen)
        return 0;
    if (http_parse_address(arguments->serve.listen, &address, &size, &why) != 0)
        return program_die(EXIT_USAGE, "--listen %s: %s", arguments->serve.listen, why);
    if (!arguments->tokens && !http_is_loopback(&address))
        return program_die(EXIT_USAGE,
                           "--listen %s: without --token-file only an address of this machine alone is taken",
                           arguments->serve.listen);
    return 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct auth auth = {.count = 0};
    struct jobq *q = NULL;
    const char *why = "", *problem;
    int line = 0, status = parse(argc, argv, &arguments);

    if (status != 0)
        return status < 0 ? EXIT_DONE : status;
    status = check_listen(&arguments);
    if (status == 0 && arguments.tokens && (problem = auth_read(&auth, arguments.tokens, &line)))
        status = program_die(EXIT_USAGE, "--token-file %s, line %d: %s", arguments.tokens, line, problem);
    arguments.serve.auth = arguments.tokens ? &auth : NULL;
    if (status == 0 && (status = store_open(&q, arguments.store, 0, &why)) < 0)
        status = program_die(status == JOBQ_INVALID ? EXIT_USAGE : EXIT_STORE, "--store: %s", why);
    else if (status == 0) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        status = run(q, &arguments);
        curl_global_cleanup();
    }
    jobq_close(q);
    auth_free(&auth);
    return status;
}
