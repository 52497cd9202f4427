# SPDX-License-Identifier: MIT
"""What the tests of search-sync share: an index of their own, requests, programs that are ended, waiting.

Nothing here sleeps for a fixed time: it is waited until something is so, with a limit far beyond what it takes.
"""
import http.client
import urllib.parse
import json
import os
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

INDEX = os.environ.get('SEARCH_INDEX') # other systems' tests use the rest
LIMIT_S = 60.0 * float(os.environ.get('JOBQ_TEST_PATIENCE', '1'))

main = tap.main


def until(what, condition, limit_s=LIMIT_S):
    """Waits until condition() is true and returns what it was."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError('it did not happen within %d s: %s' % (limit_s, what))
        time.sleep(0.02)


class Program:
    """A program in the background; what it says is in a file."""

    def __init__(self, log_name, arguments, env=None):
        self.log_name = log_name
        self.arguments = arguments
        with open(log_name, 'ab') as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(env or {})}, start_new_session=True)

    def log(self):
        with open(self.log_name, encoding='utf-8', errors='replace') as log:
            return log.read()

    def line(self, start, at_least=1):
        """Waits for so many lines that begin so; returns the rest of the newest one."""
        def look():
            if self.process.poll() is not None:
                raise AssertionError('it ended with %d: %s' % (self.process.returncode, self.log()))
            found = [line[len(start):] for line in self.log().splitlines() if line.startswith(start)]
            return len(found) >= at_least and found[-1:]
        return until("a line '%s'" % start, look)[0]

    def kill(self):
        """At once, wherever it is."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Asks to end; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError('it did not end on SIGTERM: ' + self.log()) from None
        return self.process.returncode


class Answer:
    def __init__(self, status, body):
        self.status, self.body = status, body
        self.json = json.loads(body) if body else None

    def __repr__(self):
        return '%d %r' % (self.status, self.body)


def ask(port, method, path, body=None, headers=None):
    """Sends one request. body: bytes, or what becomes JSON."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=LIMIT_S)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    connection.request(method, path, body, {'Content-Type': 'application/json', **(headers or {})})
    answer = connection.getresponse()
    try:
        return Answer(answer.status, answer.read())
    finally:
        connection.close()


class Index:
    """The index server on a file; it can be killed and come back at the same port."""

    def __init__(self, folder):
        self.folder, self.port, self.program, self.starts = folder, 0, None, 0
        self.file = os.path.join(folder, 'index.db')

    def start(self):
        self.starts += 1
        self.program = Program(os.path.join(self.folder, 'index.log'),
                               [INDEX, self.file, '--listen', '127.0.0.1:%d' % self.port, '--history', '--faults'])
        self.port = int(self.program.line('listening on http://127.0.0.1:', self.starts))
        return self

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    def kill(self):
        self.program.kill()

    def ask(self, method, path, body=None):
        return ask(self.port, method, path, body)

    def bulk(self, *lines):
        body = b''.join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b'\n' for line in lines)
        return self.ask('POST', '/_bulk', body)

    def documents(self, index):
        """id -> (version, source)."""
        found = self.ask('GET', '/%s/_search?size=10000' % index)
        if found.status == 404:
            return {}
        return {hit['_id']: (hit['_version'], hit['_source']) for hit in found.json['hits']['hits']}


class Case(unittest.TestCase):
    """A folder, an index, and whatever is started, all gone afterwards."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='jqs.')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.index = Index(self.folder).start()
        self.addCleanup(lambda: self.index.program.kill())
