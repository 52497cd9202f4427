/* SPDX-License-Identifier: MIT */
/* jobq-video: real video through the queue. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "config.h"
#include "post.h"
#include "program.h"

static const char usage_text[] =
    "usage: jobq-video COMMAND [OPTIONS]\n"
    "  serve    take submissions over HTTP, answer for results, take the services' callbacks\n"
    "  worker   do the steps of the submissions\n"
    "  submit   hand files in; --wait shows them until they are done\n"
    "  watch    show submissions until they are done\n"
    "Every command explains itself with --help, and takes options from a file too, with --config FILE: a "
    "line\n"
    "for each, \"name = value\".\n";

const char program_name[] = "jobq-video";

static int run_configured(int (*run)(int argc, char **argv), int argc, char **argv)
{
    struct config config;
    int status = config_read(&config, argc, argv);

    if (status == 0)
        status = run(config.argc, config.argv);
    config_free(&config);
    return status;
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
            return run_configured(commands[i].run, argc - 1, argv + 1);
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
