/* SPDX-License-Identifier: MIT */
/* What every command of `jobq` shares: the store that was named, how to answer, how to leave. */
#ifndef JOBQ_CLI_H
#define JOBQ_CLI_H

#include <jobq/jobq.h>

/* Exit codes; the manual page promises them. */
enum leave {
    LEAVE_OK = 0,
    LEAVE_REFUSED = 1,   /* the job failed, or the store refused: stale, limited, full, held */
    LEAVE_USAGE = 2,     /* bad arguments or bad input */
    LEAVE_NOT_FOUND = 3, /* no such job */
    LEAVE_STORE = 4,     /* the store cannot be reached or cannot be used */
    LEAVE_TIME = 5,      /* the time is over */
    LEAVE_UNKNOWN = 6    /* the outcome is not known: repeat with the printed id */
};

#define MS_MAX    ((int64_t)1 << 53)
#define BYTES_MAX ((size_t)64 << 20)

struct command;

struct cli {
    const struct command *command;
    const char *uri; /* the store's; NULL until it is known; lent */
    char *uri_owned; /* what uri points to when it had to be copied or read from a file */
    char *uri_shown; /* the same with stars for a password; set by store_locate */
    int uri_given;   /* it came from the command line, so that a suggested command has to repeat it */
    int json;        /* --json */
    int answered;    /* something is on stdout already */
    int stdin_taken; /* by a first "-" */
    int helped;      /* --help was answered: there is nothing else to do */
    int64_t retry_ms; /* after JOBQ_LIMITED: come back after so long; told with the error */
    struct jobq_options options;
    struct jobq *q;
};

/* Where a command's store comes from when it is not there. */
enum store_need { STORE_NONE, STORE_MAKE, STORE_EXISTING, STORE_OWN };

struct command {
    const char *name, *alias;
    const char *operands; /* after the name in the usage line */
    const char *summary;  /* one line */
    const char *details;  /* options, one a line */
    int (*run)(struct cli *cli, int argc, char **argv);
    enum store_need need;
};

/* The table, ended by an entry without a name. */
extern const struct command commands[];

/* The command of that name or alias, or NULL. */
const struct command *command_find(const char *name);

/* ---- leaving (leave.c) ---- */

/* Bad arguments: names the field. Returns LEAVE_USAGE. */
int leave_usage(struct cli *cli, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The library's last error, told to people on stderr and, with --json, as an object on stdout; `id` may be
 * NULL. Returns the exit code that belongs to `status`; LEAVE_OK and no word for one that is no error. */
int leave_status(struct cli *cli, int status, const struct jobq_id *id);

/* The same for an error that the command found by itself. */
int leave_error(struct cli *cli, int status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The exit code for a status, without a word. */
int leave_code(int status);

/* Flush stdout; `code`, or LEAVE_REFUSED with a word when the answer could not be written. */
int leave_flushed(struct cli *cli, int code);

/* A warning on stderr. */
void warn_text(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the store (store.c) ---- */

/* Take a URI (or @FILE) of the command line: copied, and a password in it overwritten where others could see
 * it. */
int store_name(struct cli *cli, char *argument);

/* Open the store that -s, $JOBQ_STORE or $JOBQ_STORE_FILE name, as the command needs it. Returns an exit
 * code. */
int store_open(struct cli *cli);

/* The same for a command whose need depends on its arguments. */
int store_open_as(struct cli *cli, enum store_need need);

/* As store_open, with these flags of enum jobq_open_flags and without a word when it cannot be opened:
 * *status is the library's code. Returns an exit code, not LEAVE_OK when no store is named or there is none
 * of that kind. */
int store_try(struct cli *cli, uint32_t flags, int *status);

/* Find out the URI without opening. Returns an exit code. */
int store_locate(struct cli *cli);

/* The file of a sqlite: URI, to be freed; NULL for another store or without memory. */
char *store_file(const char *uri);

/* Close and free what belongs to the store. */
void store_close(struct cli *cli);

/* Stores of this build, for `version`: name by name, NULL at the end. */
const char *store_built(size_t index);

/* ---- commands ---- */
int run_enqueue(struct cli *cli, int argc, char **argv);
int run_claim(struct cli *cli, int argc, char **argv);
int run_ack(struct cli *cli, int argc, char **argv);
int run_fail(struct cli *cli, int argc, char **argv);
int run_extend(struct cli *cli, int argc, char **argv);
int run_release(struct cli *cli, int argc, char **argv);
int run_snooze(struct cli *cli, int argc, char **argv);
int run_progress(struct cli *cli, int argc, char **argv);
int run_callback(struct cli *cli, int argc, char **argv);
int run_park(struct cli *cli, int argc, char **argv);
int run_unpark(struct cli *cli, int argc, char **argv);
int run_work(struct cli *cli, int argc, char **argv);
int run_show(struct cli *cli, int argc, char **argv);
int run_health(struct cli *cli, int argc, char **argv);
int run_metrics(struct cli *cli, int argc, char **argv);
int run_events(struct cli *cli, int argc, char **argv);
int run_explain(struct cli *cli, int argc, char **argv);
int run_list(struct cli *cli, int argc, char **argv);
int run_wait(struct cli *cli, int argc, char **argv);
int run_stats(struct cli *cli, int argc, char **argv);
int run_queues(struct cli *cli, int argc, char **argv);
int run_cancel(struct cli *cli, int argc, char **argv);
int run_redrive(struct cli *cli, int argc, char **argv);
int run_drop(struct cli *cli, int argc, char **argv);
int run_unhold(struct cli *cli, int argc, char **argv);
int run_purge(struct cli *cli, int argc, char **argv);
int run_pause(struct cli *cli, int argc, char **argv);
int run_resume(struct cli *cli, int argc, char **argv);
int run_sweep(struct cli *cli, int argc, char **argv);
int run_stop(struct cli *cli, int argc, char **argv);
int run_retention(struct cli *cli, int argc, char **argv);
int run_log(struct cli *cli, int argc, char **argv);
int run_drain(struct cli *cli, int argc, char **argv);
int run_limit(struct cli *cli, int argc, char **argv);
int run_top(struct cli *cli, int argc, char **argv);
int run_outbox(struct cli *cli, int argc, char **argv);
int run_migrate(struct cli *cli, int argc, char **argv);
int run_bench(struct cli *cli, int argc, char **argv);
int run_serve(struct cli *cli, int argc, char **argv);
int run_dead(struct cli *cli, int argc, char **argv);
int run_schedule(struct cli *cli, int argc, char **argv);
int run_export(struct cli *cli, int argc, char **argv);
int run_import(struct cli *cli, int argc, char **argv);
int run_doctor(struct cli *cli, int argc, char **argv);
int run_version(struct cli *cli, int argc, char **argv);
int run_help(struct cli *cli, int argc, char **argv);

#endif
