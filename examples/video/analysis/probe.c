/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "step.h"

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* ffprobe prints most numbers as texts. */
static json_t *integer_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_integer(value))
        return json_integer(json_integer_value(value));
    return json_is_string(value) ? json_integer(strtoll(json_string_value(value), NULL, 10)) : json_null();
}

static double ratio_of(const json_t *object, const char *name)
{
    const char *text = text_of(object, name);
    double above = 0.0, below = 0.0;

    if (!text || sscanf(text, "%lf/%lf", &above, &below) != 2 || below <= 0.0)
        return NAN;
    return above / below;
}

static json_t *milliseconds_of(const json_t *object, const char *name)
{
    const char *text = text_of(object, name);
    double seconds = text ? strtod(text, NULL) : NAN;

    return isfinite(seconds) ? json_integer(report_ms(seconds)) : json_null();
}

static json_int_t rotation_of(const json_t *stream)
{
    size_t index;
    json_t *side;

    json_array_foreach(json_object_get(stream, "side_data_list"), index, side)
        if (json_is_integer(json_object_get(side, "rotation")))
            return json_integer_value(json_object_get(side, "rotation"));
    return 0;
}

static json_t *video_facts(const json_t *stream)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}",
                     "codec", report_text(text_of(stream, "codec_name")),
                     "pixel_format", report_text(text_of(stream, "pix_fmt")),
                     "width", integer_of(stream, "width"), "height", integer_of(stream, "height"),
                     "rotation", rotation_of(stream),
                     "frames_per_second", report_number(ratio_of(stream, "avg_frame_rate"), 3),
                     "frames", integer_of(stream, "nb_frames"),
                     "duration_ms", milliseconds_of(stream, "duration"),
                     "bit_rate", integer_of(stream, "bit_rate"));
}

static json_t *audio_facts(const json_t *stream)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}",
                     "codec", report_text(text_of(stream, "codec_name")),
                     "sample_rate", integer_of(stream, "sample_rate"),
                     "channels", integer_of(stream, "channels"),
                     "duration_ms", milliseconds_of(stream, "duration"),
                     "bit_rate", integer_of(stream, "bit_rate"));
}

static json_t *stream_list(const json_t *facts)
{
    json_t *list = json_array();
    size_t index;
    json_t *stream;

    json_array_foreach(json_object_get(facts, "streams"), index, stream)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}",
                                              "index", integer_of(stream, "index"),
                                              "type", report_text(text_of(stream, "codec_type")),
                                              "codec", report_text(text_of(stream, "codec_name"))));
    return list;
}

static void run(struct step *step)
{
    const struct media *media = &step->media;
    const json_t *format = json_object_get(media->facts, "format");
    json_t *report = step->report;

    json_object_set_new(report, "container", report_text(text_of(format, "format_name")));
    json_object_set_new(report, "container_name", report_text(text_of(format, "format_long_name")));
    json_object_set_new(report, "size_bytes", json_integer(media->size_bytes));
    json_object_set_new(report, "duration_ms",
                        media->duration_ms > 0 ? json_integer(media->duration_ms) : json_null());
    json_object_set_new(report, "bit_rate", integer_of(format, "bit_rate"));
    json_object_set_new(report, "video", media->video ? video_facts(media->video) : json_null());
    json_object_set_new(report, "audio", media->audio ? audio_facts(media->audio) : json_null());
    json_object_set_new(report, "streams", stream_list(media->facts));
    report_ok(step);
}

const struct step_kind step_probe = { .name = "probe", .needs_media = 1, .run = run };
