/* SPDX-License-Identifier: MIT */
/* clock URI MS: moves the clock of a SQLite store, so that tests need not wait for it. */
#include <jobq/jobq.h>
#include <jobq/sqlite.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct jobq *q = NULL;
    int status = argc == 3 ? jobq_open(&q, jobq_sqlite(), argv[1], NULL) : JOBQ_INVALID;

    if (status == JOBQ_OK)
        status = jobq_clock_advance(q, strtoll(argv[2], NULL, 10));
    if (status == JOBQ_OK)
        jobq_wake(q);
    if (status < 0)
        fprintf(stderr, "clock: %s\n", jobq_last_error()->text);
    jobq_close(q);
    return status < 0;
}
