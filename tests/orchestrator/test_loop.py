#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A worker inside a loop of the program's own, under poll(2).   test_loop.py LOOP JOBQ"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "video"))
import tap  # noqa: E402  pylint: disable=wrong-import-position

LOOP, JOBQ = sys.argv[1:3]
del sys.argv[1:]


class Loop(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="jql.")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.store = "sqlite:" + os.path.join(self.folder, "jobs.db")

    def jobs(self):
        done = subprocess.run([JOBQ, "list", "--store", self.store, "--limit", "1000", "--json"], capture_output=True,
                              check=True, timeout=60)
        return json.loads(done.stdout)

    def test_each_line_is_worked_off(self):
        lines = [f"line {number}" for number in range(200)]
        done = subprocess.run([LOOP, self.store], input="\n".join(lines), capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(sorted(done.stdout.splitlines()), sorted(line[::-1] for line in lines))
        jobs = self.jobs()
        self.assertEqual({job["payload"] for job in jobs}, set(lines))
        self.assertTrue(all(job["state"] == "completed" and job["result"] == job["payload"][::-1] for job in jobs))

    def test_lines_that_come_while_it_works(self):
        with subprocess.Popen([LOOP, self.store], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            for word in ("one", "two", "three"):
                process.stdin.write(word + "\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), word[::-1] + "\n")
            process.stdin.close()
            self.assertEqual(process.wait(60), 0)

    def test_jobs_of_other_processes(self):
        """One that is there before it starts, put by somebody else."""
        subprocess.run([JOBQ, "enqueue", "--store", self.store, "lines", "abc"], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        done = subprocess.run([LOOP, self.store], input="", capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "cba\n"))

    def test_a_store_that_cannot_be_opened(self):
        done = subprocess.run([LOOP, "sqlite:" + self.folder], input="x\n", capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith("loop: "))


if __name__ == "__main__":
    sys.exit(tap.main())
