/* SPDX-License-Identifier: MIT */
#ifndef SYNC_SERVE_H
#define SYNC_SERVE_H

/*
 * The door:
 *   GET /api/v1/elasticsearch/test-connection   asks the index, and answers 200 or 503
 *   GET /api/v1/health/detailed                 the queue, the index, the worker, memory, alerts
 *   /api/v1/ai-suggestions/queue/...            the administration of examples/dashboard
 */

#include "auth.h"
#include "watch.h"

struct serve_options {
    const char *listen;
    const struct auth *auth; /* NULL: counts only, on this machine */
    const char *audit_file;
};

struct serve;

/* Returns NULL and *why. */
struct serve *serve_start(struct watch *watch, const struct serve_options *options, const char **why);
const char *serve_address(const struct serve *serve);
void serve_stop(struct serve *serve);

#endif
