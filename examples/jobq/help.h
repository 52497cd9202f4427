/* SPDX-License-Identifier: MIT */
#ifndef JOBQ_HELP_H
#define JOBQ_HELP_H

#include "cli.h"

/* Usage of one command, or of the whole program when it is NULL, on stdout. */
void help_command(const struct cli *cli, const struct command *command);

#endif
