#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Results posted to the caller: what is said, to whom it may be said, and what becomes of what cannot be delivered."""
import hashlib
import hmac
import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kit

NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature", "X-Webhook-Signature", "X-Event-Type", "X-Attempt")


class Receiver:
    """`answers` are statuses, or (status, headers), one a request; the last one for all that follow."""

    def __init__(self, *answers, body=b"secret words of the receiver"):
        self.answers, self.got, self.lock = list(answers) or [200], [], threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

            def do_GET(self):
                self.do_POST()

            def do_POST(self):
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                with receiver.lock:
                    receiver.got.append((self.path, dict(self.headers), content))
                    answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/told?by=jobq"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Trickle:
    """Takes whatever comes, begins to answer, and goes on with a byte now and then until the other side has gone."""

    def __init__(self, begun):
        self.begun, self.taken, self.lasted, self.over = begun, [], [], threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/told"
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.taken.append(connection)
            threading.Thread(target=self.trickle, args=(connection,), daemon=True).start()

    def trickle(self, connection):
        began = time.monotonic()
        with connection:
            try:
                connection.sendall(self.begun)
                while not self.over.wait(0.03):
                    connection.sendall(b"x")
            except OSError:
                self.lasted.append((began, time.monotonic()))

    def stop(self):
        self.over.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Webhooks(kit.Case):
    opened = ("--callback-http", "--callback-allow", "127.0.0.0/8")

    def setUp(self):
        super().setUp()
        self.path = self.video()
        self.secrets = os.path.join(self.folder, "secrets")
        os.mkdir(self.secrets)
        self.keys("default", kit.OTHER_KEY)

    def keys(self, name, *keys):
        os.makedirs(os.path.dirname(os.path.join(self.secrets, name)), exist_ok=True)
        self.write_secret(os.path.join("secrets", name), *keys)

    def receiver(self, *answers, **more):
        receiver = Receiver(*answers, **more)
        self.addCleanup(receiver.stop)
        return receiver

    def posting_worker(self, *options):
        return self.worker("--webhook-secrets", self.secrets, "--webhook-backoff", "20", *self.opened, *options)

    def told(self, job, state="completed"):
        """Waits until the caller was told, or was not; the submission as it is shown then."""
        def look():
            result = self.result(job)
            return result if result["callback"]["state"] == state else None
        return kit.until("telling is " + state, look)

    def check(self, request, keys, attempt, kind="analysis.completed"):
        """A message is signed by every key, in both ways; returns its content."""
        path, headers, body = request
        self.assertEqual(path, "/told?by=jobq")
        self.assertEqual(headers["webhook-signature"].split(" "),
                         [kit.sign(key, headers["webhook-id"], headers["webhook-timestamp"], body) for key in keys])
        self.assertEqual(headers["X-Webhook-Signature"], hmac.new(keys[0], body, hashlib.sha256).hexdigest())
        self.assertEqual((headers["X-Event-Type"], headers["X-Attempt"]), (kind, str(attempt)))
        self.assertEqual(headers["Content-Type"], "application/json")
        content = json.loads(body)
        self.assertEqual(content["type"], kind)
        self.assertRegex(content["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        return content["data"]

    # --- what is said

    def test_the_result_is_posted(self):
        receiver = self.receiver()
        self.serve(*self.opened)
        job = self.submit(callbackUrl=receiver.url, metadata={"candidate": "7"})
        self.assertEqual(self.result(job)["callback"], {"state": "waiting"})
        self.posting_worker()
        result = self.told(job)
        self.assertEqual(len(receiver.got), 1)
        data = self.check(receiver.got[0], [kit.OTHER_KEY], 1)
        self.assertEqual((data["jobId"], data["status"], data["result"]), (job, "completed", result["result"]))
        self.assertEqual(sorted(data), ["jobId", "result", "status", "video"])
        self.assertEqual(result["callback"]["id"], receiver.got[0][1]["webhook-id"])
        self.assertEqual(result["callback"]["failures"], 0)

    def test_told_is_never_shown_without_the_result(self):
        """Whatever ends while the rows of a submission are read, one after the other."""
        receiver = self.receiver()
        shown = set()
        for number in range(1, 5):
            fifo = os.path.join(self.folder, f"gate{number}")
            server = self.start(f"calls{number}", [
                "env", f"JOBQ_CALLS_GATE={number}:{fifo}", os.environ["JOBQ_CALLS"], "serve", "--store", self.store,
                "--media", self.media, "--listen", "127.0.0.1:0", "--secret-file", self.secret, *self.opened])
            self.port = int(server.line("listening on http://127.0.0.1:"))
            job = self.submit(callbackUrl=receiver.url, metadata={"number": str(number)})
            os.mkfifo(fifo)
            answers = []
            asking = threading.Thread(target=lambda: answers.append(self.result(job)), daemon=True)
            asking.start()
            kit.until("the gate", lambda: "\ngate\n" in server.log())
            worker = self.posting_worker()
            kit.until("it is told", lambda: len(receiver.got) == number)
            kit.until("and that has ended", lambda: [row for row in self.jobq("list", "--queue", "video.webhook",
                                                                             "--state", "completed")
                                                     if row["id"] == receiver.got[-1][1]["webhook-id"][len("evt_"):]])
            with open(fifo, "wb"):
                pass
            asking.join(90)
            if answers[0]["callback"]["state"] == "completed":
                self.assertIn("result", answers[0])
            shown.add((answers[0]["callback"]["state"], answers[0]["status"]))
            worker.stop()
            server.stop()
        self.assertIn(("waiting", "completed"), shown)

    def test_who_does_not_ask_is_not_told(self):
        self.serve(*self.opened)
        self.posting_worker()
        self.assertNotIn("callback", self.done(self.submit()))
        self.assertEqual([job for job in self.jobq("list") if job["queue"] in ("video.notify", "video.webhook")], [])

    def test_an_end_before_the_steps_is_told(self):
        receiver = self.receiver()
        self.serve(*self.opened)
        self.order(self.path, "probe", answer={"status": "failed", "reason": "no video"})
        dead, cancelled = self.submit(callbackUrl=receiver.url), self.submit(callbackUrl=receiver.url)
        self.jobq("cancel", cancelled)
        self.posting_worker()
        for job in dead, cancelled:
            self.told(job)
        said = {data["jobId"]: data for data in
                (self.check(request, [kit.OTHER_KEY], 1, "analysis.failed") for request in receiver.got)}
        self.assertEqual(set(said), {dead, cancelled})
        self.assertIn("no video", said[dead]["error"])
        self.assertIn("cancelled", said[cancelled]["error"])

    def test_a_repeated_request_is_told_once(self):
        receiver = self.receiver()
        self.serve(*self.opened)
        jobs = {self.submit(jobId="k", callbackUrl=receiver.url) for _ in range(3)}
        self.posting_worker()
        self.told(*jobs)
        self.assertEqual(self.submit(jobId="k", callbackUrl=receiver.url), *jobs)
        self.assertEqual(len(self.jobq("list", "--queue", "video.webhook")), 1)
        self.assertEqual(len(receiver.got), 1)

    # --- again

    def test_one_message_however_often_it_is_sent(self):
        elsewhere = self.receiver()
        receiver = self.receiver(500, (302, {"location": elsewhere.url}), (307, {"location": elsewhere.url}), 404,
                                 (429, {"retry-after": "1"}), 204)
        self.serve(*self.opened)
        self.posting_worker()
        result = self.told(self.submit(callbackUrl=receiver.url))
        self.assertEqual(len(receiver.got), 6)
        for number, request in enumerate(receiver.got):
            self.check(request, [kit.OTHER_KEY], number + 1)
        self.assertEqual(len({request[1]["webhook-id"] for request in receiver.got}), 1)
        self.assertEqual(len({request[2] for request in receiver.got}), 1)
        self.assertEqual(elsewhere.got, [])
        errors = self.row(result["jobId"], "webhook")["errors"]
        self.assertIn("answered 500", errors[0]["text"])
        self.assertIn("302", errors[1]["text"])
        self.assertNotIn("secret words", json.dumps(errors))

    def test_what_cannot_be_delivered_is_seen(self):
        receiver = self.receiver(500)
        self.serve(*self.opened)
        self.posting_worker("--webhook-attempts", "2")
        job = self.submit(callbackUrl=receiver.url)
        result = self.told(job, "dead")
        self.assertEqual(result["status"], "completed")
        self.assertEqual(result["callback"]["failures"], 2)
        self.assertIn("answered 500", result["callback"]["last_error"])
        self.assertEqual([row["queue"] for row in self.jobq("dead")], ["video.webhook"])
        receiver.answers = [200]
        self.jobq("redrive", self.part(job, "webhook"))
        self.told(job)
        self.assertEqual(len({request[1]["webhook-id"] for request in receiver.got}), 1)

    def test_a_receiver_that_is_gone_for_good(self):
        receiver = self.receiver(410)
        self.serve(*self.opened)
        self.posting_worker()
        self.told(self.submit(callbackUrl=receiver.url), "dead")
        self.assertEqual(len(receiver.got), 1)

    def test_an_answer_that_does_not_end(self):
        receiver = self.receiver(200, body=b"x" * (8 << 20))
        self.serve(*self.opened)
        self.posting_worker()
        self.told(self.submit(callbackUrl=receiver.url))
        self.assertEqual(len(receiver.got), 1)

    def test_a_receiver_that_trickles(self):
        """However busily it sends, its time has an end: a failure like others, and nobody waits for it longer than that."""
        trickles = [Trickle(begun) for begun in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 ")]
        receiver = self.receiver()
        for trickle in trickles:
            self.addCleanup(trickle.stop)
        self.serve(*self.opened)
        slow = [self.submit(callbackUrl=trickle.url) for trickle in trickles]
        self.posting_worker("-j", "webhook=1", "--webhook-time", "400", "--webhook-attempts", "100")
        kit.until("deliveries", lambda: all(trickle.taken for trickle in trickles))
        for job in [self.submit(callbackUrl=receiver.url) for _ in range(2)]:
            self.assertEqual(self.told(job)["callback"]["failures"], 0)
        for job, trickle in zip(slow, trickles):
            kit.until("another attempt", lambda: self.result(job)["callback"].get("failures", 0) >= 2) # pylint: disable=cell-var-from-loop
            text = self.row(job, "webhook")["errors"][0]["text"]
            self.assertRegex(text, "(?i)time", trickle.begun)
            self.assertNotIn("xx", text)
            lasted = sorted(end - begin for begin, end in trickle.lasted)
            self.assertGreater(lasted[0], 0.2, "it was not waited for")
            self.assertLess(lasted[len(lasted) // 2], 10, "it had more than its time")

    # --- secrets

    def test_keys_are_changed_without_a_gap(self):
        receiver = self.receiver(500)
        os.unlink(os.path.join(self.secrets, "default"))
        self.serve(*self.opened)
        self.posting_worker("--webhook-attempts", "60000")
        job = self.submit(callbackUrl=receiver.url)
        kit.until("missing", lambda: "default cannot be used" in
                  self.result(job)["callback"].get("last_error", ""))
        self.assertEqual(receiver.got, [])
        for keys in (kit.KEY,), (kit.OTHER_KEY, kit.KEY), (kit.OTHER_KEY,):
            self.keys("new", *keys)
            os.rename(os.path.join(self.secrets, "new"), os.path.join(self.secrets, "default"))
            signatures = len(keys)
            want = keys[0]
            kit.until("a message under the new keys", lambda: any( # pylint: disable=cell-var-from-loop
                len(headers["webhook-signature"].split(" ")) == signatures and
                headers["X-Webhook-Signature"] == hmac.new(want, body, hashlib.sha256).hexdigest()
                for _, headers, body in list(receiver.got)))
        receiver.answers = [200]
        self.told(job)

    def test_secrets_are_named_and_not_kept(self):
        receiver, key = self.receiver(), os.urandom(32)
        self.keys("mine", key)
        self.serve(*self.opened)
        worker = self.posting_worker()
        job = self.submit(callbackUrl=receiver.url, callbackSecret="mine")
        self.told(job)
        self.check(receiver.got[0], [key], 1)
        self.assertEqual(json.loads(self.row(job, "webhook")["payload"])["callbackSecret"], "mine")
        kept = b"".join(open(os.path.join(self.folder, name), "rb").read() for name in os.listdir(self.folder)
                        if name.startswith("queue.db"))
        for secret in kit.secret_text(key).strip()[6:].encode(), key, key.hex().encode():
            self.assertEqual(kept.count(secret), 0)
            self.assertEqual((worker.log() + self.server.log()).encode().count(secret), 0)
        for name in "../default", "a/b", ".", "", "x" * 65, 5:
            answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4", "callbackUrl": receiver.url,
                                                          "callbackSecret": name})
            self.assertEqual((answer.status, answer.json["field"]), (400, "callbackSecret"), name)

    def test_a_tenant_signs_with_its_own_alone(self):
        receiver = self.receiver()
        tokens = os.path.join(self.folder, "tokens")
        with open(tokens, "w", encoding="ascii") as file:
            for tenant in "a", "b":
                file.write(f"operator {tenant} {hashlib.sha256(tenant.encode()).hexdigest()}\n")
        self.keys("a/default", kit.KEY)
        self.serve(*self.opened, "--token-file", tokens)
        self.posting_worker("--webhook-attempts", "1")
        jobs = [self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4", "callbackUrl": receiver.url},
                         {"Authorization": "Bearer " + tenant}).json["jobId"] for tenant in ("a", "b")]
        for job, state in zip(jobs, ("completed", "dead")):
            kit.until("told", lambda: self.row(job, "webhook").get("state") == state) # pylint: disable=cell-var-from-loop
        self.assertEqual(len(receiver.got), 1)
        self.check(receiver.got[0], [kit.KEY], 1)

    # --- to whom

    def test_urls_that_are_refused_at_once(self):
        canary = self.receiver()
        self.serve()
        port = canary.port
        for url in (f"http://127.0.0.1:{port}/", "http://example.org/", f"https://127.0.0.1:{port}/",
                    f"https://[::1]:{port}/", f"https://[::ffff:127.0.0.1]:{port}/", "https://10.1.2.3/",
                    "https://169.254.169.254/latest/meta-data/", "https://192.168.1.1/", "https://0.0.0.0/",
                    "https://user@example.org/", "https://user:word@example.org/", "https://[fe80::1]/",
                    "https://[fd00::1]/", "https://exa mple.org/", "https://example.org\\@127.0.0.1/"):
            answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4", "callbackUrl": url})
            self.assertEqual((answer.status, answer.json["field"]), (422, "callbackUrl"), url)
        self.assertEqual(self.jobq("list"), [])
        self.assertEqual(canary.got, [])

    def test_a_name_is_judged_by_its_address(self):
        """The server was told to take them, the worker was not told to post to them."""
        canary = self.receiver()
        self.serve("--callback-http", "--callback-allow", "127.0.0.0/8")
        self.worker("--webhook-secrets", self.secrets, "--callback-http", "--webhook-attempts", "1")
        said = {}
        for host in "localhost", "localhost.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]":
            answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4",
                                                          "callbackUrl": f"http://{host}:{canary.port}/"})
            if answer.status == 422:
                continue
            result = self.told(answer.json["jobId"], "dead")
            said[host] = result["callback"]["last_error"]
        self.assertIn("public internet", said["localhost"])
        for host, text in said.items(): # what a resolver makes of the odd ones is its own affair
            self.assertRegex(text, "public internet|resolve", host)
        self.assertEqual(canary.got, [])

    def test_only_what_is_named_is_open(self):
        receiver = self.receiver()
        self.serve(*self.opened)
        self.worker("--webhook-secrets", self.secrets, "--callback-http", "--callback-allow", "127.0.0.2")
        job = self.submit(callbackUrl=receiver.url)
        self.assertIn("public internet", self.told(job, "dead")["callback"]["last_error"])
        self.worker("--webhook-secrets", self.secrets, "--callback-allow", "127.0.0.1/32", "-j", "webhook=1")
        self.assertEqual(receiver.got, [])


if __name__ == "__main__":
    sys.exit(kit.main())
