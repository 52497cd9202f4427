/* SPDX-License-Identifier: MIT */
#include "child_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRESS_FD 3
#define FIRST_FREE_FD 10
#define MAX_FDS_TO_CLOSE 65536
#define MAX_ENV 32

/* Everything the new process needs between fork and execve, prepared before the fork: afterwards only
 * async-signal-safe calls are allowed, because other threads may have held the allocator's lock. */
struct start {
    const struct child_spec *spec;
    pid_t parent;
    int in, out, err, progress;     /* the child's ends */
    int report;                     /* carries the errno of a failed execve to the parent */
    char *env[MAX_ENV + 1];
    size_t n_env;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* High numbers, so that the dup2 calls in the child never hit a descriptor that is still to be duplicated. */
static int raise_fd(int *fd)
{
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);

    if (high < 0)
        return errno;
    close(*fd);
    *fd = high;
    return 0;
}

static int make_pipe(int *read_end, int *write_end)
{
    int ends[2];
    int error;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    *read_end = ends[0];
    *write_end = ends[1];
    error = raise_fd(read_end);
    return error ? error : raise_fd(write_end);
}

static int open_null(int *fd, int flags)
{
    *fd = open("/dev/null", flags | O_CLOEXEC);
    return *fd < 0 ? errno : raise_fd(fd);
}

static int open_pipes(struct start *start, struct child_pipes *pipes)
{
    const struct child_spec *spec = start->spec;
    int error = spec->input ? make_pipe(&start->in, &pipes->input) : open_null(&start->in, O_RDONLY);

    if (!error)
        error = spec->on_output ? make_pipe(&pipes->output, &start->out) : open_null(&start->out, O_WRONLY);
    if (!error)
        error = make_pipe(&pipes->error, &start->err);
    if (!error && spec->on_progress)
        error = make_pipe(&pipes->progress, &start->progress);
    if (!error && pipes->input >= 0)
        error = fcntl(pipes->input, F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
    return error;
}

static void close_child_ends(struct start *start)
{
    close_fd(&start->in);
    close_fd(&start->out);
    close_fd(&start->err);
    close_fd(&start->progress);
}

static void close_parent_ends(struct child_pipes *pipes)
{
    close_fd(&pipes->input);
    close_fd(&pipes->output);
    close_fd(&pipes->error);
    close_fd(&pipes->progress);
}

static int add_env(struct start *start, const char *text)
{
    if (start->n_env == MAX_ENV)
        return E2BIG;
    start->env[start->n_env] = strdup(text);
    if (!start->env[start->n_env])
        return ENOMEM;
    start->n_env++;
    return 0;
}

static int copy_env(struct start *start, const char *name)
{
    const char *value = getenv(name);
    size_t size = value ? strlen(name) + strlen(value) + 2 : 0;
    char *text = value ? malloc(size) : NULL;
    int error;

    if (!value)
        return 0;
    if (!text)
        return ENOMEM;
    snprintf(text, size, "%s=%s", name, value);
    error = add_env(start, text);
    free(text);
    return error;
}

/* A fixed locale: the programs' numbers are parsed, and a comma would not be a decimal point. */
static int build_env(struct start *start)
{
    static const char *const kept[] = { "PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH" };
    int error = add_env(start, "LC_ALL=C");

    for (size_t i = 0; !error && i < sizeof(kept) / sizeof(kept[0]); i++)
        error = copy_env(start, kept[i]);
    if (!error && start->spec->on_progress)
        error = add_env(start, "JOBQ_PROGRESS_FD=3");
    for (const char *const *more = start->spec->env; !error && more && *more; more++)
        error = add_env(start, *more);
    return error;
}

static void free_env(struct start *start)
{
    for (size_t i = 0; i < start->n_env; i++)
        free(start->env[i]);
}

/* ---- in the child -------------------------------------------------------------------------------- */

static void default_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Raising is not possible and not meant: a smaller limit that is already in force stays. */
static struct rlimit at_most(const struct rlimit *now, rlim_t value)
{
    if (now->rlim_max != RLIM_INFINITY && now->rlim_max < value)
        value = now->rlim_max;
    return (struct rlimit){ .rlim_cur = value, .rlim_max = value };
}

static void apply_limits(const struct child_spec *spec)
{
    struct rlimit now;

    if (getrlimit(RLIMIT_CORE, &now) == 0)
        setrlimit(RLIMIT_CORE, &(struct rlimit){ .rlim_cur = 0, .rlim_max = now.rlim_max });
    if (spec->memory_limit_bytes > 0 && getrlimit(RLIMIT_AS, &now) == 0) {
        now = at_most(&now, (rlim_t)spec->memory_limit_bytes);
        setrlimit(RLIMIT_AS, &now);
    }
    if (spec->cpu_limit_s > 0 && getrlimit(RLIMIT_CPU, &now) == 0) {
        now = at_most(&now, (rlim_t)spec->cpu_limit_s);
        setrlimit(RLIMIT_CPU, &now);
    }
    if (spec->nice > 0 && getpriority(PRIO_PROCESS, 0) < spec->nice)
        (void)!setpriority(PRIO_PROCESS, 0, spec->nice);
}

/* Descriptors of other threads may lack FD_CLOEXEC; the report pipe has it, and must live until execve. */
static void hide_other_fds(int first)
{
    struct rlimit files;
    int last = MAX_FDS_TO_CLOSE;

#ifdef CLOSE_RANGE_CLOEXEC
    if (close_range((unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
#endif
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MAX_FDS_TO_CLOSE)
        last = (int)files.rlim_cur;
    for (int fd = first; fd < last; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int place_fds(const struct start *start)
{
    if (dup2(start->in, STDIN_FILENO) < 0 || dup2(start->out, STDOUT_FILENO) < 0 ||
        dup2(start->err, STDERR_FILENO) < 0)
        return errno;
    if (start->progress >= 0 && dup2(start->progress, PROGRESS_FD) < 0)
        return errno;
    hide_other_fds(start->progress >= 0 ? PROGRESS_FD + 1 : PROGRESS_FD);
    return 0;
}

static void become(const struct start *start)
{
    union { const char *const *in; char *const *out; } argv = { .in = start->spec->argv };
    int error;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != start->parent)     /* it died before the line above took effect */
        _exit(127);
    default_signals();
    error = place_fds(start);
    if (!error) {
        apply_limits(start->spec);
        execve(start->spec->program, argv.out, start->env);
        error = errno;
    }
    (void)!write(start->report, &error, sizeof(error));
    _exit(127);
}

/* ---- in the parent ------------------------------------------------------------------------------- */

/* The report pipe closes by itself when execve succeeds. */
static int read_report(int fd, pid_t pid)
{
    int error = 0;
    ssize_t got;

    do
        got = read(fd, &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(error))
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return error ? error : EIO;
}

static int fork_child(struct start *start, pid_t *pid)
{
    int report = -1;
    int error = make_pipe(&report, &start->report);

    if (!error) {
        *pid = fork();
        if (*pid == 0)
            become(start);
        error = *pid < 0 ? errno : 0;
    }
    close_fd(&start->report);
    if (!error) {
        setpgid(*pid, *pid);    /* in both: whoever comes first, the group exists before anyone kills it */
        error = read_report(report, *pid);
    }
    close_fd(&report);
    return error;
}

int child_start(const struct child_spec *spec, pid_t *pid, struct child_pipes *pipes)
{
    struct start start = {
        .spec = spec, .parent = getpid(), .in = -1, .out = -1, .err = -1, .progress = -1, .report = -1,
    };
    int error;

    *pipes = (struct child_pipes){ .input = -1, .output = -1, .error = -1, .progress = -1 };
    error = open_pipes(&start, pipes);
    if (!error)
        error = build_env(&start);
    if (!error)
        error = fork_child(&start, pid);
    free_env(&start);
    close_child_ends(&start);
    if (error)
        close_parent_ends(pipes);
    return error;
}
