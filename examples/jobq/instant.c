/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "instant.h"

#define DAY_MS INT64_C(86400000)

/* Days since 1970 of a day of the Gregorian calendar, counted in years that begin with March, so that the
 * leap day is the last one of its year. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = yoe + era * 400 + (*month <= 2);
}

void instant_format(int64_t at_ms, char out[INSTANT_TEXT])
{
    const int64_t first = days_of(0, 1, 1) * DAY_MS, last = days_of(10000, 1, 1) * DAY_MS - 1;
    int64_t at = at_ms < first ? first : at_ms > last ? last : at_ms;
    int64_t days = at >= 0 ? at / DAY_MS : -((DAY_MS - 1 - at) / DAY_MS);
    int64_t ms = at - days * DAY_MS;
    int64_t year, month, day;

    date_of(days, &year, &month, &day);
    snprintf(out, INSTANT_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, (int)month, (int)day,
             (int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
}

/* `count` digits at *at, which moves behind them; -1 when there are others. */
static int digits(const char **at, int count)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)**at)) {
            return -1;
        }
        value = value * 10 + (*(*at)++ - '0');
    }
    return value;
}

static int one(const char **at, const char *among)
{
    if (!**at || !strchr(among, **at)) {
        return -1;
    }
    return *(*at)++;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

/* ".25" is 250; nothing is 0; finer digits are dropped. */
static int fraction(const char **at)
{
    int ms = 0, weight = 100;

    if (**at != '.') {
        return 0;
    }
    ++*at;
    if (!isdigit((unsigned char)**at)) {
        return -1;
    }
    for (; isdigit((unsigned char)**at); ++*at) {
        ms += (**at - '0') * weight;
        weight /= 10;
    }
    return ms;
}

static int offset(const char **at, int *minutes)
{
    int sign = one(at, "Zz+-"), hours, rest;

    *minutes = 0;
    if (sign == 'Z' || sign == 'z') {
        return 0;
    }
    if (sign < 0 || (hours = digits(at, 2)) < 0 || one(at, ":") < 0 || (rest = digits(at, 2)) < 0 ||
        hours > 23 || rest > 59) {
        return -1;
    }
    *minutes = (hours * 60 + rest) * (sign == '-' ? -1 : 1);
    return 0;
}

int instant_parse(const char *text, int64_t *out)
{
    const char *at = text;
    int year, month, day, hour, minute, second, ms, zone;

    if ((year = digits(&at, 4)) < 0 || one(&at, "-") < 0 || (month = digits(&at, 2)) < 1 || month > 12 ||
        one(&at, "-") < 0 || (day = digits(&at, 2)) < 1 || day > month_days(year, month) ||
        one(&at, "Tt ") < 0 || (hour = digits(&at, 2)) < 0 || hour > 23 || one(&at, ":") < 0 ||
        (minute = digits(&at, 2)) < 0 || minute > 59 || one(&at, ":") < 0 || (second = digits(&at, 2)) < 0 ||
        second > 60 || (ms = fraction(&at)) < 0 || offset(&at, &zone) < 0 || *at) {
        return -1;
    }
    *out =
        days_of(year, month, day) * DAY_MS + ((hour * INT64_C(60) + minute - zone) * 60 + second) * 1000 + ms;
    return 0;
}
