/* SPDX-License-Identifier: MIT */
/* The page, as it was when this was built. */
#include <stdio.h>
#include <string.h>

#include "dash.h"
#include "page_data.h"

/* Nothing inline and nothing from elsewhere. */
#define POLICY                                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "          \
    "media-src 'self'; "                                                                                     \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static void send_page(const char *type, const unsigned char *data, size_t size, struct http_reply *reply)
{
    reply->status = 200;
    reply->type = type;
    reply->data = data;
    reply->size = size;
    http_set_header(reply, "Content-Security-Policy", "%s", POLICY);
    http_set_header(reply, "Cache-Control", "no-cache");
}

/* The page is told where the endpoints are. */
char *dash_page(const char *prefix, size_t *size)
{
    static const char mark[] = "<html lang=\"en\"";
    const char *page = (const char *)page_html,
               *at = memmem(page_html, page_html_size, mark, sizeof(mark) - 1);
    char *out = NULL;
    int before, made;

    if (!at)
        return NULL;
    at += sizeof(mark) - 1;
    before = (int)(at - page);
    made =
        asprintf(&out, "%.*s data-prefix=\"%s\"%.*s", before, page, prefix, (int)page_html_size - before, at);
    *size = made < 0 ? 0 : (size_t)made;
    return made < 0 ? NULL : out;
}

void route_page(void *user, const struct http_request *request, struct http_reply *reply)
{
    const struct dash *dash = user;

    (void)request;
    send_page("text/html; charset=utf-8", (const unsigned char *)dash->page, dash->page_size, reply);
}

/* Browsers ask for it unasked. */
void route_icon(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    reply->status = 204;
    reply->type = "image/x-icon";
    reply->data = "";
}

void route_script(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    send_page("text/javascript; charset=utf-8", page_js, page_js_size, reply);
}

void route_style(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    send_page("text/css; charset=utf-8", page_css, page_css_size, reply);
}
