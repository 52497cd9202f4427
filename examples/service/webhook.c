/* SPDX-License-Identifier: MIT */
#include "webhook.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define SECRET_PREFIX "whsec_"
#define SIGNATURE_PREFIX "v1,"
#define MAC_BYTES 32
#define MAC_BASE64_BYTES 44
#define TIMESTAMP_MAX_DIGITS 15     /* far beyond any date, and no overflow in the differences */
#define MAX_SIGNATURES 16           /* nobody changes more keys at once */

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int webhook_key_parse(struct webhook_key *key, const char *secret)
{
    /* The decoder writes in threes and counts the padding as bytes. */
    unsigned char decoded[(WEBHOOK_KEY_MAX_BYTES + 2) / 3 * 3];
    const size_t prefix = sizeof(SECRET_PREFIX) - 1;
    size_t length, padding = 0;
    int size = -1;

    *key = (struct webhook_key){ .size = 0 };
    while (is_space(*secret))
        secret++;
    if (strncmp(secret, SECRET_PREFIX, prefix) != 0)
        return -1;
    secret += prefix;
    for (length = strlen(secret); length > 0 && is_space(secret[length - 1]); length--)
        continue;
    while (padding < 2 && padding < length && secret[length - 1 - padding] == '=')
        padding++;
    /* The decoder takes a '=' for a zero wherever it stands. */
    if (length > 0 && length % 4 == 0 && length / 4 * 3 <= sizeof(decoded) &&
        !memchr(secret, '=', length - padding))
        size = EVP_DecodeBlock(decoded, (const unsigned char *)secret, (int)length) - (int)padding;
    if (size >= WEBHOOK_KEY_MIN_BYTES && size <= WEBHOOK_KEY_MAX_BYTES) {
        key->size = (size_t)size;
        memcpy(key->bytes, decoded, key->size);
    }
    OPENSSL_cleanse(decoded, sizeof(decoded));
    return key->size > 0 ? 0 : -1;
}

/* A '.' in the id would let two different messages have the same signed bytes. */
static int is_valid_id(const char *id)
{
    size_t length = strlen(id);

    if (length == 0 || length > WEBHOOK_ID_MAX_BYTES)
        return 0;
    for (; *id; id++)
        if (*id <= ' ' || *id > '~' || *id == '.')
            return 0;
    return 1;
}

static int sign_text(const struct webhook_key *key, const char *id, const char *timestamp, const void *body,
                     size_t body_size, char signature[WEBHOOK_SIGNATURE_BYTES])
{
    char head[WEBHOOK_ID_MAX_BYTES + TIMESTAMP_MAX_DIGITS + 3];
    unsigned char mac[MAC_BYTES];
    unsigned int mac_size = 0;
    int head_size = snprintf(head, sizeof(head), "%s.%s.", id, timestamp);
    size_t size = (size_t)head_size + body_size;
    unsigned char *message;
    int failed;

    if (key->size == 0 || head_size < 0 || (size_t)head_size >= sizeof(head) || size < body_size ||
        size > INT_MAX)
        return -1;
    message = malloc(size);
    if (!message)
        return -1;
    memcpy(message, head, (size_t)head_size);
    if (body_size > 0)
        memcpy(message + head_size, body, body_size);
    failed = !HMAC(EVP_sha256(), key->bytes, (int)key->size, message, size, mac, &mac_size) ||
             mac_size != MAC_BYTES;
    free(message);
    if (failed)
        return -1;
    memcpy(signature, SIGNATURE_PREFIX, sizeof(SIGNATURE_PREFIX));
    EVP_EncodeBlock((unsigned char *)signature + sizeof(SIGNATURE_PREFIX) - 1, mac, MAC_BYTES);
    return 0;
}

int webhook_sign(const struct webhook_key *key, const char *id, int64_t timestamp_s, const void *body,
                 size_t body_size, char signature[WEBHOOK_SIGNATURE_BYTES])
{
    char timestamp[32];

    signature[0] = '\0';
    if (!is_valid_id(id) || timestamp_s < 0)
        return -1;
    if (snprintf(timestamp, sizeof(timestamp), "%" PRId64, timestamp_s) > TIMESTAMP_MAX_DIGITS)
        return -1;
    return sign_text(key, id, timestamp, body, body_size, signature);
}

int webhook_sign_plain(const struct webhook_key *key, const void *body, size_t body_size,
                       char signature[WEBHOOK_PLAIN_BYTES])
{
    unsigned char mac[MAC_BYTES];
    unsigned int size = 0;

    signature[0] = '\0';
    if (key->size == 0 || !HMAC(EVP_sha256(), key->bytes, (int)key->size, body, body_size, mac, &size) ||
        size != MAC_BYTES)
        return -1;
    for (unsigned i = 0; i < size; i++)
        snprintf(signature + 2 * i, 3, "%02x", mac[i]);
    return 0;
}

static int read_timestamp(const char *text, int64_t *out)
{
    size_t length = strlen(text);

    if (length == 0 || length > TIMESTAMP_MAX_DIGITS || strspn(text, "0123456789") != length)
        return -1;
    *out = (int64_t)strtoll(text, NULL, 10);
    return 0;
}

static enum webhook_verdict check_headers(const struct webhook_headers *headers, int64_t now_s,
                                          int64_t tolerance_s)
{
    int64_t sent_s = 0;

    if (!headers->id || !headers->timestamp || !headers->signature || !*headers->id || !*headers->timestamp ||
        !*headers->signature)
        return WEBHOOK_MISSING_HEADER;
    if (!is_valid_id(headers->id) || read_timestamp(headers->timestamp, &sent_s) != 0)
        return WEBHOOK_BAD_HEADER;
    if (sent_s < now_s - tolerance_s)
        return WEBHOOK_TOO_OLD;
    return sent_s > now_s + tolerance_s ? WEBHOOK_TOO_NEW : WEBHOOK_OK;
}

/* Whether one of the signatures in the header is this one. Only lengths, which are public, steer the loop. */
static int header_holds(const char *header, const char *signature)
{
    const size_t wanted = sizeof(SIGNATURE_PREFIX) - 1 + MAC_BASE64_BYTES;
    int found = 0;

    for (int i = 0; i < MAX_SIGNATURES && *header; i++) {
        size_t length = strcspn(header, " ");

        if (length == wanted)
            found |= CRYPTO_memcmp(header, signature, wanted) == 0;
        header += length;
        header += strspn(header, " ");
    }
    return found;
}

enum webhook_verdict webhook_verify(const struct webhook_key *keys, size_t n_keys,
                                    const struct webhook_headers *headers, const void *body, size_t body_size,
                                    int64_t now_s, int64_t tolerance_s)
{
    enum webhook_verdict verdict = check_headers(headers, now_s, tolerance_s);
    char signature[WEBHOOK_SIGNATURE_BYTES];
    int found = 0;

    if (verdict != WEBHOOK_OK)
        return verdict;
    for (size_t i = 0; i < n_keys; i++)
        if (sign_text(&keys[i], headers->id, headers->timestamp, body, body_size, signature) == 0)
            found |= header_holds(headers->signature, signature);
    return found ? WEBHOOK_OK : WEBHOOK_BAD_SIGNATURE;
}

const char *webhook_verdict_text(enum webhook_verdict verdict)
{
    switch (verdict) {
    case WEBHOOK_OK:
        return "the signature is good";
    case WEBHOOK_MISSING_HEADER:
        return "webhook-id, webhook-timestamp and webhook-signature are needed";
    case WEBHOOK_BAD_HEADER:
        return "webhook-id or webhook-timestamp is malformed";
    case WEBHOOK_TOO_OLD:
        return "webhook-timestamp is too old";
    case WEBHOOK_TOO_NEW:
        return "webhook-timestamp is in the future";
    case WEBHOOK_BAD_SIGNATURE:
        return "no signature fits";
    }
    return "unknown verdict";
}
