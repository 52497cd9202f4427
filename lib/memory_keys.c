/* SPDX-License-Identifier: MIT */
/* Keys: one object per key that is held. It goes when its rule lets it go. */
#include "memory.h"

#include <string.h>

#define FADE_AT_ONCE 16

static int order_scope(const struct mem_node *a, const struct mem_node *b)
{
    return memcmp(mem_of(a, struct mem_key, by_scope)->c.key.scope, mem_of(b, struct mem_key, by_scope)->c.key.scope,
                  32);
}

static int order_fading(const struct mem_node *a, const struct mem_node *b)
{
    const struct mem_key *x = mem_of(a, struct mem_key, fading), *y = mem_of(b, struct mem_key, fading);
    int order = (x->c.window_until_ms > y->c.window_until_ms) - (x->c.window_until_ms < y->c.window_until_ms);
    return order ? order : memcmp(x->c.key.scope, y->c.key.scope, sizeof x->c.key.scope);
}

static bool is_fading(const struct mem_key *key)
{
    return key->c.ended && key->c.key.hold == JOBQ_HOLD_WINDOW;
}

static void link_key(struct mem *m, void *object)
{
    struct mem_key *key = object;
    mem_tree_add(&m->keys, &key->by_scope);
    if (is_fading(key))
        mem_tree_add(&m->fading, &key->fading);
}

static void unlink_key(struct mem *m, void *object)
{
    struct mem_key *key = object;
    mem_tree_remove(&m->keys, &key->by_scope);
    if (is_fading(key))
        mem_tree_remove(&m->fading, &key->fading);
}

static const struct mem_type key_type = {
    .link = link_key,
    .unlink = unlink_key,
    .cells = offsetof(struct mem_key, c),
    .cells_bytes = sizeof(struct mem_key_cells),
};

static struct mem_key *find_key(const struct mem *m, const uint8_t scope[32])
{
    struct mem_key probe = { 0 };
    memcpy(probe.c.key.scope, scope, sizeof probe.c.key.scope);
    struct mem_key *key = mem_of(mem_tree_from(&m->keys, &probe.by_scope), struct mem_key, by_scope);
    return key && memcmp(key->c.key.scope, scope, sizeof key->c.key.scope) == 0 ? key : NULL;
}

struct mem_row *mem_key_holder(const struct mem *m, const struct mem_key *key)
{
    struct mem_row *row = mem_find(m, &key->c.job);
    return row && memcmp(row->c.key.scope, key->c.key.scope, sizeof row->c.key.scope) == 0 ? row : NULL;
}

struct mem_key *mem_key_held(const struct mem *m, const uint8_t scope[32], int64_t now)
{
    struct mem_key *key = find_key(m, scope);
    if (!key)
        return NULL;
    const struct mem_row *row = mem_key_holder(m, key);
    int state = row ? row->c.row.state : key->c.ended;
    return jobq_key_holds(key->c.key.hold, state, 0, key->c.window_until_ms, now) ? key : NULL;
}

/* ---- successors ---------------------------------------------------------------------------------------------- */

static void free_successor(struct mem_unit *u, struct jobq_put *put)
{
    if (!put)
        return;
    const void *pieces[] = { put->queue.data, put->kind.data, put->group.data, put->payload.data, put->policy.data,
                             put->key.data,   put->trace.data, put->unique,    put };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        mem_free(u, pieces[i]);
}

static int copy_successor(struct mem_unit *u, const struct jobq_put *from, struct jobq_put *to)
{
    struct jobq_put_key *unique = mem_alloc(u, sizeof *unique);
    if (!unique || mem_copy_bytes(u, from->queue, &to->queue) != 0 || mem_copy_bytes(u, from->kind, &to->kind) != 0 ||
        mem_copy_bytes(u, from->group, &to->group) != 0 || mem_copy_bytes(u, from->payload, &to->payload) != 0 ||
        mem_copy_bytes(u, from->policy, &to->policy) != 0 || mem_copy_bytes(u, from->key, &to->key) != 0)
        return -1;
    *unique = *from->unique;
    to->unique = unique;
    return mem_copy_bytes(u, from->trace, &to->trace);
}

int mem_key_succeed(struct mem_unit *u, struct mem_key *key, const struct jobq_put *put)
{
    struct jobq_put *kept = mem_alloc(u, sizeof *kept);
    if (!kept || mem_edit(u, key) != 0)
        return -1;
    *kept = *put;
    kept->only_if = -1;
    kept->tick = NULL;
    kept->parents = NULL;
    if (copy_successor(u, put, kept) != 0)
        return -1;
    free_successor(u, key->c.successor);
    key->c.successor = kept;
    mem_done(u, key);
    return 0;
}

/* ---- holding --------------------------------------------------------------------------------------------------- */

int mem_key_take(struct mem_unit *u, const struct mem_row *row)
{
    if (!row->c.has_key)
        return 0;
    struct mem_key *old = find_key(u->m, row->c.key.scope), *key = mem_alloc(u, sizeof *key);
    if (!key || (old && mem_drop(u, old) != 0))
        return -1;
    key->object.type = &key_type;
    key->c = (struct mem_key_cells){ .key = row->c.key, .job = row->c.row.id,
                                     .window_until_ms = row->c.window_until_ms };
    if (old && memcmp(&old->c.job, &row->c.row.id, sizeof old->c.job) == 0)
        key->c.successor = old->c.successor;
    else if (old)
        free_successor(u, old->c.successor);
    return mem_add(u, key);
}

/* The key's holder has ended or is gone: whoever waits for that comes into being. */
static int let_go(struct mem_unit *u, struct mem_key *key)
{
    struct jobq_put *successor = key->c.successor;
    if (mem_drop(u, key) != 0)
        return -1;
    if (!successor)
        return 0;
    int result = mem_find(u->m, &successor->id) ? 0 : mem_put_successor(u, successor);
    free_successor(u, successor);
    return result;
}

int mem_key_settle(struct mem_unit *u, const struct mem_row *row, int state)
{
    struct mem_key *key = row->c.has_key ? find_key(u->m, row->c.key.scope) : NULL;
    if (!key || memcmp(&key->c.job, &row->c.row.id, sizeof key->c.job) != 0)
        return 0;
    if (!jobq_key_holds(key->c.key.hold, state, state == JOBQ_ROW_RUNNING, key->c.window_until_ms, u->now))
        return let_go(u, key);
    bool live = state == JOBQ_ROW_BLOCKED || state == JOBQ_ROW_WAITING || state == JOBQ_ROW_RUNNING;
    int ended = live ? 0 : state;
    if (ended == key->c.ended)
        return 0;
    if (mem_edit(u, key) != 0)
        return -1;
    key->c.ended = ended;
    mem_done(u, key);
    return 0;
}

/* Windows that ran out hold nothing; some of them are taken away with each unit, so that they do not pile up. */
int mem_keys_fade(struct mem_unit *u)
{
    for (int i = 0; i < FADE_AT_ONCE; i++) {
        struct mem_key *key = mem_of(mem_tree_first(&u->m->fading), struct mem_key, fading);
        if (!key || key->c.window_until_ms > u->now)
            return 0;
        if (mem_drop(u, key) != 0)
            return -1;
    }
    return 0;
}

struct mem_key *mem_key_after(const struct mem *m, const uint8_t *scope)
{
    struct mem_key probe = { 0 };
    if (scope)
        memcpy(probe.c.key.scope, scope, sizeof probe.c.key.scope);
    struct mem_node *node = scope ? mem_tree_after(&m->keys, &probe.by_scope) : mem_tree_first(&m->keys);
    return mem_of(node, struct mem_key, by_scope);
}

int mem_key_load(struct mem_unit *u, const struct jobq_item_key *in)
{
    struct mem_key *key = find_key(u->m, in->key.scope);
    if (key && mem_drop(u, key) != 0)
        return -1;
    if (key)
        free_successor(u, key->c.successor);
    key = mem_alloc(u, sizeof *key);
    if (!key)
        return -1;
    key->object.type = &key_type;
    key->c = (struct mem_key_cells){ .key = in->key, .job = in->job, .window_until_ms = in->window_until_ms,
                                     .ended = in->ended };
    return mem_add(u, key);
}

void mem_keys_init(struct mem *m)
{
    m->keys.order = order_scope;
    m->fading.order = order_fading;
}

void mem_keys_free(struct mem *m)
{
    struct mem_unit u = { .m = m };
    for (struct mem_key *key; (key = mem_of(mem_tree_first(&m->keys), struct mem_key, by_scope)) != NULL;) {
        mem_tree_remove(&m->keys, &key->by_scope);
        free_successor(&u, key->c.successor);
        mem_free_now(key);
    }
    mem_unit_commit(&u);
}
