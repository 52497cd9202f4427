/* SPDX-License-Identifier: MIT */
/* Running a script: as a function of a library where the server has those, else by its digest; and with its text when the server
 * does not know it (any more). */
#define SCRIPT_TEXTS
#include "store.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define NOT_FOUND "ERR Function not found"

void rd_script_begin(struct jobq_store *s)
{
    char key[80];
    int bytes = snprintf(key, sizeof key, "{%s}:meta", s->address.name_space);
    rd_request_begin(&s->request);
    rd_argument(&s->request, "1", 1);
    rd_argument(&s->request, key, (size_t)bytes);
}

/* front: what stands before the arguments of the request, `words` of it. */
static int ask(struct jobq_store *s, const char *front, size_t words, redisReply **out)
{
    char head[160];
    int bytes = snprintf(head, sizeof head, "*%zu\r\n%s", s->request.arguments + words, front);
    return rd_link_ask(&s->link, head, (size_t)bytes, &s->request, out);
}

static bool begins(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, text, strlen(text)) == 0;
}

/* ---- as a function --------------------------------------------------------------------------------------------- */

/* Before it is run a function is refused whatever it would do; a script says what it was asked before if nothing has to be
 * written, and gives jobs back when memory is full. So the script has the last word where the server's state is the reason. Where it
 * is that there are no functions, or not for us, it has all of them from now on. */
static bool is_refused(struct jobq_store *s, const redisReply *reply)
{
    static const char *const states[] = { "OOM ", "READONLY ", "MISCONF ", "NOREPLICAS ", NOT_FOUND };
    if (reply->type != REDIS_REPLY_ERROR || strstr(reply->str, " script: "))
        return false;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (begins(reply, states[i]))
            return true;
    if (!begins(reply, "NOPERM ") && !begins(reply, "ERR unknown command"))
        return false;
    s->functions = false;
    return true;
}

static int ask_function(struct jobq_store *s, enum script which, redisReply **out)
{
    char front[96];
    snprintf(front, sizeof front, "$5\r\nFCALL\r\n$%zu\r\n%s\r\n", strlen(scripts[which].function), scripts[which].function);
    return ask(s, front, 2, out);
}

/* Somebody else may have loaded it meanwhile. 1 it is there, 0 the server does not take it, -1. */
static int load_library(struct jobq_store *s, enum script which)
{
    struct request words = { 0 };
    redisReply *reply;
    rd_argument(&words, "LOAD", 4);
    rd_argument(&words, scripts[which].library, strlen(scripts[which].library));
    static const char front[] = "*3\r\n$8\r\nFUNCTION\r\n";
    int result = rd_link_ask(&s->link, front, sizeof front - 1, &words, &reply);
    rd_request_free(&words);
    if (result != 0) {
        s->link.fault.status = JOBQ_FAILED; /* nothing was asked of the store yet */
        return -1;
    }
    bool there = reply->type != REDIS_REPLY_ERROR || strstr(reply->str, "already exists");
    if (!there && !is_refused(s, reply))
        s->functions = false;
    freeReplyObject(reply);
    return there;
}

/* 1 *out is its answer, 0 the script is to be run, -1. */
static int run_function(struct jobq_store *s, enum script which, redisReply **out)
{
    if (!s->functions || !scripts[which].function)
        return 0;
    if (ask_function(s, which, out) != 0)
        return -1;
    if (begins(*out, NOT_FOUND)) {
        freeReplyObject(*out);
        int loaded = load_library(s, which);
        if (loaded <= 0)
            return loaded;
        if (ask_function(s, which, out) != 0)
            return -1;
    }
    if (!is_refused(s, *out))
        return 1;
    freeReplyObject(*out);
    return 0;
}

/* ---- as a script ------------------------------------------------------------------------------------------------ */

static int ask_known(struct jobq_store *s, enum script which, redisReply **out)
{
    char front[96];
    snprintf(front, sizeof front, "$7\r\nEVALSHA\r\n$40\r\n%s\r\n", scripts[which].digest);
    return ask(s, front, 2, out);
}

static int ask_text(struct jobq_store *s, enum script which, redisReply **out)
{
    struct request front = { 0 };
    char head[32];
    int bytes = snprintf(head, sizeof head, "*%zu\r\n", s->request.arguments + 2);
    rd_raw(&front, head, (size_t)bytes);
    rd_argument(&front, "EVAL", 4);
    rd_argument(&front, scripts[which].text, strlen(scripts[which].text));
    int result = front.no_memory ? rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_TRANSIENT, "out of memory")
                                 : rd_link_ask(&s->link, (const char *)front.data, front.size, &s->request, out);
    rd_request_free(&front);
    return result;
}

static int run_script(struct jobq_store *s, enum script which, redisReply **out)
{
    if (ask_known(s, which, out) != 0)
        return -1;
    if (!begins(*out, "NOSCRIPT") || JOBQ_MUTANT(12))
        return 0;
    freeReplyObject(*out);
    return ask_text(s, which, out);
}

int rd_script_run(struct jobq_store *s, enum script which, redisReply **out)
{
    if (rd_link_ready(&s->link) != 0)
        return -1;
    int answered = run_function(s, which, out);
    if (answered < 0 || (answered == 0 && run_script(s, which, out) != 0))
        return -1;
    if ((*out)->type != REDIS_REPLY_ERROR)
        return 0;
    rd_fault_answer(&s->link, *out);
    freeReplyObject(*out);
    *out = NULL;
    return -1;
}

int rd_broken(struct jobq_store *s)
{
    rd_link_drop(&s->link);
    return rd_fault(&s->link, JOBQ_UNKNOWN, JOBQ_FAILURE_REFUSED, "the answer is not what the script gives");
}

/* ---- opening a namespace --------------------------------------------------------------------------------------- */

enum found { FOUND_OURS, FOUND_NONE, FOUND_FOREIGN };

static int no_store(const struct jobq_store *s, struct jobq_error *err)
{
    return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "%s: there is no namespace '%s'", s->address.shown,
                          s->address.name_space);
}

static int judge(struct jobq_store *s, const redisReply *reply, struct jobq_error *err)
{
    struct strings strings = rd_strings(reply);
    struct reader found = rd_next_string(&strings);
    struct jobq_bytes version = rd_next_bytes(&strings), id = rd_next_bytes(&strings);
    int what = rd_get_u8(&found), number = 0;
    if (strings.broken || found.broken) {
        rd_broken(s);
        return rd_fault_report(&s->link, err);
    }
    if (what == FOUND_NONE)
        return no_store(s, err);
    for (size_t i = 0; i < version.size && i < 9; i++)
        number = number * 10 + (((const char *)version.data)[i] - '0');
    if (what == FOUND_FOREIGN || id.size != sizeof s->store_id)
        return jobq_error_set(err, JOBQ_FOREIGN, "namespace", "%s: the keys \"{%s}:...\" are not those of a libjobq store",
                              s->address.shown, s->address.name_space);
    memcpy(s->store_id, id.data, sizeof s->store_id);
    s->version = number;
    if (number > SCHEMA_VERSION && !s->inspect)
        return jobq_error_set(err, JOBQ_NEWER, NULL, "%s: namespace '%s' has version %d, this library knows %d",
                              s->address.shown, s->address.name_space, number, SCHEMA_VERSION);
    if (number < SCHEMA_VERSION && !s->inspect)
        return jobq_error_set(err, JOBQ_UNSUPPORTED, NULL,
                              "%s: namespace '%s' has version %d, which was never released; this library knows %d",
                              s->address.shown, s->address.name_space, number, SCHEMA_VERSION);
    return JOBQ_OK;
}

/* So that statistics can name the namespaces of a server. One that does not take the note is used all the same. */
static void note_namespace(struct jobq_store *s)
{
    const char *const words[] = { "SADD", NAMESPACES, s->address.name_space };
    redisReply *reply;
    if (rd_link_ready(&s->link) == 0 && rd_link_command(&s->link, &reply, 3, words) == 0)
        freeReplyObject(reply);
}

int rd_namespace_open(struct jobq_store *s, bool create, struct jobq_error *err)
{
    uint8_t id[16];
    const uint8_t flags = (create ? 1 : 0) | (s->inspect ? 0 : 2);
    redisReply *reply;
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
        return jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "no random bytes from the system");
    rd_script_begin(s);
    rd_argument(&s->request, &flags, 1);
    rd_argument(&s->request, id, sizeof id);
    if (rd_script_run(s, SCRIPT_OPEN, &reply) != 0)
        return rd_fault_report(&s->link, err);
    int status = judge(s, reply, err);
    freeReplyObject(reply);
    if (status == JOBQ_OK && create)
        note_namespace(s);
    return status;
}
