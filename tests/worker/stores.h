/* SPDX-License-Identifier: MIT */
/* The stores that the tests of the worker run on; --store NAME chooses. */
#ifndef STORES_H
#define STORES_H

#include <jobq/jobq.h>

#define STORE_URI 512

struct test_store {
    const char *name;
    const struct jobq_backend *(*backend)(void);
    const char *server;         /* environment variable with the URI of a server; NULL: needs none */
    int (*fresh)(char *uri);    /* the URI of an empty store, of one that is
                                   empty now. 0 or -1 */
    void (*drop)(const char *uri); /* NULL: nothing is left behind */
};

/* NULL: not in this build. */
const struct test_store *store_find(const char *name);
/* What has to be set for it and is not; NULL: nothing. */
const char *store_lacks(const struct test_store *store);
/* The URI of an empty store. 0 or -1. */
int store_fresh(const struct test_store *store, char uri[STORE_URI]);
void store_drop(const struct test_store *store, const char *uri);

#endif
