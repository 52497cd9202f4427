/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES 512

struct post {
    char address[64];
    int failures;
    int64_t until_ms, last_ms;
};

struct guard {
    pthread_mutex_t lock;
    int free;
    struct post posts[ADDRESSES];
};

struct guard *guard_create(int free)
{
    struct guard *guard = calloc(1, sizeof(*guard));

    if (guard) {
        pthread_mutex_init(&guard->lock, NULL);
        guard->free = free;
    }
    return guard;
}

void guard_destroy(struct guard *guard)
{
    if (guard)
        pthread_mutex_destroy(&guard->lock);
    free(guard);
}

/* The lock is held. The address's post; with `make` the one that was quiet for longest is taken. */
static struct post *post_of(struct guard *guard, const char *address, int make)
{
    struct post *quiet = &guard->posts[0];

    for (size_t i = 0; i < ADDRESSES; i++) {
        struct post *post = &guard->posts[i];
        if (post->failures > 0 && strcmp(post->address, address) == 0)
            return post;
        if (post->failures == 0 || post->last_ms < quiet->last_ms)
            quiet = post;
    }
    if (!make)
        return NULL;
    *quiet = (struct post){.failures = 0};
    snprintf(quiet->address, sizeof(quiet->address), "%s", address);
    return quiet;
}

int64_t guard_wait(struct guard *guard, const char *address, int64_t now_ms)
{
    const struct post *post;
    int64_t wait;

    pthread_mutex_lock(&guard->lock);
    post = post_of(guard, address, 0);
    wait = post && post->until_ms > now_ms ? post->until_ms - now_ms : 0;
    pthread_mutex_unlock(&guard->lock);
    return wait;
}

void guard_failed(struct guard *guard, const char *address, int64_t now_ms)
{
    struct post *post;
    int64_t wait = GUARD_WAIT_MS;

    pthread_mutex_lock(&guard->lock);
    post = post_of(guard, address, 1);
    post->last_ms = now_ms;
    if (++post->failures >= guard->free) {
        for (int i = guard->free; i < post->failures && wait < GUARD_WAIT_MAX_MS; i++)
            wait *= 2;
        post->until_ms = now_ms + (wait < GUARD_WAIT_MAX_MS ? wait : GUARD_WAIT_MAX_MS);
    }
    pthread_mutex_unlock(&guard->lock);
}

void guard_done(struct guard *guard, const char *address)
{
    struct post *post;

    pthread_mutex_lock(&guard->lock);
    post = post_of(guard, address, 0);
    if (post)
        *post = (struct post){.failures = 0};
    pthread_mutex_unlock(&guard->lock);
}
