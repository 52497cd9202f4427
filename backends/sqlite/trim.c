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

/* The next of the oldest behind `after`. The index has no ids, and a statement that sorts sets up a table for it with each
 * exchange: so what ended at one instant is sorted here. */
static int list_oldest(struct turn *t, int64_t list, size_t most, const struct oldest *after, struct oldest *out, size_t *count)
{
    sqlite3_stmt *rows = sq_start(t->s, SQL_TRIM_LIST, VALUES(number(list), number(after->finished_at)));
    struct oldest row;
    int more;
    *count = 0;
    while ((more = sq_step(t->s, rows)) > 0) {
        more = read_oldest(t, rows, &row);
        if (more < 0 || (*count == most && row.finished_at > out[most - 1].finished_at))
            break;
        if (is_older(after, &row))
            *count = place(out, *count, most, &row);
    }
    sqlite3_reset(rows);
    return more;
}

/* How many of the first rows of a list can go by one statement: nothing hangs on them, and they are all that ended up to some
 * instant. behind: the list goes on behind them. */
static size_t together(const struct oldest *rows, size_t count, size_t most, bool behind)
{
    size_t n = 0;
    while (n < most && rows[n].plain && !rows[n].has_children)
        n++;
    while (n && (n < count ? rows[n].finished_at == rows[n - 1].finished_at : behind))
        n--;
    return n > 1 ? n : 0;
}

static int remove_together(struct turn *t, struct queue *queue, int state, const struct oldest *rows, size_t count)
{
    int64_t list = list_of(queue->id, state);
    if (!count)
        return 0;
    queue->diff[COUNT_COMPLETED_TRIMMED + state - JOBQ_ROW_COMPLETED] += (int64_t)count;
    queue->diff[COUNT_COMPLETED + state - JOBQ_ROW_COMPLETED] -= (int64_t)count;
    if (sq_run(t->s, SQL_JOB_DROP_OLD, VALUES(number(list), number(rows[count - 1].finished_at))) != 0)
        return -1;
    return sqlite3_changes(t->s->db) == (int)count
               ? 0 : sq_fault_text(t->s, SQLITE_CORRUPT, "list %lld is not in order", (long long)list);
}

/* Those over the count stand first, those over the age too: the walk ends at the first that is neither. */
static int trim_state(struct turn *t, struct queue *queue, int state, const struct jobq_trim *trim, size_t *left)
{
    const struct queue_settings *own = &queue->now;
    int64_t keep = own->keeps ? own->keep_count[state] : trim->keep_count[state];
    int64_t keep_ms = own->keeps ? own->keep_ms[state] : trim->keep_ms[state];
    int64_t rows = sq_queue_rows(queue, COUNT_COMPLETED + (enum queue_count)(state - JOBQ_ROW_COMPLETED));
    int64_t over = keep >= 0 && rows > keep ? rows - keep : 0;
    struct oldest oldest[AT_ONCE], after = { .finished_at = INT64_MIN };
    /* At first one more than is over the count: is that one over the age? Most often it is not. */
    int64_t first = over + (keep_ms > 0);
    size_t count, most = first < AT_ONCE ? (size_t)first : AT_ONCE;
    if (!first)
        return 0;
    for (;; most = AT_ONCE) {
        if (list_oldest(t, list_of(queue->id, state), most, &after, oldest, &count) != 0)
            return -1;
        bool first_ones = after.finished_at == INT64_MIN && !t->s->clock.events;
        size_t over_all = (uint64_t)over < count ? (size_t)over : count;
        size_t at_once = first_ones ? together(oldest, count, over_all < *left ? over_all : *left, count == most) : 0;
        if (remove_together(t, queue, state, oldest, at_once) != 0)
            return -1;
        over -= (int64_t)at_once;
        *left -= at_once;
        for (size_t i = at_once; i < count && *left; i++) {
            bool old = keep_ms > 0 && jobq_add_ms(oldest[i].finished_at, keep_ms) < t->now;
            if (!over && !old)
                return 0;
            over -= over > 0;
            if (oldest[i].has_children)
                continue;
            if (remove_row(t, queue, state, &oldest[i]) != 0)
                return -1;
            (*left)--;
        }
        if (!*left || count < most || (!over && keep_ms <= 0))
            return 0;
        after = oldest[count - 1];
    }
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
static int trim_results(struct turn *t, struct queue *queue, const struct jobq_trim *trim, size_t *left)
{
    const struct queue_settings *own = &queue->now;
    int64_t ms = own->keeps ? own->keep_ms[JOBQ_KEEP_RESULTS] : trim->keep_ms[JOBQ_KEEP_RESULTS];
    struct ended_row rows[AT_ONCE];
    size_t count, done = 0;
    if (ms <= 0)
        return 0;
    if (!is_past(own->results_at, ms, t->now) && sq_trim_results_anew(t, queue) != 0)
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

static int trim_rows(struct turn *t, struct queue *queue, const struct jobq_trim *trim, size_t *left)
{
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        if (queue->ended & JOBQ_ROW_BIT((unsigned)state) && trim_state(t, queue, state, trim, left) != 0)
            return -1;
    return 0;
}

typedef int (*trim_fn)(struct turn *t, struct queue *queue, const struct jobq_trim *trim, size_t *left);

static int each_queue(struct turn *t, uint32_t ended, trim_fn fn, const struct jobq_trim *trim, size_t *left)
{
    struct jobq_bytes after = { 0 }, name = { 0 };
    struct queue *queue;
    while (*left && (queue = next_queue(t, ended, &after, &name)) != NULL) {
        after = name;
        if (!sq_queue_loaded(t, queue->id) || fn(t, queue, trim, left) != 0)
            return -1;
    }
    return 0;
}

int sq_trim_run(struct turn *t, const struct jobq_trim *trim)
{
    size_t left = trim->limit;
    if (each_queue(t, JOBQ_ROW_ENDED, trim_rows, trim, &left) != 0)
        return -1;
    return each_queue(t, JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED), trim_results, trim, &left);
}
