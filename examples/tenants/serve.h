/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_SERVE_H
#define TENANTS_SERVE_H

/* The door: jobs come in, figures and the administration go out. */

#include "auth.h"
#include "office.h"

struct serve_options {
    const char *listen;
    const struct auth *auth; /* NULL: counts alone */
    const char *audit_file;
};

struct serve;

/* NULL and *why. */
struct serve *serve_start(struct office *office, const struct serve_options *options, const char **why);
const char *serve_address(const struct serve *serve);
void serve_stop(struct serve *serve);

#endif
