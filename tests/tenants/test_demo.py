#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demonstration as a person runs it, on each store: one record for each mail, and nothing left behind."""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'video'))
import tap  # noqa: E402  pylint: disable=wrong-import-position

MARK = 'JOBQ_DEMO_MARK'


def running(mark):
    """Processes that carry the mark in their environment, but for this one."""
    found = []
    for name in glob.glob('/proc/[0-9]*/environ'):
        try:
            with open(name, 'rb') as file:
                marked = ('%s=%s' % (MARK, mark)).encode() in file.read().split(b'\0')
        except OSError:
            continue
        if marked and int(name.split('/')[2]) != os.getpid():
            found.append(name)
    return found


class Demo(unittest.TestCase):
    def demonstrate(self, store):
        mark = '%s-%d' % (store, os.getpid())
        with tempfile.TemporaryDirectory(prefix='jqd.') as folder:
            done = subprocess.run(['sh', os.path.join(ROOT, 'examples', 'tenants', 'demo.sh'), '--store', store], check=False,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=1500,
                                  env={**os.environ, 'JOBQ_BUILD': os.environ.get('JOBQ_BUILD', folder + '/b'), MARK: mark})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(running(mark), [], done.stdout)
        self.assertIn('Nothing was lost, and nobody has two records.', done.stdout)
        self.assertRegex(done.stdout, r'the worker was ended by SIGKILL when [1-9]\d* had arrived')
        self.assertIn('taken: 10; then: Rate limit exceeded: 10 jobs/minute', done.stdout)
        self.assertRegex(done.stdout, r'(?m)^  webhook +order.created 1 signed$')
        return done.stdout

    def test_demo(self):
        """tenants on SQLite"""
        self.demonstrate('sqlite')

    def test_on_redis(self):
        """and on Redis, which says what it cannot do"""
        self.assertIn('Redis cannot take part in a transaction', self.demonstrate('redis'))

    def test_on_postgres(self):
        """and on Postgres"""
        self.demonstrate('postgres')


if __name__ == '__main__':
    sys.exit(tap.main())
