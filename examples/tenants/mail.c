/* SPDX-License-Identifier: MIT */
#include "mail.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "template.h"
#include "text.h"
#include "web.h"

#define TEMPLATE_MOST 262144
#define WORD_BYTES    42 /* of text in one encoded word: 75 characters with what stands around it */

/* ---- headers ------------------------------------------------------------------------------------------- */

static int is_ascii(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return 0;
    return 1;
}

/* How much of the text fits a word without cutting a character. */
static size_t word_of(const char *text)
{
    size_t size = strlen(text);

    if (size <= WORD_BYTES)
        return size;
    for (size = WORD_BYTES; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80; size--)
        ;
    return size ? size : WORD_BYTES;
}

int mail_header_text(const char *text, char *out, size_t size)
{
    unsigned char word[WORD_BYTES / 3 * 4 + 1];
    size_t at = 0;

    if (is_ascii(text))
        return (size_t)snprintf(out, size, "%s", text) < size ? 0 : -1;
    while (*text) {
        size_t bytes = word_of(text);
        EVP_EncodeBlock(word, (const unsigned char *)text, (int)bytes);
        int written = snprintf(out + at, size - at, "%s=?UTF-8?B?%s?=", at ? " " : "", (const char *)word);
        if (written < 0 || at + (size_t)written >= size)
            return -1;
        at += (size_t)written;
        text += bytes;
    }
    return 0;
}

static struct curl_slist *add(struct curl_slist *list, const char *name, const char *before,
                              const char *value, const char *behind)
{
    char line[2048];

    snprintf(line, sizeof(line), "%s: %s%s%s", name, before, value, behind);
    return curl_slist_append(list, line);
}

/* Day and month in English, whatever the locale. */
static void date_of(int64_t at_ms, char *out, size_t size)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm t;

    gmtime_r(&seconds, &t);
    snprintf(out, size, "%s, %02d %s %d %02d:%02d:%02d +0000", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static struct curl_slist *headers_of(const struct mail_options *options, const struct mail *mail)
{
    struct curl_slist *list = NULL;
    char subject[1500], date[64];

    if (mail_header_text(text_member(mail->data, "subject", ""), subject, sizeof(subject)) != 0)
        return NULL;
    date_of(mail->date_ms, date, sizeof(date));
    list = add(list, "Date", "", date, "");
    list = add(list, "From", "<", options->from, ">");
    list = add(list, "To", "<", text_member(mail->data, "to", ""), ">");
    list = add(list, "Subject", "", subject, "");
    return add(list, "Message-ID", "<", mail->message_id, ">");
}

/* ---- parts --------------------------------------------------------------------------------------------- */

/* Lines end in CR LF on their way. */
static char *with_crlf(const char *text)
{
    char *out = malloc(2 * strlen(text) + 1), *at = out;

    for (const char *c = text; out && *c; c++) {
        if (*c == '\n' && (c == text || c[-1] != '\r'))
            *at++ = '\r';
        *at++ = *c;
    }
    if (out)
        *at = '\0';
    return out;
}

static int add_text(curl_mime *mime, const char *text, const char *type)
{
    curl_mimepart *part = curl_mime_addpart(mime);
    char *lines = with_crlf(text);
    int failed = !part || !lines || curl_mime_data(part, lines, CURL_ZERO_TERMINATED) != CURLE_OK ||
                 curl_mime_type(part, type) != CURLE_OK ||
                 curl_mime_encoder(part, "quoted-printable") != CURLE_OK;

    free(lines);
    return failed ? -1 : 0;
}

/* 0; 1 when there is no such file; -1 and why. */
static int add_template(curl_mime *mime, const struct mail_options *options, const json_t *data, int is_html,
                        char why[600])
{
    char path[1024], trouble[200];
    char *text, *filled;
    int status;

    snprintf(path, sizeof(path), "%s/%s.%s", options->templates ? options->templates : ".",
             text_member(data, "template", ""), is_html ? "html" : "txt");
    text = text_of_file(path, TEMPLATE_MOST);
    if (!text)
        return 1;
    filled = template_fill(text, json_object_get(data, "template_data"), is_html, trouble);
    free(text);
    if (!filled) {
        snprintf(why, 600, "%.300s: %s", path, trouble);
        return -1;
    }
    status = add_text(mime, filled, is_html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8");
    free(filled);
    return status;
}

/* The readers take the last kind that they understand. */
static int add_bodies(curl_mime *mime, const struct mail_options *options, const json_t *data, char why[600])
{
    const char *body = text_member(data, "body", NULL), *name = text_member(data, "template", NULL);
    int text = body ? add_text(mime, body, "text/plain; charset=utf-8") : 1, html = 1;

    if (name && !template_is_name(name)) {
        snprintf(why, 600, "template: is no name");
        return -1;
    }
    if (name && text > 0)
        text = add_template(mime, options, data, 0, why);
    if (name && text >= 0)
        html = add_template(mime, options, data, 1, why);
    if (text > 0 && html > 0)
        snprintf(why, 600, "there is no template '%s'", name ? name : "");
    return text < 0 || html < 0 || (text > 0 && html > 0) ? -1 : 0;
}

static char *decode(const char *text, size_t *size)
{
    size_t length = strlen(text), padding = 0;
    unsigned char *out = malloc(length / 4 * 3 + 4);
    int bytes = -1;

    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (out && length % 4 == 0 && !memchr(text, '=', length - padding))
        bytes = EVP_DecodeBlock(out, (const unsigned char *)text, (int)length) - (int)padding;
    if (bytes < 0) {
        free(out);
        return NULL;
    }
    *size = (size_t)bytes;
    return (char *)out;
}

/* What came as text in JSON is UTF-8. */
static void type_of(const json_t *one, int is_text, char out[200])
{
    const char *type = text_member(one, "content_type", is_text ? "text/plain" : "application/octet-stream");

    snprintf(out, 200, "%.150s%s", type,
             is_text && strncmp(type, "text/", 5) == 0 && !strchr(type, ';') ? "; charset=utf-8" : "");
}

static int add_attachment(curl_mime *mime, const json_t *one, char why[600])
{
    const char *plain = text_member(one, "content", NULL);
    size_t size = plain ? strlen(plain) : 0;
    char *bytes = plain ? strdup(plain) : decode(text_member(one, "content_base64", ""), &size), type[200];
    curl_mimepart *part = bytes ? curl_mime_addpart(mime) : NULL;

    type_of(one, plain != NULL, type);
    int failed = !part || curl_mime_data(part, bytes, size) != CURLE_OK ||
                 curl_mime_filename(part, text_member(one, "filename", "file")) != CURLE_OK ||
                 curl_mime_type(part, type) != CURLE_OK || curl_mime_encoder(part, "base64") != CURLE_OK;
    if (failed)
        snprintf(why, 600, "attachments: '%s' is no base64, or too large",
                 text_member(one, "filename", "file"));
    free(bytes);
    return failed ? -1 : 0;
}

static int fill_mime(CURL *curl, curl_mime *mime, const struct mail_options *options, const json_t *data,
                     char why[600])
{
    curl_mime *bodies = curl_mime_init(curl);
    curl_mimepart *part = curl_mime_addpart(mime);
    size_t i;
    json_t *one;
    int failed = bodies ? add_bodies(bodies, options, data, why) : -1;

    if (failed || !part || curl_mime_subparts(part, bodies) != CURLE_OK) {
        curl_mime_free(bodies);
        return -1;
    }
    curl_mime_type(part, "multipart/alternative");
    json_array_foreach(json_object_get(data, "attachments"), i,
                       one) if (add_attachment(mime, one, why) != 0) return -1;
    return 0;
}

/* ---- on its way ---------------------------------------------------------------------------------------- */

static void set_server(CURL *curl, const struct mail_options *options)
{
    curl_easy_setopt(curl, CURLOPT_URL, options->server);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_SMTP | CURLPROTO_SMTPS);
#endif
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(options->password ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    if (options->password) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, options->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, options->password);
    }
}

/* libcurl says QUIT when it closes a connection, and waits two minutes for the answer; a server that was
 * given up for its slowness is not asked any more. */
static void hang_up(CURL *curl)
{
    curl_socket_t fd = CURL_SOCKET_BAD;

    if (curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RDWR);
}

/* The last reply of the server says more than how libcurl calls it. */
static enum mail_verdict judge(CURL *curl, CURLcode code, char why[600], const char *said)
{
    long reply = 0;

    if (code == CURLE_OK)
        return MAIL_SENT;
    hang_up(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply);
    snprintf(why, 600, "SMTP, last reply %ld: %s", reply, *said ? said : curl_easy_strerror(code));
    return reply >= 500 && reply < 600 ? MAIL_REFUSED : MAIL_LATER;
}

static enum mail_verdict perform(CURL *curl, struct jobq_ctx *ctx, const struct mail_options *options,
                                 const struct mail *mail, char why[600])
{
    struct curl_slist *to = curl_slist_append(NULL, text_member(mail->data, "to", ""));
    struct curl_slist *headers = headers_of(options, mail);
    struct web_watch watch = {ctx, 0};
    curl_mime *mime = curl_mime_init(curl);
    enum mail_verdict verdict = MAIL_UNUSABLE;
    char said[CURL_ERROR_SIZE];

    snprintf(why, 600, "subject: is too long");
    if (to && headers && mime && fill_mime(curl, mime, options, mail->data, why) == 0) {
        web_set_up(curl, &watch, options->limit_ms, said);
        set_server(curl, options);
        curl_easy_setopt(curl, CURLOPT_MAIL_FROM, options->from);
        curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
        verdict = judge(curl, curl_easy_perform(curl), why, said);
    }
    curl_mime_free(mime);
    curl_slist_free_all(headers);
    curl_slist_free_all(to);
    return verdict;
}

enum mail_verdict mail_send(struct jobq_ctx *ctx, const struct mail_options *options, const struct mail *mail,
                            char why[600])
{
    CURL *curl = options->server ? curl_easy_init() : NULL;
    enum mail_verdict verdict = MAIL_LATER;

    snprintf(why, 600, "%s", options->server ? "out of memory" : "there is no server for mail: --smtp");
    if (curl)
        verdict = perform(curl, ctx, options, mail, why);
    curl_easy_cleanup(curl);
    return verdict;
}
