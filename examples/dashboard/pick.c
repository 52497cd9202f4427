/* SPDX-License-Identifier: MIT */
/* Which jobs are meant, and going through them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dash.h"
#include "text.h"

#define PAGE 500

/* ---- the words of the seeds ------------------------------------------------------------------ */

#define BIT(state) (1u << (state))
#define PENDING    (BIT(JOBQ_BLOCKED) | BIT(JOBQ_SCHEDULED) | BIT(JOBQ_READY))
#define FAILED     (BIT(JOBQ_DEAD) | BIT(JOBQ_CANCELLED))

static const struct {
    const char *word;
    uint32_t states;
} words[] = {
    {"pending", PENDING},
    {"processing", BIT(JOBQ_RUNNING)},
    {"completed", BIT(JOBQ_COMPLETED)},
    {"failed", FAILED},
};

const char *dash_status_of(int state)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].states & BIT(state))
            return words[i].word;
    return "?";
}

uint32_t dash_states_of(const char *word)
{
    int state = jobq_state_parse(word);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].word, word) == 0)
            return words[i].states;
    return state ? BIT(state) : 0;
}

int dash_is_step(const struct dash *dash, const char *queue, int state)
{
    for (size_t i = 0; i < dash->options.step_count; i++) {
        const struct dash_step *step = &dash->options.steps[i];
        if (strcmp(step->queue, queue) == 0 && (step->states == 0 || (step->states & BIT(state))))
            return 1;
    }
    return 0;
}

/* ---- reading what is meant --------------------------------------------------------------------- */

const char *pick_from_json(void *object, const char *name, char *room, size_t size)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);

    if (json_is_integer(value))
        snprintf(room, size, "%lld", (long long)json_integer_value(value));
    else if (text && strlen(text) < size)
        memcpy(room, text, strlen(text) + 1);
    else
        return NULL;
    return room;
}

const char *pick_from_query(void *request, const char *name, char *room, size_t size)
{
    return http_query(request, name, room, size);
}

static void take_text(pick_get get, void *user, const char *name, char *room, size_t size, const char **out)
{
    const char *text = get(user, name, room, size);

    *out = text && *text ? text : NULL;
}

/* Ids are ordered by time: those made since then come behind this one. */
static void id_of_time(int64_t at_ms, struct jobq_id *out)
{
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < 6; i++)
        out->bytes[i] = (uint8_t)(at_ms >> (40 - 8 * i));
}

static int take_state(struct pick *pick, pick_get get, void *user, struct http_reply *reply)
{
    char word[32];
    const char *state = get(user, "state", word, sizeof(word));

    if (!state)
        state = get(user, "status", word, sizeof(word));
    if (!state || !*state)
        return 0;
    pick->filter.states = dash_states_of(state);
    if (pick->filter.states)
        return 0;
    http_error(reply, 400, "status",
               "it must be pending, processing, completed, failed or the name of a state");
    return -1;
}

static int take_place(struct pick *pick, pick_get get, void *user, struct http_reply *reply)
{
    char text[64];
    const char *after = get(user, "after", text, sizeof(text));

    if (after && *after) {
        pick->filter.after = &pick->after;
        if (jobq_id_parse(after, &pick->after) == JOBQ_OK)
            return 0;
        http_error(reply, 400, "after", "it must be the id of a job");
        return -1;
    }
    after = get(user, "since_ms", text, sizeof(text));
    if (after && strtoll(after, NULL, 10) > 0) {
        id_of_time(strtoll(after, NULL, 10), &pick->after);
        pick->filter.after = &pick->after;
    }
    return 0;
}

int pick_read(struct dash *dash, const struct caller *caller, struct pick *pick, pick_get get, void *user,
              struct http_reply *reply)
{
    const char *text;

    (void)dash;
    memset(pick, 0, sizeof(*pick));
    pick->filter.size = sizeof(pick->filter);
    take_text(get, user, "queue", pick->queue, sizeof(pick->queue), &pick->filter.queue);
    take_text(get, user, "kind", pick->kind, sizeof(pick->kind), &pick->filter.kind);
    take_text(get, user, "group", pick->group, sizeof(pick->group), &pick->filter.group);
    text = get(user, "error", pick->error, sizeof(pick->error));
    pick->has_error = text != NULL;
    text = get(user, "q", pick->text, sizeof(pick->text));
    pick->has_text = text && *text;
    if (*caller->tenant)
        pick->filter.group = strcpy(pick->group, caller->tenant);
    if (take_state(pick, get, user, reply) != 0 || take_place(pick, get, user, reply) != 0)
        return -1;
    if (pick->has_error)
        pick->filter.states = BIT(JOBQ_DEAD);
    return 0;
}

/* ---- going through ----------------------------------------------------------------------------- */

static int has_text(struct jobq_bytes bytes, const char *text)
{
    return bytes.data && memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

static int mentions(const struct jobq_job *job, const char *text)
{
    char id[33];

    jobq_id_format(&job->id, id);
    if (strstr(id, text) || strstr(job->queue, text) || strstr(job->kind, text) || strstr(job->group, text) ||
        strstr(job->worker, text) || has_text(job->payload, text) || has_text(job->key, text))
        return 1;
    for (size_t i = 0; i < job->failures_log_count; i++)
        if (has_text(job->failures_log[i].text, text))
            return 1;
    return 0;
}

int pick_matches(const struct dash *dash, const struct pick *pick, const struct jobq_job *job)
{
    char error[JOBQ_FINGERPRINT_BYTES];

    if (pick->seeds && dash_is_step(dash, job->queue, job->state))
        return 0;
    if (pick->has_text && !mentions(job, pick->text))
        return 0;
    if (!pick->has_error)
        return 1;
    jobq_error_fingerprint(job, error);
    return strcmp(error, pick->error) == 0;
}

int pick_walk(const struct dash *dash, const struct pick *pick, size_t look_most,
              int (*fn)(void *user, const struct jobq_job *job, int64_t now_ms), void *user,
              struct jobq_id *last)
{
    struct jobq_filter filter = pick->filter;
    struct jobq_id at = {{0}};
    size_t looked = 0;

    filter.limit = PAGE;
    for (;;) {
        struct jobq_jobs *page = NULL;
        int status = jobq_list(dash->q, &filter, &page);
        if (status < 0)
            return status;
        for (size_t i = 0; i < page->count && status == JOBQ_OK; i++) {
            at = page->jobs[i].id;
            if (pick_matches(dash, pick, &page->jobs[i]) && fn(user, &page->jobs[i], page->now_ms) != 0)
                status = 1;
            if (++looked >= look_most)
                status = 1;
        }
        if (page->count == 0 && status == JOBQ_OK)
            status = 2;
        jobq_jobs_free(page);
        filter.after = &at;
        if (last)
            *last = at;
        if (status != JOBQ_OK)
            return status == 2 ? JOBQ_OK : 1;
    }
}
