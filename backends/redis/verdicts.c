/* SPDX-License-Identifier: MIT */
/* What the script of an exchange answers: a verdict for each item, then the rows. lua/exchange.lua has the layout. */
#include "store.h"

#include <string.h>

#define PLAINLY_DONE 255

struct answer {
    struct jobq_arena *arena;
    struct jobq_exchange *x;
    struct reader verdicts;
    struct strings rows;
    bool again; /* a repeat */
};

/* lua/change.lua and lua/put.lua number them. */
static int verdict_of(int code)
{
    switch (code) {
    case 10:
        return JOBQ_SKIPPED;
    case 11:
        return JOBQ_NO_PARENT;
    case 12:
        return JOBQ_FULL;
    case 13:
        return JOBQ_STALE;
    case 14:
        return JOBQ_OUTDATED;
    case 15:
        return JOBQ_LIMITED;
    default:
        return code; /* JOBQ_OK, ALREADY, DUPLICATE, REPLACED, EXTENDED, SUCCESSOR */
    }
}

static int take_beat(struct answer *a, struct jobq_beat *beat)
{
    beat->held = rd_get_u32(&a->verdicts);
    size_t marks = rd_get_u32(&a->verdicts);
    struct jobq_row *rows = marks ? jobq_arena_alloc(a->arena, marks * sizeof *rows) : NULL;
    beat->mark_count = 0;
    beat->marks = rows;
    if (marks && !rows)
        return -1;
    for (size_t i = 0; i < marks; i++) {
        int given = rd_row_view(&a->rows, a->arena, 0, &rows[beat->mark_count]);
        if (given < 0)
            return -1;
        beat->mark_count += given > 0;
    }
    return 0;
}

static int take_view(struct answer *a, const struct jobq_row **out)
{
    struct jobq_row *row = jobq_arena_alloc(a->arena, sizeof *row);
    int given = row ? rd_row_view(&a->rows, a->arena, 0, row) : -1;
    *out = given > 0 ? row : NULL;
    return given < 0 ? -1 : 0;
}

static void take_id(struct reader *r, struct jobq_id *out)
{
    const uint8_t *id = rd_get_raw(r, sizeof *out);
    if (id)
        memcpy(out, id, sizeof *out);
}

static int take_change(struct answer *a, struct jobq_change *c)
{
    int code = rd_get_u8(&a->verdicts);
    c->row = NULL;
    c->holder = (struct jobq_id){ 0 };
    c->lease_until_ms = 0;
    c->stale = JOBQ_STALE_NONE;
    c->verdict = JOBQ_OK;
    if (code == PLAINLY_DONE)
        return 0;
    c->verdict = verdict_of(code);
    c->stale = rd_get_u8(&a->verdicts);
    unsigned follows = rd_get_u8(&a->verdicts);
    if (follows & 1)
        c->lease_until_ms = rd_get_i64(&a->verdicts);
    if (follows & 2)
        take_id(&a->verdicts, &c->holder);
    return follows & 4 ? take_view(a, &c->row) : 0;
}

static void take_put(struct answer *a, struct jobq_put *p)
{
    int code = rd_get_u8(&a->verdicts);
    p->holder = (struct jobq_id){ 0 };
    p->retry_ms = 0;
    p->verdict = JOBQ_OK;
    p->state = JOBQ_ROW_WAITING;
    p->shown = JOBQ_READY;
    p->same_payload = 1;
    if (code != PLAINLY_DONE) {
        p->verdict = verdict_of(code);
        p->state = rd_get_u8(&a->verdicts);
        bool come = rd_get_u8(&a->verdicts);
        p->shown = p->state ? jobq_shown_state(p->state, come ? 0 : 1, 0) : 0;
        p->same_payload = rd_get_u8(&a->verdicts);
        if (rd_get_u8(&a->verdicts))
            take_id(&a->verdicts, &p->holder);
        if (p->verdict == JOBQ_LIMITED)
            p->retry_ms = rd_get_i64(&a->verdicts);
    }
    /* What a tick alone decided has no state. */
    if (p->state && (p->verdict == JOBQ_OK || p->verdict == JOBQ_ALREADY))
        p->holder = p->id;
}

void rd_want_clear(struct jobq_want *w)
{
    w->token = (struct jobq_token){ 0 };
    w->rows = NULL;
    w->row_count = 0;
    w->more = 0;
    w->next_cursor = (struct jobq_bytes){ 0 };
    w->schedules = NULL;
    w->schedule_count = 0;
    w->schedule_now_ms = 0;
}

/* Form 0: a row as any other; 2: claimed for the first time, and its hot string follows; 1: the same hot string again. */
static int take_row(struct answer *a, unsigned form, struct jobq_bytes *hot, struct jobq_row *out)
{
    if (form == 0)
        return rd_row_view(&a->rows, a->arena, JOBQ_READ_PAYLOAD, out);
    struct strings at = a->rows;
    at.at += 2;
    if (form == 2)
        *hot = rd_next_bytes(&at);
    if (at.broken || rd_row_fresh(&a->rows, *hot, a->arena, out) < 0)
        return -1;
    a->rows = at;
    return 1;
}

static int take_schedules(struct answer *a, size_t count)
{
    struct jobq_want *w = a->x->want;
    struct jobq_schedule_row *rows = jobq_arena_alloc(a->arena, count * sizeof *rows);
    if (!rows)
        return -1;
    if (w->mode == JOBQ_WANT_OVERDUE)
        w->schedule_now_ms = a->x->now_ms;
    w->schedules = rows;
    while (w->schedule_count < count)
        if (rd_schedule_view(&a->rows, a->arena, &rows[w->schedule_count++]) != 0)
            return -1;
    return 0;
}

static int take_want(struct answer *a, struct reader *r)
{
    struct jobq_want *w = a->x->want;
    struct jobq_bytes hot = { 0 };
    unsigned flags = rd_get_u8(r);
    const uint8_t *token = rd_get_raw(r, sizeof w->token);
    size_t count = rd_get_u32(r);
    rd_want_clear(w);
    if (r->broken || count > (size_t)(r->end - r->at))
        return -1;
    struct jobq_row *rows = jobq_arena_alloc(a->arena, count * sizeof *rows);
    if (!rows)
        return -1;
    memcpy(&w->token, token, sizeof w->token);
    w->more = flags & 1;
    w->rows = rows;
    for (size_t i = 0; i < count; i++) {
        unsigned overdue = rd_get_u8(r), form = rd_get_u8(r);
        struct jobq_row *row = &rows[w->row_count];
        int given = take_row(a, form, &hot, row);
        if (given < 0)
            return -1;
        if (!given)
            continue;
        row->overdue = (int32_t)overdue;
        if (flags & 2 && row->state == JOBQ_ROW_RUNNING)
            row->ran_alone = 1;
        w->row_count++;
    }
    if (rd_turns_take(r, w, a->arena) != 0)
        return -1;
    if (a->again || w->mode == JOBQ_WANT_OVERDUE)
        w->next_cursor = (struct jobq_bytes){ 0 }; /* as it was */
    return take_schedules(a, rd_get_u8(r));
}

static int take_verdicts(struct answer *a)
{
    struct jobq_exchange *x = a->x;
    for (size_t i = 0; i < x->beat_count; i++)
        if (take_beat(a, &x->beats[i]) != 0)
            return -1;
    for (size_t i = 0; i < x->change_count; i++)
        if (take_change(a, &x->changes[i]) != 0)
            return -1;
    for (size_t i = 0; i < x->put_count; i++)
        take_put(a, &x->puts[i]);
    if (x->worker)
        x->worker->stop_asked = rd_get_u8(&a->verdicts);
    return a->verdicts.broken ? -1 : 0;
}

int rd_exchange_answer(const redisReply *reply, struct jobq_exchange *x, struct jobq_arena *arena)
{
    struct answer a = { .arena = arena, .x = x, .rows = rd_strings(reply) };
    struct reader head = rd_next_string(&a.rows);
    int status = rd_get_u8(&head);
    if (head.broken)
        return -1;
    if (status == STORE_GONE || status == STORE_NEWER)
        return status;
    x->now_ms = rd_get_i64(&head);
    x->next_due_ms = rd_get_i64(&head);
    x->next_tick_ms = rd_get_i64(&head);
    struct jobq_bytes verdicts = rd_get_bytes(&head, rd_get_u32(&head));
    if (head.broken)
        return -1;
    if (status == ANOTHER_REQUEST)
        return status;
    a.verdicts = rd_reader(verdicts.data, verdicts.size);
    a.again = status == DONE_BEFORE;
    if (take_verdicts(&a) != 0 || (x->want && take_want(&a, &head) != 0))
        return -1;
    return status;
}
