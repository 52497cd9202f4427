/* SPDX-License-Identifier: MIT */
/* Begin and end of what is atomic. Every writing transaction asks for the write lock at its beginning: one that began by
 * reading could find, when it wants to write, that what it read is old, and would have to start anew. */
#include "store.h"

static uint32_t data_version(struct jobq_store *s)
{
    uint32_t version = 0;
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
    return version;
}

/* Pages that made no sense may have come so from a read that failed; what is kept of them would make none tomorrow either. */
static void forget_pages(struct jobq_store *s, int code)
{
    if (!s->attached && ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB))
        sqlite3_db_release_memory(s->db);
}

int sq_tx_begin_read(struct jobq_store *s)
{
    if (s->attached)
        return sq_attach_begin(s);
    sq_gate_begin(s);
    s->epoch++;
    return sq_run(s, SQL_BEGIN, NULL, 0); /* it is the first read in it that may have to wait, for a recovery */
}

int sq_tx_begin_write(struct jobq_store *s)
{
    if (s->attached)
        return sq_attach_begin(s);
    sq_gate_begin(s);
    sq_gate_yield(s);
    int result = sq_run(s, JOBQ_MUTANT(11) ? SQL_BEGIN : SQL_BEGIN_WRITE, NULL, 0);
    if (result == 0) {
        sq_gate_held(s);
    } else {
        sq_gate_end(s);
        forget_pages(s, s->fault.code);
    }
    s->epoch += data_version(s) != s->data_version;
    s->long_walks -= s->long_walks > 0;
    return result;
}

void sq_tx_rollback(struct jobq_store *s)
{
    struct fault fault = s->fault; /* what went wrong first is what people want to know */
    sq_log_forget(s);
    if (s->attached)
        sq_attach_undo(s);
    else if (!sqlite3_get_autocommit(s->db))
        sq_run(s, SQL_ROLLBACK, NULL, 0);
    sq_gate_given(s);
    forget_pages(s, fault.code);
    s->fault = fault;
    s->epoch++;
    /* Numbers given to names within it are void. */
    sq_names_clear(&s->queues);
    sq_names_clear(&s->kinds);
    sq_batch_let_go(s);
    s->ended.count = s->ended_members.count = s->lanes_up.count = s->lanes_down.count = 0;
}

/* The commit record is the last thing that is written to the log. Where writing it failed it is not there, or not whole,
 * and whoever reads the log next passes it by. Where something failed behind it (the sync, the index of the log) it may
 * count. */
static bool may_count(int code)
{
    if ((code & 0xff) == SQLITE_NOMEM)
        return true;
    return (code & 0xff) == SQLITE_IOERR && code != SQLITE_IOERR_WRITE;
}

int sq_tx_commit(struct jobq_store *s, bool *unknown)
{
    *unknown = false;
    if (sq_run(s, s->attached ? SQL_SAVEPOINT_RELEASE : SQL_COMMIT, NULL, 0) == 0) {
        sq_gate_given(s);
        s->data_version = data_version(s);
        return 0;
    }
    *unknown = !s->attached && may_count(s->fault.code);
    sq_tx_rollback(s);
    return -1;
}
