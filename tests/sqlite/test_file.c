/* SPDX-License-Identifier: MIT */
/* The file: how it is made, what is refused, and that a refusal changes nothing (rule 16). */
#include "kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned mode_of(const char *name)
{
    struct stat about;
    return stat(in_folder(name), &about) == 0 ? about.st_mode & 07777u : 0;
}

static void refused(const char *uri, uint32_t flags, int status, const char *field)
{
    struct jobq_store *s = (struct jobq_store *)1;
    struct jobq_error err;
    int got = store_try(&s, uri, flags, NULL, &err);
    ck_assert_msg(got == status, "%s: %d instead of %d: %s", uri, got, status, err.text);
    ck_assert_ptr_null(s);
    ck_assert_int_eq(err.status, status);
    ck_assert_str_eq(err.field, field);
    ck_assert_int_gt((int)strlen(err.text), 10);
}

/* ---- making it ---------------------------------------------------------------------------------------------------- */

static void check_modes(mode_t mask)
{
    umask(mask);
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    ck_assert_uint_eq(mode_of("a.db"), 0600);
    ck_assert_uint_eq(mode_of("a.db-wal"), 0600);
    ck_assert_uint_eq(mode_of("a.db-shm"), 0600);
    store_close(s);
}

START_TEST(only_the_owner_may_read)
{
    check_modes(0);
    unlink(in_folder("a.db"));
    check_modes(077);
}
END_TEST

START_TEST(not_made_through_a_link)
{
    ck_assert_int_eq(symlink(in_folder("target.db"), in_folder("link.db")), 0);
    refused(uri_of("link.db", NULL), 0, JOBQ_UNREACHABLE, "uri");
    ck_assert_int_ne(access(in_folder("target.db"), F_OK), 0);
}
END_TEST

START_TEST(a_link_to_a_store_is_followed)
{
    struct jobq_store *s = store_open("real.db", NULL, NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 1), JOBQ_OK);
    ck_assert_int_eq(symlink(in_folder("real.db"), in_folder("link.db")), 0);
    struct jobq_store *other = store_open("link.db", NULL, NULL);
    ck_assert_uint_eq(rows_in(other, "q", JOBQ_READY), 1);
    ck_assert_int_ne(access(in_folder("link.db-wal"), F_OK), 0); /* one log for both */
    store_close(other);
    store_close(s);
}
END_TEST

START_TEST(relative_names_survive_a_change_of_folder)
{
    ck_assert_int_eq(chdir(in_folder(".")), 0);
    struct jobq_store *s;
    struct jobq_error err;
    ck_assert_int_eq(store_try(&s, "sqlite:file%3Arelative%20name.db", 0, NULL, &err), JOBQ_OK);
    ck_assert_int_eq(chdir("/"), 0);
    for (uint32_t i = 0; i < 40; i++) /* checkpoints open the file once more */
        ck_assert_int_eq(put_job(s, i, "q", 200000), JOBQ_OK);
    store_close(s);
    ck_assert_int_eq(access(in_folder("file:relative name.db"), F_OK), 0);
}
END_TEST

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

START_TEST(bad_addresses)
{
    refused("sqlite:", 0, JOBQ_INVALID, "uri");
    refused("redis:x", 0, JOBQ_INVALID, "uri");
    refused("no scheme", 0, JOBQ_INVALID, "uri");
    refused("sqlite:a%00b", 0, JOBQ_INVALID, "uri");
    refused(uri_of("a.db", "journal=off"), 0, JOBQ_INVALID, "uri");
    refused(uri_of("a.db", "synchronous=off"), 0, JOBQ_INVALID, "uri");
    refused(uri_of("a.db", "synchronous"), 0, JOBQ_INVALID, "uri");
    refused(uri_of("a.db", "namespace="), 0, JOBQ_INVALID, "namespace");
    refused(uri_of("a.db", "namespace=a\"b"), 0, JOBQ_INVALID, "namespace");
    refused(uri_of("a.db", "namespace=a%00b"), 0, JOBQ_INVALID, "uri");
    ck_assert_int_ne(access(in_folder("a.db"), F_OK), 0);
}
END_TEST

START_TEST(things_that_are_no_files)
{
    ck_assert_int_eq(mkdir(in_folder("folder"), 0700), 0);
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    refused(uri_of("folder", NULL), 0, JOBQ_UNREACHABLE, "uri");
    refused(uri_of("pipe", NULL), 0, JOBQ_UNREACHABLE, "uri");
    refused(uri_of("missing/a.db", NULL), 0, JOBQ_UNREACHABLE, "uri");
    refused(uri_of("a.db", NULL), JOBQ_OPEN_NO_CREATE, JOBQ_UNREACHABLE, "uri");
    refused(uri_of("a.db", NULL), JOBQ_OPEN_INSPECT, JOBQ_UNREACHABLE, "uri");
    ck_assert_int_ne(access(in_folder("a.db"), F_OK), 0);
    sql("empty.db", "CREATE TABLE theirs (x)");
    refused(uri_of("empty.db", NULL), JOBQ_OPEN_NO_CREATE, JOBQ_UNREACHABLE, "uri");
    refused(uri_of("empty.db", NULL), JOBQ_OPEN_INSPECT, JOBQ_UNREACHABLE, "uri");
    ck_assert_int_eq(sql_value("empty.db", "SELECT count(*) FROM sqlite_schema"), 1);
}
END_TEST

/* ---- what is in it ---------------------------------------------------------------------------------------------------- */

static void write_file(const char *name, long at, const char *bytes, size_t count)
{
    int file = open(in_folder(name), O_RDWR | O_CREAT, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq((int)pwrite(file, bytes, count, at), (int)count);
    close(file);
}

START_TEST(not_a_database)
{
    char noise[5000];
    memset(noise, 'x', sizeof noise);
    write_file("noise", 0, noise, sizeof noise);
    uint64_t before = digest_of("noise");
    refused(uri_of("noise", NULL), 0, JOBQ_FOREIGN, "uri");
    refused(uri_of("noise", NULL), JOBQ_OPEN_INSPECT, JOBQ_FOREIGN, "uri");
    ck_assert_uint_eq(digest_of("noise"), before);
}
END_TEST

static void make_store(const char *name, uint32_t jobs, size_t payload_bytes)
{
    struct jobq_store *s = store_open(name, NULL, NULL);
    for (uint32_t i = 0; i < jobs; i++)
        ck_assert_int_eq(put_job(s, i, "q", payload_bytes), JOBQ_OK);
    store_close(s);
}

START_TEST(damaged_list_of_tables)
{
    char noise[3000];
    make_store("a.db", 1, 10);
    memset(noise, 0xee, sizeof noise);
    write_file("a.db", 100, noise, sizeof noise);
    uint64_t before = digest_of("a.db");
    refused(uri_of("a.db", NULL), 0, JOBQ_CORRUPT, "uri");
    ck_assert_uint_eq(digest_of("a.db"), before);
}
END_TEST

/* Damage that is found on the way fails the exchange that met it. */
START_TEST(damaged_rows)
{
    make_store("a.db", 200, 100);
    long page = (long)sql_value("a.db", "PRAGMA page_size");
    long pages = (long)sql_value("a.db", "PRAGMA page_count");
    char noise[512];
    memset(noise, 0xee, sizeof noise);
    struct jobq_store *s;
    struct jobq_error err;
    for (long i = 1; i < pages; i++)
        write_file("a.db", i * page, noise, sizeof noise);
    int status = store_try(&s, uri_of("a.db", NULL), 0, NULL, &err);
    if (status != JOBQ_OK) {
        ck_assert_int_eq(status, JOBQ_CORRUPT);
        return;
    }
    struct jobq_put put = { .queue = { "q", 1 }, .kind = { "q", 1 }, .only_if = -1 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_FAILED);
    ck_assert_int_eq(x.failure, JOBQ_FAILURE_REFUSED);
    store_close(s);
}
END_TEST

/* Memory is taken by the number of a name, and a file may say any. */
START_TEST(a_name_with_a_number_that_nobody_gave)
{
    make_store("a.db", 1, 10);
    sql("a.db", "UPDATE jobq_kind SET id = 20000000; UPDATE jobq_job SET kind = 20000000");
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    struct jobq_put put = { .queue = { "q", 1 }, .kind = { "q", 1 }, .only_if = -1 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_FAILED);
    ck_assert_int_eq(x.failure, JOBQ_FAILURE_REFUSED);
    store_close(s);
}
END_TEST

START_TEST(a_newer_store)
{
    struct jobq_store *s;
    struct jobq_error err;
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    make_store("a.db", 1, 10);
    sql("a.db", "UPDATE jobq_meta SET version = 99; ALTER TABLE jobq_job ADD COLUMN later INTEGER");
    uint64_t before = digest_of("a.db");
    refused(uri_of("a.db", NULL), 0, JOBQ_NEWER, "uri");
    ck_assert_uint_eq(digest_of("a.db"), before);
    ck_assert_int_eq(store_try(&s, uri_of("a.db", NULL), JOBQ_OPEN_INSPECT, NULL, &err), JOBQ_OK);
    struct jobq_arena *arena = jobq_arena_create();
    ck_assert_int_eq(jobq_sqlite()->stats(s, &all, &stats, arena, &err), JOBQ_OK);
    ck_assert_int_eq(stats.schema_version, 99);
    ck_assert_int_eq(stats.schema_known, SCHEMA_VERSION);
    struct jobq_query query = { .size = sizeof query, .limit = 10 };
    ck_assert_int_eq(jobq_sqlite()->read(s, &query, arena, &err), JOBQ_FAILED);
    struct jobq_exchange x = { 0 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_FAILED);
    jobq_arena_destroy(arena);
    store_close(s);
}
END_TEST

static const char *const plants[] = {
    "CREATE TRIGGER planted AFTER INSERT ON jobq_job BEGIN DELETE FROM jobq_job; END",
    "CREATE TRIGGER planted AFTER UPDATE ON jobq_queue BEGIN SELECT 1; END",
    "CREATE VIEW planted AS SELECT * FROM jobq_job",
    "CREATE INDEX planted ON jobq_job(worker)",
    "ALTER TABLE jobq_job ADD COLUMN planted TEXT",
    "ALTER TABLE jobq_job DROP COLUMN trace",
    "DROP INDEX jobq_job_list",
    "DROP TABLE jobq_error",
    "DROP TABLE jobq_meta",
    "DELETE FROM jobq_meta",
    "UPDATE jobq_meta SET version = 0",
    "DROP TABLE jobq_bulk; CREATE VIEW jobq_bulk AS SELECT 1 AS slot, 2 AS bytes",
    "DROP TABLE jobq_worker; CREATE TABLE jobq_worker (name TEXT)",
    "DROP TABLE jobq_edge; CREATE VIRTUAL TABLE jobq_edge USING fts5(x)",
};

START_TEST(planted_things_are_refused)
{
    make_store("a.db", 1, 10);
    sql("a.db", plants[_i]);
    uint64_t before = digest_of("a.db");
    refused(uri_of("a.db", NULL), 0, JOBQ_FOREIGN, "uri");
    ck_assert_uint_eq(digest_of("a.db"), before);
}
END_TEST

/* Planted while the store is open, they do nothing: neither triggers nor views run on its connections. */
START_TEST(planted_later_they_do_not_run)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    sql("a.db", "CREATE TABLE loot (x); CREATE TRIGGER planted AFTER INSERT ON jobq_job BEGIN INSERT INTO loot VALUES (1); END");
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM loot"), 0);
    store_close(s);
}
END_TEST

START_TEST(tables_of_others_are_none_of_our_business)
{
    sql("a.db", "CREATE TABLE theirs (x); CREATE VIEW they AS SELECT * FROM theirs; PRAGMA user_version = 7;"
                "PRAGMA application_id = 8; CREATE TABLE jobqueue (x)");
    struct jobq_store *s = store_open("a.db", NULL, NULL), *other = store_open("a.db", "namespace=other_1", NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    ck_assert_uint_eq(rows_in(other, "q", JOBQ_READY), 0);
    ck_assert_int_eq(put_job(other, 1, "q", 10), JOBQ_OK);
    store_close(other);
    store_close(s);
    ck_assert_int_eq(sql_value("a.db", "PRAGMA user_version"), 7);
    ck_assert_int_eq(sql_value("a.db", "PRAGMA application_id"), 8);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM theirs"), 0);
}
END_TEST

START_TEST(namespaces_do_not_meet)
{
    struct jobq_store *first = store_open("a.db", "namespace=a", NULL), *second = store_open("a.db", "namespace=a_job", NULL);
    struct jobq_store *digits = store_open("a.db", "namespace=1", NULL);
    ck_assert_int_eq(put_job(first, 1, "q", 10), JOBQ_OK);
    ck_assert_int_eq(put_job(second, 1, "q", 10), JOBQ_OK);
    ck_assert_int_eq(put_job(digits, 1, "q", 10), JOBQ_OK);
    store_close(first);
    store_close(second);
    store_close(digits);
    store_close(store_open("a.db", "namespace=a", NULL));
    /* SQLite takes no notice of case in names: what would be two namespaces elsewhere is refused, not mixed up. */
    refused(uri_of("a.db", "namespace=A"), 0, JOBQ_FOREIGN, "uri");
}
END_TEST

START_TEST(a_refused_file_keeps_its_journal_mode)
{
    sql("a.db", "CREATE TABLE jobq_meta (surprise TEXT)");
    uint64_t before = digest_of("a.db");
    refused(uri_of("a.db", NULL), 0, JOBQ_FOREIGN, "uri");
    ck_assert_uint_eq(digest_of("a.db"), before);
}
END_TEST

/* ---- where it lies --------------------------------------------------------------------------------------------------------- */

/* Root may write everything, so this is done by somebody who is not. */
static int as_nobody(void (*what)(void))
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(9);
        what();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static void open_unwritable(void)
{
    struct jobq_store *s;
    struct jobq_error err;
    if (store_try(&s, uri_of("a.db", NULL), 0, NULL, &err) != JOBQ_UNREACHABLE || strcmp(err.field, "uri") != 0)
        _exit(1);
    if (store_try(&s, uri_of("new.db", NULL), 0, NULL, &err) != JOBQ_UNREACHABLE || strcmp(err.field, "uri") != 0)
        _exit(2);
}

START_TEST(a_file_that_cannot_be_written)
{
    make_store("a.db", 1, 10);
    ck_assert_int_eq(chmod(in_folder("a.db"), 0444), 0);
    ck_assert_int_eq(chmod(in_folder("."), 0555), 0);
    uint64_t before = digest_of("a.db");
    ck_assert_int_eq(as_nobody(open_unwritable), 0);
    ck_assert_int_eq(chmod(in_folder("."), 0755), 0);
    ck_assert_uint_eq(digest_of("a.db"), before);
}
END_TEST

static void limit_files_to(rlim_t bytes)
{
    struct rlimit limit = { bytes, RLIM_INFINITY };
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(no_room)
{
    signal(SIGXFSZ, SIG_IGN);
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 1000), JOBQ_OK);
    limit_files_to(300000);
    char *payload = calloc(1, 1000000);
    struct jobq_put put = { .id = { { 9 } }, .queue = { "q", 1 }, .kind = { "q", 1 }, .payload = { payload, 1000000 },
                            .only_if = -1 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_FAILED);
    ck_assert_int_eq(x.failure, JOBQ_FAILURE_FULL);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 1);
    limit_files_to(RLIM_INFINITY);
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(put.verdict, JOBQ_OK);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 2);
    free(payload);
    store_close(s);
}
END_TEST

START_TEST(no_room_for_a_new_one)
{
    signal(SIGXFSZ, SIG_IGN);
    limit_files_to(4096);
    refused(uri_of("a.db", NULL), 0, JOBQ_UNREACHABLE, "uri");
    limit_files_to(RLIM_INFINITY);
    store_close(store_open("a.db", NULL, NULL)); /* what was left behind is no hindrance */
}
END_TEST

/* ---- how it is opened --------------------------------------------------------------------------------------------------------- */

static int64_t setting_of(const struct jobq_store *s, const char *query)
{
    sqlite3_stmt *row;
    ck_assert_int_eq(sqlite3_prepare_v2(s->db, query, -1, &row, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return value;
}

static int option_of(const struct jobq_store *s, int option)
{
    int value;
    ck_assert_int_eq(sqlite3_db_config(s->db, option, -1, &value), SQLITE_OK);
    return value;
}

START_TEST(modes_of_durability)
{
    struct jobq_store *full = store_open("a.db", NULL, NULL), *named = store_open("a.db", "synchronous=full", NULL);
    struct jobq_store *normal = store_open("a.db", "synchronous=normal", NULL);
    ck_assert_int_eq(setting_of(full, "PRAGMA synchronous"), 2);
    ck_assert_int_eq(setting_of(named, "PRAGMA synchronous"), 2);
    ck_assert_int_eq(setting_of(normal, "PRAGMA synchronous"), 1);
    ck_assert_int_eq(setting_of(full, "PRAGMA wal_autocheckpoint"), 0);
    ck_assert_int_eq(setting_of(full, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
    ck_assert_int_eq(option_of(full, SQLITE_DBCONFIG_DEFENSIVE), 1);
    ck_assert_int_eq(option_of(full, SQLITE_DBCONFIG_TRUSTED_SCHEMA), 0);
    store_close(full);
    store_close(named);
    store_close(normal);
}
END_TEST

START_TEST(every_table_is_strict)
{
    make_store("a.db", 0, 0);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM pragma_table_list WHERE name LIKE 'jobq%' AND type = 'table'"
                                       " AND strict = 0"), 0);
    ck_assert_int_ge(sql_value("a.db", "SELECT count(*) FROM pragma_table_list WHERE name LIKE 'jobq%' AND strict = 1"), 8);
}
END_TEST

START_TEST(inspecting_changes_nothing)
{
    struct jobq_store *s;
    struct jobq_error err;
    make_store("a.db", 3, 10);
    uint64_t before = digest_of("a.db");
    ck_assert_int_eq(store_try(&s, uri_of("a.db", NULL), JOBQ_OPEN_INSPECT, NULL, &err), JOBQ_OK);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 3);
    struct jobq_exchange x = { 0 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_FAILED);
    ck_assert_int_eq(x.failure, JOBQ_FAILURE_REFUSED);
    ck_assert_int_eq(add_clock(s, 5), JOBQ_FAILED);
    store_close(s);
    ck_assert_uint_eq(digest_of("a.db"), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *looped = kit_case("planted");
    tcase_add_loop_test(looped, planted_things_are_refused, 0, (int)(sizeof plants / sizeof plants[0]));
    suite_add_tcase(suite, looped);
    const TTest *const tests[] = {
        only_the_owner_may_read, not_made_through_a_link, a_link_to_a_store_is_followed,
        relative_names_survive_a_change_of_folder, bad_addresses, things_that_are_no_files, not_a_database,
        damaged_list_of_tables, damaged_rows, a_name_with_a_number_that_nobody_gave, a_newer_store, planted_later_they_do_not_run,
        tables_of_others_are_none_of_our_business, namespaces_do_not_meet, a_refused_file_keeps_its_journal_mode,
        a_file_that_cannot_be_written, no_room, no_room_for_a_new_one, modes_of_durability, every_table_is_strict,
        inspecting_changes_nothing,
    };
    TCase *plain = kit_case("file");
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(plain, tests[i]);
    suite_add_tcase(suite, plain);
    return kit_suite(suite);
}
