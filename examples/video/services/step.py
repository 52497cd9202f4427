#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One step as a program that pulls: the job's payload on standard input, the result on standard output.

    jobq work video.face -s STORE -- /usr/bin/python3 step.py face --media DIR

Exit 0 with a result, also one that says the step was skipped; 1 with the reason on standard error: the job failed.
What it needs to know stands in the payload, so it may run on any machine that has the media folder.

Or for orders, with a worker under --services face=queue: then the result, whatever it says, is put as a job into the
queue that the orchestrator drains, and exit 0 says no more than that it was put:

    jobq work video.face.orders -s STORE -- /usr/bin/python3 step.py face --media DIR --results STORE
"""
import argparse
import json
import os
import stat
import subprocess
import sys

sys.dont_write_bytecode = True  # the folder may be part of a source tree

import vision   # noqa: E402

STEPS = ("face", "gesture", "emotion")
RESULTS = "video.results"
HOLD = "24h"  # longer than an order may be tried again


def find(media, payload):
    """The file, which must be below the media folder and the one that was hashed."""
    media = os.path.realpath(media)
    path = os.path.realpath(os.path.join(media, payload["video"]))
    if not path.startswith(media.rstrip("/") + "/"):
        raise ValueError("the file is outside the media folder")
    facts = os.stat(path)
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("it is not a regular file")
    if (facts.st_size, facts.st_mtime_ns) != (payload["size_bytes"], payload["modified_ns"]):
        raise ValueError("the file has changed since it was hashed")
    return path


def analyse(options, payload):
    """The report; one that failed where the payload is at fault."""
    try:
        path = find(options.media, payload)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {"step": options.step, "status": "failed", "reason": str(error)}
    vision.limit_memory(vision.MEMORY_LIMIT_BYTES)
    return vision.once(options.step, path, options.model)


def put(options, payload, report):
    """The result as a job, once for each order however often it is put; what is wrong, or None."""
    body = json.dumps({"jobId": payload["jobId"], "callback": payload["callback"], "result": report}, separators=(",", ":"))
    done = subprocess.run([options.jobq, "enqueue", RESULTS, "-", "-s", options.results, "--key", payload["callback"],
                           "--hold", "window", "--window", HOLD],
                          input=body.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    return done.stderr.decode(errors="replace") if done.returncode else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--media", required=True, metavar="DIR", help="only files below it are read")
    parser.add_argument("--model", metavar="FILE", help="for the step emotion")
    parser.add_argument("--results", metavar="STORE", help="put the result there, as a job, @FILE reads the address")
    parser.add_argument("--jobq", default="jobq", metavar="FILE", help="the command that puts it")
    options = parser.parse_args()
    if (options.step == "emotion") != (options.model is not None):
        parser.error("--model belongs to the step emotion, which has none of its own")
    try:
        payload = json.load(sys.stdin)
        order = {name: payload[name] for name in ("jobId", "callback")} if options.results else None
    except (ValueError, KeyError, TypeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    report = analyse(options, payload)
    if order:
        problem = put(options, order, report)
    else:
        problem = report["reason"] if report["status"] == "failed" else None
        if not problem:
            json.dump(report, sys.stdout, separators=(",", ":"))
    if problem is not None:
        print(problem, file=sys.stderr)
    return 0 if problem is None else 1


if __name__ == "__main__":
    sys.exit(main())
