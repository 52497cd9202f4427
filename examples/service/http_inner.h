/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_HTTP_INNER_H
#define SERVICE_HTTP_INNER_H

/* What the parts of the HTTP server know of each other. */

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "http.h"

/* One request while it arrives and is answered. One that is refused already is still taken in, because a
 * client that is writing does not look for an answer. */
struct exchange {
    struct http_server *server;
    const struct http_mount *mount;
    const struct http_route *route; /* NULL: refused */
    struct http_reply refusal;
    char *body;
    size_t size, room;
    int64_t whole_ms; /* when it had arrived; 0: it has not */
    uint64_t note[2]; /* the route's */
    struct http_kept kept;
    struct http_stream *stream;
    /* in the server's list of its kind while its connection is suspended; by the server's lock */
    struct MHD_Connection *connection;
    struct exchange *before, *behind;
    enum http_wait suspended;
    struct http_topic topic;
    int64_t until_ms; /* of a topic */
};

/* A connection and until when its present request has to be there whole. */
struct line {
    struct line *before, *behind;
    int fd;
    _Atomic int64_t until_ms; /* 0: it is being answered */
    int ended;                /* when it was looked at: nothing more will come */
};

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_mount *mounts;
    int open;
    int64_t head_ms, body_ms;
    char address[128];

    pthread_mutex_t lock;
    atomic_ulong turn[HTTP_WAITS]; /* raised, under the lock, whenever those who wait so are woken */
    atomic_int stopping;
    struct exchange *suspended[HTTP_WAITS];
    pthread_mutex_t waking; /* held by who resumes connections; taken before the lock */

    struct line *lines;
    pthread_cond_t change;
    pthread_t watch;
    int watching;
};

/* Sends and empties the reply. */
enum MHD_Result http_send(struct exchange *exchange, struct MHD_Connection *connection,
                          struct http_reply *reply, int close);

/* Frees what a reply owns. */
void http_reply_free(struct http_reply *reply);

/* Suspend, unless those who wait so were woken since `turn`. Returns 1 when it is suspended. `topic` of a
 * topic, else NULL. */
int http_suspend(struct exchange *exchange, struct MHD_Connection *connection, enum http_wait wait,
                 unsigned long turn, const struct http_topic *topic);
unsigned long http_turn(struct http_server *server, enum http_wait wait);
int http_stopping(struct http_server *server);
void http_forget(struct exchange *exchange);

/* Milliseconds of a clock that nobody sets. */
int64_t http_now_ms(void);

/* The watch over slow connections. */
int http_watch_begin(struct http_server *server);
void http_watch_end(struct http_server *server);
void http_watch_line(void *server, struct MHD_Connection *connection, void **context,
                     enum MHD_ConnectionNotificationCode code);
/* From now on the request of this connection has `ms` to arrive; 0: it did. */
void http_watch_set(struct MHD_Connection *connection, int64_t ms);

enum MHD_Result http_on_request(void *server, struct MHD_Connection *connection, const char *path,
                                const char *method, const char *version, const char *bytes, size_t *size,
                                void **state);
void http_on_completed(void *server, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code);

#define HTTP_HEAD_MS INT64_C(20000) /* for the request line and the headers, or to stay idle */
#define HTTP_BODY_MS INT64_C(60000) /* for the body */

#endif
