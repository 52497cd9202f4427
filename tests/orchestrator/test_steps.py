#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The steps in Python both ways: pushed, a service for each with a port and limits of its own that calls back; and pulled,
the same analysis as a program under jobq work. Both pass the same test, with the one that does the work killed in the
middle. And the client in Python."""
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import kit

sys.path.insert(0, os.path.join(kit.ROOT, "tests", "burst"))
sys.path.insert(0, os.path.join(kit.ROOT, "examples", "video"))
import client  # noqa: E402  pylint: disable=wrong-import-position
import history  # noqa: E402  pylint: disable=wrong-import-position

SERVICES = os.path.join(kit.ROOT, "examples", "video", "services")
PYTHON = "/usr/bin/python3"
DEADLINE_MS = 600000
LIMITS = {"face": 1, "gesture": 2}
VIDEOS = 2


class Steps(kit.Case):
    def clips(self):
        for number in range(VIDEOS):
            path = os.path.join(self.media, f"{number}.mp4")
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=d=1:r=10:s=320x24{number}", "-c:v", "mpeg4",
                            "-pix_fmt", "yuv420p", path], stdin=subprocess.DEVNULL, check=True, timeout=120)
        return [f"{number}.mp4" for number in range(VIDEOS)]

    def check(self, start, in_hand, lost_ms, queue="video.face"):
        """start(step) starts the one who does the step; in_hand() is true while it has work; what it had is found out
        after lost_ms, and counted in the queue."""
        jobs = [self.submit(video) for video in self.clips()]
        services = {step: start(step) for step in LIMITS}
        kit.until("work in hand", in_hand)
        services["face"].kill()
        start("face")
        self.advance(lost_ms)
        for job in jobs:
            result = self.done(job)
            self.assertEqual((result["status"], result["result"]["failed_steps"]), ("completed", []), result)
            for step in LIMITS:
                self.assertEqual(result["result"]["steps"][step]["status"], "ok")
        rows = self.jobq("list", "--queue", queue)
        self.assertGreaterEqual(sum(row["failures"] + row["crashes"] for row in rows), 1, "nothing was lost by the kill")
        events = subprocess.run([kit.JOBQ, "events", "-s", self.store, "--json", "--limit", "100000"], capture_output=True,
                                check=True, timeout=60).stdout.splitlines()
        return history.read(json.loads(line) for line in events)

    def test_pushed(self):
        self.serve()
        ports = {}

        def start(step):
            service = self.start(step, [PYTHON, os.path.join(SERVICES, "vision.py"), "--steps", step, "--concurrency",
                                        str(LIMITS[step]), "--backlog", "0", "--secret-file", self.secret, "--media",
                                        self.media, "--listen", f"127.0.0.1:{ports.get(step, 0)}"])
            ports[step] = int(service.line("listening on http://127.0.0.1:"))
            if len(ports) == len(LIMITS) and not workers:
                workers.append(self.worker(*(option for name, port in ports.items() for option in
                                             ("--services", f"{name}=http://127.0.0.1:{port}")),
                                           "--callback-deadline", str(DEADLINE_MS), "--attempts", "10"))
            return service

        def in_hand():
            return self.ask("GET", "/health", port=ports["face"]).json["running"] > 0

        workers = []
        self.check(start, in_hand, DEADLINE_MS + 1000)

    def test_pulled(self):
        self.serve()
        self.worker("-j", "face=0,gesture=0")

        def start(step):
            self.jobq("limit", "video." + step, "--concurrency", str(LIMITS[step]))
            return self.start(step, [kit.JOBQ, "work", "video." + step, "-s", self.store, "-j", "4",
                                     "--lease", str(kit.LEASE_MS), "--", PYTHON, os.path.join(SERVICES, "step.py"), step,
                                     "--media", self.media])

        def in_hand():
            return any(row["queue"] == "video.face" for row in self.jobq("list", "--state", "running"))

        queues = self.check(start, in_hand, kit.LEASE_MS + 1000)
        for step, limit in LIMITS.items():
            self.assertLessEqual(queues["video." + step].most, limit)

    def test_pulled_with_results_as_jobs(self):
        self.serve(secret=False)
        self.worker(*(option for step in LIMITS for option in ("--services", step + "=queue")))

        def start(step):
            self.jobq("limit", f"video.{step}.orders", "--concurrency", str(LIMITS[step]))
            return self.start(step, [kit.JOBQ, "work", f"video.{step}.orders", "-s", self.store, "-j", "4",
                                     "--lease", str(kit.LEASE_MS), "--", PYTHON, os.path.join(SERVICES, "step.py"), step,
                                     "--media", self.media, "--results", self.store, "--jobq", kit.JOBQ])

        def in_hand():
            return any(row["queue"] == "video.face.orders" for row in self.jobq("list", "--state", "running"))

        queues = self.check(start, in_hand, kit.LEASE_MS + 1000, "video.face.orders")
        for step, limit in LIMITS.items():
            self.assertLessEqual(queues[f"video.{step}.orders"].most, limit)
            self.assertEqual(queues["video." + step].ended, {"completed": VIDEOS})
        self.assertEqual(queues["video.results"].ended, {"completed": VIDEOS * len(LIMITS)})

    def test_what_is_put_on_the_results_queue(self):
        """No result is without a word: it wakes its step, has no effect, or is a dead letter that says why."""
        self.serve(secret=False)
        self.worker("--services", "face=queue", "--attempts", "2", "--callback-deadline", str(DEADLINE_MS))
        self.video()
        job = self.submit()

        def order(count):
            found = self.jobq("list", "--queue", "video.face.orders", "--state", "ready", "--state", "dead")
            return found[-1] if len(found) == count else None

        def put(payload, state):
            job_id = self.jobq("enqueue", "video.results", json.dumps(payload))["id"]
            return kit.until(f"{state}: {payload}", lambda: (lambda row: row["state"] == state and row)(
                self.jobq("show", job_id)))

        first = json.loads(kit.until("an order", lambda: order(1))["payload"])
        self.assertEqual((first["jobId"], first["video"]), (self.part(job, "face"), "clip.mp4"))
        result = {"step": "face", "status": "ok", "seen": "first"}
        for bad, word in (([], "callback"), ({"result": result}, "callback"), ({"callback": first["callback"]}, "result"),
                          ({"callback": first["callback"], "result": 1}, "result"),
                          ({"callback": "0" * 64, "result": result}, "no such step")):
            self.assertIn(word, put(bad, "dead")["errors"][-1]["text"])
        kit.until("a parked step", lambda: self.row(job, "face")["state"] == "blocked")
        self.advance(DEADLINE_MS + 1000)
        second = json.loads(kit.until("another order", lambda: order(2))["payload"])
        stale = put({"callback": first["callback"], "result": result}, "completed")
        self.assertIn("does not wait", stale["result"])
        good = {"callback": second["callback"], "result": {**result, "seen": "second"}}
        self.assertIn("goes on", put(good, "completed")["result"])
        self.assertEqual(self.done(job)["result"]["steps"]["face"]["seen"], "second")
        self.assertIn("none", put(good, "completed")["result"])

    def test_what_the_token_of_an_order_is_good_for(self):
        """Whoever reads it in the order's payload can do nothing with it by HTTP; whoever may put jobs answers once, that
        step alone."""
        self.serve()
        self.worker("--services", "face=queue", "--services", "gesture=queue")
        self.video()
        job = self.submit()
        face, gesture = (kit.until("an order", lambda step=step: self.jobq("list", "--queue", f"video.{step}.orders"))[0]
                         for step in ("face", "gesture"))
        kit.until("parked steps", lambda: all(self.row(job, step)["state"] == "blocked" for step in ("face", "gesture")))
        token = json.loads(face["payload"])["callback"]
        body = json.dumps({"callback": token, "result": {"step": "face", "status": "ok", "seen": "by HTTP"}}).encode()
        for headers in {}, kit.signed_headers(body, key=kit.OTHER_KEY), {**kit.signed_headers(body), "webhook-id": "other"}:
            self.assertEqual(self.ask("POST", "/callback/face-analysis", body, headers).status, 401)
        self.assertEqual(self.row(job, "face")["state"], "blocked")
        self.jobq("enqueue", "video.results", json.dumps({"callback": token, "result": {"status": "ok", "seen": "put"}}))
        kit.until("the step", lambda: self.row(job, "face")["state"] == "completed")
        self.assertEqual(self.row(job, "gesture")["state"], "blocked", "another step went on")
        late = self.jobq("enqueue", "video.results", json.dumps({"callback": token, "result": {"status": "ok", "seen": "late"}}))
        kit.until("an end", lambda: self.jobq("show", late["id"])["state"] == "completed")
        self.assertIn("none", self.jobq("show", late["id"])["result"])
        self.assertEqual(json.loads(self.row(job, "face")["result"])["seen"], "put")
        self.assertTrue(self.jobq("show", gesture["id"])["expires_at"], "an order is there as long as its token is good at most")

    def test_a_result_is_put_once(self):
        """Whoever does an order again, because the first who did it died before saying so, puts nothing again."""
        order = json.dumps({"jobId": "1", "callback": "c" * 64, "video": "none", "size_bytes": 1, "modified_ns": 1})
        for _ in range(2):
            subprocess.run([PYTHON, os.path.join(SERVICES, "step.py"), "face", "--media", self.media, "--results", self.store,
                            "--jobq", kit.JOBQ], input=order.encode(), timeout=60, check=True)
            subprocess.run([kit.JOBQ, "work", "video.results", "-s", self.store, "--drain", "--", "true"], timeout=60, check=True)
        self.assertEqual([row["state"] for row in self.jobq("list", "--queue", "video.results")], ["completed"])

    def test_any_step_may_have_a_service(self):
        for bad in "nose=http://127.0.0.1:1", "probe=http://127.0.0.1:1":
            done = subprocess.run([kit.VIDEO, "worker", "--store", self.store, "--media", self.media, "--secret-file",
                                   self.secret, "--services", bad], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2)

    def test_what_a_pulled_step_is_given(self):
        self.video("clip.mp4")
        facts = os.stat(os.path.join(self.media, "clip.mp4"))
        good = {"video": "clip.mp4", "size_bytes": facts.st_size, "modified_ns": facts.st_mtime_ns}
        for payload in ({**good, "video": "../secret"}, {**good, "video": "/etc/passwd"}, {**good, "video": "none"},
                        {**good, "size_bytes": 1}, {**good, "modified_ns": 1}, {**good, "video": "."}, {}, [], good):
            done = subprocess.run([PYTHON, os.path.join(SERVICES, "step.py"), "face", "--media", self.media],
                                  input=json.dumps(payload).encode(), capture_output=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, b""), payload)
            self.assertTrue(done.stderr.strip(), payload)
            self.assertNotIn(b"Traceback", done.stderr)


class Told(BaseHTTPRequestHandler):
    messages = []

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            self.messages.append(client.verify([kit.secret_text(kit.OTHER_KEY), kit.secret_text(kit.KEY)], self.headers, body))
            self.send_response(204)
        except ValueError:
            self.send_response(401)
        self.end_headers()


class PythonClient(kit.Case):
    def test_from_start_to_result(self):
        self.video("a.mp4")
        self.video("b.mp4")
        self.serve()
        self.worker()
        command = [PYTHON, client.__file__, "--server", f"http://127.0.0.1:{self.port}", "a.mp4", "b.mp4"]
        first, again = (subprocess.run(command, capture_output=True, timeout=120, check=True).stdout for _ in range(2))
        self.assertEqual(first, again, "the same key is the same submission")
        results = [json.loads(line) for line in first.splitlines()]
        self.assertEqual([(result["video"], result["status"]) for result in results],
                         [("a.mp4", "completed"), ("b.mp4", "completed")])
        done = subprocess.run([*command, "none.mp4"], capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"videoPath", done.stderr)

    def test_who_is_told_checks_the_message(self):
        secrets = os.path.join(self.folder, "secrets")
        os.mkdir(secrets)
        self.write_secret("secrets/default", kit.KEY)
        receiver = HTTPServer(("127.0.0.1", 0), Told)
        threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        opened = "--callback-http", "--callback-allow", "127.0.0.1"
        self.serve(*opened)
        self.worker(*opened, "--webhook-secrets", secrets)
        self.video()
        job = client.Client(f"http://127.0.0.1:{self.port}").start("clip.mp4", "k",
                                                                   callbackUrl=f"http://127.0.0.1:{receiver.server_port}/")
        kit.until("a message", lambda: Told.messages)
        self.assertEqual((Told.messages[0]["type"], Told.messages[0]["data"]["jobId"]), ("analysis.completed", job))

    def test_forged_messages(self):
        now, body = int(time.time()), b'{"type":"x"}'
        secrets = [kit.secret_text(kit.KEY)]
        good = kit.signed_headers(body, timestamp=now)
        self.assertEqual(client.verify(secrets, good, body), {"type": "x"})
        for headers, content, at in ((good, b'{"type":"y"}', now), (good, body, now + 400), (good, body, now - 400),
                                     ({**good, "webhook-id": "other"}, body, now), ({}, body, now),
                                     ({**good, "webhook-timestamp": str(now + 1)}, body, now),
                                     (kit.signed_headers(body, key=kit.OTHER_KEY), body, now)):
            self.assertRaises(ValueError, client.verify, secrets, headers, content, at)


if __name__ == "__main__":
    sys.exit(kit.main())
