/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JSON_DIGITS 12

char *text_of_json(const json_t *value)
{
    return value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(JSON_DIGITS)) : NULL;
}

json_t *json_of_bytes(struct jobq_bytes bytes)
{
    json_t *value = bytes.data ? json_loadb(bytes.data, bytes.size, JSON_REJECT_DUPLICATES, NULL) : NULL;

    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

json_t *json_of_text(const void *text, size_t size, size_t most)
{
    const char *given = text ? text : "";
    json_t *value;
    char *copy;

    if (size > most)
        size = most;
    value = json_stringn(given, size);
    if (value)
        return value;
    copy = malloc(size + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        char c = given[i];
        copy[i] = (c >= ' ' && c <= '~') || c == '\n' || c == '\t' ? c : '?';
    }
    value = json_stringn(copy, size);
    free(copy);
    return value;
}

json_t *json_of_id(const struct jobq_id *id)
{
    char text[33];

    jobq_id_format(id, text);
    return json_string(text);
}

json_t *json_of_instant(int64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm parts;
    char text[64];
    size_t size;

    if (at_ms <= 0 || !gmtime_r(&seconds, &parts))
        return json_null();
    size = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, sizeof(text) - size, ".%03dZ", (int)(at_ms % 1000));
    return json_string(text);
}

const char *text_member(const json_t *object, const char *name, const char *other)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : other;
}

void text_of_error(int status, char *out, size_t out_size)
{
    const struct jobq_error *error = jobq_last_error();
    const char *text = error->status == status && error->text[0] ? error->text : jobq_strerror(status);

    snprintf(out, out_size, "%s: %s", jobq_status_name(status), text);
}

static void trim(char *text)
{
    static const char space[] = " \t\r\n";
    size_t start = strspn(text, space);
    size_t size = strlen(text + start);

    memmove(text, text + start, size + 1);
    while (size > 0 && strchr(space, text[size - 1]))
        text[--size] = '\0';
}

char *text_of_file(const char *path, size_t most)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(most + 2) : NULL;
    size_t size = 0;

    if (text)
        size = fread(text, 1, most + 1, file);
    if (text && (ferror(file) || size > most)) {
        errno = size > most ? EFBIG : EIO;
        free(text);
        text = NULL;
    }
    if (text) {
        text[size] = '\0';
        trim(text);
    }
    if (file)
        fclose(file);
    return text;
}
