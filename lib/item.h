/* SPDX-License-Identifier: MIT */
/* Items as text: which members of which kind have which name. One table, for writing and for reading. */
#ifndef JOBQ_ITEM_H
#define JOBQ_ITEM_H

#include "internal.h"

enum member_type {
    MEMBER_U8,
    MEMBER_I32,
    MEMBER_U32,
    MEMBER_I64,
    MEMBER_U64,
    MEMBER_I64_BY_STATE, /* eight of them */
    MEMBER_HEX_8,        /* so many bytes as hexadecimal digits */
    MEMBER_HEX_16,
    MEMBER_HEX_32,
    MEMBER_BYTES,  /* a string, or `name`_base64 */
    MEMBER_ERRORS, /* of a row */
    MEMBER_LOG,    /* in the same form */
    MEMBER_EDGES
};

struct member {
    const char *name; /* NULL: the end */
    size_t offset;    /* in what the table describes */
    enum member_type type;
};

/* By the kind of an item, offsets in its own member of the union; NULL: no such kind. */
const struct member *item_members(int kind);
const char *item_kind_name(int kind);
extern const struct member error_members[], edge_members[];

#endif
