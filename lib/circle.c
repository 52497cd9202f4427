/* SPDX-License-Identifier: MIT */
/* Groups in turn: where a queue's circle stands, and the bytes in which a client carries that from want to want. */
#include <jobq/backend.h>

#include <stdbool.h>
#include <string.h>

#define LOOKS_MOST 64
#define PLACES_MOST 64
#define PLACE_HEAD 14 /* lengths of three names (65535: absent) and `given`, big endian */
#define ABSENT 65535u

static int order(struct jobq_bytes a, struct jobq_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int by_bytes = common ? memcmp(a.data, b.data, common) : 0;
    return by_bytes ? by_bytes : (a.size > b.size) - (a.size < b.size);
}

/* ---- the circle --------------------------------------------------------------------------------------- */

/* Does going on from turn->group to `group` come to, or past, the place where the fruitless looks began? */
static bool round_is_whole(const struct jobq_turn *turn, struct jobq_bytes group)
{
    if (!turn->since.data || !turn->group.data)
        return false;
    bool wraps = order(group, turn->group) <= 0;
    bool wrapped = order(turn->group, turn->since) < 0;
    if (wraps && wrapped)
        return true;
    return (wraps || wrapped) && order(group, turn->since) >= 0;
}

static bool goes_on(const struct jobq_turn *turn, struct jobq_bytes group)
{
    return turn->given > 0 && turn->group.data && order(group, turn->group) == 0;
}

int64_t jobq_turn_look(struct jobq_turn *turn, struct jobq_bytes group, int32_t share, int32_t *more)
{
    int64_t most = share > 1 ? share : 1;
    if (goes_on(turn, group))
        return turn->given < most ? most - turn->given : 1;
    if (round_is_whole(turn, group)) {
        turn->since = (struct jobq_bytes){ 0 };
        return 0;
    }
    if (turn->looks >= LOOKS_MOST) {
        *more = 1;
        return 0;
    }
    return most;
}

void jobq_turn_gave(struct jobq_turn *turn, struct jobq_bytes group, int64_t count, int32_t share, int cut)
{
    if (cut && count == 0)
        return; /* it was not its fault */
    int64_t in_turn = (goes_on(turn, group) ? turn->given : 0) + count;
    turn->given = cut && in_turn < share ? in_turn : 0;
    turn->group = group;
    if (count > 0) {
        turn->since = (struct jobq_bytes){ 0 };
        turn->looks = 0;
        return;
    }
    if (!turn->since.data)
        turn->since = group;
    turn->looks++;
}

/* ---- its bytes ---------------------------------------------------------------------------------------- */

static void write_number(uint8_t *at, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
}

static uint64_t read_number(const uint8_t *at, int bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return number;
}

/* Take a name off the bytes; false when they are too few. */
static bool read_name(struct jobq_bytes *left, size_t size, struct jobq_bytes *out)
{
    *out = (struct jobq_bytes){ 0 };
    if (size == ABSENT)
        return true;
    if (size > left->size)
        return false;
    *out = (struct jobq_bytes){ left->data, size };
    *left = (struct jobq_bytes){ (const uint8_t *)left->data + size, left->size - size };
    return true;
}

/* Take a place off the bytes; false at their end, or where they make no sense. */
static bool read_place(struct jobq_bytes *left, struct jobq_turn *out)
{
    const uint8_t *head = left->data;
    if (!head || left->size < PLACE_HEAD)
        return false;
    size_t queue = read_number(head, 2), group = read_number(head + 2, 2), since = read_number(head + 4, 2);
    uint64_t given = read_number(head + 6, 8);
    *out = (struct jobq_turn){ .given = given > INT32_MAX ? 0 : (int64_t)given };
    *left = (struct jobq_bytes){ head + PLACE_HEAD, left->size - PLACE_HEAD };
    return read_name(left, queue, &out->queue) && read_name(left, group, &out->group) &&
           read_name(left, since, &out->since) && out->queue.data && out->group.data;
}

void jobq_turn_begin(struct jobq_turn *turn, struct jobq_bytes cursor, struct jobq_bytes queue)
{
    for (int i = 0; i < PLACES_MOST && read_place(&cursor, turn); i++)
        if (order(turn->queue, queue) == 0) {
            turn->queue = queue;
            return;
        }
    *turn = (struct jobq_turn){ .queue = queue };
}

static size_t place_bytes(const struct jobq_turn *turn)
{
    return PLACE_HEAD + turn->queue.size + turn->group.size + turn->since.size;
}

static void write_name(uint8_t **at, uint8_t *head, struct jobq_bytes name)
{
    write_number(head, name.data ? name.size : ABSENT, 2);
    if (name.size)
        memcpy(*at, name.data, name.size);
    *at += name.size;
}

static void write_place(uint8_t **at, const struct jobq_turn *turn)
{
    uint8_t *head = *at;
    *at += PLACE_HEAD;
    write_name(at, head, turn->queue);
    write_name(at, head + 2, turn->group);
    write_name(at, head + 4, turn->since);
    write_number(head + 6, (uint64_t)turn->given, 8);
}

static bool is_new(const struct jobq_turn *turns, size_t count, struct jobq_bytes queue)
{
    for (size_t i = 0; i < count; i++)
        if (turns[i].group.data && order(turns[i].queue, queue) == 0)
            return true;
    return false;
}

/* The places to write: those of this want, then the older ones of other queues. */
static size_t choose(struct jobq_bytes old, const struct jobq_turn *turns, size_t count,
                     struct jobq_turn places[PLACES_MOST])
{
    struct jobq_turn place;
    size_t chosen = 0;
    for (size_t i = 0; i < count && chosen < PLACES_MOST; i++)
        if (turns[i].group.data)
            places[chosen++] = turns[i];
    for (int i = 0; i < PLACES_MOST && chosen < PLACES_MOST && read_place(&old, &place); i++)
        if (!is_new(turns, count, place.queue))
            places[chosen++] = place;
    return chosen;
}

int jobq_turn_cursor(struct jobq_arena *arena, struct jobq_bytes old, const struct jobq_turn *turns, size_t count,
                     struct jobq_bytes *out)
{
    struct jobq_turn places[PLACES_MOST];
    size_t chosen = choose(old, turns, count, places), bytes = 0;
    *out = (struct jobq_bytes){ 0 };
    for (size_t i = 0; i < chosen; i++)
        bytes += place_bytes(&places[i]);
    if (!chosen)
        return 0;
    uint8_t *at = jobq_arena_alloc(arena, bytes);
    if (!at)
        return -1;
    *out = (struct jobq_bytes){ at, bytes };
    for (size_t i = 0; i < chosen; i++)
        write_place(&at, &places[i]);
    return 0;
}
