/* SPDX-License-Identifier: MIT */
#ifndef DASHBOARD_SESSION_H
#define DASHBOARD_SESSION_H

/*
 * Who is logged in with a browser. In memory: a server that starts again knows
 * nobody. Time is handed in; nothing here looks at a clock.
 */

#include <stddef.h>
#include <stdint.h>

#include "auth.h"

#define SESSION_TEXT    65 /* 64 hex digits and a NUL */
#define SESSION_IDLE_MS (INT64_C(30) * 60 * 1000)
#define SESSION_MAX_MS  (INT64_C(12) * 3600 * 1000)
#define SESSIONS_MOST   256

struct sessions;

struct sessions *sessions_create(void); /* NULL without memory */
void sessions_destroy(struct sessions *sessions);

/* A session for this entry; the oldest one goes when there are too many. Returns 0 with cookie and token, -1
 * without random numbers. Threads: any, as all below. */
int session_begin(struct sessions *sessions, const struct auth_entry *who, int64_t now_ms,
                  char cookie[SESSION_TEXT], char csrf[SESSION_TEXT]);

/* Whose cookie is it? Returns 0 and a copy of the entry, or -1. Takes the same time for every cookie. */
int session_find(struct sessions *sessions, const char *cookie, int64_t now_ms, struct auth_entry *who,
                 char csrf[SESSION_TEXT]);

void session_end(struct sessions *sessions, const char *cookie);

/* Of equal length and content? In the same time whatever differs. */
int session_same(const char *a, const char *b);

#endif
