/* SPDX-License-Identifier: MIT */
/*
 * A video that is elsewhere: fetched into the folder `fetched` below the media folder, under the name of its
 * submission.
 *
 * It is written under another name and renamed when it is whole, so an attempt that was killed leaves nothing
 * that looks like a video. What was fetched goes when its submission is no longer in the store: each fetch
 * looks for such files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "post.h"
#include "text.h"
#include "work.h"

#define OLD_S            3600 /* a file that is younger may belong to a submission that is on its way */
#define SWEEP_MOST       200  /* files that are asked for in the store, at one time */
#define RETRY_AFTER_MOST 3600
#define TELL_EVERY_BYTES (4 << 20)

struct fetch {
    struct jobq_ctx *ctx;
    const struct work *work;
    struct jobq_id submission;
    const char *url;
    int folder, file;
    int64_t size, told;
    const char *problem; /* why no more is taken */
    int error;           /* of the file system */
};

/* ---- the folder ------------------------------------------------------------------------------ */

static int open_folder(const struct work *work)
{
    if (mkdirat(work->folder.fd, FETCHED_FOLDER, 0750) != 0 && errno != EEXIST)
        return -1;
    return openat(work->folder.fd, FETCHED_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int is_kept(const struct work *work, const struct jobq_id *submission)
{
    static const int rows[] = {PART_PROBE, PART_REPORT};
    int status = JOBQ_NOT_FOUND;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && status == JOBQ_NOT_FOUND; i++) {
        struct jobq_jobs *found = NULL;
        struct jobq_id id;
        part_id(submission, rows[i], &id);
        status = jobq_get(work->q, &id, &found);
        jobq_jobs_free(found);
    }
    return status != JOBQ_NOT_FOUND; /* in doubt it is */
}

/* Whose file it is, if it is one of ours and old enough to be judged. */
static int submission_of(int folder, const char *name, struct jobq_id *out)
{
    char text[33];
    struct stat facts;

    snprintf(text, sizeof(text), "%.32s", *name == '.' ? name + 1 : name);
    return jobq_id_parse(text, out) == JOBQ_OK && is_submission_id(out) &&
           fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && facts.st_mtime + OLD_S < time(NULL);
}

static void sweep(const struct work *work, int folder)
{
    int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = own >= 0 ? fdopendir(own) : NULL;
    const struct dirent *entry;
    struct jobq_id submission;

    for (int looked = 0; list && looked < SWEEP_MOST && (entry = readdir(list)) != NULL;) {
        if (!submission_of(folder, entry->d_name, &submission))
            continue;
        looked++;
        if (!is_kept(work, &submission))
            unlinkat(folder, entry->d_name, 0);
    }
    if (list)
        closedir(list);
    else if (own >= 0)
        close(own);
}

/* ---- fetching -------------------------------------------------------------------------------- */

/* Servers that know no better call a video an octet-stream, or nothing; what it is the probe finds out. */
static int is_video(const char *type)
{
    return !*type || strncasecmp(type, "video/", 6) == 0 ||
           strcasecmp(type, "application/octet-stream") == 0 ||
           strcasecmp(type, "binary/octet-stream") == 0 || strcasecmp(type, "application/mp4") == 0;
}

static int take(void *user, const struct post_answer *answer, const void *bytes, size_t size)
{
    struct fetch *fetch = user;
    const char *at = bytes;

    if (!is_video(answer->type)) {
        fetch->problem = "it is no video";
        return -1;
    }
    while (size > 0) {
        ssize_t wrote = write(fetch->file, at, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            fetch->error = errno;
            return -1;
        }
        at += wrote;
        size -= (size_t)wrote;
        fetch->size += wrote;
    }
    if (fetch->size - fetch->told >= TELL_EVERY_BYTES) {
        fetch->told = fetch->size;
        say_progress(fetch->ctx, (double)fetch->size, 0, "bytes");
    }
    return 0;
}

static int stop(void *user)
{
    const struct fetch *fetch = user;

    return jobq_ctx_flags(fetch->ctx) != 0;
}

/* What another attempt may change is tried again. */
static int judge(struct fetch *fetch, const struct post_answer *answer)
{
    struct jobq_ctx *ctx = fetch->ctx;
    uint32_t flags = jobq_ctx_flags(ctx);

    if (flags)
        return say_given_up(ctx, flags);
    if (fetch->problem)
        return say_error(ctx, JOBQ_GIVE_UP, "videoUrl: %s but %s", fetch->problem, answer->type);
    if (fetch->error)
        return say_error(ctx, JOBQ_RETRY, "the video cannot be written: %s", strerror(fetch->error));
    if (answer->closed)
        return say_error(ctx, JOBQ_GIVE_UP, "videoUrl: %s", target_closed(&fetch->work->fetch));
    if (answer->too_large)
        return say_error(ctx, JOBQ_GIVE_UP,
                         "videoUrl: it is larger than %lld bytes, which --fetch-max-bytes allows",
                         (long long)fetch->work->fetch_max_bytes);
    if (answer->status == 0)
        return say_error(ctx, JOBQ_RETRY, "videoUrl: %s", answer->problem);
    if (answer->status == 200)
        return fetch->size > 0 ? JOBQ_DONE : say_error(ctx, JOBQ_GIVE_UP, "videoUrl: the file is empty");
    if (answer->status >= 300 && answer->status < 400)
        return say_error(ctx, JOBQ_GIVE_UP, "videoUrl: it is elsewhere (%ld), and redirects are not followed",
                         answer->status);
    if (answer->status >= 500 || answer->status == 408 || answer->status == 429) {
        if (answer->retry_after_s > 0)
            jobq_ctx_delay(ctx, 1000 * (answer->retry_after_s < RETRY_AFTER_MOST ? answer->retry_after_s
                                                                                 : RETRY_AFTER_MOST));
        return say_error(ctx, JOBQ_RETRY, "videoUrl: its server answered %ld", answer->status);
    }
    return say_error(ctx, JOBQ_GIVE_UP, "videoUrl: its server answered %ld", answer->status);
}

static int run(struct fetch *fetch)
{
    const struct post post = {.url = fetch->url,
                              .time_limit_ms = (long)fetch->work->fetch_time_ms,
                              .answer_max_bytes = (size_t)fetch->work->fetch_max_bytes,
                              .policy = &fetch->work->fetch,
                              .take = take,
                              .stop = stop,
                              .user = fetch};
    struct post_answer answer;

    post_run(&post, &answer);
    return judge(fetch, &answer);
}

/* ---- the file -------------------------------------------------------------------------------- */

static int keep(struct fetch *fetch, const char *part, const char *name)
{
    if (fsync(fetch->file) == 0 && renameat(fetch->folder, part, fetch->folder, name) == 0 &&
        fsync(fetch->folder) == 0)
        return say_result(fetch->ctx,
                          json_pack("{s:s, s:I}", "url", fetch->url, "size_bytes", (json_int_t)fetch->size));
    return say_error(fetch->ctx, JOBQ_RETRY, "the video cannot be kept: %s", strerror(errno));
}

static int fetch_into(struct fetch *fetch)
{
    char name[FETCHED_NAME_BYTES], part[FETCHED_NAME_BYTES];
    int outcome;

    fetched_name(&fetch->submission, fetch->url, name);
    snprintf(part, sizeof(part), ".%.40s", name + sizeof(FETCHED_FOLDER));
    unlinkat(fetch->folder, part, 0);
    fetch->file = openat(fetch->folder, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fetch->file < 0)
        return say_error(fetch->ctx, JOBQ_RETRY, "the video cannot be written: %s", strerror(errno));
    outcome = run(fetch);
    if (outcome == JOBQ_DONE)
        outcome = keep(fetch, part, name + sizeof(FETCHED_FOLDER));
    close(fetch->file);
    if (outcome != JOBQ_DONE)
        unlinkat(fetch->folder, part, 0);
    return outcome;
}

static int fetch_video(struct jobq_ctx *ctx, const struct work *work, const char *url)
{
    struct fetch fetch = {.ctx = ctx, .work = work, .url = url};
    const char *problem = target_problem(&work->fetch, url);
    int outcome;

    if (problem)
        return say_error(ctx, JOBQ_GIVE_UP, "videoUrl: %s", problem);
    part_id(&jobq_ctx_job(ctx)->id, PART_PROBE, &fetch.submission);
    /* A request that was repeated put us once more, for a submission that did not come of it. */
    if (!is_kept(work, &fetch.submission))
        return say_result(ctx, json_pack("{s:s}", "effect", "none: there is no such submission"));
    fetch.folder = open_folder(work);
    if (fetch.folder < 0)
        return say_error(ctx, JOBQ_RETRY, "the folder %s below the media folder cannot be made: %s",
                         FETCHED_FOLDER, strerror(errno));
    sweep(work, fetch.folder);
    outcome = fetch_into(&fetch);
    close(fetch.folder);
    return outcome;
}

int handle_fetch(struct jobq_ctx *ctx, void *user)
{
    const struct station *station = user;
    json_t *payload = json_of_bytes(jobq_ctx_job(ctx)->payload);
    const char *url = text_member(payload, "url", "");
    int outcome = *url ? fetch_video(ctx, station->work, url)
                       : say_error(ctx, JOBQ_GIVE_UP, "the payload is not one of a video elsewhere");

    json_decref(payload);
    return outcome;
}
