#!/usr/bin/python3 -SE
# SPDX-License-Identifier: MIT
"""Stands in for jobq-video-step: step_double.py [OPTIONS] STEP FILE.

FILE.control/STEP, if it is there, is a JSON object that says what to do:

    answer    the object to print (default: status ok and the options it was given)
    exit      the status to end with (default 0)
    print     text to print in place of an answer
    progress  lines for the progress descriptor
    wait      do not go on before this file is there
    once      do all of this at the job's first attempt only
    child     leave a child process behind and write its id into this file, before waiting

Each start leaves a line "STEP ATTEMPT PID" in FILE.control.log.
"""
import json
import os
import subprocess
import sys
import time


def main():
    step, path = sys.argv[-2], sys.argv[-1]
    attempt = int(os.environ["JOBQ_ATTEMPT"])
    control = {}
    with open(path + ".control.log", "a", encoding="utf-8") as log:
        log.write(f"{step} {attempt} {os.getpid()}\n")
    try:
        with open(os.path.join(path + ".control", step), encoding="utf-8") as file:
            control = json.load(file)
    except FileNotFoundError:
        pass
    if control.get("once") and attempt > 1:
        control = {}
    if "child" in control:
        child = subprocess.Popen(["sleep", "600"])
        with open(control["child"], "w", encoding="ascii") as file:
            file.write(f"{child.pid}\n")
    for line in control.get("progress", []):
        os.write(int(os.environ["JOBQ_PROGRESS_FD"]), line.encode() + b"\n")
    while "wait" in control and not os.path.exists(control["wait"]):
        time.sleep(0.01)
    if "print" in control:
        sys.stdout.write(control["print"])
    else:
        json.dump(control.get("answer", {"step": step, "status": "ok", "arguments": sys.argv[1:-2]}), sys.stdout)
    return control.get("exit", 0)


if __name__ == "__main__":
    sys.exit(main())
