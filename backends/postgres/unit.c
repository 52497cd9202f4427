/* SPDX-License-Identifier: MIT */
/* What goes into the two calls of an exchange, and what comes out. The numbers of an item stand in the order that
 * functions/changes.sql and functions/puts.sql name. */
#include "store.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- items that can be done together ---------------------------------------------------------------------------- */

enum { FLAG_PLAIN_CHANGES = 8, FLAG_PLAIN_PUTS = 16, FLAG_ALIKE_CHANGES = 64, FLAG_OF_MANY = 128 };

static int by_16_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* No two alike among `count` values of 16 bytes, `step` apart? Sorted ones, as ids mostly are, need no copy. */
bool pq_all_differ(const char *first, size_t step, size_t count)
{
    size_t i = 1;
    while (i < count && memcmp(first + (i - 1) * step, first + i * step, 16) < 0)
        i++;
    if (i >= count)
        return true;
    char *copy = malloc(16 * count);
    bool differ = copy != NULL;
    for (i = 0; i < count && copy; i++)
        memcpy(copy + 16 * i, first + i * step, 16);
    if (copy)
        qsort(copy, count, 16, by_16_bytes);
    for (i = 1; i < count && differ; i++)
        differ = memcmp(copy + 16 * (i - 1), copy + 16 * i, 16) != 0;
    free(copy);
    return differ;
}

bool pq_change_is_plain(const struct jobq_change *c)
{
    return c->by == JOBQ_BY_TOKEN && c->outcome == JOBQ_OUTCOME_COMPLETE && c->state == JOBQ_ROW_COMPLETED &&
           !(c->set & ~(uint32_t)JOBQ_SET_RESULT);
}

/* Does no change of the unit look at what another has done? */
static bool changes_are_apart(const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->change_count; i++)
        if (x->changes[i].set & (JOBQ_TAKE_KEY | JOBQ_BLOCK_AGAIN))
            return false;
    return x->change_count < 2 ||
           pq_all_differ((const char *)x->changes[0].id.bytes, sizeof *x->changes, x->change_count);
}

/* Are all changes the same but for the id of the job, plain and without a result? What ends together mostly is: it is told
 * once. */
static bool changes_are_alike(const struct jobq_exchange *x)
{
    const struct jobq_change *first = x->changes;
    for (size_t i = 0; i < x->change_count; i++) {
        const struct jobq_change *c = &x->changes[i];
        if (!pq_change_is_plain(c) || c->result.data || c->set != first->set || c->edits != JOBQ_ANY_EDITS ||
            c->reason != first->reason || memcmp(c->token.bytes, first->token.bytes, sizeof c->token.bytes) != 0)
            return false;
    }
    return true;
}

/* What was claimed together is not among the rows, where one that ends by itself would be looked for first. */
static void remember_claim(struct jobq_store *s, const struct jobq_want *w)
{
    const size_t size = sizeof *s->claims;
    if (w->mode == JOBQ_WANT_DUE && w->row_count >= BATCH_FEW)
        memcpy(s->claims[s->claim_next++ % PQ_CLAIMS], w->token.bytes, size);
}

static bool claimed_together(const struct jobq_store *s, const struct jobq_change *c)
{
    for (size_t i = 0; i < PQ_CLAIMS; i++)
        if (memcmp(s->claims[i], c->token.bytes, sizeof *s->claims) == 0)
            return true;
    return false;
}

/* ---- columns: NULL as a whole when no item has a value ------------------------------------------------------------- */

static void pack_change_bytes(struct params *p, const struct jobq_exchange *x, size_t member)
{
    bool any = false;
    for (size_t i = 0; i < x->change_count && !any; i++)
        any = ((const struct jobq_bytes *)(const void *)((const char *)&x->changes[i] + member))->data != NULL;
    if (!any) {
        pack_null(p);
        return;
    }
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < x->change_count; i++)
        pack_add_bytes(p, *(const struct jobq_bytes *)(const void *)((const char *)&x->changes[i] + member));
    pack_end(p);
}

/* ---- beats ----------------------------------------------------------------------------------------------------------- */

static void pack_token_end(struct params *p, const struct jobq_beat *beat, uint8_t fill)
{
    struct jobq_token token = beat->token;
    if (beat->flags & JOBQ_BEAT_MINT)
        memset(token.bytes + 8, fill, 8);
    pack_add_id(p, token.bytes);
}

static void pack_beats(struct params *p, const struct jobq_exchange *x)
{
    if (!x->beat_count) {
        pack_nulls(p, 3);
        return;
    }
    for (int end = 0; end < 2; end++) {
        pack_begin(p, ELEMENT_ID);
        for (size_t i = 0; i < x->beat_count; i++)
            pack_token_end(p, &x->beats[i], end ? 0xff : 0);
        pack_end(p);
    }
    pack_begin(p, ELEMENT_INT8);
    for (size_t i = 0; i < x->beat_count; i++) {
        pack_add_int8(p, x->beats[i].flags);
        pack_add_int8(p, x->beats[i].lease_ms);
    }
    pack_end(p);
}

/* ---- changes ---------------------------------------------------------------------------------------------------------- */

static void pack_change_numbers(struct params *p, const struct jobq_change *c, bool plain)
{
    const int64_t numbers[] = {
        c->by, c->allowed & 0xff, c->edits == JOBQ_ANY_EDITS ? -1 : (int64_t)c->edits, c->outcome, c->state,
        c->reason, c->set, c->run_at.base, c->run_at.offset_ms, c->callback_until.base,
        c->callback_until.offset_ms, c->lease_ms, c->failures, c->crashes, c->snoozes, c->releases, c->redrives,
        c->alone != 0, c->error_kind, plain && pq_change_is_plain(c),
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        pack_add_int8(p, numbers[i]);
}

/* All zero stands for none. */
static struct jobq_bytes digest_of(const struct jobq_change *c)
{
    static const uint8_t none[32];
    bool used = c->by == JOBQ_BY_CALLBACK || c->set & JOBQ_SET_CALLBACK;
    if (!used || memcmp(c->digest, none, sizeof none) == 0)
        return (struct jobq_bytes){ 0 };
    return (struct jobq_bytes){ .data = c->digest, .size = sizeof c->digest };
}

static void pack_digests(struct params *p, const struct jobq_exchange *x)
{
    bool any = false;
    for (size_t i = 0; i < x->change_count; i++)
        any |= digest_of(&x->changes[i]).data != NULL;
    if (!any) {
        pack_null(p);
        return;
    }
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < x->change_count; i++)
        pack_add_bytes(p, digest_of(&x->changes[i]));
    pack_end(p);
}

static size_t lines_of(const struct jobq_change *c)
{
    return c->set & JOBQ_ADD_LOG ? c->log_count : 0;
}

/* Lines of log, those of all changes in a row, behind where those of each end. */
static void pack_lines(struct params *p, const struct jobq_exchange *x)
{
    size_t end = 0;
    for (size_t i = 0; i < x->change_count; i++)
        end += lines_of(&x->changes[i]);
    if (!end) {
        pack_nulls(p, 2);
        return;
    }
    pack_begin(p, ELEMENT_INT4);
    end = 0;
    for (size_t i = 0; i < x->change_count; i++)
        pack_add_int4(p, (int32_t)(end += lines_of(&x->changes[i])));
    pack_end(p);
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < x->change_count; i++)
        for (size_t k = 0; k < lines_of(&x->changes[i]); k++)
            pack_add_bytes(p, x->changes[i].log[k]);
    pack_end(p);
}

static void pack_changes(struct params *p, const struct jobq_exchange *x, bool plain, bool alike)
{
    size_t told = alike ? 1 : x->change_count;
    if (!x->change_count) {
        pack_nulls(p, 11);
        return;
    }
    pack_begin(p, ELEMENT_ID);
    for (size_t i = 0; i < x->change_count; i++)
        pack_add_id(p, x->changes[i].id.bytes);
    pack_end(p);
    pack_begin(p, ELEMENT_ID);
    for (size_t i = 0; i < told; i++)
        pack_add_id(p, x->changes[i].token.bytes);
    pack_end(p);
    pack_begin(p, ELEMENT_INT8);
    for (size_t i = 0; i < told; i++)
        pack_change_numbers(p, &x->changes[i], plain);
    pack_end(p);
    pack_digests(p, x);
    pack_change_bytes(p, x, offsetof(struct jobq_change, result));
    pack_change_bytes(p, x, offsetof(struct jobq_change, progress));
    pack_change_bytes(p, x, offsetof(struct jobq_change, data));
    pack_change_bytes(p, x, offsetof(struct jobq_change, payload));
    pack_change_bytes(p, x, offsetof(struct jobq_change, error));
    pack_lines(p, x);
}

/* ---- the rest -------------------------------------------------------------------------------------------------------------- */

void pq_trim_pack(struct params *p, const struct jobq_trim *trim)
{
    if (!trim->limit) {
        pack_null(p);
        return;
    }
    pack_begin(p, ELEMENT_INT8);
    pack_add_int8(p, trim->limit < INT32_MAX ? (int64_t)trim->limit : INT32_MAX);
    for (int i = 0; i < 8; i++)
        pack_add_int8(p, trim->keep_count[i]);
    for (int i = 0; i < 8; i++)
        pack_add_int8(p, trim->keep_ms[i]);
    pack_add_int8(p, trim->slack_part ? trim->slack_part : 1);
    pack_add_int8(p, trim->slack_part ? trim->slack_most : 0);
    pack_end(p);
}

static void pack_worker(struct params *p, const struct jobq_worker_record *w)
{
    if (!w) {
        pack_nulls(p, 2);
        return;
    }
    const int64_t numbers[] = { w->pid, w->started_at_ms, w->lease_ms, w->capacity, w->running, w->leaving };
    const struct jobq_bytes nonce = { .data = w->nonce, .size = sizeof w->nonce };
    const struct jobq_bytes texts[] = { w->name, nonce, w->host, w->queues, w->kinds };
    pack_begin(p, ELEMENT_INT8);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        pack_add_int8(p, numbers[i]);
    pack_end(p);
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        pack_add_bytes(p, texts[i]);
    pack_end(p);
}

void pq_request_pack(const struct jobq_store *s, const struct jobq_exchange *x, bool kept, struct params *p)
{
    bool mine = memcmp(s->last_client, x->client, sizeof x->client) == 0 && s->last_receipt < x->number;
    pack_id(p, x->client);
    pack_int8(p, kept ? (int64_t)x->number : 0);
    pack_int8(p, kept && mine ? (int64_t)s->last_receipt : 0);
}

/* The same number for something else is a mistake of the caller: the numbers of items tell. */
static void pack_items(struct params *p, const struct jobq_exchange *x)
{
    pack_begin(p, ELEMENT_INT4);
    pack_add_int4(p, (int32_t)x->beat_count);
    pack_add_int4(p, (int32_t)x->change_count);
    pack_add_int4(p, (int32_t)x->put_count);
    pack_end(p);
}

void pq_unit_pack(const struct jobq_store *s, const struct jobq_exchange *x, int32_t flags, struct params *p)
{
    size_t keyed = 0;
    for (size_t i = 0; i < x->put_count; i++)
        keyed += x->puts[i].unique != NULL;
    bool plain = x->change_count && changes_are_apart(x), any = false;
    for (size_t i = 0; i < x->change_count && plain; i++)
        any |= pq_change_is_plain(&x->changes[i]);
    bool alike = any && changes_are_alike(x);
    flags |= any ? FLAG_PLAIN_CHANGES : 0;
    flags |= alike ? FLAG_ALIKE_CHANGES : 0;
    flags |= alike && x->change_count == 1 && claimed_together(s, x->changes) ? FLAG_OF_MANY : 0;
    flags |= x->put_count && pq_puts_are_apart(x, keyed) ? FLAG_PLAIN_PUTS : 0;
    pack_int4(p, flags);
    pq_request_pack(s, x, x->number && (x->beat_count || x->change_count || x->put_count || x->worker), p);
    pack_items(p, x);
    pack_beats(p, x);
    pack_changes(p, x, any, alike);
    pq_puts_pack(x, keyed, p);
    pq_trim_pack(p, &x->trim);
    pack_worker(p, x->worker);
    pq_front_pack_unit(&s->front, x, p);
}

void pq_names_pack(struct params *p, const struct jobq_bytes *names, size_t count)
{
    if (!count) {
        pack_null(p);
        return;
    }
    pack_begin(p, ELEMENT_BYTES);
    for (size_t i = 0; i < count; i++)
        pack_add_bytes(p, names[i]);
    pack_end(p);
}

/* Where the circles of the queues stand: names of groups and numbers, by queue. */
static void pack_turns(struct params *p, const struct jobq_want *w)
{
    struct jobq_turn turn;
    pack_int4(p, w->share);
    if (!w->cursor.data || !w->queue_count) {
        pack_nulls(p, 3);
        return;
    }
    for (int since = 0; since < 2; since++) {
        pack_begin(p, ELEMENT_BYTES);
        for (size_t i = 0; i < w->queue_count; i++) {
            jobq_turn_begin(&turn, w->cursor, w->queues[i]);
            pack_add_bytes(p, since ? turn.since : turn.group);
        }
        pack_end(p);
    }
    pack_begin(p, ELEMENT_INT8);
    for (size_t i = 0; i < w->queue_count; i++) {
        jobq_turn_begin(&turn, w->cursor, w->queues[i]);
        pack_add_int8(p, turn.given);
    }
    pack_end(p);
}

void pq_want_pack(struct jobq_store *s, const struct jobq_exchange *x, bool first, struct params *p)
{
    const struct jobq_want *w = x->want;
    const int64_t most = 1000000000; /* so that twice as many is still a number to the server */
    pq_request_pack(s, x, x->number != 0, p);
    if (!first) /* the unit dropped the older receipt */
        p->length[p->count - 1] = -1;
    pack_int4(p, w->mode);
    pack_int4(p, w->limit < (size_t)most ? (int32_t)w->limit : (int32_t)most);
    pack_int8(p, w->bytes < INT64_MAX ? (int64_t)w->bytes : INT64_MAX);
    pack_int8(p, w->lease_ms);
    pack_bool(p, w->others != 0);
    pack_bytes(p, w->worker);
    pack_bytes(p, (struct jobq_bytes){ .data = w->mint, .size = sizeof w->mint });
    pq_names_pack(p, w->queues, w->queue_count);
    pq_names_pack(p, w->kinds, w->kind_count);
    pq_front_choose(&s->front, x, p);
    pack_turns(p, w);
    pq_front_pack_want(&s->front, x, p);
}

/* ---- answers ------------------------------------------------------------------------------------------------------------- */

enum unit_column {
    UNIT_NOW, UNIT_NEXT_DUE, UNIT_REPEAT, UNIT_SAME, UNIT_BEAT_HELD, UNIT_MARKS, UNIT_MARK_AT, UNIT_VERDICTS,
    UNIT_STALES, UNIT_HOLDERS, UNIT_LEASES, UNIT_ROWS, UNIT_ROW_AT, UNIT_PUTS, UNIT_PUT_HOLDERS, UNIT_STOP_ASKED,
    UNIT_THEN, UNIT_NEXT_TICK, UNIT_FROM, UNIT_COLUMNS
};

static int64_t next_int(struct elements *e)
{
    struct cell cell;
    return elements_next(e, &cell) ? cell_int(cell) : 0;
}

static void next_id(struct elements *e, struct jobq_id *out)
{
    struct cell cell = { .size = -1 };
    elements_next(e, &cell);
    cell_copy(cell, out->bytes, sizeof out->bytes);
}

static int answer_beats(const PGresult *result, struct jobq_exchange *x, struct jobq_arena *arena)
{
    struct elements held = cell_elements(cell_of(result, 0, UNIT_BEAT_HELD));
    struct elements at = cell_elements(cell_of(result, 0, UNIT_MARK_AT));
    struct jobq_row *marks;
    size_t count;
    if (view_rows(arena, cell_of(result, 0, UNIT_MARKS), &marks, &count) != 0)
        return -1;
    for (size_t i = 0; i < x->beat_count; i++) {
        x->beats[i].held = (size_t)next_int(&held);
        x->beats[i].marks = NULL;
        x->beats[i].mark_count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t beat = next_int(&at);
        if (beat < 1 || beat > (int64_t)x->beat_count)
            return -1;
        if (!x->beats[beat - 1].mark_count++)
            x->beats[beat - 1].marks = &marks[i];
    }
    return 0;
}

static int answer_changes(const PGresult *result, struct jobq_exchange *x, struct jobq_arena *arena)
{
    struct elements verdicts = cell_elements(cell_of(result, 0, UNIT_VERDICTS));
    struct elements stales = cell_elements(cell_of(result, 0, UNIT_STALES));
    struct elements holders = cell_elements(cell_of(result, 0, UNIT_HOLDERS));
    struct elements leases = cell_elements(cell_of(result, 0, UNIT_LEASES));
    struct elements at = cell_elements(cell_of(result, 0, UNIT_ROW_AT));
    struct jobq_row *rows;
    size_t count;
    for (size_t i = 0; i < x->change_count; i++) {
        struct jobq_change *c = &x->changes[i];
        c->verdict = (int32_t)next_int(&verdicts);
        c->stale = (int32_t)next_int(&stales);
        c->lease_until_ms = next_int(&leases);
        next_id(&holders, &c->holder);
        c->row = NULL;
    }
    if (view_rows(arena, cell_of(result, 0, UNIT_ROWS), &rows, &count) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        int64_t change = next_int(&at);
        if (change < 1 || change > (int64_t)x->change_count)
            return -1;
        x->changes[change - 1].row = &rows[i];
    }
    return 0;
}

void pq_put_is_made(struct jobq_put *put, int64_t then)
{
    int64_t run_at = put->run_at.base == JOBQ_TIME_KEEP ? then : jobq_time_of(&put->run_at, 0, then);
    put->verdict = JOBQ_OK;
    put->state = put->held ? JOBQ_ROW_BLOCKED : JOBQ_ROW_WAITING;
    put->shown = jobq_shown_state(put->state, run_at, then);
    put->same_payload = 1;
    put->holder = put->id;
}

static void answer_puts(const PGresult *result, struct jobq_exchange *x)
{
    struct elements numbers = cell_elements(cell_of(result, 0, UNIT_PUTS));
    struct elements holders = cell_elements(cell_of(result, 0, UNIT_PUT_HOLDERS));
    int64_t then = cell_int(cell_of(result, 0, UNIT_THEN));
    bool all_put = !numbers.left;
    for (size_t i = 0; i < x->put_count; i++) {
        struct jobq_put *put = &x->puts[i];
        put->retry_ms = 0;
        if (all_put) {
            pq_put_is_made(put, then);
            continue;
        }
        put->verdict = (int32_t)next_int(&numbers);
        put->state = (int32_t)next_int(&numbers);
        int64_t run_at = next_int(&numbers);
        put->shown = jobq_shown_state(put->state, run_at, then);
        put->retry_ms = put->verdict == JOBQ_LIMITED ? run_at : 0;
        put->same_payload = (int32_t)next_int(&numbers);
        next_id(&holders, &put->holder);
    }
}

int pq_unit_answer(struct jobq_store *s, const PGresult *result, struct jobq_exchange *x, struct jobq_arena *arena)
{
    if (PQntuples(result) != 1 || PQnfields(result) != UNIT_COLUMNS)
        return -1;
    x->now_ms = cell_int(cell_of(result, 0, UNIT_NOW));
    x->next_due_ms = cell_int(cell_of(result, 0, UNIT_NEXT_DUE));
    x->next_tick_ms = cell_int(cell_of(result, 0, UNIT_NEXT_TICK));
    x->unit = cell_bool(cell_of(result, 0, UNIT_SAME)) ? JOBQ_OK : JOBQ_FAILED;
    if (x->unit != JOBQ_OK)
        return 0;
    pq_front_note_unit(&s->front, cell_of(result, 0, UNIT_FROM));
    if (x->beat_count && answer_beats(result, x, arena) != 0)
        return -1;
    if (x->change_count && answer_changes(result, x, arena) != 0)
        return -1;
    if (x->put_count)
        answer_puts(result, x);
    if (x->worker)
        x->worker->stop_asked = cell_bool(cell_of(result, 0, UNIT_STOP_ASKED));
    return 0;
}

enum want_column {
    WANT_NOW, WANT_NEXT_DUE, WANT_REPEAT, WANT_TOKEN, WANT_MORE, WANT_ROWS, WANT_NEXT_TICK, WANT_TICK_NAMES,
    WANT_TICK_BYTES, WANT_TICK_NUMBERS, WANT_BUSY, WANT_TURNS, WANT_TURNS_GIVEN, WANT_FROM, WANT_BYTES,
    WANT_NUMBERS, WANT_MEMBER_IDS, WANT_MEMBER_BYTES, WANT_MEMBER_NUMBERS, WANT_MEMBER_QUEUES, WANT_MEMBER_COUNTS,
    WANT_COLUMNS
};

void pq_want_clear(struct jobq_want *want)
{
    want->token = (struct jobq_token){ 0 };
    want->rows = NULL;
    want->row_count = 0;
    want->more = 0;
    want->next_cursor = (struct jobq_bytes){ 0 };
    want->schedules = NULL;
    want->schedule_count = 0;
    want->schedule_now_ms = 0;
}

bool pq_want_is_busy(const PGresult *result)
{
    return result && PQntuples(result) == 1 && PQnfields(result) == WANT_COLUMNS && cell_bool(cell_of(result, 0, WANT_BUSY));
}

/* The queues that were served in turn, and where their circles stand now: name, group, since of each. */
static int answer_turns(const PGresult *result, struct jobq_want *w, struct jobq_arena *arena)
{
    struct elements names = cell_elements(cell_of(result, 0, WANT_TURNS));
    struct elements givens = cell_elements(cell_of(result, 0, WANT_TURNS_GIVEN));
    struct jobq_turn *turns = jobq_arena_alloc(arena, ((size_t)names.left / 3 + 1) * sizeof *turns);
    struct cell queue, group, since;
    size_t count = 0;
    if (!turns)
        return -1;
    while (elements_next(&names, &queue) && elements_next(&names, &group) && elements_next(&names, &since))
        turns[count++] = (struct jobq_turn){ .queue = cell_bytes(queue), .group = cell_bytes(group),
                                             .since = cell_bytes(since), .given = next_int(&givens) };
    return jobq_turn_cursor(arena, w->cursor, turns, count, &w->next_cursor);
}

/* Rows that are due: members of batches, then the others. */
static int answer_due(const PGresult *result, const struct jobq_exchange *x, struct jobq_arena *arena,
                      struct jobq_row **rows, size_t *count)
{
    const struct jobq_want *w = x->want;
    const struct jobq_time lease = { .base = JOBQ_TIME_NOW, .offset_ms = w->lease_ms };
    const struct members m = {
        .ids = cell_of(result, 0, WANT_MEMBER_IDS), .bytes = cell_of(result, 0, WANT_MEMBER_BYTES),
        .numbers = cell_of(result, 0, WANT_MEMBER_NUMBERS), .queues = cell_of(result, 0, WANT_MEMBER_QUEUES),
        .counts = cell_of(result, 0, WANT_MEMBER_COUNTS),
    };
    const size_t members = view_member_count(m.ids);
    struct jobq_row claimed = {
        .token = w->token, .fence = view_fence_of(&w->token), .state = JOBQ_ROW_RUNNING, .attempt = 1,
        .started_at_ms = x->now_ms, .lease_until_ms = jobq_time_of(&lease, 0, x->now_ms),
    };
    if (view_gathered(arena, cell_of(result, 0, WANT_TOKEN), cell_of(result, 0, WANT_BYTES),
                      cell_of(result, 0, WANT_NUMBERS), members, rows, count) != 0)
        return -1;
    if (!members)
        return 0;
    if (jobq_arena_bytes(arena, w->worker.data, w->worker.size, &claimed.worker) != 0)
        return -1;
    return view_members(arena, &m, &claimed, *rows);
}

int pq_want_answer(struct jobq_store *s, const PGresult *result, struct jobq_exchange *x, struct jobq_arena *arena)
{
    struct jobq_want *w = x->want;
    struct jobq_row *rows;
    pq_want_clear(w);
    if (PQntuples(result) != 1 || PQnfields(result) != WANT_COLUMNS)
        return -1;
    x->now_ms = cell_int(cell_of(result, 0, WANT_NOW));
    x->next_due_ms = cell_int(cell_of(result, 0, WANT_NEXT_DUE));
    x->next_tick_ms = cell_int(cell_of(result, 0, WANT_NEXT_TICK));
    cell_copy(cell_of(result, 0, WANT_TOKEN), w->token.bytes, sizeof w->token.bytes);
    w->more = cell_bool(cell_of(result, 0, WANT_MORE));
    if (view_rows(arena, cell_of(result, 0, WANT_ROWS), &rows, &w->row_count) != 0)
        return -1;
    if (!w->row_count && answer_due(result, x, arena, &rows, &w->row_count) != 0)
        return -1;
    w->rows = rows;
    remember_claim(s, w);
    pq_front_note_want(&s->front, cell_of(result, 0, WANT_FROM), x);
    w->schedule_now_ms = x->now_ms;
    if (w->mode != JOBQ_WANT_OVERDUE && !cell_bool(cell_of(result, 0, WANT_REPEAT)) && answer_turns(result, w, arena) != 0)
        return -1;
    return pq_schedules_view(result, WANT_TICK_NAMES, arena, &w->schedules, &w->schedule_count);
}
