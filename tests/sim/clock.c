/* SPDX-License-Identifier: MIT */
/* Time, chance and waiting of the simulation, in the place of the system's: linked with --wrap. */
#include "sim.h"

#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct sim_world sim;

/* xorshift64*. */
uint64_t sim_roll(void)
{
    sim.dice ^= sim.dice >> 12;
    sim.dice ^= sim.dice << 25;
    sim.dice ^= sim.dice >> 27;
    return sim.dice * UINT64_C(2685821657736338717) >> 16;
}

bool sim_chance(int percent)
{
    return (int)(sim_roll() % 100) < percent;
}

int __wrap_clock_gettime(clockid_t which, struct timespec *out);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
ssize_t __wrap_getrandom(void *out, size_t bytes, unsigned flags);

int __wrap_clock_gettime(clockid_t which, struct timespec *out)
{
    int64_t ms = which == CLOCK_REALTIME ? sim.wall_ms : sim.monotonic_ms;
    *out = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    return 0;
}

void sim_pass(int64_t ms)
{
    sim.monotonic_ms += ms;
    sim.wall_ms += ms;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    if (sim_chance(25)) /* the process was not let run for longer than it waits for an answer */
        sim_pass(300);
    sim_pass(time->tv_sec * 1000 + time->tv_nsec / 1000000);
    return 0;
}

/* Nobody else is there to ring. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    (void)fds;
    (void)count;
    sim_pass(timeout_ms > 0 ? timeout_ms : 0);
    return 0;
}

ssize_t __wrap_getrandom(void *out, size_t bytes, unsigned flags)
{
    uint8_t *at = out;
    (void)flags;
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)sim_roll();
    return (ssize_t)bytes;
}
