/* SPDX-License-Identifier: MIT */
/* Names of hosts are looked for no longer than a call may take, and libpq gets their addresses. */
#include "kit.h"

#include <names.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void open_fails(const char *uri, int64_t io_timeout_ms)
{
    struct jobq_store *s = NULL;
    ck_assert_int_eq(store_try(&s, uri, 0, io_timeout_ms, &last), JOBQ_UNREACHABLE);
    ck_assert_msg(!strstr(last.text, "Kan4"), "%s", last.text);
}

static void says(const char *text)
{
    ck_assert_msg(strstr(last.text, text) != NULL, "\"%s\" is not in \"%s\"", text, last.text);
}

/* Nobody is there; but whom it would have spoken to is said. */
START_TEST(found_by_name)
{
    open_fails("postgres://anna:Kan4@good.test:1/x?sslmode=disable", 20000);
    says("good.test");
    says("127.0.0.1");
    ck_assert_int_eq(names_asked(), 1);
    open_fails("postgres://anna:Kan4@127.0.0.1:1/x?sslmode=disable", 20000);
    open_fails("postgres://anna:Kan4@good.test/x?hostaddr=127.0.0.1&port=1&sslmode=disable", 20000);
    ck_assert_int_eq(names_asked(), 1);
}
END_TEST

/* Each with its own port; one that is not there is passed by, and so does a folder of sockets stay what it
 * is. */
START_TEST(one_of_several)
{
    struct jobq_store *s = NULL;
    const char *address = server_address(), *host = strstr(address, "host=");
    char uri[600];
    ck_assert_ptr_nonnull(host);
    snprintf(uri, sizeof uri, "%.*shost=good.test,none.test,%s&port=1,2,5432&sslmode=disable&namespace=%s",
             (int)(host - address), address, host + 5, name_space());
    ck_assert_msg(store_try(&s, uri, 0, 20000, &last) == JOBQ_OK, "%s", last.text);
    store_close(s);
}
END_TEST

START_TEST(not_found_in_time)
{
    open_fails("postgres://anna:Kan4@slow.test:1/x?sslmode=disable", 100);
    ck_assert_int_eq(names_await(1), 1);
    says("slow.test");
    says("in time");
    names_answer();
    ck_assert_int_eq(names_await(0), 0);
    open_fails("postgres://anna:Kan4@slow.test:1/x?sslmode=disable", 20000);
    ck_assert_ptr_null(strstr(last.text, "in time"));
}
END_TEST

static void write_services(const char *text)
{
    char path[] = "/tmp/jq.services.XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    ck_assert_int_eq(setenv("PGSERVICEFILE", path, 1), 0);
}

/* Those in libpq's file of services too, whoever names the service. */
START_TEST(in_a_service)
{
    write_services("[near]\nhost=good.test\nport=1\n[far]\nhost=slow.test\nport=1\npassword=Kan4\n");
    open_fails("postgres:///x?service=near&sslmode=disable", 20000);
    says("127.0.0.1");
    ck_assert_int_eq(names_asked(), 1);
    open_fails("postgres:///x?service=far&sslmode=disable", 100);
    ck_assert_int_eq(names_await(1), 1);
    says("slow.test");
    says("in time");
    ck_assert_int_eq(setenv("PGSERVICE", "far", 1), 0);
    open_fails("postgres:///x?sslmode=disable", 100);
    says("slow.test");
    open_fails("postgres:///x?service=nowhere&sslmode=disable", 100);
    says("nowhere");
    unlink(getenv("PGSERVICEFILE"));
    unsetenv("PGSERVICEFILE");
    unsetenv("PGSERVICE");
    names_answer();
}
END_TEST

KIT_MAIN("postgres-lookup", found_by_name, one_of_several, not_found_in_time, in_a_service)
