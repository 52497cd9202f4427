/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_MAIL_H
#define TENANTS_MAIL_H

/* A message in MIME, handed to an SMTP server by libcurl. */

#include <jansson.h>
#include <jobq/jobq.h>

struct mail_options {
    const char *server; /* smtp://HOST:PORT or smtps://; NULL: none */
    const char *from;
    const char *user;      /* with a password TLS is demanded */
    char *password;        /* NULL: none */
    const char *templates; /* folder */
    int64_t limit_ms;
};

enum mail_verdict {
    MAIL_SENT,     /* the server has taken it */
    MAIL_LATER,    /* it may be tried again; whether the server has it is not known when it broke off late */
    MAIL_REFUSED,  /* it will not be taken as it is */
    MAIL_UNUSABLE, /* what should be sent is not right */
};

struct mail {
    const json_t *data;     /* to, subject, body, template, template_data, attachments; lent */
    const char *message_id; /* without <>: the same each time, so that a receiver can know a repetition */
    int64_t date_ms;
};

enum mail_verdict mail_send(struct jobq_ctx *ctx, const struct mail_options *options, const struct mail *mail,
                            char why[600]);

/* Text of a header, as RFC 2047 wants it where it is not ASCII. Pure. 0 or -1. */
int mail_header_text(const char *text, char *out, size_t size);

#endif
