/* SPDX-License-Identifier: MIT */
/* An export of more rows than are looked up at once, some of which go meanwhile: in order of arrival, each once. */
#include "kit.h"

#include <string.h>

#define ROWS 33000 /* more than dump.c finds at once */

static void put_rows(void)
{
    sql("INSERT INTO @.queue (name, known) VALUES ('q', true)");
    sql("INSERT INTO @.job (id, queue, kind, payload, payload_bytes, run_at, rank_add, created_at, priority, state, shelf, place)"
        " SELECT gen_random_uuid(), q.id, 'k', convert_to(i::text, 'UTF8'), octet_length(i::text), 1000, 0, 1000, 0, 2, 1, 1000"
        " FROM @.queue AS q, generate_series(1, %d) AS i", ROWS);
}

static int number_of(struct jobq_bytes payload)
{
    int number = 0;
    for (size_t i = 0; i < payload.size; i++)
        number = 10 * number + ((const char *)payload.data)[i] - '0';
    return number;
}

START_TEST(in_order_of_arrival)
{
    struct jobq_store *s = store_open(uri_with(""));
    char place[64];
    struct jobq_dump page = { .size = sizeof page, .kind = JOBQ_ITEM_ROW, .limit = 1000, .bytes = 4000000 };
    int newest = 0, seen = 0;
    put_rows();
    for (bool more = true; more;) {
        struct jobq_arena *arena = jobq_arena_create();
        ck_assert_msg(jobq_postgres()->dump(s, &page, arena, &last) == JOBQ_OK, "%s", last.text);
        for (size_t i = 0; i < page.item_count; i++, seen++) {
            int number = number_of(page.items[i].as.row.row.payload);
            ck_assert_int_gt(number, newest);
            newest = number;
        }
        more = page.item_count > 0;
        if (more) {
            ck_assert_uint_le(page.last.size, sizeof place);
            memcpy(place, page.last.data, page.last.size);
            page.after = (struct jobq_bytes){ place, page.last.size };
        }
        jobq_arena_destroy(arena);
        if (seen == 2000) /* a whole page and more of what was found already */
            sql("DELETE FROM @.job AS j WHERE convert_from(j.payload, 'UTF8')::integer BETWEEN 5001 AND 8000");
    }
    ck_assert_int_eq(newest, ROWS);
    ck_assert_int_eq(seen, ROWS - 3000);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres copy", in_order_of_arrival)
