/* SPDX-License-Identifier: MIT */
/* How a command tells what went wrong, and which exit code that is. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "table.h"

int leave_code(int status)
{
    if (status >= 0) {
        return LEAVE_OK;
    }
    switch (status) {
    case JOBQ_INVALID:
        return LEAVE_USAGE;
    case JOBQ_NOT_FOUND:
    case JOBQ_NO_PARENT:
        return LEAVE_NOT_FOUND;
    case JOBQ_FAILED:
    case JOBQ_UNREACHABLE:
    case JOBQ_FOREIGN:
    case JOBQ_NEWER:
    case JOBQ_CORRUPT:
        return LEAVE_STORE;
    case JOBQ_TIMEOUT:
        return LEAVE_TIME;
    case JOBQ_UNKNOWN:
        return LEAVE_UNKNOWN;
    default:
        return LEAVE_REFUSED;
    }
}

static void put_error(struct cli *cli, int status, const char *field, const char *text,
                      const struct jobq_id *id)
{
    fprintf(stderr, "jobq%s%s: ", cli->command ? " " : "", cli->command ? cli->command->name : "");
    /* The library's texts name the field themselves. */
    if (field[0] && strncmp(text, field, strlen(field)) != 0) {
        table_plain(stderr, field);
        fputs(": ", stderr);
    }
    table_plain(stderr, text);
    putc('\n', stderr);
    if (cli->json && !cli->answered) {
        struct json json = json_begin(cli);
        json_object(&json, NULL);
        if (id) {
            json_id(&json, "id", id);
        }
        json_text(&json, "status", jobq_status_name(status));
        json_name(&json, "field", field);
        json_text(&json, "text", text);
        if (cli->retry_ms > 0) {
            json_int(&json, "retry_ms", cli->retry_ms);
        }
        json_end(&json);
    }
}

int leave_usage(struct cli *cli, const char *field, const char *format, ...)
{
    char text[600];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    put_error(cli, JOBQ_INVALID, field, text, NULL);
    return LEAVE_USAGE;
}

int leave_error(struct cli *cli, int status, const char *field, const char *format, ...)
{
    char text[600];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    put_error(cli, status, field, text, NULL);
    return leave_code(status);
}

int leave_status(struct cli *cli, int status, const struct jobq_id *id)
{
    const struct jobq_error *error = jobq_last_error();
    int known = error->status == status && error->text[0];

    if (status < 0) {
        put_error(cli, status, known ? error->field : "", known ? error->text : jobq_strerror(status), id);
    }
    return leave_code(status);
}

int leave_flushed(struct cli *cli, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return code;
    }
    cli->answered = 1;
    return leave_error(cli, JOBQ_HELD, "", "the answer could not be written: %s", strerror(errno));
}

void warn_text(const struct cli *cli, const char *format, ...)
{
    char text[600];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fprintf(stderr, "jobq%s%s: ", cli->command ? " " : "", cli->command ? cli->command->name : "");
    table_plain(stderr, text);
    putc('\n', stderr);
}
