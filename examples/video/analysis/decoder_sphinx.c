/* SPDX-License-Identifier: MIT */
#include <pocketsphinx.h>
#include <sphinxbase/err.h>

#include <stdio.h>
#include <unistd.h>

#include "audio.h"
#include "decoder.h"
#include "progress.h"
#include "report.h"

const char decoder_name[] = "libpocketsphinx";

#define FRAMES_PER_SECOND 100
#define PATH_BYTES 512

static int find_model(char *acoustic, char *language, char *dictionary)
{
    snprintf(acoustic, PATH_BYTES, "%s/en-us/en-us", POCKETSPHINX_MODELS);
    snprintf(language, PATH_BYTES, "%s/en-us/en-us.lm.bin", POCKETSPHINX_MODELS);
    snprintf(dictionary, PATH_BYTES, "%s/en-us/cmudict-en-us.dict", POCKETSPHINX_MODELS);
    return access(acoustic, R_OK) || access(language, R_OK) || access(dictionary, R_OK) ? -1 : 0;
}

/*
 * Each stretch is one utterance with its own mean normalisation, and no silence is cut out of it by the
 * decoder: so frame numbers are times, and the words of a stretch depend on its samples alone.
 */
static ps_decoder_t *open_decoder(cmd_ln_t **config)
{
    char acoustic[PATH_BYTES], language[PATH_BYTES], dictionary[PATH_BYTES];

    *config = NULL;
    if (find_model(acoustic, language, dictionary) != 0)
        return NULL;
    *config = cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", acoustic, "-lm", language, "-dict", dictionary,
                          "-logfn", "/dev/null", "-cmn", "batch", "-remove_silence", "no", "-frate", "100",
                          NULL);
    return *config ? ps_init(*config) : NULL;
}

static void add_words(ps_decoder_t *decoder, const struct segment *segment, json_t *words)
{
    int64_t offset_ms = (int64_t)segment->start * 1000 / AUDIO_PCM_RATE;
    logmath_t *logmath = ps_get_logmath(decoder);
    ps_seg_t *word;

    for (word = ps_seg_iter(decoder); word; word = ps_seg_next(word)) {
        int first = 0, last = 0;

        ps_seg_frames(word, &first, &last);
        decoder_add_word(words, ps_seg_word(word), offset_ms + (int64_t)first * 1000 / FRAMES_PER_SECOND,
                         offset_ms + (int64_t)(last + 1) * 1000 / FRAMES_PER_SECOND,
                         logmath_exp(logmath, ps_seg_prob(word, NULL, NULL, NULL)));
    }
}

static int decode_segment(ps_decoder_t *decoder, const int16_t *samples, const struct segment *segment,
                          json_t *words)
{
    size_t length = segment->end - segment->start;

    if (ps_start_stream(decoder) != 0 || ps_start_utt(decoder) != 0)
        return -1;
    if (ps_process_raw(decoder, samples + segment->start, length, FALSE, TRUE) < 0 ||
        ps_end_utt(decoder) != 0)
        return -1;
    if (ps_get_hyp(decoder, NULL))
        add_words(decoder, segment, words);
    return 0;
}

static int decode_all(struct step *step, ps_decoder_t *decoder, const struct speech_input *input,
                      json_t *words)
{
    int64_t total_ms = (int64_t)input->n_samples * 1000 / AUDIO_PCM_RATE;

    for (size_t i = 0; i < input->n_segments; i++) {
        if (decode_segment(decoder, input->samples, &input->segments[i], words) != 0) {
            report_failed(step, "the speech decoder gave up at %.1f s",
                          (double)input->segments[i].start / AUDIO_PCM_RATE);
            return -1;
        }
        progress_seconds(step, (int64_t)input->segments[i].end * 1000 / AUDIO_PCM_RATE, total_ms);
    }
    return 0;
}

int decoder_run(struct step *step, const struct speech_input *input, json_t *words)
{
    ps_decoder_t *decoder;
    cmd_ln_t *config;
    int status = -1;

    err_set_logfp(NULL);
    decoder = open_decoder(&config);
    if (decoder)
        status = decode_all(step, decoder, input, words);
    else if (config)
        report_failed(step, "the speech decoder refused its model in %s", POCKETSPHINX_MODELS);
    else
        report_skipped(step, "pocketsphinx-en-us", "the English speech model is not installed");
    ps_free(decoder);
    cmd_ln_free_r(config);
    return status;
}
