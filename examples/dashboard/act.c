/* SPDX-License-Identifier: MIT */
/* What the page does: one verb on one thing, or on all jobs that are picked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dash.h"
#include "text.h"

#define BIT(state) (1u << (state))

/* ---- one thing -------------------------------------------------------------------------------- */

static int on_job(struct dash *dash, const char *verb, const struct jobq_id *id)
{
    if (strcmp(verb, "redrive") == 0)
        return jobq_redrive(dash->q, id);
    if (strcmp(verb, "cancel") == 0)
        return jobq_cancel(dash->q, id, 0);
    if (strcmp(verb, "unhold") == 0)
        return jobq_unhold(dash->q, id);
    return strcmp(verb, "drop") == 0 ? jobq_drop(dash->q, id) : JOBQ_INVALID;
}

/* A job that is another tenant's is not there. */
static int on_own_job(struct dash *dash, const struct caller *caller, const char *verb, const char *text)
{
    struct jobq_jobs *found = NULL;
    struct jobq_id id;
    int status = JOBQ_NOT_FOUND;

    if (jobq_id_parse(text, &id) == JOBQ_OK)
        status = jobq_get(dash->q, &id, &found);
    if (status == JOBQ_OK && !dash_sees(caller, &found->jobs[0]))
        status = JOBQ_NOT_FOUND;
    jobq_jobs_free(found);
    return status == JOBQ_OK ? on_job(dash, verb, &id) : status;
}

static int64_t limit_value(const json_t *value)
{
    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_string(value) && strcmp(json_string_value(value), "none") == 0 ? JOBQ_LIMIT_NONE
                                                                                  : JOBQ_LIMIT_UNSET;
}

/* Takes a member of the body: a number, "none" or null for what it was before anybody set it. */
static void take_limit(const json_t *body, struct jobq_limit *limit, const char *name, uint32_t bit,
                       int64_t *out)
{
    const json_t *value = json_object_get(body, name);

    if (!value)
        return;
    limit->set |= bit;
    *out = limit_value(value);
}

static int set_limit(struct dash *dash, const json_t *body)
{
    const char *of = text_member(body, "of", "queue");
    struct jobq_limit limit = {.size = sizeof(limit), .name = text_member(body, "name", "")};

    limit.of = strcmp(of, "group") == 0  ? JOBQ_LIMIT_GROUP
               : strcmp(of, "plan") == 0 ? JOBQ_LIMIT_PLAN
                                         : JOBQ_LIMIT_QUEUE;
    take_limit(body, &limit, "depth", JOBQ_LIMIT_DEPTH, &limit.depth);
    take_limit(body, &limit, "concurrency", JOBQ_LIMIT_CONCURRENCY, &limit.concurrency);
    take_limit(body, &limit, "group_concurrency", JOBQ_LIMIT_GROUP_CONCURRENCY, &limit.group_concurrency);
    take_limit(body, &limit, "rate", JOBQ_LIMIT_RATE, &limit.rate);
    take_limit(body, &limit, "rate_period_ms", JOBQ_LIMIT_RATE, &limit.rate_period_ms);
    take_limit(body, &limit, "quota", JOBQ_LIMIT_QUOTA, &limit.quota);
    take_limit(body, &limit, "quota_period_ms", JOBQ_LIMIT_QUOTA, &limit.quota_period_ms);
    return jobq_limit_set(dash->q, &limit);
}

static int on_store(struct dash *dash, const char *verb, const json_t *body)
{
    const char *name = text_member(body, "name", "");

    if (strcmp(verb, "pause") == 0)
        return jobq_pause(dash->q, name);
    if (strcmp(verb, "resume") == 0)
        return jobq_resume(dash->q, name);
    if (strcmp(verb, "limit") == 0)
        return set_limit(dash, body);
    if (strcmp(verb, "stop-worker") == 0)
        return jobq_ask_stop(dash->q, name);
    if (strcmp(verb, "schedule-run") == 0)
        return jobq_schedule_run(dash->q, name, NULL);
    if (strcmp(verb, "schedule-pause") == 0)
        return jobq_schedule_pause(dash->q, name);
    return strcmp(verb, "schedule-resume") == 0 ? jobq_schedule_resume(dash->q, name) : JOBQ_INVALID;
}

/* Reads the body and asks whether its verb is allowed. Returns the body, or NULL with the reply filled. */
static json_t *enter(struct dash *dash, const struct http_request *request, const char *path,
                     struct caller *caller, const struct dash_verb **verb, struct http_reply *reply)
{
    json_t *body;

    if (dash_enter(dash, request, path, caller, reply) != 0)
        return NULL;
    body = json_of_bytes((struct jobq_bytes){request->body, request->body_size});
    *verb = dash_verb_of(text_member(body, "verb", ""));
    if (!body)
        http_error(reply, 400, "", "the body must be a JSON object");
    else if (!*verb)
        http_error(reply, 400, "verb", "there is no such verb");
    else if (dash_allow(caller, (*verb)->least, (*verb)->whole, reply) == 0)
        return body;
    dash_audit(dash, caller, text_member(body, "verb", path), body, reply);
    return NULL;
}

void route_act(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    const struct dash_verb *verb = NULL;
    struct caller caller;
    json_t *body = enter(dash, request, "act", &caller, &verb, reply);
    int status;

    if (!body)
        return;
    status = verb->whole ? on_store(dash, verb->name, body)
                         : on_own_job(dash, &caller, verb->name, text_member(body, "id", ""));
    if (status < 0)
        dash_trouble(reply, status);
    else {
        reply->status = 200;
        reply->body = json_pack("{s:b, s:s}", "success", 1, "status", jobq_status_name(status));
    }
    dash_audit(dash, &caller, verb->name, body, reply);
}

/* ---- many jobs -------------------------------------------------------------------------------- */

struct bulk {
    struct dash *dash;
    const char *verb;
    uint64_t matched, done, most;
    int dry, trouble;
};

/* What the verb cannot do anything with is not meant. */
static uint32_t states_for(const char *verb)
{
    if (strcmp(verb, "redrive") == 0)
        return BIT(JOBQ_DEAD);
    if (strcmp(verb, "drop") == 0)
        return BIT(JOBQ_COMPLETED) | BIT(JOBQ_DEAD) | BIT(JOBQ_CANCELLED) | BIT(JOBQ_BLOCKED) |
               BIT(JOBQ_SCHEDULED) | BIT(JOBQ_READY);
    return BIT(JOBQ_BLOCKED) | BIT(JOBQ_SCHEDULED) | BIT(JOBQ_READY) | BIT(JOBQ_RUNNING);
}

static int take_one(void *user, const struct jobq_job *job, int64_t now_ms)
{
    struct bulk *bulk = user;
    int status;

    (void)now_ms;
    bulk->matched++;
    if (!bulk->dry) {
        status = on_job(bulk->dash, bulk->verb, &job->id);
        bulk->done += status >= 0;
        if (status < 0 && status != JOBQ_NOT_FOUND && status != JOBQ_STATE && status != JOBQ_HELD)
            bulk->trouble = status;
    }
    return bulk->trouble != 0 || bulk->matched == bulk->most;
}

/* One by one where only we can tell which are meant, else in the library's steps. */
static int run_bulk(struct bulk *bulk, const struct pick *pick)
{
    const struct jobq_bulk_options options = {
        .size = sizeof(options), .dry_run = bulk->dry, .max = bulk->most};
    struct jobq_bulk done = {.size = sizeof(done)};
    int status;

    if (pick->has_error || pick->has_text) {
        status = pick_walk(bulk->dash, pick, SIZE_MAX, take_one, bulk, NULL);
        return bulk->trouble ? bulk->trouble : status;
    }
    if (strcmp(bulk->verb, "redrive") == 0)
        status = jobq_bulk_redrive(bulk->dash->q, &pick->filter, &options, &done);
    else if (strcmp(bulk->verb, "drop") == 0)
        status = jobq_bulk_drop(bulk->dash->q, &pick->filter, &options, &done);
    else
        status = jobq_bulk_cancel(bulk->dash->q, &pick->filter, &options, &done);
    bulk->matched = done.matched;
    bulk->done = done.done;
    return status;
}

void route_bulk(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct dash *dash = user;
    const struct dash_verb *verb = NULL;
    struct caller caller;
    json_t *body = enter(dash, request, "bulk", &caller, &verb, reply);
    struct bulk bulk = {.dash = dash};
    struct pick pick;
    int status;

    if (!body)
        return;
    bulk.verb = verb->name;
    bulk.dry = json_is_true(json_object_get(body, "dry_run"));
    bulk.most = (uint64_t)json_integer_value(json_object_get(body, "max"));
    if (verb->whole || strcmp(verb->name, "unhold") == 0)
        http_error(reply, 400, "verb", "it must be redrive, cancel or drop");
    else if (pick_read(dash, &caller, &pick, pick_from_json, body, reply) == 0) {
        uint32_t able = states_for(verb->name);
        pick.filter.states = pick.filter.states ? pick.filter.states & able : able;
        status = pick.filter.states ? run_bulk(&bulk, &pick) : JOBQ_OK;
        reply->status = 200;
        reply->body = json_pack("{s:o, s:o, s:b}", "matched", json_of_count(bulk.matched), "done",
                                json_of_count(bulk.done), "dry_run", bulk.dry);
        if (status < 0)
            dash_trouble(reply, status);
    }
    if (bulk.dry)
        json_decref(body);
    else {
        json_object_set_new(body, "done", json_of_count(bulk.done));
        dash_audit(dash, &caller, verb->name, body, reply);
    }
}
