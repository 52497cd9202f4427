/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_AUTH_H
#define SERVICE_AUTH_H

/*
 * The token file: one line per token, "ROLE TENANT SHA256-HEX", empty lines and those that begin with '#'
 * apart. Roles are viewer (reads results), operator (starts analyses too) and admin (everything); the tenant
 * '*' stands for all. The tokens themselves are never stored, only their digests:  printf %s TOKEN |
 * sha256sum
 */

#include <stddef.h>

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

struct auth_entry {
    enum role role;
    char tenant[256]; /* "" for all */
    unsigned char digest[32];
};

struct guard;

struct auth {
    struct auth_entry *entries;
    size_t count;
    struct guard *guard; /* of the addresses that send tokens nobody has */
};

#define AUTH_FREE 20 /* unknown tokens of an address in a row before it has to wait */

/* Returns NULL, or what is wrong, with the number of the line in *line (0: the file). */
const char *auth_read(struct auth *auth, const char *path, int *line);
void auth_free(struct auth *auth);

/* Who sends this Authorization header (NULL is fine)? NULL: nobody we know. Takes the same time for every
 * token. */
const struct auth_entry *auth_find(const struct auth *auth, const char *authorization);

struct http_request;
struct http_reply;

/* Who sends this request, by its Authorization header? NULL with the reply filled: 401, or 429 for an address
 * that has sent too many unknown tokens in a row, whatever it sends now. */
const struct auth_entry *auth_ask(const struct auth *auth, const struct http_request *request,
                                  struct http_reply *reply);

#endif
