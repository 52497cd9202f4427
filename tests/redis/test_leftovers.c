/* SPDX-License-Identifier: MIT */
/* What the server holds beside the rows: that it is there at maxmemory, and that it goes with them. */
#include "kit.h"

static long long number_of(struct kit *k, const char *command, const char *space, const char *name)
{
    redisReply *reply = redis_server_ask(&k->server, "%s {%s}:%s", command, space, name);
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static bool there(struct kit *k, const char *name)
{
    return number_of(k, "EXISTS", "jobq", name) == 1;
}

static int exchange(struct kit *k, struct jobq_exchange x)
{
    x.size = sizeof x;
    x.client[0] = 'r';
    x.number = ++k->number;
    return jobq_redis()->exchange(k->store, &x, k->arena, &k->err);
}

static int put(struct kit *k, struct jobq_put *p)
{
    int unit = exchange(k, (struct jobq_exchange){ .puts = p, .put_count = 1 });
    ck_assert_msg(unit == JOBQ_OK, "%s", k->err.text);
    return p->verdict;
}

static int put_keyed(struct kit *k, uint32_t id)
{
    const struct jobq_put_key key = { .scope = { 's' }, .conflict = JOBQ_CONFLICT_SUCCESSOR };
    struct jobq_put p = { .id = kit_id(id), .queue = { "q", 1 }, .kind = { "k", 1 }, .only_if = -1, .unique = &key };
    return put(k, &p);
}

static void end_row(struct kit *k, uint32_t id, int state)
{
    struct jobq_change c = { .id = kit_id(id), .by = JOBQ_BY_OPERATOR, .allowed = ~0u, .edits = JOBQ_ANY_EDITS,
                             .state = state };
    int unit = exchange(k, (struct jobq_exchange){ .changes = &c, .change_count = 1 });
    ck_assert_msg(unit == JOBQ_OK, "%s", k->err.text);
    ck_assert_int_eq(c.verdict, JOBQ_OK);
}

/* S16: what was accepted comes into being though the server takes no more. */
START_TEST(a_successor_at_maxmemory)
{
    struct kit k;
    kit_begin(&k, NULL);
    ck_assert_int_eq(put_keyed(&k, 1), JOBQ_OK);
    ck_assert(!there(&k, "after"));
    ck_assert_int_eq(put_keyed(&k, 2), JOBQ_SUCCESSOR);
    ck_assert_int_eq(put_keyed(&k, 3), JOBQ_SUCCESSOR);
    ck_assert(there(&k, "after"));
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    end_row(&k, 1, JOBQ_ROW_CANCELLED);
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    ck_assert_uint_eq(kit_count(&k, k.store), 2);
    ck_assert(!there(&k, "after"));
    ck_assert_int_eq(put_keyed(&k, 4), JOBQ_SUCCESSOR);
    end_row(&k, 3, JOBQ_ROW_GONE);
    end_row(&k, 4, JOBQ_ROW_GONE);
    ck_assert(!there(&k, "after"));
    ck_assert(!there(&k, "key"));
    kit_end(&k);
}
END_TEST

/* ---- receipts
 * -------------------------------------------------------------------------------------------------------- */

static long long receipt_of(struct kit *k, char client)
{
    const char name[17] = {'r', client};
    redisReply *reply = redis_server_ask(&k->server, "HEXISTS {jobq}:meta %b", name, sizeof name);
    long long there = reply->integer;
    freeReplyObject(reply);
    return there;
}

static void put_by(struct kit *k, char client, uint32_t id)
{
    struct jobq_put p = {.id = kit_id(id), .queue = {"q", 1}, .kind = {"k", 1}, .only_if = -1};
    struct jobq_exchange x = {
        .size = sizeof x, .client = {(uint8_t)client}, .number = ++k->number, .puts = &p, .put_count = 1};
    ck_assert_int_eq(jobq_redis()->exchange(k->store, &x, k->arena, &k->err), JOBQ_OK);
}

/* When another client comes, those go that were noted long ago, and no others. */
START_TEST(receipts_go_when_others_come)
{
    struct kit k;
    const char old[16] = {'a'};
    kit_begin(&k, NULL);
    put_by(&k, 'a', 1);
    put_by(&k, 'b', 2);
    redisReply *reply = redis_server_ask(&k.server, "ZINCRBY {jobq}:clients -2710 %b", old, sizeof old);
    ck_assert_int_ne(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    put_by(&k, 'b', 3);
    ck_assert_int_eq(receipt_of(&k, 'a'), 1);
    put_by(&k, 'c', 4);
    ck_assert_int_eq(receipt_of(&k, 'a'), 0);
    ck_assert_int_eq(receipt_of(&k, 'b'), 1);
    ck_assert_int_eq(receipt_of(&k, 'c'), 1);
    ck_assert_int_eq(number_of(&k, "ZCARD", "jobq", "clients"), 2);
    kit_end(&k);
}
END_TEST

/* ---- lines of log ------------------------------------------------------------------------------------------------ */

static long long lines_of(struct kit *k, const struct jobq_row *row)
{
    redisReply *reply = redis_server_ask(&k->server, "LLEN {jobq}:log:%b", row->id.bytes, sizeof row->id.bytes);
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static long long keys_of(struct kit *k)
{
    redisReply *reply = redis_server_ask(&k->server, "DBSIZE");
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

static void add_lines(struct kit *k, const struct jobq_row *held, size_t count)
{
    static struct jobq_bytes lines[300];
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct jobq_bytes){ "line", 4 };
    struct jobq_change c = { .id = held->id, .by = JOBQ_BY_TOKEN, .token = held->token, .edits = held->edits,
                             .set = JOBQ_ADD_LOG, .log = lines, .log_count = count };
    int unit = exchange(k, (struct jobq_exchange){ .changes = &c, .change_count = 1 });
    ck_assert_msg(unit == JOBQ_OK, "%s", k->err.text);
    ck_assert_int_eq(c.verdict, JOBQ_OK);
}

/* A key for each job that has lines, none for any other; the key goes with the job, on each way that a job goes. */
START_TEST(a_log_goes_with_its_job)
{
    struct kit k;
    struct jobq_row held[4];
    int verdict;
    kit_begin(&k, NULL);
    for (uint32_t i = 1; i <= 4; i++)
        kit_put(&k, i);
    ck_assert_uint_eq(kit_claim(&k, held), 4);
    long long before = keys_of(&k);
    add_lines(&k, &held[3], 0);
    ck_assert_int_eq(keys_of(&k), before);
    redis_server_do(&k.server, "CONFIG SET maxmemory 1"); /* who holds a job may go on */
    add_lines(&k, &held[0], 70);
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    add_lines(&k, &held[0], 60);
    add_lines(&k, &held[1], 300);
    add_lines(&k, &held[2], 1);
    ck_assert_int_eq(keys_of(&k), before + 3);
    ck_assert_int_eq(lines_of(&k, &held[0]), 100);
    ck_assert_int_eq(lines_of(&k, &held[1]), 100);
    ck_assert_int_eq(lines_of(&k, &held[2]), 1);
    end_row(&k, 1, JOBQ_ROW_GONE);
    ck_assert_int_eq(lines_of(&k, &held[0]), 0);
    for (int i = 1; i < 4; i++) {
        ck_assert_int_eq(kit_complete(&k, &held[i], &verdict), JOBQ_OK);
        ck_assert_int_eq(verdict, JOBQ_OK);
    }
    ck_assert_int_eq(lines_of(&k, &held[1]), 100);
    put_keyed(&k, 5);
    struct jobq_change c = { .id = kit_id(5), .by = JOBQ_BY_OPERATOR, .allowed = ~0u, .edits = JOBQ_ANY_EDITS,
                             .state = JOBQ_ROW_COMPLETED };
    int unit = exchange(&k, (struct jobq_exchange){ .changes = &c, .change_count = 1, .trim = { .limit = 3 } });
    ck_assert_msg(unit == JOBQ_OK, "%s", k.err.text);
    ck_assert_uint_eq(kit_count(&k, k.store), 1);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(lines_of(&k, &held[i]), 0);
    kit_end(&k);
}
END_TEST

/* ---- a head of an older library ---------------------------------------------------------------------------------- */

static void pass_time(struct kit *k, int64_t ms)
{
    const struct jobq_settings clock = { .size = sizeof clock, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = ms };
    ck_assert_int_eq(jobq_redis()->configure(k->store, &clock, &k->err), JOBQ_OK);
}

static long long said_to_lack(struct kit *k)
{
    redisReply *reply = redis_server_ask(&k->server, "HGET {jobq}:meta lacks");
    long long lacks = reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : -1;
    freeReplyObject(reply);
    return lacks;
}

/* A job for later, and an ended one whose key holds for ten seconds. */
static void have_both(struct kit *k)
{
    const struct jobq_put_key key = { .scope = { 'w' }, .conflict = JOBQ_CONFLICT_RETURN, .hold = JOBQ_HOLD_WINDOW,
                                      .window_ms = 10000 };
    struct jobq_put later = { .id = kit_id(1), .queue = { "q", 1 }, .kind = { "k", 1 }, .only_if = -1,
                              .run_at = { JOBQ_TIME_NOW, 5000 } };
    struct jobq_put keyed = { .id = kit_id(2), .queue = { "q", 1 }, .kind = { "k", 1 }, .only_if = -1, .unique = &key };
    ck_assert_int_eq(put(k, &later), JOBQ_OK);
    ck_assert_int_eq(put(k, &keyed), JOBQ_OK);
    end_row(k, 2, JOBQ_ROW_COMPLETED);
}

/* A store's head tells what it never had. One that tells nothing, as older libraries left it, may have all of it. */
START_TEST(a_head_that_says_nothing)
{
    struct kit k;
    struct jobq_row held[4];
    kit_begin(&k, NULL);
    ck_assert_int_eq(said_to_lack(&k), 15);
    have_both(&k);
    ck_assert_int_eq(said_to_lack(&k), 12);
    redis_server_do(&k.server, "HDEL {jobq}:meta lacks");
    pass_time(&k, 20000);
    ck_assert_uint_eq(kit_claim(&k, held), 1);
    struct jobq_id later = kit_id(1);
    ck_assert_mem_eq(&held[0].id, &later, sizeof later);
    kit_put(&k, 3);
    ck_assert_int_eq(number_of(&k, "HLEN", "jobq", "key"), 0);
    kit_end(&k);
}
END_TEST

/* ---- copies ------------------------------------------------------------------------------------------------------ */

static void next_page(struct kit *k, struct jobq_dump *page)
{
    page->size = sizeof *page;
    page->kind = JOBQ_ITEM_ROW;
    page->limit = 250;
    page->after = page->last;
    ck_assert_int_eq(jobq_redis()->dump(k->store, page, k->arena, &k->err), JOBQ_OK);
}

/* A backlog that was copied costs what it cost before: one string and one entry of a list for each job. */
START_TEST(a_copied_backlog)
{
    enum { COUNT = 3000 };
    struct kit k;
    struct jobq_store *other;
    struct jobq_dump page = { .size = 0 };
    char uri[300];
    kit_begin(&k, NULL);
    for (uint32_t i = 0; i < COUNT; i++)
        kit_put(&k, COUNT - i); /* arrival is not the order of ids */
    snprintf(uri, sizeof uri, "%s?namespace=other", k.uri);
    ck_assert_int_eq(kit_open(&k, uri, 0, &other), JOBQ_OK);
    uint32_t seen = 0;
    for (next_page(&k, &page); page.item_count; next_page(&k, &page)) {
        struct jobq_item *items = calloc(page.item_count, sizeof *items);
        ck_assert_ptr_nonnull(items);
        memcpy(items, page.items, page.item_count * sizeof *items);
        for (size_t i = 0; i < page.item_count; i++) {
            struct jobq_id expected = kit_id(COUNT - seen++);
            ck_assert_mem_eq(&items[i].as.row.row.id, &expected, sizeof expected);
        }
        ck_assert_int_eq(jobq_redis()->load(other, items, page.item_count, &k.err), JOBQ_OK);
        free(items);
    }
    ck_assert_uint_eq(seen, COUNT);
    ck_assert_int_eq(number_of(&k, "HLEN", "other", "cold"), COUNT);
    ck_assert_int_eq(number_of(&k, "LLEN", "other", "list:1:q:k"), COUNT);
    ck_assert_int_eq(number_of(&k, "EXISTS", "other", "hot"), 0);
    ck_assert_int_eq(number_of(&k, "EXISTS", "other", "rank:1:q:k"), 0);
    jobq_redis()->close(other);
    kit_end(&k);
}
END_TEST

/* Between two pages rows go, and one comes again: each that was there all the time comes once, in its order. */
START_TEST(rows_that_go_while_they_are_copied)
{
    enum { COUNT = 1000 };
    struct kit k;
    struct jobq_dump page = { .size = 0 };
    kit_begin(&k, NULL);
    for (uint32_t i = 1; i <= COUNT; i++)
        kit_put(&k, i);
    next_page(&k, &page);
    ck_assert_uint_eq(page.item_count, 250);
    for (uint32_t i = 251; i <= 700; i++)
        end_row(&k, i, JOBQ_ROW_GONE);
    kit_put(&k, 300); /* behind them all by now */
    next_page(&k, &page);
    struct jobq_id expected = kit_id(701);
    ck_assert_mem_eq(&page.items[0].as.row.row.id, &expected, sizeof expected);
    size_t rest = page.item_count;
    for (next_page(&k, &page); page.item_count; next_page(&k, &page))
        rest += page.item_count;
    ck_assert_uint_eq(rest, 300);
    kit_end(&k);
}
END_TEST

KIT_MAIN("redis-leftovers", 60, a_successor_at_maxmemory, receipts_go_when_others_come,
         a_log_goes_with_its_job, a_head_that_says_nothing, a_copied_backlog,
         rows_that_go_while_they_are_copied)
