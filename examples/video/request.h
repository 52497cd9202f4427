/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_REQUEST_H
#define VIDEO_REQUEST_H

/*
 * The body of POST /analysis/start:
 *
 *   videoPath    a file below the media folder, relative to it or with the folder's path in front
 *   videoUrl     instead of it: "file:..." (percent-encoded) or the same as videoPath; or "http:", "https:",
 * of a video that is elsewhere: the caller looks whether that is taken jobId        the caller's own
 * idempotency key, 1 to 255 bytes; the header Idempotency-Key does the same metadata     any object;
 * "candidate" (a string) and "share" (true or false) in it have a meaning, see plan.h callbackUrl  http: or
 * https:; the result is posted to it callbackSecret  the name of the secret that signs it, "default" when
 * absent; never the secret itself
 *
 * What is accepted becomes the payload of the probe. It depends on the body alone, so that a repeated request
 * is recognised by its bytes. The file is looked at and not opened.
 */

#include <jansson.h>
#include <stddef.h>

#include "folder.h"

#define REQUEST_BODY_MAX_BYTES 65536
#define REQUEST_KEY_MAX_BYTES  255

struct request {
    char *payload;      /* of the probe */
    char *key;          /* NULL: none */
    char *callback_url; /* NULL: none */
    char *url;          /* of a video that is to be fetched; NULL: it is below the media folder */
    /* when it was refused */
    int status;        /* of HTTP; 0: it was accepted */
    const char *field; /* static text */
    char problem[256];
};

/* Fills `request`; `header_key` is the header's value or NULL. Returns 0, or -1 with status, field and
 * problem. */
int request_read(struct request *request, const struct folder *folder, const void *body, size_t body_size,
                 const char *header_key);

void request_free(struct request *request);

#endif
