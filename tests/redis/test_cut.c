/* SPDX-License-Identifier: MIT */
/* The connection ends at every byte, on the way there and on the way back (S11, S16, R2): what is FAILED did not happen, what
 * is UNKNOWN may have, and the same request again tells the truth. Between store and server stands a proxy that passes so
 * many bytes and then closes. */
#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct proxy {
    pthread_t thread;
    const char *server;
    int listener, port;
    _Atomic long there, back; /* bytes still to pass; negative: all */
    _Atomic long passed_there, passed_back;
    _Atomic bool stop;
};

static int connect_server(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%.100s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        abort();
    return fd;
}

/* Pass what is there as far as the budget allows. false: the end. */
static bool pass(int from, int to, _Atomic long *budget, _Atomic long *passed)
{
    char buffer[4096];
    long most = atomic_load(budget);
    size_t room = most < 0 || most > (long)sizeof buffer ? sizeof buffer : (size_t)most;
    if (room == 0)
        return false;
    ssize_t got = recv(from, buffer, room, 0);
    if (got <= 0)
        return false;
    if (most >= 0)
        atomic_fetch_sub(budget, got);
    atomic_fetch_add(passed, got);
    return send(to, buffer, (size_t)got, MSG_NOSIGNAL) == got && (most < 0 || most > got);
}

static void serve(struct proxy *p, int client)
{
    int server = connect_server(p->server);
    struct pollfd fds[] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
    bool going = true;
    while (going && !atomic_load(&p->stop)) {
        if (poll(fds, 2, 50) <= 0)
            continue;
        if (fds[0].revents)
            going = pass(client, server, &p->there, &p->passed_there);
        if (going && fds[1].revents)
            going = pass(server, client, &p->back, &p->passed_back);
    }
    close(client);
    close(server);
}

static void *run(void *user)
{
    struct proxy *p = user;
    while (!atomic_load(&p->stop)) {
        struct pollfd fd = { .fd = p->listener, .events = POLLIN };
        int client = poll(&fd, 1, 50) > 0 ? accept(p->listener, NULL, NULL) : -1;
        if (client >= 0)
            serve(p, client);
    }
    return NULL;
}

static void proxy_begin(struct proxy *p, const char *server)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    *p = (struct proxy){ .server = server, .there = -1, .back = -1 };
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(p->listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(p->listener, 8) != 0 ||
        getsockname(p->listener, (struct sockaddr *)&at, &size) != 0)
        abort();
    p->port = ntohs(at.sin_port);
    pthread_create(&p->thread, NULL, run, p);
}

static void proxy_end(struct proxy *p)
{
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    close(p->listener);
}

static void allow(struct proxy *p, long there, long back)
{
    atomic_store(&p->there, there);
    atomic_store(&p->back, back);
}

/* How many bytes one put takes there and back, on a connection that is made already and knows its script. */
static void measure(struct kit *k, struct proxy *p, struct jobq_store *store, long *there, long *back)
{
    int verdict;
    ck_assert_int_eq(kit_put_as(k, store, 0, 1, 10, &verdict), JOBQ_OK);
    long a = atomic_load(&p->passed_there), b = atomic_load(&p->passed_back);
    ck_assert_int_eq(kit_put_as(k, store, 0, 2, 10, &verdict), JOBQ_OK);
    *there = atomic_load(&p->passed_there) - a;
    *back = atomic_load(&p->passed_back) - b;
}

/* Cut after so many bytes; then the same request again. */
static int cut(struct kit *k, struct proxy *p, struct jobq_store *store, uint32_t id, long there, long back)
{
    int verdict;
    uint64_t number = ++k->number;
    size_t before = kit_count(k, k->store);
    ck_assert_int_eq(kit_put_as(k, store, 0, id + 100000, 10, &verdict), JOBQ_OK); /* connected, with its script */
    number = ++k->number;
    allow(p, there, back);
    int unit = kit_put_as(k, store, number, id, 10, &verdict);
    allow(p, -1, -1);
    size_t after = kit_count(k, k->store);
    ck_assert_int_ne(unit, JOBQ_OK);
    ck_assert(unit == JOBQ_UNKNOWN || after == before + 1); /* FAILED: certainly not */
    ck_assert_int_eq(kit_put_as(k, store, number, id, 10, &verdict), JOBQ_OK);
    ck_assert_int_eq(verdict, JOBQ_OK); /* the receipt says what the first one did, ALREADY would be a second try */
    ck_assert_uint_eq(kit_count(k, k->store), before + 2);
    return unit;
}

START_TEST(at_every_byte)
{
    struct kit k;
    struct proxy p;
    struct jobq_store *store;
    char uri[64];
    long there, back, failed = 0, unknown = 0, step = getenv("JOBQ_TEST_FULL") ? 1 : 3;
    kit_begin(&k, NULL);
    proxy_begin(&p, k.server.socket);
    snprintf(uri, sizeof uri, "redis://127.0.0.1:%d", p.port);
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_OK);
    measure(&k, &p, store, &there, &back);
    ck_assert_int_gt(there, 100);
    ck_assert_int_gt(back, 20);
    for (long i = 1; i < there; i += step) {
        int unit = cut(&k, &p, store, (uint32_t)(1000 + i), i, -1);
        failed += unit == JOBQ_FAILED;
        unknown += unit == JOBQ_UNKNOWN;
    }
    for (long i = 1; i < back; i++)
        ck_assert_int_eq(cut(&k, &p, store, (uint32_t)(5000 + i), -1, i), JOBQ_UNKNOWN);
    printf("# %ld bytes there, %ld back; cut there: %ld failed, %ld unknown\n", there, back, failed, unknown);
    jobq_redis()->close(store);
    proxy_end(&p);
    kit_end(&k);
}
END_TEST

/* While it connects and logs in: always FAILED, and the next call works. */
START_TEST(while_connecting)
{
    struct kit k;
    struct proxy p;
    struct jobq_store *store = NULL;
    char uri[64];
    int opened = 0;
    kit_begin(&k, NULL);
    proxy_begin(&p, k.server.socket);
    snprintf(uri, sizeof uri, "redis://127.0.0.1:%d/3", p.port);
    for (long i = 1; i < 60 && !opened; i += 7) {
        allow(&p, i, -1);
        int status = kit_open(&k, uri, 0, &store);
        allow(&p, -1, -1);
        ck_assert_msg(status == JOBQ_UNREACHABLE, "%d: %s", status, k.err.text);
        ck_assert_ptr_null(store);
    }
    ck_assert_int_eq(kit_open(&k, uri, 0, &store), JOBQ_OK);
    jobq_redis()->close(store);
    proxy_end(&p);
    kit_end(&k);
}
END_TEST

KIT_MAIN("redis-cut", getenv("JOBQ_TEST_FULL") ? 1200 : 120, at_every_byte, while_connecting)
