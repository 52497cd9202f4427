/* SPDX-License-Identifier: MIT */
/*
 * The public calls of the library as a table, so that each of them can be made while something fails: an allocation, a
 * file operation, the power. What is expected of a call is learned from a run in which nothing fails; then
 *
 *   - a code of before: the call got around the failure;
 *   - a definite error: nothing has changed, and the call, repeated, answers as if for the first time;
 *   - JOBQ_UNKNOWN: repeated it answers as for the first or as for the second time.
 */
#ifndef FAULTS_WORLD_H
#define FAULTS_WORLD_H

#include <jobq/jobq.h>

#include <stdbool.h>
#include <stddef.h>

#define WORLD_URI 512
#define WORLD_JOBS 4
#define WRONG 99 /* what a call of the table returns when the library's answer was OK and is not right */

struct world {
    const struct jobq_backend *backend;
    char uri[WORLD_URI];
    struct jobq_options options;
    struct jobq *q;    /* on which the call is made */
    struct jobq *calm; /* on which nothing fails: what stands around the call */
    uint64_t serial; /* of the attempt: ids are made of it */
    struct jobq_id ids[WORLD_JOBS];
    struct jobq_token tokens[WORLD_JOBS];
    struct jobq_callback callback;
    char *copy; /* of the store, as jobq_export writes it */
    size_t copy_bytes;
};

enum call_flags {
    CALL_PARTLY = 1,  /* goes in several exchanges: what it did before it failed stays */
    CALL_CLOSED = 2,  /* makes and closes a handle of its own, or none */
    CALL_BLIND = 4,   /* its answer cannot tell whether it did what it should */
    CALL_LATER = 8    /* a sweep that is cut short holds what it judges for a lease: repeated, it is after that */
};

struct call {
    const char *name;
    void (*prepare)(struct world *w); /* NULL: an empty store will do */
    int (*run)(struct world *w);
    unsigned flags;
};

extern const struct call calls[];
extern const size_t call_count;

/* Nothing may fail in these; they end the program with a clear text. */
void world_open(struct world *w);
void world_close(struct world *w);
void world_begin(struct world *w, const struct call *call); /* empty it, and prepare for the call */
char *world_dump(struct world *w);                          /* all that is stored, as text; to be freed */
void world_must(int status, const char *what);

/* Judge a call that answered `status` while something failed. `first` and `second`: what it answers when nothing fails,
 * and repeated. `before`: the dump in front of it. False, with a line on stderr, when it broke a rule above. */
bool world_judge(struct world *w, const struct call *call, int status, int first, int second, const char *before,
                 const char *where);

#endif
