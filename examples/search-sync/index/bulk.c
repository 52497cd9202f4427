/* SPDX-License-Identifier: MIT */
#include "bulk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lines {
    const char *at, *end;
    size_t number;
};

static int next_line(struct lines *lines, const char **line, size_t *size)
{
    const char *end;

    if (lines->at == lines->end)
        return 0;
    end = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    *line = lines->at;
    *size = (size_t)(end - lines->at);
    lines->at = end + 1;
    lines->number++;
    return 1;
}

static int complain(char why[200], const struct lines *lines, const char *what)
{
    snprintf(why, 200, "Malformed action/metadata line [%zu], %s", lines->number, what);
    return -1;
}

static int read_version(struct bulk_item *item, const json_t *meta)
{
    const json_t *version = json_object_get(meta, "version");
    const char *type = json_string_value(json_object_get(meta, "version_type"));

    if (!version)
        return type ? -1 : 0;
    item->write.version = json_integer_value(version);
    item->write.or_equal = type && strcmp(type, "external_gte") == 0;
    return json_is_integer(version) && item->write.version > 0 && type &&
                   (item->write.or_equal || strcmp(type, "external") == 0)
               ? 0
               : -1;
}

static int read_action(struct bulk_item *item, const char *index, const struct lines *lines, char why[200])
{
    static const char *const verbs[] = {
        [SHELF_INDEX] = "index", [SHELF_CREATE] = "create", [SHELF_DELETE] = "delete"};
    const json_t *meta = NULL;

    for (int op = SHELF_INDEX; op <= SHELF_DELETE && !meta; op++) {
        meta = json_object_get(item->action, verbs[op]);
        item->verb = verbs[op];
        item->write.op = (enum shelf_op)op;
    }
    if (!json_is_object(meta) || json_object_size(item->action) != 1)
        return complain(why, lines, "expected one of [create, delete, index]");
    item->write.id = json_string_value(json_object_get(meta, "_id"));
    item->write.index = json_string_value(json_object_get(meta, "_index"));
    if (!item->write.index)
        item->write.index = index;
    if (!item->write.index || !*item->write.index || !item->write.id || !*item->write.id)
        return complain(why, lines, "expected [_index] and [_id]");
    if (read_version(item, meta) != 0)
        return complain(why, lines, "expected [version] with [version_type] external or external_gte");
    return 0;
}

static int read_item(struct lines *lines, const char *line, size_t size, struct bulk_item *item,
                     const char *index, char why[200])
{
    const char *document;
    size_t document_size;

    item->action = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    if (!item->action)
        return complain(why, lines, "it is no JSON");
    if (read_action(item, index, lines, why) != 0)
        return -1;
    if (item->write.op == SHELF_DELETE)
        return 0;
    if (!next_line(lines, &document, &document_size))
        return complain(why, lines, "expected a document behind it");
    item->write.source = json_loadb(document, document_size, 0, NULL);
    if (!json_is_object(item->write.source)) {
        json_decref(item->write.source);
        item->write.source = NULL;
    }
    return 0;
}

static struct bulk_item *add(struct bulk *bulk)
{
    struct bulk_item *items = realloc(bulk->items, (bulk->count + 1) * sizeof(*items));

    if (!items)
        return NULL;
    bulk->items = items;
    items[bulk->count] = (struct bulk_item){.action = NULL};
    return &items[bulk->count++];
}

int bulk_read(struct bulk *bulk, const char *body, size_t size, const char *index, char why[200])
{
    struct lines lines = {body, body + size, 0};
    struct bulk_item *item;
    const char *line;
    size_t length;

    *bulk = (struct bulk){.count = 0};
    if (!size || body[size - 1] != '\n') {
        snprintf(why, 200, "The bulk request must be terminated by a newline [\\n]");
        return -1;
    }
    while (next_line(&lines, &line, &length)) {
        if (!(item = add(bulk))) {
            snprintf(why, 200, "out of memory");
            return -1;
        }
        if (read_item(&lines, line, length, item, index, why) != 0)
            return -1;
    }
    return 0;
}

void bulk_free(struct bulk *bulk)
{
    for (size_t i = 0; i < bulk->count; i++) {
        json_decref(bulk->items[i].write.source);
        json_decref(bulk->items[i].action);
    }
    free(bulk->items);
    *bulk = (struct bulk){.count = 0};
}

json_t *bulk_answer(const struct bulk_item *item, const struct shelf_result *result)
{
    json_t *told = json_pack("{s:s, s:s, s:i}", "_index", item->write.index, "_id", item->write.id, "status",
                             result->status);

    if (result->result) {
        json_object_set_new(told, "result", json_string(result->result));
        json_object_set_new(told, "_version", json_integer(result->version));
    } else {
        json_object_set_new(told, "error",
                            json_pack("{s:s, s:s}", "type", result->type, "reason", result->reason));
    }
    return json_pack("{s:o}", item->verb, told);
}
