/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static int digest_file(EVP_MD_CTX *digest, const char *path)
{
    unsigned char piece[16384];
    FILE *file = fopen(path, "rb");
    size_t got;
    int failed;

    if (!file)
        return -1;
    while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
        EVP_DigestUpdate(digest, piece, got);
    failed = ferror(file);
    fclose(file);
    return failed ? -1 : 0;
}

static const char *digest_model(struct model *model, EVP_MD_CTX *digest)
{
    char description[PATH_MAX + 8];
    unsigned char bytes[EVP_MAX_MD_SIZE];

    snprintf(description, sizeof(description), "%s.json", model->path);
    if (EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        return "no SHA-256";
    if (digest_file(digest, model->path) != 0)
        return "it cannot be read";
    if (digest_file(digest, description) != 0)
        return "beside it there must be its description, FILE.json; doc/video.md says what is in it";
    EVP_DigestFinal_ex(digest, bytes, NULL);
    for (size_t i = 0; i < (SHA256_TEXT_BYTES - 1) / 2; i++)
        snprintf(model->sha256 + 2 * i, 3, "%02x", bytes[i]);
    return NULL;
}

const char *model_read(struct model *model, const char *path)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    const char *problem;

    if (!digest)
        problem = "out of memory";
    else if (!realpath(path, model->path))
        problem = "there is no such file";
    else
        problem = digest_model(model, digest);
    EVP_MD_CTX_free(digest);
    return problem;
}
