/* SPDX-License-Identifier: MIT */
/* malloc and its kin of the whole process, the libraries' among them: the test's own stand before those of libc. */
#ifndef FAULTS_ALLOC_H
#define FAULTS_ALLOC_H

#include <stdbool.h>

/* The n-th allocation of this thread from now on fails; with `all` also every one behind it. own: those of this program are
 * counted, the library's among them, and not those of other libraries. */
void alloc_fail(long n, bool all, bool own);
/* No more failures. How many there were. */
long alloc_end(void);
/* One has failed already, and alloc_end has not been called? */
bool alloc_has_failed(void);
/* Blocks that are allocated at this moment, by all threads. */
long alloc_live(void);

#endif
