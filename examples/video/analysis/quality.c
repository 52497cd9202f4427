/* SPDX-License-Identifier: MIT */
/*
 * What the pictures look like: one pass of ffmpeg's measuring filters, which attach their findings to each
 * frame; the metadata filter prints them, one block of "key=value" lines per frame.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "media.h"
#include "progress.h"
#include "report.h"
#include "spans.h"
#include "step.h"

/* Made small first: blur and noise then mean the same for every size of video, and it is fast. */
#define FILTERS \
    "scale='min(640,iw)':-2,format=yuv420p,scdet=t=10,freezedetect=n=-50dB:d=1,blackdetect=d=0.1," \
    "blurdetect,signalstats,metadata=print:file=-:direct=1"
#define DARK_LUMA 40.0      /* of 16 to 235: a face can hardly be made out below it */
#define MAX_BUCKETS 600

static const char what_this_measures[] =
    "brightness: mean luma of the picture, 16 (black) to 235 (white); blur: mean width of edges in pixels at "
    "640 pixels of picture width or the video's own if that is smaller; no_movement: at least one second in "
    "which the picture stays the same, which a quiet room does too";

/* Mean, extremes and when they were. */
struct measure {
    double sum, min, max;
    int64_t min_ms, max_ms;
    int64_t n;
};

struct quality {
    struct step *step;
    struct lines lines;
    int64_t frames, frames_total;
    int64_t now_ms;             /* time of the frame whose lines are being read */
    struct measure luma, blur;
    int64_t dark_frames;
    json_t *scenes;
    int64_t n_scenes;
    struct spans still, black;
    json_t *timeline;
    int64_t bucket_ms, bucket;  /* length, and number of the one being filled */
    struct measure bucket_luma, bucket_blur;
};

static void measure_add(struct measure *measure, double value, int64_t at_ms)
{
    if (!isfinite(value))   /* the blur of an even picture is not defined */
        return;
    if (measure->n == 0 || value < measure->min) {
        measure->min = value;
        measure->min_ms = at_ms;
    }
    if (measure->n == 0 || value > measure->max) {
        measure->max = value;
        measure->max_ms = at_ms;
    }
    measure->sum += value;
    measure->n++;
}

static double mean_of(const struct measure *measure)
{
    return measure->n > 0 ? measure->sum / (double)measure->n : NAN;
}

static json_t *measure_json(const struct measure *measure)
{
    if (measure->n == 0)
        return json_null();
    return json_pack("{s:o, s:o, s:I, s:o, s:I}", "mean", report_number(mean_of(measure), 2),
                     "lowest", report_number(measure->min, 2), "lowest_at_ms", (json_int_t)measure->min_ms,
                     "highest", report_number(measure->max, 2), "highest_at_ms", (json_int_t)measure->max_ms);
}

static void end_bucket(struct quality *quality)
{
    if (quality->bucket_luma.n > 0)
        json_array_append_new(quality->timeline,
                              json_pack("{s:I, s:o, s:o}", "at_ms",
                                        (json_int_t)quality->bucket * quality->bucket_ms,
                                        "brightness", report_number(mean_of(&quality->bucket_luma), 1),
                                        "blur", report_number(mean_of(&quality->bucket_blur), 2)));
    quality->bucket_luma = (struct measure){ .n = 0 };
    quality->bucket_blur = (struct measure){ .n = 0 };
}

static void begin_frame(struct quality *quality, const char *line)
{
    const char *time = strstr(line, "pts_time:");

    quality->frames++;
    if (time)
        quality->now_ms = report_ms(strtod(time + strlen("pts_time:"), NULL));
    if (quality->now_ms / quality->bucket_ms != quality->bucket) {
        end_bucket(quality);
        quality->bucket = quality->now_ms / quality->bucket_ms;
    }
    progress_frames(quality->step, quality->frames, quality->frames_total);
}

static void add_luma(struct quality *quality, double value)
{
    quality->dark_frames += value < DARK_LUMA;
    measure_add(&quality->luma, value, quality->now_ms);
    measure_add(&quality->bucket_luma, value, quality->now_ms);
}

static void add_blur(struct quality *quality, double value)
{
    measure_add(&quality->blur, value, quality->now_ms);
    measure_add(&quality->bucket_blur, value, quality->now_ms);
}

static void add_scene(struct quality *quality, double value)
{
    quality->n_scenes++;
    if (json_array_size(quality->scenes) < SPANS_MOST)
        json_array_append_new(quality->scenes, json_pack("{s:I}", "at_ms", (json_int_t)report_ms(value)));
}

static void add_value(struct quality *quality, const char *key, double value)
{
    if (strcmp(key, "signalstats.YAVG") == 0)
        add_luma(quality, value);
    else if (strcmp(key, "blur") == 0)
        add_blur(quality, value);
    else if (strcmp(key, "scd.time") == 0)
        add_scene(quality, value);
    else if (strcmp(key, "freezedetect.freeze_start") == 0)
        spans_start(&quality->still, report_ms(value));
    else if (strcmp(key, "freezedetect.freeze_end") == 0)
        spans_end(&quality->still, report_ms(value));
    else if (strcmp(key, "black_start") == 0)
        spans_start(&quality->black, report_ms(value));
    else if (strcmp(key, "black_end") == 0)
        spans_end(&quality->black, report_ms(value));
}

static void on_line(void *arg, char *line)
{
    static const char prefix[] = "lavfi.";
    char *equals = strchr(line, '=');

    if (strncmp(line, "frame:", 6) == 0) {
        begin_frame(arg, line);
    } else if (equals && strncmp(line, prefix, sizeof(prefix) - 1) == 0) {
        *equals = '\0';
        add_value(arg, line + sizeof(prefix) - 1, strtod(equals + 1, NULL));
    }
}

static int on_output(void *arg, const char *bytes, size_t size)
{
    struct quality *quality = arg;

    lines_feed(&quality->lines, bytes, size, on_line, quality);
    return 0;
}

static int64_t promised_frames(const struct media *media)
{
    const char *count = json_string_value(json_object_get(media->video, "nb_frames"));
    const char *rate = json_string_value(json_object_get(media->video, "avg_frame_rate"));
    char *slash = NULL;
    double above = rate ? strtod(rate, &slash) : 0.0;
    double below = slash && *slash == '/' ? strtod(slash + 1, NULL) : 0.0;

    if (count)
        return strtoll(count, NULL, 10);
    return below > 0.0 ? llround((double)media->duration_ms / 1000.0 * above / below) : 0;
}

static double share(int64_t part, int64_t whole)
{
    return whole <= 0 ? 0.0 : part >= whole ? 1.0 : (double)part / (double)whole;
}

static void put_spans(json_t *report, const char *name, const char *share_name, struct spans *spans,
                      int64_t whole_ms)
{
    json_object_set_new(report, name, spans_take(spans, whole_ms));
    json_object_set_new(report, share_name, report_number(share(spans->total_ms, whole_ms), 3));
}

static void fill_report(struct quality *quality, size_t complaints)
{
    json_t *report = quality->step->report;
    int64_t duration_ms = quality->step->media.duration_ms;

    end_bucket(quality);
    if (duration_ms < quality->now_ms)
        duration_ms = quality->now_ms;
    json_object_set_new(report, "frames", json_integer(quality->frames));
    json_object_set_new(report, "decoder_complaints", json_integer((json_int_t)complaints));
    json_object_set_new(report, "brightness", measure_json(&quality->luma));
    json_object_set_new(report, "dark_share", report_number(share(quality->dark_frames, quality->frames), 3));
    json_object_set_new(report, "blur", measure_json(&quality->blur));
    json_object_set_new(report, "scene_change_count", json_integer(quality->n_scenes));
    json_object_set(report, "scene_changes", quality->scenes);
    put_spans(report, "no_movement", "no_movement_share", &quality->still, duration_ms);
    put_spans(report, "black", "black_share", &quality->black, duration_ms);
    json_object_set(report, "timeline", quality->timeline);
    json_object_set_new(report, "what_this_measures", json_string(what_this_measures));
    report_ok(quality->step);
    progress_end_frames(quality->step, quality->frames);
}

static void run(struct step *step)
{
    static const char *const arguments[] = { "-map", "0:V:0", "-vf", FILTERS, "-f", "null", "-", NULL };
    struct quality quality = {
        .step = step, .scenes = json_array(), .timeline = json_array(),
        .still = SPANS_INIT, .black = SPANS_INIT,
    };
    struct child_result result;

    if (!step->media.video) {
        report_not_available(step, "the file has no pictures");
    } else {
        quality.frames_total = promised_frames(&step->media);
        quality.bucket_ms = 1000 * (1 + step->media.duration_ms / 1000 / MAX_BUCKETS);
        if (media_ffmpeg(step, arguments, on_output, &quality, &result) == 0)
            fill_report(&quality, result.error_lines);
    }
    json_decref(quality.scenes);
    json_decref(quality.timeline);
    json_decref(quality.still.list);
    json_decref(quality.black.list);
}

const struct step_kind step_quality = { .name = "quality", .needs_media = 1, .run = run };
