/* SPDX-License-Identifier: MIT */
/* Time zones from the files of the time zone database (RFC 8536), without the C library's: that has one zone per process,
 * and a lock around it. A zone is read once into memory that nothing writes to afterwards, so threads may share it. */
#define _GNU_SOURCE /* secure_getenv */
#include "cron.h"

#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_FILE_MAX ((size_t)1 << 20)
#define HEADER_BYTES 44
#define OFFSET_MIN_S (-89999) /* what the format allows */
#define OFFSET_MAX_S 93599
#define FOLDER "/usr/share/zoneinfo"

/* When a rule begins within a year: "M3.2.0/2", "J60", "59/-1". */
struct rule {
    char kind; /* 'M', 'J', or '0': days from 0, the leap day counts */
    int32_t month, week, weekday, day;
    int32_t at_s; /* local time, also before or behind the day */
};

struct zone {
    int64_t *at; /* transitions, ascending */
    int32_t *offset_s;
    size_t count;
    int32_t first_s; /* before the first transition */
    bool has_rules;  /* for the time behind the last transition */
    bool has_summer;
    bool no_memory; /* reading it failed for want of memory */
    int32_t standard_s, summer_s;
    struct rule begins, ends;
};

/* ---- the rules behind the table: a POSIX TZ string ---------------------------------------------------------------- */

static bool skip_name(const char **at)
{
    const char *start = *at;

    if (*start == '<') {
        *at = strchr(start, '>');
        return *at && ++*at - start >= 5;
    }
    while (isalpha((unsigned char)**at))
        ++*at;
    return *at - start >= 3;
}

static bool read_count(const char **at, int32_t low, int32_t high, int32_t *out)
{
    int32_t value = 0;

    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at) && value < 10000; ++*at)
        value = value * 10 + (**at - '0');
    *out = value;
    return value >= low && value <= high;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool read_clock(const char **at, int32_t hours_max, int32_t *out)
{
    int32_t sign = **at == '-' ? -1 : 1, part[3] = { 0 };

    *at += **at == '-' || **at == '+';
    if (!read_count(at, 0, hours_max, &part[0]))
        return false;
    for (int i = 1; i < 3 && **at == ':'; i++) {
        ++*at;
        if (!read_count(at, 0, 59, &part[i]))
            return false;
    }
    *out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return true;
}

static bool skip(const char **at, char c)
{
    return **at == c ? ++*at, true : false;
}

static bool read_rule(const char **at, struct rule *out)
{
    bool good;

    *out = (struct rule){ .kind = **at, .at_s = 7200 };
    if (skip(at, 'M')) {
        good = read_count(at, 1, 12, &out->month) && skip(at, '.') && read_count(at, 1, 5, &out->week) &&
               skip(at, '.') && read_count(at, 0, 6, &out->weekday);
    } else if (skip(at, 'J')) {
        good = read_count(at, 1, 365, &out->day);
    } else {
        out->kind = '0';
        good = read_count(at, 0, 365, &out->day);
    }
    return good && (!skip(at, '/') || read_clock(at, 167, &out->at_s));
}

static bool read_rules(const char *at, struct zone *zone)
{
    if (!skip_name(&at) || !read_clock(&at, 24, &zone->standard_s))
        return false;
    zone->has_rules = true;
    zone->standard_s = -zone->standard_s; /* POSIX counts to the west */
    if (!*at)
        return true;
    zone->has_summer = true;
    if (!skip_name(&at))
        return false;
    zone->summer_s = -zone->standard_s - 3600;
    if (*at != ',' && !read_clock(&at, 24, &zone->summer_s))
        return false;
    zone->summer_s = -zone->summer_s;
    return skip(&at, ',') && read_rule(&at, &zone->begins) && skip(&at, ',') && read_rule(&at, &zone->ends) && !*at;
}

/* The local second at which the rule takes effect in a year. */
static int64_t rule_local(const struct rule *rule, int64_t year)
{
    int64_t first = days_of_date(year, 1, 1), days;

    if (rule->kind == 'M') {
        int64_t month = days_of_date(year, rule->month, 1);
        int32_t day = (rule->weekday - weekday_of_days(month) + 7) % 7 + (rule->week - 1) * 7;
        days = month + (day < month_length(year, rule->month) ? day : day - 7);
    } else if (rule->kind == 'J') { /* 29 February has no number */
        days = first + rule->day - 1 + (rule->day >= 60 && month_length(year, 2) == 29);
    } else {
        days = first + rule->day;
    }
    return days * 86400 + rule->at_s;
}

/* ---- the file ----------------------------------------------------------------------------------------------------- */

static int64_t big_endian(const uint8_t *at, size_t bytes)
{
    uint64_t value = at[0] & 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return (int64_t)value;
}

struct block {
    size_t utc, standard, leaps, times, types, chars, time_bytes, bytes;
    const uint8_t *data;
};

/* The header at `at` and the block behind it. Returns what is behind both, or NULL. */
static const uint8_t *read_block(const uint8_t *at, const uint8_t *end, size_t time_bytes, struct block *b)
{
    size_t counts[6];

    if (end - at < HEADER_BYTES || memcmp(at, "TZif", 4) != 0)
        return NULL;
    for (size_t i = 0; i < 6; i++) {
        int64_t count = big_endian(at + 20 + 4 * i, 4);
        if (count < 0 || count > (int64_t)ZONE_FILE_MAX)
            return NULL;
        counts[i] = (size_t)count;
    }
    *b = (struct block){ counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], time_bytes, 0,
                         at + HEADER_BYTES };
    b->bytes = b->times * (time_bytes + 1) + b->types * 6 + b->chars + b->leaps * (time_bytes + 4) + b->standard + b->utc;
    return b->bytes <= (size_t)(end - b->data) ? b->data + b->bytes : NULL;
}

/* The offset of a type, or INT32_MIN. */
static int32_t type_offset(const struct block *b, size_t type)
{
    const uint8_t *types = b->data + b->times * (b->time_bytes + 1);
    int64_t offset = type < b->types ? big_endian(types + 6 * type, 4) : INT64_MIN;

    return offset < OFFSET_MIN_S || offset > OFFSET_MAX_S ? INT32_MIN : (int32_t)offset;
}

static bool read_table(const struct block *b, struct zone *zone)
{
    const uint8_t *types = b->data + b->times * b->time_bytes;

    zone->at = calloc(b->times + 1, sizeof *zone->at);
    zone->offset_s = calloc(b->times + 1, sizeof *zone->offset_s);
    zone->first_s = type_offset(b, 0);
    zone->no_memory = !zone->at || !zone->offset_s;
    if (zone->no_memory || zone->first_s == INT32_MIN || b->leaps)
        return false;
    for (size_t i = 0; i < b->times; i++) {
        zone->at[i] = big_endian(b->data + i * b->time_bytes, b->time_bytes);
        zone->offset_s[i] = type_offset(b, types[i]);
        /* Farther than that nothing can be added to an instant without a care. */
        if (zone->offset_s[i] == INT32_MIN || zone->at[i] > MAX_MS || zone->at[i] < -(INT64_C(1) << 60) ||
            (i > 0 && zone->at[i] <= zone->at[i - 1]))
            return false;
    }
    zone->count = b->times;
    return true;
}

static bool read_footer(const uint8_t *at, const uint8_t *end, struct zone *zone)
{
    char text[256];
    const uint8_t *stop = at < end && *at == '\n' ? memchr(at + 1, '\n', (size_t)(end - at - 1)) : NULL;
    size_t length = stop ? (size_t)(stop - at - 1) : 0;

    if (!stop || length >= sizeof text)
        return false;
    memcpy(text, at + 1, length);
    text[length] = '\0';
    return length == 0 || (strlen(text) == length && read_rules(text, zone));
}

static bool read_file(const uint8_t *bytes, size_t size, struct zone *zone)
{
    const uint8_t *end = bytes + size;
    struct block b;
    const uint8_t *behind = read_block(bytes, end, 4, &b);

    if (!behind)
        return false;
    if (bytes[4] == 0) /* version 1: times of 32 bits and no rules */
        return read_table(&b, zone);
    behind = read_block(behind, end, 8, &b);
    return behind && read_table(&b, zone) && read_footer(behind, end, zone);
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->at);
    free(zone->offset_s);
    free(zone);
}

int zone_read(const uint8_t *bytes, size_t size, struct zone **out)
{
    struct zone *zone = calloc(1, sizeof *zone);

    *out = NULL;
    if (!zone)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a time zone");
    if (!read_file(bytes, size, zone)) {
        bool no_memory = zone->no_memory;
        zone_free(zone);
        if (no_memory)
            return fail_with(JOBQ_NOMEM, NULL, "out of memory for a time zone");
        return fail_with(JOBQ_INVALID, "zone", "zone: its file is no time zone that can be read (or counts leap seconds)");
    }
    *out = zone;
    return JOBQ_OK;
}

/* ---- finding it ----------------------------------------------------------------------------------------------------- */

/* Letters, digits, '_', '-', '+', in parts with '/' between them: nothing leads out of the folder. */
static int check_zone_name(const char *name)
{
    char before = '/';

    for (const char *at = name; *at; before = *at++)
        if (!(isalnum((unsigned char)*at) || strchr("_-+", *at) || (*at == '/' && before != '/')))
            return fail_with(JOBQ_INVALID, "zone", "zone: byte %zu is none of a zone's name such as Europe/Berlin",
                             (size_t)(at - name));
    if (before == '/')
        return fail_with(JOBQ_INVALID, "zone", "zone: %s", *name ? "ends with '/'" : "is empty");
    return strlen(name) <= NAME_MAX_BYTES
               ? JOBQ_OK
               : fail_with(JOBQ_INVALID, "zone", "zone: longer than %d bytes", NAME_MAX_BYTES);
}

static int open_path(const char *folder, const char *name)
{
    char path[4096 + NAME_MAX_BYTES + 2];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);

    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* There is always a London where there is a database; UTC alone may come without one. */
static bool has_database(const char *folder)
{
    int fd = open_path(folder, "Europe/London");

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int cannot_open(const char *folder, const char *name, int error)
{
    if (!has_database(folder))
        return fail_with(JOBQ_UNSUPPORTED, "zone", "zone: there is no time zone database in %.300s: install tzdata",
                         folder);
    if (error == ENOENT || error == ENOTDIR || error == 0)
        return fail_with(JOBQ_INVALID, "zone", "zone: there is no '%s' in %.150s", name, folder);
    return fail_with(JOBQ_UNSUPPORTED, "zone", "zone: '%s' cannot be read: %s", name, strerror(error));
}

/* Reads until the end; -1 with errno, or 0 in it for something that is not a zone's file. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t room)
{
    size_t size = 0;
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        errno = 0;
        return -1;
    }
    while (size < room) {
        ssize_t n = read(fd, bytes + size, room - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        size += (size_t)n;
    }
    return (ssize_t)size;
}

static int load_file(int fd, const char *folder, const char *name, struct zone **out)
{
    uint8_t *bytes = malloc(ZONE_FILE_MAX);
    ssize_t size = bytes ? read_all(fd, bytes, ZONE_FILE_MAX) : 0;
    int rc;

    if (!bytes)
        rc = fail_with(JOBQ_NOMEM, NULL, "out of memory for a time zone");
    else if (size < 0)
        rc = cannot_open(folder, name, errno);
    else
        rc = zone_read(bytes, (size_t)size, out);
    free(bytes);
    return rc;
}

int zone_load_from(const char *folder, const char *name, struct zone **out)
{
    int fd, rc = check_zone_name(name);

    *out = NULL;
    if (rc != JOBQ_OK)
        return rc;
    if (strcmp(name, "UTC") == 0) {
        *out = calloc(1, sizeof **out);
        return *out ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for a time zone");
    }
    fd = open_path(folder, name);
    if (fd < 0)
        return cannot_open(folder, name, errno);
    rc = load_file(fd, folder, name, out);
    close(fd);
    return rc;
}

int zone_load(const char *name, struct zone **out)
{
    const char *folder = secure_getenv("TZDIR");

    return zone_load_from(folder && *folder ? folder : FOLDER, name, out);
}

/* ---- asking it ------------------------------------------------------------------------------------------------------- */

/* The years around an instant, behind the table: summer time begins and ends in each. */
static struct span span_by_rules(const struct zone *zone, int64_t at)
{
    struct span span = { INT64_MIN, INT64_MAX, zone->standard_s };
    int64_t year = date_of_days(floor_div(at, 86400)).year;

    if (!zone->has_summer)
        return span;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        const struct {
            int64_t at;
            int32_t offset_s;
        } events[] = { { rule_local(&zone->ends, y) - zone->summer_s, zone->standard_s },
                       { rule_local(&zone->begins, y) - zone->standard_s, zone->summer_s } };
        for (int i = 0; i < 2; i++) {
            if (events[i].at <= at && events[i].at >= span.from) { /* of two at once summer stays: the later one here */
                span.from = events[i].at;
                span.offset_s = events[i].offset_s;
            } else if (events[i].at > at && events[i].at < span.to) {
                span.to = events[i].at;
            }
        }
    }
    return span;
}

/* How many transitions are not after this instant. */
static size_t transitions_until(const struct zone *zone, int64_t at)
{
    size_t low = 0, high = zone->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct span zone_span(const struct zone *zone, int64_t at)
{
    size_t n = transitions_until(zone, at);
    struct span span = { n ? zone->at[n - 1] : INT64_MIN, n < zone->count ? zone->at[n] : INT64_MAX,
                         n ? zone->offset_s[n - 1] : zone->first_s };

    if (n < zone->count || !zone->has_rules)
        return span;
    struct span rules = span_by_rules(zone, at);
    if (rules.from < span.from)
        rules.from = span.from;
    return rules;
}
