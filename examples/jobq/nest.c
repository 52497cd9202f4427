/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "nest.h"

enum { LINE = 16, GROUPS_MAX = 2048 }; /* every line has LINE bytes, so that none is ever read in halves */

static void write_line(int fd, char sign, pid_t group)
{
    char line[LINE];
    int at = LINE - 1;

    /* By hand: snprintf is not safe after fork. */
    line[at] = '\n';
    while (at > 1) {
        line[--at] = (char)('0' + group % 10);
        group /= 10;
    }
    line[0] = sign;
    while (write(fd, line, sizeof line) < 0 && errno == EINTR) {
    }
}

void nest_add(const struct nest *nest, pid_t group)
{
    if (nest->fd >= 0) {
        write_line(nest->fd, '+', group);
    }
}

void nest_remove(const struct nest *nest, pid_t group)
{
    if (nest->fd >= 0) {
        write_line(nest->fd, '-', group);
    }
}

static void note(pid_t *groups, const char *line)
{
    pid_t group = (pid_t)strtol(line + 1, NULL, 10);
    pid_t wanted = line[0] == '+' ? 0 : group;

    for (int i = 0; i < GROUPS_MAX; i++) {
        if (groups[i] == wanted) {
            groups[i] = line[0] == '+' ? group : 0;
            return;
        }
    }
}

static void keep(int fd)
{
    pid_t groups[GROUPS_MAX] = {0};
    char line[LINE + 1] = "";

    for (;;) {
        ssize_t n = read(fd, line, LINE);
        if (n == LINE) {
            note(groups, line);
        } else if (n >= 0 || errno != EINTR) {
            break;
        }
    }
    for (int i = 0; i < GROUPS_MAX; i++) {
        if (groups[i] > 1) {
            kill(-groups[i], SIGKILL);
        }
    }
}

/* It must hold nothing open that somebody waits for, and no signal meant for the worker may end it. */
static void be_keeper(int fd)
{
#ifdef __linux__
    prctl(PR_SET_NAME, "jobq-keeper");
#endif
    setsid();
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (dup2(fd, STDIN_FILENO) < 0) {
        _exit(1);
    }
    for (int i = 1; i < 256; i++) {
        close(i);
    }
    keep(STDIN_FILENO);
    _exit(0);
}

void nest_begin(struct nest *nest)
{
    int ends[2];

    nest->fd = -1;
    nest->pid = -1;
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return;
    }
    nest->pid = fork();
    if (nest->pid == 0) {
        close(ends[1]);
        be_keeper(ends[0]);
    }
    close(ends[0]);
    if (nest->pid > 0) {
        nest->fd = ends[1];
    } else {
        close(ends[1]);
    }
}

void nest_end(struct nest *nest)
{
    if (nest->fd >= 0) {
        close(nest->fd);
        nest->fd = -1;
    }
    if (nest->pid > 0) {
        while (waitpid(nest->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        nest->pid = -1;
    }
}
