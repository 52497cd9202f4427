/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_SERVE_H
#define VIDEO_SERVE_H

/* jobq-video serve: takes submissions, answers for results, takes the services' callbacks. It does no
 * analysis. */

#include <jobq/jobq.h>

#include "auth.h"
#include "folder.h"
#include "handles.h"
#include "http.h"
#include "live.h"
#include "pulse.h"
#include "secret.h"
#include "target.h"

struct gather;

struct serve {
    struct jobq *q;          /* of those who look after the server */
    struct handles *handles; /* of those who answer */
    struct folder folder;
    struct live *live;
    struct pulse *pulse;
    struct gather *gather;
    struct auth *auth;     /* NULL: open, on loopback only */
    struct secret *secret; /* NULL: callbacks are closed */
    struct target_policy target, fetch;
    int allow_fetch;
    int log; /* where the time of answers goes */
};

void route_start(void *serve, const struct http_request *request, struct http_reply *reply);
void route_result(void *serve, const struct http_request *request, struct http_reply *reply);
void route_callback(void *serve, const struct http_request *request, struct http_reply *reply);

/* Remove the submission that the request names, for somebody of this tenant who may. */
void forget_submission(void *serve, const struct http_request *request, const char *tenant,
                       struct http_reply *reply);

/* Answer for a negative code of the library: 503, 429, 400 or 500. */
void reply_store_error(struct http_reply *reply, int status);

/* The same, when the error was another thread's: its text, and its field or "". */
void reply_store_problem(struct http_reply *reply, int status, const char *field, const char *text);

/* Who asks, when it takes at least this role. Returns 0 and the tenant ("" for all), or -1 with the reply
 * filled. */
int authorize(const struct serve *serve, const struct http_request *request, enum role least,
              const char **tenant, struct http_reply *reply);

#endif
