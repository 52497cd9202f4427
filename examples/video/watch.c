/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS 100

struct watch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct watched *first;
    int64_t grace_ms;
    int ending;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The flags for which this job is to be given up now. */
static uint32_t reasons(const struct watch *watch, struct watched *watched)
{
    uint32_t flags = jobq_ctx_flags(watched->ctx);
    int64_t now = now_ms();

    if ((flags & JOBQ_CTX_STOPPING) && watched->stopping_at_ms == 0)
        watched->stopping_at_ms = now;
    if ((flags & JOBQ_CTX_STOPPING) && now - watched->stopping_at_ms < watch->grace_ms)
        flags &= ~(uint32_t)JOBQ_CTX_STOPPING;
    return flags;
}

static void look(struct watch *watch)
{
    for (struct watched *each = watch->first; each; each = each->next) {
        uint32_t flags = each->flags ? 0 : reasons(watch, each);
        if (flags) {
            each->flags = flags;
            (void)!write(each->fd, &(uint64_t){1}, sizeof(uint64_t));
        }
    }
}

static void *run(void *user)
{
    struct watch *watch = user;
    struct timespec until;

    pthread_mutex_lock(&watch->lock);
    while (!watch->ending) {
        if (!watch->first) {
            pthread_cond_wait(&watch->changed, &watch->lock);
            continue;
        }
        look(watch);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_EVERY_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        while (!watch->ending && pthread_cond_timedwait(&watch->changed, &watch->lock, &until) != ETIMEDOUT)
            continue;
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

struct watch *watch_create(int64_t grace_ms)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    watch->grace_ms = grace_ms;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->changed, NULL);
    if (pthread_create(&watch->thread, NULL, run, watch) == 0)
        return watch;
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
    return NULL;
}

void watch_destroy(struct watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->ending = 1;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

int watch_begin(struct watch *watch, struct watched *watched, const struct jobq_ctx *ctx)
{
    *watched = (struct watched){.ctx = ctx, .fd = eventfd(0, EFD_CLOEXEC)};
    if (watched->fd < 0)
        return -1;
    pthread_mutex_lock(&watch->lock);
    watched->next = watch->first;
    watch->first = watched;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    return 0;
}

uint32_t watch_end(struct watch *watch, struct watched *watched)
{
    struct watched **at;

    pthread_mutex_lock(&watch->lock);
    for (at = &watch->first; *at != watched; at = &(*at)->next)
        continue;
    *at = watched->next;
    pthread_mutex_unlock(&watch->lock);
    close(watched->fd);
    return watched->flags;
}
