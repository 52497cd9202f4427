/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_WEB_H
#define TENANTS_WEB_H

/* Requests over the network on behalf of a job: they end when the job does. */

#include <curl/curl.h>
#include <jobq/jobq.h>
#include <stdint.h>

#include "target.h"

struct web_request {
    const char *url;
    const char *body; /* JSON */
    struct curl_slist *headers;
    int64_t limit_ms;
    const struct target_policy *policy; /* NULL: any address */
    size_t answer_most;                 /* of its body, what is beyond is left away */
    int stop_ends;                      /* not 0: also when the worker is to end, as it may take long */
};

struct web_answer {
    long status; /* 0: none */
    char *body;  /* owned: free; may be NULL */
    size_t size;
    int64_t took_ms, retry_after_ms;
    int closed; /* the policy closes the address */
    char why[CURL_ERROR_SIZE];
};

void web_post(struct jobq_ctx *ctx, const struct web_request *request, struct web_answer *out);

/* Limits and the watch on the job, for a request of any kind. `watch` lives as long as the request. */
struct web_watch {
    struct jobq_ctx *ctx;
    int stop_ends;
};
void web_set_up(CURL *curl, struct web_watch *watch, int64_t limit_ms, char why[CURL_ERROR_SIZE]);

#endif
