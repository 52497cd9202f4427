/* SPDX-License-Identifier: MIT */
/* What the answer of a turn means for the worker and its jobs. */
#include "turn.h"

#include "schedule.h"

/* ---- beats and changes -------------------------------------------------------------------------------- */

static void read_beats(struct turn *t)
{
    struct call *call = t->call;

    for (size_t i = 0; i < call->beat_count; i++)
        if (call->beats[i].held != SIZE_MAX)
            claim_beaten(t->w, t->beaten[i], &call->beats[i], t->sent_ms, call->now_ms);
}

/* After the changes are dealt out, so that what was just settled is not taken for lost. */
static void verify_beats(struct turn *t)
{
    struct call *call = t->call;

    for (size_t i = 0; i < call->beat_count; i++) {
        size_t held = call->beats[i].held;
        if (held == SIZE_MAX || (held == t->expected[i] && !t->beaten[i]->shared))
            continue;
        if (held > t->expected[i])
            t->beaten[i]->shared = true;
        claim_verify(t->w, t->beaten[i]);
    }
}

static void count_outcome(struct jobq_worker_counts *counts, const struct jobq_change *change)
{
    switch (change->outcome) {
    case JOBQ_OUTCOME_COMPLETE:
        counts->completed++;
        break;
    case JOBQ_OUTCOME_RELEASE:
        counts->released++;
        break;
    case JOBQ_OUTCOME_SNOOZE:
        counts->snoozed++;
        break;
    case JOBQ_OUTCOME_PARK:
        counts->parked++;
        break;
    default:
        counts->failed++;
    }
}

/* All of an answer at once: the lock costs as much as counting many. */
static void add_settled(struct turn *t)
{
    struct jobq_worker *w = t->w;

    pthread_mutex_lock(&w->pool.lock);
    w->counts.completed += t->settled.completed;
    w->counts.released += t->settled.released;
    w->counts.snoozed += t->settled.snoozed;
    w->counts.parked += t->settled.parked;
    w->counts.failed += t->settled.failed;
    pthread_mutex_unlock(&w->pool.lock);
}

/* Compute again from the present row the next time. What does not come with it stays as it was claimed. */
static void adopt_row(struct turn *t, struct jobq_ctx *job, const struct jobq_row *row)
{
    struct jobq_bytes payload = job->row.payload;

    answer_drop(job->fresh);
    job->fresh = t->answer;
    t->answer->users++;
    job->row = *row;
    job->row.payload = payload;
}

/* The engine does not take what was said. Once more without it; if not even that is taken, its lease runs
 * out. */
static void refuse(struct jobq_worker *w, struct jobq_ctx *job)
{
    if (job->refused) {
        job_lost(w, job);
        job->over = true;
    }
    job->refused = true;
}

static void read_outcome(struct turn *t, struct jobq_ctx *job, const struct jobq_change *change)
{
    switch (change->verdict) {
    case JOBQ_OK:
    case JOBQ_ALREADY:
        count_outcome(&t->settled, change);
        job->over = true;
        return;
    case JOBQ_OUTDATED:
        adopt_row(t, job, change->row);
        return;
    case JOBQ_FAILED:
        if (change->stale == JOBQ_FAILURE_REFUSED)
            refuse(t->w, job);
        else
            t->trouble = true;
        t->failed_item = true;
        return;
    case JOBQ_UNKNOWN:
        t->trouble = t->failed_item = true;
        return;
    default:
        job_lost(t->w, job);
        job->over = true;
    }
}

static void read_early(struct turn *t, struct jobq_ctx *job, const struct jobq_change *change)
{
    switch (change->verdict) {
    case JOBQ_OK:
    case JOBQ_ALREADY:
        count_outcome(&t->settled, change);
        job->acked = true;
        return;
    case JOBQ_FAILED:
    case JOBQ_UNKNOWN:
        t->trouble = t->failed_item = true;
        return;
    default:
        job_lost(t->w, job);
        job->over = true;
    }
}

static void read_progress(struct turn *t, struct jobq_ctx *job, const struct jobq_change *change)
{
    struct pool *pool = &t->w->pool;
    /* Progress and log are for people: what the engine refuses is dropped. */
    bool refused = change->verdict == JOBQ_FAILED && change->stale == JOBQ_FAILURE_REFUSED;
    bool again = !refused && (change->verdict == JOBQ_FAILED || change->verdict == JOBQ_UNKNOWN);

    pthread_mutex_lock(&pool->lock);
    if (again)
        pool->progress_new = true;
    else
        job_log_drop(job, job->log_sent);
    if (again && change->set & JOBQ_SET_PROGRESS)
        job->progress_new = true;
    job->log_sent = 0;
    pthread_mutex_unlock(&pool->lock);
    if (change->verdict == JOBQ_STALE)
        job_lost(t->w, job);
}

static void read_change(struct turn *t, const struct slot *slot, const struct jobq_change *change)
{
    switch (slot->use) {
    case USE_OUTCOME:
        read_outcome(t, slot->job, change);
        return;
    case USE_EARLY:
        read_early(t, slot->job, change);
        return;
    case USE_PROGRESS:
        read_progress(t, slot->job, change);
        return;
    case USE_JUDGE:
        if (change->verdict != JOBQ_OK)
            return; /* somebody else was faster, or it is found overdue again */
        t->w->sweep_at_ms = 0; /* a sweep gives a bounded number: look at once whether that was all */
        pthread_mutex_lock(&t->w->pool.lock);
        t->w->counts.swept++;
        pthread_mutex_unlock(&t->w->pool.lock);
    }
}

/* Jobs whose early ack was taken start now. */
static void start_acked(struct jobq_worker *w)
{
    struct jobq_ctx *list = w->early, *acked = NULL, **acked_end = &acked, **kept_end = &w->early;

    w->early = NULL;
    while (list) {
        struct jobq_ctx *job = list;
        struct jobq_ctx ***end = job->acked ? &acked_end : &kept_end;
        list = job->next;
        job->next = NULL;
        if (job->over) {
            job_over(w, job);
            continue;
        }
        **end = job;
        *end = &job->next;
    }
    pool_give(w, acked);
}

static void drop_judged(struct turn *t)
{
    struct jobq_worker *w = t->w;

    w->judge.rows += t->judged;
    w->judge.count -= t->judged;
    if (w->judge.count > 0 || !w->judge.answer)
        return;
    answer_drop(w->judge.answer);
    w->judge.answer = NULL;
}

static void read_unit(struct turn *t)
{
    struct call *call = t->call;

    if (call->unit == JOBQ_OK)
        read_beats(t);
    for (size_t i = 0; i < call->change_count; i++)
        read_change(t, &t->slots[i], &call->changes[i]);
    if (call->change_count)
        add_settled(t);
    if (call->unit == JOBQ_OK)
        verify_beats(t);
    start_acked(t->w);
    if (call->unit == JOBQ_OK)
        drop_judged(t);
}

/* ---- rows --------------------------------------------------------------------------------------------- */

/* Rows that come out of a want to be judged: all of a sweep, expired ones among the due. */
static void keep_for_judgement(struct turn *t)
{
    struct jobq_worker *w = t->w;
    struct jobq_row *rows = jobq_arena_alloc(t->call->arena, t->want.row_count * sizeof *rows + 1);
    size_t count = 0;

    /* Without memory they are found overdue again; neither if older ones still wait: those go first. */
    if (!rows || w->judge.count > 0)
        return;
    for (size_t i = 0; i < t->want.row_count; i++)
        if (row_is_judged(&t->want.rows[i]))
            rows[count++] = t->want.rows[i];
    if (count == 0)
        return;
    w->judge.answer = t->answer;
    t->answer->users++;
    w->judge.rows = rows;
    w->judge.count = count;
}

/* The next time at which something may be due, but not later than the worker looks anyway. */
static int64_t idle_until(const struct turn *t, int64_t now)
{
    int64_t wait = t->w->poll_ms, due = t->call->next_due_ms;

    if (due != INT64_MAX && due - t->call->now_ms < wait)
        wait = due - t->call->now_ms;
    return jobq_add_ms(now, wait > 1 ? wait : 1);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void after_due(struct turn *t, int64_t now, bool empty)
{
    struct jobq_worker *w = t->w;
    int64_t gap = w->flags & JOBQ_WORKER_DRAIN ? 0 : least(w->lease_ms / 30, 1000);

    if (t->want.more || t->want.row_count == t->want.limit) {
        w->ask_at_ms = 0;
        return;
    }
    w->ask_at_ms = idle_until(t, now);
    w->empty_due = empty;
    if (empty && w->held == 0) {
        int64_t soonest = w->alone_asked_once ? jobq_add_ms(w->alone_asked_ms, gap) : now;
        w->alone_at_ms = soonest > now ? soonest : now;
    }
}

static void after_alone(struct turn *t, int64_t now, bool empty)
{
    struct jobq_worker *w = t->w;

    w->alone_asked_once = true;
    w->alone_asked_ms = now;
    crew_asked_alone(w, now);
    w->alone_at_ms = NEVER;
    w->empty_alone = empty && !t->want.more;
    if (!empty)
        w->ask_at_ms = 0;
}

static void after_sweep(struct turn *t, int64_t now, bool empty)
{
    struct jobq_worker *w = t->w;
    int64_t every = least(w->lease_ms / 3, SWEEP_MOST_MS);

    w->empty_sweep = empty;
    __atomic_store_n(&w->q->swept_at_ms, monotonic_ms(), __ATOMIC_RELAXED); /* a claim by hand need not sweep, too */
    w->sweep_at_ms = jobq_add_ms(now, every + (int64_t)(random_dice() % (uint32_t)(w->lease_ms / 10 + 1)));
}

/* ---- schedules ------------------------------------------------------------------------------------------ */

/* Many workers hear of the same tick: some come a little later, and find it done. */
static void wait_for_tick(struct jobq_worker *w, int64_t now, int64_t wait_ms)
{
    uint32_t spread = (uint32_t)(w->lease_ms / 300 + 1);

    w->tick_at_ms = NEVER;
    if (wait_ms != INT64_MAX)
        w->tick_at_ms = jobq_add_ms(now, wait_ms > 0 ? jobq_add_ms(wait_ms, random_dice() % spread) : 0);
    if (w->tick_at_ms < w->tick_hold_ms)
        w->tick_at_ms = w->tick_hold_ms;
}

static void hear_of_ticks(struct turn *t, int64_t now)
{
    int64_t at = t->call->next_tick_ms;

    wait_for_tick(t->w, now, at == INT64_MAX ? at : at > t->call->now_ms ? at - t->call->now_ms : 0);
}

/* The jobs of schedules go in exchanges of their own, so that a template that the store refuses hurts nobody else. */
static void fire_ticks(struct turn *t)
{
    struct jobq_worker *w = t->w;
    struct ticks ticks = { .rows = t->want.schedules, .count = t->want.schedule_count,
                           .now_ms = t->want.schedule_now_ms, .store_now_ms = t->call->now_ms };
    int rc;

    if (t->want.schedule_count == 0)
        return;
    rc = ticks_fire(w->q, &ticks);
    if (rc != JOBQ_OK)
        w->tick_hold_ms = jobq_add_ms(worker_now(w), TICK_RETRY_MS);
    wait_for_tick(w, worker_now(w), rc == JOBQ_OK ? ticks.wait_ms : 0);
    if (ticks.fired) { /* there is something to claim, whatever was found before */
        w->empty_due = false;
        w->ask_at_ms = 0;
    }
    pthread_mutex_lock(&w->pool.lock);
    w->counts.fired += ticks.fired;
    pthread_mutex_unlock(&w->pool.lock);
}

/* ---- all of a want -------------------------------------------------------------------------------------- */

static void read_want(struct turn *t, int64_t now)
{
    struct jobq_worker *w = t->w;
    bool empty = t->want.row_count == 0;
    size_t taken = 0;

    w->last_mode = t->want.mode;
    if (!empty)
        w->empty_due = w->empty_alone = w->empty_sweep = false;
    if (t->want.mode != JOBQ_WANT_OVERDUE)
        taken = claim_take(w, t->answer, &t->want, t->sent_ms);
    if (taken < t->want.row_count)
        keep_for_judgement(t);
    pthread_mutex_lock(&w->pool.lock);
    w->counts.claimed += taken;
    pthread_mutex_unlock(&w->pool.lock);
    if (t->want.mode == JOBQ_WANT_DUE && t->call->poked)
        w->pokes_seen++; /* by this exchange itself, and its want saw what it had made */
    if (t->want.mode == JOBQ_WANT_DUE)
        after_due(t, now, empty);
    else if (t->want.mode == JOBQ_WANT_ALONE)
        after_alone(t, now, empty);
    else
        after_sweep(t, now, empty);
    fire_ticks(t);
}

/* ---- trouble ------------------------------------------------------------------------------------------ */

int64_t worker_back_off(struct jobq_worker *w)
{
    int64_t most = least(w->lease_ms / 3, RETRY_MOST_MS);
    int64_t wait = w->troubles < 6 ? least(INT64_C(100) << w->troubles, most) : most;

    w->troubles++;
    return wait / 2 + (int64_t)(random_dice() % (uint32_t)(wait / 2 + 1));
}

/* Grace is over and the store does not answer: what cannot be handed in is left to its lease. */
static void abandon(struct jobq_worker *w)
{
    for (struct jobq_ctx *job = w->handin; job; job = job->next) {
        job->over = true;
        w->abandoned++;
    }
    jobs_over(w, &w->handin);
    answer_drop(w->judge.answer); /* overdue again when our lease of them passes */
    w->judge.answer = NULL;
    w->judge.count = 0;
}

void turn_not_sent(struct turn *t)
{
    struct pool *pool = &t->w->pool;

    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < t->call->change_count; i++)
        if (t->slots[i].use == USE_PROGRESS) {
            pool->progress_new = true;
            t->slots[i].job->progress_new |= (t->call->changes[i].set & JOBQ_SET_PROGRESS) != 0;
            t->slots[i].job->log_sent = 0;
        }
    pthread_mutex_unlock(&pool->lock);
}

void turn_unload(struct turn *t)
{
    struct jobq_worker *w = t->w;

    jobs_over(w, &t->handin);
    jobs_append(&t->handin, w->handin); /* they were the first */
    w->handin = t->handin;
    t->handin = NULL;
}

/* Rule 17. It is heard with every record until the worker has left. */
static void hear_stop(struct jobq_worker *w)
{
    if (w->phase != PHASE_WORKING || atomic_load(&w->stop_asked))
        return;
    worker_say(w, JOBQ_NOTICE_ASKED, "an operator asked the worker %s to end", w->name);
    jobq_worker_stop(w);
}

static void want_failed(struct turn *t, int64_t now)
{
    worker_trouble(t->w, TROUBLE_WANT, t->call->error.text);
    t->w->want_retry_at_ms = jobq_add_ms(now, worker_back_off(t->w));
}

/* Nothing but a want: what is handed in and held is not held up by it. */
static bool is_want_alone(const struct call *call)
{
    return call->want && !call->beat_count && !call->change_count && !call->worker;
}

static void unit_failed(struct jobq_worker *w, int64_t now)
{
    w->beats_alone = w->phase != PHASE_LATE && w->held > 0;
    w->retry_at_ms = jobq_add_ms(now, worker_back_off(w));
    if (w->phase == PHASE_LATE)
        abandon(w);
}

/* ---- all of it ---------------------------------------------------------------------------------------- */

void turn_answer(struct turn *t)
{
    struct jobq_worker *w = t->w;
    struct call *call = t->call;
    int64_t now = worker_now(w);
    bool failed = call->unit != JOBQ_OK;

    if (failed && is_want_alone(call)) {
        want_failed(t, now);
        return;
    }
    /* FAILED as a whole may mean that it was never sent; then the items have no verdicts. */
    if (call->unit == JOBQ_FAILED)
        turn_not_sent(t);
    else
        read_unit(t);
    turn_unload(t);
    failed |= call->beats_failed;
    if (failed || t->trouble)
        worker_trouble(w, TROUBLE_UNIT, call->error.text);
    if (failed || t->failed_item) {
        unit_failed(w, now);
        return;
    }
    if (!w->beats_alone)
        worker_mended(w, TROUBLE_UNIT);
    w->beats_alone = false;
    w->retry_at_ms = 0;
    hear_of_ticks(t, now);
    if (call->worker) {
        w->record_new = false;
        w->record_running = t->record.running;
        if (t->record.stop_asked)
            hear_stop(w);
    }
    if (!w->started_at_ms)
        w->started_at_ms = call->now_ms;
    if (call->want && call->want_unit != JOBQ_OK && call->want_unit != JOBQ_SKIPPED) {
        want_failed(t, now);
        return;
    }
    w->troubles = 0;
    if (call->want && call->want_unit == JOBQ_OK) {
        worker_mended(w, TROUBLE_WANT);
        read_want(t, now);
    } else if (t->handing && !call->want) {
        w->ask_at_ms = 0; /* these places are free, and what waited for them may be due */
    }
}
