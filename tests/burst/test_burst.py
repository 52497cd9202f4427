#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The burst in small, on one store: test_burst.py STORE. With JOBQ_TEST_FULL the whole of it."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL = ("--candidates", "4", "--idle", "5", "--costs", "30", "--scale", "400", "--pollers", "12", "--patience", "240")


def main():
    store = sys.argv[1]
    amount = () if os.environ.get("JOBQ_TEST_FULL") else SMALL
    sanitized = ("--sanitized",) if os.environ.get("JOBQ_SANITIZED") else ()
    done = subprocess.run([sys.executable, os.path.join(HERE, "burst.py"), "--store", store, "--json", *amount, *sanitized],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=900, check=False)
    figures = json.loads(done.stdout) if done.stdout else {"wrong": [f"it ended with {done.returncode}"]}
    for text in figures["wrong"]:
        print("# " + text)
    print("# " + done.stdout)
    good = done.returncode == 0 and figures["complete"] == figures["submissions"]
    print(("" if good else "not ") + "ok 1 - a burst on " + store)
    print("1..1")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
