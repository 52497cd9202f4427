/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "child.h"

/* ---- what to run ---- */

static int runnable(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return 0;
    }
    if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0) {
        errno = EACCES;
        return 0;
    }
    return 1;
}

static char *search(const char *name)
{
    const char *path = getenv("PATH");
    int denied = 0;

    if (strchr(name, '/')) {
        return runnable(name) ? strdup(name) : NULL;
    }
    for (const char *at = path ? path : "/usr/bin:/bin"; at;
         at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        char full[PATH_MAX];
        int n = (int)strcspn(at, ":");
        int room = snprintf(full, sizeof full, "%.*s%s%s", n, at, n ? "/" : "./", name);
        if (room > 0 && (size_t)room < sizeof full && runnable(full)) {
            return strdup(full);
        }
        denied |= errno == EACCES;
    }
    errno = denied ? EACCES : ENOENT;
    return NULL;
}

int program_find(struct program *program, char **argv)
{
    static char shell[] = "sh";
    size_t count = 0;

    *program = (struct program){.argv = argv};
    if (!(program->path = search(argv[0]))) {
        return -1;
    }
    while (argv[count]) {
        count++;
    }
    program->by_shell = calloc(count + 2, sizeof *argv);
    if (!program->by_shell) {
        program_free(program);
        errno = ENOMEM;
        return -1;
    }
    program->by_shell[0] = shell;
    program->by_shell[1] = program->path;
    memcpy(program->by_shell + 2, argv + 1, (count - 1) * sizeof *argv);
    return 0;
}

void program_free(struct program *program)
{
    free(program->path);
    free(program->by_shell);
    *program = (struct program){0};
}

/* ---- start ---- */

struct pipes {
    int in[2], out[2], err[2], report[2]; /* report: the child's errno, closed by a successful exec */
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) {
            close(pair[i]);
        }
        pair[i] = -1;
    }
}

static void pipes_close(struct pipes *pipes)
{
    close_pair(pipes->in);
    close_pair(pipes->out);
    close_pair(pipes->err);
    close_pair(pipes->report);
}

static int pipes_open(struct pipes *pipes)
{
    *pipes = (struct pipes){.in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .report = {-1, -1}};
    if (pipe2(pipes->in, O_CLOEXEC) == 0 && pipe2(pipes->out, O_CLOEXEC) == 0 &&
        pipe2(pipes->err, O_CLOEXEC) == 0 && pipe2(pipes->report, O_CLOEXEC) == 0) {
        return 0;
    }
    int error = errno;
    pipes_close(pipes);
    return error;
}

/* From here to exec only what is safe after a fork among threads. */

static void default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < 32; i++) {
        sigaction(i, &action, NULL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void die_with(pid_t worker)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != worker) {
        _exit(127); /* it died before that was said */
    }
}

static int streams(const struct pipes *pipes)
{
    /* First above the three, so that none is overwritten before it is moved. */
    int in = fcntl(pipes->in[0], F_DUPFD_CLOEXEC, 3);
    int out = fcntl(pipes->out[1], F_DUPFD_CLOEXEC, 3);
    int err = fcntl(pipes->err[1], F_DUPFD_CLOEXEC, 3);

    return in >= 0 && out >= 0 && err >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err, 2) >= 0 ? 0
                                                                                                         : -1;
}

static void become(const struct program *program, char **environment, const struct pipes *pipes,
                   const struct nest *nest, pid_t worker)
{
    int report = fcntl(pipes->report[1], F_DUPFD_CLOEXEC, 3);
    int error;

    setpgid(0, 0);
    nest_add(nest, getpid());
    die_with(worker);
    default_signals();
    if (report >= 0 && streams(pipes) == 0) {
        execve(program->path, program->argv, environment);
        if (errno == ENOEXEC) {
            execve("/bin/sh", program->by_shell, environment);
        }
    }
    error = errno;
    while (write(report, &error, sizeof error) < 0 && errno == EINTR) {
    }
    _exit(127);
}

/* ---- the parent's side ---- */

/* The errno that the child reported, or 0 when it has become the program. */
static int hear_report(int fd)
{
    int error = 0;
    ssize_t n;

    do {
        n = read(fd, &error, sizeof error);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof error ? error : 0;
}

static int take_end(int *end)
{
    int fd = *end;

    *end = -1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int open_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0);
#else
    (void)pid;
    return -1;
#endif
}

int child_start(struct child *child, const struct program *program, char **environment,
                const struct nest *nest)
{
    struct pipes pipes;
    pid_t worker = getpid();
    int error = pipes_open(&pipes);

    *child = (struct child){.pid = -1, .in = -1, .out = -1, .err = -1, .pidfd = -1, .nest = nest};
    if (error) {
        return error;
    }
    child->pid = fork();
    if (child->pid == 0) {
        become(program, environment, &pipes, nest, worker);
    }
    if (child->pid < 0) {
        error = errno;
        pipes_close(&pipes);
        return error;
    }
    setpgid(child->pid, child->pid); /* both sides do it, so that it is done whoever is first */
    child->in = take_end(&pipes.in[1]);
    child->out = take_end(&pipes.out[0]);
    child->err = take_end(&pipes.err[0]);
    close(pipes.report[1]);
    pipes.report[1] = -1;
    error = hear_report(pipes.report[0]);
    pipes_close(&pipes);
    if (error) {
        child_finish(child);
        return error;
    }
    child->pidfd = open_pidfd(child->pid);
    return 0;
}

void child_poll(struct child *child, int more_input, int timeout_ms)
{
    struct pollfd fds[4] = {
        {.fd = more_input ? child->in : -1, .events = POLLOUT},
        {.fd = child->out, .events = POLLIN},
        {.fd = child->err, .events = POLLIN},
        {.fd = child->pidfd, .events = POLLIN},
    };

    (void)poll(fds, 4, timeout_ms);
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid > 0 && !child->ended) {
        kill(-child->pid, signal);
    }
}

int child_ended(struct child *child)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == child->pid;
}

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void child_finish(struct child *child)
{
    /* While it is not reaped its id, and so the group's, cannot be another's. */
    siginfo_t info;
    while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    kill(-child->pid, SIGKILL);
    nest_remove(child->nest, child->pid);
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR) {
    }
    child->ended = 1;
    close_end(&child->in);
    close_end(&child->out);
    close_end(&child->err);
    close_end(&child->pidfd);
}
