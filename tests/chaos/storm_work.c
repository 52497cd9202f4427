/* SPDX-License-Identifier: MIT */
/* The exchange of a worker: it ends some, puts some and takes some, many at a time. */
#include "storm_turn.h"

#include <string.h>

#define BACKLOG 1500
#define KEYS    24
#define PUTS    37

/* ---- puts ------------------------------------------------------------------------------------------- */

static void set_key(struct jobq_put *put, struct blower *b, int key)
{
    struct jobq_put_key *unique = need(jobq_arena_alloc(b->arena, sizeof *unique));
    *unique = (struct jobq_put_key){.scope = {'k', (uint8_t)key}, .hold = JOBQ_HOLD_LIVE};
    put->key = storm_text(b, "key %d", key);
    put->unique = unique;
}

static void set_parent(struct jobq_put *put, struct blower *b, long number)
{
    struct jobq_parent *parent = need(jobq_arena_alloc(b->arena, sizeof *parent));
    long back = 1 + storm_dice(b, number > 60 ? 60 : (int)number);
    *parent = (struct jobq_parent){.id = storm_id(number - back), .rule = storm_dice(b, 3)};
    put->parents = parent;
    put->parent_count = 1;
}

/* Something hangs on it. */
static void set_special(struct jobq_put *put, struct blower *b, long number)
{
    struct entry *e = &b->storm->ledger[number];
    int key = storm_dice(b, KEYS);
    switch (storm_dice(b, 6)) {
    case 0:
        e->key = key;
        set_key(put, b, key);
        break;
    case 1:
        if (number && b->storm->backend->capabilities & JOBQ_CAP_EDGES) {
            e->child = true;
            set_parent(put, b, number);
        }
        break;
    case 2:
        put->run_at = (struct jobq_time){JOBQ_TIME_NOW, between(b, 1, 40)};
        break;
    case 3:
        put->priority = between(b, 0, 2);
        put->rank_add_ms = 1000 * put->priority;
        break;
    case 4:
        put->timeout_ms = STORM_LONG_MS;
        break;
    default:
        break;
    }
}

static void add_puts(struct blower *b, struct jobq_exchange *x)
{
    struct storm *storm = b->storm;
    int count = one_in(b, 7) ? between(b, 1, 7) : between(b, 8, PUTS), queue = storm_dice(b, STORM_QUEUES);
    long first = atomic_fetch_add(&storm->next, count);
    if (first >= storm->jobs)
        return;
    count = first + count > storm->jobs ? (int)(storm->jobs - first) : count;
    int special = storm->plain ? 0 : storm_dice(b, 4), group = storm_dice(b, STORM_GROUPS);
    struct jobq_put *puts = need(jobq_arena_alloc(b->arena, (size_t)count * sizeof *puts));
    for (int i = 0; i < count; i++) {
        long number = first + i;
        storm->ledger[number].queue = queue;
        puts[i] = (struct jobq_put){.id = storm_id(number),
                                    .queue = storm_queue(queue),
                                    .kind = storm_queue(queue),
                                    .payload = storm_text(b, "job %08ld and more", number),
                                    .only_if = -1};
        if (special == 1 && storm->backend->capabilities & JOBQ_CAP_GROUPS)
            puts[i].group = storm_text(b, "group %d", group);
        else if (special == 2 && one_in(b, 2))
            set_special(&puts[i], b, number);
    }
    x->puts = puts;
    x->put_count = (size_t)count;
}

static void read_puts(struct blower *b, const struct jobq_exchange *x)
{
    for (size_t i = 0; i < x->put_count; i++) {
        long number = storm_number_of(&x->puts[i].id);
        struct entry *e = &b->storm->ledger[number];
        int verdict = x->puts[i].verdict;
        if (verdict == JOBQ_OK)
            atomic_store(&e->put, 1);
        else if ((verdict == JOBQ_DUPLICATE && e->key >= 0) || (verdict == JOBQ_NO_PARENT && e->child))
            atomic_store(&e->refused, 1);
        else
            storm_note(b->storm, "the put of job %ld is answered by %d", number, verdict);
    }
}

/* ---- claims ----------------------------------------------------------------------------------------- */

void storm_add_want(struct blower *b, struct jobq_exchange *x, size_t limit)
{
    struct jobq_want *w = need(jobq_arena_alloc(b->arena, sizeof *w));
    struct jobq_bytes *queues = need(jobq_arena_alloc(b->arena, STORM_QUEUES * sizeof *queues));
    int first = storm_dice(b, STORM_QUEUES);
    for (int i = 0; i < STORM_QUEUES; i++)
        queues[i] = storm_queue((first + i) % STORM_QUEUES);
    *w = (struct jobq_want){.mode = JOBQ_WANT_DUE,
                            .queues = queues,
                            .limit = limit,
                            .bytes = 1 << 20,
                            .queue_count = (size_t)between(b, 1, STORM_QUEUES),
                            .lease_ms = STORM_LEASE_MS,
                            .share = 4,
                            .others = (size_t)b->held_count,
                            .worker = storm_text(b, "thread %d", b->name),
                            .cursor = b->cursor};
    if (one_in(b, 8)) {
        w->kinds = queues;
        w->kind_count = 1;
    }
    x->want = w;
}

static void keep_cursor(struct blower *b, struct jobq_bytes cursor)
{
    if (!cursor.data || cursor.size > sizeof b->cursor_bytes)
        return;
    memcpy(b->cursor_bytes, cursor.data, cursor.size);
    b->cursor = (struct jobq_bytes){b->cursor_bytes, cursor.size};
}

void storm_read_want(struct blower *b, const struct jobq_want *w)
{
    if (w->row_count > w->limit) {
        storm_note(b->storm, "a claim of %zu gave %zu", w->limit, w->row_count);
        return;
    }
    for (size_t i = 0; i < w->row_count; i++) {
        const struct jobq_row *r = &w->rows[i];
        storm_claimed(b->storm, r, w);
        if (atomic_load(&b->storm->broken))
            return;
        b->held[b->held_count++] = (struct held){.number = storm_number(b->storm, r),
                                                 .id = r->id,
                                                 .token = r->token,
                                                 .failures = r->failures,
                                                 .releases = r->releases,
                                                 .snoozes = r->snoozes,
                                                 .cancel = r->cancel_asked};
    }
    keep_cursor(b, w->next_cursor);
    atomic_fetch_add(&b->storm->claims, w->row_count > 0);
    atomic_fetch_add(&b->storm->claimed, (long)w->row_count);
}

/* ---- the exchange of a worker: it ends some, puts some, takes some ---------------------------------- */

void storm_work(struct blower *b)
{
    struct jobq_exchange x = {.size = 0};
    int from = 0;
    long backlog = atomic_load(&b->storm->next) - atomic_load(&b->storm->ended);
    if (b->held_count && (b->held_count > STORM_HOLD - STORM_MOST || !one_in(b, 3))) {
        int count = one_in(b, 2) ? b->held_count : between(b, 1, b->held_count);
        from = one_in(b, 2) ? 0 : storm_dice(b, b->held_count - count + 1);
        storm_add_acks(b, &x, from, count, one_in(b, 4));
    }
    if (backlog < BACKLOG && one_in(b, x.change_count ? 8 : 2))
        add_puts(b, &x);
    int room = STORM_HOLD - b->held_count + (int)x.change_count;
    if (room >= STORM_MOST && (!x.put_count || one_in(b, 4)))
        storm_add_want(b, &x, (size_t)(one_in(b, 4) ? between(b, 1, 7) : between(b, 8, STORM_MOST)));
    if (!storm_send(b, &x))
        return;
    storm_read_acks(b, &x, from);
    read_puts(b, &x);
    if (x.want)
        storm_read_want(b, x.want);
}
