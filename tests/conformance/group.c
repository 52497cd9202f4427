/* SPDX-License-Identifier: MIT */
/* Groups in turn: lifecycle rule 10, L4; backend.h "Limits and turns". The order is exact; nothing is timed. */
#include "suite.h"

/* A client that carries its cursor, as the core does. */
static struct jobq_bytes cursor;

static void want_on(struct jobq_want *w)
{
    w->cursor = cursor;
    want(me, w);
    if (w->next_cursor.data)
        cursor = w->next_cursor;
}

static void begin(void)
{
    cursor = (struct jobq_bytes){ 0 };
}

/* Jobs by letter: the group is the letter ('-': none), the number its place in the text. */
static void put_text(const char *groups)
{
    for (uint32_t i = 0; groups[i]; i++) {
        struct jobq_put p = put_of(i);
        if (groups[i] != '-')
            p.group = bytes(&groups[i], 1);
        is(put(&p), JOBQ_OK);
    }
}

/* The groups of these rows as letters. */
static size_t letters(const struct jobq_want *w, char *out)
{
    for (size_t i = 0; i < w->row_count; i++)
        out[i] = w->rows[i].group.size ? *(const char *)w->rows[i].group.data : '-';
    out[w->row_count] = 0;
    return w->row_count;
}

static void takes(size_t limit, int32_t share, const char *expected)
{
    char got[200];
    struct jobq_want w = due(limit);
    w.share = share;
    want_on(&w);
    letters(&w, got);
    if (strcmp(got, expected) != 0)
        fail_test(__FILE__, __LINE__, "served '%s', not '%s'", got, expected);
}

static void one_of_each(void)
{
    begin();
    put_text("aaaabccc");
    takes(20, 1, "abcacaca");
}

static void those_without_a_group(void)
{
    begin();
    put_text("aa---b");
    takes(20, 0, "-ab-a-");
}

static void shares(void)
{
    begin();
    put_text("aaaaabbcccc");
    takes(20, 3, "aaabbcccaac");
}

static void the_turn_goes_on(void)
{
    begin();
    put_text("aaaabbccc");
    takes(2, 1, "ab");
    takes(2, 1, "ca");
    takes(1, 1, "b");
    takes(1, 1, "c");
    takes(9, 1, "aca");
}

static void a_turn_cut_short(void)
{
    begin();
    put_text("aaaaabbbccc");
    takes(2, 3, "aa");
    takes(3, 3, "abb");
    takes(1, 3, "b");
    takes(9, 3, "cccaa");
}

/* New rows join at their place in the circle. */
static void who_joins_late(void)
{
    begin();
    put_text("bbbb");
    takes(2, 1, "bb");
    is(put_in(100, "q", "a"), JOBQ_OK);
    is(put_in(101, "q", "c"), JOBQ_OK);
    takes(9, 1, "cabb");
}

static void by_rank_within_a_group(void)
{
    begin();
    for (uint32_t i = 0; i < 6; i++) {
        struct jobq_put p = put_of(i);
        p.group = text(i % 2 ? "a" : "b");
        p.rank_add_ms = -(int64_t)i * STEP;
        is(put(&p), JOBQ_OK);
    }
    static const uint32_t order[] = { 5, 4, 3, 2, 1, 0 };
    struct jobq_want w = due(9);
    want_on(&w);
    is(w.row_count, 6);
    for (size_t i = 0; i < 6; i++)
        ids_are(w.rows[i].id, id(order[i]));
}

/* Without a cursor, or with one that cannot be read, from the first group on. */
static void strange_cursors(void)
{
    static const uint8_t noise[] = { 0, 1, 255, 254, 9, 9, 0, 0, 0, 0, 0, 0, 0, 1, 'q', 'b', 255, 255 };
    begin();
    put_text("aabbcc");
    for (size_t size = 0; size <= sizeof noise; size += 3) {
        struct jobq_want w = due(1);
        w.cursor = bytes(noise, size);
        want(me, &w);
        is(w.row_count, 1);
        change_ok(by_token(w.rows, JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    }
    struct jobq_want w = due(2);
    want(me, &w);
    char got[9];
    letters(&w, got);
    is(strcmp(got, "ab"), 0);
}

/* Each queue has its place, also when another one stood before it or was asked alone in between. */
static void a_place_for_each_queue(void)
{
    const struct jobq_bytes both[] = { text("q"), text("q2") };
    begin();
    put_text("aaabbb");
    for (uint32_t i = 100; i < 106; i++)
        is(put_in(i, "q2", i < 103 ? "a" : "b"), JOBQ_OK);
    limit_queue("q", JOBQ_SETTING_CONCURRENCY, 1, 0);
    char got[9];
    struct jobq_want w = due(3);
    w.queues = both;
    w.queue_count = 2;
    want_on(&w);
    letters(&w, got);
    is(strcmp(got, "aab"), 0);
    change_ok(completed(&w.rows[0], "r"));
    w = due(2);
    w.queues = &both[1];
    want_on(&w);
    letters(&w, got);
    is(strcmp(got, "ab"), 0);
    takes(1, 1, "b"); /* of q: not a again */
}

/* ---- who may not start ------------------------------------------------------------------------------------------- */

static void full_groups_are_passed_by(void)
{
    begin();
    put_text("aaabbbccc");
    limit_group("a", JOBQ_SETTING_CONCURRENCY, 1, 0);
    limit_group("c", JOBQ_SETTING_CONCURRENCY, 0, 0);
    takes(9, 1, "abbb");
    takes(9, 1, "");
}

static void put_numbered(uint32_t from, uint32_t groups, const char *queue)
{
    char name[16];
    for (uint32_t i = 0; i < groups; i++) {
        snprintf(name, sizeof name, "g%03u", i);
        is(put_in(from + i, queue, name), JOBQ_OK);
    }
}

/* At most 64 looks for nothing; `more` until the circle is whole, and no longer. */
static void looks_are_bounded(void)
{
    begin();
    put_numbered(0, 200, "q");
    limit_group("", JOBQ_SETTING_CONCURRENCY, 0, 0);
    limit_group("g130", JOBQ_SETTING_CONCURRENCY, 1, 0);
    struct jobq_want w = due(9);
    want_on(&w); /* 0 .. 63 */
    is(w.row_count, 0);
    is(w.more, 1);
    w = due(9);
    want_on(&w); /* 64 .. 127 */
    is(w.row_count, 0);
    is(w.more, 1);
    w = due(9);
    want_on(&w); /* 130, and 64 more to 194 */
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(130));
    is(w.more, 1);
    for (int i = 0; i < 2; i++) { /* to 199, 0 .. 58; to 122 */
        w = due(9);
        want_on(&w);
        is(w.row_count, 0);
        is(w.more, 1);
    }
    w = due(9);
    want_on(&w); /* to 129, and 131 was the first */
    is(w.row_count, 0);
    is(w.more, 0);
}

/* The queue behind is served although the circle of the one before is not whole. */
static void the_next_queue_is_served(void)
{
    const struct jobq_bytes both[] = { text("q"), text("q2") };
    begin();
    put_numbered(0, 100, "q");
    put_numbered(200, 2, "q2");
    limit_queue("q", JOBQ_SETTING_GROUP_CONCURRENCY, 0, 0);
    struct jobq_want w = due(9);
    w.queues = both;
    w.queue_count = 2;
    want_on(&w);
    is(w.row_count, 2);
    is(w.more, 1);
}

/* Groups with jobs of other kinds only are passed by; so are jobs of other kinds within a group. */
static void other_kinds(void)
{
    const struct jobq_bytes kind = text("x");
    begin();
    for (uint32_t i = 0; i < 8; i++) {
        struct jobq_put p = put_of(i);
        p.group = text(i < 2 ? "a" : i < 5 ? "b" : "c");
        p.kind = text(i % 2 ? "x" : "y"); /* a: 1; b: 3; c: 5, 7 */
        is(put(&p), JOBQ_OK);
    }
    struct jobq_want w = due(9);
    w.kinds = &kind;
    w.kind_count = 1;
    want_on(&w);
    static const uint32_t order[] = { 1, 3, 5, 7 };
    is(w.row_count, 4);
    for (size_t i = 0; i < 4; i++)
        ids_are(w.rows[i].id, id(order[i]));
}

/* A row that came too late is given once in a want, though its group is served again. */
static void too_late_rows_once(void)
{
    begin();
    for (uint32_t i = 0; i < 5; i++) {
        struct jobq_put p = put_of(i);
        p.group = text(i < 3 ? "a" : "b");
        if (i == 0 || i == 4)
            p.expires_at = from_now(STEP);
        is(put(&p), JOBQ_OK);
    }
    tick(STEP);
    struct jobq_want w = due(9);
    want_on(&w);
    is(w.row_count, 5);
    int late = 0;
    for (size_t i = 0; i < 5; i++)
        late += w.rows[i].overdue == JOBQ_OVERDUE_EXPIRED;
    is(late, 2);
}

static void bytes_are_bounded(void)
{
    begin();
    put_text("aaabbb");
    char got[9];
    struct jobq_want w = due(9);
    w.bytes = 3; /* of payload, which is one byte each */
    want_on(&w);
    letters(&w, got);
    is(strcmp(got, "aba"), 0);
    is(w.more, 1);
    takes(9, 1, "bab");
}

/* A pause holds all groups; what is for later joins when it is due. */
static void paused_and_later(void)
{
    begin();
    put_text("ab");
    struct jobq_put p = put_of(10);
    p.group = text("c");
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .name = text("q"),
                               .set = JOBQ_SETTING_PAUSED, .paused = 1 };
    is(configure(&s), JOBQ_OK);
    takes(9, 1, "");
    s.paused = 0;
    is(configure(&s), JOBQ_OK);
    takes(9, 1, "ab");
    tick(STEP);
    takes(9, 1, "c");
}

/* S15: any bytes, any length; one name may begin another. */
static void names_of_any_bytes(void)
{
    static char longest[255];
    const struct jobq_bytes groups[] = { bytes("\0", 1), bytes("\0\0", 2), bytes("a", 1), bytes("a\0", 2),
                                         bytes("ab", 2), bytes("\xff", 1), bytes(longest, 255) };
    begin();
    memset(longest, 0xff, sizeof longest);
    for (uint32_t i = 0; i < 14; i++) {
        struct jobq_put p = put_of(i);
        p.group = groups[i % 7];
        is(put(&p), JOBQ_OK);
    }
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < 7; i++) {
            struct jobq_want w = due(1);
            want_on(&w);
            is(w.row_count, 1);
            bytes_are(w.rows[0].group, groups[i]);
        }
}

/* L4: one job behind a flood of another group starts within g x share claims, whatever the flood. */
static void behind_a_flood(void)
{
    enum { FLOOD = 20000, GROUPS = 3, SHARE = 5 };
    begin();
    for (uint32_t i = 0; i < FLOOD; i += 1000) {
        static struct jobq_put puts[1000];
        for (uint32_t k = 0; k < 1000; k++) {
            puts[k] = put_of(i + k);
            puts[k].group = text(k % 2 ? "flood" : "zflood");
            puts[k].rank_add_ms = -STEP; /* they also have the better rank */
        }
        struct jobq_exchange x = { .puts = puts, .put_count = 1000 };
        go(me, &x);
    }
    takes(7, SHARE, "fffffzz");
    is(put_in(FLOOD, "q", "small"), JOBQ_OK);
    int claims = 0;
    for (bool started = false; !started; claims++) {
        struct jobq_want w = due(1);
        w.share = SHARE;
        want_on(&w);
        is(w.row_count, 1);
        started = w.rows[0].group.size == 5 && memcmp(w.rows[0].group.data, "small", 5) == 0;
    }
    ok(claims <= GROUPS * SHARE);
}

/* Among priorities ageing does the same: bounded waiting, counted with a moved clock. */
static void priorities_age(void)
{
    enum { AGE = 60 };
    begin();
    struct jobq_put slow = put_of(0);
    slow.rank_add_ms = 10 * AGE * STEP; /* ten steps of priority behind */
    is(put(&slow), JOBQ_OK);
    uint32_t urgent = 1;
    int64_t due_at = row_n(0)->run_at_ms;
    int claims = 0;
    for (bool started = false; !started; claims++) {
        put_ok(urgent++);
        put_ok(urgent++); /* more than is ever served */
        const struct jobq_row *r = claim();
        started = memcmp(&r->id, &slow.id, sizeof slow.id) == 0;
        ok(r->run_at_ms <= due_at + 10 * AGE * STEP); /* behind nobody who came later than its handicap */
        tick(AGE * STEP / 4);
    }
    ok(claims > 10 * 4 && claims <= 10 * 4 * 2 + 4);
}

#define GROUPS_CAP JOBQ_CAP_GROUPS
#define IN_TURN(title, fn) { .name = title, .run = fn, .needs = GROUPS_CAP, .flags = PLAIN_ONLY }
static const struct test tests[] = {
    { .name = "one of each in turn", .run = one_of_each, .needs = GROUPS_CAP },
    { .name = "those without a group are one", .run = those_without_a_group, .needs = GROUPS_CAP },
    { .name = "shares", .run = shares, .needs = GROUPS_CAP },
    { .name = "by rank within a group", .run = by_rank_within_a_group, .needs = GROUPS_CAP },
    { .name = "full groups are passed by", .run = full_groups_are_passed_by, .needs = GROUPS_CAP },
    { .name = "other kinds are passed by", .run = other_kinds, .needs = GROUPS_CAP },
    { .name = "rows too late once", .run = too_late_rows_once, .needs = GROUPS_CAP },
    { .name = "paused, and for later", .run = paused_and_later, .needs = GROUPS_CAP },
    { .name = "the next queue is served", .run = the_next_queue_is_served, .needs = GROUPS_CAP },
    IN_TURN("the cursor carries the turn", the_turn_goes_on), /* a repeated answer carries none */
    IN_TURN("a turn cut short goes on", a_turn_cut_short),
    IN_TURN("who joins late", who_joins_late),
    IN_TURN("strange cursors", strange_cursors),
    IN_TURN("a place for each queue", a_place_for_each_queue),
    IN_TURN("looks are bounded, and end", looks_are_bounded),
    IN_TURN("bytes are bounded", bytes_are_bounded),
    IN_TURN("names of any bytes (S15)", names_of_any_bytes),
    IN_TURN("behind a flood: g x share claims (L4)", behind_a_flood),
    { .name = "priorities age (L4)", .run = priorities_age, .flags = PLAIN_ONLY },
};
const struct topic topic_groups = TOPIC("groups", tests);
