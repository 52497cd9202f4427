/* SPDX-License-Identifier: MIT */
/* One connection. Everything waits for its descriptor with the operation's deadline; a connection that was not read to the
 * end of its answer is closed, so that no later answer can be taken for it. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t pq_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- faults ------------------------------------------------------------------------------------------------- */

/* One line. */
static void flatten(char *text)
{
    size_t end = strlen(text);
    while (end && (text[end - 1] == '\n' || text[end - 1] == ' '))
        text[--end] = 0;
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

void pq_fault_set(struct fault *fault, enum fault_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *fault = (struct fault){ .kind = kind };
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    flatten(fault->text);
}

void pq_fault_result(struct fault *fault, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state) { /* made by libpq itself: the connection is gone */
        pq_fault_set(fault, FAULT_LOST, "%s", PQresultErrorMessage(result));
        return;
    }
    pq_fault_set(fault, FAULT_REPORTED, "%s (SQLSTATE %s)", text ? text : "", state);
    snprintf(fault->state, sizeof fault->state, "%s", state);
}

static int lose(struct pq_link *link, struct fault *fault, const char *what)
{
    const char *said = link->conn ? PQerrorMessage(link->conn) : "";
    pq_fault_set(fault, FAULT_LOST, "%s%s%s", what, *said ? ": " : "", said);
    return -1;
}

/* ---- waiting -------------------------------------------------------------------------------------------------- */

/* 1 ready, 0 the time is over, -1. */
static int wait_for(const struct pq_link *link, short events)
{
    struct pollfd p = { .fd = PQsocket(link->conn), .events = events };
    for (;;) {
        int64_t left = link->deadline_us - pq_now_us();
        int ready = left <= 0 ? 0 : poll(&p, 1, left / 1000 < 1000000 ? (int)(left / 1000) + 1 : 1000000);
        if (ready > 0)
            return 1;
        if (ready == 0 && left <= 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -1;
    }
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

static void ignore_notice(void *user, const PGresult *result)
{
    (void)user;
    (void)result;
}

static int connect_on(struct pq_link *link, struct fault *fault)
{
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (want != PGRES_POLLING_OK) {
        if (want == PGRES_POLLING_FAILED || PQsocket(link->conn) < 0)
            return lose(link, fault, "cannot connect");
        int ready = wait_for(link, want == PGRES_POLLING_READING ? POLLIN : POLLOUT);
        if (ready <= 0)
            return lose(link, fault, ready == 0 ? "cannot connect: no answer in time" : "cannot connect");
        want = PQconnectPoll(link->conn);
    }
    return 0;
}

int pq_link_connect(struct pq_link *link, const struct address *address, struct fault *fault)
{
    struct resolved resolved;
    pq_link_close(link);
    if (pq_resolve(address, link->deadline_us, &resolved, fault) != 0) {
        pq_address_hide(address, fault->text);
        return -1;
    }
    link->conn = pq_start(address, &resolved);
    pq_resolved_free(&resolved);
    if (!link->conn) {
        pq_fault_set(fault, FAULT_MEMORY, "out of memory");
        return -1;
    }
    PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
    int result = PQstatus(link->conn) == CONNECTION_BAD ? lose(link, fault, "cannot connect") : connect_on(link, fault);
    if (result == 0 && (PQsetnonblocking(link->conn, 1) != 0 || PQserverVersion(link->conn) < 130000)) {
        pq_fault_set(fault, FAULT_REPORTED, "the server is older than version 13");
        result = -1;
    }
    if (result != 0) {
        if (fault->kind == FAULT_LOST)
            fault->kind = FAULT_UNSENT;
        pq_address_hide(address, fault->text);
        pq_link_close(link);
    }
    return result;
}

void pq_link_close(struct pq_link *link)
{
    if (!link->borrowed)
        PQfinish(link->conn);
    link->conn = NULL;
    link->direct = link->prepared = false;
    link->settings_ms = 0;
}

/* The socket is the parent's too: what libpq says at the end must not reach the server. */
void pq_link_forget(struct pq_link *link)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (!link->borrowed && link->conn && PQsocket(link->conn) >= 0 && null >= 0)
        dup2(null, PQsocket(link->conn));
    if (null >= 0)
        close(null);
    pq_link_close(link);
}

bool pq_link_usable(struct pq_link *link)
{
    if (!link->conn || PQstatus(link->conn) != CONNECTION_OK)
        return false;
    struct pollfd p = { .fd = PQsocket(link->conn), .events = POLLIN };
    while (poll(&p, 1, 0) > 0) /* a last word, and behind it the end */
        if (!PQconsumeInput(link->conn) || PQisBusy(link->conn))
            return false;
    for (PGnotify *n; (n = PQnotifies(link->conn)) != NULL;)
        PQfreemem(n);
    return PQstatus(link->conn) == CONNECTION_OK && !PQisBusy(link->conn);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static int flush_all(struct pq_link *link, struct fault *fault)
{
    for (;;) {
        int left = PQflush(link->conn);
        if (left == 0)
            return 0;
        if (left < 0)
            return lose(link, fault, "the connection broke while sending");
        int ready = wait_for(link, POLLIN | POLLOUT);
        if (ready <= 0)
            return lose(link, fault, ready == 0 ? "the server takes nothing more in time" : "the connection broke");
        if (!PQconsumeInput(link->conn))
            return lose(link, fault, "the connection broke while sending");
    }
}

/* The next result; NULL in *out is libpq's mark between them. */
static int next_result(struct pq_link *link, PGresult **out, struct fault *fault)
{
    while (PQisBusy(link->conn)) {
        int ready = wait_for(link, POLLIN);
        if (ready <= 0)
            return lose(link, fault, ready == 0 ? "no answer in time" : "the connection broke");
        if (!PQconsumeInput(link->conn))
            return lose(link, fault, "the connection broke while waiting for the answer");
    }
    *out = PQgetResult(link->conn);
    return 0;
}

static bool is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_NONFATAL_ERROR;
}

PGresult *pq_link_query(struct pq_link *link, const char *text, struct fault *fault)
{
    PGresult *kept = NULL, *result;
    if (!PQsendQuery(link->conn, text) || flush_all(link, fault) != 0) {
        lose(link, fault, "the connection broke while sending");
        pq_link_close(link);
        return NULL;
    }
    for (;;) {
        if (next_result(link, &result, fault) != 0) {
            PQclear(kept);
            pq_link_close(link);
            return NULL;
        }
        if (!result)
            break;
        /* The first error, else the last rows, else the last of all. */
        bool keep = !kept || is_error(result) ||
                    (!is_error(kept) && (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(kept) != PGRES_TUPLES_OK));
        PQclear(keep ? kept : result);
        kept = keep ? result : kept;
    }
    if (!kept)
        pq_fault_set(fault, FAULT_LOST, "no answer");
    if (kept && !is_error(kept))
        return kept;
    if (kept)
        pq_fault_result(fault, kept);
    PQclear(kept);
    if (fault->kind == FAULT_LOST)
        pq_link_close(link);
    return NULL;
}

/* ---- transactions in one round trip ---------------------------------------------------------------------------------- */

/* Of the transaction only, unless the session is ours: behind a pooler it is somebody else's next. */
#define SETTINGS                                                                                                        \
    "SELECT pg_catalog.set_config('statement_timeout', $1, $2::pg_catalog.bool),"                                       \
    " pg_catalog.set_config('lock_timeout', $1, $2::pg_catalog.bool),"                                                  \
    " pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', $2::pg_catalog.bool)"

static int send_call(const struct pq_link *link, const struct call *call)
{
    const struct params *p = call->params;
    const char *values[PARAMS_MAX] = { 0 };
    int formats[PARAMS_MAX] = { 0 };
    if (p && p->broken)
        return 0;
    for (int i = 0; p && i < p->count; i++) {
        values[i] = p->length[i] < 0 ? NULL : p->data + p->start[i];
        formats[i] = 1;
    }
    const int *lengths = p ? p->length : NULL;
    int count = p ? p->count : 0;
    if (link->prepared && call->name)
        return PQsendQueryPrepared(link->conn, call->name, count, values, lengths, formats, 1);
    return PQsendQueryParams(link->conn, call->text, count, NULL, values, lengths, formats, 1);
}

static int send_plain(PGconn *conn, const char *text)
{
    return PQsendQueryParams(conn, text, 0, NULL, NULL, NULL, NULL, 1);
}

/* Long ones in whole seconds, so that they stay the same from one transaction to the next. */
static int64_t rounded(int64_t ms)
{
    return ms > 2000 ? ms - ms % 1000 : ms > 0 ? ms : 1;
}

static int send_settings(const struct pq_link *link, int64_t ms)
{
    char text[24];
    const char *const values[] = { text, link->direct ? "f" : "t" };
    snprintf(text, sizeof text, "%lld", (long long)rounded(ms));
    return PQsendQueryParams(link->conn, SETTINGS, 2, NULL, values, NULL, NULL, 1);
}

static int send_transaction(struct pq_link *link, struct transaction *t)
{
    t->sets = !link->direct || link->settings_ms != rounded(t->ms);
    if (!send_plain(link->conn, t->reads ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                                         : "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") ||
        (t->sets && !send_settings(link, t->ms)))
        return 0;
    link->settings_ms = rounded(t->ms);
    for (int i = 0; i < t->count; i++)
        if (!send_call(link, &t->calls[i]))
            return 0;
    return send_plain(link->conn, "COMMIT") && PQpipelineSync(link->conn);
}

/* A result and the mark behind it. `which`: -1 none of the calls. */
static int read_answer(struct pq_link *link, struct transaction *t, int which, bool is_commit, struct fault *lost)
{
    PGresult *result, *mark;
    if (next_result(link, &result, lost) != 0)
        return -1;
    if (!result)
        return lose(link, lost, "the answer ended early");
    if (is_error(result) && t->fault.kind == FAULT_NONE) {
        pq_fault_result(&t->fault, result);
        const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
        /* A server that goes down in the middle of a commit may have made it. */
        if (is_commit && severity && strcmp(severity, "ERROR") != 0)
            t->fault.kind = FAULT_LOST;
    }
    bool failed = PQresultStatus(result) == PGRES_PIPELINE_ABORTED || is_error(result);
    /* COMMIT of a transaction that cannot be committed answers ROLLBACK. */
    if (is_commit && !failed && strcmp(PQcmdStatus(result), "COMMIT") != 0 && t->fault.kind == FAULT_NONE)
        pq_fault_set(&t->fault, FAULT_REPORTED, "the transaction was rolled back");
    if (which >= 0 && !failed)
        t->calls[which].result = result;
    else
        PQclear(result);
    if (next_result(link, &mark, lost) != 0)
        return -1;
    if (mark) {
        PQclear(mark);
        return lose(link, lost, "the answer is out of step");
    }
    return 0;
}

static int read_sync(struct pq_link *link, struct fault *lost)
{
    PGresult *result;
    if (next_result(link, &result, lost) != 0)
        return -1;
    bool sync = result && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return sync ? 0 : lose(link, lost, "the answer is out of step");
}

/* The time of the commit's own answer tells what is known: after it nothing of this transaction can be lost. */
static int read_transaction(struct pq_link *link, struct transaction *t)
{
    struct fault lost = { 0 };
    int result = 0;
    for (int i = t->sets ? -2 : -1; i <= t->count && result == 0; i++)
        result = read_answer(link, t, i >= 0 && i < t->count ? i : -1, i == t->count, &lost);
    if (result != 0 && t->fault.kind == FAULT_NONE)
        t->fault = lost;
    if (result == 0)
        result = read_sync(link, &lost);
    return result;
}

static void not_sent(struct transaction *t, int count, const char *why)
{
    for (int i = 0; i < count; i++)
        pq_fault_set(&t[i].fault, FAULT_UNSENT, "%s", why);
}

static int leave_pipeline(struct pq_link *link)
{
    struct fault ignored = { 0 };
    if (!PQexitPipelineMode(link->conn))
        return -1;
    if (PQtransactionStatus(link->conn) == PQTRANS_IDLE)
        return 0;
    PGresult *result = pq_link_query(link, "ROLLBACK", &ignored);
    PQclear(result);
    return result ? 0 : -1;
}

int pq_link_run(struct pq_link *link, struct transaction *t, int count)
{
    struct fault lost = { 0 };
    int sent = PQenterPipelineMode(link->conn), failed = 0;
    for (int i = 0; i < count && sent; i++)
        sent = send_transaction(link, &t[i]);
    if (!sent) {
        not_sent(t, count, "the request could not be sent");
        pq_link_close(link);
        return -1;
    }
    int result = flush_all(link, &lost);
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = read_transaction(link, &t[i]);
        else if (lost.kind)
            t[i].fault = lost;
        else if (t[i].fault.kind == FAULT_NONE)
            pq_fault_set(&t[i].fault, FAULT_LOST, "the connection broke before the answer");
        failed |= t[i].fault.kind != FAULT_NONE;
    }
    if (failed) /* what a transaction set that was rolled back is not set */
        link->settings_ms = 0;
    if (result != 0 || leave_pipeline(link) != 0)
        pq_link_close(link);
    return failed ? -1 : 0;
}

void pq_transaction_clear(struct transaction *t)
{
    for (int i = 0; i < t->count; i++) {
        PQclear(t->calls[i].result);
        t->calls[i].result = NULL;
    }
    t->fault = (struct fault){ 0 };
}
