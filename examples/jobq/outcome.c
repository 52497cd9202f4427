/* SPDX-License-Identifier: MIT */
/* What a worker says about a job that it holds: ID TOKEN and something more. */
#include "args.h"
#include "json.h"
#include "table.h"
#include "view.h"

/* The operands that all of these commands begin with. */
struct held {
    struct jobq_id id;
    struct jobq_token token;
    const char *more; /* the third operand, or NULL */
};

/* What a command takes beside those. */
struct shape {
    int min_operands, max_operands;
    const struct option *options; /* NULL: none of its own */
    int (*take)(struct cli *cli, int option, void *user);
};

static int begin(struct cli *cli, int argc, char **argv, const struct shape *shape, void *user,
                 struct held *held)
{
    struct args args;
    int option, code;

    args_begin(&args, cli, argc, argv, ":s:h", shape->options);
    while ((option = args_next(&args)) != ARGS_END) {
        if (option == ARGS_STOP) {
            return LEAVE_USAGE;
        }
        if ((code = shape->take(cli, option, user)) != LEAVE_OK) {
            return code;
        }
    }
    if ((code = args_operands(&args, shape->min_operands, shape->max_operands)) != LEAVE_OK ||
        (code = args_id(cli, argv[optind], &held->id)) != LEAVE_OK ||
        (code = args_token(cli, argv[optind + 1], &held->token)) != LEAVE_OK) {
        return code;
    }
    held->more = optind + 2 < argc ? argv[optind + 2] : NULL;
    return LEAVE_OK;
}

static const struct shape two = {.min_operands = 2, .max_operands = 2};
static const struct shape two_or_three = {.min_operands = 2, .max_operands = 3};
static const struct shape three = {.min_operands = 3, .max_operands = 3};

enum { OPT_RESULT_MAX = 1, OPT_PERMANENT, OPT_RETRY_IN };

static int take_ack(struct cli *cli, int option, void *user)
{
    (void)option;
    (void)user;
    return args_size(cli, "result-max", optarg, 1, BYTES_MAX, &cli->options.result_max_bytes);
}

int run_ack(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"result-max", required_argument, NULL, OPT_RESULT_MAX},
                                            {NULL, 0, NULL, 0}};
    static const struct shape shape = {2, 3, options, take_ack};
    struct held held;
    struct jobq_bytes result = {0};
    int code = begin(cli, argc, argv, &shape, NULL, &held);
    size_t limit = cli->options.result_max_bytes ? cli->options.result_max_bytes : 1 << 20;

    if (code == LEAVE_OK && held.more) {
        code = args_bytes(cli, "result", held.more, limit, &result);
    }
    if (code == LEAVE_OK && (code = store_open(cli)) == LEAVE_OK) {
        code = view_done(cli, &held.id, jobq_ack(cli->q, &held.id, &held.token, result.data, result.size));
    }
    args_free(&result);
    return code;
}

static int take_fail(struct cli *cli, int option, void *user)
{
    struct jobq_failure *failure = user;

    if (option == OPT_PERMANENT) {
        failure->permanent = 1;
        return LEAVE_OK;
    }
    failure->has_retry_in = 1;
    return args_duration(cli, "retry-in", optarg, 0, MS_MAX, &failure->retry_in_ms);
}

int run_fail(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"permanent", no_argument, NULL, OPT_PERMANENT},
                                            {"retry-in", required_argument, NULL, OPT_RETRY_IN},
                                            {NULL, 0, NULL, 0}};
    static const struct shape shape = {2, 3, options, take_fail};
    struct jobq_failure failure = {.size = sizeof failure};
    struct held held;
    int code = begin(cli, argc, argv, &shape, &failure, &held);

    if (code == LEAVE_OK && held.more) {
        code = args_bytes(cli, "error", held.more, BYTES_MAX, &failure.text);
    }
    if (code == LEAVE_OK && (code = store_open(cli)) == LEAVE_OK) {
        code = view_done(cli, &held.id, jobq_fail(cli->q, &held.id, &held.token, &failure));
    }
    args_free(&failure.text);
    return code;
}

static void answer_extended(struct cli *cli, const struct held *held, const struct jobq_extended *extended)
{
    static const char *const heads[] = {"id", "lease_until", "notice", NULL};
    struct table table;

    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_id(&json, "id", &held->id);
        json_text(&json, "status", extended->timed_out ? "TIMEOUT" : "OK");
        json_instant(&json, "lease_until", extended->lease_until_ms);
        json_bool(&json, "cancel_asked", extended->cancel_asked);
        json_bool(&json, "timed_out", extended->timed_out);
        json_end(&json);
        return;
    }
    table_begin(&table, cli, heads);
    table_id(&table, &held->id);
    table_instant(&table, extended->lease_until_ms);
    table_text(&table, extended->timed_out ? "timed out" : extended->cancel_asked ? "cancel asked" : "");
    table_end(&table);
}

int run_extend(struct cli *cli, int argc, char **argv)
{
    struct jobq_extended extended = {.size = sizeof extended};
    struct held held;
    int64_t lease_ms = 30000;
    int code = begin(cli, argc, argv, &two_or_three, NULL, &held);
    int status;

    if (code == LEAVE_OK && held.more) {
        code = args_duration(cli, "lease", held.more, 100, 86400000, &lease_ms);
    }
    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_extend(cli->q, &held.id, &held.token, lease_ms, &extended);
    if (status < 0) {
        return leave_status(cli, status, &held.id);
    }
    answer_extended(cli, &held, &extended);
    return extended.timed_out ? LEAVE_REFUSED : LEAVE_OK;
}

int run_release(struct cli *cli, int argc, char **argv)
{
    struct held held;
    int code = begin(cli, argc, argv, &two, NULL, &held);

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return view_done(cli, &held.id, jobq_release(cli->q, &held.id, &held.token));
}

int run_snooze(struct cli *cli, int argc, char **argv)
{
    struct held held;
    int64_t delay_ms = 0;
    int code = begin(cli, argc, argv, &three, NULL, &held);

    if (code != LEAVE_OK ||
        (code = args_duration(cli, "delay", held.more, 0, MS_MAX, &delay_ms)) != LEAVE_OK ||
        (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return view_done(cli, &held.id, jobq_snooze(cli->q, &held.id, &held.token, delay_ms));
}

int run_progress(struct cli *cli, int argc, char **argv)
{
    struct held held;
    struct jobq_bytes progress = {0};
    int code = begin(cli, argc, argv, &three, NULL, &held);

    if (code == LEAVE_OK && (code = args_bytes(cli, "progress", held.more, 4096, &progress)) == LEAVE_OK &&
        (code = store_open(cli)) == LEAVE_OK) {
        code = view_done(cli, &held.id,
                         jobq_progress(cli->q, &held.id, &held.token, progress.data, progress.size));
    }
    args_free(&progress);
    return code;
}

static void answer_callback(struct cli *cli, const struct held *held, const struct jobq_callback *callback)
{
    char text[65];

    jobq_callback_format(callback, text);
    if (cli->json) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        json_id(&json, "id", &held->id);
        json_text(&json, "callback", text);
        json_end(&json);
    } else {
        cli->answered = 1;
        puts(text);
    }
}

int run_callback(struct cli *cli, int argc, char **argv)
{
    struct held held;
    struct jobq_callback callback;
    int code = begin(cli, argc, argv, &two, NULL, &held);
    int status;

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    status = jobq_callback_new(cli->q, &held.id, &held.token, &callback);
    if (status < 0) {
        return leave_status(cli, status, &held.id);
    }
    answer_callback(cli, &held, &callback);
    return LEAVE_OK;
}

int run_park(struct cli *cli, int argc, char **argv)
{
    struct held held;
    int64_t deadline_ms = 0;
    int code = begin(cli, argc, argv, &three, NULL, &held);

    if (code != LEAVE_OK ||
        (code = args_duration(cli, "deadline", held.more, 1, MS_MAX, &deadline_ms)) != LEAVE_OK ||
        (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    return view_done(cli, &held.id, jobq_park(cli->q, &held.id, &held.token, deadline_ms));
}

static int unpark(struct cli *cli, const struct jobq_callback *callback, const struct jobq_bytes *data)
{
    struct jobq_id id;
    int code = store_open(cli);

    if (code != LEAVE_OK) {
        return code;
    }
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        id.bytes[i] = callback->bytes[i]; /* it begins with the job's id */
    }
    return view_done(cli, &id, jobq_unpark(cli->q, callback, data->data, data->size));
}

int run_unpark(struct cli *cli, int argc, char **argv)
{
    struct args args;
    struct jobq_callback callback;
    struct jobq_bytes data = {0};
    int code;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    if (args_next(&args) == ARGS_STOP) {
        return LEAVE_USAGE;
    }
    if ((code = args_operands(&args, 1, 2)) != LEAVE_OK) {
        return code;
    }
    if (jobq_callback_parse(argv[optind], &callback) != JOBQ_OK) {
        return leave_usage(cli, "callback", "it is not 64 hexadecimal digits");
    }
    if (optind + 1 < argc) {
        code = args_bytes(cli, "data", argv[optind + 1], BYTES_MAX, &data);
    }
    if (code == LEAVE_OK) {
        code = unpark(cli, &callback, &data);
    }
    args_free(&data);
    return code;
}
