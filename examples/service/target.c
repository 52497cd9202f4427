/* SPDX-License-Identifier: MIT */
#include "target.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ------------------------------------------------------------------------------- */

/* What is not for everybody's use, after the registries of special addresses of IANA. */
static const char *const closed[] =
    {
        "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
        "2001::/23",                  /* among them Teredo, which wraps other addresses */
        "2001:db8::/32", "2002::/16", /* 6to4, likewise */
        "3fff::/20",
};
/* Everything else of IPv6 is loopback, local, multicast, a translation, or not given out. */
static const char global[] = "2000::/3";

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int read_address(const char *text, unsigned char out[16])
{
    memcpy(out, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, text, out + 12) == 1)
        return 0;
    return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

static int read_net(const char *text, struct target_net *out)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    unsigned most, bits;
    char *end = NULL;

    if (size >= sizeof(address))
        return -1;
    memcpy(address, text, size);
    address[size] = '\0';
    if (read_address(address, out->address) != 0)
        return -1;
    most = strchr(address, ':') ? 128 : 32;
    bits = slash ? (unsigned)strtoul(slash + 1, &end, 10) : most;
    if (slash && (end == slash + 1 || *end || slash[1] < '0' || slash[1] > '9' || bits > most))
        return -1;
    out->bits = 128 - most + bits;
    return 0;
}

static int is_in(const struct target_net *net, const unsigned char address[16])
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;

    if (memcmp(net->address, address, whole) != 0)
        return 0;
    return rest == 0 || (net->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static int is_in_text(const char *text, const unsigned char address[16])
{
    struct target_net net;

    return read_net(text, &net) == 0 && is_in(&net, address);
}

static int may_connect(const struct target_policy *policy, const unsigned char address[16])
{
    int is_ipv4 = memcmp(address, mapped, sizeof(mapped)) == 0;

    for (size_t i = 0; i < policy->count; i++)
        if (is_in(&policy->nets[i], address))
            return 1;
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        if (is_in_text(closed[i], address))
            return 0;
    return is_ipv4 || is_in_text(global, address);
}

const char *target_open(struct target_policy *policy, const char *net)
{
    if (policy->count == TARGET_NETS_MOST)
        return "there are more than 16";
    if (read_net(net, &policy->nets[policy->count]) != 0)
        return "it must be ADDRESS or ADDRESS/BITS, as 10.1.0.0/16";
    policy->count++;
    return NULL;
}

int target_may_connect(const struct target_policy *policy, const struct sockaddr *address)
{
    unsigned char bytes[16];

    memcpy(bytes, mapped, sizeof(mapped));
    if (address->sa_family == AF_INET)
        memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    else if (address->sa_family == AF_INET6)
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    else
        return 0;
    return may_connect(policy, bytes);
}

/* ---- the URL --------------------------------------------------------------------------------- */

static int has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    int has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

const char *target_closed(const struct target_policy *policy)
{
    return policy->fetch ? "its address is not one of the public internet; --fetch-allow opens others"
                         : "its address is not one of the public internet; --callback-allow opens others";
}

static const char *plain_problem(const struct target_policy *policy)
{
    return policy->fetch ? "it must be https:; --fetch-http opens http: as well"
                         : "it must be https:; --callback-http opens http: as well";
}

/* A name is resolved, and its address looked at, when it is connected to. */
static const char *check_host(const struct target_policy *policy, const char *host)
{
    char text[INET6_ADDRSTRLEN + 2];
    unsigned char address[16];
    size_t size = strlen(host);

    if (size == 0)
        return "it names no host";
    if (size >= sizeof(text))
        return NULL;
    strcpy(text, *host == '[' ? host + 1 : host);
    text[strcspn(text, "]%")] = '\0';
    if (read_address(text, address) == 0 && !may_connect(policy, address))
        return target_closed(policy);
    return NULL;
}

static const char *check_parts(const struct target_policy *policy, CURLU *url)
{
    char *scheme = NULL, *host = NULL;
    const char *problem = NULL;

    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        problem = "it is no URL of a web server";
    else if (strcmp(scheme, "https") != 0 && (strcmp(scheme, "http") != 0 || !policy->http))
        problem = strcmp(scheme, "http") == 0 ? plain_problem(policy) : "it must be https:";
    else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        problem = "it must not hold a user's name or password";
    else
        problem = check_host(policy, host);
    curl_free(scheme);
    curl_free(host);
    return problem;
}

const char *target_problem(const struct target_policy *policy, const char *url)
{
    CURLU *parsed;
    const char *problem;

    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '\\')
            return "it must be printable ASCII without spaces";
    parsed = curl_url();
    if (!parsed)
        return "out of memory";
    problem = curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK ? check_parts(policy, parsed)
                                                                       : "it is no URL of a web server";
    curl_url_cleanup(parsed);
    return problem;
}
