/* SPDX-License-Identifier: MIT */
/*
 * What the topics of the suite share. A test is a function without arguments; it finds an empty store and one client
 * of it, `me`. It talks to the store through go() and its shorthands, which repeat a call as a careful client does
 * when the pass lets it go wrong; so the same test must hold under every pass.
 */
#ifndef CONFORMANCE_SUITE_H
#define CONFORMANCE_SUITE_H

#include <jobq/conformance.h>

#include "show.h"

#include <stdbool.h>
#include <string.h>

/* ---- tests and topics -------------------------------------------------------------------------------------- */

enum test_flags {
    PLAIN_ONLY = 1, /* large, or about calls that the passes cannot repeat */
    NO_GROUPS = 4,  /* asks for something else when each job is of a group of its own */
    MANY_CALLS = 2, /* of which an everyday run lets fewer fail */
};

struct test {
    const char *name; /* with the rule that it checks */
    void (*run)(void);
    uint32_t needs; /* capabilities */
    uint32_t flags;
};

struct topic {
    const char *name;
    const struct test *tests;
    size_t count;
};

#define TOPIC(title, list)                                                                              \
    {                                                                                                   \
        .name = title, .tests = list, .count = sizeof list / sizeof *list                               \
    }

/* In the order in which they run. */
#define TOPICS(X)  \
    X(put)         \
    X(many)        \
    X(claim)       \
    X(change)      \
    X(set)         \
    X(beat)        \
    X(park)        \
    X(key)         \
    X(edge)        \
    X(time)        \
    X(overdue)     \
    X(trim)        \
    X(read)        \
    X(stats)       \
    X(figures)     \
    X(events)      \
    X(receipt)     \
    X(configure)   \
    X(schedule)    \
    X(bytes)       \
    X(refused)     \
    X(handles)     \
    X(bounds)      \
    X(copy)        \
    X(transitions) \
    X(limits)      \
    X(rates)       \
    X(groups)      \
    X(successor)   \
    X(log)         \
    X(batch)       \
    X(batch_claim) \
    X(batch_touch) \
    X(batch_edge)  \
    X(batch_time)  \
    X(batch_read)  \
    X(batch_trim)

#define DECLARE_TOPIC(name) extern const struct topic topic_##name;
TOPICS(DECLARE_TOPIC)

/* ---- what must hold ------------------------------------------------------------------------------------------ */

void fail_test(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn));

#define ok(condition) ((condition) ? (void)0 : fail_test(__FILE__, __LINE__, "%s", #condition))
#define is(actual, expected) is_at(__FILE__, __LINE__, #actual, (int64_t)(actual), (int64_t)(expected))
#define bytes_are(actual, expected) bytes_at(__FILE__, __LINE__, #actual, actual, expected)
#define ids_are(actual, expected) ids_at(__FILE__, __LINE__, #actual, actual, expected)
void is_at(const char *file, int line, const char *what, int64_t actual, int64_t expected);
void bytes_at(const char *file, int line, const char *what, struct jobq_bytes actual, struct jobq_bytes expected);
void ids_at(const char *file, int line, const char *what, struct jobq_id actual, struct jobq_id expected);

/* ---- clients --------------------------------------------------------------------------------------------------- */

struct actor {
    struct jobq_store *store;
    struct jobq_arena *arena; /* every answer of the test lives here */
    struct jobq_error err;
    uint8_t client[16];
    uint64_t number;
    uint32_t wants;
    int64_t now; /* of the newest answer */
};

extern struct actor *me;
const struct jobq_backend *store_table(void); /* of the store as the pass shows it */
const char *store_uri(void);
bool store_has(uint32_t capabilities);
struct actor *another(void); /* a second client with a handle of its own; closed by itself */
void leave(struct actor *who); /* close it early */

/* Run an exchange under the next number (or x->number if set), repeat it as long as the pass interferes, and answer
 * x->unit. The unit must be OK, unless refusals are expected: then go_status. */
void go(struct actor *who, struct jobq_exchange *x);
int go_status(struct actor *who, struct jobq_exchange *x);

/* Move the clock of the store. */
void tick(int64_t ms);
int configure(const struct jobq_settings *settings);
int load(struct jobq_item *items, size_t count);
void dump(struct actor *who, struct jobq_dump *page);
struct jobq_schedule_query schedules(struct jobq_schedule_query query); /* answered */
struct jobq_stats stats_of(struct jobq_bytes queue); /* absent: all */
struct jobq_queue_stats queue_stats(const char *queue); /* zero when there is none */
int64_t now_of_store(void);
const struct jobq_limit *limits_of(int of, const char *name, size_t *count); /* name NULL: all; count may be NULL */

/* ---- building -------------------------------------------------------------------------------------------------- */

#define STEP ((int64_t)1000000) /* a time that dwarfs how long a test takes */
#define LEASE ((int64_t)30000)

struct jobq_bytes text(const char *text); /* NULL: absent */
struct jobq_bytes bytes(const void *data, size_t size);
struct jobq_id id(uint32_t number); /* rises with number */

/* A put into queue "q", kind "k", payload "p", due now, no key, no parents, only_if none. */
struct jobq_put put_of(uint32_t number);
struct jobq_time from_now(int64_t ms);
struct jobq_time at(int64_t instant);

struct jobq_change by_token(const struct jobq_row *held, int outcome, int state);
struct jobq_change by_operator(struct jobq_id which, uint32_t allowed, int state);
struct jobq_change by_callback(struct jobq_id which, const uint8_t digest[32], uint32_t allowed, int state);
struct jobq_change completed(const struct jobq_row *held, const char *result);
struct jobq_change failed(const struct jobq_row *held, int state, int reason, const char *error);
#define LIVE (JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED) | JOBQ_ROW_BIT(JOBQ_ROW_WAITING) | JOBQ_ROW_BIT(JOBQ_ROW_RUNNING))
#define ANY_STATE (LIVE | JOBQ_ROW_ENDED)

/* ---- one thing at a time ------------------------------------------------------------------------------------------ */

int put(struct jobq_put *put);           /* the verdict */
void put_ok(uint32_t number);            /* put_of(number), must be OK */
void put_child(uint32_t number, const struct jobq_parent *parents, size_t count);
int change(struct jobq_change *change);  /* the verdict */
void change_ok(struct jobq_change change);
const struct jobq_row *row(struct jobq_id which); /* everything of it; NULL: no such row */
const struct jobq_row *row_n(uint32_t number);    /* row(id(number)), must exist */
bool exists(uint32_t number);

struct jobq_want due(size_t limit);     /* a want from "q" */
int put_in(uint32_t number, const char *queue, const char *group); /* put_of with these; the verdict */
size_t starts(size_t limit);             /* how many rows a want from "q" claims */

/* Set one limit of a queue, a group ("": every group) or a plan; bit: enum jobq_settings_set. */
void limit_queue(const char *name, uint32_t bit, int64_t value, int64_t period_ms);
void limit_group(const char *name, uint32_t bit, int64_t value, int64_t period_ms);
void limit_plan(const char *name, uint32_t bit, int64_t value, int64_t period_ms);
void give_plan(const char *group, const char *plan); /* NULL: none */
struct jobq_want overdue(size_t limit);
void want(struct actor *who, struct jobq_want *want);
const struct jobq_row *claim(void);              /* the next of "q"; there must be one */
const struct jobq_row *claim_n(uint32_t number); /* and it must be this one */
bool none_due(void);

/* Bring job `number` into a state the shortest legal way. */
const struct jobq_row *make(uint32_t number, int state);
void finish(uint32_t number, int state); /* end a job that is not running: completed runs it first */

/* Remember a row, and find it unchanged later. */
char *remember(struct jobq_id which);
void is_as_remembered(struct jobq_id which, const char *memory);

#endif
