/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[200];
static struct jobq_arena *arena;

/* ---- the folder ----------------------------------------------------------------------------------------------- */

const char *in_folder(const char *name)
{
    static char names[8][512];
    static int next;
    char *out = names[next++ % 8];
    snprintf(out, sizeof names[0], "%s/%s", folder, name);
    return out;
}

const char *uri_of(const char *name, const char *options)
{
    static char uris[8][700];
    static int next;
    char *out = uris[next++ % 8];
    snprintf(out, sizeof uris[0], "sqlite:%s%s%s", in_folder(name), options ? "?" : "", options ? options : "");
    return out;
}

static void make_folder(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.150s/jobq-sqlite-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0755), 0);
    arena = jobq_arena_create();
}

static void remove_folder(void)
{
    DIR *list = opendir(folder);
    const struct dirent *entry;
    while (list && (entry = readdir(list)) != NULL)
        if (unlink(in_folder(entry->d_name)) != 0)
            rmdir(in_folder(entry->d_name));
    if (list)
        closedir(list);
    rmdir(folder);
    jobq_arena_destroy(arena);
}

static size_t entries(const char *path)
{
    size_t count = 0;
    DIR *list = opendir(path);
    while (list && readdir(list))
        count++;
    if (list)
        closedir(list);
    return count;
}

size_t threads_now(void)
{
    return entries("/proc/self/task");
}

size_t descriptors_now(void)
{
    return entries("/proc/self/fd");
}

uint64_t digest_of(const char *name)
{
    uint64_t digest = 14695981039346656037u;
    FILE *file = fopen(in_folder(name), "rb");
    for (int c; file && (c = fgetc(file)) != EOF;)
        digest = (digest ^ (uint64_t)c) * 1099511628211u;
    if (file)
        fclose(file);
    return digest;
}

/* ---- the clock ------------------------------------------------------------------------------------------------- */

static int64_t hand_monotonic(void *user)
{
    return ((struct hand *)user)->monotonic_ms;
}

static int64_t hand_wall(void *user)
{
    return ((struct hand *)user)->wall_ms;
}

static int hand_boot(void *user, char out[40])
{
    memcpy(out, ((struct hand *)user)->boot, 40);
    return 0;
}

void hand_set(struct hand *hand, const char *boot, int64_t monotonic_ms, int64_t wall_ms)
{
    *hand = (struct hand){ .monotonic_ms = monotonic_ms, .wall_ms = wall_ms };
    snprintf(hand->boot, sizeof hand->boot, "%s", boot);
}

void hand_pass(struct hand *hand, int64_t ms)
{
    hand->monotonic_ms += ms;
    hand->wall_ms += ms;
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

int store_try(struct jobq_store **out, const char *uri, uint32_t flags, struct hand *hand, struct jobq_error *err)
{
    const struct jobq_store_options options = { .size = sizeof options, .uri = uri, .flags = flags,
                                                .io_timeout_ms = 10000 };
    const struct clock_source source = { hand_monotonic, hand_wall, hand_boot, hand };
    memset(err, 0, sizeof *err);
    return sq_open_with(out, &options, hand ? &source : NULL, err);
}

struct jobq_store *store_open(const char *name, const char *options, struct hand *hand)
{
    struct jobq_store *s;
    struct jobq_error err;
    int status = store_try(&s, uri_of(name, options), 0, hand, &err);
    ck_assert_msg(status == JOBQ_OK, "%s", err.text);
    return s;
}

void store_close(struct jobq_store *s)
{
    jobq_sqlite()->close(s);
}

int exchange(struct jobq_store *s, struct jobq_exchange *x)
{
    struct jobq_error err = { 0 };
    x->size = sizeof *x;
    return jobq_sqlite()->exchange(s, x, arena, &err);
}

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){ .data = words, .size = strlen(words) };
}

int put_job(struct jobq_store *s, uint32_t job, const char *queue, size_t payload_bytes)
{
    char *payload = calloc(1, payload_bytes + 1);
    struct jobq_put put = { .queue = text(queue), .kind = text(queue), .payload = { payload, payload_bytes },
                            .only_if = -1 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    memcpy(put.id.bytes + 12, &job, sizeof job);
    int status = exchange(s, &x);
    free(payload);
    return status == JOBQ_OK ? put.verdict : status;
}

size_t claim_jobs(struct jobq_store *s, const char *queue, int mode, size_t limit, int64_t lease_ms,
                  const struct jobq_row **rows)
{
    const struct jobq_bytes name = text(queue);
    struct jobq_want want = { .mode = mode, .queues = &name, .queue_count = 1, .limit = limit, .lease_ms = lease_ms,
                              .worker = text("w"), .mint = { (uint8_t)getpid(), (uint8_t)(getpid() >> 8), 7 } };
    struct jobq_exchange x = { .want = &want };
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(x.want_unit, JOBQ_OK);
    if (rows)
        *rows = want.rows;
    return want.row_count;
}

int ack_job(struct jobq_store *s, const struct jobq_row *row)
{
    struct jobq_change change = { .id = row->id, .by = JOBQ_BY_TOKEN, .token = row->token, .edits = JOBQ_ANY_EDITS,
                                  .outcome = JOBQ_OUTCOME_COMPLETE, .state = JOBQ_ROW_COMPLETED };
    struct jobq_exchange x = { .changes = &change, .change_count = 1 };
    int status = exchange(s, &x);
    return status == JOBQ_OK ? change.verdict : status;
}

int64_t store_now(struct jobq_store *s)
{
    struct jobq_exchange x = { 0 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    return x.now_ms;
}

int add_clock(struct jobq_store *s, int64_t ms)
{
    struct jobq_error err = { 0 };
    const struct jobq_settings settings = { .size = sizeof settings, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms };
    return jobq_sqlite()->configure(s, &settings, &err);
}

uint64_t rows_in(struct jobq_store *s, const char *queue, int state)
{
    struct jobq_stats stats = { .size = sizeof stats };
    struct jobq_error err = { 0 };
    const struct jobq_bytes name = text(queue);
    ck_assert_int_eq(jobq_sqlite()->stats(s, &name, &stats, arena, &err), JOBQ_OK);
    return stats.queue_count ? stats.queues[0].present[state] : 0;
}

/* ---- another program ------------------------------------------------------------------------------------------------ */

static sqlite3 *connect_to(const char *name)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(in_folder(name), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

void sql(const char *name, const char *statements)
{
    sqlite3 *db = connect_to(name);
    int code = sqlite3_exec(db, statements, NULL, NULL, NULL);
    ck_assert_msg(code == SQLITE_OK, "%s: %s", statements, sqlite3_errmsg(db));
    sqlite3_close(db);
}

int64_t sql_value(const char *name, const char *query)
{
    sqlite3 *db = connect_to(name);
    sqlite3_stmt *row;
    ck_assert_msg(sqlite3_prepare_v2(db, query, -1, &row, NULL) == SQLITE_OK, "%s: %s", query, sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return value;
}

/* ---- running ------------------------------------------------------------------------------------------------------------ */

TCase *kit_case(const char *name)
{
    TCase *one = tcase_create(name);
    tcase_set_timeout(one, 120);
    tcase_add_checked_fixture(one, make_folder, remove_folder);
    return one;
}

int kit_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int kit_run(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *one = kit_case(name);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(one, tests[i]);
    suite_add_tcase(suite, one);
    return kit_suite(suite);
}
