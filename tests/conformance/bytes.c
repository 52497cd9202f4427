/* SPDX-License-Identifier: MIT */
/* Any byte, everywhere: lifecycle rules 15, 16; S14, S15. */
#include "suite.h"

static uint8_t every[256];

static struct jobq_bytes all_bytes(void)
{
    for (int i = 0; i < 256; i++)
        every[i] = (uint8_t)i;
    return bytes(every, sizeof every);
}

static struct jobq_bytes name_bytes(void)
{
    return bytes((const uint8_t *)all_bytes().data, 255);
}

/* S14: payload, key, result, error, progress, data and names carry all 256 values. */
static void come_back_exactly(void)
{
    struct jobq_put p = put_of(1);
    p.queue = p.kind = p.group = name_bytes();
    p.payload = p.policy = p.key = p.trace = all_bytes();
    is(put(&p), JOBQ_OK);
    const struct jobq_bytes queue = name_bytes();
    struct jobq_want w = due(1);
    w.queues = w.kinds = &queue;
    w.kind_count = 1;
    w.worker = name_bytes();
    want(me, &w);
    is(w.row_count, 1);
    const struct jobq_row *r = w.rows;
    bytes_are(r->payload, all_bytes());
    bytes_are(r->policy, all_bytes());
    bytes_are(r->key, all_bytes());
    bytes_are(r->trace, all_bytes());
    struct jobq_change c = failed(r, JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, NULL);
    c.set |= JOBQ_SET_RESULT | JOBQ_SET_PROGRESS | JOBQ_SET_DATA;
    c.error = c.result = c.progress = c.data = all_bytes();
    change_ok(c);
    r = row_n(1);
    bytes_are(r->queue, name_bytes());
    bytes_are(r->kind, name_bytes());
    bytes_are(r->group, name_bytes());
    bytes_are(r->worker, name_bytes());
    bytes_are(r->payload, all_bytes());
    bytes_are(r->policy, all_bytes());
    bytes_are(r->key, all_bytes());
    bytes_are(r->trace, all_bytes());
    bytes_are(r->result, all_bytes());
    bytes_are(r->progress, all_bytes());
    bytes_are(r->data, all_bytes());
    bytes_are(r->errors[0].text, all_bytes());
    bytes_are(r->errors[0].worker, name_bytes());
}

/* Absent, empty, one NUL: three things, wherever bytes may be absent. */
static void absent_empty_nul(void)
{
    const struct jobq_bytes values[] = { bytes(NULL, 0), bytes("", 0), bytes("\0", 1) };
    for (uint32_t i = 0; i < 3; i++) {
        struct jobq_put p = put_of(i);
        p.payload = p.policy = p.key = p.trace = p.group = values[i];
        is(put(&p), JOBQ_OK);
        struct jobq_want w = due(1);
        w.worker = values[i];
        want(me, &w);
        is(w.row_count, 1);
        struct jobq_change c = failed(w.rows, JOBQ_ROW_DEAD, JOBQ_REASON_PERMANENT, NULL);
        c.set |= JOBQ_SET_RESULT | JOBQ_SET_PROGRESS | JOBQ_SET_DATA;
        c.error = c.result = c.progress = c.data = values[i];
        change_ok(c);
        const struct jobq_row *r = row_n(i);
        bytes_are(r->payload, values[i]);
        bytes_are(r->policy, values[i]);
        bytes_are(r->key, values[i]);
        bytes_are(r->trace, values[i]);
        bytes_are(r->group, values[i]);
        bytes_are(r->worker, values[i]);
        bytes_are(r->result, values[i]);
        bytes_are(r->progress, values[i]);
        bytes_are(r->data, values[i]);
        bytes_are(r->errors[0].text, values[i]);
        bytes_are(r->errors[0].worker, values[i]);
    }
}

/* A setter may also take bytes away. */
static void set_to_absent(void)
{
    put_ok(1);
    struct jobq_change c = by_operator(id(1), ANY_STATE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_PAYLOAD | JOBQ_SET_PROGRESS;
    c.progress = text("x");
    change_ok(c);
    bytes_are(row_n(1)->payload, text(NULL));
    is(row_n(1)->payload_bytes, 0);
    c.progress = text(NULL);
    change_ok(c);
    bytes_are(row_n(1)->progress, text(NULL));
}

/* S15: whatever bytes a queue's name holds, it is that queue and no other. */
static void hostile_queues(void)
{
    static const struct jobq_bytes names[] = {
        { "a", 1 },       { "a\0", 2 },     { "a\0b", 3 },         { "A", 1 },
        { "a ", 2 },      { "a:b", 3 },     { "{a}", 3 },          { "a'; DROP TABLE jobs; --", 24 },
        { "\"", 1 },      { "%", 1 },       { "_", 1 },            { "\xff\xfe", 2 },
        { "\0", 1 },      { "1", 1 },       { "\xc3\xa4", 2 },     { "a\xcc\x88", 3 },
        { "NULL", 4 },    { "../..", 5 },   { "x\r\n+OK\r\n", 8 }, { "*", 1 },
    };
    const uint32_t count = sizeof names / sizeof *names;
    for (uint32_t i = 0; i < count; i++) {
        struct jobq_put p = put_of(i);
        p.queue = p.kind = names[i];
        is(put(&p), JOBQ_OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct jobq_want w = due(9);
        w.queues = w.kinds = &names[i];
        w.kind_count = 1;
        want(me, &w);
        is(w.row_count, 1);
        ids_are(w.rows[0].id, id(i));
        bytes_are(w.rows[0].queue, names[i]);
        struct jobq_stats s = stats_of(names[i]);
        is(s.queue_count, 1);
        is(s.queues[0].present[JOBQ_RUNNING], 1);
    }
}

/* Ids and digests are bytes as well. */
static void hostile_ids(void)
{
    for (int i = 0; i < 8; i++) {
        struct jobq_put p = put_of(1);
        memset(&p.id, i < 4 ? 0 : 0xff, sizeof p.id);
        p.id.bytes[i % 4 * 5] = 0x27;
        p.id.bytes[15] ^= (uint8_t)(0x40 + i);
        is(put(&p), JOBQ_OK);
        const struct jobq_row *r = row(p.id);
        ok(r != NULL);
        ids_are(r->id, p.id);
    }
    struct jobq_want w = due(20);
    want(me, &w);
    is(w.row_count, 8);
}

static const struct test tests[] = {
    { .name = "all 256 values come back exactly (rule 15, S14)", .run = come_back_exactly },
    { .name = "absent, empty and NUL are three things (S14)", .run = absent_empty_nul },
    { .name = "bytes can be taken away", .run = set_to_absent },
    { .name = "hostile names of queues and kinds (S15)", .run = hostile_queues },
    { .name = "hostile ids", .run = hostile_ids },
};
const struct topic topic_bytes = TOPIC("bytes", tests);
