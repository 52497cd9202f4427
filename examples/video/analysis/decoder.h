/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_DECODER_H
#define VIDEO_DECODER_H

/*
 * Speech to words. There is one of these in the program: decoder_sphinx.c when libpocketsphinx was there at
 * build time, otherwise decoder_program.c, which runs pocketsphinx_continuous.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "step.h"

/* A stretch of speech, in samples of AUDIO_PCM_RATE. */
struct segment {
    size_t start;
    size_t end;
};

struct speech_input {
    const int16_t *samples;
    size_t n_samples;
    const struct segment *segments;     /* in order, not overlapping */
    size_t n_segments;
};

extern const char decoder_name[];

/*
 * Appends {"word", "start_ms", "end_ms", "confidence"} to `words`, in order of time, times from the first
 * sample. Returns 0, or -1 with the report's status set: skipped when the program or the model is not
 * installed.
 */
int decoder_run(struct step *step, const struct speech_input *input, json_t *words);

/* Adds one word as the decoders print it; fillers (silence, noise, sentence marks) are left out and the
 * number of a pronunciation, as in "the(2)", is cut off. */
void decoder_add_word(json_t *words, const char *word, int64_t start_ms, int64_t end_ms, double confidence);

#endif
