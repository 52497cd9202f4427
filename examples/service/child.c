/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child_start.h"

#define READ_BYTES 65536
#define TICK_MS 100 /* how often we look whether the child has exited while a descendant holds its pipes */
#define LAST_TICK_MS 5  /* and when it has closed them all, so that it is about to exit */

enum { IN, OUT, ERR, PROGRESS, CANCEL, N_POLLED };

struct talk {
    const struct child_spec *spec;
    struct child_result *result;
    struct child_pipes pipes;
    pid_t pid;
    int64_t deadline_ms;
    size_t fed;
    size_t error_size;
    int killed;
    char buffer[READ_BYTES];
};

static int64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void end_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void kill_group(struct talk *talk, enum child_end why)
{
    if (talk->killed)
        return;
    talk->killed = 1;
    talk->result->end = why;
    kill(-talk->pid, SIGKILL);
}

/* Keeps the last CHILD_ERROR_BYTES of what was said. */
static int keep_error(void *arg, const char *bytes, size_t size)
{
    struct talk *talk = arg;
    char *text = talk->result->error_text;
    size_t drop;

    for (size_t i = 0; i < size; i++)
        talk->result->error_lines += bytes[i] == '\n';
    if (size > CHILD_ERROR_BYTES) {
        bytes += size - CHILD_ERROR_BYTES;
        size = CHILD_ERROR_BYTES;
    }
    drop = talk->error_size + size > CHILD_ERROR_BYTES ? talk->error_size + size - CHILD_ERROR_BYTES : 0;
    memmove(text, text + drop, talk->error_size - drop);
    memcpy(text + talk->error_size - drop, bytes, size);
    talk->error_size += size - drop;
    text[talk->error_size] = '\0';
    return 0;
}

static void receive(struct talk *talk, int *fd, child_bytes_fn sink, void *arg)
{
    ssize_t got = read(*fd, talk->buffer, sizeof(talk->buffer));

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0)
        end_fd(fd);
    else if (!talk->killed && sink(arg, talk->buffer, (size_t)got) != 0)
        kill_group(talk, CHILD_STOPPED);
}

static void feed(struct talk *talk)
{
    const struct child_spec *spec = talk->spec;
    const char *bytes = spec->input;
    ssize_t put = 0;

    if (talk->fed < spec->input_size)
        put = write(talk->pipes.input, bytes + talk->fed, spec->input_size - talk->fed);
    if (put < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (put > 0) {
        talk->fed += (size_t)put;
        if (spec->on_fed)
            spec->on_fed(spec->arg, talk->fed);
    }
    if (put < 0 || talk->fed == spec->input_size)   /* a child that stopped reading has had what it wanted */
        end_fd(&talk->pipes.input);
}

static int pipes_open(const struct talk *talk)
{
    return talk->pipes.output >= 0 || talk->pipes.error >= 0 || talk->pipes.progress >= 0;
}

static int wait_time(const struct talk *talk)
{
    int tick = pipes_open(talk) ? TICK_MS : LAST_TICK_MS;
    int64_t left;

    if (talk->deadline_ms == 0 || talk->killed)
        return tick;
    left = talk->deadline_ms - monotonic_ms();
    return left < 0 ? 0 : left < tick ? (int)left : tick;
}

/* The zombie is left in place, so that the group's id is still its own when we use it. */
static int has_exited(const struct talk *talk)
{
    siginfo_t info = { .si_pid = 0 };

    if (waitid(P_PID, (id_t)talk->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return errno != EINTR;
    return info.si_pid == talk->pid;
}

static void serve(struct talk *talk, const struct pollfd *polled)
{
    const struct child_spec *spec = talk->spec;

    if (polled[CANCEL].revents)
        kill_group(talk, CHILD_CANCELLED);
    if (polled[IN].revents)
        feed(talk);
    if (polled[OUT].revents)
        receive(talk, &talk->pipes.output, spec->on_output, spec->arg);
    if (polled[ERR].revents)
        receive(talk, &talk->pipes.error, keep_error, talk);
    if (polled[PROGRESS].revents)
        receive(talk, &talk->pipes.progress, spec->on_progress, spec->arg);
}

static int poll_once(struct talk *talk)
{
    struct pollfd polled[N_POLLED] = {
        [IN] = { .fd = talk->pipes.input, .events = POLLOUT },
        [OUT] = { .fd = talk->pipes.output, .events = POLLIN },
        [ERR] = { .fd = talk->pipes.error, .events = POLLIN },
        [PROGRESS] = { .fd = talk->pipes.progress, .events = POLLIN },
        [CANCEL] = { .fd = talk->spec->cancel_fd > 0 && !talk->killed ? talk->spec->cancel_fd : -1,
                     .events = POLLIN },
    };
    int ready = poll(polled, N_POLLED, wait_time(talk));

    if (ready > 0)
        serve(talk, polled);
    return ready;
}

static void converse(struct talk *talk)
{
    int gone = 0;
    int ready;

    while (!gone || pipes_open(talk)) {
        ready = poll_once(talk);
        /* What the child wrote is in the pipe at once; whoever still holds it open is not waited for. */
        if (gone && (ready == 0 || talk->killed))
            break;
        if (!gone && talk->deadline_ms && monotonic_ms() >= talk->deadline_ms)
            kill_group(talk, CHILD_TIMED_OUT);
        if (!gone && (gone = has_exited(talk)))
            kill(-talk->pid, SIGKILL);  /* descendants that stayed behind */
    }
    end_fd(&talk->pipes.input);
    end_fd(&talk->pipes.output);
    end_fd(&talk->pipes.error);
    end_fd(&talk->pipes.progress);
}

static void reap(struct talk *talk)
{
    struct child_result *result = talk->result;
    int status = 0;
    pid_t got;

    do
        got = waitpid(talk->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    if (talk->killed)
        return;
    if (got < 0) {
        result->end = CHILD_NOT_STARTED;
        result->code = errno;
    } else if (WIFSIGNALED(status)) {
        result->end = CHILD_SIGNALLED;
        result->code = WTERMSIG(status);
    } else {
        result->end = CHILD_EXITED;
        result->code = WEXITSTATUS(status);
    }
}

int child_run(const struct child_spec *spec, struct child_result *result)
{
    struct talk *talk = calloc(1, sizeof(*talk));
    int error = talk ? 0 : ENOMEM;

    memset(result, 0, sizeof(*result));
    if (!error) {
        talk->spec = spec;
        talk->result = result;
        talk->deadline_ms = spec->time_limit_ms > 0 ? monotonic_ms() + spec->time_limit_ms : 0;
        error = child_start(spec, &talk->pid, &talk->pipes);
    }
    if (error) {
        result->end = CHILD_NOT_STARTED;
        result->code = error;
    } else {
        converse(talk);
        reap(talk);
    }
    free(talk);
    return result->end == CHILD_EXITED && result->code == 0 ? 0 : -1;
}

static int is_program(const char *path)
{
    struct stat facts;

    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode) && access(path, X_OK) == 0;
}

int child_find_program(const char *name, char *out, size_t out_size)
{
    const char *path = getenv("PATH");

    for (const char *at = path; at && *at;) {
        size_t length = strcspn(at, ":");
        int wrote = length < INT_MAX ? snprintf(out, out_size, "%.*s/%s", (int)length, at, name) : -1;

        /* Only absolute folders: an empty or relative entry would run whatever lies in the working folder. */
        if (*at == '/' && wrote > 0 && (size_t)wrote < out_size && is_program(out))
            return 0;
        at += length;
        at += *at == ':';
    }
    return -1;
}
