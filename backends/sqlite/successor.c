/* SPDX-License-Identifier: MIT */
/* Successors: a put that is kept until the holder of its key ends. The holder's row has a flag, so that the end of a job
 * whose key has none asks nothing. */
#include "store.h"

#include <string.h>

int sq_successor_keep(struct turn *t, const struct jobq_put *put, const struct key_holder *holder)
{
    const struct jobq_put_key *unique = put->unique;
    if (sq_run(t->s, SQL_SUCCESSOR_PUT,
               VALUES(blob(unique->scope, sizeof unique->scope), id_value(&put->id), bytes(put->queue), bytes(put->kind),
                      bytes(put->group), bytes(put->payload), bytes(put->policy), bytes(put->key), bytes(put->trace),
                      number(put->priority), number(put->rank_add_ms), number(put->run_at.base),
                      number(put->run_at.offset_ms), number(put->expires_at.base), number(put->expires_at.offset_ms),
                      number(put->timeout_ms), number(put->held != 0), number(unique->hold), number(unique->window_ms),
                      blob(unique->payload_digest, sizeof unique->payload_digest))) != 0)
        return -1;
    if (!holder->present || holder->row.flags & FLAG_SUCCESSOR)
        return 0;
    return sq_run(t->s, SQL_JOB_MARK, VALUES(number(holder->row.n), number(FLAG_SUCCESSOR)));
}

/* In the order of successor_get. Bytes are lent by the row. */
static bool read_put(sqlite3_stmt *row, struct jobq_put *put, struct jobq_put_key *unique)
{
    struct jobq_bytes *cells[] = { &put->queue, &put->kind, &put->group, &put->payload, &put->policy, &put->key,
                                   &put->trace };
    struct jobq_bytes id = sq_column_bytes(row, 0), digest = sq_column_bytes(row, 18);
    int at = 1;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        *cells[i] = sq_column_bytes(row, at++);
    put->priority = sqlite3_column_int(row, at++);
    put->rank_add_ms = sqlite3_column_int64(row, at++);
    put->run_at.base = sqlite3_column_int(row, at++);
    put->run_at.offset_ms = sqlite3_column_int64(row, at++);
    put->expires_at.base = sqlite3_column_int(row, at++);
    put->expires_at.offset_ms = sqlite3_column_int64(row, at++);
    put->timeout_ms = sqlite3_column_int64(row, at++);
    put->held = sqlite3_column_int(row, at++) != 0;
    unique->hold = sqlite3_column_int(row, at++);
    unique->window_ms = sqlite3_column_int64(row, at);
    if (id.size != sizeof put->id || digest.size != sizeof unique->payload_digest)
        return false;
    memcpy(&put->id, id.data, sizeof put->id);
    memcpy(unique->payload_digest, digest.data, sizeof unique->payload_digest);
    return true;
}

static int own_bytes(struct turn *t, struct jobq_put *put)
{
    struct jobq_bytes *cells[] = { &put->queue, &put->kind, &put->group, &put->payload, &put->policy, &put->key,
                                   &put->trace };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (jobq_arena_bytes(t->arena, cells[i]->data, cells[i]->size, cells[i]) != 0)
            return sq_fault_memory(t->s);
    return 0;
}

/* 1 found, 0 there is none, -1. */
static int load(struct turn *t, const uint8_t scope[32], struct jobq_put *put, struct jobq_put_key *unique)
{
    sqlite3_stmt *row = sq_start(t->s, SQL_SUCCESSOR_GET, VALUES(blob(scope, 32)));
    int found = sq_step(t->s, row);
    if (found <= 0)
        return found;
    *put = (struct jobq_put){ .only_if = -1, .unique = unique };
    memcpy(unique->scope, scope, sizeof unique->scope);
    int result = read_put(row, put, unique) ? own_bytes(t, put)
                                            : sq_fault_text(t->s, SQLITE_CORRUPT, "a successor cannot be read");
    sqlite3_reset(row);
    return result == 0 ? 1 : -1;
}

int sq_successor_put(struct turn *t, const uint8_t scope[32])
{
    struct jobq_put put;
    struct jobq_put_key unique = { .hold = 0 };
    int64_t n;
    int found = load(t, scope, &put, &unique);
    if (found <= 0)
        return found;
    if (sq_run(t->s, SQL_SUCCESSOR_DROP, VALUES(blob(scope, 32))) != 0)
        return -1;
    found = sq_number(t->s, SQL_JOB_N, &n, VALUES(id_value(&put.id)));
    if (found != 0)
        return found < 0 ? -1 : 0; /* somebody else has come by this name meanwhile */
    if (sq_key_take(t, &put.id, &unique, jobq_add_ms(t->now, unique.window_ms)) != 0)
        return -1;
    return sq_put_row(t, &put);
}
