/* SPDX-License-Identifier: MIT */
/* Rows that retention takes away, and results that it takes away before their rows. */
#include "store.h"

#include <string.h>

#define AT_ONCE 512

/* One of the oldest: by when it ended; those that ended at one instant by id. */
struct oldest {
    int64_t n, finished_at;
    struct jobq_id id;
    bool has_children, plain; /* plain: nothing but the row is to be removed */
};

static int remove_row(struct turn *t, struct queue *queue, int state, const struct oldest *row)
{
    struct job job;
    queue->diff[COUNT_COMPLETED_TRIMMED + state - JOBQ_ROW_COMPLETED]++;
    if (row->plain && !t->s->clock.events) {
        queue->diff[COUNT_COMPLETED + state - JOBQ_ROW_COMPLETED]--;
        return sq_run(t->s, SQL_JOB_DROP, VALUES(number(row->n)));
    }
    int found = sq_job_load(t->s, row->n, &job);
    if (found <= 0)
        return found;
    job.row.reason = JOBQ_REASON_RETENTION; /* for the event: nobody reads the row any more */
    return sq_event(t, &job.row, job.queue, job.kind, JOBQ_ROW_GONE) != 0 ? -1 : sq_job_remove(t, &job);
}

static bool is_older(const struct oldest *a, const struct oldest *b)
{
    if (a->finished_at != b->finished_at)
        return a->finished_at < b->finished_at;
    return memcmp(&a->id, &b->id, sizeof a->id) < 0;
}

static int read_oldest(struct turn *t, sqlite3_stmt *row, struct oldest *out)
{
    struct job job = { .n = sqlite3_column_int64(row, 0) };
    if (!sq_unpack(sq_column_bytes(row, 3), &job))
        return sq_fault_text(t->s, SQLITE_CORRUPT, "row %lld cannot be read", (long long)job.n);
    *out = (struct oldest){ .n = job.n, .finished_at = sqlite3_column_int64(row, 1), .has_children = job.children != 0,
                            .plain = !(sqlite3_column_int(row, 2) & (FLAG_PARENTS | FLAG_BULK | FLAG_LOG)) &&
                                     !job.errors && !job.has_key };
    sq_copy_exactly(row, 4, &out->id, sizeof out->id);
    return 0;
}

/* Into its place; when there are enough already, the youngest goes. They come nearly sorted. */
static size_t place(struct oldest *rows, size_t count, size_t most, const struct oldest *row)
{
    size_t at = count;
    while (at && is_older(row, &rows[at - 1]))
        at--;
    if (at == most)
        return count;
    size_t behind = (count < most ? count : most - 1) - at;
    memmove(&rows[at + 1], &rows[at], behind * sizeof *rows);
    rows[at] = *row;
    return count < most ? count + 1 : most;
}

/* The oldest of one state of a queue, as far as they are too many or too old. */
struct trimming {
    struct turn *t;
    struct queue *queue;
    int state;
    int64_t list, over, keep_ms;
    size_t *left;
    struct oldest after; /* the last row that was looked at */
    bool skipped;        /* one of those stays */
};

static bool is_too_old(const struct trimming *tr, int64_t finished_at)
{
    return tr->keep_ms > 0 && jobq_add_ms(finished_at, tr->keep_ms) < tr->t->now;
}

/* The next of the oldest that are older than `until`. The index has no ids, and a statement that sorts sets up a table for it
 * with each exchange: so what ended at one instant is sorted here. */
static int list_oldest(struct trimming *tr, size_t most, const struct oldest *until, struct oldest *out, size_t *count)
{
    struct turn *t = tr->t;
    sqlite3_stmt *rows = sq_start(t->s, SQL_TRIM_LIST, VALUES(number(tr->list), number(tr->after.finished_at)));
    struct oldest row;
    int more;
    *count = 0;
    while ((more = sq_step(t->s, rows)) > 0) {
        more = read_oldest(t, rows, &row);
        if (more < 0 || row.finished_at > until->finished_at ||
            (*count == most && row.finished_at > out[most - 1].finished_at))
            break;
        if (is_older(&tr->after, &row) && is_older(&row, until))
            *count = place(out, *count, most, &row);
    }
    sqlite3_reset(rows);
    return more;
}

/* How many of the first rows of a list can go by one statement: nothing hangs on them, and they are all that ended up to some
 * instant, which is before `until`. behind: the list goes on behind them. */
static size_t together(const struct oldest *rows, size_t count, size_t most, bool behind, int64_t until)
{
    size_t n = 0;
    while (n < most && rows[n].plain && !rows[n].has_children && rows[n].finished_at < until)
        n++;
    while (n && (n < count ? rows[n].finished_at == rows[n - 1].finished_at : behind))
        n--;
    return n > 1 ? n : 0;
}

static void count_removed(struct trimming *tr, int64_t count)
{
    tr->queue->diff[COUNT_COMPLETED_TRIMMED + tr->state - JOBQ_ROW_COMPLETED] += count;
    tr->queue->diff[COUNT_COMPLETED + tr->state - JOBQ_ROW_COMPLETED] -= count;
    tr->over -= tr->over < count ? tr->over : count;
    *tr->left -= (size_t)count;
}

static int remove_together(struct trimming *tr, const struct oldest *rows, size_t count)
{
    struct jobq_store *s = tr->t->s;
    if (!count)
        return 0;
    count_removed(tr, (int64_t)count);
    if (sq_run(s, SQL_JOB_DROP_OLD, VALUES(number(tr->list), number(rows[count - 1].finished_at))) != 0)
        return -1;
    return sqlite3_changes(s->db) == (int)count
               ? 0 : sq_fault_text(s, SQLITE_CORRUPT, "list %lld is not in order", (long long)tr->list);
}

/* A row that others wait for stays, and counts as one that was too many. */
static int remove_one(struct trimming *tr, const struct oldest *row)
{
    tr->over -= tr->over > 0;
    if (row->has_children) {
        tr->skipped = true;
        return 0;
    }
    (*tr->left)--;
    return remove_row(tr->t, tr->queue, tr->state, row);
}

/* Rows that are older than `until`. 1 there may be more to remove behind them, 0 that was all, -1. */
static int trim_rows_until(struct trimming *tr, const struct oldest *until)
{
    struct oldest oldest[AT_ONCE];
    /* At first one more than is over the count: is that one over the age? Most often it is not. */
    int64_t first = tr->over + (tr->keep_ms > 0);
    size_t count, most = first < AT_ONCE ? (size_t)first : AT_ONCE;
    if (!first || !*tr->left)
        return 0;
    for (;; most = AT_ONCE) {
        if (list_oldest(tr, most, until, oldest, &count) != 0)
            return -1;
        size_t go = (uint64_t)tr->over < count ? (size_t)tr->over : count;
        go = go < *tr->left ? go : *tr->left;
        if (!tr->skipped && !tr->t->s->clock.events)
            go = together(oldest, count, go, count == most, until->finished_at);
        else
            go = 0;
        if (remove_together(tr, oldest, go) != 0)
            return -1;
        for (size_t i = go; i < count && *tr->left; i++) {
            if (!tr->over && !is_too_old(tr, oldest[i].finished_at))
                return 0;
            if (remove_one(tr, &oldest[i]) != 0)
                return -1;
        }
        if (!*tr->left || (!tr->over && tr->keep_ms <= 0))
            return 0;
        if (count)
            tr->after = oldest[count - 1];
        if (count < most)
            return 1;
    }
}

/* ---- batches ---------------------------------------------------------------------------------------------------------- */

/* In a record that rises the first row has the least id and the last one the greatest. Do all rows of records that ended at this
 * instant follow each other by their ids, too? 1, 0, -1. low, high: those of the first record. */
static int is_in_order(const struct trimming *tr, int64_t at, struct jobq_id *low, struct jobq_id *high)
{
    struct jobq_id before = { 0 }, id;
    sqlite3_stmt *row = sq_start(tr->t->s, SQL_TRIM_ENDS, VALUES(number(tr->list), number(at)));
    int more, seen = 0;
    while ((more = sq_step(tr->t->s, row)) > 0) {
        sq_copy_exactly(row, 0, &id, sizeof id);
        if (!(sqlite3_column_int(row, 1) & FLAG_RISES) || memcmp(&before, &id, sizeof id) > 0)
            break;
        if (seen < 2)
            *(seen ? high : low) = id;
        before = id;
        seen++;
    }
    if (more > 0)
        sqlite3_reset(row);
    return more < 0 ? -1 : more == 0;
}

/* Is a row that ended at the same instant between those of a record? 1, 0, -1. */
static int is_mixed(const struct trimming *tr, int64_t at, const struct jobq_id *low, const struct jobq_id *high)
{
    int64_t one;
    return sq_number(tr->t->s, SQL_TRIM_BETWEEN, &one, VALUES(number(tr->list), number(at), id_value(low), id_value(high)));
}

static int remove_members(struct trimming *tr, const struct batch *b)
{
    int64_t count = sq_batch_size(b);
    if (!is_too_old(tr, b->place) && tr->over < count)
        count = tr->over;
    if (*tr->left < (uint64_t)count)
        count = (int64_t)*tr->left;
    count_removed(tr, count);
    return sq_batch_remove(tr->t->s, b, count);
}

/* The oldest record, which no row is older than. Where its rows would not be the next ones, or each of them is to be told, they
 * leave it and go as rows. 1, 0, -1 as above. */
static int trim_batch(struct trimming *tr, const struct batch *b, int in_order, const struct jobq_id *low,
                      const struct jobq_id *high)
{
    if (!*tr->left || (!tr->over && !is_too_old(tr, b->place)))
        return 0;
    int mixed = in_order && !tr->t->s->clock.events ? is_mixed(tr, b->place, low, high) : 1;
    if (mixed < 0)
        return -1;
    int result = mixed ? sq_batch_leave_run(tr->t->s, b, b->first, b->last) : remove_members(tr, b);
    return result != 0 ? -1 : 1;
}

/* One record, and the rows before it. 1 there may be more, 0 that was all, -1. */
static int trim_to_batch(struct trimming *tr, const struct batch *b)
{
    struct oldest until = { .finished_at = b->place };
    struct jobq_id high = { 0 };
    int in_order = is_in_order(tr, b->place, &until.id, &high);
    if (in_order < 0)
        return -1;
    if (!in_order)
        memset(&until.id, 0, sizeof until.id);
    int more = trim_rows_until(tr, &until);
    return more > 0 ? trim_batch(tr, b, in_order, &until.id, &high) : more;
}

static int64_t slack_of(const struct jobq_trim *trim, int64_t keep)
{
    int64_t slack = trim->slack_part ? keep / trim->slack_part : 0;
    return slack < trim->slack_most ? slack : trim->slack_most;
}

/* Those over the count stand first, those over the age too: the walk ends at the first that is neither. Rows and records are
 * merged by the instant at which they ended and by their ids. */
static int trim_state(struct turn *t, struct queue *queue, int state, const struct jobq_trim *trim, bool claims)
{
    const struct queue_settings *own = &queue->now;
    const struct oldest never = { .finished_at = INT64_MAX };
    struct trimming tr = { .t = t, .queue = queue, .state = state, .list = list_of(queue->id, state),
                           .left = &t->trim_left, .keep_ms = own->keeps ? own->keep_ms[state] : trim->keep_ms[state],
                           .after.finished_at = INT64_MIN };
    int64_t keep = own->keeps ? own->keep_count[state] : trim->keep_count[state];
    int64_t rows = sq_queue_rows(queue, COUNT_COMPLETED + (enum queue_count)(state - JOBQ_ROW_COMPLETED));
    struct batch b;
    int found, more = 1;
    tr.over = keep >= 0 && rows > keep ? rows - keep : 0;
    if (tr.over && tr.keep_ms <= 0 && tr.over <= slack_of(trim, keep) && claims) {
        t->trims_later = true;
        return 0;
    }
    if (!tr.over && tr.keep_ms <= 0)
        return 0;
    while (more > 0 && (found = sq_batch_first(t->s, tr.list, INT64_MIN, INT64_MAX, &b)) != 0)
        more = found < 0 ? -1 : trim_to_batch(&tr, &b);
    if (more > 0)
        more = trim_rows_until(&tr, &never);
    return more < 0 ? -1 : 0;
}

/* ---- results ------------------------------------------------------------------------------------------------------ */

struct ended_row {
    int64_t n, at;
    bool has_result;
};

static int list_results(struct turn *t, const struct queue *queue, size_t most, struct ended_row *out, size_t *count)
{
    const struct queue_settings *own = &queue->now;
    sqlite3_stmt *row = sq_start(t->s, SQL_RESULTS_LIST,
                                 VALUES(number(list_of(queue->id, JOBQ_ROW_COMPLETED)), number(own->results_at),
                                        number(own->results_n), number((int64_t)most)));
    int more;
    *count = 0;
    while ((more = sq_step(t->s, row)) > 0)
        out[(*count)++] = (struct ended_row){ .n = sqlite3_column_int64(row, 0), .at = sqlite3_column_int64(row, 1),
                                              .has_result = sqlite3_column_int(row, 2) != 0 };
    return more;
}

static int forget_result(struct turn *t, const struct ended_row *row)
{
    const struct jobq_bytes none = { 0 };
    struct job job;
    int found = row->has_result ? sq_job_load(t->s, row->n, &job) : 0;
    if (found <= 0)
        return found;
    bool bulky = job.flags & FLAG_BULK_RESULT;
    if (sq_job_set_bytes(t->s, &job, BULK_RESULT, none) != 0)
        return -1;
    return bulky ? sq_job_save(t, &job) : 0;
}

static int note_place(struct turn *t, struct queue *queue, int64_t at, int64_t n)
{
    queue->now.results_at = at;
    queue->now.results_n = n;
    return sq_run(t->s, SQL_RESULTS_NOTE, VALUES(number(queue->id), number(at), number(n)));
}

int sq_trim_results_anew(struct turn *t, struct queue *queue)
{
    if (!sq_queue_loaded(t, queue->id))
        return -1;
    return queue->now.results_at ? note_place(t, queue, 0, 0) : 0;
}

static bool is_past(int64_t at, int64_t ms, int64_t now)
{
    return jobq_add_ms(at, ms) < now;
}

/* From where it came to before on; from the first when the clock says that it cannot have come so far. */
static int trim_results(struct turn *t, struct queue *queue, const struct jobq_trim *trim, bool claims)
{
    (void)claims;
    size_t *left = &t->trim_left;
    const struct queue_settings *own = &queue->now;
    int64_t ms = own->keeps ? own->keep_ms[JOBQ_KEEP_RESULTS] : trim->keep_ms[JOBQ_KEEP_RESULTS];
    struct ended_row rows[AT_ONCE];
    size_t count, done = 0;
    if (ms <= 0)
        return 0;
    if (!is_past(own->results_at, ms, t->now) && sq_trim_results_anew(t, queue) != 0)
        return -1;
    /* Rows of records have none, but they are looked at like others, and count. */
    if (sq_batch_leave_first(t->s, list_of(queue->id, JOBQ_ROW_COMPLETED), jobq_add_ms(t->now, -ms), (int64_t)*left) != 0)
        return -1;
    if (list_results(t, queue, *left < AT_ONCE ? *left : AT_ONCE, rows, &count) != 0)
        return -1;
    for (; done < count && is_past(rows[done].at, ms, t->now); done++)
        if (forget_result(t, &rows[done]) != 0)
            return -1;
    *left -= done;
    return done ? note_place(t, queue, rows[done - 1].at, rows[done - 1].n) : 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

/* Queues in order of their names: with too small a limit it matters who is first. */
static struct queue *next_queue(struct turn *t, uint32_t ended, const struct jobq_bytes *after, struct jobq_bytes *name)
{
    struct queue *first = NULL;
    for (struct queue *queue = t->touched; queue; queue = queue->next_touched) {
        struct jobq_bytes text;
        if (!(queue->ended & ended) || sq_queue_text(t->s, queue->id, &text) != 0)
            continue;
        if (after->data && sq_bytes_order(text, *after) <= 0)
            continue;
        if (first && sq_bytes_order(text, *name) >= 0)
            continue;
        first = queue;
        *name = text;
    }
    return first;
}

static int trim_rows(struct turn *t, struct queue *queue, const struct jobq_trim *trim, bool claims)
{
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        if (queue->ended & JOBQ_ROW_BIT((unsigned)state) && trim_state(t, queue, state, trim, claims) != 0)
            return -1;
    return 0;
}

typedef int (*trim_fn)(struct turn *t, struct queue *queue, const struct jobq_trim *trim, bool claims);

static int each_queue(struct turn *t, uint32_t ended, trim_fn fn, const struct jobq_trim *trim, bool claims)
{
    struct jobq_bytes after = { 0 }, name = { 0 };
    struct queue *queue;
    while (t->trim_left && (queue = next_queue(t, ended, &after, &name)) != NULL) {
        after = name;
        if (!sq_queue_loaded(t, queue->id) || fn(t, queue, trim, claims) != 0)
            return -1;
    }
    return 0;
}

int sq_trim_run(struct turn *t, const struct jobq_trim *trim, bool claims)
{
    t->trims_later = false;
    if (each_queue(t, JOBQ_ROW_ENDED, trim_rows, trim, claims) != 0)
        return -1;
    return each_queue(t, JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED), trim_results, trim, claims);
}
