/* SPDX-License-Identifier: MIT */
#ifndef INDEX_FAULTS_H
#define INDEX_FAULTS_H

/* What a test asks the server to do wrong: POST /_faults
 *   {"id": ID, "status": N, "times": N}   refuse this document
 *   {"whole": N, "times": N}              refuse whole requests with this status
 *   {"delay_ms": N}                       answer late, from now on
 *   {}                                    no more of it */

#include <jansson.h>

struct faults {
    json_t *ids;
    int whole, whole_times;
    long delay_ms;
};

/* 0, or -1 for what is none of these. */
int faults_set(struct faults *faults, const json_t *asked);

/* The status to refuse this document with; 0: none. */
int faults_of_id(struct faults *faults, const char *id);

/* Waits the delay; the status to refuse the request with, 0: none. */
int faults_of_request(struct faults *faults);

void faults_free(struct faults *faults);

#endif
