/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "audio.h"
#include "decoder.h"
#include "lines.h"
#include "progress.h"
#include "report.h"

const char decoder_name[] = "pocketsphinx_continuous";

#define PATH_BYTES 4096
#define BYTES_PER_SECOND (AUDIO_PCM_RATE * 2)
#define NICE 10

struct reading {
    struct step *step;
    const struct speech_input *input;
    struct lines lines;
    json_t *words;
};

/* "WORD START END CONFIDENCE"; the lines with the text of an utterance do not have this shape. */
static void on_line(void *arg, char *line)
{
    struct reading *reading = arg;
    double start, end, confidence;
    char word[128];
    char rest;

    if (sscanf(line, "%127s %lf %lf %lf %c", word, &start, &end, &confidence, &rest) == 4)
        decoder_add_word(reading->words, word, report_ms(start), report_ms(end), confidence);
}

static int on_output(void *arg, const char *bytes, size_t size)
{
    struct reading *reading = arg;

    lines_feed(&reading->lines, bytes, size, on_line, reading);
    return 0;
}

static void on_fed(void *arg, size_t fed)
{
    struct reading *reading = arg;

    progress_seconds(reading->step, (int64_t)fed * 1000 / BYTES_PER_SECOND,
                     (int64_t)reading->input->n_samples * 1000 / AUDIO_PCM_RATE);
}

/* It finds the stretches of speech by itself. */
int decoder_run(struct step *step, const struct speech_input *input, json_t *words)
{
    static const char *const argv[] = {
        decoder_name, "-infile", "/dev/stdin", "-logfn", "/dev/null", "-time", "yes", NULL,
    };
    struct reading reading = { .step = step, .input = input, .words = words };
    char program[PATH_BYTES];
    struct child_spec spec = {
        .program = program, .argv = argv, .nice = NICE,
        .time_limit_ms = step->time_limit_ms, .cpu_limit_s = step->time_limit_ms / 1000 + 1,
        .memory_limit_bytes = step->memory_limit_bytes,
        .input = input->samples, .input_size = input->n_samples * sizeof(*input->samples),
        .on_fed = on_fed, .on_output = on_output, .arg = &reading,
    };
    struct child_result result;

    if (child_find_program(decoder_name, program, sizeof(program)) != 0) {
        report_skipped(step, "pocketsphinx", "the program pocketsphinx_continuous is not installed");
        return -1;
    }
    if (child_run(&spec, &result) != 0) {
        report_child_failed(step, decoder_name, &result);
        return -1;
    }
    lines_end(&reading.lines, on_line, &reading);
    return 0;
}
