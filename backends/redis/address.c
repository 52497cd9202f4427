/* SPDX-License-Identifier: MIT */
/* The URI taken apart. Its user part is cut before it is decoded, so that a password may hold any character; no error
 * repeats any of it. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(struct jobq_error *err, const char *what)
{
    return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: %s", what);
}

static int no_memory(struct jobq_error *err)
{
    return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* [from, end) with every %XX decoded. jobq_uri_parse has seen all of it already: there is no bad %XX. */
static char *decode(const char *from, const char *end)
{
    char *out = malloc((size_t)(end - from) + 1), *to = out;
    while (to && from < end) {
        if (*from == '%' && end - from > 2) {
            *to++ = (char)(16 * hex_digit(from[1]) + hex_digit(from[2]));
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    if (to)
        *to = 0;
    return out;
}

static int read_number(const char *text, int most, const char *what, int *out, struct jobq_error *err)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || value < 0 || value > most)
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: %s is a number from 0 to %d", what, most);
    *out = (int)value;
    return JOBQ_OK;
}

static int read_user(struct address *a, const char *from, const char *end, struct jobq_error *err)
{
    const char *colon = memchr(from, ':', (size_t)(end - from));
    if (!colon)
        return bad(err, "in front of '@' stands USER:PASSWORD or :PASSWORD");
    if (colon > from && !(a->user = decode(from, colon)))
        return no_memory(err);
    a->password = decode(colon + 1, end);
    return a->password ? JOBQ_OK : no_memory(err);
}

/* HOST, HOST:PORT, [V6]:PORT */
static int read_host(struct address *a, const char *from, const char *end, struct jobq_error *err)
{
    const char *port = NULL;
    if (from < end && *from == '[') {
        const char *close = memchr(from, ']', (size_t)(end - from));
        if (!close || (close + 1 < end && close[1] != ':'))
            return bad(err, "an address in '[' ends with ']', behind which only ':' and a port may stand");
        a->host = decode(from + 1, close);
        port = close + 1 < end ? close + 2 : NULL;
    } else {
        const char *colon = memchr(from, ':', (size_t)(end - from));
        a->host = decode(from, colon ? colon : end);
        port = colon ? colon + 1 : NULL;
    }
    if (!a->host)
        return no_memory(err);
    if (!a->host[0])
        return bad(err, "a host is missing, as in \"redis://localhost\"");
    a->port = 6379;
    if (!port)
        return JOBQ_OK;
    char *text = decode(port, end);
    int status = text ? read_number(text, 65535, "the port", &a->port, err) : no_memory(err);
    free(text);
    return status;
}

static int read_db(struct address *a, const char *text, struct jobq_error *err)
{
    return read_number(text, 1000000, "the database", &a->db, err);
}

/* What stands behind "scheme:". */
static int read_place(struct address *a, const char *rest, bool is_socket, struct jobq_error *err)
{
    const char *end = rest + strcspn(rest, "?");
    if (strncmp(rest, "//", 2) != 0)
        return bad(err, "the Redis store is \"redis://HOST\" or \"redis+unix:///PATH\"");
    rest += 2;
    const char *path = memchr(rest, '/', (size_t)(end - rest)), *host = rest, *host_end = path ? path : end;
    for (const char *p = rest; p < host_end; p++)
        if (*p == '@')
            host = p + 1;
    int status = host > rest ? read_user(a, rest, host - 1, err) : JOBQ_OK;
    if (status != JOBQ_OK)
        return status;
    if (is_socket) {
        if (host != host_end || !path || path + 1 == end)
            return bad(err, "the socket's path is missing, as in \"redis+unix:///run/redis.sock\"");
        a->socket = decode(path, end);
        return a->socket ? JOBQ_OK : no_memory(err);
    }
    status = read_host(a, host, host_end, err);
    if (status != JOBQ_OK || !path || path + 1 == end)
        return status;
    char *db = decode(path + 1, end);
    status = db ? read_db(a, db, err) : no_memory(err);
    free(db);
    return status;
}

static int replace(char **text, const char *value, struct jobq_error *err)
{
    free(*text);
    *text = strdup(value);
    return *text ? JOBQ_OK : no_memory(err);
}

static int read_option(struct address *a, const struct jobq_uri_option *option, struct jobq_error *err)
{
    if (strcmp(option->name, "db") == 0)
        return read_db(a, option->value, err);
    if (strcmp(option->name, "user") == 0)
        return replace(&a->user, option->value, err);
    if (strcmp(option->name, "password") == 0)
        return replace(&a->password, option->value, err);
    if (strcmp(option->name, "evict") != 0)
        return bad(err, "the options of redis: are namespace, db, user, password, evict");
    a->evict = strcmp(option->value, "allow") == 0;
    return a->evict || strcmp(option->value, "refuse") == 0 ? JOBQ_OK : bad(err, "evict is 'allow' or 'refuse'");
}

static void show(struct address *a)
{
    if (a->socket)
        snprintf(a->shown, sizeof a->shown, "redis+unix://%.200s?db=%d", a->socket, a->db);
    else
        snprintf(a->shown, sizeof a->shown, "%s://%s%.200s%s:%d/%d", a->tls ? "rediss" : "redis",
                 strchr(a->host, ':') ? "[" : "", a->host, strchr(a->host, ':') ? "]" : "", a->port, a->db);
}

static int read_all(struct address *a, struct jobq_arena *arena, const char *text, struct jobq_error *err)
{
    struct jobq_uri uri;
    int status = jobq_uri_parse(arena, text, &uri, err);
    if (status != JOBQ_OK)
        return status;
    bool is_socket = strcmp(uri.scheme, "redis+unix") == 0;
    a->tls = strcmp(uri.scheme, "rediss") == 0;
    if (!is_socket && !a->tls && strcmp(uri.scheme, "redis") != 0)
        return bad(err, "the Redis store is \"redis:\", \"rediss:\" or \"redis+unix:\"");
    if (strlen(uri.name_space) >= sizeof a->name_space)
        return jobq_error_set(err, JOBQ_INVALID, "namespace", "namespace: too long");
    strcpy(a->name_space, uri.name_space);
    status = read_place(a, text + strlen(uri.scheme) + 1, is_socket, err);
    for (size_t i = 0; i < uri.option_count && status == JOBQ_OK; i++)
        status = read_option(a, &uri.options[i], err);
    if (status == JOBQ_OK && a->user && !a->password)
        return bad(err, "a user without a password");
    if (status == JOBQ_OK)
        show(a);
    return status;
}

int rd_address_parse(struct address *out, const char *uri, struct jobq_error *err)
{
    struct jobq_arena *arena = jobq_arena_create();
    *out = (struct address){ 0 };
    int status = arena ? read_all(out, arena, uri, err) : no_memory(err);
    jobq_arena_destroy(arena);
    return status;
}

void rd_address_free(struct address *a)
{
    free(a->host);
    free(a->socket);
    free(a->user);
    free(a->password);
    *a = (struct address){ 0 };
}
