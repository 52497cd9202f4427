/* SPDX-License-Identifier: MIT */
/*
 * A deterministic simulation: the library as it ships over the memory store, with clock, chance and scheduling in the hands of
 * one number, the seed. Processes (handles) put, claim, end, lose and repeat jobs in an order that the seed draws; exchanges
 * fail or lose their answer; the wall clock is set by hours; and after each step a model, which knows no more than what was
 * answered, is asked whether that may be.
 */
#ifndef SIM_H
#define SIM_H

#include <jobq/jobq.h>

#include <stdbool.h>
#include <stdint.h>

struct sim_world {
    uint64_t dice;
    int64_t monotonic_ms, wall_ms;
};
extern struct sim_world sim;

uint64_t sim_roll(void);
bool sim_chance(int percent);
void sim_pass(int64_t ms);

/* ---- the model ------------------------------------------------------------------------------------------------ */

#define MODEL_JOBS 64

enum fate { FATE_LIVE, FATE_DONE, FATE_DEAD, FATE_CANCELLED };

struct model_job {
    struct jobq_id id;
    bool exists, maybe;     /* maybe: the answer of its put was UNKNOWN */
    int key;                /* 0: none */
    int32_t max_attempts;
    int64_t claims;         /* leases granted, as told */
    bool unsure_claims;     /* and perhaps some more: a claim's answer was UNKNOWN */
    bool held, unsure_held; /* by `token`; perhaps given back meanwhile */
    struct jobq_token token;
    int64_t lease_until_ms; /* store's clock */
    int completions;        /* accepted under a token */
    uint32_t result;
    bool unsure_result;     /* another completion stayed UNKNOWN and may be the one that counted */
    int last_state;
    int32_t redrives, cancels;
};

struct model {
    uint64_t seed;
    long step;
    struct model_job jobs[MODEL_JOBS];
    int count;
    long stale, already, unknown, expired, duplicates; /* what really happened */
    char trouble[256];                                 /* the first rule that was broken; "": none */
};

/* One that was broken; the run ends with its seed. */
void model_broken(struct model *m, const char *rule, int job, const char *what);
void model_claimed(struct model *m, const struct jobq_job *job, int64_t now_ms); /* S4, S5 */
void model_ended(struct model *m, int job, const struct jobq_token *token, int status, bool completes, uint32_t result);
void model_look(struct model *m, struct jobq *q, int job);  /* one job as stored: S1, S3, S5, S6, S13, S14 */
void model_audit(struct model *m, struct jobq *q);          /* all of them: S1, S7, S9, S10 */
int model_find(const struct model *m, const struct jobq_id *id); /* -1: none */

#define SIM_QUEUE "q"
#define SIM_LIMIT 3 /* jobs of the queue that run at a time */

#endif
