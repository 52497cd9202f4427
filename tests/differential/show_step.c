/* SPDX-License-Identifier: MIT */
/* A step in words, for who has to find out why two stores differ. */
#include "diff.h"

#include <inttypes.h>

#include "transitions.h"

static void show_time(FILE *out, const char *name, struct jobq_time t)
{
    static const char *const bases[] = { "keep", "now", "later", "abs", "row" };
    fprintf(out, " %s=%s%+" PRId64, name, bases[t.base], t.offset_ms);
}

static void show_change(FILE *out, const struct change_step *c)
{
    fprintf(out, "  change job %d %s: by=%d token=%d state=%d reason=%d outcome=%d allowed=%#x edits=%d set=%#x", c->job,
            jobq_transitions[c->transition].event, c->by, c->token, c->state, c->reason, c->outcome, c->allowed,
            (int)c->edits, c->set);
    if (c->set & JOBQ_SET_RUN_AT)
        show_time(out, "run_at", c->run_at);
    if (c->set & JOBQ_SET_DEADLINE)
        show_time(out, "deadline", c->callback_until);
    if (c->set & JOBQ_SET_LEASE)
        fprintf(out, " lease=%" PRId64, c->lease_ms);
    if (c->set & JOBQ_SET_CALLBACK || c->by == JOBQ_BY_CALLBACK)
        fprintf(out, " digest=%d", c->digest);
    if (c->set & JOBQ_SET_ALONE)
        fprintf(out, " alone=%d", c->alone);
    fprintf(out, " bytes=%d,%d,%d,%d,%d\n", c->bytes[0], c->bytes[1], c->bytes[2], c->bytes[3], c->bytes[4]);
}

static void show_put(FILE *out, const struct put_step *p)
{
    fprintf(out, "  put job %d queue=%d kind=%d payload=%d rank_add=%" PRId64 " timeout=%" PRId64, p->job, p->queue,
            p->kind, p->payload, p->rank_add_ms, p->timeout_ms);
    if (p->group >= 0)
        fprintf(out, " group=%d", p->group);
    show_time(out, "run_at", p->run_at);
    show_time(out, "expires", p->expires_at);
    if (p->held)
        fputs(" held", out);
    if (p->scope)
        fprintf(out, " key(scope=%d hold=%d conflict=%d window=%" PRId64 " digest=%d)", p->scope, p->hold, p->conflict,
                p->window_ms, p->digest);
    if (p->tick.schedule)
        fprintf(out, " tick(%d mode=%d version=%" PRId64 " nominal=%" PRId64 " next=%" PRId64 ")", p->tick.schedule,
                p->tick.mode, p->tick.version, p->tick.at_ms, p->tick.next_ms);
    for (int i = 0; i < p->parent_count; i++)
        fprintf(out, " parent(%d rule=%d)", p->parents[i], p->rules[i]);
    if (p->only_if >= 0)
        fprintf(out, " only_if=%d", p->only_if);
    putc('\n', out);
}

static void show_want(FILE *out, const struct want_step *w)
{
    fprintf(out, "  want %d mode=%d limit=%zu bytes=%zu lease=%" PRId64 " others=%zu queues=", w->number, w->mode,
            w->limit, w->bytes, w->lease_ms, w->others);
    for (int i = 0; i < w->queue_count; i++)
        fprintf(out, "%d,", w->queues[i]);
    fputs(" kinds=", out);
    for (int i = 0; i < w->kind_count; i++)
        fprintf(out, "%d,", w->kinds[i]);
    fprintf(out, " cursor=%d share=%d\n", w->cursor, (int)w->share);
}

static void show_exchange(FILE *out, const struct step *s)
{
    fprintf(out, "exchange client=%d%s\n", s->client, s->repeat ? " (the number before)" : "");
    for (int i = 0; i < s->beat_count; i++)
        fprintf(out, "  beat token=%d flags=%u lease=%" PRId64 "\n", s->beats[i].token, s->beats[i].flags,
                s->beats[i].lease_ms);
    for (int i = 0; i < s->change_count; i++)
        show_change(out, &s->changes[i]);
    for (int i = 0; i < s->put_count; i++)
        show_put(out, &s->puts[i]);
    show_bursts(out, s);
    if (s->trim_limit)
        fprintf(out, "  trim limit=%zu count=%" PRId64 " ms=%" PRId64 " results=%" PRId64 "\n", s->trim_limit, s->keep_count,
                s->keep_ms, s->results_ms);
    if (s->worker)
        fprintf(out, "  worker %d\n", s->worker);
    if (s->want.mode)
        show_want(out, &s->want);
}

static void show_limit(FILE *out, const struct step *s)
{
    const struct limit_step *l = &s->limit;
    fprintf(out, "limit of %d, name %d: set=%#x concurrency=%" PRId64 ",%" PRId64, l->of, l->name, s->set, l->concurrency,
            l->group_concurrency);
    fprintf(out, " rate=%" PRId64 "/%" PRId64 " quota=%" PRId64 "/%" PRId64 " plan=%d\n", l->rate, l->rate_period_ms,
            l->quota, l->quota_period_ms, l->plan);
}

void show_step(FILE *out, const struct step *s)
{
    fprintf(out, "after %" PRId64 " ms: ", s->tick_ms);
    if (s->kind == STEP_EXCHANGE)
        show_exchange(out, s);
    else if (s->kind == STEP_QUEUE)
        fprintf(out, "queue %d set=%#x paused=%d depth=%" PRId64 " keep=%" PRId64 ",%" PRId64 ",%" PRId64 "\n", s->queue,
                s->set, s->paused, s->depth, s->keep_count, s->keep_ms, s->results_ms);
    else if (s->kind == STEP_SCHEDULE)
        fprintf(out, "schedule %d: set=%#x version=%" PRId64 " definition=%d paused=%d fired=%" PRId64 " next=%" PRId64 "\n",
                s->schedule.schedule, s->set, s->schedule.version, s->definition, s->paused, s->schedule.at_ms,
                s->schedule.next_ms);
    else if (s->kind == STEP_READ)
        fprintf(out, "read queue=%d states=%#x reason=%d older=%" PRId64 " limit=%zu bytes=%zu\n", s->queue, s->states,
                s->reason, s->older_ms, s->want.limit, s->want.bytes);
    else if (s->kind == STEP_LIMIT)
        show_limit(out, s);
    else if (s->kind == STEP_LIMITS)
        fprintf(out, "read limits of %d, name %d after %d limit=%zu\n", s->limit.of, s->limit.name, s->limit.after,
                s->want.limit);
    else if (s->kind == STEP_EVENTS)
        fprintf(out, "keep %" PRId64 " events\n", s->keep_count);
    else
        fputs("ask worker 'one' to stop\n", out);
}
