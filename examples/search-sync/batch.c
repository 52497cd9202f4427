/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINGER_MS   5   /* for others to join */
#define LOOK_MS     100 /* a wait for the index looks so often whether the worker ends */
#define PAUSES_MOST 30

struct slot {
    struct jobq_ctx *ctx;
    struct change change;
    struct item item;
    int done, folded;
};

int batch_init(struct batch *batch)
{
    pthread_condattr_t by;

    batch->reachable = -1;
    batch->client.give_up = &batch->give_up;
    if (pthread_condattr_init(&by) != 0)
        return -1;
    pthread_condattr_setclock(&by, CLOCK_MONOTONIC);
    int code = pthread_mutex_init(&batch->lock, NULL) || pthread_cond_init(&batch->changed, &by);
    pthread_condattr_destroy(&by);
    return code ? -1 : 0;
}

void batch_finish(struct batch *batch)
{
    pthread_cond_destroy(&batch->changed);
    pthread_mutex_destroy(&batch->lock);
}

void batch_give_up(struct batch *batch)
{
    atomic_store(&batch->give_up, 1);
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* ---- one request -------------------------------------------------------------------------------------- */

static int is_trouble(long status)
{
    return status < 100 || status == 401 || status == 403 || status == 408 || status == 429 || status >= 500;
}

static void set_verdicts(struct item *items, size_t count, enum verdict verdict, const char *why)
{
    for (size_t i = 0; i < count; i++) {
        items[i].verdict = verdict;
        snprintf(items[i].why, sizeof(items[i].why), "%s", why);
    }
}

static int send_items(struct batch *batch, struct item *items, size_t count, char trouble[256]);

/* The index says that it cannot read the whole: find out which of them it is about. */
static int send_each(struct batch *batch, struct item *items, size_t count, long status, char trouble[256])
{
    char why[64];
    int code = 0;

    snprintf(why, sizeof(why), "index: %ld for the request", status);
    if (count == 1)
        set_verdicts(items, 1, VERDICT_REJECTED, why);
    else
        for (size_t i = 0; i < count && code == 0; i++)
            code = send_items(batch, &items[i], 1, trouble);
    return code;
}

/* 0 when every item has its verdict; -1 when the index cannot be reached. */
static int send_items(struct batch *batch, struct item *items, size_t count, char trouble[256])
{
    char *body = request_body(items, count);
    struct client_answer answer;
    int code = 0;

    if (!body) {
        set_verdicts(items, count, VERDICT_LATER, "out of memory");
        return 0;
    }
    client_ask(&batch->client, "POST", "/_bulk", body, &answer);
    free(body);
    if (is_trouble(answer.status)) {
        snprintf(trouble, 256, "%s", answer.why);
        if (answer.status)
            snprintf(trouble, 256, "it answered %ld", answer.status);
        code = -1;
    } else if (answer.status != 200) {
        code = send_each(batch, items, count, answer.status, trouble);
    } else if (request_verdicts(items, count, answer.body, answer.size) != 0) {
        set_verdicts(items, count, VERDICT_LATER, "index: an answer that does not belong to the request");
    }
    client_answer_free(&answer);
    return code;
}

/* Deletions leave their versions behind for an hour: so long may a consumer hang with an old change in hand.
 * An index that is there already answers 400. 0 or -1. */
static int prepare(struct batch *batch, char trouble[256])
{
    for (const struct change_table *t = change_tables; t->name && !batch->prepared; t++) {
        struct client_answer answer;
        char path[300], body[1000];
        snprintf(path, sizeof(path), "/%s", t->name);
        snprintf(body, sizeof(body), "{\"settings\":{\"index\":{\"gc_deletes\":\"1h\"}}%s%s}",
                 t->mappings ? ",\"mappings\":" : "", t->mappings ? t->mappings : "");
        client_ask(&batch->client, "PUT", path, body, &answer);
        client_answer_free(&answer);
        if (is_trouble(answer.status)) {
            snprintf(trouble, 256, "%s", answer.why);
            if (answer.status)
                snprintf(trouble, 256, "it answered %ld", answer.status);
            return -1;
        }
    }
    batch->prepared = 1;
    return 0;
}

/* ---- until it is answered ------------------------------------------------------------------------------ */

static int is_ending(struct batch *batch, struct slot *const *slots)
{
    return atomic_load(&batch->give_up) || (jobq_ctx_flags(slots[0]->ctx) & JOBQ_CTX_STOPPING);
}

/* 0 when the time is over, -1 when the worker ends. Under the lock. */
static int wait_for_index(struct batch *batch, struct slot *const *slots, int64_t ms)
{
    struct timespec end = in_ms(ms), now = in_ms(0);

    while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec)) {
        struct timespec look = in_ms(LOOK_MS);
        if (is_ending(batch, slots))
            return -1;
        pthread_cond_timedwait(&batch->changed, &batch->lock, &look);
        now = in_ms(0);
    }
    return 0;
}

static void note_trouble(struct batch *batch, struct slot *const *slots, size_t count, const char *trouble)
{
    char line[400];
    int size = snprintf(line, sizeof(line), "the index cannot be reached: %.256s", trouble);

    if (batch->reachable != 0)
        fprintf(stderr, "jobq-search-sync: %s\n", line);
    for (size_t i = 0; i < count; i++)
        jobq_ctx_log(slots[i]->ctx, line, (size_t)size);
    batch->reachable = 0;
    batch->unreachable++;
    snprintf(batch->trouble, sizeof(batch->trouble), "%.255s", trouble);
}

static void note_answer(struct batch *batch)
{
    if (batch->reachable == 0)
        fprintf(stderr, "jobq-search-sync: the index answers again\n");
    batch->reachable = 1;
    batch->trouble[0] = '\0';
}

/* Under the lock, which is let go while a request is under way. */
static void send_until_answered(struct batch *batch, struct slot *const *slots, size_t count,
                                struct item *items, size_t sent)
{
    char trouble[256] = "";

    for (int64_t pause = 1;; pause = 2 * pause < PAUSES_MOST ? 2 * pause : PAUSES_MOST) {
        pthread_mutex_unlock(&batch->lock);
        int code = prepare(batch, trouble);
        if (code == 0)
            code = send_items(batch, items, sent, trouble);
        pthread_mutex_lock(&batch->lock);
        batch->requests++;
        if (code == 0) {
            note_answer(batch);
            return;
        }
        set_verdicts(items, sent, VERDICT_NONE, "");
        if (is_ending(batch, slots))
            return;
        note_trouble(batch, slots, count, trouble);
        if (wait_for_index(batch, slots, pause * batch->pause_ms) != 0)
            return;
    }
}

/* ---- a batch ------------------------------------------------------------------------------------------- */

/* Sends the newest change of each record. What becomes of it becomes of the older ones, too; but of one that
 * the index will not have they are no part, and stay in `slots`. Returns how many stay. Under the lock. */
static size_t send_newest(struct batch *batch, struct slot **slots, size_t count)
{
    const struct change *changes[BATCH_MOST] = {NULL};
    struct item items[BATCH_MOST];
    size_t newest[BATCH_MOST], place[BATCH_MOST], sent = 0, left = 0;

    for (size_t i = 0; i < count; i++)
        changes[i] = &slots[i]->change;
    change_fold(changes, count, newest);
    for (size_t i = 0; i < count; i++)
        if (newest[i] == i) {
            place[i] = sent;
            items[sent++] = (struct item){.change = changes[i]};
        }
    send_until_answered(batch, slots, count, items, sent);
    batch->sent += sent;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = slots[i];
        slot->item = items[place[newest[i]]];
        slot->folded = newest[i] != i;
        if (slot->folded && slot->item.verdict == VERDICT_REJECTED) {
            slots[left++] = slot;
            continue;
        }
        slot->done = 1;
        batch->folded += (uint64_t)slot->folded;
        batch->older += slot->item.verdict == VERDICT_OLDER;
    }
    return left;
}

/* The first one waits for others, then takes all that came. Under the lock. */
static void lead(struct batch *batch)
{
    struct timespec end = in_ms(LINGER_MS);
    struct slot *slots[BATCH_MOST];
    size_t count;

    batch->sending = 1;
    while (batch->count < batch->most && pthread_cond_timedwait(&batch->changed, &batch->lock, &end) == 0)
        ;
    count = batch->count < batch->most ? batch->count : batch->most;
    memcpy(slots, batch->waiting, count * sizeof(*slots));
    batch->count -= count;
    memmove(batch->waiting, batch->waiting + count, batch->count * sizeof(*slots));
    while (count)
        count = send_newest(batch, slots, count);
    batch->sending = 0;
    pthread_cond_broadcast(&batch->changed);
}

static void join(struct batch *batch, struct slot *slot)
{
    pthread_mutex_lock(&batch->lock);
    batch->waiting[batch->count++] = slot; /* there are no more threads than places */
    pthread_cond_broadcast(&batch->changed);
    while (!slot->done) {
        if (!batch->sending && batch->waiting[0] == slot)
            lead(batch);
        else
            pthread_cond_wait(&batch->changed, &batch->lock);
    }
    pthread_mutex_unlock(&batch->lock);
}

static int outcome_of(struct slot *slot)
{
    static const char older[] = "{\"result\":\"older than what the index has\"}",
                      folded[] = "{\"result\":\"folded\"}";

    switch (slot->item.verdict) {
    case VERDICT_DONE:
        if (slot->folded)
            jobq_ctx_result(slot->ctx, folded, sizeof(folded) - 1);
        return JOBQ_DONE;
    case VERDICT_OLDER:
        jobq_ctx_result(slot->ctx, older, sizeof(older) - 1);
        return JOBQ_DONE;
    case VERDICT_NONE:
        return JOBQ_RELEASE;
    default:
        jobq_ctx_error(slot->ctx, slot->item.why, strlen(slot->item.why));
        return slot->item.verdict == VERDICT_LATER ? JOBQ_RETRY : JOBQ_GIVE_UP;
    }
}

int batch_handle(struct jobq_ctx *ctx, void *user)
{
    struct slot slot = {.ctx = ctx};
    char why[CHANGE_WHY];
    int outcome;

    if (change_read(jobq_ctx_job(ctx)->payload, &slot.change, why) != 0) {
        jobq_ctx_error(ctx, why, strlen(why));
        return JOBQ_GIVE_UP;
    }
    join(user, &slot);
    outcome = outcome_of(&slot);
    change_free(&slot.change);
    return outcome;
}
