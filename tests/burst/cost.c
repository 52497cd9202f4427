/* SPDX-License-Identifier: MIT */
/*
 * What an answer of POST /analysis/start costs beside what it is made of:
 *
 *   burst-cost ADDRESS:PORT @STORE-FILE VIDEO [COUNT]
 *   burst-cost bare        only the bare server, until its standard input ends; prints its address
 *
 * In turn, and COUNT times each: the same request to a bare libmicrohttpd that takes in the body and answers
 * the same bytes; a bare enqueue of the same payload on the same store; the request itself. One connection
 * each, kept. Prints one JSON object with the medians in microseconds, and the ratio of the last to the sum
 * of the others.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "program.h"
#include "store.h"

#define COUNT_DEFAULT 300
#define ANSWER_BYTES  4096

const char program_name[] = "burst-cost";

static const char answer_text[] =
    "{\"jobId\":\"00000000000070000000000000000000\",\"status\":\"processing\"}";

struct cost {
    const char *video;
    struct jobq *q;
    int bare, server; /* connections */
    char host[128];
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the bare server ------------------------------------------------------------------------- */

static enum MHD_Result take(void *user, struct MHD_Connection *connection, const char *path,
                            const char *method, const char *version, const char *bytes, size_t *size,
                            void **state)
{
    static int begun;
    struct MHD_Response *response;
    enum MHD_Result result;

    (void)user;
    (void)path;
    (void)method;
    (void)version;
    (void)bytes;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    response = MHD_create_response_from_buffer(strlen(answer_text), (void *)(uintptr_t)answer_text,
                                               MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    result = MHD_queue_response(connection, 202, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the client ------------------------------------------------------------------------------ */

static int connect_to(const char *address)
{
    struct sockaddr_storage to;
    socklen_t size = 0;
    const char *why = "";
    int fd;

    if (http_parse_address(address, &to, &size, &why) != 0)
        return -1;
    fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, size) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Reads a whole answer; returns its status, or -1. */
static int read_answer(int fd)
{
    char text[ANSWER_BYTES];
    size_t used = 0, whole = 0;
    int status = -1;

    while (whole == 0 || used < whole) {
        ssize_t got = recv(fd, text + used, sizeof(text) - 1 - used, 0);
        const char *end, *length;
        if (got <= 0)
            return -1;
        used += (size_t)got;
        text[used] = '\0';
        end = strstr(text, "\r\n\r\n");
        length = end ? strcasestr(text, "\r\nContent-Length:") : NULL;
        if (length && length < end) {
            whole = (size_t)(end + 4 - text) + strtoul(length + 17, NULL, 10);
            if (sscanf(text, "HTTP/1.1 %d", &status) != 1)
                return -1;
        }
    }
    return status;
}

static int ask(const struct cost *cost, int fd)
{
    char body[1024], text[2048];
    int size = snprintf(body, sizeof(body), "{\"videoPath\":\"%s\"}", cost->video);
    int whole = snprintf(text, sizeof(text),
                         "POST /analysis/start HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                         "Content-Length: %d\r\n\r\n%s",
                         cost->host, size, body);

    if (send(fd, text, (size_t)whole, MSG_NOSIGNAL) != whole)
        return -1;
    return read_answer(fd) == 202 ? 0 : -1;
}

/* ---- what is measured ------------------------------------------------------------------------ */

static int bare_answer(const struct cost *cost)
{
    return ask(cost, cost->bare);
}

static int real_answer(const struct cost *cost)
{
    return ask(cost, cost->server);
}

static int bare_enqueue(const struct cost *cost)
{
    char payload[1024];
    int size = snprintf(payload, sizeof(payload), "{\"video\":\"%s\"}", cost->video);
    const struct jobq_spec spec = {
        .size = sizeof(spec), .queue = "burst.cost", .payload = {payload, (size_t)size}};

    return jobq_enqueue(cost->q, &spec, NULL) == JOBQ_OK ? 0 : -1;
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static int64_t median(int64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_size);
    return values[count / 2];
}

static int measure(const struct cost *cost, size_t count)
{
    static int (*const what[3])(const struct cost *) = {bare_answer, bare_enqueue, real_answer};
    int64_t *times[3] = {calloc(count, 8), calloc(count, 8), calloc(count, 8)}, medians[3] = {0, 0, 0};
    int failed = !times[0] || !times[1] || !times[2];

    for (size_t i = 0; i < count && !failed; i++)
        for (size_t kind = 0; kind < 3 && !failed; kind++) {
            int64_t began = now_us();
            failed = what[kind](cost) != 0;
            times[kind][i] = now_us() - began;
        }
    for (size_t kind = 0; kind < 3; kind++) {
        if (!failed)
            medians[kind] = median(times[kind], count);
        free(times[kind]);
    }
    if (failed)
        return program_die(EXIT_FAILED, "a request or an enqueue failed");
    printf("{\"bare_answer_us\": %lld, \"bare_enqueue_us\": %lld, \"start_us\": %lld, \"ratio\": %.2f}\n",
           (long long)medians[0], (long long)medians[1], (long long)medians[2],
           (double)medians[2] / (double)(medians[0] + medians[1]));
    return EXIT_DONE;
}

static struct MHD_Daemon *start_bare(char address[32])
{
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, take, NULL, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;

    if (info)
        snprintf(address, 32, "127.0.0.1:%u", (unsigned)info->port);
    return daemon;
}

/* For a crowd: what a hundred at once cost where nothing is done for them. */
static int serve_bare(void)
{
    char address[32] = "", end;
    struct MHD_Daemon *daemon = start_bare(address);

    if (!daemon)
        return program_die(EXIT_FAILED, "the bare server cannot be started");
    printf("%s\n", address);
    fflush(stdout);
    while (read(STDIN_FILENO, &end, 1) > 0)
        continue;
    MHD_stop_daemon(daemon);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct cost cost = {.video = argc > 3 ? argv[3] : "", .bare = -1, .server = -1};
    int64_t count = COUNT_DEFAULT;
    const char *why = "";
    char bare[32] = "";
    struct MHD_Daemon *daemon;
    int status = EXIT_FAILED;

    if (argc == 2 && strcmp(argv[1], "bare") == 0)
        return serve_bare();
    if (argc < 4 || argc > 5)
        return program_die(EXIT_USAGE, "usage: burst-cost ADDRESS:PORT STORE VIDEO [COUNT]");
    if (argc == 5 && program_number("COUNT", argv[4], 1, 100000, &count) != 0)
        return EXIT_USAGE;
    snprintf(cost.host, sizeof(cost.host), "%s", argv[1]);
    if (store_open(&cost.q, argv[2], 0, &why) < 0)
        return program_die(EXIT_STORE, "the store: %s", why);
    daemon = start_bare(bare);
    cost.bare = daemon ? connect_to(bare) : -1;
    cost.server = connect_to(argv[1]);
    if (cost.bare < 0 || cost.server < 0)
        program_die(0, "a server cannot be reached");
    else
        status = measure(&cost, (size_t)count);
    if (daemon)
        MHD_stop_daemon(daemon);
    jobq_close(cost.q);
    return status;
}
