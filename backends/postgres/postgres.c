/* SPDX-License-Identifier: MIT */
/* The Postgres store: its table, open and close. What an exchange does stands in functions/unit.sql and functions/want.sql;
 * exchange.c sends both in one round trip. */
#include "store.h"

#include <jobq/postgres.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SQL_TEXTS
#include "statements.h"

/* ---- names in texts ------------------------------------------------------------------------------------------- */

enum word {
    WORD_DOT,
    WORD_SCHEMA,
    WORD_NAME,
    WORD_CHANNEL,
    WORD_LOCK,
    WORD_BOUNDS,
    WORD_FEW,
    WORD_MOST,
    WORD_VERSION,
    WORD_COUNT
};

static void put_word(const struct jobq_store *s, enum word word, FILE *out)
{
    const char *name = s->address.name_space;
    switch (word) {
    case WORD_DOT:
        fprintf(out, "\"%s\".", name);
        break;
    case WORD_SCHEMA:
        fprintf(out, "\"%s\"", name);
        break;
    case WORD_NAME:
        fputs(name, out);
        break;
    case WORD_CHANNEL:
        fprintf(out, "jobq:%s", name);
        break;
    case WORD_LOCK:
        fprintf(out, "%" PRId64, s->lock_key);
        break;
    case WORD_BOUNDS: /* what is not less belongs to the next bucket */
        for (int i = 0; i < JOBQ_DURATION_BUCKETS - 1; i++)
            fprintf(out, "%s%" PRId64, i ? "," : "", jobq_duration_bound(i));
        break;
    case WORD_FEW:
        fprintf(out, "%d", BATCH_FEW);
        break;
    case WORD_MOST:
        fprintf(out, "%d", BATCH_MOST);
        break;
    default:
        fprintf(out, "%d", SCHEMA_VERSION);
        break;
    }
}

static enum word word_at(const char *text, size_t *length)
{
    static const char *const words[] = { "@.", "@SCHEMA", "@NAME", "@CHANNEL", "@LOCK", "@BOUNDS", "@FEW", "@MOST",
                                         "@VERSION" };
    for (int i = 0; i < WORD_COUNT; i++) {
        *length = strlen(words[i]);
        if (strncmp(text, words[i], *length) == 0)
            return (enum word)i;
    }
    return WORD_COUNT;
}

static void fill_in(const struct jobq_store *s, const char *text, FILE *out)
{
    while (*text) {
        size_t length;
        enum word word = word_at(text, &length);
        if (word == WORD_COUNT) {
            putc(*text++, out);
        } else {
            put_word(s, word, out);
            text += length;
        }
    }
}

char *pq_text(const struct jobq_store *s, const char *before, const char *text, const char *after)
{
    char *filled = NULL;
    size_t size;
    FILE *out = open_memstream(&filled, &size);
    if (!out)
        return NULL;
    fill_in(s, before, out);
    fill_in(s, text, out);
    fill_in(s, after, out);
    if (fclose(out) == 0)
        return filled;
    free(filled);
    return NULL;
}

static int fill_statements(struct jobq_store *s)
{
    for (int i = 0; i < SQL_COUNT; i++)
        if (!(s->sql[i] = pq_text(s, "", sql_texts[i], "")))
            return -1;
    return 0;
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

void pq_store_begin(struct jobq_store *s)
{
    s->link.deadline_us = pq_now_us() + s->io_timeout_ms * 1000;
}

/* A pooler invents the number that it tells us; the server knows its own. */
static int ask_who_answers(struct jobq_store *s, struct fault *fault)
{
    PGresult *result = pq_link_query(&s->link, "SELECT pg_catalog.pg_backend_pid()", fault);
    if (!result)
        return -1;
    int pid = PQntuples(result) ? (int)strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    s->pooled = pid != PQbackendPID(s->link.conn);
    s->link.direct = !s->pooled;
    atomic_store(&s->backend_pid, s->pooled ? 0 : pid);
    return 0;
}

/* A session that is used again and again need not read the same statements each time. */
static int prepare(struct jobq_store *s, struct fault *fault)
{
    static const struct {
        const char *name;
        enum sql text;
    } known[] = { { "; PREPARE jobq_unit AS ", SQL_UNIT }, { "; PREPARE jobq_want AS ", SQL_WANT },
                  { "; PREPARE jobq_one AS ", SQL_ONE }, { "; PREPARE jobq_one_put AS ", SQL_ONE_PUT },
                  { "; PREPARE jobq_plain_puts AS ", SQL_PLAIN_PUTS } };
    char *all = pq_text(s, "", "", "");
    for (size_t i = 0; i < sizeof known / sizeof *known && all; i++) {
        char *more = pq_text(s, all, known[i].name, s->sql[known[i].text]);
        free(all);
        all = more;
    }
    PGresult *result = all ? pq_link_query(&s->link, all, fault) : NULL;
    s->link.prepared = result != NULL;
    PQclear(result);
    free(all);
    return s->link.conn ? 0 : -1; /* without them it works too */
}

#define WORTH_PREPARING 3 /* operations of a handle */

int pq_store_connect(struct jobq_store *s, struct fault *fault)
{
    if (s->attached)
        return pq_attach_ready(s, fault);
    s->operations++;
    if (pq_link_usable(&s->link)) {
        bool again = s->link.direct && !s->link.prepared && !s->inspect && s->operations > WORTH_PREPARING;
        if (!again || prepare(s, fault) == 0)
            return 0;
        if (fault->kind == FAULT_LOST)
            fault->kind = FAULT_UNSENT;
        return -1;
    }
    pq_front_forget(&s->front); /* of what may have been another server */
    if (pq_link_connect(&s->link, &s->address, fault) != 0)
        return -1;
    if (ask_who_answers(s, fault) == 0)
        return 0;
    if (fault->kind == FAULT_LOST)
        fault->kind = FAULT_UNSENT;
    pq_link_close(&s->link);
    return -1;
}

/* ---- open and close ------------------------------------------------------------------------------------------------ */

/* Locks of this kind are shared by all programs of a database: the number is drawn from the name, and is ours by being long. */
static int64_t lock_key_of(const char *name_space)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    const char *const parts[] = { "libjobq lock of namespace ", name_space };
    for (int i = 0; i < 2; i++)
        for (const char *c = parts[i]; *c; c++)
            hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
    return (int64_t)(hash >> 2 << 3);
}

int pq_store_prepare(struct jobq_store *s, struct jobq_error *err)
{
    s->lock_key = lock_key_of(s->address.name_space);
    return fill_statements(s) == 0 ? JOBQ_OK : jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
}

static int connect_store(struct jobq_store *s, uint32_t flags, struct jobq_error *err)
{
    struct fault fault = { 0 };
    int status = pq_store_prepare(s, err);
    if (status != JOBQ_OK)
        return status;
    pq_store_begin(s);
    if (pq_store_connect(s, &fault) != 0)
        return pq_fault_report(s, &fault, err, fault.kind == FAULT_MEMORY ? JOBQ_NOMEM : JOBQ_UNREACHABLE);
    return pq_schema_bring_up(s, flags, err);
}

void pq_store_free(struct jobq_store *s)
{
    for (int i = 0; i < SQL_COUNT; i++)
        free(s->sql[i]);
    pq_arrivals_free(&s->arrivals);
    pq_front_forget(&s->front);
    pq_address_free(&s->address);
    pthread_mutex_destroy(&s->listen_lock);
    free(s);
}

struct jobq_store *pq_store_create(int64_t io_timeout_ms, struct jobq_error *err)
{
    struct jobq_store *s = calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->listen_lock, NULL) != 0) {
        free(s);
        jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
        return NULL;
    }
    s->pid = getpid();
    s->io_timeout_ms = io_timeout_ms > 0 ? io_timeout_ms : 30000;
    return s;
}

static int postgres_open(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    struct jobq_store *s = pq_store_create(options->io_timeout_ms, err);
    *out = NULL;
    if (!s)
        return JOBQ_NOMEM;
    s->inspect = options->flags & JOBQ_OPEN_INSPECT;
    int status = PQisthreadsafe() ? pq_address_parse(&s->address, options->uri, err)
                                  : jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "postgres: this libpq is not for threads");
    if (status == JOBQ_OK)
        status = connect_store(s, options->flags, err);
    if (status == JOBQ_OK) {
        *out = s;
        return JOBQ_OK;
    }
    pq_link_close(&s->link);
    pq_store_free(s);
    return status;
}

static void postgres_close(struct jobq_store *s)
{
    if (!s)
        return;
    bool forked = s->pid != getpid();
    pq_wake_close(s, forked);
    if (forked)
        pq_link_forget(&s->link);
    else
        pq_link_close(&s->link);
    pq_store_free(s);
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

const struct jobq_backend *jobq_postgres(void)
{
    static const struct jobq_backend table = {
        .size = sizeof table,
        .name = "postgres",
        .capabilities = JOBQ_CAP_EDGES | JOBQ_CAP_KEY_MODES | JOBQ_CAP_SUCCESSOR | JOBQ_CAP_SCHEDULES | JOBQ_CAP_WAKE |
                        JOBQ_CAP_ATTACH | JOBQ_CAP_EVENTS | JOBQ_CAP_FIGURES | JOBQ_CAP_COPY | JOBQ_CAP_GROUPS |
                        JOBQ_CAP_LOG | JOBQ_CAP_RESULTS | JOBQ_CAP_PARALLEL,
        .open = postgres_open,
        .close = postgres_close,
        .exchange = pq_exchange_run,
        .read = pq_read_rows,
        .stats = pq_stats_fill,
        .configure = pq_configure_store,
        .wake_fd = pq_wake_fd_of,
        .wake_drain = pq_wake_drain_of,
        .wake = pq_wake_others,
        .limits = pq_limits_read,
        .dump = pq_dump,
        .load = pq_load,
        .events = pq_events_read,
        .schedules = pq_schedules_read,
    };
    return &table;
}
