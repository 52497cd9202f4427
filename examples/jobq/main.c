/* SPDX-License-Identifier: MIT */
/* jobq: the queue from the command line. Finds the command; everything else is in the files beside this one.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "help.h"

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0)) {
            return c;
        }
    }
    return NULL;
}

static int run_command(struct cli *cli, int argc, char **argv)
{
    const struct command *command = command_find(argv[0]);
    int code;

    if (!command) {
        return leave_usage(cli, "command", "there is no command '%s'; jobq help lists them", argv[0]);
    }
    cli->command = command;
    code = command->run(cli, argc, argv);
    return cli->helped ? LEAVE_OK : code;
}

static const struct option main_options[] = {{"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};

static int run_main(struct cli *cli, int argc, char **argv)
{
    static char version[] = "version";
    char *version_argv[] = {version, NULL};
    struct args args;
    int option;

    args_begin(&args, cli, argc, argv, "+:s:hV", main_options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == 'V') {
            return run_command(cli, 1, version_argv);
        }
        return args_leave(&args);
    }
    if (optind >= argc) {
        help_command(cli, NULL);
        return LEAVE_USAGE;
    }
    return run_command(cli, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
    struct cli cli = {.options = {.size = sizeof cli.options}};
    int code;

    /* A reader that goes away is an answer that could not be written, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    code = leave_flushed(&cli, run_main(&cli, argc, argv));
    store_close(&cli);
    return code;
}
