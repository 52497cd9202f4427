/* SPDX-License-Identifier: MIT */
/* One turn of a worker: everything that is due goes into one exchange, and the answer is dealt out. */
#include "turn.h"

#include <string.h>

/* ---- heartbeats --------------------------------------------------------------------------------------- */

static bool beat_is_due(const struct turn *t, const struct claim *claim)
{
    /* What is nearly due rides along. */
    return (t->w->beats_alone || claim->beat_ms <= t->sent_ms + t->w->lease_ms / 12) &&
           claim_expected(claim) > 0;
}

static int add_beats(struct turn *t)
{
    struct jobq_worker *w = t->w;
    struct call *call = t->call;
    size_t count = 0;

    if (w->phase == PHASE_LATE)
        return 0;
    for (struct claim *claim = w->claims; claim; claim = claim->next)
        count += beat_is_due(t, claim);
    if (count > t->items)
        count = t->items;
    if (count == 0)
        return 0;
    call->beats = jobq_arena_alloc(call->arena, count * sizeof *call->beats);
    t->beaten = jobq_arena_alloc(call->arena, count * sizeof *t->beaten);
    t->expected = jobq_arena_alloc(call->arena, count * sizeof *t->expected);
    if (!call->beats || !t->beaten || !t->expected)
        return -1;
    for (struct claim *claim = w->claims; claim && call->beat_count < count; claim = claim->next)
        if (beat_is_due(t, claim)) {
            call->beats[call->beat_count] =
                (struct jobq_beat){ .token = claim->token, .lease_ms = w->lease_ms, .held = SIZE_MAX };
            t->expected[call->beat_count] = claim_expected(claim);
            t->beaten[call->beat_count++] = claim;
        }
    t->items -= count;
    return 0;
}

/* ---- changes ------------------------------------------------------------------------------------------ */

static size_t list_length(const struct jobq_ctx *list)
{
    size_t length = 0;

    for (; list; list = list->next)
        length++;
    return length;
}

static bool progress_waits(struct jobq_worker *w)
{
    bool waits;

    pthread_mutex_lock(&w->pool.lock);
    waits = w->pool.progress_new;
    pthread_mutex_unlock(&w->pool.lock);
    return waits;
}

static int reserve_changes(struct turn *t)
{
    struct jobq_worker *w = t->w;
    struct call *call = t->call;
    size_t changes = judge_count(w->judge.rows, w->judge.count) + list_length(w->handin) +
                     list_length(w->early);
    size_t puts = 0;

    /* What comes from now on is for the next turn: there is no room for it. */
    t->progress = !t->beside && progress_waits(w);
    changes += t->progress ? w->held : 0;
    for (const struct jobq_ctx *job = w->handin; job; job = job->next)
        puts += job->put_count;
    changes = changes < EXCHANGE_ITEMS ? changes : EXCHANGE_ITEMS;
    puts = puts < EXCHANGE_ITEMS ? puts : EXCHANGE_ITEMS;
    call->changes = jobq_arena_alloc(call->arena, changes * sizeof *call->changes + 1);
    t->slots = jobq_arena_alloc(call->arena, changes * sizeof *t->slots + 1);
    call->about = t->about = jobq_arena_alloc(call->arena, changes * sizeof *t->about + 1);
    call->puts = jobq_arena_alloc(call->arena, puts * sizeof *call->puts + 1);
    return call->changes && t->slots && t->about && call->puts ? 0 : -1;
}

static struct jobq_change *new_change(struct turn *t, enum use use, struct jobq_ctx *job)
{
    t->slots[t->call->change_count] = (struct slot){ use, job };
    t->about[t->call->change_count] = job ? &job->row : NULL;
    t->items--;
    return &t->call->changes[t->call->change_count++];
}

/* Each change that may end in death may get an alert beside it. */
static size_t alerts_for(const struct turn *t, size_t changes)
{
    return *t->w->q->alert_queue ? changes : 0;
}

/* As many overdue rows as fit; each is judged as a whole. */
static void add_judgements(struct turn *t)
{
    struct jobq_worker *w = t->w;

    for (; t->judged < w->judge.count; t->judged++) {
        const struct jobq_row *row = &w->judge.rows[t->judged];
        size_t count = judge_count(row, 1);
        size_t alerts = alerts_for(t, count);
        if (count + alerts > t->items)
            return;
        judge_rows(row, 1, &t->call->changes[t->call->change_count]);
        for (size_t i = 0; i < count; i++) {
            (void)new_change(t, USE_JUDGE, NULL);
            t->about[t->call->change_count - 1] = row->overdue == JOBQ_OVERDUE_EDGES ? NULL : row;
        }
        t->items -= alerts;
    }
}

static struct jobq_bytes text_bytes(const char *text)
{
    return (struct jobq_bytes){ text, strlen(text) };
}

static void say(const struct jobq_ctx *job, struct verdict_said *said)
{
    const char *wrong = NULL;

    *said = (struct verdict_said){ job->outcome, job->result, job->error, job->has_delay, job->delay_ms,
                                   (atomic_load(&job->flags) & JOBQ_CTX_TIMEOUT) != 0 };
    if (job->refused) {
        *said = (struct verdict_said){ .outcome = JOBQ_GIVE_UP };
        said->error = text_bytes("result could not be stored");
        return;
    }
    if (job->outcome != JOBQ_PARK)
        return;
    if (!job->row.has_callback && !job->row.resumed)
        wrong = "parked without a callback token";
    else if (!job->has_delay || job->delay_ms == 0)
        wrong = "parked without a deadline";
    if (wrong)
        *said = (struct verdict_said){ .outcome = JOBQ_RETRY, .error = text_bytes(wrong) };
}

static bool fits(const struct turn *t, size_t items, size_t bytes)
{
    /* What is too large for any exchange in company goes alone. */
    return items <= t->items && (bytes <= t->bytes || t->bytes == EXCHANGE_BYTES);
}

static void take_room(struct turn *t, size_t bytes)
{
    t->bytes -= bytes < t->bytes ? bytes : t->bytes;
}

static void add_follow_ups(struct turn *t, const struct jobq_ctx *job, size_t change)
{
    for (size_t i = 0; i < job->put_count; i++) {
        struct jobq_put *put = &t->call->puts[t->call->put_count++];
        *put = job->puts[i];
        put->only_if = (int32_t)change;
    }
    t->items -= job->put_count;
}

/* Nobody is inside any more, so its last progress and log can be lent. */
static void add_last_words(const struct jobq_ctx *job, struct jobq_change *change)
{
    if (job->progress_new) {
        change->set |= JOBQ_SET_PROGRESS;
        change->progress = (struct jobq_bytes){ job->progress, job->progress_bytes };
    }
    if (job->log_count) {
        change->set |= JOBQ_ADD_LOG;
        change->log = job->log;
        change->log_count = job->log_count;
    }
}

static struct budget *budget_of(struct jobq_worker *w, const struct jobq_row *row)
{
    for (size_t i = 0; i < w->queue_count; i++)
        if (w->queue_bytes[i].size == row->queue.size &&
            memcmp(w->queue_bytes[i].data, row->queue.data, row->queue.size) == 0)
            return &w->budgets[i];
    return NULL;
}

/* It keeps its place in the line when it has to be handed in again. */
static void keep_budget(struct turn *t, struct jobq_ctx *job, struct jobq_change *change)
{
    struct jobq_worker *w = t->w;
    struct budget *budget = w->retry_percent ? budget_of(w, &job->row) : NULL;

    if (!budget || (change->outcome != JOBQ_OUTCOME_COMPLETE && change->outcome != JOBQ_OUTCOME_FAIL))
        return;
    if (!job->counted)
        budget_ended(budget, t->sent_ms);
    job->counted = true;
    if (!(change->set & JOBQ_SET_RUN_AT)) /* it does not run again */
        return;
    if (!job->retry_ms)
        job->retry_ms = budget_take(budget, w->retry_percent, t->sent_ms);
    if (change->run_at.offset_ms < job->retry_ms - t->sent_ms)
        change->run_at.offset_ms = job->retry_ms - t->sent_ms;
}

/* False: there is no room for it. */
static bool add_outcome(struct turn *t, struct jobq_ctx *job)
{
    struct verdict_said said;

    say(job, &said);
    bool follow = said.outcome == JOBQ_DONE;
    size_t alerts = follow ? 0 : alerts_for(t, 1);
    size_t items = 1 + (follow ? job->put_count : alerts);
    size_t bytes = said.result.size + said.error.size + (follow ? job->put_bytes : alerts * (said.error.size + ALERT_BYTES));
    if (!fits(t, items, bytes))
        return false;
    struct jobq_change *change = new_change(t, USE_OUTCOME, job);
    policy_outcome(&job->row, &said, follow ? 0 : random_dice(), change);
    keep_budget(t, job, change);
    if (job->refused)
        change->error_kind = JOBQ_ERROR_RESULT;
    else
        add_last_words(job, change);
    if (follow)
        add_follow_ups(t, job, t->call->change_count - 1);
    t->items -= alerts;
    take_room(t, bytes);
    t->handing++;
    return true;
}

static void add_outcomes(struct turn *t)
{
    struct jobq_ctx *list = t->w->handin, **loaded = &t->handin, **left = &t->w->handin;

    t->w->handin = NULL;
    while (list) {
        struct jobq_ctx *job = list;
        struct jobq_ctx ***end = add_outcome(t, job) ? &loaded : &left;
        list = job->next;
        job->next = NULL;
        **end = job;
        *end = &job->next;
    }
}

static void add_early(struct turn *t, struct jobq_ctx *job)
{
    if (fits(t, 1, 0))
        policy_complete(&job->row.id, &job->row.token, (struct jobq_bytes){ NULL, 0 }, true,
                        new_change(t, USE_EARLY, job));
}

static bool may_show_progress(const struct jobq_ctx *job)
{
    return !job->over && (job->progress_new || job->log_count) && !job->lost && !job->acked && job->stage == JOB_RUNNING;
}

static size_t log_bytes(const struct jobq_ctx *job)
{
    size_t bytes = 0;

    for (size_t i = 0; i < job->log_count; i++)
        bytes += job->log[i].size;
    return bytes;
}

/* More lines may come while these are on their way, and push them out of the list. Lock of the pool held. */
static int copy_log(const struct turn *t, const struct jobq_ctx *job, struct jobq_change *change)
{
    struct jobq_bytes *log;

    if (job->log_count == 0)
        return 0;
    log = jobq_arena_alloc(t->call->arena, job->log_count * sizeof *log);
    for (size_t i = 0; log && i < job->log_count; i++)
        if (jobq_arena_bytes(t->call->arena, job->log[i].data, job->log[i].size, &log[i]) != 0)
            log = NULL;
    change->set |= JOBQ_ADD_LOG;
    change->log = log;
    change->log_count = job->log_count;
    return log ? 0 : -1;
}

/* Lock of the pool held. */
static int add_progress(struct turn *t, struct jobq_ctx *job)
{
    struct jobq_change change = { .id = job->row.id, .by = JOBQ_BY_TOKEN, .token = job->row.token,
                                  .edits = JOBQ_ANY_EDITS };
    size_t bytes = log_bytes(job) + (job->progress_new ? job->progress_bytes : 0);

    if (!fits(t, 1, bytes)) {
        t->w->pool.progress_new = true; /* the next time */
        return 0;
    }
    if (job->progress_new) {
        change.set |= JOBQ_SET_PROGRESS;
        if (jobq_arena_bytes(t->call->arena, job->progress, job->progress_bytes, &change.progress) != 0)
            return -1;
    }
    if (copy_log(t, job, &change) != 0)
        return -1;
    job->progress_new = false;
    job->log_sent = job->log_count;
    *new_change(t, USE_PROGRESS, job) = change;
    take_room(t, bytes);
    return 0;
}

static int add_all_progress(struct turn *t)
{
    struct jobq_worker *w = t->w;
    int rc = 0;

    if (!t->progress)
        return 0;
    pthread_mutex_lock(&w->pool.lock);
    w->pool.progress_new = false;
    for (struct claim *claim = w->claims; claim; claim = claim->next)
        for (size_t i = 0; i < claim->count && rc == 0; i++)
            if (may_show_progress(&claim->jobs[i]))
                rc = add_progress(t, &claim->jobs[i]);
    w->progress_at_ms = w->pool.progress_new ? jobq_add_ms(t->sent_ms, PROGRESS_EVERY_MS) : NEVER;
    w->progress_sent_ms = t->sent_ms;
    pthread_mutex_unlock(&w->pool.lock);
    return rc;
}

static int add_changes(struct turn *t)
{
    struct jobq_worker *w = t->w;

    if (reserve_changes(t) != 0)
        return -1;
    add_judgements(t);
    add_outcomes(t);
    for (struct jobq_ctx *job = w->early; job; job = job->next)
        add_early(t, job);
    return add_all_progress(t);
}

/* ---- the want ----------------------------------------------------------------------------------------- */

size_t worker_free_slots(const struct jobq_worker *w, size_t handing)
{
    size_t held = w->held - handing;

    return held < w->capacity ? w->capacity - held : 0;
}

bool worker_holds_back(const struct jobq_worker *w, int64_t now)
{
    return (w->held > 0 || crew_others(w) > 0) && crew_window(w, now);
}

static bool due_is_wanted(const struct turn *t)
{
    const struct jobq_worker *w = t->w;

    return !w->alone && !crew_window(w, t->sent_ms) && !crew_hushed(w) && worker_free_slots(w, t->handing) > 0 &&
           (t->sent_ms >= w->ask_at_ms || t->handing > 0);
}

static bool alone_is_wanted(const struct turn *t)
{
    const struct jobq_worker *w = t->w;

    return !w->alone && w->held == t->handing && (t->sent_ms >= w->alone_at_ms || crew_window(w, t->sent_ms)) &&
           crew_others(w) == 0 && !crew_hushed(w);
}

static int choose_mode(struct turn *t)
{
    struct jobq_worker *w = t->w;
    int64_t now = t->sent_ms;

    crew_settle(w, now);
    bool due = due_is_wanted(t);

    if (w->phase != PHASE_WORKING || w->beats_alone || now < w->want_retry_at_ms)
        return 0;
    /* However much there is to sweep, every other want is for jobs. */
    if ((now >= w->sweep_at_ms || now >= w->tick_at_ms) && t->judged == w->judge.count && !(due && w->last_mode == JOBQ_WANT_OVERDUE))
        return JOBQ_WANT_OVERDUE;
    if (alone_is_wanted(t))
        return JOBQ_WANT_ALONE;
    return due ? JOBQ_WANT_DUE : 0;
}

static void order_queues(struct jobq_worker *w)
{
    size_t order[QUEUES_MAX];

    if (!w->weights) {
        memcpy(w->want_queues, w->queue_bytes, w->queue_count * sizeof *w->want_queues);
        return;
    }
    queue_order(w->weights, w->credits, w->queue_count, order);
    for (size_t i = 0; i < w->queue_count; i++)
        w->want_queues[i] = w->queue_bytes[order[i]];
}

static int add_want(struct turn *t)
{
    struct jobq_worker *w = t->w;
    int mode = choose_mode(t);
    size_t limit = worker_free_slots(w, t->handing), others = 0;

    if (mode == 0)
        return 0;
    if (mode == JOBQ_WANT_OVERDUE)
        limit = SWEEP_ROWS;
    else if (mode == JOBQ_WANT_ALONE)
        limit = 1;
    else if (limit > EXCHANGE_ITEMS)
        limit = EXCHANGE_ITEMS;
    if (mode != JOBQ_WANT_OVERDUE && !crew_asks(w, mode, limit, t->handing, &others))
        return 0; /* another worker of the handle was faster to want the process to itself */
    if (mode == JOBQ_WANT_DUE)
        order_queues(w);
    t->want = (struct jobq_want){
        .mode = mode,
        .queues = w->want_queues,
        .queue_count = w->queue_count,
        .kinds = w->kind_bytes,
        .kind_count = w->kind_count,
        .limit = limit,
        .bytes = EXCHANGE_BYTES,
        .lease_ms = w->lease_ms,
        .others = others,
        .worker = text_bytes(w->name),
    };
    t->call->want = &t->want;
    return mode == JOBQ_WANT_OVERDUE ? 0 : claim_reserve(w, limit);
}

/* ---- sending ------------------------------------------------------------------------------------------ */

/* The worker's record rides with heartbeats, sweeps, at the start and at the end, and with the first exchange of a
 * worker that has come to hold nothing: it would be called busy until the next sweep. */
static bool record_is_due(const struct turn *t)
{
    const struct jobq_worker *w = t->w;

    return w->record_new || t->leaving || t->call->beat_count > 0 || t->want.mode == JOBQ_WANT_OVERDUE ||
           (w->held == 0 && w->record_running > 0);
}

static void add_record(struct turn *t)
{
    struct jobq_worker *w = t->w;

    if (!record_is_due(t))
        return;
    t->record = (struct jobq_worker_record){
        .name = text_bytes(w->name),
        .host = text_bytes(w->host),
        .queues = text_bytes(w->queue_list),
        .kinds = text_bytes(w->kind_list),
        .pid = w->q->pid,
        .started_at_ms = w->started_at_ms,
        .lease_ms = w->lease_ms,
        .capacity = (int32_t)w->thread_count,
        .running = (int32_t)pool_running(w),
        .leaving = t->leaving,
    };
    memcpy(t->record.nonce, w->nonce, sizeof t->record.nonce);
    t->call->worker = &t->record;
}

static void fill_in(struct turn *t)
{
    t->items = EXCHANGE_ITEMS;
    t->bytes = EXCHANGE_BYTES;
    t->call->lends = t->call->separable = true;
}

/* All that is due. */
static int fill(struct turn *t)
{
    struct jobq_worker *w = t->w;

    fill_in(t);
    t->leaving = w->phase >= PHASE_STOPPING && w->held == 0 && w->judge.count == 0;
    if (add_beats(t) != 0)
        return -1;
    if (t->call->beat_count == 0)
        w->beats_alone = false;
    if (!w->beats_alone && add_changes(t) != 0)
        return -1;
    if (add_want(t) != 0)
        return -1;
    add_record(t);
    return 0;
}

/* What may be under way beside another turn: outcomes, and one want. */
static int fill_beside(struct turn *t)
{
    fill_in(t);
    if (reserve_changes(t) != 0)
        return -1;
    add_outcomes(t);
    return t->w->asking ? 0 : add_want(t);
}

/* ---- one turn ----------------------------------------------------------------------------------------- */

/* Who waited long for the store beats first, and lets a while pass before judging others: they may have
 * waited too. */
static void after_wait(struct jobq_worker *w, int64_t sent_ms, int64_t now)
{
    int64_t third = w->lease_ms / 3;

    if (now - sent_ms <= third)
        return;
    for (struct claim *claim = w->claims; claim; claim = claim->next)
        claim->beat_ms = now;
    if (w->sweep_at_ms < jobq_add_ms(now, third))
        w->sweep_at_ms = jobq_add_ms(now, third);
}

static struct turn *turn_create(struct jobq_worker *w, bool beside)
{
    struct answer *answer = answer_create();
    struct turn *t = answer ? jobq_arena_alloc(answer->call->arena, sizeof *t) : NULL;

    if (!t) {
        answer_drop(answer);
        w->retry_at_ms = jobq_add_ms(worker_now(w), worker_back_off(w));
        return NULL;
    }
    *t = (struct turn){ .w = w, .answer = answer, .call = answer->call, .beside = beside, .sent_ms = worker_now(w) };
    return t;
}

/* Its memory goes when nobody needs the answer. */
static void turn_drop(struct turn *t)
{
    struct jobq_worker *w = t->w;

    if (t->call->want)
        crew_answered(w);
    answer_drop(t->answer);
    crew_settle(w, worker_now(w));
    beats_schedule(w);
}

static void turn_unsent(struct turn *t)
{
    turn_not_sent(t);
    turn_unload(t);
    t->w->retry_at_ms = jobq_add_ms(t->sent_ms, worker_back_off(t->w));
    turn_drop(t);
}

static void turn_answered(struct turn *t)
{
    struct jobq_worker *w = t->w;

    if (t->rc == JOBQ_OK)
        (void)call_told(w->q, t->call);
    pthread_mutex_lock(&w->pool.lock);
    w->counts.exchanges++;
    pthread_mutex_unlock(&w->pool.lock);
    turn_answer(t);
    after_wait(w, t->sent_ms, worker_now(w));
    if (t->leaving) /* also if the store did not hear it: the record goes by itself after 10 leases */
        w->phase = PHASE_ENDED;
    turn_drop(t);
}

int worker_turn(struct jobq_worker *w)
{
    struct turn *t = turn_create(w, false);

    if (!t)
        return JOBQ_OK;
    if (fill(t) != 0) {
        turn_unsent(t);
        return JOBQ_OK;
    }
    t->rc = call_send(w->q, t->call, 0);
    if (t->rc == JOBQ_FORKED) {
        turn_drop(t);
        return JOBQ_FORKED;
    }
    turn_answered(t);
    return JOBQ_OK;
}

/* ---- turns beside each other ---------------------------------------------------------------------------- */

void worker_turn_beside(struct jobq_worker *w)
{
    struct turn *t = turn_create(w, true);

    if (!t)
        return;
    if (fill_beside(t) != 0) {
        turn_unsent(t);
        return;
    }
    w->under_way++;
    w->asking |= t->call->want != NULL;
    courier_give(w, t);
}

bool worker_turns_back(struct jobq_worker *w)
{
    struct turn *list = courier_take(w), *next;
    bool some = list != NULL;

    for (struct turn *t = list; t; t = next) {
        next = t->next;
        w->under_way--;
        if (t->call->want)
            w->asking = false;
        turn_answered(t);
    }
    return some;
}
