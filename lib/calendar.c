/* SPDX-License-Identifier: MIT */
/* The Gregorian calendar in whole numbers. Years are counted from March, so that the leap day ends a year. */
#include "cron.h"

#define DAYS_OF_400_YEARS 146097
#define MARCH_0000 719468 /* days from 1 March 0000 to 1970 */

int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t days_of_date(int64_t year, int32_t month, int32_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400), in_era = y - era * 400;
    int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * DAYS_OF_400_YEARS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - MARCH_0000;
}

struct date date_of_days(int64_t days)
{
    int64_t z = days + MARCH_0000;
    int64_t era = floor_div(z, DAYS_OF_400_YEARS), rest = z - era * DAYS_OF_400_YEARS;
    int64_t year = (rest - rest / 1460 + rest / 36524 - rest / (DAYS_OF_400_YEARS - 1)) / 365;
    int64_t in_year = rest - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153;
    struct date out = { .day = (int32_t)(in_year - (153 * month + 2) / 5 + 1),
                        .month = (int32_t)(month < 10 ? month + 3 : month - 9) };

    out.year = year + era * 400 + (out.month <= 2);
    return out;
}

int32_t month_length(int64_t year, int32_t month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

int32_t weekday_of_days(int64_t days)
{
    int64_t since_sunday = days + 4; /* 1 January 1970 was a Thursday */

    return (int32_t)(since_sunday - 7 * floor_div(since_sunday, 7));
}
