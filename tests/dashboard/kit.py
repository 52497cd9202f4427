# SPDX-License-Identifier: MIT
"""What the dashboard's tests share: a store of each test's own, a server on it, requests, the jobq command."""
import hashlib
import http.client
import itertools
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

JOBQ = os.environ['JOBQ']
DASHBOARD = os.environ['JOBQ_DASHBOARD']
CLOCK = os.environ['JOBQ_CLOCK']
PREFIX = '/api/v1/queue'
LIMIT_S = 60.0
TOKENS = {'viewer-token': 'viewer *', 'operator-token': 'operator *', 'admin-token': 'admin *',
          'one-token': 'admin one', 'two-token': 'admin two'}
NUMBERS = itertools.count(1)

main = tap.main


def until(what, condition):
    """Waits until condition() is true and returns what it was."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError('it did not happen within %.0f s: %s' % (LIMIT_S, what))
        time.sleep(0.02)


def quiet():
    return {k: v for k, v in os.environ.items() if not k.startswith('JOBQ_STORE')}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return '%d %r' % (self.status, self.body[:600])


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='jqd.')
        self.addCleanup(shutil.rmtree, self.folder, True)
        server = os.environ.get('JOBQ_TEST_REDIS') or os.environ.get('JOBQ_TEST_POSTGRES')
        if server:
            space = 'dash_%d_%d' % (os.getpid(), next(NUMBERS))
            self.uri = server + ('&' if '?' in server else '?') + 'namespace=' + space
        else:
            self.uri = 'sqlite:' + os.path.join(self.folder, 'store.db')
        self.jobq('migrate')
        self.audit = os.path.join(self.folder, 'audit.log')
        self.port = 0

    # --- the command

    def jobq(self, *words, stdin=None):
        done = subprocess.run([JOBQ, '-s', self.uri, '--json', *map(str, words)], input=stdin, capture_output=True,
                              timeout=LIMIT_S, check=False, env=quiet())
        self.assertIn(done.returncode, (0, 1), (words, done.stdout, done.stderr))
        return json.loads(done.stdout) if done.stdout.strip() else None

    def enqueue(self, queue='mail', *words):
        return self.jobq('enqueue', queue, *words)['id']

    def kill(self, queue='mail', text='no such host 17', *words):
        """A dead job with this error."""
        job = self.enqueue(queue, *words, '--max-attempts', 1)
        claimed = self.jobq('claim', queue)[0]
        self.assertEqual(claimed['id'], job)
        self.jobq('fail', job, claimed['token'], text)
        return job

    def complete(self, queue='mail', *words):
        job = self.enqueue(queue, *words)
        claimed = self.jobq('claim', queue)[0]
        self.jobq('ack', claimed['id'], claimed['token'], '{}')
        return job

    def advance(self, ms):
        subprocess.run([CLOCK, self.uri, str(ms)], check=True, timeout=LIMIT_S)

    # --- the server

    def token_file(self, tokens=None):
        path = os.path.join(self.folder, 'tokens')
        with open(path, 'w', encoding='ascii') as out:
            for token, who in (tokens or TOKENS).items():
                out.write('%s %s\n' % (who, hashlib.sha256(token.encode()).hexdigest()))
        return path

    def serve(self, *options, tokens=True, port=0):
        words = [DASHBOARD, '-s', self.uri, '--listen', '127.0.0.1:%d' % port, '--audit-log', self.audit]
        if tokens:
            words += ['--token-file', self.token_file()]
        with open(os.path.join(self.folder, 'log'), 'ab') as log:
            process = subprocess.Popen([*words, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                       env=quiet())
        self.addCleanup(self.finish, process)
        line = process.stdout.readline().decode()
        self.assertIn('listening on http://', line, self.log())
        self.port = int(line.rsplit(':', 1)[1])
        return process

    def finish(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        self.assertIn(process.wait(LIMIT_S), (0, -signal.SIGKILL), self.log())
        process.stdout.close()
        self.assertNotIn('Sanitizer', self.log())

    def log(self):
        with open(os.path.join(self.folder, 'log'), encoding='utf-8', errors='replace') as log:
            return log.read()

    def ask(self, method, path, body=None, token='admin-token', headers=None):
        """Below the prefix, unless the path begins with a slash."""
        given = dict(headers or {})
        if token:
            given['Authorization'] = 'Bearer ' + token
        if body is not None:
            body = json.dumps(body).encode()
            given.setdefault('Content-Type', 'application/json')
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LIMIT_S)
        try:
            connection.request(method, path if path.startswith('/') else PREFIX + '/' + path, body, given)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, status=200, **more):
        answer = self.ask('GET', path, **more)
        self.assertEqual(answer.status, status, (path, answer))
        return answer.json

    def post(self, path, body=None, status=200, **more):
        answer = self.ask('POST', path, body, **more)
        self.assertEqual(answer.status, status, (path, body, answer))
        return answer.json

    def act(self, verb, status=200, token='admin-token', **what):
        return self.post('act', {'verb': verb, **what}, status, token=token)

    def entries(self):
        with open(self.audit, encoding='utf-8') as log:
            return [json.loads(line) for line in log]
