/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "backoff.h"
#include "json.h"
#include "table.h"

enum {
    OPT_KIND = 1,
    OPT_GROUP,
    OPT_ID,
    OPT_KEY,
    OPT_KEY_SCOPE,
    OPT_HOLD,
    OPT_WINDOW,
    OPT_ON_CONFLICT,
    OPT_DELAY,
    OPT_RUN_AT,
    OPT_PRIORITY,
    OPT_MAX_ATTEMPTS,
    OPT_MAX_CRASHES,
    OPT_MAX_SNOOZES,
    OPT_MAX_RELEASES,
    OPT_TIMEOUT,
    OPT_EXPIRES_IN,
    OPT_BACKOFF,
    OPT_JITTER,
    OPT_AFTER,
    OPT_HELD,
    OPT_TRACE,
    OPT_PAYLOAD_MAX
};

static const struct option options[] = {
    {"kind", required_argument, NULL, OPT_KIND},
    {"group", required_argument, NULL, OPT_GROUP},
    {"id", required_argument, NULL, OPT_ID},
    {"key", required_argument, NULL, OPT_KEY},
    {"key-scope", required_argument, NULL, OPT_KEY_SCOPE},
    {"hold", required_argument, NULL, OPT_HOLD},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"on-conflict", required_argument, NULL, OPT_ON_CONFLICT},
    {"delay", required_argument, NULL, OPT_DELAY},
    {"run-at", required_argument, NULL, OPT_RUN_AT},
    {"priority", required_argument, NULL, OPT_PRIORITY},
    {"max-attempts", required_argument, NULL, OPT_MAX_ATTEMPTS},
    {"max-crashes", required_argument, NULL, OPT_MAX_CRASHES},
    {"max-snoozes", required_argument, NULL, OPT_MAX_SNOOZES},
    {"max-releases", required_argument, NULL, OPT_MAX_RELEASES},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"expires-in", required_argument, NULL, OPT_EXPIRES_IN},
    {"backoff", required_argument, NULL, OPT_BACKOFF},
    {"jitter", required_argument, NULL, OPT_JITTER},
    {"after", required_argument, NULL, OPT_AFTER},
    {"held", no_argument, NULL, OPT_HELD},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"payload-max", required_argument, NULL, OPT_PAYLOAD_MAX},
    {NULL, 0, NULL, 0},
};

/* A spec and the memory that it lends. */
struct draft {
    struct cli *cli;
    struct jobq_spec spec;
    struct jobq_id id;
    struct backoff backoff;
    struct jobq_parent *parents;
};

struct word {
    const char *name;
    int32_t value;
};

static int word_of(struct cli *cli, const char *field, const char *text, const struct word *words,
                   int32_t *out)
{
    char all[200] = "";

    for (const struct word *w = words; w->name; w++) {
        if (strcmp(w->name, text) == 0) {
            *out = w->value;
            return LEAVE_OK;
        }
        strcat(strcat(all, w == words ? "" : ", "), w->name);
    }
    return leave_usage(cli, field, "'%s' is none of %s", text, all);
}

static const struct word holds[] = {
    {"live", JOBQ_HOLD_LIVE},     {"waiting", JOBQ_HOLD_WAITING}, {"unresolved", JOBQ_HOLD_UNRESOLVED},
    {"window", JOBQ_HOLD_WINDOW}, {"forever", JOBQ_HOLD_FOREVER}, {NULL, 0}};
static const struct word scopes[] = {{"queue", JOBQ_SCOPE_QUEUE},
                                     {"kind", JOBQ_SCOPE_KIND},
                                     {"group", JOBQ_SCOPE_GROUP},
                                     {"kind,group", JOBQ_SCOPE_KIND | JOBQ_SCOPE_GROUP},
                                     {"group,kind", JOBQ_SCOPE_KIND | JOBQ_SCOPE_GROUP},
                                     {NULL, 0}};
static const struct word conflicts[] = {
    {"return", JOBQ_CONFLICT_RETURN},       {"reject", JOBQ_CONFLICT_REJECT},
    {"replace", JOBQ_CONFLICT_REPLACE},     {"extend", JOBQ_CONFLICT_EXTEND},
    {"successor", JOBQ_CONFLICT_SUCCESSOR}, {NULL, 0}};
static const struct word rules[] = {
    {"fail", JOBQ_PARENT_FAIL}, {"cancel", JOBQ_PARENT_CANCEL}, {"ignore", JOBQ_PARENT_IGNORE}, {NULL, 0}};

static int add_parent(struct draft *draft, const char *text)
{
    struct jobq_parent parent = {.rule = JOBQ_PARENT_FAIL};
    struct jobq_parent *more;
    const char *colon = strchr(text, ':');
    char id[64];
    size_t n = colon ? (size_t)(colon - text) : strlen(text);

    if (n >= sizeof id) {
        return leave_usage(draft->cli, "after", "'%s' does not begin with 32 hexadecimal digits", text);
    }
    memcpy(id, text, n);
    id[n] = 0;
    if (jobq_id_parse(id, &parent.id) != JOBQ_OK) {
        return leave_usage(draft->cli, "after", "'%s' does not begin with 32 hexadecimal digits", text);
    }
    if (colon && word_of(draft->cli, "after", colon + 1, rules, &parent.rule) != LEAVE_OK) {
        return LEAVE_USAGE;
    }
    more = realloc(draft->parents, (draft->spec.parent_count + 1) * sizeof *more);
    if (!more) {
        return leave_error(draft->cli, JOBQ_NOMEM, "after", "out of memory");
    }
    more[draft->spec.parent_count++] = parent;
    draft->parents = more;
    draft->spec.parents = more;
    return LEAVE_OK;
}

static int take_key_option(struct draft *draft, int option)
{
    struct cli *cli = draft->cli;
    struct jobq_spec *spec = &draft->spec;

    switch (option) {
    case OPT_KEY:
        return args_bytes(cli, "key", optarg, 1024, &spec->key);
    case OPT_KEY_SCOPE:
        return word_of(cli, "key-scope", optarg, scopes, &spec->key_scope);
    case OPT_HOLD:
        return word_of(cli, "hold", optarg, holds, &spec->key_hold);
    case OPT_WINDOW:
        return args_duration(cli, "window", optarg, 1, MS_MAX, &spec->key_window_ms);
    default:
        return word_of(cli, "on-conflict", optarg, conflicts, &spec->key_conflict);
    }
}

static int take_number_option(struct draft *draft, int option)
{
    struct cli *cli = draft->cli;
    struct jobq_spec *spec = &draft->spec;

    switch (option) {
    case OPT_DELAY:
        return args_duration(cli, "delay", optarg, 0, MS_MAX, &spec->delay_ms);
    case OPT_RUN_AT:
        return args_instant(cli, "run-at", optarg, &spec->run_at_ms);
    case OPT_PRIORITY:
        return args_int(cli, "priority", optarg, -32768, 32767, &spec->priority);
    case OPT_MAX_ATTEMPTS:
        return args_int(cli, "max-attempts", optarg, 1, 65535, &spec->max_attempts);
    case OPT_MAX_CRASHES:
        return args_int(cli, "max-crashes", optarg, 1, 65535, &spec->max_crashes);
    case OPT_MAX_SNOOZES:
        return args_int(cli, "max-snoozes", optarg, 1, 65535, &spec->max_snoozes);
    case OPT_MAX_RELEASES:
        return args_int(cli, "max-releases", optarg, 1, 65535, &spec->max_releases);
    case OPT_TIMEOUT:
        return args_duration(cli, "timeout", optarg, 1, MS_MAX, &spec->timeout_ms);
    case OPT_EXPIRES_IN:
        return args_duration(cli, "expires-in", optarg, 1, MS_MAX, &spec->expires_in_ms);
    default:
        return args_size(cli, "payload-max", optarg, 1, BYTES_MAX, &cli->options.payload_max_bytes);
    }
}

static int take_option(struct draft *draft, int option)
{
    struct cli *cli = draft->cli;
    struct jobq_spec *spec = &draft->spec;

    switch (option) {
    case OPT_KIND:
        spec->kind = optarg;
        return LEAVE_OK;
    case OPT_GROUP:
        spec->group = optarg;
        return LEAVE_OK;
    case OPT_TRACE:
        spec->trace = optarg;
        return LEAVE_OK;
    case OPT_HELD:
        spec->held = 1;
        return LEAVE_OK;
    case OPT_ID:
        spec->id = &draft->id;
        return args_id(cli, optarg, &draft->id);
    case OPT_AFTER:
        return add_parent(draft, optarg);
    case OPT_BACKOFF:
        return backoff_shape(cli, optarg, &draft->backoff);
    case OPT_JITTER:
        return backoff_jitter(cli, optarg, &draft->backoff);
    case OPT_KEY:
    case OPT_KEY_SCOPE:
    case OPT_HOLD:
    case OPT_WINDOW:
    case OPT_ON_CONFLICT:
        return take_key_option(draft, option);
    default:
        return take_number_option(draft, option);
    }
}

/* What the library could not notice, because zero and absent mean "default" to it. */
static int check_together(struct draft *draft)
{
    const struct jobq_spec *spec = &draft->spec;

    if (!spec->key.data && (spec->key_hold || spec->key_scope || spec->key_conflict || spec->key_window_ms)) {
        return leave_usage(draft->cli, "key",
                           "missing; --key-scope, --hold, --window and --on-conflict need it");
    }
    if (spec->key_window_ms && spec->key_hold != JOBQ_HOLD_WINDOW) {
        return leave_usage(draft->cli, "window", "goes with --hold window");
    }
    return LEAVE_OK;
}

static int read_arguments(struct draft *draft, int argc, char **argv)
{
    struct args args;
    size_t limit;
    int option, code;

    args_begin(&args, draft->cli, argc, argv, ":s:h", options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = take_option(draft, option)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, 1, 2)) != LEAVE_OK || (code = check_together(draft)) != LEAVE_OK) {
        return code;
    }
    draft->spec.queue = argv[optind];
    draft->spec.backoff = backoff_get(&draft->backoff);
    limit = draft->cli->options.payload_max_bytes ? draft->cli->options.payload_max_bytes : 1 << 20;
    return optind + 1 < argc
               ? args_bytes(draft->cli, "payload", argv[optind + 1], limit, &draft->spec.payload)
               : LEAVE_OK;
}

static const char *word_for(int status)
{
    switch (status) {
    case JOBQ_OK:
        return "new";
    case JOBQ_ALREADY:
        return "already";
    case JOBQ_DUPLICATE:
        return "duplicate";
    case JOBQ_REPLACED:
        return "replaced";
    case JOBQ_EXTENDED:
        return "extended";
    case JOBQ_SUCCESSOR:
        return "successor";
    default:
        return "unknown";
    }
}

static void answer(struct cli *cli, int status, const struct jobq_enqueued *done)
{
    static const char *const heads[] = {"id", "what", "state", NULL};
    struct table table;

    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_id(&json, "id", &done->id);
        json_bool(&json, "new", status == JOBQ_OK);
        json_text(&json, "status", jobq_status_name(status));
        json_name(&json, "state", done->state ? jobq_state_name(done->state) : NULL);
        if (status == JOBQ_ALREADY || status == JOBQ_DUPLICATE) {
            json_bool(&json, "same_payload", done->same_payload);
        } else {
            json_null(&json, "same_payload");
        }
        json_end(&json);
        return;
    }
    table_begin(&table, cli, heads);
    table_id(&table, &done->id);
    table_text(&table, word_for(status));
    table_text(&table, done->state ? jobq_state_name(done->state) : "");
    table_end(&table);
}

static int put(struct cli *cli, struct draft *draft)
{
    static const struct jobq_id none;
    struct jobq_enqueued done = {.size = sizeof done};
    int status = jobq_enqueue(cli->q, &draft->spec, &done);

    if (status >= 0) {
        answer(cli, status, &done);
        return LEAVE_OK;
    }
    cli->retry_ms = status == JOBQ_LIMITED ? done.retry_ms : 0;
    if (status == JOBQ_UNKNOWN) {
        char id[33];
        jobq_id_format(&done.id, id);
        answer(cli, status, &done);
        leave_status(cli, status, &done.id);
        warn_text(cli, "repeat with --id %s; it takes effect at most once", id);
        return LEAVE_UNKNOWN;
    }
    return leave_status(cli, status, memcmp(&done.id, &none, sizeof none) ? &done.id : NULL);
}

int run_enqueue(struct cli *cli, int argc, char **argv)
{
    struct draft draft = {.cli = cli, .spec = {.size = sizeof draft.spec}};
    int code = read_arguments(&draft, argc, argv);

    if (code == LEAVE_OK) {
        code = store_open(cli);
    }
    if (code == LEAVE_OK) {
        code = put(cli, &draft);
    }
    args_free(&draft.spec.payload);
    args_free(&draft.spec.key);
    free(draft.parents);
    return code;
}
