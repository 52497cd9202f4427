/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

#define FILE_MAX_BYTES 65536
#define OPTION         "--config"

/* ---- the option ------------------------------------------------------------------------------ */

/* The file's name when argument `i` is the option; *used tells how many arguments it takes. */
static const char *name_at(int argc, char **argv, int i, int *used)
{
    size_t size = strlen(OPTION);

    *used = 1;
    if (strncmp(argv[i], OPTION "=", size + 1) == 0)
        return argv[i] + size + 1;
    if (strcmp(argv[i], OPTION) != 0)
        return NULL;
    *used = 2;
    return i + 1 < argc ? argv[i + 1] : "";
}

/* ---- the file -------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file ? calloc(1, FILE_MAX_BYTES + 1) : NULL;
    size_t size = text ? fread(text, 1, FILE_MAX_BYTES + 1, file) : 0;

    if (file)
        fclose(file);
    if (!text)
        program_die(0, OPTION " %s: %s", path, strerror(errno));
    else if (size > FILE_MAX_BYTES || strlen(text) != size)
        program_die(0, OPTION " %s: it is no text of at most %d bytes", path, FILE_MAX_BYTES);
    else
        return text;
    free(text);
    return NULL;
}

static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (end > text && strchr(" \t\r", end[-1]))
        *--end = '\0';
    return text + strspn(text, " \t");
}

static int add(struct config *config, char *argument)
{
    char **more = realloc(config->argv, ((size_t)config->argc + 2) * sizeof(*more));

    if (more)
        config->argv = more;
    if (!more || !argument)
        return program_die(EXIT_FAILED, "out of memory");
    config->argv[config->argc++] = argument;
    config->argv[config->argc] = NULL;
    return 0;
}

/* "name = value" becomes "--name=value", an argument of its own. */
static int add_line(struct config *config, const char *path, int number, char *line)
{
    char *equals, *name = trim(line), *value = NULL, *argument;
    size_t size;
    int status;

    if (*name == '\0' || *name == '#')
        return 0;
    equals = strchr(name, '=');
    if (equals) {
        *equals = '\0';
        value = trim(equals + 1);
        name = trim(name);
    }
    if (*name == '\0' || *name == '-' || strpbrk(name, " \t") || strcmp(name, "config") == 0)
        return program_die(EXIT_USAGE, OPTION " %s, line %d: it must be \"name = value\"", path, number);
    size = strlen(name) + (value ? strlen(value) + 1 : 0) + 3;
    argument = malloc(size);
    if (argument)
        snprintf(argument, size, "--%s%s%s", name, value ? "=" : "", value ? value : "");
    status = add(config, argument);
    if (status == 0)
        config->from_file = config->argc - 1;
    else
        free(argument);
    return status;
}

static int add_file(struct config *config, const char *path)
{
    char *text = read_file(path), *rest;
    int status = text ? 0 : EXIT_USAGE, number = 0;

    rest = text;
    for (char *line; status == 0 && (line = strsep(&rest, "\n")) != NULL;)
        status = add_line(config, path, ++number, line);
    free(text);
    return status;
}

/* ---- both ------------------------------------------------------------------------------------ */

int config_read(struct config *config, int argc, char **argv)
{
    int status, used = 1;

    *config = (struct config){.argc = 0};
    status = add(config, argv[0]);
    for (int i = 1; i < argc && status == 0; i += used) {
        const char *path = name_at(argc, argv, i, &used);
        if (path)
            status = *path ? add_file(config, path) : program_die(EXIT_USAGE, OPTION " needs a file");
    }
    for (int i = 1; i < argc && status == 0; i += used)
        if (!name_at(argc, argv, i, &used))
            status = add(config, argv[i]);
    return status;
}

void config_free(struct config *config)
{
    for (int i = 1; i <= config->from_file; i++)
        free(config->argv[i]);
    free(config->argv);
    *config = (struct config){.argc = 0};
}
