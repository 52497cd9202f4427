/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "interrupt.h"

static sigset_t held;

/* What the caller has ignored (a job in the background, nohup) stays ignored. */
static void add(int number)
{
    struct sigaction action;

    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
        sigaddset(&held, number);
    }
}

void interrupt_hold(void)
{
    sigemptyset(&held);
    add(SIGINT);
    add(SIGTERM);
    sigprocmask(SIG_BLOCK, &held, NULL);
}

int interrupt_rest(int64_t ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    /* EINTR: the process was stopped and goes on. A shorter rest does no harm. */
    return sigtimedwait(&held, NULL, &pause) > 0;
}
