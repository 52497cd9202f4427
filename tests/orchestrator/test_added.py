#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Steps added by configuration and one small program: run by the worker, pulled by jobq work, pushed to a service. What a
store that runs holds when a step comes or goes; and configuration that is refused."""
import hashlib
import json
import os
import subprocess
import sys

import kit
from service_double import Service

sys.path.insert(0, os.path.join(kit.ROOT, "tests", "burst"))
import history  # noqa: E402  pylint: disable=wrong-import-position

# The one of doc/video.md in shell, which also does what a test tells it.
PROGRAM = """#!/bin/sh
payload=$(cat)
video=$(printf %s "$payload" | sed 's/.*"video":"\\([^"]*\\)".*/\\1/')
test -n "$JOBQ_PROGRESS_FD" && echo "1 2 pictures" >&"$JOBQ_PROGRESS_FD"
while test -e "$MEDIA/$video.hold"; do sleep 0.02; done
if test -e "$MEDIA/$video.fail"; then echo "no good" >&2; exit 3; fi
printf '{"status":"ok","bytes":%d}' "$(wc -c <"$MEDIA/$video")"
"""
NAME = "blink"


class Added(kit.Case):
    def setUp(self):
        super().setUp()
        self.program = os.path.join(self.folder, "blink, twice") # whatever it is called
        with open(self.program, "w", encoding="ascii") as file:
            file.write(PROGRAM)
        os.chmod(self.program, 0o755)

    def touch(self, name):
        path = os.path.join(self.media, name)
        with open(path, "wb"):
            return path

    def blink(self, job):
        return self.result(job)["progress"].get(NAME)

    def limit_of(self, worker, limit):
        """The most that ran at once, from the events."""
        worker.stop()
        events = subprocess.run([kit.JOBQ, "events", "-s", self.store, "--json", "--limit", "100000"], capture_output=True,
                                check=True, timeout=60).stdout.splitlines()
        queue = history.read(json.loads(line) for line in events)["video." + NAME]
        self.assertLessEqual(queue.most, limit)
        return queue

    def pull(self, *options):
        return self.start("pull", ["/usr/bin/env", "MEDIA=" + self.media, kit.JOBQ, "work", "video." + NAME, "-s", self.store,
                                   "-j", "4", "--lease", str(kit.LEASE_MS), *options, "--", self.program])

    def graph(self, job, *options):
        """As the dashboard has it, of another server of the store."""
        tokens = os.path.join(self.folder, "tokens")
        with open(tokens, "w", encoding="ascii") as file:
            file.write(f"viewer * {hashlib.sha256(b'token').hexdigest()}\n")
        board = self.start("board", [kit.VIDEO, "serve", "--store", self.store, "--media", self.media, "--listen", "127.0.0.1:0",
                                     "--token-file", tokens, *options])
        port = int(board.line("listening on http://127.0.0.1:"))
        answer = self.ask("GET", "/api/v1/queue/flow/" + job, None, {"Authorization": "Bearer token"}, port)
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    # --- who does it

    def test_run_by_the_worker(self):
        """From one file of configuration for both, with its progress, within -j, to the report and the graph."""
        both = os.path.join(self.folder, "steps.conf")
        with open(both, "w", encoding="ascii") as file:
            file.write(f"step = {NAME},version=3,timeout=20000,program={self.program}\n")
        self.serve("--config", both)
        worker = self.worker("-j", NAME + "=2", "--config", both)
        jobs = []
        for number in range(5):
            self.video(f"{number}.mp4", b"x" * (1000 + number))
            hold = self.touch(f"{number}.mp4.hold")
            jobs.append((self.submit(f"{number}.mp4"), hold))
        seen = kit.until("progress", lambda: [self.blink(job) for job, _ in jobs if self.blink(job).get("unit") == "pictures"])
        self.assertEqual((seen[0]["state"], seen[0]["done"], seen[0]["total"]), ("running", 1, 2))
        self.assertTrue(all(self.result(job)["status"] == "processing" for job, _ in jobs))
        for _, hold in jobs:
            os.unlink(hold)
        for number, (job, _) in enumerate(jobs):
            result = self.done(job)["result"]
            self.assertEqual((result["complete"], result["failed_steps"]), (True, []))
            self.assertEqual(set(result["steps"]), {*kit.STEPS, NAME})
            self.assertEqual(result["steps"][NAME]["bytes"], 1000 + number)
            row = self.jobq("show", result["steps"][NAME]["jobId"])
            self.assertEqual((row["queue"], row["timeout_ms"], json.loads(row["payload"])["version"]),
                             ("video." + NAME, 20000, 3))
        flow = self.graph(jobs[0][0], "--config", both)
        self.assertIn(NAME, [node["name"] for node in flow["nodes"]])
        self.assertIn(["probe", NAME], flow["edges"])
        self.assertIn([NAME, "report"], flow["edges"])
        self.assertEqual(self.ask("GET", "/api/v1/queue/stats").json["total"], len(jobs), "a submission counts once")
        shown = subprocess.run([kit.VIDEO, "watch", "--server", f"http://127.0.0.1:{self.port}", jobs[0][0]],
                               capture_output=True, timeout=60, check=True).stdout.decode()
        self.assertIn('{"bytes":1000}', shown)
        self.assertEqual(self.limit_of(worker, 2).ended, {"completed": len(jobs)})

    def test_one_that_fails_is_named(self):
        self.serve("--step", NAME)
        self.worker("--step", f"{NAME},program={self.program}", "--attempts", "2")
        self.video()
        self.touch("clip.mp4.fail")
        result = self.done(self.submit())["result"]
        self.assertEqual((result["complete"], result["failed_steps"]), (False, [NAME]))
        self.assertIn("no good", result["steps"][NAME]["reason"])
        self.assertEqual(result["steps"]["sound"]["status"], "ok")

    def test_pulled(self):
        """The same program, and the limit is the store's."""
        self.serve("--step", NAME)
        self.worker("--step", NAME)
        self.jobq("limit", "video." + NAME, "--concurrency", "2")
        jobs = []
        for number in range(5):
            self.video(f"{number}.mp4", b"x" * (1000 + number))
            jobs.append(self.submit(f"{number}.mp4"))
        kit.until("steps that wait", lambda: all((self.blink(job) or {}).get("state") == "ready" for job in jobs))
        worker = self.pull()
        for number, job in enumerate(jobs):
            self.assertEqual(self.done(job)["result"]["steps"][NAME]["bytes"], 1000 + number)
        self.limit_of(worker, 2)

    def test_pushed(self):
        service = Service()
        self.addCleanup(service.stop)
        self.serve("--step", NAME)
        self.worker("--step", NAME, "--services", f"{NAME}={service.url}")
        self.video()
        job = self.submit()
        order = kit.until("an order", lambda: service.of(NAME))[0]
        kit.until("the park", lambda: self.blink(job)["state"] == "at the service")
        self.assertEqual(order["callbackUrl"], f"http://127.0.0.1:{self.port}/callback/{NAME}-analysis")
        self.assertEqual(service.call_back(order, service.message(order, progress={"done": 3, "total": 4, "unit": "s"}))[0], 200)
        self.assertEqual(self.blink(job)["done"], 3)
        self.assertEqual(service.call_back(order)[0], 200)
        self.assertEqual(self.done(job)["result"]["steps"][NAME]["seen"], "clip.mp4")

    def test_any_step_that_is_known_may_be_pushed(self):
        service = Service(at_once=True)
        self.addCleanup(service.stop)
        self.serve()
        self.worker(*(option for step in kit.STEPS for option in ("--services", f"{step}={service.url}")))
        self.video()
        result = self.done(self.submit())["result"]
        self.assertEqual([result["steps"][step].get("seen") for step in kit.STEPS], ["clip.mp4"] * len(kit.STEPS))

    def test_the_recipe(self):
        """The program of doc/video.md, as it stands there, both ways."""
        with open(os.path.join(kit.ROOT, "doc", "video.md"), encoding="utf-8") as page:
            text = page.read().split("### A step of your own")[1].split("```python\n")[1].split("```")[0]
        with open(self.program, "w", encoding="ascii") as file:
            file.write(text)
        self.serve("--step", "weight")
        self.worker("--step", "weight,program=" + self.program)
        self.video()
        step = self.done(self.submit())["result"]["steps"]["weight"]
        self.assertEqual((step["status"], step["heavy"], step["bytes"]), ("ok", False, os.path.getsize(
            os.path.join(self.media, "clip.mp4"))))
        payload = self.jobq("show", step["jobId"])["payload"]
        self.jobq("enqueue", "video." + NAME, payload)
        self.pull("--drain")
        row = kit.until("a result", lambda: (lambda rows: rows[0]["state"] == "completed" and rows[0])(
            self.jobq("list", "--queue", "video." + NAME)))
        self.assertEqual(json.loads(row["result"])["bytes"], step["bytes"])

    # --- when it comes and goes

    def test_a_submission_keeps_the_steps_it_began_with(self):
        """Old ones from before a step was added have none of it; after it was taken away, or at servers and workers that
        never heard of it, those that began with it wait for it, show it and report it."""
        self.video("old.mp4")
        self.video("new.mp4", b"new")
        server = self.serve()
        worker = self.worker("-j", "report=0")
        old = self.submit("old.mp4")
        kit.until("a report to be made", lambda: self.result(old)["progress"]["report"]["state"] == "ready")
        worker.stop()
        worker = self.worker("--step", "second", "--step", NAME)
        self.assertEqual(set(self.done(old)["result"]["steps"]), set(kit.STEPS))
        new = self.submit("new.mp4")
        kit.until("steps that wait", lambda: (self.blink(new) or {}).get("state") == "ready")
        server.stop()
        worker.stop()
        self.serve("--step", "third", "--step", NAME)
        self.worker()
        progress = self.result(new)["progress"]
        self.assertEqual((progress[NAME]["state"], progress["second"]["state"], "third" in progress), ("ready", "ready", False))
        self.assertEqual(self.graph(new)["edges"].count([NAME, "report"]), 1)
        for part in NAME, "sound", "report":
            self.assertEqual(self.graph(progress[part]["id"])["jobId"], new, "found by the id of any of its jobs")
        self.pull("--drain")
        kit.until("the step", lambda: self.blink(new)["state"] == "completed")
        self.assertEqual(self.result(new)["status"], "processing")
        self.jobq("cancel", progress["second"]["id"])
        result = self.done(new)["result"]
        self.assertEqual(result["steps"][NAME]["bytes"], 3)
        self.assertEqual((result["failed_steps"], result["steps"]["second"]["status"]), (["second"], "cancelled"))
        self.assertEqual(set(self.done(self.submit("old.mp4"))["result"]["steps"]), set(kit.STEPS))

    # --- what is refused

    def refused(self, words, *options, command="worker"):
        done = subprocess.run([kit.VIDEO, command, "--store", self.store, "--media", self.media, *options],
                              capture_output=True, timeout=60, check=False)
        said = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (2, b""), (options, said))
        for word in words:
            self.assertIn(word, said, options)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertFalse(os.path.exists(self.store.split(":")[1]), "the store was touched")

    def test_bad_configuration_is_refused_and_has_no_effect(self):
        for command in "serve", "worker":
            for name in ("", ",version=1", "Blink", "1blink", "-blink", "a.b", "a/b", "a b", "bl\x1b", "x" * 16, "blïnk"):
                self.refused(("--step", "name", "1 to 15"), "--step", name, command=command)
            for name in "face", "probe", "report", "fetch", "results", "webhook", "notify":
                self.refused(("name", name), "--step", name, command=command)
            self.refused(("name", NAME), "--step", NAME, "--step", NAME + ",version=2", command=command)
            for value in "", "0", "-1", "1.5", "x", "1x", "1000001", "9" * 30:
                self.refused(("version", "1 to 1000000"), "--step", f"{NAME},version={value}", command=command)
            for value in "", "14999", "86400001", "1s":
                self.refused(("timeout", "15000 to 86400000"), "--step", f"{NAME},timeout={value}", command=command)
            for setting in "nose=1", "nose", "version", "", "=", "version=1,":
                self.refused(("no such setting", "timeout"), "--step", f"{NAME},{setting}", command=command)
            for program in "", "blink", "./blink":
                self.refused(("program", "absolute"), "--step", f"{NAME},program={program}", command=command)
            many = [option for number in range(17) for option in ("--step", f"s{number}")]
            self.refused(("s16", "16"), *many, command=command)
        for program in "/nowhere/blink", os.path.abspath(__file__) + "x":
            self.refused(("program", program), "--step", f"{NAME},program={program}")
        self.refused((f"-j {NAME}=2", "no program"), "--step", NAME, "-j", NAME + "=2")
        self.refused(("nose",), "--step", NAME, "-j", "nose=2")

    def test_as_many_as_may_be(self):
        """The longest names, all of them, in one submission."""
        names = [f"a-long-name-{number:03}" for number in range(16)]
        options = [option for name in names for option in ("--step", f"{name},program={self.program}")]
        self.serve(*options)
        self.worker(*options)
        self.video()
        result = self.done(self.submit())["result"]
        self.assertEqual(set(result["steps"]), {*kit.STEPS, *names})
        self.assertEqual(len({step["jobId"] for step in result["steps"].values()}), len(kit.STEPS) + len(names))
        self.assertTrue(result["complete"])


if __name__ == "__main__":
    sys.exit(kit.main())
