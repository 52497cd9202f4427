/* SPDX-License-Identifier: MIT */
#ifndef SERVICE_STORE_H
#define SERVICE_STORE_H

#include <jobq/jobq.h>

/* Opens the store that a URI names, whatever its kind; "@FILE" reads the URI from a file, so that a password
 * is in no command line; one that is in `argument` is overwritten there. Payloads and results may have 8 MiB:
 * a report holds what all steps said. Returns JOBQ_OK and a handle to be closed with jobq_close, or a
 * negative code and its text in *why, which lives as long as jobq_last_error()'s. `io_timeout_ms` 0 is the
 * library's default. */
int store_open(struct jobq **out, char *argument, int64_t io_timeout_ms, const char **why);

/* The same for a store that is there; a missing one is not made. */
int store_open_existing(struct jobq **out, char *argument, int64_t io_timeout_ms, const char **why);

/* The same with options of the program's own. */
int store_open_with(struct jobq **out, char *argument, const struct jobq_options *options, const char **why);

#define STEP_RESULT_MAX_BYTES ((size_t)1 << 20)
#define REPORT_MAX_BYTES      ((size_t)8 << 20)

#endif
