/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_CHILD_H
#define SERVICE_CHILD_H

/*
 * Runs one program as a child process and talks to it through pipes. Arguments go to execve(2) as they are;
 * there is no shell. The child
 *   - is the leader of its own process group, and the whole group is killed when it ends, when the time limit
 *     passes, when a callback says stop, when `cancel_fd` becomes readable, and (Linux) when the thread that
 *     called child_run() dies for whatever reason;
 *   - inherits no descriptor but 0, 1, 2 and, with `on_progress`, 3;
 *   - sees a small environment: PATH, HOME, TMPDIR, LD_LIBRARY_PATH of ours, LC_ALL=C and what `env` adds;
 *   - has default signal handlers, no core dump, and the limits given here.
 *
 * child_run() blocks until the child is gone and reaped, so no zombie is left on any path. It may be called
 * from several threads at once. The program must ignore SIGPIPE when it uses `input`.
 */

#include <stddef.h>
#include <stdint.h>

/* Gets bytes as they arrive; a non-zero return kills the child and child_run() reports CHILD_STOPPED. */
typedef int (*child_bytes_fn)(void *arg, const char *bytes, size_t size);

struct child_spec {
    const char *program;        /* absolute path */
    const char *const *argv;    /* argv[0] included, NULL at the end */
    const char *const *env;     /* further "NAME=value" strings, NULL at the end; may be NULL */
    int64_t time_limit_ms;      /* wall clock; 0 = none */
    int64_t cpu_limit_s;        /* RLIMIT_CPU; 0 = none */
    size_t memory_limit_bytes;  /* RLIMIT_AS; 0 = none */
    int nice;                   /* it is at least so nice; 0 to 19. Not added: children have children */
    const void *input;          /* fed to standard input; NULL = /dev/null */
    size_t input_size;
    void (*on_fed)(void *arg, size_t fed);  /* after each piece of input the child has taken; may be NULL */
    child_bytes_fn on_output;               /* standard output; NULL = discarded */
    child_bytes_fn on_progress;             /* descriptor 3 of the child, told to it as JOBQ_PROGRESS_FD=3 */
    void *arg;                              /* first argument of the callbacks */
    int cancel_fd;                          /* becomes readable = give up; 0 or -1 = none */
};

enum child_end {
    CHILD_EXITED = 0,   /* `code` is the exit status */
    CHILD_SIGNALLED,    /* `code` is the signal that ended it, not sent by us */
    CHILD_TIMED_OUT,
    CHILD_STOPPED,      /* a callback asked for it */
    CHILD_CANCELLED,    /* cancel_fd */
    CHILD_NOT_STARTED,  /* `code` is the errno of what failed: pipe, fork, execve ... */
};

#define CHILD_ERROR_BYTES 4096

struct child_result {
    enum child_end end;
    int code;
    size_t error_lines;                         /* lines the child wrote to standard error */
    char error_text[CHILD_ERROR_BYTES + 1];     /* the last of them, NUL at the end */
};

/* Returns 0 when the child ran and exited with status 0, otherwise -1; `result` always tells which. */
int child_run(const struct child_spec *spec, struct child_result *result);

/* Looks for an executable file `name` in the absolute folders of PATH. Returns 0 and its path, or -1. */
int child_find_program(const char *name, char *out, size_t out_size);

#endif
