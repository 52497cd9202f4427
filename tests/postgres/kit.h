/* SPDX-License-Identifier: MIT */
/* What the tests of the Postgres store share: a namespace of their own on the private server, exchanges of one line, and a
 * proxy that stands between store and server and breaks lines. */
#ifndef TESTS_POSTGRES_KIT_H
#define TESTS_POSTGRES_KIT_H

#include <jobq/backend.h>
#include <jobq/postgres.h>

#include <check.h>
#include <stdbool.h>

#include "test_server.h"

const char *name_space(void); /* of this test; its schema goes when the test ends */
/* The server's address with our namespace; `more` ("&x=y" or "") is added. Good for the next eight calls. */
const char *uri_with(const char *more);
const char *uri_as(const char *role, const char *more); /* for another role */
void sql(const char *format, ...) __attribute__((format(printf, 1, 2)));      /* run it; "@" is our schema */
int64_t sql_value(const char *format, ...) __attribute__((format(printf, 1, 2)));

int store_try(struct jobq_store **out, const char *uri, uint32_t flags, int64_t io_timeout_ms, struct jobq_error *err);
struct jobq_store *store_open(const char *uri);
void store_close(struct jobq_store *s);

extern struct jobq_error last; /* of the newest call */
struct jobq_id id_of(uint32_t number);
struct jobq_put put_of(uint32_t number);
int exchange(struct jobq_store *s, struct jobq_exchange *x); /* numbered, unless x->number is set */
int put_job(struct jobq_store *s, uint32_t number);          /* the unit's status */
size_t claim_jobs(struct jobq_store *s, size_t limit, const struct jobq_row **rows);
int ack_job(struct jobq_store *s, const struct jobq_row *row);
void whole_life(struct jobq_store *s, uint32_t first); /* put, claim, complete, read, count: all must be right */
bool exists(struct jobq_store *s, uint32_t number);
int64_t ms_now(void);

/* A proxy in front of the server's socket. */
struct proxy;
struct proxy *proxy_start(void);
const char *proxy_uri(const struct proxy *p); /* good until it stops */
void proxy_cut(struct proxy *p, bool to_server, int64_t after_bytes); /* close the line after so many more bytes */
void proxy_hold(struct proxy *p, bool hold);                      /* forward nothing, say nothing */
int64_t proxy_bytes(const struct proxy *p, bool to_server);
int64_t proxy_rounds(const struct proxy *p); /* how often something went to the server after something came from it */
void proxy_settle(struct proxy *p); /* what it was told is done */
void proxy_stop(struct proxy *p);

int kit_run(const char *name, const TTest *const *tests, size_t count);
#define KIT_MAIN(name, ...)                                              \
    int main(void)                                                       \
    {                                                                    \
        const TTest *const tests[] = { __VA_ARGS__ };                    \
        return kit_run(name, tests, sizeof tests / sizeof tests[0]);     \
    }

/* A store as step 4 of the schema left it: batches have rows. */
#define WITHOUT_STEP_5                                                                                         \
    "ALTER TABLE @.batch ADD COLUMN rows @.job[];"                                                             \
    "UPDATE @.batch AS b SET rows = ARRAY(SELECT m FROM @.members_at(b.queue, b.ids, b.bytes, b.numbers,"      \
    " b.fates, b.ends, b.token, b.worker, b.started_at, b.lease_until, @.batch_places(b.fates, 24)) AS m);"    \
    "ALTER TABLE @.batch ALTER COLUMN rows SET NOT NULL, DROP COLUMN bytes, DROP COLUMN numbers;"              \
    "ALTER TYPE @.want_answer DROP ATTRIBUTE o_member_ids, DROP ATTRIBUTE o_member_bytes,"                     \
    " DROP ATTRIBUTE o_member_numbers, DROP ATTRIBUTE o_member_queues, DROP ATTRIBUTE o_member_counts;"

#endif
