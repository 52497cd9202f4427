/* SPDX-License-Identifier: MIT */
/* Nominal times on request, for the oracle beside this. A line in: ZONE GAP FOLD FROM-S UNTIL-S EXPRESSION, where gap and
 * fold are 0, 1 or - (as the expression says). A line out: the times in (from, until], or "!" and the error. */
#include "cron.h"
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool choose(const char *word, bool otherwise)
{
    return *word == '-' ? otherwise : *word == '1';
}

static void answer(const char *zone, const char *gap, const char *fold, int64_t from, int64_t until, const char *text)
{
    struct timing t = { .every_ms = 0 };

    if (cron_parse(text, &t.cron) != JOBQ_OK || zone_load(zone, &t.zone) != JOBQ_OK) {
        printf("! %s\n", jobq_last_error()->text);
        return;
    }
    t.gap_runs = choose(gap, !t.cron.runs_through);
    t.fold_both = choose(fold, t.cron.runs_through);
    for (int64_t at = from * 1000; (at = timing_next(&t, at)) <= until * 1000;)
        printf("%lld ", (long long)(at / 1000));
    putchar('\n');
    zone_free(t.zone);
}

int main(void)
{
    char line[1024];

    while (fgets(line, sizeof line, stdin)) {
        char zone[64], gap[8], fold[8];
        long long from, until;
        int used = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%63s %7s %7s %lld %lld %n", zone, gap, fold, &from, &until, &used) != 5)
            return EXIT_FAILURE;
        answer(zone, gap, fold, from, until, line + used);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
