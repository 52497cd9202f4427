/* SPDX-License-Identifier: MIT */
/* Who may do what at which path, and the life of the whole. */
#include "dash.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY_MOST 65536

/* What is not in this table is not there; what a route does not allow is refused. */
const struct dash_path dash_paths[] = {
    {"GET", "stats", ROLE_NONE, 0},       {"GET", "health", ROLE_NONE, 1},
    {"GET", "jobs", ROLE_VIEWER, 0},      {"POST", "retry-failed", ROLE_OPERATOR, 0},
    {"POST", "clear", ROLE_ADMIN, 0},     {"POST", "start", ROLE_OPERATOR, 1},
    {"POST", "stop", ROLE_OPERATOR, 1},   {"GET", "me", ROLE_NONE, 0},
    {"GET", "overview", ROLE_NONE, 1},    {"GET", "list", ROLE_VIEWER, 0},
    {"GET", "job/", ROLE_VIEWER, 0},      {"GET", "flow/", ROLE_VIEWER, 0},
    {"GET", "dead", ROLE_VIEWER, 0},      {"GET", "limits", ROLE_VIEWER, 0},
    {"GET", "schedules", ROLE_VIEWER, 1}, {"GET", "audit", ROLE_ADMIN, 1},
    {"POST", "act", ROLE_OPERATOR, 0},    {"POST", "bulk", ROLE_OPERATOR, 0},
    {"GET", "/metrics", ROLE_NONE, 1},    {"GET", "/events", ROLE_NONE, 0},
    {NULL, NULL, ROLE_ADMIN, 1},
};

const struct dash_verb dash_verbs[] = {
    {"redrive", ROLE_OPERATOR, 0},
    {"cancel", ROLE_OPERATOR, 0},
    {"unhold", ROLE_OPERATOR, 0},
    {"drop", ROLE_ADMIN, 0},
    {"pause", ROLE_OPERATOR, 1},
    {"resume", ROLE_OPERATOR, 1},
    {"limit", ROLE_ADMIN, 1},
    {"stop-worker", ROLE_OPERATOR, 1},
    {"schedule-run", ROLE_OPERATOR, 1},
    {"schedule-pause", ROLE_OPERATOR, 1},
    {"schedule-resume", ROLE_OPERATOR, 1},
    {NULL, ROLE_ADMIN, 1},
};

/* Below the prefix, and at the root: the same paths as above, and what needs nobody's leave. */
static const struct http_route below[] = {
    {"GET", "/stats", 0, route_stats, 0},
    {"GET", "/health", 0, route_health, 0},
    {"GET", "/jobs", 0, route_jobs, 0},
    {"POST", "/retry-failed", BODY_MOST, route_retry_failed, 1},
    {"POST", "/clear", BODY_MOST, route_clear, 1},
    {"POST", "/start", BODY_MOST, route_start_all, 1},
    {"POST", "/stop", BODY_MOST, route_stop_all, 1},
    {"GET", "/me", 0, route_me, 0},
    {"GET", "/overview", 0, route_overview, 0},
    {"GET", "/list", 0, route_list, 0},
    {"GET", "/job/", 0, route_job, 0},
    {"GET", "/flow/", 0, route_flow, 0},
    {"GET", "/dead", 0, route_dead, 0},
    {"GET", "/limits", 0, route_limits, 0},
    {"GET", "/schedules", 0, route_schedules, 0},
    {"GET", "/audit", 0, route_audit, 0},
    {"POST", "/act", BODY_MOST, route_act, 0},
    {"POST", "/bulk", BODY_MOST, route_bulk, 0},
    {NULL, NULL, 0, NULL, 0},
};

static const struct http_route root[] = {
    {"GET", "/metrics", 0, route_metrics, 0},
    {"GET", "/events", 0, route_events, 0},
    {"POST", "/login", 4096, route_login, 0},
    {"POST", "/logout", 4096, route_logout, 1},
    {"GET", "/", 0, route_page, 0},
    {"GET", "/dashboard.js", 0, route_script, 0},
    {"GET", "/dashboard.css", 0, route_style, 0},
    {"GET", "/favicon.ico", 0, route_icon, 0},
    {NULL, NULL, 0, NULL, 0},
};

const struct dash_verb *dash_verb_of(const char *name)
{
    for (const struct dash_verb *verb = dash_verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

int64_t dash_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct dash *dash_create(const struct dash_options *options, const char **why)
{
    struct dash *dash = calloc(1, sizeof(*dash));

    *why = "out of memory";
    if (!dash)
        return NULL;
    dash->options = *options;
    dash->q = options->q;
    dash->prefix = options->prefix ? options->prefix : DASH_PREFIX;
    if (dash->options.interval_ms <= 0)
        dash->options.interval_ms = 2000;
    dash->sessions = sessions_create();
    dash->logins = guard_create(LOGIN_FREE);
    dash->feed = feed_create(dash);
    dash->page = dash_page(dash->prefix, &dash->page_size);
    if (dash->sessions && dash->logins && dash->feed && dash->page &&
        (dash->audit = audit_open(options->audit_file, why)) != NULL)
        return dash;
    dash_destroy(dash);
    return NULL;
}

void dash_mounts(struct dash *dash, struct http_mount out[2])
{
    out[0] = (struct http_mount){.prefix = dash->prefix, .routes = below, .user = dash};
    out[1] = (struct http_mount){.prefix = "", .routes = root, .user = dash};
}

int dash_start(struct dash *dash, struct http_server *server)
{
    return feed_start(dash->feed, server);
}

void dash_stop(struct dash *dash)
{
    if (dash)
        feed_stop(dash->feed);
}

void dash_destroy(struct dash *dash)
{
    if (!dash)
        return;
    feed_destroy(dash->feed);
    sessions_destroy(dash->sessions);
    guard_destroy(dash->logins);
    audit_close(dash->audit);
    free(dash->page);
    free(dash);
}
