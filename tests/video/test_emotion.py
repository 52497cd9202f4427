#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The emotion step with a model that the user brings. The model here is made by the test and says how bright a face is,
which the test can know; so what is asked is that its numbers are handed on as they are, and nothing else is said.

JOBQ_VIDEO_STEP and JOBQ_CLIPS name the program and the script that makes the clips.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import footage_kit  # noqa: E402
import onnx  # noqa: E402
import tap  # noqa: E402

STEP, CLIPS = os.environ["JOBQ_VIDEO_STEP"], os.environ["JOBQ_CLIPS"]
SIZE = 32
GREY = {"classes": ["dark", "bright"], "width": SIZE, "height": SIZE, "scale": 1 / 255, "accuracy": "made for a test"}
WEIGHTS, BIASES = [[-1.0], [1.0]], [0.5, -0.5]    # "bright" is the mean less a half

WORK = None


def setUpModule():
    global WORK
    WORK = tempfile.mkdtemp(prefix="jobq-emotion-")
    footage_kit.clips(CLIPS, os.path.join(WORK, "clips"))


def tearDownModule():
    shutil.rmtree(WORK)


def film(name, *filters):
    """Two seconds of the portrait, or of what `filters` make of it."""
    path = os.path.join(WORK, name + ".mkv")
    if not os.path.exists(path):
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-t", "2", "-i", os.path.join(WORK, "clips", "interview-1.mp4"),
                        *(["-vf", ",".join(filters)] if filters else []), "-an", "-c:v", "libx264", "-qp", "0", "-preset",
                        "ultrafast", path], check=True)
    return path


def model(name, description, weights=None, biases=None, content=None):
    """The files of a model; returns its path."""
    path = os.path.join(WORK, name + ".onnx")
    if content is None:
        content = onnx.mean_model(SIZE, SIZE, weights or WEIGHTS, biases or BIASES)
    with open(path, "wb") as file:
        file.write(content)
    if description is not None:
        with open(path + ".json", "w", encoding="utf-8") as file:
            json.dump(description, file)
    return path


def ask(path, model_path, *options, **more):
    """(exit status, report)"""
    done = subprocess.run([STEP, *options, "--model", model_path, "emotion", path], stdout=subprocess.PIPE, timeout=300,
                          **more)
    return done.returncode, json.loads(done.stdout)


class Emotion(unittest.TestCase):
    def good(self, path, model_path):
        status, report = ask(path, model_path)
        self.assertEqual((status, report["step"], report["status"]), (0, "emotion", "ok"), report)
        return report

    def the_face(self, path, model_path):
        faces = self.good(path, model_path)["faces"]
        self.assertEqual(len(faces), 1)
        return faces[0]

    def refused(self, model_path, *words, path=None):
        status, report = ask(path or film("plain"), model_path)
        self.assertEqual((status, report["status"]), (1, "failed"), report)
        self.assertEqual(set(report), {"step", "status", "reason"})
        for word in words:
            self.assertIn(word, report["reason"])

    def test_scores_are_the_models(self):
        path = model("plain", GREY)
        report = self.good(film("plain"), path)
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        self.assertEqual(report["model"], {"file": "plain.onnx", "sha256": digest, "classes": ["dark", "bright"],
                                           "accuracy": "made for a test"})
        face = report["faces"][0]
        self.assertGreaterEqual(face["samples"], 3)
        self.assertEqual(len(face["scores"]), face["samples"])
        mean = face["mean_scores"]
        self.assertAlmostEqual(mean["dark"], -mean["bright"], places=3)
        best = max(mean, key=mean.get)
        self.assertEqual((face["most_often"], face["most_often_share"]), (best, 1.0))
        for score in face["scores"]:
            self.assertEqual(score["class"], best)
            self.assertAlmostEqual(score["score"], mean[best], delta=0.05)

    def test_a_darker_picture_has_a_darker_face(self):
        """By as much as it was made darker, because the model only measures."""
        path = model("darker", GREY)
        plain = self.the_face(film("plain"), path)["mean_scores"]["bright"] + 0.5
        half = self.the_face(film("half", "lutyuv=y=16+(val-16)/2"), path)["mean_scores"]["bright"] + 0.5
        self.assertAlmostEqual(half, plain / 2, delta=0.03)
        self.assertEqual(self.the_face(film("half"), path)["most_often"], "dark")

    def test_a_mirrored_face_is_as_bright(self):
        path = model("mirrored", GREY)
        here, there = self.the_face(film("plain"), path), self.the_face(film("mirrored", "hflip"), path)
        self.assertAlmostEqual(here["mean_scores"]["bright"], there["mean_scores"]["bright"], delta=0.03)

    def test_colours_come_in_the_order_that_was_asked_for(self):
        """The first channel of a picture tinted red is bright as rgb and dark as bgr."""
        tinted = film("tinted", "format=gbrp", "colorchannelmixer=bb=0.1")
        first, mean = {}, {}
        for colour in ("rgb", "bgr"):
            path = model(colour, {**GREY, "colour": colour}, [[1.0, 0, 0], [0, 0, 1.0]], [0.0, 0.0])
            mean[colour] = self.the_face(tinted, path)["mean_scores"]
            first[colour] = mean[colour]["dark"]
        self.assertGreater(first["rgb"], 3 * first["bgr"])
        self.assertAlmostEqual(first["rgb"], mean["bgr"]["bright"], delta=0.02)

    def test_softmax_makes_shares(self):
        face = self.the_face(film("plain"), model("shares", {**GREY, "softmax": True}))
        self.assertAlmostEqual(sum(face["mean_scores"].values()), 1.0, places=3)

    def test_no_face_no_scores(self):
        report = self.good(film("blank", "lutyuv=y=120:u=128:v=128"), model("blank", GREY))
        self.assertEqual(report["faces"], [])
        self.assertGreater(report["samples"], 2)

    def test_no_pictures(self):
        sound = os.path.join(WORK, "sound.wav")
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=d=1", sound], check=True)
        status, report = ask(sound, model("deaf", GREY))
        self.assertEqual((status, report["status"]), (0, "not_available"))

    def test_progress_is_handed_on(self):
        read_end, write_end = os.pipe()
        ask(film("plain"), model("progress", GREY), pass_fds=[write_end],
            env={**os.environ, "JOBQ_PROGRESS_FD": str(write_end)})
        os.close(write_end)
        with os.fdopen(read_end) as lines:
            told = [line.split() for line in lines]
        self.assertEqual(told[-1][0], told[-1][1])
        self.assertEqual(told[-1][2], "frames")

    def test_a_model_that_cannot_be_asked(self):
        self.refused(os.path.join(WORK, "nowhere"), "cannot be read")
        self.refused(model("alone", None), "alone.onnx.json")
        self.refused(model("garbage", GREY, content=b"this is no model"), "garbage.onnx")
        self.refused(model("empty", GREY, content=b""), "empty.onnx")
        self.refused(model("many", GREY, [[1.0]] * 3, [0.0] * 3), "3 numbers", "2 classes")
        self.refused(model("nan", GREY, biases=[float("nan"), 0.0]), "not finite")
        self.refused(model("channels", {**GREY, "colour": "rgb"}), "cannot be run")
        self.refused(model("film", GREY), "ffprobe", path=model("no-film", None))

    def test_a_description_that_is_wrong(self):
        for name, value in (("classes", None), ("classes", ["one"]), ("classes", ["a", "a"]), ("classes", [1, 2]),
                            ("width", 0), ("width", 4096), ("height", "32"), ("height", True), ("colour", "blue"),
                            ("scale", "1"), ("margin", -0.1), ("margin", 2), ("mean", [1, 2]), ("mean", "0"),
                            ("softmax", 1), ("accuracy", 0.9)):
            with self.subTest(name=name, value=value):
                self.refused(model("wrong", {**GREY, name: value}), "wrong.onnx.json", name)
        self.refused(model("list", ["dark", "bright"]), "JSON object")

    def test_limits(self):
        status, report = ask(film("plain"), model("slow", GREY), "--time-limit", "1", "--memory-limit", "2048",
                             env={**os.environ, "PATH": self.path_with_a_slow_ffprobe()})
        self.assertEqual((status, report["status"]), (1, "failed"))
        self.assertIn("time limit", report["reason"])
        status, report = ask(film("plain"), model("large", GREY), "--memory-limit", "48")
        self.assertEqual((status, report["status"]), (1, "failed"))

    def path_with_a_slow_ffprobe(self):
        folder = os.path.join(WORK, "slow")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "ffprobe")
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexec sleep 100\n")
        os.chmod(path, 0o755)
        return folder + ":" + os.environ["PATH"]


if __name__ == "__main__":
    sys.exit(tap.main())
