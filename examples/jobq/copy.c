/* SPDX-License-Identifier: MIT */
/* export, import: a namespace from one store to another. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "json.h"

/* No options of its own and at most one operand. */
static int operands(struct cli *cli, int argc, char **argv, int most)
{
    struct args args;

    args_begin(&args, cli, argc, argv, ":s:h", NULL);
    return args_next(&args) == ARGS_STOP ? LEAVE_USAGE : args_operands(&args, 0, most);
}

/* ---- export ---- */

static int to_stdout(void *user, const void *data, size_t bytes)
{
    (void)user;
    return fwrite(data, 1, bytes, stdout) == bytes ? 0 : -1;
}

/* Who works while it is copied changes what was copied already. */
static void warn_of_workers(struct cli *cli)
{
    struct jobq_stats *stats = NULL;
    uint64_t running = 0;

    if (jobq_stats(cli->q, NULL, &stats) < 0) {
        return;
    }
    for (size_t i = 0; i < stats->queue_count; i++) {
        running += stats->queues[i].present[JOBQ_RUNNING];
    }
    if (stats->worker_count > 0 || running > 0) {
        warn_text(cli,
                  "%zu workers are registered and %llu jobs are running; they run in the copy, too, once "
                  "their lease is past",
                  stats->worker_count, (unsigned long long)running);
    }
    jobq_stats_free(stats);
}

int run_export(struct cli *cli, int argc, char **argv)
{
    int code = operands(cli, argc, argv, 0);
    int status;

    if (code != LEAVE_OK || (code = store_open(cli)) != LEAVE_OK) {
        return code;
    }
    warn_of_workers(cli);
    cli->answered = 1;
    status = jobq_export(cli->q, to_stdout, NULL, NULL);
    if (ferror(stdout)) {
        return LEAVE_REFUSED; /* told at the end, as of every command */
    }
    return leave_status(cli, status, NULL);
}

/* ---- import ---- */

static int64_t from_fd(void *user, void *buffer, size_t room)
{
    const int *fd = user;
    ssize_t n;

    do {
        n = read(*fd, buffer, room);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void answer(struct cli *cli, const struct jobq_copied *copied)
{
    const struct {
        const char *name;
        uint64_t count;
    } figures[] = {{"jobs", copied->jobs},
                   {"keys", copied->keys},
                   {"settings", copied->settings},
                   {"schedules", copied->schedules},
                   {"already", copied->already}};
    struct json json;

    if (!cli->json) {
        cli->answered = 1;
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
            printf("%s%s %llu", i ? "\t" : "", figures[i].name, (unsigned long long)figures[i].count);
        }
        putchar('\n');
        return;
    }
    json = json_begin(cli);
    json_object(&json, NULL);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        json_uint(&json, figures[i].name, figures[i].count);
    }
    json_end(&json);
}

int run_import(struct cli *cli, int argc, char **argv)
{
    struct jobq_copied copied = {.size = sizeof copied};
    int code = operands(cli, argc, argv, 1);
    const char *name = code == LEAVE_OK && optind < argc ? argv[optind] : "-";
    int fd, status;

    if (code != LEAVE_OK) {
        return code;
    }
    fd = strcmp(name, "-") == 0 ? dup(0) : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return leave_usage(cli, "file", "cannot open '%s': %s", name, strerror(errno));
    }
    code = store_open(cli);
    if (code == LEAVE_OK) {
        status = jobq_import(cli->q, from_fd, &fd, &copied);
        if (status < 0 && copied.jobs + copied.keys + copied.settings + copied.schedules > 0) {
            warn_text(cli, "%llu jobs were taken before this; the whole may be repeated:",
                      (unsigned long long)copied.jobs);
        }
        if (status >= 0) {
            answer(cli, &copied);
        }
        code = leave_status(cli, status, NULL);
    }
    close(fd);
    return code;
}
