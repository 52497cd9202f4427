/* SPDX-License-Identifier: MIT */
/* The probe: hash the file, ask about it, and put the steps and the report in its last exchange. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"
#include "work.h"

#define PIECE_BYTES 262144
#define TELL_EVERY  16 /* pieces */

/* ---- hashing --------------------------------------------------------------------------------- */

static void write_digest(EVP_MD_CTX *digest, char out[SHA256_TEXT_BYTES])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];

    EVP_DigestFinal_ex(digest, bytes, NULL);
    for (size_t i = 0; i < (SHA256_TEXT_BYTES - 1) / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* What would make a long read pointless. */
static uint32_t flags_to_stop(const struct jobq_ctx *ctx)
{
    return jobq_ctx_flags(ctx);
}

static int hash_pieces(struct jobq_ctx *ctx, int fd, EVP_MD_CTX *digest, char *piece, int64_t size)
{
    int64_t done = 0;
    ssize_t got;

    for (unsigned count = 0;; count++) {
        uint32_t flags = flags_to_stop(ctx);
        if (flags)
            return say_given_up(ctx, flags);
        got = read(fd, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return say_error(ctx, JOBQ_RETRY, "the file cannot be read: %s", strerror(errno));
        if (got == 0)
            return JOBQ_DONE;
        EVP_DigestUpdate(digest, piece, (size_t)got);
        done += got;
        if (count % TELL_EVERY == 0)
            say_progress(ctx, (double)done, (double)(done > size ? done : size), "bytes");
    }
}

static int hash_file(struct jobq_ctx *ctx, int fd, struct plan_file *file)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    char *piece = malloc(PIECE_BYTES);
    int outcome;

    if (!digest || !piece || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        outcome = say_error(ctx, JOBQ_RETRY, "out of memory");
    else
        outcome = hash_pieces(ctx, fd, digest, piece, file->size_bytes);
    if (outcome == JOBQ_DONE)
        write_digest(digest, file->sha256);
    EVP_MD_CTX_free(digest);
    free(piece);
    return outcome;
}

static void keep_facts(struct plan_file *file, const struct stat *facts)
{
    file->size_bytes = facts->st_size;
    file->modified_ns = (int64_t)facts->st_mtim.tv_sec * 1000000000 + facts->st_mtim.tv_nsec;
}

static int read_file(struct jobq_ctx *ctx, const struct work *work, struct plan_file *file)
{
    struct stat facts;
    int fd = -1;
    const char *problem = folder_open_file(&work->folder, file->video, &facts, &fd);
    struct plan_file after = {.size_bytes = -1};
    int outcome;

    if (problem)
        return say_error(ctx, JOBQ_GIVE_UP, "%s: %s", file->video, problem);
    keep_facts(file, &facts);
    outcome = hash_file(ctx, fd, file);
    if (fstat(fd, &facts) == 0)
        keep_facts(&after, &facts);
    close(fd);
    if (outcome == JOBQ_DONE &&
        (after.size_bytes != file->size_bytes || after.modified_ns != file->modified_ns))
        return say_error(ctx, JOBQ_RETRY, "%s: the file is still being written", file->video);
    return outcome;
}

/* ---- sharing --------------------------------------------------------------------------------- */

/* A job of somebody else holds the key: use its result, wait for it, or (it failed or is gone) do the step
 * ourselves, which is told by plan->ids being left as they are. */
static int use_holder(struct plan *plan, const struct work *work, int part, const struct jobq_enqueued *put)
{
    struct jobq_jobs *found = NULL;
    json_t *result = NULL;
    int status = 0;

    if (jobq_get(work->q, &put->id, &found) != JOBQ_OK)
        return 0;
    if (found->jobs[0].state == JOBQ_COMPLETED)
        result = json_of_bytes(found->jobs[0].result);
    else if (found->jobs[0].state != JOBQ_DEAD && found->jobs[0].state != JOBQ_CANCELLED)
        plan_use_job(plan, part, &put->id);
    if (result)
        status = plan_use_result(plan, part, &put->id, result);
    json_decref(result);
    jobq_jobs_free(found);
    return status;
}

/*
 * Shared steps are put before the acknowledgement, because the report must name the jobs that do them. Should
 * the probe die in between, it puts the same ids again and nothing is done twice.
 */
static int share_steps(struct jobq_ctx *ctx, const struct work *work, struct plan *plan)
{
    for (int part = PART_FIRST_STEP; part < part_end; part++) {
        struct jobq_enqueued put = {.size = sizeof(put)};
        struct jobq_spec spec;
        int status = plan_step(plan, part, 1, &spec) == 0 ? jobq_enqueue(work->q, &spec, &put) : JOBQ_NOMEM;
        if (status < 0)
            return say_error(ctx, JOBQ_RETRY, "the step %s could not be put: %s", parts[part].name,
                             jobq_strerror(status));
        if (status == JOBQ_DUPLICATE && use_holder(plan, work, part, &put) != 0)
            return say_error(ctx, JOBQ_RETRY, "out of memory");
    }
    return JOBQ_DONE;
}

/* ---- the graph ------------------------------------------------------------------------------- */

/* Steps that were put already as shared ones are answered ALREADY by their ids. */
static int put_step(struct jobq_ctx *ctx, struct plan *plan, int part)
{
    struct jobq_id own;
    struct jobq_spec spec;

    part_id(&plan->probe->id, part, &own);
    if (memcmp(&own, &plan->ids[part], sizeof(own)) != 0)
        return JOBQ_OK;
    return plan_step(plan, part, 0, &spec) == 0 ? jobq_ctx_then(ctx, &spec, NULL) : JOBQ_NOMEM;
}

static int put_graph(struct jobq_ctx *ctx, struct plan *plan, const json_t *result)
{
    struct jobq_spec spec;
    int status = JOBQ_OK;

    for (int part = PART_FIRST_STEP; part < part_end && status == JOBQ_OK; part++)
        status = put_step(ctx, plan, part);
    if (status == JOBQ_OK)
        status = plan_report(plan, result, &spec) == 0 ? jobq_ctx_then(ctx, &spec, NULL) : JOBQ_NOMEM;
    return status == JOBQ_OK
               ? JOBQ_DONE
               : say_error(ctx, JOBQ_RETRY, "the steps could not be put: %s", jobq_strerror(status));
}

static int spread(struct jobq_ctx *ctx, const struct work *work, const json_t *request,
                  const struct plan_file *file, const json_t *result)
{
    struct plan plan;
    int outcome = JOBQ_DONE;

    if (plan_init(&plan, jobq_ctx_job(ctx), request, file, &work->policy) != 0)
        outcome = say_error(ctx, JOBQ_RETRY, "out of memory");
    if (outcome == JOBQ_DONE && plan.share)
        outcome = share_steps(ctx, work, &plan);
    if (outcome == JOBQ_DONE)
        outcome = put_graph(ctx, &plan, result);
    plan_finish(&plan);
    return outcome;
}

static int probe(struct jobq_ctx *ctx, const struct work *work, const json_t *request)
{
    struct plan_file file = {.video = text_member(request, "video", "")};
    json_t *media = NULL, *result;
    int outcome = read_file(ctx, work, &file);

    if (outcome == JOBQ_DONE)
        outcome = run_step_program(ctx, work, PART_PROBE, NULL, file.video, &media);
    if (outcome != JOBQ_DONE)
        return outcome;
    result = json_pack("{s:s, s:I, s:o}", "sha256", file.sha256, "size_bytes", (json_int_t)file.size_bytes,
                       "media", media);
    if (!result)
        return say_error(ctx, JOBQ_RETRY, "out of memory");
    outcome = spread(ctx, work, request, &file, result);
    if (outcome == JOBQ_DONE)
        return say_result(ctx, result);
    json_decref(result);
    return outcome;
}

int handle_probe(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    json_t *request = json_of_bytes(jobq_ctx_job(ctx)->payload);
    const char *url = text_member(request, "url", NULL);
    char fetched[FETCHED_NAME_BYTES];
    int outcome;

    if (url) {
        fetched_name(&jobq_ctx_job(ctx)->id, url, fetched);
        json_object_set_new(request, "video", json_string(fetched));
    }
    if (!request || !*text_member(request, "video", ""))
        outcome = say_error(ctx, JOBQ_GIVE_UP, "the payload is not one of a submission");
    else if (!is_submission_id(&jobq_ctx_job(ctx)->id))
        outcome =
            say_error(ctx, JOBQ_GIVE_UP, "the id is not one of a submission: it must be a UUID of version 7");
    else
        outcome = probe(ctx, station->work, request);
    json_decref(request);
    return outcome;
}
