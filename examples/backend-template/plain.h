/* SPDX-License-Identifier: MIT */
#ifndef PLAIN_H
#define PLAIN_H
#include <jobq/jobq.h>

const struct jobq_backend *plain_store(void); /* "plain:FOLDER", made if it is missing; option: namespace */

#endif
