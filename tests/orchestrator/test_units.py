#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The units for systemd and the files of options beside them: what they name is there, and the programs take it."""
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import kit

UNITS = os.path.join(kit.ROOT, "examples", "video", "systemd")
SERVICES = os.path.join(kit.ROOT, "examples", "video", "services")


def read(name):
    with open(os.path.join(UNITS, name), encoding="utf-8") as file:
        return file.read()


class Log(kit.Case):
    def lines(self, program):
        return [json.loads(line) for line in program.log().splitlines() if line.startswith("{")]

    def test_what_becomes_of_each_job(self):
        server = self.serve("--log")
        worker = self.worker("--log", "--attempts", "2")
        path = self.video()
        self.order(path, "sound", exit=1, print="no answer")
        job = self.submit()
        self.done(job)
        put, answered = self.lines(server)
        self.assertEqual((put["what"], put["job"], put["queue"]), ("enqueued", job, "video.probe"))
        self.assertEqual((answered["what"], answered["job"], answered["status"]), ("answered", job, 202))
        self.assertGreaterEqual(answered["read_ms"], 0)
        self.assertGreater(answered["put_ms"], 0)
        kit.until("the report's end", lambda: [line for line in self.lines(worker)
                                               if line["job"] == self.part(job, "report") and line["what"] == "completed"])
        mine = [line for line in self.lines(worker) if line["job"] == self.part(job, "sound")]
        for line in mine:
            self.assertRegex(line["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        whats = [line["what"] for line in mine]
        self.assertEqual((whats.count("started"), whats.count("failed"), whats.count("dead")), (2, 1, 1), mine)
        self.assertEqual([line["reason"] for line in mine if line["what"] == "dead"], ["ATTEMPTS"])

    def test_a_name_begins_no_line(self):
        tokens = os.path.join(self.folder, "tokens")
        with open(tokens, "w", encoding="utf-8") as file:
            file.write('operator a"}{"what":"forged" ' + hashlib.sha256(b"word").hexdigest() + "\n")
        server = self.serve("--log", "--token-file", tokens)
        self.video()
        answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4"}, {"Authorization": "Bearer word"})
        self.assertEqual(answer.status, 202)
        self.assertEqual([(line["what"], line.get("group")) for line in self.lines(server)],
                         [("enqueued", 'a"}{"what":"forged"'), ("answered", None)])


class Units(kit.Case):
    def setUp(self):
        super().setUp()
        self.etc = os.path.join(self.folder, "etc")
        os.mkdir(self.etc)
        with open(os.path.join(self.etc, "store"), "w", encoding="ascii") as file:
            file.write(self.store + "\n")
        with open(os.path.join(self.etc, "tokens"), "w", encoding="ascii") as file:
            file.write(f"operator * {hashlib.sha256(b'word').hexdigest()}\n")
        shutil.copy(self.secret, os.path.join(self.etc, "secret"))
        os.mkdir(os.path.join(self.etc, "webhooks"))

    def here(self, text):
        """The paths of a machine where it is installed, as they are here."""
        for there, path in ("/etc/jobq-video", self.etc), ("/srv/videos", self.media), ("/usr/bin/jobq-video", kit.VIDEO), \
                ("/usr/libexec/jobq-video/services", SERVICES), ("127.0.0.1:8080", "127.0.0.1:0"):
            text = text.replace(there, path)
        return text

    def command(self, unit, **values):
        lines = re.findall("^ExecStart=(.*)$", read(unit), re.M)
        self.assertEqual(len(lines), 1)
        line = self.here(lines[0])
        for name, value in values.items():
            line = line.replace(name, value)
        return shlex.split(line)

    def test_server_and_worker_run_with_their_files(self):
        for name in "serve.conf", "worker.conf":
            with open(os.path.join(self.etc, name), "w", encoding="utf-8") as file:
                file.write(self.here(read(name)))
        server = self.start("serve", self.command("jobq-video-serve.service"))
        self.port = int(server.line("listening on http://127.0.0.1:"))
        self.start("worker", self.command("jobq-video-worker@.service") + ["--step-command", kit.DOUBLE]).line("working:")
        self.video()
        word = {"Authorization": "Bearer word"}
        job = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4"}, word).json["jobId"]
        kit.until("a step", lambda: self.ask("GET", "/analysis/result/" + job, headers=word)
                  .json["progress"]["sound"]["state"] == "completed")
        self.assertEqual(self.ask("GET", "/analysis/result/" + job).status, 401)

    def test_a_step_has_its_service(self):
        service = self.start("step", self.command("jobq-video-step@.service",
                                                  **{"%i": "face", "${LISTEN}": "127.0.0.1:0", "${CONCURRENCY}": "2"}))
        port = int(service.line("listening on http://127.0.0.1:"))
        self.assertEqual(self.ask("GET", "/health", port=port).json["steps"], ["face"])

    def test_a_stop_has_the_time_it_needs(self):
        grace_ms = int(re.search(r"^grace = (\d+)$", read("worker.conf"), re.M)[1])
        stop_s = int(re.search(r"^TimeoutStopSec=(\d+)$", read("jobq-video-worker@.service"), re.M)[1])
        self.assertGreater(stop_s * 1000, grace_ms + 5000)

    def test_systemd_takes_them(self):
        analyze = shutil.which("systemd-analyze")
        if not analyze: # on a machine without systemd nobody runs them
            return
        folder = os.path.join(self.folder, "units")
        os.mkdir(folder)
        for unit in ("jobq-video-serve.service", "jobq-video-worker@.service", "jobq-video-step@.service"):
            path = os.path.join(folder, unit.replace("@", "@x"))
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.here(read(unit)))
            done = subprocess.run([analyze, "verify", "--man=no", path], capture_output=True, text=True, timeout=60, check=False)
            bad = [line for line in done.stderr.splitlines() if unit.split("@")[0] in line and
                   re.search("Unknown|Invalid|Failed to parse", line)]
            self.assertEqual(bad, [])


if __name__ == "__main__":
    sys.exit(kit.main())
