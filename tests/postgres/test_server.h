/* SPDX-License-Identifier: MIT */
/* The private server that a test talks to behind the store's back. Its address is in JOBQ_TEST_POSTGRES;
 * tests/postgres/with_server.sh starts one and sets it. */
#ifndef POSTGRES_SERVER_H
#define POSTGRES_SERVER_H

#include <stddef.h>

const char *server_address(void); /* NULL, after saying so, when there is none */
/* The same server with another database, "/NAME" instead of the address's own; options stay. */
void server_address_of(const char *address, const char *database, char *out, size_t size);
/* Run statements in a database. 0, or -1 after saying what is wrong. */
int server_run(const char *database, const char *text);
/* The first value of the first row, "" for none; to free. */
char *server_ask(const char *database, const char *text);
/* Empty the store in this schema, if there is one, as if it had been made anew. 0 or -1. */
int server_empty(const char *database, const char *name_space);

#endif
