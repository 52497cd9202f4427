/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* glibc's own, under the names that it gives to those who stand before it. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

/* Where the program begins and ends: what is called from there is our own. */
extern const char __executable_start[], etext[];

static _Thread_local long countdown, failures;
static _Thread_local bool armed, to_the_end, only_own;
static _Atomic long live;

void alloc_fail(long n, bool all, bool own)
{
    failures = 0;
    armed = true;
    only_own = own;
    to_the_end = all;
    countdown = n;
}

long alloc_end(void)
{
    countdown = 0;
    armed = false;
    return failures;
}

bool alloc_has_failed(void)
{
    return armed && failures > 0;
}

long alloc_live(void)
{
    return atomic_load(&live);
}

static bool is_own(const char *caller)
{
    return caller >= __executable_start && caller < etext;
}

/* Once one of our own has failed, so does whatever is behind it. */
static bool fails(const char *caller)
{
    if (countdown <= 0 || (only_own && !failures && !is_own(caller)) || --countdown > 0)
        return false;
    countdown = to_the_end;
    failures++;
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    if (block)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return block;
}

/* The project hides what is not said to be seen; these must be, for the libraries to find them. */
#pragma GCC visibility push(default)

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    if (old && size == 0) { /* frees, and may give nothing */
        free(old);
        return NULL;
    }
    if (fails(__builtin_return_address(0)))
        return NULL;
    void *block = __libc_realloc(old, size);
    return old ? block : counted(block);
}

void *memalign(size_t alignment, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (block)
        *out = block;
    return block ? 0 : ENOMEM;
}

void free(void *block)
{
    if (block)
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    __libc_free(block);
}

#pragma GCC visibility pop
