#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A job of another tenant and one that is not there cannot be told apart: not by the answer, and not by what the store was
asked for it, which is what takes time. JOBQ_CALLS is a jobq-video that says what it asks the store."""
import hashlib
import json
import os
import re
import sys

import kit

BOARD = "/api/v1/queue"
VERBS = ("redrive", "cancel", "unhold", "drop")


class Foreign(kit.Case):
    def setUp(self):
        super().setUp()
        self.video(content=b'"JSON, as every answer here is"')
        path = os.path.join(self.folder, "tokens")
        with open(path, "w", encoding="ascii") as file:
            for tenant in "ab":
                file.write(f"admin {tenant} {hashlib.sha256(tenant.encode()).hexdigest()}\n")
        self.server = self.start("serve", [os.environ["JOBQ_CALLS"], "serve", "--store", self.store, "--media", self.media,
                                           "--listen", "127.0.0.1:0", "--secret-file", self.secret, "--token-file", path])
        self.port = int(self.server.line("listening on http://127.0.0.1:"))

    def as_tenant(self, tenant, method, path, body=None, headers=None):
        """What a client sees of the answer, and the calls to the store behind it."""
        before = len(self.server.log())
        answer = self.ask(method, path, body, {"Authorization": "Bearer " + tenant, **(headers or {})})
        seen = (answer.status, answer.body, sorted(item for item in answer.headers.items() if item[0] != "Date"))
        return seen, re.findall("^call (.*)$", self.server.log()[before:], re.M)

    def start_as_a(self):
        seen, _ = self.as_tenant("a", "POST", "/analysis/start", {"videoPath": "clip.mp4"})
        return json.loads(seen[1])["jobId"]

    def jobs(self):
        """Submissions in several states, and a part of each that is a row of its own."""
        waiting, cancelled, done = (self.start_as_a() for _ in range(3))
        self.jobq("cancel", cancelled)
        worker = self.worker()
        for job in waiting, done:
            kit.until("an end", lambda: json.loads( # pylint: disable=cell-var-from-loop
                self.as_tenant("a", "GET", "/analysis/result/" + job)[0][1])["status"] == "completed")
        worker.stop()
        return self.start_as_a(), cancelled, done, self.part(done, "report"), self.part(done, "quality")

    @staticmethod
    def none_like(job):
        """Of the same form, and nobody's."""
        return job[:-1] + "0123456789abcdef"[(int(job[-1], 16) + 1) % 16]

    @staticmethod
    def requests(job):
        """Every way to name a job: (method, path, body, headers)."""
        yield "GET", f"/analysis/result/{job}", None, {}
        yield "GET", f"/analysis/result/{job}?wait=1", None, {}
        yield "GET", f"/analysis/result/{job}?wait=1", None, {"If-None-Match": '"' + "0" * 32 + '"'}
        yield "GET", f"/analysis/video/{job}", None, {}
        yield "GET", f"{BOARD}/job/{job}", None, {}
        yield "GET", f"{BOARD}/flow/{job}", None, {}
        yield "GET", f"{BOARD}/list?after={job}", None, {}
        yield "DELETE", f"/analysis/result/{job}", None, {}
        for verb in VERBS:
            yield "POST", f"{BOARD}/act", {"verb": verb, "id": job}, {}

    def test_no_request_tells_them_apart(self):
        for job in self.jobs():
            before = self.jobq("show", job)
            for mine, other in zip(self.requests(job), self.requests(self.none_like(job))):
                foreign, calls = self.as_tenant("b", *mine)
                none, calls_for_none = self.as_tenant("b", *other)
                self.assertEqual(foreign, none, mine)
                self.assertEqual(calls, calls_for_none, mine)
                self.assertNotIn(job.encode(), foreign[1])
                self.assertEqual(foreign[0], 200 if "after=" in mine[1] else 404, mine)
            self.assertEqual(self.jobq("show", job), before)

    def test_what_is_counted_is_there(self):
        """Each way to name a job leads to the store, and its owner is told more."""
        job = self.start_as_a()
        for method, path, body, headers in self.requests(job):
            seen, calls = self.as_tenant("b", method, path, body, headers)
            self.assertTrue(calls, path)
            if method == "GET" and "?" not in path:
                own, _ = self.as_tenant("a", method, path, body, headers)
                self.assertEqual((own[0], seen[0]), (200, 404), path)

    def test_a_callback_for_another_step(self):
        """Who signs for services is told no more: a job of another step is none."""
        def call(job):
            body = json.dumps({"callback": job + "0" * 32, "result": {}}).encode()
            return self.as_tenant("b", "POST", "/callback/face-analysis", body, kit.signed_headers(body))
        job = self.start_as_a()
        self.assertEqual(call(job), call(self.none_like(job)))
        self.assertEqual((call(job)[0][0], call(job)[1]), (404, ["get"]))

    def test_no_way_is_forgotten(self):
        """The routes that end in a name, as the programs have them."""
        known = set()
        for folder in "video", "dashboard":
            folder = os.path.join(kit.ROOT, "examples", folder)
            for name in sorted(os.listdir(folder)):
                if name.endswith(".c"):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        known |= set(re.findall(r'\{"(GET|POST|PUT|DELETE)", "(/[^"]+/)", [^}]*route_', file.read()))
        asked = {(method, re.sub("ID.*", "", path).replace(BOARD, "")) for method, path, _, _ in self.requests("ID")}
        self.assertGreater(len(known), 4)
        self.assertEqual(known - asked, {("POST", "/callback/")})


if __name__ == "__main__":
    sys.exit(kit.main())
