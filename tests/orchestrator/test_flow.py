#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""From submission to result: the graph, its repetition after every kind of trouble, and what is said about it. The
steps are stood in for (step_double.py, service_double.py); test_real.py runs the real ones."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import kit
from service_double import Service


class Flow(kit.Case):
    def begin(self, *options, **service):
        self.service = Service(**service)
        self.addCleanup(self.service.stop)
        self.serve()
        return self.worker(*options, services=self.service.url)

    def control_log(self, video="clip.mp4"):
        try:
            with open(os.path.join(self.media, video + ".control.log"), encoding="ascii") as log:
                return [line.split() for line in log]
        except FileNotFoundError:
            return []

    def gate(self, name="go"):
        return os.path.join(self.folder, name)

    def open_gate(self, name="go"):
        with open(self.gate(name), "w", encoding="ascii"):
            pass

    def check_whole(self, result, but=()):
        """Completed, every step there, and only those in `but` lacking."""
        self.assertEqual(result["status"], "completed", result)
        report = result["result"]
        self.assertEqual(sorted(report["steps"]), sorted(kit.STEPS))
        self.assertEqual(report["failed_steps"], [step for step in kit.STEPS if step in but])
        self.assertEqual(report["complete"], not but)
        for step in kit.STEPS:
            if step not in but:
                self.assertEqual(report["steps"][step]["status"], "ok", step)

    # --- the way it should go

    def test_start_to_result(self):
        self.begin(at_once=True)
        path = self.video(content=b"abc")
        job = self.submit(metadata={"candidate": "7", "note": "x"})
        result = self.done(job)
        self.check_whole(result)
        report = result["result"]
        self.assertEqual(report["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        self.assertEqual((result["video"], report["video"], report["size_bytes"]), ("clip.mp4", "clip.mp4", 3))
        self.assertEqual(report["metadata"], {"candidate": "7", "note": "x"})
        self.assertEqual(report["media"]["status"], "ok")
        for step in kit.STEPS:
            self.assertEqual(report["steps"][step]["jobId"], self.part(job, step))
            self.assertEqual(report["steps"][step]["attempts"], 1)
            self.assertEqual(report["steps"][step]["starts"], 2 if step in ("face", "gesture") else 1)
            self.assertEqual(self.row(job, step)["queue"], "video." + step)
        self.assertEqual(self.service.bad, [])
        self.assertEqual(sorted(step for step, _, _ in self.control_log()),
                         ["emotion", "probe", "quality", "sound", "speech"])
        self.assertEqual(path, os.path.join(self.media, "clip.mp4"))
        self.assertEqual(len(self.jobq("list", "--state", "completed")), 8)

    def test_a_person_is_removed(self):
        """All jobs of a submission go, those of another stay, and the video is its owner's."""
        self.begin(at_once=True)
        path = self.video(content=b"abc")
        job, other = self.submit(), self.submit()
        self.done(job)
        self.done(other)
        self.assertEqual(self.ask("DELETE", "/analysis/result/" + job).status, 403, "nobody without a token")
        log = os.path.join(self.folder, "audit.log")
        admin = self.serve_admin("--audit-log", log)
        answer = self.ask("DELETE", "/analysis/result/" + job, headers=admin)
        self.assertEqual((answer.status, answer.json), (200, {"jobId": job, "removed": 2 + len(kit.STEPS)}))
        self.assertEqual(self.ask("GET", "/analysis/result/" + job, headers=admin).status, 404)
        self.assertEqual({row["id"][13:] for row in self.jobq("list")}, {other[13:]})
        self.check_whole(self.ask("GET", "/analysis/result/" + other, headers=admin).json)
        with open(log, encoding="ascii") as file:
            [line] = [json.loads(line) for line in file]
        self.assertEqual((line["verb"], line["what"], line["status"], line["role"]), ("remove", {"of": job}, 200, "admin"))
        self.assertTrue(os.path.exists(path))

    def model(self, name="a.onnx", content=b"model"):
        path = os.path.join(self.folder, name)
        for suffix, what in (("", content), (".json", b"{}")):
            with open(path + suffix, "wb") as file:
                file.write(what)
        return path

    def test_limits_and_a_model_of_the_users_reach_the_program(self):
        model = self.model()
        self.begin("--emotion-model", model, at_once=True)
        self.video()
        job = self.submit()
        steps = self.done(job)["result"]["steps"]
        for step in ("quality", "sound", "speech", "emotion"):
            self.assertEqual(steps[step]["arguments"][:4:2], ["--time-limit", "--memory-limit"], step)
        self.assertEqual(steps["emotion"]["arguments"][4:], ["--model", model])
        self.assertEqual(steps["speech"]["arguments"][4:], [])
        digest = hashlib.sha256(b"model{}").hexdigest()
        self.assertEqual(self.row(job, "emotion")["key"].split("/")[1], "1+" + digest)

    def test_a_step_runs_with_the_model_that_it_was_planned_with_or_not_at_all(self):
        # Who plans says how long a failure waits: here until the clock is moved.
        first = self.begin("--emotion-model", self.model(), "--backoff", "1000000", at_once=True)
        path = self.video()
        self.order(path, "emotion", wait=self.gate(), once=True)
        job = self.submit()
        kit.until("emotion to run", lambda: [line for line in self.control_log() if line[0] == "emotion"])
        first.stop()
        other = self.worker("--emotion-model", self.model("other.onnx", b"another"), services=self.service.url)
        row = kit.until("a failure", lambda: (lambda row: row["failures"] and row)(self.row(job, "emotion")))
        self.assertIn("was not given", row["errors"][0]["text"])
        other.stop()
        self.advance(1200000) # while nothing runs: it would be out of time
        self.worker("--emotion-model", self.model(), services=self.service.url)
        self.check_whole(self.done(job))

    def test_what_was_planned_without_a_model_runs_without_one(self):
        first = self.begin(at_once=True)
        path = self.video()
        self.order(path, "emotion", wait=self.gate(), once=True)
        job = self.submit()
        kit.until("emotion to run", lambda: [line for line in self.control_log() if line[0] == "emotion"])
        first.stop()
        self.worker("--emotion-model", self.model(), services=self.service.url)
        self.assertEqual(self.done(job)["result"]["steps"]["emotion"]["arguments"][4:], [])

    def test_a_model_that_is_not_there(self):
        self.serve()
        lonely = self.video("lonely.onnx")
        for path, word in (("/no/such/model", "no such file"), (lonely, "FILE.json")):
            done = subprocess.run([kit.VIDEO, "worker", "--store", self.store, "--media", self.media, "--step-command",
                                   kit.DOUBLE, "--emotion-model", path], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("--emotion-model " + path, done.stderr.decode())
            self.assertIn(word, done.stderr.decode())

    def test_keys_and_payloads_name_the_bytes(self):
        self.begin(at_once=True)
        self.video(content=b"abc")
        job = self.submit(metadata={"candidate": "a/b"})
        self.done(job)
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        row = self.row(job, "speech")
        self.assertEqual(row["key"], f"speech/1/{digest}/{job}/a/b")
        payload = json.loads(row["payload"])
        self.assertEqual((payload["sha256"], payload["submission"], payload["step"]), (digest, job, "speech"))

    def test_progress_is_what_the_program_said(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "quality", progress=["1 x", "nonsense", "120 180 frames"], wait=self.gate())
        job = self.submit()

        def look():
            part = self.result(job)["progress"]["quality"]
            return part if "done" in part else None
        part = kit.until("progress of quality", look)
        self.assertEqual((part["state"], part["done"], part["total"], part["unit"], part["attempt"]),
                         ("running", 120, 180, "frames", 1))
        waiting = self.result(job)
        self.assertEqual((waiting["status"], waiting["progress"]["report"]["state"]), ("processing", "waiting"))
        self.open_gate()
        self.check_whole(self.done(job))

    def test_progress_of_a_service(self):
        self.begin()
        self.video()
        job = self.submit()
        order = kit.until("an order", lambda: self.service.of("face"))[0]
        kit.until("the park", lambda: self.row(job, "face")["state"] == "blocked")
        body = self.service.message(order, progress={"done": 3, "total": 9, "unit": "frames"})
        self.assertEqual(self.service.call_back(order, body), (200, {"ok": True}))
        part = self.result(job)["progress"]["face"]
        self.assertEqual((part["state"], part["done"], part["total"], part["unit"]),
                         ("at the service", 3, 9, "frames"))

    # --- programs that fail

    def test_a_failing_step_is_named_and_the_others_stay(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "speech", answer={"step": "speech", "status": "failed", "reason": "no ears"}, exit=1)
        job = self.submit()
        result = self.done(job)
        self.check_whole(result, but=("speech",))
        speech = result["result"]["steps"]["speech"]
        self.assertEqual((speech["status"], speech["reason"], speech["why"]), ("failed", "no ears", "PERMANENT"))
        self.assertEqual(self.row(job, "speech")["state"], "dead")

    def test_skipped_and_not_available_are_no_failures(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "speech", answer={"step": "speech", "status": "skipped", "package": "pocketsphinx"})
        self.order(path, "emotion", answer={"step": "emotion", "status": "not_available", "reason": "no model"})
        result = self.done(self.submit())["result"]
        self.assertTrue(result["complete"])
        self.assertEqual(result["steps"]["speech"]["package"], "pocketsphinx")
        self.assertEqual(result["steps"]["emotion"]["status"], "not_available")

    def test_a_program_that_dies_is_tried_again(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "sound", print="half an answ", exit=3, once=True)
        job = self.submit()
        result = self.done(job)
        self.check_whole(result)
        self.assertEqual(result["result"]["steps"]["sound"]["attempts"], 2)
        errors = self.row(job, "sound")["errors"]
        self.assertIn("status 3 and no answer", errors[0]["text"])

    def test_a_program_that_never_answers_rightly_is_dead_after_three(self):
        self.begin(at_once=True)
        path = self.video()
        for step, output in (("quality", ""), ("sound", "[]"), ("emotion", '{"status": "ok"} {}')):
            self.order(path, step, print=output)
        result = self.done(self.submit())
        self.check_whole(result, but=("quality", "sound", "emotion"))
        self.assertEqual(result["result"]["steps"]["quality"]["why"], "ATTEMPTS")
        self.assertEqual([attempt for step, attempt, _ in self.control_log() if step == "sound"], ["1", "2", "3"])

    def test_an_answer_that_is_too_large(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "quality", print="x" * 3000000)
        result = self.done(self.submit())
        self.check_whole(result, but=("quality",))
        self.assertIn("larger than", result["result"]["steps"]["quality"]["reason"])

    def test_what_is_no_video(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "probe", answer={"step": "probe", "status": "failed", "reason": "no video"}, exit=1)
        result = self.done(self.submit())
        self.assertEqual((result["status"], result["error"]), ("failed", "probe: no video"))
        self.assertEqual(result["progress"]["quality"], {"state": "waiting"})

    def test_a_file_that_is_gone(self):
        self.serve()
        path = self.video()
        job = self.submit()
        os.unlink(path)
        self.worker()
        result = self.done(job)
        self.assertEqual(result["status"], "failed")
        self.assertIn("no such file", result["error"])

    def test_a_file_that_changes_is_not_mixed_up(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "quality", wait=self.gate())
        job = self.submit()
        kit.until("the start of quality", lambda: [line for line in self.control_log() if line[0] == "quality"])
        with open(path, "ab") as file:
            file.write(b"more")
        self.open_gate()
        result = self.done(job)
        self.assertIn("quality", result["result"]["failed_steps"])
        self.assertIn("changed since it was hashed", result["result"]["steps"]["quality"]["reason"])

    def test_a_link_put_in_place_of_the_file_is_not_followed(self):
        self.serve()
        path = self.video()
        job = self.submit()
        os.unlink(path)
        os.symlink("/etc/passwd", path)
        self.worker()
        self.assertIn("symbolic link", self.done(job)["error"])

    # --- workers that die (S1, L2: nothing is lost, and somebody else finds it)

    def test_a_worker_killed_in_the_middle(self):
        worker = self.begin(at_once=True)
        path = self.video()
        self.order(path, "speech", wait=self.gate(), once=True)
        self.order(path, "quality", wait=self.gate(), once=True)
        job = self.submit()
        kit.until("both to be held", lambda: {"speech", "quality"} <= {line[0] for line in self.control_log()})
        row = self.row(job, "speech")
        self.assertEqual(row["state"], "running")
        self.assertTrue(row["worker"].endswith(f":{worker.pid}"))
        worker.kill()
        children = [int(pid) for _, _, pid in self.control_log()]
        kit.until("the end of the children", lambda: not any(alive(pid) for pid in children))
        self.assertEqual(self.row(job, "speech")["state"], "running")
        self.advance(kit.LEASE_MS + 1000)
        self.worker(services=self.service.url)
        result = self.done(job)
        self.check_whole(result)
        for step in ("speech", "quality"):
            again = self.row(job, step)
            self.assertEqual((again["attempt"], again["crashes"], again["state"]), (2, 1, "completed"), step)

    def test_a_worker_killed_in_the_probe(self):
        worker = self.begin(at_once=True)
        path = self.video()
        self.order(path, "probe", wait=self.gate(), once=True)
        job = self.submit()
        kit.until("the probe to run", lambda: self.control_log())
        worker.kill()
        self.advance(kit.LEASE_MS + 1000)
        self.worker(services=self.service.url)
        self.check_whole(self.done(job))
        self.assertEqual(len(self.jobq("list")), 8)
        self.assertEqual(self.row(job)["attempt"], 2)

    def test_a_worker_that_is_asked_to_end_gives_back(self):
        worker = self.begin(at_once=True)
        path = self.video()
        self.order(path, "speech", wait=self.gate(), once=True)
        job = self.submit()
        kit.until("speech to run", lambda: [line for line in self.control_log() if line[0] == "speech"])
        self.assertEqual(worker.stop(), 0)
        row = self.row(job, "speech")
        self.assertEqual((row["state"], row["failures"], row["crashes"]), ("ready", 0, 0))
        pid = int([line for line in self.control_log() if line[0] == "speech"][0][2])
        self.assertFalse(alive(pid))
        self.worker(services=self.service.url)
        self.check_whole(self.done(job))

    def test_the_server_killed_and_started_again(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "speech", wait=self.gate())
        job = self.submit()
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()
        self.serve()
        self.open_gate()
        for step in ("face", "gesture"):
            kit.until("an order", lambda s=step: self.service.of(s))
        # What the services could not say to the dead server they would say again; here the deadline does it.
        self.advance(11 * 60 * 1000)
        kit.until("speech to be done", lambda: self.row(job, "speech")["state"] == "completed")

    def test_a_worker_that_was_away_too_long(self):
        """S2: what it says about jobs that somebody else has by now is refused, and its children end."""
        away = self.begin("--lease", "12000", at_once=True)
        path = self.video()
        self.order(path, "speech", wait=self.gate(), once=True, answer={"status": "ok", "who": "the first"})
        job = self.submit()
        line = kit.until("speech to run", lambda: [line for line in self.control_log() if line[0] == "speech"])[0]
        kit.until("the rest", lambda: len(self.jobq("list", "--state", "completed")) == 6)
        self.pause(away)
        self.advance(13000)
        self.worker(services=self.service.url)
        self.check_whole(self.done(job))
        self.open_gate()
        away.process.send_signal(signal.SIGCONT)
        kit.until("the end of the child", lambda: not alive(int(line[2])))
        self.assertEqual(away.stop(), 0)
        row = self.row(job, "speech")
        self.assertEqual((row["attempt"], row["crashes"]), (2, 1))
        self.assertNotIn("the first", row["result"])

    def test_a_step_that_hangs(self):
        """Rule 5: the time limit of the job ends it and its child, and it is tried again."""
        self.begin("--lease", "12000", at_once=True)
        path = self.video()
        self.order(path, "quality", wait=self.gate(), once=True)
        job = self.submit()
        line = kit.until("quality to run", lambda: [line for line in self.control_log() if line[0] == "quality"])[0]
        kit.until("the rest", lambda: len(self.jobq("list", "--state", "completed")) == 6)
        self.advance(11 * 60 * 1000)
        kit.until("the end of the child", lambda: not alive(int(line[2])))
        self.check_whole(self.done(job))
        row = self.row(job, "quality")
        self.assertEqual((row["failures"], row["crashes"], row["errors"][0]["kind"]), (1, 0, "TIMEOUT"))

    # --- cancel

    def test_cancel_ends_the_child(self):
        self.begin(at_once=True)
        path = self.video()
        mark = os.path.join(self.folder, "child")
        self.order(path, "speech", wait=self.gate(), child=mark)
        job = self.submit()
        line = kit.until("speech to run", lambda: [line for line in self.control_log() if line[0] == "speech"])[0]
        grandchild = int(kit.until("its child", lambda: read(mark)))
        self.jobq("cancel", self.part(job, "speech"))
        result = self.done(job)
        self.assertEqual(result["result"]["failed_steps"], ["speech"])
        self.assertEqual(result["result"]["steps"]["speech"]["status"], "cancelled")
        kit.until("the end of both", lambda: not alive(int(line[2])) and not alive(grandchild))

    # --- services

    def test_an_unreachable_service_is_tried_again_and_ends_visibly(self):
        self.serve()
        self.worker(services="http://127.0.0.1:9")
        self.video()
        job = self.submit()
        result = self.done(job)
        self.check_whole(result, but=("face", "gesture"))
        face = result["result"]["steps"]["face"]
        self.assertEqual((face["why"], face["attempts"]), ("ATTEMPTS", 3))
        self.assertIn("http://127.0.0.1:9", face["reason"])
        self.assertEqual(result["progress"]["face"]["state"], "dead")

    def test_a_service_that_refuses_is_not_asked_again(self):
        self.begin(answer=lambda order: (400 if order["step"] == "face" else 503, {}))
        self.video()
        result = self.done(self.submit())
        self.check_whole(result, but=("face", "gesture"))
        self.assertEqual(len(self.service.of("face")), 1)
        self.assertEqual(len(self.service.of("gesture")), 3)

    def test_a_busy_service_costs_nothing(self):
        self.begin("--lease", "86400000", at_once=True, answer=lambda order: (202, {}) if len(self.service.of(order["step"])) > 4 else
                   (429, {"retry-after": "1"}))
        self.video()
        job = self.submit()

        def look():
            self.advance(1000)
            return self.result(job)["status"] != "processing"
        kit.until("the end", look)
        self.check_whole(self.result(job))
        row = self.row(job, "face")
        self.assertEqual((row["failures"], len(self.service.of("face"))), (0, 5))

    def test_what_watch_says_of_a_busy_service(self):
        """Once that it is busy, once for each failure why; not how often it was asked."""
        first = self.begin("--lease", "12000", at_once=True, answer=lambda order: (429, {"retry-after": "1"}))
        path = self.video()
        self.order(path, "speech", wait=self.gate())
        job = self.submit()
        watch = self.start("watch", [kit.VIDEO, "watch", "--server", f"http://127.0.0.1:{self.port}", job])

        def asked(times):
            def look():
                self.advance(1000)
                return len(self.service.of("face")) >= times
            kit.until("the service to be asked", look)
        asked(5)
        kit.until("speech to run", lambda: [line for line in self.control_log() if line[0] == "speech"])
        steps = lambda: self.result(job)["progress"]
        kit.until("both to be put off", lambda: {steps()[s]["state"] for s in ("face", "gesture")} == {"service busy"})
        first.kill()
        self.advance(13000)
        self.worker(services=self.service.url)
        asked(10)
        self.assertEqual(self.result(job)["progress"]["face"]["failures"], 0)
        kit.until("face to be put off", lambda: self.result(job)["progress"]["face"]["state"] == "service busy")
        self.service.answer = lambda order: (202, {})
        self.open_gate()
        kit.until("the end", lambda: self.advance(1000) or self.result(job)["status"] != "processing")
        self.check_whole(self.result(job))
        watch.process.wait(60)
        said = watch.log()
        for step in ("face", "gesture"):
            lines = [line for line in said.splitlines() if line.startswith("clip.mp4 ") and f" {step} " in line]
            busy = [line for line in lines if "the service is busy" in line]
            # Once, and once more if the worker was killed with this step in hand.
            self.assertEqual(len({line.split(",")[0] for line in busy}), 1, said)
            self.assertLessEqual(len(busy), 2, said)
            self.assertLessEqual(len(lines), 6, said)
        lost = [line for line in said.splitlines() if "the lease ran out" in line and " speech " in line]
        self.assertEqual(len(lost), 1, said)
        self.assertIn("1 failure: ", lost[0])

    def test_a_service_that_fails_is_asked_again_under_a_fresh_token(self):
        self.begin()
        self.video()
        job = self.submit()
        first = kit.until("an order", lambda: self.service.of("face"))[0]
        body = self.service.message(first, result={"step": "face", "status": "failed", "reason": "out of memory"})
        self.assertEqual(self.service.call_back(first, body), (200, {"ok": True}))
        second = kit.until("a second order", lambda: self.service.of("face")[1:])[0]
        self.assertNotEqual(first["callback"], second["callback"])
        self.assertEqual(self.row(job, "face")["failures"], 1)
        self.assertEqual(self.service.call_back(second), (200, {"ok": True}))
        kit.until("face to be done", lambda: self.row(job, "face")["state"] == "completed")

    def test_a_callback_that_never_comes(self):
        self.begin("--callback-deadline", "60000")
        self.video()
        job = self.submit()
        for number in range(3):
            orders = kit.until("an order", lambda n=number: self.service.of("face")[n:])
            kit.until("the park", lambda: self.row(job, "face")["state"] == "blocked")
            kit.until("the park", lambda: self.row(job, "gesture")["state"] in ("blocked", "dead"))
            self.assertEqual(len(orders), 1)
            self.advance(61000)
            kit.until("the end of the attempt", lambda n=number: self.row(job, "face")["failures"] == n + 1)
        row = kit.until("the end", lambda: (lambda r: r["state"] == "dead" and r)(self.row(job, "face")))
        self.assertEqual(row["reason"], "CALLBACK_TIMEOUT")
        late = self.service.of("face")[0]
        self.assertEqual(self.service.call_back(late)[0], 200)
        self.assertEqual(self.row(job, "face")["state"], "dead")

    def test_without_a_service_its_steps_are_skipped(self):
        self.serve()
        self.worker()
        self.video()
        result = self.done(self.submit())["result"]
        self.assertTrue(result["complete"])
        self.assertEqual(result["steps"]["face"]["status"], "skipped")
        self.assertIn("--services", result["steps"]["face"]["reason"])

    # --- sharing

    def test_sharing_only_when_asked(self):
        self.begin(at_once=True)
        self.video()
        plain = [self.submit(metadata={"candidate": "a"}) for _ in range(2)]
        for job in plain:
            self.check_whole(self.done(job))
        self.assertEqual(len([1 for step, _, _ in self.control_log() if step == "speech"]), 2)
        first = self.submit(metadata={"candidate": "a", "share": True})
        self.check_whole(self.done(first))
        self.assertEqual(len([1 for step, _, _ in self.control_log() if step == "speech"]), 3)
        second = self.submit(metadata={"candidate": "a", "share": True})
        result = self.done(second)
        self.check_whole(result)
        self.assertEqual(len([1 for step, _, _ in self.control_log() if step == "speech"]), 3)
        speech = result["result"]["steps"]["speech"]
        self.assertEqual((speech["jobId"], speech["shared"]), (self.part(first, "speech"), True))
        self.check_whole(self.done(self.submit(metadata={"candidate": "b", "share": True})))
        self.assertEqual(len([1 for step, _, _ in self.control_log() if step == "speech"]), 4)

    def test_waiting_for_a_shared_step_under_way(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "speech", wait=self.gate())
        first = self.submit(metadata={"share": True})
        kit.until("speech to run", lambda: [1 for step, _, _ in self.control_log() if step == "speech"])
        second = self.submit(metadata={"share": True})
        kit.until("the second report", lambda: self.row(second)["state"] == "completed")
        self.assertEqual(self.row(second, "report")["state"], "blocked")
        self.assertEqual(self.result(second)["progress"]["speech"]["id"], self.part(first, "speech"))
        self.open_gate()
        self.check_whole(self.done(second))
        self.check_whole(self.done(first))
        self.assertEqual(len([1 for step, _, _ in self.control_log() if step == "speech"]), 1)

    def test_a_failed_step_is_not_shared(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "speech", answer={"step": "speech", "status": "failed", "reason": "no ears"})
        self.check_whole(self.done(self.submit(metadata={"share": True})), but=("speech",))
        os.unlink(path + ".control/speech")
        self.check_whole(self.done(self.submit(metadata={"share": True})))

    # --- concurrency and people

    def test_each_step_within_its_concurrency(self):
        self.begin("-j", "speech=2,quality=3", at_once=True)
        jobs = []
        for number in range(6):
            path = self.video(f"clip{number}.mp4")
            self.order(path, "speech", wait=self.gate())
            self.order(path, "quality", wait=self.gate())
            jobs.append(self.submit(f"clip{number}.mp4"))

        def running(queue):
            return len(self.jobq("list", "--queue", queue, "--state", "running"))
        kit.until("all probes", lambda: len(self.jobq("list", "--queue", "video.probe", "--state", "completed")) == 6)
        kit.until("full places", lambda: running("video.speech") == 2 and running("video.quality") == 3)
        kit.until("what else can be done", lambda: len(self.jobq("list", "--queue", "video.sound", "--state",
                                                                 "completed")) == 6)
        started = [line[0] for number in range(6) for line in self.control_log(f"clip{number}.mp4")]
        self.assertEqual((started.count("speech"), started.count("quality")), (2, 3))
        self.open_gate()
        for job in jobs:
            self.check_whole(self.done(job))

    def client(self, *arguments):
        return subprocess.run([kit.VIDEO, arguments[0], "--server", f"http://127.0.0.1:{self.port}", *arguments[1:]],
                              capture_output=True, text=True, timeout=120, check=False)

    def test_submit_and_watch(self):
        self.begin(at_once=True)
        path = self.video()
        done = self.client("submit", "--wait", path, path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 of 2 submissions completed.", done.stdout)
        self.assertIn("speech   completed", done.stdout)
        started = self.client("submit", "--json", path)
        job = json.loads(started.stdout)["jobId"]
        watched = self.client("watch", "--json", job)
        self.assertEqual(json.loads(watched.stdout)["status"], "completed")
        self.assertEqual(watched.returncode, 0)

    def test_submit_says_what_went_wrong(self):
        self.begin(at_once=True)
        path = self.video()
        self.order(path, "probe", answer={"status": "failed", "reason": "no video\x1b[31m"})
        done = self.client("submit", "--wait", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed: probe: no video", done.stdout)
        self.assertNotIn("\x1b", done.stdout)
        outside = self.client("submit", "/etc/passwd")
        self.assertEqual(outside.returncode, 1)
        self.assertIn("outside the media folder", outside.stderr)
        self.assertEqual(self.client("watch", "0" * 12 + "7" + "0" * 19).returncode, 3)
        self.server.stop()
        self.assertEqual(self.client("submit", path).returncode, 4)


def read(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


if __name__ == "__main__":
    sys.exit(kit.main())
