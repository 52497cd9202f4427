/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_TEXT_H
#define SERVICE_TEXT_H

/* JSON and other texts, the way all parts of the orchestrator write and read them. */

#include <jansson.h>
#include <jobq/jobq.h>

/* One line, members in alphabetical order: equal values are equal bytes. Owned by the caller: free. NULL
 * without memory, also when `value` is NULL. */
char *text_of_json(const json_t *value);

/* An object, or NULL: also for JSON that is no object, names a member twice or is absent. */
json_t *json_of_bytes(struct jobq_bytes bytes);

/* A string value of arbitrary bytes: what is no UTF-8 becomes '?'. At most `most` bytes of it. */
json_t *json_of_text(const void *text, size_t size, size_t most);

/* The text form of an id as a JSON string. */
json_t *json_of_id(const struct jobq_id *id);

/* RFC 3339 with milliseconds, UTC; null for 0. */
json_t *json_of_instant(int64_t at_ms);

/* The member as text, or `other`. Lent by the object. */
const char *text_member(const json_t *object, const char *name, const char *other);

/* The library's last error in one line: "CODE: text". */
void text_of_error(int status, char *out, size_t out_size);

/* As a file of one line; white space around it is left away. Owned by the caller: free. NULL with errno. */
char *text_of_file(const char *path, size_t most);

#endif
