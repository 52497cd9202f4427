#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shapes of the answers, exit codes, and bytes that go through unchanged."""
import datetime
import json
import os
import re
import subprocess

import tool
from tool import ALL_BYTES, NO_ID, NOT_FOUND, OK, REFUSED, STORE, TIME, USAGE, bytes_of, on_servers

INSTANT = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')
HEX = re.compile(r'^[0-9a-f]{32}$')

# What show promises, and what kind of value each field has.
FIELDS = {
    'id': HEX,
    'queue': str,
    'kind': str,
    'group': str,
    'state': str,
    'reason': str,
    'priority': int,
    'attempt': int,
    'failures': int,
    'crashes': int,
    'max_attempts': int,
    'progress': str,
    'created_at': INSTANT,
    'run_at': INSTANT,
    'started_at': INSTANT,
    'finished_at': INSTANT,
    'lease_until': INSTANT,
    'worker': str,
    'payload': str,
    'result': str,
    'errors': list,
}


class Enqueue(tool.Case):
    @on_servers
    def test_new(self):
        """enqueue: a new job has an id, is new, and its state"""
        said = self.json('enqueue', 'q', 'hello')
        self.assertRegex(said['id'], HEX)
        self.assertIs(said['new'], True)
        self.assertEqual(said['state'], 'ready')
        self.assertEqual(self.json('enqueue', 'q', '--delay', '1h')['state'], 'scheduled')
        self.assertEqual(self.json('enqueue', 'q', '--held')['state'], 'blocked')

    @on_servers
    def test_duplicate(self):
        """enqueue: a duplicate is 0 with the holder's id, "new": false and same_payload (rule 9)"""
        first = self.enqueue('q', 'one', '--key', 'k')
        for payload, same in (('one', True), ('two', False)):
            said = self.json('enqueue', 'q', payload, '--key', 'k')
            self.assertEqual((said['id'], said['new'], said['same_payload']), (first, False, same))
            self.assertEqual(said['state'], 'ready')
        self.assertEqual(self.counts(), {'ready': 1})
        self.assertEqual(self.show(first)['payload'], 'one')

    def test_repeated(self):
        """enqueue: the same --id again has no effect and is exit 0"""
        job = self.enqueue('q', 'x', '--id', NO_ID)
        self.assertEqual(job, NO_ID)
        said = self.json('enqueue', 'q', 'x', '--id', '00000000-0000-0000-0000-000000000001')
        self.assertEqual((said['id'], said['new'], said['status']), (NO_ID, False, 'ALREADY'))
        self.assertEqual(self.counts(), {'ready': 1})

    @on_servers
    def test_conflicts(self):
        """enqueue: replace, extend and successor do what they say; reject is 1"""
        first = self.enqueue('q', 'one', '--key', 'k')
        self.jobq('enqueue', 'q', 'two', '--key', 'k', '--on-conflict', 'reject', code=REFUSED)
        self.assertEqual(self.show(first)['payload'], 'one')
        said = self.json('enqueue', 'q', 'two', '--key', 'k', '--on-conflict', 'replace')
        self.assertEqual((said['id'], said['new'], said['status']), (first, False, 'REPLACED'))
        self.assertEqual(self.show(first)['payload'], 'two')
        said = self.json('enqueue', 'q', '--key', 'k', '--on-conflict', 'extend', '--delay', '1h')
        self.assertEqual((said['id'], said['status'], said['state']), (first, 'EXTENDED', 'scheduled'))
        words = ['enqueue', 'q', 'three', '--key', 'k', '--on-conflict', 'successor']
        said = self.json(*words)
        self.assertEqual((said['id'], said['new'], said['status']), (first, False, 'SUCCESSOR'))
        self.assertEqual(self.counts(), {'scheduled': 1})
        self.jobq('cancel', first)
        self.assertEqual(self.counts(), {'ready': 1, 'cancelled': 1})
        self.assertEqual(self.json('claim', 'q')[0]['payload'], 'three')

    def put_by_processes(self, key, killed=()):
        """32 processes put with one key at a time; those of these numbers are killed while others start. What the rest heard."""
        processes = []
        for number in range(32):
            processes.append(self.start('--json', 'enqueue', 'q', '--key', key))
            if number >= 8 and number - 8 in killed:
                processes[number - 8].kill()
        said = []
        for number, process in enumerate(processes):
            if number in killed:
                process.kill()
            out, err = process.communicate(timeout=tool.DEADLINE_S)
            if number not in killed:
                self.assertEqual(process.returncode, OK, err)
                said.append(json.loads(out))
        return said

    @on_servers
    def test_one_key_of_many_processes(self):
        """enqueue --key: 32 processes with one key come to one job, and all hear of it"""
        self.jobq('migrate')
        said = self.put_by_processes('k')
        self.assertEqual([s['new'] for s in said].count(True), 1)
        self.assertEqual(len({s['id'] for s in said}), 1)
        self.assertEqual(self.counts(), {'ready': 1})

    @on_servers
    def test_one_key_whoever_is_killed(self):
        """enqueue --key: killed in whatever moment, a process leaves no key without a job and no second job"""
        self.jobq('migrate')
        for part in (0, 1):
            key = 'k%d' % part
            said = self.put_by_processes(key, killed=range(part, 24, 2))
            self.assertLessEqual([s['new'] for s in said].count(True), 1)
            self.assertEqual(len({s['id'] for s in said}), 1)
            self.assertEqual(self.counts(), {'ready': 1})
            self.jobq('ack', *self.claim())
            self.assertIs(self.json('enqueue', 'q', '--key', key)['new'], True)
            self.jobq('ack', *self.claim())
            self.jobq('purge', '--state', 'completed')

    def test_hold(self):
        """enqueue: --hold, --window and --key-scope reach the key (rule 9)"""
        self.enqueue('q', 'a', '--key', 'w', '--hold', 'waiting')
        self.claim()
        self.assertIs(self.json('enqueue', 'q', 'b', '--key', 'w', '--hold', 'waiting')['new'], True)
        job = self.enqueue('r', '--key', 'v', '--hold', 'window', '--window', '1h')
        self.jobq('ack', *self.claim('r'))
        self.assertEqual(self.json('enqueue', 'r', '--key', 'v')['id'], job)
        self.advance(3600001)
        self.assertIs(self.json('enqueue', 'r', '--key', 'v')['new'], True)
        self.enqueue('s', '--key', 'g', '--group', 'a', '--key-scope', 'group')
        self.assertIs(
            self.json('enqueue', 's', '--key', 'g', '--group', 'b', '--key-scope', 'group')['new'], True
        )
        self.assertIs(
            self.json('enqueue', 's', '--key', 'g', '--group', 'b', '--key-scope', 'group')['new'], False
        )

    @on_servers
    def test_every_option(self):
        """enqueue: each option is found again in show"""
        parent = self.enqueue('p', 'x')
        job = self.show(
            self.enqueue(
                'q',
                'x',
                '--kind',
                'mail',
                '--group',
                'acme',
                '--priority',
                '-7',
                '--max-attempts',
                '5',
                '--max-crashes',
                '6',
                '--max-snoozes',
                '7',
                '--max-releases',
                '8',
                '--timeout',
                '90s',
                '--expires-in',
                '1d',
                '--key',
                'k',
                '--trace',
                '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
                '--run-at',
                '2099-01-02T03:04:05.678Z',
                '--after',
                parent + ':ignore',
                '--backoff',
                'exponential:1s:1.5:1m',
                '--jitter',
                '0',
            )
        )
        for name, value in {
            'kind': 'mail',
            'group': 'acme',
            'priority': -7,
            'max_attempts': 5,
            'max_crashes': 6,
            'max_snoozes': 7,
            'max_releases': 8,
            'timeout_ms': 90000,
            'key': 'k',
            'pending_parents': 1,
            'run_at': '2099-01-02T03:04:05.678Z',
            'state': 'blocked',
            'reason': 'PARENTS',
            'trace': '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        }.items():
            self.assertEqual(job[name], value, name)
        self.assertRegex(job['expires_at'], INSTANT)

    def test_backoff(self):
        """enqueue: --backoff decides the delay after each failure (rule 3)"""
        shapes = {
            'exponential:1s:3:5s': [1, 3, 5, 5],
            'fixed:7s': [7, 7, 7, 7],
            'linear:2s:5s': [2, 4, 5, 5],
            'list:1s,4s,2s': [1, 4, 2, 2],
            'fixed:0': [0, 0, 0, 0],
            'fixed:2h': [7200] * 4,
        }
        for shape, seconds in shapes.items():
            job = self.enqueue(shape, '--backoff', shape, '--jitter', '0', '--max-attempts', '9')
            for delay in seconds:
                self.jobq('fail', *self.claim(shape))
                shown = self.show(job)
                self.assertEqual(shown['state'], 'scheduled' if delay else 'ready', shape)
                wait = ms_of(shown['run_at']) - ms_of(shown['errors'][-1]['at'])
                self.assertEqual(wait, delay * 1000, shape)
                self.advance(delay * 1000)

    def test_parents(self):
        """enqueue: a job waits for all of --after and its rule decides when one dies (rule 11)"""
        one, two = self.enqueue('p', '1', '--max-attempts', '1'), self.enqueue('p', '2')
        both = self.enqueue('q', '--after', one, '--after', two)
        gone = self.enqueue('q', '--after', one + ':cancel')
        kept = self.enqueue('q', '--after', one + ':ignore')
        self.jobq('fail', *self.claim('p'))
        self.jobq('sweep')
        self.jobq('sweep')
        self.assertEqual(self.show(both)['reason'], 'DEPENDENCY')
        self.assertEqual(self.show(both)['state'], 'dead')
        self.assertEqual(self.show(gone)['state'], 'cancelled')
        self.assertEqual(self.show(kept)['state'], 'ready')
        self.jobq('enqueue', 'q', '--after', NO_ID[:-1] + '9', code=NOT_FOUND)

    def test_table(self):
        """enqueue: piped, the answer is id, what and state, separated by tabs"""
        fields = self.jobq('enqueue', 'q', 'x').text.rstrip('\n').split('\t')
        self.assertRegex(fields[0], HEX)
        self.assertEqual(fields[1:], ['new', 'ready'])


def ms_of(instant):
    """Milliseconds of an instant as the command writes it."""
    at = datetime.datetime.strptime(instant, '%Y-%m-%dT%H:%M:%S.%fZ').replace(tzinfo=datetime.timezone.utc)
    return round(at.timestamp() * 1000)


class Show(tool.Case):
    def check_shape(self, job):
        for name, kind in FIELDS.items():
            self.assertIn(name, job)
            value = job[name]
            if value is None:
                continue
            if isinstance(kind, type):
                self.assertIsInstance(value, kind, name)
            else:
                self.assertRegex(value, kind, name)

    def test_shape(self):
        """show: every promised field, of the right kind, of a waiting, a running and an ended job"""
        job = self.enqueue('q', 'payload')
        shown = self.show(job)
        self.check_shape(shown)
        self.assertEqual(
            {n for n in FIELDS if shown[n] is None},
            {'group', 'reason', 'progress', 'started_at', 'finished_at', 'lease_until', 'worker', 'result'},
        )
        job, token = self.claim('q', '--worker', 'somebody')
        self.jobq('progress', job, token, '40 %')
        shown = self.show(job)
        self.check_shape(shown)
        self.assertEqual(
            (shown['state'], shown['worker'], shown['attempt'], shown['progress']),
            ('running', 'somebody', 1, '40 %'),
        )
        self.assertIsNotNone(shown['lease_until'])
        self.assertNotIn('token', shown)
        self.jobq('ack', job, token, 'done')
        shown = self.show(job)
        self.check_shape(shown)
        self.assertEqual((shown['state'], shown['result'], shown['lease_until']), ('completed', 'done', None))

    def test_errors(self):
        """show: errors have attempt, at, worker, kind and text, newest last"""
        job = self.enqueue('q', '--backoff', 'fixed:0', '--max-attempts', '2')
        self.jobq('fail', *self.claim('q', '--worker', 'w1'), 'first')
        self.jobq('fail', *self.claim('q', '--worker', 'w2'), 'second')
        shown = self.show(job)
        self.assertEqual(
            [(e['attempt'], e['worker'], e['kind'], e['text']) for e in shown['errors']],
            [(1, 'w1', 'HANDLER', 'first'), (2, 'w2', 'HANDLER', 'second')],
        )
        for error in shown['errors']:
            self.assertRegex(error['at'], INSTANT)
        self.assertEqual((shown['state'], shown['reason'], shown['failures']), ('dead', 'ATTEMPTS', 2))

    def test_unknown(self):
        """show: an unknown id is exit 3, and with --json an object on stdout"""
        self.enqueue()
        answer = self.jobq('show', NO_ID, code=NOT_FOUND)
        self.assertEqual(answer.out, b'')
        said = self.json('show', NO_ID, code=NOT_FOUND)
        self.assertEqual(said['status'], 'NOT_FOUND')

    def test_sheet(self):
        """show: piped, a line for each field"""
        job = self.enqueue('q', 'a\tb\nc\\')
        lines = dict(line.split('\t') for line in self.jobq('show', job).text.splitlines())
        self.assertEqual(lines['id'], job)
        self.assertEqual(lines['payload'], 'a\\tb\\nc\\\\')


class Bytes(tool.Case):
    @on_servers
    def test_all_bytes(self):
        """payload, key, result, progress, data, error: all 256 byte values unchanged (rule 15)"""
        raw = self.path('raw', ALL_BYTES)
        job = self.enqueue('q', '-', '--key', '@' + raw, stdin=ALL_BYTES)
        claimed = self.json('claim', 'q')[0]
        self.assertEqual(bytes_of(claimed, 'payload'), ALL_BYTES)
        token = claimed['token']
        self.jobq('progress', job, token, '@' + raw)
        callback = self.json('callback', job, token)['callback']
        self.jobq('park', job, token, '1h')
        self.jobq('unpark', callback, '-', stdin=ALL_BYTES)
        shown = self.show(job)
        for name in ('payload', 'key', 'progress', 'data'):
            self.assertEqual(bytes_of(shown, name), ALL_BYTES, name)
        self.jobq('fail', *self.claim(), '-', '--retry-in', '0', stdin=ALL_BYTES)
        self.jobq('ack', *self.claim(), '@' + raw)
        shown = self.show(job)
        self.assertEqual(bytes_of(shown, 'result'), ALL_BYTES)
        self.assertEqual(bytes_of(shown['errors'][0], 'text'), ALL_BYTES)
        for name in ('payload', 'key', 'result', 'data', 'error'):
            self.assertEqual(self.jobq('show', job, '--raw', name).out, ALL_BYTES, name)
        self.assertIs(self.json('enqueue', 'q', '--key', '@' + raw)['new'], True)

    def test_single_bytes(self):
        """a payload of one byte is a string or base64 by what it is"""
        values = [0, 1, 8, 9, 10, 11, 12, 13, 31, 32, 34, 92, 126, 127, 128, 0xC3, 0xFE, 0xFF]
        for value in values:
            self.jobq('enqueue', 'q', '-', stdin=bytes([value]))
        jobs = self.json('list')
        self.assertEqual([bytes_of(job, 'payload') for job in jobs], [bytes([v]) for v in values])
        self.assertEqual(['payload_base64' in job for job in jobs], [v == 0 or v > 127 for v in values])

    def test_text_stays_text(self):
        """UTF-8 without NUL is a string in JSON, with quotes and control characters escaped"""
        for text in ('', 'plain', 'görüş €🎬', '"\\\b\f\n\r\t\x01\x1f\x7f', '\u2028'):
            job = self.enqueue('q', '-', stdin=text.encode())
            self.assertEqual(self.show(job)['payload'], text)
            self.assertNotIn('payload_base64', self.show(job))

    def test_raw_claim(self):
        """claim --raw: id, token, attempt and size, then the bytes as they are"""
        self.enqueue('q', '-', stdin=ALL_BYTES)
        self.enqueue('q', 'two')
        out = self.jobq('claim', 'q', '-n', '2', '--raw').out
        payloads = []
        while out:
            head, out = out.split(b'\n', 1)
            size = int(head.split(b'\t')[3])
            payloads.append(out[:size])
            self.assertEqual(out[size : size + 1], b'\n')
            out = out[size + 1 :]
        self.assertEqual(payloads, [ALL_BYTES, b'two'])

    def test_absent_and_empty(self):
        """no result is null, an empty one is an empty string"""
        job = self.enqueue()
        self.jobq('ack', *self.claim())
        self.assertIsNone(self.show(job)['result'])
        job = self.enqueue()
        self.jobq('ack', *self.claim(), '')
        self.assertEqual(self.show(job)['result'], '')

    def test_escapes(self):
        """tables: whatever breaks a line or drives a terminal is written as an escape"""
        self.jobq('enqueue', 'q', '-', stdin=b'a\tb\n\x1b[31m\x9b\xc2\x9b\\')
        self.assertEqual(
            self.jobq('claim', 'q').text.rstrip('\n').split('\t')[4], 'a\\tb\\n\\x1b[31m\\x9b\\xc2\\x9b\\\\'
        )


class Lists(tool.Case):
    def test_order_and_pages(self):
        """list: by id ascending, 100 by default, --after goes on behind a page"""
        ids = [self.enqueue('q', str(n)) for n in range(105)]
        self.assertEqual([j['id'] for j in self.json('list')], ids[:100])
        self.assertEqual([j['id'] for j in self.json('list', '--after', ids[99])], ids[100:])
        self.assertEqual([j['id'] for j in self.json('ls', '--limit', '3', '--after', ids[0])], ids[1:4])
        self.assertEqual(self.json('list', '--queue', 'none'), [])
        self.assertEqual(self.jobq('list', '--queue', 'none').out, b'')

    @on_servers
    def test_filters(self):
        """list: each filter alone and together"""
        a = self.enqueue('q', '--kind', 'x', '--group', 'g')
        b = self.enqueue('q', '--delay', '1h')
        c = self.enqueue('r', '--max-attempts', '1')
        self.jobq('fail', *self.claim('r'), '--permanent')

        def ids(*words):
            return [j['id'] for j in self.json('list', *words)]

        self.assertEqual(ids('--queue', 'q'), [a, b])
        self.assertEqual(ids('--kind', 'x'), [a])
        self.assertEqual(ids('--group', 'g'), [a])
        self.assertEqual(ids('--state', 'scheduled,dead'), [b, c])
        self.assertEqual(ids('--reason', 'PERMANENT'), [c])
        self.assertEqual(ids('--reason', 'POISON'), [])
        self.assertEqual(ids('--queue', 'q', '--state', 'ready'), [a])
        self.assertEqual(ids('--older', '1h'), [])
        self.advance(3600000)
        self.assertEqual(ids('--older', '1h'), [a, b, c])

    def test_beyond_a_page(self):
        """list: more than the store gives at once, which is 4 MiB"""
        ids = [self.enqueue('q', '-', stdin=b'x' * (1 << 20)) for _ in range(9)]
        self.assertEqual([j['id'] for j in self.json('list')], ids)
        self.assertEqual([j['id'] for j in self.json('list', '--limit', '7')], ids[:7])

    def test_many_writers(self):
        """enqueue: several processes at once on a new file, none is refused"""
        script = 'n=0; while [ $n -lt 25 ]; do n=$((n+1)); "$JOBQ" enqueue q x >/dev/null || exit 1; done'
        env = {**os.environ, 'JOBQ_STORE': self.uri}
        processes = [subprocess.Popen(['sh', '-c', script], env=env) for _ in range(4)]
        self.assertEqual([p.wait(tool.DEADLINE_S) for p in processes], [0] * 4)
        ids = [j['id'] for j in self.json('list')]
        self.assertEqual(len(set(ids)), 100)
        self.assertEqual(ids, sorted(ids))


class Stats(tool.Case):
    @on_servers
    def test_identity(self):
        """stats: names the store by engine, address, namespace, id and schema"""
        self.enqueue()
        store = self.json('stats')['store']
        self.assertRegex(store['engine'], r'^(%s) \d' % tool.ENGINES[self.store])
        self.assertIn({'sqlite': self.file, 'redis': '/s', 'postgres': 'postgres'}[self.store], store['address'])
        self.assertEqual(store['namespace'], self.space)
        self.assertRegex(store['store_id'], HEX)
        self.assertEqual(store['schema_version'], store['schema_known'])
        self.assertRegex(store['now'], INSTANT)
        self.assertEqual(self.json('stats')['store']['store_id'], store['store_id'])

    @on_servers
    def test_figures(self):
        """stats: rows present per state, stuck as part of running, and totals since creation"""
        self.enqueue('q', '--delay', '1h')
        done, dead, gone, late = (self.enqueue() for _ in range(4))
        self.enqueue()
        for job in (done, dead, gone, late):
            self.assertEqual(self.claim('q', '--lease', '1s')[0], job) if job != gone else self.jobq(
                'cancel', gone
            )
            if job == done:
                self.jobq('ack', job, self.last_token())
            elif job == dead:
                self.jobq('fail', job, self.last_token(), '--permanent')
        self.advance(1001)
        q = self.json('stats', 'q')['queues'][0]
        self.assertEqual(
            {k: q[k] for k in ('blocked', 'scheduled', 'ready', 'running', 'completed', 'dead', 'cancelled')},
            {
                'blocked': 0,
                'scheduled': 1,
                'ready': 1,
                'running': 1,
                'completed': 1,
                'dead': 1,
                'cancelled': 1,
            },
        )
        self.assertEqual(
            (
                q['stuck'],
                q['paused'],
                q['enqueued_total'],
                q['completed_total'],
                q['dead_total'],
                q['cancelled_total'],
                q['failed_total'],
            ),
            (1, False, 6, 1, 1, 1, 1),
        )
        self.assertEqual(self.json('stats')['total']['enqueued_total'], 6)
        self.assertEqual(self.json('stats', 'nothing')['queues'], [])

    @on_servers
    def test_durations(self):
        """stats: how long jobs waited and ran, and what ended lately, each window with its length"""
        self.enqueue()
        self.advance(20 * 60000)
        job, token = self.claim()
        self.advance(7 * 60000)
        self.jobq('ack', job, token)
        q = self.json('stats', 'q')['queues'][0]
        self.assertEqual((q['waited']['count'], q['ran']['count']), (1, 1))
        self.assertTrue(20 * 60000 <= q['waited']['average_ms'] < 21 * 60000, q['waited'])
        self.assertTrue(7 * 60000 <= q['ran']['average_ms'] < 8 * 60000, q['ran'])
        self.assertTrue(262144 <= q['ran']['p99_ms'] < 524288, q['ran'])
        self.assertEqual((q['last_minute']['completed'], q['last_minute']['failed']), (1, 0))
        self.assertTrue(60000 <= q['last_minute']['window_ms'] < 70000)
        self.assertTrue(900000 <= q['last_quarter']['window_ms'] < 910000)
        self.assertEqual(q['last_finished_at'], self.show(job)['finished_at'])

    @on_servers
    def test_health(self):
        """health: quiet; then what is out of the ordinary with what to do; critical is 1"""
        job = self.enqueue('q', '--delay', '1h')
        self.assertEqual(self.json('health')['status'], 'healthy')
        self.assertEqual(self.jobq('health').text, '')
        self.enqueue()
        said = self.json('health', code=REFUSED)
        self.assertEqual((said['status'], said['pending'], said['total']), ('critical', 2, 2))
        self.assertEqual([i['issue'] for i in said['issues']], ['no_worker'])
        self.jobq('pause', 'q')
        said = self.json('health', 'q', '--pending-above', '1')
        self.assertEqual([i['issue'] for i in said['issues']], ['pending', 'paused'])
        self.assertEqual(said['status'], 'warning')
        self.jobq('cancel', job)
        self.jobq('health', '--errors-above', '101', code=USAGE)
        self.jobq('health', 'q', 'r', code=USAGE)

    @on_servers
    def test_events(self):
        """events: nothing until they are kept; then each change of state, in order, one line each"""
        self.jobq('ack', *self.claim_new())
        self.assertEqual(self.jobq('events').text, '')
        self.jobq('events', '--keep', '100')
        job, token = self.claim_new()
        self.jobq('fail', job, token, '--permanent')
        lines = [json.loads(line) for line in self.jobq('--json', 'events').text.splitlines()]
        self.assertEqual([e['cursor'] for e in lines], [1, 2, 3])
        self.assertEqual([e['state'] for e in lines], ['ready', 'running', 'dead'])
        self.assertEqual({e['id'] for e in lines}, {job})
        self.assertEqual((lines[1]['attempt'], lines[2]['reason']), (1, 'PERMANENT'))
        self.assertTrue(lines[1]['worker'])
        self.assertEqual(len(self.jobq('tail', '--after', '1', '-n', '1').text.splitlines()), 1)
        self.jobq('events', '--keep', '1')
        answer = self.jobq('events')
        self.assertEqual((answer.text.split('\t')[0], '2 older events' in answer.err), ('3', True))
        self.jobq('drop', job)
        self.assertEqual(self.json('events', '--after', '3')['state'], 'removed')

    def claim_new(self):
        self.enqueue()
        return self.claim()

    def test_metrics(self):
        """metrics: OpenMetrics text: each sample belongs to the family before it, and the end is marked"""
        self.enqueue('a "b"\\c')
        self.jobq('ack', *self.claim('a "b"\\c'))
        lines = self.jobq('metrics').text.splitlines()
        self.assertEqual(lines[-1], '# EOF')
        family, samples = None, {}
        for line in lines[:-1]:
            if line.startswith('# TYPE '):
                family = line.split()[2]
            elif not line.startswith('#'):
                self.assertRegex(line, r'^%s(_total|_bucket|_count|_sum)?(\{.*\})? -?[0-9.]+$' % family)
                samples[line.rsplit(' ', 1)[0]] = line.rsplit(' ', 1)[1]
        queue = 'queue="a \\"b\\"\\\\c"'
        self.assertEqual(samples['jobq_jobs{%s,state="completed"}' % queue], '1')
        self.assertEqual(samples['jobq_completed_total{%s}' % queue], '1')
        self.assertEqual(samples['jobq_run_seconds_bucket{%s,le="+Inf"}' % queue],
                         samples['jobq_run_seconds_count{%s}' % queue])

    def claim(self, queue='q', *words):
        job, self._token = super().claim(queue, *words)
        return job, self._token

    def last_token(self):
        return self._token

    def test_queues(self):
        """queues: one entry each, as in stats"""
        self.enqueue('a')
        self.enqueue('b')
        self.jobq('pause', 'b')
        self.assertEqual(
            [
                (q['queue'], q['ready'], q['paused'])
                for q in sorted(self.json('queues'), key=lambda q: q['queue'])
            ],
            [('a', 1, False), ('b', 1, True)],
        )
        self.assertEqual(len(self.jobq('queues').text.splitlines()), 2)


class Wait(tool.Case):
    @on_servers
    def test_codes(self):
        """wait: 0 completed, 1 dead, 1 cancelled, 5 time over with the job as last seen, 3 unknown"""
        for words, code, state in ((['ack'], OK, 'completed'), (['fail', '--permanent'], REFUSED, 'dead')):
            job = self.enqueue()
            self.jobq(*words, *self.claim())
            self.assertEqual(self.json('wait', job, code=code)['state'], state)
        job = self.enqueue()
        self.assertEqual(self.json('wait', job, '--timeout', '0', code=TIME)['state'], 'ready')
        self.assertEqual(self.json('wait', job, '--timeout', '20', code=TIME)['state'], 'ready')
        self.jobq('cancel', job)
        self.assertEqual(self.json('wait', job, code=REFUSED)['state'], 'cancelled')
        self.jobq('wait', NO_ID, code=NOT_FOUND)

    def test_woken(self):
        """wait: comes back when another process ends the job"""
        job = self.enqueue()
        waiting = self.start('wait', job)
        self.jobq('ack', *self.claim())
        self.assertEqual(self.ended(waiting), OK)


class Help(tool.Case):
    def test_help(self):
        """help: every command explains itself; aliases are named; what is no command exits 2"""
        listing = self.run_at(None, 'help').text
        names = re.findall(r'^  ([a-z]+) +\S', listing.split('everywhere:')[0], re.M)
        self.assertGreaterEqual(
            set(names),
            set(
                'enqueue claim ack fail extend release snooze callback park unpark unhold '
                'progress work show list wait stats queues cancel redrive drop purge pause '
                'resume dead sweep doctor version help schedule events metrics health explain export '
                'import limit drain top migrate bench serve retention stop log outbox'.split()
            ),
        )
        for name in names:
            answer = self.run_at(None, 'help', name)
            self.assertEqual(answer.code, OK)
            self.assertTrue(answer.text.startswith('usage: jobq %s' % name), answer)
            self.assertEqual(self.run_at(None, name, '--help').out, answer.out)
        for alias in ('ls', 'retry', 'dlq', 'cron', 'tail'):
            self.assertIn('also called: ' + alias, self.run_at(None, 'help', alias).text)
        for unknown in ('outbox', 'Enqueue', ''):
            self.jobq(unknown, code=USAGE)
        self.assertEqual(self.run_at(None).code, USAGE)

    def test_manual(self):
        """the manual page names every command and every option"""
        with open(
            os.path.join(os.path.dirname(__file__), '..', '..', 'doc', 'man', 'jobq.1'), encoding='utf-8'
        ) as file:
            manual = file.read().replace('\\-', '-')
        listing = self.run_at(None, 'help').text
        for name in re.findall(r'^  ([a-z]+) +\S', listing.split('everywhere:')[0], re.M):
            self.assertRegex(manual, r'(?m)^\.(B|BI|BR) [^\n]*\b%s\b' % name)
            for option in re.findall(r'^ +.*?(--[a-z-]+)', self.run_at(None, 'help', name).text, re.M):
                self.assertIn(option, manual, 'option of ' + name)

    def test_version(self):
        """version: which jobq, and which stores it has"""
        said = self.json('version')
        self.assertRegex(said['version'], r'^\d+\.\d+\.\d+$')
        self.assertIn('sqlite', said['stores'])
        self.assertEqual(self.run_at(None, '--version').out, self.run_at(None, 'version').out)


class Store(tool.Case):
    def test_ways_to_name_it(self):
        """the store comes from -s URI, -s @FILE, $JOBQ_STORE or $JOBQ_STORE_FILE"""
        uri_file = self.path('uri', self.uri + '\n')
        job = self.enqueue()
        for words, env in (
            (['-s', '@' + uri_file], {}),
            ([], {'JOBQ_STORE': self.uri}),
            ([], {'JOBQ_STORE_FILE': uri_file}),
            (['-s', self.uri], {'JOBQ_STORE': 'sqlite:/nowhere/x'}),
        ):
            self.assertEqual(self.run_at(None, *words, 'show', job, env=env).code, OK)
            self.assertEqual(self.run_at(None, 'show', *words, job, env=env).code, OK)
        self.assertEqual(self.run_at(None, 'show', job).code, USAGE)
        self.assertEqual(self.run_at(None, '-s', '@/nowhere/x', 'show', job).code, USAGE)

    @on_servers
    def test_missing(self):
        """reading commands on a missing file exit 4 and do not make it"""
        for words in (
            ['show', NO_ID],
            ['list'],
            ['wait', NO_ID],
            ['stats'],
            ['queues'],
            ['dead'],
            ['doctor'],
            ['ack', NO_ID, NO_ID],
            ['redrive', '--all'],
            ['purge', '--state', 'dead'],
            ['cancel', NO_ID],
            ['cancel', '--all'],
            ['drop', '--all'],
            ['limit'],
            ['limit', 'q'],
            ['retention', 'q'],
            ['drain', 'q'],
            ['top', '-n', '1'],
            ['stop', 'w'],
            ['events'],
            ['health'],
            ['metrics'],
            ['export'],
            ['schedule', 'list'],
            ['migrate', '--dry-run'],
        ):
            self.jobq(*words, code=STORE)
            self.assertFalse(os.path.exists(self.file), words)

    @on_servers
    def test_namespaces(self):
        """?namespace= keeps stores apart in one file or server"""
        self.enqueue()
        other = self.run_at(self.beside(self.space + '_other'), '--json', 'enqueue', 'q', 'x').json['id']
        self.assertEqual(len(self.json('list')), 1)
        self.jobq('show', other, code=NOT_FOUND)

    def test_password(self):
        """a password in an argument is overwritten where others see it, and warned about"""
        for uri in ('redis://user:Secret1@127.0.0.1:1/0', 'postgres:///db?user=u&password=Secret1&host=/x'):
            process = subprocess.Popen(
                [tool.JOBQ, '-s', uri, 'enqueue', 'q', '-'],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=tool.quiet(),
            )
            self.addCleanup(process.kill)
            warning = process.stderr.readline().decode()
            with open('/proc/%d/cmdline' % process.pid, 'rb') as file:
                line = file.read()
            self.assertIn('password', warning)
            self.assertNotIn(b'Secret1', line)
            self.assertIn(b'*******', line)
            out, err = process.communicate(b'x', timeout=tool.DEADLINE_S)
            self.assertNotIn(b'Secret1', out + err)
            self.assertEqual(process.returncode, STORE)

    def test_full_pipe(self):
        """an answer that cannot be written is exit 1 and said, not a silent 0"""
        self.enqueue()
        with open('/dev/full', 'wb') as full:
            done = subprocess.run(
                [tool.JOBQ, '-s', self.uri, 'list'], stdout=full, stderr=subprocess.PIPE, check=False
            )
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn(b'could not be written', done.stderr)


if __name__ == '__main__':
    tool.main()
