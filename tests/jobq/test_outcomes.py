#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a worker says by hand: done, already done, stale and unknown (rules 1, 2, 5, 6, 7, 8, 11)."""
import tool
from tool import ALL_BYTES, NO_ID, NOT_FOUND, OK, REFUSED, USAGE, bytes_of, on_servers


class Outcomes(tool.Case):
    def check_verb(self, *verb, state, more=(), other='release'):
        """0 done, 0 already done, 1 stale after another outcome and under a token of nobody, 3 unknown id."""
        job = self.enqueue('q', '--backoff', 'fixed:1h')
        _, token = self.claim()
        self.assertEqual(self.json(*verb, job, token, *more)['status'], 'OK')
        self.assertEqual(self.show(job)['state'], state)
        before = self.show(job)
        self.assertEqual(self.json(*verb, job, token, *more)['status'], 'ALREADY')
        said = self.json(other, job, token, code=REFUSED)
        self.assertEqual((said['id'], said['status']), (job, 'STALE'))
        self.jobq(*verb, job, 'f' * 32, *more, code=REFUSED)
        self.assertEqual(self.show(job), before)
        self.jobq(*verb, NO_ID, token, *more, code=NOT_FOUND)
        self.jobq('drop', job)

    @on_servers
    def test_ack(self):
        """ack: 0 done and already done, 1 stale, 3 unknown; nothing changes but the first time"""
        self.check_verb('ack', state='completed')

    @on_servers
    def test_fail(self):
        """fail: recorded is 0; the job waits for its back-off"""
        self.check_verb('fail', state='scheduled', more=['why'])

    def test_release(self):
        """release: the job is back in its place and it cost nothing"""
        self.check_verb('release', state='ready', other='ack')
        job = self.enqueue()
        self.jobq('release', *self.claim())
        shown = self.show(job)
        self.assertEqual((shown['failures'], shown['releases'], shown['attempt']), (0, 1, 1))

    def test_snooze(self):
        """snooze: the job is back after the delay, free of charge"""
        self.check_verb('snooze', state='scheduled', more=['1h'])
        job = self.enqueue()
        self.jobq('snooze', *self.claim(), '5s')
        self.assertEqual(self.json('claim', 'q'), [])
        self.advance(5000)
        self.assertEqual(self.claim()[0], job)
        self.assertEqual((self.show(job)['failures'], self.show(job)['snoozes']), (0, 1))

    def test_fail_for_good(self):
        """fail --permanent: dead at once"""
        job = self.enqueue()
        self.jobq('fail', *self.claim(), 'no', '--permanent')
        self.assertEqual((self.show(job)['state'], self.show(job)['reason']), ('dead', 'PERMANENT'))

    def test_fail_retry_in(self):
        """fail --retry-in: instead of the back-off, 0 included"""
        job = self.enqueue()
        self.jobq('fail', *self.claim(), '--retry-in', '0')
        self.assertEqual(self.show(job)['state'], 'ready')
        self.jobq('fail', *self.claim(), '--retry-in', '1m')
        self.advance(50000)
        self.assertEqual(self.json('claim', 'q'), [])
        self.advance(10000)
        self.assertEqual(self.claim()[0], job)

    def test_extend(self):
        """extend: tells the new end of the lease; 1 when the token is stale"""
        job = self.enqueue()
        _, token = self.claim('q', '--lease', '1s')
        said = self.json('extend', job, token, '1h')
        self.assertEqual(said['lease_until'], self.show(job)['lease_until'])
        self.assertEqual((said['cancel_asked'], said['timed_out']), (False, False))
        self.advance(3500000)
        self.assertFalse(self.show(job)['stuck'])
        self.jobq('extend', job, 'e' * 32, code=REFUSED)
        self.jobq('extend', NO_ID, token, code=NOT_FOUND)

    def test_extend_past_timeout(self):
        """extend: never past the job's timeout, and says so with exit 1 (rule 5)"""
        job = self.enqueue('q', '--timeout', '10s')
        _, token = self.claim('q', '--lease', '5s')
        stop_at = self.show(job)['stop_at']
        self.assertEqual(self.json('extend', job, token, '1h')['lease_until'], stop_at)
        self.advance(10001)
        self.assertIs(self.json('extend', job, token, '1h', code=REFUSED)['timed_out'], True)

    def test_late_ack(self):
        """ack: late but overtaken by nobody is accepted (rule 2)"""
        job = self.enqueue()
        _, token = self.claim('q', '--lease', '1s')
        self.advance(60000)
        self.jobq('ack', job, token)
        self.assertEqual(self.show(job)['state'], 'completed')

    def test_overtaken(self):
        """a lost lease: another claim gets the job, the first token is stale (rules 2, 4)"""
        job = self.enqueue()
        _, old = self.claim('q', '--lease', '1s')
        self.advance(1001)
        self.assertEqual(self.json('sweep')['judged'], 1)
        again, token = self.claim()
        self.assertEqual(again, job)
        for verb in (['ack'], ['fail'], ['release'], ['extend']):
            self.jobq(*verb, job, old, code=REFUSED)
        self.jobq('snooze', job, old, '1s', code=REFUSED)
        self.jobq('progress', job, old, 'x', code=REFUSED)
        shown = self.show(job)
        self.assertEqual((shown['attempt'], shown['failures'], shown['crashes']), (2, 1, 1))
        self.assertEqual(shown['errors'][0]['kind'], 'LOST')
        self.jobq('ack', job, token)

    @on_servers
    def test_claim(self):
        """claim: an empty one is 0 and []; -n, --kind, several queues; attempt counts from 1"""
        self.assertEqual(self.json('claim', 'q'), [])
        self.assertEqual(self.jobq('claim', 'q').out, b'')
        a = self.enqueue('q', '1', '--kind', 'x')
        b = self.enqueue('q', '2', '--kind', 'y')
        c = self.enqueue('r', '3')
        self.assertEqual([j['id'] for j in self.json('claim', 'q', '--kind', 'y')], [b])
        jobs = self.json('claim', 'r', 'q', '-n', '10', '--worker', 'me')
        self.assertEqual([j['id'] for j in jobs], [c, a])
        self.assertEqual([(j['attempt'], j['worker'], j['state']) for j in jobs], [(1, 'me', 'running')] * 2)
        self.assertEqual(len({j['token'] for j in jobs}), 1)
        for job in jobs:
            self.jobq('ack', job['id'], job['token'])

    def test_claim_early(self):
        """claim --ack early: completed before it is handed over, and the row says so (rule 1)"""
        job = self.enqueue('q', 'x')
        claimed = self.json('claim', 'q', '--ack', 'early')[0]
        self.assertEqual((claimed['id'], claimed['payload']), (job, 'x'))
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['reason']), ('completed', 'EARLY_ACK'))
        self.jobq('claim', 'q', '--ack', 'late', code=USAGE)

    @on_servers
    def test_log(self):
        """log: lines of the holder with attempt and worker, in order, any bytes; a stale token notes nothing"""
        job = self.enqueue()
        self.assertEqual(self.json('log', job), [])
        _, token = self.claim('q', '--worker', 'w')
        self.jobq('log', job, token, 'begun')
        self.jobq('log', job, token, '-', stdin=ALL_BYTES)
        self.jobq('release', job, token)
        self.assertEqual(self.json('log', job, token, 'late', code=REFUSED)['status'], 'STALE')
        _, token = self.claim('q', '--worker', 'v')
        self.jobq('log', job, token, 'again')
        said = self.json('log', job)
        self.assertEqual([(s['attempt'], s['worker']) for s in said], [(1, 'w'), (1, 'w'), (2, 'v')])
        self.assertEqual([bytes_of(s, 'text') for s in said], [b'begun', ALL_BYTES, b'again'])
        self.assertEqual(self.jobq('log', job).text.splitlines()[2].split('\t')[1:], ['2', 'v', 'again'])
        self.jobq('log', NO_ID, code=NOT_FOUND)
        self.jobq('log', job, token, code=USAGE)
        self.jobq('log', code=USAGE)

    @on_servers
    def test_callback(self):
        """callback, park, unpark: it rests until its token comes back; again is 0, forged is 1"""
        job = self.enqueue()
        _, token = self.claim()
        self.jobq('park', job, token, '1h', code=REFUSED)
        callback = self.jobq('callback', job, token).text.strip()
        self.assertRegex(callback, '^[0-9a-f]{64}$')
        self.assertEqual(self.json('park', job, token, '1h')['status'], 'OK')
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['reason']), ('blocked', 'CALLBACK'))
        self.assertIsNotNone(shown['callback_until'])
        self.jobq('unpark', callback[:-1] + ('0' if callback[-1] != '0' else '1'), code=REFUSED)
        self.assertEqual(self.json('unpark', callback, '{"ok": true}')['status'], 'OK')
        self.assertEqual(self.json('unpark', callback, 'again')['status'], 'ALREADY')
        self.assertEqual(self.json('claim', 'q')[0]['data'], '{"ok": true}')
        self.jobq('unpark', 'f' * 64, code=NOT_FOUND)
        self.jobq('unpark', 'xyz', code=USAGE)

    def test_callback_late(self):
        """park: past its deadline it is a failure like any other (rule 11)"""
        job = self.enqueue()
        _, token = self.claim()
        self.jobq('callback', job, token)
        self.jobq('park', job, token, '1m')
        self.advance(60001)
        self.jobq('sweep')
        shown = self.show(job)
        self.assertEqual((shown['failures'], shown['errors'][0]['kind']), (1, 'CALLBACK'))

    def test_soft_cancel_is_told(self):
        """cancel of a running job: extend tells; any outcome but success is cancelled (rule 6)"""
        job = self.enqueue()
        _, token = self.claim()
        self.jobq('cancel', job)
        self.assertIs(self.json('extend', job, token)['cancel_asked'], True)
        self.jobq('fail', job, token, 'stopped')
        self.assertEqual(self.show(job)['state'], 'cancelled')
        job = self.enqueue()
        _, token = self.claim()
        self.jobq('cancel', job)
        self.jobq('ack', job, token)
        self.assertEqual(self.show(job)['state'], 'completed')

    def test_hard_cancel(self):
        """cancel --hard: the token is void at once (rule 6)"""
        job = self.enqueue()
        _, token = self.claim()
        self.jobq('cancel', job, '--hard')
        self.jobq('ack', job, token, code=REFUSED)
        self.assertEqual(self.show(job)['state'], 'cancelled')

    def test_table(self):
        """piped, the answer is the id and the status"""
        job = self.enqueue()
        job, token = self.claim()
        self.assertEqual(self.jobq('ack', job, token).text, job + '\tOK\n')
        self.assertEqual(self.jobq('ack', job, token).code, OK)


if __name__ == '__main__':
    tool.main()
