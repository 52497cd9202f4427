#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The consumer: tables in, index out, whatever fails on the way.  SEARCH_STORE is sqlite (default) or postgres."""
import datetime
import hashlib
import json
import os
import sys
import time

import kit
from database import Shop

FULL = bool(os.environ.get('JOBQ_TEST_FULL'))


class Flow(Shop):
    def test_listing(self):
        """a draft is not found, an approved one is, a deactivated and a deleted one are not"""
        self.insert('a', 'draft', 'kırmızı bisiklet')
        self.insert('b', 'active', 'mavi bisiklet')
        self.work()
        self.assertEqual(self.found(), ['b'])
        self.session.run("UPDATE listings SET status = 'active' WHERE id = 'a'")
        self.work()
        self.assertEqual(self.found(), ['a', 'b'])
        self.session.run("UPDATE listings SET status = 'inactive' WHERE id = 'a'")
        self.session.run("DELETE FROM listings WHERE id = 'b'")
        self.work()
        self.assertEqual(self.found(), [])
        self.assertEqual(self.counts(), {'completed': 5})

    def test_three_changes_before_anybody_looks(self):
        """what counts is the state at the end, and it takes one write to the index"""
        self.insert('a', 'draft')
        self.session.run("UPDATE listings SET status = 'active'")
        self.session.run("UPDATE listings SET status = 'inactive'")
        self.insert('b', 'draft')
        self.session.run("UPDATE listings SET status = 'active', title = 'son' WHERE id = 'b'")
        self.work()
        self.assertEqual(self.found(), ['b'])
        self.assertEqual(self.index.documents('listings')['b'][1]['title'], 'son')
        self.assertEqual([len(self.history(id_)) for id_ in 'ab'], [1, 1])
        folded = [json.loads(job['result'])['result'] for job in self.jobs('completed') if job['result']]
        self.assertEqual(folded, ['folded'] * 3)

    def test_all_tables(self):
        """profiles, categories and suggestions go into indexes of their own; words are found"""
        self.session.run("INSERT INTO profiles VALUES ('p', 'Ayşe', 'bisiklet tamircisi')")
        self.session.run("INSERT INTO categories VALUES ('c', 'Bisiklet')")
        self.session.run("INSERT INTO ai_suggestions VALUES ('s', 'dağ bisikleti')")
        self.work()
        self.assertEqual([self.found(t) for t in ('profiles', 'categories', 'ai_suggestions')], [['p'], ['c'], ['s']])
        hits = self.index.ask('GET', '/profiles/_search?q=' + kit.urllib.parse.quote('tamircisi Ayşe')).json['hits']
        self.assertEqual(hits['total']['value'], 1)
        self.session.run("DELETE FROM profiles")
        self.work()
        self.assertEqual(self.found('profiles'), [])


class Failures(Shop):
    def test_three_of_ten(self):
        """of ten in one request the index refuses three: seven are done, three are dead under their own ids"""
        for i in range(10):
            self.insert(str(i), price="'NaN'" if i in (2, 5, 8) else str(i))
        self.work()
        self.assertEqual(self.found(), [str(i) for i in range(10) if i not in (2, 5, 8)])
        dead = self.jobs('dead')
        self.assertEqual(sorted(json.loads(job['payload'])['record_id'] for job in dead), ['2', '5', '8'])
        self.assertEqual({(job['reason'], job['failures']) for job in dead}, {('PERMANENT', 1)})
        self.assertIn('[price]', dead[0]['errors'][0]['text'])
        self.assertEqual(self.counts(), {'completed': 7, 'dead': 3})

    def test_later(self):
        """what the index refuses for now is tried again after its back-off, three times at most"""
        self.index.ask('POST', '/_faults', {'id': 'a', 'status': 429, 'times': 1})
        self.index.ask('POST', '/_faults', {'id': 'b', 'status': 503, 'times': 9})
        for id_ in 'abc':
            self.insert(id_)
        self.work()
        self.assertEqual((self.found(), self.counts()), (['c'], {'scheduled': 2, 'completed': 1}))
        self.advance(3000)
        self.work()
        self.assertEqual(self.found(), ['a', 'c'])
        self.advance(6000)
        self.work()
        self.assertEqual(self.counts(), {'completed': 2, 'dead': 1})
        self.assertEqual(self.jobs('dead')[0]['failures'], 3)
        self.jobq('redrive', self.jobs('dead')[0]['id'])
        self.index.ask('POST', '/_faults', {})
        self.work()
        self.assertEqual((self.found(), self.counts()), (['a', 'b', 'c'], {'completed': 3}))

    def test_poison_among_changes_of_one_record(self):
        """a change that the index will not have takes no older one along, and a newer one mends it"""
        self.insert('a', title='iyi')
        self.session.run("UPDATE listings SET price = 'NaN'")
        self.work()
        self.assertEqual(self.counts(), {'completed': 1, 'dead': 1})
        self.assertEqual(self.index.documents('listings')['a'][1]['title'], 'iyi')
        self.session.run("UPDATE listings SET price = 3")
        self.work()
        self.assertEqual(self.index.documents('listings')['a'][1]['price'], 3)
        self.jobq('redrive', self.jobs('dead')[0]['id'])
        self.work()
        self.assertEqual(self.index.documents('listings')['a'][1]['price'], 3)
        self.assertEqual(self.counts(), {'completed': 3})

    def test_what_is_no_change(self):
        """a job that no change can be read from is dead at once and blocks nobody"""
        for payload in 'x', '{}', '{"table_name": "users", "record_id": "1", "operation": "INSERT", "version": 1}':
            self.jobq('enqueue', 'elasticsearch', payload, '--kind', 'change')
        self.insert('a')
        self.work()
        self.assertEqual((self.found(), self.counts()), (['a'], {'completed': 1, 'dead': 3}))

    def test_whole_request_refused(self):
        """a request that the index cannot read is sent change by change: nobody pays for another"""
        for id_ in 'abc':
            self.insert(id_)
        self.index.ask('PUT', '/listings', {})
        self.index.ask('POST', '/_faults', {'whole': 400, 'times': 2})
        self.work()
        self.assertEqual(len(self.found()), 2)
        self.assertEqual(self.counts(), {'completed': 2, 'dead': 1})

    def test_index_away(self):
        """while the index is away nothing is lost, counted or given up; then it catches up"""
        for i in range(25):
            self.insert('%02d' % i)
        self.index.kill()
        consumer = self.consumer()
        consumer.line('jobq-search-sync: the index cannot be reached')
        consumer.line('ALERT raised index')
        self.insert('late')
        if FULL: # a minute, in which it asks less and less often
            began = time.monotonic()
            kit.until('a minute', lambda: time.monotonic() - began > 60, 120)
            tried = kit.ask(self.door(consumer), 'GET', '/api/v1/health/detailed').json['worker']['unreachable']
            self.assertLess(tried, 60)
        self.assertNotIn('dead', self.counts())
        self.index.start()
        consumer.line('jobq-search-sync: the index answers again')
        consumer.line('ALERT cleared index')
        kit.until('all of them in the index', lambda: self.counts() == {'completed': 26})
        self.assertEqual(len(self.found()), 26)
        self.assertEqual({(job['attempt'], job['failures']) for job in self.jobs()}, {(1, 0)})
        logs = [json.dumps(self.jobq('log', job['id'])) for job in self.jobs()]
        self.assertTrue(any('cannot be reached' in log for log in logs))
        self.assertEqual(consumer.stop(), 0)

    def test_ends_while_the_index_is_away(self):
        """asked to end, it gives back what it holds, free of charge"""
        self.insert('a')
        self.index.kill()
        consumer = self.consumer()
        consumer.line('jobq-search-sync: the index cannot be reached')
        self.assertEqual(consumer.stop(), 0)
        self.assertEqual(self.counts(), {'ready': 1})
        self.assertEqual(self.jobs()[0]['failures'], 0)

    def test_dead_worker(self):
        """the batch of a killed consumer is taken back when its lease is over, 30 seconds"""
        for i in range(10):
            self.insert(str(i))
        self.index.ask('POST', '/_faults', {'delay_ms': 600000})
        consumer = self.consumer()
        kit.until('ten in hand', lambda: self.counts() == {'running': 10})
        lease = max(ms_of(job['lease_until']) - ms_of(job['started_at']) for job in self.jobs())
        self.assertGreaterEqual(lease, 30000)
        consumer.kill()
        self.index.kill()
        self.index.start()
        self.advance(20000)
        second = self.consumer()
        second.line('working queue')
        self.assertEqual(self.counts(), {'running': 10}) # not yet
        self.advance(60000)
        kit.until('all of them done', lambda: self.counts() == {'completed': 10})
        self.assertEqual({job['crashes'] for job in self.jobs()}, {1})
        self.assertEqual(len(self.found()), 10)

    def test_slow_worker(self):
        """a request that takes longer than the lease is no dead worker: nothing is taken back or sent twice"""
        self.insert('a')
        self.index.ask('POST', '/_faults', {'delay_ms': 2500})
        consumer = self.consumer('--lease', '1000')
        second = self.consumer('--lease', '1000')
        kit.until('done', lambda: self.counts() == {'completed': 1})
        self.assertEqual([(job['attempt'], job['crashes']) for job in self.jobs()], [(1, 0)])
        for program in consumer, second:
            self.assertNotIn('taken back', program.log())
            self.assertNotIn('ALERT raised stuck', program.log())
        self.assertEqual(len(self.history('a')), 1)


def ms_of(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() * 1000


class Door(Shop):
    def test_connection(self):
        """test-connection asks the index: 200, and 503 when it is away"""
        port = self.door(self.consumer())
        answer = kit.ask(port, 'GET', '/api/v1/elasticsearch/test-connection')
        self.assertEqual((answer.status, answer.json['success'], answer.json['status']), (200, True, 200))
        self.index.kill()
        answer = kit.ask(port, 'GET', '/api/v1/elasticsearch/test-connection')
        self.assertEqual((answer.status, answer.json['success']), (503, False))

    def test_detailed(self):
        """health/detailed has the figures of the queue, the index, the worker, memory and alerts"""
        for i in range(12):
            self.insert(str(i), price="'NaN'" if i == 3 else '1')
        port = self.door(self.consumer())
        kit.until('all done', lambda: self.counts() == {'completed': 11, 'dead': 1})
        # 1 of 12 is more than 5 %
        told = kit.until('the alert', lambda: (lambda a: [x['alert'] for x in a['alerts']] == ['errors'] and a)(
            kit.ask(port, 'GET', '/api/v1/health/detailed').json))
        queue = told['queue']
        self.assertEqual([queue[n] for n in ('total', 'pending', 'processing', 'completed', 'failed', 'stuck')],
                         [12, 0, 0, 11, 1, 0])
        self.assertAlmostEqual(queue['errorRate'], 1 / 12, 3)
        self.assertIsNotNone(queue['lastProcessedAt'])
        self.assertTrue(told['index']['success'])
        self.assertGreater(told['memoryBytes'], 1 << 20)
        self.assertEqual((told['worker']['completed'], told['worker']['failed']), (11, 1))
        self.assertEqual(told['status'], 'warning')

    def test_pending(self):
        """more than a thousand that wait raise an alert once; it clears once"""
        self.session.run(self.database.begin)
        for i in range(1100):
            self.insert(str(i))
        self.session.run('COMMIT')
        self.index.kill()
        consumer = self.consumer('--batch', '50')
        consumer.line('ALERT raised pending')
        self.index.start()
        consumer.line('ALERT cleared pending')
        kit.until('all done', lambda: self.index.ask('GET', '/listings/_count').json.get('count') == 1100)
        self.assertEqual([consumer.log().count('ALERT %s pending' % w) for w in ('raised', 'repeated', 'cleared')], [1, 0, 1])

    def test_administration(self):
        """the endpoints of the queue under the service's prefix, with the figures and names of the tables"""
        for i in range(4):
            self.insert(str(i), price="'NaN'" if i == 2 else '1')
        path = self.folder + '/tokens'
        with open(path, 'w', encoding='ascii') as out:
            out.write('admin * %s\n' % hashlib.sha256(b'secret').hexdigest())
        port = self.door(self.consumer('--token-file', path))
        kit.until('all done', lambda: self.counts() == {'completed': 3, 'dead': 1})
        ask = lambda method, what, body=None: kit.ask(port, method, '/api/v1/ai-suggestions/queue/' + what, body,
                                                      {'Authorization': 'Bearer secret'}).json
        stats = ask('GET', 'stats')
        self.assertEqual([stats[n] for n in ('total', 'pending', 'processing', 'completed', 'failed', 'stuck')],
                         [4, 0, 0, 3, 1, 0])
        self.assertIn('avgProcessingTime', stats)
        self.assertIsNotNone(stats['lastProcessedAt'])
        health = ask('GET', 'health')
        self.assertEqual((health['stuckJobs'], health['errorRate']), (0, 0.25))
        page = ask('GET', 'jobs?status=failed')
        self.assertEqual((page['total'], page['page'], page['limit']), (1, 1, 20))
        job = page['jobs'][0]
        self.assertEqual([job[n] for n in ('table_name', 'operation', 'record_id', 'status', 'retry_count')],
                         ['listings', 'INSERT', '2', 'failed', 1])
        self.assertIn('[price]', job['error_message'])
        self.session.run('DELETE FROM listings')
        kit.until('the deletions', lambda: self.counts() == {'completed': 7, 'dead': 1})
        self.assertEqual(ask('POST', 'retry-failed', {})['retried'], 1)
        kit.until('the retry, older than the deletion', lambda: self.counts() == {'completed': 8})
        self.assertTrue(ask('POST', 'stop', {})['success'])
        self.insert('rests')
        self.assertEqual(ask('GET', 'stats')['pending'], 1)
        self.assertTrue(ask('POST', 'start', {})['success'])
        kit.until('the change that rested', lambda: self.found() == ['rests'])
        kit.until('nothing in hand', lambda: self.counts() == {'completed': 9})
        self.assertEqual(ask('POST', 'clear', {})['cleared'], 9)

    def test_tokens(self):
        """with a token file nothing is answered without a token"""
        path = self.folder + '/tokens'
        with open(path, 'w', encoding='ascii') as out:
            out.write('viewer * %s\n' % hashlib.sha256(b'secret').hexdigest())
        port = self.door(self.consumer('--token-file', path))
        for where in '/api/v1/elasticsearch/test-connection', '/api/v1/health/detailed':
            self.assertEqual(kit.ask(port, 'GET', where).status, 401)
            self.assertEqual(kit.ask(port, 'GET', where, headers={'Authorization': 'Bearer wrong'}).status, 401)
            self.assertEqual(kit.ask(port, 'GET', where, headers={'Authorization': 'Bearer secret'}).status, 200)


if __name__ == '__main__':
    sys.exit(kit.main())
