#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The whole way with nothing stood in for: real clips, the real step program, the real service, a worker killed."""
import http.server
import json
import os
import subprocess
import sys
import threading
import time

import kit

sys.path.insert(0, os.path.join(kit.ROOT, "tests", "video"))
import footage_kit  # noqa: E402
import onnx  # noqa: E402

SERVICES = os.path.join(kit.ROOT, "examples", "video", "services")
CLIPS = os.path.join(kit.ROOT, "examples", "video", "clips.sh")


class Real(kit.Case):
    def setUp(self):
        super().setUp()
        footage_kit.clips(CLIPS, self.media)
        self.serve()
        self.vision = self.start("vision", ["/usr/bin/python3", os.path.join(SERVICES, "vision.py"), "--listen",
                                            "127.0.0.1:0", "--secret-file", self.secret, "--media", self.media])
        self.vision_url = self.vision.line("listening on ")

    def real_worker(self, *options):
        worker = self.start("worker", [kit.VIDEO, "worker", "--store", self.store, "--media", self.media, "--lease",
                                       "2000", "--services", self.vision_url, "--secret-file", self.secret,
                                       "--callback-url", f"http://127.0.0.1:{self.port}", *options])
        worker.line("working:")
        return worker

    def done(self, job_id):
        return kit.until("an end of " + job_id, lambda: (lambda r: r["status"] != "processing" and r)(
            self.result(job_id)), 240)

    def test_real_footage_and_a_worker_killed(self):
        worker = self.real_worker()
        jobs = {name: self.submit(name + ".mp4") for name in ("interview-1", "pedestrians", "street-spoken")}
        held = kit.until("a step that is held", lambda: [
            row for row in self.jobq("list", "--state", "running")
            if row["queue"] in ("video.speech", "video.quality") and row["worker"].endswith(f":{worker.pid}")])[0]
        worker.kill()
        self.real_worker()
        results = {name: self.done(job)["result"] for name, job in jobs.items()}
        again = self.jobq("show", held["id"])
        self.assertEqual((again["state"], again["attempt"], again["crashes"]), ("completed", 2, 1))
        rows = self.jobq("list", "--limit", "1000")
        self.assertEqual([row["state"] for row in rows], ["completed"] * 24)

        interview = results["interview-1"]["steps"]
        self.assertTrue(results["interview-1"]["complete"])
        self.assertEqual(interview["emotion"]["status"], "not_available")
        self.assertGreater(interview["face"]["face_share"], 0.5)
        self.assertGreater(len(interview["speech"]["words"]), 5)
        self.assertLess(interview["sound"]["loudness_lufs"], -10)
        walkers = results["pedestrians"]["steps"]
        self.assertEqual(walkers["sound"]["status"], "not_available")
        self.assertEqual(walkers["speech"]["status"], "not_available")
        self.assertEqual(walkers["quality"]["status"], "ok")
        self.assertEqual(results["pedestrians"]["media"]["audio"], None)

    def test_emotion_by_a_model_of_the_users(self):
        """A model made here, which says how bright a face is: found, asked, and named in the report."""
        path = os.path.join(self.folder, "bright.onnx")
        with open(path, "wb") as file:
            file.write(onnx.mean_model(32, 32, [[-1.0], [1.0]], [0.5, -0.5]))
        with open(path + ".json", "w", encoding="utf-8") as file:
            json.dump({"classes": ["dark", "bright"], "width": 32, "height": 32, "scale": 1 / 255}, file)
        clip, short = (os.path.join(self.media, name) for name in ("interview-1.mp4", "beginning.mp4"))
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-t", "2", "-i", clip, "-c", "copy", short], check=True)
        self.real_worker("--emotion-model", path)
        report = self.done(self.submit("beginning.mp4"))["result"]["steps"]["emotion"]
        self.assertEqual((report["status"], report["model"]["file"]), ("ok", "bright.onnx"), report)
        self.assertIn(report["faces"][0]["most_often"], ("dark", "bright"))

    def test_what_only_looks_like_a_video(self):
        self.real_worker()
        canary = os.path.join(self.folder, "canary")
        with open(canary, "w", encoding="ascii") as file:
            file.write("the secret of the canary\n")
        asked = []

        class Canary(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_error(404)

            do_HEAD = do_POST = do_GET

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for name, content in (("text.mp4", b"hello\n"), ("random.mp4", os.urandom(5000)),
                              ("list.mp4", f"ffconcat version 1.0\nfile '{canary}'\n".encode()),
                              ("play.m3u8", f"#EXTM3U\n#EXTINF:1,\nfile://{canary}\n#EXT-X-ENDLIST\n".encode()),
                              ("play.mp4", f"#EXTM3U\n#EXTINF:1,\n{url}/part.ts\n#EXT-X-ENDLIST\n".encode()),
                              ("net.mp4", f"ffconcat version 1.0\nfile '{url}/a.mp4'\n".encode()),
                              ("http:x.mp4", b"x"), ("concat:clip.mp4|canary", b"x")):
            self.video(name, content)
            result = self.done(self.submit(name))
            self.assertEqual(result["status"], "failed", f"{name}: {result}")
            self.assertTrue(result["error"].startswith("probe: "), result)
            self.assertNotIn("secret of the canary", str(result))
        self.assertEqual(asked, [])

    def test_the_service_killed_in_the_middle(self):
        self.real_worker()
        self.video_job = self.submit("interview-1.mp4")
        kit.until("face at the service", lambda: self.result(self.video_job)["progress"]["face"]["state"] ==
                  "at the service")
        self.vision.kill()
        self.start("vision2", ["/usr/bin/python3", os.path.join(SERVICES, "vision.py"), "--listen",
                               self.vision_url.replace("http://", ""), "--secret-file", self.secret, "--media",
                               self.media]).line("listening on ")

        def look():
            rows = [self.row(self.video_job, step) for step in ("face", "gesture")]
            for row in rows:
                if row["state"] == "blocked" and row["failures"] == 0:
                    self.advance(11 * 60 * 1000)
            return self.result(self.video_job)["status"] != "processing"
        deadline = time.monotonic() + 240
        while not look():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        result = self.result(self.video_job)
        self.assertTrue(result["result"]["complete"], result)
        self.assertGreaterEqual(self.row(self.video_job, "face")["failures"], 1)


if __name__ == "__main__":
    sys.exit(kit.main())
