/* SPDX-License-Identifier: MIT */
/*
 * What a store must do. For people who write a store; applications need <jobq/jobq.h> only.
 *
 * Three facts that settle most questions
 *   - The core runs exchange, read, stats and configure of one store object one at a time. wake_fd and wake_drain
 *     may be called beside them from one other thread. Different store objects are independent, also two on the same
 *     database in one process.
 *   - A store never calls the core except for the helpers at the end of this header, never draws an id, never
 *     computes a delay and never decides a state. It compares, stores, counts and orders.
 *   - Time is the store's: `now` is taken once per unit (plus the stored test offset) and used throughout it.
 *
 * Policy (what an outcome means, back-off, limits on sizes, retention defaults) is the core's. What must be atomic is
 * the store's: guards, key uniqueness, claim order, lease stamps, counts, dependency counts.
 *
 * Strings in here are bytes with a length (struct jobq_bytes); they may hold any byte. Input memory is lent for the
 * call. Output memory comes from the arena that the core hands in and is freed by the core.
 *
 * "Past" and "has come" mean <= now, for every instant in here. Unless a number says otherwise 0 bytes of a bound is
 * no bound.
 */
#ifndef JOBQ_BACKEND_H
#define JOBQ_BACKEND_H

#include <jobq/jobq.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jobq_store; /* the store's own; opaque to the core */
struct jobq_arena; /* memory of one answer */

/* ---- rows --------------------------------------------------------------------------------------------- */

/* States as stored. GONE is "no row": a change to it deletes. */
enum jobq_row_state {
    JOBQ_ROW_KEEP = 0, /* in a change: leave the state as it is */
    JOBQ_ROW_BLOCKED = 1,
    JOBQ_ROW_WAITING = 2,
    JOBQ_ROW_RUNNING = 3,
    JOBQ_ROW_COMPLETED = 4,
    JOBQ_ROW_DEAD = 5,
    JOBQ_ROW_CANCELLED = 6,
    JOBQ_ROW_GONE = 7
};
#define JOBQ_ROW_BIT(state) (1u << (state))
#define JOBQ_ROW_ENDED \
    (JOBQ_ROW_BIT(JOBQ_ROW_COMPLETED) | JOBQ_ROW_BIT(JOBQ_ROW_DEAD) | JOBQ_ROW_BIT(JOBQ_ROW_CANCELLED))

/* The kind of outcome given under the row's present token. */
enum jobq_outcome_kind {
    JOBQ_OUTCOME_NONE = 0,
    JOBQ_OUTCOME_COMPLETE = 1,
    JOBQ_OUTCOME_FAIL = 2,
    JOBQ_OUTCOME_RELEASE = 3,
    JOBQ_OUTCOME_SNOOZE = 4,
    JOBQ_OUTCOME_PARK = 5,
    JOBQ_OUTCOME_VOID = 6 /* hard cancel */
};

/* Why an overdue want gave a row. */
enum jobq_overdue {
    JOBQ_OVERDUE_NONE = 0,
    JOBQ_OVERDUE_LEASE = 1,    /* running, lease past, stop_at not */
    JOBQ_OVERDUE_TIMEOUT = 2,  /* running, lease past and stop_at past (rule 5 before rule 4) */
    JOBQ_OVERDUE_CALLBACK = 3, /* blocked for a callback whose deadline is past */
    JOBQ_OVERDUE_EXPIRED = 4,  /* waiting or blocked, expires_at past */
    JOBQ_OVERDUE_EDGES = 5     /* ended, with open edges; not leased; children[] says who waits for a decision */
};

/* A point in time that the store computes, saturating at INT64_MAX. */
enum jobq_time_base {
    JOBQ_TIME_KEEP = 0,  /* the row's own value unchanged (put: none) */
    JOBQ_TIME_NOW = 1,   /* now + offset_ms */
    JOBQ_TIME_LATER = 2, /* the later of the row's own value and now, + offset_ms */
    JOBQ_TIME_ABS = 3,   /* offset_ms itself; 0: none */
    JOBQ_TIME_ROW = 4    /* the row's own value + offset_ms */
};
struct jobq_time {
    int32_t base;
    int64_t offset_ms;
};

struct jobq_row_error {
    int32_t attempt;
    int32_t kind;
    int64_t at_ms;
    struct jobq_bytes worker;
    struct jobq_bytes text;
};

struct jobq_edge {
    struct jobq_id id; /* the other end */
    int32_t rule;      /* enum jobq_parent_rule */
    int32_t state;     /* enum jobq_row_state of the parent; GONE when pruned */
};

/* A stored job. `policy` is bytes of the core (attempt limits, back-off), opaque to the store, absent when all is
 * default; so are the meanings of the five counters, which the store only keeps. */
struct jobq_row {
    struct jobq_id id;
    struct jobq_token token; /* of the newest claim; zero before the first */
    int64_t fence;
    struct jobq_bytes queue, kind, group, worker; /* group, worker: absent for none */
    struct jobq_bytes payload, policy, key, result, progress, data, trace;
    size_t payload_bytes; /* also when payload was not asked for */
    int32_t state;        /* enum jobq_row_state */
    int32_t reason;       /* enum jobq_reason */
    int32_t outcome;      /* enum jobq_outcome_kind */
    int32_t priority;
    int64_t rank_add_ms; /* rank = run_at + rank_add, saturating */
    int64_t attempt;
    int32_t failures, crashes, snoozes, releases, redrives;
    uint32_t edits;
    uint8_t cancel_asked;
    uint8_t held;      /* blocked until the hold is lifted, besides any parents */
    uint8_t alone;     /* ordinary wants pass it by; only a want {alone} takes it */
    uint8_t ran_alone; /* the newest claim took this row only and its process held no other */
    uint8_t resumed;   /* the callback came while the row was still running */
    uint8_t due;       /* waiting: the stored bit, see want */
    uint8_t has_callback; /* a callback digest is stored and unused */
    uint32_t pending;  /* parents that have not let it go */
    int64_t created_at_ms, run_at_ms, started_at_ms, finished_at_ms;
    int64_t lease_until_ms, stop_at_ms, expires_at_ms, callback_until_ms, timeout_ms; /* 0: none */
    const struct jobq_row_error *errors; /* the last 10, newest last; when asked for */
    size_t error_count;
    const struct jobq_row_error *log; /* capability LOG: the last 100 lines, newest last, kind 0; when asked for */
    size_t log_count;
    const struct jobq_edge *parents; /* when asked for */
    size_t parent_count;
    /* only in an overdue answer */
    int32_t overdue; /* enum jobq_overdue */
    const struct jobq_edge *children; /* EDGES: blocked children whose rule asks for a decision, at most 64 */
    size_t child_count;
};

/* ---- the unit: beats, changes, puts -------------------------------------------------------------------- */

/* A heartbeat for every row that is running under `token` with outcome NONE: lease_until = max(lease_until,
 * min(now + lease_ms, stop_at)). Rows past stop_at are not extended. Beats come first in the unit. */
enum jobq_beat_flags {
    JOBQ_BEAT_RELEASE = 1, /* instead give those rows back: state WAITING, outcome RELEASE, releases + 1, rank kept */
    JOBQ_BEAT_MINT = 2     /* only the first 8 bytes of the token are known and compared */
};
struct jobq_beat {
    struct jobq_token token;
    int64_t lease_ms;
    uint32_t flags;
    /* answer */
    size_t held;                  /* rows still held under the token; RELEASE: rows given back */
    const struct jobq_row *marks; /* those with cancel_asked, or past stop_at (no payload, no result) */
    size_t mark_count;
};

enum jobq_by {
    JOBQ_BY_TOKEN = 1,    /* the lease token */
    JOBQ_BY_CALLBACK = 2, /* the digest of the callback secret */
    JOBQ_BY_OPERATOR = 3  /* nobody's token: `allowed` and `edits` are the guard */
};

/* What a change sets besides the state. */
enum jobq_set {
    JOBQ_SET_RUN_AT = 1u << 0,   /* run_at; rank follows it; due bit = run_at has come */
    JOBQ_SET_COUNTERS = 1u << 1, /* failures, crashes, snoozes, releases, redrives: new values */
    JOBQ_SET_RESULT = 1u << 2,
    JOBQ_SET_PROGRESS = 1u << 3,
    JOBQ_SET_DATA = 1u << 4,          /* data, and the callback counts as used */
    JOBQ_SET_PAYLOAD = 1u << 5,
    JOBQ_SET_CALLBACK = 1u << 6,      /* callback digest (all zero: none); unused, `resumed` and data
                                         cleared */
    JOBQ_SET_DEADLINE = 1u << 7,      /* callback_until */
    JOBQ_SET_CANCEL_ASKED = 1u << 8,  /* = 1 */
    JOBQ_SET_ALONE = 1u << 9,         /* = value of `alone` */
    JOBQ_SET_LEASE = 1u << 10,        /* lease_until = max(own, min(now + lease_ms, stop_at)) */
    JOBQ_SET_RESUMED = 1u << 11,      /* = 1 */
    JOBQ_ADD_ERROR = 1u << 12,        /* append {attempt of the row, error_kind, now, worker of the row, error} */
    JOBQ_TAKE_KEY = 1u << 13,         /* acquire the row's key again (its window ends when the put said), or verdict
                                         DUPLICATE and no byte changed; a row without a key takes none */
    JOBQ_LIFT_HOLD = 1u << 14,        /* held = 0; BLOCKED with pending 0 becomes WAITING, no reason, whatever `state`
                                         and `reason` say; BLOCKED with pending: reason PARENTS */
    JOBQ_CLEAR_CANCEL = 1u << 15,     /* cancel_asked = 0 */
    JOBQ_BLOCK_AGAIN = 1u << 16,      /* re-open kept edges to parents that have not completed: if any, state
                                         BLOCKED / PARENTS with that pending count instead of `state`. A parent that is
                                         gone, or ended under rule IGNORE, lets go: its edge is removed */
    JOBQ_ADD_LOG = 1u << 17,          /* capability LOG: append a line {attempt of the row, now, worker of the row, text} for
                                         each of `log`, in order, and keep the newest 100 of the row. They stay until the
                                         row is gone */
};

enum jobq_stale {
    JOBQ_STALE_NONE = 0,
    JOBQ_STALE_GONE = 1,     /* no such row */
    JOBQ_STALE_OVERTAKEN = 2,/* another token holds or held it after this one */
    JOBQ_STALE_VOID = 3,     /* cancelled hard */
    JOBQ_STALE_OUTCOME = 4,  /* this token gave another kind of outcome before */
    JOBQ_STALE_STATE = 5,    /* the state is not among `allowed` */
    JOBQ_STALE_DIGEST = 6    /* the callback secret is not the row's */
};

#define JOBQ_ANY_EDITS UINT32_MAX

/*
 * "If row `id` is still so, set these columns." Guards, in this order:
 *   no row                                                        STALE / GONE
 *   BY_TOKEN     token differs                                    STALE / OVERTAKEN
 *                row.outcome == outcome != NONE                   ALREADY
 *                row.outcome == VOID                              STALE / VOID
 *                row.outcome != NONE, or the row is not running   STALE / OUTCOME
 *                edits != ANY and differ                          OUTDATED
 *   BY_CALLBACK  digest differs from the stored one               STALE / DIGEST
 *                the digest was used already                      ALREADY
 *                state not in allowed                             STALE / STATE
 *                edits != ANY and differ                          OUTDATED
 *   BY_OPERATOR  state not in allowed                             STALE / STATE
 *                edits != ANY and differ                          OUTDATED
 *   TAKE_KEY and the key has another holder                       DUPLICATE, holder set
 * Then it is made and the verdict is OK. Any other verdict: no byte changes, and `row` is the present row (nothing
 * for GONE), without payload and result.
 *
 * Making it: a change not BY_TOKEN raises edits (saturating). outcome != NONE is stored on the row (VOID also by an
 * operator). Leaving RUNNING clears lease_until and stop_at; token, worker and started_at stay. Entering an ended state
 * sets finished_at = now, decides the key (see keys), resolves at most 64 of the row's edges (see edges) and closes its
 * own incoming edges. Leaving an ended state clears finished_at, result and expires_at. Entering WAITING stores the due
 * bit. Entering GONE removes row, errors, log and incoming edges; the key row lives on by its own rule; a row with open
 * edges to children answers STALE / STATE.
 */
struct jobq_change {
    struct jobq_id id;
    int32_t by;
    struct jobq_token token; /* BY_TOKEN */
    uint8_t digest[32];      /* BY_CALLBACK: of the secret brought; SET_CALLBACK: to store */
    uint32_t allowed;        /* JOBQ_ROW_BIT mask; BY_CALLBACK, BY_OPERATOR */
    uint32_t edits;
    int32_t outcome; /* enum jobq_outcome_kind */
    int32_t state;   /* enum jobq_row_state */
    int32_t reason;  /* stored whenever state is not KEEP */
    uint32_t set;    /* enum jobq_set */
    struct jobq_time run_at, callback_until;
    int64_t lease_ms;
    int32_t failures, crashes, snoozes, releases, redrives;
    uint8_t alone;
    int32_t error_kind;
    struct jobq_bytes result, progress, data, payload, error;
    const struct jobq_bytes *log; /* ADD_LOG: lines */
    size_t log_count;
    /* answer */
    int32_t verdict;             /* JOBQ_OK, ALREADY, OUTDATED, STALE, DUPLICATE */
    int32_t stale;               /* enum jobq_stale */
    const struct jobq_row *row;  /* verdict not OK: the present row; OK with SET_LEASE: the row; else NULL */
    struct jobq_id holder;       /* DUPLICATE */
    int64_t lease_until_ms;      /* SET_LEASE: the new end */
};

/*
 * Keys. `scope` stands for queue, kind, group (as chosen) and key bytes and is computed by the core: mostly a digest,
 * but keys that are alike, as numbers and dates are, are neighbours in the order of its bytes. A key row
 * {scope, job, hold, window end, payload digest, final state} is held
 *   WAITING     while the job is blocked or waiting and was never claimed since it took the key
 *   LIVE        while it is not ended
 *   UNRESOLVED  while it is not completed or cancelled
 *   WINDOW      while it is not ended, and completed or dead until now >= window end
 *   FOREVER     always, also after the row was cancelled or pruned
 * A claim frees WAITING keys in the claim step. Only a put and TAKE_KEY acquire.
 *
 * A key held by rule LIVE or UNRESOLVED may keep one successor (JOBQ_CAP_SUCCESSOR): the whole put, its times not yet
 * resolved. The step that lets the key go because its holder ended or was removed (a change, a removal, trim) puts it
 * in the same atomic unit: as if it had arrived then (created_at, KEEP and NOW count from there), taking the key by its
 * own rule, whatever depth and quota say, and without using the quota. If its id has come to exist meanwhile it is
 * dropped. A redrive that takes the key again leaves the successor where it is.
 */
struct jobq_put_key {
    uint8_t scope[32];
    uint8_t payload_digest[32];
    int32_t hold;     /* enum jobq_key_hold */
    int32_t conflict; /* enum jobq_key_conflict; REJECT is answered by the store like RETURN */
    int64_t window_ms;
};

/*
 * Schedules. A stored row of its own, capability JOBQ_CAP_SCHEDULES. The store keeps and compares it; the core reads
 * `bytes` and computes every time. Two numbers make it work:
 *   fired    every nominal time up to here is settled: it fired, or was left out by the schedule's policy. The core
 *            sends what is later as the tick of a put, and the compare below settles each nominal time once, however
 *            many processes try.
 *   next_ms  when somebody should look at it again. Only a hint: a wrong one costs a look, never a run.
 * Both are instants of the clock that schedules go by: the store's own, except where that is no calendar clock.
 */
struct jobq_schedule_row {
    struct jobq_bytes name;
    struct jobq_bytes bytes; /* the core's: times, policies, template of the job */
    int64_t version;         /* 1 for the first, raised by each new definition */
    int64_t fired_ms;
    int64_t next_ms; /* INT64_MAX: not by itself */
    int32_t paused;
};

enum jobq_tick_mode {
    JOBQ_TICK_PUT = 0,  /* put the row, fired = nominal_ms, next_ms */
    JOBQ_TICK_SKIP = 1, /* put no row, fired = nominal_ms, next_ms */
    JOBQ_TICK_DEFER = 2 /* put no row, next_ms only */
};

/* The tick of a schedule, compared in the step that puts its row. Guards, in this order: no such schedule, another
 * version, or paused: STALE. nominal_ms <= fired: ALREADY. Both put no row and change nothing. Otherwise the mode says
 * what is done; SKIP and DEFER answer OK. A PUT goes on as any other put, and the schedule's row is changed when the
 * verdict is OK, DUPLICATE, REPLACED, EXTENDED or SUCCESSOR; with FULL, LIMITED and NO_PARENT it stays, so that the
 * nominal time can be tried again. */
struct jobq_put_tick {
    struct jobq_bytes schedule;
    int64_t version, nominal_ms;
    int64_t next_ms;
    int32_t mode; /* enum jobq_tick_mode */
};

/*
 * A new row. Verdicts, the first that applies:
 *   SKIPPED     only_if names a change of this exchange whose verdict is not OK
 *   ALREADY     the id exists: a repeated request. same_payload compares the bytes
 *   STALE, ALREADY, OK   by the tick, see above. `holder`, `state`, `shown` and `same_payload` are then zero
 *   NO_PARENT   a parent is neither in the store nor put earlier in this unit
 *   DUPLICATE   the key is held; holder, its state, same_payload. CONFLICT_REPLACE / EXTEND on a waiting or blocked
 *               holder: REPLACED / EXTENDED (edits + 1); on a running or ended one DUPLICATE. SUCCESSOR: kept in the
 *               key row (the newest wins) if the holder's rule is LIVE or UNRESOLVED: verdict SUCCESSOR, holder, its
 *               state and same_payload as for DUPLICATE, edits as they were; with another rule DUPLICATE. It names no
 *               parents (the core sees to that)
 *   FULL        the queue's blocked and waiting rows are as many as its depth
 *   LIMITED     the quota of its group is used up; retry_ms until one more would pass if nobody else puts
 *   OK          stored: BLOCKED when held or a parent is pending, else WAITING. A parent that has completed, or has
 *               ended with rule IGNORE, is satisfied at once. A dead or cancelled parent with another rule leaves the
 *               row BLOCKED and the edge open on the parent, which is then overdue (EDGES): the core decides.
 * Verdicts are per item: a put that is not OK never undoes another item. BLOCKED by a hold: reason HOLD, else PARENTS. A
 * parent named twice counts once, by its first rule. REPLACE gives the payload only, EXTEND run_at only.
 */
struct jobq_put {
    struct jobq_id id;
    struct jobq_bytes queue, kind, group, payload, policy, key, trace;
    int32_t priority;
    int64_t rank_add_ms;
    struct jobq_time run_at;     /* KEEP: now */
    struct jobq_time expires_at; /* KEEP: none */
    int64_t timeout_ms;
    uint8_t held;
    const struct jobq_put_key *unique; /* NULL: no key */
    const struct jobq_put_tick *tick;  /* NULL: none */
    const struct jobq_parent *parents;
    size_t parent_count;
    int32_t only_if; /* index into changes, or -1 */
    /* answer */
    int32_t verdict;
    int32_t state; /* enum jobq_row_state of the row `holder` names (OK: of the new row; pruned: the one it ended in) */
    int32_t shown; /* the same as enum jobq_state */
    int32_t same_payload;
    struct jobq_id holder; /* OK and ALREADY: the id itself */
    int64_t retry_ms;      /* LIMITED */
};

/*
 * Edges. {parent, child, rule}; open while the child is blocked by it. When a row ends:
 *   completed, or rule IGNORE   the child's pending - 1; at 0 and not held it becomes WAITING, run_at = later of its
 *                               own and now, and the edge is removed: one step, so it happens once
 *   else                        stays open for the core to decide
 * A change resolves at most 64 edges of the row it ends; while any stays open the row is marked and an overdue want
 * works off 64 more and gives up to 64 undecided children. Closing the incoming edges of an ended child: removed,
 * except reason DEPENDENCY: kept (closed) so that BLOCK_AGAIN can re-open them.
 */

/* After the changes: for each (queue, state) that this unit ended rows in, remove at most `limit` rows in all, oldest
 * finished first (then by id), that are beyond the newest keep_count or ended more than keep_ms ago (either suffices),
 * none with open edges to children: those keep their place in the count. Each is counted (`trimmed`) and is an event. The
 * queue's own settings go before these defaults. In an exchange that also claims a row, a store may leave up to
 * keep_count / slack_part rows beyond the count, slack_most at most, for taking some away may cost no more than taking
 * one; none where either is 0. keep values: index enum jobq_row_state.
 *
 * Results (JOBQ_CAP_RESULTS), after all that: for each queue that this unit completed rows in, by its name, the completed
 * rows in the order in which they ended (of one instant: in any order, the same each time). One that ended more than
 * keep_ms[JOBQ_KEEP_RESULTS] ago loses its result and nothing else: no count, no event, `edits` as they were. Each row
 * looked at is one of `limit`, which the rows removed share. A store remembers per queue how far it came, so that it
 * looks at a row once, and begins anew when KEEP is set, when completed rows are loaded, and when its clock says that
 * it came too far. It may be up to 10 s late. */
#define JOBQ_KEEP_RESULTS 0 /* index into keep_ms: no state of a row that is stored */
struct jobq_trim {
    size_t limit; /* 0: no trim */
    int64_t keep_count[8]; /* negative: no limit by count */
    int64_t keep_ms[8];    /* 0 or negative: no limit by age */
    uint32_t slack_part, slack_most;
};

/* ---- the want -------------------------------------------------------------------------------------------- */

enum jobq_want_mode {
    JOBQ_WANT_DUE = 1,     /* obeys queues, kinds, pause, limits, rates, groups */
    JOBQ_WANT_OVERDUE = 2, /* obeys none of them and looks at the whole namespace, oldest first */
    JOBQ_WANT_ALONE = 3    /* as DUE, takes exactly one row that is marked alone */
};

/*
 * Limits and turns (JOBQ_CAP_GROUPS). Set by configure, in force for the next want and put, obeyed by DUE and ALONE.
 *
 * In the way of a start, each by itself:
 *   the queue's concurrency        its running rows, all groups and none
 *   its group_concurrency          its running rows of the row's group
 *   its rate                       starts from it in a period
 *   the group's concurrency        running rows of the group in all queues
 *   the group's rate               starts of the group, all queues, in a period
 * and in the way of a put: the queue's depth, the group's quota (puts of the group that were OK, in a period).
 * Rows without a group have no limits of a group. A limit of 0 lets nothing pass. A slot is in use because a row is
 * RUNNING, lease past or not, and for no other reason: count rows, or keep a count that changes with the row.
 * No limit is ever exceeded by one, however many claim at once; where a store locks for that it locks what has a limit.
 *
 * What holds for a group, member by member: its own value; else that of the plan it names, if such a plan is stored;
 * else that of every group (the row set with `group` absent); else none. (So whoever names no plan, or one that nobody
 * stored, has what every group has.) A group needs no stored row to have limits.
 *
 * A rate (and a quota) of n per period: see struct jobq_gauge, which is its exact meaning and code to use. One gauge for
 * the queue's starts, one for the group's starts, one for its puts, kept with the queue and the group for 11 tenths at
 * least after the newest entry, whoever of them has a row. Only what has a rate is counted, and written once per want.
 * A start is used when the row is claimed; release does not give it back; a sweep is no start. Raising, lowering and
 * taking away concern the next start only: rows that run, run on.
 *
 * Turns. A queue whose due rows have no group is served by rank alone and has no place in the cursor. Otherwise its
 * groups with due rows (waiting, bit set, not alone, of any kind) stand in a circle in order of bytes, those without a
 * group together as the group of no bytes. From the place in the cursor on (none: from the first) each in turn gives up
 * to `share` rows by rank (of a named kind; one past expires_at is given once, and in this want takes the room of a
 * start), as many as its limits allow; then the next; round and round until `limit` or `bytes` or the queue's own
 * limits are reached, or a whole round gave nothing. A turn that the end of the want cut short goes on in the next.
 * After 64 looks at a group of this queue that gave nothing since the last row, the queue is left with more = 1; the
 * cursor then says where those looks began, so that the next want goes on and knows when the round is whole. struct
 * jobq_turn is this rule as code. So with g groups that hold due rows the head of a group that its limits let start
 * does so within g x share claims of one client, whatever the others hold. ALONE takes no turns: by rank, passing by at
 * most 64 rows of each queue that a group's limit forbids.
 *
 * A want that a rate held back (there are due rows, of whatever kind, and the want had room) makes next_due_ms no later
 * than the moment at which that rate allows a start. What frees a slot that a limit counts, and a limit that was raised
 * or taken away, is something that others are woken for.
 */

/*
 * Take rows out. token = mint (8 bytes) + fence (8 bytes, big endian), the same for all rows of the want; fence drawn
 * once per want that gives a row.
 *
 * DUE, ALONE: queues in the order given (one named twice counts once); within one by rank (run_at + rank_add), then
 * arrival, and where rows have groups by turns (see limits and turns). First, for each named
 * queue, waiting rows whose run_at has come get their due bit, at most 2 x limit + 64 in all, earliest first. Only rows
 * with the bit, without `alone` (ALONE: with it), of a named kind, in a queue that is not paused. A row past
 * expires_at met on the way is given with `overdue` EXPIRED, unclaimed, and counts against the limit. Stops before the
 * row that would pass `bytes` of payload, but gives at least one. For each row: RUNNING, attempt + 1 (saturating),
 * token, fence, outcome NONE, worker, started_at = now, stop_at = now + timeout if any, lease_until = min(now + lease,
 * stop_at), ran_alone = (one row claimed and others == 0), frees a WAITING key, clears progress
 * and `resumed`.
 *
 * OVERDUE: running rows with the lease past (LEASE, TIMEOUT) get token, fence and lease and nothing else: attempt,
 * worker, counters, started_at, stop_at stay as the lost holder left them, the row still counts for limits, outcome
 * becomes NONE; the lease is now + lease_ms, stop_at or not. If the sweeper dies the lease passes and the row is overdue
 * again for the same reason: LEASE or TIMEOUT as first found is kept until the next claim. Rows that nobody
 * holds (CALLBACK, EXPIRED, EDGES) are given as they are, unleased; the core judges them by changes BY_OPERATOR that name
 * `edits` and raise it, so that of two sweepers one succeeds. EDGES: the store first resolves up to 64 more edges that
 * need no decision, then gives up to 64 undecided children; a row with nothing left to decide is not given.
 *
 * OVERDUE gives besides, whatever `limit` and `bytes` say, the schedules that are not paused and whose next_ms has come:
 * at most JOBQ_SCHEDULES_AT_ONCE, by next_ms, then name. They are given as they are, unleased, to everybody who asks, until
 * a tick moves next_ms.
 *
 * A repeated request (see request) answers the rows of the first time that are still held under its token, and no
 * schedules.
 */
#define JOBQ_SCHEDULES_AT_ONCE 16
struct jobq_want {
    int32_t mode;
    const struct jobq_bytes *queues; /* DUE, ALONE */
    size_t queue_count;
    const struct jobq_bytes *kinds; /* none: any */
    size_t kind_count;
    size_t limit;
    size_t bytes;
    int64_t lease_ms;
    size_t others; /* rows the process holds already */
    struct jobq_bytes worker;
    uint8_t mint[8];
    struct jobq_bytes cursor; /* groups: opaque, from the last answer; absent or unreadable: from the first */
    int32_t share;            /* groups: rows of one group in turn; less than 1 is 1 */
    /* answer */
    struct jobq_token token;
    const struct jobq_row *rows; /* with payload, policy, errors' count not needed; parents not needed */
    size_t row_count;
    int32_t more; /* there may be more although fewer than limit were given: `bytes` or a bound of the above stopped it */
    struct jobq_bytes next_cursor; /* absent (as in a repeated answer): keep the one you have */
    const struct jobq_schedule_row *schedules; /* OVERDUE, capability SCHEDULES: see below */
    size_t schedule_count;
    int64_t schedule_now_ms; /* with schedules: the clock that they go by */
};

/* The worker's own record, written with the exchange it rides on; dropped by the store 10 leases after seen. */
struct jobq_worker_record {
    struct jobq_bytes name, host, queues, kinds; /* lists separated by ',' */
    int64_t pid, started_at_ms, lease_ms;
    uint8_t nonce[8];
    int32_t capacity, running;
    int32_t leaving; /* not 0: remove it */
    /* answer */
    int32_t stop_asked;
};

/* ---- exchange -------------------------------------------------------------------------------------------- */

enum jobq_failure_class {
    JOBQ_FAILURE_TRANSIENT = 1, /* may pass: no connection, busy beyond the time limit */
    JOBQ_FAILURE_FULL = 2,      /* no room in the store */
    JOBQ_FAILURE_REFUSED = 3    /* the engine will not take an item */
};

struct jobq_exchange {
    size_t size;
    uint8_t client[16]; /* minted at open */
    uint64_t number;    /* rises by one; the same number again is a repeat: does nothing, answers as before. 0: none */
    struct jobq_beat *beats;
    size_t beat_count;
    struct jobq_change *changes;
    size_t change_count;
    struct jobq_put *puts;
    size_t put_count;
    struct jobq_trim trim;
    struct jobq_worker_record *worker; /* NULL: none */
    struct jobq_want *want;            /* NULL: none */
    /* answer */
    int32_t unit;       /* JOBQ_OK, FAILED, UNKNOWN of beats, changes, puts, trim, worker */
    int32_t want_unit;  /* the same of the want; JOBQ_SKIPPED when the unit was not OK */
    int32_t failure; /* FAILED: enum jobq_failure_class */
    int32_t guilty_change, guilty_put; /* FAILED: index of the item at fault, or -1 */
    int64_t now_ms;
    int64_t next_due_ms; /* when the next thing after now happens by time alone: a run_at, a lease, a deadline, the
                            next_ms of a schedule that is not paused, a rate that held this want back; earlier: the
                            store may have more to say then; INT64_MAX: never */
    int64_t next_tick_ms; /* capability SCHEDULES: the least next_ms of a schedule that is not paused, past or not, as an
                             instant of now_ms; INT64_MAX: none */
};

/* ---- read ------------------------------------------------------------------------------------------------- */

enum jobq_read_flags {
    JOBQ_READ_PAYLOAD = 1, /* payload and data */
    JOBQ_READ_RESULT = 2,
    JOBQ_READ_ERRORS = 4,
    JOBQ_READ_PARENTS = 8,
    JOBQ_READ_LOG = 16 /* capability LOG */
};

/* By ids (in the order asked; unknown ones are left out), or by filter, ascending by id. */
struct jobq_query {
    size_t size;
    const struct jobq_id *ids;
    size_t id_count; /* > 0: the filter is ignored */
    struct jobq_bytes queue, kind, group; /* absent: all */
    uint32_t states;                      /* 1 << enum jobq_state (as shown); 0: all */
    int32_t reason;
    int64_t older_ms;     /* ended rows: finished_at <= now - older_ms; others: created_at; 0: all */
    struct jobq_id after; /* zero: from the first */
    size_t limit;
    size_t bytes; /* of payload and result given: stop before the row that would pass it, give at least one */
    uint32_t flags;
    /* answer */
    const struct jobq_row *rows;
    size_t row_count;
    int64_t now_ms;
};

/* Schedules: the one named, or a page of them in order of bytes. Paused ones too. */
struct jobq_schedule_query {
    size_t size;
    struct jobq_bytes name;  /* absent: all */
    struct jobq_bytes after; /* names greater than this one; absent: from the first */
    size_t limit;
    size_t bytes; /* of `bytes` given: stop before the row that would pass it, give at least one */
    /* answer */
    const struct jobq_schedule_row *rows;
    size_t row_count;
    int64_t now_ms; /* the clock that schedules go by */
};

/* ---- events ----------------------------------------------------------------------------------------------- */

/*
 * What happened: every entry of a row into another state, written in the step that makes it so, while events are kept
 * (JOBQ_CONFIGURE_EVENTS; capability EVENTS). A put that is stored, a claim, a change or a beat that alters the state, a
 * child that is let go; a change to GONE as state GONE; a row that retention removes as state GONE, reason RETENTION.
 * Not: a sweep, what alters no state. In the order of the steps; within one in the order of its items, a row before those
 * that it lets go; then what was trimmed, by queue (in order of bytes), state, and when it ended. Cursors are 1, 2, 3
 * ... without a gap, also over a restart and while events are not kept (then none is used up). More than are to be kept
 * are removed, the oldest first, with the exchange that made them too many or soon after.
 */
struct jobq_event_row {
    int64_t cursor, at_ms;
    struct jobq_id id;
    struct jobq_bytes queue, kind;
    struct jobq_bytes worker; /* RUNNING: who claimed it; else absent */
    int32_t state, reason;    /* as entered */
    int64_t attempt, run_at_ms;
};

struct jobq_event_query {
    size_t size;
    int64_t after; /* cursors greater than this one */
    size_t limit;
    /* answer: ascending */
    const struct jobq_event_row *rows;
    size_t row_count;
    int64_t oldest; /* the smallest cursor that is kept; newest + 1 when there is none */
    int64_t newest; /* the last one given; 0: none yet */
};

/* ---- configure -------------------------------------------------------------------------------------------- */

enum jobq_configure_what {
    JOBQ_CONFIGURE_QUEUE = 1,
    JOBQ_CONFIGURE_CLOCK = 2,  /* add clock_ms to the stored test offset */
    JOBQ_CONFIGURE_WORKER = 3, /* ask the worker `name` to stop */
    JOBQ_CONFIGURE_GROUP = 4,
    JOBQ_CONFIGURE_SCHEDULE = 5,
    JOBQ_CONFIGURE_EVENTS = 6, /* keep the newest `events` events; 0: none, the default */
    JOBQ_CONFIGURE_PLAN = 7 /* values that groups take over by naming the plan */
};
/* Only members whose bit is in `set` are stored. QUEUE: PAUSED, DEPTH, KEEP, CONCURRENCY,
 * GROUP_CONCURRENCY, RATE; GROUP: CONCURRENCY, RATE, QUOTA, PLAN; PLAN: CONCURRENCY, RATE, QUOTA; SCHEDULE: SCHEDULE,
 * NEXT, PAUSED; anything else is UNSUPPORTED and stores nothing. A value >= 0 is the limit, -1 none
 * (for a group: none although its plan or every group has one), less (JOBQ_LIMIT_UNSET) no value of its own. RATE and
 * QUOTA go with their period, 100 ms or more. A group or plan without any value is forgotten. */
enum jobq_settings_set {
    JOBQ_SETTING_PAUSED = 1,
    JOBQ_SETTING_DEPTH = 2,
    JOBQ_SETTING_CONCURRENCY = 4,
    JOBQ_SETTING_RATE = 8,
    JOBQ_SETTING_KEEP = 16,
    JOBQ_SETTING_GROUP_CONCURRENCY = 32,
    JOBQ_SETTING_QUOTA = 64,
    JOBQ_SETTING_SCHEDULE = 128, /* `schedule`; with absent bytes the row is removed */
    JOBQ_SETTING_NEXT = 256,     /* next_ms = next_ms, fired = the later of its own (new: none) and fired_ms */
    JOBQ_SETTING_PLAN = 512
};
#define JOBQ_ANY_VERSION (-1)
struct jobq_settings {
    size_t size;
    int32_t what;
    uint32_t set;
    struct jobq_bytes name;  /* queue, worker, schedule, plan */
    struct jobq_bytes group; /* GROUP; absent: of every group, which names no plan */
    int32_t paused;
    int64_t depth, concurrency, group_concurrency;
    int64_t rate, rate_period_ms, quota, quota_period_ms;
    int64_t keep_count[8], keep_ms[8]; /* index enum jobq_row_state; keep_ms[JOBQ_KEEP_RESULTS] */
    int64_t clock_ms;
    struct jobq_bytes schedule; /* the core's bytes of a schedule; absent: remove */
    int64_t version;            /* SCHEDULE: the one that it must have now; 0: there must be no such row */
    int64_t next_ms, fired_ms;
    int64_t events;
    struct jobq_bytes plan; /* GROUP, PLAN bit: the plan's name; absent: none */
};

/* ---- items: everything that a store holds, as it is ------------------------------------------------------------ */

/*
 * For copies from store to store, capability JOBQ_CAP_COPY. What moves by itself is not part of one: workers' records,
 * receipts, events, figures, counters of rates, the test offset of the clock. A helper turns an item into a line of
 * text and back; a store of plain files may keep its rows so.
 */
enum jobq_item_kind {
    JOBQ_ITEM_SETTINGS = 1, /* of a queue, a group or a plan; a queue's totals */
    JOBQ_ITEM_SCHEDULE = 2,
    JOBQ_ITEM_ROW = 3,
    JOBQ_ITEM_KEY = 4,
    JOBQ_ITEM_WORKER = 5 /* no part of a copy; the memory store gives and takes it for who keeps its items elsewhere */
};

/* Queues at least those that ever had a row or have settings. The bits in `set` say which limits there are; keep values of
 * states that end and keep_ms[JOBQ_KEEP_RESULTS], the others 0. */
struct jobq_item_settings {
    struct jobq_settings settings; /* what is QUEUE, GROUP or PLAN */
    uint64_t enqueued_total, completed_total, dead_total, cancelled_total, failed_total;
    uint64_t completed_trimmed, dead_trimmed, cancelled_trimmed;
};

struct jobq_item_edge {
    struct jobq_id parent;
    int32_t rule; /* enum jobq_parent_rule */
    int32_t open; /* 0: kept closed for BLOCK_AGAIN */
};

/* Times are instants of the store's clock and are taken over as they are, token and lease too. The fence is the one in the
 * token. Of a key as it was put: scope, payload digest and hold; the rest is 0. */
struct jobq_item_row {
    struct jobq_row row; /* without parents and children; payload, result, errors, log are there */
    const struct jobq_item_edge *edges;
    size_t edge_count;
    struct jobq_put_key key; /* as it was put, if has_key: what TAKE_KEY acquires */
    int64_t window_until_ms;
    uint8_t has_key, has_digest, digest_used;
    uint8_t digest[32]; /* of the callback */
    int32_t swept;      /* enum jobq_overdue, as first found */
};

/* A key that is held, whether the row of its job is still there or not. */
struct jobq_item_key {
    struct jobq_put_key key;
    struct jobq_id job;
    int64_t window_until_ms;
    int32_t ended; /* enum jobq_row_state that its job ended in; 0: it has not */
};

struct jobq_item_worker {
    struct jobq_worker_record record;
    int64_t seen_at_ms;
};

struct jobq_item {
    int32_t kind;    /* enum jobq_item_kind */
    int32_t verdict; /* load: JOBQ_OK, ALREADY */
    union {
        struct jobq_item_settings settings;
        struct jobq_schedule_row schedule;
        struct jobq_item_row row;
        struct jobq_item_key key;
        struct jobq_item_worker worker;
    } as;
};

/* A page of one kind: settings by what, name, group; schedules by name; rows in order of arrival; keys by
 * scope. */
struct jobq_dump {
    size_t size;
    int32_t kind;
    struct jobq_bytes after; /* `last` of the page before; absent: from the first */
    size_t limit;
    size_t bytes; /* of payload, data and result given: stop before the row that would pass it, give at least one */
    /* answer */
    const struct jobq_item *items; /* none: the end */
    size_t item_count;
    struct jobq_bytes last; /* the store's own */
};

/* ---- limits ------------------------------------------------------------------------------------------------- */

/* What is set, and what is in use. With a name: that one queue, group or plan, stored or not (a group of no bytes: what
 * every group has). Without: all of this kind that have a value, in order of bytes, names greater than `after`. Answers
 * struct jobq_limit with strings in the arena; the members that need the row's group (running, waits) by what holds for
 * it. Queues count with depth, concurrency, group_concurrency or rate. */
struct jobq_limit_query {
    size_t size;
    int32_t of;             /* enum jobq_limit_of */
    struct jobq_bytes name; /* absent: all */
    struct jobq_bytes after;
    size_t limit;
    /* answer */
    const struct jobq_limit *limits;
    size_t limit_count;
    int64_t now_ms;
};

/* ---- the table --------------------------------------------------------------------------------------------- */

/* A store declares what it has; the core refuses the rest with JOBQ_UNSUPPORTED. Changes, puts, keys (RETURN, REJECT),
 * wants by rank, tokens, receipts, overdue, trim, read and stats are not optional. What reaches a store all the same is
 * refused: the unit is FAILED, REFUSED and names the item; configure answers UNSUPPORTED. */
enum jobq_capability {
    JOBQ_CAP_EDGES = 1,
    JOBQ_CAP_KEY_MODES = 2, /* REPLACE, EXTEND */
    JOBQ_CAP_SUCCESSOR = 4,
    JOBQ_CAP_GROUPS = 8, /* concurrency, rate, quota, fairness */
    JOBQ_CAP_SCHEDULES = 16,
    JOBQ_CAP_EVENTS = 32,
    JOBQ_CAP_WAKE = 64,
    JOBQ_CAP_ATTACH = 128,
    JOBQ_CAP_FIGURES = 256, /* durations and rates in the statistics */
    JOBQ_CAP_COPY = 512,    /* dump and load */
    JOBQ_CAP_LOG = 1024,    /* lines of log on a row */
    JOBQ_CAP_RESULTS = 2048, /* a life of their own for results, see struct jobq_trim */
    JOBQ_CAP_PARALLEL = 4096 /* several store objects of one handle get more done than one: it may open more of them */
};

struct jobq_store_options {
    size_t size;
    const char *uri; /* whole, as the application gave it */
    uint32_t flags;  /* enum jobq_open_flags */
    int64_t io_timeout_ms;
};

/* A constant table; one function of the store's header returns it. The core reads `size` bytes of it. Every operation
 * may block up to io_timeout_ms and is not interrupted by signals (EINTR is repeated). A handle is never used in a
 * forked child except for close, which then frees memory and touches neither file nor connection. */
struct jobq_backend {
    size_t size;
    const char *name;      /* "sqlite" */
    uint32_t capabilities; /* enum jobq_capability */

    /* Connect and bring the schema to the version this library knows, under a lock; refuse a newer one. On failure
     * nothing is left, close is not called and err is filled. Returns JOBQ_OK, INVALID (uri), UNREACHABLE, FOREIGN,
     * NEWER, CORRUPT, UNSUPPORTED, NOMEM. */
    int (*open)(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err);

    /* Never fails; accepts a broken connection. */
    void (*close)(struct jobq_store *store);

    /* The one write operation. The unit (beats, changes, puts, trim, worker record, in this order, items in array
     * order) is atomic; then the want, which sees the unit's effects and never undoes them. Returns x->unit. Within the
     * unit every item has its verdict; FAILED means that no byte of the unit changed. Errors that are certain and pass
     * (busy, deadlock) are tried again inside. */
    int (*exchange)(struct jobq_store *store, struct jobq_exchange *x, struct jobq_arena *arena,
                    struct jobq_error *err);

    /* Read rows. By ids never stale. Returns JOBQ_OK or FAILED. */
    int (*read)(struct jobq_store *store, struct jobq_query *query, struct jobq_arena *arena, struct jobq_error *err);

    /* Fill *out for one queue, or for all when queue->data is NULL (`queue` itself is not). Queues in order of bytes: at
     * least those that ever had a row or have settings. Workers by name. Totals: puts that were OK; entries into
     * completed, dead, cancelled; failed: changes made with outcome FAIL; trimmed: rows that a trim removed, by the
     * state that they had. Figures (JOBQ_CAP_FIGURES; else zero), counted per queue in the step that makes them
     * so: `waited` of each row claimed by a due want, now - later of run_at and created_at; `ran` of each change made
     * with outcome COMPLETE or FAIL, now - started_at; negative ones as 0; bucket by jobq_duration_bucket. The recent
     * windows count those changes in aligned slots of 10 s: the present slot and the 6 (90) before it, window_ms = now -
     * the start of the first. Returns JOBQ_OK or FAILED. */
    int (*stats)(struct jobq_store *store, const struct jobq_bytes *queue, struct jobq_stats *out,
                 struct jobq_arena *arena, struct jobq_error *err);

    /* Store settings; effective for the next exchange. Returns JOBQ_OK, FAILED, UNKNOWN, NOT_FOUND, UNSUPPORTED.
     * SCHEDULE, guards in this order: version is not ANY and not that of the row (0 when there is none): OUTDATED. No
     * row, and none to be made (SETTING_SCHEDULE not set, or its bytes absent): NOT_FOUND. Nothing changes then. A new
     * definition gives the row its next version; a new row has version 1, is not paused and fired and next_ms are 0
     * unless set. */
    int (*configure)(struct jobq_store *store, const struct jobq_settings *settings, struct jobq_error *err);

    /* Optional. A descriptor that becomes readable when another connection may have made something due; -1: none.
     * Lent for the life of the store. */
    int (*wake_fd)(struct jobq_store *store);

    /* Optional. Make it quiet. Returns 1 if something may have happened, 0 for a false alarm. */
    int (*wake_drain)(struct jobq_store *store);

    /* Optional. Tell others that something may be due though the store did not see it. */
    void (*wake)(struct jobq_store *store);

    /* Capability EVENTS. Read events. Returns JOBQ_OK or FAILED. */
    int (*events)(struct jobq_store *store, struct jobq_event_query *query, struct jobq_arena *arena,
                  struct jobq_error *err);

    /* Capability SCHEDULES. Read schedules. Returns JOBQ_OK or FAILED. */
    int (*schedules)(struct jobq_store *store, struct jobq_schedule_query *query, struct jobq_arena *arena,
                     struct jobq_error *err);

    /* Capability COPY. Give a page of what the namespace holds. Returns JOBQ_OK or FAILED. */
    int (*dump)(struct jobq_store *store, struct jobq_dump *dump, struct jobq_arena *arena, struct jobq_error *err);

    /* Capability COPY. Take items as they are, all of them or none; `verdict` of each is OK, or ALREADY when its id,
     * scope (of a key that is held) or name is there: that one is left as it is. Totals are not counted, limits not
     * looked at. A row takes its place in the order of arrival anew; it takes no key, for that is an item of its own. An
     * edge may come before its parent. Fences rise above those of the rows. Returns JOBQ_OK, FAILED or UNKNOWN: then
     * load them again. */
    int (*load)(struct jobq_store *store, struct jobq_item *items, size_t count, struct jobq_error *err);

    /* JOBQ_CAP_GROUPS. Read limits and their use. Returns JOBQ_OK or FAILED. */
    int (*limits)(struct jobq_store *store, struct jobq_limit_query *query, struct jobq_arena *arena,
                  struct jobq_error *err);
};

/* ---- helpers of libjobq for stores ---------------------------------------------------------------------------- */

/* Memory that lives as long as the answer; NULL when there is none left. Aligned for any type. Threads: the call's.
 * Errors: NULL. Since 0.1. */
JOBQ_API void *jobq_arena_alloc(struct jobq_arena *arena, size_t bytes);

/* Room for one more in a list that grows in the arena: `items` as it is while count < *room, else its copy with twice the room.
 * Starts with NULL, 0 and *room 0; `bytes` is the size of an item. Threads: the call's. Errors: NULL without memory, and
 * nothing changes. Since 0.1. */
JOBQ_API void *jobq_arena_grow(struct jobq_arena *arena, void *items, size_t count, size_t *room, size_t bytes);

/* Copy bytes into the arena; absent stays absent, empty stays present. Returns 0, or -1 without memory. Threads: the
 * call's. Since 0.1. */
JOBQ_API int jobq_arena_bytes(struct jobq_arena *arena, const void *data, size_t bytes, struct jobq_bytes *out);

/* Copy text into the arena with a NUL behind it; NULL without memory. Threads: the call's. Errors: NULL. Since 0.1. */
JOBQ_API const char *jobq_arena_text(struct jobq_arena *arena, const void *data, size_t bytes);

/* Make and free an arena; for tests and stores that need one of their own. Threads: any. Errors: NULL. Since 0.1. */
JOBQ_API struct jobq_arena *jobq_arena_create(void);

/* Free an arena and all that was taken from it; NULL is fine. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_arena_destroy(struct jobq_arena *arena);

/* Fill err (NULL is fine) and return status. field may be NULL. Cannot fail. Threads: any. Since 0.1. */
JOBQ_API int jobq_error_set(struct jobq_error *err, int status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* a + b, saturating at the ends of int64_t. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int64_t jobq_add_ms(int64_t a, int64_t b);

/* The instant that `when` means for a row whose own value is `own`. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int64_t jobq_time_of(const struct jobq_time *when, int64_t own, int64_t now);

/* The bucket of a duration: the first whose bound is greater. Pure. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int jobq_duration_bucket(int64_t ms);

/* enum jobq_state of a stored state. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int jobq_shown_state(int row_state, int64_t run_at_ms, int64_t now_ms);

/* The guards of struct jobq_change in their order, without TAKE_KEY: JOBQ_OK, ALREADY, OUTDATED or STALE with *stale.
 * `row` NULL for no row; `digest` is the stored callback digest or NULL, `used` whether it was used. Pure. Threads:
 * any. Errors: none. Since 0.1. */
JOBQ_API int jobq_change_guard(const struct jobq_change *change, const struct jobq_row *row, const uint8_t *digest,
                               int used, int *stale);

/* A row as a value, for stores that keep rows as they are. Bytes are lent from what comes in; a store copies those that
 * changed. All of them are pure and cannot fail. */

/* The row that a put makes; pending: parents that have not let it go. `now` in ms. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_row_put(struct jobq_row *row, const struct jobq_put *put, uint32_t pending, int64_t now);

/* It enters WAITING: lease gone, due bit stored. `now` in ms. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_row_wait(struct jobq_row *row, int64_t now);

/* A DUE or ALONE want takes it, under want->token. ran_alone is left to the store. `now` in ms. Threads: any. Errors: none.
 * Since 0.1. */
JOBQ_API void jobq_row_claim(struct jobq_row *row, const struct jobq_want *want, int64_t fence, int64_t now);

/* lease_until = max(own, min(now + lease_ms, stop_at)). `now` in ms. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_row_extend(struct jobq_row *row, int64_t lease_ms, int64_t now);

/* A change that the guards let through is made, but for what is not of the row: error, key, edges, callback digest. The
 * store sets has_callback, and `pending` before a BLOCK_AGAIN. `now` in ms. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_row_change(struct jobq_row *row, const struct jobq_change *change, int64_t now);

/* The instant from which an overdue want gives it, open edges apart; INT64_MAX: never. Threads: any. Errors: none.
 * Since 0.1. */
JOBQ_API int64_t jobq_row_overdue_at(const struct jobq_row *row);

/* Why, as enum jobq_overdue, once that instant has come. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int jobq_row_overdue(const struct jobq_row *row, int64_t now);

/* Is it one that the filter of the query asks for, `after` apart? `now` in ms. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int jobq_query_matches(const struct jobq_query *query, const struct jobq_row *row, int64_t now);

/* Does a key with this rule hold while its job is in row state `state` (`claimed`: it was claimed since it took the
 * key; GONE: use the state it ended in)? Pure. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int jobq_key_holds(int hold, int state, int claimed, int64_t window_until_ms, int64_t now_ms);

/*
 * n per period, so that no interval of a period holds more than n: 11 counters, each for an aligned tenth (the period
 * divided by 10, rounded up; tenth number now / length). One more may pass while those of the present tenth and of the
 * ten before sum to less than n. It comes at most a tenth later than it could. Zero bytes: nothing counted yet. A gauge
 * that was kept for another period counts what it holds as of now. Stores may keep it in another form.
 */
struct jobq_gauge {
    int64_t tenth_ms, newest; /* length of a tenth; number of the newest that is counted */
    int64_t counts[11];       /* by number modulo 11 */
};

/* How many count at the instant `now`. Pure. Threads: any. Errors: none. Since 0.1. */
JOBQ_API int64_t jobq_gauge_used(const struct jobq_gauge *gauge, int64_t period_ms, int64_t now);

/* Count `count` more at the instant `now`. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_gauge_add(struct jobq_gauge *gauge, int64_t period_ms, int64_t now, int64_t count);

/* Milliseconds from the instant `now` until one more than n (a number of events) may pass, if nothing is added: 0 at
 * once; the period when n is 0. Pure. Threads: any. Errors: none.
 * Since 0.1. */
JOBQ_API int64_t jobq_gauge_wait(const struct jobq_gauge *gauge, int64_t n, int64_t period_ms, int64_t now);

/* Limits of a group or a plan: JOBQ_LIMIT_NONE for none, JOBQ_LIMIT_UNSET for no value of its own. Periods in ms. */
struct jobq_bounds {
    int64_t concurrency, rate, rate_period_ms, quota, quota_period_ms;
};
#define JOBQ_BOUNDS_UNSET { JOBQ_LIMIT_UNSET, JOBQ_LIMIT_UNSET, 0, JOBQ_LIMIT_UNSET, 0 }

/* Those members of settings whose bits are in its `set` become the own ones. Pure. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_bounds_set(struct jobq_bounds *own, const struct jobq_settings *settings);

/* What has no value takes that of `from`: of the group's own first those of its plan, then those of every group, and it is what
 * holds. Pure. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_bounds_fill(struct jobq_bounds *bounds, const struct jobq_bounds *from);

/* The place of one queue in the circle of its groups. Names are lent. */
struct jobq_turn {
    struct jobq_bytes queue;
    struct jobq_bytes group; /* the last one looked at; data NULL: none yet */
    struct jobq_bytes since; /* the first of the looks that gave nothing; data NULL: the last one gave */
    int64_t given;           /* its turn was cut short after so many rows; 0: it is over */
    int64_t looks;           /* that gave nothing, in this want, since the last row */
};

/* The place of the queue in a cursor. Pure. Threads: any. Errors: none. Since 0.1. */
JOBQ_API void jobq_turn_begin(struct jobq_turn *turn, struct jobq_bytes cursor, struct jobq_bytes queue);

/* `group` is the next with due rows, by bytes: the first one not less than turn->group if turn->given, else greater than it, else
 * the first of all. Returns how many rows it may give, 0 when the queue is to be left; then *more is set if a bound did
 * it and left alone if the round is whole. Threads: the turn's. Errors: none. Since 0.1. */
JOBQ_API int64_t jobq_turn_look(struct jobq_turn *turn, struct jobq_bytes group, int32_t share, int32_t *more);

/* It gave `count` rows; `cut`: the want (its limit, bytes, or the queue's own limits) had no room for more. Threads: the
 * turn's. Errors: none. Since 0.1. */
JOBQ_API void jobq_turn_gave(struct jobq_turn *turn, struct jobq_bytes group, int64_t count, int32_t share, int cut);

/* The cursor after these turns; places of other queues are kept, 64 in all, newest first. Absent when there is none.
 * Returns 0, or -1 without memory. Threads: the arena's. Since 0.1. */
JOBQ_API int jobq_turn_cursor(struct jobq_arena *arena, struct jobq_bytes old, const struct jobq_turn *turns,
                              size_t count, struct jobq_bytes *out);

/* A store URI taken apart: scheme, the part behind "scheme:" up to '?', and the options behind it without namespace, %XX
 * decoded. All memory from the arena. */
struct jobq_uri_option {
    const char *name, *value;
};
struct jobq_uri {
    const char *scheme, *path;
    const struct jobq_uri_option *options;
    size_t option_count;
    const char *name_space; /* from ?namespace=, checked; "jobq" by default */
};
/* Errors: JOBQ_INVALID (field "uri" or "namespace"), JOBQ_NOMEM. Threads: any. Since 0.1. */
JOBQ_API int jobq_uri_parse(struct jobq_arena *arena, const char *uri, struct jobq_uri *out, struct jobq_error *err);

/* An item as one line of JSON, its end of line included. Members that are zero or absent are left out, bytes that are not
 * text are in base64. All memory from the arena. Errors: JOBQ_NOMEM. Threads: any. Since 0.1. */
JOBQ_API int jobq_item_write(struct jobq_arena *arena, const struct jobq_item *item, struct jobq_bytes *out);

/* The item of such a line, with or without its end. All memory from the arena. Errors: JOBQ_INVALID (field: the member at
 * fault), JOBQ_NOMEM. Threads: any. Since 0.1. */
JOBQ_API int jobq_item_read(struct jobq_arena *arena, struct jobq_bytes line, struct jobq_item *out,
                            struct jobq_error *err);

/* What a store whose answers cannot get lost on their way may keep to answer a repeated request: verdicts of the newest
 * request and the ids it claimed. It remembers one client, the newest; keep one per handle. The rows of a repeat are the
 * store's to add: `row` of a change that was not OK, the rows of the want. Marks of a repeated beat carry numbers only. */
struct jobq_receipt;

/* Keep the answer of x (number not 0). Returns *receipt, made if it was NULL; NULL without memory, and then a repeat is
 * recognised by the rows alone. Threads: the store's. Errors: NULL. Since 0.1. */
JOBQ_API struct jobq_receipt *jobq_receipt_keep(struct jobq_receipt *receipt, const struct jobq_exchange *x);

/* Is x a repeat of the kept request? Then the verdicts are filled in, and *ids, *count and *token (lent by the receipt)
 * name the rows that it claimed; the store answers those still held. Returns 1 or 0. Threads: the store's. Since 0.1. */
JOBQ_API int jobq_receipt_answer(const struct jobq_receipt *receipt, struct jobq_exchange *x,
                                 const struct jobq_id **ids, size_t *count, struct jobq_token *token);

/* Free; NULL is fine. Threads: the store's. Errors: none. Since 0.1. */
JOBQ_API void jobq_receipt_free(struct jobq_receipt *receipt);

/* Makes the store object of an attached handle. */
typedef int (*jobq_attach_fn)(struct jobq_store **out, void *user, int64_t io_timeout_ms, struct jobq_error *err);

/*
 * A handle whose calls are parts of a transaction that the program has open on a connection of its own: for functions like
 * jobq_sqlite_attach, of stores that declare JOBQ_CAP_ATTACH. `attach` makes the store object on that connection, as open
 * would: on failure nothing is left and err is filled. jobq_close hands the object to backend->close, which leaves the
 * connection as it is.
 *
 * Of the table only exchange, read, wake and close are called. An exchange has beats, changes, puts and trim, one caller's
 * only, and number 0: no receipt, nothing is repeated or taken apart, and a want, settings and statistics are refused by
 * the core (JOBQ_UNSUPPORTED). The store
 *   - refuses (FAILED) when no transaction is open;
 *   - makes a unit all or nothing inside that transaction (a savepoint) and never ends the transaction itself;
 *   - makes the transaction impossible to commit when a change BY_TOKEN is STALE, or when a unit with such a change FAILED:
 *     what the program did beside it must not outlive an outcome that does not count;
 *   - wakes nobody before the commit, which it does not see: the program calls jobq_wake after it.
 *
 * options as for jobq_open; flags 0. Threads: the connection's, one call at a time. Errors: JOBQ_INVALID,
 * JOBQ_UNSUPPORTED (no JOBQ_CAP_ATTACH), JOBQ_NOMEM, JOBQ_FAILED, those of `attach`. Since 0.1. */
JOBQ_API int jobq_attach_store(struct jobq **out, const struct jobq_backend *backend, jobq_attach_fn attach, void *user,
                               const struct jobq_options *options);

#ifdef __cplusplus
}
#endif
#endif
