#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Handlers move money and ack in one transaction while their processes are shot and overtaken (rule 12, S1, S3).

test_ledger.py LEDGER CLOCK

Workers die at any instant, and others are stopped for so long that their leases pass and somebody else takes their
jobs; when they go on, their acks are stale. At the end each transfer has been made exactly once and no money is lost.
"""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'video'))
import tap  # noqa: E402  pylint: disable=wrong-import-position

LEDGER, CLOCK = sys.argv[1:3]
del sys.argv[1:]
FULL = bool(os.environ.get('JOBQ_TEST_FULL'))
TRANSFERS = 20000 if FULL else 3000
WORKERS, ACCOUNTS, AMOUNT = 4, 20, 1000
LEASE_MS = 30000


class Ledger(unittest.TestCase):
    def setUp(self):
        # On a disk: in memory they would be done before they were disturbed often enough.
        self.folder = tempfile.mkdtemp(prefix='jql.', dir='/tmp')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.file = os.path.join(self.folder, 'money.db')
        self.random = random.Random(4711)
        self.workers = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.workers:
            process.kill()
            process.wait()

    def run_ledger(self, *words, check=True):
        done = subprocess.run([LEDGER, self.file, *words], capture_output=True, text=True, timeout=240, check=False)
        if check:
            self.assertEqual((done.returncode, done.stderr), (0, ''), words)
        return done

    def start(self):
        # pylint: disable=consider-using-with
        self.workers.append(subprocess.Popen([LEDGER, self.file, 'work'], stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL))

    def moved(self):
        return int(re.search(r'moved (\d+)', self.run_ledger('check').stdout)[1])

    def pass_leases(self):
        subprocess.run([CLOCK, 'sqlite:' + self.file, str(LEASE_MS + 1000)], check=True, timeout=60)

    def wait_for(self, moved):
        """Until others have got on; not for ever, as the stopped one may hold the lock after all."""
        for _ in range(20):
            if min(moved, TRANSFERS) <= self.moved():
                return
            time.sleep(0.01)

    def work_off(self):
        """What two workers died of waits out its back-off, and a worker that drains does not wait for that."""
        for _ in range(5):
            self.pass_leases()
            self.run_ledger('work')
            if self.moved() >= TRANSFERS:
                return

    def disturb(self):
        """One worker is shot, another stopped until its leases have passed and others had time to take its jobs."""
        victim = self.workers.pop(self.random.randrange(len(self.workers)))
        victim.send_signal(signal.SIGKILL)
        self.assertIn(victim.wait(60), (0, -signal.SIGKILL))
        self.start()
        stopped = self.random.choice(self.workers[:-1])
        before = self.moved()
        stopped.send_signal(signal.SIGSTOP)
        with subprocess.Popen([CLOCK, 'sqlite:' + self.file, str(LEASE_MS + 1000)]) as clock:
            try:
                clock.wait(0.5)
                self.wait_for(before + 20)
            except subprocess.TimeoutExpired:
                pass  # it was stopped with the file locked: nobody can overtake it
            stopped.send_signal(signal.SIGCONT)
            self.assertEqual(clock.wait(60), 0)

    def test_the_sum_is_right(self):
        self.run_ledger('open', str(ACCOUNTS), str(AMOUNT))
        self.run_ledger('order', str(TRANSFERS))
        for _ in range(WORKERS):
            self.start()
        rounds = 0
        while self.moved() < TRANSFERS * 3 // 4:
            self.disturb()
            rounds += 1
            self.assertLess(rounds, 10000)
        self.assertGreater(rounds, 2)
        self.end_all()
        self.work_off()
        self.assertEqual(self.run_ledger('check').stdout,
                         f'accounts {ACCOUNTS} sum {ACCOUNTS * AMOUNT}\n'
                         f'ordered {TRANSFERS} completed {TRANSFERS} moved {TRANSFERS} twice 0\n')

    def test_an_order_that_fails_orders_nothing(self):
        self.assertEqual(self.run_ledger('order', '5', check=False).returncode, 1)
        self.run_ledger('open', '3', '10')
        self.assertEqual(self.run_ledger('check').stdout,
                         'accounts 3 sum 30\nordered 0 completed 0 moved 0 twice 0\n')

    def test_what_is_wrong_is_said(self):
        for words in (['dance'], [], ['open', '1'], ['open', 'some', '10'], ['open', '3', '-1'], ['order', '5x'],
                      ['order', '']):
            done = self.run_ledger(*words, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertTrue(done.stderr.startswith('ledger: usage'), done.stderr)


if __name__ == '__main__':
    sys.exit(tap.main())
