/* SPDX-License-Identifier: MIT */
/* Names of hosts to addresses before libpq sees them: it would look them up itself, for as long as that
 * takes. The names stay, because the server's certificate is compared with them. */
#include "store.h"

#include "../lookup/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const struct address *a, const char *keyword)
{
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->keywords[i], keyword) == 0 && *a->values[i])
            return a->values[i];
    return NULL;
}

/* From the environment; to free. */
static char *default_of(const char *keyword)
{
    PQconninfoOption *all = PQconndefaults();
    char *value = NULL;
    for (const PQconninfoOption *o = all; o && o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0 && o->val && *o->val)
            value = strdup(o->val);
    PQconninfoFree(all);
    return value;
}

static bool has(const struct address *a, const char *keyword)
{
    char *value = value_of(a, keyword) ? NULL : default_of(keyword);
    free(value);
    return value || value_of(a, keyword);
}

/* ---- lists, element by element
 * ------------------------------------------------------------------------------------ */

struct lists {
    char *text[3]; /* host, hostaddr, port */
    size_t size[3];
    FILE *file[3];
    int count;
};

static int lists_begin(struct lists *l)
{
    bool open = true;
    *l = (struct lists){0};
    for (int i = 0; i < 3; i++)
        open &= (l->file[i] = open_memstream(&l->text[i], &l->size[i])) != NULL;
    return open ? 0 : -1;
}

static int lists_end(struct lists *l)
{
    bool good = true;
    for (int i = 0; i < 3; i++)
        good &= l->file[i] && fclose(l->file[i]) == 0;
    return good ? 0 : -1;
}

static void lists_add(struct lists *l, const char *host, const char *address, const char *port,
                      int port_length)
{
    const char *mark = l->count++ ? "," : "";
    fprintf(l->file[0], "%s%s", mark, host);
    fprintf(l->file[1], "%s%s", mark, address);
    fprintf(l->file[2], "%s%.*s", mark, port_length, port);
}

/* One host; those of a socket have no address. Returns why not, or NULL. */
static const char *add_host(struct lists *l, const char *host, const char *port, int port_length, int64_t ms)
{
    struct lookup found = {.why = NULL};
    if (!*host || *host == '/' || *host == '@') {
        lists_add(l, host, "", port, port_length);
        return NULL;
    }
    if (jobq_lookup(host, ms, &found) != 0)
        return found.why;
    for (int i = 0; i < found.count; i++)
        lists_add(l, host, found.addresses[i], port, port_length);
    return NULL;
}

/* Those that cannot be found are left out, as long as one is found. */
static int add_hosts(struct lists *l, const char *hosts, const char *ports, int64_t deadline_us,
                     struct fault *fault)
{
    char host[256];
    for (const char *at = hosts;; at++) {
        size_t length = strcspn(at, ","), port_length = strcspn(ports, ",");
        snprintf(host, sizeof host, "%.*s", (int)length, at);
        const char *why = length < sizeof host
                              ? add_host(l, host, ports, (int)port_length, (deadline_us - pq_now_us()) / 1000)
                              : "its name is too long";
        if (why)
            pq_fault_set(fault, FAULT_UNSENT, "cannot connect to %.200s: %s", host, why);
        if (ports[port_length])
            ports += port_length + 1;
        at += length;
        if (!*at)
            return l->count ? 0 : -1;
    }
}

/* ---- for libpq
 * ------------------------------------------------------------------------------------------------------ */

static void set(struct resolved *r, size_t *count, const char *keyword, const char *value)
{
    size_t i = 0;
    while (i < *count && strcmp(r->keywords[i], keyword) != 0)
        i++;
    r->keywords[i] = keyword;
    r->values[i] = value;
    *count += i == *count;
}

static int hand_over(const struct address *a, struct resolved *r, struct lists *l, bool ports)
{
    size_t count = a->count;
    r->keywords = calloc(count + 4, sizeof *r->keywords);
    r->values = calloc(count + 4, sizeof *r->values);
    for (int i = 0; i < 3; i++)
        r->texts[i] = l->text[i];
    if (!r->keywords || !r->values)
        return -1;
    memcpy(r->keywords, a->keywords, count * sizeof *r->keywords);
    memcpy(r->values, a->values, count * sizeof *r->values);
    set(r, &count, "host", r->texts[0]);
    set(r, &count, "hostaddr", r->texts[1]);
    if (ports)
        set(r, &count, "port", r->texts[2]);
    return 0;
}

static int resolve(const struct address *a, const char *hosts, int64_t deadline_us, struct resolved *out,
                   struct fault *fault)
{
    const char *given = value_of(a, "port");
    char *ports = given ? strdup(given) : default_of("port");
    struct lists l;
    int result = lists_begin(&l);
    pq_fault_set(fault, FAULT_MEMORY, "out of memory");
    if (result == 0)
        result = add_hosts(&l, hosts, ports ? ports : "", deadline_us, fault);
    if (lists_end(&l) != 0 || hand_over(a, out, &l, ports && strchr(ports, ',')) != 0)
        result = -1;
    free(ports);
    if (result == 0)
        *fault = (struct fault){0};
    else
        pq_resolved_free(out);
    return result;
}

int pq_resolve(const struct address *a, int64_t deadline_us, struct resolved *out, struct fault *fault)
{
    const char *given = value_of(a, "host");
    char *hosts = given ? strdup(given) : default_of("host");
    int result = 0;
    *out = (struct resolved){0};
    /* What a service file says is not known here. */
    if (hosts && !has(a, "hostaddr") && !has(a, "service"))
        result = resolve(a, hosts, deadline_us, out, fault);
    free(hosts);
    return result;
}

void pq_resolved_free(struct resolved *r)
{
    free(r->keywords);
    free(r->values);
    for (int i = 0; i < 3; i++)
        free(r->texts[i]);
    *r = (struct resolved){0};
}

PGconn *pq_start(const struct address *a, const struct resolved *r)
{
    return r->keywords ? PQconnectStartParams(r->keywords, r->values, 0)
                       : PQconnectStartParams(a->keywords, a->values, 0);
}
