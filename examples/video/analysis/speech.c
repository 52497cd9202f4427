/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio.h"
#include "decoder.h"
#include "progress.h"
#include "report.h"
#include "step.h"

#define MIN_PAUSE_MS 250        /* reported */
#define CUT_PAUSE_MS 500 /* long enough to end a stretch of speech: shorter ones belong to a sentence */
#define MARGIN_MS 150           /* kept on both sides of a stretch, because speech starts softly */
#define MAX_STRETCH_MS 20000
#define MIN_STRETCH_MS 100
#define MAX_SOUND_MS (3600 * 1000)   /* about 9,000 words, which is what a report should hold */

static const char what_this_measures[] =
    "a draft transcript: about one word in three is wrong even on clear read English, other sounds and "
    "languages come out as English words, and the confidence is the decoder's own; words_per_minute counts "
    "the time outside pauses";

struct pcm {
    unsigned char *bytes;
    size_t size, room;
    int out_of_memory;
    int too_long;
};

struct segments {
    struct segment *list;
    size_t n, room;
    size_t n_samples;
    int out_of_memory;
};

static size_t samples_of(int64_t ms)
{
    return (size_t)(ms < 0 ? 0 : ms) * (AUDIO_PCM_RATE / 1000);
}

static int collect(void *arg, const char *bytes, size_t size)
{
    struct pcm *pcm = arg;
    size_t needed = pcm->size + size;

    if (needed > samples_of(MAX_SOUND_MS) * sizeof(int16_t)) {
        pcm->too_long = 1;
        return -1;
    }
    if (needed > pcm->room) {
        size_t room = needed * 2;
        unsigned char *grown = realloc(pcm->bytes, room);

        if (!grown) {
            pcm->out_of_memory = 1;
            return -1;
        }
        pcm->bytes = grown;
        pcm->room = room;
    }
    memcpy(pcm->bytes + pcm->size, bytes, size);
    pcm->size = needed;
    return 0;
}

static int load_sound(struct step *step, struct pcm *pcm)
{
    if (audio_decode(step, collect, pcm) == 0)
        return 0;
    if (pcm->too_long)
        report_failed(step, "more than one hour of sound");
    if (pcm->out_of_memory)
        report_failed(step, "out of memory");
    return -1;
}

static void push_segment(struct segments *segments, size_t start, size_t end)
{
    if (segments->n == segments->room) {
        size_t room = segments->room * 2 + 16;
        struct segment *grown = realloc(segments->list, room * sizeof(*grown));

        if (!grown) {
            segments->out_of_memory = 1;
            return;
        }
        segments->list = grown;
        segments->room = room;
    }
    segments->list[segments->n++] = (struct segment){ .start = start, .end = end };
}

/* One stretch between two pauses; a very long one is cut, because the search gets slower with its length. */
static void add_stretch(struct segments *segments, int64_t start_ms, int64_t end_ms)
{
    size_t start = samples_of(start_ms - MARGIN_MS);
    size_t end = samples_of(end_ms + MARGIN_MS);

    if (end_ms - start_ms < MIN_STRETCH_MS)
        return;
    if (end > segments->n_samples)
        end = segments->n_samples;
    for (; end > start && end - start > samples_of(MAX_STRETCH_MS); start += samples_of(MAX_STRETCH_MS))
        push_segment(segments, start, start + samples_of(MAX_STRETCH_MS));
    if (end > start)
        push_segment(segments, start, end);
}

static void find_segments(struct segments *segments, const json_t *pauses, int64_t duration_ms)
{
    int64_t from = 0;
    size_t index;
    json_t *pause;

    json_array_foreach(pauses, index, pause) {
        int64_t start = json_integer_value(json_object_get(pause, "start_ms"));
        int64_t end = json_integer_value(json_object_get(pause, "end_ms"));

        if (end - start < CUT_PAUSE_MS)
            continue;
        add_stretch(segments, from, start);
        from = end;
    }
    add_stretch(segments, from, duration_ms);
}

static int is_filler(const char *word)
{
    return word[0] == '<' || word[0] == '[' || word[0] == '+';
}

void decoder_add_word(json_t *words, const char *word, int64_t start_ms, int64_t end_ms, double confidence)
{
    json_t *text;

    if (!word || is_filler(word))
        return;
    text = json_stringn(word, strcspn(word, "("));
    if (text)
        json_array_append_new(words, json_pack("{s:o, s:I, s:I, s:o}", "word", text,
                                               "start_ms", (json_int_t)start_ms, "end_ms", (json_int_t)end_ms,
                                               "confidence", report_number(fmin(confidence, 1.0), 3)));
}

static json_t *join_words(const json_t *words)
{
    json_t *text;
    size_t index, size = 1, used = 0;
    json_t *word;
    char *joined;

    json_array_foreach(words, index, word)
        size += json_string_length(json_object_get(word, "word")) + 1;
    joined = malloc(size);
    if (!joined)
        return json_null();
    json_array_foreach(words, index, word) {
        const char *one = json_string_value(json_object_get(word, "word"));

        if (index > 0)
            joined[used++] = ' ';
        memcpy(joined + used, one, strlen(one));
        used += strlen(one);
    }
    text = json_stringn(joined, used);
    free(joined);
    return text;
}

static double mean_confidence(const json_t *words)
{
    double sum = 0.0;
    size_t index;
    json_t *word;

    json_array_foreach(words, index, word)
        sum += json_number_value(json_object_get(word, "confidence"));
    return json_array_size(words) > 0 ? sum / (double)json_array_size(words) : NAN;
}

static void put_rates(json_t *report, size_t n_words, int64_t duration_ms, const struct audio_pauses *pauses)
{
    int64_t speech_ms = duration_ms > pauses->total_ms ? duration_ms - pauses->total_ms : 0;
    double per_minute = speech_ms > 0 ? (double)n_words * 60000.0 / (double)speech_ms : NAN;
    double share = duration_ms > 0 ? fmin((double)pauses->total_ms / (double)duration_ms, 1.0) : NAN;

    json_object_set_new(report, "duration_ms", json_integer(duration_ms));
    json_object_set_new(report, "sound_ms", json_integer(speech_ms));
    json_object_set_new(report, "words_per_minute", report_number(n_words > 0 ? per_minute : NAN, 1));
    json_object_set_new(report, "pause_share", report_number(share, 3));
    json_object_set(report, "pauses", pauses->list);
}

static void fill_report(struct step *step, json_t *words, int64_t duration_ms,
                        const struct audio_pauses *pauses)
{
    json_t *report = step->report;

    json_object_set_new(report, "draft", json_true());
    json_object_set_new(report, "decoder", json_string(decoder_name));
    json_object_set_new(report, "language", json_string("en-US"));
    json_object_set_new(report, "text", join_words(words));
    json_object_set(report, "words", words);
    json_object_set_new(report, "mean_confidence", report_number(mean_confidence(words), 3));
    put_rates(report, json_array_size(words), duration_ms, pauses);
    json_object_set_new(report, "what_this_measures", json_string(what_this_measures));
    report_ok(step);
}

static void transcribe(struct step *step, const struct pcm *pcm, const struct audio_levels *levels,
                       const struct audio_pauses *pauses)
{
    union { const unsigned char *bytes; const int16_t *samples; } sound = { .bytes = pcm->bytes };
    struct segments segments = { .n_samples = pcm->size / sizeof(int16_t) };
    struct speech_input input = { .samples = sound.samples, .n_samples = segments.n_samples };
    json_t *words = json_array();

    /* Without a loudness there is nothing above the meter's gate: not a search for words in noise, then. */
    if (isfinite(levels->loudness_lufs))
        find_segments(&segments, pauses->list, levels->duration_ms);
    input.segments = segments.list;
    input.n_segments = segments.n;
    if (segments.out_of_memory || !words)
        report_failed(step, "out of memory");
    else if (segments.n == 0 || decoder_run(step, &input, words) == 0)
        fill_report(step, words, levels->duration_ms, pauses);
    free(segments.list);
    json_decref(words);
}

static void run(struct step *step)
{
    struct audio_levels levels;
    struct audio_pauses pauses;
    struct pcm pcm = { .bytes = NULL };

    if (!step->media.audio) {
        report_not_available(step, "the file has no sound");
        return;
    }
    if (audio_measure(step, &levels, NULL) != 0 ||
        audio_find_pauses(step, &levels, MIN_PAUSE_MS, &pauses, NULL) != 0)
        return;
    if (load_sound(step, &pcm) == 0)
        transcribe(step, &pcm, &levels, &pauses);
    if (!report_has_failed(step))
        progress_end_seconds(step, levels.duration_ms);
    free(pcm.bytes);
    json_decref(pauses.list);
}

const struct step_kind step_speech = { .name = "speech", .needs_media = 1, .run = run };
