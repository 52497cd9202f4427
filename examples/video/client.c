/* SPDX-License-Identifier: MIT */
/* jobq-video submit and watch: what a program of somebody else's would do over HTTP, for people. */
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "post.h"
#include "program.h"
#include "store.h"
#include "text.h"

#define SERVER_DEFAULT  "http://127.0.0.1:8080"
#define LOOK_EVERY_MS   200
#define TROUBLES_MOST   25 /* looks in a row without an answer */
#define TOKEN_MAX_BYTES 512

static const char usage_text[] =
    "usage: jobq-video submit [OPTIONS] FILE...\n"
    "       jobq-video watch [OPTIONS] JOBID...\n"
    "  --server URL       where jobq-video serve listens (default " SERVER_DEFAULT ")\n"
    "  --token FILE       a file with the token to send\n"
    "  --wait             submit: show the submissions until they are done, then the results\n"
    "  --json             submit: a line {\"jobId\", ...} for each file; watch, --wait: the last answers\n"
    "  --candidate NAME   submit: whose videos they are\n"
    "  --share            submit: results of the same bytes for the same candidate may be used again\n"
    "Files must lie below the server's media folder. Exit status: 0 all completed, 1 one failed or was\n"
    "refused, 2 usage, 3 no such submission, 4 the server cannot be reached.\n";

struct client_options {
    struct client client;
    const char *candidate;
    int wait, json, share;
};

/* ---- options --------------------------------------------------------------------------------- */

static int read_token(struct client *client, const char *path)
{
    char *token = text_of_file(path, TOKEN_MAX_BYTES);
    size_t size = token ? strlen(token) + sizeof("Authorization: Bearer ") : 0;

    if (!token)
        return program_die(EXIT_USAGE, "--token %s: %s", path, strerror(errno));
    free(client->authorization);
    client->authorization = malloc(size);
    if (client->authorization)
        snprintf(client->authorization, size, "Authorization: Bearer %s", token);
    free(token);
    return client->authorization ? 0 : program_die(EXIT_FAILED, "out of memory");
}

/* Returns 0, or the exit status plus 1. */
static int parse(int argc, char **argv, struct client_options *out)
{
    static const struct option options[] = {
        {"server", required_argument, NULL, 's'},
        {"token", required_argument, NULL, 't'},
        {"candidate", required_argument, NULL, 'c'},
        {"wait", no_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},
        {"share", no_argument, NULL, 'S'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *out = (struct client_options){.client.server = SERVER_DEFAULT};
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 's':
            out->client.server = optarg;
            break;
        case 't':
            if (read_token(&out->client, optarg) != 0)
                return EXIT_USAGE + 1;
            break;
        case 'c':
            out->candidate = optarg;
            break;
        case 'w':
            out->wait = 1;
            break;
        case 'j':
            out->json = 1;
            break;
        case 'S':
            out->share = 1;
            break;
        case 'h':
            fputs(usage_text, stdout);
            return EXIT_DONE + 1;
        default:
            fputs(usage_text, stderr);
            return EXIT_USAGE + 1;
        }
    }
    if (optind == argc) {
        fputs(usage_text, stderr);
        return EXIT_USAGE + 1;
    }
    out->client.submissions = calloc((size_t)(argc - optind), sizeof(*out->client.submissions));
    return out->client.submissions ? 0 : 1 + program_die(EXIT_FAILED, "out of memory");
}

static void finish(struct client *client)
{
    for (size_t i = 0; i < client->count; i++) {
        free(client->submissions[i].name);
        json_decref(client->submissions[i].seen);
        json_decref(client->submissions[i].told);
    }
    free(client->submissions);
    free(client->authorization);
}

/* ---- talking to the server ------------------------------------------------------------------- */

static void talk(const struct client *client, const char *path, const char *body, struct post_answer *answer)
{
    const char *const headers[] = {client->authorization, NULL};
    char *url = post_url(client->server, path);
    struct post post = {
        .url = url, .body = body, .headers = headers, .answer_max_bytes = 2 * REPORT_MAX_BYTES};

    if (url)
        post_run(&post, answer);
    else
        *answer = (struct post_answer){.problem = "out of memory"};
    free(url);
}

static char *start_body(const struct client_options *options, const char *file)
{
    char path[PATH_MAX];
    json_t *metadata = json_object(), *body;
    char *text;

    if (options->candidate)
        json_object_set_new(metadata, "candidate", json_string(options->candidate));
    if (options->share)
        json_object_set_new(metadata, "share", json_true());
    /* A file that is not here may still be there: the server says so if not. */
    body = json_pack("{s:s, s:o}", "videoPath", realpath(file, path) ? path : file, "metadata", metadata);
    text = text_of_json(body);
    json_decref(body);
    return text;
}

static int add_submission(struct client *client, const char *id, const char *name)
{
    struct submission *submission = &client->submissions[client->count];

    if (strlen(id) != 32)
        return program_die(EXIT_USAGE, "%s: a jobId has 32 hexadecimal digits", id);
    memcpy(submission->id, id, sizeof(submission->id));
    submission->name = strdup(name);
    if (!submission->name)
        return program_die(EXIT_FAILED, "out of memory");
    client->count++;
    return 0;
}

static int submit_file(struct client_options *options, const char *file)
{
    const char *slash = strrchr(file, '/');
    struct post_answer answer = {.status = 0};
    char *body = start_body(options, file);
    char text[300];
    int status = 0;

    if (body)
        talk(&options->client, "/analysis/start", body, &answer);
    if (answer.status == 202)
        status =
            add_submission(&options->client, text_member(answer.json, "jobId", ""), slash ? slash + 1 : file);
    else
        status = program_die(answer.status == 0 ? EXIT_STORE : EXIT_FAILED, "%s: %s", file,
                             body ? post_error(&answer, text) : "the name is no UTF-8");
    if (status == 0 && options->json && !options->wait) {
        json_object_set_new(answer.json, "file", json_string(file));
        free(body);
        body = text_of_json(answer.json);
        printf("%s\n", body ? body : "");
    } else if (status == 0 && !options->wait)
        printf("%s  %s\n", text_member(answer.json, "jobId", ""), file);
    json_decref(answer.json);
    free(body);
    return status;
}

/* ---- watching -------------------------------------------------------------------------------- */

static int is_processing(const json_t *seen)
{
    return strcmp(text_member(seen, "status", ""), "processing") == 0;
}

/* One that was named by its id is called by its file as soon as that is known. */
static void take_name(struct submission *submission)
{
    const char *video = text_member(submission->seen, "video", NULL);
    const char *slash = video ? strrchr(video, '/') : NULL;
    char *name =
        video && strcmp(submission->name, submission->id) == 0 ? strdup(slash ? slash + 1 : video) : NULL;

    if (name) {
        free(submission->name);
        submission->name = name;
    }
}

/* Returns 0, 1 when there was no answer that counts, or the exit status plus 1. */
static int look(struct client *client, struct submission *submission, int tell)
{
    struct post_answer answer;
    char path[64], text[300];
    int status = 1;

    snprintf(path, sizeof(path), "/analysis/result/%s", submission->id);
    talk(client, path, NULL, &answer);
    if (answer.status == 200 && answer.json) {
        json_decref(submission->seen);
        submission->seen = json_incref(answer.json);
        submission->ended = !is_processing(submission->seen);
        take_name(submission);
        if (tell)
            screen_tell_changes(submission);
        status = 0;
    } else if (answer.status >= 400 && answer.status < 500) {
        status = 1 + program_die(answer.status == 404 ? EXIT_NOT_FOUND : EXIT_FAILED, "%s: %s",
                                 submission->name, post_error(&answer, text));
    }
    json_decref(answer.json);
    return status;
}

/* Looks at all that have not ended. Returns as look(), and how many there still are. */
static int look_at_all(struct client *client, int tell, size_t *open)
{
    int status = 0;

    *open = 0;
    for (size_t i = 0; i < client->count && status <= 1; i++) {
        if (client->submissions[i].ended)
            continue;
        int one = look(client, &client->submissions[i], tell);
        if (one > status)
            status = one;
        *open += !client->submissions[i].ended;
    }
    return status;
}

static int watch(struct client *client, int quiet)
{
    struct screen screen;
    size_t open = client->count;
    int troubles = 0;

    screen_init(&screen, client);
    while (open > 0) {
        int status = look_at_all(client, !quiet && !screen.is_terminal, &open);
        if (status > 1)
            return status - 1;
        troubles = status == 1 ? troubles + 1 : 0;
        if (troubles >= TROUBLES_MOST)
            return program_die(EXIT_STORE, "%s does not answer", client->server);
        if (!quiet)
            screen_show(&screen, client);
        if (open > 0)
            nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
    }
    return 0;
}

static int show_results(const struct client_options *options)
{
    const struct client *client = &options->client;
    size_t completed = 0;

    for (size_t i = 0; i < client->count; i++) {
        const struct submission *submission = &client->submissions[i];
        completed += strcmp(text_member(submission->seen, "status", ""), "completed") == 0;
        if (options->json) {
            char *text = text_of_json(submission->seen);
            printf("%s\n", text ? text : "");
            free(text);
        } else {
            table_print(submission);
        }
    }
    if (!options->json)
        printf("\n%zu of %zu submissions completed.\n", completed, client->count);
    return completed == client->count ? EXIT_DONE : EXIT_FAILED;
}

static int wait_and_show(const struct client_options *options, struct client *client)
{
    int status = client->count > 0 ? watch(client, options->json) : 0;

    return status ? status : show_results(options);
}

/* ---- the commands ---------------------------------------------------------------------------- */

int submit_main(int argc, char **argv)
{
    struct client_options options;
    int status = parse(argc, argv, &options);
    int refused = 0;

    if (status != 0)
        return finish(&options.client), status - 1;
    for (int i = optind; i < argc && status != EXIT_STORE; i++) {
        status = submit_file(&options, argv[i]);
        refused = status ? status : refused;
    }
    if (options.wait && options.client.count > 0)
        status = wait_and_show(&options, &options.client);
    finish(&options.client);
    return refused ? refused : status;
}

int watch_main(int argc, char **argv)
{
    struct client_options options;
    int status = parse(argc, argv, &options);

    if (status != 0)
        return finish(&options.client), status - 1;
    for (int i = optind; i < argc && status == 0; i++)
        status = add_submission(&options.client, argv[i], argv[i]);
    if (status == 0)
        status = wait_and_show(&options, &options.client);
    finish(&options.client);
    return status;
}
