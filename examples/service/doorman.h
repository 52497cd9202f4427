/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_DOORMAN_H
#define SERVICE_DOORMAN_H

/* Connections of a transfer go only where a policy lets them: looked at when the name has become the address that is
 * connected to, since at no later moment it could become another one. */

#include <curl/curl.h>

#include "target.h"

struct doorman {
    const struct target_policy *policy; /* lent; NULL: anywhere */
    int closed;                         /* answer: an address was refused */
};

/* The doorman lives as long as the transfer. */
void doorman_set(CURL *curl, struct doorman *doorman);

#endif
