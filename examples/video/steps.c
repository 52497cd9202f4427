/* SPDX-License-Identifier: MIT */
#include "steps.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGIT       3
#define TIMEOUT_MS  600000
#define LEAST_MS    15000
#define MOST_MS     86400000
#define VERSION_MAX 1000000

#define LETTERS  "abcdefghijklmnopqrstuvwxyz"
#define IN_NAMES LETTERS "0123456789-"

/* What the table's row points at. */
struct texts {
    char name[PART_NAME_BYTES], queue[32], orders[32];
};

static int refuse(char why[STEP_WHY_BYTES], const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(char why[STEP_WHY_BYTES], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, STEP_WHY_BYTES, format, arguments);
    va_end(arguments);
    return -1;
}

static int take_name(const char *name, size_t size, char out[PART_NAME_BYTES], char why[STEP_WHY_BYTES])
{
    if (size == 0 || size >= PART_NAME_BYTES || strspn(name, IN_NAMES) < size || !strchr(LETTERS, *name))
        return refuse(why, "name: 1 to %d small letters, digits and '-', a letter first",
                      PART_NAME_BYTES - 1);
    memcpy(out, name, size);
    out[size] = '\0';
    if (part_by_name(out) >= 0)
        return refuse(why, "name: there is a part %s already", out);
    return 0;
}

static int take_number(const char *name, const char *value, size_t size, int64_t least, int64_t most,
                       int64_t *out, char why[STEP_WHY_BYTES])
{
    size_t digits = strspn(value, "0123456789");

    *out = size > 0 && digits == size && size < 16 ? strtoll(value, NULL, 10) : -1;
    if (*out < least || *out > most)
        return refuse(why, "%s: must be a whole number from %lld to %lld", name, (long long)least,
                      (long long)most);
    return 0;
}

/* The value has a length: others may follow it. A program is the last: its name may hold a ','. */
static int take_setting(struct part_info *part, const char *text, size_t size, char why[STEP_WHY_BYTES])
{
    size_t name = strcspn(text, "=,");
    const char *value = text + name + (text[name] == '=');
    int64_t number = 0;
    int status;

    if (strncmp(text, "version=", 8) == 0) {
        status = take_number("version", value, size - 8, 1, VERSION_MAX, &number, why);
        part->version = (int)number;
    } else if (strncmp(text, "timeout=", 8) == 0) {
        status = take_number("timeout", value, size - 8, LEAST_MS, MOST_MS, &part->timeout_ms, why);
    } else {
        status =
            refuse(why, "%.*s: there is no such setting, only version, timeout and program, each with '='",
                   (int)(name < 32 ? name : 32), text);
    }
    return status;
}

static int take_settings(struct part_info *part, const char *text, char why[STEP_WHY_BYTES])
{
    int status = 0;

    while (*text == ',' && status == 0) {
        size_t size = strcspn(++text, ",");
        if (strncmp(text, "program=", 8) == 0) {
            part->program = text + 8;
            return *part->program == '/' ? 0 : refuse(why, "program: must be an absolute file name");
        }
        status = take_setting(part, text, size, why);
        text += size;
    }
    return status;
}

static int add(struct part_info *part, const char *name, char why[STEP_WHY_BYTES])
{
    static struct texts texts[STEPS_ADDED_MOST];
    struct texts *own = &texts[part_end - PART_KNOWN];
    char *program = part->program ? strdup(part->program) : NULL;

    if (part->program && !program)
        return refuse(why, "out of memory");
    snprintf(own->name, sizeof(own->name), "%s", name);
    snprintf(own->queue, sizeof(own->queue), "video.%s", name);
    snprintf(own->orders, sizeof(own->orders), "video.%s.orders", name);
    part->name = own->name;
    part->queue = own->queue;
    part->orders = own->orders;
    part->program = program;
    part->deadline_ms = part->timeout_ms;
    parts[part_end++] = *part;
    return 0;
}

int steps_add(const char *text, char why[STEP_WHY_BYTES])
{
    struct part_info part = {
        .runs = RUNS_CHILD, .digit = DIGIT, .version = 1, .threads = 1, .timeout_ms = TIMEOUT_MS};
    size_t size = strcspn(text, ",");
    char name[PART_NAME_BYTES];

    if (part_end == PARTS_MOST)
        return refuse(why, "there are %d added steps already, which is the most", STEPS_ADDED_MOST);
    if (take_name(text, size, name, why) != 0 || take_settings(&part, text + size, why) != 0)
        return -1;
    return add(&part, name, why);
}

const char *steps_next(const json_t *object, const char *name)
{
    json_t *all = (json_t *)(uintptr_t)object;
    int part = name ? part_by_name(name) : PART_FIRST_STEP - 1;
    void *at;

    if (part < 0) {
        at = json_object_iter_next(all, json_object_iter_at(all, name));
    } else {
        while (++part < part_end)
            if (json_object_get(object, parts[part].name))
                return parts[part].name;
        at = json_object_iter(all);
    }
    while (at && part_by_name(json_object_iter_key(at)) >= 0)
        at = json_object_iter_next(all, at);
    return at ? json_object_iter_key(at) : NULL;
}
