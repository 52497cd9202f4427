/* SPDX-License-Identifier: MIT */
/* The page, as it was when this was built. */
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

void route_page(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    send_page("text/html; charset=utf-8", page_html, page_html_size, reply);
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
