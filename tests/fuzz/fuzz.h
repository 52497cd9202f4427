/* SPDX-License-Identifier: MIT */
/* What a fuzzer's target is: one function that must not crash, whatever the bytes. Linked with libFuzzer it is fuzzed, linked
 * with replay.c it runs over files. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold, also where assert is off. */
#define MUST(condition)  \
    do {                 \
        if (!(condition)) \
            abort();     \
    } while (0)

/* The bytes as a text of their own; to be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    MUST(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
