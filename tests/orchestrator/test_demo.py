#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demonstration as a person runs it, and what it leaves behind when it is interrupted: nothing.

test_demo.py BUILD-DIR

With JOBQ_TEST_FULL it builds what it shows in a folder of its own, as on a person's first day, and puts as many jobs; otherwise
it finds BUILD-DIR, and puts fewer.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "video"))
import tap  # noqa: E402  pylint: disable=wrong-import-position

BUILT = sys.argv.pop(1)
DEMO = os.path.join(ROOT, "examples", "demo.sh")
MARK = "JOBQ_DEMO_MARK"


def running(mark):
    """Processes that carry the mark in their environment, but for this one."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    marked = f"{MARK}={mark}".encode() in file.read().split(b"\0")
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    command = file.read().replace(b"\0", b" ").decode(errors="replace")
                if marked and command:
                    found[int(name)] = command
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
    return found


class Demo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.build = tempfile.mkdtemp(prefix="jqd.")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.build, ignore_errors=True)

    def environment(self, mark, jobs):
        build = os.path.join(self.build, "b") if os.environ.get("JOBQ_TEST_FULL") else BUILT
        return {**os.environ, "JOBQ_BUILD": build, "JOBQ_DEMO_JOBS": str(jobs), MARK: mark}

    def demo(self, mark, *arguments, jobs=100):
        done = subprocess.run(["sh", DEMO, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=self.environment(mark, jobs), timeout=800, check=False)
        self.assertEqual(running(mark), {}, done.stdout)
        return done

    def test_1_stage_one(self):
        jobs = 1000 if os.environ.get("JOBQ_TEST_FULL") else 300
        done = self.demo("one", "--stage", "1", jobs=jobs)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"{jobs} of {jobs} completed", done.stdout)
        self.assertIn("Nothing was lost.", done.stdout)
        held = re.findall(r"^    ([0-9a-f]{32})  number .*attempt 1  running$", done.stdout, re.M)
        self.assertTrue(held, done.stdout)
        for job in held:
            self.assertRegex(done.stdout, rf"(?m)^    {job}  number .*attempt 2  completed$")

    def test_2_both_stages(self):
        done = self.demo("two")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("4 of 4 submissions completed.", done.stdout)
        killed = re.search(r"ended by SIGKILL while it held ([0-9a-f]{32}) \(video\.\w+\)", done.stdout)
        self.assertTrue(killed, done.stdout)
        self.assertRegex(done.stdout, rf"(?m)^  \w+ +{killed.group(1)} +2 ")
        self.assertIn("32 of 32 jobs completed, 0 in any other state.\nNothing was lost.", done.stdout)

    def test_3_ones_own_video(self):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", "/tmp"), ".cache")
        clip = os.path.join(cache, "jobq", "clips", "interview-2.mp4")
        own = os.path.join(self.build, "my own; video.mp4")
        shutil.copy(clip, own)
        done = self.demo("three", "--video", own)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("my own; video.mp4: ", done.stdout)
        self.assertIn("8 of 8 jobs completed", done.stdout)

    def test_4_interrupted(self):
        """Ctrl-C in the middle of either stage leaves no process and no folder."""
        for mark, line in (("four-1", "Stage one"), ("four-2", "submitted  ")):
            with subprocess.Popen(["sh", DEMO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, env=self.environment(mark, 100),
                                  start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
                                  ) as process:
                said = ""
                for text in process.stdout:
                    said += text
                    if line in text:
                        break
                folders = {part for command in running(mark).values() for part in re.findall(r"/[a-z/]+/jq\.\w+", command)}
                os.killpg(process.pid, signal.SIGINT)
                process.stdout.read()
                self.assertEqual(process.wait(60), 130, said)
            deadline = time.monotonic() + 10
            while running(mark) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(running(mark), {}, said)
            for folder in folders:
                self.assertFalse(os.path.exists(folder), folder)

    def test_5_bad_arguments(self):
        for arguments in (["--stage", "3"], ["--video"], ["--video", "/nonexistent.mp4"], ["--what"], ["x"]):
            done = self.demo("five", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
        self.assertEqual(self.demo("five", "--help").returncode, 0)

    def test_6_on_a_server(self):
        """With each store behind a server, which it starts and ends: the first stage, and both with JOBQ_TEST_FULL=1."""
        whole = os.environ.get("JOBQ_TEST_FULL")
        for store in "redis", "postgres":
            done = self.demo("six", store, *(() if whole else ("--stage", "1")), jobs=200)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn("200 of 200 completed", done.stdout)
            self.assertIn("Nothing was lost.", done.stdout)
            if whole:
                self.assertIn("32 of 32 jobs completed, 0 in any other state.\nNothing was lost.", done.stdout)


if __name__ == "__main__":
    sys.exit(tap.main())
