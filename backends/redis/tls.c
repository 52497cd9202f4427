/* SPDX-License-Identifier: MIT */
/* TLS by hiredis_ssl. The session is made here, because hiredis would not compare the certificate with the host: a server
 * is believed only if its certificate leads to an authority that this machine trusts and names the host of the URI.
 * OpenSSL writes without asking for silence, so SIGPIPE is held back while it may. */
#include "tls.h"

#include <errno.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define READ_ROOM 16384

/* ---- without a signal into the program ------------------------------------------------------------------------- */

struct hush {
    sigset_t pipe, before;
    bool pending; /* one of the program's own: not ours to take away */
};

static void hush_begin(struct hush *h)
{
    sigset_t pending;
    sigemptyset(&h->pipe);
    sigaddset(&h->pipe, SIGPIPE);
    sigpending(&pending);
    h->pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &h->pipe, &h->before);
}

static void hush_end(const struct hush *h)
{
    const struct timespec at_once = { 0 };
    int kept = errno;
    if (!h->pending)
        while (sigtimedwait(&h->pipe, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &h->before, NULL);
    errno = kept;
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

static int refuse(struct link *link, const char *what)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return rd_fault(link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "TLS: %s%s%s", what, reason ? ": " : "",
                    reason ? reason : "");
}

/* The certificate must name the host, as an address or as a name. */
static bool expect_host(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    ERR_clear_error();
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *make_session(const char *host)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    if (!context)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 && SSL_CTX_set_default_verify_paths(context) == 1)
        ssl = SSL_new(context);
    SSL_CTX_free(context); /* the session holds it */
    if (ssl && !expect_host(ssl, host)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    return ssl;
}

int rd_tls_start(struct link *link, struct timeval limit)
{
    redisContext *c = link->context;
    struct hush h;
    ERR_clear_error();
    SSL *ssl = make_session(link->address->host);
    if (!ssl)
        return refuse(link, "cannot make a session");
    redisSetTimeout(c, limit);
    hush_begin(&h);
    int result = redisInitiateSSL(c, ssl); /* takes the session, also on failure */
    hush_end(&h);
    if (result == REDIS_OK)
        return 0;
    return rd_fault(link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "TLS: the server is not believed or does not speak it: "
                    "%.120s", c->errstr);
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------- */

/* All of the parts go to hiredis at once; while it has not sent them all the answer is EAGAIN, and the caller comes again
 * with the same parts. */
ssize_t rd_tls_send(struct link *link, const struct iovec *parts, size_t count)
{
    redisContext *c = link->context;
    struct hush h;
    size_t bytes = 0;
    int done = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
        if (!link->unsent && redisAppendFormattedCommand(c, parts[i].iov_base, parts[i].iov_len) != REDIS_OK) {
            errno = ENOMEM;
            return -1;
        }
    }
    hush_begin(&h);
    int result = redisBufferWrite(c, &done);
    hush_end(&h);
    link->unsent = result == REDIS_OK && !done;
    if (result == REDIS_OK && done)
        return (ssize_t)bytes;
    errno = result == REDIS_OK ? EAGAIN : EPIPE;
    return -1;
}

int rd_tls_receive(struct link *link)
{
    redisContext *c = link->context;
    char buffer[READ_ROOM];
    struct hush h;
    hush_begin(&h);
    ssize_t got = c->funcs->read(c, buffer, sizeof buffer);
    hush_end(&h);
    if (got <= 0)
        return got < 0 ? -1 : 0;
    return redisReaderFeed(c->reader, buffer, (size_t)got) == REDIS_OK ? 1 : -1;
}
