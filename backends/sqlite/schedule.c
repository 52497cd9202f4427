/* SPDX-License-Identifier: MIT */
/* Schedules: rows that are looked at by the calendar and compared by tick. They go by the wall clock (and the stored
 * shift), because people mean the clock on the wall; everything else here goes by the store's own clock. */
#include "store.h"

/* ---- the next look ------------------------------------------------------------------------------------------ */

/* As stored, by the calendar; read again only when it may have changed. */
static int read_next(struct jobq_store *s)
{
    if (s->tick_epoch == s->epoch)
        return 0;
    int found = sq_number(s, SQL_SCHEDULE_NEXT, &s->next_tick, NULL, 0);
    if (found < 0)
        return -1;
    if (found == 0)
        s->next_tick = INT64_MAX;
    s->tick_epoch = s->epoch;
    return 0;
}

static int64_t in_store_time(int64_t instant, int64_t now, int64_t calendar)
{
    return instant == INT64_MAX ? instant : jobq_add_ms(instant, now - calendar);
}

int sq_schedules_next(struct jobq_store *s, struct jobq_exchange *x)
{
    const int64_t calendar = sq_clock_calendar(s);
    if (read_next(s) != 0)
        return -1;
    int64_t later = s->next_tick;
    x->next_tick_ms = in_store_time(s->next_tick, x->now_ms, calendar);
    if (later <= calendar) { /* somebody looks at it any moment; what is behind it? */
        int found = sq_number(s, SQL_SCHEDULE_LATER, &later, VALUES(number(calendar)));
        if (found < 0)
            return -1;
        later = found ? later : INT64_MAX;
    }
    later = in_store_time(later, x->now_ms, calendar);
    if (later < x->next_due_ms)
        x->next_due_ms = later;
    return 0;
}

int sq_schedules_possible(struct jobq_store *s)
{
    return read_next(s) != 0 ? -1 : s->next_tick <= sq_clock_calendar(s);
}

/* ---- the tick of a put ---------------------------------------------------------------------------------------- */

static int move(struct turn *t, const struct jobq_put_tick *tick)
{
    struct jobq_store *s = t->s;
    s->tick_epoch = 0;
    t->wake = true;
    if (tick->mode == JOBQ_TICK_DEFER)
        return sq_run(s, SQL_SCHEDULE_DEFER, VALUES(bytes(tick->schedule), number(tick->next_ms)));
    return sq_run(s, SQL_SCHEDULE_TICK,
                  VALUES(bytes(tick->schedule), number(tick->nominal_ms), number(tick->next_ms)));
}

int sq_tick_guard(struct turn *t, const struct jobq_put_tick *tick, int32_t *verdict)
{
    sqlite3_stmt *row = sq_start(t->s, SQL_SCHEDULE_GUARD, VALUES(bytes(tick->schedule)));
    int found = sq_step(t->s, row);
    *verdict = JOBQ_STALE;
    if (found <= 0)
        return found;
    bool same = sqlite3_column_int64(row, 0) == tick->version && sqlite3_column_int(row, 1) == 0;
    int64_t fired = sqlite3_column_int64(row, 2);
    sqlite3_reset(row);
    if (same)
        *verdict = tick->nominal_ms > fired ? JOBQ_OK : JOBQ_ALREADY;
    return *verdict == JOBQ_OK && tick->mode != JOBQ_TICK_PUT ? move(t, tick) : 0;
}

int sq_tick_settle(struct turn *t, const struct jobq_put_tick *tick)
{
    return move(t, tick);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static int view(struct jobq_store *s, struct jobq_arena *arena, sqlite3_stmt *row, struct jobq_schedule_row *out)
{
    struct jobq_bytes name = sq_column_bytes(row, 0), bytes_of = sq_column_bytes(row, 5);
    *out = (struct jobq_schedule_row){ .version = sqlite3_column_int64(row, 1), .paused = sqlite3_column_int(row, 2),
                                       .fired_ms = sqlite3_column_int64(row, 3),
                                       .next_ms = sqlite3_column_int64(row, 4) };
    if (jobq_arena_bytes(arena, name.data, name.size, &out->name) != 0 ||
        jobq_arena_bytes(arena, bytes_of.data, bytes_of.size, &out->bytes) != 0) {
        sqlite3_reset(row);
        return sq_fault_memory(s);
    }
    return 0;
}

int sq_schedules_due(struct turn *t, struct jobq_want *want)
{
    struct jobq_store *s = t->s;
    struct jobq_schedule_row *rows = jobq_arena_alloc(t->arena, JOBQ_SCHEDULES_AT_ONCE * sizeof *rows);
    int more;
    if (!rows)
        return sq_fault_memory(s);
    want->schedules = rows;
    want->schedule_now_ms = sq_clock_calendar(s);
    sqlite3_stmt *row = sq_start(s, SQL_SCHEDULE_DUE,
                                 VALUES(number(want->schedule_now_ms), number(JOBQ_SCHEDULES_AT_ONCE)));
    while ((more = sq_step(s, row)) > 0)
        if (view(s, t->arena, row, &rows[want->schedule_count++]) != 0)
            return -1;
    return more;
}

/* Rows of a page, one by one; room grows with them. */
static int read_page(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                     sqlite3_stmt *row)
{
    struct jobq_schedule_row *rows = NULL;
    size_t room = 0, given = 0;
    int more;
    while ((more = sq_step(s, row)) > 0) {
        given += (size_t)sqlite3_column_bytes(row, 5);
        if (query->row_count && query->bytes && given > query->bytes) {
            sqlite3_reset(row);
            return 0;
        }
        if (query->row_count == room) {
            struct jobq_schedule_row *grown = jobq_arena_alloc(arena, (room = 2 * room + 8) * sizeof *grown);
            if (!grown) {
                sqlite3_reset(row);
                return sq_fault_memory(s);
            }
            for (size_t i = 0; i < query->row_count; i++)
                grown[i] = rows[i];
            query->rows = rows = grown;
        }
        if (view(s, arena, row, &rows[query->row_count]) != 0)
            return -1;
        query->row_count++;
    }
    return more;
}

int sq_schedules_page(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena)
{
    static const char empty[1];
    const struct jobq_bytes after = query->after.data ? query->after : (struct jobq_bytes){ empty, 0 };
    const int64_t limit = query->limit < INT32_MAX ? (int64_t)query->limit : INT32_MAX;
    query->rows = NULL;
    query->row_count = 0;
    if (query->name.data)
        return read_page(s, query, arena, sq_start(s, SQL_SCHEDULE_GET, VALUES(bytes(query->name))));
    return read_page(s, query, arena, sq_start(s, SQL_SCHEDULE_LIST, VALUES(bytes(after), number(limit))));
}

int sq_schedules_read(struct jobq_store *s, struct jobq_schedule_query *query, struct jobq_arena *arena,
                      struct jobq_error *err)
{
    int64_t now;
    bool unknown;
    if (s->version != SCHEMA_VERSION)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: the store has version %d of the schema, this library "
                              "reads %d", s->version, SCHEMA_VERSION);
    if (sq_tx_begin_read(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (sq_clock_read(s, &now) != 0 || sq_schedules_page(s, query, arena) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    query->now_ms = sq_clock_calendar(s);
    sq_tx_commit(s, &unknown);
    return JOBQ_OK;
}

/* ---- settings ------------------------------------------------------------------------------------------------------ */

static int define(struct turn *t, const struct jobq_settings *settings)
{
    if (!settings->schedule.data)
        return sq_run(t->s, SQL_SCHEDULE_DROP, VALUES(bytes(settings->name)));
    return sq_run(t->s, SQL_SCHEDULE_DEFINE, VALUES(bytes(settings->name), bytes(settings->schedule)));
}

int sq_configure_schedule(struct turn *t, const struct jobq_settings *settings, int *status)
{
    struct jobq_store *s = t->s;
    int64_t version = 0;
    int found = sq_number(s, SQL_SCHEDULE_GUARD, &version, VALUES(bytes(settings->name)));
    bool defines = settings->set & JOBQ_SETTING_SCHEDULE;
    if (found < 0)
        return -1;
    *status = JOBQ_OUTDATED;
    if (settings->version != JOBQ_ANY_VERSION && settings->version != version)
        return 0;
    *status = JOBQ_NOT_FOUND;
    if (!found && !(defines && settings->schedule.data))
        return 0;
    *status = JOBQ_OK;
    t->wake = true;
    if (defines && define(t, settings) != 0)
        return -1;
    if (settings->set & JOBQ_SETTING_PAUSED &&
        sq_run(s, SQL_SCHEDULE_PAUSE, VALUES(bytes(settings->name), number(settings->paused != 0))) != 0)
        return -1;
    if (!(settings->set & JOBQ_SETTING_NEXT))
        return 0;
    return sq_run(s, SQL_SCHEDULE_BEGIN,
                  VALUES(bytes(settings->name), number(settings->fired_ms), number(settings->next_ms)));
}

/* 1 it was there, 0 it is now, -1. */
int sq_schedule_load(struct turn *t, const struct jobq_schedule_row *row)
{
    int64_t version;
    int found = sq_number(t->s, SQL_SCHEDULE_GUARD, &version, VALUES(bytes(row->name)));
    if (found != 0)
        return found;
    t->wake = true;
    return sq_run(t->s, SQL_SCHEDULE_LOAD,
                  VALUES(bytes(row->name), number(row->version), number(row->paused != 0), number(row->fired_ms),
                         number(row->next_ms), bytes(row->bytes)));
}
