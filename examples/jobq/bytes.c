/* SPDX-License-Identifier: MIT */
/* Payload, key, result, error: bytes from stdin, a file or the command line. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"

static int grow(char **data, size_t *room)
{
    size_t more = *room ? *room * 2 : 8192;
    char *bigger = realloc(*data, more);

    if (!bigger) {
        return -1;
    }
    *data = bigger;
    *room = more;
    return 0;
}

/* All of fd, but no more than one byte over the limit. */
static int read_all(int fd, size_t limit, char **data, size_t *size)
{
    size_t room = 0;

    *data = NULL;
    *size = 0;
    while (*size <= limit) {
        ssize_t n;

        if (*size == room && grow(data, &room) != 0) {
            return -1;
        }
        n = read(fd, *data + *size, room - *size < limit + 1 - *size ? room - *size : limit + 1 - *size);
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        *size += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int from_fd(struct cli *cli, const char *field, const char *name, int fd, size_t limit,
                   struct jobq_bytes *out)
{
    char *data;
    size_t size;

    if (read_all(fd, limit, &data, &size) != 0) {
        int code = leave_usage(cli, field, "cannot read %s: %s", name, strerror(errno));
        free(data);
        return code;
    }
    *out = (struct jobq_bytes){.data = data, .size = size};
    return LEAVE_OK;
}

static int from_file(struct cli *cli, const char *field, const char *path, size_t limit,
                     struct jobq_bytes *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int code;

    if (fd < 0) {
        return leave_usage(cli, field, "cannot open the file '%s': %s", path, strerror(errno));
    }
    code = from_fd(cli, field, path, fd, limit, out);
    close(fd);
    return code;
}

int args_bytes(struct cli *cli, const char *field, const char *text, size_t limit, struct jobq_bytes *out)
{
    char *copy;

    args_free(out);
    if (strcmp(text, "-") == 0) {
        if (cli->stdin_taken) {
            return leave_usage(cli, field, "standard input can be read once only");
        }
        cli->stdin_taken = 1;
        return from_fd(cli, field, "standard input", STDIN_FILENO, limit, out);
    }
    if (text[0] == '@') {
        return from_file(cli, field, text + 1, limit, out);
    }
    copy = strdup(text);
    if (!copy) {
        return leave_error(cli, JOBQ_NOMEM, field, "out of memory");
    }
    *out = (struct jobq_bytes){.data = copy, .size = strlen(text)};
    return LEAVE_OK;
}

void args_free(struct jobq_bytes *bytes)
{
    union {
        const void *lent;
        void *owned;
    } data = {.lent = bytes->data};

    free(data.owned);
    *bytes = (struct jobq_bytes){0};
}
