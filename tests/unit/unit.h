/* SPDX-License-Identifier: MIT */
/* Run one suite and print TAP to standard output. */
#ifndef UNIT_H
#define UNIT_H

#include "internal.h"

#include <check.h>
#include <stdlib.h>

static inline int unit_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS; /* TAP says what failed */
}

#define UNIT_MAIN(name, ...)                                                  \
    int main(void)                                                            \
    {                                                                         \
        const TTest *const tests[] = { __VA_ARGS__ };                  \
        Suite *suite = suite_create(name);                                    \
        TCase *one = tcase_create(name);                                      \
        tcase_set_timeout(one, 60);                                           \
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)           \
            tcase_add_test(one, tests[i]);                                    \
        suite_add_tcase(suite, one);                                          \
        return unit_run(suite);                                               \
    }

#endif
