/* SPDX-License-Identifier: MIT */
/* Postgres can name a row as a whole, so the store has functions for all tables, and one call follows a
 * table. */
#include "outbox.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libpq refuses the options of the store's own. */
static char *own_options_removed(const char *uri)
{
    static const char *const own[] = {"namespace=", "notify=", "listen="};
    char *text = strdup(uri), *at = text ? strchr(text, '?') : NULL;

    while (at && *at) {
        int ours = 0;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
            ours |= strncmp(at + 1, own[i], strlen(own[i])) == 0;
        }
        char *next = at + 1 + strcspn(at + 1, "&");
        if (!ours) {
            at = next;
        } else if (*next) {
            memmove(at + 1, next + 1, strlen(next + 1) + 1);
        } else {
            *at = 0;
        }
    }
    return text;
}

static void add_literal(FILE *out, const char *text)
{
    if (!text) {
        fputs("NULL", out);
        return;
    }
    fputs(strchr(text, '\\') ? "E'" : "'", out);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') {
            putc(*text, out);
        }
        putc(*text, out);
    }
    putc('\'', out);
}

/* The namespace has letters, digits and _ only, but may be a word of SQL. */
static char *compose(const struct outbox *o)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out) {
        return NULL;
    }
    fprintf(out, "SELECT \"%s\".outbox(", o->name_space);
    add_literal(out, o->table);
    fputs(", ", out);
    add_literal(out, o->queue);
    fputs(", ", out);
    add_literal(out, o->column);
    fputs(");\n", out);
    if (fclose(out) != 0) {
        free(text);
        text = NULL;
    }
    return text;
}

static int run_sql(struct cli *cli, struct outbox *o, PGconn *conn)
{
    PGresult *result = PQexec(conn, o->sql);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    int code = LEAVE_OK;

    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        code = LEAVE_OK;
    } else if (state && (strcmp(state, "42703") == 0 || strcmp(state, "22023") == 0)) {
        code = leave_usage(cli, strncmp(words, "queue", 5) == 0 ? "queue" : "column", "%s", words);
    } else if (state && strcmp(state, "42P01") == 0) {
        code = leave_error(cli, JOBQ_NOT_FOUND, "table", "%s", words);
    } else {
        code = leave_error(cli, JOBQ_FAILED, "table", "%s", words ? words : PQerrorMessage(conn));
    }
    PQclear(result);
    return code;
}

int outbox_postgres(struct cli *cli, struct outbox *o)
{
    char *address = own_options_removed(cli->uri);
    PGconn *conn = NULL;
    int code = LEAVE_OK;

    o->sql = compose(o);
    if (!address || !o->sql) {
        code = leave_error(cli, JOBQ_NOMEM, "", "out of memory");
    } else if (!o->dry_run) {
        conn = PQconnectdb(address);
        code = PQstatus(conn) == CONNECTION_OK
                   ? run_sql(cli, o, conn)
                   : leave_error(cli, JOBQ_UNREACHABLE, "store", "the server cannot be reached once more");
    }
    PQfinish(conn);
    free(address);
    return code;
}
