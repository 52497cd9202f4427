/* SPDX-License-Identifier: MIT */
/* What the tests of the Redis store share: a server, a store on it, and one thing at a time. */
#ifndef REDIS_KIT_H
#define REDIS_KIT_H

#include <jobq/backend.h>
#include <jobq/redis.h>

#include <redis_server.h>

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kit {
    struct redis_server server;
    struct jobq_store *store;
    struct jobq_arena *arena;
    struct jobq_error err;
    uint64_t number;
    char uri[256];
};

void kit_begin(struct kit *k, const char *const *arguments); /* a server and an open store */
void kit_end(struct kit *k);
int kit_open(struct kit *k, const char *uri, uint32_t flags, struct jobq_store **out);
struct jobq_id kit_id(uint32_t number);
/* One put, under the next request number unless `number` names one. Returns the unit; *verdict of the put. */
int kit_put_as(struct kit *k, struct jobq_store *store, uint64_t number, uint32_t id, size_t payload_bytes, int *verdict);
void kit_put(struct kit *k, uint32_t id); /* must be OK */
size_t kit_claim(struct kit *k, struct jobq_row out[4]);
int kit_complete(struct kit *k, const struct jobq_row *held, int *verdict); /* returns the unit */
size_t kit_count(struct kit *k, struct jobq_store *store); /* rows */

/* All of them as one case, each with so many seconds. Returns what main does. */
int kit_run(const char *name, double seconds, const TTest *const *tests, size_t count);
#define KIT_MAIN(name, seconds, ...)                                          \
    int main(void)                                                            \
    {                                                                         \
        const TTest *const tests[] = { __VA_ARGS__ };                         \
        return kit_run(name, seconds, tests, sizeof tests / sizeof tests[0]); \
    }

#endif
