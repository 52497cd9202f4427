/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "help.h"
#include "json.h"

static void help_all(void)
{
    puts("usage: jobq [-s URI] [--json] COMMAND [ARGUMENTS]\n\ncommands:");
    for (const struct command *c = commands; c->name; c++) {
        printf("  %-9s %s\n", c->name, c->summary);
    }
    puts("\neverywhere:\n"
         "  -s URI, --store URI   the store, such as sqlite:jobs.db?namespace=mail; @FILE reads it from a "
         "file\n"
         "                        (or set JOBQ_STORE, or JOBQ_STORE_FILE)\n"
         "  --json                one JSON value instead of a table\n"
         "  --io-timeout MS       how long the store may take (30000)\n"
         "  -h, --help            also behind a command\n"
         "\nBytes (payload, key, result, error) may be given as - for standard input or @FILE.\n"
         "Durations are milliseconds, or carry ms, s, m, h or d.\n"
         "exit codes: 0 ok, 1 refused or failed, 2 usage, 3 not found, 4 store, 5 time over, 6 outcome "
         "unknown");
}

void help_command(const struct cli *cli, const struct command *command)
{
    (void)cli;
    if (!command) {
        help_all();
        return;
    }
    printf("usage: jobq %s%s%s\n%s\n", command->name, command->operands[0] ? " " : "", command->operands,
           command->summary);
    if (command->alias) {
        printf("also called: %s\n", command->alias);
    }
    if (command->details) {
        printf("\n%s", command->details);
    }
}

static void put_command(struct json *json, const struct command *command)
{
    json_object(json, NULL);
    json_text(json, "name", command->name);
    json_name(json, "alias", command->alias);
    json_text(json, "operands", command->operands);
    json_text(json, "summary", command->summary);
    json_name(json, "details", command->details);
    json_end(json);
}

/* One command, or all when it is NULL. */
static void help_json(struct cli *cli, const struct command *command)
{
    struct json json = json_begin(cli);

    if (command) {
        put_command(&json, command);
        return;
    }
    json_array(&json, NULL);
    for (const struct command *c = commands; c->name; c++) {
        put_command(&json, c);
    }
    json_end(&json);
}

int run_help(struct cli *cli, int argc, char **argv)
{
    struct args args;
    const struct command *command = NULL;
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return args_leave(&args);
    }
    if ((code = args_operands(&args, 0, 1)) != LEAVE_OK) {
        return code;
    }
    if (optind < argc && !(command = command_find(argv[optind]))) {
        return leave_usage(cli, "command", "there is no command '%s'; jobq help lists them", argv[optind]);
    }
    if (cli->json) {
        help_json(cli, command);
    } else {
        help_command(cli, command);
    }
    return LEAVE_OK;
}

int run_version(struct cli *cli, int argc, char **argv)
{
    struct args args;
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return args_leave(&args);
    }
    if ((code = args_operands(&args, 0, 0)) != LEAVE_OK) {
        return code;
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_text(&json, "version", jobq_version());
        json_array(&json, "stores");
        for (size_t i = 0; store_built(i); i++) {
            json_text(&json, NULL, store_built(i));
        }
        json_end(&json);
        json_end(&json);
        return LEAVE_OK;
    }
    printf("jobq %s", jobq_version());
    for (size_t i = 0; store_built(i); i++) {
        printf("%s%s", i ? ", " : " with ", store_built(i));
    }
    putchar('\n');
    return LEAVE_OK;
}
