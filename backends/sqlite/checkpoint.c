/* SPDX-License-Identifier: MIT */
/* Checkpoints. SQLite 3.7.0 to 3.51.2 can damage a file when one connection starts the log anew at the very instant at
 * which another one checkpoints it. So nobody here checkpoints by himself: a second connection, the keeper, does it while
 * the first holds the write lock and has written nothing. On one connection SQLite refuses that. */
#include "store.h"

#include <stdio.h>
#include <sys/stat.h>

/* With NORMAL the syncs of checkpoints are the only ones, so four times what SQLite does by itself. With FULL each commit
 * syncs, which takes longer while the log's file grows than when it is written over. */
static int frames_at_once(const struct jobq_store *s)
{
    return s->normal ? 4000 : 1000;
}

static int note_frames(void *store, sqlite3 *db, const char *schema, int frames)
{
    struct jobq_store *s = store;
    (void)db;
    (void)schema;
    if (frames < s->wal_frames) /* somebody started it anew */
        s->wal_limit = frames_at_once(s);
    s->wal_frames = frames;
    return SQLITE_OK;
}

void sq_checkpoint_watch(struct jobq_store *s)
{
    s->wal_limit = frames_at_once(s);
    sqlite3_wal_autocheckpoint(s->db, 0);
    sqlite3_wal_hook(s->db, note_frames, s);
}

void sq_checkpoint_make(struct jobq_store *s)
{
    int frames = -1, done = -1;
    if (!s->keeper && sq_file_connect(s, &s->keeper, NULL) != JOBQ_OK)
        return;
    sq_gate_begin(s);
    sq_gate_yield(s);
    int held = sq_run(s, SQL_BEGIN_WRITE, NULL, 0);
    sq_gate_end(s);
    if (held != 0)
        return;
    sqlite3_wal_checkpoint_v2(s->keeper, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done);
    sq_run(s, SQL_ROLLBACK, NULL, 0);
    /* A reader may keep the log from starting anew: do not try again with every commit. */
    s->wal_limit = s->wal_frames + frames_at_once(s);
}

/* A checkpoint that fails has lost nothing: the next one does its work. */
void sq_checkpoint_if_due(struct jobq_store *s)
{
    struct fault fault = s->fault;
    if (s->wal_frames >= s->wal_limit)
        sq_checkpoint_make(s);
    s->fault = fault;
}

void sq_checkpoint_close(struct jobq_store *s)
{
    if (s->wal_frames >= frames_at_once(s) / 2)
        sq_checkpoint_make(s);
    sqlite3_close(s->keeper);
    s->keeper = NULL;
}

int64_t sq_checkpoint_wal_bytes(const struct jobq_store *s)
{
    char *wal = sqlite3_mprintf("%s-wal", s->path);
    struct stat about;
    int64_t bytes = wal && stat(wal, &about) == 0 ? (int64_t)about.st_size : 0;
    sqlite3_free(wal);
    return bytes;
}
