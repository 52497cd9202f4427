/* SPDX-License-Identifier: MIT */
#include "csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int csv_open(struct csv *csv, const char *folder, const char *tenant, const char *name)
{
    char own[700];

    *csv = (struct csv){.file = NULL};
    if (snprintf(own, sizeof(own), "%s/%s", folder, tenant) >= (int)sizeof(own)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (mkdir(own, 0750) != 0 && errno != EEXIST)
        return -1;
    snprintf(csv->path, sizeof(csv->path), "%s/%.200s.csv", own, name);
    snprintf(csv->part, sizeof(csv->part), "%s.%ld.part", csv->path, (long)getpid());
    csv->file = fopen(csv->part, "wx");
    if (!csv->file && errno == EEXIST && unlink(csv->part) == 0) /* of an attempt that was broken off */
        csv->file = fopen(csv->part, "wx");
    return csv->file ? 0 : -1;
}

static int is_number(const char *text)
{
    char *end;

    strtod(text, &end);
    return end != text && *end == '\0';
}

void csv_field(FILE *out, const char *text)
{
    int formula = *text && strchr("=+-@\t\r", *text) && !is_number(text);

    if (!formula && !strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    if (formula)
        putc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void put_line(FILE *out, int columns, const char *const *values)
{
    for (int i = 0; i < columns; i++) {
        if (i > 0)
            putc(',', out);
        csv_field(out, values[i] ? values[i] : "");
    }
    fputs("\r\n", out);
}

int csv_row(void *user, int columns, const char *const *names, const char *const *values)
{
    struct csv *csv = user;

    if (csv->rows++ == 0)
        put_line(csv->file, columns, names);
    put_line(csv->file, columns, values);
    return 0;
}

int csv_close(struct csv *csv, int keep)
{
    int failed = fflush(csv->file) != 0 || ferror(csv->file) || fsync(fileno(csv->file)) != 0;

    failed |= fclose(csv->file) != 0;
    if (keep && !failed && rename(csv->part, csv->path) == 0)
        return 0;
    unlink(csv->part);
    return keep ? -1 : 0;
}
