/* SPDX-License-Identifier: MIT */
/* What doctor concludes. Pure: facts in, findings out. */
#ifndef JOBQ_CLI_FINDINGS_H
#define JOBQ_CLI_FINDINGS_H

#include <jobq/jobq.h>

#include "machine.h"

struct finding {
    const char *name;           /* of its kind, such as "paused" */
    const char *fact, *command; /* lent to the sink */
};

struct facts {
    const struct machine *machine;
    const struct jobq_stats *stats; /* NULL: the store could not be asked */
    const struct jobq_jobs *stuck;  /* some jobs that run with the lease past; NULL or empty: none */
    const char *uri;                /* to repeat in commands; NULL: the environment names the store */
    const char *uri_known;          /* the store's URI, without a password, wherever it came from */
    const char
        *absent; /* the namespace that was asked for and is not there: stats are of another; NULL: it is */
    int64_t log_max_bytes;
};

typedef void finding_sink(const struct finding *finding, void *user);

/* Hand every finding to the sink, the gravest kinds first. Returns how many there were. */
size_t findings_judge(const struct facts *facts, finding_sink *sink, void *user);

/* Name of the network file system with this magic number of statfs and this type in the table of mounts; NULL
 * for one that is not on the network. */
const char *network_fs(long magic, const char *type);

/* The namespace that a URI names, to be freed; NULL without memory. */
char *uri_namespace(const char *uri);

/* The URI with another namespace, to be freed; NULL without memory. */
char *uri_with_namespace(const char *uri, const char *name_space);

#endif
