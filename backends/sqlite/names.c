/* SPDX-License-Identifier: MIT */
/* Queues and kinds are few and their names are long, so rows carry numbers. A number never gets another name, hence what
 * was looked up once is kept; what an exchange added is forgotten when it is rolled back. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* Numbers are given one after the other, and memory is taken by the largest. One beyond this was never given: it comes from
 * a file that somebody made up. */
#define NUMBERS_MOST (1 << 24)

int sq_bytes_order(struct jobq_bytes a, struct jobq_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

void sq_names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->by_text[i]);
    free(names->by_text);
    free(names->by_id);
    *names = (struct names){ 0 };
}

/* Where the text stands or would have to. */
static size_t place_of(const struct names *names, struct jobq_bytes text, bool *found)
{
    size_t low = 0, high = names->count;
    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        int order = sq_bytes_order(text, names->by_text[middle]->text);
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
        *found = order == 0;
    }
    return high;
}

static int make_room(struct names *names, int64_t id)
{
    struct name **sorted = sq_grow(names->by_text, names->count, &names->room, sizeof *sorted);
    if (!sorted)
        return -1;
    names->by_text = sorted;
    if ((size_t)id > names->id_room) {
        size_t room = (size_t)id + 16;
        struct name **items = realloc(names->by_id, room * sizeof *items);
        if (!items)
            return -1;
        memset(items + names->id_room, 0, (room - names->id_room) * sizeof *items);
        names->by_id = items;
        names->id_room = room;
    }
    return 0;
}

static struct name *name_of(const struct names *names, int64_t id)
{
    return id > 0 && (size_t)id <= names->id_room ? names->by_id[id - 1] : NULL;
}

static int keep(struct jobq_store *s, struct names *names, int64_t id, struct jobq_bytes text)
{
    bool found;
    if (id < 1 || id > NUMBERS_MOST)
        return sq_fault_text(s, SQLITE_CORRUPT, "a name has the number %lld", (long long)id);
    if (name_of(names, id))
        return 0;
    struct name *name = calloc(1, sizeof *name + text.size);
    if (!name || make_room(names, id) != 0) {
        free(name);
        return sq_fault_memory(s);
    }
    name->id = id;
    name->text = (struct jobq_bytes){ .data = name + 1, .size = text.size };
    if (text.size)
        memcpy(name + 1, text.data, text.size);
    size_t at = place_of(names, text, &found);
    memmove(names->by_text + at + 1, names->by_text + at, (names->count - at) * sizeof *names->by_text);
    names->by_text[at] = name;
    names->by_id[id - 1] = name;
    names->count++;
    return 0;
}

static int find(struct jobq_store *s, struct names *names, enum sql which, struct jobq_bytes text, int64_t *id)
{
    bool found;
    size_t at = place_of(names, text, &found);
    if (found) {
        *id = names->by_text[at]->id;
        return 1;
    }
    int result = sq_number(s, which, id, VALUES(bytes(text)));
    return result > 0 && keep(s, names, *id, text) != 0 ? -1 : result;
}

static int make(struct jobq_store *s, struct names *names, const enum sql which[2], struct jobq_bytes text, int64_t *id)
{
    int result = find(s, names, which[0], text, id);
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (sq_run(s, which[1], VALUES(bytes(text))) != 0)
        return -1;
    *id = sqlite3_last_insert_rowid(s->db);
    if (names == &s->queues && sq_run(s, SQL_TALLY_ADD, VALUES(number(*id))) != 0)
        return -1;
    return keep(s, names, *id, text);
}

static struct name *text(struct jobq_store *s, struct names *names, enum sql which, int64_t id)
{
    struct name *name = name_of(names, id);
    if (name)
        return name;
    sqlite3_stmt *row = sq_start(s, which, VALUES(number(id)));
    int found = sq_step(s, row);
    if (found == 0)
        sq_fault_text(s, SQLITE_CORRUPT, "a row names number %lld, which does not exist", (long long)id);
    if (found <= 0)
        return NULL;
    int result = keep(s, names, id, sq_column_bytes(row, 0));
    sqlite3_reset(row);
    return result == 0 ? name_of(names, id) : NULL;
}

int sq_kind_find(struct jobq_store *s, struct jobq_bytes name, int64_t *id)
{
    return find(s, &s->kinds, SQL_KIND_FIND, name, id);
}

int sq_queue_find(struct jobq_store *s, struct jobq_bytes name, int64_t *id)
{
    return find(s, &s->queues, SQL_QUEUE_FIND, name, id);
}

int sq_kind_make(struct jobq_store *s, struct jobq_bytes name, int64_t *id)
{
    return make(s, &s->kinds, (const enum sql[2]){ SQL_KIND_FIND, SQL_KIND_ADD }, name, id);
}

int sq_queue_make(struct jobq_store *s, struct jobq_bytes name, int64_t *id)
{
    return make(s, &s->queues, (const enum sql[2]){ SQL_QUEUE_FIND, SQL_QUEUE_ADD }, name, id);
}

int sq_kind_text(struct jobq_store *s, int64_t id, struct jobq_bytes *out)
{
    const struct name *name = text(s, &s->kinds, SQL_KIND_TEXT, id);
    *out = name ? name->text : (struct jobq_bytes){ 0 };
    return name ? 0 : -1;
}

int sq_queue_text(struct jobq_store *s, int64_t id, struct jobq_bytes *out)
{
    const struct name *name = text(s, &s->queues, SQL_QUEUE_TEXT, id);
    *out = name ? name->text : (struct jobq_bytes){ 0 };
    return name ? 0 : -1;
}

struct queue *sq_queue_slot(struct jobq_store *s, int64_t id)
{
    struct name *name = text(s, &s->queues, SQL_QUEUE_TEXT, id);
    if (name)
        name->queue.id = id;
    return name ? &name->queue : NULL;
}
