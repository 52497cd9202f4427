/* SPDX-License-Identifier: MIT */
#ifndef JOBQ_CLI_STATS_H
#define JOBQ_CLI_STATS_H

#include "json.h"

/* Which store this is, for people, on stderr: the answer on stdout stays the answer. */
void stats_identity(const struct cli *cli, const struct jobq_stats *stats);

/* All of it as members of the object that is open. */
void stats_members(struct json *json, const struct jobq_stats *stats);

/* The store id as 32 digits. */
void stats_store_id(const struct jobq_stats *stats, char out[33]);

/* A worker is alive when it was seen within one of its leases. */
static inline int stats_alive(const struct jobq_stats *stats, const struct jobq_worker_stats *worker)
{
    return stats->now_ms - worker->seen_at_ms <= worker->lease_ms;
}

#endif
