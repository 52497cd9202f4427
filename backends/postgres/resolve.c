/* SPDX-License-Identifier: MIT */
/* Names of hosts to addresses before libpq sees them: it would look them up itself, for as long as that
 * takes. The names stay, because the server's certificate is compared with them. */
#include "store.h"

#include "../lookup/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libpq makes of the address, with its variables and its file of services: it only fills that in when it begins to
 * connect, so here it begins with a wish that it refuses before it looks for anybody. For PQconninfoFree. */
static PQconninfoOption *filled_in(const struct address *a)
{
    const char **keywords = calloc(a->count + 2, sizeof *keywords), **values = calloc(a->count + 2, sizeof *values);
    PQconninfoOption *all = NULL;
    if (keywords && values) {
        memcpy(keywords, a->keywords, a->count * sizeof *keywords);
        memcpy(values, a->values, a->count * sizeof *values);
        keywords[a->count] = "sslmode"; /* the last one counts */
        values[a->count] = "none of them";
        PGconn *conn = PQconnectStartParams(keywords, values, 0);
        all = conn ? PQconninfo(conn) : NULL;
        PQfinish(conn);
    }
    free(keywords);
    free(values);
    return all;
}

static const char *value_of(const PQconninfoOption *all, const char *keyword)
{
    for (const PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val && *o->val ? o->val : NULL;
    return NULL;
}

/* ---- lists, element by element ------------------------------------------------------------------------- */

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

/* What there is of the texts belongs to *out from then on, also where one is missing. */
static int lists_end(struct lists *l, struct resolved *out)
{
    bool good = true;
    for (int i = 0; i < 3; i++) {
        good &= l->file[i] && fclose(l->file[i]) == 0;
        out->texts[i] = l->text[i];
    }
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

/* ---- for libpq ----------------------------------------------------------------------------------------- */

static void set(struct resolved *r, size_t *count, const char *keyword, const char *value)
{
    size_t i = 0;
    while (i < *count && strcmp(r->keywords[i], keyword) != 0)
        i++;
    r->keywords[i] = keyword;
    r->values[i] = value;
    *count += i == *count;
}

static int hand_over(const struct address *a, struct resolved *r, bool ports)
{
    size_t count = a->count;
    r->keywords = calloc(count + 4, sizeof *r->keywords);
    r->values = calloc(count + 4, sizeof *r->values);
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

static int resolve(const struct address *a, const char *hosts, const char *ports, int64_t deadline_us,
                   struct resolved *out, struct fault *fault)
{
    struct lists l;
    int result = lists_begin(&l);
    pq_fault_set(fault, FAULT_MEMORY, "out of memory");
    if (result == 0)
        result = add_hosts(&l, hosts, ports ? ports : "", deadline_us, fault);
    if (lists_end(&l, out) != 0 || hand_over(a, out, ports && strchr(ports, ',')) != 0)
        result = -1;
    if (result == 0)
        *fault = (struct fault){0};
    else
        pq_resolved_free(out);
    return result;
}

int pq_resolve(const struct address *a, int64_t deadline_us, struct resolved *out, struct fault *fault)
{
    PQconninfoOption *all = filled_in(a);
    *out = (struct resolved){0};
    if (!all) {
        pq_fault_set(fault, FAULT_MEMORY, "out of memory");
        return -1;
    }
    const char *hosts = value_of(all, "host");
    int result = 0;
    if (hosts && !value_of(all, "hostaddr"))
        result = resolve(a, hosts, value_of(all, "port"), deadline_us, out, fault);
    PQconninfoFree(all);
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
