/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_POST_H
#define VIDEO_POST_H

/* HTTP as a client: one request, one small JSON answer. No redirects, no proxy, http and https only, limits
 * on time and size. */

#include <jansson.h>
#include <stddef.h>

#include "target.h"

struct post_answer;

struct post {
    const char *url;
    const char *body;           /* NULL: a GET */
    const char *const *headers; /* "Name: value", NULL at the end; may be NULL */
    long time_limit_ms;         /* 0: 15 s */
    size_t answer_max_bytes;    /* 0: 64 KiB */
    int status_only;            /* the answer's body is not wanted */
    /* Takes the body of an answer 200 piece by piece, which is no JSON then; not 0 ends it. NULL: none */
    int (*take)(void *user, const struct post_answer *answer, const void *bytes, size_t size);
    int (*stop)(void *user); /* asked now and then; not 0 ends it; NULL: none */
    void *user;
    const struct target_policy *policy; /* of the addresses; NULL: any */
};

struct post_answer {
    long status;        /* of HTTP; 0: there was no answer */
    json_t *json;       /* an object, or NULL; owned by the caller */
    long retry_after_s; /* 0: not said */
    char type[128];     /* with `take`: of the body, without parameters; "" when it was not said */
    char problem[256];  /* when there was no answer, or not all of it */
    int closed;         /* not 0: it was no answer because the policy closes an address of it */
    int too_large;      /* likewise because it has more bytes than are taken */
};

/* Call once, before threads are started. Returns 0 or -1. */
int post_init(void);

/* Fills the answer. Threads: any. */
void post_run(const struct post *post, struct post_answer *answer);

/* What an answer says went wrong: its "error", its problem or its status. */
const char *post_error(const struct post_answer *answer, char out[300]);

/* A URL with a path behind it. Owned by the caller: free. */
char *post_url(const char *base, const char *path);

#endif
