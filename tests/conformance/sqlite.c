/* SPDX-License-Identifier: MIT */
#include <jobq/conformance.h>
#include <jobq/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[256];

/* A folder of its own for each store, in memory where that is possible: the suite asks what is kept, not how safely. */
static int fresh(char uri[JOBQ_CONFORMANCE_URI])
{
    const char *base = getenv("TMPDIR");
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%.200s/jobq-conformance-XXXXXX", base);
    if (!mkdtemp(folder))
        return -1;
    snprintf(uri, JOBQ_CONFORMANCE_URI, "sqlite:%s/store.db", folder);
    return 0;
}

static void drop(const char *uri)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
    const char *path = strchr(uri, ':') + 1;
    char file[JOBQ_CONFORMANCE_URI];
    for (int i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s%s", path, suffixes[i]);
        unlink(file);
    }
    rmdir(folder);
}

int main(int argc, char **argv)
{
    const struct jobq_conformance_fixture fixture = {
        .size = sizeof fixture, .name = "sqlite", .backend = jobq_sqlite(), .fresh = fresh, .drop = drop,
    };
    return jobq_conformance(&fixture, argc, argv);
}
