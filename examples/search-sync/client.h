/* SPDX-License-Identifier: MIT */
#ifndef SYNC_CLIENT_H
#define SYNC_CLIENT_H

/* HTTP to the index. */

#include <stdatomic.h>
#include <stddef.h>

struct client {
    const char *url; /* lent; without a slash at its end */
    long timeout_ms;
    const atomic_int *give_up; /* lent, may be NULL: not 0 ends a request under way */
};

struct client_answer {
    long status; /* 0: there was no answer; see `why` */
    char *body;  /* to be freed; NULL for none */
    size_t size;
    char why[256];
};

/* body NULL: none. Threads: any. */
void client_ask(const struct client *client, const char *method, const char *path, const char *body,
                struct client_answer *out);
void client_answer_free(struct client_answer *answer);

#endif
