/* SPDX-License-Identifier: MIT */
/* Heartbeats and changes: what happens to rows that are there. */
#include "memory.h"

#include <string.h>

static bool is_ended(int state)
{
    return JOBQ_ROW_BIT((unsigned)state) & JOBQ_ROW_ENDED;
}

void mem_wait(struct mem_unit *u, struct mem_row *row)
{
    jobq_row_wait(&row->c.row, u->now);
    u->wake = true;
}

/* ---- beats -------------------------------------------------------------------------------------------------- */

static bool beat_means(const struct jobq_beat *beat, const struct mem_row *row)
{
    size_t compared = beat->flags & JOBQ_BEAT_MINT ? 8 : sizeof beat->token;
    return row && memcmp(&row->c.row.token, &beat->token, compared) == 0;
}

static struct mem_row *first_held(const struct mem *m, const struct jobq_beat *beat)
{
    struct jobq_token from = beat->token;
    if (beat->flags & JOBQ_BEAT_MINT)
        memset(from.bytes + 8, 0, 8);
    struct mem_row *row = mem_held_from(m, &from);
    return beat_means(beat, row) ? row : NULL;
}

static struct mem_row *next_held(const struct jobq_beat *beat, const struct mem_row *row)
{
    struct mem_row *next = mem_held_next(row);
    return beat_means(beat, next) ? next : NULL;
}

static int give_back(struct mem_unit *u, struct mem_row *row)
{
    struct jobq_row *r = &row->c.row;
    if (mem_edit(u, row) != 0)
        return -1;
    mem_wait(u, row);
    r->outcome = JOBQ_OUTCOME_RELEASE;
    r->releases += r->releases < INT32_MAX;
    mem_done(u, row);
    return mem_event(u, row, JOBQ_ROW_WAITING);
}

static int extend(struct mem_unit *u, struct mem_row *row, int64_t lease_ms)
{
    if (mem_edit(u, row) != 0)
        return -1;
    jobq_row_extend(&row->c.row, lease_ms, u->now);
    mem_done(u, row);
    return 0;
}

static bool is_marked(const struct mem_unit *u, const struct jobq_row *r)
{
    return r->cancel_asked || (r->stop_at_ms && r->stop_at_ms <= u->now);
}

static int view_marks(struct mem_unit *u, struct jobq_beat *beat)
{
    struct jobq_row *marks = beat->mark_count ? jobq_arena_alloc(u->arena, beat->mark_count * sizeof *marks) : NULL;
    if (beat->mark_count && !marks)
        return -1;
    beat->marks = marks;
    for (struct mem_row *row = first_held(u->m, beat); row && marks; row = next_held(beat, row))
        if (is_marked(u, &row->c.row) && mem_view(u->m, u->arena, row, 0, marks++) != 0)
            return -1;
    return 0;
}

int mem_beat(struct mem_unit *u, struct jobq_beat *beat)
{
    bool release = beat->flags & JOBQ_BEAT_RELEASE;
    struct mem_row *next;
    beat->held = beat->mark_count = 0;
    beat->marks = NULL;
    for (struct mem_row *row = first_held(u->m, beat); row; row = next) {
        const struct jobq_row *r = &row->c.row;
        next = next_held(beat, row);
        if (r->outcome != JOBQ_OUTCOME_NONE)
            continue;
        beat->held++;
        beat->mark_count += !release && is_marked(u, r);
        bool stopped = r->stop_at_ms && r->stop_at_ms <= u->now;
        if (release ? give_back(u, row) != 0 : !stopped && extend(u, row, beat->lease_ms) != 0)
            return -1;
    }
    return view_marks(u, beat);
}

/* ---- changes: refusals --------------------------------------------------------------------------------------- */

/* What the guards cannot know: edges and the key. */
static int refusal(const struct mem_unit *u, struct jobq_change *change, const struct mem_row *row)
{
    if (change->state == JOBQ_ROW_GONE && row->c.open_children) {
        change->stale = JOBQ_STALE_STATE;
        return JOBQ_STALE;
    }
    if (!(change->set & JOBQ_TAKE_KEY) || !row->c.has_key)
        return JOBQ_OK;
    const struct mem_key *key = mem_key_held(u->m, row->c.key.scope, u->now);
    if (!key || memcmp(&key->c.job, &row->c.row.id, sizeof key->c.job) == 0)
        return JOBQ_OK;
    change->holder = key->c.job;
    return JOBQ_DUPLICATE;
}

/* ---- changes: values ------------------------------------------------------------------------------------------- */

/* A list of which the newest `kept` stay. */
struct entries {
    const struct jobq_row_error *at;
    size_t count, kept;
};

/* Append `more` lines with these texts. The list before is freed, but not what it shares with the new one. */
static int append(struct mem_unit *u, const struct jobq_row *r, int kind, const struct jobq_bytes *texts, size_t more,
                  struct entries *list)
{
    size_t ignored = more > list->kept ? more - list->kept : 0;
    texts += ignored;
    more -= ignored;
    size_t skip = list->count + more > list->kept ? list->count + more - list->kept : 0, old = list->count - skip;
    struct jobq_row_error *entries = mem_alloc(u, (old + more) * sizeof *entries);
    if (!entries)
        return -1;
    if (old)
        memcpy(entries, list->at + skip, old * sizeof *entries);
    for (size_t i = 0; i < more; i++) {
        struct jobq_row_error *newest = &entries[old + i];
        *newest = (struct jobq_row_error){ .attempt = r->attempt > INT32_MAX ? INT32_MAX : (int32_t)r->attempt,
                                           .kind = kind, .at_ms = u->now };
        if (mem_copy_bytes(u, r->worker, &newest->worker) != 0 || mem_copy_bytes(u, texts[i], &newest->text) != 0)
            return -1;
    }
    for (size_t i = 0; i < skip; i++) {
        mem_free(u, list->at[i].worker.data);
        mem_free(u, list->at[i].text.data);
    }
    mem_free(u, list->at);
    *list = (struct entries){ entries, old + more, list->kept };
    return 0;
}

static int add_error(struct mem_unit *u, struct mem_row *row, const struct jobq_change *change)
{
    struct jobq_row *r = &row->c.row;
    struct entries errors = { r->errors, r->error_count, ERRORS_KEPT };
    if (append(u, r, change->error_kind, &change->error, 1, &errors) != 0)
        return -1;
    r->errors = errors.at;
    r->error_count = errors.count;
    return 0;
}

static int add_log(struct mem_unit *u, struct mem_row *row, const struct jobq_change *change)
{
    struct jobq_row *r = &row->c.row;
    struct entries log = { r->log, r->log_count, LOG_KEPT };
    if (change->log_count == 0)
        return 0;
    if (append(u, r, 0, change->log, change->log_count, &log) != 0)
        return -1;
    r->log = log.at;
    r->log_count = log.count;
    return 0;
}

/* The row's value is changed; bytes that are lent from the change become its own. */
static int change_value(struct mem_unit *u, struct mem_row *row, const struct jobq_change *change)
{
    struct jobq_row *r = &row->c.row;
    struct {
        struct jobq_bytes *cell, before;
    } cells[] = { { &r->result, r->result }, { &r->progress, r->progress }, { &r->data, r->data },
                  { &r->payload, r->payload } };
    jobq_row_change(r, change, u->now);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct jobq_bytes lent = *cells[i].cell;
        if (lent.data == cells[i].before.data)
            continue;
        *cells[i].cell = cells[i].before;
        if (mem_row_set(u, row, cells[i].cell, lent) != 0)
            return -1;
    }
    return 0;
}

static void set_callback(struct mem_row *row, const struct jobq_change *change)
{
    static const uint8_t none[32];
    if (change->set & JOBQ_SET_CALLBACK) {
        row->c.has_digest = memcmp(change->digest, none, sizeof none) != 0;
        row->c.digest_used = false;
        memcpy(row->c.digest, change->digest, sizeof row->c.digest);
    }
    if (change->set & JOBQ_SET_DATA)
        row->c.digest_used = true;
    row->c.row.has_callback = row->c.has_digest && !row->c.digest_used;
}

/* ---- changes: states --------------------------------------------------------------------------------------------- */

static int count_end(struct mem_unit *u, struct mem_queue *queue, int state, bool failed)
{
    if (!failed && !is_ended(state))
        return 0;
    if (mem_edit(u, queue) != 0)
        return -1;
    queue->c.failed += failed;
    queue->c.completed += state == JOBQ_ROW_COMPLETED;
    queue->c.dead += state == JOBQ_ROW_DEAD;
    queue->c.cancelled += state == JOBQ_ROW_CANCELLED;
    mem_done(u, queue);
    return 0;
}

/* How long the attempt took that ends by this outcome. */
static int count_attempt(struct mem_unit *u, const struct mem_row *row, int outcome)
{
    if (outcome != JOBQ_OUTCOME_COMPLETE && outcome != JOBQ_OUTCOME_FAIL)
        return 0;
    return mem_figure(u, row->queue, outcome == JOBQ_OUTCOME_FAIL ? MEM_FAILED : MEM_COMPLETED,
                      u->now - row->c.row.started_at_ms);
}

/* A key whose window ran out while its job had ended must not come back to life with the job. */
static int settle_before(struct mem_unit *u, const struct mem_row *row)
{
    return is_ended(row->c.row.state) ? mem_key_settle(u, row, row->c.row.state) : 0;
}

/* What hangs on a row that has left its state: its key; at the end those who wait for it and those it waited for. */
static int settle_after(struct mem_unit *u, struct mem_row *row, int before)
{
    bool more = false;
    if (row->c.row.state == before)
        return 0;
    if (!is_ended(row->c.row.state))
        return is_ended(before) ? mem_key_settle(u, row, row->c.row.state) : 0;
    row->queue->ended_now |= JOBQ_ROW_BIT((unsigned)row->c.row.state);
    if (mem_key_settle(u, row, row->c.row.state) != 0 ||
        mem_edges_close(u, &row->c.row.id, row->c.row.reason == JOBQ_REASON_DEPENDENCY) != 0)
        return -1;
    return row->c.open_children ? mem_edges_resolve(u, row, &more) : 0;
}

static int make_change(struct mem_unit *u, const struct jobq_change *change, struct mem_row *row)
{
    struct jobq_row *r = &row->c.row;
    int before = r->state;
    uint32_t pending = 0;
    if (change->state == JOBQ_ROW_GONE)
        return mem_event(u, row, JOBQ_ROW_GONE) != 0 ? -1 : mem_row_remove(u, row);
    if (change->set & JOBQ_BLOCK_AGAIN && mem_edges_reopen(u, row, &pending) != 0)
        return -1;
    if (settle_before(u, row) != 0 || mem_edit(u, row) != 0)
        return -1;
    if (change->set & JOBQ_BLOCK_AGAIN)
        r->pending = pending;
    if ((change->set & JOBQ_ADD_ERROR && add_error(u, row, change) != 0) ||
        (change->set & JOBQ_ADD_LOG && add_log(u, row, change) != 0))
        return -1;
    if (change_value(u, row, change) != 0)
        return -1;
    int state = r->state;
    u->wake |= state == JOBQ_ROW_WAITING && (before != state || change->set & JOBQ_SET_RUN_AT);
    u->wake |= before == JOBQ_ROW_RUNNING && state != before && mem_frees_slot(u->m, row);
    set_callback(row, change);
    mem_done(u, row);
    if (change->set & JOBQ_TAKE_KEY && mem_key_take(u, row) != 0)
        return -1;
    if (count_end(u, row->queue, before == state ? JOBQ_ROW_KEEP : state, change->outcome == JOBQ_OUTCOME_FAIL) != 0 ||
        count_attempt(u, row, change->outcome) != 0 || (state != before && mem_event(u, row, state) != 0))
        return -1;
    return settle_after(u, row, before);
}

int mem_change(struct mem_unit *u, struct jobq_change *change)
{
    struct mem_row *row = mem_find(u->m, &change->id);
    const uint8_t *digest = row && row->c.has_digest ? row->c.digest : NULL;
    int stale;
    change->row = NULL;
    change->holder = (struct jobq_id){ 0 };
    change->lease_until_ms = 0;
    change->verdict =
        jobq_change_guard(change, row ? &row->c.row : NULL, digest, row && row->c.digest_used, &stale);
    change->stale = stale;
    if (change->verdict == JOBQ_OK)
        change->verdict = refusal(u, change, row);
    if (change->verdict == JOBQ_OK && make_change(u, change, row) != 0)
        return -1;
    bool extended = change->verdict == JOBQ_OK && change->set & JOBQ_SET_LEASE && change->state != JOBQ_ROW_GONE;
    if (extended)
        change->lease_until_ms = row->c.row.lease_until_ms;
    if (!row || (change->verdict == JOBQ_OK && !extended))
        return 0;
    change->row = mem_view_one(u->m, u->arena, row);
    return change->row ? 0 : -1;
}
