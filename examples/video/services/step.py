#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One step as a program that pulls: the job's payload on standard input, the result on standard output.

    jobq work video.face -s STORE -- /usr/bin/python3 step.py face --media DIR

Exit 0 with a result, also one that says the step was skipped; 1 with the reason on standard error: the job failed.
What it needs to know stands in the payload, so it may run on any machine that has the media folder.
"""
import argparse
import json
import os
import stat
import sys

sys.dont_write_bytecode = True  # the folder may be part of a source tree

import vision   # noqa: E402

STEPS = ("face", "gesture", "emotion")


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--media", required=True, metavar="DIR", help="only files below it are read")
    parser.add_argument("--model", metavar="FILE", help="for the step emotion")
    options = parser.parse_args()
    if (options.step == "emotion") != (options.model is not None):
        parser.error("--model belongs to the step emotion, which has none of its own")
    try:
        path = find(options.media, json.load(sys.stdin))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(error, file=sys.stderr)
        return 1
    vision.limit_memory(vision.MEMORY_LIMIT_BYTES)
    report = vision.once(options.step, path, options.model)
    if report["status"] == "failed":
        print(report["reason"], file=sys.stderr)
        return 1
    json.dump(report, sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
