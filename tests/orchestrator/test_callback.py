#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""POST /callback/{step}-analysis: signatures, replays, forgeries, duplicates (reliability.md 4.2, rule 11)."""
import json
import os
import sys
import time

import kit
from service_double import Service


class Callback(kit.Case):
    def setUp(self):
        super().setUp()
        self.service = Service()
        self.addCleanup(self.service.stop)
        self.serve()
        self.worker(services=self.service.url)
        self.video()
        self.job = self.submit()
        self.face = kit.until("an order", lambda: self.service.of("face"))[0]
        self.gesture = kit.until("an order", lambda: self.service.of("gesture"))[0]
        kit.until("the park", lambda: self.state() == self.state("gesture") == "blocked")

    def state(self, step="face"):
        return self.row(self.job, step)["state"]

    def post(self, body, headers, path="/callback/face-analysis"):
        return self.ask("POST", path, body, headers)

    def refused(self, status, body, headers, path="/callback/face-analysis"):
        answer = self.post(body, headers, path)
        self.assertEqual(answer.status, status, answer)
        self.assertTrue(answer.json["error"])
        self.assertEqual(self.state(), "blocked")

    def test_the_order_is_whole(self):
        self.assertEqual(self.face["jobId"], self.part(self.job, "face"))
        self.assertEqual(self.face["videoPath"], "clip.mp4")
        self.assertEqual(self.face["callbackUrl"], f"http://127.0.0.1:{self.port}/callback/face-analysis")
        self.assertRegex(self.face["callback"], "^[0-9a-f]{64}$")
        self.assertEqual(self.service.bad, [])

    def test_a_good_one_resumes(self):
        self.assertEqual(self.service.call_back(self.face), (200, {"ok": True}))
        kit.until("face to be done", lambda: self.state() == "completed")
        self.assertEqual(json.loads(self.row(self.job, "face")["result"])["seen"], "clip.mp4")

    def test_every_part_of_the_signature_counts(self):
        body = self.service.message(self.face)
        good = kit.signed_headers(body)
        now = int(time.time())
        for change in ({"webhook-id": "msg_2"}, {"webhook-timestamp": str(now - 1)}, {"webhook-signature": "v1,AAAA"},
                       {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
                       {"webhook-signature": ""}, {"webhook-signature": good["webhook-signature"][:-4]},
                       {"webhook-timestamp": ""}, {"webhook-timestamp": "now"}, {"webhook-timestamp": "-1"},
                       {"webhook-timestamp": "9" * 40}, {"webhook-id": ""}, {"webhook-id": "a.b"}):
            self.refused(401, body, {**good, **change})
        for missing in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            self.refused(401, body, {name: value for name, value in good.items() if name != missing})
        self.refused(401, body + b" ", good)
        self.refused(401, body.replace(b'"ok"', b'"no"'), good)

    def test_another_key(self):
        body = self.service.message(self.face)
        self.refused(401, body, kit.signed_headers(body, key=kit.OTHER_KEY))

    def test_outside_the_tolerance(self):
        body = self.service.message(self.face)
        now = int(time.time())
        for when in (now - 310, now + 310, 0, now - 86400):
            self.refused(401, body, kit.signed_headers(body, timestamp=when))
        self.assertEqual(self.post(body, kit.signed_headers(body, timestamp=now - 280)).status, 200)

    def test_several_signatures(self):
        body = self.service.message(self.face)
        headers = kit.signed_headers(body)
        other = kit.sign(kit.OTHER_KEY, "msg_1", headers["webhook-timestamp"], body)
        headers["webhook-signature"] = other + " " + headers["webhook-signature"]
        self.assertEqual(self.post(body, headers).status, 200)

    def test_twice(self):
        body = self.service.message(self.face)
        headers = kit.signed_headers(body)
        self.assertEqual(self.post(body, headers).json, {"ok": True})
        kit.until("face to be done", lambda: self.state() == "completed")
        before = self.row(self.job, "face")
        other = self.service.message(self.face, result={"status": "ok", "seen": "something else"})
        for again in (self.post(body, headers), self.post(other, kit.signed_headers(other))):
            self.assertEqual(again.status, 200)
            self.assertTrue(again.json["ok"])
            self.assertIn("none", again.json["effect"])
        self.assertEqual(self.row(self.job, "face"), before)

    def test_forged_tokens(self):
        token = self.face["callback"]
        forged = token[:-1] + ("0" if token[-1] != "0" else "1")
        body = self.service.message({**self.face, "callback": forged})
        answer = self.post(body, kit.signed_headers(body))
        self.assertEqual((answer.status, answer.json["ok"]), (200, True))
        self.assertIn("none", answer.json["effect"])
        self.assertEqual(self.state(), "blocked")
        for bad in ("", "x", token[:-1], token + "0", 5, None):
            body = self.service.message({**self.face, "callback": bad})
            self.refused(400, body, kit.signed_headers(body))

    def test_unknown_and_misdirected(self):
        body = self.service.message({**self.face, "callback": "0" * 12 + "7" + "0" * 51})
        self.refused(404, body, kit.signed_headers(body))
        body = self.service.message(self.face)
        for path in ("/callback/gesture-analysis", "/callback/speech-analysis", "/callback/emotion-analysis",
                     "/callback/nose-analysis", "/callback/report-analysis", "/callback/face", "/callback/-analysis"):
            self.refused(404, body, kit.signed_headers(body), path)

    def test_bad_bodies(self):
        for body in (b"", b"[]", b"{}", b"{", self.service.message(self.face, result="x"),
                     self.service.message(self.face, progress=7)):
            self.refused(400, body, kit.signed_headers(body))
        large = self.service.message(self.face, result={"x": "x" * 1200000})
        self.refused(413, large, kit.signed_headers(large))

    def test_a_cancelled_job_does_not_wait(self):
        self.jobq("cancel", self.part(self.job, "face"))
        status, answer = self.service.call_back(self.face)
        self.assertEqual((status, answer["ok"]), (200, True))
        self.assertIn("none", answer["effect"])
        self.assertEqual(self.state(), "cancelled")

    def test_without_a_secret_file_callbacks_are_closed(self):
        self.serve(secret=False)
        body = self.service.message(self.face)
        self.refused(403, body, kit.signed_headers(body))

    def test_keys_are_changed_one_after_the_other(self):
        both = self.write_secret("both", kit.OTHER_KEY, kit.KEY)
        self.secret = both
        self.serve()
        body = self.service.message(self.face)
        self.assertEqual(self.post(body, kit.signed_headers(body)).status, 200)
        body = self.service.message(self.gesture)
        answer = self.post(body, kit.signed_headers(body, key=kit.OTHER_KEY), "/callback/gesture-analysis")
        self.assertEqual(answer.status, 200)


class Early(kit.Case):
    def test_a_callback_faster_than_the_park(self):
        """The token is stored before it is given away, so a service may answer before it has taken the order."""
        service = Service(at_once=True)
        self.addCleanup(service.stop)
        self.serve()
        self.worker(services=service.url)
        self.video()
        self.assertTrue(self.done(self.submit())["result"]["complete"])
        self.assertEqual(len(service.orders), 2)


if __name__ == "__main__":
    sys.exit(kit.main())
