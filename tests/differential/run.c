/* SPDX-License-Identifier: MIT */
/* A step on a store: numbers become ids and tokens, and the answer becomes text that two stores must share. */
#include "diff.h"

#include <show.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what stores may differ in ------------------------------------------------------------------------------- */

int64_t on_the_grid(void *user, int64_t at)
{
    const struct side *side = user;
    if (at > INT64_MAX / 2 || at < INT64_MIN / 2)
        return at;
    int64_t from = at - side->base;
    return from >= 0 ? from / GRID : -((-from + GRID - 1) / GRID);
}

static int64_t want_of(void *user, const struct jobq_token *token)
{
    const struct side *side = user;
    static const struct jobq_token none;
    if (memcmp(token, &none, sizeof none) == 0)
        return NO_TOKEN;
    for (int i = WANTS - 1; i >= 0; i--)
        if (memcmp(token, &side->tokens[i], sizeof *token) == 0)
            return i;
    return -99;
}

static struct jobq_token token_of(const struct side *side, int number)
{
    struct jobq_token forged;
    memset(&forged, 0x5a, sizeof forged);
    if (number == NO_TOKEN)
        return (struct jobq_token){ 0 };
    return number == FORGED_TOKEN ? forged : side->tokens[number];
}

static struct jobq_time time_of(const struct side *side, struct jobq_time t)
{
    if (t.base == JOBQ_TIME_ABS && t.offset_ms != 0 && t.offset_ms < INT64_MAX / 2)
        t.offset_ms += side->base;
    return t;
}

static void digest_of(int number, uint8_t out[32])
{
    memset(out, 0, 32);
    out[0] = (uint8_t)number;
    out[31] = (uint8_t)(number ? 0xee : 0);
}

/* ---- a step becomes an exchange --------------------------------------------------------------------------------- */

struct frame {
    struct jobq_exchange x;
    struct jobq_beat beats[2];
    struct jobq_change changes[ITEMS + BURST];
    struct jobq_bytes log[ITEMS][2];
    struct jobq_put puts[ITEMS + BURST];
    struct jobq_put_key keys[ITEMS];
    struct jobq_parent parents[ITEMS][3];
    struct jobq_put_tick ticks[ITEMS];
    struct jobq_want want;
    struct jobq_bytes queues[3], kinds[2];
    struct jobq_worker_record worker;
};

static void fill_change(const struct side *side, const struct change_step *s, struct jobq_bytes log[2],
                        struct jobq_change *c)
{
    *c = (struct jobq_change){
        .id = job_id(s->job), .by = s->by, .allowed = s->allowed, .edits = s->edits, .outcome = s->outcome,
        .state = s->state, .reason = s->reason, .set = s->set, .lease_ms = s->lease_ms,
        .failures = s->counters[0], .crashes = s->counters[1], .snoozes = s->counters[2],
        .releases = s->counters[3], .redrives = s->counters[4], .alone = (uint8_t)s->alone,
        .error_kind = s->error_kind, .result = bytes_value(s->bytes[0]), .progress = bytes_value(s->bytes[1]),
        .data = bytes_value(s->bytes[2]), .payload = bytes_value(s->bytes[3]), .error = bytes_value(s->bytes[4]),
    };
    c->run_at = time_of(side, s->run_at);
    c->callback_until = time_of(side, s->callback_until);
    digest_of(s->digest, c->digest);
    if (s->by == JOBQ_BY_TOKEN)
        c->token = token_of(side, s->token);
    log[0] = c->error;
    log[1] = c->progress;
    c->log = log;
    c->log_count = 1 + (size_t)s->alone;
}

/* first: where the changes of the step begin. */
static void fill_put(const struct side *side, const struct put_step *s, struct frame *f, int first, int i)
{
    struct jobq_put *p = &f->puts[i];
    *p = (struct jobq_put){
        .id = job_id(s->job), .queue = name_value(s->queue), .kind = name_value(s->kind),
        .payload = bytes_value(s->payload), .policy = bytes_value(s->policy), .key = bytes_value(s->key),
        .trace = bytes_value(s->trace), .priority = s->priority, .rank_add_ms = s->rank_add_ms,
        .timeout_ms = s->timeout_ms, .held = (uint8_t)s->held, .only_if = s->only_if < 0 ? -1 : s->only_if + first,
    };
    if (s->group >= 0)
        p->group = name_value(s->group);
    p->run_at = time_of(side, s->run_at);
    p->expires_at = time_of(side, s->expires_at);
    for (int k = 0; k < s->parent_count; k++)
        f->parents[i][k] = (struct jobq_parent){ .id = job_id(s->parents[k]), .rule = s->rules[k] };
    p->parents = f->parents[i];
    p->parent_count = (size_t)s->parent_count;
    if (s->tick.schedule) {
        f->ticks[i] = (struct jobq_put_tick){ .schedule = name_value(s->tick.schedule), .mode = s->tick.mode,
                                              .version = s->tick.version,
                                              .nominal_ms = jobq_add_ms(side->base, s->tick.at_ms),
                                              .next_ms = jobq_add_ms(side->base, s->tick.next_ms) };
        p->tick = &f->ticks[i];
    }
    if (!s->scope)
        return;
    f->keys[i] = (struct jobq_put_key){ .scope = { (uint8_t)s->scope }, .payload_digest = { (uint8_t)s->digest },
                                        .hold = s->hold, .conflict = s->conflict, .window_ms = s->window_ms };
    p->unique = &f->keys[i];
}

static struct jobq_bytes cursor_of(const struct side *side, int cursor)
{
    if (cursor == FORGED_CURSOR)
        return (struct jobq_bytes){ "\0\1\0\1", 4 };
    return cursor == NO_CURSOR ? (struct jobq_bytes){ 0 } : side->cursors[cursor];
}

static void fill_want(const struct side *side, const struct want_step *s, struct frame *f)
{
    for (int i = 0; i < s->queue_count; i++)
        f->queues[i] = name_value(s->queues[i]);
    for (int i = 0; i < s->kind_count; i++)
        f->kinds[i] = name_value(s->kinds[i]);
    f->want = (struct jobq_want){
        .mode = s->mode, .queues = f->queues, .queue_count = (size_t)s->queue_count, .kinds = f->kinds,
        .kind_count = (size_t)s->kind_count, .limit = s->limit, .bytes = s->bytes, .lease_ms = s->lease_ms,
        .others = s->others, .worker = name_value(s->worker), .mint = { 1, (uint8_t)s->number },
        .cursor = cursor_of(side, s->cursor), .share = s->share,
    };
    f->x.want = &f->want;
}

static void fill_worker(int number, struct frame *f)
{
    f->worker = (struct jobq_worker_record){
        .name = number % 2 ? (struct jobq_bytes){ "one", 3 } : (struct jobq_bytes){ "two", 3 },
        .host = { "h", 1 }, .queues = { "q", 1 }, .kinds = { "", 0 }, .pid = 7, .started_at_ms = 5,
        .lease_ms = UNIT / 4, .nonce = { 1 }, .capacity = number, .running = 1, .leaving = number < 0,
    };
    f->x.worker = &f->worker;
}

/* Where the changes of the step begin: behind the acks, or at once. */
static int changes_at(const struct step *s)
{
    return s->acks.first ? s->acks.count : 0;
}

/* In the order of their names, as most are put whose order in turns is that of their arrival. */
static struct jobq_bytes burst_group(int groups, int i)
{
    static const char names[] = "!#$%ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    _Static_assert(sizeof names > BURST, "a name for each");
    return groups ? (struct jobq_bytes){ &names[i % groups], 1 } : (struct jobq_bytes){ 0 };
}

static void fill_bursts(const struct side *side, const struct step *s, struct frame *f)
{
    struct jobq_change *acks = &f->changes[s->acks.first ? 0 : s->change_count];
    for (int i = 0; i < s->acks.count; i++)
        acks[i] = (struct jobq_change){ .id = job_id(s->acks.jobs[i]), .by = JOBQ_BY_TOKEN,
                                        .token = token_of(side, s->acks.token), .outcome = JOBQ_OUTCOME_COMPLETE,
                                        .state = JOBQ_ROW_COMPLETED, .edits = s->acks.edits,
                                        .set = s->acks.set };
    f->x.change_count += (size_t)s->acks.count;
    for (int i = 0; i < s->burst.count; i++)
        f->puts[f->x.put_count++] = (struct jobq_put){ .id = job_id(s->burst.jobs[i]), .queue = name_value(s->burst.queue),
                                                       .kind = name_value(s->burst.kind),
                                                       .group = burst_group(s->burst.groups, i),
                                                       .payload = bytes_value(s->burst.payload), .only_if = -1 };
}

static void fill_frame(struct side *side, const struct step *s, struct frame *f)
{
    uint64_t *number = &side->numbers[s->client];
    *number += !s->repeat || *number == 0;
    f->x = (struct jobq_exchange){
        .size = sizeof f->x, .client = { 'd', (uint8_t)s->client }, .number = *number,
        .beats = f->beats, .beat_count = (size_t)s->beat_count, .changes = f->changes,
        .change_count = (size_t)s->change_count, .puts = f->puts, .put_count = (size_t)s->put_count,
        .trim.limit = s->trim_limit,
    };
    for (int i = 0; i < 8; i++) {
        f->x.trim.keep_count[i] = s->keep_count;
        f->x.trim.keep_ms[i] = s->keep_ms;
    }
    f->x.trim.keep_ms[JOBQ_KEEP_RESULTS] = s->results_ms;
    for (int i = 0; i < s->beat_count; i++)
        f->beats[i] = (struct jobq_beat){ .token = token_of(side, s->beats[i].token),
                                          .flags = s->beats[i].flags, .lease_ms = s->beats[i].lease_ms };
    for (int i = 0; i < s->change_count; i++)
        fill_change(side, &s->changes[i], f->log[i], &f->changes[changes_at(s) + i]);
    for (int i = 0; i < s->put_count; i++)
        fill_put(side, &s->puts[i], f, changes_at(s), i);
    fill_bursts(side, s, f);
    if (s->want.mode)
        fill_want(side, &s->want, f);
    if (s->worker)
        fill_worker(s->worker, f);
}

/* ---- an answer becomes text -------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    return memcmp(&((const struct jobq_row *)a)->id, &((const struct jobq_row *)b)->id, sizeof(struct jobq_id));
}

static int by_edge(const void *a, const void *b)
{
    return memcmp(&((const struct jobq_edge *)a)->id, &((const struct jobq_edge *)b)->id, sizeof(struct jobq_id));
}

static const struct jobq_edge *sorted_edges(struct side *side, const struct jobq_edge *edges, size_t count)
{
    struct jobq_edge *copy = jobq_arena_alloc(side->arena, count * sizeof *copy);
    if (!copy)
        abort();
    if (count)
        memcpy(copy, edges, count * sizeof *copy);
    qsort(copy, count, sizeof *copy, by_edge);
    return copy;
}

static void write_row(struct side *side, FILE *out, const struct jobq_row *row)
{
    const struct show_as as = { .instant = on_the_grid, .token = want_of, .user = side };
    struct jobq_row copy = *row;
    copy.parents = sorted_edges(side, row->parents, row->parent_count);
    copy.children = sorted_edges(side, row->children, row->child_count);
    fputs("    ", out);
    show_row_as(out, &copy, &as);
    putc('\n', out);
}

static void write_id(FILE *out, const struct jobq_id *id)
{
    for (int i = 0; i < 16; i++)
        fprintf(out, "%02x", id->bytes[i]);
}

/* Equally old ones have no order among them, and overdue wants are never cut short here. */
static void write_rows(struct side *side, FILE *out, const struct jobq_row *rows, size_t count, bool sort)
{
    struct jobq_row *copy = jobq_arena_alloc(side->arena, count * sizeof *copy);
    if (!copy)
        abort();
    if (count)
        memcpy(copy, rows, count * sizeof *copy);
    if (sort)
        qsort(copy, count, sizeof *copy, by_id);
    for (size_t i = 0; i < count; i++)
        write_row(side, out, &copy[i]);
}

static void write_items(struct side *side, FILE *out, const struct frame *f)
{
    for (size_t i = 0; i < f->x.beat_count; i++) {
        fprintf(out, "  beat held=%zu marks=%zu\n", f->beats[i].held, f->beats[i].mark_count);
        for (size_t m = 0; m < f->beats[i].mark_count; m++) {
            const struct jobq_row *mark = &f->beats[i].marks[m];
            fputs("    ", out);
            write_id(out, &mark->id);
            fprintf(out, " cancel=%d edits=%u state=%d\n", mark->cancel_asked, mark->edits, mark->state);
        }
    }
    for (size_t i = 0; i < f->x.change_count; i++) {
        const struct jobq_change *c = &f->changes[i];
        fprintf(out, "  change verdict=%d stale=%d lease=%" PRId64 " holder=", c->verdict, c->stale,
                c->lease_until_ms ? on_the_grid(side, c->lease_until_ms) : 0);
        write_id(out, &c->holder);
        putc('\n', out);
        if (c->verdict != JOBQ_OK && c->row)
            write_row(side, out, c->row);
    }
    for (size_t i = 0; i < f->x.put_count; i++) {
        const struct jobq_put *p = &f->puts[i];
        fprintf(out, "  put verdict=%d state=%d shown=%d same=%d retry=%" PRId64 " holder=", p->verdict, p->state,
                p->shown, p->same_payload, p->retry_ms > 0 ? 1 + p->retry_ms / GRID : p->retry_ms);
        write_id(out, &p->holder);
        putc('\n', out);
    }
    if (f->x.worker)
        fprintf(out, "  worker stop=%d\n", f->worker.stop_asked);
}

static void write_schedules(struct side *side, FILE *out, const struct jobq_schedule_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct jobq_schedule_row *s = &rows[i];
        fprintf(out, "    schedule version=%" PRId64 " paused=%d fired=%" PRId64 " next=%" PRId64, s->version,
                s->paused, s->fired_ms ? on_the_grid(side, s->fired_ms) : 0,
                s->next_ms ? on_the_grid(side, s->next_ms) : 0);
        show_bytes(out, "name", s->name);
        show_bytes(out, "bytes", s->bytes);
        putc('\n', out);
    }
}

static void write_want(struct side *side, FILE *out, const struct frame *f)
{
    const struct jobq_want *w = &f->want;
    bool overdue = w->mode == JOBQ_WANT_OVERDUE;
    fprintf(out, "  want unit=%d rows=%zu more=%d token=%" PRId64 "\n", f->x.want_unit, w->row_count,
            w->row_count < w->limit ? w->more : 0, want_of(side, &w->token));
    write_rows(side, out, w->rows, w->row_count, overdue);
    write_schedules(side, out, w->schedules, w->schedule_count);
}

static void note_outcome(const struct step *s, const struct frame *f, struct outcome *outcome)
{
    *outcome = (struct outcome){ 0 };
    for (int i = 0; i < s->change_count; i++)
        outcome->verdicts[i] = f->changes[changes_at(s) + i].verdict;
    for (int i = 0; i < s->put_count; i++)
        outcome->put_verdicts[i] = f->puts[i].verdict;
    for (size_t i = 0; f->x.want && i < f->want.row_count; i++) {
        outcome->claimed += f->want.rows[i].overdue == JOBQ_OVERDUE_NONE;
        outcome->swept += f->want.rows[i].overdue != 0 && f->want.rows[i].state == JOBQ_ROW_RUNNING;
    }
}

/* For the next want that goes on from here. An answer without a cursor leaves the client with the one that it gave. */
static void keep_cursor(struct side *side, int client, int given, struct jobq_bytes cursor)
{
    if (!cursor.data && given >= 0)
        cursor = side->cursors[given];
    if (!cursor.data || cursor.data == side->cursor_bytes[client])
        return;
    if (cursor.size > sizeof side->cursor_bytes[client])
        abort();
    if (cursor.size)
        memcpy(side->cursor_bytes[client], cursor.data, cursor.size);
    side->cursors[client] = (struct jobq_bytes){ side->cursor_bytes[client], cursor.size };
}

/* Who met much on the way and then found nothing where the front had been is to ask again within a minute: an instant
 * that the right side does not know, and never a later one. */
#define FRONT_MS 61000

static int64_t next_of(const struct side *side, const struct frame *f)
{
    bool again = side->remembers && f->x.want && f->want.mode == JOBQ_WANT_DUE && !f->want.row_count &&
                 f->x.next_due_ms > f->x.now_ms && f->x.next_due_ms <= f->x.now_ms + FRONT_MS;
    int64_t next = on_the_grid((void *)side, f->x.next_due_ms);
    return again && next < side->right_next ? side->right_next : next;
}

static void run_exchange(struct side *side, const struct step *s, FILE *out, struct outcome *outcome)
{
    static const struct jobq_token none;
    struct frame f = { 0 };
    struct jobq_error err = { 0 };
    fill_frame(side, s, &f);
    int status = side->backend->exchange(side->stores[s->client], &f.x, side->arena, &err);
    fprintf(out, "  unit=%d\n", status);
    if (status != JOBQ_OK || f.x.want_unit == JOBQ_FAILED || f.x.want_unit == JOBQ_UNKNOWN)
        printf("# %s: %s\n", side->name, err.text); /* of nothing that is drawn an exchange may fail */
    if (status != JOBQ_OK) {
        *outcome = (struct outcome){ 0 };
        return;
    }
    if (s->want.mode && memcmp(&f.want.token, &none, sizeof none) != 0)
        side->tokens[s->want.number] = f.want.token;
    if (s->want.mode)
        keep_cursor(side, s->client, s->want.cursor, f.want.next_cursor);
    write_items(side, out, &f);
    if (s->want.mode)
        write_want(side, out, &f);
    side->next = next_of(side, &f);
    fprintf(out, "  next=%" PRId64 "\n", side->next);
    if (side->schedules)
        fprintf(out, "  tick=%" PRId64 "\n", on_the_grid(side, f.x.next_tick_ms));
    note_outcome(s, &f, outcome);
}

/* ---- the other steps ------------------------------------------------------------------------------------------------- */

static void run_configure(struct side *side, const struct jobq_settings *settings, FILE *out)
{
    struct jobq_error err = { 0 };
    int status = side->backend->configure(side->stores[0], settings, &err);
    if (status == JOBQ_FAILED || status == JOBQ_UNKNOWN)
        printf("# %s: %s\n", side->name, err.text); /* of nothing that is drawn a setting may fail */
    if (out)
        fprintf(out, "  configure=%d\n", status);
}

static void run_queue(struct side *side, const struct step *s, FILE *out)
{
    struct jobq_settings settings = { .size = sizeof settings, .what = JOBQ_CONFIGURE_QUEUE, .set = s->set,
                                      .name = name_value(s->queue), .paused = s->paused, .depth = s->depth };
    for (int i = 0; i < 8; i++) {
        settings.keep_count[i] = s->keep_count;
        settings.keep_ms[i] = s->keep_ms;
    }
    settings.keep_ms[JOBQ_KEEP_RESULTS] = s->results_ms;
    run_configure(side, &settings, out);
}

static void run_schedule(struct side *side, const struct step *s, FILE *out)
{
    struct jobq_settings settings = { .size = sizeof settings, .what = JOBQ_CONFIGURE_SCHEDULE, .set = s->set,
                                      .name = name_value(s->schedule.schedule), .paused = s->paused,
                                      .version = s->schedule.version, .schedule = bytes_value(s->definition),
                                      .fired_ms = jobq_add_ms(side->base, s->schedule.at_ms),
                                      .next_ms = jobq_add_ms(side->base, s->schedule.next_ms) };
    run_configure(side, &settings, out);
}

static void run_read(struct side *side, const struct step *s, FILE *out)
{
    struct jobq_error err = { 0 };
    struct jobq_query query = { .size = sizeof query, .states = s->states, .reason = s->reason,
                                .older_ms = s->older_ms, .limit = (size_t)s->want.limit,
                                .bytes = s->want.bytes, .flags = JOBQ_READ_PAYLOAD };
    if (s->queue >= 0)
        query.queue = name_value(s->queue);
    int status = side->backend->read(side->stores[s->client], &query, side->arena, &err);
    fprintf(out, "  read=%d rows=%zu\n", status, query.row_count);
    if (status == JOBQ_OK)
        write_rows(side, out, query.rows, query.row_count, false);
}

void run_step(struct side *side, const struct step *s, FILE *out, struct outcome *outcome)
{
    const struct jobq_settings clock = { .size = sizeof clock, .what = JOBQ_CONFIGURE_CLOCK,
                                         .clock_ms = s->tick_ms };
    const struct jobq_settings stop = { .size = sizeof stop, .what = JOBQ_CONFIGURE_WORKER,
                                        .name = { "one", 3 } };
    *outcome = (struct outcome){ 0 };
    side_new_arena(side);
    run_configure(side, &clock, NULL);
    if (s->kind == STEP_EXCHANGE)
        run_exchange(side, s, out, outcome);
    else if (s->kind == STEP_QUEUE)
        run_queue(side, s, out);
    else if (s->kind == STEP_READ)
        run_read(side, s, out);
    else if (s->kind == STEP_SCHEDULE)
        run_schedule(side, s, out);
    else if (s->kind == STEP_LIMIT)
        run_limit(side, s, out);
    else if (s->kind == STEP_LIMITS)
        run_limits(side, s, out, outcome);
    else if (s->kind == STEP_EVENTS)
        run_events(side, s, out);
    else
        run_configure(side, &stop, out);
}

/* ---- all that is stored ------------------------------------------------------------------------------------------------ */

static int by_kind(const void *a, const void *b)
{
    const struct jobq_kind_stats *x = a, *y = b;
    int order = strcmp(x->queue, y->queue);
    if (!order)
        order = strcmp(x->kind, y->kind);
    return order ? order : (x->ready > y->ready) - (x->ready < y->ready); /* a NUL cuts names short */
}

static void write_stats(struct side *side, FILE *out)
{
    struct jobq_error err = { 0 };
    struct jobq_stats stats = { .size = sizeof stats };
    const struct jobq_bytes all = { 0 };
    int status = side->backend->stats(side->stores[0], &all, &stats, side->arena, &err);
    fprintf(out, "  stats=%d\n", status);
    for (size_t i = 0; i < stats.queue_count; i++) {
        const struct jobq_queue_stats *q = &stats.queues[i];
        if (!q->enqueued_total && !q->paused)
            continue; /* whether it is listed is the store's affair */
        fprintf(out, "    queue %s:", q->queue);
        for (int state = 1; state < JOBQ_STATE_COUNT; state++)
            fprintf(out, " %" PRIu64, q->present[state]);
        fprintf(out, " stuck=%" PRIu64 " total=%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, q->stuck,
                q->enqueued_total, q->completed_total, q->dead_total, q->cancelled_total, q->failed_total);
        fprintf(out, " trimmed=%" PRIu64 ",%" PRIu64 ",%" PRIu64, q->completed_trimmed, q->dead_trimmed,
                q->cancelled_trimmed);
        fprintf(out, " oldest=%" PRId64 " paused=%d",
                q->oldest_ready_at_ms ? on_the_grid(side, q->oldest_ready_at_ms) : 0, q->paused);
        if (side->figures)
            show_figures(out, q);
        fputc('\n', out);
    }
    struct jobq_kind_stats *kinds = jobq_arena_alloc(side->arena, stats.kind_count * sizeof *kinds);
    if (!kinds)
        abort();
    if (stats.kind_count)
        memcpy(kinds, stats.kinds, stats.kind_count * sizeof *kinds);
    qsort(kinds, stats.kind_count, sizeof *kinds, by_kind);
    for (size_t i = 0; i < stats.kind_count; i++)
        fprintf(out, "    kind %s %s %" PRIu64 "\n", kinds[i].queue, kinds[i].kind, kinds[i].ready);
    for (size_t i = 0; i < stats.worker_count; i++)
        fprintf(out, "    worker %s %d %d\n", stats.workers[i].name, stats.workers[i].capacity,
                stats.workers[i].stop_asked);
}

void show_store(struct side *side, FILE *out)
{
    struct jobq_error err = { 0 };
    struct jobq_query query = { .size = sizeof query, .limit = 1000,
                                .flags = JOBQ_READ_PAYLOAD | JOBQ_READ_RESULT | JOBQ_READ_ERRORS |
                                         JOBQ_READ_PARENTS | JOBQ_READ_LOG };
    side_new_arena(side);
    int status = side->backend->read(side->stores[0], &query, side->arena, &err);
    fprintf(out, "  stored=%d rows=%zu\n", status, query.row_count);
    if (status == JOBQ_OK)
        write_rows(side, out, query.rows, query.row_count, false);
    write_stats(side, out);
    if (side->groups)
        show_limits(side, out);
    if (side->events)
        show_events(side, out);
    if (!side->schedules)
        return;
    struct jobq_schedule_query schedules = { .size = sizeof schedules, .limit = 100 };
    status = side->backend->schedules(side->stores[0], &schedules, side->arena, &err);
    fprintf(out, "  schedules=%d\n", status);
    write_schedules(side, out, schedules.rows, schedules.row_count);
}
