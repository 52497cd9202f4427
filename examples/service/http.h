/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_HTTP_H
#define SERVICE_HTTP_H

/*
 * A small HTTP server on libmicrohttpd that speaks JSON. Before a route sees a request it has a method that
 * the route takes, one Host, at most one Content-Length, no Transfer-Encoding, and a body of application/json
 * within the route's limit, whole and in memory.
 */

#include <jansson.h>
#include <netinet/in.h>
#include <stddef.h>

struct MHD_Connection;

struct http_request {
    const char *method;
    const char *path;
    const char *rest; /* of the path, behind the route's */
    const char *body;
    size_t body_size;
    struct MHD_Connection *connection;
};

/* Value of a header, or NULL. Lent. */
const char *http_header(const struct http_request *request, const char *name);

struct http_reply {
    unsigned status;
    json_t *body;      /* owned by the reply */
    int retry_after_s; /* 0: none */
};

/* {"error": ..., "field": ...}; field "" for none. */
void http_error(struct http_reply *reply, unsigned status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

typedef void (*http_answer)(void *user, const struct http_request *request, struct http_reply *reply);

/* A path that ends in '/' takes one more component, which is request->rest. */
struct http_route {
    const char *method; /* GET or POST */
    const char *path;
    size_t body_max_bytes;
    http_answer answer;
};

struct http_options {
    const char *listen;              /* ADDR:PORT; port 0 takes a free one */
    const struct http_route *routes; /* ended by one without a method */
    void *user;
    int open; /* without tokens: a browser's request from elsewhere is refused by its Host and Origin */
};

struct http_server;

/* Numeric address and port. Returns 0, or -1 and *why. */
int http_parse_address(const char *text, struct sockaddr_storage *out, socklen_t *out_size, const char **why);

/* 1 for addresses that only this machine reaches. */
int http_is_loopback(const struct sockaddr_storage *address);

/* Returns the server, or NULL and *why. */
struct http_server *http_start(const struct http_options *options, const char **why);

/* The address it listens on, with the real port. Lent. */
const char *http_address(const struct http_server *server);

/* No new connections; gives answers under way up to two seconds. NULL is fine. */
void http_stop(struct http_server *server);

#endif
