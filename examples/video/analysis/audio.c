/* SPDX-License-Identifier: MIT */
#include "audio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "media.h"
#include "report.h"
#include "spans.h"

#define BELOW_LOUDNESS_DB 12.0
#define LOWEST_THRESHOLD_DB (-60.0)
#define HIGHEST_THRESHOLD_DB (-20.0)
#define SILENT_LUFS (-69.9)     /* the meter's gate is at -70: nothing was louder than that */

#define METERS \
    "ebur128=peak=true:metadata=1,astats=metadata=1:measure_perchannel=none," \
    "ametadata=print:file=-:direct=1"

/* Sound that starts late or has gaps is filled up, so that the n-th sample is at its time in the file. */
#define ON_THE_FILES_CLOCK "aresample=async=1:first_pts=0"

struct reading {
    struct step *step;
    struct lines lines;
    audio_progress_fn progress;
    struct audio_levels *levels;    /* or NULL */
    struct spans *pauses;           /* or NULL */
    double samples;
    int64_t at_ms;
};

static double to_db(double amplitude)
{
    return amplitude > 0.0 ? 20.0 * log10(amplitude) : -INFINITY;
}

/* The meters print the state so far with every frame: the last line of each kind is the result. */
static void add_level(struct reading *reading, const char *key, double value)
{
    struct audio_levels *levels = reading->levels;

    if (strcmp(key, "r128.I") == 0)
        levels->loudness_lufs = value > SILENT_LUFS ? value : NAN;
    else if (strcmp(key, "r128.LRA") == 0)
        levels->range_lu = value;
    else if (strncmp(key, "r128.true_peaks_ch", 18) == 0)
        levels->true_peak_db = fmax(levels->true_peak_db, to_db(value));
    else if (strcmp(key, "astats.Overall.Peak_level") == 0)
        levels->sample_peak_db = value;
    else if (strcmp(key, "astats.Overall.RMS_level") == 0)
        levels->rms_db = value;
    else if (strcmp(key, "astats.Overall.Noise_floor") == 0)
        levels->noise_floor_db = value;
    else if (strcmp(key, "astats.Overall.Number_of_samples") == 0)
        reading->samples = value;
}

static void add_pause(struct reading *reading, const char *key, double value)
{
    if (strcmp(key, "silence_start") == 0)
        spans_start(reading->pauses, report_ms(value));
    else if (strcmp(key, "silence_end") == 0)
        spans_end(reading->pauses, report_ms(value));
}

static void add_frame(struct reading *reading, const char *line)
{
    const char *time = strstr(line, "pts_time:");

    if (!time)
        return;
    reading->at_ms = report_ms(strtod(time + strlen("pts_time:"), NULL));
    if (reading->progress)
        reading->progress(reading->step, reading->at_ms);
}

static void on_line(void *arg, char *line)
{
    static const char prefix[] = "lavfi.";
    struct reading *reading = arg;
    char *equals = strchr(line, '=');

    if (strncmp(line, "frame:", 6) == 0) {
        add_frame(reading, line);
    } else if (equals && strncmp(line, prefix, sizeof(prefix) - 1) == 0) {
        *equals = '\0';
        if (reading->levels)
            add_level(reading, line + sizeof(prefix) - 1, strtod(equals + 1, NULL));
        if (reading->pauses)
            add_pause(reading, line + sizeof(prefix) - 1, strtod(equals + 1, NULL));
    }
}

static int on_output(void *arg, const char *bytes, size_t size)
{
    struct reading *reading = arg;

    lines_feed(&reading->lines, bytes, size, on_line, reading);
    return 0;
}

static int64_t decoded_ms(const struct reading *reading)
{
    const char *rate = json_string_value(json_object_get(reading->step->media.audio, "sample_rate"));
    double per_second = rate ? strtod(rate, NULL) : 0.0;

    return per_second > 0.0 ? report_ms(reading->samples / per_second) : reading->at_ms;
}

int audio_measure(struct step *step, struct audio_levels *levels, audio_progress_fn progress)
{
    static const char *const arguments[] = {
        "-map", "0:a:0", "-af", METERS, "-f", "null", "-", NULL,
    };
    struct reading reading = { .step = step, .progress = progress, .levels = levels };
    struct child_result result;

    *levels = (struct audio_levels){
        .loudness_lufs = NAN, .range_lu = NAN, .sample_peak_db = NAN, .true_peak_db = -INFINITY,
        .rms_db = NAN, .noise_floor_db = NAN,
    };
    if (media_ffmpeg(step, arguments, on_output, &reading, &result) != 0)
        return -1;
    levels->complaints = result.error_lines;
    levels->duration_ms = decoded_ms(&reading);
    if (levels->duration_ms > 0)
        return 0;
    report_failed(step, "no sound could be decoded");
    return -1;
}

static double pause_threshold(const struct audio_levels *levels)
{
    if (!isfinite(levels->loudness_lufs))
        return LOWEST_THRESHOLD_DB;
    return fmin(fmax(levels->loudness_lufs - BELOW_LOUDNESS_DB, LOWEST_THRESHOLD_DB), HIGHEST_THRESHOLD_DB);
}

int audio_find_pauses(struct step *step, const struct audio_levels *levels, int min_ms,
                      struct audio_pauses *pauses, audio_progress_fn progress)
{
    char filters[256];
    const char *const arguments[] = { "-map", "0:a:0", "-af", filters, "-f", "null", "-", NULL };
    struct spans spans = SPANS_INIT;
    struct reading reading = { .step = step, .progress = progress, .pauses = &spans };

    pauses->threshold_db = pause_threshold(levels);
    snprintf(filters, sizeof(filters),
             ON_THE_FILES_CLOCK ",aformat=channel_layouts=mono,silencedetect=noise=%.2fdB:d=%.3f,"
             "ametadata=print:file=-:direct=1",
             pauses->threshold_db, (double)min_ms / 1000.0);
    if (media_ffmpeg(step, arguments, on_output, &reading, NULL) != 0) {
        json_decref(spans.list);
        return -1;
    }
    pauses->list = spans_take(&spans, levels->duration_ms);
    pauses->total_ms = spans.total_ms;
    return 0;
}

int audio_decode(struct step *step, child_bytes_fn on_samples, void *arg)
{
    static const char *const arguments[] = {
        "-map", "0:a:0", "-af", ON_THE_FILES_CLOCK, "-ac", "1", "-ar", "16000",
        "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1", NULL,
    };

    return media_ffmpeg(step, arguments, on_samples, arg, NULL);
}
