/* SPDX-License-Identifier: MIT */
/* The three headers of a callback, one in each line. Nothing that a fuzzer makes up is signed. */
#include "fuzz.h"
#include "webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct webhook_key key, other;
    char *id = fuzz_text(data, size), *time = strchr(id, '\n'), *signature = time ? strchr(time + 1, '\n') : NULL;
    MUST(webhook_key_parse(&key, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") == 0);
    (void)webhook_key_parse(&other, id);
    if (signature) {
        *time = *signature = '\0';
        const struct webhook_headers headers = { id, time + 1, signature + 1 };
        MUST(webhook_verify(&key, 1, &headers, "body", 4, 1700000000, 300) != WEBHOOK_OK);
    }
    free(id);
    return 0;
}
