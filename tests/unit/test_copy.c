/* SPDX-License-Identifier: MIT */
/* Items as text and whole copies: what was written is read back; anything else is refused with its line and
 * field (rule 16); a copy that was cut anywhere and taken again comes to the same end. */
#include "unit.h"

#include "item.h"

#include <jobq/memory.h>

#include <stdio.h>
#include <string.h>

static struct jobq_bytes text(const char *s)
{
    return (struct jobq_bytes){s, strlen(s)};
}

/* ---- items ------------------------------------------------------------------------------------------- */

static char *written(struct jobq_arena *arena, const struct jobq_item *item)
{
    struct jobq_bytes line;

    ck_assert_int_eq(jobq_item_write(arena, item, &line), JOBQ_OK);
    ck_assert(((const char *)line.data)[line.size - 1] == '\n');
    ck_assert(memchr(line.data, '\n', line.size) == (const char *)line.data + line.size - 1);
    return (char *)(uintptr_t)jobq_arena_text(arena, line.data, line.size);
}

/* Fill each member by its type: a different value for each, and bytes that are no text for every second. */
static void fill(const struct member *members, void *to, int seed)
{
    static const uint8_t raw[] = {0, 1, 0xff, '"', '\\', '\n', 0xc3, 0x28};

    for (const struct member *m = members; m->name; m++, seed++) {
        char *at = (char *)to + m->offset;
        int64_t large = INT64_MIN + seed;
        uint32_t small = UINT32_MAX - (uint32_t)seed;
        switch (m->type) {
        case MEMBER_U8:
            *at = 1;
            break;
        case MEMBER_I32:
        case MEMBER_U32:
            memcpy(at, &small, 4);
            break;
        case MEMBER_I64:
        case MEMBER_U64:
            memcpy(at, &large, 8);
            break;
        case MEMBER_I64_BY_STATE:
            for (int i = 0; i < 8; i++)
                memcpy(at + 8 * i, &(int64_t){large + i}, 8);
            break;
        case MEMBER_HEX_8:
            memset(at, seed | 128, 8);
            break;
        case MEMBER_HEX_16:
            memset(at, seed | 128, 16);
            break;
        case MEMBER_HEX_32:
            memset(at, seed | 128, 32);
            break;
        case MEMBER_BYTES:
            *(struct jobq_bytes *)(void *)at = seed % 2 ? (struct jobq_bytes){raw, (size_t)seed % sizeof raw}
                                                        : text("ä \"quoted\" \\ \n end");
            break;
        default:
            break;
        }
    }
}

START_TEST(every_member_comes_back)
{
    for (int kind = 1; item_members(kind); kind++) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_item item = {.kind = kind}, back;
        struct jobq_row_error errors[2] = {{0}};
        struct jobq_item_edge edges[2] = {{.open = 1}};
        fill(item_members(kind), &item.as, 3);
        if (kind == JOBQ_ITEM_ROW) {
            fill(error_members, &errors[1], 8);
            fill(edge_members, &edges[1], 9);
            item.as.row.row.errors = errors;
            item.as.row.edges = edges;
            item.as.row.row.log = errors;
            item.as.row.row.error_count = item.as.row.row.log_count = item.as.row.edge_count = 2;
        }
        const char *first = written(arena, &item);
        for (const struct member *m = item_members(kind); m->name; m++)
            ck_assert_msg(strstr(first, m->name) != NULL, "%s is missing in %s", m->name, first);
        ck_assert_int_eq(jobq_item_read(arena, text(first), &back, NULL), JOBQ_OK);
        ck_assert_str_eq(written(arena, &back), first);
        jobq_arena_destroy(arena);
    }
}
END_TEST

START_TEST(every_byte_comes_back)
{
    struct jobq_arena *arena = jobq_arena_create();
    uint8_t all[256];

    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    for (int i = 0; i < 256; i++) /* each byte alone, and all up to it */
        for (int alone = 0; alone < 2; alone++) {
            struct jobq_item item = {.kind = JOBQ_ITEM_ROW}, back;
            item.as.row.row.payload = (struct jobq_bytes){alone ? all + i : all, alone ? 1 : (size_t)i};
            ck_assert_int_eq(jobq_item_read(arena, text(written(arena, &item)), &back, NULL), JOBQ_OK);
            ck_assert_uint_eq(back.as.row.row.payload.size, item.as.row.row.payload.size);
            ck_assert(back.as.row.row.payload.data != NULL);
            ck_assert(memcmp(back.as.row.row.payload.data, item.as.row.row.payload.data,
                             back.as.row.row.payload.size) == 0);
            ck_assert(back.as.row.row.result.data == NULL);
        }
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(other_ways_to_write_json_are_read)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_item item;

    const char *line =
        " { \"item\" : \"job\" , \"payload\":\"\\u00e4\\ud83d\\ude00\\/\\b\\t\\u0041\", \"errors\": [ ] ,"
        "\"id\":\"000102030405060708090A0B0C0D0E0F\", \"priority\":-0 }  ";
    ck_assert_int_eq(jobq_item_read(arena, text(line), &item, NULL), JOBQ_OK);
    ck_assert_str_eq(item.as.row.row.payload.data, "ä😀/\b\tA");
    ck_assert_int_eq(item.as.row.row.id.bytes[10], 10);
    jobq_arena_destroy(arena);
}
END_TEST

static const struct {
    const char *line, *field;
} wrongs[] = {
    {"", "item"},
    {"[]", "item"},
    {"{}", "item"},
    {"{\"id\":\"00\"}", "item"},
    {"{\"item\":\"jib\"}", "item"},
    {"{\"item\":7}", "item"},
    {"{\"item\":\"job\"", "item"},
    {"{\"item\":\"job\"}}", "item"},
    {"{\"item\":\"job\",}", "item"},
    {"{\"item\":\"job\",\"nonsense\":1}", "nonsense"},
    {"{\"item\":\"job\",\"id\":\"0011\"}", "id"},
    {"{\"item\":\"job\",\"id\":\"g0000000000000000000000000000000\"}", "id"},
    {"{\"item\":\"job\",\"id_base64\":\"AAAA\"}", "id_base64"},
    {"{\"item\":\"job\",\"priority\":2147483648}", "priority"},
    {"{\"item\":\"job\",\"priority\":1.5}", "priority"},
    {"{\"item\":\"job\",\"priority\":\"1\"}", "priority"},
    {"{\"item\":\"job\",\"edits\":-1}", "edits"},
    {"{\"item\":\"job\",\"due\":2}", "due"},
    {"{\"item\":\"job\",\"run_at_ms\":9223372036854775808}", "run_at_ms"},
    {"{\"item\":\"job\",\"run_at_ms\":99999999999999999999999}", "run_at_ms"},
    {"{\"item\":\"job\",\"payload\":\"a}", "payload"},
    {"{\"item\":\"job\",\"payload\":\"\\x\"}", "payload"},
    {"{\"item\":\"job\",\"payload\":\"\\ud800\"}", "payload"},
    {"{\"item\":\"job\",\"payload\":\"\\u12\"}", "payload"},
    {"{\"item\":\"job\",\"payload_base64\":\"AAA\"}", "payload_base64"},
    {"{\"item\":\"job\",\"payload_base64\":\"A=A=\"}", "payload_base64"},
    {"{\"item\":\"job\",\"errors\":[{\"attempt\":1}", "attempt"},
    {"{\"item\":\"job\",\"errors\":[{\"what\":1}]}", "what"},
    {"{\"item\":\"settings\",\"keep_ms\":[1,2,3,4,5,6,7]}", "keep_ms"},
};

START_TEST(wrong_lines_name_the_field)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_error err = {0};
        struct jobq_item item;
        ck_assert_msg(jobq_item_read(arena, text(wrongs[i].line), &item, &err) == JOBQ_INVALID, "%s",
                      wrongs[i].line);
        ck_assert_msg(strcmp(err.field, wrongs[i].field) == 0, "%s: %s", wrongs[i].line, err.field);
        ck_assert_msg(strstr(err.text, ": "), "%s: %s", wrongs[i].line, err.text);
        jobq_arena_destroy(arena);
    }
}
END_TEST

START_TEST(every_shortened_line_is_refused)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_item item = {.kind = JOBQ_ITEM_ROW}, back;
    struct jobq_row_error error = {0};

    fill(item_members(JOBQ_ITEM_ROW), &item.as, 3);
    fill(error_members, &error, 2);
    item.as.row.row.errors = &error;
    item.as.row.row.error_count = 1;
    struct jobq_bytes line = text(written(arena, &item));
    for (line.size -= 2; line.size; line.size--)
        ck_assert_int_eq(jobq_item_read(arena, line, &back, NULL), JOBQ_INVALID);
    jobq_arena_destroy(arena);
}
END_TEST

/* ---- copies ------------------------------------------------------------------------------------------ */

struct tape {
    char *data;
    size_t size, at, cut; /* cut: so much is given; 0: all */
    size_t step;          /* so much at a time; 0: as much as is asked for */
};

static int tape_write(void *user, const void *data, size_t bytes)
{
    struct tape *t = user;

    if (t->cut && t->size + bytes > t->cut)
        return -1;
    t->data = realloc(t->data, t->size + bytes + 1);
    ck_assert(t->data != NULL);
    memcpy(t->data + t->size, data, bytes);
    t->size += bytes;
    t->data[t->size] = 0;
    return 0;
}

static int64_t tape_read(void *user, void *buffer, size_t room)
{
    struct tape *t = user;
    size_t end = t->cut && t->cut < t->size ? t->cut : t->size, give = end - t->at;

    if (give > room)
        give = room;
    if (t->step && give > t->step)
        give = t->step;
    memcpy(buffer, t->data + t->at, give);
    t->at += give;
    return (int64_t)give;
}

static struct jobq *opened(const char *uri)
{
    struct jobq *q;

    ck_assert_int_eq(jobq_open(&q, jobq_memory(), uri, NULL), JOBQ_OK);
    return q;
}

static struct jobq_id put(struct jobq *q, const char *key, int32_t hold, const struct jobq_id *parent)
{
    struct jobq_parent parents[1];
    struct jobq_spec spec = {.size = sizeof spec, .queue = "q", .payload = text("p\xff"), .key_hold = hold};
    struct jobq_enqueued out = {.size = sizeof out};

    if (key)
        spec.key = text(key);
    if (parent) {
        parents[0] = (struct jobq_parent){.id = *parent};
        spec.parents = parents;
        spec.parent_count = 1;
    }
    ck_assert_int_eq(jobq_enqueue(q, &spec, &out), JOBQ_OK);
    return out.id;
}

static void populate(struct jobq *q)
{
    const char *const queues[] = {"q"}, *const keys[] = {"a", "b", "d"};
    struct jobq_claim_options options = {
        .size = sizeof options, .queues = queues, .queue_count = 1, .limit = 3};
    struct jobq_failure failure = {.size = sizeof failure, .text = text("no \"luck\"")};
    struct jobq_jobs *jobs;

    for (int i = 0; i < 3; i++)
        put(q, keys[i], JOBQ_HOLD_FOREVER, NULL);
    struct jobq_id parent = put(q, NULL, 0, NULL);
    put(q, "c", JOBQ_HOLD_LIVE, &parent);
    ck_assert_int_eq(jobq_claim(q, &options, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 3);
    ck_assert_int_eq(jobq_ack(q, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_OK);
    ck_assert_int_eq(jobq_fail(q, &jobs->jobs[1].id, &jobs->jobs[1].token, &failure), JOBQ_OK);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_pause(q, "other"), JOBQ_OK);
}

static struct tape exported(struct jobq *q)
{
    struct tape t = {0};
    struct jobq_copied count = {.size = sizeof count};

    ck_assert_int_eq(jobq_export(q, tape_write, &t, &count), JOBQ_OK);
    ck_assert_uint_eq(count.jobs, 5);
    ck_assert_uint_eq(count.settings, 2);
    ck_assert_uint_eq(count.keys, 4);
    return t;
}

START_TEST(a_copy_of_a_copy_is_the_same)
{
    struct jobq *from = opened("memory:"), *to = opened("memory:");
    struct jobq_copied count = {.size = sizeof count};

    populate(from);
    struct tape first = exported(from);
    first.step = 7;
    ck_assert_int_eq(jobq_import(to, tape_read, &first, &count), JOBQ_OK);
    ck_assert_uint_eq(count.jobs, 5);
    ck_assert_uint_eq(count.already, 0);
    struct tape second = exported(to);
    ck_assert_str_eq(first.data, second.data);
    second.at = 0;
    ck_assert_int_eq(jobq_import(from, tape_read, &second, &count), JOBQ_OK);
    ck_assert_uint_eq(count.already, 11);
    free(first.data);
    free(second.data);
    jobq_close(from);
    jobq_close(to);
}
END_TEST

START_TEST(cut_anywhere_and_taken_again)
{
    struct jobq *from = opened("memory:");

    populate(from);
    struct tape whole = exported(from);
    for (size_t cut = 1; cut < whole.size; cut += 1 + (cut % 3)) {
        struct jobq *to = opened("memory:");
        whole.cut = cut;
        whole.at = 0;
        ck_assert_int_eq(jobq_import(to, tape_read, &whole, NULL), JOBQ_INVALID);
        ck_assert_msg(strncmp(jobq_last_error()->text, "line ", 5) == 0, "%s", jobq_last_error()->text);
        whole.cut = 0;
        whole.at = 0;
        ck_assert_int_eq(jobq_import(to, tape_read, &whole, NULL), JOBQ_OK);
        struct tape again = exported(to);
        ck_assert_str_eq(whole.data, again.data);
        free(again.data);
        jobq_close(to);
    }
    free(whole.data);
    jobq_close(from);
}
END_TEST

START_TEST(a_reader_that_gives_up_ends_the_export)
{
    struct jobq *q = opened("memory:");
    struct tape t = {.cut = 300};

    populate(q);
    ck_assert_int_eq(jobq_export(q, tape_write, &t, NULL), JOBQ_FAILED);
    free(t.data);
    jobq_close(q);
}
END_TEST

#define FIRST "{\"jobq_export\":1}\n"
static const struct {
    const char *text, *field, *where;
} refused[] = {
    {"", "jobq_export", "line 1: "},
    {"{\"jobq_export\":2}\n", "jobq_export", "line 1: "},
    {FIRST, "jobq_end", "line 2: "},
    {FIRST "{\"jobq_end\":1}\n", "jobq_end", "line 2: "},
    {FIRST "{\"jobq_end\":0}\nx\n", "jobq_end", "line 3: "},
    {FIRST "{\"jobq_end\":0}\nx", "jobq_end", "line 3: "},
    {FIRST "\n", "item", "line 2: "},
    {FIRST "{\"item\":\"worker\",\"name\":\"w\"}\n", "item", "line 2: "},
    {FIRST "{\"item\":\"settings\",\"what\":2,\"name\":\"q\"}\n", "what", "line 2: "},
    {FIRST "{\"item\":\"settings\",\"what\":1}\n", "name", "line 2: "},
    {FIRST "{\"item\":\"key\",\"hold\":9}\n", "hold", "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":2,\"kind\":\"k\"}\n", "queue", "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":2,\"queue\":\"a\\u0000b\",\"kind\":\"k\"}\n", "queue", "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":2,\"queue_base64\":\"/w==\",\"kind\":\"k\"}\n", "queue", "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":7,\"queue\":\"q\",\"kind\":\"k\"}\n", "state", "line 2: "},
    {FIRST "{\"item\":\"job\",\"queue\":\"q\",\"kind\":\"k\"}\n", "state", "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":2,\"queue\":\"q\",\"kind\":\"k\",\"failures\":-1}\n", "failures",
     "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":2,\"queue\":\"q\",\"kind\":\"k\",\"parents\":[{\"rule\":3}]}\n",
     "parents.rule", "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":2,\"queue\":\"q\",\"kind\":\"k\",\"parents\":[{},{}]}\n", "parents",
     "line 2: "},
    {FIRST "{\"item\":\"job\",\"state\":2,\"queue\":\"q\",\"kind\":\"k\",\"errors\":[{},{},{},{},{},{},{},{},"
           "{},{},{}]}\n",
     "errors", "line 2: "},
};

START_TEST(what_is_refused_names_line_and_field)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct jobq *q = opened("memory:");
        struct tape t = {.data = (char *)(uintptr_t)refused[i].text, .size = strlen(refused[i].text)};
        struct jobq_copied count = {.size = sizeof count};
        ck_assert_msg(jobq_import(q, tape_read, &t, &count) == JOBQ_INVALID, "%s", refused[i].text);
        const struct jobq_error *err = jobq_last_error();
        ck_assert_msg(strcmp(err->field, refused[i].field) == 0, "%s: %s", refused[i].text, err->field);
        ck_assert_msg(strncmp(err->text, refused[i].where, strlen(refused[i].where)) == 0, "%s: %s",
                      refused[i].text, err->text);
        ck_assert_uint_eq(count.jobs, 0);
        jobq_close(q);
    }
}
END_TEST

START_TEST(a_store_that_cannot_be_copied_says_so)
{
    static const char whole[] = FIRST "{\"item\":\"job\",\"state\":2,\"queue\":\"q\",\"kind\":\"k\"}\n{\"jobq_end\":1}\n";
    struct jobq_backend without = *jobq_memory();
    struct tape in = {.data = (char *)(uintptr_t)whole, .size = sizeof whole - 1}, out = {0};
    struct jobq_stats *stats;
    struct jobq *q;

    without.capabilities &= ~(uint32_t)JOBQ_CAP_COPY;
    ck_assert_int_eq(jobq_open(&q, &without, "memory:", NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_import(q, tape_read, &in, NULL), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_export(q, tape_write, &out, NULL), JOBQ_UNSUPPORTED);
    ck_assert_uint_eq(out.size, 0);
    ck_assert_int_eq(jobq_stats(q, NULL, &stats), JOBQ_OK);
    ck_assert_uint_eq(stats->queue_count, 0); /* nothing was put into it */
    jobq_stats_free(stats);
    jobq_close(q);
}
END_TEST

UNIT_MAIN("copy", every_member_comes_back, every_byte_comes_back, other_ways_to_write_json_are_read,
          wrong_lines_name_the_field, every_shortened_line_is_refused, a_copy_of_a_copy_is_the_same,
          cut_anywhere_and_taken_again, a_reader_that_gives_up_ends_the_export,
          what_is_refused_names_line_and_field, a_store_that_cannot_be_copied_says_so)
