/* SPDX-License-Identifier: MIT */
/*
 * A mail, once. What the queue and the table can promise: there is one record of each mail, and with
 * --send-once the record and the end of the job are one transaction, so that neither is there without the
 * other and a worker that was overtaken writes neither. What nobody can promise over SMTP: a process that is
 * killed between the server's "250" and the commit does not know that the mail went out, and it goes out
 * again, under the same Message-ID.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "office.h"
#include "text.h"

/* As a crash would be: nothing is cleaned up. */
static void may_die(const struct office *office, const char *step)
{
    if (office->die_at && strcmp(office->die_at, step) == 0)
        raise(SIGKILL);
}

struct sending {
    struct jobq_ctx *ctx;
    const struct office *office;
    const json_t *data;
    struct desk *desk; /* NULL: without tables */
    char id[33], message_id[128];
};

/* ---- the record ---------------------------------------------------------------------------------------- */

static int is_recorded(const struct sending *s)
{
    const char *const values[] = {s->id};

    if (!s->desk)
        return 0;
    return (int)db_each(s->desk->db, "SELECT job_id FROM sent_emails WHERE job_id = $1", 1, values, NULL,
                        NULL);
}

static int record(const struct sending *s)
{
    char at[32];
    const char *const values[] = {s->id, jobq_ctx_job(s->ctx)->group, text_member(s->data, "to", ""),
                                  s->message_id, at};

    snprintf(at, sizeof(at), "%" PRId64, work_now_ms());
    return db_run(s->desk->db,
                  "INSERT INTO sent_emails (job_id, tenant_id, recipient, message_id, sent_at_ms)"
                  " VALUES ($1, $2, $3, $4, $5)",
                  5, values) == 1
               ? 0
               : -1;
}

static int ack_with_record(const struct sending *s, const char *result)
{
    const struct jobq_job *job = jobq_ctx_job(s->ctx);

    if (db_begin(s->desk->db) != 0)
        return -1;
    may_die(s->office, "begun");
    if (record(s) != 0)
        return -1;
    may_die(s->office, "recorded");
    if (jobq_ack(s->desk->mine, &job->id, &job->token, result, strlen(result)) != JOBQ_OK)
        return -1;
    may_die(s->office, "acked");
    return db_commit(s->desk->db);
}

static int finish_once(const struct sending *s, json_t *result)
{
    char *text = text_of_json(result);
    int status = text ? ack_with_record(s, text) : -1;
    char why[300];

    free(text);
    if (status != 0) {
        snprintf(why, sizeof(why), "%s", db_error(s->desk->db));
        db_rollback(s->desk->db);
        jobq_wake(s->desk->mine);
        json_decref(result);
        return work_fail(s->ctx, JOBQ_RETRY, "sent, but the record was not kept: %s", why);
    }
    may_die(s->office, "committed");
    jobq_wake(s->desk->mine);
    return work_done(s->ctx, result); /* the worker finds the job acked, and is content */
}

static int finish(const struct sending *s)
{
    json_t *result = json_pack("{s:b, s:s}", "sent", 1, "message_id", s->message_id);

    may_die(s->office, "sent");
    if (s->office->send_once)
        return finish_once(s, result);
    if (s->desk && record(s) != 0) {
        json_decref(result);
        return work_fail(s->ctx, JOBQ_RETRY, "sent, but the record was not kept: %s", db_error(s->desk->db));
    }
    return work_done(s->ctx, result);
}

/* ---- the mail ------------------------------------------------------------------------------------------ */

static int send_now(struct sending *s)
{
    const struct mail mail = {s->data, s->message_id, jobq_ctx_job(s->ctx)->created_at_ms};
    char why[600];

    switch (mail_send(s->ctx, &s->office->mail, &mail, why)) {
    case MAIL_SENT:
        return finish(s);
    case MAIL_LATER:
        return work_fail(s->ctx, JOBQ_RETRY, "%s", why);
    default:
        return work_fail(s->ctx, JOBQ_GIVE_UP, "%s", why);
    }
}

static int send_unless_recorded(struct sending *s)
{
    int recorded = is_recorded(s);

    if (recorded < 0)
        return work_fail(s->ctx, JOBQ_RETRY, "sent_emails: %s", db_error(s->desk->db));
    if (recorded > 0)
        return work_done(s->ctx, json_pack("{s:b, s:s}", "skipped", 1, "reason", "already_sent"));
    may_die(s->office, "looked");
    return send_now(s);
}

static int with_desk(struct sending *s, struct desks *desks)
{
    struct desk desk;
    char why[300];
    int outcome;

    if (!desks->database)
        return send_unless_recorded(s);
    if (desk_take(desks, &desk, why) != 0)
        return work_fail(s->ctx, JOBQ_RETRY, "%s", why);
    s->desk = &desk;
    outcome = send_unless_recorded(s);
    desk_give_back(desks, &desk, outcome == JOBQ_RETRY);
    return outcome;
}

int email_handle(struct jobq_ctx *ctx, void *user)
{
    struct office *office = user;
    struct sending s = {.ctx = ctx, .office = office};
    json_t *data = work_data(ctx);
    const char *at = strchr(office->mail.from, '@');
    int outcome;

    if (!data)
        return JOBQ_GIVE_UP;
    s.data = data;
    jobq_id_format(&jobq_ctx_job(ctx)->id, s.id);
    snprintf(s.message_id, sizeof(s.message_id), "%s@%.80s", s.id, at ? at + 1 : "localhost");
    outcome = with_desk(&s, &office->desks);
    json_decref(data);
    return outcome;
}
