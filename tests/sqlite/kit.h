/* SPDX-License-Identifier: MIT */
/* What the tests of the SQLite store share: a folder of their own, a clock that they move, exchanges of one line. */
#ifndef TESTS_SQLITE_KIT_H
#define TESTS_SQLITE_KIT_H

#include "store.h"

#include <check.h>
#include <jobq/sqlite.h>

/* A clock in the test's hand. */
struct hand {
    int64_t monotonic_ms, wall_ms;
    char boot[40];
};

const char *in_folder(const char *name);            /* its full name; good for the next eight calls */
const char *uri_of(const char *name, const char *options); /* "sqlite:...?options" */
void hand_set(struct hand *hand, const char *boot, int64_t monotonic_ms, int64_t wall_ms);
void hand_pass(struct hand *hand, int64_t ms);      /* time passes on both */

int store_try(struct jobq_store **out, const char *uri, uint32_t flags, struct hand *hand, struct jobq_error *err);
struct jobq_store *store_open(const char *name, const char *options, struct hand *hand);
void store_close(struct jobq_store *s);

/* An exchange in the arena of the kit, which lives until the end of the test. */
int exchange(struct jobq_store *s, struct jobq_exchange *x);
int put_job(struct jobq_store *s, uint32_t job, const char *queue, size_t payload_bytes); /* the put's verdict */
size_t claim_jobs(struct jobq_store *s, const char *queue, int mode, size_t limit, int64_t lease_ms,
                  const struct jobq_row **rows);
int ack_job(struct jobq_store *s, const struct jobq_row *row);
int64_t store_now(struct jobq_store *s);
int add_clock(struct jobq_store *s, int64_t ms);
uint64_t rows_in(struct jobq_store *s, const char *queue, int state); /* enum jobq_state */

/* Another program's connection to a file of the folder. */
void sql(const char *name, const char *text);
int64_t sql_value(const char *name, const char *text);
uint64_t digest_of(const char *name); /* of a file's bytes */
size_t threads_now(void);
size_t descriptors_now(void);

TCase *kit_case(const char *name);
int kit_suite(Suite *suite);
int kit_run(const char *name, const TTest *const *tests, size_t count);
#define KIT_MAIN(name, ...)                                              \
    int main(void)                                                       \
    {                                                                    \
        const TTest *const tests[] = { __VA_ARGS__ };                    \
        return kit_run(name, tests, sizeof tests / sizeof tests[0]);     \
    }

#endif
