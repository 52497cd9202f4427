/* SPDX-License-Identifier: MIT */
#ifndef DIFFERENTIAL_SIDE_REDIS_H
#define DIFFERENTIAL_SIDE_REDIS_H

#include "diff.h"

int side_fresh_redis(struct side *side); /* a server of this program, emptied. 0 or -1 */

#endif
