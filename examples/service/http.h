/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_HTTP_H
#define SERVICE_HTTP_H

/*
 * A small HTTP server on libmicrohttpd that speaks JSON. Before a route sees a request it has a method that
 * the route takes, one Host, at most one Content-Length, no Transfer-Encoding, and a body of application/json
 * within the route's limit, whole and in memory. A connection whose request does not get on is closed.
 */

#include <jansson.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct MHD_Connection;

#define HTTP_THREADS 4 /* that answer */

/* What a route keeps with a request from one time it is asked to the next; freed with the request. */
struct http_kept {
    void *what;
    void (*free)(void *what);
};

struct http_request {
    const char *method;
    const char *path;
    const char *rest; /* of the path, behind the route's */
    const char *body;
    size_t body_size;
    int last;          /* it was put off and there is no more time: answer now */
    int64_t waited_ms; /* since it was whole */
    uint64_t *note; /* two words of the route's own, 0 at first: what it remembers when it is asked again */
    struct http_kept *kept; /* the route's own too, empty at first */
    struct MHD_Connection *connection;
};

/* Value of a header, or NULL. Lent. */
const char *http_header(const struct http_request *request, const char *name);

/* Value of a cookie, or NULL. Lent. */
const char *http_cookie(const struct http_request *request, const char *name);

/* Value of a query parameter, decoded and cut to the room; NULL when it is absent or decodes to no text. */
const char *http_query(const struct http_request *request, const char *name, char *out, size_t room);

/* The address at the other end, as text. */
void http_peer(const struct http_request *request, char out[64]);

/* 1 unless a browser says that a page of another site sent it. */
int http_same_site(const struct http_request *request);

/* An answer that goes on. read() copies what there is, at most `room` bytes, and returns how many, 0 for
 * nothing yet (it is asked again after http_wake) or -1 for the end. Both are called by the server's threads,
 * one at a time for each stream. */
struct http_stream {
    ssize_t (*read)(struct http_stream *stream, char *out, size_t room);
    void (*free)(struct http_stream *stream);
};

#define HTTP_HEADERS_MOST 4

/* What an answer that is put off waits for: whatever happens, something that comes soon, or one thing among
 * many, so that only those who wait for it are asked again. */
enum http_wait { HTTP_WAIT_NONE, HTTP_WAIT_CHANGE, HTTP_WAIT_SHORT, HTTP_WAIT_TOPIC, HTTP_WAITS };

/* What, in the route's own numbers: which thing, and what was seen of it; and how long at most. */
struct http_topic {
    uint64_t thing, seen;
    int64_t wait_ms;
};

struct http_reply {
    unsigned status;
    json_t *body;            /* owned by the reply */
    int retry_after_s;       /* 0: none */
    enum http_wait put_off;  /* not NONE: no answer yet; the route is asked again after http_wake,
                              * http_wake_short or  http_wake_topics */
    struct http_topic topic; /* of HTTP_WAIT_TOPIC */
    /* instead of `body`, what this type of content is: */
    const char *type;
    const void *data; /* lent as long as the server runs */
    char *text;       /* owned: free */
    size_t size;
    struct http_stream *stream; /* owned */
    int fd;                     /* owned, of a file: 0 for none */
    off_t offset;               /* `size` bytes from here */
    struct {
        const char *name;
        char value[512];
    } headers[HTTP_HEADERS_MOST];
    size_t header_count;
};

/* {"error": ..., "field": ...}; field "" for none. */
void http_error(struct http_reply *reply, unsigned status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* One more header. The name is static text; a value that is too long, or has control characters, is left out.
 */
void http_set_header(struct http_reply *reply, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef void (*http_answer)(void *user, const struct http_request *request, struct http_reply *reply);

/* A path that ends in '/' takes one more component, which is request->rest; "/" alone is just that. */
struct http_route {
    const char *method; /* GET or POST */
    const char *path;
    size_t body_max_bytes;
    http_answer answer;
    int body_optional; /* a POST without a body, as `curl -X POST` sends it, is taken too */
};

/* Routes below a prefix, as "" or "/api/v1/queue". */
struct http_mount {
    const char *prefix;
    const struct http_route *routes; /* ended by one without a method */
    void *user;
};

struct http_options {
    const char *listen;              /* ADDR:PORT; port 0 takes a free one */
    const struct http_mount *mounts; /* ended by one without routes */
    int64_t head_ms,
        body_ms; /* for a request's head, or to stay idle, and for its body; 0: 20,000 and 60,000 */
    int open;    /* without tokens: a browser's request from elsewhere is refused by its Host and Origin */
    unsigned address_most; /* connections of one address; more are closed; 0: 3/4 of all */
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

/* Ask every stream that had nothing, and every route that put an answer off for a change, again. Threads:
 * any. */
void http_wake(struct http_server *server);

/* The same for those that put an answer off for HTTP_WAIT_SHORT. */
void http_wake_short(struct http_server *server);

/* The same for those that wait for a topic: each that `news` says 1 of, or whose time is over. `news` is
 * called under a lock of the server's: it must be quick, and call nothing of the server. */
void http_wake_topics(struct http_server *server, int (*news)(void *user, const struct http_topic *topic),
                      void *user);

/* No new connections; streams end, gives answers under way up to two seconds. NULL is fine. */
void http_stop(struct http_server *server);

#endif
