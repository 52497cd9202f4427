/* SPDX-License-Identifier: MIT */
/* TLS, as far as the hiredis that this was built with has it. */
#ifndef JOBQ_REDIS_TLS_H
#define JOBQ_REDIS_TLS_H

#include "store.h"

#include <sys/time.h>
#include <sys/uio.h>

int rd_tls_start(struct link *link, struct timeval limit);
ssize_t rd_tls_send(struct link *link, const struct iovec *parts, size_t count); /* as sendmsg */
int rd_tls_receive(struct link *link); /* 1 some, 0 nothing there, -1 broken */

#endif
