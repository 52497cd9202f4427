# SPDX-License-Identifier: MIT
"""The emotion step: what a model that the user brings answers for the faces of a film.

MODEL is a file that OpenCV's dnn module reads (ONNX, or another of its formats that is one file); MODEL.json says how it
is asked and what its numbers are called:

    classes         names, in the order of the model's outputs (required)
    width, height   of the face picture that it takes (required)
    colour          "grey" (default), "bgr" or "rgb"
    scale           pixels, 0 to 255, are multiplied by it after `mean` is taken away (default 1)
    mean            one number, or one for each colour (default 0)
    softmax         true when the outputs still have to be made into shares (default false)
    margin          how much more than the face is cut out, in widths of the face on each side (default 0)
    accuracy        what is known about it, in words; handed on (default: nothing is known)
"""
import hashlib
import json
import math
import os

from faces import Finder, Tracker, load_cv2
from footage import Footage, Outcome, Progress, clean

RATE = 2.0              # pictures a second
MOST_SAMPLES = 600
MOST_FACES = 5
MOST_WIDTH = 640
LEAST_SAMPLES = 2
MOST_CLASSES = 64
MOST_PIXELS = 1024
COLOURS = ("grey", "bgr", "rgb")

WHAT = ("the classes and scores are those of the model that was given, for each face found; how often it is right on "
        "footage like this is known only as far as `accuracy` says")


def _number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


class Description:
    """MODEL.json, checked: a model that is asked the wrong way gives numbers all the same."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path, encoding="utf-8") as file:
                self.told = json.load(file)
        except (OSError, ValueError, RecursionError) as error:
            raise Outcome("failed", f"{path}: {getattr(error, 'strerror', None) or 'not JSON'}") from None
        if not isinstance(self.told, dict):
            raise self._wrong("a JSON object is needed")
        self.classes = self._classes()
        self.size = self._pixels("width"), self._pixels("height")
        self.colour = self.told.get("colour", "grey")
        self.softmax = self.told.get("softmax", False)
        self.accuracy = self.told.get("accuracy")
        self.scale, self.margin = self.told.get("scale", 1), self.told.get("margin", 0)
        self.mean = self.told.get("mean", 0)
        self._check()

    def _wrong(self, problem):
        return Outcome("failed", f"{self.path}: {problem}")

    def _classes(self):
        names = self.told.get("classes")
        good = isinstance(names, list) and 2 <= len(names) <= MOST_CLASSES and \
            all(isinstance(name, str) and 0 < len(name) <= 64 for name in names) and len(set(names)) == len(names)
        if not good:
            raise self._wrong(f"classes: 2 to {MOST_CLASSES} different names are needed")
        return names

    def _pixels(self, name):
        value = self.told.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_PIXELS:
            raise self._wrong(f"{name}: a whole number from 1 to {MOST_PIXELS} is needed")
        return value

    def _check(self):
        if self.colour not in COLOURS:
            raise self._wrong("colour: " + ", ".join(COLOURS))
        if not isinstance(self.softmax, bool):
            raise self._wrong("softmax: true or false")
        if self.accuracy is not None and not (isinstance(self.accuracy, str) and len(self.accuracy) <= 1000):
            raise self._wrong("accuracy: a text of at most 1000 characters")
        if not _number(self.scale) or not _number(self.margin) or not 0 <= self.margin <= 1:
            raise self._wrong("scale: a number; margin: a number from 0 to 1")
        channels = 1 if self.colour == "grey" else 3
        self.mean = self.mean if isinstance(self.mean, list) else [self.mean] * channels
        if len(self.mean) != channels or not all(_number(value) for value in self.mean):
            raise self._wrong(f"mean: a number, or {channels} of them")


class Model:
    def __init__(self, cv2, path):
        self.cv2, self.path = cv2, path
        self.told = Description(path + ".json")
        if not hasattr(cv2, "dnn"):
            raise Outcome("skipped", "this OpenCV has no dnn module", "python3-opencv")
        try:
            with open(path, "rb") as file:
                self.digest = hashlib.sha256(file.read()).hexdigest()
            self.net = cv2.dnn.readNet(path)
        except OSError as error:
            raise Outcome("failed", f"{path}: {error.strerror}") from None
        except cv2.error as error:
            raise Outcome("failed", f"OpenCV cannot read {path}: {clean(str(error).encode())}") from None

    def name(self):
        return {"file": os.path.basename(self.path), "sha256": self.digest, "classes": self.told.classes,
                "accuracy": self.told.accuracy}

    def _face(self, picture, box):
        x, y, width, height = box
        more = round(width * self.told.margin)
        return picture[max(0, y - more):y + height + more, max(0, x - more):x + width + more]

    def ask(self, picture, box):
        """One score for each class; whatever is not that many finite numbers is no answer."""
        blob = self.cv2.dnn.blobFromImage(self._face(picture, box), self.told.scale, self.told.size, self.told.mean,
                                          swapRB=self.told.colour == "rgb")
        try:
            self.net.setInput(blob)
            numbers = [float(value) for value in self.net.forward().ravel()]
        except self.cv2.error as error:
            raise Outcome("failed", "the model cannot be run: " + clean(str(error).encode())) from None
        if len(numbers) != len(self.told.classes):
            raise Outcome("failed", f"the model gives {len(numbers)} numbers and its description names "
                                    f"{len(self.told.classes)} classes")
        if not all(map(math.isfinite, numbers)):
            raise Outcome("failed", "the model gives numbers that are not finite")
        return _shares(numbers) if self.told.softmax else numbers


def _shares(numbers):
    largest = max(numbers)
    powers = [math.exp(number - largest) for number in numbers]
    return [power / sum(powers) for power in powers]


def _best(classes, scores):
    at = max(range(len(scores)), key=scores.__getitem__)
    return classes[at], round(scores[at], 4)


def _face(track, answers, classes):
    asked = [answers[entry] for entry in track.seen]
    named = [_best(classes, scores) for scores in asked]
    counts = {name: sum(1 for best, _ in named if best == name) for name in classes}
    most = max(classes, key=counts.__getitem__)
    return {"first_ms": track.seen[0][0], "last_ms": track.seen[-1][0], "samples": len(asked),
            "most_often": most, "most_often_share": round(counts[most] / len(asked), 3),
            "mean_scores": {name: round(sum(scores[i] for scores in asked) / len(asked), 4)
                            for i, name in enumerate(classes)},
            "scores": [{"at_ms": entry[0], "class": name, "score": score}
                       for entry, (name, score) in zip(track.seen, named)]}


def run(path, model_path):
    cv2 = load_cv2()
    finder, model, footage, progress = Finder(cv2), Model(cv2, model_path), Footage(path), Progress()
    rate = footage.sampling(RATE, MOST_SAMPLES)
    size = footage.scaled(MOST_WIDTH)
    promised = round(footage.duration_s * rate)
    tracker, answers, samples = Tracker(LEAST_SAMPLES, 1000 / rate), {}, 0
    coloured = model.told.colour != "grey"
    for at_ms, picture in footage.colour(rate, size) if coloured else footage.grey(rate, size):
        boxes = finder.find(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if coloured else picture)
        tracker.add(at_ms, boxes)
        answers.update({(at_ms, box): model.ask(picture, box) for box in boxes})
        samples += 1
        progress.tell(samples, promised)
    progress.tell(samples, samples, last=True)
    faces = tracker.faces()
    return {"model": model.name(), "samples": samples, "samples_per_second": round(rate, 3),
            "faces": [_face(track, answers, model.told.classes) for track in faces[:MOST_FACES]],
            "faces_left_out": max(0, len(faces) - MOST_FACES), "what_this_measures": WHAT}
