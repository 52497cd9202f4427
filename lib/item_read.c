/* SPDX-License-Identifier: MIT */
/* A line of text back to the item it was. What it does not know it refuses: leaving it out would lose it. */
#include "item.h"

#include <string.h>

#define COUNT_MAX_LISTED 100000

struct reader {
    struct jobq_arena *arena;
    const char *at, *end;
    const char *field; /* the member being read */
    const char *why;   /* what was wrong; NULL: out of memory */
};

static bool wrong(struct reader *r, const char *why)
{
    r->why = why;
    return false;
}

/* ---- signs, strings, numbers ------------------------------------------------------------------------- */

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool next_is(struct reader *r, char sign)
{
    skip_space(r);
    if (r->at == r->end || *r->at != sign)
        return false;
    r->at++;
    return true;
}

static bool expect(struct reader *r, char sign)
{
    static const char *const whys[] = {"a '{' is missing",   "a '}' is missing", "a ':' is missing",
                                       "a '[' is missing",   "a ']' is missing", "a ',' is missing",
                                       "a string is missing"};
    static const char signs[] = "{}:[],\"";
    return next_is(r, sign) || wrong(r, whys[strchr(signs, sign) - signs]);
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 63));
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    }
    return out;
}

/* The four digits behind \\u. */
static bool read_code(struct reader *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int digit = r->at < r->end ? hex_digit(*r->at) : -1;
        if (digit < 0)
            return wrong(r, "\\u must be followed by four hexadecimal digits");
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

static bool read_unicode(struct reader *r, char **out)
{
    uint32_t code, low;
    if (!read_code(r, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
            return wrong(r, "half of a surrogate pair");
        r->at += 2;
        if (!read_code(r, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return wrong(r, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return wrong(r, "half of a surrogate pair");
    }
    *out = put_utf8(*out, code);
    return true;
}

static bool read_escape(struct reader *r, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at++ : 0;
    const char *at = c ? strchr(names, c) : NULL;
    if (c == 'u')
        return read_unicode(r, out);
    if (!at)
        return wrong(r, "an escape that JSON does not have");
    *(*out)++ = values[at - names];
    return true;
}

static bool read_string(struct reader *r, struct jobq_bytes *out)
{
    if (!expect(r, '"'))
        return false;
    const char *end = r->at;
    while (end < r->end && *end != '"')
        end += *end == '\\' && end + 1 < r->end ? 2 : 1;
    if (end >= r->end)
        return wrong(r, "the string has no end");
    char *text = jobq_arena_alloc(r->arena, (size_t)(end - r->at) + 1), *to = text;
    if (!text)
        return wrong(r, NULL);
    while (r->at < end) {
        char c = *r->at++;
        if (c == '\\' && !read_escape(r, &to))
            return false;
        if (c != '\\')
            *to++ = c;
    }
    r->at = end + 1;
    *to = 0;
    *out = (struct jobq_bytes){text, (size_t)(to - text)};
    return true;
}

/* Digits with a sign; a value beyond the type is refused by whoever knows the type. */
static bool read_digits(struct reader *r, bool *minus, uint64_t *out)
{
    skip_space(r);
    *minus = r->at < r->end && *r->at == '-';
    r->at += *minus;
    const char *from = r->at;
    for (*out = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
        if (__builtin_mul_overflow(*out, (uint64_t)10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*r->at - '0'), out))
            return wrong(r, "the number is too large");
    return r->at > from || wrong(r, "a whole number is missing");
}

static bool read_signed(struct reader *r, int64_t least, int64_t most, int64_t *out)
{
    uint64_t digits;
    bool minus;
    if (!read_digits(r, &minus, &digits))
        return false;
    if (digits > (uint64_t)INT64_MAX + minus)
        return wrong(r, "the number is too large");
    *out = minus ? (int64_t)(0 - digits) : (int64_t)digits;
    return (*out >= least && *out <= most) || wrong(r, "the number is beyond its range");
}

static bool read_unsigned(struct reader *r, uint64_t most, uint64_t *out)
{
    bool minus;
    if (!read_digits(r, &minus, out))
        return false;
    return (!minus && *out <= most) || wrong(r, "the number is beyond its range");
}

/* ---- bytes ------------------------------------------------------------------------------------------- */

static bool read_hex(struct reader *r, uint8_t *out, size_t size)
{
    struct jobq_bytes text;
    if (!read_string(r, &text))
        return false;
    const char *s = text.data;
    if (text.size != 2 * size)
        return wrong(r, "it has not as many hexadecimal digits as it must");
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);
        if (high < 0 || low < 0)
            return wrong(r, "not a hexadecimal digit");
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool decode_base64(struct reader *r, struct jobq_bytes *bytes)
{
    const char *s = bytes->data;
    size_t size = bytes->size, used = 0;
    uint8_t *out = (uint8_t *)(uintptr_t)bytes->data; /* what comes out is never ahead of what goes in */
    uint32_t bits = 0;
    if (size % 4)
        return wrong(r, "base64 comes in groups of four");
    for (int pads = 0; pads < 2 && size && s[size - 1] == '='; pads++)
        size--;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(s[i]);
        if (digit < 0)
            return wrong(r, "not a digit of base64");
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4)
            out[used++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    out[used] = 0;
    bytes->size = used;
    return true;
}

/* ---- members ----------------------------------------------------------------------------------------- */

static bool read_object(struct reader *r, const struct member *members, void *to);

static bool read_list(struct reader *r, const struct member *members, size_t item_bytes, const void **out,
                      size_t *out_count)
{
    size_t count = 0, room = 0;
    char *items = NULL;
    if (!expect(r, '['))
        return false;
    for (bool more = !next_is(r, ']'); more; more = next_is(r, ',')) {
        if (count == COUNT_MAX_LISTED)
            return wrong(r, "the list is too long");
        char *grown = jobq_arena_grow(r->arena, items, count, &room, item_bytes);
        if (!grown)
            return wrong(r, NULL);
        items = grown;
        memset(items + count * item_bytes, 0, item_bytes);
        if (!read_object(r, members, items + count++ * item_bytes))
            return false;
    }
    *out = items;
    *out_count = count;
    return !count || expect(r, ']');
}

static bool read_by_state(struct reader *r, int64_t out[8])
{
    if (!expect(r, '['))
        return false;
    for (int i = 0; i < 8; i++)
        if ((i && !expect(r, ',')) || !read_signed(r, INT64_MIN, INT64_MAX, &out[i]))
            return false;
    return expect(r, ']');
}

static bool read_number(struct reader *r, enum member_type type, void *to)
{
    uint64_t u64 = 0;
    int64_t i64 = 0;
    bool good;
    switch (type) {
    case MEMBER_U8:
        good = read_unsigned(r, 1, &u64);
        *(uint8_t *)to = (uint8_t)u64;
        return good;
    case MEMBER_U32:
        good = read_unsigned(r, UINT32_MAX, &u64);
        *(uint32_t *)to = (uint32_t)u64;
        return good;
    case MEMBER_U64:
        return read_unsigned(r, UINT64_MAX, to);
    case MEMBER_I32:
        good = read_signed(r, INT32_MIN, INT32_MAX, &i64);
        *(int32_t *)to = (int32_t)i64;
        return good;
    default:
        return read_signed(r, INT64_MIN, INT64_MAX, to);
    }
}

static bool read_member(struct reader *r, const struct member *member, bool base64, void *owner)
{
    void *to = (char *)owner + member->offset;
    struct jobq_item_row *row = owner;
    const void *list = NULL;
    bool good;
    switch (member->type) {
    case MEMBER_BYTES:
        return read_string(r, to) && (!base64 || decode_base64(r, to));
    case MEMBER_HEX_8:
        return read_hex(r, to, 8);
    case MEMBER_HEX_16:
        return read_hex(r, to, 16);
    case MEMBER_HEX_32:
        return read_hex(r, to, 32);
    case MEMBER_I64_BY_STATE:
        return read_by_state(r, to);
    case MEMBER_ERRORS:
        good = read_list(r, error_members, sizeof *row->row.errors, &list, &row->row.error_count);
        row->row.errors = list;
        return good;
    case MEMBER_LOG:
        good = read_list(r, error_members, sizeof *row->row.log, &list, &row->row.log_count);
        row->row.log = list;
        return good;
    case MEMBER_EDGES:
        good = read_list(r, edge_members, sizeof *row->edges, &list, &row->edge_count);
        row->edges = list;
        return good;
    default:
        return read_number(r, member->type, to);
    }
}

static const struct member *member_named(const struct member *members, struct jobq_bytes name, bool *base64)
{
    static const char suffix[] = "_base64";
    const size_t tail = sizeof suffix - 1;
    *base64 = name.size > tail && memcmp((const char *)name.data + name.size - tail, suffix, tail) == 0;
    size_t size = name.size - (*base64 ? tail : 0);
    for (const struct member *m = members; m->name; m++)
        if (strlen(m->name) == size && memcmp(m->name, name.data, size) == 0)
            return *base64 && m->type != MEMBER_BYTES ? NULL : m;
    return NULL;
}

/* `first`: the '{' was read. */
static bool read_members(struct reader *r, const struct member *members, void *to, bool more)
{
    while (more) {
        struct jobq_bytes name;
        bool base64;
        if (!read_string(r, &name))
            return false;
        r->field = name.data;
        const struct member *member = member_named(members, name, &base64);
        if (!member)
            return wrong(r, "no such member is known here");
        if (!expect(r, ':') || !read_member(r, member, base64, to))
            return false;
        more = next_is(r, ',');
    }
    return expect(r, '}');
}

static bool read_object(struct reader *r, const struct member *members, void *to)
{
    if (!expect(r, '{'))
        return false;
    skip_space(r);
    return read_members(r, members, to, r->at < r->end && *r->at != '}');
}

/* ---- a line ------------------------------------------------------------------------------------------ */

/* {"item":"job" comes first: it says which members there are. */
static bool read_kind(struct reader *r, struct jobq_item *out)
{
    struct jobq_bytes name;
    r->field = "item";
    if (!expect(r, '{') || !read_string(r, &name))
        return false;
    if (strcmp(name.data, "item") != 0)
        return wrong(r, "must be the first member");
    if (!expect(r, ':') || !read_string(r, &name))
        return false;
    for (int kind = 1; item_kind_name(kind); kind++)
        if (strcmp(name.data, item_kind_name(kind)) == 0)
            out->kind = kind;
    return out->kind || wrong(r, "no such kind is known here");
}

static void derive(struct jobq_item *item)
{
    struct jobq_item_row *row = &item->as.row;
    if (item->kind == JOBQ_ITEM_SETTINGS)
        item->as.settings.settings.size = sizeof item->as.settings.settings;
    if (item->kind != JOBQ_ITEM_ROW)
        return;
    row->row.payload_bytes = row->row.payload.size;
    row->row.has_callback = row->has_digest && !row->digest_used;
}

int jobq_item_read(struct jobq_arena *arena, struct jobq_bytes line, struct jobq_item *out,
                   struct jobq_error *err)
{
    struct reader r = {.arena = arena, .at = line.data, .field = ""};
    r.end = r.at ? r.at + line.size : NULL;
    memset(out, 0, sizeof *out);
    bool good = read_kind(&r, out) && read_members(&r, item_members(out->kind), &out->as, next_is(&r, ','));
    skip_space(&r);
    if (good && r.at != r.end)
        good = wrong(&r, "more text than one object");
    derive(out);
    if (good)
        return JOBQ_OK;
    if (!r.why)
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    return jobq_error_set(err, JOBQ_INVALID, r.field, "%.40s: %s", r.field, r.why);
}
