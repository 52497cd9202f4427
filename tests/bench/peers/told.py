# SPDX-License-Identifier: MIT
"""What a worker in Python does with a job: it tells the number and when it ran, as peers.py wants to know it."""
import os
import threading
import time

LINES_AT_ONCE, FLUSH_S = 200, 0.05


class Lines:
    """Written some at a time; what is left over, by a thread that begins with the first job."""

    def __init__(self):
        self.alone, self.pending, self.thread = threading.Lock(), [], None

    def add(self, number):
        with self.alone:
            self.pending.append(f'{number} {time.monotonic()}\n')
            if len(self.pending) >= LINES_AT_ONCE:
                self.write()
            if not self.thread:
                self.thread = threading.Thread(target=self.write_for_ever, daemon=True)
                self.thread.start()

    def write(self):
        if self.pending:
            os.write(int(os.environ['JOBQ_PEER_LINES']), ''.join(self.pending).encode())
        self.pending = []

    def write_for_ever(self):
        while True:
            time.sleep(FLUSH_S)
            with self.alone:
                self.write()


LINES = Lines()


def ran(job):
    LINES.add(job['n'])
