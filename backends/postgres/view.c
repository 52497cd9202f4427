/* SPDX-License-Identifier: MIT */
/* Answers in the server's binary form become rows. What a server says is looked at before it is believed: a size beyond the
 * end of what came is no row. */
#include "store.h"

#include <stddef.h>
#include <string.h>

/* ---- cells -------------------------------------------------------------------------------------------------- */

struct cell cell_of(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return (struct cell){ .size = -1 };
    return (struct cell){ .data = PQgetvalue(result, row, column), .size = PQgetlength(result, row, column) };
}

static uint64_t unsigned_of(const char *at, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | (uint8_t)at[i];
    return value;
}

static int32_t int4_at(const char *at)
{
    return (int32_t)(uint32_t)unsigned_of(at, 4);
}

int64_t cell_int(struct cell cell)
{
    switch (cell.size) {
    case 1:
        return cell.data[0] != 0;
    case 2:
        return (int16_t)(uint16_t)unsigned_of(cell.data, 2);
    case 4:
        return int4_at(cell.data);
    case 8:
        return (int64_t)unsigned_of(cell.data, 8);
    default:
        return 0;
    }
}

bool cell_bool(struct cell cell)
{
    return cell.size == 1 && cell.data[0];
}

struct jobq_bytes cell_bytes(struct cell cell)
{
    if (cell.size < 0)
        return (struct jobq_bytes){ 0 };
    return (struct jobq_bytes){ .data = cell.data, .size = (size_t)cell.size };
}

void cell_copy(struct cell cell, void *out, size_t size)
{
    if (cell.size >= 0 && (size_t)cell.size == size)
        memcpy(out, cell.data, size);
    else
        memset(out, 0, size);
}

/* ---- arrays --------------------------------------------------------------------------------------------------- */

struct elements cell_elements(struct cell cell)
{
    struct elements none = { 0 };
    if (cell.size < 20 || int4_at(cell.data) != 1)
        return none;
    int32_t count = int4_at(cell.data + 12);
    return (struct elements){ .at = cell.data + 20, .end = cell.data + cell.size, .left = count > 0 ? count : 0 };
}

/* Two dimensions: rows of so many columns, one behind the other. */
static struct elements table_elements(struct cell cell, int32_t columns, size_t *rows)
{
    struct elements none = { 0 };
    *rows = 0;
    if (cell.size < 28 || int4_at(cell.data) != 2 || int4_at(cell.data + 20) != columns)
        return none;
    int32_t count = int4_at(cell.data + 12);
    if (count < 1 || count > INT32_MAX / columns)
        return none;
    *rows = (size_t)count;
    return (struct elements){ .at = cell.data + 28, .end = cell.data + cell.size, .left = count * columns };
}

/* A length and so many bytes; false when there is not as much. */
static bool take(const char **at, const char *end, struct cell *out)
{
    if (end - *at < 4)
        return false;
    int32_t size = int4_at(*at);
    *at += 4;
    *out = (struct cell){ .data = *at, .size = size < 0 ? -1 : size };
    if (size > end - *at)
        return false;
    *at += size > 0 ? size : 0;
    return true;
}

bool elements_next(struct elements *e, struct cell *out)
{
    if (e->left <= 0 || !take(&e->at, e->end, out)) {
        e->left = 0;
        return false;
    }
    e->left--;
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* In the order of the type "view" of the schema. */
enum {
    VIEW_ID, VIEW_TOKEN, VIEW_QUEUE, VIEW_KIND, VIEW_TENANT, VIEW_WORKER, VIEW_PAYLOAD, VIEW_POLICY, VIEW_KEY,
    VIEW_RESULT, VIEW_PROGRESS, VIEW_DATA, VIEW_TRACE, VIEW_PAYLOAD_BYTES, VIEW_STATE, VIEW_REASON, VIEW_OUTCOME,
    VIEW_PRIORITY, VIEW_RANK_ADD, VIEW_ATTEMPT, VIEW_FAILURES, VIEW_CRASHES, VIEW_SNOOZES, VIEW_RELEASES,
    VIEW_REDRIVES, VIEW_EDITS, VIEW_FLAGS, VIEW_SHELF, VIEW_PENDING, VIEW_CREATED_AT, VIEW_RUN_AT, VIEW_STARTED_AT,
    VIEW_FINISHED_AT, VIEW_LEASE_UNTIL, VIEW_STOP_AT, VIEW_EXPIRES_AT, VIEW_CALLBACK_UNTIL, VIEW_TIMEOUT,
    VIEW_HAS_CALLBACK, VIEW_OVERDUE, VIEW_EDGE_IDS, VIEW_EDGE_RULES, VIEW_EDGE_STATES, VIEW_ENTRY_ATTEMPTS,
    VIEW_ENTRY_KINDS, VIEW_ENTRY_ATS, VIEW_ENTRY_WORKERS, VIEW_ENTRY_TEXTS, VIEW_COUNT
};

/* What functions/base.sql gathers of many rows: the columns up to here in two arrays, and the place behind the numbers. */
enum { GATHERED_BYTES = VIEW_TRACE + 1, GATHERED_NUMBERS = VIEW_OVERDUE - VIEW_TRACE };

enum { FLAG_HELD = 1, FLAG_ALONE = 2, FLAG_RAN_ALONE = 4, FLAG_RESUMED = 8, FLAG_CANCEL_ASKED = 16 };

static int take_record(struct cell record, struct cell cells[VIEW_COUNT])
{
    const char *at = record.data, *end = at + record.size;
    if (record.size < 4 || int4_at(at) != VIEW_COUNT)
        return -1;
    at += 4;
    for (int i = 0; i < VIEW_COUNT; i++) {
        if (end - at < 4)
            return -1;
        at += 4; /* the type: known */
        if (!take(&at, end, &cells[i]))
            return -1;
    }
    return 0;
}

static void fill_bytes(const struct cell *c, struct jobq_row *r)
{
    r->queue = cell_bytes(c[VIEW_QUEUE]);
    r->kind = cell_bytes(c[VIEW_KIND]);
    r->group = cell_bytes(c[VIEW_TENANT]);
    r->worker = cell_bytes(c[VIEW_WORKER]);
    r->payload = cell_bytes(c[VIEW_PAYLOAD]);
    r->policy = cell_bytes(c[VIEW_POLICY]);
    r->key = cell_bytes(c[VIEW_KEY]);
    r->result = cell_bytes(c[VIEW_RESULT]);
    r->progress = cell_bytes(c[VIEW_PROGRESS]);
    r->data = cell_bytes(c[VIEW_DATA]);
    r->trace = cell_bytes(c[VIEW_TRACE]);
}

static void fill_times(const struct cell *c, struct jobq_row *r)
{
    r->created_at_ms = cell_int(c[VIEW_CREATED_AT]);
    r->run_at_ms = cell_int(c[VIEW_RUN_AT]);
    r->started_at_ms = cell_int(c[VIEW_STARTED_AT]);
    r->finished_at_ms = cell_int(c[VIEW_FINISHED_AT]);
    r->lease_until_ms = cell_int(c[VIEW_LEASE_UNTIL]);
    r->stop_at_ms = cell_int(c[VIEW_STOP_AT]);
    r->expires_at_ms = cell_int(c[VIEW_EXPIRES_AT]);
    r->callback_until_ms = cell_int(c[VIEW_CALLBACK_UNTIL]);
    r->timeout_ms = cell_int(c[VIEW_TIMEOUT]);
}

static void fill_numbers(const struct cell *c, struct jobq_row *r)
{
    r->payload_bytes = (size_t)cell_int(c[VIEW_PAYLOAD_BYTES]);
    r->state = (int32_t)cell_int(c[VIEW_STATE]);
    r->reason = (int32_t)cell_int(c[VIEW_REASON]);
    r->outcome = (int32_t)cell_int(c[VIEW_OUTCOME]);
    r->priority = (int32_t)cell_int(c[VIEW_PRIORITY]);
    r->rank_add_ms = cell_int(c[VIEW_RANK_ADD]);
    r->attempt = cell_int(c[VIEW_ATTEMPT]);
    r->failures = (int32_t)cell_int(c[VIEW_FAILURES]);
    r->crashes = (int32_t)cell_int(c[VIEW_CRASHES]);
    r->snoozes = (int32_t)cell_int(c[VIEW_SNOOZES]);
    r->releases = (int32_t)cell_int(c[VIEW_RELEASES]);
    r->redrives = (int32_t)cell_int(c[VIEW_REDRIVES]);
    r->edits = (uint32_t)cell_int(c[VIEW_EDITS]);
    r->pending = (uint32_t)cell_int(c[VIEW_PENDING]);
    r->overdue = (int32_t)cell_int(c[VIEW_OVERDUE]);
    int64_t flags = cell_int(c[VIEW_FLAGS]), shelf = cell_int(c[VIEW_SHELF]);
    r->held = (flags & FLAG_HELD) != 0;
    r->alone = (flags & FLAG_ALONE) != 0;
    r->ran_alone = (flags & FLAG_RAN_ALONE) != 0;
    r->resumed = (flags & FLAG_RESUMED) != 0;
    r->cancel_asked = (flags & FLAG_CANCEL_ASKED) != 0;
    r->due = shelf == 1 || shelf == 2 || shelf == 4;
    r->has_callback = cell_int(c[VIEW_HAS_CALLBACK]) != 0;
}

static int fill_edges(struct jobq_arena *arena, const struct cell *c, struct jobq_row *r)
{
    struct elements ids = cell_elements(c[VIEW_EDGE_IDS]), rules = cell_elements(c[VIEW_EDGE_RULES]);
    struct elements states = cell_elements(c[VIEW_EDGE_STATES]);
    struct cell id, rule, state;
    if (!ids.left)
        return 0;
    struct jobq_edge *edges = jobq_arena_alloc(arena, (size_t)ids.left * sizeof *edges);
    size_t count = 0;
    if (!edges)
        return -1;
    while (elements_next(&ids, &id) && elements_next(&rules, &rule) && elements_next(&states, &state)) {
        edges[count] = (struct jobq_edge){ .rule = (int32_t)cell_int(rule), .state = (int32_t)cell_int(state) };
        cell_copy(id, edges[count++].id.bytes, sizeof edges->id.bytes);
    }
    if (r->overdue == JOBQ_OVERDUE_EDGES) {
        r->children = edges;
        r->child_count = count;
    } else {
        r->parents = edges;
        r->parent_count = count;
    }
    return 0;
}

/* Errors, then lines of log: those have no kind. */
static int fill_entries(struct jobq_arena *arena, const struct cell *c, struct jobq_row *r)
{
    struct elements attempts = cell_elements(c[VIEW_ENTRY_ATTEMPTS]), kinds = cell_elements(c[VIEW_ENTRY_KINDS]);
    struct elements ats = cell_elements(c[VIEW_ENTRY_ATS]), workers = cell_elements(c[VIEW_ENTRY_WORKERS]);
    struct elements texts = cell_elements(c[VIEW_ENTRY_TEXTS]);
    struct cell attempt, kind, at, worker, text;
    size_t count = 0;
    if (!attempts.left)
        return 0;
    struct jobq_row_error *entries = jobq_arena_alloc(arena, (size_t)attempts.left * sizeof *entries);
    if (!entries)
        return -1;
    while (elements_next(&attempts, &attempt) && elements_next(&kinds, &kind) && elements_next(&ats, &at) &&
           elements_next(&workers, &worker) && elements_next(&texts, &text)) {
        entries[count++] = (struct jobq_row_error){
            .attempt = (int32_t)cell_int(attempt), .kind = (int32_t)cell_int(kind), .at_ms = cell_int(at),
            .worker = cell_bytes(worker), .text = cell_bytes(text),
        };
        r->error_count += kind.size >= 0;
    }
    r->errors = entries;
    r->log = entries + r->error_count;
    r->log_count = count - r->error_count;
    return 0;
}

int64_t view_fence_of(const struct jobq_token *token)
{
    return (int64_t)unsigned_of((const char *)token->bytes + 8, 8);
}

static void fill_plain(const struct cell *c, struct jobq_row *r)
{
    *r = (struct jobq_row){ 0 };
    cell_copy(c[VIEW_ID], r->id.bytes, sizeof r->id.bytes);
    cell_copy(c[VIEW_TOKEN], r->token.bytes, sizeof r->token.bytes);
    r->fence = view_fence_of(&r->token);
    fill_bytes(c, r);
    fill_numbers(c, r);
    fill_times(c, r);
}

static int fill_row(struct jobq_arena *arena, struct cell record, struct jobq_row *r)
{
    struct cell c[VIEW_COUNT];
    if (take_record(record, c) != 0)
        return -1;
    fill_plain(c, r);
    return fill_edges(arena, c, r) != 0 || fill_entries(arena, c, r) != 0 ? -1 : 0;
}

/* The array is copied once; the rows point into the copy. */
int view_rows(struct jobq_arena *arena, struct cell array, struct jobq_row **rows, size_t *count)
{
    struct jobq_bytes copy;
    struct cell record;
    *rows = NULL;
    *count = 0;
    if (array.size < 0)
        return 0;
    if (jobq_arena_bytes(arena, array.data, (size_t)array.size, &copy) != 0)
        return -1;
    struct elements e = cell_elements((struct cell){ .data = copy.data, .size = array.size });
    size_t expected = (size_t)e.left;
    *rows = jobq_arena_alloc(arena, expected * sizeof **rows);
    if (!*rows)
        return -1;
    while (elements_next(&e, &record)) {
        if (fill_row(arena, record, &(*rows)[*count]) != 0)
            return -1;
        (*count)++;
    }
    return *count == expected ? 0 : -1;
}

int view_row(struct jobq_arena *arena, struct cell record, struct jobq_row *row)
{
    struct jobq_bytes copy;
    if (record.size < 0 || jobq_arena_bytes(arena, record.data, (size_t)record.size, &copy) != 0)
        return -1;
    return fill_row(arena, (struct cell){ .data = copy.data, .size = record.size }, row);
}

static bool take_cells(struct elements *e, struct cell *cells, int count)
{
    for (int i = 0; i < count; i++)
        if (!elements_next(e, &cells[i]))
            return false;
    return true;
}

static bool take_gathered(struct elements *bytes, struct elements *numbers, struct cell *c, struct cell *place)
{
    return take_cells(bytes, c, GATHERED_BYTES) && take_cells(numbers, c + GATHERED_BYTES, GATHERED_NUMBERS) &&
           elements_next(numbers, place);
}

/* What runs without a token of its own has the want's; without a place it stands where it is. `before` rows in front of
 * them are left to the caller. */
int view_gathered(struct jobq_arena *arena, struct cell token, struct cell bytes, struct cell numbers, size_t before,
                  struct jobq_row **rows, size_t *count)
{
    struct jobq_bytes copy = { 0 };
    struct cell c[VIEW_COUNT], place;
    size_t same, gathered;
    *count = 0;
    if (bytes.size < 0 && !before)
        return 0;
    if (bytes.size > 0 && jobq_arena_bytes(arena, bytes.data, (size_t)bytes.size, &copy) != 0)
        return -1;
    bytes.data = copy.data;
    struct elements of = table_elements(bytes, GATHERED_BYTES, &gathered);
    struct elements and = table_elements(numbers, GATHERED_NUMBERS + 1, &same);
    *count = before + gathered;
    *rows = jobq_arena_alloc(arena, *count * sizeof **rows);
    if ((bytes.size >= 0 && !gathered) || same != gathered || !*rows)
        return -1;
    memset(*rows, 0, *count * sizeof **rows);
    for (size_t i = before; i < *count; i++) {
        if (!take_gathered(&of, &and, c, &place))
            return -1;
        int64_t at = place.size < 0 ? (int64_t)i + 1 : cell_int(place);
        if (at <= (int64_t)before || at > (int64_t)*count)
            return -1;
        if (c[VIEW_TOKEN].size < 0 && cell_int(c[VIEW_STATE]) == JOBQ_ROW_RUNNING)
            c[VIEW_TOKEN] = token;
        fill_plain(c, &(*rows)[at - 1]);
    }
    return 0;
}

/* ---- members ---------------------------------------------------------------------------------------------------- */

/* What a batch keeps of each of its members: functions/batch.sql. */
enum { PUT_KIND, PUT_TENANT, PUT_PAYLOAD, PUT_POLICY, PUT_KEY, PUT_TRACE, PUT_BYTES };
enum { PUT_ARRIVAL, PUT_PRIORITY, PUT_RANK_ADD, PUT_CREATED_AT, PUT_RUN_AT, PUT_NUMBERS };

size_t view_member_count(struct cell ids)
{
    return (size_t)cell_elements(ids).left;
}

/* A member that was claimed just now: `claimed` has what all of them have. */
static void fill_member(const struct jobq_row *claimed, struct jobq_bytes queue, struct cell id,
                        const struct cell *bytes, const struct cell *numbers, struct jobq_row *r)
{
    *r = *claimed;
    cell_copy(id, r->id.bytes, sizeof r->id.bytes);
    r->queue = queue;
    r->kind = cell_bytes(bytes[PUT_KIND]);
    r->group = cell_bytes(bytes[PUT_TENANT]);
    r->payload = cell_bytes(bytes[PUT_PAYLOAD]);
    r->payload_bytes = r->payload.size;
    r->policy = cell_bytes(bytes[PUT_POLICY]);
    r->key = cell_bytes(bytes[PUT_KEY]);
    r->trace = cell_bytes(bytes[PUT_TRACE]);
    r->priority = (int32_t)cell_int(numbers[PUT_PRIORITY]);
    r->rank_add_ms = cell_int(numbers[PUT_RANK_ADD]);
    r->created_at_ms = cell_int(numbers[PUT_CREATED_AT]);
    r->run_at_ms = cell_int(numbers[PUT_RUN_AT]);
}

int view_members(struct jobq_arena *arena, const struct members *m, const struct jobq_row *claimed,
                 struct jobq_row *rows)
{
    const size_t expected = view_member_count(m->ids);
    struct elements ids = cell_elements(m->ids), counts = cell_elements(m->counts);
    struct cell id, queue, count, bytes[PUT_BYTES], numbers[PUT_NUMBERS];
    struct jobq_bytes copy, names;
    size_t done = 0, same_bytes, same_numbers;
    if (m->bytes.size < 0 || m->queues.size < 0 ||
        jobq_arena_bytes(arena, m->bytes.data, (size_t)m->bytes.size, &copy) != 0 ||
        jobq_arena_bytes(arena, m->queues.data, (size_t)m->queues.size, &names) != 0)
        return -1;
    struct elements queues = cell_elements((struct cell){ .data = names.data, .size = m->queues.size });
    struct cell copied = { .data = copy.data, .size = m->bytes.size };
    struct elements of = table_elements(copied, PUT_BYTES, &same_bytes);
    struct elements and = table_elements(m->numbers, PUT_NUMBERS, &same_numbers);
    if (same_bytes != expected || same_numbers != expected)
        return -1;
    while (elements_next(&queues, &queue) && elements_next(&counts, &count))
        for (int64_t left = cell_int(count); left > 0; left--) {
            if (!elements_next(&ids, &id) || !take_cells(&of, bytes, PUT_BYTES) ||
                !take_cells(&and, numbers, PUT_NUMBERS))
                return -1;
            fill_member(claimed, cell_bytes(queue), id, bytes, numbers, &rows[done++]);
        }
    return done == expected ? 0 : -1;
}
