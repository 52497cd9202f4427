/* SPDX-License-Identifier: MIT */
/*
 * Random sequences of exchanges on two stores at once. A step says what to do in terms of numbers (job 7, the token of
 * want 3), so that the same step means the same on both, and again on fresh stores while a failing sequence is shrunk.
 */
#ifndef DIFFERENTIAL_DIFF_H
#define DIFFERENTIAL_DIFF_H

#include <jobq/backend.h>

#include <stdbool.h>
#include <stdio.h>

/* No store's clock stands still, and a server's cannot be made to. But nothing in a sequence depends on less than
 * minutes. Instants are base + k * UNIT / 4 + step * GRID + what really passed since the base was taken, and the moved part
 * rises by at least GRID with each step: so what is compared with what lies GRID apart or more, or GRID / 4 (the
 * shortest duration) within a step, and an instant divided by GRID is the same on both stores. Only a store that stands
 * still for GRID / 4, five minutes, in the middle of a sequence of milliseconds could show another; none is excused. */
#define GRID ((int64_t)20 * 60 * 1000)
#define UNIT (1000 * GRID)

#define JOBS 160     /* numbers of jobs in a sequence with bursts */
#define FEW_JOBS 40  /* ... without */
#define GROUPS 4
#define WANTS 64
#define ITEMS 6
#define BURST 64
#define CLIENTS 2
#define NO_TOKEN (-1)
#define FORGED_TOKEN (-2)

enum step_kind { STEP_EXCHANGE, STEP_QUEUE, STEP_WORKER_STOP, STEP_READ, STEP_SCHEDULE, STEP_LIMIT, STEP_LIMITS,
                 STEP_EVENTS };

struct beat_step {
    int token;
    uint32_t flags;
    int64_t lease_ms;
};

struct change_step {
    int job, transition; /* transition: index into the table that was tried */
    int by, token, outcome, state, reason, digest;
    uint32_t allowed, edits, set;
    struct jobq_time run_at, callback_until; /* base ABS: offset from the sequence's base */
    int64_t lease_ms;
    int32_t counters[5];
    int alone, error_kind;
    int bytes[5]; /* result, progress, data, payload, error: index of a value */
};

/* A schedule, or the tick of one. Instants: offsets from the sequence's base. */
struct tick_step {
    int schedule; /* 0: none */
    int mode;
    int64_t version, at_ms, next_ms;
};

struct put_step {
    int job, queue, kind, group, payload, policy, key, trace;
    int32_t priority;
    int64_t rank_add_ms, timeout_ms, window_ms;
    struct jobq_time run_at, expires_at;
    int held, scope, digest, hold, conflict; /* scope 0: no key */
    int parents[3], rules[3], parent_count;
    int only_if, transition;
    struct tick_step tick;
};

/* Many plain jobs at once: put into one queue, of so many groups in turn, or completed plainly under one token. */
struct put_burst {
    int queue, kind, payload, groups, count;
    uint8_t jobs[BURST];
};

struct ack_burst {
    int token, count;
    bool first; /* in front of the other changes */
    uint32_t edits, set;
    uint8_t jobs[BURST];
};

struct want_step {
    int mode; /* 0: none */
    int number;
    int queues[3], queue_count, kinds[2], kind_count, worker;
    size_t limit, bytes, others;
    int64_t lease_ms;
    int cursor; /* the one that this client (0 ..) got last; NO_CURSOR, FORGED_CURSOR */
    int32_t share;
};
#define NO_CURSOR (-1)
#define FORGED_CURSOR (-2)

/* Limits are set, or read. */
struct limit_step {
    int of;          /* enum jobq_limit_of */
    int name, after; /* -1: absent */
    int64_t concurrency, group_concurrency, rate, rate_period_ms, quota, quota_period_ms;
    int plan;
};

struct step {
    int kind, client;
    int64_t tick_ms;
    bool repeat; /* the number of this client's exchange before */
    struct beat_step beats[2];
    struct change_step changes[ITEMS];
    struct put_step puts[ITEMS];
    int beat_count, change_count, put_count;
    struct put_burst burst; /* behind the other puts */
    struct ack_burst acks;
    size_t trim_limit;
    int64_t keep_count, keep_ms, results_ms;
    int worker; /* 0: none, else the number of a worker; negative: it leaves */
    struct want_step want;
    /* STEP_QUEUE; STEP_EVENTS: keep_count */
    uint32_t set;
    int queue, paused;
    int64_t depth;
    /* STEP_SCHEDULE: set, paused and */
    struct tick_step schedule;
    int definition;
    /* STEP_LIMIT: set and; STEP_LIMITS: want.limit and */
    struct limit_step limit;
    /* STEP_READ */
    uint32_t states;
    int reason;
    int64_t older_ms;
};

#define STEPS_MAX 60
struct sequence {
    uint64_t seed;
    struct step steps[STEPS_MAX];
    int count;
};

/* One store with what the steps refer to. */
struct side {
    const char *name;
    uint64_t seed; /* of the sequence */
    const struct jobq_backend *backend;
    struct jobq_store *stores[CLIENTS];
    uint64_t numbers[CLIENTS];
    struct jobq_arena *arena; /* of the newest step */
    struct jobq_token tokens[WANTS];
    int64_t base;
    bool schedules, groups, figures, events; /* both stores have them */
    bool remembers;           /* where the front of a queue was: decision 29 */
    int64_t next, right_next; /* when the next thing happens, on the grid, as this side and as the right one say */
    int64_t events_kept; /* as it was set */
    struct jobq_bytes cursors[CLIENTS];
    uint8_t cursor_bytes[CLIENTS][2048];
    char uri[512];
    char folder[256];
};

/* ---- side.c ------------------------------------------------------------------------------------------------ */

int side_open(struct side *side, const char *name, uint64_t seed); /* "memory", "sqlite" ...; 0 or -1 */
void side_close(struct side *side);
void side_done(void); /* close what was kept open */
void side_new_arena(struct side *side);
struct jobq_id job_id(int job);
struct jobq_bytes name_value(int index);  /* names of queues, kinds, groups, workers */
struct jobq_bytes bytes_value(int index); /* 0: absent */
#define NAME_VALUES 6
#define BYTES_VALUES 8

/* ---- run.c --------------------------------------------------------------------------------------------------- */

/* What the exchange answered, for the counts; the answer itself is text. */
struct outcome {
    int verdicts[ITEMS], put_verdicts[ITEMS];
    size_t claimed, swept;
    size_t reached; /* limits read that leave no room */
};

int64_t on_the_grid(void *side, int64_t at); /* an instant, as two stores must share it */
/* Do the step and write all that it answered, or an error, as text. */
void run_step(struct side *side, const struct step *step, FILE *out, struct outcome *outcome);
/* Everything that is stored, as text. */
void show_store(struct side *side, FILE *out);

/* ---- limits.c -------------------------------------------------------------------------------------------------- */

struct generator;
void generate_limit(struct generator *g, struct step *s);
void generate_limits_read(struct generator *g, struct step *s);
void run_limit(struct side *side, const struct step *s, FILE *out);
void run_limits(struct side *side, const struct step *s, FILE *out, struct outcome *outcome);
void show_limits(struct side *side, FILE *out);
int side_align(struct side *side, int64_t now); /* move the clock to where sequences begin */

/* ---- history.c ------------------------------------------------------------------------------------------------- */

void show_figures(FILE *out, const struct jobq_queue_stats *q);
void generate_events(struct generator *g, struct step *s);
void run_events(struct side *side, const struct step *s, FILE *out);
void show_events(struct side *side, FILE *out);

/* ---- burst.c --------------------------------------------------------------------------------------------------- */

void generate_bursts(struct generator *g, struct side *side, const struct jobq_query *rows, struct step *s);
void show_bursts(FILE *out, const struct step *s);
/* A look at the rows before a step: are there such that a store may keep together, running or ended? */
void count_batches(const struct jobq_query *rows);
int print_batches(void); /* 1 when they were too few */

/* ---- generate.c ------------------------------------------------------------------------------------------------ */

struct dice {
    uint64_t state;
};
uint32_t roll(struct dice *dice, uint32_t sides); /* 0 .. sides - 1 */

/* The next step, chosen after a look at the rows of `side`. */
struct generator {
    struct dice dice;
    int wants; /* so far */
    int jobs;  /* numbers are below it */
    bool bursts; /* many plain jobs are put, claimed and acked at once */
    bool groups; /* both stores serve groups in turn */
    bool limits; /* ... and some are set in this sequence: */
    int limits_first; /* by so many of its first steps */
    bool schedules, successors, logs;
    bool events, events_first; /* kept from the first step on */
    struct step last[CLIENTS];
    bool has_last[CLIENTS];
};
bool chance(struct generator *g, uint32_t percent);
int between(struct generator *g, int low, int high);
int64_t pick(struct generator *g, const int64_t *values, size_t count);
#define PICK(g, ...) \
    pick(g, (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))
void generate_step(struct generator *g, struct side *side, struct step *out);

/* ---- show_step.c ------------------------------------------------------------------------------------------------- */

void show_step(FILE *out, const struct step *step);

#endif
