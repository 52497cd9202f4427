/* SPDX-License-Identifier: MIT */
/* The corpus, without a fuzzer: every file of the folders that are named, each of them also cut short at every byte of its
 * first 300. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>

static long runs;

static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1); /* so that a read past its end is seen by a sanitizer */
    MUST(copy);
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static void run_file(const char *folder, const char *name)
{
    static uint8_t data[1 << 16];
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    MUST(file);
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    run(data, size);
    for (size_t cut = 0; cut < size && cut < 300; cut++)
        run(data, cut);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *list = opendir(argv[i]);
        const struct dirent *entry;
        long before = runs;
        while (list && (entry = readdir(list)) != NULL)
            if (entry->d_name[0] != '.')
                run_file(argv[i], entry->d_name);
        if (list)
            closedir(list);
        printf("%s %d - %s: %ld inputs\n", runs > before ? "ok" : "not ok", i, argv[i], runs - before);
    }
    printf("1..%d\n", argc - 1);
    return argc < 2 || runs == 0;
}
