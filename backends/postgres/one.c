/* SPDX-License-Identifier: MIT */
/* The short ways: of an exchange that completes a job and asks for the next, and of puts by themselves.
 * functions/one.sql and plain.sql say when they can be gone; here is what can be told from the exchange alone. */
#include "store.h"

enum { FLAG_RESULT = 1, FLAG_OTHERS = 2, FLAG_NOTIFY = 1 };

#define REST_MOST 63 /* exchanges */

/* ---- which way ---------------------------------------------------------------------------------------- */

static bool is_swap(const struct jobq_exchange *x)
{
    const struct jobq_want *w = x->want;
    return w && w->mode == JOBQ_WANT_DUE && w->limit == 1 && w->queue_count == 1 && x->change_count == 1 &&
           !x->put_count && pq_change_is_plain(x->changes);
}

static enum pq_way way_of(const struct jobq_exchange *x)
{
    if (is_swap(x))
        return PQ_SWAP;
    if (x->change_count || x->want || !pq_puts_are_plain(x))
        return PQ_USUAL;
    return x->put_count == 1 ? PQ_PUT : PQ_PUTS;
}

enum pq_way pq_one_way(struct jobq_store *s, const struct jobq_exchange *x)
{
    enum pq_way way = PQ_USUAL;
    if (!s->attached && x->number && !x->beat_count && !x->worker)
        way = way_of(x);
    if (way == PQ_USUAL || !s->rests[way].left)
        return way;
    s->rests[way].left--;
    return PQ_USUAL;
}

/* What was of no use is not tried again at once: it is a round trip each time. */
static enum pq_one learn(struct jobq_store *s, enum pq_way way, enum pq_one what)
{
    struct rest *rest = &s->rests[way];
    rest->whole = what == PQ_ONE_DONE ? 0 : rest->whole < REST_MOST ? 2 * rest->whole + 1 : REST_MOST;
    rest->left = rest->whole;
    return what;
}

/* ---- the parameters ----------------------------------------------------------------------------------- */

/* Without a slack nothing waits, whatever a larger one allowed before. */
static void pack_left(const struct front *f, const struct jobq_trim *trim, struct params *p)
{
    bool slack = trim->slack_part && trim->slack_most;
    pack_begin(p, ELEMENT_INT8);
    pack_add_int8(p, slack ? f->left : 0);
    pack_add_int8(p, f->left_of);
    pack_add_int8(p, slack ? trim->slack_part : 1);
    pack_add_int8(p, slack ? trim->slack_most : 0);
    pack_end(p);
}

static void pack_swap(struct jobq_store *s, const struct jobq_exchange *x, struct params *p)
{
    const struct jobq_want *w = x->want;
    const struct jobq_change *c = x->changes;
    bool result = c->set & JOBQ_SET_RESULT;
    pack_int4(p, (result ? FLAG_RESULT : 0) | (w->others ? FLAG_OTHERS : 0));
    pq_request_pack(s, x, true, p);
    pack_id(p, c->id.bytes);
    pack_id(p, c->token.bytes);
    pack_int8(p, c->edits == JOBQ_ANY_EDITS ? -1 : (int64_t)c->edits);
    pack_int4(p, c->reason);
    pack_bytes(p, result ? c->result : (struct jobq_bytes){0});
    pq_trim_pack(p, &x->trim);
    pq_front_pack_unit(&s->front, x, p);
    pack_left(&s->front, &x->trim, p);
    pack_int8(p, w->lease_ms);
    pack_bytes(p, w->worker);
    pack_bytes(p, (struct jobq_bytes){.data = w->mint, .size = sizeof w->mint});
    pq_names_pack(p, w->queues, w->queue_count);
    pq_names_pack(p, w->kinds, w->kind_count);
    pq_front_choose(&s->front, x, p);
    pq_front_pack_want(&s->front, x, p);
}

static void pack_key(struct params *p, const struct jobq_put_key *key)
{
    const size_t digest = 32;
    pack_bytes(p, key ? (struct jobq_bytes){.data = key->scope, .size = digest} : (struct jobq_bytes){0});
    pack_bytes(p, key ? (struct jobq_bytes){.data = key->payload_digest, .size = digest}
                      : (struct jobq_bytes){0});
    if (key)
        pack_int4(p, key->hold);
    else
        pack_null(p);
    pack_int8_if(p, key != NULL, key ? key->window_ms : 0);
}

static void pack_put(const struct jobq_store *s, const struct jobq_exchange *x, struct params *p)
{
    const struct jobq_put *put = x->puts;
    pack_int4(p, s->address.notify ? FLAG_NOTIFY : 0);
    pq_request_pack(s, x, true, p);
    pack_id(p, put->id.bytes);
    pack_bytes(p, put->queue);
    pack_bytes(p, put->kind);
    pack_int4(p, put->priority);
    pack_int8(p, put->rank_add_ms);
    pack_int8_if(p, put->timeout_ms != 0, put->timeout_ms);
    pack_bytes(p, put->payload);
    pack_bytes(p, put->policy);
    pack_bytes(p, put->key);
    pack_bytes(p, put->trace);
    pack_key(p, put->unique);
    pq_front_pack_clock(&s->front, x, p);
}

static void pack_puts(const struct jobq_store *s, const struct jobq_exchange *x, struct params *p)
{
    pack_int4(p, s->address.notify ? FLAG_NOTIFY : 0);
    pq_request_pack(s, x, true, p);
    pack_bytes(p, x->puts->queue);
    pq_puts_pack_plain(x, p);
    pq_front_pack_clock(&s->front, x, p);
}

void pq_one_pack(struct jobq_store *s, enum pq_way way, const struct jobq_exchange *x, struct params *p)
{
    if (way == PQ_SWAP)
        pack_swap(s, x, p);
    else if (way == PQ_PUTS)
        pack_puts(s, x, p);
    else
        pack_put(s, x, p);
}

/* ---- the answer --------------------------------------------------------------------------------------- */

static int64_t next_int(struct elements *e)
{
    struct cell cell;
    return elements_next(e, &cell) ? cell_int(cell) : 0;
}

static void answer_change(struct jobq_change *c)
{
    c->verdict = JOBQ_OK;
    c->stale = 0;
    c->row = NULL;
    c->holder = (struct jobq_id){0};
    c->lease_until_ms = 0;
}

static int answer_row(struct jobq_want *w, struct cell bytes, struct cell numbers, struct jobq_arena *arena)
{
    struct jobq_row *rows = NULL;
    pq_want_clear(w);
    if (view_gathered(arena, (struct cell){ .size = -1 }, bytes, numbers, 0, &rows, &w->row_count) != 0)
        return -1;
    w->rows = rows;
    if (w->row_count)
        w->token = rows[0].token;
    return 0;
}

enum part { PART_NUMBERS, PART_FROM, PART_ENDED, PART_BYTES, PART_ROW, PARTS };

static enum pq_one answer_swap(struct jobq_store *s, struct cell answer, struct jobq_exchange *x,
                               struct jobq_arena *arena)
{
    struct cell said[PARTS] = {{.size = -1}, {.size = -1}, {.size = -1}, {.size = -1}, {.size = -1}};
    struct elements parts = cell_elements(answer);
    for (int i = 0; i < PARTS && elements_next(&parts, &said[i]);)
        i++;
    struct elements numbers = cell_elements(said[PART_NUMBERS]);
    x->now_ms = next_int(&numbers);
    x->next_due_ms = next_int(&numbers);
    x->next_tick_ms = next_int(&numbers);
    s->front.left = next_int(&numbers);
    s->front.left_of = next_int(&numbers);
    answer_change(x->changes);
    pq_front_note_unit(&s->front, said[PART_ENDED]);
    if (said[PART_ROW].size < 0 || answer_row(x->want, said[PART_BYTES], said[PART_ROW], arena) != 0)
        return PQ_ONE_GARBLED;
    x->want->schedule_now_ms = x->now_ms;
    pq_front_note_want(&s->front, said[PART_FROM], x);
    return PQ_ONE_DONE;
}

static enum pq_one answer_puts(struct jobq_store *s, struct cell answer, struct jobq_exchange *x)
{
    struct elements numbers = cell_elements(answer);
    if (numbers.left != 5)
        return PQ_ONE_GARBLED;
    x->now_ms = next_int(&numbers);
    x->next_due_ms = next_int(&numbers);
    x->next_tick_ms = next_int(&numbers);
    int64_t clock = next_int(&numbers);
    pq_front_note_clock(&s->front, clock, next_int(&numbers));
    for (size_t i = 0; i < x->put_count; i++) {
        x->puts[i].retry_ms = 0;
        pq_put_is_made(&x->puts[i], x->now_ms);
    }
    return PQ_ONE_DONE;
}

enum pq_one pq_one_answer(struct jobq_store *s, enum pq_way way, const PGresult *result,
                          struct jobq_exchange *x, struct jobq_arena *arena)
{
    if (!result || PQgetisnull(result, 0, 0))
        return learn(s, way, PQ_ONE_NOTHING);
    struct cell answer = cell_of(result, 0, 0);
    return learn(s, way, way == PQ_SWAP ? answer_swap(s, answer, x, arena) : answer_puts(s, answer, x));
}
