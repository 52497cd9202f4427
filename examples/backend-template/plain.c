/* SPDX-License-Identifier: MIT */
/*
 * A store of plain files, to be copied by people who write one. A namespace is a file FOLDER/NAMESPACE.plain: a first line
 * about the store itself, then a line of JSON for each item that it holds (see "items" in <jobq/backend.h>).
 *
 * A call takes the lock of the file, reads it if another process replaced it since, does its work in memory, and replaces
 * it; what goes wrong before that never happened. The work itself, the rules of an exchange, is left to the memory store of
 * libjobq, into which the file is loaded. A store on a database does that part in the database's own words, and its
 * begin() and end() are those of a transaction; lib/memory.c of libjobq is the place to read what the words have to say.
 */
#include "plain.h"

#include <jobq/backend.h>
#include <jobq/memory.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The file, locked while it is worked with. A new one is written beside it and takes its name in one step: a process that
 * is killed at any moment leaves the old one or the new one, and the lock goes with the process. */
#define PATH_BYTES 2400
struct file {
    char path[PATH_BYTES], beside[PATH_BYTES + 8], lock_path[PATH_BYTES + 8];
    int lock_fd;
};

#define PAGE 500
static const int kinds[] = { JOBQ_ITEM_SETTINGS, JOBQ_ITEM_SCHEDULE, JOBQ_ITEM_ROW, JOBQ_ITEM_KEY, JOBQ_ITEM_WORKER };

/* The first line of the file. */
struct header {
    int64_t generation; /* rises with each replacement: whoever has read this one need not read it again */
    int64_t ahead_ms;   /* of the store's clock, before the wall clock: tests move it */
    char id[33];        /* of the store, hexadecimal */
};
#define HEADER_OUT "plain 1 %" PRId64 " %" PRId64 " %s\n"
#define HEADER_IN "plain 1 %" SCNd64 " %" SCNd64 " %32[0-9a-f]\n"

struct jobq_store {
    struct file file;
    char *folder, *name_space;
    int64_t io_timeout_ms;
    int inspect;
    struct header header;
    struct jobq_store *model; /* of the memory store; NULL: the file has to be read */
    struct jobq_receipt *receipt;
};

/* ---- the file ---------------------------------------------------------------------------------------------- */

static int64_t clock_ms(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int file_open(struct file *file, const char *path, int create, struct jobq_error *err)
{
    int flags = O_CLOEXEC | O_NOFOLLOW | (create ? O_RDWR | O_CREAT : O_RDONLY);
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(file->beside, sizeof file->beside, "%s.new", file->path);
    snprintf(file->lock_path, sizeof file->lock_path, "%s.lock", file->path);
    file->lock_fd = open(file->lock_path, flags, 0600);
    if (file->lock_fd >= 0)
        return JOBQ_OK;
    return jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "%s: %s", file->lock_path, strerror(errno));
}

static int file_lock(struct file *file, int64_t timeout_ms, struct jobq_error *err)
{
    const struct timespec pause = { 0, 500000 };
    int64_t until = clock_ms(CLOCK_MONOTONIC) + timeout_ms;
    while (flock(file->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_ms(CLOCK_MONOTONIC) > until)
            return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: cannot be locked", file->lock_path);
        nanosleep(&pause, NULL);
    }
    return JOBQ_OK;
}

static FILE *file_begin(struct file *file)
{
    int fd = open(file->beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *begun = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (fd >= 0 && !begun)
        close(fd);
    return begun;
}

/* The name of a file is durable when its folder is. */
static int sync_folder(const struct file *file)
{
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", file->path);
    *strrchr(folder, '/') = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return result;
}

static int file_replace(struct file *file, FILE *begun, int good, struct jobq_error *err)
{
    good = good && begun && fflush(begun) == 0 && fsync(fileno(begun)) == 0;
    int error = errno;
    if (begun)
        fclose(begun);
    if (!good || rename(file->beside, file->path) != 0)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: %s", file->beside, strerror(good ? errno : error));
    if (sync_folder(file) != 0)
        return jobq_error_set(err, JOBQ_UNKNOWN, NULL, "%s: %s", file->path, strerror(errno));
    return JOBQ_OK;
}

/* ---- from the file to the model and back ------------------------------------------------------------------- */

static void forget(struct jobq_store *s)
{
    jobq_memory()->close(s->model);
    s->model = NULL;
}

/* Up to PAGE lines, so that a large file needs no memory of its size twice. 1 there may be more, 0 the end, or a status. */
static int load_page(struct jobq_store *s, FILE *f, struct jobq_error *err)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_item *items = arena ? jobq_arena_alloc(arena, PAGE * sizeof *items) : NULL;
    int status = items ? JOBQ_OK : jobq_error_set(err, JOBQ_NOMEM, NULL, "plain: out of memory");
    char *line = NULL;
    size_t room = 0, count = 0;
    ssize_t size = 0;
    while (status == JOBQ_OK && count < PAGE && (size = getline(&line, &room, f)) > 0)
        status = jobq_item_read(arena, (struct jobq_bytes){ line, (size_t)size }, &items[count++], err);
    if (status == JOBQ_OK && count)
        status = jobq_memory()->load(s->model, items, count, err);
    free(line);
    jobq_arena_destroy(arena);
    return status != JOBQ_OK ? status : count == PAGE;
}

static int load(struct jobq_store *s, FILE *f, struct jobq_error *err)
{
    const struct jobq_store_options options = { .size = sizeof options, .uri = "memory:" };
    const struct jobq_settings ahead = { .size = sizeof ahead, .what = JOBQ_CONFIGURE_CLOCK,
                                         .clock_ms = s->header.ahead_ms };
    int status = jobq_memory()->open(&s->model, &options, err), more = 1;
    if (status == JOBQ_OK)
        status = jobq_memory()->configure(s->model, &ahead, err);
    while (status == JOBQ_OK && more) {
        more = load_page(s, f, err);
        status = more < 0 ? more : JOBQ_OK;
    }
    if (status != JOBQ_OK)
        forget(s);
    return status == JOBQ_INVALID ? JOBQ_CORRUPT : status;
}

/* The model is what the file says, whoever replaced it. */
static int catch_up(struct jobq_store *s, struct jobq_error *err)
{
    struct header header = { 0 };
    FILE *f = fopen(s->file.path, "re");
    int status = JOBQ_OK;
    if (!f)
        return jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "%s: %s", s->file.path, strerror(errno));
    if (fscanf(f, HEADER_IN, &header.generation, &header.ahead_ms, header.id) != 3)
        status = jobq_error_set(err, JOBQ_FOREIGN, NULL, "%s: no plain store of version 1", s->file.path);
    else if (!s->model || header.generation != s->header.generation) {
        forget(s);
        s->header = header;
        status = load(s, f, err);
    }
    fclose(f);
    return status;
}

static int save_page(struct jobq_store *s, FILE *f, struct jobq_dump *page, struct jobq_arena *arena,
                     struct jobq_error *err)
{
    struct jobq_bytes line;
    if (!arena || jobq_memory()->dump(s->model, page, arena, err) != JOBQ_OK)
        return 0;
    for (size_t i = 0; i < page->item_count; i++)
        if (jobq_item_write(arena, &page->items[i], &line) != JOBQ_OK || fwrite(line.data, line.size, 1, f) != 1)
            return 0;
    return 1;
}

static int save_kind(struct jobq_store *s, FILE *f, int kind, struct jobq_error *err)
{
    struct jobq_dump page = { .size = sizeof page, .kind = kind, .limit = PAGE };
    struct jobq_arena *arena = NULL, *before = NULL; /* a page begins where the one before it ended */
    int good;
    do {
        jobq_arena_destroy(before);
        before = arena;
        arena = jobq_arena_create();
        page.after = page.last;
        good = save_page(s, f, &page, arena, err);
    } while (good && page.item_count);
    jobq_arena_destroy(before);
    jobq_arena_destroy(arena);
    return good;
}

static int save(struct jobq_store *s, struct jobq_error *err)
{
    FILE *f = file_begin(&s->file);
    int good = f && fprintf(f, HEADER_OUT, ++s->header.generation, s->header.ahead_ms, s->header.id) > 0;
    for (size_t i = 0; good && i < sizeof kinds / sizeof *kinds && s->model; i++)
        good = save_kind(s, f, kinds[i], err);
    int status = file_replace(&s->file, f, good, err);
    if (status != JOBQ_OK)
        forget(s);
    return status;
}

/* ---- a call: begin, the work, end --------------------------------------------------------------------------- */

static int begin(struct jobq_store *s, struct jobq_error *err)
{
    int status = file_lock(&s->file, s->io_timeout_ms, err);
    if (status != JOBQ_OK)
        return status;
    status = catch_up(s, err);
    if (status != JOBQ_OK)
        flock(s->file.lock_fd, LOCK_UN);
    return status == JOBQ_OK ? JOBQ_OK : JOBQ_FAILED;
}

static int end(struct jobq_store *s, int status, int changed, struct jobq_error *err)
{
    if (status == JOBQ_OK && changed)
        status = save(s, err);
    flock(s->file.lock_fd, LOCK_UN);
    return status;
}

static int refuse_inspector(const struct jobq_store *s, struct jobq_error *err)
{
    return s->inspect ? jobq_error_set(err, JOBQ_FAILED, NULL, "plain: opened to inspect: nothing can be written")
                      : JOBQ_OK;
}

/* ---- exchange ----------------------------------------------------------------------------------------------- */

static int read_ids(struct jobq_store *s, const struct jobq_id *ids, size_t count, uint32_t flags,
                    struct jobq_query *out, struct jobq_arena *arena, struct jobq_error *err)
{
    *out = (struct jobq_query){ .size = sizeof *out, .ids = ids, .id_count = count, .flags = flags };
    return count ? jobq_memory()->read(s->model, out, arena, err) : JOBQ_OK;
}

/* The rows that the want took and that are still held under its token; why they were overdue is with the items. */
static int view_claimed(struct jobq_store *s, struct jobq_want *want, const struct jobq_id *ids, size_t count,
                        const struct jobq_token *token, struct jobq_arena *arena, struct jobq_error *err)
{
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_ROW, .limit = PAGE };
    struct jobq_query query;
    int status = read_ids(s, ids, count, JOBQ_READ_PAYLOAD, &query, arena, err);
    struct jobq_row *rows = jobq_arena_alloc(arena, (query.row_count + 1) * sizeof *rows);
    want->token = *token;
    want->rows = rows;
    want->row_count = 0;
    for (size_t i = 0; rows && i < query.row_count; i++)
        if (query.rows[i].state == JOBQ_ROW_RUNNING && query.rows[i].outcome == JOBQ_OUTCOME_NONE &&
            memcmp(&query.rows[i].token, token, sizeof *token) == 0)
            rows[want->row_count++] = query.rows[i];
    do {
        status = status == JOBQ_OK && rows ? jobq_memory()->dump(s->model, &page, arena, err) : JOBQ_FAILED;
        for (size_t i = 0; status == JOBQ_OK && i < page.item_count; i++)
            for (size_t j = 0; j < want->row_count; j++)
                if (memcmp(&rows[j].id, &page.items[i].as.row.row.id, sizeof rows[j].id) == 0)
                    rows[j].overdue = page.items[i].as.row.swept;
        page.after = page.last;
    } while (status == JOBQ_OK && page.item_count);
    return status;
}

/* The same request again: nothing is done. Its answer is kept here, for the model comes and goes. 1 it was one. */
static int repeat(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    const struct jobq_id *ids;
    struct jobq_token token;
    struct jobq_query query;
    size_t count;
    int status = JOBQ_OK;
    if (!jobq_receipt_answer(s->receipt, x, &ids, &count, &token))
        return 0;
    for (size_t i = 0; status == JOBQ_OK && i < x->change_count; i++) {
        struct jobq_change *change = &x->changes[i];
        if (change->verdict == JOBQ_OK && !(change->set & JOBQ_SET_LEASE))
            continue;
        status = read_ids(s, &change->id, 1, 0, &query, arena, err);
        change->row = status == JOBQ_OK && query.row_count ? query.rows : NULL;
    }
    if (status == JOBQ_OK && x->want)
        status = view_claimed(s, x->want, ids, count, &token, arena, err);
    x->unit = status == JOBQ_OK ? JOBQ_OK : JOBQ_UNKNOWN;
    return 1;
}

static int refuse(struct jobq_exchange *x, int status)
{
    x->failure = JOBQ_FAILURE_TRANSIENT;
    x->guilty_change = x->guilty_put = -1;
    x->want_unit = JOBQ_SKIPPED;
    return x->unit = status;
}

static int plain_exchange(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena,
                          struct jobq_error *err)
{
    const int writes = x->beat_count || x->change_count || x->put_count || x->worker;
    uint64_t number = x->number;
    if (refuse_inspector(s, err) != JOBQ_OK)
        return refuse(x, JOBQ_FAILED);
    for (size_t i = 0; i < x->put_count; i++)
        if (x->puts[i].unique && x->puts[i].unique->conflict == JOBQ_CONFLICT_SUCCESSOR) {
            refuse(x, jobq_error_set(err, JOBQ_FAILED, NULL, "plain: successors are not supported"));
            x->failure = JOBQ_FAILURE_REFUSED;
            x->guilty_put = (int32_t)i;
            return JOBQ_FAILED;
        }
    if (begin(s, err) != JOBQ_OK)
        return refuse(x, JOBQ_FAILED);
    int repeated = repeat(s, x, arena, err);
    if (!repeated) {
        x->number = 0; /* the model need not remember it */
        jobq_memory()->exchange(s->model, x, arena, err);
        x->number = number;
    }
    int status = end(s, x->unit, !repeated && (writes || (x->want && x->want->row_count)), err);
    if (status != x->unit)
        return refuse(x, status);
    if (!repeated && status == JOBQ_OK)
        s->receipt = jobq_receipt_keep(s->receipt, x);
    return status;
}

/* ---- the other operations ------------------------------------------------------------------------------------ */

static int plain_read(struct jobq_store *s, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err)
{
    int status = begin(s, err);
    return status != JOBQ_OK ? status : end(s, jobq_memory()->read(s->model, query, arena, err), 0, err);
}

static int plain_schedules(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                           struct jobq_error *err)
{
    int status = begin(s, err);
    return status != JOBQ_OK ? status : end(s, jobq_memory()->schedules(s->model, query, arena, err), 0, err);
}

static int plain_configure(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err)
{
    if (refuse_inspector(s, err) != JOBQ_OK || begin(s, err) != JOBQ_OK)
        return JOBQ_FAILED;
    const uint32_t limits = JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_GROUP_CONCURRENCY;
    bool foreign = settings->what > JOBQ_CONFIGURE_SCHEDULE || settings->what == JOBQ_CONFIGURE_GROUP ||
                   (settings->what == JOBQ_CONFIGURE_QUEUE && settings->set & limits);
    int status = foreign ? jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "plain: limits of groups are not supported")
                         : jobq_memory()->configure(s->model, settings, err);
    if (status == JOBQ_OK && settings->what == JOBQ_CONFIGURE_CLOCK)
        s->header.ahead_ms = jobq_add_ms(s->header.ahead_ms, settings->clock_ms);
    return end(s, status, 1, err);
}

/* How many workers a file names. */
static uint64_t count_workers(const char *folder, const char *file)
{
    static const char begin_of[] = "{\"item\":\"worker\"";
    char path[PATH_BYTES], *line = NULL;
    size_t room = 0;
    uint64_t count = 0;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "re");
    while (f && getline(&line, &room, f) > 0)
        count += strncmp(line, begin_of, sizeof begin_of - 1) == 0;
    free(line);
    if (f)
        fclose(f);
    return count;
}

/* The other files of the folder. */
static int list_namespaces(struct jobq_store *s, struct jobq_stats *out, struct jobq_arena *arena)
{
    struct jobq_namespace_stats *list = NULL;
    DIR *folder = opendir(s->folder);
    int good = folder != NULL;
    out->namespace_count = 0;
    for (struct dirent *entry; good && (entry = readdir(folder)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        size_t size = dot ? (size_t)(dot - entry->d_name) : 0, n = out->namespace_count;
        if (!dot || strcmp(dot, ".plain") != 0 ||
            (strlen(s->name_space) == size && memcmp(s->name_space, entry->d_name, size) == 0))
            continue;
        struct jobq_namespace_stats *more = jobq_arena_alloc(arena, (n + 1) * sizeof *more);
        good = more && (!n || memcpy(more, list, n * sizeof *more)) &&
               (more[n].name = jobq_arena_text(arena, entry->d_name, size)) != NULL;
        if (good)
            more[out->namespace_count++].workers = count_workers(s->folder, entry->d_name);
        list = more;
    }
    if (folder)
        closedir(folder);
    out->namespaces = list;
    return good ? JOBQ_OK : JOBQ_FAILED;
}

static int plain_stats(struct jobq_store *s, const struct jobq_bytes *queue, struct jobq_stats *out,
                       struct jobq_arena *arena, struct jobq_error *err)
{
    int status = begin(s, err);
    if (status == JOBQ_OK)
        status = end(s, jobq_memory()->stats(s->model, queue, out, arena, err), 0, err);
    if (status == JOBQ_OK && list_namespaces(s, out, arena) != JOBQ_OK)
        status = jobq_error_set(err, JOBQ_FAILED, NULL, "%s: cannot be listed", s->folder);
    out->engine = "plain";
    out->durability = "a file that is replaced whole and synced with every change";
    out->address = jobq_arena_text(arena, s->file.path, strlen(s->file.path));
    out->name_space = jobq_arena_text(arena, s->name_space, strlen(s->name_space));
    out->schema_version = out->schema_known = 1;
    for (size_t i = 0; i < sizeof out->store_id; i++) {
        unsigned byte = 0;
        sscanf(s->header.id + 2 * i, "%2x", &byte);
        out->store_id[i] = (uint8_t)byte;
    }
    return status;
}

/* ---- open and close ------------------------------------------------------------------------------------------ */

static void plain_close(struct jobq_store *s)
{
    if (!s)
        return;
    jobq_memory()->close(s->model);
    jobq_receipt_free(s->receipt);
    if (s->file.lock_fd >= 0)
        close(s->file.lock_fd);
    free(s->folder);
    free(s->name_space);
    free(s);
}

/* An empty store, if there is none; several processes may begin at once. */
static int make_file(struct jobq_store *s, struct jobq_error *err)
{
    uint8_t random[16];
    struct stat there;
    if (stat(s->file.path, &there) == 0)
        return JOBQ_OK;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "plain: no random bytes");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(s->header.id + 2 * i, 3, "%02x", random[i]);
    s->header.generation = clock_ms(CLOCK_REALTIME); /* not that of a store that was here before */
    return save(s, err) == JOBQ_OK ? JOBQ_OK : JOBQ_UNREACHABLE;
}

static int open_parsed(struct jobq_store *s, const struct jobq_uri *uri, uint32_t flags, struct jobq_error *err)
{
    char path[PATH_BYTES - 16];
    int create = !(flags & (JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT));
    if (strcmp(uri->scheme, "plain") != 0 || !uri->path[0] || uri->option_count)
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: the plain store is \"plain:FOLDER\"");
    if ((size_t)snprintf(path, sizeof path, "%s/%s.plain", uri->path, uri->name_space) >= sizeof path)
        return jobq_error_set(err, JOBQ_INVALID, "uri", "uri: the folder's name is too long");
    s->folder = strdup(uri->path);
    s->name_space = strdup(uri->name_space);
    if (!s->folder || !s->name_space)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "plain: out of memory");
    if (create && mkdir(s->folder, 0700) != 0 && errno != EEXIST)
        return jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "%s: %s", s->folder, strerror(errno));
    int status = file_open(&s->file, path, create, err);
    if (status != JOBQ_OK || (status = file_lock(&s->file, s->io_timeout_ms, err)) != JOBQ_OK)
        return status == JOBQ_FAILED ? JOBQ_UNREACHABLE : status;
    if (create)
        status = make_file(s, err);
    if (status == JOBQ_OK)
        status = catch_up(s, err);
    flock(s->file.lock_fd, LOCK_UN);
    return status;
}

/* After a failed open nothing is left. */
static int plain_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_store *s = calloc(1, sizeof *s);
    struct jobq_uri uri;
    int status = arena && s ? jobq_uri_parse(arena, options->uri, &uri, err)
                            : jobq_error_set(err, JOBQ_NOMEM, NULL, "plain: out of memory");
    *out = NULL;
    if (s) {
        s->file.lock_fd = -1;
        s->io_timeout_ms = options->io_timeout_ms;
        s->inspect = (options->flags & JOBQ_OPEN_INSPECT) != 0;
    }
    if (status == JOBQ_OK)
        status = open_parsed(s, &uri, options->flags, err);
    jobq_arena_destroy(arena);
    if (status != JOBQ_OK) {
        if (err)
            err->status = status;
        plain_close(s);
        return status;
    }
    *out = s;
    return JOBQ_OK;
}

const struct jobq_backend *plain_store(void)
{
    static const struct jobq_backend table = {
        .size = sizeof table,
        .name = "plain",
        .capabilities = JOBQ_CAP_EDGES | JOBQ_CAP_KEY_MODES | JOBQ_CAP_SCHEDULES,
        .open = plain_open,
        .close = plain_close,
        .exchange = plain_exchange,
        .read = plain_read,
        .stats = plain_stats,
        .configure = plain_configure,
        .schedules = plain_schedules,
    };
    return &table;
}
