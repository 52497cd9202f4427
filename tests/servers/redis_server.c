/* SPDX-License-Identifier: MIT */
#include "redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MOST 40

static void give_up(const char *what)
{
    fprintf(stderr, "no private Redis: %s\n", what);
    printf("Bail out! no private Redis: %s\n", what);
    exit(1);
}

static void run(const struct redis_server *server, char *const *arguments, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || chdir(server->folder) != 0)
        _exit(1);
    int log = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    const char *named = getenv("JOBQ_REDIS_SERVER");
    if (named)
        execvp(named, arguments);
    execvp("redis-server", arguments);
    execvp("valkey-server", arguments);
    dprintf(2, "redis-server: %s\n", strerror(errno));
    _exit(127);
}

static void await(struct redis_server *server)
{
    for (int i = 0; i < 1000; i++) {
        int status;
        redisContext *c = redisConnectUnix(server->socket);
        redisReply *pong = c && !c->err ? redisCommand(c, "PING") : NULL;
        bool up = pong && pong->type != REDIS_REPLY_ERROR;
        /* One that wants a password is up as well. */
        up |= pong && strncmp(pong->str, "NOAUTH", 6) == 0;
        freeReplyObject(pong);
        if (c)
            redisFree(c);
        if (up)
            return;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid)
            give_up(WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "neither redis-server nor valkey-server is installed"
                                                                   : "it ended at once");
        usleep(5000);
    }
    give_up("it does not answer");
}

static void start(struct redis_server *server, const char *const *more)
{
    char port[16];
    const char *arguments[ARGUMENTS_MOST] = { "redis-server", "--unixsocket", server->socket, "--save", "",
                                              "--appendonly", "no", "--databases", "16", "--daemonize", "no", "--port", port };
    size_t count = 13;
    snprintf(port, sizeof port, "%d", server->port);
    for (; more && *more && count < ARGUMENTS_MOST - 1; more++)
        arguments[count++] = *more;
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid == 0)
        run(server, (char *const *)(uintptr_t)arguments, parent);
    if (server->pid < 0)
        give_up(strerror(errno));
    await(server);
}

static void make_folder(struct redis_server *server)
{
    *server = (struct redis_server){ .pid = -1 };
    strcpy(server->folder, "/tmp/jobq-redis-XXXXXX");
    if (!mkdtemp(server->folder))
        give_up(strerror(errno));
    snprintf(server->socket, sizeof server->socket, "%s/s", server->folder);
}

void redis_server_start(struct redis_server *server, const char *const *arguments)
{
    make_folder(server);
    start(server, arguments);
}

/* Free a moment ago: nobody else on this machine takes ports at random from this range at the same time. */
static int free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        give_up(strerror(errno));
    close(fd);
    return ntohs(at.sin_port);
}

void redis_server_start_tcp(struct redis_server *server, const char *const *arguments)
{
    make_folder(server);
    server->port = free_port();
    start(server, arguments);
}

static void own_slot_of(const struct redis_server *server, const char *name)
{
    redisReply *slot = redis_server_ask(server, "CLUSTER KEYSLOT {%s}", name);
    if (slot->type != REDIS_REPLY_INTEGER)
        give_up(slot->str);
    redis_server_do(server, "CLUSTER ADDSLOTS %lld", slot->integer);
    freeReplyObject(slot);
}

/* It takes a moment until it believes that it may be written to. */
static void await_cluster(const struct redis_server *server)
{
    for (int i = 0; i < 6000; i++) {
        redisReply *info = redis_server_ask(server, "CLUSTER INFO");
        bool up = info->type == REDIS_REPLY_STRING && strstr(info->str, "cluster_state:ok") != NULL;
        freeReplyObject(info);
        if (up)
            return;
        usleep(10000);
    }
    give_up("its cluster is not up");
}

void redis_server_start_cluster(struct redis_server *server, const char *const *names)
{
    char bus[16];
    const char *const arguments[] = { "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no",
                                      "--cluster-port", bus, NULL };
    make_folder(server);
    server->port = free_port();
    int other = free_port();
    while (other == server->port)
        other = free_port();
    snprintf(bus, sizeof bus, "%d", other);
    start(server, arguments);
    for (; *names; names++)
        own_slot_of(server, *names);
    await_cluster(server);
}

static void end(struct redis_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = -1;
}

void redis_server_restart(struct redis_server *server, const char *const *arguments)
{
    end(server);
    start(server, arguments);
}

void redis_server_stop(struct redis_server *server)
{
    static const char *const files[] = { "s", "log", "dump.rdb", "appendonlydir", "nodes.conf" };
    char name[128];
    end(server);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(name, sizeof name, "%s/%s", server->folder, files[i]);
        remove(name);
    }
    rmdir(server->folder);
}

static redisReply *ask(const struct redis_server *server, const char *format, va_list args)
{
    redisContext *c = redisConnectUnix(server->socket);
    redisReply *reply = c && !c->err ? redisvCommand(c, format, args) : NULL;
    if (!reply)
        give_up(c ? c->errstr : "out of memory");
    redisFree(c);
    return reply;
}

redisReply *redis_server_ask(const struct redis_server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(server, format, args);
    va_end(args);
    return reply;
}

void redis_server_do(const struct redis_server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(server, format, args);
    va_end(args);
    if (reply->type == REDIS_REPLY_ERROR)
        give_up(reply->str);
    freeReplyObject(reply);
}
