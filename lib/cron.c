/* SPDX-License-Identifier: MIT */
/* Cron expressions: reading them, and finding the next local time that one allows. */
#include "cron.h"

#include "internal.h"

#include <ctype.h>
#include <string.h>

#define DAY_S 86400
#define LAST_YEAR 9999
#define CALENDAR_YEARS 400 /* after so many it begins again, weekdays included */
#define EVERY_MIN_MS 1000

/* ---- the words of a field ----------------------------------------------------------------------------------- */

enum field_kind { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun",
                                           "jul", "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekday_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };

static const struct field {
    const char *name;
    int low, high, top; /* top: where a range without an end ends */
    const char *const *names;
} fields[FIELDS] = {
    [SECOND] = { "second", 0, 59, 59, NULL },
    [MINUTE] = { "minute", 0, 59, 59, NULL },
    [HOUR] = { "hour", 0, 23, 23, NULL },
    [DAY] = { "day of month", 1, 31, 31, NULL },
    [MONTH] = { "month", 1, 12, 12, month_names },
    [WEEKDAY] = { "day of week", 0, 7, 6, weekday_names },
};

/* One item of a list, as it is read. */
struct reader {
    const char *at, *end;
    enum field_kind kind;
    struct cron *cron;
    uint64_t bits;
};

static int refuse(const struct reader *r, const char *what)
{
    return fail_with(JOBQ_INVALID, "cron", "cron: %s: %s", fields[r->kind].name, what);
}

/* The letters of ASCII, whatever the program's locale: in a Turkish one I and i are not the same letter. */
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool same_letters(const char *a, const char *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (upper(a[i]) != upper(b[i]))
            return false;
        if (!a[i])
            return true;
    }
    return true;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || upper(*r->at) != c)
        return false;
    r->at++;
    return true;
}

static bool digit_next(const struct reader *r)
{
    return r->at < r->end && isdigit((unsigned char)*r->at);
}

static int read_digits(struct reader *r, int low, int high, int *out)
{
    int value = 0;

    if (!digit_next(r))
        return refuse(r, r->at == r->end ? "a number is missing" : "is not a number, a name, * or ?");
    for (; digit_next(r) && value <= 9999; r->at++)
        value = value * 10 + (*r->at - '0');
    if (value < low || value > high)
        return fail_with(JOBQ_INVALID, "cron", "cron: %s: %s%d is not within %d to %d", fields[r->kind].name,
                         value > 9999 ? "more than " : "", value > 9999 ? 9999 : value, low, high);
    *out = value;
    return JOBQ_OK;
}

static int read_value(struct reader *r, int *out)
{
    const struct field *f = &fields[r->kind];

    for (int i = 0; f->names && f->names[i] && r->end - r->at >= 3; i++)
        if (same_letters(r->at, f->names[i], 3)) {
            r->at += 3;
            *out = f->low + i;
            return JOBQ_OK;
        }
    return read_digits(r, f->low, f->high, out);
}

static int read_step(struct reader *r, int from, int to)
{
    int step = 1, rc = JOBQ_OK;

    if (take(r, '/'))
        rc = read_digits(r, 1, fields[r->kind].top > 1 ? fields[r->kind].top : 1, &step);
    for (int i = from; rc == JOBQ_OK && i <= to; i += step)
        r->bits |= UINT64_C(1) << (r->kind == WEEKDAY ? i % 7 : i);
    return rc;
}

/* ---- what only days have ------------------------------------------------------------------------------------- */

/* L, L-3, LW */
static int read_last_day(struct reader *r)
{
    int before = 0, rc = JOBQ_OK;

    if (take(r, 'W')) {
        r->cron->last_weekday = true;
        return JOBQ_OK;
    }
    if (take(r, '-'))
        rc = read_digits(r, 1, 30, &before);
    if (rc == JOBQ_OK)
        r->cron->before_last |= UINT32_C(1) << before;
    return rc;
}

/* 15W; friL, fri#2: returns whether it was one. */
static bool read_special(struct reader *r, int value, int *rc)
{
    int k = 0;

    *rc = JOBQ_OK;
    if (r->kind == DAY && take(r, 'W')) {
        r->cron->near |= UINT32_C(1) << value;
        return true;
    }
    if (r->kind != WEEKDAY)
        return false;
    if (take(r, 'L')) {
        r->cron->last_weekdays |= (uint8_t)(1u << value % 7);
        return true;
    }
    if (!take(r, '#'))
        return false;
    *rc = read_digits(r, 1, 5, &k);
    if (*rc == JOBQ_OK)
        r->cron->nth[k] |= (uint8_t)(1u << value % 7);
    return true;
}

/* ---- items, lists, fields --------------------------------------------------------------------------------------- */

static int read_range(struct reader *r)
{
    const struct field *f = &fields[r->kind];
    int from = 0, to, rc = read_value(r, &from);

    if (rc != JOBQ_OK || read_special(r, from, &rc))
        return rc;
    to = r->at < r->end && *r->at == '/' ? f->top : from;
    if (take(r, '-')) {
        rc = read_value(r, &to);
        if (r->kind == WEEKDAY && to == 0 && from > 0)
            to = 7; /* sat-sun */
    }
    if (rc == JOBQ_OK && to < from)
        return refuse(r, "a range runs backwards");
    return rc == JOBQ_OK ? read_step(r, from, to) : rc;
}

static int read_item(struct reader *r)
{
    const struct field *f = &fields[r->kind];
    int rc;

    if (take(r, '*'))
        rc = read_step(r, f->low, f->top);
    else if ((r->kind == DAY || r->kind == WEEKDAY) && take(r, '?'))
        rc = read_step(r, f->low, f->top);
    else if (r->kind == DAY && take(r, 'L'))
        rc = read_last_day(r);
    else
        rc = read_range(r);
    if (rc == JOBQ_OK && r->at < r->end && *r->at != ',')
        return refuse(r, "there is something behind an item that does not belong there");
    return rc;
}

static int read_field(struct reader *r)
{
    int rc;

    do
        rc = read_item(r);
    while (rc == JOBQ_OK && take(r, ','));
    return rc;
}

static void keep_field(const struct reader *r, bool any)
{
    struct cron *c = r->cron;

    switch (r->kind) {
    case SECOND:
        c->seconds = r->bits;
        break;
    case MINUTE:
        c->minutes = r->bits;
        c->runs_through |= any;
        break;
    case HOUR:
        c->hours = (uint32_t)r->bits;
        c->runs_through |= any;
        break;
    case DAY:
        c->days = (uint32_t)r->bits;
        c->any_day = any;
        break;
    case MONTH:
        c->months = (uint32_t)r->bits;
        break;
    default:
        c->weekdays = (uint8_t)r->bits;
        c->any_weekday = any;
    }
}

/* ---- expressions ---------------------------------------------------------------------------------------------------- */

static const char *named(const char *text)
{
    static const char *const names[][2] = {
        { "@yearly", "0 0 1 1 *" },  { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" },
        { "@weekly", "0 0 * * 0" },  { "@daily", "0 0 * * *" },    { "@midnight", "0 0 * * *" },
        { "@hourly", "0 * * * *" },
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (same_letters(text, names[i][0], strlen(names[i][0]) + 1))
            return names[i][1];
    return NULL;
}

#define BLANKS " \t"

/* Where the fields begin and end. Returns how many there are, 7 for more. */
static int split(const char *text, const char *starts[6], const char *ends[6])
{
    int count = 0;

    for (const char *at = text + strspn(text, BLANKS); *at; at += strspn(at, BLANKS)) {
        if (count == 6)
            return 7;
        starts[count] = at;
        at += strcspn(at, BLANKS);
        ends[count++] = at;
    }
    return count;
}

static bool day_fits(const struct cron *c, int64_t days, const struct date *date);

static int check_calendar(const struct cron *c)
{
    for (int64_t year = 2000; year < 2000 + CALENDAR_YEARS; year++)
        for (int32_t month = 1; month <= 12; month++) {
            int64_t first = days_of_date(year, month, 1);
            int32_t length = c->months >> month & 1 ? month_length(year, month) : 0;
            for (int32_t day = 1; day <= length; day++)
                if (day_fits(c, first + day - 1, &(struct date){ year, month, day }))
                    return JOBQ_OK;
        }
    return fail_with(JOBQ_INVALID, "cron", "cron: there is no such day in any month that it names");
}

int cron_parse(const char *text, struct cron *out)
{
    const char *starts[6], *ends[6], *trimmed = text + strspn(text, BLANKS);
    int rc = JOBQ_OK;

    if (strlen(text) > CRON_TEXT_MAX)
        return fail_with(JOBQ_INVALID, "cron", "cron: longer than %d bytes", CRON_TEXT_MAX);
    if (*trimmed == '@' && !(text = named(trimmed)))
        return fail_with(JOBQ_INVALID, "cron", "cron: '%.40s' is none of @hourly, @daily, @midnight, @weekly, "
                                               "@monthly, @yearly, @annually, @every DURATION", trimmed);
    int count = split(text, starts, ends);
    if (count != 5 && count != 6)
        return fail_with(JOBQ_INVALID, "cron", "cron: has %s%d fields, must be 5 (minute hour day month weekday) or 6 "
                                               "(second first)", count == 7 ? "at least " : "", count);
    *out = (struct cron){ .seconds = 1 };
    for (int i = 0; i < count && rc == JOBQ_OK; i++) {
        struct reader r = { starts[i], ends[i], (enum field_kind)(i + 6 - count), out, 0 };
        rc = read_field(&r);
        keep_field(&r, *starts[i] == '*' || *starts[i] == '?');
    }
    return rc == JOBQ_OK ? check_calendar(out) : rc;
}

/* ---- @every ------------------------------------------------------------------------------------------------------------ */

static int64_t unit_ms(const char **at)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 } };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(*at, units[i].name, length) == 0) {
            *at += length;
            return units[i].ms;
        }
    }
    return 0;
}

/* "1h30m". -1: it is none. */
static int64_t read_duration(const char *at)
{
    int64_t total = 0;

    if (!*at)
        return -1;
    while (*at) {
        int64_t number = 0, unit;
        if (!isdigit((unsigned char)*at))
            return -1;
        for (; isdigit((unsigned char)*at); at++)
            number = number < MAX_MS ? number * 10 + (*at - '0') : number;
        unit = unit_ms(&at);
        if (unit == 0)
            return -1;
        total += number > MAX_MS / unit ? MAX_MS + 1 : number * unit;
        if (total > MAX_MS)
            return MAX_MS + 1;
    }
    return total;
}

int cron_every(const char *text, int64_t *ms)
{
    const char *at = text + strspn(text, BLANKS);
    size_t length;

    if (!same_letters(at, "@every", 6) || (at[6] && !strchr(BLANKS, at[6])))
        return 0;
    at += 6 + strspn(at + 6, BLANKS);
    char copy[64];
    for (length = strlen(at); length && strchr(BLANKS, at[length - 1]); length--)
        ;
    if (length >= sizeof copy)
        return fail_with(JOBQ_INVALID, "cron", "cron: @every: longer than %zu bytes", sizeof copy - 1);
    memcpy(copy, at, length);
    copy[length] = '\0';
    *ms = read_duration(copy);
    if (*ms < 0)
        return fail_with(JOBQ_INVALID, "cron", "cron: @every: '%s' is no duration such as 90s or 1h30m", copy);
    int rc = check_range("cron", *ms, EVERY_MIN_MS, MAX_MS);
    return rc == JOBQ_OK ? 1 : rc;
}

/* ---- does a day fit ------------------------------------------------------------------------------------------------------ */

/* The weekday nearest to a day of the same month; 0: the month has no such day. */
static int32_t nearest_weekday(int64_t first, int32_t day, int32_t length)
{
    int32_t weekday;

    if (day > length)
        return 0;
    weekday = weekday_of_days(first + day - 1);
    if (weekday == 6)
        return day > 1 ? day - 1 : day + 2;
    if (weekday == 0)
        return day < length ? day + 1 : day - 2;
    return day;
}

static bool month_day_fits(const struct cron *c, int64_t days, const struct date *date)
{
    int64_t first = days - date->day + 1;
    int32_t length = month_length(date->year, date->month);

    if (c->days >> date->day & 1 || c->before_last >> (length - date->day) & 1)
        return true;
    if (c->last_weekday && nearest_weekday(first, length, length) == date->day)
        return true;
    for (int32_t day = date->day > 2 ? date->day - 2 : 1; c->near && day <= date->day + 2 && day <= length; day++)
        if (c->near >> day & 1 && nearest_weekday(first, day, length) == date->day)
            return true;
    return false;
}

static bool weekday_fits(const struct cron *c, int64_t days, const struct date *date)
{
    int32_t weekday = weekday_of_days(days);

    return c->weekdays >> weekday & 1 || c->nth[(date->day + 6) / 7] >> weekday & 1 ||
           (c->last_weekdays >> weekday & 1 && date->day + 7 > month_length(date->year, date->month));
}

/* As cron does since 1987: when both fields name days, either suffices. */
static bool day_fits(const struct cron *c, int64_t days, const struct date *date)
{
    if (c->any_day || c->any_weekday)
        return month_day_fits(c, days, date) && weekday_fits(c, days, date);
    return month_day_fits(c, days, date) || weekday_fits(c, days, date);
}

/* ---- the next ---------------------------------------------------------------------------------------------------------- */

/* The first bit that is set from `from` on; 64: none. */
static int next_bit(uint64_t bits, int from)
{
    bits = from < 64 ? bits >> from << from : 0;
    return bits ? __builtin_ctzll(bits) : 64;
}

/* The first second of a day from `from` on; DAY_S: none. */
static int64_t next_in_day(const struct cron *c, int64_t from)
{
    int hour = (int)(from / 3600), minute = (int)(from / 60 % 60), second = (int)(from % 60);

    for (int h = next_bit(c->hours, hour); h < 24; h = next_bit(c->hours, h + 1)) {
        int first = h == hour ? minute : 0;
        for (int m = next_bit(c->minutes, first); m < 60; m = next_bit(c->minutes, m + 1)) {
            int s = next_bit(c->seconds, h == hour && m == minute ? second : 0);
            if (s < 60)
                return h * 3600 + m * 60 + s;
        }
    }
    return DAY_S;
}

int64_t cron_next_local(const struct cron *cron, int64_t local)
{
    int64_t days = floor_div(local, DAY_S), from = local - days * DAY_S;
    struct date date = date_of_days(days);

    while (date.year <= LAST_YEAR) {
        if (!(cron->months >> date.month & 1)) {
            days += month_length(date.year, date.month) - date.day + 1;
        } else {
            int64_t second = day_fits(cron, days, &date) ? next_in_day(cron, from) : DAY_S;
            if (second < DAY_S)
                return days * DAY_S + second;
            days++;
        }
        from = 0;
        date = date_of_days(days);
    }
    return NEVER_S;
}
