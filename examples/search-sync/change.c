/* SPDX-License-Identifier: MIT */
#include "change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

const struct change_table change_tables[] = {
    {"listings", "{\"properties\":{\"price\":{\"type\":\"double\"}}}"},
    {"profiles", NULL},
    {"categories", NULL},
    {"ai_suggestions", NULL},
    {NULL, NULL},
};

static int complain(char why[CHANGE_WHY], const char *what)
{
    snprintf(why, CHANGE_WHY, "%s", what);
    return -1;
}

/* The row as it is now; NULL when it is no more. Lent by the payload. */
static const json_t *row_of(const json_t *payload, const char *operation)
{
    const json_t *data = json_object_get(payload, "change_data");

    return strcmp(operation, "UPDATE") == 0 ? json_object_get(data, "new") : data;
}

static int may_be_found(const char *table, const json_t *row)
{
    return strcmp(table, "listings") != 0 || strcmp(text_member(row, "status", ""), "active") == 0;
}

static int is_followed(const char *table)
{
    for (const struct change_table *t = change_tables; t->name; t++)
        if (strcmp(t->name, table) == 0)
            return 1;
    return 0;
}

static int read_payload(const json_t *payload, struct change *out, char why[CHANGE_WHY])
{
    const char *table = text_member(payload, "table_name", ""), *id = text_member(payload, "record_id", "");
    const char *operation = text_member(payload, "operation", "");
    const json_t *row = row_of(payload, operation);
    int gone = strcmp(operation, "DELETE") == 0;

    out->version = json_integer_value(json_object_get(payload, "version"));
    if (!is_followed(table))
        return complain(why, "table_name: no table that is followed");
    if (!*id || strlen(id) > 512)
        return complain(why, "record_id: 1 to 512 bytes");
    if (!gone && strcmp(operation, "INSERT") != 0 && strcmp(operation, "UPDATE") != 0)
        return complain(why, "operation: INSERT, UPDATE or DELETE");
    if (out->version <= 0)
        return complain(why, "version: a number above 0");
    if (!json_is_object(row))
        return complain(why, "change_data: the row is missing");
    out->index = strdup(table);
    out->id = strdup(id);
    out->source = !gone && may_be_found(table, row) ? text_of_json(row) : NULL;
    return 0;
}

int change_read(struct jobq_bytes payload, struct change *out, char why[CHANGE_WHY])
{
    json_t *object = json_of_bytes(payload);
    int code;

    *out = (struct change){.index = NULL};
    code = object ? read_payload(object, out, why) : complain(why, "the payload is no JSON object");
    json_decref(object);
    return code;
}

void change_free(struct change *change)
{
    free(change->index);
    free(change->id);
    free(change->source);
    *change = (struct change){.index = NULL};
}

static int same_record(const struct change *a, const struct change *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->index, b->index) == 0;
}

/* A batch is small. */
void change_fold(const struct change *const *changes, size_t count, size_t *newest)
{
    for (size_t i = 0; i < count; i++) {
        newest[i] = i;
        for (size_t j = 0; j < count; j++)
            if (changes[j]->version > changes[newest[i]]->version && same_record(changes[i], changes[j]))
                newest[i] = j;
    }
}
