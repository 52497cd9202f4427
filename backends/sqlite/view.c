/* SPDX-License-Identifier: MIT */
/* Rows as they are handed out: copies in the answer's memory. */
#include "store.h"

static int copy(struct jobq_store *s, struct jobq_arena *arena, struct jobq_bytes from, struct jobq_bytes *to)
{
    return jobq_arena_bytes(arena, from.data, from.size, to) == 0 ? 0 : sq_fault_memory(s);
}

static int copy_column(struct jobq_store *s, struct jobq_arena *arena, sqlite3_stmt *row, int column,
                       struct jobq_bytes *to)
{
    return copy(s, arena, sq_column_bytes(row, column), to);
}

static int copy_names(struct jobq_store *s, struct jobq_arena *arena, sqlite3_stmt *row, struct jobq_row *out)
{
    struct jobq_bytes queue, kind;
    if (sq_queue_text(s, sqlite3_column_int64(row, ROW_QUEUE), &queue) != 0 ||
        sq_kind_text(s, sqlite3_column_int64(row, ROW_KIND), &kind) != 0)
        return -1;
    return copy(s, arena, queue, &out->queue) != 0 ? -1 : copy(s, arena, kind, &out->kind);
}

static int copy_row(struct jobq_store *s, struct jobq_arena *arena, sqlite3_stmt *row, struct jobq_row *out)
{
    const struct {
        int column;
        struct jobq_bytes *to;
    } pieces[] = {
        { VIEW_TENANT, &out->group },     { VIEW_POLICY, &out->policy },   { VIEW_KEY, &out->key },
        { VIEW_TRACE, &out->trace },      { VIEW_PROGRESS, &out->progress }, { VIEW_PAYLOAD, &out->payload },
        { VIEW_RESULT, &out->result },    { VIEW_DATA, &out->data },
    };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (copy_column(s, arena, row, pieces[i].column, pieces[i].to) != 0)
            return -1;
    return copy(s, arena, out->worker, &out->worker) != 0 ? -1 : copy_names(s, arena, row, out);
}

static int read_bulk(struct jobq_store *s, struct jobq_arena *arena, int64_t n, enum bulk what, struct jobq_bytes *out)
{
    sqlite3_stmt *row = sq_start(s, SQL_BULK_GET, VALUES(number(4 * n + what)));
    int found = sq_step(s, row);
    if (found == 0)
        return sq_fault_text(s, SQLITE_CORRUPT, "the bytes of a job are missing");
    if (found < 0)
        return -1;
    int result = copy_column(s, arena, row, 0, out);
    sqlite3_reset(row);
    return result;
}

static int read_bulks(struct jobq_store *s, struct jobq_arena *arena, int64_t n, int32_t flags, uint32_t asked,
                      struct jobq_row *out)
{
    if (asked & JOBQ_READ_PAYLOAD && flags & FLAG_BULK_PAYLOAD &&
        read_bulk(s, arena, n, BULK_PAYLOAD, &out->payload) != 0)
        return -1;
    if (asked & JOBQ_READ_PAYLOAD && flags & FLAG_BULK_DATA && read_bulk(s, arena, n, BULK_DATA, &out->data) != 0)
        return -1;
    if (asked & JOBQ_READ_RESULT && flags & FLAG_BULK_RESULT)
        return read_bulk(s, arena, n, BULK_RESULT, &out->result);
    return 0;
}

/* Errors, or lines of log. */
static int read_entries(struct jobq_store *s, struct jobq_arena *arena, sqlite3_stmt *row, size_t most,
                        const struct jobq_row_error **out, size_t *out_count)
{
    struct jobq_row_error *entries = jobq_arena_alloc(arena, most * sizeof *entries);
    int more = 0;
    if (!entries) {
        if (row)
            sqlite3_reset(row);
        return sq_fault_memory(s);
    }
    while (*out_count < most && (more = sq_step(s, row)) > 0) {
        struct jobq_row_error *error = &entries[(*out_count)++];
        *error = (struct jobq_row_error){ .attempt = sqlite3_column_int(row, 0), .kind = sqlite3_column_int(row, 1),
                                          .at_ms = sqlite3_column_int64(row, 2) };
        if (copy_column(s, arena, row, 3, &error->worker) != 0 || copy_column(s, arena, row, 4, &error->text) != 0)
            more = -1;
        if (more < 0)
            break;
    }
    if (row)
        sqlite3_reset(row);
    *out = entries;
    return more < 0 ? -1 : 0;
}

static int read_errors(struct jobq_store *s, struct jobq_arena *arena, int64_t n, struct jobq_row *out)
{
    return read_entries(s, arena, sq_start(s, SQL_ERROR_LIST, VALUES(number(n))), ERRORS_KEPT, &out->errors,
                        &out->error_count);
}

static int read_log(struct jobq_store *s, struct jobq_arena *arena, int64_t n, struct jobq_row *out)
{
    return read_entries(s, arena, sq_start(s, SQL_LOG_LIST, VALUES(number(n))), LOG_KEPT, &out->log, &out->log_count);
}

int sq_view_here(struct jobq_store *s, struct jobq_arena *arena, sqlite3_stmt *row, struct jobq_row *out,
                 struct job *job)
{
    if (sq_job_read_stored(s, row, job) != 0)
        return -1;
    *out = job->row;
    if (copy_row(s, arena, row, out) != 0)
        return -1;
    return job->flags & FLAG_BULK ? read_bulks(s, arena, job->n, job->flags, JOBQ_READ_PAYLOAD, out) : 0;
}

int sq_view_row(struct jobq_store *s, struct jobq_arena *arena, int64_t n, uint32_t asked, struct jobq_row *out,
                struct job *job)
{
    struct job own;
    sqlite3_stmt *row = sq_start(s, SQL_JOB_VIEW, VALUES(number(n), number(asked)));
    int found = sq_step(s, row);
    if (found <= 0)
        return found;
    if (!job)
        job = &own;
    int result = sq_job_read(s, row, job);
    *out = job->row;
    if (result == 0)
        result = copy_row(s, arena, row, out);
    sqlite3_reset(row);
    if (result != 0 || (job->flags & FLAG_BULK && read_bulks(s, arena, n, job->flags, asked, out) != 0))
        return -1;
    if (asked & JOBQ_READ_ERRORS && job->errors && read_errors(s, arena, n, out) != 0)
        return -1;
    if (asked & JOBQ_READ_LOG && job->flags & FLAG_LOG && read_log(s, arena, n, out) != 0)
        return -1;
    if (asked & JOBQ_READ_PARENTS && sq_edges_parents(s, arena, out) != 0)
        return -1;
    return 1;
}

int sq_view_one(struct jobq_store *s, struct jobq_arena *arena, int64_t n, const struct jobq_row **out)
{
    struct jobq_row *row = jobq_arena_alloc(arena, sizeof *row);
    if (!row)
        return sq_fault_memory(s);
    *out = row;
    return sq_view_row(s, arena, n, 0, row, NULL) < 0 ? -1 : 0;
}
