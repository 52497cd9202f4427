/* SPDX-License-Identifier: MIT */
#include "lines.h"

static void finish(struct lines *lines, void (*line)(void *arg, char *text), void *arg)
{
    lines->text[lines->size] = '\0';
    lines->size = 0;
    lines->overlong = 0;
    line(arg, lines->text);
}

void lines_feed(struct lines *lines, const char *bytes, size_t size, void (*line)(void *arg, char *text),
                void *arg)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            finish(lines, line, arg);
        else if (bytes[i] == '\r' || bytes[i] == '\0' || lines->overlong)
            continue;
        else if (lines->size < LINE_BYTES - 1)
            lines->text[lines->size++] = bytes[i];
        else
            lines->overlong = 1;
    }
}

void lines_end(struct lines *lines, void (*line)(void *arg, char *text), void *arg)
{
    if (lines->size > 0)
        finish(lines, line, arg);
}
