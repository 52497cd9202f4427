/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int program_die(int status, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return status;
}

int program_number(const char *option, const char *text, int64_t least, int64_t most, int64_t *out)
{
    char *end = NULL;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most)
        return program_die(EXIT_USAGE, "%s: must be a whole number from %lld to %lld", option,
                           (long long)least, (long long)most);
    *out = value;
    return 0;
}

void program_block_signals(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGINT);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGHUP);
    pthread_sigmask(SIG_BLOCK, out, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int program_wait(const sigset_t *signals)
{
    int number = 0;

    while (sigwait(signals, &number) != 0)
        continue;
    return number;
}
