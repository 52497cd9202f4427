# SPDX-License-Identifier: MIT
"""What the tests of the command share: the command, a store of each test's own, deadlines, TAP.

The environment names what was built: JOBQ (the command) and JOBQ_CLOCK (moves a store's clock). test_servers.py runs the
same cases on servers, whose addresses are in JOBQ_TEST_REDIS and JOBQ_TEST_POSTGRES.
"""
import base64
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

JOBQ = os.environ['JOBQ']
CLOCK = os.environ['JOBQ_CLOCK']
ENGINES = {'sqlite': 'sqlite', 'redis': 'redis|valkey', 'postgres': 'postgres'} # as they call themselves

OK, REFUSED, USAGE, NOT_FOUND, STORE, TIME, UNKNOWN = range(7)
ALL_BYTES = bytes(range(256)) * 3 + b'\0\xff'
NO_ID = '0' * 31 + '1'
DEADLINE_S = 60 * float(os.environ.get('JOBQ_TEST_PATIENCE', '1'))


class Answer:
    """What a command said. json is parsed when it is first looked at."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode('utf-8', 'replace')

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def text(self):
        return self.out.decode()

    def __repr__(self):
        return 'exit %d\n%s\n%s' % (self.code, self.out[:2000], self.err[:2000])


def quiet():
    """The environment without a store that somebody set."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('JOBQ_STORE')}
    env.pop('TRACEPARENT', None)
    return env


def bytes_of(job, name):
    """The bytes of a field, in whichever of its two forms."""
    if name + '_base64' in job:
        assert job[name] is None
        return base64.b64decode(job[name + '_base64'], validate=True)
    return None if job[name] is None else job[name].encode()


def on_servers(test):
    """Also an everyday run asks this on servers."""
    test.on_servers = True
    return test


def on_server(*stores):
    """As on_servers, of these only."""
    def mark(test):
        test.stores = stores
        return on_servers(test)
    return mark


def of_a_file(test):
    """Says something about a file: never asked on a server."""
    test.of_a_file = True
    return test


def with_option(uri, option):
    return uri + ('&' if '?' in uri else '?') + option


def quoted(word):
    """As doctor quotes it."""
    bare = all(c.isascii() and (c.isalnum() or c in '_-./:@%+=,') for c in word)
    return word if word and bare else "'%s'" % word.replace("'", "'\\''")


class Case(unittest.TestCase):
    """Each test has a folder and a store: a file in it, or a namespace of a server."""

    store = 'sqlite'
    numbers = itertools.count(1)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='jobq-cli-')
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.file = os.path.join(self.folder, 'store.db')
        self.server = 'sqlite:' + self.file
        self.space = 'jobq'
        self.uri = self.server
        if self.store != 'sqlite':
            self.server = os.environ['JOBQ_TEST_' + self.store.upper()]
            self.space = 'cli_%d_%d' % (os.getpid(), next(self.numbers))
            self.uri = self.beside(self.space)
        self.started = []
        self.addCleanup(self.end_all)

    def beside(self, space):
        """The URI of another namespace of the same file or server."""
        return with_option(self.server, 'namespace=' + space)

    def path(self, name, content=None, mode=0o644):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, 'wb') as out:
                out.write(content.encode() if isinstance(content, str) else content)
            os.chmod(path, mode)
        return path

    def script(self, name, text):
        return self.path(name, '#!/bin/sh\n' + text, 0o755)

    # --- running ---

    def run_at(self, uri, *words, stdin=b'', env=None, **more):
        command = (
            [JOBQ] + (['-s', uri] if uri else []) + [str(w) if not isinstance(w, bytes) else w for w in words]
        )
        return Answer(
            subprocess.run(
                command,
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**quiet(), **(env or {})},
                timeout=DEADLINE_S,
                check=False,
                **more
            )
        )

    def jobq(self, *words, code=OK, **more):
        """Runs it on the test's store and expects this exit code."""
        answer = self.run_at(self.uri, *words, **more)
        self.assertEqual(answer.code, code, 'jobq %s: %r' % (' '.join(map(str, words)), answer))
        return answer

    def json(self, *words, **more):
        return self.jobq('--json', *words, **more).json

    def enqueue(self, queue='q', *words, **more):
        return self.json('enqueue', queue, *words, **more)['id']

    def claim(self, queue='q', *words):
        jobs = self.json('claim', queue, *words)
        self.assertEqual(len(jobs), 1)
        return jobs[0]['id'], jobs[0]['token']

    def show(self, job):
        return self.json('show', job)

    def counts(self, queue='q'):
        """Rows by state, without the zeros."""
        for q in self.json('stats')['queues']:
            if q['queue'] == queue:
                return {
                    s: q[s]
                    for s in ('blocked', 'scheduled', 'ready', 'running', 'completed', 'dead', 'cancelled')
                    if q[s]
                }
        return {}

    def advance(self, ms, uri=None):
        """Moves the store's clock: tests do not wait."""
        subprocess.run([CLOCK, uri or self.uri, str(ms)], check=True, timeout=DEADLINE_S)

    def set_schema(self, version):
        """The store says that it was written by another version of the library. Returns what it said before."""
        if self.store == 'redis':
            return self.set_schema_of_redis(version)
        if self.store == 'postgres':
            return self.set_schema_of_postgres(version)
        db = sqlite3.connect(self.file)
        with db:
            old = db.execute('select version from jobq_meta').fetchone()[0]
            db.execute('update jobq_meta set version = ?', (version,))
        db.close()
        return old

    def set_schema_of_redis(self, version):
        socket = self.server[len('redis+unix://'):].split('?')[0]
        say = lambda *words: subprocess.run(
            [shutil.which('redis-cli') or 'valkey-cli', '-s', socket, *words], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        key = '{%s}:meta' % self.space
        old = say('HGET', key, 'version')
        say('HSET', key, 'version', str(version))
        return int(old)

    def set_schema_of_postgres(self, version):
        meta = '%s.meta' % self.space
        text = 'SELECT version FROM %s; UPDATE %s SET version = %d' % (meta, meta, version)
        said = subprocess.run(
            ['psql', '-qtA', self.server.replace('postgres:', 'postgresql:', 1), '-c', text],
            check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        return int(said.split()[0])

    # --- processes ---

    def start(self, *words, uri=None, env=None, **more):
        """jobq in the background; ended at the end of the test."""
        process = subprocess.Popen(
            [JOBQ, '-s', uri or self.uri] + [str(w) for w in words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**quiet(), **(env or {})},
            **more
        )
        self.started.append(process)
        return process

    def ended(self, process):
        """Its exit code."""
        process.communicate(timeout=DEADLINE_S)
        return process.returncode

    def end_all(self):
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()

    def until(self, question, what):
        """Asks until the answer is true. Each question takes its time: a command, a look at a file."""
        end = time.monotonic() + DEADLINE_S
        while True:
            answer = question()
            if answer:
                return answer
            if time.monotonic() > end:
                self.fail('it never came to this: ' + what)

    def until_exists(self, path):
        return self.until(lambda: os.path.exists(path) and os.path.getsize(path), path)

    def until_worker(self, uri=None):
        """A worker has announced itself; its record."""

        def workers():
            answer = self.run_at(uri or self.uri, '--json', 'stats')
            return answer.code == OK and [w for w in answer.json['workers'] if w['alive']]

        return self.until(workers, 'a living worker')[0]


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.count = 0

    def line(self, good, test, detail=''):
        self.count += 1
        words = (test.shortDescription() or test.id()).replace('#', ' ')
        if test.store != 'sqlite':
            words += ' (%s)' % test.store
        print('%sok %d - %s' % ('' if good else 'not ', self.count, words))
        for text in detail.splitlines():
            print('# ' + text)
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(True, test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.count += 1
        print('ok %d - %s # SKIP %s' % (self.count, test.shortDescription() or test.id(), reason), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(False, test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line(False, test, self.errors[-1][1])


def main(module='__main__'):
    run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[module]))


def run(suite):
    result = TapResult()
    print('1..%d' % suite.countTestCases(), flush=True)
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() and result.count else 1)
