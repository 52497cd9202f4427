/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

/* "127.0.0.1:8080", "[::1]:8080" -> host without brackets, port */
static int split(const char *text, char host[64], const char **port)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;

    if (size > 1 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    if (size < 1 || size > 63 || strlen(colon + 1) < 1 || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return -1;
    memcpy(host, text, size);
    host[size] = '\0';
    *port = colon + 1;
    return 0;
}

int http_parse_address(const char *text, struct sockaddr_storage *out, socklen_t *out_size, const char **why)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[64];
    const char *port = "";

    *why = "an address and a port are needed, as in 127.0.0.1:8080 or [::1]:8080";
    if (split(text, host, &port) != 0 || strtol(port, NULL, 10) > 65535)
        return -1;
    if (getaddrinfo(host, port, &hints, &found) != 0 || !found)
        return -1;
    memset(out, 0, sizeof(*out));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *out_size = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int http_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return 0;
}
