/* SPDX-License-Identifier: MIT */
/* clock URI MS: moves the clock of a store forward, so that the tests need not wait. */
#include <jobq/jobq.h>
#include <jobq/sqlite.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct jobq *q = NULL;
    struct jobq_options options = {.size = sizeof options, .flags = JOBQ_OPEN_NO_CREATE};
    int status;

    if (argc != 3) {
        return 2;
    }
    status = jobq_open(&q, jobq_sqlite(), argv[1], &options);
    if (status == JOBQ_OK) {
        status = jobq_clock_advance(q, strtoll(argv[2], NULL, 10));
    }
    if (status != JOBQ_OK) {
        fprintf(stderr, "clock: %s\n", jobq_last_error()->text);
    }
    jobq_close(q);
    return status == JOBQ_OK ? 0 : 1;
}
