/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_OFFICE_H
#define TENANTS_OFFICE_H

/* What the handlers have in common, and each of them. */

#include <jansson.h>
#include <jobq/jobq.h>

#include "desk.h"
#include "mail.h"
#include "target.h"

struct office {
    struct jobq *q;
    struct desks desks;
    struct mail_options mail;
    struct target_policy policy; /* where webhooks may go */
    const char *out_dir;         /* of reports and exports */
    const char *media_dir;       /* of pictures */
    const char *ai_url;          /* up to "/v1"; NULL: none */
    char *ai_key;                /* NULL: none */
    const char *alert_to;        /* address; NULL: stderr alone */
    int64_t http_ms;             /* for a webhook */
    int send_once;
    const char *die_at; /* for demonstrations and tests: ends like a crash at this step of a mail */
};

int email_handle(struct jobq_ctx *ctx, void *office);
int hook_handle(struct jobq_ctx *ctx, void *office);
int report_handle(struct jobq_ctx *ctx, void *office);
int export_handle(struct jobq_ctx *ctx, void *office);
int image_handle(struct jobq_ctx *ctx, void *office);
int prompt_handle(struct jobq_ctx *ctx, void *office);
int count_handle(struct jobq_ctx *ctx, void *office);
int cleanup_handle(struct jobq_ctx *ctx, void *office);
int alert_handle(struct jobq_ctx *ctx, void *office);

/* ---- how handlers end --------------------------------------------------------------------------------- */

/* The payload as an object; NULL after saying that it is none. Owned by the caller. */
json_t *work_data(struct jobq_ctx *ctx);

/* Stores `result`, which it takes, and says DONE. */
int work_done(struct jobq_ctx *ctx, json_t *result);

/* Stores the text and returns `outcome`. */
int work_fail(struct jobq_ctx *ctx, int outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Milliseconds since 1970 by this machine's clock. */
int64_t work_now_ms(void);

#endif
