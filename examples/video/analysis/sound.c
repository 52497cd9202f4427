/* SPDX-License-Identifier: MIT */
#include "audio.h"
#include "progress.h"
#include "report.h"
#include "step.h"

#define MIN_PAUSE_MS 250

static const char what_this_measures[] =
    "loudness and its range after EBU R 128, null when the file is silent; a pause is at least 250 ms that "
    "stay below the threshold, which is 12 dB under the loudness, whatever makes the sound";

/* The sound is read twice: the threshold of the second pass comes from the first. */
static void first_pass(struct step *step, int64_t at_ms)
{
    progress_seconds(step, at_ms, 2 * step->media.duration_ms);
}

static void second_pass(struct step *step, int64_t at_ms)
{
    progress_seconds(step, step->media.duration_ms + at_ms, 2 * step->media.duration_ms);
}

static double share(int64_t part, int64_t whole)
{
    return whole <= 0 ? 0.0 : part >= whole ? 1.0 : (double)part / (double)whole;
}

static void put_levels(json_t *report, const struct audio_levels *levels)
{
    json_object_set_new(report, "duration_ms", json_integer(levels->duration_ms));
    json_object_set_new(report, "loudness_lufs", report_number(levels->loudness_lufs, 2));
    json_object_set_new(report, "loudness_range_lu", report_number(levels->range_lu, 2));
    json_object_set_new(report, "sample_peak_db", report_number(levels->sample_peak_db, 2));
    json_object_set_new(report, "true_peak_db", report_number(levels->true_peak_db, 2));
    json_object_set_new(report, "rms_db", report_number(levels->rms_db, 2));
    json_object_set_new(report, "noise_floor_db", report_number(levels->noise_floor_db, 2));
    json_object_set_new(report, "decoder_complaints", json_integer((json_int_t)levels->complaints));
}

static void put_pauses(json_t *report, const struct audio_pauses *pauses, int64_t duration_ms)
{
    json_object_set(report, "pauses", pauses->list);
    json_object_set_new(report, "pause_share", report_number(share(pauses->total_ms, duration_ms), 3));
    json_object_set_new(report, "pause_threshold_db", report_number(pauses->threshold_db, 2));
    json_object_set_new(report, "what_this_measures", json_string(what_this_measures));
}

static void run(struct step *step)
{
    struct audio_levels levels;
    struct audio_pauses pauses;

    if (!step->media.audio) {
        report_not_available(step, "the file has no sound");
        return;
    }
    if (audio_measure(step, &levels, first_pass) != 0 ||
        audio_find_pauses(step, &levels, MIN_PAUSE_MS, &pauses, second_pass) != 0)
        return;
    put_levels(step->report, &levels);
    put_pauses(step->report, &pauses, levels.duration_ms);
    json_decref(pauses.list);
    report_ok(step);
    progress_end_seconds(step, 2 * step->media.duration_ms);
}

const struct step_kind step_sound = { .name = "sound", .needs_media = 1, .run = run };
