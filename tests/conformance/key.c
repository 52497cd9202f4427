/* SPDX-License-Identifier: MIT */
/* Idempotency keys: lifecycle rule 9; contract "Puts and keys". */
#include "suite.h"

#define WINDOW (10 * STEP)

static struct jobq_put_key key_of(int hold, int conflict)
{
    return (struct jobq_put_key){ .scope = { 's' }, .payload_digest = { 'd' }, .hold = hold, .conflict = conflict,
                                  .window_ms = WINDOW };
}

static int put_keyed(uint32_t number, const struct jobq_put_key *key, struct jobq_put *out)
{
    struct jobq_put p = put_of(number);
    p.key = text("key");
    p.unique = key;
    put(&p);
    if (out)
        *out = p;
    return p.verdict;
}

static bool is_held(uint32_t other, int hold)
{
    struct jobq_put_key key = key_of(hold, JOBQ_CONFLICT_RETURN);
    int verdict = put_keyed(other, &key, NULL);
    ok(verdict == JOBQ_OK || verdict == JOBQ_DUPLICATE);
    return verdict == JOBQ_DUPLICATE;
}

static void start(uint32_t number, int hold, int held)
{
    struct jobq_put_key key = key_of(hold, JOBQ_CONFLICT_RETURN);
    struct jobq_put p = put_of(number);
    p.unique = &key;
    p.held = (uint8_t)held;
    is(put(&p), JOBQ_OK);
}

/* The stations of a job, and which rule holds its key there. Each is walked with a fresh job. */
enum station {
    AT_BLOCKED,
    AT_WAITING,
    AT_RUNNING,
    AT_RETRY,
    AT_COMPLETED,
    AT_DEAD,
    AT_CANCELLED,
    AT_COMPLETED_LATE,
    AT_DEAD_LATE,
    AT_WAITING_LATE,
    AT_PRUNED,
    AT_DROPPED,
    STATIONS
};

static void bring_to(enum station station, uint32_t number, int hold)
{
    start(number, hold, station == AT_BLOCKED);
    switch (station) {
    case AT_RUNNING:
        claim_n(number);
        break;
    case AT_RETRY:
        change_ok(failed(claim_n(number), JOBQ_ROW_WAITING, 0, "e"));
        break;
    case AT_COMPLETED:
    case AT_COMPLETED_LATE:
    case AT_PRUNED:
        finish(number, JOBQ_ROW_COMPLETED);
        break;
    case AT_DEAD:
    case AT_DEAD_LATE:
        finish(number, JOBQ_ROW_DEAD);
        break;
    case AT_CANCELLED:
        finish(number, JOBQ_ROW_CANCELLED);
        break;
    default:
        break;
    }
    if (station == AT_COMPLETED_LATE || station == AT_DEAD_LATE || station == AT_WAITING_LATE)
        tick(WINDOW);
    if (station == AT_PRUNED || station == AT_DROPPED)
        change_ok(by_operator(id(number), ANY_STATE, JOBQ_ROW_GONE));
}

static void hold_table(int hold, const char *held)
{
    for (enum station station = 0; station < STATIONS; station++) {
        uint32_t number = 100 + 2 * station;
        bring_to(station, number, hold);
        bool now = is_held(number + 1, hold);
        if (now != (held[station] == 'x'))
            fail_test(__FILE__, __LINE__, "hold %d at station %d: %s", hold, (int)station, now ? "held" : "free");
        /* Begin again with a free key. */
        for (uint32_t i = number; i <= number + 1; i++)
            if (exists(i))
                change_ok(by_operator(id(i), ANY_STATE, JOBQ_ROW_CANCELLED));
        tick(2 * WINDOW);
    }
}

/* S7: which states hold the key, for each rule.     B W R r C D X c d w p d */
static void hold_live(void)
{
    hold_table(JOBQ_HOLD_LIVE, "xxxx.....x..");
}

static void hold_waiting(void)
{
    hold_table(JOBQ_HOLD_WAITING, "xx.......x..");
}

static void hold_unresolved(void)
{
    hold_table(JOBQ_HOLD_UNRESOLVED, "xxxx.x..xx..");
}

static void hold_window(void)
{
    hold_table(JOBQ_HOLD_WINDOW, "xxxxxx...xx.");
}

static void forever_at(enum station station)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_FOREVER, JOBQ_CONFLICT_RETURN);
    uint32_t number = 100 + 2 * station;
    key.scope[1] = (uint8_t)station;
    struct jobq_put p = put_of(number);
    p.unique = &key;
    is(put(&p), JOBQ_OK);
    if (station == AT_PRUNED)
        finish(number, JOBQ_ROW_COMPLETED);
    if (station == AT_CANCELLED)
        finish(number, JOBQ_ROW_CANCELLED);
    if (station == AT_PRUNED || station == AT_DROPPED)
        change_ok(by_operator(id(number), ANY_STATE, JOBQ_ROW_GONE));
    tick(100 * WINDOW);
    is(put_keyed(number + 1, &key, NULL), JOBQ_DUPLICATE);
    ok(!exists(number + 1));
    if (exists(number) && station == AT_WAITING)
        claim_n(number);
}

static void hold_forever(void)
{
    forever_at(AT_WAITING);
    forever_at(AT_CANCELLED);
    forever_at(AT_PRUNED);
    forever_at(AT_DROPPED);
}

/* S8: the answer tells who, in which state, and whether the payload is the same. */
static void duplicate_tells(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_RETURN);
    struct jobq_put out;
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    is(put_keyed(2, &key, &out), JOBQ_DUPLICATE);
    ids_are(out.holder, id(1));
    is(out.state, JOBQ_ROW_WAITING);
    is(out.shown, JOBQ_READY);
    is(out.same_payload, 1);
    claim_n(1);
    key.payload_digest[31] = 1;
    key.conflict = JOBQ_CONFLICT_REJECT;
    char *memory = remember(id(1));
    is(put_keyed(2, &key, &out), JOBQ_DUPLICATE);
    is(out.state, JOBQ_ROW_RUNNING);
    is(out.shown, JOBQ_RUNNING);
    is(out.same_payload, 0);
    ok(!exists(2));
    is_as_remembered(id(1), memory);
    is(queue_stats("q").enqueued_total, 1);
}

/* The key row answers after its holder was pruned. */
static void duplicate_of_a_pruned_job(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_WINDOW, JOBQ_CONFLICT_RETURN);
    struct jobq_put out;
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    finish(1, JOBQ_ROW_COMPLETED);
    change_ok(by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_GONE));
    is(put_keyed(2, &key, &out), JOBQ_DUPLICATE);
    ids_are(out.holder, id(1));
    is(out.state, JOBQ_ROW_COMPLETED);
    is(out.shown, JOBQ_COMPLETED);
    is(out.same_payload, 1);
    tick(WINDOW);
    is(put_keyed(2, &key, &out), JOBQ_OK);
}

/* A job that comes by the id of one that is gone is another: what that one's key still says is nothing of it. */
static void an_id_that_came_again(void)
{
    static const int conflicts[] = { JOBQ_CONFLICT_RETURN, JOBQ_CONFLICT_REPLACE, JOBQ_CONFLICT_EXTEND };
    for (size_t i = 0; i < (store_has(JOBQ_CAP_KEY_MODES) ? 3 : 1); i++) {
        uint32_t number = 10 * (uint32_t)(i + 1);
        struct jobq_put_key old = key_of(JOBQ_HOLD_WINDOW, conflicts[i]), own = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_RETURN);
        struct jobq_put out;
        old.scope[1] = own.scope[1] = (uint8_t)number;
        own.scope[2] = 'o';
        is(put_keyed(number, &old, NULL), JOBQ_OK);
        finish(number, JOBQ_ROW_COMPLETED);
        change_ok(by_operator(id(number), JOBQ_ROW_ENDED, JOBQ_ROW_GONE));
        is(put_keyed(number, &own, NULL), JOBQ_OK);
        char *memory = remember(id(number));
        old.payload_digest[0] = 'e';
        is(put_keyed(number + 1, &old, &out), JOBQ_DUPLICATE);
        ids_are(out.holder, id(number));
        is(out.state, JOBQ_ROW_COMPLETED);
        is(out.shown, JOBQ_COMPLETED);
        is(out.same_payload, 0);
        is_as_remembered(id(number), memory);
        is(put_keyed(number + 1, &own, &out), JOBQ_DUPLICATE);
        is(out.state, JOBQ_ROW_WAITING);
        is(out.same_payload, 1);
        tick(WINDOW); /* in which the new job waits: the old one's key is not held by that */
        is(put_keyed(number + 2, &old, NULL), JOBQ_OK);
        finish(number, JOBQ_ROW_COMPLETED);
        finish(number + 2, JOBQ_ROW_COMPLETED);
    }
}

/* However many windows run out at the same moment, none holds a moment longer. */
static void many_windows_at_once(void)
{
    struct jobq_put_key keys[100];
    struct jobq_put puts[100];
    for (uint32_t i = 0; i < 100; i++) {
        keys[i] = key_of(JOBQ_HOLD_WINDOW, JOBQ_CONFLICT_RETURN);
        keys[i].scope[1] = (uint8_t)i;
        puts[i] = put_of(i);
        puts[i].unique = &keys[i];
    }
    struct jobq_exchange x = { .puts = puts, .put_count = 100 };
    go(me, &x);
    struct jobq_change ends[100];
    for (uint32_t i = 0; i < 100; i++)
        ends[i] = by_operator(id(i), LIVE, JOBQ_ROW_DEAD);
    struct jobq_exchange y = { .changes = ends, .change_count = 100 };
    go(me, &y);
    tick(WINDOW);
    for (uint32_t i = 0; i < 100; i++) {
        puts[i].id = id(200 + i);
        puts[i].only_if = -1;
    }
    struct jobq_exchange z = { .puts = puts, .put_count = 100 };
    go(me, &z);
    for (int i = 0; i < 100; i++)
        is(puts[i].verdict, JOBQ_OK);
}

/* Scopes are compared whole: 32 bytes. */
static void scopes_are_apart(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_RETURN);
    for (uint32_t i = 0; i < 32; i++) {
        memset(key.scope, 0, sizeof key.scope);
        key.scope[i] = 1;
        is(put_keyed(i, &key, NULL), JOBQ_OK);
    }
    memset(key.scope, 0, sizeof key.scope);
    is(put_keyed(90, &key, NULL), JOBQ_OK);
    is(put_keyed(91, &key, NULL), JOBQ_DUPLICATE);
}

static void one_exchange_one_holder(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_RETURN);
    struct jobq_put p[] = { put_of(1), put_of(2) };
    p[0].unique = p[1].unique = &key;
    struct jobq_exchange x = { .puts = p, .put_count = 2 };
    go(me, &x);
    is(p[0].verdict, JOBQ_OK);
    is(p[1].verdict, JOBQ_DUPLICATE);
    ids_are(p[1].holder, id(1));
}

/* What a change frees can be taken by a put of the same exchange. */
static void freed_in_the_same_exchange(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_RETURN);
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    struct jobq_change c = completed(claim_n(1), "r");
    struct jobq_put p = put_of(2);
    p.unique = &key;
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .puts = &p, .put_count = 1 };
    go(me, &x);
    is(p.verdict, JOBQ_OK);
}

/* No internal transition ever acquires a key: release and retry leave it with its new holder. */
static void retry_takes_no_key(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_WAITING, JOBQ_CONFLICT_RETURN);
    struct jobq_put out;
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    const struct jobq_row *r = claim_n(1);
    is(put_keyed(2, &key, NULL), JOBQ_OK);
    change_ok(by_token(r, JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    is(put_keyed(3, &key, &out), JOBQ_DUPLICATE);
    ids_are(out.holder, id(2));
    change_ok(failed(claim_n(1), JOBQ_ROW_WAITING, 0, "e"));
    is(put_keyed(3, &key, &out), JOBQ_DUPLICATE);
    ids_are(out.holder, id(2));
}

/* ---- taking it again ------------------------------------------------------------------------------------------ */

static struct jobq_change redrive(uint32_t number)
{
    struct jobq_change c = by_operator(id(number), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING);
    c.set = JOBQ_TAKE_KEY;
    return c;
}

static void redrive_takes_it_again(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_RETURN);
    struct jobq_put out;
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    finish(1, JOBQ_ROW_DEAD);
    change_ok(redrive(1));
    is(put_keyed(2, &key, &out), JOBQ_DUPLICATE);
    ids_are(out.holder, id(1));
    is(out.same_payload, 1);
}

static void redrive_is_told_who_holds_it(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_RETURN);
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    finish(1, JOBQ_ROW_DEAD);
    is(put_keyed(2, &key, NULL), JOBQ_OK);
    char *memory = remember(id(1));
    struct jobq_change c = redrive(1);
    is(change(&c), JOBQ_DUPLICATE);
    ids_are(c.holder, id(2));
    ok(c.row != NULL);
    is(c.row->state, JOBQ_ROW_DEAD);
    is_as_remembered(id(1), memory);
    change_ok(by_operator(id(2), LIVE, JOBQ_ROW_CANCELLED));
    c = redrive(1);
    is(change(&c), JOBQ_OK);
    ok(is_held(3, JOBQ_HOLD_LIVE));
}

static void redrive_of_its_own_key(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_UNRESOLVED, JOBQ_CONFLICT_RETURN);
    struct jobq_put out;
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    finish(1, JOBQ_ROW_DEAD);
    change_ok(redrive(1));
    is(put_keyed(2, &key, &out), JOBQ_DUPLICATE);
    is(out.state, JOBQ_ROW_WAITING);
    finish(1, JOBQ_ROW_COMPLETED);
    is(put_keyed(2, &key, NULL), JOBQ_OK);
}

/* WAITING: taken again it holds until the next claim. */
static void redrive_of_a_waiting_key(void)
{
    start(1, JOBQ_HOLD_WAITING, 0);
    change_ok(failed(claim_n(1), JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e"));
    change_ok(redrive(1));
    ok(is_held(2, JOBQ_HOLD_WAITING));
    claim_n(1);
    ok(!is_held(2, JOBQ_HOLD_WAITING));
}

/* The window's end is that of the enqueue, also after a redrive. */
static void redrive_keeps_the_window(void)
{
    start(1, JOBQ_HOLD_WINDOW, 0);
    finish(1, JOBQ_ROW_DEAD);
    tick(WINDOW - STEP);
    change_ok(redrive(1));
    tick(2 * STEP);
    ok(is_held(2, JOBQ_HOLD_WINDOW)); /* it is live */
    finish(1, JOBQ_ROW_COMPLETED);
    ok(!is_held(3, JOBQ_HOLD_WINDOW));
}

static void redrive_without_a_key(void)
{
    make(1, JOBQ_ROW_DEAD);
    change_ok(redrive(1));
    is(row_n(1)->state, JOBQ_ROW_WAITING);
}

/* ---- replace and extend ------------------------------------------------------------------------------------------ */

static void replaces_the_payload(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_REPLACE);
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    struct jobq_put p = put_of(2);
    p.payload = text("newer");
    p.kind = text("other");
    p.run_at = from_now(STEP);
    p.priority = 9;
    p.unique = &key;
    key.payload_digest[0] = 'n';
    is(put(&p), JOBQ_REPLACED);
    ids_are(p.holder, id(1));
    is(p.state, JOBQ_ROW_WAITING);
    ok(!exists(2));
    const struct jobq_row *r = row_n(1);
    bytes_are(r->payload, text("newer"));
    is(r->payload_bytes, 5);
    is(r->edits, 1);
    bytes_are(r->kind, text("k"));
    is(r->priority, 0);
    is(r->due, 1);
    key.conflict = JOBQ_CONFLICT_RETURN;
    struct jobq_put out;
    is(put_keyed(3, &key, &out), JOBQ_DUPLICATE);
    is(out.same_payload, 1); /* as the new one */
    bytes_are(claim_n(1)->payload, text("newer"));
}

static void extends_the_delay(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_EXTEND);
    is(put_keyed(1, &key, NULL), JOBQ_OK);
    struct jobq_put p = put_of(2);
    p.payload = text("ignored");
    p.run_at = from_now(STEP);
    p.unique = &key;
    int64_t before = now_of_store();
    is(put(&p), JOBQ_EXTENDED);
    ids_are(p.holder, id(1));
    is(p.shown, JOBQ_SCHEDULED);
    const struct jobq_row *r = row_n(1);
    ok(r->run_at_ms >= before + STEP && r->run_at_ms <= me->now + STEP);
    is(r->due, 0);
    is(r->edits, 1);
    bytes_are(r->payload, text("p"));
    ok(none_due());
    tick(STEP);
    claim_n(1);
}

static void conflict_with_a_blocked_holder(void)
{
    struct jobq_put_key key = key_of(JOBQ_HOLD_LIVE, JOBQ_CONFLICT_REPLACE);
    start(1, JOBQ_HOLD_LIVE, 1);
    is(put_keyed(2, &key, NULL), JOBQ_REPLACED);
    key.conflict = JOBQ_CONFLICT_EXTEND;
    struct jobq_put p = put_of(3);
    p.unique = &key;
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_EXTENDED);
    is(p.state, JOBQ_ROW_BLOCKED);
    is(row_n(1)->state, JOBQ_ROW_BLOCKED);
    is(row_n(1)->edits, 2);
    is(row_n(1)->due, 0);
}

/* A running or ended holder is not touched. */
static void conflict_with_a_running_holder(void)
{
    for (int conflict = JOBQ_CONFLICT_REPLACE; conflict <= JOBQ_CONFLICT_EXTEND; conflict++) {
        uint32_t number = 10 * (uint32_t)conflict;
        struct jobq_put_key key = key_of(JOBQ_HOLD_UNRESOLVED, conflict);
        key.scope[1] = (uint8_t)conflict;
        is(put_keyed(number, &key, NULL), JOBQ_OK);
        const struct jobq_row *r = claim_n(number);
        char *memory = remember(r->id);
        is(put_keyed(number + 1, &key, NULL), JOBQ_DUPLICATE);
        is_as_remembered(r->id, memory);
        change_ok(failed(r, JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, "e"));
        memory = remember(r->id);
        is(put_keyed(number + 1, &key, NULL), JOBQ_DUPLICATE);
        is_as_remembered(r->id, memory);
    }
}

static const struct test tests[] = {
    { .name = "LIVE holds until the job ends (S7)", .run = hold_live },
    { .name = "WAITING holds until the first claim (S7)", .run = hold_waiting },
    { .name = "UNRESOLVED holds while dead, too (S7)", .run = hold_unresolved },
    { .name = "WINDOW holds until its end (S7)", .run = hold_window },
    { .name = "FOREVER holds for ever (S7)", .run = hold_forever },
    { .name = "DUPLICATE tells holder, state and payload (S8)", .run = duplicate_tells },
    { .name = "DUPLICATE of a pruned holder", .run = duplicate_of_a_pruned_job },
    { .name = "a job that comes by the id of one that is gone", .run = an_id_that_came_again },
    { .name = "a hundred windows run out at once", .run = many_windows_at_once },
    { .name = "scopes are compared whole (S15)", .run = scopes_are_apart },
    { .name = "two puts of one exchange", .run = one_exchange_one_holder },
    { .name = "freed by a change, taken by a put", .run = freed_in_the_same_exchange },
    { .name = "release and retry take no key (rule 9)", .run = retry_takes_no_key },
    { .name = "redrive takes it again (rule 9)", .run = redrive_takes_it_again },
    { .name = "redrive is told who holds it (rule 9)", .run = redrive_is_told_who_holds_it },
    { .name = "redrive of a job that holds its key", .run = redrive_of_its_own_key },
    { .name = "redrive with rule WAITING", .run = redrive_of_a_waiting_key },
    { .name = "redrive leaves the window's end", .run = redrive_keeps_the_window },
    { .name = "redrive without a key", .run = redrive_without_a_key },
    { .name = "REPLACED: the payload and nothing else", .run = replaces_the_payload, .needs = JOBQ_CAP_KEY_MODES },
    { .name = "EXTENDED: the delay and nothing else", .run = extends_the_delay, .needs = JOBQ_CAP_KEY_MODES },
    { .name = "replace and extend a blocked holder", .run = conflict_with_a_blocked_holder,
      .needs = JOBQ_CAP_KEY_MODES },
    { .name = "replace and extend leave a running or ended holder", .run = conflict_with_a_running_holder,
      .needs = JOBQ_CAP_KEY_MODES },
};
const struct topic topic_key = TOPIC("key", tests);
