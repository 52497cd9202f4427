#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The history checker names what is wrong: a bad history for each invariant and each floor, and its clean twin passes.

A history is made of a few lines by `Story`; each bad one differs from the clean one in the one thing that it is about.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'video'))
sys.path.insert(0, HERE)
import check  # noqa: E402  pylint: disable=wrong-import-position
import tap  # noqa: E402  pylint: disable=wrong-import-position

LEASE_MS = 100
FLOORS = ('kills', 'server_kills', 'pauses', 'cuts', 'jobs', 'stale_acks_rejected', 'already', 'unknown_outcomes', 'duplicates',
          'expiries', 'dead')


class Story:
    """One process `claim-1` and what it writes; `work-1` and the driver where they are needed."""

    def __init__(self):
        self.t = 0
        self.fences = 100
        self.calls = 0
        self.lines = {'claim-1': [], 'claim-2': [], 'work-1': [], 'driver': []}
        self.dump = {}

    def line(self, process, after=1000, **rest):
        self.t += after
        self.lines[process].append({'t': self.t, 'p': process, 'pid': len(process) * 100 + int(process[-1:]) if
                                    process != 'driver' else 1, **rest})
        return self.lines[process][-1]

    def driver(self, what, **rest):
        self.line('driver', op='driver', what=what, **rest)

    def put(self, who, status='OK', queue='plain', key='', group='', payload=b'1\0x', holder='', same=0, stored=True):
        total = check.sum_of(payload)
        self.line('claim-1', op='enqueue', ph='call', id=who, n=1, queue=queue, key=key, group=group, sum=total, max=3)
        if status:
            self.line('claim-1', op='enqueue', ph='done', id=who, status=status, holder=holder or who, same=same)
        if stored:
            self.dump[who] = {'id': who, 'queue': queue, 'group': group, 'state': 'ready', 'reason': '', 'attempt': 0,
                              'failures': 0, 'crashes': 0, 'max_attempts': 3, 'result': None, 'errors': [],
                              'payload_base64': base64.b64encode(payload).decode(), 'finished_at': None,
                              'run_at': '2030-01-01T00:00:00.000Z'}

    def claim(self, who, process='claim-1', attempt=1, fence=None, token=None, queue='plain', group='', payload=b'1\0x'):
        self.fences = fence or self.fences + 1
        self.calls += 1
        row = {'id': who, 'token': token or f't{self.fences}', 'fence': self.fences, 'attempt': attempt, 'n': 1}
        self.line(process, op='claim', ph='call', call=self.calls, lease=LEASE_MS)
        self.line(process, op='claim', ph='row', call=self.calls, lease=LEASE_MS, queue=queue, group=group,
                  sum=check.sum_of(payload), **row)
        self.line(process, op='claim', ph='done', call=self.calls, status='OK', rows=1)
        if who in self.dump:
            self.dump[who].update(attempt=attempt, state='running')
        return row

    def say(self, op, row, status='OK', process='claim-1', state=None):
        self.line(process, op=op, ph='call', **row)
        if status:
            self.line(process, op=op, ph='done', status=status, **row)
        if state:
            self.dump[row['id']].update(state=state, finished_at='2030-01-01T00:00:00.000Z')
        if op == 'ack' and state:
            self.dump[row['id']]['result'] = f'attempt {row["attempt"]}'

    def done(self, who, **more):
        self.say('ack', self.claim(who, **more), state='completed')

    def write(self, folder):
        for name, lines in self.lines.items():
            with open(os.path.join(folder, name + '.log'), 'w', encoding='utf-8') as out:
                out.writelines(json.dumps(line) + '\n' for line in lines)
        queues = {}
        for job in self.dump.values():
            states = queues.setdefault(job['queue'], dict.fromkeys(
                ('blocked', 'scheduled', 'ready', 'running', 'completed', 'dead', 'cancelled'), 0))
            states[job['state']] += 1
        self.stats = {'queues': [{'queue': name, **states} for name, states in queues.items()]}
        for name, what in (('dump', list(self.dump.values())), ('stats', self.stats)):
            with open(os.path.join(folder, name + '.json'), 'w', encoding='utf-8') as out:
                json.dump(what, out)


class Checker(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='jobq-check-')
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_check(self, *words):
        done = subprocess.run([sys.executable, os.path.join(HERE, 'check.py'), self.folder, *words], capture_output=True,
                              text=True, check=False, timeout=60)
        self.assertEqual(done.stderr, '')
        return done.returncode, done.stdout.splitlines()

    def rules(self, story):
        story.write(self.folder)
        code, lines = self.run_check()
        self.assertEqual(code, 1 if lines[:-1] else 0)
        return sorted({line.split()[0] for line in lines[:-1]})

    def clean(self, story):
        self.assertEqual(self.rules(story), [])

    def bad(self, story, rule):
        self.assertEqual(self.rules(story), [rule])

    def test_clean(self):
        """a clean history passes: done, failed and done, given up, overtaken, repeated, a key used again"""
        s = Story()
        s.put('a')
        s.done('a')
        s.put('b')
        s.say('fail', s.claim('b'))
        s.done('b', attempt=2)
        s.put('c', key='k', queue='keyed')
        s.put('d', status='DUPLICATE', holder='c', same=1, key='k', queue='keyed', stored=False)
        s.done('c', queue='keyed')
        s.put('e', key='k', queue='keyed')
        late = s.claim('e', queue='keyed')
        s.t += LEASE_MS * 1000
        s.done('e', attempt=2, queue='keyed', process='claim-2')
        s.say('ack', late, status='STALE')
        s.put('f', status='UNKNOWN')
        s.line('claim-1', op='enqueue', ph='call', id='f', n=1, queue='plain', key='', group='', sum='x', max=3)
        s.line('claim-1', op='enqueue', ph='done', id='f', status='ALREADY', holder='f', same=1)
        row = s.claim('f')
        s.say('ack', row, state='completed')
        s.say('ack', row, status='ALREADY')
        self.clean(s)

    def test_s1(self):
        """S1: what was put is not there"""
        s = Story()
        s.put('a', stored=False)
        self.bad(s, 'S1')

    def test_s2_token(self):
        """S2: a token is given twice"""
        s = Story()
        s.put('a')
        s.put('b')
        s.done('a', token='same')
        s.done('b', token='same')
        self.bad(s, 'S2')

    def test_s2_stale(self):
        """S2: an outcome under a token that was overtaken is accepted"""
        s = Story()
        s.put('a')
        row = s.claim('a')
        s.t += LEASE_MS * 1000
        s.claim('a', process='claim-2', attempt=2)
        s.say('extend', row)
        s.dump['a'].update(state='dead', reason='PERMANENT', errors=[{}], finished_at='x')
        self.bad(s, 'S2')

    def test_s3_twice(self):
        """S3: two accepted completions"""
        s = Story()
        s.put('a')
        row = s.claim('a')
        s.say('ack', row, state='completed')
        s.say('ack', row)
        self.bad(s, 'S3')

    def test_s3_result(self):
        """S3: another result is stored than was accepted"""
        s = Story()
        s.put('a')
        s.done('a')
        s.dump['a']['result'] = 'attempt 2'
        self.bad(s, 'S3')

    def test_s4(self):
        """S4: claimed again while the lease is not past"""
        s = Story()
        s.put('a')
        s.claim('a')
        s.done('a', process='claim-2', attempt=2)
        self.bad(s, 'S4')

    def test_s5_order(self):
        """S5: the number of the attempt does not rise"""
        s = Story()
        s.put('a')
        s.say('release', s.claim('a'))
        s.done('a', attempt=1)
        self.bad(s, 'S5')

    def test_s5_failures(self):
        """S5: more failures than attempts are allowed"""
        s = Story()
        s.put('a')
        s.done('a')
        s.dump['a']['failures'] = 4
        self.bad(s, 'S5')

    def test_s6(self):
        """S6: claimed after it was completed"""
        s = Story()
        s.put('a')
        s.done('a')
        s.claim('a', attempt=2)
        s.dump['a'].update(state='completed')
        self.bad(s, 'S6')

    def test_s7(self):
        """S7: two live jobs of one key"""
        s = Story()
        s.put('a', key='k', queue='keyed')
        s.put('b', key='k', queue='keyed')
        s.done('a', queue='keyed')
        s.done('b', queue='keyed')
        self.bad(s, 'S7')

    def test_s7_race(self):
        """S7: two were put at the same time, and both are there"""
        s = Story()
        s.put('a', key='k', queue='keyed', status='')
        s.put('b', key='k', queue='keyed')
        s.line('claim-1', op='enqueue', ph='done', id='a', status='OK', holder='a', same=0)
        s.done('a', queue='keyed')
        s.done('b', queue='keyed')
        self.bad(s, 'S7')

    def pruned(self, story, total, events=('completed', 'removed'), trimmed=1, first=1, gone=True):
        """The job 'a' is gone, and the store says that so many were put and ended, and what became of 'a'."""
        if gone:
            del story.dump['a']
        story.put('b')
        story.done('b')
        story.write(self.folder)
        story.stats['queues'][0].update(enqueued_total=total, completed_total=2, dead_total=0, cancelled_total=0,
                                        completed_trimmed=trimmed, dead_trimmed=0, cancelled_trimmed=0)
        told = [{'cursor': first + i, 'id': 'a', 'queue': 'plain', 'state': state,
                 'reason': 'RETENTION' if state == 'removed' else None} for i, state in enumerate(events)]
        for name, what in (('stats', story.stats), ('events', told)):
            with open(os.path.join(self.folder, name + '.json'), 'w', encoding='utf-8') as out:
                json.dump(what, out)
        return [line.split()[0] for line in self.run_check('--pruned')[1][:-1]]

    def ended(self):
        s = Story()
        s.put('a')
        s.done('a')
        return s

    def test_pruned(self):
        """a job that ended and was pruned is not lost"""
        self.assertEqual(self.pruned(self.ended(), 2), [])
        self.assertEqual(self.run_check('--pruned', '--floor', 'pruned=1')[0], 0)
        self.assertEqual(self.run_check('--pruned', '--floor', 'pruned=2')[0], 1)

    def test_s1_pruned(self):
        """S1: a job that nobody worked at is not there, whatever was pruned"""
        s = Story()
        s.put('a')
        self.assertEqual(self.pruned(s, 2), ['S1'])

    def test_s1_no_event(self):
        """S1: a job that ended is not there, and no event says that it was pruned"""
        self.assertEqual(self.pruned(self.ended(), 2, events=['completed'], trimmed=0), ['S1', 'S10'])

    def test_s6_pruned(self):
        """S6: a job was pruned that had not ended; pruned twice; pruned and is there"""
        self.assertEqual(self.pruned(self.ended(), 2, events=['running', 'removed']), ['S6'])
        self.assertEqual(self.pruned(self.ended(), 3, events=['completed', 'removed', 'removed'], trimmed=2)[-1], 'S6')
        self.assertIn('S6', self.pruned(self.ended(), 2, gone=False))

    def test_s10_events(self):
        """S10: fewer were pruned than events say; an event is left out"""
        self.assertEqual(self.pruned(self.ended(), 2, trimmed=0), ['S10', 'S10'])
        self.assertEqual(self.pruned(self.ended(), 2, first=2), ['S10'])

    def test_s10_pruned(self):
        """S10: more were put than ended, as the store counts"""
        s = self.ended()
        s.put('c', status='UNKNOWN', stored=False)
        self.assertEqual(self.pruned(s, 3), ['S10', 'S10'])

    def test_s1_totals(self):
        """S1: fewer were put, as the store counts, than by those who put them"""
        self.assertEqual(self.pruned(self.ended(), 1), ['S1', 'S10', 'S10'])

    def test_torn(self):
        """the last line of a log may be torn, as whoever wrote it was shot; any other may not"""
        s = Story()
        s.put('a')
        s.done('a')
        s.write(self.folder)
        path = os.path.join(self.folder, 'claim-1.log')
        with open(path, 'a', encoding='utf-8') as log:
            log.write('{"t":58709835994,"p":"claim-1","pid":701,"op":"ack","fence":1796')
        self.assertEqual(self.run_check()[0], 0)
        with open(path, 'a', encoding='utf-8') as log:
            log.write('\n')
        with self.assertRaises(AssertionError):  # what it says is a traceback
            self.run_check()

    def test_slow(self):
        """a lease that ran out of slowness is counted, one of a process that was stopped or shot is not"""
        s = Story()
        for who, what in (('a', None), ('b', 'pause'), ('c', 'kill')):
            s.put(who)
            s.claim(who)
            if what:
                s.driver(what, pid=701)
            s.t += LEASE_MS * 1000
            s.done(who, attempt=2, process='claim-2')
        s.write(self.folder)
        self.assertEqual(json.loads(self.run_check()[1][-1])['slow_expiries'], 1)

    def test_s7_holder(self):
        """S7: the holder that is named does not have the key"""
        s = Story()
        s.put('a', key='other', queue='keyed')
        s.put('b', key='k', queue='keyed', status='DUPLICATE', holder='a', same=1, stored=False)
        s.done('a', queue='keyed')
        self.bad(s, 'S7')

    def test_s8(self):
        """S8: told that the payload is the same when it is not"""
        s = Story()
        s.put('a', key='k', queue='keyed')
        s.put('b', key='k', queue='keyed', status='DUPLICATE', holder='a', same=1, payload=b'2\0', stored=False)
        s.done('a', queue='keyed')
        self.bad(s, 'S8')

    def test_s9(self):
        """S9: four at once where three may run"""
        s = Story()
        for who in 'abcd':
            s.put(who, queue='limited')
        rows = [s.claim(who, queue='limited') for who in 'abcd']
        for row in rows:
            s.say('ack', row, state='completed')
        self.bad(s, 'S9')

    def test_s9_given_back(self):
        """S9: three at once, and a fourth when one has died, is no violation"""
        s = Story()
        for who in 'abcd':
            s.put(who, queue='limited')
        rows = [s.claim('a', queue='limited', process='claim-2')] + [s.claim(who, queue='limited') for who in 'bc']
        s.driver('kill', pid=s.lines['claim-2'][-1]['pid'])
        rows.append(s.claim('d', queue='limited'))
        for row in rows[1:]:
            s.say('ack', row, state='completed')
        s.t += LEASE_MS * 1000
        s.done('a', attempt=2, queue='limited')
        self.clean(s)

    def test_s9_lapsed(self):
        """S9: three whose leases have passed unnoticed by their holder, three others, and the first three much later"""
        s = Story()
        for who in 'abcdef':
            s.put(who, queue='limited')
        for who in 'abc':
            s.claim(who, queue='limited')
        s.t += LEASE_MS * 1000
        for who in 'def':
            s.done(who, queue='limited', process='claim-2')
        s.t += LEASE_MS * 1000
        for who in 'abc':
            s.done(who, attempt=2, queue='limited')
        self.clean(s)

    def test_s9_group(self):
        """S9: three of one tenant where two may run; the library's worker counts, too"""
        s = Story()
        for who in 'abc':
            s.put(who, queue='tenants', group='t')
        rows = [s.claim(who, queue='tenants', group='t') for who in 'ab']
        started = {'id': 'c', 'token': 'tw', 'fence': 900, 'attempt': 1, 'n': 1}
        s.line('work-1', op='handler', ph='start', **started)
        s.line('work-1', op='handler', ph='end', **started)
        s.dump['c'].update(state='completed', attempt=1, result='attempt 1', finished_at='x')
        for row in rows:
            s.say('ack', row, state='completed')
        self.bad(s, 'S9')

    def test_s10(self):
        """S10: the counts are not those of the rows"""
        s = Story()
        s.put('a')
        s.done('a')
        s.write(self.folder)
        s.stats['queues'][0]['completed'] = 2
        with open(os.path.join(self.folder, 'stats.json'), 'w', encoding='utf-8') as out:
            json.dump(s.stats, out)
        code, lines = self.run_check()
        self.assertEqual((code, [line.split()[0] for line in lines[:-1]]), (1, ['S10']))

    def test_s11(self):
        """S11: ALREADY to a request that was never made before"""
        s = Story()
        s.put('a')
        row = s.claim('a')
        s.say('ack', row, status='ALREADY', state='completed')
        self.bad(s, 'S11')

    def test_s11_put(self):
        """S11: ALREADY to the first enqueue"""
        s = Story()
        s.put('a', status='ALREADY')
        s.done('a')
        self.bad(s, 'S11')

    def tick(self, s, who, second):
        s.dump[who] = {'id': who, 'queue': check.TICKS, 'group': '', 'state': 'ready', 'reason': '', 'attempt': 0, 'failures': 0,
                       'crashes': 0, 'max_attempts': 3, 'result': None, 'errors': [], 'payload': '', 'finished_at': None,
                       'run_at': f'2030-01-01T00:00:{second:06.3f}Z'}

    def test_s12(self):
        """S12: a nominal time is left out; one fires twice"""
        for seconds in ((1, 2, 4), (1, 2, 2, 3)):
            s = Story()
            for i, second in enumerate(seconds):
                self.tick(s, f'tick {i}', second)
            self.bad(s, 'S12')
        s = Story()
        for second in (1, 1.879, 3, 4):  # the second was put while the store's clock was behind
            self.tick(s, f'tick {second}', second)
        self.clean(s)
        s = Story()
        for second in (1, 2.5, 3, 4):
            self.tick(s, f'tick {second}', second)
        self.bad(s, 'S12')

    def test_s13(self):
        """S13: dead without a reason or an error"""
        s = Story()
        s.put('a')
        s.say('fail', s.claim('a'), state='dead')
        s.dump['a']['reason'] = 'PERMANENT'
        self.bad(s, 'S13')

    def test_s14(self):
        """S14: other bytes come out than went in"""
        s = Story()
        s.put('a')
        s.done('a', payload=b'1\0y')
        self.bad(s, 'S14')

    def test_s15(self):
        """S15: a job comes out of another queue than it was put into"""
        s = Story()
        s.put('a')
        s.done('a', queue='other')
        self.bad(s, 'S15')

    def test_s16_failed(self):
        """S16: FAILED, and it is there all the same"""
        s = Story()
        s.put('a', status='FAILED')
        s.done('a')
        self.bad(s, 'S16')

    def test_s16_nobody(self):
        """S16: a job that nobody put"""
        s = Story()
        s.put('a')
        s.done('a')
        s.dump['z'] = dict(s.dump['a'], id='z')
        self.bad(s, 'S16')

    def test_stuck(self):
        """L2: something is not over at the end"""
        s = Story()
        s.put('a')
        s.claim('a')
        self.bad(s, 'L2')

    def test_floors(self):
        """each floor is named when its count is below"""
        s = Story()
        s.put('a')
        s.done('a')
        s.write(self.folder)
        for floor in FLOORS:
            code, lines = self.run_check('--floor', floor + '=5')
            self.assertEqual((code, lines[0].split()[:2]), (1, ['FLOOR', floor]))
        self.assertEqual(self.run_check('--floor', 'jobs=1')[0], 0)


if __name__ == '__main__':
    sys.exit(tap.main())
