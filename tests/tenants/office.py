# SPDX-License-Identifier: MIT
"""What the tests of jobq-tenants share: a store of their own, receivers, the program.  TENANTS_STORE is sqlite (default),
redis or postgres; where the store can have no tables they are in a SQLite file."""
import datetime
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'search-sync'))
import kit  # noqa: E402  pylint: disable=wrong-import-position
from receivers import Mailbox, Receiver  # noqa: E402  pylint: disable=wrong-import-position

STORE = os.environ.get('TENANTS_STORE', 'sqlite')
TEMPLATES = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'examples', 'tenants', 'templates')
SECRET = 'not-a-secret'
numbers = itertools.count(1)
main = kit.main
until = kit.until


def psql(address, sql):
    sql = 'SET client_min_messages = error; ' + sql
    done = subprocess.run(['psql', '-qtAX', '-F', '\t', '-v', 'ON_ERROR_STOP=1', address, '-c', sql], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=kit.LIMIT_S)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [line.split('\t') for line in done.stdout.splitlines()]


class Office(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='jqt.')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.programs = []
        self.open_store()
        self.addCleanup(lambda: [p.kill() for p in self.programs])
        self.tenants('setup')
        self.secret_file = self.file('secret', SECRET)

    def open_store(self):
        space = 't%d_%d' % (os.getpid(), next(numbers))
        self.database = []
        if STORE == 'sqlite':
            self.uri = 'sqlite:%s/store.db' % self.folder
            self.sql = self.sql_lite(os.path.join(self.folder, 'store.db'))
        elif STORE == 'redis':
            server = os.environ['JOBQ_TEST_REDIS']
            self.uri = server + ('&' if '?' in server else '?') + 'namespace=' + space
            self.database = ['--database', 'sqlite:%s/tables.db' % self.folder]
            self.sql = self.sql_lite(os.path.join(self.folder, 'tables.db'))
        else:
            server = os.environ['JOBQ_TEST_POSTGRES']
            self.uri = server + '&options=-csearch_path%%3D%s&namespace=%s_q' % (space, space)
            address = (server + '&options=-csearch_path%%3D%s' % space).replace('postgres:', 'postgresql:', 1)
            psql(address, 'CREATE SCHEMA ' + space)
            self.addCleanup(psql, address, 'DROP SCHEMA %s CASCADE; DROP SCHEMA IF EXISTS %s_q CASCADE' % (space, space))
            self.sql = lambda text: psql(address, text)

    @staticmethod
    def sql_lite(file):
        def run(text):
            db = sqlite3.connect(file, timeout=kit.LIMIT_S)
            try:
                # The queue's own connections move the log into the file.
                db.execute('PRAGMA wal_autocheckpoint = 0')
                with db:
                    return [['' if v is None else str(v) for v in row] for row in db.execute(text).fetchall()]
            finally:
                db.close()
        return run

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'wb') as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, 0o600)
        return path

    # ---- receivers ----

    def mailbox(self):
        box = Mailbox()
        self.addCleanup(box.close)
        return box

    def receiver(self, answer=None):
        receiver = Receiver(answer)
        self.addCleanup(receiver.close)
        return receiver

    # ---- the program ----

    def arguments(self, *words):
        return [os.environ['TENANTS'], '-s', self.uri, *self.database, *map(str, words)]

    def call(self, *words, status=0, env=None):
        done = subprocess.run(self.arguments(*words), check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=kit.LIMIT_S, env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done

    def tenants(self, *words, status=0):
        done = self.call(*words, status=status)
        return json.loads(done.stdout) if done.stdout else None

    def put(self, queue, tenant, **data):
        return self.tenants('put', queue, tenant, json.dumps(data))

    def mail(self, tenant, to, subject='subject', body='body', **more):
        return self.put('email', tenant, to=to, subject=subject, body=body, **more)['job_id']

    def hook(self, id_, tenant, event, url):
        self.tenants('hook', id_, tenant, event, url, self.secret_file)

    def event(self, tenant, event, payload, *id_):
        return self.tenants('event', tenant, event, json.dumps(payload), *id_)

    def worker(self, *words):
        """Begins to work; returns when it does."""
        program = kit.Program(os.path.join(self.folder, 'work-%d.log' % len(self.programs)),
                              self.arguments('--poll', '100', '--lease', '5000', *words, 'work'))
        self.programs.append(program)
        program.line('working')
        return program

    def work(self, *words, status=0):
        """Until nothing is left to do; returns what it said."""
        program = kit.Program(os.path.join(self.folder, 'drain-%d.log' % next(numbers)),
                              self.arguments('--poll', '100', '--lease', '5000', '--drain', *words, 'work'))
        self.programs.append(program)
        self.assertEqual(program.process.wait(kit.LIMIT_S), status, program.log())
        return program.log()

    # ---- the queue ----

    def jobq(self, *words):
        done = subprocess.run([os.environ['JOBQ'], '-s', self.uri, '--json', *map(str, words)], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=kit.LIMIT_S)
        if done.returncode:
            raise AssertionError('jobq %s: %s%s' % (words, done.stdout, done.stderr))
        return json.loads(done.stdout) if done.stdout else None

    def advance(self, ms):
        """Moves the store's clock: tests do not wait."""
        subprocess.run([os.environ['JOBQ_CLOCK'], self.uri, str(ms)], check=True, timeout=kit.LIMIT_S)

    @staticmethod
    def ms(instant):
        """Of one as JSON has it."""
        return round(datetime.datetime.fromisoformat(instant.replace('Z', '+00:00')).timestamp() * 1000)

    def show(self, id_):
        return self.jobq('show', id_)

    def jobs(self, queue, *states):
        more = [word for state in states for word in ('--state', state)]
        return self.jobq('list', '--queue', queue, '--limit', '1000', *more)

    def result(self, id_):
        job = self.show(id_)
        self.assertEqual(job['state'], 'completed', job)
        return json.loads(job['result'])
