#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What looks after a whole store: limits, draining, top, filters, schemas, the benchmark, the dashboard."""
import json
import os
import re
import signal

import tool
from tool import NOT_FOUND, OK, REFUSED, STORE, TIME, USAGE, on_servers, of_a_file


class Limit(tool.Case):
    def limit(self, *words, **more):
        return self.json('limit', *words, **more)

    @on_servers
    def test_queue(self):
        """limit QUEUE: what is set is answered, holds at the next claim and enqueue, and stays when another is set"""
        said = self.limit('q', '--concurrency', 2, '--rate', '100/s', '--depth', 3)
        self.assertEqual((said['of'], said['name'], said['concurrency'], said['depth']), ('queue', 'q', 2, 3))
        self.assertEqual((said['rate'], said['rate_period_ms'], said['quota']), (100, 1000, None))
        for _ in range(3):
            self.enqueue()
        self.assertEqual(self.json('enqueue', 'q', code=REFUSED)['status'], 'FULL')
        self.assertEqual(len(self.json('claim', 'q', '-n', 5)), 2)
        said = self.limit('q')
        self.assertEqual((said['running'], said['rate_used'], said['concurrency']), (2, 2, 2))
        said = self.limit('q', '--concurrency', 'none')
        self.assertEqual((said['concurrency'], said['depth']), (None, 3))
        self.assertEqual(len(self.json('claim', 'q', '-n', 5)), 1)
        said = self.limit('q', '--concurrency', 'unset', '--depth', 'unset', '--rate', 'unset')
        self.assertEqual((said['concurrency'], said['depth'], said['rate'], said['rate_period_ms']), (None,) * 4)
        self.assertEqual(self.limit(), [])

    @on_servers
    def test_groups_and_plans(self):
        """limit --group, --plan: a tenant gets what its plan says; over its quota enqueue is LIMITED and says when"""
        self.limit('--plan', 'free', '--concurrency', 1, '--quota', '2/m')
        said = self.limit('--group', 'acme', '--plan', 'free')
        self.assertEqual((said['of'], said['name'], said['plan'], said['concurrency']), ('group', 'acme', 'free', None))
        for _ in range(2):
            self.enqueue('q', '--group', 'acme')
        said = self.json('enqueue', 'q', 'x', '--group', 'acme', code=REFUSED)
        self.assertEqual(said['status'], 'LIMITED')
        self.assertTrue(0 < said['retry_ms'] <= 66000, said)
        self.assertEqual(len(self.json('claim', 'q', '-n', 5)), 1)
        self.assertEqual(self.limit('--group', 'acme')['quota_used'], 2)
        self.limit('--every-group', '--concurrency', 7)
        said = self.limit()
        self.assertEqual(
            [(s['of'], s['name'], s['plan']) for s in said],
            [('group', '', None), ('group', 'acme', 'free'), ('plan', 'free', None)],
        )
        lines = [line.split('\t') for line in self.jobq('limit').text.splitlines()]
        self.assertEqual([line[:3] for line in lines], [['group', '*', ''], ['group', 'acme', 'free'], ['plan', 'free', '']])
        self.assertEqual(lines[2][7], '2/m')
        self.assertEqual(self.limit('--group', 'acme', '--concurrency', 'none')['concurrency'], 'none')
        self.assertEqual(self.limit('--group', 'acme', '--no-plan')['plan'], None)
        self.assertEqual(len(self.json('claim', 'q', '-n', 5)), 1)

    def test_many(self):
        """limit: all of them, by name, also when there are more than a page"""
        for name in ('b', 'a', 'c'):
            self.limit(name, '--depth', 9)
        self.assertEqual([s['name'] for s in self.limit()], ['a', 'b', 'c'])

    def test_bad_input(self):
        """limit: what cannot be meant is refused and names the field"""
        for field, words in (
            ('depth', ['q', '--depth', 'x']),
            ('depth', ['q', '--depth', '-1']),
            ('concurrency', ['q', '--concurrency', '']),
            ('rate', ['q', '--rate', '5']),
            ('rate', ['q', '--rate', '5/']),
            ('rate', ['q', '--rate', '/s']),
            ('rate', ['q', '--rate', '5/x']),
            ('rate', ['q', '--rate', '9' * 40 + '/s']),
            ('rate_period_ms', ['q', '--rate', '5/1ms']),
            ('set', ['q', '--quota', '5/s']),
            ('set', ['--plan', 'p', '--depth', '5']),
            ('group', ['--group', '', '--concurrency', '1']),
            ('no-plan', ['--no-plan']),
            ('arguments', ['q', '--group', 'g']),
            ('arguments', ['--depth', '5']),
            ('arguments', ['q', 'r']),
        ):
            answer = self.jobq('--json', 'limit', *words, code=USAGE)
            self.assertEqual(answer.json['field'], field, words)


class Drain(tool.Case):
    @on_servers
    def test_drains(self):
        """drain: takes no new job, ends when nothing is ready or running, and lets new ones in again"""
        self.jobq('limit', 'q', '--depth', 50)
        jobs = [self.enqueue(), self.enqueue()]
        later = self.enqueue('q', '--delay', '1h')
        held = self.claim()
        self.assertEqual(held[0], jobs[0])
        draining = self.start('--json', 'drain', 'q')
        self.until(lambda: self.json('limit', 'q')['depth'] == 0, 'closed')
        self.assertEqual(self.json('enqueue', 'q', code=REFUSED)['status'], 'FULL')
        self.jobq('ack', *held)
        self.jobq('ack', *self.claim())
        out, err = draining.communicate(timeout=tool.DEADLINE_S)
        self.assertEqual(draining.returncode, OK, err)
        self.assertEqual(
            json.loads(out),
            {'queue': 'q', 'drained': True, 'ready': 0, 'running': 0, 'scheduled': 1, 'blocked': 0, 'closed': False},
        )
        self.assertIn(b'no worker that is alive has the queue q', err)
        self.assertEqual(self.json('limit', 'q')['depth'], 50)
        self.assertEqual(self.show(later)['state'], 'scheduled')
        self.enqueue()

    def test_time_over(self):
        """drain --timeout: exit 5 with what is left, and open again; a paused queue is named"""
        self.enqueue()
        self.jobq('pause', 'q')
        answer = self.jobq('--json', 'drain', 'q', '--timeout', 0, code=TIME)
        self.assertEqual((answer.json['drained'], answer.json['ready']), (False, 1))
        self.assertIn('queue q is paused', answer.err)
        self.assertIsNone(self.json('limit', 'q')['depth'])
        self.assertEqual(self.jobq('drain', 'q', '--timeout', 0, code=TIME).text, 'q\tnot drained\t1\t0\t0\t0\n')

    def test_interrupted(self):
        """drain: interrupted it lets new jobs in again and exits 5"""
        self.enqueue()
        draining = self.start('drain', 'q')
        self.until(lambda: self.json('limit', 'q')['depth'] == 0, 'closed')
        draining.send_signal(signal.SIGINT)
        self.assertEqual(self.ended(draining), TIME)
        self.assertIsNone(self.json('limit', 'q')['depth'])

    def test_keep_closed(self):
        """drain --keep-closed: it stays closed, and a later drain does not open it; limit does"""
        self.jobq('drop', self.enqueue())
        answer = self.jobq('--json', 'drain', 'q', '--keep-closed')
        self.assertEqual((answer.json['drained'], answer.json['closed']), (True, True))
        self.assertIn('jobq limit q --depth unset', answer.err)
        self.assertTrue(self.json('drain', 'q')['closed'])
        self.jobq('enqueue', 'q', code=REFUSED)
        self.jobq('limit', 'q', '--depth', 'unset')
        self.enqueue()

    def test_unknown_queue(self):
        """drain: a queue that nothing was ever put into is exit 3, not drained"""
        self.enqueue('other')
        self.assertEqual(self.json('drain', 'q', code=NOT_FOUND)['status'], 'NOT_FOUND')
        self.jobq('drain', code=USAGE)


class Top(tool.Case):
    @on_servers
    def test_lines(self):
        """top: one JSON value a line with the statistics and who runs what; a row for each queue when piped"""
        self.enqueue('r')
        job, token = self.claim('r', '--worker', 'somebody')
        self.jobq('progress', job, token, '40 %')
        self.enqueue()
        lines = self.jobq('--json', 'top', '-n', 2, '--every', 100).text.splitlines()
        self.assertEqual(len(lines), 2)
        for line in lines:
            said = json.loads(line)
            self.assertEqual([(q['queue'], q['ready'], q['running']) for q in said['queues']], [('q', 1, 0), ('r', 0, 1)])
            one = said['running'][0]
            self.assertEqual((one['id'], one['worker'], one['progress']), (job, 'somebody', '40 %'))
            self.assertEqual(said['store']['namespace'], self.space)
        rows = [line.split('\t') for line in self.jobq('top', '-n', 1).text.splitlines()]
        self.assertEqual([row[1:6] for row in rows], [['r', '0', '0', '0', '1'], ['q', '1', '0', '0', '0']])

    @of_a_file
    def test_screen(self):
        """top: on a terminal a screen that fits, and Ctrl-C ends it with 0"""
        for number in range(30):
            self.enqueue('queue-%02d' % number)
        self.claim('queue-07')
        pid, screen = os.forkpty()
        if pid == 0:
            os.environ.update(tool.quiet(), TERM='xterm')
            os.execv(tool.JOBQ, [tool.JOBQ, '-s', self.uri, 'top', '--every', '100ms'])
        said = b''
        while said.count(b'\x1b[H') < 2:
            said += os.read(screen, 65536)
        os.write(screen, b'\x03')
        try:
            while os.read(screen, 65536):
                pass
        except OSError:
            pass
        os.close(screen)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        first = said.split(b'\x1b[H')[1].decode()
        self.assertLessEqual(first.count('\n'), 24)
        text = re.sub(r'\x1b\[[0-9?]*[a-zA-Z]', '', first)
        self.assertIn('namespace jobq', text)
        self.assertRegex(text, r'(?m)^queue +ready')
        self.assertLess(text.index('queue-07'), text.index('queue-00'))
        self.assertRegex(text, r'and \d+ more')

    def test_bad_input(self):
        """top: bad numbers are refused"""
        self.jobq('top', '--every', '99', code=USAGE)
        self.jobq('top', '-n', '0', code=USAGE)
        self.jobq('top', 'q', code=USAGE)


class Filters(tool.Case):
    def dead(self, *words):
        job = self.enqueue(*words)
        self.jobq('fail', *self.claim(words[0]), 'why', '--permanent')
        return job

    @on_servers
    def test_drop_many(self):
        """drop --filter: the dead letters that it names, others only when their state is named; --dry-run counts"""
        here, there = self.dead('q'), self.dead('r')
        waiting = self.enqueue('q')
        self.assertEqual(self.json('drop', '--filter', 'queue=q', '--dry-run'), {'matched': 1, 'done': 0})
        self.assertEqual(self.json('drop', '--filter', 'queue=q'), {'matched': 1, 'done': 1})
        self.jobq('show', here, code=NOT_FOUND)
        self.assertEqual(self.json('drop', '--all'), {'matched': 1, 'done': 1})
        self.jobq('show', there, code=NOT_FOUND)
        self.assertEqual(self.show(waiting)['state'], 'ready')
        self.assertEqual(self.json('drop', '--state', 'ready', '--queue', 'q'), {'matched': 1, 'done': 1})
        self.jobq('drop', code=USAGE)
        self.jobq('drop', waiting, '--all', code=USAGE)
        self.jobq('drop', waiting, '--dry-run', code=USAGE)

    def test_pairs(self):
        """--filter NAME=VALUE is --NAME VALUE, wherever jobs are named by a filter"""
        job = self.dead('q', 'x', '--kind', 'k', '--group', 'g=h')
        self.dead('q')
        pairs = ('--filter', 'queue=q', '--filter', 'kind=k', '--filter', 'group=g=h', '--filter', 'reason=PERMANENT')
        for verb in (['list', '--filter', 'state=dead'], ['dead']):
            self.assertEqual([j['id'] for j in self.json(*verb, *pairs)], [job], verb)
        for verb in (['redrive', '--all'], ['purge', '--state', 'dead'], ['drop']):
            self.assertEqual(self.json(*verb, *pairs, '--dry-run')['matched'], 1, verb)
        self.assertEqual(self.json('dead', '--filter', 'older=1h'), [])
        for bad in ('queue', 'colour=red', '=q', 'state=cold', 'older=soon'):
            self.jobq('list', '--filter', bad, code=USAGE)


    @on_servers
    def test_cancel_many(self):
        """cancel by filter: what has not ended and is named; a running one is asked, or with --hard stopped"""
        jobs = [self.enqueue('q'), self.enqueue('q', '--delay', '1h'), self.enqueue('r')]
        running = self.claim('r')[0]
        done = self.dead('s')
        self.assertEqual(self.json('cancel', '--all', '--dry-run'), {'matched': 3, 'done': 0})
        self.assertEqual(self.json('cancel', '--queue', 'q', '--max', 1), {'matched': 1, 'done': 1})
        self.assertEqual(self.json('cancel', '--queue', 'q'), {'matched': 1, 'done': 1})
        self.assertEqual([self.show(job)['state'] for job in jobs], ['cancelled', 'cancelled', 'running'])
        self.assertEqual(self.json('cancel', '--filter', 'state=running')['done'], 1)
        self.assertEqual(self.show(running)['cancel_asked'], True)
        self.assertEqual(self.json('cancel', '--all', '--hard')['done'], 1)
        self.assertEqual([self.show(job)['state'] for job in (running, done)], ['cancelled', 'dead'])
        self.jobq('cancel', code=USAGE)
        self.jobq('cancel', done, '--queue', 'q', code=USAGE)
        self.jobq('cancel', done, '--max', 1, code=USAGE)

    @on_servers
    def test_redrive_at_a_rate(self):
        """redrive --rate: the first is ready at once, the others one period after the other; --max bounds them"""
        jobs = [self.dead('q') for _ in range(4)]
        self.assertEqual(self.json('redrive', '--all', '--rate', '1/m', '--max', 3), {'matched': 3, 'done': 3})
        self.assertEqual(self.counts(), {'ready': 1, 'scheduled': 2, 'dead': 1})
        self.advance(60001)
        self.assertEqual(self.counts(), {'ready': 2, 'scheduled': 1, 'dead': 1})
        self.assertEqual(self.json('redrive', '--queue', 'q'), {'matched': 1, 'done': 1})
        for words in (['--all', '--rate', '0/s'], ['--all', '--rate', '5'], ['--all', '--rate', '5/x'], [jobs[0], '--rate', '1/s']):
            self.jobq('redrive', *words, code=USAGE)

    def test_purge_results(self):
        """purge --results: the results of completed jobs go, the jobs stay"""
        job = self.enqueue()
        self.jobq('ack', *self.claim(), 'the result')
        self.assertEqual(self.json('purge', '--results', '--older', '1h'), {'matched': 0, 'done': 0})
        self.assertEqual(self.json('purge', '--results'), {'matched': 1, 'done': 1})
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['result']), ('completed', None))
        self.jobq('purge', '--results', '--state', 'dead', code=USAGE)


class Retention(tool.Case):
    @on_servers
    def test_set(self):
        """retention: what is set is shown and holds when the next job of the queue ends; the rest stays as it was"""
        self.jobq('migrate')
        said = self.json('retention', 'q')
        self.assertEqual(
            said,
            {'queue': 'q', 'completed': 1000, 'completed_ms': 'all', 'dead': 5000, 'dead_ms': 'all',
             'cancelled': 1000, 'cancelled_ms': 'all', 'results_ms': 'all', 'own': False},
        )
        said = self.json('retention', 'q', '--completed', 2, '--dead-for', '7d')
        self.assertEqual((said['completed'], said['dead'], said['dead_ms'], said['own']), (2, 5000, 7 * 86400000, True))
        jobs = []
        for _ in range(4):
            jobs.append(self.enqueue())
            self.jobq('ack', *self.claim())
        self.assertEqual([j['id'] for j in self.json('list', '--queue', 'q')], jobs[2:])
        counted = self.json('stats', 'q')['queues'][0]
        self.assertEqual((counted['completed_trimmed'], counted['dead_trimmed'], counted['cancelled_trimmed']), (2, 0, 0))
        self.assertEqual(self.json('stats')['total']['completed_trimmed'], 2)
        self.assertIn('jobq_completed_trimmed_total{queue="q"} 2\n', self.jobq('metrics').text)
        self.jobq('events', '--keep', '100')
        jobs.append(self.enqueue())
        self.jobq('ack', *self.claim())
        told = [json.loads(line) for line in self.jobq('--json', 'events').text.splitlines()]
        self.assertEqual([(e['id'], e['state'], e['reason']) for e in told if e['state'] == 'removed'],
                         [(jobs[2], 'removed', 'RETENTION')])
        said = self.json('retention', 'q', '--cancelled', 'none', '--completed', 'all')
        self.assertEqual((said['completed'], said['cancelled'], said['dead_ms']), ('all', 'none', 7 * 86400000))
        self.assertEqual(self.jobq('retention', 'q').text, 'q\tall\tall\t5000\t604800000\tnone\tall\tall\town\n')

    @on_servers
    def test_results(self):
        """retention: results may go before their jobs, with an exchange that completes jobs of the queue"""
        self.jobq('migrate')
        said = self.json('retention', 'q', '--results-for', '1s')
        self.assertEqual((said['results_ms'], said['completed'], said['own']), (1000, 1000, True))
        first = self.enqueue()
        self.jobq('ack', *self.claim(), 'r')
        self.assertEqual(self.json('show', first)['result'], 'r')
        self.advance(1001)
        second = self.enqueue()
        self.jobq('ack', *self.claim(), 'r')
        shown = self.json('show', first)
        self.assertEqual((shown['state'], shown.get('result')), ('completed', None))
        self.assertEqual(self.json('show', second)['result'], 'r')
        self.assertEqual(self.json('retention', 'q', '--results-for', 'all')['results_ms'], 'all')

    def test_bad_input(self):
        """retention: what cannot be meant is refused and names the field"""
        for field, words in (
            ('arguments', []),
            ('completed', ['q', '--completed', '0']),
            ('dead', ['q', '--dead', 'x']),
            ('dead-for', ['q', '--dead-for', 'none']),
            ('cancelled-for', ['q', '--cancelled-for', '0']),
            ('results-for', ['q', '--results-for', 'none']),
        ):
            self.assertEqual(self.json('retention', *words, code=USAGE)['field'], field, words)


class Stop(tool.Case):
    @on_servers
    def test_stop(self):
        """stop: the worker of that name ends in order with 0; an unknown one is exit 3"""
        self.enqueue()
        worker = self.start('work', 'q', '--worker', 'w1', '--lease', '300ms', '--', 'cat')
        self.until_worker()
        self.assertEqual(self.json('stop', 'w1'), {'worker': 'w1', 'status': 'OK'})
        self.assertEqual(self.ended(worker), OK)
        self.assertEqual(self.counts(), {'completed': 1})
        self.jobq('stop', 'w1', code=NOT_FOUND)
        self.jobq('stop', code=USAGE)


class Migrate(tool.Case):
    @on_servers
    def test_makes(self):
        """migrate: makes a store that is not there, is content with one that is; --dry-run does neither"""
        self.assertEqual(self.json('migrate', '--dry-run', code=STORE)['status'], 'UNREACHABLE')
        self.jobq('stats', code=STORE)
        said = self.json('migrate')
        self.assertEqual((said['from'], said['changed'], said['dry_run']), (0, True, False))
        self.assertGreater(said['to'], 0)
        self.jobq('stats')
        for dry_run in (False, True):
            again = self.json('migrate', *(['--dry-run'] if dry_run else []))
            self.assertEqual(again, {'from': said['to'], 'to': said['to'], 'changed': False, 'dry_run': dry_run})
        self.assertEqual(self.jobq('migrate').text, '%d\t%d\tnothing to do\n' % (said['to'], said['to']))

    @on_servers
    def test_newer(self):
        """migrate: a store of a newer version is left as it is and exit 4"""
        self.enqueue()
        known = self.set_schema(9999)
        for words in ([], ['--dry-run']):
            said = self.json('migrate', *words, code=STORE)
            self.assertEqual(said['status'], 'NEWER')
        self.assertEqual(self.set_schema(known), 9999)
        self.jobq('migrate', 'x', code=USAGE)


class Bench(tool.Case):
    @on_servers
    def test_figures(self):
        """bench: each figure with its unit; its queue is empty afterwards and nothing else was touched"""
        job = self.enqueue()
        said = self.json('bench', '--for', '20ms', '-n', '10', '-j', '2')
        figures = {f['figure']: (f['unit'], f['count']) for f in said}
        self.assertEqual(
            [(f['figure'], f['unit']) for f in said],
            [('enqueue', 'jobs/s'), ('enqueue, 10 a call', 'jobs/s'), ('work', 'jobs/s'),
             ('pickup, median', 'ms'), ('pickup, 99 %', 'ms')],
        )
        self.assertEqual(figures['enqueue, 10 a call'][1] % 10, 0)
        for f in said:
            self.assertGreater(f['value'], 0)
            self.assertGreater(f['count'], 0)
        self.assertEqual(self.counts('jobq-bench'), {})
        self.assertEqual(self.counts('q'), {'ready': 1})
        self.assertEqual(self.show(job)['attempt'], 0)
        self.jobq('bench', '-n', '1', code=USAGE)
        self.jobq('bench', 'q', code=USAGE)


class Serve(tool.Case):
    def test_becomes_it(self):
        """serve: runs jobq-dashboard of the PATH with its arguments; the store is in the environment alone"""
        self.script('jobq-dashboard', 'echo "$0" "$@"\necho "$JOBQ_STORE ${JOBQ_STORE_FILE-none}"\nexit 7\n')
        env = {'PATH': self.folder + ':' + os.environ['PATH'], 'JOBQ_STORE_FILE': '/nowhere'}
        answer = self.run_at(None, 'serve', '--listen', '127.0.0.1:0', '-s', self.uri, '--token-file=t', env=env)
        lines = answer.text.splitlines()
        self.assertEqual(answer.code, 7)
        self.assertTrue(lines[0].endswith('jobq-dashboard --listen 127.0.0.1:0 --token-file=t'), lines)
        self.assertEqual(lines[1], self.uri + ' none')

    def test_not_there(self):
        """serve: without the dashboard it says what to install, and exits 1; without a store 2"""
        env = {'PATH': self.folder}
        answer = self.run_at(self.uri, '--json', 'serve', env=env)
        self.assertEqual((answer.code, answer.json['status']), (REFUSED, 'UNSUPPORTED'))
        self.assertIn('libmicrohttpd', answer.json['text'])
        self.assertEqual(self.run_at(None, 'serve', env=env).code, USAGE)
        self.assertEqual(self.run_at(None, 'serve', '-s', env=env).code, USAGE)
        self.assertIn('usage: jobq serve', self.run_at(None, 'serve', '--help').text)


class Json(tool.Case):
    def test_everywhere(self):
        """--json is one value also where people get a text: events --keep, metrics, help"""
        self.assertEqual(self.json('pause', 'q')['paused'], True)
        self.assertEqual(self.json('events', '--keep', '5'), {'keep': 5})
        self.assertEqual(self.jobq('events', '--keep', '0').text, '0\n')
        self.assertEqual([q['queue'] for q in self.json('metrics')['queues']], ['q'])
        names = [c['name'] for c in self.json('help')]
        self.assertIn('enqueue', names)
        self.assertEqual(self.json('help', 'ls')['name'], 'list')


if __name__ == '__main__':
    tool.main()
