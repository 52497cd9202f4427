/* SPDX-License-Identifier: MIT */
/* What one thread of the storm does: mostly exchanges that put, end and claim many at a time, between them
 * whatever else there is to be done to a job. */
#include "storm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 1500
#define KEYS    24
#define GROUPS  6
#define PUTS    37
#define LOOK    20
#define LONG_MS 3600000

static bool one_in(struct blower *b, int n)
{
    return storm_dice(b, n) == 0;
}

static int between(struct blower *b, int low, int high)
{
    return low + storm_dice(b, high - low + 1);
}

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static struct jobq_bytes text_in(struct blower *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static struct jobq_bytes text_in(struct blower *b, const char *format, ...)
{
    char *text = need(jobq_arena_alloc(b->arena, 40));
    va_list more;
    va_start(more, format);
    int size = vsnprintf(text, 40, format, more);
    va_end(more);
    return (struct jobq_bytes){text, (size_t)size};
}

/* ---- puts ------------------------------------------------------------------------------------------------ */

static void set_key(struct jobq_put *put, struct blower *b, int key)
{
    struct jobq_put_key *unique = need(jobq_arena_alloc(b->arena, sizeof *unique));
    *unique = (struct jobq_put_key){.scope = {'k', (uint8_t)key}, .hold = JOBQ_HOLD_LIVE};
    put->key = text_in(b, "key %d", key);
    put->unique = unique;
}

static void set_parent(struct jobq_put *put, struct blower *b, long number)
{
    struct jobq_parent *parent = need(jobq_arena_alloc(b->arena, sizeof *parent));
    long back = 1 + storm_dice(b, number > 60 ? 60 : (int)number);
    *parent = (struct jobq_parent){.id = storm_id(number - back), .rule = storm_dice(b, 3)};
    put->parents = parent;
    put->parent_count = 1;
}

/* Something hangs on it. */
static void set_special(struct jobq_put *put, struct blower *b, long number)
{
    struct entry *e = &b->storm->ledger[number];
    int key = storm_dice(b, KEYS);
    switch (storm_dice(b, 6)) {
    case 0:
        e->key = key;
        set_key(put, b, key);
        break;
    case 1:
        if (number && b->storm->backend->capabilities & JOBQ_CAP_EDGES) {
            e->child = true;
            set_parent(put, b, number);
        }
        break;
    case 2:
        put->run_at = (struct jobq_time){JOBQ_TIME_NOW, between(b, 1, 40)};
        break;
    case 3:
        put->priority = between(b, 0, 2);
        put->rank_add_ms = 1000 * put->priority;
        break;
    case 4:
        put->timeout_ms = LONG_MS;
        break;
    default:
        break;
    }
}

static void add_puts(struct blower *b, struct jobq_exchange *x)
{
    struct storm *storm = b->storm;
    int count = one_in(b, 7) ? between(b, 1, 7) : between(b, 8, PUTS), queue = storm_dice(b, STORM_QUEUES);
    long first = atomic_fetch_add(&storm->next, count);
    if (first >= storm->jobs)
        return;
    count = first + count > storm->jobs ? (int)(storm->jobs - first) : count;
    int special = storm->plain ? 0 : storm_dice(b, 4), group = storm_dice(b, GROUPS);
    struct jobq_put *puts = need(jobq_arena_alloc(b->arena, (size_t)count * sizeof *puts));
    for (int i = 0; i < count; i++) {
        long number = first + i;
        storm->ledger[number].queue = queue;
        puts[i] = (struct jobq_put){.id = storm_id(number), .queue = storm_queue(queue),
                                    .kind = storm_queue(queue),
                                    .payload = text_in(b, "job %08ld and more", number), .only_if = -1};
        if (special == 1 && storm->backend->capabilities & JOBQ_CAP_GROUPS)
            puts[i].group = text_in(b, "group %d", group);
        else if (special == 2 && one_in(b, 2))
            set_special(&puts[i], b, number);
    }
    x->puts = puts;
    x->put_count = (size_t)count;
}

static void read_puts(struct blower *b, const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->put_count; i++) {
        long number = storm_number_of(&x->puts[i].id);
        struct entry *e = &b->storm->ledger[number];
        int verdict = x->puts[i].verdict;
        if (verdict == JOBQ_OK)
            atomic_store(&e->put, 1);
        else if ((verdict == JOBQ_DUPLICATE && e->key >= 0) || (verdict == JOBQ_NO_PARENT && e->child))
            atomic_store(&e->refused, 1);
        else
            storm_note(b->storm, "the put of job %ld is answered by %d", number, verdict);
    }
}

/* ---- what is held ---------------------------------------------------------------------------------------- */

static void drop(struct blower *b, int at)
{
    b->held[at] = b->held[--b->held_count];
}

static void ended(struct storm *storm, atomic_int *count)
{
    atomic_fetch_add(count, 1);
    atomic_fetch_add(&storm->ended, 1);
}

/* The answer to a change that names a token of ours: 1 it is made, 0 somebody took the job from us. */
static bool still_ours(struct blower *b, const struct jobq_change *c, long number)
{
    if (c->verdict == JOBQ_OK)
        return true;
    if (c->verdict == JOBQ_STALE)
        atomic_fetch_add(&b->storm->ledger[number].lost, 1);
    else
        storm_note(b->storm, "a change of job %ld, which is held, is answered by %d", number, c->verdict);
    return false;
}

static struct jobq_change by_token(const struct held *h, int outcome, int state)
{
    return (struct jobq_change){.id = h->id, .by = JOBQ_BY_TOKEN, .token = h->token, .edits = JOBQ_ANY_EDITS,
                                .outcome = outcome, .state = state};
}

static void set_counters(struct jobq_change *c, const struct held *h)
{
    c->set |= JOBQ_SET_COUNTERS;
    c->failures = h->failures + (c->outcome == JOBQ_OUTCOME_FAIL);
    c->releases = h->releases + (c->outcome == JOBQ_OUTCOME_RELEASE);
    c->snoozes = h->snoozes + (c->outcome == JOBQ_OUTCOME_SNOOZE);
}

static struct jobq_change complete_of(const struct held *h)
{
    struct jobq_change c = by_token(h, JOBQ_OUTCOME_COMPLETE, JOBQ_ROW_COMPLETED);
    c.set = JOBQ_SET_RESULT;
    return c;
}

/* Not done, in one of the ways there are. */
static struct jobq_change other_outcome(struct blower *b, const struct held *h)
{
    static const int outcomes[] = {JOBQ_OUTCOME_FAIL, JOBQ_OUTCOME_RELEASE, JOBQ_OUTCOME_SNOOZE};
    struct jobq_change c = by_token(h, outcomes[storm_dice(b, 3)], JOBQ_ROW_WAITING);
    set_counters(&c, h);
    if (c.outcome == JOBQ_OUTCOME_SNOOZE || c.outcome == JOBQ_OUTCOME_FAIL) {
        c.set |= JOBQ_SET_RUN_AT;
        c.run_at = (struct jobq_time){JOBQ_TIME_NOW, storm_dice(b, 20)};
    }
    if (c.outcome == JOBQ_OUTCOME_FAIL) {
        c.set |= JOBQ_ADD_ERROR;
        c.error_kind = JOBQ_ERROR_HANDLER;
        c.error = (struct jobq_bytes){"trouble", 7};
        if (c.failures >= 3) {
            c.state = JOBQ_ROW_DEAD;
            c.reason = JOBQ_REASON_ATTEMPTS;
        }
    }
    if (h->cancel) {
        c.state = JOBQ_ROW_CANCELLED;
        c.reason = JOBQ_REASON_NONE;
        c.set &= ~(uint32_t)JOBQ_SET_RUN_AT;
    }
    return c;
}

static struct jobq_change outcome_of(struct blower *b, const struct held *h, bool mixed)
{
    if (!mixed || one_in(b, 2)) {
        struct jobq_change c = complete_of(h);
        if (mixed && one_in(b, 4))
            c.result = (struct jobq_bytes){"done", 4};
        return c;
    }
    return other_outcome(b, h);
}

static void set_trim(struct jobq_exchange *x, size_t count)
{
    x->trim = (struct jobq_trim){.limit = 2 * count + 16};
    for (int i = 0; i < 8; i++)
        x->trim.keep_count[i] = STORM_KEEP;
}

/* Some of what it holds, `from` to `from + count`. */
static void add_acks(struct blower *b, struct jobq_exchange *x, int from, int count, bool mixed)
{
    struct jobq_change *changes = need(jobq_arena_alloc(b->arena, (size_t)count * sizeof *changes));
    for (int i = 0; i < count; i++)
        changes[i] = outcome_of(b, &b->held[from + i], mixed);
    x->changes = changes;
    x->change_count = (size_t)count;
    set_trim(x, (size_t)count);
}

static void count_end(struct storm *storm, const struct jobq_change *c, struct entry *e)
{
    if (c->state == JOBQ_ROW_COMPLETED)
        ended(storm, &e->completed);
    else if (c->state == JOBQ_ROW_DEAD)
        ended(storm, &e->dead);
    else if (c->state == JOBQ_ROW_CANCELLED)
        ended(storm, &e->cancelled);
    if (c->outcome == JOBQ_OUTCOME_FAIL)
        atomic_fetch_add(&storm->failed, 1);
}

static void read_acks(struct blower *b, const struct jobq_exchange *x, int from)
{
    for (size_t i = x->change_count; i-- > 0;) {
        int at = from + (int)i;
        struct entry *e = &b->storm->ledger[b->held[at].number];
        if (still_ours(b, &x->changes[i], b->held[at].number))
            count_end(b->storm, &x->changes[i], e);
    }
    memmove(&b->held[from], &b->held[from + (int)x->change_count],
            (size_t)(b->held_count - from - (int)x->change_count) * sizeof *b->held);
    b->held_count -= (int)x->change_count;
}

/* ---- claims ---------------------------------------------------------------------------------------------- */

static void add_want(struct blower *b, struct jobq_exchange *x, size_t limit)
{
    struct jobq_want *w = need(jobq_arena_alloc(b->arena, sizeof *w));
    struct jobq_bytes *queues = need(jobq_arena_alloc(b->arena, STORM_QUEUES * sizeof *queues));
    int first = storm_dice(b, STORM_QUEUES);
    for (int i = 0; i < STORM_QUEUES; i++)
        queues[i] = storm_queue((first + i) % STORM_QUEUES);
    *w = (struct jobq_want){.mode = JOBQ_WANT_DUE, .queues = queues, .limit = limit, .bytes = 1 << 20,
                            .queue_count = (size_t)between(b, 1, STORM_QUEUES), .lease_ms = STORM_LEASE_MS,
                            .share = 4, .others = (size_t)b->held_count,
                            .worker = text_in(b, "thread %d", b->name), .cursor = b->cursor};
    if (one_in(b, 8)) {
        w->kinds = queues;
        w->kind_count = 1;
    }
    x->want = w;
}

static void keep_cursor(struct blower *b, struct jobq_bytes cursor)
{
    if (!cursor.data || cursor.size > sizeof b->cursor_bytes)
        return;
    memcpy(b->cursor_bytes, cursor.data, cursor.size);
    b->cursor = (struct jobq_bytes){b->cursor_bytes, cursor.size};
}

static void read_want(struct blower *b, const struct jobq_want *w)
{
    if (w->row_count > w->limit) {
        storm_note(b->storm, "a claim of %zu gave %zu", w->limit, w->row_count);
        return;
    }
    for (size_t i = 0; i < w->row_count; i++) {
        const struct jobq_row *r = &w->rows[i];
        storm_claimed(b->storm, r, w);
        if (atomic_load(&b->storm->broken))
            return;
        b->held[b->held_count++] = (struct held){.number = storm_number(b->storm, r), .id = r->id,
                                                 .token = r->token, .failures = r->failures,
                                                 .releases = r->releases, .snoozes = r->snoozes,
                                                 .cancel = r->cancel_asked};
    }
    keep_cursor(b, w->next_cursor);
    atomic_fetch_add(&b->storm->claims, w->row_count > 0);
    atomic_fetch_add(&b->storm->claimed, (long)w->row_count);
}

/* ---- the exchange of a worker: it ends some, puts some, takes some --------------------------------------- */

static void work(struct blower *b)
{
    struct jobq_exchange x = {.size = 0};
    int from = 0;
    long backlog = atomic_load(&b->storm->next) - atomic_load(&b->storm->ended);
    if (b->held_count && (b->held_count > STORM_HOLD - STORM_MOST || !one_in(b, 3))) {
        int count = one_in(b, 2) ? b->held_count : between(b, 1, b->held_count);
        from = one_in(b, 2) ? 0 : storm_dice(b, b->held_count - count + 1);
        add_acks(b, &x, from, count, one_in(b, 4));
    }
    if (backlog < BACKLOG && one_in(b, x.change_count ? 8 : 2))
        add_puts(b, &x);
    int room = STORM_HOLD - b->held_count + (int)x.change_count;
    if (room >= STORM_MOST && (!x.put_count || one_in(b, 4)))
        add_want(b, &x, (size_t)(one_in(b, 4) ? between(b, 1, 7) : between(b, 8, STORM_MOST)));
    if (!storm_send(b, &x))
        return;
    read_acks(b, &x, from);
    read_puts(b, &x);
    if (x.want)
        read_want(b, x.want);
}

/* ---- heartbeats ------------------------------------------------------------------------------------------ */

static int count_held(const struct blower *b, const struct jobq_token *token, bool taken)
{
    int count = 0;
    for (int i = 0; i < b->held_count; i++)
        if (memcmp(&b->held[i].token, token, sizeof *token) == 0)
            count += !taken || atomic_load(&b->storm->ledger[b->held[i].number].taken) > 0;
    return count;
}

static void mark(struct blower *b, const struct jobq_row *row)
{
    for (int i = 0; i < b->held_count; i++)
        if (memcmp(&b->held[i].id, &row->id, sizeof row->id) == 0) {
            b->held[i].cancel = true;
            return;
        }
    storm_note(b->storm, "a heartbeat marks a job that is not held");
}

/* What is taken from us is in the ledger before the store knows, so the look into it comes second. */
static void beat(struct blower *b)
{
    if (!b->held_count)
        return;
    struct jobq_beat beat = {.token = b->held[storm_dice(b, b->held_count)].token, .lease_ms = STORM_LEASE_MS,
                             .flags = one_in(b, 12) ? JOBQ_BEAT_RELEASE : 0};
    struct jobq_exchange x = {.beats = &beat, .beat_count = 1};
    if (!storm_send(b, &x))
        return;
    int held = count_held(b, &beat.token, false), taken = count_held(b, &beat.token, true);
    if (beat.held > (size_t)held ||
        (!atomic_load(&b->storm->swept) && beat.held + (size_t)taken < (size_t)held))
        storm_note(b->storm, "a heartbeat for %d jobs, of which %d may have been taken, holds %zu", held,
                   taken, beat.held);
    for (size_t i = 0; i < beat.mark_count; i++)
        if (beat.marks[i].cancel_asked)
            mark(b, &beat.marks[i]);
    for (int i = b->held_count; i-- > 0 && beat.flags;)
        if (memcmp(&b->held[i].token, &beat.token, sizeof beat.token) == 0)
            drop(b, i);
}

/* ---- one job --------------------------------------------------------------------------------------------- */

static bool change_one(struct blower *b, struct jobq_change *c)
{
    struct jobq_exchange x = {.changes = c, .change_count = 1};
    if (JOBQ_ROW_BIT(c->state) & JOBQ_ROW_ENDED)
        set_trim(&x, 1);
    return storm_send(b, &x);
}

/* Any that is there, by preference in these states. NULL: there is none. */
static const struct jobq_row *any_row(struct blower *b, uint32_t states)
{
    struct jobq_query query = {.size = sizeof query, .states = states, .limit = 4};
    long next = atomic_load(&b->storm->next);
    query.after = storm_id(next ? storm_dice(b, (int)next) : 0);
    if (!storm_read(b, &query))
        return NULL;
    if (!query.row_count) {
        memset(&query.after, 0, sizeof query.after);
        if (!storm_read(b, &query) || !query.row_count)
            return NULL;
    }
    return &query.rows[storm_dice(b, (int)query.row_count)];
}

static void edit(struct blower *b)
{
    const struct jobq_row *row = any_row(b, 1u << JOBQ_READY | 1u << JOBQ_SCHEDULED | 1u << JOBQ_BLOCKED);
    long number = row ? storm_number(b->storm, row) : -1;
    if (number < 0)
        return;
    struct jobq_change c = {.id = row->id, .by = JOBQ_BY_OPERATOR,
                            .edits = one_in(b, 2) ? row->edits : JOBQ_ANY_EDITS,
                            .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING) | JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED)};
    if (one_in(b, 2)) {
        c.set = JOBQ_SET_PAYLOAD;
        c.payload = text_in(b, "job %08ld, edited", number);
    } else {
        c.set = JOBQ_SET_RUN_AT;
        c.run_at = (struct jobq_time){JOBQ_TIME_NOW, storm_dice(b, 30)};
    }
    if (change_one(b, &c) && c.verdict != JOBQ_OK && c.verdict != JOBQ_STALE && c.verdict != JOBQ_OUTDATED)
        storm_note(b->storm, "an edit of job %ld is answered by %d", number, c.verdict);
}

/* One that it holds: what its handler says on its way. */
static void tell(struct blower *b)
{
    if (!b->held_count)
        return;
    int at = storm_dice(b, b->held_count);
    struct jobq_change c = by_token(&b->held[at], JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    if (one_in(b, 2)) {
        c.set = JOBQ_SET_LEASE;
        c.lease_ms = STORM_LEASE_MS;
    } else {
        c.set = JOBQ_SET_PROGRESS;
        c.progress = (struct jobq_bytes){"half", 4};
    }
    if (change_one(b, &c) && !still_ours(b, &c, b->held[at].number))
        drop(b, at);
}

static struct jobq_change cancel_of(const struct jobq_row *row)
{
    return (struct jobq_change){.id = row->id, .by = JOBQ_BY_OPERATOR, .edits = JOBQ_ANY_EDITS,
                                .state = JOBQ_ROW_CANCELLED,
                                .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING) | JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED)};
}

static struct jobq_change stop_of(const struct jobq_row *row, bool hard)
{
    struct jobq_change c = cancel_of(row);
    c.allowed = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING);
    if (hard) {
        c.outcome = JOBQ_OUTCOME_VOID;
    } else {
        c.state = JOBQ_ROW_KEEP;
        c.set = JOBQ_SET_CANCEL_ASKED;
    }
    return c;
}

static void cancel(struct blower *b)
{
    const struct jobq_row *row =
        any_row(b, one_in(b, 2) ? 1u << JOBQ_RUNNING : 1u << JOBQ_READY | 1u << JOBQ_BLOCKED);
    long number = row ? storm_number(b->storm, row) : -1;
    if (number < 0)
        return;
    struct entry *e = &b->storm->ledger[number];
    struct jobq_change c = row->state == JOBQ_ROW_RUNNING ? stop_of(row, one_in(b, 2)) : cancel_of(row);
    atomic_fetch_add(&e->taken,
                     c.outcome == JOBQ_OUTCOME_VOID); /* before: its holder may hear of it before we do */
    if (!change_one(b, &c))
        return;
    if (c.verdict == JOBQ_OK)
        count_end(b->storm, &c, e);
    else if (c.verdict != JOBQ_STALE)
        storm_note(b->storm, "a cancel of job %ld is answered by %d", number, c.verdict);
}

static struct jobq_change redrive_of(const struct jobq_row *row, const struct entry *e)
{
    struct jobq_change c = {.id = row->id, .by = JOBQ_BY_OPERATOR, .edits = JOBQ_ANY_EDITS,
                            .state = JOBQ_ROW_WAITING,
                            .allowed = JOBQ_ROW_BIT(JOBQ_ROW_DEAD) | JOBQ_ROW_BIT(JOBQ_ROW_CANCELLED),
                            .run_at = {JOBQ_TIME_NOW, 0}, .redrives = row->redrives + 1,
                            .set = JOBQ_SET_COUNTERS | JOBQ_CLEAR_CANCEL | JOBQ_SET_RUN_AT};
    c.set |= (e->key >= 0 ? JOBQ_TAKE_KEY : 0u) | (e->child ? JOBQ_BLOCK_AGAIN : 0u);
    return c;
}

/* A dead or cancelled one lives again; one that has ended is removed. */
static void revive_or_remove(struct blower *b)
{
    bool revive = one_in(b, 2);
    const struct jobq_row *row =
        any_row(b, 1u << JOBQ_DEAD | 1u << JOBQ_CANCELLED | (revive ? 0 : 1u << JOBQ_COMPLETED));
    long number = row ? storm_number(b->storm, row) : -1;
    if (number < 0)
        return;
    struct entry *e = &b->storm->ledger[number];
    struct jobq_change c = {.id = row->id, .by = JOBQ_BY_OPERATOR, .edits = JOBQ_ANY_EDITS,
                            .state = JOBQ_ROW_GONE, .allowed = JOBQ_ROW_ENDED};
    if (revive)
        c = redrive_of(row, e);
    if (!change_one(b, &c))
        return;
    if (c.verdict == JOBQ_OK) {
        atomic_fetch_add(revive ? &e->redriven : &e->removed, 1);
        atomic_fetch_sub(&b->storm->ended, revive);
    } else if (c.verdict != JOBQ_STALE && (c.verdict != JOBQ_DUPLICATE || e->key < 0)) {
        storm_note(b->storm, "a %s of job %ld is answered by %d", revive ? "redrive" : "removal", number,
                   c.verdict);
    }
}

/* ---- looks ----------------------------------------------------------------------------------------------- */

static void list(struct blower *b)
{
    struct jobq_query query = {.size = sizeof query, .limit = (size_t)between(b, 1, 100),
                               .flags = JOBQ_READ_PAYLOAD,
                               .states = one_in(b, 3) ? 0 : (uint32_t)between(b, 1, 127) << 1};
    long next = atomic_load(&b->storm->next);
    if (one_in(b, 2))
        query.queue = storm_queue(storm_dice(b, STORM_QUEUES));
    if (next && one_in(b, 2))
        query.after = storm_id(storm_dice(b, (int)next));
    if (!storm_read(b, &query))
        return;
    const struct jobq_id *before = &query.after;
    for (size_t i = 0; i < query.row_count; i++) {
        const struct jobq_row *r = &query.rows[i];
        int shown = jobq_shown_state(r->state, r->run_at_ms, query.now_ms);
        if (storm_number(b->storm, r) < 0)
            return;
        if (memcmp(&r->id, before, sizeof r->id) <= 0 || (query.states && !(query.states >> shown & 1)) ||
            (query.queue.data && r->queue.size != query.queue.size))
            storm_note(b->storm, "a list of states %#x gives job %ld in state %d, or out of order",
                       query.states, storm_number(b->storm, r), shown);
        before = &r->id;
    }
}

/* What it holds is there and runs under its token, unless it may have been taken. */
static void check_held(struct blower *b, const struct held *h, const struct jobq_row *row)
{
    bool so = row && row->state == JOBQ_ROW_RUNNING && memcmp(&row->token, &h->token, sizeof h->token) == 0;
    if (!so && !atomic_load(&b->storm->swept) && !atomic_load(&b->storm->ledger[h->number].taken))
        storm_note(b->storm, "job %ld, which is held, is read %s, state %d", h->number,
                   row ? "under another token" : "not at all", row ? row->state : 0);
}

/* The first of the ids are those of `own`, which it holds. */
static void check_asked(struct blower *b, const struct jobq_query *query, const struct held *own,
                        size_t own_count)
{
    size_t at = 0;
    for (size_t i = 0; i < query->id_count; i++) {
        const struct jobq_row *row = at < query->row_count ? &query->rows[at] : NULL;
        if (row && memcmp(&row->id, &query->ids[i], sizeof row->id) != 0)
            row = NULL;
        if (row && storm_number(b->storm, row) < 0)
            return;
        if (i < own_count)
            check_held(b, &own[i], row);
        at += row != NULL;
    }
    if (at < query->row_count)
        storm_note(b->storm, "a row that was not asked for, or not in the order asked");
}

static void get(struct blower *b)
{
    struct jobq_id ids[2 * LOOK];
    struct jobq_query query = {
        .size = sizeof query, .ids = ids, .flags = JOBQ_READ_PAYLOAD | JOBQ_READ_ERRORS, .limit = 100};
    long next = atomic_load(&b->storm->next);
    int own = b->held_count < LOOK ? b->held_count : LOOK, others = next ? between(b, 0, LOOK) : 0;
    int first = own ? storm_dice(b, b->held_count - own + 1) : 0;
    for (int i = 0; i < own; i++)
        ids[query.id_count++] = b->held[first + i].id;
    for (int i = 0; i < others; i++)
        ids[query.id_count++] = storm_id(storm_dice(b, (int)(next < b->storm->jobs ? next : b->storm->jobs)));
    if (query.id_count && storm_read(b, &query))
        check_asked(b, &query, b->held + first, (size_t)own);
}

static void count(struct blower *b)
{
    struct jobq_stats stats = {.size = sizeof stats};
    if (storm_stats(b, &stats))
        storm_check_stats(b->storm, &stats);
}

/* ---- bounds, and death ----------------------------------------------------------------------------------- */

static void bound(struct blower *b, int64_t concurrency)
{
    if (!(b->storm->backend->capabilities & JOBQ_CAP_GROUPS))
        return;
    struct jobq_settings s = {.size = sizeof s, .what = JOBQ_CONFIGURE_GROUP, .set = JOBQ_SETTING_CONCURRENCY,
                              .group = text_in(b, "group %d", storm_dice(b, GROUPS)),
                              .concurrency = concurrency};
    storm_configure(b, &s);
}

/* Its holder is gone. */
static struct jobq_change judgement(const struct jobq_row *r)
{
    struct held h = {.id = r->id, .token = r->token, .failures = r->failures - 1, .releases = r->releases,
                     .snoozes = r->snoozes};
    struct jobq_change c = by_token(&h, JOBQ_OUTCOME_FAIL, JOBQ_ROW_WAITING);
    set_counters(&c, &h);
    c.crashes = r->crashes + 1;
    if (c.crashes >= 3) {
        c.state = JOBQ_ROW_DEAD;
        c.reason = JOBQ_REASON_POISON;
    }
    if (r->cancel_asked) {
        c.state = JOBQ_ROW_CANCELLED;
        c.reason = JOBQ_REASON_NONE;
    }
    return c;
}

/* The judgement of one that was found, and of those who waited for it; `to` has room. Gives how many. */
static size_t judge(struct blower *b, const struct jobq_row *r, struct jobq_change *to)
{
    size_t count = 0;
    for (; count < r->child_count; count++)
        to[count] = (struct jobq_change){.id = r->children[count].id, .by = JOBQ_BY_OPERATOR,
                                         .edits = JOBQ_ANY_EDITS, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED),
                                         .state = JOBQ_ROW_DEAD, .reason = JOBQ_REASON_DEPENDENCY};
    if (r->overdue == JOBQ_OVERDUE_LEASE || r->overdue == JOBQ_OVERDUE_TIMEOUT) {
        atomic_fetch_add(&b->storm->ledger[storm_number_of(&r->id)].taken, 1);
        to[count++] = judgement(r);
    }
    return count;
}

static void send_judgement(struct blower *b, struct jobq_change *changes, size_t count)
{
    struct jobq_exchange x = {.changes = changes, .change_count = count};
    set_trim(&x, count);
    if (!storm_send(b, &x))
        return;
    for (size_t i = 0; i < count; i++) {
        long number = storm_number_of(&changes[i].id);
        if (changes[i].by == JOBQ_BY_TOKEN ? still_ours(b, &changes[i], number)
                                           : changes[i].verdict == JOBQ_OK)
            count_end(b->storm, &changes[i], &b->storm->ledger[number]);
    }
}

/* What has no holder any more is judged. Gives how many there were. */
static size_t sweep(struct blower *b)
{
    struct jobq_want w = {.mode = JOBQ_WANT_OVERDUE, .limit = STORM_MOST, .bytes = 1 << 20,
                          .lease_ms = STORM_LEASE_MS, .worker = text_in(b, "sweeper %d", b->name)};
    struct jobq_exchange x = {.want = &w};
    if (!storm_send(b, &x))
        return 0;
    size_t room = w.row_count, used = 0;
    for (size_t i = 0; i < w.row_count; i++)
        room += w.rows[i].child_count;
    struct jobq_change *changes = need(jobq_arena_alloc(b->arena, (room + 1) * sizeof *changes));
    for (size_t i = 0; i < w.row_count; i++) {
        if (storm_number(b->storm, &w.rows[i]) < 0)
            return 0;
        used += judge(b, &w.rows[i], changes + used);
    }
    send_judgement(b, changes, used);
    return w.row_count;
}

static void move_clock(struct blower *b, int64_t ms)
{
    const struct jobq_settings later = {.size = sizeof later, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms};
    storm_configure(b, &later);
}

/* It forgets what it holds; all leases run out, those of the others, who work on, too; what is found is
 * judged. */
static void die(struct blower *b)
{
    b->held_count = 0;
    atomic_store(&b->storm->swept, true);
    move_clock(b, STORM_LEASE_MS + 1);
    for (int i = 0; i < 20 && sweep(b); i++)
        storm_new_turn(b);
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

void storm_turn(struct blower *b)
{
    static const struct {
        int weight;
        void (*act)(struct blower *b);
    } acts[] = {{70, edit}, {40, tell}, {40, cancel}, {60, beat},
                {30, list}, {50, get},  {25, count},  {20, revive_or_remove}};
    int at = storm_dice(b, 1000);
    storm_new_turn(b);
    if (!b->storm->plain && at < 6) {
        if (at < 2)
            die(b);
        else
            bound(b, at < 4 ? 2 : JOBQ_LIMIT_UNSET);
        return;
    }
    at -= 6;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (at < acts[i].weight) {
            acts[i].act(b);
            return;
        }
        at -= acts[i].weight;
    }
    work(b);
}

void storm_leave(struct blower *b)
{
    int count = one_in(b, 2) ? b->held_count : b->held_count / 2;
    struct jobq_exchange x = {.size = 0};
    storm_new_turn(b);
    if (!count)
        return;
    add_acks(b, &x, 0, count, one_in(b, 2));
    if (storm_send(b, &x))
        read_acks(b, &x, 0);
}

static bool drained(struct blower *b)
{
    struct jobq_stats stats = {.size = sizeof stats};
    uint64_t left = 0;
    if (!storm_stats(b, &stats))
        return true;
    for (size_t i = 0; i < stats.queue_count; i++)
        for (int state = JOBQ_BLOCKED; state <= JOBQ_RUNNING; state++)
            left += stats.queues[i].present[state];
    return left == 0;
}

static void finish_some(struct blower *b)
{
    struct jobq_exchange take = {.size = 0}, end = {.size = 0};
    add_want(b, &take, STORM_MOST);
    take.want->queue_count = STORM_QUEUES;
    take.want->kind_count = 0;
    if (!storm_send(b, &take))
        return;
    read_want(b, take.want);
    if (!b->held_count)
        return;
    add_acks(b, &end, 0, b->held_count, false);
    if (storm_send(b, &end))
        read_acks(b, &end, 0);
}

void storm_settle(struct blower *b)
{
    struct storm *storm = b->storm;
    storm_new_turn(b);
    for (int i = 0; i < GROUPS && !storm->plain && storm->backend->capabilities & JOBQ_CAP_GROUPS; i++) {
        struct jobq_settings s = {.size = sizeof s, .what = JOBQ_CONFIGURE_GROUP,
                                  .set = JOBQ_SETTING_CONCURRENCY, .group = text_in(b, "group %d", i),
                                  .concurrency = JOBQ_LIMIT_UNSET};
        storm_configure(b, &s);
    }
    atomic_store(&storm->swept, true);
    for (long round = 0; !atomic_load(&storm->broken) && !drained(b); round++) {
        storm_new_turn(b);
        if (round % 50 == 0)
            move_clock(b, LONG_MS);
        sweep(b);
        finish_some(b);
        if (round > 1000 + storm->jobs)
            storm_note(storm, "jobs are left that nobody can take");
    }
}
