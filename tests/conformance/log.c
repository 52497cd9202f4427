/* SPDX-License-Identifier: MIT */
/* The log of a job (JOBQ_CAP_LOG): lines added under the lease token or by an operator, the last hundred kept, whatever
 * becomes of the job until it is gone. */
#include "suite.h"

static struct jobq_change logged(const struct jobq_row *held, const struct jobq_bytes *lines, size_t count)
{
    struct jobq_change c = by_token(held, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    c.set = JOBQ_ADD_LOG;
    c.log = lines;
    c.log_count = count;
    return c;
}

static void log_line(const struct jobq_row *held, const char *line)
{
    const struct jobq_bytes one = text(line);
    change_ok(logged(held, &one, 1));
}

static void members(void)
{
    put_ok(1);
    is(row_n(1)->log_count, 0);
    const struct jobq_row *r = claim_n(1);
    struct jobq_row before = *row_n(1);
    log_line(r, "begun");
    const struct jobq_row *now = row_n(1);
    is(now->log_count, 1);
    is(now->log[0].attempt, 1);
    is(now->log[0].kind, 0);
    ok(now->log[0].at_ms >= now->started_at_ms && now->log[0].at_ms <= me->now);
    bytes_are(now->log[0].worker, text("w"));
    bytes_are(now->log[0].text, text("begun"));
    is(now->error_count, 0);
    is(now->edits, before.edits); /* under the token: nobody has to compute again */
    is(now->state, JOBQ_ROW_RUNNING);
    is(now->lease_until_ms, before.lease_until_ms);
}

/* Several in one change, with an outcome; and over the next attempt. */
static void with_an_outcome(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    const struct jobq_bytes two[] = { text("one"), text("two") };
    struct jobq_change c = failed(r, JOBQ_ROW_WAITING, 0, "boom");
    c.set |= JOBQ_ADD_LOG;
    c.log = two;
    c.log_count = 2;
    change_ok(c);
    log_line(claim_n(1), "three");
    const struct jobq_row *now = row_n(1);
    is(now->log_count, 3);
    is(now->log[0].attempt, 1);
    bytes_are(now->log[0].text, text("one"));
    bytes_are(now->log[1].text, text("two"));
    is(now->log[2].attempt, 2);
    bytes_are(now->log[2].text, text("three"));
    is(now->error_count, 1);
    struct jobq_change done = completed(r, "r");
    done.token = now->token;
    done.set |= JOBQ_ADD_LOG;
    done.log = two;
    done.log_count = 1;
    change_ok(done);
    is(row_n(1)->state, JOBQ_ROW_COMPLETED);
    is(row_n(1)->log_count, 4);
    bytes_are(row_n(1)->log[3].text, text("one"));
}

static void the_last_hundred(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    char words[230][8];
    struct jobq_bytes lines[230];
    for (int i = 0; i < 230; i++) {
        snprintf(words[i], sizeof words[i], "l%d", i);
        lines[i] = text(words[i]);
    }
    for (int i = 0; i < 30; i++)
        change_ok(logged(r, &lines[i], 1));
    change_ok(logged(r, lines + 30, 100));
    is(row_n(1)->log_count, 100);
    bytes_are(row_n(1)->log[0].text, text("l30"));
    change_ok(logged(r, lines + 130, 70));
    const struct jobq_row *now = row_n(1);
    is(now->log_count, 100);
    for (size_t i = 0; i < 100; i++)
        bytes_are(now->log[i].text, lines[100 + i]);
    change_ok(logged(r, lines, 0)); /* none */
    is(row_n(1)->log_count, 100);
    change_ok(logged(r, lines, 230)); /* more than there is room for */
    now = row_n(1);
    is(now->log_count, 100);
    bytes_are(now->log[0].text, lines[130]);
    bytes_are(now->log[99].text, lines[229]);
}

static void any_bytes(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    static uint8_t all[2048];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)(i * 7);
    const struct jobq_bytes lines[] = { bytes(all, sizeof all), bytes("", 0), bytes(NULL, 0) };
    change_ok(logged(r, lines, 3));
    const struct jobq_row *now = row_n(1);
    is(now->log_count, 3);
    for (int i = 0; i < 3; i++)
        bytes_are(now->log[i].text, lines[i]);
}

static void refused_changes_add_nothing(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    const struct jobq_bytes line = text("late");
    struct jobq_change stale = logged(r, &line, 1);
    stale.token.bytes[0] ^= 1;
    is(change(&stale), JOBQ_STALE);
    struct jobq_change done = completed(r, "r");
    change_ok(done);
    done.set |= JOBQ_ADD_LOG;
    done.log = &line;
    done.log_count = 1;
    is(change(&done), JOBQ_ALREADY);
    struct jobq_change late = logged(r, &line, 1);
    is(change(&late), JOBQ_STALE);
    is(row_n(1)->log_count, 0);
}

/* By an operator too; over a redrive; away with the row. */
static void as_long_as_the_row(void)
{
    make(1, JOBQ_ROW_DEAD);
    const struct jobq_bytes line = text("seen");
    struct jobq_change c = by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_KEEP);
    c.set = JOBQ_ADD_LOG;
    c.log = &line;
    c.log_count = 1;
    change_ok(c);
    is(row_n(1)->log_count, 1);
    change_ok(by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    is(row_n(1)->log_count, 1);
    change_ok(by_operator(id(1), LIVE, JOBQ_ROW_GONE));
    put_ok(1);
    is(row_n(1)->log_count, 0);
    log_line(claim_n(1), "anew");
    is(row_n(1)->log_count, 1);
    bytes_are(row_n(1)->log[0].text, text("anew"));
}

/* Retention takes the log with the row. */
static void trimmed_with_the_row(void)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    log_line(r, "x");
    change_ok(completed(r, "r"));
    struct jobq_exchange x = { .size = sizeof x, .trim = { .limit = 10 } };
    make(2, JOBQ_ROW_RUNNING);
    struct jobq_change done = completed(row_n(2), "r");
    x.changes = &done;
    x.change_count = 1;
    go(me, &x);
    ok(!exists(1));
    put_ok(1);
    is(row_n(1)->log_count, 0);
    log_line(claim_n(1), "anew"); /* beside nothing that was left behind */
    is(row_n(1)->log_count, 1);
    bytes_are(row_n(1)->log[0].text, text("anew"));
}

static void only_when_asked_for(void)
{
    put_ok(1);
    log_line(claim_n(1), "x");
    const struct jobq_id ids[] = { id(1) };
    struct jobq_query query = { .size = sizeof query, .ids = ids, .id_count = 1, .limit = 1,
                                .flags = JOBQ_READ_ERRORS };
    is(store_table()->read(me->store, &query, me->arena, &me->err), JOBQ_OK);
    is(query.row_count, 1);
    is(query.rows[0].log_count, 0);
    query.flags = JOBQ_READ_LOG;
    is(store_table()->read(me->store, &query, me->arena, &me->err), JOBQ_OK);
    is(query.rows[0].log_count, 1);
    is(query.rows[0].error_count, 0);
}

/* Two with errors as well, so that whose a line is can be mixed up. */
static void copied(void)
{
    const struct jobq_row_error log[] = { { .attempt = 3, .at_ms = 5, .worker = text("w"), .text = text("one") },
                                          { .text = bytes("", 0) },
                                          { .attempt = 4, .at_ms = 6, .text = text("of another") } };
    const struct jobq_row_error error = { .attempt = 2, .kind = 1, .at_ms = 4, .text = text("boom") };
    struct jobq_item items[2] = { { .kind = JOBQ_ITEM_ROW }, { .kind = JOBQ_ITEM_ROW } };
    items[0].as.row.row = (struct jobq_row){ .id = id(7), .queue = text("q"), .kind = text("k"), .payload = text("p"),
                                             .payload_bytes = 1, .state = JOBQ_ROW_WAITING, .due = 1, .log = log,
                                             .log_count = 2, .errors = &error, .error_count = 1 };
    items[1] = items[0];
    items[1].as.row.row.id = id(8);
    items[1].as.row.row.log = log + 2;
    items[1].as.row.row.log_count = 1;
    is(load(items, 2), JOBQ_OK);
    is(row_n(7)->log_count, 2);
    is(row_n(7)->log[0].attempt, 3);
    is(row_n(7)->log[0].at_ms, 5);
    bytes_are(row_n(7)->log[0].worker, text("w"));
    bytes_are(row_n(7)->log[1].text, bytes("", 0));
    bytes_are(row_n(7)->log[1].worker, bytes(NULL, 0));
    is(row_n(8)->log_count, 1);
    is(row_n(8)->log[0].attempt, 4);
    bytes_are(row_n(8)->log[0].text, text("of another"));
    is(row_n(8)->error_count, 1);
    bytes_are(row_n(8)->errors[0].text, text("boom"));
    log_line(claim_n(7), "more");
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_ROW, .limit = 10, .bytes = 1 << 20 };
    dump(me, &page);
    is(page.item_count, 2);
    is(page.items[0].as.row.row.log_count, 3);
    bytes_are(page.items[0].as.row.row.log[2].text, text("more"));
    is(page.items[0].as.row.row.error_count, 1);
    is(page.items[1].as.row.row.log_count, 1);
    bytes_are(page.items[1].as.row.row.log[0].text, text("of another"));
}

static const struct test tests[] = {
    { .name = "all members of a line", .run = members, .needs = JOBQ_CAP_LOG },
    { .name = "several lines with an outcome, over attempts", .run = with_an_outcome, .needs = JOBQ_CAP_LOG },
    { .name = "the last hundred", .run = the_last_hundred, .needs = JOBQ_CAP_LOG },
    { .name = "any bytes (rule 15)", .run = any_bytes, .needs = JOBQ_CAP_LOG },
    { .name = "refused changes add nothing (rule 2)", .run = refused_changes_add_nothing, .needs = JOBQ_CAP_LOG },
    { .name = "as long as the row", .run = as_long_as_the_row, .needs = JOBQ_CAP_LOG },
    { .name = "retention takes it along (rule 14)", .run = trimmed_with_the_row, .needs = JOBQ_CAP_LOG },
    { .name = "read only when asked for", .run = only_when_asked_for, .needs = JOBQ_CAP_LOG,
      .flags = PLAIN_ONLY },
    { .name = "part of a copy", .run = copied, .needs = JOBQ_CAP_LOG | JOBQ_CAP_COPY },
};
const struct topic topic_log = TOPIC("log", tests);
