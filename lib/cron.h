/* SPDX-License-Identifier: MIT */
/* The calendar, cron expressions and time zones. Pure but for zone_load, which reads one file. Local time in here is a
 * number of seconds: what a clock on the wall shows, counted since 1970 as if it were UTC. */
#ifndef JOBQ_CRON_H
#define JOBQ_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRON_TEXT_MAX 512
#define NEVER_S INT64_MAX

/* ---- calendar.c: the Gregorian calendar, also before its time ------------------------------------------- */

struct date {
    int64_t year;
    int32_t month, day; /* from 1 */
};
int64_t days_of_date(int64_t year, int32_t month, int32_t day); /* since 1970 */
struct date date_of_days(int64_t days);
int32_t month_length(int64_t year, int32_t month);
int32_t weekday_of_days(int64_t days); /* 0: Sunday */
int64_t floor_div(int64_t a, int64_t b);

/* ---- cron.c ------------------------------------------------------------------------------------------------ */

/* What a field allows, a bit for each number. */
struct cron {
    uint64_t seconds, minutes;
    uint32_t hours, days, months;
    uint32_t before_last;  /* bit n: n days before the last of the month (L, L-n) */
    uint32_t near;         /* bit n: the weekday nearest to day n (nW) */
    bool last_weekday;     /* LW */
    uint8_t weekdays;      /* 0: Sunday */
    uint8_t last_weekdays; /* nL */
    uint8_t nth[6];        /* n#k: index k */
    bool any_day, any_weekday; /* the field begins with * or ? */
    bool runs_through; /* minute or hour begins with *: it follows the clock on the wall, whatever that does */
};

/* Read an expression of 5 or 6 fields, or a name such as @daily. JOBQ_OK, or JOBQ_INVALID (field "cron"), also for one
 * that no day of the calendar fits. */
int cron_parse(const char *text, struct cron *out);

/* "@every 1h30m": 1 and the duration in *ms; 0 when it is no such thing; JOBQ_INVALID. */
int cron_every(const char *text, int64_t *ms);

/* The first local second from `local` on that the expression allows; NEVER_S: none until the end of the year 9999. */
int64_t cron_next_local(const struct cron *cron, int64_t local);

/* ---- zone.c ------------------------------------------------------------------------------------------------- */

struct zone;

/* A stretch of time in which the clocks of a zone are the same distance from UTC: from <= instant < to, in seconds. */
struct span {
    int64_t from, to; /* INT64_MIN, INT64_MAX: no end */
    int32_t offset_s; /* local = UTC + offset */
};

/* Read a zone of the time zone database: from $TZDIR, else /usr/share/zoneinfo. "UTC" needs no file.
 *   out  zone_free.
 * JOBQ_OK, INVALID (field "zone": no such zone, or not a zone's name), UNSUPPORTED (field "zone": there is no database),
 * NOMEM. */
int zone_load(const char *name, struct zone **out);
int zone_load_from(const char *folder, const char *name, struct zone **out);
/* The same from the bytes of a file. */
int zone_read(const uint8_t *bytes, size_t size, struct zone **out);
void zone_free(struct zone *zone);
struct span zone_span(const struct zone *zone, int64_t at);

/* ---- timing.c: an expression in a zone, or an interval -------------------------------------------------------- */

struct timing {
    int64_t every_ms, anchor_ms; /* every_ms 0: by the calendar */
    struct cron cron;
    struct zone *zone;
    bool gap_runs;  /* a local time that is left out runs at the first instant behind the gap; else not at all */
    bool fold_both; /* a local time that comes twice runs both times; else the first time */
};

/* The first nominal time after `after_ms`; INT64_MAX: none. */
int64_t timing_next(const struct timing *timing, int64_t after_ms);
/* The last nominal time in (after_ms, until_ms]; INT64_MIN: none. */
int64_t timing_last(const struct timing *timing, int64_t after_ms, int64_t until_ms);

#endif
