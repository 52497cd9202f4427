/* SPDX-License-Identifier: MIT */
/* Keys: a row for each key that is held. It goes when its rule lets it go. The digest of the payload stands in the row of the
 * job, and comes to the key's when that goes before the key. */
#include "store.h"

#include <string.h>

static int read_key(struct jobq_store *s, const uint8_t scope[32], struct key_holder *out, int64_t *until)
{
    sqlite3_stmt *row = sq_start(s, SQL_KEY_GET, VALUES(blob(scope, 32)));
    int found = sq_step(s, row);
    if (found <= 0)
        return found;
    struct jobq_bytes job = sq_column_bytes(row, 0), digest = sq_column_bytes(row, 3);
    out->hold = sqlite3_column_int(row, 1);
    *until = sqlite3_column_int64(row, 2);
    out->ended = sqlite3_column_int(row, 4);
    bool sound = job.size == sizeof out->job && (digest.size == sizeof out->digest || !digest.size);
    out->has_digest = sound && digest.size;
    if (sound)
        memcpy(&out->job, job.data, sizeof out->job);
    if (out->has_digest)
        memcpy(out->digest, digest.data, sizeof out->digest);
    sqlite3_reset(row);
    return sound ? 1 : sq_fault_text(s, SQLITE_CORRUPT, "a key cannot be read");
}

int sq_key_held(struct turn *t, const uint8_t scope[32], struct key_holder *out)
{
    int64_t until;
    int found = read_key(t->s, scope, out, &until);
    if (found <= 0)
        return found;
    found = sq_job_find(t->s, &out->job, &out->row);
    if (found < 0)
        return -1;
    /* A key may outlive its job, and then another job of that id may be there. */
    found = found && out->row.has_key && memcmp(out->row.key.scope, scope, sizeof out->row.key.scope) == 0;
    out->present = found;
    if (!found && !out->has_digest)
        return sq_fault_text(t->s, SQLITE_CORRUPT, "a key has lost its job");
    if (!out->has_digest)
        memcpy(out->digest, out->row.key.payload_digest, sizeof out->digest);
    return jobq_key_holds(out->hold, found ? out->row.row.state : out->ended, 0, until, t->now);
}

void sq_key_values(const struct jobq_id *job, const struct jobq_put_key *key, int64_t window_until_ms,
                   struct value out[KEY_VALUES])
{
    out[0] = blob(key->scope, sizeof key->scope);
    out[1] = id_value(job);
    out[2] = number(key->hold);
    out[3] = number(window_until_ms);
}

static int write_key(struct turn *t, enum sql which, const struct jobq_id *job, const struct jobq_put_key *key,
                     int64_t window_until_ms)
{
    struct value values[KEY_VALUES];
    sq_key_values(job, key, window_until_ms, values);
    return sq_run(t->s, which, values, KEY_VALUES);
}

int sq_key_try(struct turn *t, const struct jobq_id *job, const struct jobq_put_key *key, int64_t window_until_ms)
{
    if (write_key(t, SQL_KEY_NEW, job, key, window_until_ms) != 0)
        return -1;
    return sqlite3_changes(t->s->db) > 0;
}

int sq_key_take(struct turn *t, const struct jobq_id *job, const struct jobq_put_key *key, int64_t window_until_ms)
{
    return write_key(t, SQL_KEY_PUT, job, key, window_until_ms);
}

int sq_key_give_up(struct turn *t, const struct jobq_id *job, const uint8_t scope[32])
{
    return sq_run(t->s, SQL_KEY_DROP, VALUES(blob(scope, 32), id_value(job)));
}

static int let_go(struct turn *t, const struct job *job)
{
    const uint8_t *scope = job->key.scope;
    if (sq_key_give_up(t, &job->row.id, scope) != 0)
        return -1;
    bool was_its = sqlite3_changes(t->s->db) > 0;
    return was_its && job->flags & FLAG_SUCCESSOR ? sq_successor_put(t, scope) : 0;
}

static bool still_holds(const struct turn *t, const struct job *job, int state)
{
    return jobq_key_holds(job->key.hold, state, state == JOBQ_ROW_RUNNING, job->window_until_ms, t->now);
}

/* The rule and the window on the key's row are those of the job that holds it, so the row need not be read. */
int sq_key_settle(struct turn *t, const struct job *job, int state)
{
    const struct jobq_put_key *key = &job->key;
    if (!job->has_key)
        return 0;
    struct value scope = blob(key->scope, sizeof key->scope), id = id_value(&job->row.id);
    if (!still_holds(t, job, state))
        return let_go(t, job);
    bool ended = sq_is_ended(state) || state == JOBQ_ROW_GONE;
    bool fades = ended && key->hold == JOBQ_HOLD_WINDOW;
    return sq_run(t->s, SQL_KEY_ENDED,
                  VALUES(scope, id, number(ended ? state : 0), fades ? number(job->window_until_ms) : nothing()));
}

int sq_key_outlive(struct turn *t, const struct job *job, int state)
{
    const struct jobq_put_key *key = &job->key;
    if (!job->has_key || !still_holds(t, job, state))
        return 0;
    return sq_run(t->s, SQL_KEY_OUTLIVE,
                  VALUES(blob(key->scope, sizeof key->scope), id_value(&job->row.id),
                         blob(key->payload_digest, sizeof key->payload_digest)));
}

/* Windows that ran out hold nothing; some of them are taken away in passing, so that they do not pile up. */
int sq_keys_fade(struct turn *t)
{
    return sq_run(t->s, SQL_KEY_FADE, VALUES(number(t->now)));
}
