/* SPDX-License-Identifier: MIT */
/* jobq-video-step: one analysis step over one file, one JSON object on standard output. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media.h"
#include "progress.h"
#include "report.h"
#include "step.h"

enum { EXIT_DONE = 0, EXIT_STEP_FAILED = 1, EXIT_USAGE = 2 };

#define DEFAULT_TIME_LIMIT_S 300
#define MAX_TIME_LIMIT_S 86400
#define DEFAULT_MEMORY_LIMIT_MIB 2048
#define MAX_MEMORY_LIMIT_MIB (1 << 20)

static const struct step_kind *const kinds[] = { &step_probe, &step_quality, &step_sound, &step_speech,
                                                 &step_emotion };

static const char usage_text[] =
    "usage: jobq-video-step [OPTIONS] STEP FILE\n"
    "  STEP                 probe, quality, sound, speech or emotion\n"
    "  --time-limit S       for each program it runs, in seconds (default 300)\n"
    "  --memory-limit MIB   for each program it runs (default 2048)\n"
    "  --model FILE         a model for the emotion step, with its description in FILE.json\n"
    "Prints one JSON object; its \"status\" is ok, skipped, not_available or failed.\n"
    "Exit status: 0 unless failed (1) or called wrongly (2). With JOBQ_PROGRESS_FD=N in the environment,\n"
    "lines \"DONE TOTAL UNIT\" are written to descriptor N.\n";

static int usage(const char *problem)
{
    if (problem)
        fprintf(stderr, "jobq-video-step: %s\n", problem);
    fputs(usage_text, stderr);
    return EXIT_USAGE;
}

static const struct step_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static int parse_limit(const char *text, long max, long *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtol(text, &end, 10);
    return errno || end == text || *end || *out < 1 || *out > max ? -1 : 0;
}

static int print_report(const struct step *step)
{
    int failed = json_dumpf(step->report, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));

    if (failed || putchar('\n') == EOF || fflush(stdout) != 0) {
        fprintf(stderr, "jobq-video-step: the result could not be written: %s\n", strerror(errno));
        return EXIT_STEP_FAILED;
    }
    return report_has_failed(step) ? EXIT_STEP_FAILED : EXIT_DONE;
}

static int run_step(struct step *step, const struct step_kind *kind)
{
    int status;

    step->report = report_create(kind->name);
    if (!step->report) {
        fputs("jobq-video-step: out of memory\n", stderr);
        return EXIT_STEP_FAILED;
    }
    if (!kind->needs_media || media_open(step) == 0)
        kind->run(step);
    status = print_report(step);
    media_close(step);
    json_decref(step->report);
    return status;
}

/* Returns 0, 1 when only help was asked for, or -1 after saying what is wrong. */
static int parse_options(int argc, char **argv, struct step *step)
{
    static const struct option options[] = {
        { "time-limit", required_argument, NULL, 't' },   { "memory-limit", required_argument, NULL, 'm' },
        { "model", required_argument, NULL, 'M' },        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    long number = 0;
    int option;

    while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage_text, stdout);
            return 1;
        } else if (option == 'M') {
            step->model = optarg;
        } else if (option == 't' && parse_limit(optarg, MAX_TIME_LIMIT_S, &number) == 0) {
            step->time_limit_ms = (int64_t)number * 1000;
        } else if (option == 'm' && parse_limit(optarg, MAX_MEMORY_LIMIT_MIB, &number) == 0) {
            step->memory_limit_bytes = (size_t)number << 20;
        } else {
            usage(option == 't' ? "--time-limit: a number of seconds from 1 to 86400"
                  : option == 'm' ? "--memory-limit: a number of MiB from 1 to 1048576" : NULL);
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct step step = {
        .time_limit_ms = DEFAULT_TIME_LIMIT_S * 1000,
        .memory_limit_bytes = (size_t)DEFAULT_MEMORY_LIMIT_MIB << 20,
        .progress_fd = progress_open(),
    };
    const struct step_kind *kind;
    int parsed = parse_options(argc, argv, &step);

    signal(SIGPIPE, SIG_IGN);
    if (parsed != 0)
        return parsed > 0 ? EXIT_DONE : EXIT_USAGE;
    if (argc - optind != 2)
        return usage("a step and a file are needed");
    kind = find_kind(argv[optind]);
    if (!kind)
        return usage("no such step");
    step.path = argv[optind + 1];
    return run_step(&step, kind);
}
