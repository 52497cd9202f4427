/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_TEMPLATE_H
#define TENANTS_TEMPLATE_H

/* "Hello {{name}}": names are replaced by members of the data. Pure. */

#include <jansson.h>

/* The text, owned by the caller; NULL and why. In HTML what comes from the data is escaped, so that it is
 * text and never a tag, an attribute or a script. */
char *template_fill(const char *text, const json_t *data, int is_html, char why[200]);

/* A name that is a file's without being a path: letters, digits, '_', '-'. */
int template_is_name(const char *text);

#endif
