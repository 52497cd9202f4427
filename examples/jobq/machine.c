/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "machine.h"

/* The absolute name, also of a file that is not there (any more). */
static char *absolute(const char *file)
{
    char *whole = realpath(file, NULL);
    char folder[PATH_MAX], *slash, *real, *out = NULL;
    const char *base;
    size_t size;

    if (whole || strlen(file) >= sizeof folder) {
        return whole;
    }
    strcpy(folder, file);
    slash = strrchr(folder, '/');
    base = slash ? file + (slash - folder) + 1 : file;
    if (slash) {
        slash[slash == folder] = 0;
    }
    real = realpath(slash ? folder : ".", NULL);
    if (real) {
        size = strlen(real) + strlen(base) + 2;
        if ((out = malloc(size)) != NULL) {
            snprintf(out, size, "%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
        }
    }
    free(real);
    return out;
}

static void name_of(pid_t pid, char *out, size_t size)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    out[0] = 0;
    if ((file = fopen(path, "re")) != NULL) {
        if (fgets(out, (int)size, file)) {
            out[strcspn(out, "\n")] = 0;
        }
        fclose(file);
    }
}

/* 1: holds the deleted file; 2: the deleted log; 0: neither. */
static int what_is_held(const char *link, const char *path)
{
    size_t n = strlen(path);

    if (strncmp(link, path, n) != 0) {
        return 0;
    }
    return strcmp(link + n, " (deleted)") == 0 ? 1 : strcmp(link + n, "-wal (deleted)") == 0 ? 2 : 0;
}

static int holds(pid_t pid, const char *path)
{
    char folder[64], name[400], link[PATH_MAX + 1];
    struct dirent *entry;
    DIR *fds;
    int held = 0;

    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
    if (!(fds = opendir(folder))) {
        return 0;
    }
    while (held != 1 && (entry = readdir(fds)) != NULL) {
        ssize_t n;
        int what;
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        n = readlink(name, link, sizeof link - 1);
        if (n > 0) {
            link[n] = 0;
            what = what_is_held(link, path);
            held = what ? what : held;
        }
    }
    closedir(fds);
    return held;
}

static void look_for_holders(struct machine *machine)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;

    while (processes && (entry = readdir(processes)) != NULL &&
           machine->holder_count < sizeof machine->holders / sizeof *machine->holders) {
        pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
        int held = pid > 0 && pid != getpid() ? holds(pid, machine->path) : 0;
        if (held) {
            struct holder *holder = &machine->holders[machine->holder_count++];
            holder->pid = pid;
            holder->log_only = held == 2;
            name_of(pid, holder->name, sizeof holder->name);
        }
    }
    if (processes) {
        closedir(processes);
    }
}

/* The type of the file system that the path is on: of the longest mount point that it begins with, the last
 * of equals. */
static void look_at_mounts(struct machine *machine)
{
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[2 * PATH_MAX], point[PATH_MAX], type[64];
    size_t longest = 0;

    while (mounts && fgets(line, sizeof line, mounts)) {
        size_t n;
        if (sscanf(line, "%*s %4095s %63s", point, type) != 2) {
            continue;
        }
        n = strcmp(point, "/") == 0 ? 0 : strlen(point);
        if (strncmp(machine->path, point, n) == 0 && machine->path[n] == '/' && n >= longest) {
            longest = n;
            strcpy(machine->fs_type, type);
        }
    }
    if (mounts) {
        fclose(mounts);
    }
}

static void look_for_zones(struct machine *machine)
{
    const char *given = getenv("TZDIR");
    char probe[600];

    snprintf(machine->zones, sizeof machine->zones, "%s", given && given[0] ? given : "/usr/share/zoneinfo");
    /* A zone with summer time: UTC alone is there even where the data is not installed. */
    snprintf(probe, sizeof probe, "%s/Europe/London", machine->zones);
    machine->zones_missing = access(probe, R_OK) != 0;
}

void machine_look(struct machine *machine, const char *file)
{
    struct statfs fs;

    *machine = (struct machine){.path = file ? absolute(file) : NULL};
    look_for_zones(machine);
    if (machine->path) {
        look_for_holders(machine);
        look_at_mounts(machine);
        if (statfs(machine->path, &fs) == 0) {
            machine->fs_magic = (long)fs.f_type;
        }
    }
}

void machine_free(struct machine *machine)
{
    free(machine->path);
    machine->path = NULL;
}
