/* SPDX-License-Identifier: MIT */
#ifndef DIFFERENTIAL_SIDE_POSTGRES_H
#define DIFFERENTIAL_SIDE_POSTGRES_H

#include "diff.h"

int side_fresh_postgres(struct side *side); /* an empty store in the namespace of this process; 0 or -1 */

#endif
