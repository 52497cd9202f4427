/* SPDX-License-Identifier: MIT */
/* jobq-video: real video through the queue. */
#include "program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "post.h"

static const char usage_text[] =
    "usage: jobq-video COMMAND [OPTIONS]\n"
    "  serve    take submissions over HTTP, answer for results, take the services' callbacks\n"
    "  worker   do the steps of the submissions\n"
    "  submit   hand files in; --wait shows them until they are done\n"
    "  watch    show submissions until they are done\n"
    "Every command explains itself with --help.\n";

int program_die(int status, const char *format, ...)
{
    va_list arguments;

    fputs("jobq-video: ", stderr);
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

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        {"serve", serve_main},
        {"worker", worker_main},
        {"submit", submit_main},
        {"watch", watch_main},
    };

    if (post_init() != 0)
        return program_die(EXIT_FAILED, "libcurl cannot be used");
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage_text, stdout);
        return EXIT_DONE;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("jobq-video %s\n", jobq_version());
        return EXIT_DONE;
    }
    fputs(usage_text, stderr);
    return EXIT_USAGE;
}
