#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Videos that are elsewhere: what is fetched, from where, how much of it, and what becomes of it when it is not there, not a
video, too large, too slow or not to be reached; and that the copy goes with its submission."""
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kit

CONTENT = b"not really a video, but bytes to be hashed " * 100
MOST = 100000
OPENED = ("--allow-fetch", "--fetch-http", "--fetch-allow", "127.0.0.1")


class Elsewhere(BaseHTTPRequestHandler):
    """What it answers is in the path: /STATUS/TYPE/KIND..."""
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        kind = self.path.strip("/").split("/")[0]
        if kind == "later" and len(server.asked) < 3:
            return self.say(503, "text/plain", b"busy")
        if kind == "moved":
            return self.say(302, "text/plain", b"", Location="/good/clip.mp4")
        if kind == "endless":
            return self.endless()
        if kind == "held":
            self.begin(200, "video/mp4", len(CONTENT))
            self.wfile.write(CONTENT[:100])
            self.wfile.flush()
            server.held.wait(kit.LIMIT_S)
            try:
                self.wfile.write(CONTENT[100:])
            except OSError:
                pass # who asked is gone
            return None
        status, type_, body = {"good": (200, "video/mp4", CONTENT), "plain": (200, None, CONTENT),
                               "page": (200, "text/html; charset=utf-8", b"<html>"), "empty": (200, "video/mp4", b""),
                               "large": (200, "video/mp4", b"x" * (MOST + 1)), "later": (200, "video/webm", CONTENT)}.get(
                                   kind, (404, "text/html", b"none"))
        return self.say(status, type_, body)

    def begin(self, status, type_, size, **headers):
        self.send_response(status)
        if type_:
            self.send_header("Content-Type", type_)
        if size is not None:
            self.send_header("Content-Length", str(size))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def say(self, status, type_, body, **headers):
        self.begin(status, type_, len(body), **headers)
        self.wfile.write(body)

    def endless(self):
        """Without a length; it ends when nobody listens any more."""
        self.close_connection = True
        self.begin(200, "video/mp4", None, Connection="close")
        try:
            while True:
                self.wfile.write(b"x" * 4096)
        except OSError:
            pass


class Case(kit.Case):
    def setUp(self):
        super().setUp()
        self.elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
        self.elsewhere.daemon_threads = True
        self.elsewhere.handle_error = lambda *_: None # who asked may be gone
        self.elsewhere.asked, self.elsewhere.held = [], threading.Event()
        threading.Thread(target=self.elsewhere.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.addCleanup(self.elsewhere.server_close)
        self.addCleanup(self.elsewhere.shutdown)
        self.addCleanup(self.elsewhere.held.set)

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.elsewhere.server_port}/{path}"

    def fetch(self, path, **more):
        answer = self.ask("POST", "/analysis/start", {"videoUrl": self.url(path), **more})
        self.assertEqual(answer.status, 202, answer)
        return answer.json["jobId"]

    def copies(self):
        folder = os.path.join(self.media, "fetched")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sorted(name for name in names if ".control" not in name) # those are the step double's

    def start_both(self, *worker):
        self.serve(*OPENED)
        self.worker(*OPENED, "--fetch-max-bytes", str(MOST), *worker)


class Fetch(Case):
    def test_a_video_elsewhere_goes_the_whole_way(self):
        self.start_both()
        job = self.fetch("good/clip.mp4?x=y", jobId="k")
        self.assertEqual(self.fetch("good/clip.mp4?x=y", jobId="k"), job)
        done = self.done(job)
        self.assertEqual((done["status"], done["video"], done["videoUrl"]),
                         ("completed", f"fetched/{job}.mp4", self.url("good/clip.mp4?x=y")), done)
        self.assertEqual(done["result"]["size_bytes"], len(CONTENT))
        self.assertEqual(done["progress"]["fetch"]["state"], "completed")
        self.assertEqual(self.copies(), [job + ".mp4"])
        kit.until("an end of the other fetch", lambda: len(self.jobq("list", "--queue", "video.fetch", "--state", "completed")) == 2)
        self.assertEqual(self.elsewhere.asked, ["/good/clip.mp4?x=y"], "a request that is repeated fetches nothing")
        other = self.ask("POST", "/analysis/start", {"videoUrl": self.url("good/other.mp4"), "jobId": "k"})
        self.assertEqual((other.status, other.json["field"]), (422, "jobId"))
        answer = self.ask("POST", "/analysis/start", {"videoPath": f"fetched/{job}.mp4"})
        self.assertEqual((answer.status, answer.json["field"]), (400, "videoPath"))

    def test_what_is_no_video_ends_with_the_reason(self):
        self.start_both()
        for path, word in (("none", "404"), ("page", "text/html"), ("empty", "empty"), ("large", "larger"),
                           ("endless", "larger"), ("moved", "redirects")):
            done = self.done(self.fetch(path + "/clip.mp4"))
            self.assertEqual(done["status"], "failed", path)
            self.assertIn("fetch: videoUrl", done["error"], path)
            self.assertIn(word, done["error"], path)
        self.assertEqual(self.copies(), [], "nothing is left of it")
        self.assertNotIn("/good/clip.mp4", self.elsewhere.asked)

    def test_a_server_that_is_busy_is_asked_again(self):
        self.start_both()
        job = self.fetch("later/clip.webm")
        for _ in range(2):
            kit.until("a failure", lambda: self.row(job, "fetch")["state"] in ("scheduled", "completed"))
            self.advance(60000)
        self.assertEqual(self.done(job)["status"], "completed")
        self.assertEqual(self.row(job, "fetch")["failures"], 2)

    def test_no_longer_than_it_may_take(self):
        self.start_both("--fetch-time", "300")
        job = self.fetch("held/clip.mp4")
        row = kit.until("a failure", lambda: (lambda row: row["failures"] > 0 and row)(self.row(job, "fetch")))
        self.assertIn("videoUrl", row["errors"][-1]["text"])
        self.assertEqual(self.copies(), [])

    def test_a_worker_that_is_killed_leaves_no_half_video(self):
        self.serve(*OPENED)
        worker = self.worker(*OPENED)
        job = self.fetch("held/clip.mp4")
        kit.until("a video that is on its way", lambda: self.copies() == [f".{job}.mp4"])
        worker.kill()
        self.elsewhere.held.set()
        self.worker(*OPENED)
        self.advance(kit.LEASE_MS + 1000)
        self.assertEqual(self.done(job)["result"]["size_bytes"], len(CONTENT))
        self.assertEqual(self.copies(), [job + ".mp4"])

    def test_a_copy_goes_with_its_submission(self):
        self.start_both()
        gone, kept = self.fetch("good/1.mp4"), self.fetch("plain/2")
        for job in (gone, kept):
            self.assertEqual(self.done(job)["status"], "completed")
        for name in self.copies():
            os.utime(os.path.join(self.media, "fetched", name), (time.time() - 7200,) * 2)
        for part in ("report", "probe"):
            self.jobq("drop", self.part(gone, part))
        last = self.fetch("good/3.mp4")
        self.done(last)
        self.assertEqual(self.copies(), sorted([kept, last + ".mp4"]))


    def test_a_copy_is_removed_with_its_submission(self):
        self.start_both()
        gone, kept = self.fetch("good/1.mp4"), self.fetch("plain/2")
        for job in (gone, kept):
            self.assertEqual(self.done(job)["status"], "completed")
        self.assertEqual(self.ask("DELETE", "/analysis/result/" + gone, headers=self.serve_admin()).status, 200)
        self.assertEqual(self.copies(), [kept])
        self.assertEqual(self.jobq("list", "--queue", "video.fetch")[0]["id"], self.part(kept, "fetch"))


class Closed(Case):
    def refused(self, url, word):
        answer = self.ask("POST", "/analysis/start", {"videoUrl": url})
        self.assertEqual((answer.status, answer.json["field"]), (422, "videoUrl"), url)
        self.assertIn(word, answer.json["error"], url)

    def test_nothing_without_the_option(self):
        self.serve()
        self.refused("https://example.org/x.mp4", "--allow-fetch")

    def test_where_nothing_is_fetched_from(self):
        self.serve("--allow-fetch")
        for url, word in (("http://example.org/x", "--fetch-http"), ("https://127.0.0.1/x", "--fetch-allow"),
                          ("https://[::1]/x", "--fetch-allow"), ("https://169.254.169.254/latest", "--fetch-allow"),
                          ("https://0x7f000001/x", "--fetch-allow"), ("https://2130706433/x", "--fetch-allow"),
                          ("https://[::ffff:10.0.0.1]/x", "--fetch-allow"), ("https://user:word@example.org/x", "password"),
                          ("https://", "URL")):
            self.refused(url, word)

    def test_the_address_is_looked_at_when_it_is_connected_to(self):
        """A name says nothing of where it leads: the server takes it, and the worker does not go there."""
        self.serve("--allow-fetch", "--fetch-http")
        self.worker("--allow-fetch", "--fetch-http")
        done = self.done(self.fetch_by_name())
        self.assertEqual(done["status"], "failed")
        self.assertIn("public internet", done["error"])
        self.assertEqual(self.elsewhere.asked, [])

    def fetch_by_name(self):
        answer = self.ask("POST", "/analysis/start", {"videoUrl": self.url("good/x.mp4", "localhost")})
        self.assertEqual(answer.status, 202, answer)
        return answer.json["jobId"]

    def test_a_worker_without_the_option_leaves_it_to_others(self):
        self.serve(*OPENED)
        self.worker()
        job = self.fetch("good/x.mp4")
        self.video()
        self.assertEqual(self.done(self.submit())["status"], "completed")
        self.assertEqual((self.row(job, "fetch")["state"], self.row(job)["state"]), ("ready", "blocked"))
        self.assertEqual(self.elsewhere.asked, [])

    def test_options_that_are_wrong(self):
        for options in (("--fetch-allow", "x"), ("--fetch-max-bytes", "0"), ("--fetch-time", "x")):
            done = subprocess.run([kit.VIDEO, "worker", "--store", self.store, "--media", self.media, *options],
                                  capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(options[0].encode(), done.stderr)


if __name__ == "__main__":
    sys.exit(kit.main())
