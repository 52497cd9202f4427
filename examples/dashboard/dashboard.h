/* SPDX-License-Identifier: MIT */
#ifndef DASHBOARD_H
#define DASHBOARD_H

/*
 * Administration over HTTP for any store of libjobq: endpoints, figures for Prometheus, a stream of events
 * and a page. A small library: a program that has an HTTP server of its own (examples/service/http.h) mounts
 * it; jobq-dashboard has nothing else. doc/dashboard.md says what is at which path and who may do it.
 */

#include <jansson.h>
#include <jobq/jobq.h>

#include "auth.h"
#include "http.h"

#define DASH_PREFIX       "/api/v1/queue"
#define DASH_COLUMNS_MOST 8
#define DASH_QUEUES_MOST  64

/* A column of the table of jobs that is taken out of JSON payloads. */
struct dash_column {
    const char *name;
    const char *pointer; /* RFC 6901, as "/video" */
};

/* Jobs that count as steps of others: those of `queue` whose state is in `states` (bits 1 << enum jobq_state;
 * 0: all states) are not in the figures of stats, health and jobs, so that one piece of work counts once. */
struct dash_step {
    const char *queue;
    uint32_t states;
};

struct dash_options {
    struct jobq *q;            /* lent */
    const struct auth *auth;   /* lent; NULL: open for counts and closed for all else */
    const char *prefix;        /* NULL: DASH_PREFIX */
    const char *audit_file;    /* NULL: stderr only */
    const char *webhook_queue; /* whose jobs are deliveries; NULL: none */
    int secure_cookie;         /* the browser comes over https */
    int mask;                  /* the page hides payloads until they are asked for */
    int64_t interval_ms;       /* between two looks at the store while somebody looks; 0: 2,000 */
    struct dash_column columns[DASH_COLUMNS_MOST];
    size_t column_count;
    struct dash_step steps[DASH_QUEUES_MOST];
    size_t step_count;
    /* The parts of a piece of work, found by the id of any of its jobs, and how they hang together:
     * {"nodes": [{"name", "id", "state", ...}], "edges": [[from, to]], "result", ...}. Returns as jobq_get; a
     * foreign tenant's is JOBQ_NOT_FOUND. NULL: the page shows no graph. */
    int (*flow)(void *user, const struct jobq_id *id, const char *tenant, json_t **out);
    void *user;
};

struct dash;

/* All strings are lent as long as it lives. Returns NULL and *why. */
struct dash *dash_create(const struct dash_options *options, const char **why);

/* Two mounts: behind the prefix, and at the root. */
void dash_mounts(struct dash *dash, struct http_mount out[2]);

/* For routes of the program's own: may who asks, by token or by the page's session, do what this role may?
 * Returns 0 and the tenant, or -1 with the reply filled. Without tokens nobody may. */
int dash_may(struct dash *dash, const struct http_request *request, enum role least, char tenant[256],
             struct http_reply *reply);

/* The same for what changes something: `change` does it and fills the reply, when it may be done. Either way
 * it is a line in the audit log. */
typedef void (*dash_change_fn)(void *user, const struct http_request *request, const char *tenant,
                               struct http_reply *reply);
void dash_change(struct dash *dash, const struct http_request *request, enum role least, const char *verb,
                 dash_change_fn change, void *user, struct http_reply *reply);

/* Begin to look at the store for those who listen. Returns 0 or -1. */
int dash_start(struct dash *dash, struct http_server *server);

/* Before http_stop. */
void dash_stop(struct dash *dash);

/* After http_stop. NULL is fine. */
void dash_destroy(struct dash *dash);

/* Every path of it, ended by one without a method; for lists and tests. */
struct dash_path {
    const char *method, *path; /* below the prefix when it does not begin with a '/' */
    enum role least;           /* ROLE_NONE: open */
    int whole;                 /* for those only whose tenant is '*' */
};
extern const struct dash_path dash_paths[];

/* The verbs of POST act and POST bulk, likewise; `path` is NULL. */
struct dash_verb {
    const char *name;
    enum role least;
    int whole;
};
extern const struct dash_verb dash_verbs[];

#endif
