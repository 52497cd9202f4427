/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "instant.h"
#include "table.h"
#include "utf8.h"

enum { WIDEST = 60 }; /* columns of one cell on a terminal */

static void put_escaped(FILE *out, const unsigned char *at, size_t n)
{
    if (at[0] == '\t' || at[0] == '\n') {
        fputs(at[0] == '\t' ? "\\t" : "\\n", out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "\\x%02x", at[i]);
    }
}

static void put_all(FILE *out, const unsigned char *at, size_t size, const char *backslash)
{
    while (size > 0) {
        uint32_t point = 0;
        size_t n = utf8_next(at, size, &point);
        if (n == 0 || point < 0x20 || (point >= 0x7F && point < 0xA0)) {
            n = n ? n : 1;
            put_escaped(out, at, n);
        } else if (point == '\\') {
            fputs(backslash, out);
        } else {
            fwrite(at, 1, n, out);
        }
        at += n;
        size -= n;
    }
}

void table_escape(FILE *out, const void *data, size_t size)
{
    put_all(out, data, size, "\\\\");
}

void table_plain(FILE *out, const char *text)
{
    put_all(out, (const unsigned char *)text, strlen(text), "\\");
}

void table_begin(struct table *table, struct cli *cli, const char *const *heads)
{
    const char *no_color = getenv("NO_COLOR");

    *table = (struct table){.heads = heads, .aligned = isatty(STDOUT_FILENO)};
    table->coloured = table->aligned && !(no_color && no_color[0]);
    while (heads[table->columns]) {
        table->columns++;
    }
    cli->answered = 1;
    if (table->aligned) {
        for (size_t i = 0; i < table->columns; i++) {
            table_text(table, heads[i]);
        }
    }
}

static void print_row(char **cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("%s%s", i ? "\t" : "", cells[i] ? cells[i] : "");
        free(cells[i]);
    }
    putchar('\n');
}

static void add(struct table *table, char *cell)
{
    if (!cell) {
        table->failed = 1;
    }
    if (table->count == table->room) {
        size_t room = table->room ? table->room * 2 : 64;
        char **cells = realloc(table->cells, room * sizeof *cells);
        if (!cells) {
            table->failed = 1;
            free(cell);
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    table->cells[table->count++] = cell;
    if (!table->aligned && table->count == table->columns) {
        print_row(table->cells, table->count);
        table->count = 0;
    }
}

void table_bytes(struct table *table, const struct jobq_bytes *bytes)
{
    char *cell = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&cell, &size);

    if (memory) {
        /* What a terminal will not show need not be kept. */
        table_escape(memory, bytes->data,
                     table->aligned && bytes->size > 4 * WIDEST ? 4 * WIDEST : bytes->size);
        if (fclose(memory) != 0) {
            free(cell);
            cell = NULL;
        }
    }
    add(table, cell);
}

void table_text(struct table *table, const char *text)
{
    struct jobq_bytes bytes = {.data = text ? text : "", .size = text ? strlen(text) : 0};

    table_bytes(table, &bytes);
}

void table_int(struct table *table, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    table_text(table, text);
}

void table_instant(struct table *table, int64_t at_ms)
{
    char text[INSTANT_TEXT] = "";

    if (at_ms != 0) {
        instant_format(at_ms, text);
    }
    table_text(table, text);
}

void table_id(struct table *table, const struct jobq_id *id)
{
    char text[33];

    jobq_id_format(id, text);
    table_text(table, text);
}

/* Columns that the cell takes, at most WIDEST; *bytes of it fit. */
static int measure(const char *cell, size_t *bytes)
{
    const unsigned char *at = (const unsigned char *)cell;
    size_t left = cell ? strlen(cell) : 0;
    int columns = 0;

    *bytes = 0;
    while (left > 0) {
        uint32_t point = 0;
        size_t n = utf8_next(at, left, &point);
        int wide = n ? utf8_columns(point) : 1;
        if (columns + wide > WIDEST) {
            return columns;
        }
        n = n ? n : 1;
        columns += wide;
        *bytes += n;
        at += n;
        left -= n;
    }
    return columns;
}

static void print_aligned(const struct table *table, const int *widths)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns, bytes = 0;
        int columns = measure(table->cells[i], &bytes);
        int heading = table->coloured && i < table->columns;

        printf("%s%.*s%s", heading ? "\033[1m" : "", (int)bytes, table->cells[i] ? table->cells[i] : "",
               heading ? "\033[0m" : "");
        if (column + 1 < table->columns) {
            printf("%*s", widths[column] - columns + 2, "");
        } else {
            putchar('\n');
        }
    }
}

void table_end(struct table *table)
{
    int *widths = table->aligned ? calloc(table->columns, sizeof *widths) : NULL;

    if (widths) {
        for (size_t i = 0; i < table->count; i++) {
            size_t bytes = 0;
            int columns = measure(table->cells[i], &bytes);
            if (columns > widths[i % table->columns]) {
                widths[i % table->columns] = columns;
            }
        }
        print_aligned(table, widths);
    }
    for (size_t i = 0; i < table->count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(widths);
    if (table->failed) {
        fputs("jobq: out of memory, the table is not complete\n", stderr);
    }
    *table = (struct table){0};
}
