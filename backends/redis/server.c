/* SPDX-License-Identifier: MIT */
/* What the server says of itself: whether it can be used, and how safely it keeps what it answered. A server may refuse to
 * tell; then that is what is said. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of NAME:VALUE in the answer of INFO; empty when it is not there. */
static void find_info(const redisReply *info, const char *name, char *out, size_t room)
{
    size_t length = strlen(name);
    out[0] = 0;
    for (const char *at = info->str; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (strncmp(at, name, length) != 0 || at[length] != ':')
            continue;
        snprintf(out, room, "%.*s", (int)strcspn(at + length + 1, "\r\n"), at + length + 1);
        return;
    }
}

/* 0 and *out NULL when the server does not tell. */
static int ask_info(struct jobq_store *s, const char *section, redisReply **out)
{
    const char *const words[] = { "INFO", section };
    if (rd_link_command(&s->link, out, 2, words) != 0)
        return -1;
    if ((*out)->type == REDIS_REPLY_STRING)
        return 0;
    freeReplyObject(*out);
    *out = NULL;
    return 0;
}

static int ask_config(struct jobq_store *s, const char *name, char *value, size_t room)
{
    const char *const words[] = { "CONFIG", "GET", name };
    redisReply *reply;
    value[0] = 0;
    if (rd_link_command(&s->link, &reply, 3, words) != 0)
        return -1;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING)
        snprintf(value, room, "%.60s", reply->element[1]->str);
    freeReplyObject(reply);
    return 0;
}

static int check_version(struct jobq_store *s, const redisReply *info, struct jobq_error *err)
{
    char version[32], name[24];
    find_info(info, "redis_version", version, sizeof version);
    find_info(info, "server_name", name, sizeof name);
    bool valkey = strcmp(name, "valkey") == 0;
    char own[32];
    find_info(info, "valkey_version", own, sizeof own);
    snprintf(s->engine, sizeof s->engine, "%s %.30s", valkey ? "valkey" : "redis", valkey && own[0] ? own : version);
    int major = 0, minor = 0;
    bool known = sscanf(version, "%d.%d", &major, &minor) == 2;
    s->functions = !known || major >= 7;
    if (known && (major < 6 || (major == 6 && minor < 2)))
        return jobq_error_set(err, JOBQ_UNSUPPORTED, "uri", "%s: the server is version %s; 6.2 is needed",
                              s->address.shown, version);
    return JOBQ_OK;
}

static int learn_policy(struct jobq_store *s, char *policy, size_t room)
{
    redisReply *info;
    policy[0] = 0;
    if (ask_info(s, "memory", &info) != 0)
        return -1;
    if (info)
        find_info(info, "maxmemory_policy", policy, room);
    freeReplyObject(info);
    return policy[0] ? 0 : ask_config(s, "maxmemory-policy", policy, room);
}

static int unreachable(struct jobq_store *s, struct jobq_error *err)
{
    rd_fault_report(&s->link, err);
    return s->link.fault.status;
}

int rd_server_check(struct jobq_store *s, struct jobq_error *err)
{
    redisReply *info;
    char policy[64];
    snprintf(s->engine, sizeof s->engine, "redis (version unknown)");
    s->functions = true; /* the first call will tell */
    if (ask_info(s, "server", &info) != 0)
        return unreachable(s, err);
    int status = info ? check_version(s, info, err) : JOBQ_OK;
    freeReplyObject(info);
    if (status != JOBQ_OK)
        return status;
    if (learn_policy(s, policy, sizeof policy) != 0)
        return unreachable(s, err);
    if (policy[0] && strcmp(policy, "noeviction") != 0 && !s->address.evict)
        return jobq_error_set(err, JOBQ_UNSUPPORTED, "uri",
                              "%s: maxmemory-policy is %s: the server may throw jobs away. Set it to noeviction, or say "
                              "evict=allow in the URI", s->address.shown, policy);
    return JOBQ_OK;
}

/* "always", "everysec", "no", or "unknown". */
static int learn_sync(struct jobq_store *s, char *out, size_t room)
{
    if (ask_config(s, "appendfsync", out, room) != 0)
        return -1;
    if (!out[0])
        snprintf(out, room, "unknown");
    return 0;
}

static const char *meaning_of(const char *sync)
{
    if (strcmp(sync, "always") == 0)
        return "on disk before a call returns";
    if (strcmp(sync, "everysec") == 0)
        return "about the last second may be lost with the server or its machine";
    if (strcmp(sync, "no") == 0)
        return "what the system has not written yet may be lost with the machine";
    return "how much may be lost is the server's secret";
}

int rd_server_durability(struct jobq_store *s, char *out, size_t room)
{
    redisReply *info;
    char aof[8] = "", role[16] = "", policy[64], sync[64];
    if (ask_info(s, "persistence", &info) != 0)
        return -1;
    if (info)
        find_info(info, "aof_enabled", aof, sizeof aof);
    freeReplyObject(info);
    if (ask_info(s, "replication", &info) != 0)
        return -1;
    if (info)
        find_info(info, "role", role, sizeof role);
    freeReplyObject(info);
    if (learn_policy(s, policy, sizeof policy) != 0 || learn_sync(s, sync, sizeof sync) != 0)
        return -1;
    int used;
    if (strcmp(aof, "1") == 0)
        used = snprintf(out, room, "append-only file, appendfsync %s: %s", sync, meaning_of(sync));
    else if (strcmp(aof, "0") == 0)
        used = snprintf(out, room, "no append-only file: at best the last snapshot survives the server");
    else
        used = snprintf(out, room, "unknown: the server does not tell its append-only settings");
    if (used > 0 && (size_t)used < room && policy[0] && strcmp(policy, "noeviction") != 0)
        used += snprintf(out + used, room - (size_t)used, "; maxmemory-policy %s may throw jobs away", policy);
    if (used > 0 && (size_t)used < room && strcmp(role, "slave") == 0)
        snprintf(out + used, room - (size_t)used, "; this server is a replica");
    return 0;
}
