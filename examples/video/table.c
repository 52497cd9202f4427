/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"
#include "parts.h"
#include "steps.h"
#include "text.h"

#define WIDTH_DEFAULT 120 /* where standard output is no terminal */
#define WIDE          115 /* from here on a job's id has a column of its own */
#define INDENT_WIDE   51
#define INDENT_NARROW 19
#define RESULT_LEAST  30
#define LINE_BYTES    2048
#define BOXES_SHOWN   2
#define SPANS_SHOWN   3

/* A line that grows and is cut where it is full. */
struct line {
    char text[LINE_BYTES];
    size_t size;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    int wrote;

    va_start(arguments, format);
    wrote = vsnprintf(line->text + line->size, sizeof(line->text) - line->size, format, arguments);
    va_end(arguments);
    if (wrote > 0)
        line->size += (size_t)wrote < sizeof(line->text) - line->size ? (size_t)wrote
                                                                      : sizeof(line->text) - line->size - 1;
}

size_t text_fit(const char *text, size_t columns, size_t *used)
{
    size_t at = 0;

    *used = 0;
    while (text[at] && *used < columns) {
        at++;
        while (((unsigned char)text[at] & 0xc0) == 0x80)
            at++;
        ++*used;
    }
    return at;
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static double seconds(const json_t *object, const char *name)
{
    return number(object, name) / 1000.0;
}

static int percent(const json_t *object, const char *name)
{
    return (int)(100.0 * number(object, name) + 0.5);
}

/* ---- one line for each step ------------------------------------------------------------------ */

static void add_spans(struct line *line, const json_t *spans, const char *what, const char *none)
{
    size_t count = json_array_size(spans);

    if (count == 0) {
        add(line, "%s", none);
        return;
    }
    add(line, "%zu %s%s (", count, what, count == 1 ? "" : "s");
    for (size_t i = 0; i < count && i < SPANS_SHOWN; i++)
        add(line, "%s%.1f-%.1f s", i > 0 ? ", " : "", seconds(json_array_get(spans, i), "start_ms"),
            seconds(json_array_get(spans, i), "end_ms"));
    add(line, count > SPANS_SHOWN ? " ...)" : ")");
}

static void say_quality(struct line *line, const json_t *step)
{
    add(line, "brightness %.0f of 235, blur %.1f, ", number(json_object_get(step, "brightness"), "mean"),
        number(json_object_get(step, "blur"), "mean"));
    add(line, "%zu scene changes, ", json_array_size(json_object_get(step, "scene_changes")));
    add(line, "still %d %%, black %d %%", percent(step, "no_movement_share"), percent(step, "black_share"));
}

static void say_sound(struct line *line, const json_t *step)
{
    if (json_is_number(json_object_get(step, "loudness_lufs")))
        add(line, "%.1f LUFS, peak %.1f dB, ", number(step, "loudness_lufs"), number(step, "true_peak_db"));
    else
        add(line, "silent, ");
    add_spans(line, json_object_get(step, "pauses"), "pause", "no pause");
}

static void say_speech(struct line *line, const json_t *step)
{
    const json_t *words = json_object_get(step, "words");
    double confidence = 0.0;
    size_t count = json_array_size(words);

    for (size_t i = 0; i < count; i++)
        confidence += number(json_array_get(words, i), "confidence");
    if (count == 0)
        add(line, "no words");
    else
        add(line, "draft, %zu words, confidence %.2f: \"%s\"", count, confidence / (double)count,
            text_member(step, "text", ""));
}

static void say_face(struct line *line, const json_t *step)
{
    const json_t *faces = json_object_get(step, "faces");
    size_t count = json_array_size(faces);

    add(line, count == 0 ? "no face" : count == 1 ? "1 face" : "%zu faces", count);
    add(line, " in %.0f pictures looked at", number(step, "samples"));
    for (size_t i = 0; i < count && i < BOXES_SHOWN; i++) {
        const json_t *face = json_array_get(faces, i);
        const json_t *box = json_array_get(json_object_get(face, "boxes"), 0);
        add(line, "; %.1f-%.1f s, first %.0fx%.0f at %.0f,%.0f, eyes %d %%", seconds(face, "first_ms"),
            seconds(face, "last_ms"), number(box, "width"), number(box, "height"), number(box, "x"),
            number(box, "y"), percent(face, "eyes_visible_share"));
    }
}

static void say_gesture(struct line *line, const json_t *step)
{
    add(line, "beside the %s: left %.1f %%, right %.1f %%, side %s, ", text_member(step, "reference", "?"),
        100.0 * number(step, "left"), 100.0 * number(step, "right"), text_member(step, "side", "?"));
    add_spans(line, json_object_get(step, "movements"), "movement", "no movement");
}

/* Whose words these are is part of what is said. */
static void say_emotion(struct line *line, const json_t *step)
{
    const json_t *faces = json_object_get(step, "faces");
    size_t count = json_array_size(faces);

    add(line, "the model %s", text_member(json_object_get(step, "model"), "file", "?"));
    add(line, count == 0 ? " was asked about no face" : " says");
    for (size_t i = 0; i < count && i < BOXES_SHOWN; i++) {
        const json_t *face = json_array_get(faces, i);
        const char *most = text_member(face, "most_often", "?");
        add(line, "%s %s in %d %% of %.0f pictures, mean score %.2f", i > 0 ? ";" : "", most,
            percent(face, "most_often_share"), number(face, "samples"),
            number(json_object_get(face, "mean_scores"), most));
    }
}

/* Of a step that is not known here: what it says, as it says it. */
static void say_other(struct line *line, const json_t *step)
{
    static const char *const shown[] = {"step", "status", "jobId", "attempts", "starts", "run_ms", "shared"};
    json_t *rest = json_copy((json_t *)(uintptr_t)step);
    char *text;

    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        json_object_del(rest, shown[i]);
    text = text_of_json(rest);
    add(line, "%s", text ? text : "");
    free(text);
    json_decref(rest);
}

static void say_step(struct line *line, const char *name, const json_t *step)
{
    static void (*const say[PART_KNOWN])(struct line *, const json_t *) = {
        [PART_QUALITY] = say_quality, [PART_SOUND] = say_sound,     [PART_SPEECH] = say_speech,
        [PART_FACE] = say_face,       [PART_GESTURE] = say_gesture, [PART_EMOTION] = say_emotion,
    };
    const char *status = text_member(step, "status", "?");
    int part = part_by_name(name);

    if (strcmp(status, "ok") == 0) {
        (part >= PART_FIRST_STEP ? say[part] : say_other)(line, step);
        return;
    }
    add(line, "%s", strcmp(status, "not_available") == 0 ? "not available" : status);
    if (text_member(step, "package", NULL))
        add(line, " (package %s)", text_member(step, "package", ""));
    if (text_member(step, "reason", NULL))
        add(line, ": %s", text_member(step, "reason", ""));
}

/* ---- the table ------------------------------------------------------------------------------- */

static int width(void)
{
    struct winsize size = {.ws_col = 0};

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : WIDTH_DEFAULT;
}

/* What is left of a line behind the indentation. */
static size_t room(int indent)
{
    return width() - indent > RESULT_LEAST ? (size_t)(width() - indent) : RESULT_LEAST;
}

/* Folds at words; what comes from a file or a service is shown without control characters. */
static void print_folded(struct line *line, int indent)
{
    const char *rest = line->text;
    size_t columns = room(indent);
    int first = 1;

    for (size_t i = 0; i < line->size; i++)
        if (iscntrl((unsigned char)line->text[i]))
            line->text[i] = '?';
    while (*rest) {
        size_t used = 0, size = text_fit(rest, columns, &used), cut = size;
        while (rest[size] && cut > 0 && rest[cut] != ' ')
            cut--;
        if (rest[size] && cut > 0)
            size = cut;
        printf("%*s%.*s\n", first ? 0 : indent, "", (int)size, rest);
        rest += size + (rest[size] == ' ');
        first = 0;
    }
}

static void print_attempts(const json_t *step)
{
    if (json_is_true(json_object_get(step, "shared")))
        printf("%-8s", "shared");
    else
        printf("%-8d", (int)json_integer_value(json_object_get(step, "attempts")));
}

static void print_step(const char *name, const json_t *step)
{
    const char *job = text_member(step, "jobId", "-");
    int is_wide = width() >= WIDE;
    struct line line = {.size = 0};

    printf("  %-8s ", name);
    if (is_wide)
        printf("%-33s", job);
    print_attempts(step);
    say_step(&line, name, step);
    if (!is_wide)
        add(&line, " [%s]", job);
    print_folded(&line, is_wide ? INDENT_WIDE : INDENT_NARROW);
}

static void print_head(const struct submission *submission, const json_t *result)
{
    const json_t *media = json_object_get(result, "media");
    const json_t *video = json_object_get(media, "video"), *audio = json_object_get(media, "audio");
    struct line line = {.size = 0};

    add(&line, "%s: ", submission->name);
    if (json_is_number(json_object_get(media, "duration_ms")))
        add(&line, "%.1f s, ", seconds(media, "duration_ms"));
    if (json_is_object(video))
        add(&line, "%.0fx%.0f %s, ", number(video, "width"), number(video, "height"),
            text_member(video, "codec", "?"));
    add(&line, json_is_object(audio) ? "%s, " : "no sound, ", text_member(audio, "codec", "?"));
    add(&line, "%.0f bytes, sha256 %.16s...", number(result, "size_bytes"),
        text_member(result, "sha256", "?"));
    print_folded(&line, 2);
}

void table_print(const struct submission *submission)
{
    const json_t *result = json_object_get(submission->seen, "result");
    const json_t *steps = json_object_get(result, "steps");
    const char *name = NULL;
    struct line line = {.size = 0};

    printf("\n");
    if (!result) {
        add(&line, "%s: %s: %s", submission->name, text_member(submission->seen, "status", "no answer"),
            text_member(submission->seen, "error", ""));
        print_folded(&line, 2);
        return;
    }
    print_head(submission, result);
    if (width() >= WIDE)
        printf("  %-8s %-33s%-8s%s\n", "STEP", "JOB", "ATTEMPT", "RESULT");
    else
        printf("  %-8s %-8s%s\n", "STEP", "ATTEMPT", "RESULT [JOB]");
    while ((name = steps_next(steps, name)) != NULL)
        print_step(name, json_object_get(steps, name));
}
