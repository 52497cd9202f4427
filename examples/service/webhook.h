/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_WEBHOOK_H
#define SERVICE_WEBHOOK_H

/*
 * Signed messages between the orchestrator and its services, as Standard Webhooks does it: the headers
 *
 *   webhook-id         stays the same when a message is sent again; the receiver can tell a repetition by it
 *   webhook-timestamp  seconds since 1970 of this sending
 *   webhook-signature  "v1,<base64>", or several of them separated by spaces while keys are being changed
 *
 * where the signature is HMAC-SHA256 over "id.timestamp.body". Pure functions: no clock, no file, no state.
 */

#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_KEY_MIN_BYTES 24
#define WEBHOOK_KEY_MAX_BYTES 64
#define WEBHOOK_ID_MAX_BYTES 256
#define WEBHOOK_SIGNATURE_BYTES 48  /* "v1,", 44 of base64 and a NUL */
#define WEBHOOK_TOLERANCE_S 300

struct webhook_key {
    size_t size;
    unsigned char bytes[WEBHOOK_KEY_MAX_BYTES];
};

enum webhook_verdict {
    WEBHOOK_OK = 0,
    WEBHOOK_MISSING_HEADER,     /* one of the three is NULL or empty */
    WEBHOOK_BAD_HEADER,         /* an id too long or with a '.', or a timestamp that is no plain number */
    WEBHOOK_TOO_OLD,
    WEBHOOK_TOO_NEW,
    WEBHOOK_BAD_SIGNATURE,      /* none of the signatures is one of ours */
};

struct webhook_headers {
    const char *id;
    const char *timestamp;
    const char *signature;
};

/*
 * Reads a secret, "whsec_" and base64 of 24 to 64 bytes; white space around it is ignored, so that a line of
 * a file can be given as it is. Returns 0, or -1 and `key` is empty.
 */
int webhook_key_parse(struct webhook_key *key, const char *secret);

/*
 * Writes the signature header of a message. Returns 0, or -1 when the id is empty, longer than
 * WEBHOOK_ID_MAX_BYTES, holds a '.' or anything that is not printable ASCII, when the time is negative, or
 * when memory ran out.
 */
int webhook_sign(const struct webhook_key *key, const char *id, int64_t timestamp_s, const void *body,
                 size_t body_size, char signature[WEBHOOK_SIGNATURE_BYTES]);

/*
 * Judges a message that was received at `now_s`: it must be signed with one of the keys and sent at most
 * `tolerance_s` seconds before or after. The time is looked at first, but no text of a header is trusted
 * before the signature fits. Comparison takes the same time wherever two signatures differ.
 */
enum webhook_verdict webhook_verify(const struct webhook_key *keys, size_t n_keys,
                                    const struct webhook_headers *headers, const void *body, size_t body_size,
                                    int64_t now_s, int64_t tolerance_s);

/* HMAC-SHA256 over the body alone, in hexadecimal, as many older services sign. Returns 0 or -1. */
#define WEBHOOK_PLAIN_BYTES 65
int webhook_sign_plain(const struct webhook_key *key, const void *body, size_t body_size,
                       char signature[WEBHOOK_PLAIN_BYTES]);

/* A sentence for a log or an answer; says nothing about what the right signature would be. */
const char *webhook_verdict_text(enum webhook_verdict verdict);

#endif
