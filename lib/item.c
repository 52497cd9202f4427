/* SPDX-License-Identifier: MIT */
/* The table of items' members, and an item as a line of text. */
#include "item.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the table --------------------------------------------------------------------------------------- */

/* clang-format off */
#define SETTING(member, type) { #member, offsetof(struct jobq_item_settings, settings.member), MEMBER_##type }
#define TOTAL(member) { #member, offsetof(struct jobq_item_settings, member), MEMBER_U64 }
static const struct member settings_members[] = {
    SETTING(what, I32), SETTING(name, BYTES), SETTING(group, BYTES), SETTING(set, U32), SETTING(paused, I32),
    SETTING(depth, I64), SETTING(concurrency, I64), SETTING(group_concurrency, I64), SETTING(rate, I64),
    SETTING(rate_period_ms, I64), SETTING(quota, I64), SETTING(quota_period_ms, I64), SETTING(plan, BYTES),
    SETTING(keep_count, I64_BY_STATE), SETTING(keep_ms, I64_BY_STATE),
    TOTAL(enqueued_total), TOTAL(completed_total),
    TOTAL(dead_total), TOTAL(cancelled_total), TOTAL(failed_total),
    TOTAL(completed_trimmed), TOTAL(dead_trimmed), TOTAL(cancelled_trimmed),
    { 0 },
};

#define SCHEDULE(member, type) { #member, offsetof(struct jobq_schedule_row, member), MEMBER_##type }
static const struct member schedule_members[] = {
    SCHEDULE(name, BYTES), SCHEDULE(version, I64), SCHEDULE(fired_ms, I64), SCHEDULE(next_ms, I64),
    SCHEDULE(paused, I32), SCHEDULE(bytes, BYTES), { 0 },
};

#define ROW(member, type) { #member, offsetof(struct jobq_item_row, row.member), MEMBER_##type }
#define MORE(name, member, type) { name, offsetof(struct jobq_item_row, member), MEMBER_##type }
static const struct member row_members[] = {
    ROW(id, HEX_16), ROW(queue, BYTES), ROW(kind, BYTES), ROW(group, BYTES), ROW(state, I32),
    ROW(reason, I32),
    ROW(priority, I32), ROW(rank_add_ms, I64), ROW(due, U8), ROW(held, U8), ROW(alone, U8), ROW(pending, U32),
    ROW(created_at_ms, I64), ROW(run_at_ms, I64), ROW(started_at_ms, I64), ROW(finished_at_ms, I64),
    ROW(expires_at_ms, I64), ROW(timeout_ms, I64), ROW(stop_at_ms, I64), ROW(lease_until_ms, I64),
    ROW(token, HEX_16), ROW(fence, I64), ROW(outcome, I32), MORE("swept", swept, I32), ROW(worker, BYTES),
    ROW(attempt, I64), ROW(failures, I32), ROW(crashes, I32), ROW(snoozes, I32), ROW(releases, I32),
    ROW(redrives, I32), ROW(edits, U32), ROW(cancel_asked, U8), ROW(ran_alone, U8), ROW(resumed, U8),
    ROW(callback_until_ms, I64), MORE("has_callback", has_digest, U8), MORE("callback_used", digest_used, U8),
    MORE("callback", digest, HEX_32), MORE("has_key", has_key, U8), ROW(key, BYTES),
    MORE("key_scope", key.scope, HEX_32), MORE("key_payload", key.payload_digest, HEX_32),
    MORE("key_hold", key.hold, I32), MORE("key_conflict", key.conflict, I32),
    MORE("key_window_ms", key.window_ms, I64), MORE("key_window_until_ms", window_until_ms, I64),
    ROW(trace, BYTES), ROW(policy, BYTES), ROW(payload, BYTES), ROW(progress, BYTES), ROW(data, BYTES),
    ROW(result, BYTES), ROW(errors, ERRORS), ROW(log, LOG), MORE("parents", edges, EDGES), { 0 },
};

#define KEY(name, member, type) { name, offsetof(struct jobq_item_key, member), MEMBER_##type }
static const struct member key_members[] = {
    KEY("scope", key.scope, HEX_32), KEY("job", job, HEX_16), KEY("payload", key.payload_digest, HEX_32),
    KEY("hold", key.hold, I32), KEY("conflict", key.conflict, I32), KEY("window_ms", key.window_ms, I64),
    KEY("window_until_ms", window_until_ms, I64), KEY("ended", ended, I32), { 0 },
};

#define WORKER(member, type) { #member, offsetof(struct jobq_item_worker, record.member), MEMBER_##type }
static const struct member worker_members[] = {
    WORKER(name, BYTES), WORKER(nonce, HEX_8), WORKER(host, BYTES), WORKER(queues, BYTES),
    WORKER(kinds, BYTES),
    WORKER(pid, I64), WORKER(started_at_ms, I64), WORKER(lease_ms, I64),
    { "seen_at_ms", offsetof(struct jobq_item_worker, seen_at_ms), MEMBER_I64 },
    WORKER(capacity, I32), WORKER(running, I32), WORKER(stop_asked, I32), { 0 },
};

#define ERROR(member, type) { #member, offsetof(struct jobq_row_error, member), MEMBER_##type }
const struct member error_members[] = {
    ERROR(attempt, I32), ERROR(kind, I32), ERROR(at_ms, I64), ERROR(worker, BYTES), ERROR(text, BYTES), { 0 },
};

#define EDGE(member, type) { #member, offsetof(struct jobq_item_edge, member), MEMBER_##type }
const struct member edge_members[] = { EDGE(parent, HEX_16), EDGE(rule, I32), EDGE(open, I32), { 0 } };

/* clang-format on */

static const struct {
    const char *name;
    const struct member *members;
} kinds[] = {
    [JOBQ_ITEM_SETTINGS] = {"settings", settings_members},
    [JOBQ_ITEM_SCHEDULE] = {"schedule", schedule_members},
    [JOBQ_ITEM_ROW] = {"job", row_members},
    [JOBQ_ITEM_KEY] = {"key", key_members},
    [JOBQ_ITEM_WORKER] = {"worker", worker_members},
};

const struct member *item_members(int kind)
{
    return kind > 0 && kind <= JOBQ_ITEM_WORKER ? kinds[kind].members : NULL;
}

const char *item_kind_name(int kind)
{
    return kind > 0 && kind <= JOBQ_ITEM_WORKER ? kinds[kind].name : NULL;
}

/* ---- writing: once to learn how long it is, once in earnest ------------------------------------------ */

static void add_name(struct text *t, const char *name, const char *suffix)
{
    text_add(t, ",\"", 2);
    text_add(t, name, strlen(name));
    text_add(t, suffix, strlen(suffix));
    text_add(t, "\":", 2);
}

static void add_signed(struct text *t, int64_t value)
{
    char digits[24];
    text_add(t, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, value));
}

static void add_unsigned(struct text *t, uint64_t value)
{
    char digits[24];
    text_add(t, digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, value));
}

static void add_members(struct text *t, const struct member *members, const void *from);

/* An array of objects; each begins with a member, so the comma in front of it has to go. */
static void add_array(struct text *t, const struct member *members, const void *items, size_t count,
                      size_t item_bytes)
{
    text_char(t, '[');
    for (size_t i = 0; i < count; i++) {
        text_add(t, i ? ",{" : "{", i ? 2 : 1);
        size_t before = t->size;
        add_members(t, members, (const char *)items + i * item_bytes);
        if (t->size > before) {
            if (t->at)
                memmove(t->at + before, t->at + before + 1, t->size - before - 1);
            t->size--;
        }
        text_char(t, '}');
    }
    text_char(t, ']');
}

static size_t hex_bytes(enum member_type type)
{
    return type == MEMBER_HEX_8 ? 8 : type == MEMBER_HEX_16 ? 16 : 32;
}

static bool is_zero(const void *at, size_t size)
{
    static const uint8_t zero[64];
    return memcmp(at, zero, size) == 0;
}

static void add_bytes(struct text *t, const char *name, struct jobq_bytes bytes)
{
    bool text = bytes_are_text(bytes);
    if (!bytes.data)
        return;
    add_name(t, name, text ? "" : "_base64");
    if (text)
        text_string(t, bytes);
    else
        text_base64(t, bytes);
}

static void add_list(struct text *t, const struct member *member, const void *from)
{
    const struct jobq_item_row *row = from;
    size_t count = member->type == MEMBER_ERRORS ? row->row.error_count
                   : member->type == MEMBER_LOG  ? row->row.log_count
                                                 : row->edge_count;
    if (!count)
        return;
    add_name(t, member->name, "");
    if (member->type == MEMBER_ERRORS)
        add_array(t, error_members, row->row.errors, count, sizeof *row->row.errors);
    else if (member->type == MEMBER_LOG)
        add_array(t, error_members, row->row.log, count, sizeof *row->row.log);
    else
        add_array(t, edge_members, row->edges, count, sizeof *row->edges);
}

static void add_by_state(struct text *t, const char *name, const int64_t values[8])
{
    if (is_zero(values, 8 * sizeof *values))
        return;
    add_name(t, name, "");
    for (int i = 0; i < 8; i++) {
        text_char(t, i ? ',' : '[');
        add_signed(t, values[i]);
    }
    text_char(t, ']');
}

static void add_number(struct text *t, const struct member *member, const void *at)
{
    uint64_t u64 = 0;
    int64_t i64 = 0;
    switch (member->type) {
    case MEMBER_U8:
        u64 = *(const uint8_t *)at;
        break;
    case MEMBER_U32:
        u64 = *(const uint32_t *)at;
        break;
    case MEMBER_U64:
        u64 = *(const uint64_t *)at;
        break;
    case MEMBER_I32:
        i64 = *(const int32_t *)at;
        break;
    default:
        i64 = *(const int64_t *)at;
    }
    if (!u64 && !i64)
        return;
    add_name(t, member->name, "");
    if (u64)
        add_unsigned(t, u64);
    else
        add_signed(t, i64);
}

static void add_members(struct text *t, const struct member *members, const void *from)
{
    for (const struct member *m = members; m->name; m++) {
        const void *at = (const char *)from + m->offset;
        switch (m->type) {
        case MEMBER_BYTES:
            add_bytes(t, m->name, *(const struct jobq_bytes *)at);
            break;
        case MEMBER_ERRORS:
        case MEMBER_LOG:
        case MEMBER_EDGES:
            add_list(t, m, from);
            break;
        case MEMBER_I64_BY_STATE:
            add_by_state(t, m->name, at);
            break;
        case MEMBER_HEX_8:
        case MEMBER_HEX_16:
        case MEMBER_HEX_32:
            if (is_zero(at, hex_bytes(m->type)))
                break;
            add_name(t, m->name, "");
            text_hex(t, at, hex_bytes(m->type));
            break;
        default:
            add_number(t, m, at);
        }
    }
}

static size_t write_line(const struct jobq_item *item, char *at)
{
    struct text t = {.at = at};
    text_add(&t, "{\"item\":\"", 9);
    text_add(&t, item_kind_name(item->kind), strlen(item_kind_name(item->kind)));
    text_char(&t, '"');
    add_members(&t, item_members(item->kind), &item->as);
    text_add(&t, "}\n", 2);
    return t.size;
}

int jobq_item_write(struct jobq_arena *arena, const struct jobq_item *item, struct jobq_bytes *out)
{
    char *line = item_members(item->kind) ? jobq_arena_alloc(arena, write_line(item, NULL)) : NULL;
    *out = (struct jobq_bytes){0};
    if (!line)
        return JOBQ_NOMEM;
    *out = (struct jobq_bytes){line, write_line(item, line)};
    return JOBQ_OK;
}
