# SPDX-License-Identifier: MIT
"""What the orchestrator's tests share: servers and workers of their own, requests, signatures, waiting.

Nothing here sleeps for a fixed time: it is waited until something is so, with a limit far beyond what it takes.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "video"))
import tap  # noqa: E402  pylint: disable=wrong-import-position

VIDEO = os.environ["JOBQ_VIDEO"]
JOBQ = os.environ["JOBQ"]
DOUBLE = os.path.join(HERE, "step_double.py")
LIMIT_S = 60.0
LEASE_MS = 60000 # passes by moving the clock only
STEPS = ("quality", "sound", "speech", "face", "gesture", "emotion")
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))

main = tap.main


def secret_text(key):
    return "whsec_" + base64.b64encode(key).decode() + "\n"


def sign(key, message_id, timestamp, body):
    """Standard Webhooks, written here anew so that both sides are not wrong in the same way."""
    content = message_id.encode() + b"." + str(timestamp).encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def signed_headers(body, key=KEY, message_id="msg_1", timestamp=None, signed_body=None):
    timestamp = int(time.time()) if timestamp is None else timestamp
    signed = body if signed_body is None else signed_body
    return {"Content-Type": "application/json", "webhook-id": message_id, "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(key, message_id, timestamp, signed)}


def until(what, condition, limit_s=LIMIT_S):
    """Waits until condition() is true and returns what it was."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen within {limit_s:.0f} s: {what}")
        time.sleep(0.02)


class Program:
    """A program of ours in the background; what it says is in a file."""

    def __init__(self, folder, name, arguments):
        number = 1
        while os.path.exists(os.path.join(folder, f"{name}-{number}.log")):
            number += 1
        self.log_name = os.path.join(folder, f"{name}-{number}.log")
        with open(self.log_name, "xb") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_name, encoding="utf-8", errors="replace") as log:
            return log.read()

    def line(self, start):
        """Waits for a line that begins so; returns the rest of the newest one."""
        def look():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.log()}")
            found = [line[len(start):] for line in self.log().splitlines() if line.startswith(start)]
            return found[-1:] or None
        return until(f"a line '{start}'", look)[0]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Asks to end; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("it did not end on SIGTERM: " + self.log()) from None
        return self.process.returncode


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.json = None
        if body:
            self.json = json.loads(body)

    def __repr__(self):
        return f"{self.status} {self.body!r}"


class Case(unittest.TestCase):
    """A store, a media folder and whatever is started, all gone afterwards."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="jqv.")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.media = os.path.join(self.folder, "media")
        os.mkdir(self.media)
        self.store = "sqlite:" + os.path.join(self.folder, "queue.db")
        self.secret = self.write_secret("secret", KEY)
        self.server = None
        self.port = 0

    # --- files

    def write_secret(self, name, *keys):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("".join(secret_text(key) for key in keys))
        os.chmod(path, 0o600)
        return path

    def video(self, name="clip.mp4", content=b"not really a video, but bytes to be hashed"):
        path = os.path.join(self.media, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def order(self, video, step, **what):
        """Tells the step double what to do for one step of this video; see step_double.py."""
        folder = video + ".control"
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, step), "w", encoding="utf-8") as file:
            json.dump(what, file)

    # --- programs

    def start(self, name, arguments):
        program = Program(self.folder, name, arguments)
        self.addCleanup(self.finish, program)
        return program

    def finish(self, program):
        """What was not killed by the test ends when it is asked to, and a sanitizer has found nothing."""
        status = program.stop()
        log = program.log()
        self.assertIn(status, (0, -signal.SIGKILL), log)
        self.assertNotIn("Sanitizer", log)

    def serve(self, *options, secret=True, store=None):
        arguments = [VIDEO, "serve", "--store", store or self.store, "--media", self.media, "--listen", "127.0.0.1:0"]
        if secret:
            arguments += ["--secret-file", self.secret]
        self.server = self.start("serve", arguments + list(options))
        self.port = int(self.server.line("listening on http://127.0.0.1:"))
        return self.server

    def serve_admin(self, *options):
        """A server that knows a token, in place of one that does not; the headers of who has it."""
        self.server.stop()
        path = os.path.join(self.folder, "tokens")
        with open(path, "w", encoding="ascii") as file:
            file.write("admin * " + hashlib.sha256(b"all").hexdigest() + "\n")
        self.serve("--token-file", path, *options)
        return {"Authorization": "Bearer all"}

    def worker(self, *options, services=None):
        arguments = [VIDEO, "worker", "--store", self.store, "--media", self.media, "--step-command", DOUBLE,
                     "--lease", str(LEASE_MS), "--grace", "0", "--backoff", "50", "--secret-file", self.secret,
                     "--callback-url", f"http://127.0.0.1:{self.port}"]
        if services:
            arguments += ["--services", services]
        worker = self.start("worker", arguments + list(options))
        worker.line("working:")
        return worker

    # --- talking

    def ask(self, method, path, body=None, headers=None, port=None):
        """One request; a dict is sent as JSON, bytes as they are."""
        given = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if body is not None and not any(name.lower() == "content-type" for name in given):
            given["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def raw(self, request):
        """Sends bytes as they are; returns the status of the answer, 0 when the connection was closed without one."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            answer = b""
            while b"\r\n" not in answer:
                piece = connection.recv(4096)
                if not piece:
                    return 0
                answer += piece
        return int(answer.split()[1])

    def submit(self, video="clip.mp4", **more):
        """Starts an analysis and returns its jobId."""
        answer = self.ask("POST", "/analysis/start", {"videoPath": video, **more})
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.json["status"], "processing")
        return answer.json["jobId"]

    def result(self, job_id):
        answer = self.ask("GET", "/analysis/result/" + job_id)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["jobId"], job_id)
        return answer.json

    def done(self, job_id):
        """Waits until it is not processing any more."""
        def look():
            result = self.result(job_id)
            return result if result["status"] != "processing" else None
        try:
            return until("an end of " + job_id, look)
        except AssertionError:
            print("# " + json.dumps(self.result(job_id)), file=sys.stderr)
            raise

    def jobq(self, *arguments):
        """The jobq command on the same store: its JSON."""
        done = subprocess.run([JOBQ, arguments[0], "--store", self.store, "--json", *arguments[1:]],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        self.assertIn(done.returncode, (0, 1, 3), done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def part(self, job_id, name):
        """The id of a part, as examples/video/parts.h says."""
        digit = {"probe": "7", "report": "8", "quality": "9", "sound": "a", "speech": "b", "face": "c", "gesture": "d",
                 "emotion": "e", "notify": "f", "webhook": "0", "fetch": "2"}[name]
        return job_id[:12] + digit + job_id[13:]

    def row(self, job_id, name="probe"):
        return self.jobq("show", self.part(job_id, name))

    def pause(self, program):
        """Stops a process between two writes: stopped inside one it would hold everybody up."""
        while True:
            program.process.send_signal(signal.SIGSTOP)
            store = sqlite3.connect(self.store.split(":", 1)[1].split("?")[0], timeout=0.2, isolation_level=None)
            try:
                store.execute("BEGIN IMMEDIATE")
                store.execute("ROLLBACK")
                return
            except sqlite3.OperationalError:
                program.process.send_signal(signal.SIGCONT)
            finally:
                store.close()

    def advance(self, ms):
        """Moves the store's clock."""
        done = subprocess.run([os.environ["JOBQ_CLOCK"], self.store, str(ms)], capture_output=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
