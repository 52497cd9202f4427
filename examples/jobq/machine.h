/* SPDX-License-Identifier: MIT */
/* What doctor finds out about the machine rather than from the store. */
#ifndef JOBQ_CLI_MACHINE_H
#define JOBQ_CLI_MACHINE_H

#include <stddef.h>
#include <sys/types.h>

/* A process that has a deleted file of the store's name open: it works on another store than who opens the
 * name. */
struct holder {
    pid_t pid;
    char name[32];
    int log_only; /* it is the write-ahead log that was deleted, not the file */
};

struct machine {
    char *path; /* of the store's file, absolute; NULL when it has none */
    struct holder holders[16];
    size_t holder_count;
    long fs_magic;    /* of statfs; 0 when there is no file */
    char fs_type[64]; /* as the table of mounts names it; "" unknown */
    char zones[512];  /* where time zones were looked for */
    int zones_missing;
};

/* `file` is the store's, NULL for none. Frees nothing and fails at nothing: what cannot be found out is left
 * empty. */
void machine_look(struct machine *machine, const char *file);
void machine_free(struct machine *machine);

#endif
