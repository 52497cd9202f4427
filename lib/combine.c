/* SPDX-License-Identifier: MIT */
/* Concurrent callers share one exchange. Whoever finds a lane to the store free leads: it takes the calls that wait, in order
 * of arrival and within the bounds, runs one exchange for all of them and deals out the answers. No thread of our own. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum stage { STAGE_NEW, STAGE_QUEUED, STAGE_SENT, STAGE_DONE };
/* What a caller that waits is told: to look again, or that nobody else touches its call any more. */
enum bell { BELL_QUIET, BELL_LOOK, BELL_DONE };

#define LET_GO_NS 2000 /* what it takes to wake one, about */

struct shared_answer {
    struct jobq_arena *arena; /* it lies in there itself */
    int refs; /* under the handle's lock once the call is queued; see call_unref */
};

/* The items of one exchange, gathered from its calls. Borrowed from the call when there is only one. */
struct batch {
    struct call *first; /* linked by next */
    size_t calls, beats, changes, puts, ended;
    struct jobq_exchange x;
    struct jobq_want want; /* joined */
    struct call *want_owner;
    bool joined;
    struct jobq_arena *arena;
    struct shared_answer *shared; /* in the arena */
    struct jobq_error error;
};

/* ---- calls --------------------------------------------------------------------------------------------------- */

struct call *call_create(void)
{
    struct call *call = calloc(1, sizeof *call);
    pthread_condattr_t attr;

    if (!call)
        return NULL;
    call->arena = jobq_arena_create();
    if (!call->arena) {
        free(call);
        return NULL;
    }
    call->refs = 1;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&call->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&call->own, NULL);
    return call;
}

void call_unref(struct call *call)
{
    if (!call || __atomic_sub_fetch(&call->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (call->shared && __atomic_sub_fetch(&call->shared->refs, 1, __ATOMIC_ACQ_REL) == 0)
        jobq_arena_destroy(call->shared->arena);
    pthread_cond_destroy(&call->wake);
    pthread_mutex_destroy(&call->own);
    jobq_arena_destroy(call->arena);
    free(call);
}

static size_t log_bytes(const struct jobq_change *c)
{
    size_t bytes = 0;

    for (size_t i = 0; c->set & JOBQ_ADD_LOG && i < c->log_count; i++)
        bytes += c->log[i].size;
    return bytes;
}

static size_t change_bytes(const struct jobq_change *c)
{
    return log_bytes(c) + c->result.size + c->progress.size + c->data.size + c->payload.size + c->error.size;
}

static size_t call_bytes(const struct call *call)
{
    size_t bytes = 0;

    for (size_t i = 0; i < call->change_count; i++)
        bytes += change_bytes(&call->changes[i]);
    for (size_t i = 0; i < call->put_count; i++)
        bytes += put_bytes(&call->puts[i]);
    return bytes;
}

static size_t call_items(const struct call *call)
{
    return call->beat_count + call->change_count + call->put_count;
}

/* ---- wants of several callers -------------------------------------------------------------------------------------- */

static bool same_bytes(const struct jobq_bytes *a, const struct jobq_bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static bool same_names(const struct jobq_bytes *a, size_t a_count, const struct jobq_bytes *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!same_bytes(&a[i], &b[i]))
            return false;
    return true;
}

static bool wants_join(const struct jobq_want *a, const struct jobq_want *b)
{
    return a->mode == JOBQ_WANT_DUE && b->mode == JOBQ_WANT_DUE && a->lease_ms == b->lease_ms &&
           same_bytes(&a->worker, &b->worker) && a->share == b->share && a->limit + b->limit <= EXCHANGE_ITEMS &&
           same_names(a->queues, a->queue_count, b->queues, b->queue_count) &&
           same_names(a->kinds, a->kind_count, b->kinds, b->kind_count);
}

static bool want_fits(const struct batch *b, const struct call *call)
{
    return !call->want || !b->want_owner || wants_join(&b->want, call->want);
}

static void want_add(struct batch *b, struct call *call)
{
    if (!call->want)
        return;
    if (!b->want_owner) {
        b->want_owner = call;
        b->want = *call->want;
        return;
    }
    b->joined = true;
    b->want.limit += call->want->limit;
    b->want.others += call->want->others;
    if (call->want->bytes > b->want.bytes)
        b->want.bytes = call->want->bytes;
}

/* Deal the rows out in order: each caller up to its limit. */
static void want_deal(struct batch *b)
{
    size_t given = 0;

    for (struct call *call = b->first; call; call = call->next) {
        struct jobq_want *mine = call->want;
        if (!mine)
            continue;
        size_t left = b->want.row_count - given;
        mine->token = b->want.token;
        mine->rows = b->want.rows ? b->want.rows + given : NULL;
        mine->row_count = left < mine->limit ? left : mine->limit;
        mine->more = b->want.more;
        mine->schedules = b->want.schedules;
        mine->schedule_count = b->want.schedule_count;
        mine->schedule_now_ms = b->want.schedule_now_ms;
        given += mine->row_count;
    }
}

/* ---- gathering -------------------------------------------------------------------------------------------------------- */

/* Each lane its share of all that wait or are on their way. Alternatives would be many small exchanges beside one large. */
static size_t fair_share(const struct jobq *q)
{
    size_t open = lanes_open(q);

    return (q->waiting + q->sent + open - 1) / open;
}

/* Take calls from the head of the list while they fit. Lock held. */
static void batch_take(struct jobq *q, struct batch *b)
{
    struct call **tail = &b->first;
    size_t items = 0, bytes = 0, most = fair_share(q);

    while (q->first && b->calls < most) {
        struct call *call = q->first;
        if (b->calls && (q->attached || items + call_items(call) > EXCHANGE_ITEMS || bytes + call->bytes > EXCHANGE_BYTES ||
                         (call->worker && b->x.worker) || !want_fits(b, call)))
            break;
        q->first = call->next;
        if (!q->first)
            q->last = NULL;
        call->next = NULL;
        call->stage = STAGE_SENT;
        __atomic_add_fetch(&call->refs, 1, __ATOMIC_RELAXED);
        *tail = call;
        tail = &call->next;
        items += call_items(call);
        bytes += call->bytes;
        b->calls++;
        q->waiting--;
        q->sent++;
        b->beats += call->beat_count;
        b->changes += call->change_count;
        b->puts += call->put_count;
        if (call->worker)
            b->x.worker = call->worker;
        want_add(b, call);
    }
}

static void gather_call(struct batch *b, const struct call *call, size_t *beats, size_t *changes, size_t *puts)
{
    if (call->beat_count)
        memcpy(b->x.beats + *beats, call->beats, call->beat_count * sizeof *call->beats);
    if (call->change_count)
        memcpy(b->x.changes + *changes, call->changes, call->change_count * sizeof *call->changes);
    for (size_t i = 0; i < call->put_count; i++) {
        struct jobq_put *put = &b->x.puts[*puts + i];
        *put = call->puts[i];
        if (put->only_if >= 0)
            put->only_if += (int32_t)*changes;
    }
    *beats += call->beat_count;
    *changes += call->change_count;
    *puts += call->put_count;
}

static void scatter_call(const struct batch *b, struct call *call, size_t *beats, size_t *changes, size_t *puts)
{
    if (call->beat_count)
        memcpy(call->beats, b->x.beats + *beats, call->beat_count * sizeof *call->beats);
    if (call->change_count)
        memcpy(call->changes, b->x.changes + *changes, call->change_count * sizeof *call->changes);
    for (size_t i = 0; i < call->put_count; i++) {
        int32_t only_if = call->puts[i].only_if;
        call->puts[i] = b->x.puts[*puts + i];
        call->puts[i].only_if = only_if;
    }
    *beats += call->beat_count;
    *changes += call->change_count;
    *puts += call->put_count;
}

static void each_call(struct batch *b, void (*fn)(const struct batch *, struct call *, size_t *, size_t *, size_t *))
{
    size_t beats = 0, changes = 0, puts = 0;

    for (struct call *call = b->first; call; call = call->next)
        fn(b, call, &beats, &changes, &puts);
}

/* One call alone lends its arrays; several are gathered into arrays of the exchange. */
static int batch_gather(struct batch *b)
{
    struct call *only = b->first;

    b->x.beat_count = b->beats;
    b->x.change_count = b->changes;
    b->x.put_count = b->puts;
    if (b->calls == 1) {
        b->x.beats = only->beats;
        b->x.changes = only->changes;
        b->x.puts = only->puts;
        return 0;
    }
    b->x.beats = jobq_arena_alloc(b->arena, b->beats * sizeof *b->x.beats + 1);
    b->x.changes = jobq_arena_alloc(b->arena, b->changes * sizeof *b->x.changes + 1);
    b->x.puts = jobq_arena_alloc(b->arena, b->puts * sizeof *b->x.puts + 1);
    if (!b->x.beats || !b->x.changes || !b->x.puts)
        return -1;
    size_t beats = 0, changes = 0, puts = 0;
    for (struct call *call = b->first; call; call = call->next)
        gather_call(b, call, &beats, &changes, &puts);
    return 0;
}

/* ---- sending ------------------------------------------------------------------------------------------------------------ */

static void pause_ms(int64_t ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void send_once(struct lane *lane, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *error)
{
    error->status = 0;
    error->field[0] = error->text[0] = 0;
    x->failure = 0;
    x->guilty_change = x->guilty_put = -1;
    x->unit = x->want_unit = JOBQ_FAILED;
    lane->q->backend->exchange(lane->store, x, arena, error);
}

/* That a repeat failed for certain says nothing of the try before it. */
static void doubt(struct jobq_exchange *x, struct jobq_error *error)
{
    if (x->unit == JOBQ_FAILED)
        x->unit = error->status = JOBQ_UNKNOWN;
    else if (x->unit == JOBQ_OK && x->want)
        x->want_unit = JOBQ_UNKNOWN;
}

/* Send until the outcome is known or the time is over. A repeat carries the same number, so it does nothing twice. */
static void send_known(struct lane *lane, struct jobq_exchange *x, struct jobq_arena *arena, struct jobq_error *error)
{
    const struct jobq *q = lane->q;
    int64_t give_up = monotonic_ms() + q->repeat_ms, wait = 1;
    bool in_doubt = false;

    for (;;) {
        send_once(lane, x, arena, error);
        in_doubt |= x->unit == JOBQ_UNKNOWN || (x->unit == JOBQ_OK && x->want_unit == JOBQ_UNKNOWN);
        if (!in_doubt || (x->unit == JOBQ_OK && (!x->want || x->want_unit == JOBQ_OK)))
            return;
        bool hopeless = x->unit == JOBQ_FAILED && x->failure != JOBQ_FAILURE_TRANSIENT;
        if (q->attached || hopeless || monotonic_ms() + wait > give_up)
            break;
        pause_ms(wait);
        if (JOBQ_MUTANT(15))
            x->number = ++lane->number;
        wait = wait < 500 ? wait * 2 : 500;
    }
    doubt(x, error);
}

/* First act after a claim was given up: what it may hold under its random bytes goes back at no cost. */
static void release_lost(struct lane *lane, struct jobq_arena *arena)
{
    struct jobq_beat beat = { .flags = JOBQ_BEAT_RELEASE | JOBQ_BEAT_MINT };
    struct jobq_exchange x = { .size = sizeof x, .beats = &beat, .beat_count = 1 };
    struct jobq_error error;

    memcpy(beat.token.bytes, lane->lost_mint, sizeof lane->lost_mint);
    memcpy(x.client, lane->client, sizeof x.client);
    x.number = ++lane->number;
    send_known(lane, &x, arena, &error);
    if (x.unit == JOBQ_OK)
        lane->lost_claim = false;
}

static size_t count_ended(const struct jobq_exchange *x)
{
    size_t ended = 0;

    for (size_t i = 0; i < x->change_count; i++)
        ended += change_ends(&x->changes[i]);
    return ended;
}

/* When the next schedule is due, as the newest exchange says. */
static void note_tick(struct jobq *q, struct jobq_exchange *x)
{
    int64_t at = INT64_MAX;

    if (!handle_has(q, JOBQ_CAP_SCHEDULES))
        x->next_tick_ms = INT64_MAX;
    if (x->unit != JOBQ_OK)
        return;
    if (x->next_tick_ms != INT64_MAX)
        at = jobq_add_ms(monotonic_ms(), x->next_tick_ms > x->now_ms ? x->next_tick_ms - x->now_ms : 0);
    __atomic_store_n(&q->tick_at_ms, at, __ATOMIC_RELAXED);
}

/* Whoever claims through this lane goes on where the last one stopped. */
static void keep_cursor(struct lane *lane, struct jobq_bytes cursor)
{
    uint8_t *copy = cursor.size ? realloc(lane->cursor, cursor.size) : NULL;

    if (!copy)
        return; /* none came, or no memory for it: the old one serves */
    memcpy(copy, cursor.data, cursor.size);
    lane->cursor = copy;
    lane->cursor_bytes = cursor.size;
}

static int batch_send(struct lane *lane, struct batch *b)
{
    struct jobq *q = lane->q;
    struct jobq_exchange *x = &b->x;

    x->size = sizeof *x;
    memcpy(x->client, lane->client, sizeof x->client);
    if (lane->lost_claim)
        release_lost(lane, b->arena);
    if (b->want_owner) {
        x->want = &b->want;
        b->want.cursor = (struct jobq_bytes){ lane->cursor, lane->cursor_bytes };
        if (random_bytes(b->want.mint, sizeof b->want.mint) != 0)
            return jobq_error_set(&b->error, x->unit = JOBQ_FAILED, NULL, "no random bytes from the system");
    }
    policy_trim(&q->keep, count_ended(x), &x->trim);
    x->number = q->attached ? 0 : ++lane->number; /* that transaction decides: there is nothing to repeat */
    send_known(lane, x, b->arena, &b->error);
    note_tick(q, x);
    if (b->want_owner && x->want_unit == JOBQ_OK)
        keep_cursor(lane, b->want.next_cursor);
    if (b->want_owner && (x->unit == JOBQ_UNKNOWN || x->want_unit == JOBQ_UNKNOWN)) {
        lane->lost_claim = true;
        memcpy(lane->lost_mint, b->want.mint, sizeof lane->lost_mint);
    }
    return x->unit;
}

/* ---- after a refusal: smaller exchanges ----------------------------------------------------------------------------------- */

static void batch_run(struct lane *lane, struct batch *b);

/* A part of a call as a call of its own, on the stack of the leader. Returns what became of it. */
static int run_part(struct lane *lane, struct call *whole, struct call *part, struct jobq_arena *arena)
{
    struct batch b = { .first = part, .calls = 1, .beats = part->beat_count, .changes = part->change_count,
                       .puts = part->put_count, .arena = arena };

    b.x.worker = part->worker;
    want_add(&b, part);
    if (batch_gather(&b) == 0)
        batch_send(lane, &b);
    if (b.x.now_ms)
        whole->now_ms = b.x.now_ms;
    whole->next_due_ms = b.x.next_due_ms;
    whole->next_tick_ms = b.x.next_tick_ms;
    if (b.x.unit != JOBQ_OK && whole->unit != JOBQ_UNKNOWN) {
        whole->error = b.error;
        if (b.x.unit == JOBQ_UNKNOWN)
            whole->unit = JOBQ_UNKNOWN;
    }
    if (b.x.unit != JOBQ_OK)
        for (size_t i = 0; i < part->change_count; i++) {
            part->changes[i].verdict = b.x.unit;
            part->changes[i].stale = b.x.failure;
        }
    if (b.x.unit != JOBQ_OK)
        for (size_t i = 0; i < part->put_count; i++)
            part->puts[i].verdict = b.x.unit;
    return b.x.unit;
}

/* Change i and the puts that hang on it. Puts of one change stand together (the core writes them so). */
static int run_change(struct lane *lane, struct call *whole, size_t i, struct jobq_arena *arena)
{
    struct call part = { .changes = &whole->changes[i], .change_count = 1 };
    size_t first = 0;

    while (first < whole->put_count && whole->puts[first].only_if != (int32_t)i)
        first++;
    while (first + part.put_count < whole->put_count && whole->puts[first + part.put_count].only_if == (int32_t)i)
        whole->puts[first + part.put_count++].only_if = 0;
    part.puts = part.put_count ? &whole->puts[first] : NULL;
    int unit = run_part(lane, whole, &part, arena);
    for (size_t k = 0; k < part.put_count; k++)
        part.puts[k].only_if = (int32_t)i;
    return unit;
}

/* Heartbeats alone, then each change with its puts, then each other put. The want waits for the next turn; where nothing
 * else failed it is what failed. */
static void run_separately(struct lane *lane, struct call *call, struct jobq_arena *arena)
{
    bool failed = false;

    call->unit = JOBQ_OK;
    if (call->beat_count || call->worker) {
        struct call part = { .beats = call->beats, .beat_count = call->beat_count, .worker = call->worker };
        failed = call->beats_failed = run_part(lane, call, &part, arena) != JOBQ_OK;
    }
    for (size_t i = 0; i < call->change_count; i++)
        failed |= run_change(lane, call, i, arena) != JOBQ_OK;
    for (size_t i = 0; i < call->put_count; i++)
        if (call->puts[i].only_if < 0) {
            struct call part = { .puts = &call->puts[i], .put_count = 1 };
            failed |= run_part(lane, call, &part, arena) != JOBQ_OK;
        }
    call->want_unit = failed ? JOBQ_SKIPPED : JOBQ_FAILED;
}

/* A want alone, or heartbeats alone, are as small as they get: their failure is the call's. */
static bool is_separable(const struct call *call)
{
    return call->separable &&
           (call->change_count || call->put_count || (call->want && (call->beat_count || call->worker)));
}

static bool worth_splitting(const struct jobq *q, const struct batch *b)
{
    return !q->attached && b->x.unit == JOBQ_FAILED &&
           (b->x.failure == JOBQ_FAILURE_FULL || b->x.failure == JOBQ_FAILURE_REFUSED);
}

/* ---- one exchange from gathering to dealing out ----------------------------------------------------------------------------- */

static void call_fail_items(struct call *call, int status)
{
    for (size_t i = 0; i < call->change_count; i++)
        call->changes[i].verdict = status;
    for (size_t i = 0; i < call->put_count; i++)
        call->puts[i].verdict = status;
}

static void batch_answer(struct batch *b)
{
    if (b->calls > 1)
        each_call(b, scatter_call);
    if (b->want_owner)
        want_deal(b);
    for (struct call *call = b->first; call; call = call->next) {
        call->unit = b->x.unit;
        call->want_unit = b->x.want_unit;
        call->now_ms = b->x.now_ms;
        call->next_due_ms = b->x.next_due_ms;
        call->next_tick_ms = b->x.next_tick_ms;
        if (b->x.unit != JOBQ_OK || (call->want && b->x.want_unit != JOBQ_OK))
            call->error = b->error;
        if (b->x.unit != JOBQ_OK)
            call_fail_items(call, b->x.unit);
    }
}

/* Each call of a refused batch on its own, so that only the guilty one gets the error. */
static void batch_split(struct lane *lane, struct batch *b)
{
    for (struct call *call = b->first, *next; call; call = next) {
        struct batch one = { .first = call, .calls = 1, .beats = call->beat_count, .changes = call->change_count,
                             .puts = call->put_count, .arena = b->arena };
        next = call->next;
        call->next = NULL;
        one.x.worker = call->worker;
        want_add(&one, call);
        batch_run(lane, &one);
        call->next = next;
    }
}

static void batch_run(struct lane *lane, struct batch *b)
{
    if (batch_gather(b) != 0)
        b->x.unit = jobq_error_set(&b->error, JOBQ_FAILED, NULL, "out of memory for an exchange");
    else
        batch_send(lane, b);
    if (worth_splitting(lane->q, b) && b->calls > 1)
        batch_split(lane, b);
    else if (worth_splitting(lane->q, b) && is_separable(b->first))
        run_separately(lane, b->first, b->arena);
    else
        batch_answer(b);
}

/* Hand the arena to the calls. Lock held. */
static void batch_finish(struct batch *b, bool poked)
{
    if (b->shared)
        *b->shared = (struct shared_answer){ b->arena, (int)b->calls };
    for (struct call *call = b->first; call; call = call->next) {
        call->shared = b->shared;
        call->answer = b->arena;
        call->poked = poked;
        call->stage = STAGE_DONE;
    }
}

/* ---- waking ------------------------------------------------------------------------------------------------------------------- */

/* Who waits does so at a lock of its own: many that are let go at once would all wait again for the handle's. */
static void ring(struct call *call, enum bell what)
{
    pthread_mutex_lock(&call->own);
    call->bell = what;
    pthread_mutex_unlock(&call->own);
    pthread_cond_signal(&call->wake);
}

void call_look(struct call *call)
{
    ring(call, BELL_LOOK);
}

/* BELL_QUIET: the time is over (NULL: it never is). */
static enum bell listen_for(struct call *call, const struct timespec *until)
{
    enum bell heard;

    pthread_mutex_lock(&call->own);
    while (call->bell == BELL_QUIET && (until ? pthread_cond_timedwait(&call->wake, &call->own, until) != ETIMEDOUT
                                              : pthread_cond_wait(&call->wake, &call->own) == 0))
        ;
    heard = call->bell;
    call->bell = BELL_QUIET;
    pthread_mutex_unlock(&call->own);
    return heard;
}

/* Let the callers go. Without the lock. */
static void batch_ring(struct batch *b)
{
    for (struct call *call = b->first, *next; call; call = next) {
        next = call->next;
        call->next = NULL;
        ring(call, BELL_DONE);
        call_unref(call);
    }
}

static bool made_work(const struct batch *b)
{
    for (const struct call *call = b->first; call; call = call->next) {
        if (call->unit != JOBQ_OK)
            continue;
        if (call->put_count)
            return true;
        for (size_t i = 0; i < call->change_count; i++)
            if (call->changes[i].verdict == JOBQ_OK && (change_ends(&call->changes[i]) ||
                call->changes[i].state == JOBQ_ROW_WAITING || call->changes[i].by != JOBQ_BY_TOKEN))
                return true;
    }
    return false;
}

/* The memory of the answer, with the few bytes that say who still needs it: all of it or nothing. */
static void batch_room(struct batch *b)
{
    b->arena = jobq_arena_create();
    b->shared = b->arena ? jobq_arena_alloc(b->arena, sizeof *b->shared) : NULL;
    if (b->shared)
        return;
    jobq_arena_destroy(b->arena);
    b->arena = NULL;
}

/* Somebody is to lead those that wait, if there is a lane for them. Lock held. */
static void wake_leader(struct jobq *q)
{
    if (q->first && lane_free(q))
        call_look(q->first);
}

static int64_t monotonic_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Callers are let go before the lane is: with what they say next the next exchange is larger, which is worth more than that
 * it begins at once. Not if the store does it all while one is let go. Lock held on entry and return. */
static void let_go(struct lane *lane, struct batch *b, int64_t took_ns)
{
    struct jobq *q = lane->q;
    bool brief = took_ns < (int64_t)b->calls * LET_GO_NS;

    if (brief)
        lane_leave(lane);
    pthread_mutex_unlock(&q->lock);
    batch_ring(b);
    pthread_mutex_lock(&q->lock);
    if (!brief)
        lane_leave(lane);
}

/* Lead one exchange. Lock held on entry and return. */
static void lead(struct lane *lane)
{
    struct jobq *q = lane->q;
    struct batch b = { .calls = 0 };
    int64_t began_ns;

    lane->busy = true;
    batch_take(q, &b);
    wake_leader(q);
    pthread_mutex_unlock(&q->lock);
    began_ns = monotonic_ns();
    batch_room(&b);
    if (b.arena) {
        batch_run(lane, &b);
    } else {
        b.x.unit = jobq_error_set(&b.error, JOBQ_FAILED, NULL, "out of memory for an exchange");
        batch_answer(&b);
    }
    pthread_mutex_lock(&q->lock);
    bool poke = made_work(&b);
    if (poke)
        handle_poke(q);
    q->sent -= b.calls;
    q->answers = b.x.unit == JOBQ_OK;
    batch_finish(&b, poke);
    let_go(lane, &b, monotonic_ns() - began_ns);
}

/* ---- joining ------------------------------------------------------------------------------------------------------------------ */

static void enqueue_call(struct jobq *q, struct call *call)
{
    call->next = NULL;
    call->stage = STAGE_QUEUED;
    call->bell = BELL_QUIET;
    if (q->last)
        q->last->next = call;
    else
        q->first = call;
    q->last = call;
    q->waiting++;
}

static void unlink_call(struct jobq *q, struct call *call)
{
    struct call *before = NULL;

    for (struct call *at = q->first; at != call; at = at->next)
        before = at;
    if (before)
        before->next = call->next;
    else
        q->first = call->next;
    if (q->last == call)
        q->last = before;
    q->waiting--;
}

/* What its caller waits for comes in any case, and soon. Lock held. */
static bool is_patient(const struct call *call)
{
    return call->stage == STAGE_DONE || (call->lends && call->stage == STAGE_SENT);
}

/* Its time is over. Returns the stage that it is left in. Lock held. */
static int leave(struct jobq *q, struct call *call)
{
    int stage = call->stage;

    if (stage == STAGE_QUEUED) {
        unlink_call(q, call);
        wake_leader(q);
    }
    return stage;
}

/* Wait for the exchange, or lead it. Returns STAGE_DONE, or the stage in which its caller leaves it. */
static int join_or_lead(struct jobq *q, struct call *call, const struct timespec *until)
{
    int left = STAGE_NEW;

    pthread_mutex_lock(&q->lock);
    enqueue_call(q, call);
    while (left == STAGE_NEW) {
        struct lane *lane = call->stage == STAGE_QUEUED ? lane_free(q) : NULL;
        if (lane) {
            lane->store ? lead(lane) : lane_open(lane);
            continue;
        }
        bool patient = is_patient(call);
        pthread_mutex_unlock(&q->lock);
        enum bell heard = listen_for(call, patient ? NULL : until);
        if (heard == BELL_DONE)
            return STAGE_DONE;
        pthread_mutex_lock(&q->lock);
        if (heard == BELL_QUIET && !is_patient(call))
            left = leave(q, call);
    }
    pthread_mutex_unlock(&q->lock);
    return left;
}

static struct timespec until_of(int64_t ms)
{
    int64_t at = monotonic_ms() + ms;

    return (struct timespec){ at / 1000, at % 1000 * 1000000 };
}

int call_send(struct jobq *q, struct call *call, int64_t deadline_ms)
{
    int rc = handle_check(q);

    if (rc == JOBQ_OK && (rc = alerts_add(q, call)) != JOBQ_OK)
        fail_copy(&call->error);
    if (rc != JOBQ_OK)
        return call->unit = rc;
    struct timespec until = until_of(deadline_ms > 0 ? deadline_ms : q->options.call_timeout_ms);
    call->bytes = call_bytes(call);
    int stage = join_or_lead(q, call, &until);
    if (stage == STAGE_SENT)
        return fail_with(JOBQ_UNKNOWN, NULL, "no answer within the call's time; it may still take effect");
    if (stage == STAGE_QUEUED)
        return call->unit = fail_with(JOBQ_FAILED, NULL, "the store was busy for the call's whole time");
    return JOBQ_OK;
}

int call_told(struct jobq *q, struct call *call)
{
    hook_call(q, call);
    if (call->unit != JOBQ_OK) {
        call->error.status = call->unit;
        fail_copy(&call->error);
    }
    return call->unit;
}

int call_run(struct jobq *q, struct call *call, int64_t deadline_ms)
{
    int rc = call_send(q, call, deadline_ms);

    return rc == JOBQ_OK ? call_told(q, call) : rc;
}
