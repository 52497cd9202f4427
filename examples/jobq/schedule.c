/* SPDX-License-Identifier: MIT */
/* `jobq schedule`: add, edit, list, next, pause, resume, run, remove. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "backoff.h"
#include "json.h"
#include "table.h"

enum { NEXT_MOST = 1000 };

enum {
    OPT_QUEUE = 1,
    OPT_CRON,
    OPT_EVERY,
    OPT_ZONE,
    OPT_ANCHOR,
    OPT_MISSED,
    OPT_GAP,
    OPT_FOLD,
    OPT_LATE,
    OPT_PAYLOAD,
    OPT_KIND,
    OPT_GROUP,
    OPT_KEY,
    OPT_PRIORITY,
    OPT_MAX_ATTEMPTS,
    OPT_TIMEOUT,
    OPT_EXPIRES_IN,
    OPT_BACKOFF,
    OPT_JITTER,
    OPT_AFTER
};

static const struct option options[] = {
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"cron", required_argument, NULL, OPT_CRON},
    {"every", required_argument, NULL, OPT_EVERY},
    {"zone", required_argument, NULL, OPT_ZONE},
    {"anchor", required_argument, NULL, OPT_ANCHOR},
    {"missed", required_argument, NULL, OPT_MISSED},
    {"gap", required_argument, NULL, OPT_GAP},
    {"fold", required_argument, NULL, OPT_FOLD},
    {"late", required_argument, NULL, OPT_LATE},
    {"payload", required_argument, NULL, OPT_PAYLOAD},
    {"kind", required_argument, NULL, OPT_KIND},
    {"group", required_argument, NULL, OPT_GROUP},
    {"key", required_argument, NULL, OPT_KEY},
    {"priority", required_argument, NULL, OPT_PRIORITY},
    {"max-attempts", required_argument, NULL, OPT_MAX_ATTEMPTS},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"expires-in", required_argument, NULL, OPT_EXPIRES_IN},
    {"backoff", required_argument, NULL, OPT_BACKOFF},
    {"jitter", required_argument, NULL, OPT_JITTER},
    {"after", required_argument, NULL, OPT_AFTER},
    {"limit", required_argument, NULL, 'n'},
    {NULL, 0, NULL, 0},
};

/* What the command line gave; `given` has a bit for each option. */
struct wish {
    struct cli *cli;
    const char *name;
    uint32_t given;
    struct jobq_schedule schedule;
    struct jobq_spec spec;
    struct backoff backoff;
    const char *after;
    size_t limit;
};

#define BIT(option) (UINT32_C(1) << (option))
#define TIMES (BIT(OPT_CRON) | BIT(OPT_EVERY) | BIT(OPT_ZONE) | BIT(OPT_ANCHOR) | BIT(OPT_GAP) | BIT(OPT_FOLD))
#define DEFINITION (BIT(OPT_AFTER) - 1)
enum { BIT_LIMIT = 31 };

static const char *const missed_words[] = {"one", "skip", "all", NULL};
static const char *const gap_words[] = {"default", "run", "skip", NULL};
static const char *const fold_words[] = {"default", "first", "both", NULL};

static int pick(struct cli *cli, const char *field, const char *const *words, int32_t *out)
{
    for (int32_t i = 0; words[i]; i++) {
        if (strcmp(words[i], optarg) == 0) {
            *out = i;
            return LEAVE_OK;
        }
    }
    return leave_usage(cli, field, "'%s' is none of %s, %s, %s", optarg, words[0], words[1], words[2]);
}

/* ---- options ------------------------------------------------------------------------------------------- */

static int take_time(struct wish *w, int option)
{
    struct jobq_schedule *s = &w->schedule;

    switch (option) {
    case OPT_CRON:
        s->cron = optarg;
        return LEAVE_OK;
    case OPT_ZONE:
        s->zone = optarg;
        return LEAVE_OK;
    case OPT_EVERY:
        return args_duration(w->cli, "every", optarg, 1000, MS_MAX, &s->every_ms);
    case OPT_ANCHOR:
        return args_instant(w->cli, "anchor", optarg, &s->anchor_ms);
    case OPT_MISSED:
        return pick(w->cli, "missed", missed_words, &s->missed);
    case OPT_GAP:
        return pick(w->cli, "gap", gap_words, &s->gap);
    case OPT_FOLD:
        return pick(w->cli, "fold", fold_words, &s->fold);
    default:
        return args_duration(w->cli, "late", optarg, 1, MS_MAX, &s->late_ms);
    }
}

static int take_job(struct wish *w, int option)
{
    struct cli *cli = w->cli;
    struct jobq_spec *spec = &w->spec;

    switch (option) {
    case OPT_QUEUE:
        spec->queue = optarg;
        return LEAVE_OK;
    case OPT_KIND:
        spec->kind = optarg;
        return LEAVE_OK;
    case OPT_GROUP:
        spec->group = optarg;
        return LEAVE_OK;
    case OPT_PAYLOAD:
        args_free(&spec->payload);
        return args_bytes(cli, "payload", optarg, (size_t)1 << 20, &spec->payload);
    case OPT_KEY:
        args_free(&spec->key);
        return args_bytes(cli, "key", optarg, 1024, &spec->key);
    case OPT_PRIORITY:
        return args_int(cli, "priority", optarg, -32768, 32767, &spec->priority);
    case OPT_MAX_ATTEMPTS:
        return args_int(cli, "max-attempts", optarg, 1, 65535, &spec->max_attempts);
    case OPT_TIMEOUT:
        return args_duration(cli, "timeout", optarg, 1, MS_MAX, &spec->timeout_ms);
    case OPT_EXPIRES_IN:
        return args_duration(cli, "expires-in", optarg, 1, MS_MAX, &spec->expires_in_ms);
    case OPT_BACKOFF:
        return backoff_shape(cli, optarg, &w->backoff);
    default:
        return backoff_jitter(cli, optarg, &w->backoff);
    }
}

static int take_option(struct wish *w, int option)
{
    w->given |= BIT(option == 'n' ? BIT_LIMIT : option);
    if (option == 'n') {
        return args_size(w->cli, "limit", optarg, 1, NEXT_MOST, &w->limit);
    }
    if (option == OPT_AFTER) {
        w->after = optarg;
        return LEAVE_OK;
    }
    return option >= OPT_CRON && option <= OPT_LATE ? take_time(w, option) : take_job(w, option);
}

/* ---- answers ---------------------------------------------------------------------------------------------- */

static int open_existing(struct cli *cli)
{
    return store_open_as(cli, STORE_EXISTING);
}

static const char *when_of(const struct jobq_schedule *s, char *out, size_t size)
{
    if (!s) {
        return "(unreadable)";
    }
    if (s->cron) {
        return s->cron;
    }
    snprintf(out, size, "@every %lldms", (long long)s->every_ms);
    return out;
}

static void write_definition(struct json *json, const struct jobq_schedule *s)
{
    json_name(json, "cron", s->cron);
    json_name(json, "zone", s->zone);
    if (s->every_ms) {
        json_int(json, "every_ms", s->every_ms);
        json_instant(json, "anchor", s->anchor_ms);
    }
    json_text(json, "missed", missed_words[s->missed]);
    json_text(json, "gap", gap_words[s->gap]);
    json_text(json, "fold", fold_words[s->fold]);
    json_int(json, "late_ms", s->late_ms);
    json_text(json, "queue", s->spec->queue);
    json_name(json, "kind", s->spec->kind);
    json_name(json, "group", s->spec->group);
    json_int(json, "priority", s->spec->priority);
    json_bytes(json, "payload", &s->spec->payload);
    json_bytes(json, "key", &s->spec->key);
}

static void write_schedule(struct json *json, const struct jobq_schedule_info *info, const char *status)
{
    json_object(json, NULL);
    json_text(json, "name", info->name);
    if (status) {
        json_text(json, "status", status);
    }
    json_int(json, "version", info->version);
    json_bool(json, "paused", info->paused);
    json_bool(json, "readable", info->schedule != NULL);
    json_instant(json, "fired_at", info->fired_at_ms);
    json_instant(json, "next_at", info->next_at_ms);
    if (info->schedule) {
        write_definition(json, info->schedule);
    }
    json_end(json);
}

static const char *const heads[] = {"name", "when", "zone", "queue", "next", "state", NULL};

static void write_line(struct table *table, const struct jobq_schedule_info *info)
{
    char every[40];

    table_text(table, info->name);
    table_text(table, when_of(info->schedule, every, sizeof every));
    table_text(table, !info->schedule ? "" : info->schedule->zone ? info->schedule->zone : "UTC");
    table_text(table, info->schedule ? info->schedule->spec->queue : "");
    table_instant(table, info->next_at_ms);
    table_text(table, info->paused ? "paused" : "active");
}

/* What became of the schedule that was named. */
static int answer_one(struct wish *w, int status)
{
    struct cli *cli = w->cli;
    struct jobq_schedules *one = NULL;
    int code = leave_status(cli, status, NULL);

    if (code == LEAVE_OK) {
        code = leave_status(cli, jobq_schedule_get(cli->q, w->name, &one), NULL);
    }
    if (code == LEAVE_OK && cli->json) {
        struct json json = json_begin(cli);
        write_schedule(&json, &one->schedules[0], jobq_status_name(status));
    } else if (code == LEAVE_OK) {
        struct table table;
        table_begin(&table, cli, heads);
        write_line(&table, &one->schedules[0]);
        table_end(&table);
    }
    jobq_schedules_free(one);
    return code;
}

/* ---- add, edit --------------------------------------------------------------------------------------------- */

static int verb_add(struct wish *w)
{
    int code;

    if (!w->spec.queue) {
        return leave_usage(w->cli, "queue", "missing; --queue says where the jobs go");
    }
    w->schedule.name = w->name;
    w->schedule.spec = &w->spec;
    w->spec.backoff = backoff_get(&w->backoff);
    if ((code = store_open_as(w->cli, STORE_MAKE)) != LEAVE_OK) {
        return code;
    }
    return answer_one(w, jobq_schedule_add(w->cli->q, &w->schedule));
}

#define OVER(bit, into, from, member) ((w->given & BIT(bit)) ? (void)((into)->member = (from)->member) : (void)0)

static void overlay_spec(const struct wish *w, struct jobq_spec *spec)
{
    OVER(OPT_QUEUE, spec, &w->spec, queue);
    OVER(OPT_KIND, spec, &w->spec, kind);
    OVER(OPT_GROUP, spec, &w->spec, group);
    OVER(OPT_PAYLOAD, spec, &w->spec, payload);
    OVER(OPT_KEY, spec, &w->spec, key);
    OVER(OPT_PRIORITY, spec, &w->spec, priority);
    OVER(OPT_MAX_ATTEMPTS, spec, &w->spec, max_attempts);
    OVER(OPT_TIMEOUT, spec, &w->spec, timeout_ms);
    OVER(OPT_EXPIRES_IN, spec, &w->spec, expires_in_ms);
}

static void overlay_times(const struct wish *w, struct jobq_schedule *s)
{
    /* The one takes the other's place, with what belongs to it. */
    if (w->given & BIT(OPT_CRON)) {
        s->every_ms = s->anchor_ms = 0;
    }
    if (w->given & BIT(OPT_EVERY)) {
        s->cron = s->zone = NULL;
        s->anchor_ms = 0;
    }
    OVER(OPT_CRON, s, &w->schedule, cron);
    OVER(OPT_EVERY, s, &w->schedule, every_ms);
    OVER(OPT_ZONE, s, &w->schedule, zone);
    OVER(OPT_ANCHOR, s, &w->schedule, anchor_ms);
    OVER(OPT_MISSED, s, &w->schedule, missed);
    OVER(OPT_GAP, s, &w->schedule, gap);
    OVER(OPT_FOLD, s, &w->schedule, fold);
    OVER(OPT_LATE, s, &w->schedule, late_ms);
}

/* Only what was named is changed. */
static int verb_edit(struct wish *w)
{
    struct cli *cli = w->cli;
    struct jobq_schedules *one = NULL;
    const struct jobq_backoff *backoff = backoff_get(&w->backoff);
    int code = open_existing(cli), status;

    if (code != LEAVE_OK || (code = leave_status(cli, jobq_schedule_get(cli->q, w->name, &one), NULL)) != LEAVE_OK) {
        return code;
    }
    if (!one->schedules[0].schedule) {
        jobq_schedules_free(one);
        return leave_error(cli, JOBQ_UNSUPPORTED, "name", "'%s' was written by a newer jobq", w->name);
    }
    struct jobq_schedule s = *one->schedules[0].schedule;
    struct jobq_spec spec = *s.spec;
    s.spec = &spec;
    overlay_times(w, &s);
    overlay_spec(w, &spec);
    if (backoff) {
        spec.backoff = backoff;
    }
    status = jobq_schedule_edit(cli->q, &s);
    code = answer_one(w, status);
    jobq_schedules_free(one);
    return code;
}

/* ---- list, next ------------------------------------------------------------------------------------------------ */

/* The answer begins with the first page, so that a store that has no schedules answers with the error alone. */
struct lister {
    struct cli *cli;
    struct json json;
    struct table table;
    int begun;
};

static void begin_list(struct lister *l)
{
    if (l->begun++) {
        return;
    }
    if (l->cli->json) {
        l->json = json_begin(l->cli);
        json_array(&l->json, NULL);
    } else {
        table_begin(&l->table, l->cli, heads);
    }
}

static int list_pages(struct wish *w, struct lister *l)
{
    char *after = w->after ? strdup(w->after) : NULL;
    size_t left = w->limit ? w->limit : SIZE_MAX;
    int status = JOBQ_OK;

    while (left > 0) {
        struct jobq_schedules *page = NULL;
        size_t count;
        status = jobq_schedule_list(w->cli->q, after, left < 100 ? left : 100, &page);
        count = status == JOBQ_OK ? page->count : 0;
        if (status == JOBQ_OK) {
            begin_list(l);
        }
        for (size_t i = 0; i < count; i++) {
            if (w->cli->json) {
                write_schedule(&l->json, &page->schedules[i], NULL);
            } else {
                write_line(&l->table, &page->schedules[i]);
            }
        }
        free(after);
        after = count ? strdup(page->schedules[count - 1].name) : NULL;
        jobq_schedules_free(page);
        if (!after) {
            break;
        }
        left -= count;
    }
    free(after);
    return status;
}

static int verb_list(struct wish *w)
{
    struct lister l = {.cli = w->cli};
    int code = open_existing(w->cli), status;

    if (code != LEAVE_OK) {
        return code;
    }
    status = list_pages(w, &l);
    if (l.begun && w->cli->json) {
        json_end(&l.json);
    } else if (l.begun) {
        table_end(&l.table);
    }
    return leave_status(w->cli, status, NULL);
}

static void answer_times(struct cli *cli, const int64_t *times, size_t count)
{
    static const char *const head[] = {"next", NULL};

    if (cli->json) {
        struct json json = json_begin(cli);
        json_array(&json, NULL);
        for (size_t i = 0; i < count; i++) {
            json_instant(&json, NULL, times[i]);
        }
        json_end(&json);
        return;
    }
    struct table table;
    table_begin(&table, cli, head);
    for (size_t i = 0; i < count; i++) {
        table_instant(&table, times[i]);
    }
    table_end(&table);
}

/* Of a stored schedule, or of an expression that is given in its place and then without a store. */
static int verb_next(struct wish *w)
{
    struct cli *cli = w->cli;
    int64_t times[NEXT_MOST], after = 0;
    size_t count = 0, limit = w->limit ? w->limit : 5;
    int code = w->after ? args_instant(cli, "after", w->after, &after) : LEAVE_OK, status;

    if (code != LEAVE_OK) {
        return code;
    }
    if (!w->name && !(w->given & (BIT(OPT_CRON) | BIT(OPT_EVERY)))) {
        return leave_usage(cli, "name", "missing; or give --cron or --every");
    }
    if (w->name && w->given & TIMES) {
        return leave_usage(cli, "name", "'%s' is stored: --cron and its like are for looking without one", w->name);
    }
    if (w->name) {
        if ((code = open_existing(cli)) != LEAVE_OK) {
            return code;
        }
        status = jobq_schedule_next(cli->q, w->name, after, times, limit, &count);
    } else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        after = after ? after : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        status = jobq_schedule_preview(&w->schedule, after, times, limit, &count);
    }
    if (status == JOBQ_OK) {
        answer_times(cli, times, count);
    }
    return leave_status(cli, status, NULL);
}

/* ---- the others ---------------------------------------------------------------------------------------------- */

static int verb_pause(struct wish *w)
{
    int code = open_existing(w->cli);

    return code == LEAVE_OK ? answer_one(w, jobq_schedule_pause(w->cli->q, w->name)) : code;
}

static int verb_resume(struct wish *w)
{
    int code = open_existing(w->cli);

    return code == LEAVE_OK ? answer_one(w, jobq_schedule_resume(w->cli->q, w->name)) : code;
}

static int verb_remove(struct wish *w)
{
    static const char *const head[] = {"name", "what", NULL};
    struct cli *cli = w->cli;
    int code = open_existing(cli), status;

    if (code != LEAVE_OK) {
        return code;
    }
    status = jobq_schedule_remove(cli->q, w->name);
    if (status < 0) {
        return leave_status(cli, status, NULL);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_text(&json, "name", w->name);
        json_text(&json, "status", jobq_status_name(status));
        json_end(&json);
        return LEAVE_OK;
    }
    struct table table;
    table_begin(&table, cli, head);
    table_text(&table, w->name);
    table_text(&table, "removed");
    table_end(&table);
    return LEAVE_OK;
}

static int verb_run(struct wish *w)
{
    static const char *const head[] = {"id", "state", NULL};
    struct cli *cli = w->cli;
    struct jobq_enqueued done = {.size = sizeof done};
    int code = open_existing(cli), status;

    if (code != LEAVE_OK) {
        return code;
    }
    status = jobq_schedule_run(cli->q, w->name, &done);
    if (status < 0) {
        cli->retry_ms = status == JOBQ_LIMITED ? done.retry_ms : 0;
        return leave_status(cli, status, status == JOBQ_UNKNOWN ? &done.id : NULL);
    }
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_id(&json, "id", &done.id);
        json_bool(&json, "new", status == JOBQ_OK);
        json_text(&json, "status", jobq_status_name(status));
        json_name(&json, "state", done.state ? jobq_state_name(done.state) : NULL);
        json_end(&json);
        return LEAVE_OK;
    }
    struct table table;
    table_begin(&table, cli, head);
    table_id(&table, &done.id);
    table_text(&table, done.state ? jobq_state_name(done.state) : "");
    table_end(&table);
    return LEAVE_OK;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static const struct verb {
    const char *name, *alias;
    int (*run)(struct wish *w);
    uint32_t allowed; /* options */
    int operands;     /* names that it needs; -1: one or none */
} verbs[] = {
    {"add", NULL, verb_add, DEFINITION, 1},
    {"edit", NULL, verb_edit, DEFINITION, 1},
    {"list", "ls", verb_list, BIT(OPT_AFTER) | BIT(BIT_LIMIT), 0},
    {"next", NULL, verb_next, TIMES | BIT(OPT_AFTER) | BIT(BIT_LIMIT), -1},
    {"pause", NULL, verb_pause, 0, 1},
    {"resume", NULL, verb_resume, 0, 1},
    {"run", NULL, verb_run, 0, 1},
    {"remove", "rm", verb_remove, 0, 1},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, name) == 0 || (verbs[i].alias && strcmp(verbs[i].alias, name) == 0)) {
            return &verbs[i];
        }
    }
    return NULL;
}

static const char *option_name(uint32_t bits)
{
    for (const struct option *o = options; o->name; o++) {
        if (bits & BIT(o->val == 'n' ? BIT_LIMIT : o->val)) {
            return o->name;
        }
    }
    return "?";
}

static int run_verb(struct wish *w, const struct args *args)
{
    const struct verb *verb = optind < args->argc ? find_verb(args->argv[optind]) : NULL;
    int names = args->argc - optind - 1, code;

    if (!verb) {
        return leave_usage(w->cli, "command", "%s; add, edit, list, next, pause, resume, run or remove",
                           optind < args->argc ? "there is no such one" : "missing");
    }
    code = args_operands(args, verb->operands < 0 ? 1 : verb->operands + 1, verb->operands == 0 ? 1 : 2);
    if (code != LEAVE_OK) {
        return code;
    }
    if (w->given & ~verb->allowed) {
        return leave_usage(w->cli, option_name(w->given & ~verb->allowed), "does not go with schedule %s", verb->name);
    }
    w->name = names > 0 ? args->argv[optind + 1] : NULL;
    return verb->run(w);
}

int run_schedule(struct cli *cli, int argc, char **argv)
{
    struct wish w = {.cli = cli, .schedule = {.size = sizeof w.schedule}, .spec = {.size = sizeof w.spec}};
    struct args args;
    int option, code = LEAVE_OK;

    args_begin(&args, cli, argc, argv, ":s:hn:", options);
    while (code == LEAVE_OK && (option = args_next(&args)) != ARGS_END) {
        code = option == ARGS_STOP ? args_leave(&args) : take_option(&w, option);
        if (option == ARGS_STOP) {
            break;
        }
    }
    if (code == LEAVE_OK && !cli->helped) {
        code = run_verb(&w, &args);
    }
    args_free(&w.spec.payload);
    args_free(&w.spec.key);
    return code;
}
