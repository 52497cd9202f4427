#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The vision service over HTTP: who may ask for what, that results come back signed, and what is left when it ends.

JOBQ_VISION names vision.py, JOBQ_CLIPS the script that makes the clips.
"""
import base64
import glob
import http.client
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.dont_write_bytecode = True
import footage_kit  # noqa: E402
import tap  # noqa: E402

VISION, CLIPS = (os.environ[name] for name in ("JOBQ_VISION", "JOBQ_CLIPS"))
sys.path.insert(0, os.path.dirname(VISION))
import webhook  # noqa: E402

PYTHON = "/usr/bin/python3"
SECONDS = 180
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
TOKEN = "0123456789abcdef" * 4

WORK = None


def setUpModule():
    global WORK
    WORK = tempfile.mkdtemp(prefix="jobq-vision-")
    footage_kit.clips(CLIPS, os.path.join(WORK, "clips"))
    media = os.path.join(WORK, "media")
    os.makedirs(os.path.join(media, "in"))
    subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(WORK, "clips", "interview-1.mp4"), "-t", "1",
                    os.path.join(media, "in", "short.mp4")], check=True)
    # Long enough to be caught in the middle.
    subprocess.run(["ffmpeg", "-v", "error", "-stream_loop", "100", "-i",
                    os.path.join(WORK, "clips", "interview-1.mp4"), "-c", "copy", os.path.join(media, "long.mp4")],
                   check=True)
    shutil.copy(os.path.join(WORK, "clips", "interview-1.mp4"), os.path.join(WORK, "outside.mp4"))
    os.symlink(os.path.join(WORK, "outside.mp4"), os.path.join(media, "leads-out.mp4"))
    os.symlink(os.path.join(media, "in", "short.mp4"), os.path.join(media, "stays-in.mp4"))
    with open(os.path.join(WORK, "secrets"), "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(SECRET + "\n" + OLD_SECRET + "\n")


def tearDownModule():
    shutil.rmtree(WORK)


class Receiver:
    """Takes callbacks; answers with the statuses it is given, then with 200."""

    def __init__(self, statuses=()):
        self.messages, self.statuses = queue.Queue(), list(statuses)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = outer.statuses.pop(0) if outer.statuses else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "http://127.0.0.1:9/")
                self.send_header("content-length", "0")
                self.end_headers()
                outer.messages.put((dict(self.headers.items()), body, self.path))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/callback/face-analysis"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def next(self):
        return self.messages.get(timeout=SECONDS)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def children_of(pid):
    """Those that any of its threads has started; a thread may end while we look."""
    found = set()
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as file:
                found |= {int(child) for child in file.read().split()}
        except OSError:
            pass
    return found


class Service:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PYTHON, VISION, "--listen", "127.0.0.1:0", "--secret-file", os.path.join(WORK, "secrets"), "--media",
             os.path.join(WORK, "media"), *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])

    def ask(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers
        finally:
            connection.close()

    def post(self, path, request, secret=SECRET, at=None, **changed):
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        headers = webhook.sign(webhook.parse_key(secret), "msg_1", time.time() if at is None else at, body)
        headers.update(changed)
        return self.ask("POST", path, body, headers)

    def children(self):
        """Everything below the service, as long as it lives."""
        direct = children_of(self.process.pid)
        return direct.union(*map(children_of, direct))

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        return status


def until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Case(unittest.TestCase):
    OPTIONS = ()

    def setUp(self):
        self.receiver = Receiver()
        self.service = Service(*self.OPTIONS)
        self.addCleanup(self.receiver.close)
        self.addCleanup(self.service.close)

    def request(self, **changed):
        return {"jobId": "job-1", "callback": TOKEN, "videoPath": "in/short.mp4", "callbackUrl": self.receiver.url,
                "metadata": {"candidate": "Ä", "n": 1}, **changed}

    def check_signed(self, headers, body):
        lower = {name.lower(): value for name, value in headers.items()}
        webhook.verify([webhook.parse_key(SECRET)], lower, body, time.time())
        return lower["webhook-id"]


class Results(Case):
    def test_a_result_comes_back_signed(self):
        for step in ("face", "gesture"):
            status, answer, _ = self.service.post("/" + step, self.request())
            self.assertEqual((status, answer["jobId"], answer["repeated"]), (202, "job-1", False))
            headers, body, path = self.receiver.next()
            self.check_signed(headers, body)
            self.assertEqual(path, "/callback/face-analysis")
            message = json.loads(body)
            self.assertEqual((message["jobId"], message["callback"], message["metadata"]),
                             ("job-1", TOKEN, {"candidate": "Ä", "n": 1}))
            once = subprocess.run([PYTHON, VISION, "--once", step, os.path.join(WORK, "media", "in", "short.mp4")],
                                  stdout=subprocess.PIPE, check=True).stdout
            self.assertEqual(message["result"], json.loads(once))
            self.assertEqual(message["result"]["status"], "ok")

    def test_a_failed_analysis_is_a_result_too(self):
        with open(os.path.join(WORK, "media", "text.mp4"), "w") as file:
            file.write("not a film")
        self.assertEqual(self.service.post("/face", self.request(videoPath="text.mp4"))[0], 202)
        result = json.loads(self.receiver.next()[1])["result"]
        self.assertEqual((result["step"], result["status"]), ("face", "failed"))

    def test_progress_when_asked_for(self):
        self.assertEqual(self.service.post("/gesture", self.request(videoPath="long.mp4", progress=True))[0], 202)
        headers, body, _ = self.receiver.next()
        self.assertTrue(self.check_signed(headers, body).startswith("prg_"))
        message = json.loads(body)
        self.assertNotIn("result", message)
        self.assertEqual(message["progress"]["unit"], "frames")
        self.assertTrue(0 < message["progress"]["done"] < message["progress"]["total"])

    def test_delivery_is_tried_again_under_the_same_id(self):
        self.receiver.statuses[:] = [500, 429]
        self.assertEqual(self.service.post("/face", self.request())[0], 202)
        ids = {self.check_signed(*self.receiver.next()[:2]) for _ in range(3)}
        self.assertEqual(len(ids), 1)
        until(lambda: self.service.ask("GET", "/health")[1]["running"] == 0)
        self.assertTrue(self.receiver.messages.empty())

    def test_a_refusal_and_a_redirect_are_final(self):
        for status in (401, 302):
            self.receiver.statuses[:] = [status]
            self.assertEqual(self.service.post("/face", self.request())[0], 202)
            self.receiver.next()
            until(lambda: self.service.ask("GET", "/health")[1]["running"] == 0)
            self.assertTrue(self.receiver.messages.empty())

    def test_an_old_secret_still_verifies(self):
        self.assertEqual(self.service.post("/face", self.request(), secret=OLD_SECRET)[0], 202)
        self.check_signed(*self.receiver.next()[:2])     # and the first one signs


class Refusals(Case):
    def refused(self, expected, path="/face", **changed):
        status, answer, _ = self.service.post(path, self.request(**changed))
        self.assertEqual(status, expected, (changed, answer))
        self.assertTrue(answer["error"])

    def tearDown(self):
        self.assertEqual(self.service.ask("GET", "/health")[1]["running"], 0)
        self.assertTrue(self.receiver.messages.empty())

    def test_signatures(self):
        body = json.dumps(self.request()).encode()
        other = "whsec_" + base64.b64encode(b"x" * 32).decode()
        self.assertEqual(self.service.ask("POST", "/face", body)[0], 401)
        self.assertEqual(self.service.post("/face", body, secret=other)[0], 401)
        self.assertEqual(self.service.post("/face", body, at=time.time() - 400)[0], 401)
        self.assertEqual(self.service.post("/face", body, at=time.time() + 400)[0], 401)
        self.assertEqual(self.service.post("/face", body, **{"webhook-id": "msg_2"})[0], 401)
        self.assertEqual(self.service.post("/face", body, **{"webhook-signature": "v1,\xe4"})[0], 401)

    def test_paths(self):
        for path in ("../outside.mp4", os.path.join(WORK, "outside.mp4"), "leads-out.mp4", "in/../../outside.mp4",
                     "/etc/passwd", "", ".", "in", "nowhere.mp4", "a\0b", 7, None, ["in/short.mp4"], "x" * 5000):
            self.refused(400, videoPath=path)

    def test_callback_addresses(self):
        port = self.receiver.server.server_address[1]
        for url in ("https://127.0.0.1/", "http://192.0.2.1/", "http://example.org:80/", "ftp://127.0.0.1/",
                    "file:///etc/passwd", "//127.0.0.1/", "", None, f"http://127.0.0.1:{port}@example.org/",
                    f"http://user@127.0.0.1:{port}/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/",
                    "http://127.0.0.1/a b", "http://127.0.0.1/a\r\nx: y", "http://2130706433/", "http://0/"):
            self.refused(400, callbackUrl=url)

    def test_other_members(self):
        for changed in ({"jobId": ""}, {"jobId": "a b"}, {"jobId": 1}, {"jobId": "x" * 129}, {"callback": "xyz"},
                        {"callback": TOKEN.upper()}, {"callback": None}):
            self.refused(400, **changed)
        self.refused(413, metadata="x" * 20000)
        self.assertEqual(self.service.post("/face", b"[]")[0], 400)
        self.assertEqual(self.service.post("/face", b"{")[0], 400)
        self.assertEqual(self.service.post("/face", b"[" * 60000)[0], 400)
        self.assertEqual(self.service.post("/face", b"x" * 70000)[0], 413)

    def test_other_places(self):
        self.refused(404, path="/emotion")
        self.refused(404, path="/face/")
        self.refused(404, path="/face?x=1")
        self.assertEqual(self.service.ask("GET", "/face")[0], 404)


class OnlyThere(Case):
    OPTIONS = ("--callback-allow", "127.0.0.1:9", "--steps", "face")

    def test_only_addresses_that_were_named(self):
        self.assertEqual(self.service.post("/face", self.request())[0], 400)
        self.assertEqual(self.service.post("/gesture", self.request())[0], 404)


class Room(Case):
    OPTIONS = ("--concurrency", "1", "--backlog", "1")

    def test_full_repeated_and_the_end(self):
        tokens = [f"{n:032x}" for n in range(3)]
        answers = [self.service.post("/face", self.request(callback=t, videoPath="long.mp4")) for t in tokens]
        self.assertEqual([a[0] for a in answers], [202, 202, 429])
        self.assertGreater(int(answers[2][2]["retry-after"]), 0)
        status, answer, _ = self.service.post("/face", self.request(callback=tokens[0], videoPath="long.mp4"))
        self.assertEqual((status, answer["repeated"]), (202, True))
        health = self.service.ask("GET", "/health")[1]
        self.assertEqual((health["status"], health["running"], health["waiting"], health["room"]), ("ok", 1, 1, 2))
        # The analysis and its ffmpeg.
        until(lambda: len(self.service.children()) >= 2)
        left = self.service.children()
        self.assertEqual(self.service.close(), 0)
        until(lambda: not any(is_alive(pid) for pid in left))
        self.assertTrue(self.receiver.messages.empty())


class Killed(Case):
    OPTIONS = ("--concurrency", "1")

    def test_nothing_outlives_a_killed_service(self):
        self.assertEqual(self.service.post("/face", self.request(videoPath="long.mp4"))[0], 202)
        until(lambda: len(self.service.children()) >= 2)
        left = self.service.children()
        self.service.process.kill()
        until(lambda: not any(is_alive(pid) for pid in left))


class Limited(Case):
    OPTIONS = ("--time-limit", "1")

    def test_time_limit(self):
        self.assertEqual(self.service.post("/face", self.request(videoPath="long.mp4"))[0], 202)
        result = json.loads(self.receiver.next()[1])["result"]
        self.assertEqual(result["status"], "failed")
        self.assertIn("time limit of 1 s", result["reason"])


class Start(unittest.TestCase):
    def run_with(self, *options):
        return subprocess.run([PYTHON, VISION, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=SECONDS).returncode

    def test_unusable_options(self):
        media, secrets = os.path.join(WORK, "media"), os.path.join(WORK, "secrets")
        public = os.path.join(WORK, "public-secrets")
        with open(public, "w") as file:
            file.write(SECRET)
        os.chmod(public, 0o644)
        listen = ("--listen", "127.0.0.1:0")
        self.assertEqual(self.run_with(), 2)
        self.assertEqual(self.run_with(*listen, "--media", media), 2)
        self.assertEqual(self.run_with(*listen, "--media", media, "--secret-file", secrets, "--steps", "x"), 2)
        self.assertEqual(self.run_with(*listen, "--media", media, "--secret-file", secrets, "--concurrency", "0"), 2)
        self.assertEqual(self.run_with(*listen, "--media", media, "--secret-file", public), 1)
        self.assertEqual(self.run_with(*listen, "--media", media, "--secret-file", os.path.join(WORK, "none")), 1)
        self.assertEqual(self.run_with(*listen, "--media", os.path.join(WORK, "none"), "--secret-file", secrets), 1)
        self.assertEqual(self.run_with("--once", "smile", "x"), 2)


class Webhook(unittest.TestCase):
    """The published example, and the same rules as the other half in C."""

    SECRET, ID, TIME = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    BODY, SIGNATURE = b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def headers(self, **changed):
        return {"webhook-id": self.ID, "webhook-timestamp": str(self.TIME), "webhook-signature": self.SIGNATURE,
                **{name.replace("_", "-"): value for name, value in changed.items()}}

    def verdict(self, now=TIME, body=BODY, **changed):
        try:
            webhook.verify([webhook.parse_key(self.SECRET)], self.headers(**changed), body, now)
        except webhook.BadMessage:
            return False
        return True

    def test_published_example(self):
        self.assertEqual(webhook.sign(webhook.parse_key(self.SECRET), self.ID, self.TIME, self.BODY), self.headers())
        self.assertTrue(self.verdict())

    def test_what_is_refused(self):
        self.assertTrue(self.verdict(now=self.TIME + 300))
        self.assertTrue(self.verdict(webhook_signature="v1,x " + self.SIGNATURE))
        for changed in ({"now": self.TIME + 301}, {"now": self.TIME - 301}, {"body": self.BODY + b" "},
                        {"webhook_id": "msg_2"}, {"webhook_id": "a.b"}, {"webhook_id": ""},
                        {"webhook_timestamp": "1614265330.0"}, {"webhook_timestamp": " 1614265330"},
                        {"webhook_timestamp": "١٦١٤٢٦٥٣٣٠"}, {"webhook_signature": self.SIGNATURE[:-1]},
                        {"webhook_signature": "v1," + "A" * 43 + "="}, {"webhook_signature": ""}):
            self.assertFalse(self.verdict(**changed), changed)

    def test_secrets(self):
        for text in ("", "whsec_", self.SECRET[6:], self.SECRET + "!", "whsec_" + base64.b64encode(b"x" * 23).decode(),
                     "whsec_" + base64.b64encode(b"x" * 65).decode()):
            self.assertRaises(ValueError, webhook.parse_key, text)
        self.assertRaises(ValueError, webhook.sign, b"x" * 24, "a.b", 1, b"")


if __name__ == "__main__":
    sys.exit(tap.main())
