/* SPDX-License-Identifier: MIT */
/*
 * The crowd of the burst: candidates that all begin at the same moment, each handing in one video after the
 * other on a connection of its own, and clients that wait for results meanwhile.
 *
 *   burst-crowd ADDRESS:PORT WORD POLLERS SCALE <VIDEOS
 *
 * VIDEOS: a line "CANDIDATE VIDEO" each, the candidates numbered from 0; keys are "WORD CANDIDATE/VIDEO".
 * Retry-After is divided by SCALE. A server that is away is asked again, with the same key. It ends when
 * every video was taken and, if there are POLLERS, has ended. Lines on standard output:
 *
 *   taken JOBID VIDEO US     the answer 202, and how long after the request was begun
 *   refused STATUS           429 or 503; it is sent again
 *   ended JOBID              a poller was told so
 *   bad STATUS JOBID         a poller was told this
 *   polls N                  at the end
 *
 * One thread, so that its clocks are honest: with a slower client its own queue would be measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "program.h"

#define AGAIN_US    50000
#define TELL_US     50000
#define TURN_MS     10
#define WAIT_S      10
#define PATIENCE_US (300 * INT64_C(1000000)) /* without any answer */
#define EVENTS_MOST 256
#define ID_BYTES    33
#define TEXT_BYTES  1024

const char program_name[] = "burst-crowd";

struct video {
    char name[128];
    size_t candidate;
    struct video *next; /* of the same candidate */
};

struct line {
    int fd; /* -1: not connected */
    int is_poller;
    size_t number;
    struct video *video; /* of a candidate: what it hands in */
    size_t job;          /* of a poller: what it waits for */
    char out[TEXT_BYTES];
    size_t out_size, sent;
    char *in;
    size_t used, room;
    int64_t began_us, again_us; /* again_us: 0, or when to begin anew */
};

struct job {
    char id[ID_BYTES];
    int ended;
};

struct crowd {
    const char *host, *word;
    struct sockaddr_storage address;
    socklen_t address_size;
    double scale;
    int epoll;
    struct video *videos;
    size_t video_count, taken, ended, polls;
    struct job *jobs;
    size_t *waiting; /* jobs that nobody was told the end of */
    size_t waiting_count;
    struct line *lines;
    size_t line_count, pollers;
    int64_t told_us, answered_us;
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *need(void *memory)
{
    if (!memory)
        exit(program_die(EXIT_FAILED, "out of memory"));
    return memory;
}

/* ---- a connection ---------------------------------------------------------------------------- */

static void hang_up(struct line *line)
{
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
}

static void later(struct line *line, int64_t us)
{
    line->again_us = now_us() + us;
}

static void watch(const struct crowd *crowd, struct line *line, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = line};

    if (epoll_ctl(crowd->epoll, how, line->fd, &event) != 0)
        exit(program_die(EXIT_FAILED, "epoll: %s", strerror(errno)));
}

/* Nobody there, or nobody any more: the same again. */
static void lost(struct line *line)
{
    hang_up(line);
    later(line, AGAIN_US);
}

static void send_more(const struct crowd *crowd, struct line *line)
{
    while (line->sent < line->out_size) {
        ssize_t sent =
            send(line->fd, line->out + line->sent, line->out_size - line->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            watch(crowd, line, EPOLL_CTL_MOD, EPOLLOUT);
            return;
        }
        if (sent < 0) {
            lost(line);
            return;
        }
        line->sent += (size_t)sent;
    }
    watch(crowd, line, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin(const struct crowd *crowd, struct line *line)
{
    line->sent = line->used = 0;
    line->again_us = 0;
    line->began_us = now_us();
    if (line->fd >= 0) {
        send_more(crowd, line);
        return;
    }
    line->fd = socket(crowd->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line->fd < 0)
        exit(program_die(EXIT_FAILED, "socket: %s", strerror(errno)));
    watch(crowd, line, EPOLL_CTL_ADD, EPOLLOUT);
    if (connect(line->fd, (const struct sockaddr *)&crowd->address, crowd->address_size) != 0 &&
        errno != EINPROGRESS)
        lost(line);
}

/* ---- what is asked --------------------------------------------------------------------------- */

static void hand_in(const struct crowd *crowd, struct line *line)
{
    char body[TEXT_BYTES / 2];
    int size = snprintf(body, sizeof(body),
                        "{\"videoPath\":\"%s\",\"jobId\":\"%s %zu/%s\",\"metadata\":{\"candidate\":\"%zu\"}}",
                        line->video->name, crowd->word, line->number, line->video->name, line->number);

    line->out_size = (size_t)snprintf(line->out, sizeof(line->out),
                                      "POST /analysis/start HTTP/1.1\r\nHost: %s\r\nContent-Type: "
                                      "application/json\r\nContent-Length: %d\r\n\r\n%s",
                                      crowd->host, size, body);
    begin(crowd, line);
}

static void poll_next(const struct crowd *crowd, struct line *line)
{
    if (crowd->waiting_count == 0) {
        later(line, AGAIN_US);
        line->out_size = 0;
        return;
    }
    line->job = crowd->waiting[line->number % crowd->waiting_count];
    line->out_size = (size_t)snprintf(line->out, sizeof(line->out),
                                      "GET /analysis/result/%s?wait=%d HTTP/1.1\r\nHost: %s\r\n\r\n",
                                      crowd->jobs[line->job].id, WAIT_S, crowd->host);
    begin(crowd, line);
}

static void again(const struct crowd *crowd, struct line *line)
{
    if (line->is_poller && line->out_size == 0)
        poll_next(crowd, line);
    else
        begin(crowd, line);
}

/* ---- what is answered ------------------------------------------------------------------------ */

static int member_of(const char *text, const char *name, char *out, size_t room)
{
    char search[32];
    const char *at;
    size_t size;

    snprintf(search, sizeof(search), "\"%s\":", name);
    at = strstr(text, search);
    if (!at)
        return -1;
    at += strlen(search);
    at += strspn(at, " \"");
    size = strcspn(at, "\"");
    if (size >= room)
        return -1;
    memcpy(out, at, size);
    out[size] = '\0';
    return 0;
}

static void taken(struct crowd *crowd, struct line *line, const char *body)
{
    struct job *job = &crowd->jobs[crowd->taken];

    if (member_of(body, "jobId", job->id, sizeof(job->id)) != 0)
        exit(program_die(EXIT_FAILED, "202 without a jobId: %s", body));
    printf("taken %s %s %lld\n", job->id, line->video->name, (long long)(now_us() - line->began_us));
    crowd->waiting[crowd->waiting_count++] = crowd->taken++;
    line->video = line->video->next;
    if (line->video)
        hand_in(crowd, line);
    else
        hang_up(line);
}

static void on_start(struct crowd *crowd, struct line *line, int status, const char *body, int64_t retry_s)
{
    if (status == 202) {
        taken(crowd, line, body);
    } else if ((status == 429 || status == 503) && retry_s > 0) {
        printf("refused %d\n", status);
        later(line, (int64_t)((double)retry_s * 1e6 / crowd->scale));
    } else {
        exit(program_die(EXIT_FAILED, "%d: %s", status, body));
    }
}

static void forget_waiting(struct crowd *crowd, size_t job)
{
    size_t i = 0;

    while (i < crowd->waiting_count && crowd->waiting[i] != job)
        i++;
    if (i < crowd->waiting_count)
        crowd->waiting[i] = crowd->waiting[--crowd->waiting_count];
}

static void on_poll(struct crowd *crowd, struct line *line, int status, const char *body)
{
    struct job *job = &crowd->jobs[line->job];
    char text[32] = "";

    crowd->polls++;
    if (status != 200)
        printf("bad %d %s\n", status, job->id);
    else if (member_of(body, "status", text, sizeof(text)) == 0 && strcmp(text, "processing") != 0 &&
             !job->ended) {
        job->ended = 1;
        crowd->ended++;
        forget_waiting(crowd, line->job);
        printf("ended %s\n", job->id);
    }
    poll_next(crowd, line);
}

static int64_t header_of(const char *head, const char *end, const char *name)
{
    const char *at = strcasestr(head, name);

    return at && at < end ? strtoll(at + strlen(name), NULL, 10) : -1;
}

/* 1 when there is a whole answer. */
static int answered(struct crowd *crowd, struct line *line)
{
    const char *end = strstr(line->in, "\r\n\r\n"), *closing;
    int64_t size = end ? header_of(line->in, end, "\r\nContent-Length:") : -1;
    int status = 0;

    if (!end || size < 0 || line->used < (size_t)(end + 4 - line->in) + (size_t)size)
        return 0;
    if (sscanf(line->in, "HTTP/1.1 %d", &status) != 1)
        exit(program_die(EXIT_FAILED, "no HTTP: %s", line->in));
    crowd->answered_us = now_us();
    closing = strcasestr(line->in, "\r\nConnection: close");
    if (closing && closing < end)
        hang_up(line);
    if (line->is_poller)
        on_poll(crowd, line, status, end + 4);
    else
        on_start(crowd, line, status, end + 4, header_of(line->in, end, "\r\nRetry-After:"));
    return 1;
}

static void receive(struct crowd *crowd, struct line *line)
{
    for (;;) {
        ssize_t got;
        if (line->used + 2 > line->room) {
            line->room = line->room ? 2 * line->room : TEXT_BYTES;
            line->in = need(realloc(line->in, line->room));
        }
        got = recv(line->fd, line->in + line->used, line->room - line->used - 1, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            lost(line);
            return;
        }
        line->used += (size_t)got;
        line->in[line->used] = '\0';
        if (answered(crowd, line))
            return;
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void on_event(struct crowd *crowd, struct line *line, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP))
        lost(line);
    else if (events & EPOLLIN)
        receive(crowd, line);
    else if (events & EPOLLOUT)
        send_more(crowd, line);
}

static void tell(struct crowd *crowd, int at_once)
{
    int64_t now = now_us();

    if (!at_once && now - crowd->told_us < TELL_US)
        return;
    crowd->told_us = now;
    fflush(stdout);
}

static int is_over(const struct crowd *crowd)
{
    return crowd->taken == crowd->video_count && (crowd->pollers == 0 || crowd->ended == crowd->taken);
}

static void run(struct crowd *crowd)
{
    struct epoll_event events[EVENTS_MOST];

    crowd->answered_us = now_us();
    for (size_t i = 0; i < crowd->line_count; i++)
        if (crowd->lines[i].video)
            hand_in(crowd, &crowd->lines[i]);
        else if (crowd->lines[i].is_poller)
            poll_next(crowd, &crowd->lines[i]);
    while (!is_over(crowd)) {
        int count = epoll_wait(crowd->epoll, events, EVENTS_MOST, TURN_MS);
        int64_t now = now_us();
        for (int i = 0; i < count; i++)
            on_event(crowd, events[i].data.ptr, events[i].events);
        for (size_t i = 0; i < crowd->line_count; i++)
            if (crowd->lines[i].again_us && crowd->lines[i].again_us <= now)
                again(crowd, &crowd->lines[i]);
        tell(crowd, 0);
        if (now > crowd->answered_us + PATIENCE_US)
            exit(program_die(EXIT_FAILED, "%s answers no more", crowd->host));
    }
    printf("polls %zu\n", crowd->polls);
    tell(crowd, 1);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void read_videos(struct crowd *crowd, FILE *from)
{
    struct video video = {.next = NULL};
    size_t room = 0, most = 0;

    while (fscanf(from, "%zu %127s", &video.candidate, video.name) == 2) {
        if (crowd->video_count == room) {
            room = room ? 2 * room : 64;
            crowd->videos = need(realloc(crowd->videos, room * sizeof(*crowd->videos)));
        }
        crowd->videos[crowd->video_count++] = video;
        most = video.candidate + 1 > most ? video.candidate + 1 : most;
    }
    crowd->line_count = most + crowd->pollers;
    crowd->lines = need(calloc(crowd->line_count + 1, sizeof(*crowd->lines)));
    crowd->jobs = need(calloc(crowd->video_count + 1, sizeof(*crowd->jobs)));
    crowd->waiting = need(calloc(crowd->video_count + 1, sizeof(*crowd->waiting)));
    for (size_t i = 0; i < crowd->line_count; i++)
        crowd->lines[i] = (struct line){.fd = -1, .is_poller = i >= most, .number = i >= most ? i - most : i};
    for (size_t i = crowd->video_count; i-- > 0;) {
        struct line *line = &crowd->lines[crowd->videos[i].candidate];
        crowd->videos[i].next = line->video;
        line->video = &crowd->videos[i];
    }
}

static void want_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct crowd crowd = {.host = argc > 1 ? argv[1] : ""};
    int64_t pollers = 0;
    const char *why = "";

    if (argc != 5 || program_number("POLLERS", argv[3], 0, 10000, &pollers) != 0)
        return program_die(EXIT_USAGE, "usage: burst-crowd ADDRESS:PORT WORD POLLERS SCALE <VIDEOS");
    if (http_parse_address(argv[1], &crowd.address, &crowd.address_size, &why) != 0)
        return program_die(EXIT_USAGE, "%s: %s", argv[1], why);
    want_descriptors();
    crowd.word = argv[2];
    crowd.pollers = (size_t)pollers;
    crowd.scale = strtod(argv[4], NULL);
    crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    read_videos(&crowd, stdin);
    run(&crowd);
    for (size_t i = 0; i < crowd.line_count; i++) {
        hang_up(&crowd.lines[i]);
        free(crowd.lines[i].in);
    }
    close(crowd.epoll);
    free(crowd.lines);
    free(crowd.jobs);
    free(crowd.waiting);
    free(crowd.videos);
    return EXIT_DONE;
}
