/* SPDX-License-Identifier: MIT */
/* The plain store: one text file for each namespace, a line for each thing that is stored. */
#ifndef PLAIN_H
#define PLAIN_H
#include <jobq/jobq.h>
const struct jobq_backend *plain_store(void); /* "plain:FOLDER", made if it is missing; option: namespace */
#endif
