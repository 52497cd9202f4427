/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_BOARD_H
#define VIDEO_BOARD_H

/* The dashboard of the orchestrator: examples/dashboard with a submission as a graph of its steps, and its
 * clip. */

#include "dashboard.h"
#include "serve.h"

struct board;

/* NULL and *why. `audit` NULL: the audit log goes to stderr. */
struct board *board_create(struct serve *serve, const char *audit, const char **why);

#define BOARD_MOUNTS 3
void board_mounts(struct board *board, struct http_mount out[BOARD_MOUNTS]);

/* Before the server is stopped, and after it. NULL is fine. */
int board_start(struct board *board, struct http_server *server);
void board_stop(struct board *board);
void board_destroy(struct board *board);

#endif
