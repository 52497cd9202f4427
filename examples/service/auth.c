/* SPDX-License-Identifier: MIT */
#include "auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "guard.h"
#include "http.h"

#define LINE_BYTES      1024
#define ENTRIES_MOST    10000
#define TOKEN_MAX_BYTES 512
#define DIGEST_DIGITS   64

static int role_of(const char *name)
{
    static const char *const names[] = {
        [ROLE_VIEWER] = "viewer", [ROLE_OPERATOR] = "operator", [ROLE_ADMIN] = "admin"};

    for (int role = ROLE_VIEWER; role <= ROLE_ADMIN; role++)
        if (strcmp(names[role], name) == 0)
            return role;
    return ROLE_NONE;
}

static int digest_of(const char *text, unsigned char out[32])
{
    if (strlen(text) != DIGEST_DIGITS || strspn(text, "0123456789abcdefABCDEF") != DIGEST_DIGITS)
        return -1;
    for (size_t i = 0; i < 32; i++)
        out[i] = (unsigned char)strtoul((char[3]){text[2 * i], text[2 * i + 1], 0}, NULL, 16);
    return 0;
}

static int has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return 1;
    return 0;
}

static const char *add_entry(struct auth *auth, const char *role, const char *tenant, const char *digest)
{
    struct auth_entry entry = {.role = (enum role)role_of(role)};
    struct auth_entry *more;

    if (entry.role == ROLE_NONE)
        return "the role must be viewer, operator or admin";
    if (strlen(tenant) >= sizeof(entry.tenant))
        return "the tenant's name is longer than 255 bytes";
    if (has_control(tenant))
        return "the tenant's name must not hold control characters";
    if (digest_of(digest, entry.digest) != 0)
        return "the digest must be 64 hexadecimal digits";
    if (auth->count == ENTRIES_MOST)
        return "there are more than 10,000 tokens";
    if (strcmp(tenant, "*") != 0)
        strcpy(entry.tenant, tenant);
    more = realloc(auth->entries, (auth->count + 1) * sizeof(*more));
    if (!more)
        return "out of memory";
    auth->entries = more;
    auth->entries[auth->count++] = entry;
    return NULL;
}

static const char *read_line(struct auth *auth, char *line)
{
    static const char space[] = " \t\r\n";
    char *rest = NULL;
    const char *role = strtok_r(line, space, &rest);
    const char *tenant = role && *role != '#' ? strtok_r(NULL, space, &rest) : NULL;
    const char *digest = tenant ? strtok_r(NULL, space, &rest) : NULL;

    if (!role || *role == '#')
        return NULL;
    if (!digest || strtok_r(NULL, space, &rest))
        return "a line is \"ROLE TENANT SHA256-HEX\"";
    return add_entry(auth, role, tenant, digest);
}

const char *auth_read(struct auth *auth, const char *path, int *line)
{
    char text[LINE_BYTES];
    const char *problem = NULL;
    FILE *file = fopen(path, "re");

    *auth = (struct auth){.count = 0};
    *line = 0;
    if (!file)
        return "it cannot be read";
    while (!problem && fgets(text, sizeof(text), file)) {
        ++*line;
        problem = strlen(text) == sizeof(text) - 1 ? "the line is too long" : read_line(auth, text);
    }
    fclose(file);
    if (!problem && !(auth->guard = guard_create(AUTH_FREE)))
        problem = "out of memory";
    if (!problem && auth->count == 0) {
        *line = 0;
        problem = "it holds no token";
    }
    if (problem)
        auth_free(auth);
    return problem;
}

void auth_free(struct auth *auth)
{
    free(auth->entries);
    guard_destroy(auth->guard);
    *auth = (struct auth){.count = 0};
}

const struct auth_entry *auth_find(const struct auth *auth, const char *authorization)
{
    const struct auth_entry *found = NULL;
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t size;

    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    authorization += 7 + strspn(authorization + 7, " ");
    size = strlen(authorization);
    while (size > 0 && (authorization[size - 1] == ' ' || authorization[size - 1] == '\t'))
        size--;
    if (size == 0 || size > TOKEN_MAX_BYTES ||
        !EVP_Digest(authorization, size, digest, NULL, EVP_sha256(), NULL))
        return NULL;
    /* No leaving early: the time must not tell which token is near. */
    for (size_t i = 0; i < auth->count; i++)
        if (CRYPTO_memcmp(digest, auth->entries[i].digest, sizeof(auth->entries[i].digest)) == 0)
            found = &auth->entries[i];
    return found;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct auth_entry *auth_ask(const struct auth *auth, const struct http_request *request,
                                  struct http_reply *reply)
{
    const char *header = http_header(request, "Authorization");
    const struct auth_entry *who;
    char from[64];
    int64_t wait;

    if (!header) {
        http_error(reply, 401, "", "a token is needed: Authorization: Bearer TOKEN");
        return NULL;
    }
    http_peer(request, from);
    wait = guard_wait(auth->guard, from, now_ms());
    if (wait > 0) {
        http_error(reply, 429, "", "too many unknown tokens came from this address");
        reply->retry_after_s = (int)(wait / 1000) + 1;
        return NULL;
    }
    who = auth_find(auth, header);
    if (who) {
        guard_done(auth->guard, from);
        return who;
    }
    guard_failed(auth->guard, from, now_ms());
    http_error(reply, 401, "", "this token is not known");
    return NULL;
}
