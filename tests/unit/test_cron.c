/* SPDX-License-Identifier: MIT */
/* Expressions, zones and what is due of them: rule 13 of the lifecycle, rule 16 (bad input), S12. The slow oracle beside
 * this compares whole zones; here stand the cases that people ask about, and the input that must be refused. */
#include "unit.h"

#include "schedule.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static int64_t utc(int64_t year, int month, int day, int hour, int minute, int second)
{
    return (days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000;
}

static struct timing timing_in(const char *zone, const char *cron)
{
    struct jobq_schedule s = { .size = sizeof s, .cron = cron, .zone = zone };
    struct timing t;

    ck_assert_msg(timing_of(&s, &t) == JOBQ_OK, "%s in %s: %s", cron, zone, jobq_last_error()->text);
    return t;
}

static int64_t next_in(const char *zone, const char *cron, int64_t after_ms)
{
    struct timing t = timing_in(zone, cron);
    int64_t next = timing_next(&t, after_ms);

    zone_free(t.zone);
    return next;
}

/* ---- expressions ------------------------------------------------------------------------------------------------ */

/* Behind Wednesday 2026-04-15 10:20:30 UTC. */
static const struct {
    const char *cron;
    int year, month, day, hour, minute, second;
} after_april[] = {
    { "* * * * *", 2026, 4, 15, 10, 21, 0 },
    { "* * * * * *", 2026, 4, 15, 10, 20, 31 },
    { "*/15 * * * *", 2026, 4, 15, 10, 30, 0 },
    { "20 10 * * *", 2026, 4, 16, 10, 20, 0 },
    { "30 20 10 * * *", 2026, 4, 16, 10, 20, 30 }, /* strictly after */
    { "31 20 10 * * *", 2026, 4, 15, 10, 20, 31 },
    { "10/25 * * * * *", 2026, 4, 15, 10, 20, 35 },
    { "5-7 10,11 * * *", 2026, 4, 15, 11, 5, 0 },
    { "0-30/10 10 * * *", 2026, 4, 15, 10, 30, 0 },
    { "0 9 * * 1", 2026, 4, 20, 9, 0, 0 },
    { "0 9 * * MON-fri", 2026, 4, 16, 9, 0, 0 },
    { "0 9 * * sat-sun", 2026, 4, 18, 9, 0, 0 },
    { "0 9 * * 7", 2026, 4, 19, 9, 0, 0 },
    { "0 9 * * 0", 2026, 4, 19, 9, 0, 0 },
    { "0 9 * * 5-7", 2026, 4, 17, 9, 0, 0 },
    { "0 0 1 jan *", 2027, 1, 1, 0, 0, 0 },
    { "0 0 1 Apr,oct *", 2026, 10, 1, 0, 0, 0 },
    { "0 0 1 */3 *", 2026, 7, 1, 0, 0, 0 },
    { "0 0 ? * mon", 2026, 4, 20, 0, 0, 0 },
    { "0 0 20 * ?", 2026, 4, 20, 0, 0, 0 },
    { "0 0 13 * 5", 2026, 4, 17, 0, 0, 0 },    /* the 13th, or any Friday */
    { "0 0 */13 * 5", 2026, 5, 1, 0, 0, 0 },   /* begins with *: a Friday that is the 1st, 14th or 27th */
    { "0 0 L * *", 2026, 4, 30, 0, 0, 0 },
    { "0 0 L 2 *", 2027, 2, 28, 0, 0, 0 },
    { "0 0 L-2 * *", 2026, 4, 28, 0, 0, 0 },
    { "0 0 LW 5 *", 2026, 5, 29, 0, 0, 0 },    /* the 31st is a Sunday */
    { "0 0 1W 8 *", 2026, 8, 3, 0, 0, 0 },     /* the 1st is a Saturday, and it stays in its month */
    { "0 0 16W 5 *", 2026, 5, 15, 0, 0, 0 },   /* a Saturday */
    { "0 0 31W 5 *", 2026, 5, 29, 0, 0, 0 },   /* a Sunday at the end */
    { "0 0 15W * *", 2026, 5, 15, 0, 0, 0 },
    { "0 0 * * friL", 2026, 4, 24, 0, 0, 0 },
    { "0 0 * * 5#3", 2026, 4, 17, 0, 0, 0 },
    { "0 0 * * sun#5", 2026, 5, 31, 0, 0, 0 },
    { "0 0 29 2 *", 2028, 2, 29, 0, 0, 0 },
    { "0 0 29 2 */6", 2032, 2, 29, 0, 0, 0 },  /* begins with *: a 29 February that is a Sunday */
    { "0 0 30 4,2 *", 2026, 4, 30, 0, 0, 0 },
    { "@hourly", 2026, 4, 15, 11, 0, 0 },
    { "@daily", 2026, 4, 16, 0, 0, 0 },
    { "@midnight", 2026, 4, 16, 0, 0, 0 },
    { "@weekly", 2026, 4, 19, 0, 0, 0 },
    { "@monthly", 2026, 5, 1, 0, 0, 0 },
    { "@Yearly", 2027, 1, 1, 0, 0, 0 },
    { "@annually", 2027, 1, 1, 0, 0, 0 },
    { "  0 \t 9 * * * ", 2026, 4, 16, 9, 0, 0 },
};

START_TEST(what_expressions_mean)
{
    for (size_t i = 0; i < sizeof after_april / sizeof after_april[0]; i++) {
        int64_t want = utc(after_april[i].year, after_april[i].month, after_april[i].day, after_april[i].hour,
                           after_april[i].minute, after_april[i].second);
        int64_t got = next_in("UTC", after_april[i].cron, utc(2026, 4, 15, 10, 20, 30));
        struct date d = date_of_days(floor_div(got, 86400000));
        ck_assert_msg(got == want, "%s: %lld-%d-%d +%lld s", after_april[i].cron, (long long)d.year, d.month, d.day,
                      (long long)(got / 1000 % 86400));
    }
}
END_TEST

static const char *const bad[] = {
    "", " ", "*", "* * * *", "* * * * * * *", "60 * * * *", "-1 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
    "* * * 0 *", "* * * 13 *", "* * * * 8", "60 * * * * *", "* * * foo *", "* * * * funday", "*/0 * * * *",
    "*/60 * * * *", "5-1 * * * *", "1- * * * *", "1-2-3 * * * *", "1,,2 * * * *", ",1 * * * *", "1, * * * *",
    "* * * * mon-", "a * * * *", "1.5 * * * *", "? * * * *", "* ? * * *", "* * * ? *", "* * L-31 * *", "* * L- * *",
    "* * * * L", "* * * * 1#0", "* * * * 1#6", "* * 5#1 * *", "* * * * 5W", "* * W * *", "* * 0W * *", "* * 15WL * *",
    "@", "@reboot", "@every", "@dailyy", "@daily x", "1/ * * * *", "*/ * * * *", "99999999999999999999 * * * *",
    "*/99999999999999999999 * * * *", "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31W 2 *", "0 0 L-30 2 *", "*5 * * * *",
    "+5 * * * *", "0x5 * * * *", "1\n* * * *", "* * * * mon#", "* * * jan-feb-mar *", "* * * * *;",
};

START_TEST(bad_expressions_are_refused_by_name)
{
    struct cron cron;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(cron_parse(bad[i], &cron) == JOBQ_INVALID, "'%s' was accepted", bad[i]);
        ck_assert_str_eq(jobq_last_error()->field, "cron");
        ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "cron: "));
    }
    ck_assert_int_eq(cron_parse("0 25 * * *", &cron), JOBQ_INVALID);
    ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "hour: 25 is not within 0 to 23"));
}
END_TEST

START_TEST(too_long)
{
    char text[CRON_TEXT_MAX + 12] = "";
    struct cron cron;

    while (strlen(text) < CRON_TEXT_MAX - 8)
        strcat(text, "1,");
    strcat(text, "1 * * * *");
    text[CRON_TEXT_MAX + 1] = '\0';
    ck_assert_int_eq(cron_parse(text, &cron), JOBQ_INVALID);
    ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "512"));
    ck_assert_int_eq(cron_parse(text + 4, &cron), JOBQ_OK);
}
END_TEST

/* Whatever bytes: an answer, in bounded time, and never a crash. */
START_TEST(random_expressions)
{
    static const char letters[] = "0123456789*/-,?LW#@ \tjanfebmonsunevery\x80";
    unsigned seed = 7, good = 0;
    struct cron cron;

    for (int round = 0; round < 30000; round++) {
        char noise[24], text[64];
        size_t length = 6 + (size_t)round % 17;
        for (size_t i = 0; i < length; i++)
            noise[i] = letters[((seed = seed * 1103515245 + 12345) >> 16) % (sizeof letters - 1)];
        noise[length] = '\0';
        /* Half of them look like something. */
        snprintf(text, sizeof text, round % 2 ? "* * %.1s * %.2s" : "%s", noise, noise + 2);
        if (cron_parse(text, &cron) != JOBQ_OK)
            continue;
        good++;
        int64_t next = cron_next_local(&cron, 1700000000);
        ck_assert_int_ge(next, 1700000000);
        ck_assert_int_ne(next, NEVER_S);
    }
    ck_assert_uint_gt(good, 20);
}
END_TEST

START_TEST(intervals)
{
    static const struct {
        const char *text;
        int64_t ms;
    } every[] = { { "@every 90s", 90000 }, { "@every 1h30m", 5400000 }, { " @EVERY  2d ", 172800000 },
                  { "@every 1500ms", 1500 }, { "@every 1w", 604800000 } };
    static const char *const wrong[] = { "@every", "@every ", "@every 5", "@every s", "@every 0s", "@every 999ms",
                                         "@every -1h", "@every 1h 5m", "@every 99999999999999999999d",
                                         "@every 9007199254740993ms", "@every 1y", "@every 1.5h" };
    int64_t ms;

    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++) {
        ck_assert_int_eq(cron_every(every[i].text, &ms), 1);
        ck_assert_int_eq(ms, every[i].ms);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(cron_every(wrong[i], &ms) == JOBQ_INVALID, "%s", wrong[i]);
    ck_assert_int_eq(cron_every("@everything", &ms), 0);
    ck_assert_int_eq(cron_every("* * * * *", &ms), 0);
    struct timing t = { .every_ms = 90000, .anchor_ms = 1000 };
    ck_assert_int_eq(timing_next(&t, 1000), 91000);
    ck_assert_int_eq(timing_next(&t, 999), 1000);
    ck_assert_int_eq(timing_next(&t, 0), 1000);
    ck_assert_int_eq(timing_next(&t, -89001), -89000);
    ck_assert_int_eq(timing_next(&t, INT64_MAX - 5), INT64_MAX);
    ck_assert_int_eq(timing_last(&t, 0, 90999), 1000);
    ck_assert_int_eq(timing_last(&t, 1000, 90999), INT64_MIN);
}
END_TEST

/* An end of the calendar, not an endless search. */
START_TEST(the_end_of_time)
{
    ck_assert_int_eq(next_in("UTC", "0 0 1 1 *", utc(9998, 6, 1, 0, 0, 0)), utc(9999, 1, 1, 0, 0, 0));
    ck_assert_int_eq(next_in("UTC", "0 0 1 1 *", utc(9999, 6, 1, 0, 0, 0)), INT64_MAX);
    ck_assert_int_eq(next_in("UTC", "* * * * *", MAX_MS + 1), INT64_MAX);
    ck_assert_int_eq(next_in("Europe/Berlin", "* * * * *", INT64_MAX), INT64_MAX);
    ck_assert_int_eq(next_in("Europe/Berlin", "* * * * *", INT64_MIN), INT64_MAX);
    struct jobq_schedule s = { .size = sizeof s, .cron = "30 2 ? 3 0L", .zone = "Europe/Berlin",
                               .gap = JOBQ_GAP_SKIP };
    struct timing t;
    ck_assert_int_eq(timing_of(&s, &t), JOBQ_OK);
    ck_assert_int_eq(timing_next(&t, utc(2026, 1, 1, 0, 0, 0)), INT64_MAX); /* always in the gap */
    zone_free(t.zone);
}
END_TEST

/* ---- gaps and folds ------------------------------------------------------------------------------------------------ */

/* Berlin 2026: forward on 29 March 01:00 UTC (02:00 to 03:00), back on 25 October 01:00 UTC (03:00 to 02:00). */
START_TEST(a_fixed_time_in_a_gap_runs_behind_it)
{
    const char *zone = "Europe/Berlin";

    ck_assert_int_eq(next_in(zone, "30 2 * * *", utc(2026, 3, 28, 1, 30, 0)), utc(2026, 3, 29, 1, 0, 0));
    ck_assert_int_eq(next_in(zone, "30 2 * * *", utc(2026, 3, 29, 1, 0, 0)), utc(2026, 3, 30, 0, 30, 0));
    ck_assert_int_eq(next_in(zone, "0 3 * * *", utc(2026, 3, 28, 2, 0, 0)), utc(2026, 3, 29, 1, 0, 0));
    ck_assert_int_eq(next_in(zone, "0 3 * * *", utc(2026, 3, 29, 1, 0, 0)), utc(2026, 3, 30, 1, 0, 0));
    /* Several in one gap, and the first instant behind it: once. */
    ck_assert_int_eq(next_in(zone, "0,20,40 2,3 * * *", utc(2026, 3, 28, 23, 0, 0)), utc(2026, 3, 29, 1, 0, 0));
    ck_assert_int_eq(next_in(zone, "0,20,40 2,3 * * *", utc(2026, 3, 29, 1, 0, 0)), utc(2026, 3, 29, 1, 20, 0));
}
END_TEST

START_TEST(a_fixed_time_in_a_fold_runs_the_first_time)
{
    const char *zone = "Europe/Berlin";

    ck_assert_int_eq(next_in(zone, "30 2 * * *", utc(2026, 10, 24, 12, 0, 0)), utc(2026, 10, 25, 0, 30, 0));
    ck_assert_int_eq(next_in(zone, "30 2 * * *", utc(2026, 10, 25, 0, 30, 0)), utc(2026, 10, 26, 1, 30, 0));
    ck_assert_int_eq(next_in(zone, "30 2 * * *", utc(2026, 10, 25, 1, 0, 0)), utc(2026, 10, 26, 1, 30, 0));
    ck_assert_int_eq(next_in(zone, "0 3 * * *", utc(2026, 10, 24, 12, 0, 0)), utc(2026, 10, 25, 2, 0, 0));
}
END_TEST

START_TEST(what_begins_with_a_star_runs_through)
{
    const char *zone = "Europe/Berlin";

    ck_assert_int_eq(next_in(zone, "*/30 * * * *", utc(2026, 3, 29, 0, 30, 0)), utc(2026, 3, 29, 1, 0, 0));
    ck_assert_int_eq(next_in(zone, "30 * * * *", utc(2026, 3, 29, 0, 30, 0)), utc(2026, 3, 29, 1, 30, 0));
    ck_assert_int_eq(next_in(zone, "30 * * * *", utc(2026, 10, 25, 0, 30, 0)), utc(2026, 10, 25, 1, 30, 0));
    ck_assert_int_eq(next_in(zone, "*/30 2 * * *", utc(2026, 3, 28, 12, 0, 0)), utc(2026, 3, 30, 0, 0, 0));
    ck_assert_int_eq(next_in(zone, "*/30 2 * * *", utc(2026, 10, 25, 0, 30, 0)), utc(2026, 10, 25, 1, 0, 0));
}
END_TEST

START_TEST(policies_can_be_chosen)
{
    struct jobq_schedule s = { .size = sizeof s, .cron = "30 2 * * *", .zone = "Europe/Berlin",
                               .gap = JOBQ_GAP_SKIP, .fold = JOBQ_FOLD_BOTH };
    struct timing t;

    ck_assert_int_eq(timing_of(&s, &t), JOBQ_OK);
    ck_assert_int_eq(timing_next(&t, utc(2026, 3, 28, 12, 0, 0)), utc(2026, 3, 30, 0, 30, 0));
    ck_assert_int_eq(timing_next(&t, utc(2026, 10, 25, 0, 30, 0)), utc(2026, 10, 25, 1, 30, 0));
    zone_free(t.zone);
}
END_TEST

START_TEST(other_shapes_of_gaps)
{
    /* Lord Howe: half an hour. 4 October 2026 02:00 becomes 02:30, at 15:30 UTC the day before. */
    ck_assert_int_eq(next_in("Australia/Lord_Howe", "15 2 4 10 *", utc(2026, 1, 1, 0, 0, 0)),
                     utc(2026, 10, 3, 15, 30, 0));
    /* Apia left out 30 December 2011 altogether. */
    ck_assert_int_eq(next_in("Pacific/Apia", "0 9 30 12 *", utc(2011, 6, 1, 0, 0, 0)), utc(2011, 12, 30, 10, 0, 0));
    /* Sao Paulo had no midnight on 4 November 2018. */
    ck_assert_int_eq(next_in("America/Sao_Paulo", "@daily", utc(2018, 11, 3, 12, 0, 0)), utc(2018, 11, 4, 3, 0, 0));
    /* Behind the table: the rule at its end goes on for ever. */
    ck_assert_int_eq(next_in("Europe/Berlin", "30 2 * * *", utc(2450, 3, 26, 12, 0, 0)), utc(2450, 3, 27, 1, 0, 0));
}
END_TEST

/* ---- zones ----------------------------------------------------------------------------------------------------------- */

START_TEST(names_of_zones_are_checked)
{
    static const char *const names[] = { "", "..", "../etc/passwd", "/etc/passwd", "Europe/../../etc/passwd", "Europe//Berlin",
                                         "Europe/", "Europe/Berlin ", "Europe/Ber\nlin", "Europe", "Mars/Phobos",
                                         "zone.tab", "leapseconds", "europe/\xc3\xa9" };
    struct zone *zone;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_msg(zone_load(names[i], &zone) == JOBQ_INVALID, "'%s'", names[i]);
        ck_assert_str_eq(jobq_last_error()->field, "zone");
        ck_assert_ptr_null(zone);
    }
    char long_name[400];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert_int_eq(zone_load(long_name, &zone), JOBQ_INVALID);
}
END_TEST

/* Without the database: a definite error that says what to install, and UTC all the same. */
START_TEST(without_a_database)
{
    struct zone *zone;

    ck_assert_int_eq(zone_load_from("/nonexistent", "Europe/Berlin", &zone), JOBQ_UNSUPPORTED);
    ck_assert_str_eq(jobq_last_error()->field, "zone");
    ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "tzdata"));
    ck_assert_int_eq(zone_load_from("/nonexistent", "UTC", &zone), JOBQ_OK);
    ck_assert_int_eq(zone_span(zone, 0).offset_s, 0);
    zone_free(zone);
    setenv("TZDIR", "/nonexistent", 1);
    ck_assert_int_eq(zone_load("Europe/Berlin", &zone), JOBQ_UNSUPPORTED);
    unsetenv("TZDIR");
    ck_assert_int_eq(zone_load("Europe/Berlin", &zone), JOBQ_OK);
    zone_free(zone);
}
END_TEST

START_TEST(neither_locale_nor_tz_matter)
{
    int64_t before = next_in("America/New_York", "30 2 * * sun", utc(2026, 3, 7, 0, 0, 0));

    setenv("TZ", "Asia/Tokyo", 1);
    setlocale(LC_ALL, "tr_TR.UTF-8");
    ck_assert_int_eq(next_in("America/New_York", "30 2 * * SUN", utc(2026, 3, 7, 0, 0, 0)), before);
    ck_assert_int_eq(next_in("America/New_York", "30 2 * JAN-DEC FRI", utc(2026, 3, 7, 0, 0, 0)),
                     utc(2026, 3, 13, 6, 30, 0));
    setlocale(LC_ALL, "C");
    unsetenv("TZ");
}
END_TEST

static void *ask_in_a_thread(void *user)
{
    int64_t *sum = user;

    for (int i = 0; i < 200; i++)
        *sum += next_in("Europe/Dublin", "30 1 * * *", utc(2026, 1, 1 + i % 28, 0, 0, 0)) / 1000;
    return NULL;
}

START_TEST(threads)
{
    pthread_t thread[4];
    int64_t sum[4] = { 0 };

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, ask_in_a_thread, &sum[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(sum[i], sum[0]);
}
END_TEST

/* ---- files of zones --------------------------------------------------------------------------------------------------- */

static void number(uint8_t *at, int64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)((uint64_t)value >> 8 * (bytes - 1 - i));
}

/* A header and a block with these transitions, which go to type 1 and back to type 0. */
static size_t block(uint8_t *out, char version, const int64_t *at, size_t count, int bytes)
{
    uint8_t *end = out + 44;

    memset(out, 0, 44);
    memcpy(out, "TZif", 4);
    out[4] = (uint8_t)version;
    number(out + 32, (int64_t)count, 4);
    number(out + 36, 2, 4);
    number(out + 40, 4, 4);
    for (size_t i = 0; i < count; i++, end += bytes)
        number(end, at[i], bytes);
    for (size_t i = 0; i < count; i++)
        *end++ = (uint8_t)(1 - i % 2);
    memset(end, 0, 16);
    number(end, 3600, 4);
    number(end + 6, 7200, 4);
    end[10] = 1;
    return (size_t)(end + 16 - out);
}

static size_t file(uint8_t *out, const int64_t *at, size_t count, const char *footer)
{
    size_t size = block(out, '2', NULL, 0, 4);

    size += block(out + size, '2', at, count, 8);
    return size + (size_t)sprintf((char *)out + size, "\n%s\n", footer);
}

static int32_t offset_by(const char *footer, int64_t at_ms)
{
    uint8_t bytes[512];
    struct zone *zone;

    ck_assert_msg(zone_read(bytes, file(bytes, NULL, 0, footer), &zone) == JOBQ_OK, "%s", footer);
    int32_t offset = zone_span(zone, at_ms / 1000).offset_s;
    zone_free(zone);
    return offset;
}

START_TEST(rules_behind_the_table)
{
    int64_t january = utc(2040, 1, 15, 0, 0, 0), july = utc(2040, 7, 15, 0, 0, 0);

    ck_assert_int_eq(offset_by("CET-1CEST,M3.5.0,M10.5.0/3", january), 3600);
    ck_assert_int_eq(offset_by("CET-1CEST,M3.5.0,M10.5.0/3", july), 7200);
    ck_assert_int_eq(offset_by("AEST-10AEDT,M10.1.0,M4.1.0/3", january), 39600);
    ck_assert_int_eq(offset_by("<+0330>-3:30", july), 12600);
    ck_assert_int_eq(offset_by("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", july), -3600);
    ck_assert_int_eq(offset_by("XXX3YYY,J60/0,J300/0", utc(2040, 3, 1, 2, 59, 59)), -10800);
    ck_assert_int_eq(offset_by("XXX3YYY,J60/0,J300/0", utc(2040, 3, 1, 3, 0, 0)), -7200); /* 1 March, leap year or not */
    ck_assert_int_eq(offset_by("XXX3YYY,59/0,300/0", utc(2040, 2, 29, 3, 0, 0)), -7200);
    ck_assert_int_eq(offset_by("XXX3EDT4,0/0,J365/23", january), -14400); /* summer time all year */
    ck_assert_int_eq(offset_by("XXX3EDT4,0/0,J365/23", utc(2040, 1, 1, 3, 0, 0)), -14400);
    ck_assert_int_eq(offset_by("EST5EDT4:30,M3.2.0,M11.1.0", july), -16200);
    ck_assert_int_eq(offset_by("", july), 3600);
}
END_TEST

START_TEST(spans_meet)
{
    static const int64_t at[] = { -1000000, 0, 5000000 };
    uint8_t bytes[512];
    struct zone *zone;

    ck_assert_int_eq(zone_read(bytes, file(bytes, at, 3, "CET-1CEST,M3.5.0,M10.5.0/3"), &zone), JOBQ_OK);
    struct span span = zone_span(zone, -2000000);
    ck_assert(span.from == INT64_MIN && span.to == -1000000 && span.offset_s == 3600);
    for (int i = 0; i < 1000; i++) {
        int64_t before = span.to;
        span = zone_span(zone, span.to);
        ck_assert_int_eq(span.from, before);
        ck_assert_int_gt(span.to, span.from);
        ck_assert_int_eq(zone_span(zone, span.to - 1).from, span.from);
    }
    ck_assert_int_gt(span.from, utc(2400, 1, 1, 0, 0, 0) / 1000);
    zone_free(zone);
}
END_TEST

START_TEST(old_files)
{
    static const int64_t at[] = { 0, 1000 };
    uint8_t bytes[512];
    struct zone *zone;

    ck_assert_int_eq(zone_read(bytes, block(bytes, 0, at, 2, 4), &zone), JOBQ_OK);
    ck_assert_int_eq(zone_span(zone, 500).offset_s, 7200);
    ck_assert_int_eq(zone_span(zone, 1000000000).offset_s, 3600);
    zone_free(zone);
}
END_TEST

START_TEST(bad_files)
{
    static const int64_t at[] = { 0, 1000 }, wrong_order[] = { 1000, 1000 };
    static const char *const footers[] = { "X", "CET", "CET-25", "CET-1CEST", "CET-1CEST,", "CET-1CEST,M13.1.0,M1.1.0",
                                           "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J5",
                                           "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x", "<+1-1", "CET-1:60" };
    uint8_t bytes[512], broken[512];
    size_t size = file(bytes, at, 2, "CET-1CEST,M3.5.0,M10.5.0/3");
    struct zone *zone;

    for (size_t cut = 0; cut < size; cut++)
        ck_assert_msg(zone_read(bytes, cut, &zone) == JOBQ_INVALID, "cut at %zu", cut);
    for (size_t i = 0; i < sizeof footers / sizeof footers[0]; i++)
        ck_assert_msg(zone_read(broken, file(broken, at, 2, footers[i]), &zone) == JOBQ_INVALID, "%s", footers[i]);
    ck_assert_int_eq(zone_read(broken, file(broken, wrong_order, 2, ""), &zone), JOBQ_INVALID);
    unsigned seed = 3;
    for (int round = 0; round < 100000; round++) {
        memcpy(broken, bytes, size);
        for (int i = 0; i <= round % 4; i++, seed = seed * 1103515245 + 12345)
            broken[(seed >> 8) % size] = (uint8_t)(seed >> 20);
        if (zone_read(broken, size, &zone) != JOBQ_OK)
            continue;
        struct span span = zone_span(zone, (int64_t)seed - 2000000000);
        ck_assert_int_lt(span.from, span.to);
        zone_free(zone);
    }
}
END_TEST

/* ---- what is due ---------------------------------------------------------------------------------------------------------- */

START_TEST(the_last_one)
{
    struct timing t = timing_in("Europe/Berlin", "17 */5 * * mon,thu");
    int64_t from = utc(2026, 3, 1, 0, 0, 0), last = INT64_MIN;

    for (int64_t until = from; until < from + 40 * INT64_C(86400000); until += 3600000) {
        for (int64_t next; (next = timing_next(&t, last == INT64_MIN ? from : last)) <= until;)
            last = next;
        ck_assert_int_eq(timing_last(&t, from, until), last);
    }
    zone_free(t.zone);
}
END_TEST

static struct tick_plan plan(const char *cron, int missed, int64_t fired, int64_t now)
{
    struct timing t = timing_in("UTC", cron);
    struct tick_plan p;

    tick_plan(&t, missed, LATE_DEFAULT_MS, fired, now, &p);
    zone_free(t.zone);
    return p;
}

START_TEST(nothing_missed)
{
    int64_t nine = utc(2026, 4, 15, 9, 0, 0), day = 86400000;

    for (int missed = JOBQ_MISSED_ONE; missed <= JOBQ_MISSED_ALL; missed++) {
        struct tick_plan p = plan("0 9 * * *", missed, nine - 5, nine + 20);
        ck_assert_uint_eq(p.count, 1);
        ck_assert_int_eq(p.at_ms[0], nine);
        ck_assert_int_eq(p.settled_ms, nine);
        ck_assert_int_eq(p.next_ms, nine + day);
        p = plan("0 9 * * *", missed, nine, nine + 20);
        ck_assert_uint_eq(p.count, 0);
        ck_assert_int_eq(p.settled_ms, INT64_MIN);
        ck_assert_int_eq(p.next_ms, nine + day);
        p = plan("0 9 * * *", missed, nine + 9 * day, nine + 20); /* the clock went back */
        ck_assert_int_eq(p.settled_ms, INT64_MIN);
        ck_assert_int_eq(p.next_ms, nine + 10 * day);
    }
}
END_TEST

START_TEST(missed_while_nobody_was_there)
{
    int64_t hour = 3600000, twelve = utc(2026, 4, 15, 12, 0, 0);
    struct tick_plan p = plan("0 * * * *", JOBQ_MISSED_ONE, twelve - 5 * hour, twelve + 30 * 60000);

    ck_assert_uint_eq(p.count, 1); /* 8, 9, 10, 11 and 12 o'clock: one run, for 12 */
    ck_assert_int_eq(p.at_ms[0], twelve);
    p = plan("0 * * * *", JOBQ_MISSED_ONE, twelve - 5 * hour, twelve + 10000);
    ck_assert_uint_eq(p.count, 1); /* 12 o'clock is in time and stands for the others too */
    ck_assert_int_eq(p.at_ms[0], twelve);
    p = plan("0 * * * *", JOBQ_MISSED_SKIP, twelve - 5 * hour, twelve + 30 * 60000);
    ck_assert_uint_eq(p.count, 0);
    ck_assert_int_eq(p.settled_ms, twelve);
    ck_assert_int_eq(p.next_ms, twelve + hour);
    p = plan("0 * * * *", JOBQ_MISSED_SKIP, twelve - 5 * hour, twelve + 10000);
    ck_assert_uint_eq(p.count, 1);
    p = plan("0 * * * *", JOBQ_MISSED_ALL, twelve - 5 * hour, twelve + 30 * 60000);
    ck_assert_uint_eq(p.count, 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(p.at_ms[i], twelve - (4 - (int64_t)i) * hour);
}
END_TEST

START_TEST(several_in_time)
{
    int64_t now = utc(2026, 4, 15, 12, 0, 30);
    struct tick_plan p = plan("*/10 * * * * *", JOBQ_MISSED_ONE, now - 35000, now);

    ck_assert_uint_eq(p.count, 4); /* 0, 10, 20, 30: a late look is no reason to leave one out */
    p = plan("*/10 * * * * *", JOBQ_MISSED_ONE, now - 3600000, now);
    ck_assert_uint_eq(p.count, 6); /* those of the last 60 s */
}
END_TEST

/* A year of every second behind: bounded, and the newest. */
START_TEST(far_behind)
{
    int64_t now = utc(2026, 4, 15, 12, 0, 0);
    struct tick_plan p = plan("* * * * * *", JOBQ_MISSED_ALL, now - INT64_C(31536000000), now);

    ck_assert_uint_eq(p.count, TICKS_AT_ONCE);
    ck_assert_int_eq(p.at_ms[TICKS_AT_ONCE - 1], now);
    ck_assert_int_eq(p.at_ms[0], now - (TICKS_AT_ONCE - 1) * 1000);
    p = plan("* * * * jan *", JOBQ_MISSED_ONE, 0, now);
    ck_assert_uint_eq(p.count, 1);
    ck_assert_int_eq(p.at_ms[0], utc(2026, 1, 31, 23, 59, 59));
}
END_TEST

UNIT_MAIN("cron", what_expressions_mean, bad_expressions_are_refused_by_name, too_long, random_expressions, intervals,
          the_end_of_time, a_fixed_time_in_a_gap_runs_behind_it, a_fixed_time_in_a_fold_runs_the_first_time,
          what_begins_with_a_star_runs_through, policies_can_be_chosen, other_shapes_of_gaps,
          names_of_zones_are_checked, without_a_database, neither_locale_nor_tz_matter, threads,
          rules_behind_the_table, spans_meet, old_files, bad_files, the_last_one, nothing_missed,
          missed_while_nobody_was_there, several_in_time, far_behind)
