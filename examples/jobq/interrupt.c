/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "interrupt.h"

/* The handler writes a byte that the rest waits for: whichever thread it runs in, and also before the rest begins. */
static int ends[2] = {-1, -1};
static volatile sig_atomic_t came;

static void on_signal(int number)
{
    ssize_t written = 0;

    if (came) {
        signal(number, SIG_DFL);
        raise(number); /* while a store does not answer there is no rest to end */
    } else {
        came = 1;
        written = write(ends[1], "", 1);
    }
    (void)written; /* a full pipe says the same */
}

/* What the caller has ignored (a job in the background) stays ignored. */
static void hold(int number)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;

    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        sigaction(number, &action, NULL);
    }
}

void interrupt_hold(void)
{
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        hold(SIGINT);
        hold(SIGTERM);
    }
}

int interrupt_rest(int64_t ms)
{
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};

    poll(&wait, 1, (int)ms);
    return came != 0;
}
