/* SPDX-License-Identifier: MIT */
/* This hiredis has no TLS. */
#include "tls.h"

#include <errno.h>

int rd_tls_start(struct link *link, struct timeval limit)
{
    (void)limit;
    return rd_fault(link, JOBQ_UNSUPPORTED, JOBQ_FAILURE_REFUSED,
                    "rediss: needs a hiredis with TLS (hiredis_ssl, 1.0 or later); this library was built without it. "
                    "Use redis+unix: or a tunnel");
}

ssize_t rd_tls_send(struct link *link, const struct iovec *parts, size_t count)
{
    (void)link, (void)parts, (void)count;
    errno = ENOTSUP;
    return -1;
}

int rd_tls_receive(struct link *link)
{
    (void)link;
    return -1;
}
