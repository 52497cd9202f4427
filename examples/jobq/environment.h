/* SPDX-License-Identifier: MIT */
#ifndef JOBQ_CLI_ENVIRONMENT_H
#define JOBQ_CLI_ENVIRONMENT_H

#include <jobq/jobq.h>

/* This process's environment with the job's variables; NULL without memory. */
char **environment_make(const struct jobq_job *job);
void environment_free(char **environment);

#endif
