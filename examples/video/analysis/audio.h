/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_AUDIO_H
#define VIDEO_AUDIO_H

/* What the sound and the speech step both need to know about the first audio stream. */

#include "step.h"

struct audio_levels {
    double loudness_lufs;       /* integrated, EBU R 128; not a number when the file is silent */
    double range_lu;            /* loudness range */
    double sample_peak_db;      /* of full scale */
    double true_peak_db;
    double rms_db;
    double noise_floor_db;
    int64_t duration_ms;        /* of the sound that could be decoded */
    size_t complaints;          /* lines the decoder had to say */
};

struct audio_pauses {
    double threshold_db;
    json_t *list;               /* [{"start_ms", "end_ms"}], owned by the caller */
    int64_t total_ms;
};

/* Called with the time of the sound that has just been read. */
typedef void (*audio_progress_fn)(struct step *step, int64_t at_ms);

/* Both return 0, or -1 with the report's status set. */
int audio_measure(struct step *step, struct audio_levels *levels, audio_progress_fn progress);

/*
 * A pause is `min_ms` or longer and stays below a threshold 12 dB under the loudness of the file, so that a
 * quiet recording has the same pauses as a loud one.
 */
int audio_find_pauses(struct step *step, const struct audio_levels *levels, int min_ms,
                      struct audio_pauses *pauses, audio_progress_fn progress);

#define AUDIO_PCM_RATE 16000

/* The sound as 16-bit samples, mono, AUDIO_PCM_RATE a second; sample 0 is at time 0 of the file. */
int audio_decode(struct step *step, child_bytes_fn on_samples, void *arg);

#endif
