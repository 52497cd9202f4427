#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the orchestrator takes and refuses over HTTP: reliability.md 4.2, rules 9 and 16 of lifecycle.md. No worker runs:
what was taken waits, so that every effect, and every lack of one, can be counted in the store."""
import hashlib
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time

import kit


class Http(kit.Case):
    def setUp(self):
        super().setUp()
        self.video()
        self.serve()

    def jobs(self):
        return len(self.jobq("list"))

    def refused(self, status, body, field=None, **headers):
        """The request is refused so, says why, and leaves no job."""
        before = self.jobs()
        answer = self.ask("POST", "/analysis/start", body, headers)
        self.assertEqual(answer.status, status, f"{body!r}: {answer}")
        self.assertTrue(answer.json["error"])
        if field is not None:
            self.assertEqual(answer.json.get("field", ""), field, answer)
        self.assertEqual(self.jobs(), before)
        return answer

    # --- start

    def test_taken_in_every_form(self):
        relative = self.submit("clip.mp4")
        self.assertRegex(relative, "^[0-9a-f]{32}$")
        self.assertEqual(self.row(relative)["queue"], "video.probe")
        for body in ({"videoPath": self.media + "/clip.mp4"}, {"videoPath": "./clip.mp4"}, {"videoUrl": "clip.mp4"},
                     {"videoUrl": "file:clip.mp4"}, {"videoUrl": "file://" + self.media + "/clip.mp4"},
                     {"videoUrl": "file://localhost" + self.media + "/%63lip.mp4"}):
            answer = self.ask("POST", "/analysis/start", body)
            self.assertEqual(answer.status, 202, f"{body}: {answer}")
            payload = self.row(answer.json["jobId"])["payload"]
            self.assertEqual(payload, '{"video":"clip.mp4"}', body)

    def test_names_are_arguments(self):
        for name in ("a b.mp4", "quote'\"`.mp4", ";touch x.mp4", "$(id).mp4", "-i.mp4", "--help", "new\nline.mp4", "%2e%2e",
                     "\u00e7\u0131\u011f.mp4"):
            self.video(name)
            self.assertEqual(self.row(self.submit(name))["state"], "ready", name)

    def test_callback_urls(self):
        answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4", "callbackUrl": "https://example.org/x"})
        self.assertEqual((answer.status, sorted(answer.json)), (202, ["jobId", "status"]))
        self.refused(422, {"videoPath": "clip.mp4", "callbackUrl": "http://example.org/x"}, "callbackUrl")
        for url in ("ftp://example.org/", "x", 5, "https://" + "x" * 3000):
            self.refused(400, {"videoPath": "clip.mp4", "callbackUrl": url}, "callbackUrl")

    def test_traversal(self):
        outside = os.path.join(self.folder, "outside.mp4")
        with open(outside, "wb") as file:
            file.write(b"secret")
        os.mkdir(os.path.join(self.media, "folder"))
        os.symlink(outside, os.path.join(self.media, "link.mp4"))
        os.symlink(self.folder, os.path.join(self.media, "up"))
        os.symlink("clip.mp4", os.path.join(self.media, "inside.mp4"))
        os.mkfifo(os.path.join(self.media, "fifo"))
        os.mkdir(self.media + "-beside")
        with open(self.media + "-beside/x.mp4", "wb") as file:
            file.write(b"secret")
        for path in ("../outside.mp4", "folder/../../outside.mp4", "folder/../clip.mp4", "..", ".", "/", "./..",
                     outside, "/etc/passwd", self.media, self.media + "-beside/x.mp4", self.media + "/../outside.mp4",
                     "link.mp4", "up/outside.mp4", "inside.mp4", "fifo", "folder", "clip.mp4/", "clip.mp4/x", "",
                     "none.mp4", "%2e%2e/outside.mp4", "..%2foutside.mp4", "%252e%252e/outside.mp4", "/dev/null",
                     "/proc/self/environ", "x" * 300, "x/" * 600, "x" * 5000, 7, None, ["clip.mp4"]):
            started = time.monotonic()
            self.refused(400, {"videoPath": path}, "videoPath")
            self.assertLess(time.monotonic() - started, 5, path)
        for url in ("file:../outside.mp4", "file:%2e%2e/outside.mp4", "file:..%2foutside.mp4", "file:///etc/passwd",
                    "file://elsewhere/clip.mp4", "file:clip.mp4%00.png", "file:%zz", "file:", "file:%", "file:%252e%252e/x"):
            self.refused(400, {"videoUrl": url}, "videoUrl")

    def test_nul(self):
        self.refused(400, b'{"videoPath": "clip.mp4\\u0000.png"}')
        self.refused(400, b'{"videoPath": "clip.mp4\x00.png"}')

    def test_fetching_needs_an_option(self):
        for url in ("http://127.0.0.1:1/x.mp4", "https://example.org/x.mp4", "http:x"):
            answer = self.refused(422, {"videoUrl": url}, "videoUrl")
            self.assertIn("--allow-fetch", answer.json["error"])
        for url in ("ftp://example.org/x", "gopher://x/", "HTTP://example.org/x"):
            self.refused(422, {"videoUrl": url}, "videoUrl")

    def test_empty_file(self):
        self.video("empty.mp4", b"")
        self.refused(400, {"videoPath": "empty.mp4"}, "videoPath")

    def test_bad_bodies(self):
        for body in (b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b'{"videoPath":"clip.mp4","videoPath":"b"}', b"{}",
                     b'{"videoPath":"clip.mp4"} x', b"[" * 60000):
            self.refused(400, body)
        for body in ({"videoPath": "clip.mp4", "videoUrl": "clip.mp4"}, {"videoPath": "clip.mp4", "videoURL": "x"},
                     {"videoPath": "clip.mp4", "metadata": []}, {"videoPath": "clip.mp4", "metadata": {"share": 1}},
                     {"videoPath": "clip.mp4", "metadata": {"candidate": 1}},
                     {"videoPath": "clip.mp4", "metadata": {"candidate": "x" * 256}}):
            self.refused(400, body)

    # --- idempotency (rule 9)

    def test_repeated_key(self):
        first = self.submit(jobId="candidate 7/video 1")
        self.assertNotEqual(first, "candidate 7/video 1")
        self.assertEqual(self.submit(jobId="candidate 7/video 1"), first)
        by_header = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4"},
                             {"Idempotency-Key": "candidate 7/video 1"})
        self.assertEqual((by_header.status, by_header.json["jobId"]), (202, first))
        self.assertNotEqual(self.submit(jobId="candidate 7/video 2"), first)
        self.assertEqual(self.jobs(), 2)

    def test_repeated_key_with_another_body(self):
        self.video("other.mp4")
        self.submit(jobId="k", metadata={"a": 1, "b": 2})
        self.assertEqual(len({self.submit(jobId="k", metadata={"b": 2, "a": 1}) for _ in range(3)}), 1)
        for other in ({"videoPath": "other.mp4", "metadata": {"a": 1, "b": 2}}, {"videoPath": "clip.mp4"},
                      {"videoPath": "clip.mp4", "metadata": {"a": 1, "b": 3}}):
            self.refused(422, {"jobId": "k", **other}, "jobId")

    def test_a_cancelled_submission_frees_its_key(self):
        first = self.submit(jobId="k")
        self.jobq("cancel", first)
        self.assertNotEqual(self.submit(jobId="k"), first)

    def test_bad_keys(self):
        for key in ("", "x" * 256, 5, None, "a\nb"):
            self.refused(400, {"videoPath": "clip.mp4", "jobId": key}, "jobId")
        self.refused(400, {"videoPath": "clip.mp4"}, "Idempotency-Key", **{"Idempotency-Key": "x" * 300})
        self.refused(400, {"videoPath": "clip.mp4", "jobId": "a"}, "jobId", **{"Idempotency-Key": "b"})

    # --- limits and headers

    def head(self, *lines, body=b""):
        return "\r\n".join(("POST /analysis/start HTTP/1.1",) + lines).encode() + b"\r\n\r\n" + body

    def test_body_limit(self):
        self.refused(413, b'{"videoPath": "' + b"x" * 70000 + b'"}')
        host = f"Host: 127.0.0.1:{self.port}"
        json = "Content-Type: application/json"
        self.refused(413, b'{"videoPath": "' + b"x" * 5000000 + b'"}')
        self.assertEqual(self.raw(self.head(host, json, "Content-Length: 1000000000")), 413)
        self.assertIn(self.raw(self.head(host, json, "Content-Length: 99999999999999999999")), (400, 413))
        self.assertIn(self.raw(self.head(host, json, "Content-Length: -1")), (400, 413))

    def test_ambiguous_framing(self):
        host = f"Host: 127.0.0.1:{self.port}"
        json = "Content-Type: application/json"
        body = b'{"videoPath": "clip.mp4"}'
        length = f"Content-Length: {len(body)}"
        chunked = b"19\r\n" + body + b"\r\n0\r\n\r\n"
        for lines, sent in (((host, json, "Transfer-Encoding: chunked"), chunked),
                            ((host, json, "Transfer-Encoding: chunked", length), chunked),
                            ((host, json, length, "Content-Length: 5"), body), ((host, json), b""),
                            ((json, length), body), ((host, host, json, length), body)):
            status = self.raw(self.head(*lines, body=sent))
            self.assertTrue(status == 0 or 400 <= status < 500, f"{lines}: {status}")
        self.assertEqual(self.jobs(), 0)
        self.assertEqual(self.raw(self.head(host, json, length, body=body)), 202)

    def test_content_type(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
            self.refused(415, b'{"videoPath": "clip.mp4"}', "Content-Type", **{"Content-Type": kind})
        answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4"},
                          {"Content-Type": "application/json; charset=utf-8"})
        self.assertEqual(answer.status, 202)

    def test_pages_of_other_sites(self):
        self.refused(403, {"videoPath": "clip.mp4"}, "Origin", Origin="https://example.org")
        self.refused(403, {"videoPath": "clip.mp4"}, "Host", Host=f"rebound.example.org:{self.port}")
        self.refused(403, {"videoPath": "clip.mp4"}, "Host", Host="127.0.0.1.example.org")
        answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4"}, {"Host": f"localhost:{self.port}"})
        self.assertEqual(answer.status, 202)

    def test_paths_and_methods(self):
        for method, path, status in (("GET", "/nothing", 404), ("GET", "/analysis/start", 405), ("PUT", "/analysis/start", 405),
                                     ("GET", "/analysis/result/", 404), ("GET", "/analysis/result/x/y", 404),
                                     ("POST", "/callback/face-analysis/x", 404), ("GET", "/callback/face-analysis", 405),
                                     ("GET", "/analysis%2fstart", 404), ("DELETE", "/analysis/result/x", 403), ("DELETE", "/analysis/start", 405)):
            answer = self.ask(method, path)
            self.assertEqual(answer.status, status, f"{method} {path}")
            self.assertEqual(answer.headers["Content-Type"], "application/json")
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(answer.headers["Cache-Control"], "no-store")

    def test_unknown_results(self):
        first = self.submit()
        self.assertEqual(self.result(first)["status"], "processing")
        for name in ("x", "0" * 32, first[:-1], first + "0", first[:-1] + ("0" if first[-1] != "0" else "1"),
                     self.part(first, "speech"), "%00", "..", first.replace(first[0], "%3" + first[0], 1)):
            answer = self.ask("GET", "/analysis/result/" + name)
            self.assertEqual(answer.status, 404, name)
            self.assertTrue(answer.json["error"])

    def test_another_queues_job_is_no_submission(self):
        other = self.jobq("enqueue", "mail", "hello")["id"]
        self.assertEqual(self.ask("GET", "/analysis/result/" + other).status, 404)

    def test_cancelled_is_failed(self):
        job = self.submit()
        self.jobq("cancel", job)
        result = self.result(job)
        self.assertEqual((result["status"], result["error"]), ("failed", "probe: cancelled"))

    # --- the store goes away

    def test_beyond_the_depth(self):
        self.jobq("limit", "video.probe", "--depth", "2")
        jobs = [self.submit(jobId=f"k{number}") for number in range(2)]
        answer = self.refused(503, {"videoPath": "clip.mp4", "jobId": "k2"})
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assertEqual(self.submit(jobId="k1"), jobs[1], "what was taken stays taken")
        self.jobq("cancel", jobs[0])
        self.submit(jobId="k2")

    def test_unusable_store(self):
        os.mkdir(os.path.join(self.folder, "broken.db"))
        done = subprocess.run([kit.VIDEO, "serve", "--store", "sqlite:" + self.folder + "/broken.db", "--media",
                               self.media], capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        for uri, status in (("mysql://x", 2), ("sqlite:x?namespace=%20", 2), ("@/nonexistent", 4)):
            done = subprocess.run([kit.VIDEO, "serve", "--store", uri, "--media", self.media], capture_output=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, status, f"{uri}: {done.stderr}")
            self.assertTrue(done.stderr.strip())

    def test_a_store_that_is_locked(self):
        """A request is answered when the store takes too long, nothing is stored, and afterwards all is well."""
        self.serve("--io-timeout", "100")
        first = self.submit()
        lock = sqlite3.connect(self.store[len("sqlite:"):], isolation_level=None)
        self.addCleanup(lock.close)
        lock.execute("BEGIN IMMEDIATE")
        answer = self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4", "jobId": "k"})
        self.assertEqual(answer.status, 503, answer)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assertEqual(self.result(first)["status"], "processing")
        lock.execute("ROLLBACK")
        self.submit(jobId="k")
        self.assertEqual(self.jobs(), 2)

    def test_ends_cleanly(self):
        self.submit()
        self.assertEqual(self.server.stop(), 0)


class Tokens(kit.Case):
    """Deny by default; roles; one tenant does not see another's."""

    def setUp(self):
        super().setUp()
        self.video()
        path = os.path.join(self.folder, "tokens")
        with open(path, "w", encoding="ascii") as file:
            file.write("# role tenant digest\n\n")
            for role, tenant in (("viewer", "a"), ("operator", "a"), ("operator", "b"), ("admin", "a"), ("admin", "b"), ("admin", "*")):
                digest = hashlib.sha256(f"{role}-{tenant}".encode()).hexdigest()
                file.write(f"{role} {tenant} {digest}\n")
        self.serve("--token-file", path)

    def bearer(self, token):
        return {"Authorization": "Bearer " + token} if token else {}

    def start_as(self, token):
        return self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4", "jobId": "k"}, self.bearer(token))

    def test_every_route_and_role(self):
        job = self.start_as("operator-a").json["jobId"]
        table = {None: (401, 401), "wrong": (401, 401), "viewer-a": (403, 200), "operator-a": (202, 200),
                 "operator-b": (202, 404), "admin-*": (202, 200), "operator-a ": (202, 200), "OPERATOR-A": (401, 401)}
        for token, (start, result) in table.items():
            self.assertEqual(self.start_as(token).status, start, token)
            answer = self.ask("GET", "/analysis/result/" + job, headers=self.bearer(token))
            self.assertEqual(answer.status, result, token)
            if answer.status == 401:
                self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")

    def test_who_may_remove(self):
        """Only who is an admin, and of the same tenant or of all; nothing that is still processed."""
        job = self.start_as("operator-a").json["jobId"]
        for token, status in ((None, 401), ("wrong", 401), ("viewer-a", 403), ("operator-a", 403), ("admin-b", 404), ("admin-*", 409),
                              ("admin-a", 409)):
            self.assertEqual(self.ask("DELETE", "/analysis/result/" + job, headers=self.bearer(token)).status, status, token)
        self.jobq("cancel", job)
        self.assertEqual(self.ask("DELETE", "/analysis/result/" + job, headers=self.bearer("admin-b")).status, 404)
        answer = self.ask("DELETE", "/analysis/result/" + job, headers=self.bearer("admin-a"))
        self.assertEqual((answer.status, answer.json), (200, {"jobId": job, "removed": 1}))
        self.assertEqual(self.ask("DELETE", "/analysis/result/" + job, headers=self.bearer("admin-a")).status, 404)

    def test_what_one_tenant_waits_for_another_does_not_see(self):
        """What was looked at for one who waits is not told to the next who asks, unless it is his as well."""
        job = self.start_as("operator-a").json["jobId"]
        for token, status in (("viewer-a", 200), ("operator-b", 404), ("viewer-a", 200), ("admin-*", 200), ("operator-b", 404)):
            answer = self.ask("GET", f"/analysis/result/{job}?wait=1", headers=self.bearer(token))
            self.assertEqual(answer.status, status, token)

    def test_who_guesses_tokens_has_to_wait(self):
        """By every route the same: an address with too many unknown tokens in a row waits, whatever it sends then."""
        path, stats = "/analysis/result/" + "0" * 12 + "7" + "0" * 19, "/api/v1/queue/stats"
        guesses = [self.ask("GET", (path, stats)[i % 2], headers=self.bearer(f"guess {i}")) for i in range(20)]
        self.assertEqual([answer.status for answer in guesses], [401] * 20)
        answers = []

        def refused():
            """Guesses until it has to wait; then the right token has to wait as well, unless the wait was over by then."""
            while not answers or answers[-1].status == 401:
                answers.append(self.ask("GET", stats, headers=self.bearer("one more guess")))
            answers.append(self.ask("GET", stats, headers=self.bearer("admin-*")))
            return answers[-1].status == 429

        kit.until("a refusal", refused)
        self.assertGreater(int(answers[-1].headers["Retry-After"]), 0)

    def test_right_tokens_in_between_are_no_guesses(self):
        stats = "/api/v1/queue/stats"
        for i in range(30):
            self.assertEqual(self.ask("GET", stats, headers=self.bearer(f"guess {i}")).status, 401)
            if i % 10 == 9:
                self.assertEqual(self.ask("GET", stats, headers=self.bearer("admin-*")).status, 200)

    def test_a_foreign_job_looks_like_none(self):
        job = self.start_as("operator-a").json["jobId"]
        foreign = self.ask("GET", "/analysis/result/" + job, headers=self.bearer("operator-b"))
        none = self.ask("GET", "/analysis/result/" + "0" * 12 + "7" + "0" * 19, headers=self.bearer("operator-b"))
        self.assertEqual((foreign.status, foreign.body), (none.status, none.body))

    def test_keys_of_tenants_are_apart(self):
        self.assertNotEqual(self.start_as("operator-a").json["jobId"], self.start_as("operator-b").json["jobId"])
        self.assertEqual(self.row(self.start_as("operator-b").json["jobId"])["group"], "b")

    def test_over_the_quota(self):
        self.jobq("limit", "--group", "a", "--quota", "2/h")
        def start(tenant):
            return [self.ask("POST", "/analysis/start", {"videoPath": "clip.mp4"}, self.bearer("operator-" + tenant))
                    for _ in range(4)]

        mine = start("a")
        self.assertEqual([answer.status for answer in mine], [202, 202, 429, 429])
        self.assertGreater(int(mine[-1].headers["Retry-After"]), 0)
        self.assertEqual([answer.status for answer in start("b")], [202] * 4)

    def test_bad_token_files(self):
        for content in ("", "viewer a", "root a " + "0" * 64, "viewer a " + "0" * 63, "viewer a " + "g" * 64,
                        "viewer " + "x" * 300 + " " + "0" * 64, "viewer a " + "0" * 64 + " x", "viewer a\x01b " + "0" * 64, "viewer a\x7f " + "0" * 64):
            path = os.path.join(self.folder, "bad")
            with open(path, "w", encoding="ascii") as file:
                file.write(content)
            done = subprocess.run([kit.VIDEO, "serve", "--store", self.store, "--media", self.media, "--token-file", path,
                                   "--listen", "127.0.0.1:0"], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, content)
            self.assertIn(b"--token-file", done.stderr)


class Together(kit.Case):
    """Submissions that come while the store is busy with others are put in one exchange, and each has an answer of its own."""

    def setUp(self):
        super().setUp()
        self.video()
        self.tokens = os.path.join(self.folder, "tokens")
        with open(self.tokens, "w", encoding="ascii") as file:
            for tenant in ("a", "b"):
                file.write(f"operator {tenant} {hashlib.sha256(tenant.encode()).hexdigest()}\n")
        self.serve("--token-file", self.tokens, "--callback-http", "--callback-allow", "127.0.0.1", "--log")

    def hold(self):
        """Nobody can write to the store until what is returned is closed."""
        store = sqlite3.connect(self.store.split(":", 1)[1], timeout=30, isolation_level=None)
        store.execute("BEGIN IMMEDIATE")
        return store

    def post(self, tenant, body):
        """A request that is on its way."""
        text = json.dumps(body).encode()
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.addCleanup(connection.close)
        connection.sendall(b"POST /analysis/start HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"
                           b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (tenant.encode(), len(text), text))
        return connection

    def answer(self, connection):
        text = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                break
            text += piece
        return int(text.split()[1]), json.loads(text.split(b"\r\n\r\n", 1)[1])

    def waiting(self, connections):
        """Until the server has taken each; one that nobody has taken yet has no inode."""
        ports = {connection.getsockname()[1] for connection in connections}

        def port(address):
            return int(address.split(":")[1], 16)

        def taken():
            with open(f"/proc/{self.server.pid}/net/tcp", encoding="ascii") as table:
                lines = [line.split() for line in table.readlines()[1:]]
            return ports <= {port(line[2]) for line in lines if port(line[1]) == self.port and line[9] != "0"}

        kit.until(f"{len(ports)} connections", taken)

    def test_each_has_its_own_answer(self):
        self.jobq("limit", "--group", "b", "--quota", "10/h")
        store = self.hold()
        own = [self.post("a", {"videoPath": "clip.mp4", "jobId": f"own {i}"}) for i in range(20)]
        same = [self.post("a", {"videoPath": "clip.mp4", "jobId": "same"}) for _ in range(32)]
        other = [self.post("a", {"videoPath": "clip.mp4", "jobId": "other", "metadata": {"n": i}}) for i in range(5)]
        over = [self.post("b", {"videoPath": "clip.mp4"}) for _ in range(64)]
        told = [self.post("a", {"videoPath": "clip.mp4", "callbackUrl": "http://127.0.0.1:1/", "jobId": f"told {i % 2}"})
                for i in range(4)]
        self.waiting(own + same + other + over + told)
        store.close()
        answers = [[self.answer(connection) for connection in group] for group in (own, same, other, over, told)]
        own, same, other, over, told = answers
        self.assertEqual([status for status, _ in own], [202] * 20)
        self.assertEqual(len({body["jobId"] for _, body in own}), 20)
        self.assertEqual({status for status, _ in same}, {202})
        self.assertEqual(len({body["jobId"] for _, body in same}), 1)
        self.assertEqual(sorted(status for status, _ in other), [202] + [422] * 4)
        self.assertEqual(sorted(status for status, _ in over), [202] * 10 + [429] * 54)
        self.assertEqual({status for status, _ in told}, {202})
        together = [json.loads(line)["together"] for line in self.server.log().splitlines() if '"answered"' in line]
        self.assertEqual(len(together), 125)
        self.assertGreater(max(together), 1)
        jobs = {body["jobId"] for _, body in told}
        self.assertEqual(len(jobs), 2)
        for job in jobs:
            self.assertEqual(self.row(job, "notify")["state"], "blocked")
        probes = self.jobq("list", "--queue", "video.probe", "--limit", "100")
        self.assertEqual(len(probes), 20 + 1 + 1 + 10 + 2)
        self.assertLess(len({row["created_at"] for row in probes}), 10, "they were put one by one")

    def test_a_stop_answers_those_who_wait_for_the_store(self):
        store = self.hold()
        waiting = [self.post("a", {"videoPath": "clip.mp4"}) for _ in range(6)]
        self.waiting(waiting)
        self.server.process.send_signal(signal.SIGTERM)
        store.close()
        for status, body in map(self.answer, waiting):
            self.assertEqual(status, 202, body)
            self.assertEqual(self.row(body["jobId"])["state"], "ready")

    def test_who_does_not_wait_harms_nobody(self):
        store = self.hold()
        gone = [self.post("a", {"videoPath": "clip.mp4", "jobId": f"gone {i}"}) for i in range(6)]
        self.waiting(gone)
        for connection in gone:
            connection.close()
        store.close()
        probes = kit.until("what was taken", lambda: (lambda rows: len(rows) == 6 and rows)(
            self.jobq("list", "--queue", "video.probe")))
        self.assertEqual(self.answer(self.post("a", {"videoPath": "clip.mp4", "jobId": "gone 0"}))[1]["jobId"],
                         next(row["id"] for row in probes if row["key"] == "gone 0"))


class Options(kit.Case):
    def run_serve(self, *options):
        return subprocess.run([kit.VIDEO, "serve", "--store", self.store, "--media", self.media, *options],
                              capture_output=True, timeout=60, check=False)

    def test_other_than_loopback_needs_tokens(self):
        for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0", "10.0.0.1:8080"):
            done = self.run_serve("--listen", address)
            self.assertEqual(done.returncode, 2, address)
            self.assertIn(b"--token-file", done.stderr)

    def test_bad_addresses(self):
        for address in ("", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", ":8080", "localhost:1x"):
            done = self.run_serve("--listen", address)
            self.assertEqual(done.returncode, 2, address)

    def test_secret_files(self):
        good = self.write_secret("good", kit.KEY)
        for content, mode in (("", 0o600), ("whsec_AAAA\n", 0o600), ("x", 0o600), (kit.secret_text(kit.KEY), 0o644)):
            with open(good, "w", encoding="ascii") as file:
                file.write(content)
            os.chmod(good, mode)
            done = self.run_serve("--secret-file", good)
            self.assertEqual(done.returncode, 2, (content, stat.filemode(mode)))
            self.assertIn(b"--secret-file", done.stderr)

    def config(self, text):
        path = os.path.join(self.folder, "config")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_options_from_a_file(self):
        path = self.config(f"# the service\n\nlisten = 192.0.2.1:1\nmedia={self.media}\n  store = {self.store}  \ncallback-http\n"
                           f"secret-file = {self.secret}\n")
        server = self.start("serve", [kit.VIDEO, "serve", "--config", path, "--listen", "127.0.0.1:0"])
        self.port = int(server.line("listening on http://127.0.0.1:"))
        self.video()
        self.submit(callbackUrl="http://example.org/")
        self.assertEqual(server.stop(), 0)

    def test_files_of_options_that_are_none(self):
        for text in ("media", "x = y", "-l = z", "= y", "two words = y", "config = other", "a\0b", "x" * 70000):
            done = subprocess.run([kit.VIDEO, "serve", "--config=" + self.config(text)], capture_output=True, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, 2, text[:20])
            self.assertTrue(done.stderr)
        for words in ("--config",), ("--config", "/nowhere/config"), ("--config", self.folder):
            done = subprocess.run([kit.VIDEO, "worker", *words], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, words)

    def test_media_must_be_a_folder(self):
        done = subprocess.run([kit.VIDEO, "serve", "--store", self.store, "--media", self.media + "/none"],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)

    def test_usage(self):
        for arguments in ([], ["x"], ["serve"], ["worker"], ["submit"], ["watch"], ["serve", "--x"], ["worker", "-j", "0"],
                          ["worker", "-j", "nose=1"], ["worker", "-j", "face=x"], ["watch", "zz"]):
            done = subprocess.run([kit.VIDEO, *arguments], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertTrue(done.stderr, arguments)
        for command in ([], ["serve"], ["worker"], ["submit"], ["watch"]):
            done = subprocess.run([kit.VIDEO, *command, "--help"], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, command)
            self.assertIn(b"usage:", done.stdout)


if __name__ == "__main__":
    sys.exit(kit.main())
