#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Metamorphic tests of the analysis: a clip is changed in a known way, and the result must change in that way and in
no other. Nobody knows the right answer for a film; everybody knows what mirroring does to it.

JOBQ_VIDEO_STEP, JOBQ_VISION and JOBQ_CLIPS name the two programs and the script that makes the clips.
"""
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
import footage_kit  # noqa: E402
import tap  # noqa: E402

STEP, VISION, CLIPS = (os.environ[name] for name in ("JOBQ_VIDEO_STEP", "JOBQ_VISION", "JOBQ_CLIPS"))
PYTHON = "/usr/bin/python3"
IN_C = ("probe", "quality", "sound", "speech")
IN_PYTHON = ("face", "gesture")
SECONDS = 300

WORK = None     # a folder of this run
LOADED = None   # vision.py within this process


def setUpModule():
    global WORK, LOADED
    WORK = tempfile.mkdtemp(prefix="jobq-analysis-")
    footage_kit.clips(CLIPS, os.path.join(WORK, "clips"))
    LOADED = footage_kit.Vision(VISION)


def tearDownModule():
    shutil.rmtree(WORK)


def clip(name):
    return os.path.join(WORK, "clips", name + ".mp4")


def command(step, path):
    return [STEP, step, path] if step in IN_C or step == "emotion" else [PYTHON, VISION, "--once", step, path]


def run(step, path, program=False, cwd=None, **more):
    """(exit status, report). program: begins anew what could also be done by what is loaded."""
    if step in IN_PYTHON and not program and not more:
        status, text = LOADED.once(step, path, cwd)
        return status, json.loads(text)
    done = subprocess.run(command(step, path), stdout=subprocess.PIPE, timeout=SECONDS, cwd=cwd, **more)
    return done.returncode, json.loads(done.stdout)


@functools.lru_cache(maxsize=None)
def analyse(step, path):
    status, report = run(step, path)
    if status != 0 or report["status"] != "ok":
        raise AssertionError(f"{step} of {path}: {status} {report}")
    return report


def make(name, *arguments):
    """A new file from ffmpeg; sound and pictures are kept without loss, so that only the change is a change."""
    path = os.path.join(WORK, name + ".mkv")
    if not os.path.exists(path):
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *arguments, "-c:v", "libx264", "-qp", "0", "-preset",
                        "ultrafast", "-c:a", "flac", path], check=True)
    return path


LENGTH = ["-t", "4"]    # enough to see it, and looking for faces takes its time
SHORT = ["-t", "2"]     # enough where only being the same is asked


def plain(name):
    """The beginning of the clip, coded the same way as its changed copies."""
    return make(name + "-plain", *LENGTH, "-i", clip(name))


def beginning(name):
    return make(name + "-beginning", *SHORT, "-i", clip(name))


def mirrored(name):
    return make(name + "-mirrored", *LENGTH, "-i", clip(name), "-vf", "hflip")


def waving():
    """The portrait with something that really moves beside the face: a piece of the pedestrians."""
    return make("waving", "-i", clip("interview-1"), "-i", clip("pedestrians"), "-filter_complex",
                "[1:v]crop=150:300:500:200[p];[0:v][p]overlay=x=20:y=170:shortest=1", "-t", "4", "-an")


def boxes(report):
    return {box["at_ms"]: box for box in report["faces"][0]["boxes"]}


def words(report):
    return [word["word"] for word in report["words"]]


class Mirror(unittest.TestCase):
    def test_boxes_are_mirrored(self):
        there, here = boxes(analyse("face", mirrored("interview-1"))), \
            boxes(analyse("face", plain("interview-1")))
        width = analyse("face", plain("interview-1"))["picture"]["width"]
        common = sorted(set(there) & set(here))
        self.assertGreater(len(common), 15)
        for at_ms in common:
            a, b = here[at_ms], there[at_ms]
            near = a["width"] / 8
            self.assertAlmostEqual(a["x"] + a["width"] / 2, width - (b["x"] + b["width"] / 2), delta=near)
            self.assertAlmostEqual(a["y"] + a["height"] / 2, b["y"] + b["height"] / 2, delta=near)
        # And it can tell: in this clip the face wanders, so that a box is not its own mirror image.
        self.assertGreater(abs(here[common[0]]["x"] - there[common[0]]["x"]), 3 * near)

    def test_relative_boxes_are_the_same_boxes(self):
        report = analyse("face", plain("interview-1"))
        for box in boxes(report).values():
            self.assertAlmostEqual(box["relative"][0] * report["picture"]["width"], box["x"], delta=1)
            self.assertAlmostEqual(box["relative"][3] * report["picture"]["height"], box["height"], delta=1)

    def test_a_smaller_picture_has_the_same_relative_boxes(self):
        small = boxes(analyse("face", make("small", *LENGTH, "-i", clip("interview-1"), "-vf", "scale=320:320")))
        here = boxes(analyse("face", plain("interview-1")))
        common = sorted(set(small) & set(here))
        self.assertGreater(len(common), 15)
        for at_ms in common:
            for a, b in zip(here[at_ms]["relative"], small[at_ms]["relative"]):
                self.assertAlmostEqual(a, b, delta=0.04)

    def _sides(self, here, there):
        self.assertIn(here["side"], ("left", "right"))
        self.assertEqual({"left": "right", "right": "left"}[here["side"]], there["side"])
        self.assertAlmostEqual(here["left"], there["right"], delta=0.03)
        self.assertAlmostEqual(here["right"], there["left"], delta=0.03)

    def test_sides_of_movement_beside_a_face_are_mirrored(self):
        here = analyse("gesture", waving())
        there = analyse("gesture", make("waving-mirrored", "-i", waving(), "-vf", "hflip"))
        self.assertEqual((here["reference"], there["reference"]), ("face", "face"))
        self.assertEqual(here["side"], "left")
        self._sides(here, there)

    def test_sides_of_movement_without_a_face_are_mirrored(self):
        here, there = analyse("gesture", plain("pedestrians")), analyse("gesture", mirrored("pedestrians"))
        self.assertEqual((here["reference"], there["reference"]), ("picture", "picture"))
        self._sides(here, there)

    def test_quality_is_the_same_in_the_mirror(self):
        here, there = analyse("quality", plain("pedestrians")), analyse("quality", mirrored("pedestrians"))
        self.assertEqual(here["frames"], there["frames"])
        self.assertAlmostEqual(here["brightness"]["mean"], there["brightness"]["mean"], delta=0.5)
        self.assertAlmostEqual(here["blur"]["mean"], there["blur"]["mean"], delta=0.3)


class Picture(unittest.TestCase):
    def test_no_face_no_boxes(self):
        report = analyse("face", plain("pedestrians"))
        self.assertEqual((report["faces"], report["face_share"]), ([], 0))
        self.assertGreater(report["samples"], 15)

    def test_a_covered_face_is_no_face(self):
        covered = make("covered", *LENGTH, "-i", clip("interview-1"), "-an", "-vf",
                       "drawbox=x=0:y=0:w=iw:h=260:color=gray:t=fill")
        self.assertEqual(analyse("face", covered)["faces"], [])
        self.assertEqual(analyse("face", plain("interview-1"))["face_share"], 1.0)

    def test_a_still_picture_no_movement(self):
        still = make("still", "-i", clip("pedestrians"), "-vf", "trim=end_frame=1,loop=49:1,setpts=N/10/TB",
                     "-r", "10", "-an")
        report = analyse("gesture", still)
        self.assertEqual((report["side"], report["left"], report["right"], report["movements"]), ("none", 0, 0, []))
        quality = analyse("quality", still)
        self.assertEqual(quality["no_movement_share"], 1.0)
        self.assertEqual(quality["scene_changes"], [])
        moving = analyse("quality", plain("pedestrians"))
        self.assertEqual((moving["no_movement"], moving["no_movement_share"]), ([], 0))

    def test_a_pause_in_the_movement_has_its_times(self):
        stopped = make("stopped", *LENGTH, "-i", clip("pedestrians"), "-an", "-vf",
                       "loop=loop=30:size=1:start=20,setpts=N/10/TB", "-r", "10")
        spans = analyse("quality", stopped)["no_movement"]
        self.assertEqual(len(spans), 1)
        self.assertAlmostEqual(spans[0]["start_ms"], 2000, delta=200)
        self.assertAlmostEqual(spans[0]["end_ms"], 5000, delta=200)
        movements = analyse("gesture", stopped)["movements"]
        self.assertFalse([m for m in movements if m["start_ms"] < 4700 and m["end_ms"] > 2400], movements)

    def test_a_moving_camera_is_no_gesture(self):
        report = analyse("gesture", plain("interview-1"))
        self.assertEqual((report["side"], report["movements"]), ("none", []))

    def test_a_moving_camera_over_a_still_street_is_no_movement(self):
        still = make("still", "-i", clip("pedestrians"), "-vf", "trim=end_frame=1,loop=49:1,setpts=N/10/TB",
                     "-r", "10", "-an")
        panned = make("panned", "-i", still, "-vf", "crop=480:480:x='2*n':y=40")
        report = analyse("gesture", panned)
        self.assertEqual((report["reference"], report["side"], report["movements"]), ("picture", "none", []))

    def test_darker_is_darker_and_nothing_else(self):
        dark = analyse("quality", make("dark", *LENGTH, "-i", clip("pedestrians"), "-an", "-vf",
                                       "lutyuv=y='16+(val-16)*0.1'"))
        here = analyse("quality", plain("pedestrians"))
        self.assertEqual((here["dark_share"], dark["dark_share"]), (0, 1))
        self.assertAlmostEqual(dark["brightness"]["mean"] - 16, (here["brightness"]["mean"] - 16) / 10, delta=2)
        self.assertEqual(dark["frames"], here["frames"])

    def test_blurred_is_more_blurred(self):
        blurred = analyse("quality", make("blurred", *LENGTH, "-i", clip("pedestrians"), "-an", "-vf",
                                          "gblur=sigma=4"))
        self.assertGreater(blurred["blur"]["mean"], 1.3 * analyse("quality", plain("pedestrians"))["blur"]["mean"])

    def test_black_and_scene_changes_are_where_they_were_put(self):
        cut = make("cut", "-i", clip("pedestrians"), "-i", clip("interview-1"), "-filter_complex",
                   "[0:v]trim=end=2,scale=480:480,setsar=1,fps=25[a];color=black:s=480x480:r=25:d=1,setsar=1[b];"
                   "[1:v]trim=end=2,setsar=1[c];[a][b][c]concat=n=3", "-an")
        report = analyse("quality", cut)
        self.assertEqual(len(report["black"]), 1)
        self.assertAlmostEqual(report["black"][0]["start_ms"], 2000, delta=100)
        self.assertAlmostEqual(report["black"][0]["end_ms"], 3000, delta=100)
        changes = [change["at_ms"] for change in report["scene_changes"]]
        self.assertEqual(len(changes), 2, changes)
        self.assertAlmostEqual(changes[0], 2000, delta=100)
        self.assertAlmostEqual(changes[1], 3000, delta=100)


class Sound(unittest.TestCase):
    SHIFT_MS = 2000

    def late(self):
        return make("late", "-i", clip("interview-1"), "-map", "0:a", "-af", f"adelay={self.SHIFT_MS}:all=1")

    def early(self):
        return make("early", "-i", clip("interview-1"), "-map", "0:a")

    def test_silence_in_front_shifts_the_words(self):
        here, there = analyse("speech", self.early()), analyse("speech", self.late())
        self.assertGreater(len(here["words"]), 10)
        self.assertEqual(words(here), words(there))
        for a, b in zip(here["words"], there["words"]):
            self.assertAlmostEqual(a["start_ms"] + self.SHIFT_MS, b["start_ms"], delta=50)
            self.assertAlmostEqual(a["end_ms"] + self.SHIFT_MS, b["end_ms"], delta=50)

    def test_silence_in_front_shifts_the_pauses(self):
        for step in ("sound", "speech"):
            here, there = analyse(step, self.early())["pauses"], analyse(step, self.late())["pauses"]
            self.assertGreater(len(here), 0)
            self.assertEqual(there[0]["start_ms"], 0)
            self.assertGreaterEqual(there[0]["end_ms"], self.SHIFT_MS)
            there = there[1:]
            self.assertEqual(len(here), len(there))
            for a, b in zip(here, there):
                self.assertAlmostEqual(a["start_ms"] + self.SHIFT_MS, b["start_ms"], delta=20)
                self.assertAlmostEqual(a["end_ms"] + self.SHIFT_MS, b["end_ms"], delta=20)

    def test_a_pause_in_the_middle_is_found_and_shifts_what_follows(self):
        gap = make("gap", "-i", clip("interview-1"), "-map", "0:a", "-filter_complex",
                   "[0:a]asplit[x][y];[x]atrim=end=4[a];[y]atrim=start=4,asetpts=PTS-STARTPTS,adelay=1500:all=1[b];"
                   "[a][b]concat=n=2:v=0:a=1")
        pauses = analyse("sound", gap)["pauses"]
        long = [p for p in pauses if p["end_ms"] - p["start_ms"] >= 1400]
        self.assertEqual(len(long), 1, pauses)
        self.assertAlmostEqual(long[0]["start_ms"], 4000, delta=150)
        self.assertAlmostEqual(long[0]["end_ms"], 5500, delta=150)
        self.assertFalse([w for w in analyse("speech", gap)["words"]
                          if w["start_ms"] > 4250 and w["end_ms"] < 5250])

    def test_six_decibels_less_are_six_less(self):
        quiet = make("quiet", "-i", clip("interview-1"), "-map", "0:a", "-af", "volume=-6dB")
        here, there = analyse("sound", self.early()), analyse("sound", quiet)
        for name in ("loudness_lufs", "sample_peak_db", "true_peak_db", "rms_db", "pause_threshold_db"):
            self.assertAlmostEqual(here[name] - 6, there[name], delta=0.15, msg=name)
        self.assertAlmostEqual(here["loudness_range_lu"], there["loudness_range_lu"], delta=0.3)
        self.assertEqual(len(here["pauses"]), len(there["pauses"]))

    def test_other_sound_changes_the_transcript_only(self):
        other = make("other", "-i", clip("interview-1"), "-i", clip("interview-2"), "-map", "0:v", "-map", "1:a",
                     *SHORT)
        same = beginning("interview-1")
        self.assertNotEqual(words(analyse("speech", other)), words(analyse("speech", same)))
        for step in ("face", "gesture", "quality"):
            self.assertEqual(analyse(step, other), analyse(step, same))

    def test_other_pictures_change_no_word(self):
        other = make("other-pictures", "-i", clip("pedestrians"), "-i", clip("interview-1"), "-map", "0:v", "-map",
                     "1:a", *SHORT)
        self.assertGreater(len(words(analyse("speech", other))), 0)
        for step in ("speech", "sound"):
            self.assertEqual(analyse(step, beginning("interview-1")), analyse(step, other))

    def test_words_are_the_words_that_were_read(self):
        # Not all of them: it is a draft. But by far more than chance, and in their order.
        said = ("had he married a more amiable woman he might have been made still more respectable than he was").split()
        heard = words(analyse("speech", clip("interview-2")))
        table = [[0] * (len(heard) + 1) for _ in range(len(said) + 1)]
        for i, a in enumerate(said):
            for j, b in enumerate(heard):
                table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
        self.assertGreaterEqual(table[-1][-1], len(said) // 2, heard)

    def test_silence_has_no_words_and_no_loudness(self):
        silent = make("silent", "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "3")
        speech, sound = analyse("speech", silent), analyse("sound", silent)
        self.assertEqual((speech["words"], speech["text"], speech["words_per_minute"]), ([], "", None))
        self.assertEqual(speech["pause_share"], 1.0)
        self.assertIsNone(sound["loudness_lufs"])
        self.assertEqual(sound["pauses"], [{"start_ms": 0, "end_ms": 3000}])

    def test_the_transcript_calls_itself_a_draft(self):
        report = analyse("speech", self.early())
        self.assertIs(report["draft"], True)
        for word in report["words"]:
            self.assertTrue(0 <= word["confidence"] <= 1 and word["start_ms"] < word["end_ms"], word)


class WhatIsNotThere(unittest.TestCase):
    def test_no_sound(self):
        for step in ("sound", "speech"):
            status, report = run(step, clip("pedestrians"))
            self.assertEqual((status, report["status"]), (0, "not_available"))
            self.assertIn("no sound", report["reason"])

    def test_no_pictures(self):
        only_sound = make("only-sound", "-i", clip("interview-1"), "-vn")
        for step in ("quality", "face", "gesture"):
            status, report = run(step, only_sound)
            self.assertEqual((status, report["status"]), (0, "not_available"))
            self.assertIn("no pictures", report["reason"])

    def test_a_cover_is_no_film(self):
        cover = os.path.join(WORK, "cover.mp3")
        picture = os.path.join(WORK, "cover.png")
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip("interview-1"), "-frames:v", "1", picture], check=True)
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip("interview-1"), "-i", picture, "-map", "0:a", "-map", "1:v",
                        "-disposition:v", "attached_pic", "-c:v", "copy", cover], check=True)
        self.assertEqual(run("face", cover)[1]["status"], "not_available")
        self.assertEqual(run("quality", cover)[1]["status"], "not_available")
        self.assertIsNone(analyse("probe", cover)["video"])

    def test_emotion_is_never_made_up(self):
        status, report = run("emotion", clip("interview-1"))
        self.assertEqual((status, report["status"]), (0, "not_available"))
        self.assertGreater(len(report["reason"]), 40)
        self.assertEqual(set(report), {"step", "status", "reason"})

    def test_a_missing_tool_is_skipped_with_its_package(self):
        empty = os.path.join(WORK, "empty-path")
        os.makedirs(empty, exist_ok=True)
        for step in IN_C + IN_PYTHON:
            status, report = run(step, clip("interview-1"), env={"PATH": empty})
            self.assertEqual((status, report["status"], report["package"]), (0, "skipped", "ffmpeg"), report)
            self.assertEqual(set(report), {"step", "status", "reason", "package"})

    def test_missing_opencv_is_skipped_with_its_package(self):
        hidden = os.path.join(WORK, "no-opencv")
        os.makedirs(hidden, exist_ok=True)
        with open(os.path.join(hidden, "cv2.py"), "w") as file:
            file.write("raise ModuleNotFoundError('not here')\n")
        for step in IN_PYTHON:
            status, report = run(step, clip("interview-1"), env={**os.environ, "PYTHONPATH": hidden})
            self.assertEqual((status, report["status"], report["package"]), (0, "skipped", "python3-opencv"), report)


class Probe(unittest.TestCase):
    def test_facts(self):
        report = analyse("probe", clip("interview-1"))
        self.assertEqual((report["video"]["width"], report["video"]["height"]), (480, 480))
        self.assertEqual(report["video"]["frames_per_second"], 25)
        self.assertEqual(report["size_bytes"], os.path.getsize(clip("interview-1")))
        self.assertAlmostEqual(report["duration_ms"], 7100, delta=60)
        self.assertEqual(report["audio"]["sample_rate"], 16000)
        self.assertIsNone(analyse("probe", clip("pedestrians"))["audio"])

    def test_progress_counts_frames_that_were_processed(self):
        for step, unit in (("quality", "frames"), ("face", "frames"), ("sound", "seconds"), ("speech", "seconds")):
            read_end, write_end = os.pipe()
            done = subprocess.run(command(step, clip("interview-1")), stdout=subprocess.PIPE, pass_fds=[write_end],
                                  env={**os.environ, "JOBQ_PROGRESS_FD": str(write_end)}, check=True)
            os.close(write_end)
            with os.fdopen(read_end) as lines:
                told = [line.split() for line in lines]
            self.assertGreater(len(told), 0, step)
            self.assertEqual({line[2] for line in told}, {unit})
            counts = [float(line[0]) for line in told]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual(told[-1][0], told[-1][1])
            if step == "quality":
                self.assertEqual(int(told[-1][0]), json.loads(done.stdout)["frames"])


class Names(unittest.TestCase):
    NASTY = ["two words.mp4", "it's \"quoted\".mp4", "a;touch planted;b.mp4", "$(touch planted).mp4", "`touch planted`.mp4",
             "-y.mp4", "--help", "new\nline.mp4", "pattern%03d.mp4", "http:/x.mp4", "concat:a|b.mp4", "pipe:0",
             "\xff\xfe.mp4", "*.mp4", "\\.mp4", "data:,x", "ä.mp4"]

    def test_any_name_is_analysed_like_any_other(self):
        short = make("short", "-i", clip("interview-1"), "-t", "0.8")
        folder = os.path.join(WORK, "names")
        expected = {step: analyse(step, short) for step in IN_C + ("face",)}
        for number, name in enumerate(self.NASTY):
            inside = os.path.join(folder, str(number))
            path = os.path.join(os.fsencode(inside), name.encode("latin-1" if "\xff" in name else "utf-8"))
            os.makedirs(os.path.dirname(path))
            shutil.copy(short, path)
            relative = os.path.relpath(path, os.fsencode(inside))
            # All steps read the file through the same code: one of each kind for every name, all for the worst.
            for step in expected if name.startswith("-") else ("probe", "face"):
                status, report = run(step, relative, cwd=inside, program=name.startswith("-"))
                self.assertEqual((status, report), (0, expected[step]), name)
            self.assertFalse([f for f in os.listdir(inside) if f.startswith("planted")], name)


class Refused(unittest.TestCase):
    """Files that are not what they say, and would make a careless reader open something else."""

    def refuse(self, path, reason, steps=("probe", "quality", "speech", "face")):
        for step in steps:
            status, report = run(step, path)
            self.assertEqual((status, report["status"]), (1, "failed"), report)
            self.assertIn(reason, report["reason"])
            self.assertEqual(set(report), {"step", "status", "reason"})

    def test_a_playlist_opens_nothing_else(self):
        # Whoever opens the fifo for reading lets our opening for writing succeed.
        folder = os.path.join(WORK, "playlists")
        os.makedirs(folder)
        bait = os.path.join(folder, "bait.ts")
        os.mkfifo(bait)
        shutil.copy(clip("interview-1"), os.path.join(folder, "x1.mp4"))
        texts = {
            "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{bait}\n#EXT-X-ENDLIST\n",
            "hls-relative.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nbait.ts\n#EXT-X-ENDLIST\n",
            "concat.mp4": "ffconcat version 1.0\nfile bait.ts\n",
            "dash.mp4": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentation'
                        'Duration="PT9S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
                        'bandwidth="1"><BaseURL>bait.ts</BaseURL></Representation></AdaptationSet></Period></MPD>',
            "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
                       "a=rtpmap:96 H264/90000\n",
        }
        opened, ended = [], threading.Event()

        def watch():
            while not ended.is_set():
                try:
                    os.close(os.open(bait, os.O_WRONLY | os.O_NONBLOCK))
                    opened.append(time.monotonic())
                except OSError:
                    time.sleep(0.001)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for name, text in texts.items():
                path = os.path.join(folder, name)
                with open(path, "w") as file:
                    file.write(text)
                self.refuse(path, "not a media file")
            self.assertEqual(opened, [])
            with open(bait, "rb"):      # the trap works
                time.sleep(0.05)
            self.assertGreater(len(opened), 0)
        finally:
            ended.set()
            watcher.join()

    def test_text_pictures_and_damage(self):
        text = os.path.join(WORK, "text.mp4")
        with open(text, "w") as file:
            file.write("just a text\n" * 100)
        self.refuse(text, "not a media file")
        picture = os.path.join(WORK, "picture.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip("interview-1"), "-frames:v", "1", "-f", "image2", "-c:v",
                        "png", "-update", "1", picture], check=True)
        self.refuse(picture, "not a media file")
        half = os.path.join(WORK, "half.mp4")
        with open(clip("pedestrians"), "rb") as whole, open(half, "wb") as file:
            file.write(whole.read(600))
        self.refuse(half, "")

    def test_what_is_no_file(self):
        empty = os.path.join(WORK, "empty.mp4")
        open(empty, "w").close()
        fifo = os.path.join(WORK, "fifo.mp4")
        os.mkfifo(fifo)     # must not even be opened: that would wait for a writer
        self.refuse(empty, "empty")
        self.refuse(fifo, "not a regular file")
        self.refuse(WORK, "not a regular file")
        self.refuse("/dev/zero", "not a regular file")
        self.refuse(os.path.join(WORK, "nowhere.mp4"), "No such file")

    def test_wrong_calls(self):
        for arguments in ([], ["probe"], ["nothing", "x"], ["probe", "x", "y"], ["--time-limit", "0", "probe", "x"],
                          ["--time-limit", "1x", "probe", "x"], ["--memory-limit", "-1", "probe", "x"], ["--what"]):
            done = subprocess.run([STEP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stdout), (2, b""), arguments)
            self.assertIn(b"jobq-video-step", done.stderr)


class Limits(unittest.TestCase):
    def test_time_limit_is_a_definite_reason(self):
        long = os.path.join(WORK, "long.mkv")
        subprocess.run(["ffmpeg", "-v", "error", "-stream_loop", "400", "-i", clip("pedestrians"), "-c", "copy", long],
                       check=True)
        done = subprocess.run([STEP, "--time-limit", "1", "quality", long], stdout=subprocess.PIPE)
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["status"]), (1, "failed"))
        self.assertIn("time limit of 1 s", report["reason"])

    def test_memory_limit_is_a_definite_reason(self):
        done = subprocess.run([STEP, "--memory-limit", "20", "probe", clip("pedestrians")], stdout=subprocess.PIPE)
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["status"]), (1, "failed"))
        self.assertGreater(len(report["reason"]), 10)


# Run side by side by the build, each group for itself.
GROUPS = {
    "pictures": [Mirror, Picture],
    "sound": [Sound, Probe, Limits],
    "files": [Names, Refused, WhatIsNotThere],
}


def check_groups():
    every = {c for c in globals().values() if isinstance(c, type) and issubclass(c, unittest.TestCase)}
    if every != {c for group in GROUPS.values() for c in group}:
        raise SystemExit("a test case is in no group")


if __name__ == "__main__":
    check_groups()
    chosen = [c.__name__ for name in sys.argv[1:] if name in GROUPS for c in GROUPS[name]]
    sys.argv[1:] = chosen or sys.argv[1:]
    sys.exit(tap.main())
