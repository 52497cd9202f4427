/* SPDX-License-Identifier: MIT */
/*
 * Plain jobs that are put, claimed and ended many at a time, as most are. A store may keep what happened to them once for all
 * of them, and whoever looks at one must not see that. So each test here says what every single row has to be, every member
 * of it, from what was put and what the claim and the ack answered.
 */
#ifndef CONFORMANCE_BATCH_KIT_H
#define CONFORMANCE_BATCH_KIT_H

#include "suite.h"

#define MANY 24        /* rows of a batch, unless a test says otherwise */
#define NUMBERS 8192   /* job numbers are below it */

/* Rows claimed by one want, and when they ended. */
struct batch {
    struct jobq_want w;
    int64_t ended_from, ended_to; /* the acks were between */
    bool ended;                   /* all of them were acked at once */
};

/* ---- doing ---------------------------------------------------------------------------------------------------- */

/* Put them in one exchange, in this order, as plain as can be. */
void put_numbers(const uint32_t *numbers, size_t count, const char *queue, const char *kind);
void put_many(uint32_t first, uint32_t count); /* into "q", rising numbers */

/* A want from "q" gives exactly so many, each as it has to be. */
struct batch claim_many(struct actor *who, size_t count);
struct batch claim_as(struct actor *who, struct jobq_want want, size_t count);

struct jobq_change plain_ack(const struct jobq_row *held); /* as the core says it: whatever the edits, and no result */
struct jobq_change *acks(const struct batch *b, size_t from, size_t count); /* plain, in the arena */
void send(struct actor *who, struct jobq_change *changes, size_t count);
void ack(struct batch *b, size_t from, size_t count); /* each is OK */

/* MANY rows numbered from 0 that run, or ended by one ack; a while ago. */
struct batch begun(bool ended);

/* The store's time, without touching what it holds. */
int64_t clock_of_store(void);
struct jobq_query found_by(struct jobq_query query);

/* ---- what has to be -------------------------------------------------------------------------------------------- */

uint32_t number_of(const struct jobq_row *row);
int64_t fence_in(const struct jobq_token *token);
struct jobq_row as_put(uint32_t number);
struct jobq_row as_claimed(uint32_t number, const struct jobq_want *w);
struct jobq_row as_ended(uint32_t number, const struct batch *b); /* takes finished_at from the row, if it can be */

void row_is_at(const char *file, int line, const struct jobq_row *actual, const struct jobq_row *expected);
#define row_is(actual, expected) row_is_at(__FILE__, __LINE__, actual, expected)

void waits(uint32_t first, uint32_t count);                       /* they are as they were put */
void runs(const struct batch *b, size_t from, size_t count);      /* they are as they were claimed */
void is_over(const struct batch *b, size_t from, size_t count);   /* ended plainly, at one instant */
void gone(const struct batch *b, size_t from, size_t count);
void all_but(const struct batch *b, size_t one);                  /* all others are as `begun` left them */
void counts(const char *queue, uint64_t waiting, uint64_t running, uint64_t completed);

/* ---- both states that a row can be in ---------------------------------------------------------------------------- */

#define EITHER(body)                                                                                    \
    static void body##_running(void)                                                                    \
    {                                                                                                   \
        struct batch b = begun(false);                                                                  \
        body(&b);                                                                                       \
    }                                                                                                   \
    static void body##_ended(void)                                                                      \
    {                                                                                                   \
        struct batch b = begun(true);                                                                   \
        body(&b);                                                                                       \
    }
#define ONE(title, body, capabilities)                                                                  \
    {                                                                                                   \
        .name = title, .run = body, .needs = capabilities, .flags = MANY_CALLS                          \
    }
/* What is asked of the order that ranks and numbers make, which with groups is that of turns. */
#define ONE_BY_RANK(title, body, capabilities)                                                          \
    {                                                                                                   \
        .name = title, .run = body, .needs = capabilities, .flags = MANY_CALLS | NO_GROUPS              \
    }
#define BOTH_BY_RANK(title, body, capabilities)                                                         \
    ONE_BY_RANK(title ", running", body##_running, capabilities),                                       \
        ONE_BY_RANK(title ", ended", body##_ended, capabilities)
#define BOTH(title, body, capabilities)                                                                 \
    ONE(title ", running", body##_running, capabilities), ONE(title ", ended", body##_ended, capabilities)

#endif
