/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"
#include "text.h"

static const char usage_text[] =
    "usage: jobq-tenants [-s URI] [OPTIONS] COMMAND\n"
    "  setup                      tables, plans and limits; may be repeated\n"
    "  tenant ID PLAN [ZONE]      plan: free, starter, pro, enterprise\n"
    "  hook ID TENANT EVENT URL SECRET-FILE | hook ID off\n"
    "  put QUEUE TENANT JSON      a job; QUEUE: email notification webhook report export image-processing "
    "ai\n"
    "                             analytics cleanup\n"
    "  bulk TENANT JSON           a mail to each of \"to\", 100 ms apart\n"
    "  event TENANT EVENT JSON [ID]\n"
    "                             to all active webhooks of the tenant\n"
    "  schedule TENANT JSON       a report by the clock: id, cron (0 9 * * 1), timezone, report_type, "
    "params\n"
    "  stats                      of the nine queues\n"
    "  work                       until SIGINT or SIGTERM\n"
    "JSON may be - for standard input.\n"
    "  -s, --store URI      or $JOBQ_STORE, or $REDIS_HOST, $REDIS_PORT, $REDIS_PASSWORD; @FILE reads it\n"
    "  --database URI       of the program's tables (those of the store, if it can have some)\n"
    "work:\n"
    "  --smtp URL           smtp://HOST:PORT or smtps://; --smtp-user NAME, --smtp-password-file FILE\n"
    "  --from ADDRESS       of mails (noreply@localhost)\n"
    "  --templates DIR      NAME.txt and NAME.html of mails\n"
    "  --send-once          the record of a mail and the end of its job are one transaction\n"
    "  --out DIR            for reports and exports (.); --media DIR for pictures (.)\n"
    "  --ai-url URL         up to /v1, of a service that speaks as OpenAI's; --ai-key-file FILE\n"
    "  --alert-to ADDRESS   gets a mail for each job that failed for good\n"
    "  --allow-http         webhooks may go to http: too; --allow-net ADDRESS/BITS: to these addresses too\n"
    "  --webhook-timeout MS (30000); --smtp-timeout MS (30000)\n"
    "  --lease MS           after so long the jobs of a dead process are taken back (30000)\n"
    "  --poll MS            longest time without looking for jobs; --grace MS: for jobs in hand at the end "
    "(10000)\n"
    "  --listen ADDR:PORT   a door; --token-file FILE: a line for each token, ROLE TENANT SHA256-HEX\n"
    "  --audit-log FILE     who did what\n"
    "  --drain              end when nothing is left to do\n"
    "  --die-at STEP        for demonstrations: end as by a crash at a step of a mail: looked, sent, begun,\n"
    "                       recorded, acked, committed\n";

enum { OUT = 256, MEDIA, AI_URL, AI_KEY, ALERT_TO, ALLOW_HTTP, ALLOW_NET, HTTP_MS, SMTP_MS, DIE_AT };

static const struct option table[] = {
    {"store", required_argument, NULL, 's'},
    {"database", required_argument, NULL, 'b'},
    {"smtp", required_argument, NULL, 'm'},
    {"smtp-user", required_argument, NULL, 'u'},
    {"smtp-password-file", required_argument, NULL, 'w'},
    {"from", required_argument, NULL, 'f'},
    {"templates", required_argument, NULL, 'T'},
    {"send-once", no_argument, NULL, 'o'},
    {"out", required_argument, NULL, OUT},
    {"media", required_argument, NULL, MEDIA},
    {"ai-url", required_argument, NULL, AI_URL},
    {"ai-key-file", required_argument, NULL, AI_KEY},
    {"alert-to", required_argument, NULL, ALERT_TO},
    {"allow-http", no_argument, NULL, ALLOW_HTTP},
    {"allow-net", required_argument, NULL, ALLOW_NET},
    {"webhook-timeout", required_argument, NULL, HTTP_MS},
    {"smtp-timeout", required_argument, NULL, SMTP_MS},
    {"lease", required_argument, NULL, 'l'},
    {"poll", required_argument, NULL, 'p'},
    {"grace", required_argument, NULL, 'g'},
    {"listen", required_argument, NULL, 'L'},
    {"token-file", required_argument, NULL, 't'},
    {"audit-log", required_argument, NULL, 'a'},
    {"drain", no_argument, NULL, 'd'},
    {"die-at", required_argument, NULL, DIE_AT},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int replace(char **text, const char *value)
{
    free(*text);
    *text = strdup(value);
    return *text ? 0 : program_die(EXIT_FAILED, "out of memory");
}

/* What is a text and nothing more. NULL: another kind of option. */
static const char **text_of(struct options *out, int option)
{
    switch (option) {
    case 'b':
        return &out->database;
    case 'm':
        return &out->office.mail.server;
    case 'u':
        return &out->office.mail.user;
    case 'f':
        return &out->office.mail.from;
    case 'T':
        return &out->office.mail.templates;
    case OUT:
        return &out->office.out_dir;
    case MEDIA:
        return &out->office.media_dir;
    case AI_URL:
        return &out->office.ai_url;
    case ALERT_TO:
        return &out->office.alert_to;
    case DIE_AT:
        return &out->office.die_at;
    case 'L':
        return &out->serve.listen;
    case 't':
        return &out->tokens;
    case 'a':
        return &out->serve.audit_file;
    default:
        return NULL;
    }
}

static int take_number(struct options *out, int option)
{
    switch (option) {
    case HTTP_MS:
        return program_number("--webhook-timeout", optarg, 100, 600000, &out->office.http_ms);
    case SMTP_MS:
        return program_number("--smtp-timeout", optarg, 100, 600000, &out->office.mail.limit_ms);
    case 'l':
        return program_number("--lease", optarg, 100, 86400000, &out->crew.lease_ms);
    case 'p':
        return program_number("--poll", optarg, 10, 3600000, &out->crew.poll_ms);
    case 'g':
        return program_number("--grace", optarg, 1, 3600000, &out->crew.grace_ms);
    default:
        fputs(usage_text, option == 'h' ? stdout : stderr);
        return option == 'h' ? -1 : EXIT_USAGE;
    }
}

static int take_option(struct options *out, int option)
{
    const char **text = text_of(out, option), *problem;

    if (text) {
        *text = optarg;
        return 0;
    }
    switch (option) {
    case 's':
        return replace(&out->store, optarg);
    case 'w':
        return replace(&out->password_file, optarg);
    case AI_KEY:
        return replace(&out->ai_key_file, optarg);
    case 'o':
        out->office.send_once = 1;
        return 0;
    case 'd':
        out->crew.drain = 1;
        return 0;
    case ALLOW_HTTP:
        out->office.policy.http = 1;
        return 0;
    case ALLOW_NET:
        problem = target_open(&out->office.policy, optarg);
        return problem ? program_die(EXIT_USAGE, "--allow-net %s: %s", optarg, problem) : 0;
    default:
        return take_number(out, option);
    }
}

/* ---- the store ----------------------------------------------------------------------------------------- */

char *options_redis(const char *host, const char *port, const char *password)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    char *uri = NULL;
    size_t size = 0;
    FILE *out = host && *host ? open_memstream(&uri, &size) : NULL;

    if (!out)
        return NULL;
    fputs("redis://", out);
    if (password && *password) {
        putc(':', out);
        for (; *password; password++)
            fprintf(out, strchr(plain, *password) ? "%c" : "%%%02X", (unsigned char)*password);
        putc('@', out);
    }
    fprintf(out, strchr(host, ':') ? "[%s]" : "%s", host);
    if (port && *port)
        fprintf(out, ":%s", port);
    if (fclose(out) == 0)
        return uri;
    free(uri);
    return NULL;
}

/* An address in a file is read here already: it tells whether the tables can be beside the queue. */
static int find_store(struct options *out)
{
    const char *store = getenv("JOBQ_STORE");
    char *uri;

    if (!out->store && store)
        out->store = strdup(store);
    if (!out->store)
        out->store = options_redis(getenv("REDIS_HOST"), getenv("REDIS_PORT"), getenv("REDIS_PASSWORD"));
    if (!out->store)
        return program_die(EXIT_USAGE, "which store? -s URI, $JOBQ_STORE or $REDIS_HOST");
    if (*out->store != '@')
        return 0;
    uri = text_of_file(out->store + 1, 4096);
    if (!uri)
        return program_die(EXIT_STORE, "--store: %s cannot be read", out->store + 1);
    free(out->store);
    out->store = uri;
    return 0;
}

static int find_database(struct options *out)
{
    struct desks *desks = &out->office.desks;

    desks->database = out->database ? out->database : db_is_transactional(out->store) ? out->store : NULL;
    if (desks->database && db_is_same(desks->database, out->store))
        desks->store = out->store;
    if (!out->office.send_once || desks->store)
        return 0;
    return program_die(
        EXIT_USAGE,
        "--send-once: the record of a mail and the end of its job are to be one transaction, and %s. "
        "Use sqlite:FILE or postgres://...",
        db_is_transactional(out->store)
            ? "--database is another database than the store"
            : "Redis cannot take part in a transaction of somebody else's database");
}

static int read_secret(const char *option, const char *file, char **out)
{
    if (!file)
        return 0;
    *out = text_of_file(file, 512);
    return *out ? 0 : program_die(EXIT_USAGE, "%s: %s cannot be read", option, file);
}

int options_read(struct options *out, int argc, char **argv)
{
    int option, status;

    *out = (struct options){.office = {.mail = {.from = "noreply@localhost", .limit_ms = 30000},
                                       .out_dir = ".",
                                       .media_dir = ".",
                                       .http_ms = 30000}};
    while ((option = getopt_long(argc, argv, "s:h", table, NULL)) != -1)
        if ((status = take_option(out, option)) != 0)
            return status;
    out->words = argv + optind;
    out->count = argc - optind;
    if (out->count < 1) {
        fputs(usage_text, stderr);
        return EXIT_USAGE;
    }
    status = find_store(out);
    if (status == 0)
        status = find_database(out);
    if (status == 0)
        status = read_secret("--smtp-password-file", out->password_file, &out->office.mail.password);
    return status ? status : read_secret("--ai-key-file", out->ai_key_file, &out->office.ai_key);
}

void options_free(struct options *options)
{
    free(options->store);
    free(options->ai_key_file);
    free(options->password_file);
    free(options->office.mail.password);
    free(options->office.ai_key);
}
