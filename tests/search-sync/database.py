# SPDX-License-Identifier: MIT
"""Tables beside a store, in a SQLite file or a Postgres schema of their own, with an outbox on each."""
import itertools
import json
import os
import queue
import sqlite3
import subprocess
import threading

import kit

TABLES = {
    'listings': 'title text, description text, price %s, status text',
    'profiles': 'name text, about text',
    'categories': 'name text',
    'ai_suggestions': 'text text',
}


class Broken(Exception):
    """The database refused; the transaction is to be rolled back."""


class LiteSession:
    def __init__(self, file):
        self.db = sqlite3.connect(file, isolation_level=None, timeout=kit.LIMIT_S, check_same_thread=False)

    def run(self, sql):
        try:
            return [['' if v is None else str(v) for v in row] for row in self.db.execute(sql).fetchall()]
        except sqlite3.Error as error:
            raise Broken(str(error)) from None

    def close(self):
        self.db.close()

    kill = close # what is not committed is rolled back


class PsqlSession:
    """One session of psql that is kept, so that a transaction can be open between two statements."""

    def __init__(self, address, schema):
        self.process = subprocess.Popen(['psql', '-qtAX', '-F', '\t', address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.numbers = itertools.count(1)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.run('SET client_min_messages = error; SET search_path = ' + schema)

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip('\n'))
        self.lines.put(None)

    def run(self, sql):
        mark = '-- end %d' % next(self.numbers)
        self.process.stdin.write('%s;\n\\echo %s\n' % (sql, mark))
        self.process.stdin.flush()
        rows = []
        while True:
            line = self.lines.get(timeout=kit.LIMIT_S)
            if line == mark:
                return rows
            if line is None or line.startswith(('ERROR', 'FATAL', 'psql:')):
                rows.append(line)
                while line is not None and line != mark:
                    line = self.lines.get(timeout=kit.LIMIT_S)
                raise Broken(str(rows[-1]))
            rows.append(line.split('\t'))

    def close(self):
        self.process.stdin.close()
        self.process.wait(kit.LIMIT_S)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Lite:
    price = 'any'

    def __init__(self, folder):
        self.file = os.path.join(folder, 'shop.db')
        self.uri = 'sqlite:' + self.file

    def session(self):
        return LiteSession(self.file)

    def outbox_name(self, table):
        return table

    def drop(self):
        pass

    begin = 'BEGIN IMMEDIATE'


class Postgres:
    price = 'numeric'
    numbers = itertools.count(1)
    begin = 'BEGIN'

    def __init__(self, folder):
        del folder
        self.space = 'shop_%d_%d' % (os.getpid(), next(self.numbers))
        server = os.environ['JOBQ_TEST_POSTGRES']
        self.uri = server + ('&' if '?' in server else '?') + 'namespace=%s_q' % self.space
        self.address = server.replace('postgres:', 'postgresql:', 1)
        session = PsqlSession(self.address, 'public')
        session.run('CREATE SCHEMA %s' % self.space)
        session.close()

    def session(self):
        return PsqlSession(self.address, self.space)

    def outbox_name(self, table):
        return '%s.%s' % (self.space, table)

    def drop(self):
        session = PsqlSession(self.address, 'public')
        session.run('DROP SCHEMA %s CASCADE; DROP SCHEMA %s_q CASCADE' % (self.space, self.space))
        session.close()


KINDS = {'sqlite': Lite, 'postgres': Postgres}


class Shop(kit.Case):
    """The tables, followed, and an index; consumers are started by each test."""

    def setUp(self):
        super().setUp()
        self.database = KINDS[os.environ.get('SEARCH_STORE', 'sqlite')](self.folder)
        self.addCleanup(self.database.drop)
        self.jobq('migrate')
        self.session = self.database.session()
        self.addCleanup(self.session.close)
        for table, columns in TABLES.items():
            if '%s' in columns:
                columns = columns % self.database.price
            self.session.run('CREATE TABLE %s (id text PRIMARY KEY, %s)' % (table, columns))
            self.jobq('outbox', self.database.outbox_name(table), '--queue', 'elasticsearch')
        self.consumers = []
        self.addCleanup(lambda: [c.kill() for c in self.consumers])

    def jobq(self, *words):
        done = subprocess.run([os.environ['JOBQ'], '-s', self.database.uri, '--json', *map(str, words)], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=kit.LIMIT_S)
        if done.returncode:
            raise AssertionError('jobq %s: %s%s' % (words, done.stdout, done.stderr))
        return json.loads(done.stdout) if done.stdout else None

    def advance(self, ms):
        """Moves the store's clock: tests do not wait."""
        subprocess.run([os.environ['JOBQ_CLOCK'], self.database.uri, str(ms)], check=True, timeout=kit.LIMIT_S)

    def jobs(self, *states):
        more = [word for state in states for word in ('--state', state)]
        return self.jobq('list', '--queue', 'elasticsearch', '--limit', '1000', *more)

    def counts(self):
        found = [q for q in self.jobq('stats')['queues'] if q['queue'] == 'elasticsearch']
        return {state: found[0][state] for state in ('ready', 'scheduled', 'running', 'completed', 'dead') if found[0][state]}

    def consumer(self, *words):
        """Begins to work; returns when it does."""
        program = kit.Program(os.path.join(self.folder, 'sync-%d.log' % (len(self.consumers) + 1)),
                              [os.environ['SEARCH_SYNC'], '-s', self.database.uri, '--index', self.index.url, '--listen',
                               '127.0.0.1:0', '--poll', '100', '--pause', '50', '--health-every', '100', *words])
        self.consumers.append(program)
        program.line('working queue')
        return program

    def door(self, program):
        return int(program.line('listening on http://127.0.0.1:'))

    def work(self):
        """A consumer of its own until nothing is left to do."""
        program = kit.Program(
            os.path.join(self.folder, 'drain-%d.log' % len(self.consumers)),
            [os.environ['SEARCH_SYNC'], '-s', self.database.uri, '--index', self.index.url, '--no-http', '--drain', '--poll',
             '100', '--pause', '50'])
        self.consumers.append(program)
        self.assertEqual(program.process.wait(kit.LIMIT_S), 0, program.log())
        return program

    def insert(self, id_, status='active', title='bir', price='1'):
        self.session.run("INSERT INTO listings VALUES ('%s', '%s', 'uzun', %s, '%s')" % (id_, title, price, status))

    def found(self, index='listings'):
        return sorted(self.index.documents(index))

    def history(self, id_=None):
        """Every write that the index took: (id, version), in order."""
        db = sqlite3.connect(self.index.file)
        rows = db.execute('SELECT shelf, id, version FROM history ORDER BY seq').fetchall()
        db.close()
        return [(shelf, found, version) for shelf, found, version in rows if id_ in (None, found)]
