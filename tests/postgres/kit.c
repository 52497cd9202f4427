/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct jobq_error last;
static struct jobq_arena *arena;
static char schema[48];

int64_t ms_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *name_space(void)
{
    return schema;
}

/* ---- the server ------------------------------------------------------------------------------------------------ */

static char *in_schema(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static char *in_schema(const char *format, va_list args)
{
    char text[8000], *out = NULL;
    size_t size;
    ck_assert_int_lt(vsnprintf(text, sizeof text, format, args), (int)sizeof text);
    FILE *f = open_memstream(&out, &size);
    for (const char *c = text; *c; c++)
        if (*c == '@')
            fputs(schema, f);
        else
            putc(*c, f);
    fclose(f);
    return out;
}

void sql(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = in_schema(format, args);
    va_end(args);
    ck_assert_int_eq(server_run("postgres", text), 0);
    free(text);
}

int64_t sql_value(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = in_schema(format, args), *answer = server_ask("postgres", text);
    va_end(args);
    int64_t value = strtoll(answer, NULL, 10);
    free(text);
    free(answer);
    return value;
}

static char *room(void)
{
    static char rooms[8][600];
    static unsigned next;
    return rooms[next++ % 8];
}

const char *uri_with(const char *more)
{
    char *out = room();
    const char *address = getenv("JOBQ_TEST_POSTGRES");
    snprintf(out, 600, "%s%cnamespace=%s%s", address, strchr(address, '?') ? '&' : '?', schema, more);
    return out;
}

const char *uri_as(const char *role, const char *more)
{
    char *out = room();
    char whole[600];
    snprintf(whole, sizeof whole, "%s", uri_with(more));
    const char *user = strstr(whole, "user=");
    ck_assert_ptr_nonnull(user);
    snprintf(out, sizeof whole, "%.*suser=%s%s", (int)(user - whole), whole, role, user + strcspn(user, "&"));
    return out;
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

int store_try(struct jobq_store **out, const char *uri, uint32_t flags, int64_t io_timeout_ms, struct jobq_error *err)
{
    const struct jobq_store_options options = { .size = sizeof options, .uri = uri, .flags = flags,
                                                .io_timeout_ms = io_timeout_ms };
    return jobq_postgres()->open(out, &options, err);
}

struct jobq_store *store_open(const char *uri)
{
    struct jobq_store *s = NULL;
    ck_assert_msg(store_try(&s, uri, 0, 20000, &last) == JOBQ_OK, "open: %s", last.text);
    return s;
}

void store_close(struct jobq_store *s)
{
    jobq_postgres()->close(s);
}

struct jobq_id id_of(uint32_t number)
{
    struct jobq_id id = { { 0 } };
    for (int i = 0; i < 4; i++)
        id.bytes[15 - i] = (uint8_t)(number >> 8 * i);
    return id;
}

struct jobq_put put_of(uint32_t number)
{
    return (struct jobq_put){ .id = id_of(number), .queue = { "q", 1 }, .kind = { "k", 1 }, .payload = { "p", 1 },
                              .only_if = -1 };
}

int exchange(struct jobq_store *s, struct jobq_exchange *x)
{
    static uint64_t number;
    x->size = sizeof *x;
    if (!x->number) {
        snprintf((char *)x->client, sizeof x->client, "c%ld", (long)getpid());
        x->number = ++number;
    }
    return jobq_postgres()->exchange(s, x, arena, &last);
}

int put_job(struct jobq_store *s, uint32_t number)
{
    struct jobq_put put = put_of(number);
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    int status = exchange(s, &x);
    ck_assert(status != JOBQ_OK || put.verdict == JOBQ_OK);
    return status;
}

size_t claim_jobs(struct jobq_store *s, size_t limit, const struct jobq_row **rows)
{
    const struct jobq_bytes queue = { "q", 1 };
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = limit,
                              .lease_ms = 30000, .worker = { "w", 1 } };
    struct jobq_exchange x = { .want = &want };
    int status = exchange(s, &x);
    ck_assert_msg(status == JOBQ_OK && x.want_unit == JOBQ_OK, "claim: %s", last.text);
    *rows = want.rows;
    return want.row_count;
}

int ack_job(struct jobq_store *s, const struct jobq_row *row)
{
    struct jobq_change change = { .id = row->id, .by = JOBQ_BY_TOKEN, .token = row->token, .edits = JOBQ_ANY_EDITS,
                                  .outcome = JOBQ_OUTCOME_COMPLETE, .state = JOBQ_ROW_COMPLETED, .set = JOBQ_SET_RESULT,
                                  .result = { "r", 1 } };
    struct jobq_exchange x = { .changes = &change, .change_count = 1, .trim = { .limit = 20 } };
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = 1000;
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "ack: %s", last.text);
    return change.verdict;
}

bool exists(struct jobq_store *s, uint32_t number)
{
    struct jobq_id id = id_of(number);
    struct jobq_query query = { .size = sizeof query, .ids = &id, .id_count = 1 };
    ck_assert_msg(jobq_postgres()->read(s, &query, arena, &last) == JOBQ_OK, "read: %s", last.text);
    return query.row_count == 1;
}

void whole_life(struct jobq_store *s, uint32_t first)
{
    const struct jobq_row *rows;
    const struct jobq_bytes all = { 0 };
    struct jobq_stats stats = { .size = sizeof stats };
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_msg(put_job(s, first + i) == JOBQ_OK, "put: %s", last.text);
    ck_assert_uint_eq(claim_jobs(s, 3, &rows), 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(rows[i].id.bytes[15], (int)(first + (uint32_t)i));
    ck_assert_int_eq(ack_job(s, &rows[0]), JOBQ_OK);
    struct jobq_change fail = { .id = rows[1].id, .by = JOBQ_BY_TOKEN, .token = rows[1].token, .edits = JOBQ_ANY_EDITS,
                                .outcome = JOBQ_OUTCOME_FAIL, .state = JOBQ_ROW_WAITING,
                                .set = JOBQ_SET_RUN_AT | JOBQ_ADD_ERROR, .run_at = { JOBQ_TIME_NOW, 100000 },
                                .error = { "e", 1 } };
    struct jobq_exchange x = { .changes = &fail, .change_count = 1 };
    ck_assert_msg(exchange(s, &x) == JOBQ_OK && fail.verdict == JOBQ_OK, "fail: %s", last.text);
    struct jobq_query query = { .size = sizeof query, .limit = 100, .flags = 15 };
    ck_assert_int_eq(jobq_postgres()->read(s, &query, arena, &last), JOBQ_OK);
    ck_assert_uint_ge(query.row_count, 4);
    ck_assert_msg(jobq_postgres()->stats(s, &all, &stats, arena, &last) == JOBQ_OK, "stats: %s", last.text);
    ck_assert_uint_eq(stats.queue_count, 1);
    ck_assert_uint_ge(stats.queues[0].completed_total, 1);
    int64_t wall = (int64_t)time(NULL) * 1000;
    ck_assert(stats.now_ms > wall - 60000 && stats.now_ms < wall + 60000);
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

static void begin(void)
{
    snprintf(schema, sizeof schema, "t_%ld", (long)getpid());
    arena = jobq_arena_create();
    ck_assert_ptr_nonnull(arena);
    sql("DROP SCHEMA IF EXISTS @ CASCADE");
}

static void end(void)
{
    jobq_arena_destroy(arena);
    sql("DROP SCHEMA IF EXISTS @ CASCADE");
}

int kit_run(const char *name, const TTest *const *tests, size_t count)
{
    if (!server_address())
        return 1;
    Suite *suite = suite_create(name);
    TCase *one = tcase_create(name);
    tcase_set_timeout(one, getenv("JOBQ_TEST_FULL") ? 1800 : 240);
    tcase_add_checked_fixture(one, begin, end);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(one, tests[i]);
    suite_add_tcase(suite, one);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0; /* TAP says what failed */
}
