/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 100
#define LINE_BYTES 128     /* three numbers of 64 bits fit */

int progress_open(void)
{
    const char *text = getenv("JOBQ_PROGRESS_FD");
    char *end = NULL;
    long fd = text && *text ? strtol(text, &end, 10) : -1;

    if (!end || *end || fd < 0 || fd > INT_MAX)
        return -1;
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    return (int)fd;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int is_due(struct step *step)
{
    int64_t now = monotonic_ms();

    if (step->progress_fd < 0 || now - step->progress_at_ms < INTERVAL_MS)
        return 0;
    step->progress_at_ms = now;
    return 1;
}

static void put_line(const struct step *step, const char *line, int size)
{
    struct pollfd writable = { .fd = step->progress_fd, .events = POLLOUT };

    /* A pipe that polls writable takes a line this short without blocking. */
    if (poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT))
        (void)!write(step->progress_fd, line, (size_t)size);
}

static void put_frames(const struct step *step, int64_t done, int64_t total)
{
    char line[LINE_BYTES];

    put_line(step, line,
             snprintf(line, sizeof(line), "%lld %lld frames\n", (long long)done, (long long)total));
}

static void put_seconds(const struct step *step, int64_t done_ms, int64_t total_ms)
{
    char line[LINE_BYTES];

    put_line(step, line, snprintf(line, sizeof(line), "%.1f %.1f seconds\n", (double)done_ms / 1000.0,
                                  (double)total_ms / 1000.0));
}

/* The total is what the container promises; there may be more. */
static int64_t at_least(int64_t total, int64_t done)
{
    return total > 0 && total < done ? done : total;
}

void progress_frames(struct step *step, int64_t done, int64_t total)
{
    if (is_due(step))
        put_frames(step, done, at_least(total, done));
}

void progress_seconds(struct step *step, int64_t done_ms, int64_t total_ms)
{
    if (is_due(step))
        put_seconds(step, done_ms, at_least(total_ms, done_ms));
}

void progress_end_frames(struct step *step, int64_t done)
{
    if (step->progress_fd >= 0)
        put_frames(step, done, done);
}

void progress_end_seconds(struct step *step, int64_t done_ms)
{
    if (step->progress_fd >= 0)
        put_seconds(step, done_ms, done_ms);
}
