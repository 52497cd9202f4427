/* SPDX-License-Identifier: MIT */
/* The proof: libjobq's conformance suite on the plain store. */
#include "plain.h"

#include <jobq/conformance.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In memory where that is possible: the suite asks what is kept, not how safely. */
static int fresh(char uri[JOBQ_CONFORMANCE_URI])
{
    char folder[] = "/dev/shm/plain-XXXXXX", elsewhere[] = "/tmp/plain-XXXXXX";
    const char *made = access("/dev/shm", W_OK) == 0 ? mkdtemp(folder) : mkdtemp(elsewhere);
    return made && snprintf(uri, JOBQ_CONFORMANCE_URI, "plain:%s", made) > 0 ? 0 : -1;
}

static void drop(const char *uri)
{
    const char *folder = strchr(uri, ':') + 1;
    char path[JOBQ_CONFORMANCE_URI + 300];
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(list);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    const struct jobq_conformance_fixture fixture = {
        .size = sizeof fixture, .name = "plain", .backend = plain_store(), .fresh = fresh, .drop = drop,
    };
    return jobq_conformance(&fixture, argc, argv);
}
