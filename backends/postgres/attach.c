/* SPDX-License-Identifier: MIT */
/* The store inside a transaction that the program has open on its own connection. The functions of the schema are the same;
 * what is different is who begins and ends. The connection is the program's: what waits on it waits as the program's own
 * statements do, and it is never closed here. */
#include "store.h"

#include <jobq/postgres.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- statements on the program's connection ------------------------------------------------------------------------ */

static int plain(PGconn *conn, const char *text, struct fault *fault)
{
    PGresult *result = PQexec(conn, text);
    int status = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK ? 0 : -1;
    if (status != 0)
        pq_fault_result(fault, result);
    PQclear(result);
    return status;
}

static PGresult *with_parameters(PGconn *conn, const struct call *call, struct fault *fault)
{
    const struct params *p = call->params;
    const char *values[PARAMS_MAX];
    int formats[PARAMS_MAX];
    if (p->broken) {
        pq_fault_set(fault, FAULT_MEMORY, "out of memory");
        return NULL;
    }
    for (int i = 0; i < p->count; i++) {
        values[i] = p->length[i] < 0 ? NULL : p->data + p->start[i];
        formats[i] = 1;
    }
    PGresult *result = PQexecParams(conn, call->text, p->count, NULL, values, p->length, formats, 1);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return result;
    pq_fault_result(fault, result);
    PQclear(result);
    return NULL;
}

/* ---- a unit -------------------------------------------------------------------------------------------------------- */

int pq_attach_ready(struct jobq_store *s, struct fault *fault)
{
    PGconn *conn = s->link.conn;
    const char *why = NULL;
    if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF)
        why = "the program's connection is in pipeline mode";
    else if (PQtransactionStatus(conn) == PQTRANS_INERROR)
        why = "the program's transaction has failed: roll it back";
    else if (PQtransactionStatus(conn) != PQTRANS_INTRANS)
        why = "no transaction is open on the program's connection";
    if (why)
        pq_fault_set(fault, FAULT_UNSENT, "%s", why);
    return why ? -1 : 0;
}

/* All of it or nothing, and what the program did before stays. */
int pq_attach_run(struct jobq_store *s, struct transaction *t)
{
    struct fault ignored = { 0 };
    PGconn *conn = s->link.conn;
    if (plain(conn, "SAVEPOINT jobq_unit", &t->fault) != 0)
        return -1;
    t->calls[0].result = with_parameters(conn, &t->calls[0], &t->fault);
    if (t->calls[0].result)
        return plain(conn, "RELEASE SAVEPOINT jobq_unit", &t->fault);
    /* Nothing was committed, so nothing is unknown: the transaction decides. */
    if (t->fault.kind == FAULT_LOST)
        t->fault.kind = FAULT_UNSENT;
    if (plain(conn, "ROLLBACK TO SAVEPOINT jobq_unit", &ignored) == 0)
        plain(conn, "RELEASE SAVEPOINT jobq_unit", &ignored);
    return -1;
}

/* A transaction that has failed cannot be committed: so it is made to fail. */
void pq_attach_bar(struct jobq_store *s)
{
    struct fault ignored = { 0 };
    if (PQtransactionStatus(s->link.conn) == PQTRANS_INTRANS)
        plain(s->link.conn,
              "DO $$ BEGIN RAISE EXCEPTION 'an outcome handed in within this transaction did not count: roll it back'"
              " USING ERRCODE = 'JQ001'; END $$",
              &ignored);
}

/* ---- attaching ------------------------------------------------------------------------------------------------------ */

struct wish {
    PGconn *conn;
    const char *name_space;
};

static int take_name(struct jobq_store *s, const char *name_space, struct jobq_error *err)
{
    char text[300];
    if (strlen(name_space) > 200)
        return jobq_error_set(err, JOBQ_INVALID, "namespace", "namespace: longer than %d letters", NAME_SPACE_ROOM - 1);
    snprintf(text, sizeof text, "postgres:///?namespace=%s", name_space);
    int status = pq_address_parse(&s->address, text, err);
    if (status == JOBQ_OK && strcmp(s->address.name_space, name_space) != 0)
        status = jobq_error_set(err, JOBQ_INVALID, "namespace", "namespace: letters, digits and '_'");
    const char *base = PQdb(s->link.conn);
    snprintf(s->address.shown, sizeof s->address.shown, "the program's connection to %.100s", base ? base : "?");
    return status;
}

static int check_connection(PGconn *conn, struct jobq_error *err)
{
    if (PQstatus(conn) != CONNECTION_OK)
        return jobq_error_set(err, JOBQ_UNREACHABLE, "conn", "conn: is not connected");
    if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF || PQtransactionStatus(conn) != PQTRANS_IDLE)
        return jobq_error_set(err, JOBQ_STATE, "conn", "conn: a transaction is open or a query under way: attach before it begins");
    if (PQserverVersion(conn) < 130000)
        return jobq_error_set(err, JOBQ_UNSUPPORTED, "conn", "conn: the server is older than version 13");
    return JOBQ_OK;
}

static int connect_to(struct jobq_store *s, const char *name_space, struct jobq_error *err)
{
    int status = check_connection(s->link.conn, err);
    if (status == JOBQ_OK)
        status = take_name(s, name_space, err);
    if (status != JOBQ_OK)
        return status;
    pq_store_begin(s);
    status = pq_store_prepare(s, err);
    return status == JOBQ_OK ? pq_schema_bring_up(s, 0, err) : status;
}

static int attach(struct jobq_store **out, void *user, int64_t io_timeout_ms, struct jobq_error *err)
{
    const struct wish *wish = user;
    struct jobq_store *s = pq_store_create(io_timeout_ms, err);
    if (!s)
        return JOBQ_NOMEM;
    s->attached = s->link.borrowed = true;
    s->link.conn = wish->conn;
    int status = connect_to(s, wish->name_space, err);
    if (status == JOBQ_OK) {
        *out = s;
        return JOBQ_OK;
    }
    pq_link_close(&s->link);
    pq_store_free(s);
    return status;
}

static int no_connection(struct jobq_store **out, void *user, int64_t io_timeout_ms, struct jobq_error *err)
{
    (void)out;
    (void)user;
    (void)io_timeout_ms;
    return jobq_error_set(err, JOBQ_INVALID, "conn", "conn: is NULL");
}

int jobq_postgres_attach(struct jobq **out, struct pg_conn *conn, const char *name_space,
                         const struct jobq_options *options)
{
    struct wish wish = { conn, name_space ? name_space : "jobq" };
    return jobq_attach_store(out, jobq_postgres(), conn ? attach : no_connection, &wish, options);
}
