/* SPDX-License-Identifier: MIT */
/*
 * The proof that a store keeps the contract of <jobq/backend.h>. For people who write a store: give a fixture, call
 * jobq_conformance from main, and link the conformance library, Check and libjobq.
 *
 * What the table declares is tested; what it does not declare must be refused. Time is moved, never waited for.
 */
#ifndef JOBQ_CONFORMANCE_H
#define JOBQ_CONFORMANCE_H

#include <jobq/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JOBQ_CONFORMANCE_URI 512 /* bytes of a fixture's URI, NUL included */

struct jobq_conformance_fixture {
    size_t size;
    const char *name; /* as it appears in the tests' names */
    const struct jobq_backend *backend;
    /* Write the URI of an empty store that nothing else uses; options may be added to it with '?'. Called in the
     * process of one test, often. Returns 0, or -1 and then the test fails. */
    int (*fresh)(char uri[JOBQ_CONFORMANCE_URI]);
    /* The test is done with it and every handle is closed: remove what fresh made. May be NULL. */
    void (*drop)(const char *uri);
};

/*
 * Run the suite; TAP on stdout. Returns what main should return: 0 when every test passed.
 *   --pass plain   each test once (the default; also from the environment, JOBQ_PASS)
 *   --pass fail    each test once per call to the store, and that call fails before it reaches the store
 *   --pass lost    the answer of every exchange is lost once, and its repeat must answer the same
 *   --pass again   every exchange is sent again by another client, which must be told that it was done before
 *   --only TEXT    tests whose name holds TEXT
 *   --fault N      pass fail: only the fault at call N
 *   --trace        name the calls on stderr, in the process of the test
 * Of tests and exchanges with many calls and items the passes fail and again try a part; with JOBQ_TEST_FULL set, all.
 */
int jobq_conformance(const struct jobq_conformance_fixture *fixture, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
