/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"
#include "parts.h"
#include "steps.h"
#include "text.h"

#define NAME_COLUMNS    15
#define CELL_COLUMNS    8
#define BAR_COLUMNS     6
#define TROUBLE_COLUMNS 80

#define COLUMNS_MOST (2 + PARTS_MOST - PART_FIRST_STEP)

/* The probe, the steps that are seen, and the report; the names are lent by the answers. */
struct columns {
    const char *names[COLUMNS_MOST];
    size_t count;
};

static size_t columns_of_terminal(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void screen_init(struct screen *screen, const struct client *client)
{
    struct winsize size;
    int has_room = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
                   size.ws_col >= NAME_COLUMNS + 1 + (2 + PART_KNOWN - PART_FIRST_STEP) * CELL_COLUMNS &&
                   size.ws_row > client->count + 2;

    *screen = (struct screen){.is_terminal = has_room};
}

static const json_t *part_seen(const json_t *seen, const char *name)
{
    return json_object_get(json_object_get(seen, "progress"), name);
}

/* ---- the grid -------------------------------------------------------------------------------- */

static void write_bar(double share, size_t columns, char *out)
{
    size_t full = (size_t)lround(share * (double)columns);

    for (size_t i = 0; i < columns; i++)
        out[i] = i < full ? '#' : '-';
    out[columns] = '\0';
}

static const char *word_of(const char *state)
{
    static const struct {
        const char *state, *word;
    } words[] = {
        {"completed", "done"},         {"running", "running"},
        {"ready", "queued"},           {"scheduled", "later"},
        {"at the service", "service"}, {"waiting", "."},
        {"service busy", "busy"},      {"dead", "FAILED"},
        {"cancelled", "cancel"},       {"removed", "done"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].state, state) == 0)
            return words[i].word;
    return state;
}

/* What fits into one cell: a bar where something was counted, else a word; in front of it the attempt when
 * one failed. */
static void write_cell(const json_t *part, char out[CELL_COLUMNS + 1])
{
    const char *state = text_member(part, "state", ".");
    double done = json_number_value(json_object_get(part, "done"));
    double total = json_number_value(json_object_get(part, "total"));
    json_int_t failures = json_integer_value(json_object_get(part, "failures"));
    int is_ended = strcmp(state, "completed") == 0 || strcmp(state, "dead") == 0;
    char text[32];

    if (!is_ended && total > 0)
        write_bar(done < total ? done / total : 1.0, failures > 0 ? BAR_COLUMNS - 2 : BAR_COLUMNS, text);
    else
        snprintf(text, sizeof(text), "%s", word_of(state));
    if (failures > 0 && failures < 9 && strlen(text) < CELL_COLUMNS - 2)
        snprintf(out, CELL_COLUMNS + 1, "%d:%.5s", (int)failures + 1, text);
    else
        snprintf(out, CELL_COLUMNS + 1, "%.7s", text);
}

/* What comes from files and services must not speak to the terminal. */
static void print_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        putchar(iscntrl((unsigned char)text[i]) ? '?' : text[i]);
}

static void write_name(const char *name)
{
    size_t used = 0;
    size_t bytes = text_fit(name, NAME_COLUMNS, &used);

    print_plain(name, bytes);
    printf("%*s ", (int)(NAME_COLUMNS - used), "");
}

static void add_column(struct columns *columns, const char *name, size_t most)
{
    for (size_t i = 0; i < columns->count; i++)
        if (strcmp(columns->names[i], name) == 0)
            return;
    if (columns->count < most)
        columns->names[columns->count++] = name;
}

/* As the work goes; steps for which there is no room are left away. */
static void find_columns(const struct client *client, struct columns *columns)
{
    size_t room = (columns_of_terminal() - NAME_COLUMNS - 1) / CELL_COLUMNS;
    size_t most = room < COLUMNS_MOST ? room : COLUMNS_MOST;

    columns->count = 0;
    add_column(columns, parts[PART_PROBE].name, most);
    for (size_t i = 0; i < client->count; i++) {
        const json_t *progress = json_object_get(client->submissions[i].seen, "progress");
        const char *name = NULL;
        while ((name = steps_next(progress, name)) != NULL)
            add_column(columns, name, most - 1);
    }
    add_column(columns, parts[PART_REPORT].name, most);
}

static void draw_head(const struct columns *columns)
{
    printf("\033[2K%*s ", NAME_COLUMNS, "");
    for (size_t i = 0; i < columns->count; i++)
        printf("%-*.*s", i + 1 < columns->count ? CELL_COLUMNS : 0, CELL_COLUMNS - 1, columns->names[i]);
    printf("\n");
}

static void draw_row(const struct submission *submission, const struct columns *columns)
{
    char cell[CELL_COLUMNS + 1];

    printf("\033[2K");
    write_name(submission->name);
    for (size_t i = 0; i < columns->count; i++) {
        write_cell(part_seen(submission->seen, columns->names[i]), cell);
        printf("%-*s", i + 1 < columns->count ? CELL_COLUMNS : 0, cell);
    }
    printf("\n");
}

void screen_show(struct screen *screen, const struct client *client)
{
    struct columns columns;

    if (!screen->is_terminal)
        return;
    find_columns(client, &columns);
    if (screen->lines_drawn > 0)
        printf("\033[%zuA", screen->lines_drawn);
    draw_head(&columns);
    for (size_t i = 0; i < client->count; i++)
        draw_row(&client->submissions[i], &columns);
    screen->lines_drawn = client->count + 1;
    fflush(stdout);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* A new trouble is told with its reason; what is told after that has only the number of the attempt. */
static void tell_change(const struct submission *submission, const char *name, const json_t *now,
                        int is_new_failure)
{
    json_int_t failures = json_integer_value(json_object_get(now, "failures"));
    const char *state = text_member(now, "state", "?"), *trouble = text_member(now, "last_error", NULL);
    int part = part_by_name(name);

    write_name(submission->name);
    printf("%-8s %s", name, strcmp(state, "service busy") == 0 ? "the service is busy" : state);
    if (json_object_get(now, "run_ms") && (part < 0 || parts[part].runs != RUNS_SERVICE))
        printf(", %.1f s", (double)json_integer_value(json_object_get(now, "run_ms")) / 1000.0);
    if (failures > 0)
        printf(", %d failure%s", (int)failures, failures == 1 ? "" : "s");
    if (is_new_failure && trouble) {
        printf(": ");
        print_plain(trouble, text_fit(trouble, TROUBLE_COLUMNS, &(size_t){0}));
    }
    printf("\n");
}

/* Is it about to ask again? That is no news of a part whose service was busy. */
static int is_on_its_way(const char *state)
{
    return strcmp(state, "ready") == 0 || strcmp(state, "running") == 0 || strcmp(state, "scheduled") == 0;
}

static void tell_part(struct submission *submission, const char *name, const json_t *now)
{
    const json_t *told = json_object_get(submission->told, name);
    const char *state = text_member(now, "state", ""), *before = text_member(told, "state", "waiting");
    json_int_t failures = json_integer_value(json_object_get(now, "failures"));
    int is_new_failure = failures > json_integer_value(json_object_get(told, "failures"));

    if (!is_new_failure && (strcmp(state, before) == 0 || strcmp(state, "waiting") == 0))
        return;
    if (!is_new_failure && strcmp(before, "service busy") == 0 && is_on_its_way(state))
        return;
    tell_change(submission, name, now, is_new_failure);
    json_object_set_new(submission->told, name,
                        json_pack("{s:s, s:I}", "state", state, "failures", failures));
}

static void tell_if_seen(struct submission *submission, const char *name)
{
    const json_t *now = part_seen(submission->seen, name);

    if (now)
        tell_part(submission, name, now);
}

void screen_tell_changes(struct submission *submission)
{
    const json_t *progress = json_object_get(submission->seen, "progress");
    const char *name = NULL;

    if (!submission->told)
        submission->told = json_object();
    tell_if_seen(submission, parts[PART_PROBE].name);
    while ((name = steps_next(progress, name)) != NULL)
        tell_if_seen(submission, name);
    tell_if_seen(submission, parts[PART_REPORT].name);
    fflush(stdout);
}
