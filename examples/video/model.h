/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_MODEL_H
#define VIDEO_MODEL_H

/* The model that the user brings for the emotion step: FILE, and FILE.json, which says how it is asked. */

#include <limits.h>

#include "plan.h"

struct model {
    char path[PATH_MAX];            /* absolute */
    char sha256[SHA256_TEXT_BYTES]; /* of both files, one behind the other */
};

/* NULL, or what is wrong; static text. */
const char *model_read(struct model *model, const char *path);

#endif
