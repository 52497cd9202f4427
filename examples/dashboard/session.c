/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the cookie is stays with the browser: here is its digest. */
struct session {
    unsigned char digest[32];
    char csrf[SESSION_TEXT];
    struct auth_entry who;
    int64_t begun_ms, seen_ms;
    int used;
};

struct sessions {
    pthread_mutex_t lock;
    struct session all[SESSIONS_MOST];
};

struct sessions *sessions_create(void)
{
    struct sessions *sessions = calloc(1, sizeof(*sessions));

    if (sessions)
        pthread_mutex_init(&sessions->lock, NULL);
    return sessions;
}

void sessions_destroy(struct sessions *sessions)
{
    if (!sessions)
        return;
    pthread_mutex_destroy(&sessions->lock);
    OPENSSL_cleanse(sessions->all, sizeof(sessions->all));
    free(sessions);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static int draw(char out[SESSION_TEXT])
{
    unsigned char bytes[32];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return -1;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static int is_over(const struct session *session, int64_t now_ms)
{
    return !session->used || now_ms - session->seen_ms >= SESSION_IDLE_MS ||
           now_ms - session->begun_ms >= SESSION_MAX_MS;
}

static struct session *free_place(struct sessions *sessions, int64_t now_ms)
{
    struct session *oldest = &sessions->all[0];

    for (size_t i = 0; i < SESSIONS_MOST; i++) {
        if (is_over(&sessions->all[i], now_ms))
            return &sessions->all[i];
        if (sessions->all[i].seen_ms < oldest->seen_ms)
            oldest = &sessions->all[i];
    }
    return oldest;
}

int session_begin(struct sessions *sessions, const struct auth_entry *who, int64_t now_ms,
                  char cookie[SESSION_TEXT], char csrf[SESSION_TEXT])
{
    struct session *session;
    struct session made = {.who = *who, .begun_ms = now_ms, .seen_ms = now_ms, .used = 1};

    if (draw(cookie) != 0 || draw(csrf) != 0 ||
        !EVP_Digest(cookie, SESSION_TEXT - 1, made.digest, NULL, EVP_sha256(), NULL))
        return -1;
    memcpy(made.csrf, csrf, SESSION_TEXT);
    pthread_mutex_lock(&sessions->lock);
    session = free_place(sessions, now_ms);
    *session = made;
    pthread_mutex_unlock(&sessions->lock);
    return 0;
}

/* The lock is held. No leaving early. */
static struct session *find(struct sessions *sessions, const char *cookie)
{
    struct session *found = NULL;
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (!cookie || strlen(cookie) != SESSION_TEXT - 1 ||
        !EVP_Digest(cookie, SESSION_TEXT - 1, digest, NULL, EVP_sha256(), NULL))
        return NULL;
    for (size_t i = 0; i < SESSIONS_MOST; i++)
        if (CRYPTO_memcmp(sessions->all[i].digest, digest, sizeof(sessions->all[i].digest)) == 0)
            found = &sessions->all[i];
    return found;
}

int session_find(struct sessions *sessions, const char *cookie, int64_t now_ms, struct auth_entry *who,
                 char csrf[SESSION_TEXT])
{
    struct session *session;
    int known = -1;

    pthread_mutex_lock(&sessions->lock);
    session = find(sessions, cookie);
    if (session && is_over(session, now_ms)) {
        OPENSSL_cleanse(session, sizeof(*session));
    } else if (session) {
        session->seen_ms = now_ms;
        *who = session->who;
        memcpy(csrf, session->csrf, SESSION_TEXT);
        known = 0;
    }
    pthread_mutex_unlock(&sessions->lock);
    return known;
}

void session_end(struct sessions *sessions, const char *cookie)
{
    struct session *session;

    pthread_mutex_lock(&sessions->lock);
    session = find(sessions, cookie);
    if (session)
        OPENSSL_cleanse(session, sizeof(*session));
    pthread_mutex_unlock(&sessions->lock);
}

int session_same(const char *a, const char *b)
{
    size_t size = a ? strlen(a) : 0;

    return a && b && strlen(b) == size && CRYPTO_memcmp(a, b, size) == 0;
}
