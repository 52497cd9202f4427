/* SPDX-License-Identifier: MIT */
/* Clients that send their request byte by byte, and one that does not. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

#define DRIBBLING  500
#define OF_ADDRESS 20
#define WAIT_MS    120000

static void answer(void *user, const struct http_request *request, struct http_reply *reply)
{
    (void)user;
    (void)request;
    reply->status = 200;
    reply->body = json_pack("{s:b}", "ok", 1);
}

static const struct http_route routes[] = {
    {"GET", "/", 0, answer, 0}, {"POST", "/", 100, answer, 0}, {NULL, NULL, 0, NULL, 0}};

static int client_from(const char *from, const struct http_server *server, const char *text)
{
    struct sockaddr_storage address, own;
    socklen_t size;
    const char *why;
    int fd;

    ck_assert_int_eq(http_parse_address(from, &own, &size, &why), 0);
    ck_assert_int_eq(http_parse_address(http_address(server), &address, &size, &why), 0);
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&own, size), 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, size), 0);
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL); /* it may be closed already */
    return fd;
}

static int client(const struct http_server *server, const char *text)
{
    return client_from("127.0.0.1:0", server, text);
}

static int reads(int fd, char *out, size_t room)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    ck_assert_int_eq(poll(&poll_fd, 1, WAIT_MS), 1);
    return (int)recv(fd, out, room, 0);
}

/* Sends a byte each turn, until the other side has closed. */
static void dribble(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char text[512];
    int waited = 0;

    while (poll(&poll_fd, 1, 50) == 0) {
        (void)!send(fd, "a", 1, MSG_NOSIGNAL);
        ck_assert_int_lt(waited += 50, WAIT_MS);
    }
    while (recv(fd, text, sizeof(text), 0) > 0)
        continue;
    close(fd);
}

START_TEST(a_slow_request_is_cut_and_others_are_answered)
{
    const struct http_mount mounts[] = {{"", routes, NULL}, {NULL, NULL, NULL}};
    const struct http_options options = {
        .listen = "127.0.0.1:0", .mounts = mounts, .head_ms = 2000, .body_ms = 2000};
    const char *why = "", *starts[] = {"GET / HTTP/1.1\r\nX",
                                       "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                       "Content-Length: 99\r\n\r\n{"};
    struct http_server *server = http_start(&options, &why);
    int slow[DRIBBLING], good;
    char text[512];

    ck_assert_msg(server != NULL, "%s", why);
    for (int i = 0; i < DRIBBLING; i++)
        slow[i] = client(server, starts[i % 2]);
    good = client(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_gt(reads(good, text, sizeof(text)), 15);
    ck_assert_int_eq(memcmp(text, "HTTP/1.1 200 OK", 15), 0);
    close(good);
    for (int i = 0; i < DRIBBLING; i++)
        dribble(slow[i]);
    good = client(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_gt(reads(good, text, sizeof(text)), 15);
    close(good);
    http_stop(server);
}
END_TEST

static int is_answered(int fd)
{
    char text[512];
    int is = reads(fd, text, sizeof(text)) > 15 && memcmp(text, "HTTP/1.1 200 OK", 15) == 0;

    close(fd);
    return is;
}

/* Of those that say nothing more, how many stay open? The others are closed at once. */
static int left_open(const int *fds, int count)
{
    int closed = 0, most = count - OF_ADDRESS;

    for (int waited = 0; closed < most && waited < WAIT_MS; waited += 20) {
        struct pollfd poll_fds[3 * OF_ADDRESS];
        for (int i = 0; i < count; i++)
            poll_fds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        closed = poll(poll_fds, (nfds_t)count, 0);
        poll(NULL, 0, 20);
    }
    return count - closed;
}

START_TEST(one_address_leaves_room_for_others)
{
    static const char begun[] = "GET / HTTP/1.1\r\nX", whole[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const struct http_mount mounts[] = {{"", routes, NULL}, {NULL, NULL, NULL}};
    const struct http_options options = {
        .listen = "127.0.0.1:0", .mounts = mounts, .head_ms = WAIT_MS, .address_most = OF_ADDRESS};
    const char *why = "";
    struct http_server *server = http_start(&options, &why);
    int held[3 * OF_ADDRESS], answered = 0;

    ck_assert_msg(server != NULL, "%s", why);
    for (int i = 0; i < 3 * OF_ADDRESS; i++)
        held[i] = client(server, begun);
    ck_assert_int_eq(left_open(held, 3 * OF_ADDRESS), OF_ADDRESS);
    ck_assert(is_answered(client_from("127.0.0.2:0", server, whole)));
    ck_assert(!is_answered(client(server, whole)));
    for (int i = 0; i < 3 * OF_ADDRESS; i++)
        close(held[i]);
    for (int waited = 0; !answered && waited < WAIT_MS; waited += 20) {
        answered = is_answered(client(server, whole));
        poll(NULL, 0, 20);
    }
    ck_assert(answered);
    http_stop(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slow");
    TCase *cases = tcase_create("slow");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, a_slow_request_is_cut_and_others_are_answered);
    tcase_add_test(cases, one_address_leaves_room_for_others);
    suite_add_tcase(suite, cases);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
