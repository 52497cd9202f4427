/* SPDX-License-Identifier: MIT */
#include <jobq/conformance.h>
#include <jobq/memory.h>

#include <stdio.h>

static int fresh(char uri[JOBQ_CONFORMANCE_URI])
{
    static unsigned number;
    snprintf(uri, JOBQ_CONFORMANCE_URI, "memory:conformance-%u", number++);
    return 0;
}

int main(int argc, char **argv)
{
    const struct jobq_conformance_fixture fixture = {
        .size = sizeof fixture, .name = "memory", .backend = jobq_memory(), .fresh = fresh,
    };
    return jobq_conformance(&fixture, argc, argv);
}
