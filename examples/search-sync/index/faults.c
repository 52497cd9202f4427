/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <time.h>

static int number(const json_t *object, const char *name, int other)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? (int)json_integer_value(value) : other;
}

int faults_set(struct faults *faults, const json_t *asked)
{
    const char *id = json_string_value(json_object_get(asked, "id"));

    if (!json_is_object(asked))
        return -1;
    if (!json_object_size(asked)) {
        faults_free(faults);
        return 0;
    }
    if (!faults->ids)
        faults->ids = json_object();
    if (id)
        return json_object_set_new(faults->ids, id,
                                   json_pack("{s:i, s:i}", "status", number(asked, "status", 500), "times",
                                             number(asked, "times", 1)));
    faults->whole = number(asked, "whole", faults->whole);
    faults->whole_times = json_object_get(asked, "whole") ? number(asked, "times", 1) : faults->whole_times;
    faults->delay_ms = number(asked, "delay_ms", (int)faults->delay_ms);
    return 0;
}

int faults_of_id(struct faults *faults, const char *id)
{
    json_t *fault = json_object_get(faults->ids, id);
    int times = number(fault, "times", 0);

    if (times <= 0)
        return 0;
    json_object_set_new(fault, "times", json_integer(times - 1));
    return number(fault, "status", 500);
}

int faults_of_request(struct faults *faults)
{
    const struct timespec delay = {faults->delay_ms / 1000, faults->delay_ms % 1000 * 1000000};

    if (faults->delay_ms > 0)
        nanosleep(&delay, NULL);
    if (faults->whole_times <= 0)
        return 0;
    faults->whole_times--;
    return faults->whole;
}

void faults_free(struct faults *faults)
{
    json_decref(faults->ids);
    *faults = (struct faults){.ids = NULL};
}
