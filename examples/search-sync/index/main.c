/* SPDX-License-Identifier: MIT */
/*
 * A small search server: the part of the protocol of Elasticsearch and OpenSearch that keeping an index up to
 * date takes, on SQLite. Whoever has a real one gives its address to jobq-search-sync instead.
 *
 *   jobq-search-index FILE [--listen ADDR:PORT] [--history] [--faults]
 *
 *   GET  /                          who it is
 *   PUT  /INDEX                     make it; {"mappings": {"properties": {FIELD: {"type": TYPE}}}}
 *   POST /_bulk, POST /INDEX/_bulk  actions index, create and delete
 *   GET  /INDEX/_doc/ID             one document
 *   GET  /INDEX/_search?q=WORDS     documents that have all the words; size, from
 *   GET  /INDEX/_count              how many
 */
#include <getopt.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk.h"
#include "faults.h"
#include "http.h"
#include "program.h"

#define BODY_MAX_BYTES ((size_t)16 << 20)

const char program_name[] = "jobq-search-index";

struct server {
    struct shelf *shelf;
    struct faults faults;
    int takes_faults;
};

/* A request whose body is still coming. */
struct incoming {
    char *body;
    size_t size;
    int too_large;
};

struct answer {
    int status;
    json_t *body;
};

static struct answer error_of(int status, const char *type, const char *reason)
{
    return (struct answer){
        status, json_pack("{s:{s:s, s:s}, s:i}", "error", "type", type, "reason", reason, "status", status)};
}

/* ---- what is asked ------------------------------------------------------------------------------------ */

static void write_one(struct server *server, struct bulk_item *item, json_t *items, int *errors)
{
    struct shelf_result result = {.status = faults_of_id(&server->faults, item->write.id),
                                  .type = "planted_exception"};

    if (result.status)
        snprintf(result.reason, sizeof(result.reason), "a test asked for it");
    else
        shelf_write(server->shelf, &item->write, &result);
    *errors |= !result.result;
    json_array_append_new(items, bulk_answer(item, &result));
}

/* All of it is on disk before it is answered. */
static struct answer answer_bulk(struct server *server, const struct incoming *in, const char *index)
{
    struct bulk bulk;
    char why[200];
    int errors = 0, status = faults_of_request(&server->faults);
    json_t *items = json_array();

    if (status) {
        json_decref(items);
        return error_of(status, "planted_exception", "a test asked for it");
    }
    if (bulk_read(&bulk, in->body, in->size, index, why) != 0 || shelf_begin(server->shelf) != 0) {
        bulk_free(&bulk);
        json_decref(items);
        return error_of(400, "illegal_argument_exception", why);
    }
    for (size_t i = 0; i < bulk.count; i++)
        write_one(server, &bulk.items[i], items, &errors);
    bulk_free(&bulk);
    if (shelf_commit(server->shelf) != 0) {
        shelf_rollback(server->shelf);
        json_decref(items);
        return error_of(500, "exception", "the documents cannot be written");
    }
    return (struct answer){200, json_pack("{s:i, s:b, s:o}", "took", 0, "errors", errors, "items", items)};
}

static struct answer answer_make(struct server *server, const struct incoming *in, const char *index)
{
    json_t *asked = in->size ? json_loadb(in->body, in->size, 0, NULL) : json_object();
    int made = asked && !strchr("_-+.", *index)
                   ? shelf_make_index(server->shelf, index, json_object_get(asked, "mappings"))
                   : -2;

    json_decref(asked);
    if (made == -2)
        return error_of(400, "illegal_argument_exception",
                        "the body is no JSON, or it is no name of an index");
    if (made == 0)
        return error_of(400, "resource_already_exists_exception", "the index is there");
    if (made < 0)
        return error_of(500, "exception", "the index cannot be made");
    return (struct answer){
        200, json_pack("{s:b, s:b, s:s}", "acknowledged", 1, "shards_acknowledged", 1, "index", index)};
}

static int64_t number_of(struct MHD_Connection *connection, const char *name, int64_t other, int64_t most)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    int64_t value = text ? strtoll(text, NULL, 10) : other;

    return value < 0 ? 0 : value > most ? most : value;
}

static struct answer answer_search(struct server *server, struct MHD_Connection *connection,
                                   const char *index)
{
    json_t *found = shelf_search(
        server->shelf, index, MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "q"),
        number_of(connection, "from", 0, 1000000), number_of(connection, "size", 10, 10000));

    return found ? (struct answer){200, found} : error_of(500, "exception", "the search failed");
}

static struct answer answer_get(struct server *server, const char *index, const char *id)
{
    json_t *found = shelf_get(server->shelf, index, id);

    return found ? (struct answer){200, found}
                 : (struct answer){404, json_pack("{s:s, s:s, s:b}", "_index", index, "_id", id, "found", 0)};
}

static struct answer answer_root(void)
{
    return (struct answer){200, json_pack("{s:s, s:s, s:{s:s}, s:s}", "name", program_name, "cluster_name",
                                          "jobq", "version", "number", jobq_version(), "tagline",
                                          "a few words on SQLite")};
}

static struct answer answer_faults(struct server *server, const struct incoming *in)
{
    json_t *asked = json_loadb(in->size ? in->body : "", in->size, 0, NULL);
    int set = server->takes_faults ? faults_set(&server->faults, asked) : -1;

    json_decref(asked);
    return set == 0 ? (struct answer){200, json_object()}
                    : error_of(400, "illegal_argument_exception", "not understood");
}

/* ---- where it goes ------------------------------------------------------------------------------------ */

struct path {
    char index[256], rest[1024];
};

/* "/index/rest" taken apart. 0, or -1 when it is too long. */
static int split(const char *url, struct path *out)
{
    size_t length = strcspn(url + 1, "/");
    const char *rest = url + 1 + length;

    rest += *rest == '/';
    if (length >= sizeof(out->index) || strlen(rest) >= sizeof(out->rest))
        return -1;
    memcpy(out->index, url + 1, length);
    out->index[length] = '\0';
    strcpy(out->rest, rest);
    return 0;
}

static struct answer answer_index(struct server *server, struct MHD_Connection *connection,
                                  const char *method, const struct path *path, const struct incoming *in)
{
    int is_get = strcmp(method, "GET") == 0;

    if (strcmp(method, "PUT") == 0 && !*path->rest)
        return answer_make(server, in, path->index);
    if (strcmp(method, "POST") == 0 && strcmp(path->rest, "_bulk") == 0)
        return answer_bulk(server, in, path->index);
    if (!shelf_has_index(server->shelf, path->index))
        return error_of(404, "index_not_found_exception", "no such index");
    if (is_get && strncmp(path->rest, "_doc/", 5) == 0)
        return answer_get(server, path->index, path->rest + 5);
    if (is_get && strcmp(path->rest, "_search") == 0)
        return answer_search(server, connection, path->index);
    if (is_get && strcmp(path->rest, "_count") == 0)
        return (struct answer){
            200, json_pack("{s:I}", "count", (json_int_t)shelf_count(server->shelf, path->index))};
    return error_of(400, "illegal_argument_exception", "not understood");
}

static struct answer route(struct server *server, struct MHD_Connection *connection, const char *method,
                           const char *url, const struct incoming *in)
{
    struct path path;

    if (in->too_large)
        return error_of(413, "content_too_long_exception", "the body is too large");
    if (strcmp(url, "/") == 0)
        return answer_root();
    if (strcmp(method, "POST") == 0 && strcmp(url, "/_bulk") == 0)
        return answer_bulk(server, in, NULL);
    if (strcmp(method, "POST") == 0 && strcmp(url, "/_faults") == 0)
        return answer_faults(server, in);
    if (split(url, &path) != 0)
        return error_of(400, "illegal_argument_exception", "the path is too long");
    return answer_index(server, connection, method, &path, in);
}

/* ---- libmicrohttpd ------------------------------------------------------------------------------------- */

static void take_body(struct incoming *in, const char *data, size_t *size)
{
    char *body = in->size + *size > BODY_MAX_BYTES ? NULL : realloc(in->body, in->size + *size + 1);

    in->too_large |= !body;
    if (body) {
        memcpy(body + in->size, data, *size);
        in->body = body;
        in->size += *size;
    }
    *size = 0;
}

static enum MHD_Result reply(struct MHD_Connection *connection, struct answer answer)
{
    char *text = answer.body ? json_dumps(answer.body, JSON_COMPACT) : strdup("{}");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text ? strlen(text) : 0, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    json_decref(answer.body);
    MHD_add_response_header(response, "Content-Type", "application/json");
    result = MHD_queue_response(connection, (unsigned)answer.status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state)
{
    struct incoming *in = *state;

    (void)version;
    if (!in) {
        *state = calloc(1, sizeof(*in));
        return *state ? MHD_YES : MHD_NO;
    }
    if (*size) {
        take_body(in, data, size);
        return MHD_YES;
    }
    return reply(connection, route(user, connection, method, url, in));
}

static void on_end(void *user, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code)
{
    struct incoming *in = *state;

    (void)user, (void)connection, (void)code;
    if (in)
        free(in->body);
    free(in);
}

/* One thread: writes come one after the other anyway. */
static int serve(struct server *server, const char *listen)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    const char *why = "";
    const union MHD_DaemonInfo *info;
    struct MHD_Daemon *daemon;
    sigset_t signals;

    if (http_parse_address(listen, &address, &size, &why) != 0)
        return program_die(EXIT_USAGE, "--listen %s: %s", listen, why);
    if (!http_is_loopback(&address))
        return program_die(
            EXIT_USAGE, "--listen %s: it knows no passwords: only an address of this machine alone", listen);
    program_block_signals(&signals);
    daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL,
        on_request, server, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
        MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_END);
    if (!daemon)
        return program_die(EXIT_FAILED, "--listen %s: cannot listen there", listen);
    info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("listening on http://%s:%u\n", address.ss_family == AF_INET6 ? "[::1]" : "127.0.0.1",
           info ? info->port : 0);
    fflush(stdout);
    program_wait(&signals);
    MHD_stop_daemon(daemon);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"history", no_argument, NULL, 'H'},
                                            {"faults", no_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    struct server server = {.shelf = NULL};
    const char *listen = "127.0.0.1:9200", *why = "";
    int option, history = 0, status;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l')
            listen = optarg;
        else if (option == 'H')
            history = 1;
        else if (option == 'f')
            server.takes_faults = 1;
        else
            return EXIT_USAGE;
    }
    if (optind + 1 != argc)
        return program_die(EXIT_USAGE,
                           "usage: jobq-search-index FILE [--listen ADDR:PORT] [--history] [--faults]");
    server.shelf = shelf_open(argv[optind], history, &why);
    if (!server.shelf)
        return program_die(EXIT_FAILED, "%s: %s", argv[optind], why);
    status = serve(&server, listen);
    faults_free(&server.faults);
    shelf_close(server.shelf);
    return status;
}
