/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *request_body(const struct item *items, size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    for (size_t i = 0; out && i < count; i++) {
        const struct change *c = items[i].change;
        json_t *meta =
            json_pack("{s:{s:s, s:s, s:I, s:s}}", c->source ? "index" : "delete", "_index", c->index, "_id",
                      c->id, "version", (json_int_t)c->version, "version_type", "external");
        if (!meta || json_dumpf(meta, out, JSON_COMPACT) != 0) {
            json_decref(meta);
            fclose(out);
            free(text);
            return NULL;
        }
        json_decref(meta);
        putc('\n', out);
        if (c->source)
            fprintf(out, "%s\n", c->source);
    }
    if (!out || fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

enum verdict request_verdict(int is_delete, int status)
{
    if ((status >= 200 && status < 300) || (is_delete && status == 404))
        return VERDICT_DONE;
    if (status == 409)
        return VERDICT_OLDER;
    return status == 408 || status == 429 || status >= 500 || status < 100 ? VERDICT_LATER : VERDICT_REJECTED;
}

static void read_one(struct item *item, const json_t *told, int status)
{
    const json_t *error = json_object_get(told, "error");
    const char *type = json_string_value(json_object_get(error, "type"));
    const char *reason = json_string_value(json_object_get(error, "reason"));

    item->verdict = request_verdict(!item->change->source, status);
    snprintf(item->why, sizeof(item->why), "index: %d%s%s%s%s", status, type ? " " : "", type ? type : "",
             reason ? ": " : "", reason ? reason : "");
}

/* The one member of an item of the answer, if it is about this change. */
static const json_t *told_of(const struct item *item, const json_t *told)
{
    const json_t *inner = json_object_get(told, item->change->source ? "index" : "delete");
    const char *id = json_string_value(json_object_get(inner, "_id"));

    return id && strcmp(id, item->change->id) == 0 && json_is_integer(json_object_get(inner, "status"))
               ? inner
               : NULL;
}

int request_verdicts(struct item *items, size_t count, const char *answer, size_t size)
{
    json_t *object = json_loadb(answer, size, 0, NULL);
    const json_t *told = json_object_get(object, "items");
    int fits = json_array_size(told) == count;

    for (size_t i = 0; i < count && fits; i++)
        fits = told_of(&items[i], json_array_get(told, i)) != NULL;
    for (size_t i = 0; i < count && fits; i++) {
        const json_t *inner = told_of(&items[i], json_array_get(told, i));
        read_one(&items[i], inner, (int)json_integer_value(json_object_get(inner, "status")));
    }
    json_decref(object);
    return fits ? 0 : -1;
}
