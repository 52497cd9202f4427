/* SPDX-License-Identifier: MIT */
/* What the tests of the worker share: a store of their own, a clock that the test moves, handlers that wait
 * at a gate. No test sleeps: it drives the turns itself and blocks only on the worker's descriptor or on
 * the gate. */
#ifndef KIT_H
#define KIT_H

#include "stores.h"
#include "worker.h"

#include <check.h>

#define LEASE 30000

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int started, running; /* handlers that came, and that are inside */
    int open;             /* how many may pass; negative: all */
    struct jobq_ctx *last;
    int outcome;
};

struct kit {
    struct jobq *q;
    struct jobq_worker *w;
    _Atomic int64_t clock;
    struct gate gate;
    _Atomic int calls;
    char uri[STORE_URI];
    bool guest; /* on the store of another kit */
};

/* A handle on an empty store, of the kind that --store names. */
void kit_open(struct kit *k);
/* The same through another table: a test's own that stands before kit_backend(). */
void kit_open_with(struct kit *k, const struct jobq_backend *backend);
/* A second handle on the store of `host`, which is closed last. */
void kit_join(struct kit *k, const struct kit *host);
const struct jobq_backend *kit_backend(void);
/* A worker with `threads` and `batch` on queue "work". */
void kit_worker(struct kit *k, size_t threads, size_t batch, uint32_t flags);
struct jobq_worker *kit_another(struct kit *k, struct jobq *q, const char *name, size_t threads, size_t batch,
                                uint32_t flags);
void kit_clock_of(struct kit *k, struct jobq_worker *w); /* the one that kit_tick moves */
void kit_close(struct kit *k);

/* Move the clock of the store and of the worker. */
void kit_tick(struct kit *k, int64_t ms);

struct jobq_id kit_put(struct kit *k, const char *queue, const char *kind);
struct jobq_id kit_put_spec(struct kit *k, const struct jobq_spec *spec);

/* A job as it is now; static memory, valid until the next call. */
const struct jobq_job *kit_job(struct kit *k, const struct jobq_id *id);

/* Turns that are due now. */
void kit_turns(struct jobq_worker *w);
/* Turns until the count at `offset` of jobq_worker_counts has reached `least`. */
void kit_until(struct jobq_worker *w, size_t offset, uint64_t least);
#define KIT_UNTIL(w, member, least) kit_until(w, offsetof(struct jobq_worker_counts, member), least)
uint64_t kit_count(struct jobq_worker *w, size_t offset);
#define KIT_COUNT(w, member) kit_count(w, offsetof(struct jobq_worker_counts, member))
/* Wait until every handler has returned; no turn is made. */
void kit_until_ended(struct kit *k);

/* The gate as a handler (user: struct kit): waits until it may pass, then returns gate.outcome. */
int gate_handler(struct jobq_ctx *ctx, void *user);
void gate_wait_started(struct gate *gate, int count);
void gate_open(struct gate *gate, int count, int outcome);
int count_handler(struct jobq_ctx *ctx, void *user); /* counts itself and is done */

/* A listener for jobq_worker_notify, and what it heard in this test. */
extern struct kit_heard {
    int count, kinds[16];
    char texts[16][512];
} kit_heard;
void kit_listen(int notice, const char *text, void *user);
void kit_expect_heard(int at, int kind, const char *part);

size_t kit_threads(void);     /* of this process */
size_t kit_descriptors(void);

/* Of what is tried at every point: each so many on any day on a server, where a try costs a hundred times as much; 1 elsewhere
 * and with JOBQ_TEST_FULL=1. */
int kit_stride(int on_a_server);
int kit_run(const char *name, int argc, char **argv, const TTest *const *tests, size_t count);
#define KIT_MAIN(name, ...)                                                           \
    int main(int argc, char **argv)                                                   \
    {                                                                                 \
        const TTest *const tests[] = { __VA_ARGS__ };                                 \
        return kit_run(name, argc, argv, tests, sizeof tests / sizeof tests[0]);      \
    }

#endif
