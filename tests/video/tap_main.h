/* SPDX-License-Identifier: MIT */
#ifndef TESTS_VIDEO_TAP_MAIN_H
#define TESTS_VIDEO_TAP_MAIN_H

#include <check.h>
#include <stdlib.h>

/* Runs one suite and writes TAP to standard output. */
static inline int tap_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
