#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an operator does: cancel, redrive, drop, purge, pause, hold, the dead letters."""
import tool
from tool import NO_ID, NOT_FOUND, REFUSED, USAGE, on_servers


class Operator(tool.Case):
    def dead(self, queue='q', text='why', *words):
        job = self.enqueue(queue, *words)
        self.jobq('fail', *self.claim(queue), text, '--permanent')
        return job

    def test_cancel(self):
        """cancel: a waiting job is cancelled, again is 0, an ended one is 1, an unknown one 3"""
        job = self.enqueue()
        self.assertEqual(self.json('cancel', job)['status'], 'OK')
        self.assertEqual(self.json('cancel', job)['status'], 'ALREADY')
        self.assertEqual(self.show(job)['state'], 'cancelled')
        done = self.enqueue()
        self.jobq('ack', *self.claim())
        said = self.json('cancel', done, code=REFUSED)
        self.assertEqual((said['id'], said['status']), (done, 'STATE'))
        self.jobq('cancel', NO_ID, code=NOT_FOUND)

    def test_redrive(self):
        """redrive: ready with fresh counters and its history; in another state 1; unknown 3 (rule 8)"""
        job = self.dead(text='first')
        self.assertEqual(self.json('redrive', job)['status'], 'OK')
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['failures'], shown['redrives']), ('ready', 0, 1))
        self.assertEqual(shown['errors'][0]['text'], 'first')
        self.jobq('redrive', job, code=REFUSED)
        self.jobq('retry', NO_ID, code=NOT_FOUND)

    @on_servers
    def test_explain(self):
        """explain: the first thing in a job's way and the command that changes it (lifecycle: states)"""
        job = self.enqueue()
        said = self.json('explain', job)
        self.assertEqual((said['why'], said['who']), ('no_worker', 'q'))
        self.assertIn('jobq work q', said['command'])
        self.jobq('pause', 'q')
        self.assertEqual(self.json('explain', job)['command'], 'jobq resume q')
        held = self.enqueue('q', '--held')
        self.assertEqual(self.json('explain', held)['command'], 'jobq unhold ' + held)
        child = self.enqueue('q', '--after', job)
        said = self.json('explain', child)
        self.assertEqual((said['why'], said['job'], said['count']), ('dependency', job, 1))
        later = self.enqueue('q', '--delay', '1h')
        self.assertEqual(self.json('explain', later)['until'], self.show(later)['run_at'])
        dead = self.dead('r')
        self.assertEqual(self.jobq('explain', dead).text.split('\t')[0], 'dead')
        self.jobq('explain', NO_ID, code=NOT_FOUND)
        self.jobq('explain', code=USAGE)

    def test_redrive_held_key(self):
        """redrive: with the key taken by another it is 1 and nothing changes (rule 9)"""
        job = self.dead('q', 'x', '--key', 'k')
        self.enqueue('q', '--key', 'k')
        self.assertEqual(self.json('redrive', job, code=REFUSED)['status'], 'HELD')
        self.assertEqual(self.show(job)['state'], 'dead')
        self.assertEqual(self.json('redrive', '--all'), {'matched': 1, 'done': 0})

    @on_servers
    def test_redrive_all(self):
        """redrive --all: prints matched and done; filters; --dry-run changes nothing"""
        for _ in range(3):
            self.dead('q')
        self.dead('r')
        self.assertEqual(self.json('redrive', '--all', '--dry-run'), {'matched': 4, 'done': 0})
        self.assertEqual(self.counts('q'), {'dead': 3})
        self.assertEqual(
            self.json('redrive', '--all', '--queue', 'q', '--reason', 'POISON'), {'matched': 0, 'done': 0}
        )
        self.assertEqual(self.json('redrive', '--all', '--queue', 'q'), {'matched': 3, 'done': 3})
        self.assertEqual((self.counts('q'), self.counts('r')), ({'ready': 3}, {'dead': 1}))
        self.assertEqual(self.jobq('retry', '--all').text, '1\t1\n')
        job = self.dead('s')
        self.jobq('redrive', job, '--dry-run', code=USAGE)
        self.jobq('redrive', '--all', job, code=USAGE)
        self.jobq('redrive', code=USAGE)
        self.assertEqual(self.show(job)['state'], 'dead')

    @on_servers
    def test_purge(self):
        """purge: wants a state; filters by queue and age; --dry-run counts only; running jobs stay"""
        self.dead('q')
        self.dead('r')
        self.enqueue('q')
        self.enqueue('q')
        self.claim('q')
        self.jobq('purge', code=USAGE)
        self.assertEqual(self.json('purge', '--state', 'dead', '--dry-run'), {'matched': 2, 'done': 0})
        self.assertEqual(self.json('purge', '--state', 'dead', '--older', '1m'), {'matched': 0, 'done': 0})
        self.assertEqual(self.json('purge', '--state', 'dead', '--queue', 'q'), {'matched': 1, 'done': 1})
        self.advance(60001)
        self.assertEqual(self.json('purge', '--state', 'dead', '--older', '1m'), {'matched': 1, 'done': 1})
        self.assertEqual(self.json('purge', '--state', 'ready,running')['done'], 1)
        self.assertEqual(self.counts('q'), {'running': 1})

    def test_drop(self):
        """drop: removes a job that is not running; a running one is 1; unknown 3"""
        job = self.enqueue()
        self.assertEqual(self.json('drop', job)['status'], 'OK')
        self.jobq('show', job, code=NOT_FOUND)
        self.jobq('drop', job, code=NOT_FOUND)
        job = self.enqueue()
        self.claim()
        self.jobq('drop', job, code=REFUSED)
        self.assertEqual(self.show(job)['state'], 'running')

    def test_pause(self):
        """pause, resume: a paused queue gives nothing away and takes everything in (rule 10)"""
        self.assertEqual(self.json('pause', 'q'), {'queue': 'q', 'paused': True})
        job = self.enqueue()
        self.assertEqual(self.json('claim', 'q'), [])
        self.assertEqual(self.json('resume', 'q'), {'queue': 'q', 'paused': False})
        self.assertEqual(self.claim()[0], job)

    def test_hold(self):
        """unhold: a held job goes; again is 0; another state 1; unknown 3"""
        job = self.enqueue('q', '--held')
        self.assertEqual(self.show(job)['reason'], 'HOLD')
        self.assertEqual(self.json('claim', 'q'), [])
        self.assertEqual(self.json('unhold', job)['status'], 'OK')
        self.assertEqual(self.claim()[0], job)
        self.jobq('unhold', job, code=REFUSED)
        self.jobq('unhold', NO_ID, code=NOT_FOUND)

    def test_expires(self):
        """a job that was not started in time is dead as EXPIRED"""
        job = self.enqueue('q', '--expires-in', '10s')
        self.advance(10001)
        self.jobq('sweep')
        self.assertEqual((self.show(job)['state'], self.show(job)['reason']), ('dead', 'EXPIRED'))

    def test_dead(self):
        """dead: the dead letters only, with filters"""
        job = self.dead('q')
        other = self.dead('r')
        self.enqueue('q')
        self.assertEqual([j['id'] for j in self.json('dead')], [job, other])
        self.assertEqual([j['id'] for j in self.json('dlq', '--queue', 'r')], [other])
        self.assertEqual(self.json('dead', '--reason', 'POISON'), [])
        self.assertEqual(self.jobq('dead').text.count('\n'), 2)

    @on_servers
    def test_dead_by_error(self):
        """dead --by-error: one row for each kind of error, figures left out, most frequent first"""
        for text in (
            'timeout after 3 s on host 10',
            'no such file',
            'timeout after 4711 s on host 9',
            'timeout after 0 s on host 1',
        ):
            newest = self.dead(text=text + '\nmore of it ' + text)
        groups = self.json('dead', '--by-error')
        self.assertEqual(
            [(g['count'], g['error'], g['reason']) for g in groups],
            [(3, 'timeout after # s on host #', 'PERMANENT'), (1, 'no such file', 'PERMANENT')],
        )
        self.assertEqual(groups[0]['newest'], newest)
        self.assertEqual(len(self.jobq('dead', '--by-error').text.splitlines()), 2)

    def test_sweep(self):
        """sweep: says how many it judged"""
        self.assertEqual(self.json('claim', 'q'), [])
        self.assertEqual(self.json('sweep'), {'judged': 0})
        for _ in range(3):
            self.enqueue()
        self.json('claim', 'q', '-n', '3', '--lease', '1s')
        self.advance(1001)
        self.assertEqual(self.json('sweep', '-n', '2'), {'judged': 2})
        self.assertEqual(self.jobq('sweep').text, '1\n')
        self.jobq('sweep', '-n', '0', code=USAGE)


if __name__ == '__main__':
    tool.main()
