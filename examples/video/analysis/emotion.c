/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>

#include "report.h"
#include "step.h"

static const char without_model[] =
    "no trained model of facial or vocal expression comes with the distribution, and what can be measured "
    "without one (faces, movement, loudness, pauses) says nothing reliable about emotion";

static const char with_model[] =
    "a model was given, but this program cannot run one: needed are a runtime for it (for ONNX, onnxruntime "
    "or OpenCV's dnn module), the size and scaling of the face picture it expects, the names of its classes "
    "and measured accuracy on footage like yours";

/*
 * There is no honest answer to give here: the smile cascade that the distribution ships fires on a man who is
 * not smiling, and nothing else it ships speaks of expressions at all. So the answer is always "not
 * available", and with a model it says what is still missing to run one.
 */
static void run(struct step *step)
{
    if (access(step->path, R_OK) != 0) {
        report_failed(step, "the file cannot be read");
        return;
    }
    if (step->model && access(step->model, R_OK) != 0) {
        report_failed(step, "the model named by --model cannot be read");
        return;
    }
    json_object_set_new(step->report, "model", step->model ? json_true() : json_false());
    report_not_available(step, step->model ? with_model : without_model);
}

const struct step_kind step_emotion = { .name = "emotion", .needs_media = 0, .run = run };
