#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""serve --alert: a program is told what is wrong, once when it begins and once when it is over."""
import hashlib
import json
import os
import subprocess
import sys

import kit

HOOK = """#!/bin/sh
[ -e {folder}/refuse ] && {{ echo no thank you >&2; rm {folder}/refuse; exit 1; }}
cat >>{folder}/told
echo >>{folder}/told
"""


class Alert(kit.Case):
    def setUp(self):
        super().setUp()
        self.hook = os.path.join(self.folder, "hook.sh")
        with open(self.hook, "w", encoding="ascii") as file:
            file.write(HOOK.format(folder=self.folder))
        os.chmod(self.hook, 0o755)

    def told(self):
        try:
            with open(os.path.join(self.folder, "told"), encoding="utf-8") as file:
                return [json.loads(line) for line in file.read().splitlines() if line]
        except OSError:
            return []

    def put(self, queue, count):
        """Many at once: as an export has them."""
        job = {"item": "job", "queue": queue, "kind": queue, "state": 2, "due": 1, "created_at_ms": 1, "run_at_ms": 1, "payload": "x"}
        mark = hashlib.sha256(queue.encode()).hexdigest()[:24]
        lines = [{"jobq_export": 1}, *({**job, "id": f"{mark}{i:08x}"} for i in range(count)), {"jobq_end": count}]
        done = subprocess.run([kit.JOBQ, "import", "--store", self.store], input="".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines),
                              text=True, capture_output=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def states(self, alert, queue):
        return [one["state"] for one in self.told() if (one["alert"], one["queue"]) == (alert, queue)]

    def test_more_than_a_thousand_wait(self):
        """At a thousand nothing is said."""
        self.serve("--alert", self.hook, "--alert-every", "100")
        self.put("letters", 1000)
        self.put("parcels", 1001)
        kit.until("it is told", lambda: self.states("pending", "parcels"))
        one = next(one for one in self.told() if one["alert"] == "pending")
        self.assertEqual((one["state"], one["value"], one["limit"]), ("raised", 1001, 1000))
        self.assertIn("parcels", self.server.line("ALERT raised pending "))
        self.assertTrue(one["issue"] and one["recommendation"] and one["since"], one)
        self.jobq("drop", "--queue", "parcels", "--state", "ready")
        kit.until("it is told to be over", lambda: len(self.states("pending", "parcels")) > 1)
        self.assertEqual(self.states("pending", "parcels"), ["raised", "cleared"])
        self.assertEqual(self.states("pending", "letters"), [])

    def test_something_has_failed(self):
        """Nobody is told twice, however often is looked; a program that fails is run again."""
        with open(os.path.join(self.folder, "refuse"), "wb"):
            pass
        self.jobq("enqueue", "letters", "x", "--max-attempts", "1")
        subprocess.run([kit.JOBQ, "work", "letters", "--store", self.store, "--drain", "--", "/bin/false"],
                       stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        self.serve("--alert", self.hook, "--alert-every", "100")
        kit.until("it is told", lambda: self.states("errors", "letters"))
        self.assertIn("no thank you", self.server.log())
        self.assertEqual(self.server.log().count("was not told"), 1, self.server.log())
        self.put("other", 1001)
        kit.until("a later look", lambda: self.states("pending", "other"))
        self.assertEqual(self.states("errors", "letters"), ["raised"])

    def test_no_such_program(self):
        done = subprocess.run([kit.VIDEO, "serve", "--store", self.store, "--media", self.media, "--alert", "/nowhere"],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--alert /nowhere: there is no such program", done.stderr)

    def test_a_program_that_hangs_does_not_hold_the_end_up(self):
        with open(self.hook, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\ntouch {self.folder}/hangs\nsleep 600\n")
        self.put("parcels", 1001)
        self.serve("--alert", self.hook)
        kit.until("it runs", lambda: os.path.exists(os.path.join(self.folder, "hangs")))
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    sys.exit(kit.main())
