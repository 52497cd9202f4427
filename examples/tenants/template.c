/* SPDX-License-Identifier: MIT */
#include "template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"

#define NAME_MOST 64

int template_is_name(const char *text)
{
    return order_is_tenant(text);
}

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            putc(*text, out);
        }
    }
}

static int put_value(FILE *out, const json_t *value, int is_html)
{
    char *text = json_is_string(value) ? strdup(json_string_value(value))
                 : json_is_number(value) || json_is_boolean(value)
                     ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12))
                     : NULL;

    if (!text)
        return -1;
    if (is_html)
        put_escaped(out, text);
    else
        fputs(text, out);
    free(text);
    return 0;
}

/* Behind "{{"; returns where the text goes on, or NULL and why. */
static const char *put_name(FILE *out, const char *text, const json_t *data, int is_html, char why[200])
{
    char name[NAME_MOST + 1];
    size_t size;

    text += strspn(text, " ");
    size = strcspn(text, " }\n");
    if (size < 1 || size > NAME_MOST) {
        snprintf(why, 200, "a {{ without a name in the template");
        return NULL;
    }
    memcpy(name, text, size);
    name[size] = '\0';
    text += size + strspn(text + size, " ");
    if (strncmp(text, "}}", 2) != 0) {
        snprintf(why, 200, "{{%s is not closed in the template", name);
        return NULL;
    }
    if (put_value(out, json_object_get(data, name), is_html) != 0) {
        snprintf(why, 200, "template_data has no text or number '%s'", name);
        return NULL;
    }
    return text + 2;
}

char *template_fill(const char *text, const json_t *data, int is_html, char why[200])
{
    char *filled = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&filled, &size);

    while (out && text) {
        const char *mark = strstr(text, "{{");
        fwrite(text, 1, mark ? (size_t)(mark - text) : strlen(text), out);
        if (!mark)
            break;
        text = put_name(out, mark + 2, data, is_html, why);
    }
    if (!out || fclose(out) != 0) {
        snprintf(why, 200, "out of memory");
        text = NULL;
    }
    if (!text) {
        free(filled);
        return NULL;
    }
    return filled;
}
