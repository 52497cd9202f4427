/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_OPTIONS_H
#define TENANTS_OPTIONS_H

#include "auth.h"
#include "crew.h"
#include "office.h"
#include "serve.h"

/* The command line, and what stands in the environment for it. */
struct options {
    char *store; /* owned */
    const char *database, *tokens;
    char *ai_key_file, *password_file;
    struct office office;
    struct crew_options crew;
    struct serve_options serve;
    char **words; /* the command and its operands */
    int count;
};

/* 0, an exit status, or -1 after --help. */
int options_read(struct options *out, int argc, char **argv);
void options_free(struct options *options);

/* "redis://:PASSWORD@HOST:PORT" of REDIS_HOST, REDIS_PORT and REDIS_PASSWORD; NULL without the first. Owned
 * by the caller: free. */
char *options_redis(const char *host, const char *port, const char *password);

#endif
