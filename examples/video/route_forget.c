/* SPDX-License-Identifier: MIT */
/* A submission is removed: all its jobs, and with them its result, and the video if it was fetched for it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "handles.h"
#include "parts.h"
#include "result.h"
#include "serve.h"
#include "text.h"

/* A file of somebody's own stays; a copy has the name of the submission that it was fetched for. */
static void forget_copy(const struct serve *serve, const struct jobq_id *submission, const json_t *result)
{
    const char *video = text_member(result, "video", "");
    char name[FETCHED_NAME_BYTES], id[33];
    size_t size;

    jobq_id_format(submission, id);
    size = (size_t)snprintf(name, sizeof(name), "%s/%s", FETCHED_FOLDER, id);
    if (strncmp(video, name, size) == 0 && !strchr(video + size, '/'))
        unlinkat(serve->folder.fd, video, 0);
}

static int drop_part(struct jobq *q, const struct jobq_id *submission, int part, int *removed)
{
    struct jobq_id id;
    int status;

    part_id(submission, part, &id);
    status = jobq_drop(q, &id);
    *removed += status == JOBQ_OK;
    return status == JOBQ_NOT_FOUND ? JOBQ_OK : status;
}

/* The report and the probe go last: as long as one is there, the rest can be found and removed again. */
static int drop_parts(struct jobq *q, const struct jobq_id *submission, int *removed)
{
    int status = JOBQ_OK;

    for (int part = 0; part < part_end && status == JOBQ_OK; part++)
        if (part != PART_REPORT && part != PART_PROBE && part != PART_RESULTS)
            status = drop_part(q, submission, part, removed);
    if (status == JOBQ_OK)
        status = drop_part(q, submission, PART_REPORT, removed);
    return status == JOBQ_OK ? drop_part(q, submission, PART_PROBE, removed) : status;
}

static void forget(const struct serve *serve, const struct jobq_id *submission, const json_t *result,
                   struct http_reply *reply)
{
    int removed = 0, status;

    if (strcmp(text_member(result, "status", ""), "processing") == 0) {
        http_error(reply, 409, "jobId", "it is still processing: cancel it, or wait for its end");
        return;
    }
    status = drop_parts(handles_mine(serve->handles), submission, &removed);
    if (status == JOBQ_STATE) {
        http_error(reply, 409, "jobId", "a part of it is running: ask again");
        return;
    }
    if (status < 0) {
        reply_store_error(reply, status);
        return;
    }
    forget_copy(serve, submission, result);
    reply->status = 200;
    reply->body = json_pack("{s:o, s:i}", "jobId", json_of_id(submission), "removed", removed);
}

void forget_submission(void *user, const struct http_request *http, const char *tenant,
                       struct http_reply *reply)
{
    const struct serve *serve = user;
    json_t *result = NULL;
    struct jobq_id id;
    int status = JOBQ_NOT_FOUND;

    if (jobq_id_parse(http->rest, &id) == JOBQ_OK)
        status = result_of(handles_mine(serve->handles), serve->live, &id, tenant, &result);
    if (status == JOBQ_NOT_FOUND)
        http_error(reply, 404, "jobId", "there is no such submission, or it is no longer kept");
    else if (status < 0)
        reply_store_error(reply, status);
    else
        forget(serve, &id, result, reply);
    json_decref(result);
}
