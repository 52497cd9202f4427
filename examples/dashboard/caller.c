/* SPDX-License-Identifier: MIT */
/* Who asks, what they may do, and the log of what they did. */
#include <stdio.h>
#include <string.h>

#include "dash.h"
#include "text.h"

#define COOKIE        "jobq_session"
#define RETRY_AFTER_S 5

static const char *const role_names[] = {
    [ROLE_NONE] = "none", [ROLE_VIEWER] = "viewer", [ROLE_OPERATOR] = "operator", [ROLE_ADMIN] = "admin"};

static void take_entry(struct caller *out, const struct auth_entry *entry)
{
    out->role = entry->role;
    memcpy(out->tenant, entry->tenant, sizeof(out->tenant));
    for (size_t i = 0; i < 6; i++)
        snprintf(out->who + 2 * i, 3, "%02x", entry->digest[i]);
}

/* A browser sends the cookie whoever makes it ask: the page knows the token that only it was told. */
static int check_change(const struct http_request *request, const struct caller *caller,
                        struct http_reply *reply)
{
    if (strcmp(request->method, "GET") == 0)
        return 0;
    if (http_same_site(request) && session_same(http_header(request, "X-CSRF-Token"), caller->csrf))
        return 0;
    http_error(reply, 403, "X-CSRF-Token",
               "a change by a browser's session must bring the token of the session");
    return -1;
}

static int by_cookie(struct dash *dash, const struct http_request *request, struct caller *out,
                     struct http_reply *reply)
{
    const char *cookie = http_cookie(request, COOKIE);
    struct auth_entry entry;

    if (!cookie || session_find(dash->sessions, cookie, dash_now_ms(), &entry, out->csrf) != 0) {
        http_error(reply, 401, "", "a token is needed: Authorization: Bearer TOKEN, or POST /login");
        return -1;
    }
    take_entry(out, &entry);
    return check_change(request, out, reply);
}

int dash_caller(struct dash *dash, const struct http_request *request, struct caller *out,
                struct http_reply *reply)
{
    const char *header = http_header(request, "Authorization");
    const struct auth_entry *entry;

    memset(out, 0, sizeof(*out));
    http_peer(request, out->from);
    strcpy(out->who, "nobody");
    if (!dash->options.auth) {
        out->open = 1;
        return 0;
    }
    if (!header)
        return by_cookie(dash, request, out, reply);
    entry = auth_ask(dash->options.auth, request, reply);
    if (!entry)
        return -1;
    take_entry(out, entry);
    return 0;
}

int dash_allow(const struct caller *caller, enum role least, int whole, struct http_reply *reply)
{
    /* Counts are open where there are no tokens; where there are, they are for those who have one. */
    if (!caller->open && least == ROLE_NONE)
        least = ROLE_VIEWER;
    if (caller->open && least != ROLE_NONE)
        http_error(reply, 403, "", "this is closed: the server was started without --token-file");
    else if (caller->role < least)
        http_error(reply, 403, "", "the token's role does not allow this");
    else if (whole && *caller->tenant)
        http_error(reply, 403, "", "this is about the whole store, and the token is for one tenant");
    else
        return 0;
    return -1;
}

static const struct dash_path *path_of(const char *method, const char *path)
{
    const struct dash_path *entry = dash_paths;

    while (entry->method && (strcmp(entry->method, method) != 0 || strcmp(entry->path, path) != 0))
        entry++;
    return entry; /* the last one is for admins of everything */
}

int dash_enter(struct dash *dash, const struct http_request *request, const char *path, struct caller *out,
               struct http_reply *reply)
{
    const struct dash_path *entry = path_of(request->method, path);

    if (dash_caller(dash, request, out, reply) == 0 &&
        dash_allow(out, entry->least, entry->whole, reply) == 0)
        return 0;
    if (strcmp(request->method, "GET") != 0)
        dash_audit(dash, out, path, NULL, reply);
    return -1;
}

int dash_may(struct dash *dash, const struct http_request *request, enum role least, char tenant[256],
             struct http_reply *reply)
{
    struct caller caller;

    if (dash_caller(dash, request, &caller, reply) != 0 || dash_allow(&caller, least, 0, reply) != 0)
        return -1;
    memcpy(tenant, caller.tenant, sizeof(caller.tenant));
    return 0;
}

void dash_change(struct dash *dash, const struct http_request *request, enum role least, const char *verb,
                 dash_change_fn change, void *user, struct http_reply *reply)
{
    struct caller caller;

    if (dash_caller(dash, request, &caller, reply) == 0 && dash_allow(&caller, least, 0, reply) == 0)
        change(user, request, caller.tenant, reply);
    dash_audit(dash, &caller, verb,
               json_pack("{s:o}", "of", json_of_text(request->rest, strlen(request->rest), 64)), reply);
}

void dash_audit(struct dash *dash, const struct caller *caller, const char *verb, json_t *what,
                const struct http_reply *reply)
{
    json_t *entry =
        json_pack("{s:s, s:s, s:o, s:s, s:o, s:i}", "who", caller->who, "role", role_names[caller->role],
                  "tenant", json_of_name(caller->tenant), "from", caller->from, "verb",
                  json_of_text(verb, strlen(verb), 64), "status", (int)reply->status);

    if (what)
        json_object_set_new(entry, "what", what);
    audit_put(dash->audit, entry);
}

int dash_sees(const struct caller *caller, const struct jobq_job *job)
{
    return !*caller->tenant || strcmp(caller->tenant, job->group) == 0;
}

void dash_trouble(struct http_reply *reply, int status)
{
    char text[600];

    text_of_error(status, text, sizeof(text));
    switch (status) {
    case JOBQ_NOT_FOUND:
        http_error(reply, 404, "", "there is no such thing");
        break;
    case JOBQ_STATE:
    case JOBQ_HELD:
    case JOBQ_STALE:
        http_error(reply, 409, "", "%s", text);
        break;
    case JOBQ_INVALID:
        http_error(reply, 400, jobq_last_error()->field, "%s", text);
        break;
    case JOBQ_UNSUPPORTED:
        http_error(reply, 501, "", "%s", text);
        break;
    case JOBQ_FULL:
    case JOBQ_LIMITED:
        http_error(reply, 409, "", "%s", text);
        break;
    default:
        http_error(reply, 503, "", "the store cannot be used now: %s", text);
        reply->retry_after_s = RETRY_AFTER_S;
    }
}

/* ---- login ----------------------------------------------------------------------------------- */

static json_t *columns_of(const struct dash_options *options)
{
    json_t *columns = json_array();

    for (size_t i = 0; i < options->column_count; i++)
        json_array_append_new(columns, json_string(options->columns[i].name));
    return columns;
}

static json_t *verbs_of(const struct caller *caller)
{
    json_t *verbs = json_array();

    for (const struct dash_verb *verb = dash_verbs; verb->name; verb++)
        if (caller->role >= verb->least && !(verb->whole && *caller->tenant))
            json_array_append_new(verbs, json_string(verb->name));
    return verbs;
}

/* The page asks this before anybody has logged in, so nobody is an answer and no refusal. */
void route_me(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    const struct dash_options *options = &dash->options;
    struct caller caller;
    int known = dash_caller(dash, request, &caller, reply) == 0 && !caller.open;

    json_decref(reply->body);
    reply->status = 200;
    reply->body = json_pack("{s:s, s:b, s:o, s:o}", "role", role_names[known ? caller.role : ROLE_NONE],
                            "open", options->auth == NULL, "verbs", known ? verbs_of(&caller) : json_array(),
                            "interval_ms", json_integer(options->interval_ms));
    if (known)
        json_object_update_new(
            reply->body,
            json_pack("{s:o, s:o, s:s, s:s, s:o, s:b, s:b, s:o}", "tenant", json_of_name(caller.tenant),
                      "csrf", json_of_name(caller.csrf), "who", caller.who, "version", jobq_version(),
                      "webhook_queue",
                      options->webhook_queue ? json_string(options->webhook_queue) : json_null(), "flow",
                      options->flow != NULL, "mask", options->mask, "columns", columns_of(options)));
}

static void begin_session(struct dash *dash, const struct auth_entry *entry, struct caller *caller,
                          struct http_reply *reply)
{
    char cookie[SESSION_TEXT];

    take_entry(caller, entry);
    if (session_begin(dash->sessions, entry, dash_now_ms(), cookie, caller->csrf) != 0) {
        http_error(reply, 500, "", "there are no random numbers");
        return;
    }
    reply->status = 200;
    reply->body = json_pack("{s:s, s:o, s:s}", "role", role_names[caller->role], "tenant",
                            json_of_name(caller->tenant), "csrf", caller->csrf);
    http_set_header(reply, "Set-Cookie", COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s",
                    cookie, (int)(SESSION_MAX_MS / 1000), dash->options.secure_cookie ? "; Secure" : "");
}

static void try_login(struct dash *dash, const struct http_request *request, struct caller *caller,
                      struct http_reply *reply)
{
    json_t *body = json_of_bytes((struct jobq_bytes){request->body, request->body_size});
    const struct auth_entry *entry = NULL;
    char header[640];

    if (snprintf(header, sizeof(header), "Bearer %s", text_member(body, "token", "")) < (int)sizeof(header))
        entry = auth_find(dash->options.auth, header);
    json_decref(body);
    if (entry) {
        guard_done(dash->logins, caller->from);
        /* The old session of this browser ends: nobody goes on with a cookie that he planted before. */
        session_end(dash->sessions, http_cookie(request, COOKIE));
        begin_session(dash, entry, caller, reply);
    } else {
        guard_failed(dash->logins, caller->from, dash_now_ms());
        http_error(reply, 401, "token", "this token is not known");
    }
}

void route_login(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct caller caller = {.role = ROLE_NONE, .who = "nobody"};
    int64_t wait;

    http_peer(request, caller.from);
    wait = guard_wait(dash->logins, caller.from, dash_now_ms());
    if (!dash->options.auth)
        http_error(reply, 403, "",
                   "there is nothing to log in with: the server was started without --token-file");
    else if (!http_same_site(request))
        http_error(reply, 403, "Origin", "log in from this server's own page");
    else if (wait > 0) {
        http_error(reply, 429, "", "too many wrong tokens came from this address");
        reply->retry_after_s = (int)(wait / 1000) + 1;
    } else
        try_login(dash, request, &caller, reply);
    dash_audit(dash, &caller, "login", NULL, reply);
}

void route_logout(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    struct caller caller;

    if (dash_caller(dash, request, &caller, reply) == 0) {
        session_end(dash->sessions, http_cookie(request, COOKIE));
        reply->status = 200;
        reply->body = json_pack("{s:b}", "success", 1);
        http_set_header(reply, "Set-Cookie", COOKIE "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
    dash_audit(dash, &caller, "logout", NULL, reply);
}
