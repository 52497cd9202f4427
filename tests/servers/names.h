/* SPDX-License-Identifier: MIT */
/* The system's look-up of names, taken over for a test: slow.test is not answered until it is said so,
 * good.test is 127.0.0.1, none.test is not there, all else is as it is. */
#ifndef TESTS_NAMES_H
#define TESTS_NAMES_H

void names_answer(void);   /* slow.test: there is no such host */
/* Waits until so many questions for slow.test are not answered yet, at most a minute: whoever asks may begin after the one it asks
 * for has given up. Returns how many there are. */
int names_await(int count);
int names_asked(void);     /* questions for names until now, numbers not counted */

#endif
