/* SPDX-License-Identifier: MIT */
/* How the calls of a test go wrong, and what is counted over all tests. */
#ifndef CONFORMANCE_PASSES_H
#define CONFORMANCE_PASSES_H

#include "suite.h"

enum pass { PASS_PLAIN, PASS_FAIL, PASS_LOST, PASS_AGAIN };

/* Mutating verbs as the pass AGAIN counts them. */
enum verb {
    VERB_PUT,
    VERB_COMPLETE,
    VERB_FAIL,
    VERB_RELEASE,
    VERB_SNOOZE,
    VERB_PARK,
    VERB_VOID,
    VERB_CANCEL,
    VERB_RESUME,
    VERB_COUNT
};

/* In memory that the tests' processes share. */
struct tally {
    long cases, fired, compared, again[VERB_COUNT];
};

struct run {
    const struct jobq_conformance_fixture *fixture;
    enum pass pass;
    const char *only;
    long fault;  /* 0: all */
    long every;  /* of the tests every so many are run */
    bool full;   /* all of it, however long it takes */
    long stride; /* of the faults every so many are tried; which of them differs from case to case */
    bool trace;
    bool groups; /* tests of batches only, where each job that is put with others has a group of its own */
    struct tally *tally;
};

extern struct run run;
extern const char *const verb_names[VERB_COUNT];

void pass_run(const struct test *test);           /* a test as the pass wants it, in its own process */
void pass_where(char *out, size_t size);          /* " [pass fail, call 7]" */
struct inject_plan;
void actors_begin(struct inject_plan *plan);
void actors_end(void);
void check_lost(const struct jobq_exchange *x);   /* the repeat answers what the lost answer was */
void check_again(struct actor *who, const struct jobq_exchange *x); /* another client sends it again */

#endif
