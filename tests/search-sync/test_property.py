#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whatever is written, rolled back and killed: at rest the index equals the tables, and no older version ever replaced a newer.

Writers change rows at random in transactions side by side; some roll back, some are killed in the middle. Consumers and the
index are killed meanwhile, and the index refuses now and then. SEARCH_STORE is sqlite (default) or postgres;
JOBQ_TEST_FULL=1 does thirty times as much; SEARCH_SEED repeats a choice of statements.
"""
import collections
import os
import random
import sys
import threading

import kit
from database import Broken, Shop

FULL = bool(os.environ.get('JOBQ_TEST_FULL'))
WRITERS = 3
TRANSACTIONS = 600 if FULL else 20
RECORDS = 12


class Writer(threading.Thread):
    def __init__(self, shop, number, seed):
        super().__init__()
        self.shop, self.number, self.random = shop, number, random.Random('%s %d' % (seed, number))
        self.session = None
        self.committed = self.undone = self.killed = 0
        self.failed = None

    def statement(self):
        """Titles are never the same twice, so that equal titles mean the newest change."""
        pick = self.random
        title = 'w%d-%d' % (self.number, pick.getrandbits(60))
        status = pick.choice(('active', 'active', 'draft', 'inactive'))
        price = "'NaN'" if pick.random() < 0.05 else str(pick.randrange(1000))
        record = 'r%d' % pick.randrange(RECORDS)
        return pick.choice((
            "INSERT INTO listings VALUES ('%s', '%s', NULL, %s, '%s') ON CONFLICT (id) DO UPDATE SET title = excluded.title,"
            " status = excluded.status" % (record, title, price, status),
            "UPDATE listings SET title = '%s', status = '%s', price = %s WHERE id = '%s'" % (title, status, price, record),
            "UPDATE listings SET status = '%s', title = title || 'x' WHERE id = '%s'" % (status, record),
            "DELETE FROM listings WHERE id = '%s'" % record,
            "INSERT INTO profiles VALUES ('%s', '%s', NULL) ON CONFLICT (id) DO UPDATE SET name = excluded.name"
            % (record, title),
            "DELETE FROM profiles WHERE id = '%s'" % record,
            "UPDATE profiles SET id = 'r%d', name = '%s' WHERE id = '%s'" % (pick.randrange(RECORDS), title, record),
        ))

    def transaction(self):
        self.session.run(self.shop.database.begin)
        for _ in range(self.random.randrange(1, 5)):
            self.session.run(self.statement())
        how = self.random.random()
        if how < 0.1:
            self.session.kill()
            self.killed += 1
            self.session = self.shop.database.session()
        elif how < 0.3:
            self.session.run('ROLLBACK')
            self.undone += 1
        else:
            self.session.run('COMMIT')
            self.committed += 1

    def run(self):
        try:
            self.session = self.shop.database.session()
            for _ in range(TRANSACTIONS):
                try:
                    self.transaction()
                except Broken: # a deadlock, a name that is taken
                    self.session.run('ROLLBACK')
                    self.undone += 1
            self.session.close()
        except Exception as error: # pylint: disable=broad-except
            self.failed = error


class Property(Shop):
    def start_consumer(self):
        program = kit.Program(os.path.join(self.folder, 'consumer-%d.log' % len(self.consumers)),
                              [os.environ['SEARCH_SYNC'], '-s', self.database.uri, '--index', self.index.url, '--no-http',
                               '--poll', '100', '--pause', '20'])
        self.consumers.append(program)
        return program

    def trouble(self, pick, consumers):
        """One thing goes wrong."""
        what = pick.choice(('consumer', 'consumer', 'index', 'whole', 'one'))
        if what == 'consumer':
            place = pick.randrange(len(consumers))
            consumers[place].kill()
            consumers[place] = self.start_consumer()
        elif what == 'index':
            self.index.kill()
            self.index.start()
        elif what == 'whole':
            self.index.ask('POST', '/_faults', {'whole': 503, 'times': 1})
        else:
            self.index.ask('POST', '/_faults', {'id': 'r%d' % pick.randrange(RECORDS), 'status': 429, 'times': 1})
        return what

    def settle(self):
        """Until nothing waits any more. Leases of those who were killed are over, and back-offs."""
        for _ in range(20):
            self.advance(3700000)
            self.work()
            if not set(self.counts()) - {'completed', 'dead'}:
                return
        self.fail('it does not come to rest: %r' % self.counts())

    def tables(self):
        rows = self.session.run("SELECT 'listings', id, title FROM listings WHERE status = 'active'"
                                " UNION ALL SELECT 'profiles', id, name FROM profiles")
        return {(table, record): title for table, record, title in rows}

    def indexes(self):
        return {(table, record): source['title' if table == 'listings' else 'name']
                for table in ('listings', 'profiles') for record, (_, source) in self.index.documents(table).items()}

    def never_older(self):
        newest = collections.defaultdict(int)
        for shelf, record, version in self.history():
            self.assertGreater(version, newest[shelf, record], 'an older version replaced a newer one')
            newest[shelf, record] = version
        return len(newest)

    def test_equal_at_rest(self):
        """the index equals the tables at rest, whatever was killed"""
        seed = os.environ.get('SEARCH_SEED') or str(random.SystemRandom().getrandbits(32))
        print('# seed ' + seed)
        pick, told = random.Random(seed), collections.Counter()
        writers = [Writer(self, number, seed) for number in range(WRITERS)]
        consumers = [self.start_consumer(), self.start_consumer()]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers) or sum(told.values()) < 8:
            before = len(self.history())
            told[self.trouble(pick, consumers)] += 1
            try: # some work between two troubles
                kit.until('a write', lambda: len(self.history()) > before, 1)
            except AssertionError:
                pass
        for writer in writers:
            writer.join()
            self.assertIsNone(writer.failed)
        for consumer in consumers:
            consumer.kill()
        self.index.ask('POST', '/_faults', {})
        self.settle()
        self.check_poison()
        print('# %d committed, %d rolled back, %d killed; trouble: %s; %d writes to %d records'
              % (sum(w.committed for w in writers), sum(w.undone for w in writers), sum(w.killed for w in writers),
                 dict(told), len(self.history()), self.never_older()), file=sys.stderr)

    def check_poison(self):
        """What the index will not have is dead and in nobody's way. Mended, all is equal; what is old changes nothing."""
        poison = {record for (record,) in self.session.run("SELECT id FROM listings WHERE CAST(price AS text) = 'NaN'"
                                                           " AND status = 'active'")}
        found, there = self.indexes(), self.tables()
        clean = lambda all_: {key: all_[key] for key in all_ if not (key[0] == 'listings' and key[1] in poison)}
        dead = self.jobs('dead')
        crashed = [job for job in dead if job['reason'] == 'POISON']
        self.assertEqual({job['reason'] for job in dead} - {'POISON', 'PERMANENT', 'ATTEMPTS'}, set())
        for job in dead:
            self.assertTrue(job['reason'] != 'PERMANENT' or '[price]' in job['errors'][-1]['text'], job)
        if not crashed: # shot three times, a job is dead for somebody else's deed
            self.assertEqual(clean(found), clean(there))
        self.session.run("UPDATE listings SET price = 1 WHERE CAST(price AS text) = 'NaN'")
        self.jobq('redrive', '--all')
        self.settle()
        self.assertEqual(self.indexes(), self.tables())
        self.never_older()
        self.assertEqual(set(self.counts()), {'completed'})


if __name__ == '__main__':
    sys.exit(kit.main())
