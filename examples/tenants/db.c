/* SPDX-License-Identifier: MIT */
#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_inner.h"

/* ---- addresses ----------------------------------------------------------------------------------------- */

static const char *const store_options[] = {"namespace", "notify", "listen", "synchronous"};

static int is_store_option(const char *text, size_t size)
{
    for (size_t i = 0; i < sizeof(store_options) / sizeof(store_options[0]); i++) {
        size_t length = strlen(store_options[i]);
        if (size > length && strncmp(text, store_options[i], length) == 0 && text[length] == '=')
            return 1;
    }
    return 0;
}

char *db_plain_address(const char *uri)
{
    size_t head = strcspn(uri, "?");
    char *out = malloc(strlen(uri) + 1), *end;
    char mark = '?';

    if (!out)
        return NULL;
    memcpy(out, uri, head);
    end = out + head;
    for (const char *part = uri + head; *part;) {
        size_t size = strcspn(++part, "&");
        if (size > 0 && !is_store_option(part, size)) {
            *end++ = mark;
            mark = '&';
            memcpy(end, part, size);
            end += size;
        }
        part += size;
    }
    *end = '\0';
    return out;
}

char *db_option(const char *uri, const char *name, const char *other)
{
    size_t length = strlen(name);
    const char *part = strchr(uri, '?');

    while (part) {
        if (strncmp(++part, name, length) == 0 && part[length] == '=')
            return strndup(part + length + 1, strcspn(part + length + 1, "&"));
        part = strchr(part, '&');
    }
    return strdup(other);
}

static const struct db_kind *kind_of(const char *uri)
{
#ifdef SERVICE_SQLITE
    if (strncmp(uri, "sqlite:", 7) == 0)
        return &db_sqlite;
#endif
#ifdef SERVICE_POSTGRES
    if (strncmp(uri, "postgres", 8) == 0)
        return &db_postgres;
#endif
    (void)uri;
    return NULL;
}

int db_is_transactional(const char *uri)
{
    return kind_of(uri) != NULL;
}

int db_is_same(const char *uri, const char *other)
{
    char *one = db_plain_address(uri), *two = db_plain_address(other);
    int same = one && two && kind_of(uri) && strcmp(one, two) == 0;

    free(one);
    free(two);
    return same;
}

/* ---- connections --------------------------------------------------------------------------------------- */

struct db *db_open(const char *uri, char why[300])
{
    struct db *db = calloc(1, sizeof(*db));
    char *address = db_plain_address(uri);

    snprintf(why, 300, "%s", "the tables live in sqlite:FILE or postgres://...");
    if (db && address && (db->kind = kind_of(uri)) != NULL) {
        if (db->kind->open(db, address) == 0) {
            free(address);
            return db;
        }
        snprintf(why, 300, "%s", db->error);
        db->kind->close(db);
    }
    free(address);
    free(db);
    return NULL;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    db->kind->close(db);
    free(db);
}

const char *db_error(const struct db *db)
{
    return db->error;
}

int db_run(struct db *db, const char *sql, size_t count, const char *const *values)
{
    return db->kind->run(db, sql, count, values);
}

long db_each(struct db *db, const char *sql, size_t count, const char *const *values, db_row fn, void *user)
{
    return db->kind->each(db, sql, count, values, fn, user);
}

struct jobq *db_attach(struct db *db, const char *store_uri, const struct jobq_options *options,
                       char why[300])
{
    char *space = db_option(store_uri, "namespace", "jobq");
    struct jobq *out = NULL;

    if (!space || db->kind->attach(db, space, options, &out) != JOBQ_OK)
        snprintf(why, 300, "%.299s", jobq_last_error()->text);
    free(space);
    return out;
}

int db_begin(struct db *db)
{
    return db_run(db, db->kind->begin, 0, NULL) < 0 ? -1 : 0;
}

int db_commit(struct db *db)
{
    return db_run(db, "COMMIT", 0, NULL) < 0 ? -1 : 0;
}

void db_rollback(struct db *db)
{
    db_run(db, "ROLLBACK", 0, NULL);
}

/* ---- tables -------------------------------------------------------------------------------------------- */

static const char *const tables[] = {
    "CREATE TABLE IF NOT EXISTS tenants (id text PRIMARY KEY, plan text NOT NULL, zone text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS webhooks (id text PRIMARY KEY, tenant_id text NOT NULL, event text NOT NULL,"
    " url text NOT NULL, secret text NOT NULL, active integer NOT NULL DEFAULT 1)",
    "CREATE INDEX IF NOT EXISTS webhooks_of_event ON webhooks (tenant_id, event)",
    "CREATE TABLE IF NOT EXISTS webhook_deliveries (job_id text NOT NULL, webhook_id text NOT NULL,"
    " tenant_id text NOT NULL, attempt integer NOT NULL, status text NOT NULL, http_status integer,"
    " response_ms bigint, error text, at_ms bigint NOT NULL)",
    "CREATE INDEX IF NOT EXISTS webhook_deliveries_by_job ON webhook_deliveries (job_id)",
    "CREATE INDEX IF NOT EXISTS webhook_deliveries_by_time ON webhook_deliveries (at_ms)",
    "CREATE TABLE IF NOT EXISTS sent_emails (job_id text PRIMARY KEY, tenant_id text NOT NULL,"
    " recipient text NOT NULL, message_id text NOT NULL, sent_at_ms bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY, tenant_id text NOT NULL, customer text NOT "
    "NULL,"
    " item text NOT NULL, cents bigint NOT NULL, at_ms bigint NOT NULL)",
    "CREATE INDEX IF NOT EXISTS orders_of_tenant ON orders (tenant_id, at_ms)",
};

int db_make_tables(struct db *db)
{
    if (db_begin(db) != 0)
        return -1;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if (db_run(db, tables[i], 0, NULL) < 0) {
            char error[sizeof(db->error)];
            memcpy(error, db->error, sizeof(error));
            db_rollback(db);
            memcpy(db->error, error, sizeof(error));
            return -1;
        }
    return db_commit(db);
}
