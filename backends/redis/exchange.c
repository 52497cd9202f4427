/* SPDX-License-Identifier: MIT */
/* One exchange: one call of the script. lua/exchange.lua says how arguments and answer are made; verdicts.c reads the
 * answer. */
#include "store.h"

#include <string.h>

enum asked {
    HAS_TRIM = 1, HAS_WORKER = 2, HAS_WANT = 4, HAS_RECEIPT = 8, HAS_SUCCESSOR = 16, HAS_SCHEDULES = 32,
    HAS_GROUPS = 64
};
enum item { ITEM_RUN = 1, ITEM_ONE = 2, ITEM_WITH_TICK = 3 };
enum run { RUN_KEYED = 1, RUN_GROUPED = 2 };
#define RUN_MOST 60000

/* ---- before anything is sent ------------------------------------------------------------------------------------ */

static int refuse(const struct jobq_store *s, struct jobq_exchange *x, struct jobq_error *err, int32_t put,
                  const char *what)
{
    x->failure = JOBQ_FAILURE_REFUSED;
    x->guilty_put = put;
    x->want_unit = JOBQ_SKIPPED;
    x->unit = jobq_error_set(err, JOBQ_FAILED, NULL, "%s: %s", s->address.shown, what);
    return -1;
}

/* What this store does not have. */
static int check(const struct jobq_store *s, struct jobq_exchange *x, struct jobq_error *err)
{
    if (s->inspect)
        return refuse(s, x, err, -1, "opened to inspect: nothing can be written");
    for (size_t i = 0; i < x->put_count; i++) {
        const struct jobq_put *put = &x->puts[i];
        if (put->only_if >= 0 && (size_t)put->only_if >= x->change_count)
            return refuse(s, x, err, (int32_t)i, "only_if names no change of this exchange");
        if (put->queue.size > 255 || put->kind.size > 255)
            return refuse(s, x, err, (int32_t)i, "a name of more than 255 bytes");
        if (put->payload.size > UINT32_MAX / 2)
            return refuse(s, x, err, (int32_t)i, "a payload of more than 2 GiB");
    }
    return 0;
}

/* ---- the request: head, beats, trim --------------------------------------------------------------------------------- */

static bool may_succeed(const struct jobq_put *p)
{
    return p->unique && p->unique->conflict == JOBQ_CONFLICT_SUCCESSOR;
}

/* What the puts are about that a store may never have met. */
static unsigned asked_by_puts(const struct jobq_exchange *x)
{
    unsigned asked = 0;
    for (size_t i = 0; i < x->put_count; i++)
        asked |= (may_succeed(&x->puts[i]) ? HAS_SUCCESSOR : 0) | (x->puts[i].tick ? HAS_SCHEDULES : 0) |
                 (x->puts[i].group.size ? HAS_GROUPS : 0);
    return asked;
}

/* One that is needed in any case, so that it is read with the head. */
static struct jobq_bytes first_queue(const struct jobq_exchange *x)
{
    if (x->put_count)
        return x->puts[0].queue;
    bool names_some = x->want && x->want->mode != JOBQ_WANT_OVERDUE && x->want->queue_count;
    return names_some ? x->want->queues[0] : (struct jobq_bytes){ 0 };
}

static void say_head(struct jobq_store *s, const struct jobq_exchange *x)
{
    struct request *q = &s->request;
    struct jobq_bytes queue = first_queue(x);
    unsigned asked = (x->trim.limit ? HAS_TRIM : 0) | (x->worker ? HAS_WORKER : 0) | (x->want ? HAS_WANT : 0) |
                     (x->number ? HAS_RECEIPT : 0) | asked_by_puts(x);
    if (x->want && x->want->mode == JOBQ_WANT_OVERDUE)
        asked |= HAS_SCHEDULES;
    rd_argument_begin(q);
    rd_u8(q, asked);
    rd_raw(q, x->client, sizeof x->client);
    rd_i64(q, (int64_t)x->number);
    rd_u32(q, x->beat_count);
    rd_u32(q, x->change_count);
    rd_u32(q, x->put_count);
    rd_raw(q, s->handle, sizeof s->handle - 1);
    rd_raw(q, queue.data, queue.size);
    rd_argument_end(q);
}

static size_t at_most(size_t value, size_t most)
{
    return value < most ? value : most;
}

static void say_trim(struct request *q, const struct jobq_trim *trim)
{
    rd_argument_begin(q);
    rd_u32(q, at_most(trim->limit, INT32_MAX));
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, trim->keep_count[state]);
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, trim->keep_ms[state]);
    rd_i64(q, trim->keep_ms[JOBQ_KEEP_RESULTS]);
    rd_u32(q, trim->slack_part);
    rd_u32(q, trim->slack_most);
    rd_argument_end(q);
}

static void say_beat(struct request *q, const struct jobq_beat *beat)
{
    rd_argument_begin(q);
    rd_raw(q, beat->token.bytes, sizeof beat->token);
    rd_u8(q, beat->flags);
    rd_i64(q, beat->lease_ms);
    rd_argument_end(q);
}

/* ---- the request: changes --------------------------------------------------------------------------------------------- */

/* By far the most frequent change: a worker completes what it holds. Those of one claim in a row are said together. */
static bool is_plain_end(const struct jobq_change *c)
{
    return c->by == JOBQ_BY_TOKEN && c->state == JOBQ_ROW_COMPLETED && c->outcome == JOBQ_OUTCOME_COMPLETE &&
           !(c->set & ~(uint32_t)JOBQ_SET_RESULT);
}

static bool has_result(const struct jobq_change *c)
{
    return c->set & JOBQ_SET_RESULT && c->result.data;
}

static bool same_run(const struct jobq_change *a, const struct jobq_change *b)
{
    return is_plain_end(b) && memcmp(&a->token, &b->token, sizeof a->token) == 0 && a->edits == b->edits &&
           a->reason == b->reason && has_result(a) == has_result(b);
}

static size_t say_ends(struct request *q, const struct jobq_change *first, size_t most)
{
    size_t count = 1;
    while (count < most && count < RUN_MOST && same_run(first, &first[count]))
        count++;
    rd_argument_begin(q);
    rd_u8(q, ITEM_RUN);
    rd_u16(q, count);
    rd_raw(q, first->token.bytes, sizeof first->token);
    rd_u32(q, first->edits);
    rd_u8(q, (unsigned)first->outcome);
    rd_u8(q, (unsigned)first->reason);
    rd_u8(q, has_result(first));
    rd_argument_end(q);
    if (!has_result(first))
        rd_argument_begin(q);
    for (size_t i = 0; i < count; i++) {
        if (!has_result(first)) {
            rd_raw(q, first[i].id.bytes, sizeof first[i].id);
            continue;
        }
        rd_argument(q, first[i].id.bytes, sizeof first[i].id);
        rd_argument(q, first[i].result.data, first[i].result.size);
    }
    if (!has_result(first))
        rd_argument_end(q);
    return count;
}

static unsigned present_bytes(const struct jobq_change *c, const struct jobq_bytes *all[5])
{
    const struct jobq_bytes *list[] = { &c->result, &c->progress, &c->data, &c->payload, &c->error };
    unsigned present = rd_is_bulky(c->payload) ? 32 : 0;
    for (unsigned i = 0; i < 5; i++) {
        all[i] = list[i];
        present |= list[i]->data ? 1u << i : 0;
    }
    return present;
}

/* No more than are kept. */
static void say_lines(struct request *q, const struct jobq_change *c)
{
    for (size_t i = c->log_count - at_most(c->log_count, LOG_KEPT); i < c->log_count; i++) {
        rd_argument_begin(q);
        rd_entry_text(q, c->log[i]);
        rd_argument_end(q);
    }
}

static void say_change(struct request *q, const struct jobq_change *c)
{
    const struct jobq_bytes *all[5];
    unsigned present = present_bytes(c, all);
    rd_argument_begin(q);
    rd_u8(q, ITEM_ONE);
    rd_raw(q, c->id.bytes, sizeof c->id);
    rd_u8(q, c->by >= 0 && c->by <= JOBQ_BY_OPERATOR ? (unsigned)c->by : 0);
    rd_raw(q, c->token.bytes, sizeof c->token);
    rd_raw(q, c->digest, sizeof c->digest);
    rd_u32(q, c->allowed);
    rd_u32(q, c->edits);
    rd_u8(q, (unsigned)c->outcome);
    rd_u8(q, (unsigned)c->state);
    rd_u8(q, (unsigned)c->reason);
    rd_u32(q, c->set);
    rd_time(q, &c->run_at);
    rd_time(q, &c->callback_until);
    rd_i64(q, c->lease_ms);
    const int32_t counters[] = { c->failures, c->crashes, c->snoozes, c->releases, c->redrives };
    for (int i = 0; i < 5; i++)
        rd_i32(q, counters[i]);
    rd_u8(q, c->alone != 0);
    rd_i32(q, c->error_kind);
    rd_u8(q, present);
    if (c->set & JOBQ_ADD_LOG)
        rd_u8(q, (unsigned)at_most(c->log_count, LOG_KEPT));
    rd_argument_end(q);
    for (unsigned i = 0; i < 5; i++)
        if (present & 1u << i)
            rd_argument(q, all[i]->data, all[i]->size);
    if (c->set & JOBQ_ADD_LOG)
        say_lines(q, c);
}

static void say_changes(struct request *q, const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->change_count;) {
        if (is_plain_end(&x->changes[i]))
            i += say_ends(q, &x->changes[i], x->change_count - i);
        else
            say_change(q, &x->changes[i++]);
    }
}

/* ---- the request: puts -------------------------------------------------------------------------------------------------- */

static bool is_now(const struct jobq_time *when)
{
    return when->base < JOBQ_TIME_NOW || when->base > JOBQ_TIME_ROW ||
           (when->base == JOBQ_TIME_NOW && when->offset_ms == 0);
}

static bool is_none(const struct jobq_time *when)
{
    return when->base < JOBQ_TIME_NOW || when->base > JOBQ_TIME_ROW ||
           (when->base == JOBQ_TIME_ABS && when->offset_ms == 0);
}

/* Due now, and nothing is said that concerns another row but for a key. */
static bool is_plain(const struct jobq_put *p)
{
    return is_now(&p->run_at) && is_none(&p->expires_at) && !p->held && !p->parent_count && !p->rank_add_ms &&
           !rd_is_bulky(p->payload) && !may_succeed(p) && !p->tick;
}

static bool same_bytes(struct jobq_bytes a, struct jobq_bytes b)
{
    return a.size == b.size && (a.data == b.data || memcmp(a.data, b.data, a.size) == 0);
}

static bool same_rule(const struct jobq_put_key *a, const struct jobq_put_key *b)
{
    return a && b ? a->hold == b->hold && a->conflict == b->conflict && a->window_ms == b->window_ms : !a && !b;
}

static bool same_run_of_puts(const struct jobq_put *a, const struct jobq_put *b)
{
    return is_plain(b) && a->only_if == b->only_if && same_rule(a->unique, b->unique) &&
           same_bytes(a->queue, b->queue) && same_bytes(a->kind, b->kind) && !a->group.size == !b->group.size;
}

static void say_run_head(struct request *q, const struct jobq_put *first, size_t count)
{
    const struct jobq_put_key *key = first->unique;
    rd_argument_begin(q);
    rd_u8(q, ITEM_RUN);
    rd_u16(q, count);
    rd_u32(q, first->only_if < 0 ? 0 : (uint32_t)first->only_if + 1);
    rd_u8(q, (key ? RUN_KEYED : 0) | (first->group.size ? RUN_GROUPED : 0));
    rd_u8(q, (unsigned)first->queue.size);
    rd_raw(q, first->queue.data, first->queue.size);
    rd_u8(q, (unsigned)first->kind.size);
    rd_raw(q, first->kind.data, first->kind.size);
    if (key) {
        rd_u8(q, (unsigned)key->hold);
        rd_u8(q, (unsigned)key->conflict);
        rd_i64(q, key->window_ms);
    }
    rd_argument_end(q);
}

static size_t say_plain(struct request *q, const struct jobq_put *first, size_t most)
{
    size_t count = 1;
    while (count < most && count < RUN_MOST && same_run_of_puts(first, &first[count]))
        count++;
    say_run_head(q, first, count);
    rd_argument_begin(q);
    for (size_t i = 0; i < count; i++)
        rd_raw(q, first[i].id.bytes, sizeof first[i].id);
    rd_argument_end(q);
    for (size_t i = 0; i < count; i++)
        rd_row_rest(q, &first[i]);
    return count;
}

static void say_parents(struct request *q, const struct jobq_put *p)
{
    rd_argument_begin(q);
    for (size_t i = 0; i < p->parent_count; i++) {
        rd_raw(q, p->parents[i].id.bytes, sizeof p->parents[i].id);
        rd_u8(q, (unsigned)p->parents[i].rule);
    }
    rd_argument_end(q);
}

static void say_put(struct request *q, const struct jobq_put *p)
{
    static const struct jobq_put_key none;
    const struct jobq_put_key *key = p->unique ? p->unique : &none;
    struct jobq_time run_at = p->run_at;
    if (is_now(&run_at))
        run_at = (struct jobq_time){ .base = JOBQ_TIME_KEEP };
    rd_argument_begin(q);
    rd_u8(q, p->tick ? ITEM_WITH_TICK : ITEM_ONE);
    rd_raw(q, p->id.bytes, sizeof p->id);
    rd_u8(q, (unsigned)p->queue.size);
    rd_raw(q, p->queue.data, p->queue.size);
    rd_u8(q, (unsigned)p->kind.size);
    rd_raw(q, p->kind.data, p->kind.size);
    rd_time(q, &run_at);
    rd_time(q, &p->expires_at);
    rd_u8(q, p->held != 0);
    rd_u32(q, p->only_if < 0 ? 0 : (uint32_t)p->only_if + 1);
    rd_u8(q, p->unique != NULL);
    rd_raw(q, key->scope, sizeof key->scope);
    rd_raw(q, key->payload_digest, sizeof key->payload_digest);
    rd_u8(q, (unsigned)key->hold);
    rd_u8(q, (unsigned)key->conflict);
    rd_i64(q, key->window_ms);
    rd_u8(q, rd_is_bulky(p->payload));
    rd_argument_end(q);
    say_parents(q, p);
    rd_row_rest(q, p);
    if (rd_is_bulky(p->payload))
        rd_argument(q, p->payload.data, p->payload.size);
    if (p->tick)
        rd_schedule_tick(q, p->tick);
}

static void say_puts(struct request *q, const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->put_count;) {
        if (is_plain(&x->puts[i]))
            i += say_plain(q, &x->puts[i], x->put_count - i);
        else
            say_put(q, &x->puts[i++]);
    }
}

/* ---- the request: worker and want ----------------------------------------------------------------------------------------- */

static void short_bytes(struct request *q, struct jobq_bytes bytes)
{
    rd_u16(q, at_most(bytes.size, UINT16_MAX));
    rd_raw(q, bytes.data, at_most(bytes.size, UINT16_MAX));
}

static void say_worker(struct request *q, const struct jobq_worker_record *w)
{
    const uint8_t leaving = w->leaving != 0;
    rd_argument(q, &leaving, 1);
    rd_argument_begin(q);
    short_bytes(q, w->name);
    rd_raw(q, w->nonce, sizeof w->nonce);
    rd_argument_end(q);
    rd_argument_begin(q);
    rd_i64(q, w->lease_ms);
    rd_i64(q, w->pid);
    rd_i64(q, w->started_at_ms);
    rd_i32(q, w->capacity);
    rd_i32(q, w->running);
    short_bytes(q, w->host);
    short_bytes(q, w->queues);
    short_bytes(q, w->kinds);
    rd_argument_end(q);
}

static void say_want(struct request *q, const struct jobq_want *w)
{
    const int64_t exact = INT64_C(1) << 53;
    rd_argument_begin(q);
    rd_u8(q, (unsigned)w->mode);
    rd_u32(q, at_most(w->limit, 1000000));
    rd_i64(q, w->bytes < (uint64_t)exact ? (int64_t)w->bytes : exact - 1);
    rd_i64(q, w->lease_ms);
    rd_u8(q, w->others != 0);
    rd_raw(q, w->mint, sizeof w->mint);
    rd_u32(q, w->mode == JOBQ_WANT_OVERDUE ? 0 : w->queue_count);
    rd_u32(q, w->mode == JOBQ_WANT_OVERDUE ? 0 : w->kind_count);
    bool has_places = w->mode == JOBQ_WANT_DUE && w->cursor.size > 0;
    rd_u32(q, w->share > 1 ? (uint64_t)w->share : 1);
    rd_u8(q, has_places);
    rd_u8(q, w->worker.data != NULL);
    rd_raw(q, w->worker.data, w->worker.size);
    rd_argument_end(q);
    if (w->mode == JOBQ_WANT_OVERDUE)
        return;
    for (size_t i = 0; i < w->queue_count; i++) {
        rd_argument(q, w->queues[i].data, w->queues[i].size);
        if (has_places)
            rd_turn_place(q, w->cursor, w->queues[i]);
    }
    for (size_t i = 0; i < w->kind_count; i++)
        rd_argument(q, w->kinds[i].data, w->kinds[i].size);
}

static void say_all(struct jobq_store *s, const struct jobq_exchange *x)
{
    rd_script_begin(s);
    say_head(s, x);
    if (x->trim.limit)
        say_trim(&s->request, &x->trim);
    for (size_t i = 0; i < x->beat_count; i++)
        say_beat(&s->request, &x->beats[i]);
    say_changes(&s->request, x);
    say_puts(&s->request, x);
    if (x->worker)
        say_worker(&s->request, x->worker);
    if (x->want)
        say_want(&s->request, x->want);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

static int fail(struct jobq_store *s, struct jobq_exchange *x, struct jobq_error *err)
{
    x->want_unit = JOBQ_SKIPPED;
    x->failure = s->link.fault.failure;
    x->unit = rd_fault_report(&s->link, err);
    if (x->want)
        rd_want_clear(x->want);
    return x->unit;
}

static int run_once(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena)
{
    redisReply *reply;
    say_all(s, x);
    if (rd_script_run(s, SCRIPT_EXCHANGE, &reply) != 0)
        return -1;
    int status = rd_exchange_answer(reply, x, arena);
    freeReplyObject(reply);
    return status < 0 ? rd_broken(s) : status;
}

int rd_exchange_run(struct jobq_store *s, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *err)
{
    x->failure = 0;
    x->guilty_change = x->guilty_put = -1;
    x->now_ms = 0;
    x->next_due_ms = x->next_tick_ms = INT64_MAX;
    if (check(s, x, err) != 0)
        return x->unit;
    rd_link_begin(&s->link);
    int status = run_once(s, x, arena);
    /* The server lost everything, or was exchanged for an empty one: then this is a new store. */
    if (status == STORE_GONE) {
        if (rd_namespace_open(s, true, err) != JOBQ_OK)
            return fail(s, x, err);
        status = run_once(s, x, arena);
    }
    if (status < 0)
        return fail(s, x, err);
    x->want_unit = JOBQ_OK;
    x->unit = JOBQ_OK;
    if (status == DONE_NOW || status == DONE_BEFORE)
        return JOBQ_OK;
    if (status == ANOTHER_REQUEST)
        rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_REFUSED, "the same request number for another request");
    else
        rd_fault(&s->link, JOBQ_FAILED, JOBQ_FAILURE_REFUSED, "the namespace is of another version by now");
    return fail(s, x, err);
}
