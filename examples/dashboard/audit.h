/* SPDX-License-Identifier: MIT */
#ifndef DASHBOARD_AUDIT_H
#define DASHBOARD_AUDIT_H

/*
 * Who did what, when and from where: a line of JSON for each thing that was asked for and changes something,
 * whether it was done or refused. The file is only ever appended to. Control characters are escaped as JSON
 * does, so what people send cannot look like another line; no secret is in it.
 */

#include <jansson.h>

#define AUDIT_KEPT 200

struct audit;

/* `path` NULL: to stderr only. The last lines of a file that is there are remembered. Returns NULL and *why.
 */
struct audit *audit_open(const char *path, const char **why);
void audit_close(struct audit *audit);

/* Takes the entry over and adds "at". Threads: any. */
void audit_put(struct audit *audit, json_t *entry);

/* The newest, the newest first. Owned by the caller. Threads: any. */
json_t *audit_newest(struct audit *audit);

#endif
