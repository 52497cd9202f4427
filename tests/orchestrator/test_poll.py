#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Asking for results: tags, and answers that wait for something new."""
import os
import sys
import threading

import kit


class Poll(kit.Case):
    def setUp(self):
        super().setUp()
        self.path = self.video()

    def get(self, job, wait=None, known=None):
        return self.ask("GET", f"/analysis/result/{job}" + (f"?wait={wait}" if wait is not None else ""),
                        headers={"If-None-Match": known} if known else {})

    def later(self, *arguments, **more):
        """A request in a thread of its own; returns what joins it and gives the answer."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.get(*arguments, **more)), daemon=True)
        thread.start()

        def join():
            thread.join(90)
            self.assertEqual(len(answers), 1, "it was not answered")
            return answers[0]
        join.thread = thread
        return join

    def test_a_tag_names_the_answer(self):
        self.serve()
        job = self.submit()
        first = self.get(job)
        tag = first.headers["ETag"]
        self.assertRegex(tag, '^"[0-9a-f]{32}"$')
        self.assertEqual(self.get(job).headers["ETag"], tag)
        for known in (tag, "W/" + tag, '"x", ' + tag, "*"):
            same = self.get(job, known=known)
            self.assertEqual((same.status, same.body, same.headers["ETag"]), (304, b"", tag), known)
        self.assertEqual(self.get(job, known='"' + "0" * 32 + '"').status, 200)
        self.jobq("cancel", job)
        other = self.get(job, known=tag)
        self.assertEqual((other.status, other.json["status"]), (200, "failed"))
        self.assertNotEqual(other.headers["ETag"], tag)

    def test_times_that_are_none(self):
        self.serve()
        job = self.submit()
        for wait in ("", "x", "-1", "1.5", "1s", "%20"):
            self.assertEqual(self.get(job, wait).status, 400, wait)
        self.assertEqual(self.get(job, 0).status, 200)
        self.assertEqual(self.get("0" * 32, 30).status, 404)

    def test_waiting_for_the_end(self):
        self.serve()
        gate = os.path.join(self.folder, "go")
        self.order(self.path, "sound", wait=gate)
        job = self.submit()
        waiting = [self.later(job, 60) for _ in range(20)]
        self.worker()
        kit.until("all but one", lambda: self.result(job)["progress"]["quality"]["state"] == "completed")
        self.assertTrue(all(one.thread.is_alive() for one in waiting))
        with open(gate, "wb"):
            pass
        for one in waiting:
            answer = one()
            self.assertEqual((answer.status, answer.json["status"]), (200, "completed"))

    def test_waiting_for_anything_new(self):
        self.serve()
        job = self.submit()
        tag = self.get(job).headers["ETag"]
        waiting, seen = self.later(job, 60, tag), 0
        gate = os.path.join(self.folder, "go")
        self.order(self.path, "sound", wait=gate)
        self.worker()
        answer = waiting()
        self.assertEqual((answer.status, answer.json["status"]), (200, "processing"))
        with open(gate, "wb"):
            pass
        while answer.json["status"] == "processing":
            tag, seen = answer.headers["ETag"], seen + 1
            answer = self.get(job, 60, tag)
            self.assertEqual(answer.status, 200, "there was something new, and the time was not over")
        self.assertEqual(answer.json["status"], "completed")
        self.assertLess(seen, 60)

    def test_the_time_is_over(self):
        self.serve()
        job = self.submit()
        answer = self.get(job, 1)
        self.assertEqual((answer.status, answer.json["status"]), (200, "processing"))
        same = self.get(job, 1, answer.headers["ETag"])
        self.assertEqual((same.status, same.body), (304, b""))

    def test_a_store_that_keeps_no_events(self):
        self.serve("--events", "0")
        job = self.submit()
        waiting = self.later(job, 60)
        self.worker()
        self.assertEqual(waiting().json["status"], "completed")
        self.assertEqual(self.jobq("events"), None)

    def test_a_server_that_ends_answers_those_who_wait(self):
        self.serve()
        job = self.submit()
        tag = self.get(job).headers["ETag"]
        waiting = [self.later(job, 60), self.later(job, 60, tag)]
        self.get(job, 1) # when this is answered, the others have been taken
        self.assertTrue(all(one.thread.is_alive() for one in waiting))
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual([one().status for one in waiting], [200, 304])


if __name__ == "__main__":
    sys.exit(kit.main())
