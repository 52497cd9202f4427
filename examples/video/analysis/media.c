/* SPDX-License-Identifier: MIT */
#include "media.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define FFMPEG_PACKAGE "ffmpeg"
#define PROTOCOLS "file"
#define FORMATS \
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,mpegvideo,ogg,wav,w64,mp3,flac,aac," \
    "aiff,au,caf,amr,ivf,yuv4mpegpipe,nut,mxf,dv"
#define MAX_FACTS_BYTES (4u << 20)
#define MAX_ARGUMENTS 40
#define PATH_BYTES 4096
#define NICE 10

struct text {
    char *bytes;
    size_t size;
};

static int collect(void *arg, const char *bytes, size_t size)
{
    struct text *text = arg;
    char *grown = text->size + size <= MAX_FACTS_BYTES ? realloc(text->bytes, text->size + size) : NULL;

    if (!grown)
        return -1;
    memcpy(grown + text->size, bytes, size);
    text->bytes = grown;
    text->size += size;
    return 0;
}

static int find_tool(struct step *step, const char *name, char *path, size_t path_size)
{
    if (child_find_program(name, path, path_size) == 0)
        return 0;
    report_skipped(step, FFMPEG_PACKAGE, "the program ffmpeg or ffprobe is not installed");
    return -1;
}

/* Our own look at it first: a reason from the system is better than one from a demuxer, and a device or a
 * fifo must not even be opened. */
static int check_file(struct step *step)
{
    struct stat facts;

    if (stat(step->path, &facts) != 0 || access(step->path, R_OK) != 0)
        report_failed(step, "the file cannot be read: %s", strerror(errno));
    else if (!S_ISREG(facts.st_mode))
        report_failed(step, "not a regular file");
    else if (facts.st_size == 0)
        report_failed(step, "the file is empty");
    else
        return step->media.size_bytes = (int64_t)facts.st_size, 0;
    return -1;
}

static int name_input(struct step *step)
{
    size_t size = strlen(step->path) + sizeof("file:");

    step->media.input = malloc(size);
    if (!step->media.input) {
        report_failed(step, "out of memory");
        return -1;
    }
    snprintf(step->media.input, size, "file:%s", step->path);
    return 0;
}

/* Its program is still to be found. */
static struct child_spec tool_spec(const struct step *step, const char *const *argv)
{
    return (struct child_spec){
        .argv = argv,
        .time_limit_ms = step->time_limit_ms,
        .cpu_limit_s = step->time_limit_ms / 1000 * 2 + 1,  /* two threads decode */
        .memory_limit_bytes = step->memory_limit_bytes,
        .nice = NICE,
        .cancel_fd = -1,
    };
}

static int ask_ffprobe(struct step *step, struct text *answer)
{
    char program[PATH_BYTES];
    const char *const argv[] = {
        "ffprobe", "-v", "error", "-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS,
        "-print_format", "json", "-show_format", "-show_streams", "-i", step->media.input, NULL,
    };
    struct child_spec spec = tool_spec(step, argv);
    struct child_result result;

    if (find_tool(step, "ffprobe", program, sizeof(program)) != 0)
        return -1;
    spec.program = program;
    spec.on_output = collect;
    spec.arg = answer;
    if (child_run(&spec, &result) == 0)
        return 0;
    if (result.end == CHILD_EXITED && strstr(result.error_text, "Format not on whitelist"))
        report_failed(step, "not a media file: playlists, image sequences and texts are not read");
    else if (result.end == CHILD_EXITED && strstr(result.error_text, "Invalid data found"))
        report_failed(step, "not a media file, or damaged beyond reading");
    else
        report_child_failed(step, "ffprobe", &result);
    return -1;
}

static int is_cover(const json_t *stream)
{
    return json_integer_value(json_object_get(json_object_get(stream, "disposition"), "attached_pic")) != 0;
}

static void find_streams(struct media *media)
{
    size_t index;
    json_t *stream;

    json_array_foreach(json_object_get(media->facts, "streams"), index, stream) {
        const char *type = json_string_value(json_object_get(stream, "codec_type"));

        if (type && !media->video && strcmp(type, "video") == 0 && !is_cover(stream))
            media->video = stream;
        if (type && !media->audio && strcmp(type, "audio") == 0)
            media->audio = stream;
    }
}

static void find_duration(struct media *media)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(media->facts, "format"), "duration"));
    double seconds = text ? strtod(text, NULL) : 0.0;

    if (seconds > 0.0 && seconds < 1e9)
        media->duration_ms = report_ms(seconds);
}

static int read_facts(struct step *step)
{
    struct text answer = { .bytes = NULL };
    int failed = ask_ffprobe(step, &answer);

    if (!failed && answer.bytes)
        step->media.facts = json_loadb(answer.bytes, answer.size, JSON_REJECT_DUPLICATES, NULL);
    free(answer.bytes);
    if (failed)
        return -1;
    if (!step->media.facts) {
        report_failed(step, "ffprobe gave no readable answer");
        return -1;
    }
    find_streams(&step->media);
    find_duration(&step->media);
    if (step->media.video || step->media.audio)
        return 0;
    report_failed(step, "the file holds neither pictures nor sound");
    return -1;
}

int media_open(struct step *step)
{
    if (check_file(step) != 0 || name_input(step) != 0)
        return -1;
    return read_facts(step);
}

void media_close(struct step *step)
{
    json_decref(step->media.facts);
    free(step->media.input);
    step->media = (struct media){ .input = NULL };
}

int media_ffmpeg(struct step *step, const char *const *arguments, child_bytes_fn on_output, void *arg,
                 struct child_result *result)
{
    char program[PATH_BYTES];
    const char *argv[MAX_ARGUMENTS + 1] = {
        "ffmpeg", "-v", "error", "-nostdin", "-filter_threads", "1", "-threads", "2",
        "-protocol_whitelist", PROTOCOLS, "-format_whitelist", FORMATS, "-i", step->media.input,
    };
    struct child_spec spec = tool_spec(step, argv);
    struct child_result ours;
    size_t n = 0;

    while (argv[n])
        n++;
    for (size_t i = 0; arguments[i] && n < MAX_ARGUMENTS; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    if (find_tool(step, "ffmpeg", program, sizeof(program)) != 0)
        return -1;
    spec.program = program;
    spec.on_output = on_output;
    spec.arg = arg;
    result = result ? result : &ours;
    if (child_run(&spec, result) == 0)
        return 0;
    report_child_failed(step, "ffmpeg", result);
    return -1;
}
