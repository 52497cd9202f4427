/* SPDX-License-Identifier: MIT */
/* The next step: mostly something that can be done to a job that is there, sometimes something that cannot. */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

#include "transitions.h"

uint32_t roll(struct dice *dice, uint32_t sides)
{
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    return (uint32_t)((dice->state * UINT64_C(2685821657736338717)) >> 33) % sides;
}

bool chance(struct generator *g, uint32_t percent)
{
    return roll(&g->dice, 100) < percent;
}

int between(struct generator *g, int low, int high)
{
    return low + (int)roll(&g->dice, (uint32_t)(high - low + 1));
}

int64_t pick(struct generator *g, const int64_t *values, size_t count)
{
    return values[roll(&g->dice, (uint32_t)count)];
}

/* ---- a look at the store --------------------------------------------------------------------------------------- */

static struct jobq_query look(struct side *side)
{
    struct jobq_error err = { 0 };
    struct jobq_query query = { .size = sizeof query, .limit = 1000 };
    side_new_arena(side);
    if (side->backend->read(side->stores[0], &query, side->arena, &err) != JOBQ_OK)
        abort();
    return query;
}

static int token_number(const struct side *side, const struct jobq_token *token)
{
    for (int i = WANTS - 1; i >= 0; i--)
        if (memcmp(token, &side->tokens[i], sizeof *token) == 0)
            return i;
    return NO_TOKEN;
}

/* ---- changes ------------------------------------------------------------------------------------------------------ */

static bool is_event(const struct jobq_transition *t, const char *event)
{
    return strcmp(t->event, event) == 0;
}

static bool is_change(const struct jobq_transition *t)
{
    return strcmp(t->by, "token") == 0 || strcmp(t->by, "operator") == 0 || strcmp(t->by, "callback") == 0;
}

static int named(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    abort();
}

static int outcome_of(const struct jobq_transition *t)
{
    static const char *const names[] = { "-", "complete", "fail", "release", "snooze", "park", "void", NULL };
    return named(names, t->outcome);
}

static int reason_of(const struct jobq_transition *t)
{
    static const char *const names[] = { "-", "parents", "callback", "hold", "attempts", "permanent", "poison",
                                         "expired", "timeout", "dependency", "callback_timeout", "early_ack",
                                         NULL };
    static const int reasons[] = { 0, JOBQ_REASON_PARENTS, JOBQ_REASON_CALLBACK, JOBQ_REASON_HOLD,
                                   JOBQ_REASON_ATTEMPTS, JOBQ_REASON_PERMANENT, JOBQ_REASON_POISON,
                                   JOBQ_REASON_EXPIRED, JOBQ_REASON_TIMEOUT, JOBQ_REASON_DEPENDENCY,
                                   JOBQ_REASON_CALLBACK_TIMEOUT, JOBQ_REASON_EARLY_ACK };
    return reasons[named(names, t->reason)];
}

/* Is this job one that the event is about? */
static bool suits(const struct jobq_transition *t, const struct jobq_row *r)
{
    if (r->state != t->from)
        return false;
    if (is_event(t, "resume") || is_event(t, "callback_late") || is_event(t, "callback_last"))
        return r->reason == JOBQ_REASON_CALLBACK;
    if (is_event(t, "parent_dead") || is_event(t, "parent_gone"))
        return r->reason == JOBQ_REASON_PARENTS;
    if (is_event(t, "unhold"))
        return r->held && !r->pending;
    if (is_event(t, "unhold_wait"))
        return r->held && r->pending;
    return true;
}

/* What the core never asks for: to wake a job that waits for parents. */
static bool senseless(const struct jobq_transition *t, const struct jobq_row *r)
{
    bool wakes = is_event(t, "resume") || is_event(t, "callback_late");
    return wakes && r->state == JOBQ_ROW_BLOCKED && r->reason != JOBQ_REASON_CALLBACK;
}

static const struct jobq_row *choose_row(struct generator *g, const struct jobq_query *rows,
                                         const struct jobq_transition *t)
{
    const struct jobq_row *fitting[JOBS];
    uint32_t count = 0;
    for (size_t i = 0; i < rows->row_count; i++)
        if (suits(t, &rows->rows[i]))
            fitting[count++] = &rows->rows[i];
    if (count && !chance(g, 12))
        return fitting[roll(&g->dice, count)];
    return rows->row_count && chance(g, 40) ? &rows->rows[roll(&g->dice, (uint32_t)rows->row_count)] : NULL;
}

static struct jobq_time some_time(struct generator *g)
{
    struct jobq_time t = { .base = between(g, JOBQ_TIME_KEEP, JOBQ_TIME_ROW) };
    t.offset_ms = chance(g, 4) ? INT64_MAX : PICK(g, 0, 0, UNIT, 2 * UNIT, -UNIT);
    return t;
}

/* A run_at is never 0, which is "none" elsewhere. */
static struct jobq_time some_run_at(struct generator *g, int last_base)
{
    struct jobq_time t = some_time(g);
    if (t.base > last_base)
        t.base = JOBQ_TIME_NOW;
    if (t.base == JOBQ_TIME_ABS && t.offset_ms == 0)
        t.offset_ms = UNIT;
    return t;
}

static uint32_t set_of_outcome(struct generator *g, const struct jobq_transition *t)
{
    if (is_event(t, "extend"))
        return JOBQ_SET_LEASE | (chance(g, 30) ? JOBQ_SET_PROGRESS : 0) | (chance(g, 40) ? JOBQ_SET_CALLBACK : 0);
    if (strcmp(t->outcome, "complete") == 0)
        return JOBQ_SET_RESULT;
    if (strcmp(t->outcome, "fail") == 0)
        return JOBQ_ADD_ERROR | JOBQ_SET_COUNTERS | (chance(g, 60) ? JOBQ_SET_RUN_AT : 0) |
               (chance(g, 15) ? JOBQ_SET_ALONE : 0);
    if (strcmp(t->outcome, "park") == 0)
        return JOBQ_SET_DEADLINE | (chance(g, 60) ? JOBQ_SET_CALLBACK : 0);
    return chance(g, 50) ? JOBQ_SET_RUN_AT | JOBQ_SET_COUNTERS : 0;
}

static uint32_t set_of_operator(struct generator *g, const struct jobq_transition *t)
{
    if (is_event(t, "cancel_soft"))
        return JOBQ_SET_CANCEL_ASKED;
    if (is_event(t, "resume"))
        return JOBQ_SET_DATA | JOBQ_SET_RUN_AT;
    if (is_event(t, "resume_early"))
        return JOBQ_SET_DATA | JOBQ_SET_RESUMED;
    if (is_event(t, "unhold") || is_event(t, "unhold_wait"))
        return JOBQ_LIFT_HOLD;
    if (is_event(t, "redrive"))
        return (chance(g, 85) ? JOBQ_TAKE_KEY : 0) | (chance(g, 85) ? JOBQ_BLOCK_AGAIN : 0) | JOBQ_CLEAR_CANCEL |
               JOBQ_SET_COUNTERS;
    if (is_event(t, "edit"))
        return (chance(g, 50) ? JOBQ_SET_RUN_AT : 0) | (chance(g, 50) ? JOBQ_SET_PAYLOAD : 0) |
               (chance(g, 20) ? JOBQ_SET_ALONE : 0) | (chance(g, 20) ? JOBQ_SET_DEADLINE : 0);
    return chance(g, 40) ? JOBQ_ADD_ERROR : 0;
}

static uint32_t legal_from(const struct jobq_transition *t)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < JOBQ_TRANSITION_COUNT; i++)
        if (is_event(&jobq_transitions[i], t->event))
            mask |= JOBQ_ROW_BIT((unsigned)jobq_transitions[i].from);
    return mask;
}

static void fill_values(struct generator *g, const struct jobq_row *r, struct change_step *c)
{
    c->run_at = some_run_at(g, JOBQ_TIME_ROW);
    c->callback_until = some_time(g);
    c->lease_ms = PICK(g, GRID / 4, UNIT / 4, UNIT, 3 * UNIT, INT64_MAX);
    c->counters[0] = r->failures + (r->failures < INT32_MAX);
    c->counters[1] = r->crashes;
    c->counters[2] = r->snoozes;
    c->counters[3] = r->releases;
    c->counters[4] = chance(g, 3) ? INT32_MAX : r->redrives;
    c->alone = between(g, 0, 1);
    c->error_kind = between(g, JOBQ_ERROR_HANDLER, JOBQ_ERROR_EXPIRED);
    c->digest = chance(g, 85) ? 1 : between(g, 0, 2);
    for (int i = 0; i < 5; i++)
        c->bytes[i] = between(g, 0, BYTES_VALUES - 1);
}

static int choose_token(struct generator *g, const struct side *side, const struct jobq_row *r)
{
    if (chance(g, 88))
        return token_number(side, &r->token);
    if (g->wants && chance(g, 60))
        return between(g, 0, g->wants - 1);
    return chance(g, 50) ? FORGED_TOKEN : NO_TOKEN;
}

static bool generate_change(struct generator *g, const struct side *side, const struct jobq_query *rows,
                            struct change_step *c)
{
    static const char *const rare[] = { "complete", "complete", "resume", "resume_early", "park", "extend", NULL };
    int index = between(g, 0, (int)JOBQ_TRANSITION_COUNT - 1);
    const char *favoured = chance(g, 25) ? rare[roll(&g->dice, 6)] : jobq_transitions[index].event;
    while (!is_event(&jobq_transitions[index], favoured))
        index = (index + 1) % (int)JOBQ_TRANSITION_COUNT;
    const struct jobq_transition *t = &jobq_transitions[index];
    const struct jobq_row nobody = { .id = job_id(JOBS - 1) };
    const struct jobq_row *r = is_change(t) ? choose_row(g, rows, t) : NULL;
    if (!is_change(t) || (!r && !chance(g, 5)) || (r && senseless(t, r)))
        return false;
    if (!r)
        r = &nobody;
    bool token = strcmp(t->by, "token") == 0;
    *c = (struct change_step){
        .job = r->id.bytes[15], .transition = index, .outcome = outcome_of(t), .reason = reason_of(t),
        .state = t->from == t->to ? JOBQ_ROW_KEEP : t->to,
        .by = token ? JOBQ_BY_TOKEN : strcmp(t->by, "callback") == 0 ? JOBQ_BY_CALLBACK : JOBQ_BY_OPERATOR,
        .allowed = legal_from(t), .set = token ? set_of_outcome(g, t) : set_of_operator(g, t),
        .edits = chance(g, 35) ? JOBQ_ANY_EDITS : chance(g, is_event(t, "resume_early") ? 50 : 78) ? r->edits : r->edits + 1,
    };
    fill_values(g, r, c);
    c->token = choose_token(g, side, r);
    if (g->logs && chance(g, 30))
        c->set |= JOBQ_ADD_LOG;
    return true;
}

/* ---- puts ------------------------------------------------------------------------------------------------------------ */

static int choose_job(struct generator *g, const struct jobq_query *rows)
{
    if (rows->row_count && chance(g, 15))
        return rows->rows[roll(&g->dice, (uint32_t)rows->row_count)].id.bytes[15];
    return between(g, 0, g->jobs - 2); /* the last one is never there */
}

static void generate_parents(struct generator *g, const struct jobq_query *rows, struct put_step *p)
{
    p->parent_count = rows->row_count && chance(g, 40) ? between(g, 1, 3) : 0;
    for (int i = 0; i < p->parent_count; i++) {
        p->parents[i] = rows->rows[roll(&g->dice, (uint32_t)rows->row_count)].id.bytes[15];
        if (chance(g, 3))
            p->parents[i] = JOBS - 1;
        p->rules[i] = between(g, JOBQ_PARENT_FAIL, JOBQ_PARENT_IGNORE);
    }
}

static struct tick_step some_tick(struct generator *g)
{
    struct tick_step t = { .schedule = between(g, 1, 2), .mode = between(g, JOBQ_TICK_PUT, JOBQ_TICK_DEFER),
                           .version = between(g, 1, 2), .at_ms = between(g, 0, 12) * UNIT / 2 + GRID / 2,
                           .next_ms = between(g, 0, 12) * UNIT / 2 + GRID / 2 };
    if (chance(g, 10))
        t.next_ms = INT64_MAX;
    return t;
}

static void generate_put(struct generator *g, const struct jobq_query *rows, const struct step *step,
                         struct put_step *p)
{
    *p = (struct put_step){
        .job = choose_job(g, rows), .queue = between(g, 0, 2), .kind = between(g, 0, 2),
        .group = g->groups && chance(g, g->bursts ? 4 : 55) ? between(g, 0, GROUPS - 1) : -1, .payload = between(g, 0, BYTES_VALUES - 1),
        .policy = chance(g, 20) ? between(g, 0, BYTES_VALUES - 1) : 0,
        .key = between(g, 0, BYTES_VALUES - 1), .trace = chance(g, 10) ? between(g, 0, BYTES_VALUES - 1) : 0,
        .priority = (int32_t)PICK(g, 0, 0, 1, -1, INT32_MAX, INT32_MIN),
        .rank_add_ms = chance(g, 60) ? 0 : PICK(g, UNIT, -UNIT, INT64_MAX, INT64_MIN),
        .timeout_ms = chance(g, 70) ? 0 : PICK(g, GRID / 4, UNIT / 2, 2 * UNIT, INT64_MAX),
        .window_ms = PICK(g, GRID / 4, UNIT, 3 * UNIT, INT64_MAX), .held = chance(g, 12),
        .scope = chance(g, 50) ? between(g, 1, 3) : 0, .digest = between(g, 0, 1),
        .hold = between(g, JOBQ_HOLD_LIVE, JOBQ_HOLD_FOREVER),
        .conflict = between(g, JOBQ_CONFLICT_RETURN, JOBQ_CONFLICT_EXTEND),
        .only_if = step->change_count && chance(g, 20) ? between(g, 0, step->change_count - 1) : -1,
    };
    if (p->hold == JOBQ_HOLD_FOREVER && chance(g, 70))
        p->hold = JOBQ_HOLD_WAITING;
    if (chance(g, 40))
        p->run_at = some_run_at(g, JOBQ_TIME_ABS);
    if (chance(g, 15))
        p->expires_at = some_time(g);
    if (p->scope && g->successors && chance(g, 40))
        p->conflict = JOBQ_CONFLICT_SUCCESSOR; /* which names no parents */
    else
        generate_parents(g, rows, p);
    if (g->schedules && chance(g, 25))
        p->tick = some_tick(g);
    p->transition = p->held ? 2 : p->parent_count ? 1 : 0; /* as they stand in the table */
}

/* ---- wants and beats -------------------------------------------------------------------------------------------------- */

static void generate_want(struct generator *g, int client, struct want_step *w)
{
    uint32_t dice = roll(&g->dice, 100);
    *w = (struct want_step){
        .mode = dice < 65 ? JOBQ_WANT_DUE : dice < 90 ? JOBQ_WANT_OVERDUE : JOBQ_WANT_ALONE,
        .number = g->wants++, .queue_count = between(g, 1, 3), .kind_count = chance(g, 30) ? between(g, 1, 2) : 0,
        .worker = between(g, 0, NAME_VALUES - 1), .limit = (size_t)between(g, 1, 5),
        .bytes = chance(g, 25) ? (size_t)between(g, 1, 400) : 0, .others = chance(g, 30) ? 1 : 0,
        .lease_ms = PICK(g, GRID / 4, UNIT / 4, UNIT / 4, UNIT, 3 * UNIT, INT64_MAX),
    };
    for (int i = 0; i < 3; i++)
        w->queues[i] = between(g, 0, 2);
    for (int i = 0; i < 2; i++)
        w->kinds[i] = between(g, 0, 2);
    w->cursor = chance(g, 75) ? client : chance(g, 50) ? 1 - client : chance(g, 70) ? NO_CURSOR : FORGED_CURSOR;
    w->share = between(g, 0, 3);
    if (w->mode == JOBQ_WANT_OVERDUE) { /* equally old rows have no order: never cut short */
        w->limit = JOBS;
        w->bytes = 0;
    } else if (g->bursts && chance(g, 80)) {
        w->limit = (size_t)between(g, 8, BURST);
        w->kind_count = chance(g, 10);
        w->bytes = chance(g, 5) ? 60 : 0;
        w->lease_ms = PICK(g, UNIT, 3 * UNIT, 9 * UNIT, 9 * UNIT, INT64_MAX);
    }
}

static void generate_beat(struct generator *g, struct beat_step *b)
{
    b->token = chance(g, 90) ? between(g, 0, g->wants - 1) : FORGED_TOKEN;
    b->flags = chance(g, 20) ? JOBQ_BEAT_RELEASE : 0;
    b->flags |= chance(g, 20) ? JOBQ_BEAT_MINT : 0;
    b->lease_ms = PICK(g, GRID / 4, UNIT / 4, UNIT, INT64_MAX);
}

static void generate_trim(struct generator *g, struct step *s)
{
    if (!chance(g, 25))
        return;
    s->trim_limit = g->bursts ? (size_t)PICK(g, 3, 20, 500) : 500;
    s->keep_count = g->bursts ? PICK(g, -1, 0, 5, 12, 30) : PICK(g, -1, 0, 1, 2);
    s->keep_ms = PICK(g, 0, UNIT, -1);
    /* Results of one instant go in any order, and many end at one: with bursts they are never cut short. */
    s->results_ms = s->trim_limit < 500 ? -1 : PICK(g, -1, UNIT / 4, UNIT, 3 * UNIT);
}

static void generate_exchange(struct generator *g, struct side *side, struct step *s)
{
    struct jobq_query rows = look(side);
    int changes = chance(g, g->bursts ? 40 : 80) ? between(g, 1, ITEMS) : 0;
    int puts = chance(g, g->bursts ? 25 : 55) ? between(g, 1, ITEMS) : 0;
    s->beat_count = g->wants && chance(g, 20) ? between(g, 1, 2) : 0;
    for (int i = 0; i < s->beat_count; i++)
        generate_beat(g, &s->beats[i]);
    for (int i = 0; i < changes; i++)
        s->change_count += generate_change(g, side, &rows, &s->changes[s->change_count]);
    for (int i = 0; i < puts; i++)
        generate_put(g, &rows, s, &s->puts[s->put_count++]);
    if (g->bursts)
        generate_bursts(g, side, &rows, s);
    generate_trim(g, s);
    if (g->wants < WANTS && chance(g, 60))
        generate_want(g, s->client, &s->want);
    if (chance(g, 10))
        s->worker = between(g, 0, 3) ? between(g, 1, 2) : -between(g, 1, 2);
}

/* ---- a step ------------------------------------------------------------------------------------------------------------- */

static void generate_queue(struct generator *g, struct step *s)
{
    s->kind = STEP_QUEUE;
    s->queue = between(g, 0, 2);
    s->set = (chance(g, 60) ? JOBQ_SETTING_PAUSED : 0) | (chance(g, 30) ? JOBQ_SETTING_DEPTH : 0) |
             (chance(g, 30) ? JOBQ_SETTING_KEEP : 0);
    s->paused = chance(g, 30);
    s->depth = PICK(g, -1, -1, 0, 3, 8);
    s->keep_count = PICK(g, -1, 0, 2);
    s->keep_ms = PICK(g, -1, UNIT);
    s->results_ms = g->bursts ? -1 : PICK(g, -1, UNIT / 4, UNIT);
}

static void generate_schedule(struct generator *g, struct step *s)
{
    s->kind = STEP_SCHEDULE;
    s->schedule = some_tick(g);
    s->schedule.version = PICK(g, JOBQ_ANY_VERSION, JOBQ_ANY_VERSION, 0, 1, 2);
    s->set = (chance(g, 60) ? JOBQ_SETTING_SCHEDULE : 0) | (chance(g, 30) ? JOBQ_SETTING_PAUSED : 0) |
             (chance(g, 60) ? JOBQ_SETTING_NEXT : 0);
    s->paused = chance(g, 40);
    s->definition = between(g, 0, 9) ? between(g, 1, BYTES_VALUES - 1) : 0; /* 0: removed */
}

static void generate_read(struct generator *g, struct step *s)
{
    s->kind = STEP_READ;
    s->queue = between(g, -1, 2);
    s->states = roll(&g->dice, 256) & 0xfe;
    s->reason = chance(g, 20) ? between(g, 1, 15) : 0;
    s->older_ms = chance(g, 30) ? UNIT : 0;
    s->want.limit = (size_t)between(g, 0, 20);
    s->want.bytes = chance(g, 30) ? (size_t)between(g, 1, 600) : 0;
}

/* The step before of some client again: under the same number, or by the other client under its own. */
static bool generate_repeat(struct generator *g, struct step *s)
{
    int of = between(g, 0, CLIENTS - 1);
    int64_t tick_ms = s->tick_ms;
    if (!g->has_last[of])
        return false;
    *s = g->last[of];
    s->tick_ms = tick_ms;
    s->repeat = chance(g, 55);
    if (!s->repeat) {
        s->client = 1 - of;
        s->want.mode = 0;
    }
    return true;
}

void generate_step(struct generator *g, struct side *side, struct step *s)
{
    uint32_t dice = roll(&g->dice, 100);
    *s = (struct step){ .client = between(g, 0, CLIENTS - 1) };
    s->tick_ms = GRID + (chance(g, 70) ? 0 : PICK(g, UNIT / 4, UNIT, 2 * UNIT));
    if (dice < 4)
        generate_queue(g, s);
    else if (dice < 8)
        generate_read(g, s);
    else if (dice < 9)
        s->kind = STEP_WORKER_STOP;
    else if (g->schedules && dice < 12)
        generate_schedule(g, s);
    else if (g->limits && (dice < 16 || g->limits_first-- > 0))
        generate_limit(g, s);
    else if (g->groups && dice < 20)
        generate_limits_read(g, s);
    else if (g->events && (dice == 29 || g->events_first))
        generate_events(g, s);
    else if (dice >= 30 || !generate_repeat(g, s))
        generate_exchange(g, side, s);
    if (s->kind == STEP_EXCHANGE) {
        g->last[s->client] = *s;
        g->has_last[s->client] = true;
    }
}
