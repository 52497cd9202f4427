/* SPDX-License-Identifier: MIT */
/* jobq-tenants: mails, webhooks, reports and more for many tenants, each as its plan allows. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "options.h"
#include "plan.h"
#include "program.h"
#include "put.h"
#include "store.h"
#include "text.h"

const char program_name[] = "jobq-tenants";

/* ---- work
 * ---------------------------------------------------------------------------------------------------------
 */

struct ending {
    struct crew *crew;
    sigset_t signals;
};

static void *wait_for_signals(void *user)
{
    struct ending *ending = user;

    program_wait(&ending->signals);
    crew_stop(ending->crew);
    return NULL;
}

static int run_crew(struct crew *crew, int drain, const sigset_t *signals)
{
    struct ending ending = {crew, *signals};
    pthread_t waiting;
    int status;

    if (pthread_create(&waiting, NULL, wait_for_signals, &ending) != 0)
        return program_die(EXIT_FAILED, "no thread can be started");
    status = crew_run(crew, drain);
    pthread_kill(waiting, SIGTERM); /* it waits for nothing else, and has nothing left to stop */
    pthread_join(waiting, NULL);
    return status < 0 ? EXIT_STORE : EXIT_DONE;
}

static int run_with_door(struct options *o, struct crew *crew, const sigset_t *signals)
{
    struct serve *serve = NULL;
    const char *why = "";
    int status;

    if (o->serve.listen) {
        serve = serve_start(&o->office, &o->serve, &why);
        if (!serve)
            return program_die(EXIT_FAILED, "--listen %s: %s", o->serve.listen, why);
        printf("listening on http://%s\n", serve_address(serve));
    }
    printf("working\n");
    fflush(stdout);
    status = run_crew(crew, o->crew.drain, signals);
    serve_stop(serve);
    return status;
}

static int check_listen(const struct options *o)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    const char *why = "";

    if (!o->serve.listen)
        return 0;
    if (http_parse_address(o->serve.listen, &address, &size, &why) != 0)
        return program_die(EXIT_USAGE, "--listen %s: %s", o->serve.listen, why);
    if (!o->tokens && !http_is_loopback(&address))
        return program_die(EXIT_USAGE,
                           "--listen %s: without --token-file only an address of this machine alone is taken",
                           o->serve.listen);
    return 0;
}

static int work(struct options *o)
{
    struct auth auth = {.count = 0};
    struct crew crew;
    sigset_t signals;
    const char *problem = NULL;
    int line = 0, status = check_listen(o);

    if (status == 0 && o->tokens && (problem = auth_read(&auth, o->tokens, &line)))
        status = program_die(EXIT_USAGE, "--token-file %s, line %d: %s", o->tokens, line, problem);
    o->serve.auth = o->tokens ? &auth : NULL;
    if (status == 0) {
        program_block_signals(&signals);
        if (crew_init(&crew, &o->office, &o->crew) != 0)
            status = program_die(EXIT_FAILED, "%s", jobq_last_error()->text);
        else
            status = run_with_door(o, &crew, &signals);
        crew_finish(&crew);
    }
    auth_free(&auth);
    return status;
}

/* ---- the other commands -------------------------------------------------------------------------------- */

static int complain_store(int status)
{
    return status < 0 ? program_die(EXIT_STORE, "%s", jobq_last_error()->text) : EXIT_DONE;
}

/* 0, or an exit status after saying why not. */
static int run_sql(struct office *office, const char *sql, size_t count, const char *const *values)
{
    struct desk desk;
    char why[300];
    int rows;

    if (desk_take(&office->desks, &desk, why) != 0)
        return program_die(EXIT_STORE, "%s", why);
    rows = sql ? db_run(desk.db, sql, count, values) : db_make_tables(desk.db);
    if (rows < 0)
        program_die(EXIT_STORE, "%s", db_error(desk.db));
    desk_give_back(&office->desks, &desk, rows < 0);
    return rows < 0 ? EXIT_STORE : sql && rows == 0 ? EXIT_NOT_FOUND : EXIT_DONE;
}

static int set_up(struct options *o)
{
    int status = o->office.desks.database ? run_sql(&o->office, NULL, 0, NULL) : EXIT_DONE;

    return status ? status : complain_store(plan_set_up(o->office.q));
}

static int add_tenant(struct options *o)
{
    const char *const values[] = {o->words[1], o->words[2], o->count > 3 ? o->words[3] : "UTC"};
    int status = EXIT_DONE;

    if (!order_is_tenant(values[0]))
        return program_die(EXIT_USAGE, "a tenant is letters, digits, '_' or '-', at most 64");
    if (o->office.desks.database)
        status =
            run_sql(&o->office,
                    "INSERT INTO tenants (id, plan, zone) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET"
                    " plan = excluded.plan, zone = excluded.zone",
                    3, values);
    return status ? status : complain_store(plan_give(o->office.q, values[0], values[1]));
}

static int add_hook(struct options *o)
{
    const char *values[] = {o->words[1], o->words[2], o->count > 3 ? o->words[3] : NULL,
                            o->count > 4 ? o->words[4] : NULL, NULL};
    char *secret;
    int status;

    if (o->count == 3 && strcmp(o->words[2], "off") == 0)
        return run_sql(&o->office, "UPDATE webhooks SET active = 0 WHERE id = $1", 1, values);
    if (o->count != 6)
        return program_die(EXIT_USAGE, "hook ID TENANT EVENT URL SECRET-FILE, or hook ID off");
    values[4] = secret = text_of_file(o->words[5], 64);
    if (!secret || !*secret) {
        free(secret);
        return program_die(EXIT_USAGE, "%s holds no secret of at most 64 bytes", o->words[5]);
    }
    status = run_sql(&o->office,
                     "INSERT INTO webhooks (id, tenant_id, event, url, secret) VALUES ($1, $2, $3, $4, $5)"
                     " ON CONFLICT (id) DO UPDATE SET tenant_id = excluded.tenant_id, event = excluded.event,"
                     " url = excluded.url, secret = excluded.secret, active = 1",
                     5, values);
    free(secret);
    return status;
}

static int print(json_t *value)
{
    char *text = text_of_json(value);

    if (text)
        puts(text);
    free(text);
    json_decref(value);
    return text ? EXIT_DONE : EXIT_FAILED;
}

static int print_stats(struct options *o)
{
    json_t *stats = put_stats(o->office.q);

    return stats ? print(stats) : complain_store(-1);
}

static json_t *read_json(const char *word)
{
    return strcmp(word, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, NULL)
                                  : json_loads(word, JSON_REJECT_DUPLICATES, NULL);
}

static int tell(struct put_answer *answer)
{
    unsigned status = answer->status;

    if (status != 202)
        fprintf(stderr, "%s: %s\n", program_name, text_member(answer->body, "error", ""));
    print(answer->body);
    return status == 202 ? EXIT_DONE : status == 503 ? EXIT_STORE : EXIT_FAILED;
}

static int put_event_words(struct options *o, json_t *payload)
{
    struct put_answer answer;
    json_t *data = json_pack("{s:s, s:O}", "event", o->words[2], "payload", payload);

    if (o->count > 4)
        json_object_set_new(data, "event_id", json_string(o->words[4]));
    put_event(o->office.q, &o->office.desks, o->words[1], data, &answer);
    json_decref(data);
    return tell(&answer);
}

static int put(struct options *o)
{
    const char *command = o->words[0];
    int at = strcmp(command, "put") == 0 || strcmp(command, "event") == 0 ? 3 : 2, status;
    json_t *data = read_json(o->words[at]);
    struct put_answer answer;

    if (!data)
        return program_die(EXIT_USAGE, "'%s' is no JSON", o->words[at]);
    if (strcmp(command, "event") == 0)
        status = put_event_words(o, data);
    else {
        if (strcmp(command, "put") == 0)
            put_one(o->office.q, o->words[1], o->words[2], data, &answer);
        else if (strcmp(command, "bulk") == 0)
            put_bulk(o->office.q, o->words[1], data, &answer);
        else
            put_schedule(o->office.q, &o->office.desks, o->words[1], data, &answer);
        status = tell(&answer);
    }
    json_decref(data);
    return status;
}

/* ---- which --------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int least, most;
    int (*run)(struct options *o);
} commands[] = {
    {"setup", 1, 1, set_up}, {"tenant", 3, 4, add_tenant}, {"hook", 3, 6, add_hook},
    {"put", 4, 4, put},      {"bulk", 3, 3, put},          {"event", 4, 5, put},
    {"schedule", 3, 3, put}, {"stats", 1, 1, print_stats}, {"work", 1, 1, work},
};

static int run_command(struct options *o)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, o->words[0]) == 0)
            return o->count >= commands[i].least && o->count <= commands[i].most
                       ? commands[i].run(o)
                       : program_die(EXIT_USAGE, "%s: that is not what it takes; see --help", o->words[0]);
    return program_die(EXIT_USAGE, "there is no command '%s'; see --help", o->words[0]);
}

static int run(struct options *o)
{
    const struct jobq_options options = {.size = sizeof(options), .alert_queue = ALERT_QUEUE};
    struct jobq *q = NULL;
    const char *why = "";
    char *address = strdup(o->store);
    int status = address ? store_open_with(&q, address, &options, &why) : JOBQ_NOMEM;

    free(address);
    if (status < 0)
        return program_die(status == JOBQ_INVALID ? EXIT_USAGE : EXIT_STORE, "--store: %s", why);
    o->office.q = q;
    o->office.desks.options = &options;
    status = desks_init(&o->office.desks) == 0 ? run_command(o) : EXIT_FAILED;
    desks_finish(&o->office.desks);
    jobq_close(q);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = options_read(&options, argc, argv);

    if (status == 0) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        status = run(&options);
        curl_global_cleanup();
    }
    options_free(&options);
    return status < 0 ? EXIT_DONE : status;
}
