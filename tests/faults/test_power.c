/* SPDX-License-Identifier: MIT */
/*
 * Power loss (S1, S16): a run of calls is noted with every write and sync that SQLite makes. Then the power goes at points of
 * it, and the files are made that the disk may hold: with the writes that were not synced lost, torn, reordered or turned into
 * noise. Each is opened with the library, which must find, byte for byte, the store as it was
 *
 *   full    after the last call that was answered, or after the one that was under way
 *   normal  after some call: the newest may be gone, without a hole
 *
 * sound for SQLite, and fit for work. The same with a disk that lies about its syncs must be caught, or nothing is proved.
 *
 *   --mode M     full or normal
 *   --images N   how many; JOBQ_TEST_FULL=1 makes five times as many
 *   --seed N     default: of the day's date; it is printed
 */
#include "disk.h"
#include "store.h"

#include <jobq/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CALLS 220

static char folder[64], other[64];
static const char *mode = "full";
static bool quiet;

/* ---- the store with a clock in our hand ------------------------------------------------------------------------- */

static int64_t clock_ms = 1700000000000;

static int64_t hand_ms(void *user)
{
    (void)user;
    return clock_ms;
}

static int hand_boot(void *user, char out[40])
{
    (void)user;
    strcpy(out, "00000000-0000-0000-0000-000000000001");
    return 0;
}

static int open_by_hand(struct jobq_store **out, const struct jobq_store_options *options, struct jobq_error *err)
{
    const struct clock_source source = { hand_ms, hand_ms, hand_boot, NULL };
    return sq_open_with(out, options, &source, err);
}

static int open_in(const char *where, struct jobq **q)
{
    static struct jobq_backend table;
    char uri[128];
    table = *jobq_sqlite();
    table.open = open_by_hand;
    snprintf(uri, sizeof uri, "sqlite:%s/store.db?synchronous=%s", where, mode);
    return jobq_open(q, &table, uri, NULL);
}

/* What is stored, as a number that other contents do not have. */
static int digest(void *user, const void *data, size_t bytes)
{
    uint64_t *sum = user;
    for (size_t i = 0; i < bytes; i++)
        *sum = (*sum ^ ((const uint8_t *)data)[i]) * UINT64_C(1099511628211);
    return 0;
}

static uint64_t stored(struct jobq *q)
{
    uint64_t sum = UINT64_C(14695981039346656037);
    return jobq_export(q, digest, &sum, NULL) == JOBQ_OK ? sum : 0;
}

/* ---- the run -------------------------------------------------------------------------------------------------------- */

static struct {
    size_t began, ended; /* in notes */
    uint64_t after;      /* digest */
    int64_t clock_ms;
} calls_made[CALLS + 1]; /* 0: the store was opened */

static struct jobq_id id_of(uint32_t number)
{
    struct jobq_id id = { .bytes = { 1 } };
    memcpy(id.bytes + 8, &number, sizeof number);
    return id;
}

static void must(int status, const char *what)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, jobq_last_error()->text);
    abort();
}

static int put_one(struct jobq *q, uint32_t number, struct disk *dice)
{
    static uint8_t payload[40000];
    const struct jobq_id id = id_of(number);
    const struct jobq_parent parent = { .id = id_of(number - 1) };
    struct jobq_spec spec = { .size = sizeof spec, .queue = number % 3 ? "a" : "b", .id = &id, .group = "tenant" };
    struct jobq_enqueued out = { .size = sizeof out };
    spec.payload = (struct jobq_bytes){ payload, disk_roll(dice) % 8 ? disk_roll(dice) % 900 : sizeof payload };
    memset(payload, 'a' + (int)(number % 26), sizeof payload);
    if (number % 5 == 0) {
        spec.key = (struct jobq_bytes){ "key", 3 };
        spec.key_conflict = JOBQ_CONFLICT_REPLACE;
    } else if (number % 7 == 1) {
        spec.parents = &parent;
        spec.parent_count = 1;
    }
    int status = jobq_enqueue(q, &spec, &out);
    return status == JOBQ_NO_PARENT ? JOBQ_OK : status;
}

struct held {
    struct jobq_id id;
    struct jobq_token token;
    bool is;
};

static int claim_one(struct jobq *q, struct held *held)
{
    static const char *const queues[] = { "a", "b" };
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 2,
                                                .flags = JOBQ_NO_SWEEP, .lease_ms = 86400000, .worker = "w" };
    struct jobq_jobs *jobs;
    int status = jobq_claim(q, &options, &jobs);
    held->is = status == JOBQ_OK && jobs->count == 1;
    if (held->is) {
        held->id = jobs->jobs[0].id;
        held->token = jobs->jobs[0].token;
    }
    jobq_jobs_free(jobs);
    return status;
}

static int end_one(struct jobq *q, const struct held *held, uint64_t dice)
{
    const struct jobq_failure failure = { .size = sizeof failure, .text = { "broken", 6 }, .permanent = dice % 2 };
    switch (dice % 5) {
    case 0:
        return jobq_fail(q, &held->id, &held->token, &failure);
    case 1:
        return jobq_release(q, &held->id, &held->token);
    case 2:
        return jobq_progress(q, &held->id, &held->token, "half", 4);
    default:
        return jobq_ack(q, &held->id, &held->token, "result", 6);
    }
}

static void one_call(struct jobq **q, uint32_t number, struct held *held, struct disk *dice)
{
    uint64_t roll = disk_roll(dice) % 10;
    if (number % 70 == 0) { /* a process ends and another one begins: the log is copied and removed */
        jobq_close(*q);
        must(open_in(folder, q), "open again");
    } else if (roll < 5) {
        must(put_one(*q, number, dice), "put");
    } else if (held->is && roll < 8) {
        must(end_one(*q, held, disk_roll(dice)), "end");
        held->is = false;
    } else {
        must(claim_one(*q, held), "claim");
    }
}

static void record(uint64_t seed)
{
    struct jobq *q;
    struct disk dice = { .dice = seed | 1 };
    struct held held = { .is = false };
    size_t count;
    vfs_notes_begin(folder);
    must(open_in(folder, &q), "open");
    for (uint32_t i = 0; i <= CALLS; i++) {
        vfs_notes(&calls_made[i].began);
        if (i > 0)
            one_call(&q, i, &held, &dice);
        else
            calls_made[i].began = 0;
        vfs_notes(&calls_made[i].ended);
        calls_made[i].after = stored(q);
        calls_made[i].clock_ms = clock_ms;
        clock_ms += 10;
        vfs_notes(&count);
        if (count != calls_made[i].ended && i < CALLS) /* reading writes nothing */
            abort();
    }
    jobq_close(q);
}

/* ---- the images -------------------------------------------------------------------------------------------------------- */

static int is_ok(void *good, int count, char **values, char **names)
{
    (void)names;
    *(bool *)good = count == 1 && strcmp(values[0], "ok") == 0;
    return 0;
}

static bool sound(void)
{
    char path[96];
    sqlite3 *db;
    bool good = false;
    snprintf(path, sizeof path, "%s/store.db", other);
    if (sqlite3_open(path, &db) == SQLITE_OK)
        sqlite3_exec(db, "PRAGMA integrity_check", is_ok, &good, NULL);
    sqlite3_close(db);
    return good;
}

/* The newest call that was answered when `at` notes were made; -1: not even the store was open. */
static int answered(size_t at)
{
    int last = -1;
    for (int i = 0; i <= CALLS && calls_made[i].ended <= at; i++)
        last = i;
    return last;
}

static bool allowed(uint64_t found, int last, size_t at)
{
    int newest = last < CALLS && calls_made[last + 1].began <= at ? last + 1 : last;
    int oldest = strcmp(mode, "normal") == 0 ? 0 : last;
    for (int i = newest; i >= oldest && i >= 0; i--)
        if (calls_made[i].after == found)
            return true;
    return false;
}

static bool works(struct jobq *q)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "a" };
    struct held held;
    return jobq_enqueue(q, &spec, NULL) == JOBQ_OK && claim_one(q, &held) == JOBQ_OK && held.is &&
           jobq_ack(q, &held.id, &held.token, NULL, 0) == JOBQ_OK;
}

static bool complain(const char *what, const struct disk *disk, enum loss loss)
{
    if (!quiet)
        fprintf(stderr, "power lost after note %zu, kind %d: %s: %s\n", disk->at, (int)loss, what,
                jobq_last_error()->text);
    return false;
}

static void remove_files(const char *where)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    char name[96];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s/store.db%s", where, ends[i]);
        unlink(name);
    }
}

static bool check_image(struct disk *disk, enum loss loss)
{
    struct jobq *q;
    int last = answered(disk->at);
    remove_files(other); /* also the index of the log, which is memory */
    disk_image(disk, loss, other);
    clock_ms = calls_made[last < 0 ? 0 : last].clock_ms;
    if (open_in(other, &q) != JOBQ_OK)
        return complain("it cannot be opened", disk, loss);
    bool good = last < 0 || allowed(stored(q), last, disk->at) || complain("what is in it is no state of the run", disk, loss);
    good = good && (works(q) || complain("it does not work", disk, loss));
    jobq_close(q);
    return good && (sound() || complain("integrity_check", disk, loss));
}

/* Images at points all over the run; how many were wrong. */
static long make_images(long images, uint64_t seed, bool lies)
{
    struct disk disk = { .dice = seed | 1, .lies = lies };
    size_t count;
    long wrong = 0, made = 0;
    disk.ops = vfs_notes(&count);
    disk.files[0].there = true; /* the store's file is made beside SQLite, empty; its name is the first that is noted */
    while (disk.at < count) {
        disk_step(&disk);
        while (made < images && (uint64_t)made * count < (uint64_t)images * disk.at)
            wrong += !check_image(&disk, (enum loss)(made++ % LOSS_COUNT));
    }
    disk_free(&disk);
    return wrong;
}

int main(int argc, char **argv)
{
    long images = 400, seed = (long)(time(NULL) / 86400);
    size_t notes;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--images") == 0)
            images = strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtol(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--mode") == 0)
            mode = argv[i + 1];
    }
    if (getenv("JOBQ_TEST_FULL"))
        images *= 5;
    strcpy(folder, "/dev/shm/jobq-power-XXXXXX");
    strcpy(other, "/dev/shm/jobq-image-XXXXXX");
    if (!mkdtemp(folder) || !mkdtemp(other))
        return 2;
    vfs_begin();
    record((uint64_t)seed);
    vfs_notes(&notes);
    long wrong = make_images(images, (uint64_t)seed, false);
    printf("%s 1 - %ld images, %ld wrong\n", wrong ? "not ok" : "ok", images, wrong);
    quiet = true;
    long lied = strcmp(mode, "full") == 0 ? make_images(images / 10 + 10, (uint64_t)seed, true) : 1;
    printf("%s 2 - a disk that lies is caught: %ld\n1..2\n", lied ? "ok" : "not ok", lied);
    printf("# %s: %d calls, %zu notes, %ld images; seed %ld\n", mode, CALLS, notes, images, seed);
    vfs_notes_end();
    remove_files(folder);
    remove_files(other);
    rmdir(folder);
    rmdir(other);
    return wrong || !lied;
}
