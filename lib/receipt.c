/* SPDX-License-Identifier: MIT */
/* What a handle remembers of its newest request, so that the same number again answers the same. */
#include <jobq/backend.h>

#include <stdlib.h>
#include <string.h>

struct beat_answer {
    size_t held, first_mark, mark_count;
};

struct change_answer {
    int32_t verdict, stale;
    struct jobq_id holder;
    int64_t lease_until_ms;
};

struct put_answer {
    int32_t verdict, state, shown, same_payload;
    struct jobq_id holder;
    int64_t retry_ms;
};

/* An array that keeps its room from one request to the next. */
struct list {
    void *items;
    size_t count, room;
};

struct jobq_receipt {
    uint8_t client[16];
    uint64_t number;
    int32_t want_unit, want_more, stop_asked;
    struct jobq_token token;
    struct list beats, marks, changes, puts, ids;
};

void jobq_receipt_free(struct jobq_receipt *receipt)
{
    if (!receipt)
        return;
    free(receipt->beats.items);
    free(receipt->marks.items);
    free(receipt->changes.items);
    free(receipt->puts.items);
    free(receipt->ids.items);
    free(receipt);
}

static int list_fit(struct list *list, size_t count, size_t item_bytes)
{
    if (count > list->room) {
        void *items = realloc(list->items, count * item_bytes);
        if (!items)
            return -1;
        list->items = items;
        list->room = count;
    }
    list->count = count;
    return 0;
}

static size_t count_marks(const struct jobq_exchange *x)
{
    size_t count = 0;
    for (size_t i = 0; i < x->beat_count; i++)
        count += x->beats[i].mark_count;
    return count;
}

/* A mark without what it points at: the memory behind it ends with the answer. */
static struct jobq_row numbers_of(const struct jobq_row *row)
{
    struct jobq_row copy = *row;
    copy.queue = copy.kind = copy.group = copy.worker = (struct jobq_bytes){ 0 };
    copy.payload = copy.policy = copy.key = copy.result = (struct jobq_bytes){ 0 };
    copy.progress = copy.data = copy.trace = (struct jobq_bytes){ 0 };
    copy.errors = copy.log = NULL;
    copy.error_count = 0;
    copy.parents = copy.children = NULL;
    copy.parent_count = copy.child_count = 0;
    return copy;
}

static int keep_beats(struct jobq_receipt *receipt, const struct jobq_exchange *x)
{
    if (list_fit(&receipt->beats, x->beat_count, sizeof(struct beat_answer)) != 0 ||
        list_fit(&receipt->marks, count_marks(x), sizeof(struct jobq_row)) != 0)
        return -1;
    struct beat_answer *beats = receipt->beats.items;
    struct jobq_row *marks = receipt->marks.items;
    size_t used = 0;
    for (size_t i = 0; i < x->beat_count; i++) {
        const struct jobq_beat *beat = &x->beats[i];
        beats[i] = (struct beat_answer){ .held = beat->held, .first_mark = used, .mark_count = beat->mark_count };
        for (size_t m = 0; m < beat->mark_count; m++)
            marks[used++] = numbers_of(&beat->marks[m]);
    }
    return 0;
}

static int keep_changes(struct jobq_receipt *receipt, const struct jobq_exchange *x)
{
    if (list_fit(&receipt->changes, x->change_count, sizeof(struct change_answer)) != 0)
        return -1;
    struct change_answer *changes = receipt->changes.items;
    for (size_t i = 0; i < x->change_count; i++) {
        const struct jobq_change *change = &x->changes[i];
        changes[i] = (struct change_answer){ .verdict = change->verdict, .stale = change->stale,
                                             .holder = change->holder, .lease_until_ms = change->lease_until_ms };
    }
    return 0;
}

static int keep_puts(struct jobq_receipt *receipt, const struct jobq_exchange *x)
{
    if (list_fit(&receipt->puts, x->put_count, sizeof(struct put_answer)) != 0)
        return -1;
    struct put_answer *puts = receipt->puts.items;
    for (size_t i = 0; i < x->put_count; i++) {
        const struct jobq_put *put = &x->puts[i];
        puts[i] = (struct put_answer){ .verdict = put->verdict, .state = put->state, .shown = put->shown,
                                       .same_payload = put->same_payload, .holder = put->holder,
                                       .retry_ms = put->retry_ms };
    }
    return 0;
}

static int keep_want(struct jobq_receipt *receipt, const struct jobq_want *want)
{
    if (list_fit(&receipt->ids, want ? want->row_count : 0, sizeof(struct jobq_id)) != 0)
        return -1;
    if (!want)
        return 0;
    struct jobq_id *ids = receipt->ids.items;
    size_t used = 0;
    for (size_t i = 0; i < want->row_count; i++)
        if (want->rows[i].state == JOBQ_ROW_RUNNING)
            ids[used++] = want->rows[i].id;
    receipt->ids.count = used;
    receipt->token = want->token;
    receipt->want_more = want->more;
    return 0;
}

struct jobq_receipt *jobq_receipt_keep(struct jobq_receipt *receipt, const struct jobq_exchange *x)
{
    if (x->number == 0)
        return receipt;
    if (!receipt)
        receipt = calloc(1, sizeof *receipt);
    if (!receipt)
        return NULL;
    if (keep_beats(receipt, x) != 0 || keep_changes(receipt, x) != 0 || keep_puts(receipt, x) != 0 ||
        keep_want(receipt, x->want) != 0) {
        jobq_receipt_free(receipt);
        return NULL;
    }
    memcpy(receipt->client, x->client, sizeof receipt->client);
    receipt->number = x->number;
    receipt->want_unit = x->want_unit;
    receipt->stop_asked = x->worker ? x->worker->stop_asked : 0;
    return receipt;
}

static void answer_beats(const struct jobq_receipt *receipt, struct jobq_exchange *x)
{
    const struct beat_answer *beats = receipt->beats.items;
    const struct jobq_row *marks = receipt->marks.items;
    for (size_t i = 0; i < x->beat_count; i++) {
        x->beats[i].held = beats[i].held;
        x->beats[i].mark_count = beats[i].mark_count;
        x->beats[i].marks = beats[i].mark_count ? marks + beats[i].first_mark : NULL;
    }
}

static void answer_changes(const struct jobq_receipt *receipt, struct jobq_exchange *x)
{
    const struct change_answer *changes = receipt->changes.items;
    for (size_t i = 0; i < x->change_count; i++) {
        struct jobq_change *change = &x->changes[i];
        change->verdict = changes[i].verdict;
        change->stale = changes[i].stale;
        change->holder = changes[i].holder;
        change->lease_until_ms = changes[i].lease_until_ms;
        change->row = NULL;
    }
}

static void answer_puts(const struct jobq_receipt *receipt, struct jobq_exchange *x)
{
    const struct put_answer *puts = receipt->puts.items;
    for (size_t i = 0; i < x->put_count; i++) {
        struct jobq_put *put = &x->puts[i];
        put->verdict = puts[i].verdict;
        put->state = puts[i].state;
        put->shown = puts[i].shown;
        put->same_payload = puts[i].same_payload;
        put->holder = puts[i].holder;
        put->retry_ms = puts[i].retry_ms;
    }
}

int jobq_receipt_answer(const struct jobq_receipt *receipt, struct jobq_exchange *x, const struct jobq_id **ids,
                        size_t *count, struct jobq_token *token)
{
    if (!receipt || x->number == 0 || receipt->number != x->number ||
        memcmp(receipt->client, x->client, sizeof x->client) != 0)
        return 0;
    *ids = receipt->ids.items;
    *count = receipt->ids.count;
    *token = receipt->token;
    /* The same number for something else is a mistake of the caller; doing it now would be worse than refusing. */
    int same = receipt->beats.count == x->beat_count && receipt->changes.count == x->change_count &&
               receipt->puts.count == x->put_count;
    x->unit = same ? JOBQ_OK : JOBQ_FAILED;
    x->want_unit = same ? receipt->want_unit : JOBQ_SKIPPED;
    if (!same) {
        x->failure = JOBQ_FAILURE_REFUSED;
        *count = 0;
        return 1;
    }
    answer_beats(receipt, x);
    answer_changes(receipt, x);
    answer_puts(receipt, x);
    if (x->worker)
        x->worker->stop_asked = receipt->stop_asked;
    if (x->want) {
        x->want->more = receipt->want_more;
        x->want->schedules = NULL; /* given to whoever asks next, until a tick moves them */
        x->want->schedule_count = 0;
    }
    return 1;
}
