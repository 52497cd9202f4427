/* SPDX-License-Identifier: MIT */
/* Jobs as they are answered. */
#ifndef JOBQ_VIEW_H
#define JOBQ_VIEW_H

#include "json.h"

/* One job as an object, in an array or alone; with its token when it was `claimed` by this very call. */
void view_job(struct json *json, const struct jobq_job *job, int claimed);

/* One job for people: a line for each field. */
void view_sheet(struct cli *cli, const struct jobq_job *job);

/* Open the store and do something to the job of that id. Returns an exit code. */
int verb_on_id(struct cli *cli, const char *text, int (*verb)(struct jobq *, const struct jobq_id *));

/* The answer of a verb that names a job: its id and "ok" or "already". Returns an exit code. */
int view_done(struct cli *cli, const struct jobq_id *id, int status);

/* The jobs that a filter names. Returns an exit code. */
struct filter;
int view_list(struct cli *cli, struct filter *filter);

/* What a call in bulk did. */
void view_bulk(struct cli *cli, const struct jobq_bulk *bulk);

#endif
