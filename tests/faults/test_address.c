/* SPDX-License-Identifier: MIT */
/* An address of Postgres while memory is out, without a server: every allocation from the URI to what libpq is given fails, alone
 * and with all behind it. A good URI is never said to be bad, and no block is left. */
#include "alloc.h"

#include "../../backends/postgres/store.h"

#include <stdio.h>
#include <string.h>

enum step { PARSED, RESOLVED, STEPS };
static const char *const step_names[] = { "parsed", "resolved" };

static const char *const uris[] = {
    "postgres:///base?host=/nowhere&user=anna&sslmode=disable&namespace=other&notify=off",
    "postgres://anna:secret@127.0.0.1,127.0.0.2:5432/base?connect_timeout=3",
};

static bool wrong(const char *uri, const char *what, long n, bool all)
{
    fprintf(stderr, "%s: allocation %ld%s: %s\n", uri, n, all ? " and all behind it" : "", what);
    return false;
}

/* Nothing fails while the other half runs. False when what it answered is not so. */
static bool half(const char *uri, enum step which, long n, bool all, long *failures)
{
    struct jobq_error err = { 0 };
    struct fault fault = { 0 };
    struct address address = { 0 };
    struct resolved resolved = { 0 };
    if (which == PARSED)
        alloc_fail(n, all, false);
    int status = pq_address_parse(&address, uri, &err);
    *failures = which == PARSED ? alloc_end() : 0;
    bool good = status == JOBQ_OK || (*failures && status == JOBQ_NOMEM);
    if (status == JOBQ_OK && which == RESOLVED) {
        alloc_fail(n, all, false);
        int result = pq_resolve(&address, pq_now_us() + 60000000, &resolved, &fault);
        *failures = alloc_end();
        good = result == 0 || (*failures && (fault.kind == FAULT_MEMORY || fault.kind == FAULT_UNSENT));
        pq_resolved_free(&resolved);
    }
    pq_address_free(&address);
    return good || wrong(uri, which == PARSED ? err.text : fault.text, n, all);
}

/* What libraries keep once for a process is not there the second time. */
static bool leaves_nothing(const char *uri, enum step which, long n, bool all, long *failures)
{
    bool good = half(uri, which, n, all, failures);
    for (int tries = 0; good; tries++) {
        long live = alloc_live();
        good = half(uri, which, n, all, failures);
        if (alloc_live() == live)
            break;
        if (tries == 2)
            good = wrong(uri, "blocks are left", n, all);
    }
    return good;
}

static bool enumerate(const char *uri, enum step which, bool all, long *count)
{
    long failures = 1;
    bool good = true;
    for (long n = 1; good && failures; n++) {
        good = leaves_nothing(uri, which, n, all, &failures);
        *count += failures > 0;
    }
    return good;
}

int main(void)
{
    int failed = 0, number = 0;
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        for (enum step which = PARSED; which < STEPS; which++) {
            long count = 0;
            bool good = enumerate(uris[i], which, false, &count) && enumerate(uris[i], which, true, &count);
            good = good && count > 10; /* less would not be what libpq needs */
            failed += !good;
            printf("%s %d - address %zu is %s: %ld allocations failed\n", good ? "ok" : "not ok", ++number, i + 1,
                   step_names[which], count);
        }
    }
    printf("1..%d\n", number);
    return failed ? 1 : 0;
}
