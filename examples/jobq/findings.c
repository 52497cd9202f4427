/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "stats.h"

struct judge {
    const struct facts *facts;
    finding_sink *sink;
    void *user;
    size_t count;
};

/* ---- words; all of them to be freed, NULL without memory ---- */

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text_of(const char *format, ...)
{
    char *text = NULL;
    va_list list;
    int n;

    va_start(list, format);
    n = vasprintf(&text, format, list);
    va_end(list);
    return n < 0 ? NULL : text;
}

/* A word for the shell: bare when that is safe, otherwise in single quotes. */
static char *quote(const char *word)
{
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,";
    char *out, *at;

    if (word[0] && word[strspn(word, bare)] == 0) {
        return strdup(word);
    }
    out = at = malloc(strlen(word) * 4 + 3);
    if (!out) {
        return NULL;
    }
    *at++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') {
            memcpy(at, "'\\''", 4);
            at += 4;
        } else {
            *at++ = *word;
        }
    }
    memcpy(at, "'", 2);
    return out;
}

/* "jobq -s URI VERB WORD", or "jobq VERB WORD" when the environment names the store; WORD NULL for none. */
static char *jobq_command(const struct judge *judge, const char *verb, const char *word)
{
    char *uri = judge->facts->uri ? quote(judge->facts->uri) : NULL;
    char *quoted = word ? quote(word) : NULL;
    char *out = text_of("jobq %s%s%s%s%s%s", uri ? "-s " : "", uri ? uri : "", uri ? " " : "", verb,
                        quoted ? " " : "", quoted ? quoted : "");

    free(uri);
    free(quoted);
    return out;
}

/* Takes command and fact over. */
static void report(struct judge *judge, const char *name, char *command, char *fact)
{
    struct finding finding = {.name = name, .fact = fact ? fact : "", .command = command ? command : ""};

    judge->sink(&finding, judge->user);
    judge->count++;
    free(command);
    free(fact);
}

char *uri_namespace(const char *uri)
{
    const char *at = strchr(uri, '?');

    while (at) {
        at++;
        if (strncmp(at, "namespace=", 10) == 0) {
            return strndup(at + 10, strcspn(at + 10, "&"));
        }
        at = strchr(at, '&');
    }
    return strdup("jobq");
}

char *uri_with_namespace(const char *uri, const char *name_space)
{
    size_t n = strcspn(uri, "?");
    char *out = text_of("%.*s?namespace=%s", (int)n, uri, name_space);

    for (const char *option = uri[n] ? uri + n + 1 : NULL; option && out;) {
        size_t length = strcspn(option, "&");
        if (strncmp(option, "namespace=", 10) != 0 && length > 0) {
            char *longer = text_of("%s&%.*s", out, (int)length, option);
            free(out);
            out = longer;
        }
        option = option[length] ? option + length + 1 : NULL;
    }
    return out;
}

/* ---- the file ---- */

const char *network_fs(long magic, const char *type)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } kinds[] = {
        {0x6969, "NFS"},      {0x517B, "SMB"},        {0xFF534D42, "CIFS"},  {0xFE534D42, "SMB2"},
        {0x5346414F, "AFS"},  {0x6B414653, "AFS"},    {0x73757245, "Coda"},  {0x00C36400, "Ceph"},
        {0x01021997, "9P"},   {0x0BD00BD0, "Lustre"}, {0x7461636F, "OCFS2"}, {0x01161970, "GFS2"},
        {0x47504653, "GPFS"}, {0x19830326, "BeeGFS"},
    };
    static const char *const fuse[] = {"fuse.sshfs",   "fuse.glusterfs", "fuse.s3fs",      "fuse.rclone",
                                       "fuse.gcsfuse", "fuse.cephfs",    "fuse.ceph-fuse", "fuse.juicefs",
                                       "fuse.davfs",   "fuse.mfs"};

    /* statfs has the number as a signed one of either width. */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (((unsigned long)magic & 0xFFFFFFFFul) == kinds[i].magic) {
            return kinds[i].name;
        }
    }
    for (size_t i = 0; i < sizeof fuse / sizeof *fuse; i++) {
        if (strcmp(type, fuse[i]) == 0) {
            return fuse[i];
        }
    }
    return NULL;
}

static void judge_file(struct judge *judge)
{
    const struct machine *machine = judge->facts->machine;
    const char *network = network_fs(machine->fs_magic, machine->fs_type);

    for (size_t i = 0; i < machine->holder_count; i++) {
        const struct holder *h = &machine->holders[i];
        report(judge, "deleted-file", text_of("kill -TERM %d", (int)h->pid),
               text_of("process %d (%s) has a deleted %s of %s open: it works on another store than this "
                       "one; end it "
                       "and start it again",
                       (int)h->pid, h->name, h->log_only ? "write-ahead log" : "file", machine->path));
    }
    if (network) {
        char *file = quote(machine->path);
        report(judge, "network-file-system",
               text_of("mkdir -p /var/lib/jobq && mv %s /var/lib/jobq/", file ? file : ""),
               text_of("%s is on a network file system (%s), whose locks and shared memory cannot be relied "
                       "on; stop "
                       "all workers, then move it to a local disk",
                       machine->path, network));
        free(file);
    }
}

/* ---- the store ---- */

static size_t workers_alive(const struct jobq_stats *stats)
{
    size_t alive = 0;

    for (size_t i = 0; i < stats->worker_count; i++) {
        alive += stats_alive(stats, &stats->workers[i]) ? 1 : 0;
    }
    return alive;
}

static void report_namespace(struct judge *judge, const char *here, const char *there, uint64_t workers)
{
    char *uri = uri_with_namespace(judge->facts->uri_known, there);
    char *quoted = uri ? quote(uri) : NULL;

    report(judge, "other-namespace", text_of("export JOBQ_STORE=%s", quoted ? quoted : ""),
           text_of("nobody works in the namespace %s, but %" PRIu64 " worker%s in %s of the same store", here,
                   workers, workers == 1 ? " does" : "s do", there));
    free(uri);
    free(quoted);
}

/* The commonest reason for "nothing happens": workers and producers look at different stores. */
static void judge_namespaces(struct judge *judge)
{
    const struct jobq_stats *stats = judge->facts->stats;
    const char *absent = judge->facts->absent;
    size_t alive = workers_alive(stats);

    if (alive > 0 && !absent) {
        return;
    }
    if (alive > 0) {
        report_namespace(judge, absent, stats->name_space, alive);
    }
    for (size_t i = 0; i < stats->namespace_count; i++) {
        const struct jobq_namespace_stats *other = &stats->namespaces[i];
        if (other->workers > 0) {
            report_namespace(judge, absent ? absent : stats->name_space, other->name, other->workers);
        }
    }
}

static void judge_schema(struct judge *judge)
{
    const struct jobq_stats *stats = judge->facts->stats;

    if (stats->schema_version > stats->schema_known) {
        report(judge, "newer-schema", text_of("jobq version"),
               text_of("the store has schema %d, this jobq %s knows %d at most; install a newer one",
                       stats->schema_version, jobq_version(), stats->schema_known));
    } else if (stats->schema_version < stats->schema_known) {
        report(judge, "older-schema", jobq_command(judge, "sweep", NULL),
               text_of("the store has schema %d, this jobq writes %d; the first command that writes brings "
                       "it up to date",
                       stats->schema_version, stats->schema_known));
    }
}

static void judge_queues(struct judge *judge)
{
    const struct jobq_stats *stats = judge->facts->stats;

    for (size_t i = 0; i < stats->queue_count; i++) {
        const struct jobq_queue_stats *q = &stats->queues[i];
        uint64_t waiting = q->present[JOBQ_READY] + q->present[JOBQ_SCHEDULED];
        if (q->paused && waiting > 0) {
            report(judge, "paused", jobq_command(judge, "resume", q->queue),
                   text_of("queue %s is paused and %" PRIu64 " job%s in it", q->queue, waiting,
                           waiting == 1 ? " waits" : "s wait"));
        }
    }
}

/* Is `word` one of the words between commas? */
static int listed(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == 0)) {
            return 1;
        }
    }
    return 0;
}

static int somebody_works(const struct jobq_stats *stats, const struct jobq_kind_stats *kind)
{
    for (size_t i = 0; i < stats->worker_count; i++) {
        const struct jobq_worker_stats *w = &stats->workers[i];
        if (stats_alive(stats, w) && listed(w->queues, kind->queue) &&
            (w->kinds[0] == 0 || listed(w->kinds, kind->kind))) {
            return 1;
        }
    }
    return 0;
}

static void judge_kinds(struct judge *judge)
{
    const struct jobq_stats *stats = judge->facts->stats;

    for (size_t i = 0; i < stats->kind_count; i++) {
        const struct jobq_kind_stats *k = &stats->kinds[i];
        if (k->ready > 0 && !somebody_works(stats, k)) {
            char *work = jobq_command(judge, "work", k->queue), *kind = quote(k->kind);
            report(
                judge, "nobody-works", text_of("%s --kind %s -- COMMAND", work ? work : "", kind ? kind : ""),
                text_of("%" PRIu64 " job%s of kind %s %s ready in queue %s and no worker takes that kind",
                        k->ready, k->ready == 1 ? "" : "s", k->kind, k->ready == 1 ? "is" : "are", k->queue));
            free(work);
            free(kind);
        }
    }
}

/* The id of a job in that queue whose lease has passed; "" when none is at hand. */
static void example_of(const struct jobq_jobs *stuck, const char *queue, char out[33])
{
    out[0] = 0;
    for (size_t i = 0; stuck && i < stuck->count; i++) {
        if (stuck->jobs[i].stuck && strcmp(stuck->jobs[i].queue, queue) == 0) {
            jobq_id_format(&stuck->jobs[i].id, out);
            return;
        }
    }
}

static void judge_leases(struct judge *judge)
{
    const struct jobq_stats *stats = judge->facts->stats;

    for (size_t i = 0; i < stats->queue_count; i++) {
        const struct jobq_queue_stats *q = &stats->queues[i];
        char id[33];
        if (q->stuck == 0) {
            continue;
        }
        example_of(judge->facts->stuck, q->queue, id);
        report(judge, "lease-past", jobq_command(judge, "sweep", NULL),
               text_of("%" PRIu64
                       " job%s of queue %s %s a lease that has passed%s%s: the worker died or hangs",
                       q->stuck, q->stuck == 1 ? "" : "s", q->queue, q->stuck == 1 ? "has" : "have",
                       id[0] ? ", such as " : "", id));
    }
}

static void judge_log(struct judge *judge)
{
    const struct jobq_stats *stats = judge->facts->stats;

    if (stats->log_bytes > judge->facts->log_max_bytes) {
        report(
            judge, "large-log", jobq_command(judge, "sweep", NULL),
            text_of("the write-ahead log has %" PRId64 " bytes, more than %" PRId64
                    ": a reader may hold it; stop "
                    "every process that has the store open, then the next one to close it folds the log in",
                    stats->log_bytes, judge->facts->log_max_bytes));
    }
}

static void judge_zones(struct judge *judge)
{
    if (judge->facts->machine->zones_missing) {
        report(judge, "no-time-zones", text_of("apt-get install tzdata"),
               text_of("there is no time zone data in %s; schedules in a zone cannot be computed",
                       judge->facts->machine->zones));
    }
}

size_t findings_judge(const struct facts *facts, finding_sink *sink, void *user)
{
    struct judge judge = {.facts = facts, .sink = sink, .user = user};

    judge_file(&judge);
    if (facts->stats) {
        judge_namespaces(&judge);
    }
    if (facts->stats && !facts->absent) {
        judge_schema(&judge);
        judge_leases(&judge);
        judge_queues(&judge);
        judge_kinds(&judge);
        judge_log(&judge);
    }
    judge_zones(&judge);
    return judge.count;
}
