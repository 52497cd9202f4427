/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_PARTS_H
#define VIDEO_PARTS_H

/*
 * A submission is one video and its parts, each a job:
 *
 *     probe ──┬─ quality ─┐
 *             ├─ sound ───┤
 *             ├─ speech ──┤
 *             ├─ face ────┼── report
 *             ├─ gesture ─┤
 *             └─ emotion ─┘
 *
 * The probe hashes the file and puts all others in the exchange of its own acknowledgement; the report waits
 * for the steps and is made even if one of them is dead: it then names it. Further steps stand beside the
 * six, added by configuration: steps.h. Which steps a submission has is decided once, by the probe, and
 * stands in the payload of its report; whoever shows or gathers them reads them there.
 *
 * Ids. The probe's id is the submission's id, the `jobId` that people hold. It is an ordinary minted id, a
 * UUID of version 7, so its 13th hex digit is 7. The other parts have the same id with another 13th digit: 8
 * the report, 9 quality, a sound, b speech, c face, d gesture, e emotion, f notify, 0 webhook,
 * 2 fetch. The added steps all have a 3, and their names are mixed into the random digits behind it. No
 * minted id can be one of them, every part can be found from the jobId and its name alone, whoever else was
 * configured with what other steps, and a probe that is run again names the same jobs again.
 */

#include <jobq/jobq.h>

enum part {
    PART_PROBE,
    PART_REPORT,
    /* the two that tell the caller; only when a callbackUrl was given */
    PART_NOTIFY,
    PART_WEBHOOK,
    /* no part of one submission: what is put into its queue wakes steps whose orders went into a queue */
    PART_RESULTS,
    PART_FETCH, /* what the probe waits for, when the video is elsewhere */
    PART_QUALITY,
    PART_SOUND,
    PART_SPEECH,
    PART_FACE,
    PART_GESTURE,
    PART_EMOTION,
    PART_KNOWN /* from here to part_end the steps that were added */
};
#define PART_FIRST_STEP  PART_QUALITY
#define STEPS_ADDED_MOST 16
#define PARTS_MOST       (PART_KNOWN + STEPS_ADDED_MOST)
#define PART_NAME_BYTES  16

/* The caller is told by two more jobs: "notify" waits for the probe, whatever becomes of it, and puts
 * "webhook", which waits for the report and posts. */

enum part_runs {
    RUNS_PROBE,   /* hashes the file, asks a child process about it and spreads the steps */
    RUNS_REPORT,  /* gathers the steps' results */
    RUNS_CHILD,   /* a child process of the worker, or a service when there is one for it */
    RUNS_SERVICE, /* a service over HTTP, which calls back */
    RUNS_NOTIFY,
    RUNS_WEBHOOK,
    RUNS_RESULTS,
    RUNS_FETCH
};

struct part_info {
    const char *name;
    const char *queue;
    const char *orders; /* of a step: the queue that its orders go into, when somebody pulls them there */
    enum part_runs runs;
    int digit;           /* of the ids, the 13th */
    int version;         /* raised when the same file would give another result */
    size_t threads;      /* of one worker process, unless -j says otherwise */
    int64_t timeout_ms;  /* of one attempt */
    int64_t deadline_ms; /* of a step: for the callback, when a service does it */
    const char *program; /* of an added step: absolute; NULL: none here */
};

/* Complete before the first thread is started: steps_add. */
extern struct part_info parts[PARTS_MOST];
extern int part_end;

/* The progress of a part that comes back later because its service is busy. */
#define PROGRESS_BUSY "{\"busy\":true}"

/* The part of that name, or -1. */
int part_by_name(const char *name);

/* The part whose queue this is, or -1. */
int part_by_queue(const char *queue);

/* The id of a part of the submission. */
void part_id(const struct jobq_id *submission, int part, struct jobq_id *out);

/* Where the video of a submission is kept that was fetched from this URL, below the media folder. */
#define FETCHED_FOLDER     "fetched"
#define FETCHED_NAME_BYTES 64
void fetched_name(const struct jobq_id *submission, const char *url, char out[FETCHED_NAME_BYTES]);

/* 1 if this can be a submission's id. */
int is_submission_id(const struct jobq_id *id);

#endif
