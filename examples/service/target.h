/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_TARGET_H
#define SERVICE_TARGET_H

/*
 * Where callers may have their results posted to and their videos fetched from: https, to addresses of the
 * public internet, unless options open more. The URL is looked at when it comes in and again before it is
 * used; the address is looked at when the connection is made to it, so a name that is resolved anew cannot
 * lead elsewhere. Pure, apart from memory.
 */

#include <stddef.h>
#include <sys/socket.h>

#define TARGET_NETS_MOST 16

/* IPv4 as ::ffff:a.b.c.d. */
struct target_net {
    unsigned char address[16];
    unsigned bits;
};

struct target_policy {
    int fetch; /* of where videos are fetched from: which options it names */
    int http;  /* not https alone */
    struct target_net nets[TARGET_NETS_MOST];
    size_t count;
};

/* Opens what ADDRESS/BITS, or one ADDRESS, names. Returns NULL, or what is wrong. */
const char *target_open(struct target_policy *policy, const char *net);

/* 1 if this address may be connected to. */
int target_may_connect(const struct target_policy *policy, const struct sockaddr *address);

/* What is said of an address that is closed. Static text. */
const char *target_closed(const struct target_policy *policy);

/* NULL, or why this URL is not used. */
const char *target_problem(const struct target_policy *policy, const char *url);

#endif
