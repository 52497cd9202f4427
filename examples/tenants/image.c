/* SPDX-License-Identifier: MIT */
/* A picture made to fit into a frame, by ffmpeg. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "office.h"
#include "text.h"

#define MEMORY_MOST ((size_t)2 << 30)

struct picture {
    struct jobq_ctx *ctx;
    char input[1024], output[1024], part[1100];
    int width, height;
};

/* A name below the tenant's own folder, that leads nowhere else. */
static int is_plain_name(const char *name)
{
    return *name && *name != '.' && *name != '-' && !strchr(name, '/');
}

static int set_paths(struct picture *p, const struct office *office, const char *image)
{
    const char *tenant = jobq_ctx_job(p->ctx)->group;
    char id[33];

    jobq_id_format(&jobq_ctx_job(p->ctx)->id, id);
    int in = snprintf(p->input, sizeof(p->input), "%s/%s/%s", office->media_dir, tenant, image);
    int out = snprintf(p->output, sizeof(p->output), "%s/%s/resized-%s.png", office->media_dir, tenant, id);
    snprintf(p->part, sizeof(p->part), "%s.part", p->output);
    return is_plain_name(image) && in < (int)sizeof(p->input) && out < (int)sizeof(p->output) ? 0 : -1;
}

/* ffmpeg tells every half second how far it is: a moment to ask whether anybody still wants it. */
static int on_output(void *user, const char *bytes, size_t size)
{
    struct picture *p = user;

    (void)bytes, (void)size;
    return (jobq_ctx_flags(p->ctx) & ~(uint32_t)JOBQ_CTX_STOPPING) != 0;
}

static int64_t time_left(const struct jobq_job *job)
{
    return job->timeout_ms > 0 ? job->timeout_ms : 300000;
}

/* Not playlists and the like, which name other files to be read. */
static const char pictures[] = "png_pipe,jpeg_pipe,webp_pipe,gif,bmp_pipe,tiff_pipe";

static int resize(struct picture *p, struct child_result *result)
{
    char program[1024], filter[160];
    const char *const argv[] = {"ffmpeg",     "-nostdin",
                                "-loglevel",  "error",
                                "-progress",  "pipe:1",
                                "-y",         "-protocol_whitelist",
                                "file",       "-format_whitelist",
                                pictures,     "-i",
                                p->input,     "-vf",
                                filter,       "-frames:v",
                                "1",          "-f",
                                "image2pipe", "-vcodec",
                                "png",        p->part,
                                NULL};
    const struct child_spec spec = {.program = program,
                                    .argv = argv,
                                    .time_limit_ms = time_left(jobq_ctx_job(p->ctx)),
                                    .memory_limit_bytes = MEMORY_MOST,
                                    .on_output = on_output,
                                    .arg = p,
                                    .cancel_fd = -1};

    snprintf(filter, sizeof(filter), "scale=w=%d:h=%d:force_original_aspect_ratio=decrease", p->width,
             p->height);
    if (child_find_program("ffmpeg", program, sizeof(program)) != 0) {
        *result = (struct child_result){.end = CHILD_NOT_STARTED, .error_text = "ffmpeg is not installed"};
        return -1;
    }
    return child_run(&spec, result);
}

/* What ffmpeg says of a picture that is none will not change. */
static int outcome_of(struct picture *p, const struct child_result *result, int failed)
{
    if (!failed && rename(p->part, p->output) == 0)
        return work_done(p->ctx, json_pack("{s:s, s:i, s:i}", "file", p->output, "width_most", p->width,
                                           "height_most", p->height));
    unlink(p->part);
    return work_fail(p->ctx, result->end == CHILD_EXITED && failed ? JOBQ_GIVE_UP : JOBQ_RETRY,
                     "ffmpeg: %.800s", *result->error_text ? result->error_text : "it did not end by itself");
}

int image_handle(struct jobq_ctx *ctx, void *office)
{
    struct picture p = {.ctx = ctx};
    struct child_result result;
    json_t *data = work_data(ctx);
    int outcome;

    if (!data)
        return JOBQ_GIVE_UP;
    p.width = (int)json_integer_value(json_object_get(data, "width"));
    p.height = (int)json_integer_value(json_object_get(data, "height"));
    if (set_paths(&p, office, text_member(data, "image", "")) != 0)
        outcome = work_fail(ctx, JOBQ_GIVE_UP, "image: must be the name of a file in the tenant's folder");
    else if (access(p.input, R_OK) != 0)
        outcome = work_fail(ctx, JOBQ_GIVE_UP, "image: there is no '%.200s'", text_member(data, "image", ""));
    else
        outcome = outcome_of(&p, &result, resize(&p, &result));
    json_decref(data);
    return outcome;
}
