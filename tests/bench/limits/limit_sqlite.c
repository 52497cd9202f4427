/* SPDX-License-Identifier: MIT */
/* What bare prepared statements reach on the least table that could be a queue: one index, no tokens, no
 * retries. usage: limit-sqlite FILE full|normal SECONDS JOBS FIGURE...    figures: insert-N             N a
 * transaction drain-N              ack of N and the next claim of N in one transaction pickup               a
 * datagram wakes another process, which claims bytes                size of the file per waiting job */
#include "../bench.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static sqlite3 *db;
static sqlite3_stmt *begin, *commit, *insert, *pick, *take, *remove_one;
static const char *file, *mode;
static double seconds;
static uint64_t jobs, serial;

static void must(int rc, const char *what)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static void run(sqlite3_stmt *s)
{
    must(sqlite3_step(s), sqlite3_sql(s));
    sqlite3_reset(s);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *s;

    must(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL), sql);
    return s;
}

static void open_file(void)
{
    char sync[64];

    must(sqlite3_open(file, &db), "open");
    sqlite3_busy_timeout(db, 10000);
    snprintf(sync, sizeof sync, "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s", mode);
    must(sqlite3_exec(db, sync, NULL, NULL, NULL), sync);
    must(sqlite3_exec(
             db,
             "CREATE TABLE IF NOT EXISTS job(id INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
             " run_at INTEGER NOT NULL, lease INTEGER NOT NULL, attempt INTEGER NOT NULL, payload BLOB"
             " NOT NULL); CREATE INDEX IF NOT EXISTS ready ON job(run_at) WHERE state = 0",
             NULL, NULL, NULL),
         "schema");
    begin = prepare("BEGIN IMMEDIATE");
    commit = prepare("COMMIT");
    insert = prepare("INSERT INTO job(state, run_at, lease, attempt, payload) VALUES(0, ?1, 0, 0, ?2)");
    pick = prepare("SELECT id, payload FROM job WHERE state = 0 AND run_at <= ?1 ORDER BY run_at LIMIT ?2");
    take = prepare("UPDATE job SET state = 1, lease = ?2, attempt = attempt + 1 WHERE id = ?1");
    remove_one = prepare("DELETE FROM job WHERE id = ?1");
}

static void close_file(void)
{
    sqlite3_stmt *all[] = {begin, commit, insert, pick, take, remove_one};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(db);
}

static void fresh(void)
{
    char name[512];

    unlink(file);
    snprintf(name, sizeof name, "%s-wal", file);
    unlink(name);
    snprintf(name, sizeof name, "%s-shm", file);
    unlink(name);
    open_file();
}

static void put(void)
{
    char payload[BENCH_PAYLOAD + 1];

    bench_payload(payload, ++serial);
    sqlite3_bind_int64(insert, 1, (int64_t)serial);
    sqlite3_bind_blob(insert, 2, payload, BENCH_PAYLOAD, SQLITE_STATIC);
    run(insert);
}

static void put_batch(int batch)
{
    run(begin);
    for (int i = 0; i < batch; i++)
        put();
    run(commit);
}

static double measure_insert(int batch)
{
    double start = bench_now(), end;
    uint64_t count = 0;

    do {
        if (batch == 1)
            put();
        else
            put_batch(batch);
        count += (uint64_t)batch;
        end = bench_now();
    } while (end - start < seconds);
    return (double)count / (end - start);
}

static void fill(void)
{
    for (uint64_t i = 0; i < jobs; i += 1000)
        put_batch(1000);
}

static int claim(int batch, int64_t *ids)
{
    int count = 0;

    sqlite3_bind_int64(pick, 1, INT64_MAX);
    sqlite3_bind_int(pick, 2, batch);
    while (sqlite3_step(pick) == SQLITE_ROW) {
        (void)sqlite3_column_blob(pick, 1);
        ids[count++] = sqlite3_column_int64(pick, 0);
    }
    sqlite3_reset(pick);
    for (int i = 0; i < count; i++) {
        sqlite3_bind_int64(take, 1, ids[i]);
        sqlite3_bind_int64(take, 2, 1);
        run(take);
    }
    return count;
}

/* Acks and the next claim in one transaction. */
static double measure_drain(int batch)
{
    int64_t ids[1000];
    uint64_t count = 0;
    int held = 0;
    double start, end;

    fill();
    start = bench_now();
    do {
        run(begin);
        for (int i = 0; i < held; i++) {
            sqlite3_bind_int64(remove_one, 1, ids[i]);
            run(remove_one);
        }
        count += (uint64_t)held;
        held = claim(batch, ids);
        run(commit);
        end = bench_now();
    } while (held && end - start < seconds);
    return (double)count / (end - start);
}

/* Another process waits on a datagram and claims; from before the insert to the claimed row. */
static void picker(int wake, int answer)
{
    int64_t ids[1];
    char byte;

    open_file();
    while (recv(wake, &byte, 1, 0) == 1) {
        run(begin);
        int got = claim(1, ids);
        run(commit);
        double now = bench_now();
        if (got && write(answer, &now, sizeof now) != sizeof now)
            break;
    }
    _exit(0);
}

static void print_pickup(void)
{
    int wake[2], answer[2];
    double took[BENCH_PICKUPS], claimed;

    close_file();
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, wake) != 0 || pipe(answer) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        close(wake[0]);
        picker(wake[1], answer[1]);
    }
    close(wake[1]);
    open_file();
    for (int i = 0; i < BENCH_PICKUPS; i++) {
        bench_rest(0.005);
        double start = bench_now();
        put();
        if (send(wake[0], "x", 1, 0) != 1 || read(answer[0], &claimed, sizeof claimed) != sizeof claimed)
            exit(1);
        took[i] = (claimed - start) * 1000;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(wake[0]);
    bench_print_pickup(took, BENCH_PICKUPS);
}

static void print_bytes(void)
{
    sqlite3_stmt *pages, *page;

    fill();
    pages = prepare("PRAGMA page_count");
    page = prepare("PRAGMA page_size");
    must(sqlite3_step(pages), "page_count");
    must(sqlite3_step(page), "page_size");
    bench_print("bytes",
                (double)(sqlite3_column_int64(pages, 0) * sqlite3_column_int64(page, 0)) /
                    (double)((jobs + 999) / 1000 * 1000),
                "bytes");
    sqlite3_finalize(pages);
    sqlite3_finalize(page);
}

static int measure(const char *figure)
{
    int batch;

    if (sscanf(figure, "insert-%d", &batch) == 1)
        bench_print(figure, measure_insert(batch), "jobs/s");
    else if (sscanf(figure, "drain-%d", &batch) == 1)
        bench_print(figure, measure_drain(batch), "jobs/s");
    else if (strcmp(figure, "pickup") == 0)
        print_pickup();
    else if (strcmp(figure, "bytes") == 0)
        print_bytes();
    else
        return 2;
    return 0;
}

int main(int argc, char **argv)
{
    int rc = argc < 6 ? 2 : 0;

    if (rc == 0) {
        file = argv[1];
        mode = argv[2];
        seconds = atof(argv[3]);
        jobs = (uint64_t)atoll(argv[4]);
    }
    for (int i = 5; i < argc && rc == 0; i++) {
        fresh();
        rc = measure(argv[i]);
        close_file();
    }
    return rc;
}
