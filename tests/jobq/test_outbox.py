#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""jobq outbox: a job for each change of a table's rows, in the transaction that changes them."""
import json
import sqlite3
import subprocess

import tool
from tool import NOT_FOUND, USAGE, of_a_file, on_server


class Database(tool.Case):
    """A table of the program's own beside the store."""

    def setUp(self):
        super().setUp()
        self.table = 'listings'
        self.where = ''
        self.jobq('migrate')
        if self.store == 'postgres':
            self.where = self.space + '_app.'
            self.sql('CREATE SCHEMA %s_app' % self.space)
            self.addCleanup(self.sql, 'DROP SCHEMA %s_app CASCADE' % self.space)
        self.sql('CREATE TABLE %slistings (id text PRIMARY KEY, title text, price double precision)' % self.where)

    def run_sql(self, *statements, role=None):
        """In one session; what psql or sqlite3 complained about in .err, rows as lists of text in .rows."""
        if self.store == 'postgres':
            return self.run_psql(statements, role)
        answer = type('Answer', (), {'err': '', 'rows': []})()
        db = sqlite3.connect(self.file, isolation_level=None, timeout=tool.DEADLINE_S)
        try:
            for statement in statements:
                answer.rows = [['' if v is None else str(v) for v in row] for row in db.execute(statement).fetchall()]
        except sqlite3.Error as error:
            answer.err = str(error)
        db.close()
        return answer

    def run_psql(self, statements, role):
        words = ['psql', '-qtAX', '-F', '\t', '-v', 'ON_ERROR_STOP=1', self.server.replace('postgres:', 'postgresql:', 1)]
        before = ['SET client_min_messages = error'] + (['SET ROLE ' + role] if role else [])
        for statement in before + list(statements):
            words += ['-c', statement]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              timeout=tool.DEADLINE_S)
        answer = type('Answer', (), {'err': done.stderr if done.returncode else ''})()
        answer.rows = [line.split('\t') for line in done.stdout.splitlines()]
        return answer

    def sql(self, *statements):
        answer = self.run_sql(*statements)
        self.assertEqual(answer.err, '', statements)
        return answer.rows

    def follow(self, *words, table=None):
        return self.jobq('outbox', self.where + (table or self.table), '--queue', 'elasticsearch', *words)

    def changes(self):
        """What the jobs say, in the order of their versions."""
        jobs = self.json('list', '--queue', 'elasticsearch', '--limit', '1000')
        return sorted((json.loads(job['payload']) for job in jobs), key=lambda change: change['version'])


class Outbox(Database):
    @on_server('postgres')
    def test_changes(self):
        """outbox: insert keeps the new row, update both, delete the old one; versions rise"""
        self.follow()
        self.sql("INSERT INTO %slistings VALUES ('a', 'çay', 1.5)" % self.where,
                 "UPDATE %slistings SET price = NULL" % self.where,
                 "DELETE FROM %slistings" % self.where)
        first, second = {'id': 'a', 'title': 'çay', 'price': 1.5}, {'id': 'a', 'title': 'çay', 'price': None}
        found = self.changes()
        self.assertEqual([(c['operation'], c['change_data']) for c in found],
                         [('INSERT', first), ('UPDATE', {'old': first, 'new': second}), ('DELETE', second)])
        self.assertEqual({(c['table_name'], c['record_id']) for c in found}, {('listings', 'a')})
        versions = [c['version'] for c in found]
        self.assertEqual(versions, sorted(set(versions)))
        self.assertGreater(versions[0], 1 << 50)
        self.assertLess(versions[-1], 1 << 53)
        jobs = self.json('list', '--queue', 'elasticsearch')
        self.assertEqual({job['kind'] for job in jobs}, {'change'})
        self.assertEqual({job['state'] for job in jobs}, {'ready'})

    @on_server('postgres')
    def test_transactions(self):
        """outbox: a job commits or rolls back with its row"""
        self.follow()
        insert = "INSERT INTO %slistings VALUES ('%%s', 't', 1)" % self.where
        self.sql('BEGIN', insert % 'a', insert % 'b', 'ROLLBACK')
        self.assertEqual(self.changes(), [])
        self.assertEqual(self.counts('elasticsearch'), {})
        self.sql('BEGIN', insert % 'c', insert % 'd', 'COMMIT')
        self.sql('BEGIN', insert % 'e', 'SAVEPOINT s', insert % 'f', 'ROLLBACK TO s', 'COMMIT')
        self.assertEqual([c['record_id'] for c in self.changes()], ['c', 'd', 'e'])
        self.assertEqual(self.counts('elasticsearch'), {'ready': 3})
        self.assertEqual([r[0] for r in self.sql('SELECT id FROM %slistings ORDER BY id' % self.where)], ['c', 'd', 'e'])
        broken = self.run_sql('BEGIN', insert % 'g', insert % 'a_row_that_is_there_twice',
                              insert % 'a_row_that_is_there_twice')
        self.assertNotEqual(broken.err, '')
        self.assertEqual(len(self.changes()), 3)

    @on_server('postgres')
    def test_identity(self):
        """outbox: a row whose identity changes is two records; a row without one is refused"""
        self.follow('--column', 'title')
        self.sql("INSERT INTO %slistings VALUES ('a', 'one', 1)" % self.where,
                 "UPDATE %slistings SET title = 'two'" % self.where)
        self.assertEqual([(c['operation'], c['record_id']) for c in self.changes()],
                         [('INSERT', 'one'), ('DELETE', 'one'), ('UPDATE', 'two')])
        answer = self.run_sql("INSERT INTO %slistings VALUES ('b', NULL, 1)" % self.where)
        self.assertIn('identity', answer.err)
        self.assertEqual(len(self.sql('SELECT id FROM %slistings' % self.where)), 1)

    @on_server('postgres')
    def test_worked(self):
        """outbox: its jobs are claimed in order and completed like any others"""
        self.follow()
        self.sql(*["INSERT INTO %slistings VALUES ('%d', 't', 1)" % (self.where, i) for i in range(5)])
        jobs = self.json('claim', 'elasticsearch', '-n', '10')
        self.assertEqual([json.loads(job['payload'])['record_id'] for job in jobs], list('01234'))
        for job in jobs:
            self.jobq('ack', job['id'], job['token'])
        self.assertEqual(self.counts('elasticsearch'), {'completed': 5})
        self.jobq('export')

    @on_server('postgres')
    def test_large(self):
        """outbox: an update too large with both rows keeps the new one; a row too large is refused with its job"""
        self.follow()
        long = "substr(replace(hex(zeroblob(400000)), '0', 'x'), 1, %d)" if self.store == 'sqlite' else "repeat('x', %d)"
        self.sql("INSERT INTO %slistings VALUES ('a', %s, 1)" % (self.where, long % 700000),
                 'UPDATE %slistings SET price = 2' % self.where)
        self.assertEqual([sorted(c['change_data'])[0] for c in self.changes()], ['id', 'new'])
        if self.store == 'sqlite':
            self.sql('CREATE TABLE big (id text PRIMARY KEY, title text, more text)')
            self.follow(table='big')
            answer = self.run_sql("INSERT INTO big VALUES ('b', %s, %s)" % (long % 700000, long % 700000))
        else:
            answer = self.run_sql("INSERT INTO %slistings VALUES ('b', repeat('x', 2000000), 1)" % self.where)
        self.assertIn('1048576', answer.err)
        self.assertEqual(len(self.changes()), 2)

    @on_server('postgres')
    def test_repeated(self):
        """outbox: may be repeated; --dry-run prints SQL that does the same and changes nothing"""
        sql = self.follow('--dry-run').text
        self.sql("INSERT INTO %slistings VALUES ('a', 't', 1)" % self.where)
        self.assertEqual(self.changes(), [])
        if self.store == 'sqlite':
            db = sqlite3.connect(self.file, isolation_level=None)
            db.executescript(sql)
            db.close()
        else:
            self.sql(sql)
        self.sql("INSERT INTO %slistings VALUES ('b', 't', 1)" % self.where)
        self.follow()
        self.follow()
        self.sql("INSERT INTO %slistings VALUES ('c', 't', 1)" % self.where)
        self.assertEqual([c['record_id'] for c in self.changes()], ['b', 'c'])

    @on_server('postgres')
    def test_names(self):
        """outbox: any name of a table or column; what is not there is said, exit 3 or 2"""
        self.sql('CREATE TABLE %s"it\'s ""a"" table" ("the \'id\'" text PRIMARY KEY, "select" text)' % self.where)
        quoted = '"it\'s ""a"" table"' if self.store == 'postgres' else 'it\'s "a" table'
        self.follow(table=quoted)
        self.sql('INSERT INTO %s"it\'s ""a"" table" VALUES (\'x\', \'y\')' % self.where)
        self.assertEqual([(c['table_name'], c['record_id'], c['change_data']) for c in self.changes()],
                         [('it\'s "a" table', 'x', {"the 'id'": 'x', 'select': 'y'})])
        self.jobq('outbox', self.where + 'nothing', code=NOT_FOUND)
        self.jobq('outbox', self.where + 'listings', '--column', 'nothing', code=USAGE)
        self.sql('CREATE TABLE %spairs (a text, b text, PRIMARY KEY (a, b))' % self.where)
        self.assertIn('primary key', self.jobq('outbox', self.where + 'pairs', code=USAGE).err)
        self.jobq('outbox', code=USAGE)

    @of_a_file
    def test_depth(self):
        """outbox: a queue that is full refuses the row too (SQLite)"""
        self.follow()
        self.jobq('limit', 'elasticsearch', '--depth', '1')
        self.sql("INSERT INTO listings VALUES ('a', 't', 1)")
        self.assertIn('full', self.run_sql("INSERT INTO listings VALUES ('b', 't', 1)").err)
        self.assertEqual(len(self.sql('SELECT id FROM listings')), 1)

    @of_a_file
    def test_replace(self):
        """outbox: the writer's own ON CONFLICT does not reach the queue's tables (SQLite)"""
        self.follow()
        self.enqueue('other')
        for policy in 'REPLACE', 'IGNORE', 'FAIL', 'ABORT', 'ROLLBACK':
            self.sql("INSERT OR %s INTO listings VALUES ('%s', 't', 1)" % (policy, policy))
        self.sql("INSERT OR REPLACE INTO listings VALUES ('FAIL', 'u', 2)")
        self.assertEqual([c['record_id'] for c in self.changes()],
                         ['REPLACE', 'IGNORE', 'FAIL', 'ABORT', 'ROLLBACK', 'FAIL'])
        self.assertEqual(self.counts('elasticsearch'), {'ready': 6})
        self.assertEqual(self.counts('other'), {'ready': 1})

    @of_a_file
    def test_events(self):
        """outbox: where events are kept, its jobs have theirs (SQLite)"""
        self.follow()
        self.jobq('events', '--keep', '2')
        self.enqueue('other')
        self.sql(*["INSERT INTO listings VALUES ('%d', 't', 1)" % i for i in range(3)])
        self.enqueue('other')
        lines = [json.loads(line) for line in self.jobq('--json', 'events').text.splitlines()]
        self.assertEqual([(e['queue'], e['state']) for e in lines], [('elasticsearch', 'ready'), ('other', 'ready')])
        self.assertEqual([e['cursor'] for e in lines], [4, 5])


if __name__ == '__main__':
    tool.main()
