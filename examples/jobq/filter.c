/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "filter.h"

enum { PAGE_MAX = 1000 };

void filter_init(struct filter *filter, size_t wanted)
{
    *filter = (struct filter){.jobs = {.size = sizeof filter->jobs}, .wanted = wanted};
}

/* NAME=VALUE, for scripts that are handed a filter: the same as --NAME VALUE. */
static int take_pair(struct cli *cli, struct filter *filter, char *pair)
{
    static const struct {
        const char *name;
        int option;
    } names[] = {{"queue", FILTER_QUEUE}, {"kind", FILTER_KIND},     {"group", FILTER_GROUP},
                 {"state", FILTER_STATE}, {"reason", FILTER_REASON}, {"older", FILTER_OLDER}};
    size_t n = strcspn(pair, "=");

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (pair[n] && strlen(names[i].name) == n && strncmp(names[i].name, pair, n) == 0) {
            optarg = pair + n + 1;
            return filter_take(cli, filter, names[i].option);
        }
    }
    return leave_usage(cli, "filter", "'%s' is not NAME=VALUE with queue, kind, group, state, reason or older", pair);
}

int filter_take(struct cli *cli, struct filter *filter, int option)
{
    switch (option) {
    case FILTER_PAIR:
        return take_pair(cli, filter, optarg);
    case FILTER_QUEUE:
        filter->jobs.queue = optarg;
        return LEAVE_OK;
    case FILTER_KIND:
        filter->jobs.kind = optarg;
        return LEAVE_OK;
    case FILTER_GROUP:
        filter->jobs.group = optarg;
        return LEAVE_OK;
    case FILTER_STATE:
        return args_states(cli, optarg, &filter->jobs.states);
    case FILTER_REASON:
        return args_reason(cli, optarg, &filter->jobs.reason);
    case FILTER_OLDER:
        return args_duration(cli, "older", optarg, 0, MS_MAX, &filter->jobs.older_ms);
    case FILTER_LIMIT:
        return args_size(cli, "limit", optarg, 1, (size_t)1 << 40, &filter->wanted);
    default:
        filter->jobs.after = &filter->after;
        return args_id(cli, optarg, &filter->after);
    }
}

/* One page to `each`; *left counts down. */
static int hand_over(const struct jobq_jobs *page, size_t *left, int (*each)(const struct jobq_job *, void *),
                     void *user)
{
    for (size_t i = 0; i<page->count && * left> 0; i++, --*left) {
        int code = each(&page->jobs[i], user);
        if (code != LEAVE_OK) {
            return code;
        }
    }
    return LEAVE_OK;
}

int filter_read(struct cli *cli, struct filter *filter, int (*each)(const struct jobq_job *job, void *user),
                void *user)
{
    size_t left = filter->wanted;
    int code = LEAVE_OK;

    while (left > 0 && code == LEAVE_OK) {
        struct jobq_jobs *page = NULL;
        size_t count;
        int status;

        filter->jobs.limit = left < PAGE_MAX ? left : PAGE_MAX;
        status = jobq_list(cli->q, &filter->jobs, &page);
        if (status < 0) {
            return leave_status(cli, status, NULL);
        }
        count = page->count;
        code = hand_over(page, &left, each, user);
        if (count > 0) {
            filter->after = page->jobs[count - 1].id;
            filter->jobs.after = &filter->after;
        }
        jobq_jobs_free(page);
        if (count == 0) {
            break;
        }
    }
    return code;
}
