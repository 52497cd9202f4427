/* SPDX-License-Identifier: MIT */
/* `jobq serve`: becomes the dashboard, a program of its own, so that this one needs no HTTP library. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "help.h"

#define DASHBOARD "jobq-dashboard"

/* Take what is ours out of the arguments, which then are the dashboard's. Returns an exit code. */
static int take_own(struct cli *cli, int *argc, char **argv)
{
    int kept = 1, code = LEAVE_OK;

    for (int i = 1; i < *argc && code == LEAVE_OK; i++) {
        if (strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "--store") == 0) {
            code = i + 1 < *argc ? store_name(cli, argv[++i]) : leave_usage(cli, argv[i], "needs a value");
        } else if (strncmp(argv[i], "--store=", 8) == 0) {
            code = store_name(cli, argv[i] + 8);
        } else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            cli->helped = 1;
            help_command(cli, cli->command);
            return LEAVE_USAGE;
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return code;
}

int run_serve(struct cli *cli, int argc, char **argv)
{
    static char name[] = DASHBOARD;
    int code = take_own(cli, &argc, argv);

    if (code != LEAVE_OK || (code = store_locate(cli)) != LEAVE_OK) {
        return code;
    }
    /* Not as an argument: there may be a password in it. */
    if (setenv("JOBQ_STORE", cli->uri, 1) != 0 || unsetenv("JOBQ_STORE_FILE") != 0) {
        return leave_error(cli, JOBQ_NOMEM, "", "out of memory");
    }
    signal(SIGPIPE, SIG_DFL);
    argv[0] = name;
    execvp(name, argv);
    if (errno == ENOENT) {
        execv(JOBQ_LIBEXEC "/" DASHBOARD, argv);
    }
    if (errno != ENOENT) {
        return leave_error(cli, JOBQ_UNSUPPORTED, DASHBOARD, "cannot be run: %s", strerror(errno));
    }
    return leave_error(
        cli, JOBQ_UNSUPPORTED, DASHBOARD,
        "is neither on PATH nor in %s; it is built and installed with libjobq where libmicrohttpd and "
        "jansson are (apt-get install libmicrohttpd-dev libjansson-dev, then build and install again)",
        JOBQ_LIBEXEC);
}
