/* SPDX-License-Identifier: MIT */
/* The process ends, or its line is cut, at the n-th of what it does to the world. The program that has stop.c in it gets its
 * own sqlite3_step, pwrite, fdatasync, send, recv and so on, which count and then do what the real ones do. */
#ifndef CHAOS_STOP_H
#define CHAOS_STOP_H

enum stop_kind { STOP_STATEMENT = 1, STOP_FILE, STOP_PACKET };

enum stop_how {
    STOP_BEFORE,     /* the process ends, nothing was done */
    STOP_AFTER,      /* it was done, and the process ends */
    STOP_CUT_BEFORE, /* the line is cut; packets only */
    STOP_CUT_AFTER
};

#define STOPPED 99 /* how the process ends */

void stop_arm(int kind, int how, long n);
long stop_disarm(void); /* how many there were since stop_arm */

#endif
