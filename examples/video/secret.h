/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_SECRET_H
#define VIDEO_SECRET_H

#include "webhook.h"

#define SECRET_MAX_KEYS 8

/* The keys of a secret file, one "whsec_..." a line: the first signs, all verify. Empty lines and those that
 * begin with '#' are left away. */
struct secret {
    struct webhook_key keys[SECRET_MAX_KEYS];
    size_t count;
};

/* The file must belong to us or root and be nobody else's to read or write. Returns NULL, or the trouble. */
const char *secret_read(struct secret *secret, const char *path);

#endif
