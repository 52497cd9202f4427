/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_CONFIG_H
#define SERVICE_CONFIG_H

/*
 * Options from a file: "--config FILE" anywhere among the arguments is replaced by what stands in the file,
 * put in front of the others, so that those on the command line win. A line is "name = value", or "name"
 * alone for an option without one; empty lines and those that begin with '#' are left away.
 */

struct config {
    char **argv; /* what is to be read instead of the program's own, whose arguments are in it themselves */
    int argc;
    int from_file; /* the arguments 1 to this one are ours */
};

/* Returns 0, or an exit status after saying what is wrong. config_free afterwards in both cases. */
int config_read(struct config *config, int argc, char **argv);
void config_free(struct config *config);

#endif
