/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "environment.h"
#include "run.h"

enum { LOOK_MS = 100, KILL_AFTER_MS = 2000 }; /* how often the job's flags are looked at; from TERM to KILL */

/* One attempt. */
struct attempt {
    const struct run *run;
    struct jobq_ctx *ctx;
    struct child child;
    size_t sent; /* of the payload */
    char *result;
    size_t result_size, result_room;
    int too_large;
    char error[STDERR_KEPT]; /* a ring: the last bytes of stderr */
    size_t error_total;
    int64_t started_ms, stopping_ms, term_ms, kill_ms; /* 0: not yet */
    int cancel_told, timed_out, gave_back, lost;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- streams ---- */

static void close_input(struct attempt *a)
{
    if (a->child.in >= 0) {
        close(a->child.in);
        a->child.in = -1;
    }
}

static void feed(struct attempt *a)
{
    const struct jobq_bytes *payload = &jobq_ctx_job(a->ctx)->payload;

    while (a->child.in >= 0 && a->sent < payload->size) {
        ssize_t n = write(a->child.in, (const char *)payload->data + a->sent, payload->size - a->sent);
        if (n > 0) {
            a->sent += (size_t)n;
        } else if (errno != EINTR) {
            if (errno != EAGAIN) {
                close_input(a); /* it does not want the rest */
            }
            return;
        }
    }
    close_input(a);
}

/* Keep what was written to stdout. More than allowed is read and dropped, so that the program comes to its
 * end. */
static void keep_result(struct attempt *a, const char *data, size_t size)
{
    size_t need = a->result_size + size;

    if (a->too_large || need > a->run->result_max_bytes) {
        a->too_large = 1;
        return;
    }
    if (need > a->result_room) {
        size_t room = need * 2;
        char *bigger = realloc(a->result, room);
        if (!bigger) {
            a->too_large = 1;
            return;
        }
        a->result = bigger;
        a->result_room = room;
    }
    memcpy(a->result + a->result_size, data, size);
    a->result_size = need;
}

static void keep_error(struct attempt *a, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        a->error[a->error_total++ % STDERR_KEPT] = data[i];
    }
}

static void drain(struct attempt *a, int *fd, void (*keep)(struct attempt *, const char *, size_t))
{
    char data[16384];

    /* Bounded, so that a program that never stops talking does not keep us from looking at the job's flags.
     */
    for (int turn = 0; turn < 64 && *fd >= 0; turn++) {
        ssize_t n = read(*fd, data, sizeof data);
        if (n > 0) {
            keep(a, data, (size_t)n);
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            close(*fd);
            *fd = -1;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* ---- when to end it ---- */

static void terminate(struct attempt *a, int64_t now)
{
    if (!a->term_ms) {
        a->term_ms = now;
        child_signal(&a->child, SIGTERM);
    } else if (!a->kill_ms && now - a->term_ms >= KILL_AFTER_MS) {
        a->kill_ms = now;
        child_signal(&a->child, SIGKILL);
    }
}

static void look(struct attempt *a)
{
    uint32_t flags = jobq_ctx_flags(a->ctx);
    int64_t now = now_ms();

    if ((flags & JOBQ_CTX_STOPPING) && !a->stopping_ms) {
        a->stopping_ms = now;
    }
    if (flags & JOBQ_CTX_LOST) {
        a->lost = 1;
    }
    if ((flags & JOBQ_CTX_TIMEOUT) || (a->run->timeout_ms && now - a->started_ms >= a->run->timeout_ms)) {
        a->timed_out = 1;
    }
    if (a->stopping_ms && (now - a->stopping_ms >= a->run->grace_ms || work_signals() > 1)) {
        a->gave_back = 1;
    }
    if (a->lost || a->timed_out || a->gave_back) {
        terminate(a, now);
    } else if ((flags & JOBQ_CTX_CANCEL) && !a->cancel_told) {
        a->cancel_told = 1;
        child_signal(&a->child, SIGTERM);
    }
}

/* ---- what came of it ---- */

static void say(struct attempt *a, const char *text)
{
    /* The ring in order, behind the sentence. */
    char whole[STDERR_KEPT + 512];
    size_t n = (size_t)snprintf(whole, 512, "%s", text);
    size_t kept = a->error_total < STDERR_KEPT ? a->error_total : STDERR_KEPT;

    n = n < 512 ? n : 511;
    if (n > 0 && kept > 0) {
        whole[n++] = '\n';
    }
    for (size_t i = a->error_total - kept; i < a->error_total; i++) {
        whole[n++] = a->error[i % STDERR_KEPT];
    }
    (void)jobq_ctx_error(a->ctx, whole, n);
}

static int judge_exit(struct attempt *a, int code)
{
    char text[100];

    if (code != 0) {
        snprintf(text, sizeof text, "exit status %d", code);
        say(a, a->error_total ? "" : text);
        return JOBQ_RETRY;
    }
    if (a->too_large) {
        snprintf(text, sizeof text, "result could not be stored: more than %zu bytes on standard output",
                 a->run->result_max_bytes);
        say(a, text);
        return JOBQ_GIVE_UP;
    }
    if (a->result_size && jobq_ctx_result(a->ctx, a->result, a->result_size) != JOBQ_OK) {
        say(a, jobq_last_error()->text);
        return JOBQ_GIVE_UP;
    }
    return JOBQ_DONE;
}

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},
        {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
        {SIGKILL, "SIGKILL"}, {SIGUSR1, "SIGUSR1"}, {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"},
        {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"}, {SIGXCPU, "SIGXCPU"},
        {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    return "another signal";
}

static int judge(struct attempt *a)
{
    int status = a->child.status;
    char text[200];

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !a->timed_out) {
        return judge_exit(a, 0); /* asked to end or not: it did its work */
    }
    if (a->gave_back) {
        return JOBQ_RELEASE;
    }
    if (a->timed_out) {
        snprintf(text, sizeof text, "ended after its time was over (%lld ms)",
                 (long long)(a->term_ms - a->started_ms));
        say(a, text);
        return JOBQ_RETRY;
    }
    if (WIFSIGNALED(status)) {
        snprintf(text, sizeof text, "killed by signal %d (%s)", WTERMSIG(status),
                 signal_name(WTERMSIG(status)));
        say(a, text);
        return JOBQ_RETRY;
    }
    return judge_exit(a, WEXITSTATUS(status));
}

/* ---- one job ---- */

static void attend(struct attempt *a)
{
    const struct jobq_bytes *payload = &jobq_ctx_job(a->ctx)->payload;

    while (!child_ended(&a->child)) {
        child_poll(&a->child, a->sent < payload->size, LOOK_MS);
        feed(a);
        drain(a, &a->child.out, keep_result);
        drain(a, &a->child.err, keep_error);
        look(a);
    }
    /* What it wrote last is in the pipes still. Others that hold them open are not waited for. */
    for (size_t before = 0; before != a->result_size + a->error_total + 1;) {
        before = a->result_size + a->error_total + 1;
        drain(a, &a->child.out, keep_result);
        drain(a, &a->child.err, keep_error);
    }
    child_finish(&a->child);
}

int run_job(struct jobq_ctx *ctx, void *user)
{
    const struct run *run = user;
    struct attempt *a = calloc(1, sizeof *a);
    char **environment = environment_make(jobq_ctx_job(ctx));
    char text[200];
    int outcome = JOBQ_RETRY, error = ENOMEM;

    if (a && environment) {
        a->run = run;
        a->ctx = ctx;
        a->started_ms = now_ms();
        error = child_start(&a->child, &run->program, environment, &run->nest);
    }
    if (error == 0) {
        attend(a);
        outcome = judge(a);
    } else {
        int n = snprintf(text, sizeof text, "the program could not be started: %s", strerror(error));
        (void)jobq_ctx_error(ctx, text, (size_t)n);
    }
    environment_free(environment);
    if (a) {
        free(a->result);
    }
    free(a);
    return outcome;
}
