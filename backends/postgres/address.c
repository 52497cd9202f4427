/* SPDX-License-Identifier: MIT */
/* The URI taken apart: our options out, the rest as libpq takes it. Nothing of it is repeated in an error that says it cannot be
 * read: it may hold a password. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct jobq_error *err, const char *what)
{
    return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: %s", what);
}

/* ---- options -------------------------------------------------------------------------------------------------- */

static int read_switch(const struct jobq_uri_option *option, bool *out, struct jobq_error *err)
{
    *out = strcmp(option->value, "on") == 0;
    if (*out || strcmp(option->value, "off") == 0)
        return JOBQ_OK;
    return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: %.20s is 'on' or 'off'", option->name);
}

static bool is_libpqs(const char *name)
{
    PQconninfoOption *all = PQconndefaults();
    bool found = !all || strcmp(name, "ssl") == 0;
    for (const PQconninfoOption *o = all; o && o->keyword && !found; o++)
        found = strcmp(o->keyword, name) == 0;
    PQconninfoFree(all);
    return found;
}

static int read_options(struct address *a, const struct jobq_uri *uri, struct jobq_error *err)
{
    int status = JOBQ_OK;
    for (size_t i = 0; i < uri->option_count && status == JOBQ_OK; i++) {
        const struct jobq_uri_option *option = &uri->options[i];
        if (strcmp(option->name, "notify") == 0)
            status = read_switch(option, &a->notify, err);
        else if (strcmp(option->name, "listen") == 0)
            status = read_switch(option, &a->listen, err);
        else if (!is_libpqs(option->name))
            status = refuse(err, "the options are those of libpq, and namespace, notify, listen");
    }
    return status;
}

static bool option_is(const char *from, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(from, name, length) == 0;
}

/* The URI without our options, as it was written. */
static char *without_own(const char *uri)
{
    char *out = malloc(strlen(uri) + 1);
    if (!out)
        return NULL;
    size_t head = strcspn(uri, "?");
    memcpy(out, uri, head);
    char *to = out + head;
    const char *from = uri + head;
    for (char mark = '?'; *from; ) {
        from++;
        size_t length = strcspn(from, "&"), name = strcspn(from, "=&");
        if (length && !option_is(from, name, "namespace") && !option_is(from, name, "notify") &&
            !option_is(from, name, "listen")) {
            *to++ = mark;
            memcpy(to, from, length);
            to += length;
            mark = '&';
        }
        from += length;
    }
    *to = 0;
    return out;
}

/* ---- verifying the server --------------------------------------------------------------------------------------- */

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val && *o->val ? o->val : NULL;
    return NULL;
}

static bool is_loopback(const char *host, size_t length)
{
    if (length == 0 || host[0] == '/' || host[0] == '@')
        return true; /* a unix socket */
    if (option_is(host, length, "localhost") || option_is(host, length, "::1") || option_is(host, length, "[::1]"))
        return true;
    if (length < 7 || strncmp(host, "127.", 4) != 0)
        return false;
    return strspn(host, "0123456789.") >= length; /* a name may begin like an address */
}

/* Is any of the hosts beyond this machine? */
static bool goes_out(const PQconninfoOption *given, const PQconninfoOption *defaults)
{
    const char *hosts = value_of(given, "host");
    if (!hosts)
        hosts = value_of(given, "hostaddr");
    if (!hosts && value_of(given, "service"))
        return true; /* what stands there is not known here */
    if (!hosts)
        hosts = value_of(defaults, "host");
    if (!hosts)
        hosts = value_of(defaults, "hostaddr");
    while (hosts) {
        size_t length = strcspn(hosts, ",");
        if (!is_loopback(hosts, length))
            return true;
        hosts = hosts[length] ? hosts + length + 1 : NULL;
    }
    return false;
}

/* ---- for libpq ------------------------------------------------------------------------------------------------------ */

static void add(struct address *a, const char *keyword, const char *value)
{
    a->keywords[a->count] = keyword;
    a->values[a->count++] = value;
}

static int collect(struct address *a, const PQconninfoOption *given)
{
    size_t count = 0;
    for (const PQconninfoOption *o = given; o->keyword; o++)
        count++;
    a->keywords = calloc(count + 4, sizeof *a->keywords);
    a->values = calloc(count + 4, sizeof *a->values);
    if (!a->keywords || !a->values)
        return -1;
    for (const PQconninfoOption *o = given; o->keyword; o++)
        if (o->val)
            add(a, o->keyword, o->val);
    PQconninfoOption *defaults = PQconndefaults();
    if (!defaults)
        return -1;
    if (!value_of(given, "sslmode") && goes_out(given, defaults))
        add(a, "sslmode", "verify-full");
    PQconninfoFree(defaults);
    add(a, "fallback_application_name", "libjobq");
    return 0;
}

static void show(struct address *a, const PQconninfoOption *given)
{
    const char *host = value_of(given, "host"), *address = value_of(given, "hostaddr"), *port = value_of(given, "port");
    const char *base = value_of(given, "dbname"), *user = value_of(given, "user");
    snprintf(a->shown, sizeof a->shown, "postgres:%s%s%s%s%s%s%s%s", user ? user : "", user ? "@" : "",
             host ? host : address ? address : "(default host)", port ? ":" : "", port ? port : "", base ? " " : "",
             base ? "database " : "", base ? base : "");
}

static PQconninfoOption *libpq_parse(const char *text)
{
    char *problem = NULL;
    PQconninfoOption *given = PQconninfoParse(text, &problem);
    PQfreemem(problem); /* it repeats the URI */
    return given;
}

/* libpq says in the language of the program why it did not read the text; to tell a lack of memory from a text that is wrong,
 * it is asked for what needs no text. */
static bool lacks_memory(void)
{
    PQconninfoOption *defaults = PQconndefaults();
    PQconninfoFree(defaults);
    return defaults == NULL;
}

static int hand_over(struct address *a, const char *uri, struct jobq_error *err)
{
    char *text = without_own(uri);
    PQconninfoOption *given = text ? libpq_parse(text) : NULL;
    if (text && !given) /* once more: the memory may have been there a moment later */
        given = libpq_parse(text);
    bool memory = !text || (!given && lacks_memory());
    free(text);
    if (memory)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    if (!given)
        return refuse(err, "libpq cannot read it: postgres://[user[:password]@][host][:port][/database][?options]");
    a->memory = given;
    if (collect(a, given) != 0)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    show(a, given);
    pq_address_hide(a, a->shown);
    return JOBQ_OK;
}

/* A password with an '@' or a '/' that is not encoded: a part of it would be taken for the host or the database. */
static bool is_ambiguous(const char *uri)
{
    const char *from = strstr(uri, "://") + 3, *at = from + strcspn(from, "@?"), *end = at + strcspn(at, "?");
    return *at == '@' && (memchr(from, '/', (size_t)(at - from)) || memchr(at + 1, '@', (size_t)(end - at - 1)));
}

static int parse(struct address *a, const char *text, struct jobq_arena *arena, struct jobq_error *err)
{
    struct jobq_uri uri;
    int status = jobq_uri_parse(arena, text, &uri, err);
    if (status != JOBQ_OK)
        return status;
    if (strcmp(uri.scheme, "postgres") != 0 && strcmp(uri.scheme, "postgresql") != 0)
        return refuse(err, "the Postgres store is \"postgres://...\"");
    if (strncmp(uri.path, "//", 2) != 0)
        return refuse(err, "the Postgres store is \"postgres://...\", with two slashes");
    if (is_ambiguous(text))
        return refuse(err, "in user and password '@' is written %40 and '/' %2F");
    if (strlen(uri.name_space) >= sizeof a->name_space || strncmp(uri.name_space, "pg_", 3) == 0)
        return jobq_error_set(err, JOBQ_INVALID, "namespace", "namespace: schemas that begin with pg_ are the server's");
    strcpy(a->name_space, uri.name_space);
    status = read_options(a, &uri, err);
    return status == JOBQ_OK ? hand_over(a, text, err) : status;
}

int pq_address_parse(struct address *out, const char *uri, struct jobq_error *err)
{
    struct jobq_arena *arena = jobq_arena_create();
    *out = (struct address){ .notify = true, .listen = true };
    int status = arena ? parse(out, uri, arena, err) : jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    jobq_arena_destroy(arena);
    return status;
}

void pq_address_free(struct address *a)
{
    free(a->keywords);
    free(a->values);
    PQconninfoFree(a->memory);
    *a = (struct address){ 0 };
}

void pq_address_hide(const struct address *a, char *text)
{
    const char *secret = value_of(a->memory, "password");
    const char *key = value_of(a->memory, "sslpassword");
    const char *const both[] = { secret, key };
    for (int i = 0; i < 2; i++)
        for (char *at = text; both[i] && (at = strstr(at, both[i])) != NULL; at++)
            memset(at, '*', strlen(both[i]));
}
