# SPDX-License-Identifier: MIT
"""What the tests with real footage share: the clips, made once by all of them; and vision.py without loading OpenCV again."""
import fcntl
import os
import shutil
import subprocess
import sys


def clips(script, folder):
    """Puts the clips into `folder`. They are made where the demonstration keeps them, by the first who wants them."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", "/tmp"), ".cache")
    place = os.path.join(cache, "jobq", "clips")
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(cache, "jobq", "clips.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["sh", script, place], check=True, stdout=subprocess.DEVNULL)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(place):
        if name.endswith(".mp4"):
            shutil.copy(os.path.join(place, name), folder)


class Vision:
    """vision.py in children of this process, which has loaded OpenCV: most of a short analysis is loading it."""

    def __init__(self, program):
        sys.path.insert(0, os.path.dirname(program))
        import step_face    # pylint: disable=import-outside-toplevel
        import step_gesture  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
        import vision       # pylint: disable=import-outside-toplevel
        step_face.load_cv2()
        self.main = vision.main

    def once(self, step, path, cwd=None):
        """(exit status, what it printed)"""
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            status = 70
            try:
                os.dup2(write_end, 1)
                os.chdir(cwd or ".")
                sys.stdout = os.fdopen(1, "w")
                status = self.main(["--once", step, os.fsdecode(path)])
                sys.stdout.flush()
            finally:
                os._exit(status)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as said:
            text = said.read()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text
