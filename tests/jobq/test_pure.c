/* SPDX-License-Identifier: MIT */
/* The parts of the command that touch no store: instants, UTF-8, and what doctor concludes from facts that a
 * test cannot make real, such as a file on a network. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "findings.h"
#include "instant.h"
#include "utf8.h"

/* ---- instants ---- */

static const struct {
    const char *text;
    int64_t ms;
} instants[] = {
    {"1970-01-01T00:00:00.000Z", 0},
    {"1970-01-01T00:00:00.001Z", 1},
    {"1969-12-31T23:59:59.999Z", -1},
    {"2000-02-29T12:34:56.789Z", 951827696789},
    {"2024-12-31T23:59:59.999Z", 1735689599999},
    {"2100-03-01T00:00:00.000Z", 4107542400000},
    {"9999-12-31T23:59:59.999Z", 253402300799999},
    {"0000-01-01T00:00:00.000Z", -62167219200000},
};

START_TEST(instants_are_written_and_read)
{
    char text[INSTANT_TEXT];
    int64_t ms = 7;

    instant_format(instants[_i].ms, text);
    ck_assert_str_eq(text, instants[_i].text);
    ck_assert_int_eq(instant_parse(text, &ms), 0);
    ck_assert_int_eq(ms, instants[_i].ms);
}
END_TEST

START_TEST(instants_beyond_four_digits_are_clamped)
{
    char text[INSTANT_TEXT];

    instant_format(INT64_MAX, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
    instant_format(INT64_MIN, text);
    ck_assert_str_eq(text, "0000-01-01T00:00:00.000Z");
}
END_TEST

static const struct {
    const char *text;
    int64_t ms;
} same_moment[] = {
    {"2030-05-01T12:00:00Z", 1903867200000},      {"2030-05-01t12:00:00z", 1903867200000},
    {"2030-05-01 15:00:00+03:00", 1903867200000}, {"2030-05-01T06:30:00-05:30", 1903867200000},
    {"2030-05-01T12:00:00.25Z", 1903867200250},   {"2030-05-01T12:00:00.2509999Z", 1903867200250},
    {"2030-05-01T11:59:60Z", 1903867200000},
};

START_TEST(instants_are_read_in_all_forms)
{
    int64_t ms = 0;

    ck_assert_int_eq(instant_parse(same_moment[_i].text, &ms), 0);
    ck_assert_int_eq(ms, same_moment[_i].ms);
}
END_TEST

static const char *const no_instants[] = {
    "",
    "2030",
    "2030-05-01",
    "2030-05-01T12:00:00",
    "2030-13-01T12:00:00Z",
    "2030-00-01T12:00:00Z",
    "2030-02-29T12:00:00Z",
    "2100-02-29T12:00:00Z",
    "2030-04-31T12:00:00Z",
    "2030-05-01T24:00:00Z",
    "2030-05-01T12:60:00Z",
    "2030-05-01T12:00:61Z",
    "2030-05-01T12:00:00.Z",
    "2030-05-01T12:00:00+3:00",
    "2030-05-01T12:00:00+03:60",
    "2030-05-01T12:00:00Z ",
    "+030-05-01T12:00:00Z",
};

START_TEST(what_is_no_instant_is_refused)
{
    int64_t ms = 42;

    ck_assert_int_eq(instant_parse(no_instants[_i], &ms), -1);
    ck_assert_int_eq(ms, 42);
}
END_TEST

/* ---- UTF-8 ---- */

#define BYTES(literal) literal, sizeof literal - 1

static const struct {
    const char *data;
    size_t size;
    int text;
} strings[] = {
    {BYTES(""), 1},
    {BYTES("plain"), 1},
    {BYTES("\x7f\x01\t\n"), 1},
    {BYTES("g\xc3\xb6r\xc3\xbc\xc5\x9f"), 1},
    {BYTES("\xe2\x82\xac \xf0\x9f\x8e\xac \xf4\x8f\xbf\xbf"), 1},
    {BYTES("\0"), 0},
    {BYTES("a\0b"), 0},
    {BYTES("\x80"), 0},
    {BYTES("\xff"), 0},
    {BYTES("\xc3"), 0},
    {BYTES("\xc3("), 0},
    {BYTES("\xc0\x80"), 0},
    {BYTES("\xe0\x9f\xbf"), 0},
    {BYTES("\xed\xa0\x80"), 0},
    {BYTES("\xf0\x8f\xbf\xbf"), 0},
    {BYTES("\xf4\x90\x80\x80"), 0},
    {BYTES("\xe2\x82"), 0},
};

START_TEST(text_is_utf8_without_nul)
{
    ck_assert_int_eq(utf8_is_text(strings[_i].data, strings[_i].size), strings[_i].text);
}
END_TEST

START_TEST(columns_of_a_terminal)
{
    ck_assert_int_eq(utf8_columns('a'), 1);
    ck_assert_int_eq(utf8_columns(0xFC), 1);
    ck_assert_int_eq(utf8_columns(0x301), 0);
    ck_assert_int_eq(utf8_columns(0x4E2D), 2);
    ck_assert_int_eq(utf8_columns(0x1F3AC), 2);
}
END_TEST

/* ---- exit codes ---- */

/* Every code of the library has its exit code; a new one must be thought about here. */
static const struct {
    int status, code;
} leaves[] = {
    {JOBQ_OK, LEAVE_OK},
    {JOBQ_ALREADY, LEAVE_OK},
    {JOBQ_DUPLICATE, LEAVE_OK},
    {JOBQ_REPLACED, LEAVE_OK},
    {JOBQ_EXTENDED, LEAVE_OK},
    {JOBQ_SUCCESSOR, LEAVE_OK},
    {JOBQ_FAILED, LEAVE_STORE},
    {JOBQ_UNKNOWN, LEAVE_UNKNOWN},
    {JOBQ_INVALID, LEAVE_USAGE},
    {JOBQ_STALE, LEAVE_REFUSED},
    {JOBQ_NOT_FOUND, LEAVE_NOT_FOUND},
    {JOBQ_STATE, LEAVE_REFUSED},
    {JOBQ_FULL, LEAVE_REFUSED},
    {JOBQ_LIMITED, LEAVE_REFUSED},
    {JOBQ_NO_PARENT, LEAVE_NOT_FOUND},
    {JOBQ_HELD, LEAVE_REFUSED},
    {JOBQ_TIMEOUT, LEAVE_TIME},
    {JOBQ_UNREACHABLE, LEAVE_STORE},
    {JOBQ_UNSUPPORTED, LEAVE_REFUSED},
    {JOBQ_FORKED, LEAVE_REFUSED},
    {JOBQ_FOREIGN, LEAVE_STORE},
    {JOBQ_NEWER, LEAVE_STORE},
    {JOBQ_CORRUPT, LEAVE_STORE},
    {JOBQ_NOMEM, LEAVE_REFUSED},
    {JOBQ_CYCLE, LEAVE_REFUSED},
    {JOBQ_OUTDATED, LEAVE_REFUSED},
    {JOBQ_SKIPPED, LEAVE_REFUSED},
};

START_TEST(each_status_has_its_exit_code)
{
    ck_assert_int_eq(leave_code(leaves[_i].status), leaves[_i].code);
}
END_TEST

START_TEST(no_status_is_forgotten)
{
    int named = 0;

    for (int status = -100; status <= 100; status++) {
        named += strcmp(jobq_status_name(status), "?") != 0;
    }
    ck_assert_int_eq(named, (int)(sizeof leaves / sizeof *leaves));
}
END_TEST

/* ---- doctor ---- */

struct heard {
    int count;
    char name[64], fact[512], command[512];
};

static void hear(const struct finding *finding, void *user)
{
    struct heard *heard = user;

    heard->count++;
    snprintf(heard->name, sizeof heard->name, "%s", finding->name);
    snprintf(heard->fact, sizeof heard->fact, "%s", finding->fact);
    snprintf(heard->command, sizeof heard->command, "%s", finding->command);
}

static struct heard judge(const struct machine *machine, const struct jobq_stats *stats)
{
    struct heard heard = {0};
    struct facts facts = {.machine = machine,
                          .stats = stats,
                          .uri = "sqlite:/srv/a b.db",
                          .uri_known = "sqlite:/srv/a b.db",
                          .log_max_bytes = 64 << 20};

    ck_assert_uint_eq(findings_judge(&facts, hear, &heard), (size_t)heard.count);
    return heard;
}

static const struct {
    long magic;
    const char *type, *name;
} file_systems[] = {
    {0x6969, "nfs4", "NFS"},
    {(long)0xFF534D42, "cifs", "CIFS"},
    {(long)(int)0xFE534D42, "smb3", "SMB2"}, /* as a signed number of 32 bits */
    {0x01021997, "9p", "9P"},
    {0x65735546, "fuse.sshfs", "fuse.sshfs"},
    {0x65735546, "fuse.ntfs-3g", NULL},
    {0xEF53, "ext4", NULL},
    {0x01021994, "tmpfs", NULL},
    {0x794C7630, "overlay", NULL},
    {0, "", NULL},
};

START_TEST(a_network_file_system_is_known)
{
    const char *name = network_fs(file_systems[_i].magic, file_systems[_i].type);

    if (file_systems[_i].name) {
        ck_assert_str_eq(name, file_systems[_i].name);
    } else {
        ck_assert_ptr_null(name);
    }
}
END_TEST

START_TEST(a_file_on_a_network_is_found)
{
    char path[] = "/srv/it's here.db";
    struct machine machine = {.path = path, .fs_magic = 0x6969, .fs_type = "nfs"};
    struct heard heard = judge(&machine, NULL);

    ck_assert_int_eq(heard.count, 1);
    ck_assert_str_eq(heard.name, "network-file-system");
    ck_assert_ptr_nonnull(strstr(heard.fact, "/srv/it's here.db is on a network file system (NFS)"));
    ck_assert_str_eq(heard.command, "mkdir -p /var/lib/jobq && mv '/srv/it'\\''s here.db' /var/lib/jobq/");
    machine.fs_magic = 0xEF53;
    machine.fs_type[0] = 0;
    ck_assert_int_eq(judge(&machine, NULL).count, 0);
}
END_TEST

START_TEST(a_log_is_large_from_its_limit_on)
{
    struct machine machine = {0};
    struct jobq_stats stats = {
        .name_space = "jobq", .schema_version = 1, .schema_known = 1, .log_bytes = 64 << 20};
    struct heard heard;

    ck_assert_int_eq(judge(&machine, &stats).count, 0);
    stats.log_bytes++;
    heard = judge(&machine, &stats);
    ck_assert_str_eq(heard.name, "large-log");
    ck_assert_str_eq(heard.command, "jobq -s 'sqlite:/srv/a b.db' sweep");
    stats.log_bytes = -1;
    ck_assert_int_eq(judge(&machine, &stats).count, 0);
}
END_TEST

START_TEST(an_older_schema_is_found)
{
    struct machine machine = {0};
    struct jobq_stats stats = {.name_space = "jobq", .schema_version = 2, .schema_known = 3};
    struct heard heard = judge(&machine, &stats);

    ck_assert_int_eq(heard.count, 1);
    ck_assert_str_eq(heard.name, "older-schema");
    ck_assert_ptr_nonnull(strstr(heard.fact, "the store has schema 2, this jobq writes 3"));
    ck_assert_str_eq(heard.command, "jobq -s 'sqlite:/srv/a b.db' sweep");
    stats.schema_version = 3;
    ck_assert_int_eq(judge(&machine, &stats).count, 0);
}
END_TEST

/* A worker is alive for one lease after it was seen, and works its own queues and kinds only. */
START_TEST(somebody_works_a_kind_or_not)
{
    struct machine machine = {0};
    struct jobq_kind_stats kind = {.queue = "b", .kind = "thumbnail", .ready = 2};
    struct jobq_worker_stats worker = {
        .name = "w", .queues = "a,b", .kinds = "", .seen_at_ms = 1000, .lease_ms = 500};
    struct jobq_stats stats = {.name_space = "jobq",
                               .schema_version = 1,
                               .schema_known = 1,
                               .now_ms = 1500,
                               .kinds = &kind,
                               .kind_count = 1,
                               .workers = &worker,
                               .worker_count = 1};

    ck_assert_int_eq(judge(&machine, &stats).count, 0);
    worker.kinds = "mail,thumbnail";
    ck_assert_int_eq(judge(&machine, &stats).count, 0);
    worker.kinds = "thumbnails,thumb";
    ck_assert_str_eq(judge(&machine, &stats).name, "nobody-works");
    worker.kinds = "";
    worker.queues = "bb,a";
    ck_assert_str_eq(judge(&machine, &stats).command,
                     "jobq -s 'sqlite:/srv/a b.db' work b --kind thumbnail -- COMMAND");
    worker.queues = "b";
    stats.now_ms = 1501;
    ck_assert_int_eq(judge(&machine, &stats).count, 1);
}
END_TEST

START_TEST(a_uri_gets_another_namespace)
{
    static const struct {
        const char *uri, *out;
    } cases[] = {
        {"sqlite:a.db", "sqlite:a.db?namespace=n"},
        {"sqlite:a.db?namespace=old", "sqlite:a.db?namespace=n"},
        {"sqlite:a.db?synchronous=normal&namespace=old", "sqlite:a.db?namespace=n&synchronous=normal"},
        {"sqlite:a.db?namespace=old&&x=y", "sqlite:a.db?namespace=n&x=y"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out = uri_with_namespace(cases[i].uri, "n");
        ck_assert_str_eq(out, cases[i].out);
        free(out);
    }
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int main(void)
{
    Suite *suite = suite_create("jobq command, pure parts");
    TCase *tests = tcase_create("pure");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, instants_are_written_and_read, 0, COUNT(instants));
    tcase_add_test(tests, instants_beyond_four_digits_are_clamped);
    tcase_add_loop_test(tests, instants_are_read_in_all_forms, 0, COUNT(same_moment));
    tcase_add_loop_test(tests, what_is_no_instant_is_refused, 0, COUNT(no_instants));
    tcase_add_loop_test(tests, text_is_utf8_without_nul, 0, COUNT(strings));
    tcase_add_test(tests, columns_of_a_terminal);
    tcase_add_loop_test(tests, each_status_has_its_exit_code, 0, COUNT(leaves));
    tcase_add_test(tests, no_status_is_forgotten);
    tcase_add_loop_test(tests, a_network_file_system_is_known, 0, COUNT(file_systems));
    tcase_add_test(tests, a_file_on_a_network_is_found);
    tcase_add_test(tests, a_log_is_large_from_its_limit_on);
    tcase_add_test(tests, an_older_schema_is_found);
    tcase_add_test(tests, somebody_works_a_kind_or_not);
    tcase_add_test(tests, a_uri_gets_another_namespace);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
