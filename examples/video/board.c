/* SPDX-License-Identifier: MIT */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "parts.h"
#include "result.h"
#include "steps.h"
#include "text.h"

struct board {
    struct serve *serve;
    struct dash *dash;
};

/* ---- a submission as a graph ------------------------------------------------------------------- */

static void add_edge(json_t *edges, const char *from, const char *to)
{
    json_array_append_new(edges, json_pack("[s, s]", from, to));
}

static int add_node(const json_t *progress, const char *name, json_t *nodes)
{
    json_t *node = json_deep_copy(json_object_get(progress, name));

    if (!node)
        return 0;
    json_object_set_new(node, "name", json_string(name));
    json_array_append_new(nodes, node);
    return 1;
}

static void add_nodes(const json_t *progress, json_t *nodes, json_t *edges)
{
    const char *probe = parts[PART_PROBE].name, *report = parts[PART_REPORT].name, *name = NULL;

    if (add_node(progress, parts[PART_FETCH].name, nodes))
        add_edge(edges, parts[PART_FETCH].name, probe);
    add_node(progress, probe, nodes);
    add_node(progress, report, nodes);
    while ((name = steps_next(progress, name)) != NULL) {
        add_node(progress, name, nodes);
        add_edge(edges, probe, name);
        add_edge(edges, name, report);
    }
}

/* Of any of its jobs. Into the id of an added step its name is mixed: the submission stands in its payload.
 */
static void find_submission(struct jobq *q, const struct jobq_id *id, struct jobq_id *out)
{
    struct jobq_jobs *found = NULL;
    json_t *payload = NULL;
    struct jobq_id named;

    part_id(id, PART_PROBE, out);
    if (is_submission_id(id) || jobq_get(q, id, &found) != JOBQ_OK)
        return;
    payload = json_of_bytes(found->jobs[0].payload);
    if (jobq_id_parse(text_member(payload, "submission", ""), &named) == JOBQ_OK)
        *out = named;
    json_decref(payload);
    jobq_jobs_free(found);
}

static int flow(void *user, const struct jobq_id *id, const char *tenant, json_t **out)
{
    struct board *board = user;
    struct jobq *q = handles_mine(board->serve->handles);
    json_t *result = NULL, *nodes, *edges;
    struct jobq_id submission;
    int status;

    find_submission(q, id, &submission);
    status = result_of(q, board->serve->live, &submission, tenant, &result);

    if (status != JOBQ_OK)
        return status;
    nodes = json_array();
    edges = json_array();
    add_nodes(json_object_get(result, "progress"), nodes, edges);
    json_object_del(result, "progress");
    json_object_set_new(result, "nodes", nodes);
    json_object_set_new(result, "edges", edges);
    *out = result;
    return JOBQ_OK;
}

/* ---- its clip ---------------------------------------------------------------------------------- */

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".mp4", "video/mp4"},       {".m4v", "video/mp4"}, {".webm", "video/webm"},
        {".mov", "video/quicktime"}, {".ogv", "video/ogg"},
    };
    const char *end = strrchr(name, '.');

    for (size_t i = 0; end && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(end, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static int number_of(const char **text, off_t *out)
{
    char *end = NULL;

    if (**text < '0' || **text > '9' || strspn(*text, "0123456789") > 18)
        return -1;
    *out = (off_t)strtoll(*text, &end, 10);
    *text = end;
    return 0;
}

/* "bytes=A-B", "bytes=A-" or "bytes=-N", as RFC 9110 has it; another one, or several, is as if there were
 * none. Returns 1 with first and last, 0 for the whole file, -1 for what cannot be satisfied. */
static int range_of(const char *text, off_t size, off_t *first, off_t *last)
{
    off_t tail;

    if (!text || strncmp(text, "bytes=", 6) != 0)
        return 0;
    text += 6;
    *last = size - 1;
    if (*text == '-') {
        text++;
        if (number_of(&text, &tail) != 0 || *text)
            return 0;
        *first = tail < size ? size - tail : 0;
        return tail > 0 && size > 0 ? 1 : -1;
    }
    if (number_of(&text, first) != 0 || *text++ != '-' || (*text && (number_of(&text, last) != 0 || *text)))
        return 0;
    if (*last < *first)
        return *first < size ? 0 : -1;
    if (*last >= size)
        *last = size - 1;
    return *first < size ? 1 : -1;
}

static void send_file(const struct http_request *request, const char *name, int fd, off_t size,
                      struct http_reply *reply)
{
    off_t first = 0, last = size - 1;
    int part = range_of(http_header(request, "Range"), size, &first, &last);

    http_set_header(reply, "Accept-Ranges", "bytes");
    if (part < 0) {
        close(fd);
        http_error(reply, 416, "Range", "the file has %lld bytes", (long long)size);
        http_set_header(reply, "Content-Range", "bytes */%lld", (long long)size);
        return;
    }
    if (part > 0)
        http_set_header(reply, "Content-Range", "bytes %lld-%lld/%lld", (long long)first, (long long)last,
                        (long long)size);
    else
        first = 0, last = size - 1;
    reply->status = part > 0 ? 206 : 200;
    reply->type = type_of(name);
    reply->fd = fd;
    reply->offset = first;
    reply->size = (size_t)(last - first + 1);
}

static void route_clip(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct board *board = user;
    json_t *result = NULL;
    char tenant[256];
    const char *name, *problem;
    struct jobq_id id;
    struct stat facts;
    int fd = -1, status = JOBQ_NOT_FOUND;

    if (dash_may(board->dash, request, ROLE_VIEWER, tenant, reply) != 0)
        return;
    if (jobq_id_parse(request->rest, &id) == JOBQ_OK)
        status = result_of(handles_mine(board->serve->handles), board->serve->live, &id, tenant, &result);
    name = text_member(result, "video", NULL);
    if (status == JOBQ_OK && name) {
        problem = folder_open_file(&board->serve->folder, name, &facts, &fd);
        if (problem)
            http_error(reply, 404, "video", "%s", problem);
        else
            send_file(request, name, fd, facts.st_size, reply);
    } else if (status == JOBQ_OK || status == JOBQ_NOT_FOUND)
        http_error(reply, 404, "jobId", "there is no such submission, or it is no longer kept");
    else
        reply_store_error(reply, status);
    json_decref(result);
}

static void route_remove(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct board *board = user;

    dash_change(board->dash, request, ROLE_ADMIN, "remove", forget_submission, board->serve, reply);
}

static const struct http_route clip_routes[] = {{"GET", "/analysis/video/", 0, route_clip, 0},
                                                {"DELETE", "/analysis/result/", 0, route_remove, 0},
                                                {NULL, NULL, 0, NULL, 0}};

/* ---- its life ---------------------------------------------------------------------------------- */

/* A submission counts once: its probe until that has completed, then its report. */
static void leave_steps_out(struct dash_options *options)
{
    for (int part = PART_NOTIFY; part < part_end; part++) {
        options->steps[options->step_count++].queue = parts[part].queue;
        if (parts[part].orders)
            options->steps[options->step_count++].queue = parts[part].orders;
    }
    options->steps[options->step_count++] =
        (struct dash_step){.queue = parts[PART_PROBE].queue, .states = 1u << JOBQ_COMPLETED};
}

struct board *board_create(struct serve *serve, const char *audit, const char **why)
{
    struct board *board = calloc(1, sizeof(*board));
    struct dash_options options = {.q = serve->q,
                                   .auth = serve->auth,
                                   .audit_file = audit,
                                   .flow = flow,
                                   .user = board,
                                   .column_count = 1};

    *why = "out of memory";
    if (!board)
        return NULL;
    board->serve = serve;
    options.webhook_queue = parts[PART_WEBHOOK].queue;
    options.columns[0] = (struct dash_column){"video", "/video"};
    leave_steps_out(&options);
    board->dash = dash_create(&options, why);
    if (board->dash)
        return board;
    free(board);
    return NULL;
}

void board_mounts(struct board *board, struct http_mount out[BOARD_MOUNTS])
{
    dash_mounts(board->dash, out);
    out[2] = (struct http_mount){"", clip_routes, board};
}

int board_start(struct board *board, struct http_server *server)
{
    return dash_start(board->dash, server);
}

void board_stop(struct board *board)
{
    if (board)
        dash_stop(board->dash);
}

void board_destroy(struct board *board)
{
    if (board)
        dash_destroy(board->dash);
    free(board);
}
