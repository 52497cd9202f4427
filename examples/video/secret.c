/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES 4096

static const char *read_file(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *problem = NULL;
    struct stat facts;
    ssize_t size = 0;

    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode))
        problem = "it is not a regular file";
    else if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        problem = "others may read or write it: chmod 600";
    else if (facts.st_uid != geteuid() && facts.st_uid != 0)
        problem = "it belongs to somebody else";
    else if ((size = read(fd, text, room)) < 0 || (size_t)size == room)
        problem = "it is too large";
    close(fd);
    text[problem ? 0 : size] = '\0';
    return problem;
}

static const char *take_line(struct secret *secret, const char *line)
{
    while (*line == ' ' || *line == '\t')
        line++;
    if (*line == '\0' || *line == '\r' || *line == '#')
        return NULL;
    if (secret->count == SECRET_MAX_KEYS)
        return "it holds more than 8 keys";
    if (webhook_key_parse(&secret->keys[secret->count], line) != 0)
        return "a line is no key: \"whsec_\" and base64 of 24 to 64 bytes";
    secret->count++;
    return NULL;
}

const char *secret_read(struct secret *secret, const char *path)
{
    char text[FILE_MAX_BYTES];
    const char *problem = read_file(path, text, sizeof(text));
    char *rest = NULL;

    secret->count = 0;
    if (strlen(text) == 0 && !problem)
        problem = "it is empty";
    for (char *line = strtok_r(text, "\n", &rest); line && !problem; line = strtok_r(NULL, "\n", &rest))
        problem = take_line(secret, line);
    if (!problem && secret->count == 0)
        problem = "it holds no key";
    explicit_bzero(text, sizeof(text));
    return problem;
}
