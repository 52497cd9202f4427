#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demonstration as a person runs it: equal in the end, five figures beside five targets, nothing left behind."""
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
    def test_demo(self):
        """search-sync: something is killed in the middle, and index and tables are equal"""
        mark = str(os.getpid())
        with tempfile.TemporaryDirectory(prefix='jqd.') as folder:
            done = subprocess.run(['sh', os.path.join(ROOT, 'examples', 'search-sync', 'demo.sh')], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500, check=False,
                                  env={**os.environ, 'JOBQ_BUILD': os.environ.get('JOBQ_BUILD', folder + '/b'), MARK: mark})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(running(mark), [], done.stdout)
        self.assertIn('Nothing was lost.', done.stdout)
        self.assertRegex(done.stdout, r'a consumer was ended by SIGKILL, with [1-9]\d* changes in hand')
        self.assertIn('the index was ended by SIGKILL', done.stdout)
        for figure in ('changes a second .*> 100', 'errors .*< 1 %', 'average time of a change .*< 2000 ms',
                       'deepest the queue was seen .*< 1000', 'stuck in the end .*< 0.1 %'):
            self.assertRegex(done.stdout, '(?m)^  %s +(ok|missed)$' % figure)


if __name__ == '__main__':
    sys.exit(tap.main())
