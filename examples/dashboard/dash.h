/* SPDX-License-Identifier: MIT */
#ifndef DASHBOARD_DASH_H
#define DASHBOARD_DASH_H

/* What the parts of the dashboard know of each other. */

#include "audit.h"
#include "dashboard.h"
#include "guard.h"
#include "session.h"

#define LOGIN_FREE 5 /* failures of an address before it has to wait */

struct feed;

struct dash {
    struct dash_options options;
    struct jobq *q;
    const char *prefix;
    struct audit *audit;
    struct sessions *sessions;
    struct guard *logins; /* of the addresses that fail to log in */
    struct feed *feed;
    char *page; /* HTML */
    size_t page_size;
};

/* Who asks. */
struct caller {
    enum role role;
    int open;                /* there is no token file: counts only */
    char tenant[256];        /* "" for all */
    char who[24];            /* the beginning of the token's digest: tells tokens apart and is none */
    char from[64];           /* address */
    char csrf[SESSION_TEXT]; /* of a browser's session; "" for none */
};

int64_t dash_now_ms(void); /* monotonic */

/* Finds out who asks; a change by a cookie must bring the session's CSRF token and come from our own page.
 * Returns 0, or -1 with the reply filled. */
int dash_caller(struct dash *dash, const struct http_request *request, struct caller *out,
                struct http_reply *reply);

/* May the caller do this? Returns 0, or -1 with the reply filled. */
int dash_allow(const struct caller *caller, enum role least, int whole, struct http_reply *reply);

/* Both for the route of that path in dash_paths. */
int dash_enter(struct dash *dash, const struct http_request *request, const char *path, struct caller *out,
               struct http_reply *reply);

/* One line in the audit log: who asked for `verb` on `what` (taken over, may be NULL) and the answer. */
void dash_audit(struct dash *dash, const struct caller *caller, const char *verb, json_t *what,
                const struct http_reply *reply);

/* Answer for a negative code of the library. */
void dash_trouble(struct http_reply *reply, int status);

/* The caller may see this job? */
int dash_sees(const struct caller *caller, const struct jobq_job *job);

/* ---- JSON of what the library says, with the names of the jobq command -------------------------- */

json_t *json_of_payload(struct jobq_bytes bytes);                         /* text, or NULL when it is none */
void json_set_bytes(json_t *object, const char *name, struct jobq_bytes); /* NAME, or null and NAME_base64 */
json_t *json_of_name(const char *text);                                   /* "" is null */
json_t *json_of_count(uint64_t count);
json_t *json_of_job(const struct dash *dash, const struct jobq_job *job, int full, int64_t now_ms);
json_t *json_of_stats(const struct jobq_stats *stats, int names);
json_t *json_of_limit(const struct jobq_limit *limit);

/* The columns that the configuration names, out of a payload. */
json_t *json_of_columns(const struct dash *dash, const struct jobq_job *job);

/* The words of the seeds for a state: pending, processing, completed, failed. */
const char *dash_status_of(int state);
/* The states that a word names, one of those or one of the library's; 0: no such word. */
uint32_t dash_states_of(const char *word);

/* Is this queue and state left out of the seeds' figures? */
int dash_is_step(const struct dash *dash, const char *queue, int state);

/* ---- which jobs ----------------------------------------------------------------------------------- */

struct pick {
    struct jobq_filter filter;
    char queue[256], kind[256], group[256];
    char error[256]; /* only dead jobs with this fingerprint */
    char text[128];  /* only those that have it in them */
    struct jobq_id after;
    int has_error, has_text, seeds; /* seeds: without steps */
};

/* Fill from names and values; get() returns a value or NULL. The caller's tenant is forced. Returns 0, or -1
 * with the reply filled. */
typedef const char *(*pick_get)(void *user, const char *name, char *room, size_t size);
int pick_read(struct dash *dash, const struct caller *caller, struct pick *pick, pick_get get, void *user,
              struct http_reply *reply);

/* From a JSON object. */
const char *pick_from_json(void *object, const char *name, char *room, size_t size);
/* From a query. */
const char *pick_from_query(void *request, const char *name, char *room, size_t size);

int pick_matches(const struct dash *dash, const struct pick *pick, const struct jobq_job *job);

/* Every job that is picked, in order of ids; fn returns not 0 to end. Looks at `look_most` jobs at most;
 * *last is where it came to (may be NULL). Returns JOBQ_OK, 1 when it ended before the last job, or a
 * negative code. */
int pick_walk(const struct dash *dash, const struct pick *pick, size_t look_most,
              int (*fn)(void *user, const struct jobq_job *job, int64_t now_ms), void *user,
              struct jobq_id *last);

/* ---- routes --------------------------------------------------------------------------------------- */

void route_stats(void *dash, const struct http_request *request, struct http_reply *reply);
void route_health(void *dash, const struct http_request *request, struct http_reply *reply);
void route_jobs(void *dash, const struct http_request *request, struct http_reply *reply);
void route_retry_failed(void *dash, const struct http_request *request, struct http_reply *reply);
void route_clear(void *dash, const struct http_request *request, struct http_reply *reply);
void route_start_all(void *dash, const struct http_request *request, struct http_reply *reply);
void route_stop_all(void *dash, const struct http_request *request, struct http_reply *reply);
void route_overview(void *dash, const struct http_request *request, struct http_reply *reply);
void route_me(void *dash, const struct http_request *request, struct http_reply *reply);
void route_list(void *dash, const struct http_request *request, struct http_reply *reply);
void route_job(void *dash, const struct http_request *request, struct http_reply *reply);
void route_flow(void *dash, const struct http_request *request, struct http_reply *reply);
void route_dead(void *dash, const struct http_request *request, struct http_reply *reply);
void route_limits(void *dash, const struct http_request *request, struct http_reply *reply);
void route_schedules(void *dash, const struct http_request *request, struct http_reply *reply);
void route_audit(void *dash, const struct http_request *request, struct http_reply *reply);
void route_act(void *dash, const struct http_request *request, struct http_reply *reply);
void route_bulk(void *dash, const struct http_request *request, struct http_reply *reply);
void route_metrics(void *dash, const struct http_request *request, struct http_reply *reply);
void route_events(void *dash, const struct http_request *request, struct http_reply *reply);
void route_login(void *dash, const struct http_request *request, struct http_reply *reply);
void route_logout(void *dash, const struct http_request *request, struct http_reply *reply);
void route_page(void *dash, const struct http_request *request, struct http_reply *reply);
void route_icon(void *dash, const struct http_request *request, struct http_reply *reply);
void route_script(void *dash, const struct http_request *request, struct http_reply *reply);
void route_style(void *dash, const struct http_request *request, struct http_reply *reply);

/* The page for endpoints behind this prefix. Owned by the caller: free. */
char *dash_page(const char *prefix, size_t *size);

/* The verb of that name, or NULL. */
const struct dash_verb *dash_verb_of(const char *name);

/* The statistics as the newest look of the feed saw them, else read now. Owned by the caller; NULL with the
 * status. */
json_t *dash_overview(struct dash *dash, int names, int *status);

/* ---- the feed of events ------------------------------------------------------------------------------ */

struct feed *feed_create(struct dash *dash);
void feed_destroy(struct feed *feed);
int feed_start(struct feed *feed, struct http_server *server);
void feed_stop(struct feed *feed);
/* Samples of the last quarter of an hour: [[at_ms, waiting, running, completed_total, failed_total,
 * enqueued_total]]. */
json_t *feed_history(struct feed *feed);

#endif
