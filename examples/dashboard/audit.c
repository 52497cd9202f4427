/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

#define LINE_BYTES 8192

struct audit {
    pthread_mutex_t lock;
    int fd;
    json_t *kept; /* the newest last */
};

/* The lock is held, or nobody else is there yet. */
static void keep(struct audit *audit, json_t *entry)
{
    json_array_append_new(audit->kept, entry);
    while (json_array_size(audit->kept) > AUDIT_KEPT)
        json_array_remove(audit->kept, 0);
}

static void remember(struct audit *audit, const char *path)
{
    char *line = malloc(LINE_BYTES);
    FILE *file = line ? fopen(path, "re") : NULL;

    while (file && fgets(line, LINE_BYTES, file)) {
        json_t *entry = json_loads(line, 0, NULL);
        if (json_is_object(entry))
            keep(audit, entry);
        else
            json_decref(entry);
    }
    if (file)
        fclose(file);
    free(line);
}

struct audit *audit_open(const char *path, const char **why)
{
    struct audit *audit = calloc(1, sizeof(*audit));

    *why = "out of memory";
    if (!audit)
        return NULL;
    pthread_mutex_init(&audit->lock, NULL);
    audit->kept = json_array();
    audit->fd =
        path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : STDERR_FILENO;
    if (audit->kept && audit->fd >= 0) {
        if (path)
            remember(audit, path);
        return audit;
    }
    *why = strerror(errno);
    audit_close(audit);
    return NULL;
}

void audit_close(struct audit *audit)
{
    if (!audit)
        return;
    if (audit->fd > STDERR_FILENO)
        close(audit->fd);
    json_decref(audit->kept);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}

/* One write, so that lines of several servers do not mix. */
static void write_line(int fd, const char *text)
{
    size_t size = strlen(text);
    char *line = malloc(size + 8);

    if (!line)
        return;
    size = (size_t)snprintf(line, size + 8, "%s%s\n", fd == STDERR_FILENO ? "audit " : "", text);
    if (write(fd, line, size) < 0)
        fprintf(stderr, "the audit log cannot be written: %s\n", strerror(errno));
    free(line);
}

void audit_put(struct audit *audit, json_t *entry)
{
    struct timespec now;
    char *text;

    if (!entry)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    json_object_set_new(entry, "at", json_of_instant((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000));
    /* ASCII only: what drives a terminal in other ways than by control characters stays out too. */
    text = json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    pthread_mutex_lock(&audit->lock);
    if (text)
        write_line(audit->fd, text);
    keep(audit, entry);
    pthread_mutex_unlock(&audit->lock);
    free(text);
}

json_t *audit_newest(struct audit *audit)
{
    json_t *out = json_array();

    pthread_mutex_lock(&audit->lock);
    for (size_t i = json_array_size(audit->kept); i > 0 && out; i--)
        json_array_append_new(out, json_deep_copy(json_array_get(audit->kept, i - 1)));
    pthread_mutex_unlock(&audit->lock);
    return out;
}
