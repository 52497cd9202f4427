#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""jobq work: any program is a worker. What it says by its end, and what becomes of what goes wrong."""
import datetime
import os
import resource
import signal
import subprocess

import tool
from tool import ALL_BYTES, NO_ID, OK, USAGE, bytes_of, of_a_file, on_servers


def ms_of(instant):
    return datetime.datetime.fromisoformat(instant.replace('Z', '+00:00')).timestamp() * 1000


def alive(pid):
    """A process that waits to be reaped is dead."""
    try:
        with open('/proc/%d/stat' % pid, encoding='utf-8') as file:
            return file.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False


class Work(tool.Case):
    def drain(self, *words, queue='q', code=OK, env=None):
        """Works until nothing is left."""
        return self.jobq('work', queue, '--drain', *words, code=code, env=env)

    def pids(self, name):
        """What a script wrote with echo $$."""
        self.until_exists(self.path(name))
        with open(self.path(name), encoding='utf-8') as file:
            return [int(word) for word in file.read().split()]

    def gone(self, *pids):
        self.until(lambda: not any(map(alive, pids)), 'the processes %r are gone' % (pids,))

    # --- what a program says ---

    @on_servers
    def test_success(self):
        """exit 0 acks; stdout is the result; all bytes go in and come out"""
        job = self.enqueue('q', '-', stdin=ALL_BYTES)
        self.drain('--', 'cat')
        shown = self.show(job)
        self.assertEqual((shown['state'], bytes_of(shown, 'result')), ('completed', ALL_BYTES))

    def test_large(self):
        """a payload and a result of 1 MiB go through pipes that hold less"""
        data = os.urandom(1 << 20)
        job = self.enqueue('q', '-', stdin=data)
        self.drain('--', 'cat')
        self.assertEqual(bytes_of(self.show(job), 'result'), data)

    def test_unread_payload(self):
        """a program that does not read its input is not disturbed"""
        jobs = [self.enqueue('q', '-', stdin=b'x' * (1 << 20)) for _ in range(3)]
        self.drain('--', self.script('deaf', 'exec <&-; echo fine'))
        for job in jobs:
            self.assertEqual((self.show(job)['state'], self.show(job)['result']), ('completed', 'fine\n'))

    @on_servers
    def test_failure(self):
        """another exit status fails with what stood on stderr, all 256 byte values of it"""
        job = self.enqueue('q', '-', '--max-attempts', '1', stdin=ALL_BYTES)
        self.drain('--', self.script('fails', 'cat >&2; echo ignored; exit 3'))
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['reason'], shown['result']), ('dead', 'ATTEMPTS', None))
        self.assertEqual(bytes_of(shown['errors'][0], 'text'), ALL_BYTES)
        self.assertEqual(shown['errors'][0]['kind'], 'HANDLER')

    def test_retry_percent(self):
        """--retry-percent: what failed waits in a line besides its back-off; 1 to 100"""
        for wrong in ('0', '101', 'x'):
            said = self.json('work', 'q', '--retry-percent', wrong, '--', 'true', code=USAGE)
            self.assertEqual(said['field'], 'retry-percent')
        jobs = [self.enqueue() for _ in range(3)]
        self.drain('--retry-percent', '1', '--', 'false')
        waits = []
        for job in map(self.show, jobs):
            self.assertEqual((job['state'], job['failures']), ('scheduled', 1))
            waits.append(ms_of(job['run_at']) - ms_of(job['errors'][0]['at']))
        waits.sort()
        self.assertTrue(2000 <= waits[0] < 5000, waits)  # the first has its back-off alone
        self.assertTrue(5000 <= waits[1] < 15000 and 14000 <= waits[2] < 25000, waits)  # the others 10 s each

    def test_silent_failure(self):
        """a program that fails without a word: the text is its exit status"""
        job = self.enqueue('q', '--max-attempts', '1')
        self.drain('--', 'false')
        self.assertEqual(self.show(job)['errors'][0]['text'], 'exit status 1')

    def test_last_of_stderr(self):
        """the last 4096 bytes of stderr are kept"""
        job = self.enqueue('q', '--max-attempts', '1')
        self.drain(
            '--',
            self.script('talks', "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i >&2; done; exit 1"),
        )
        text = self.show(job)['errors'][0]['text']
        self.assertEqual(len(text), 4096)
        self.assertTrue(text.endswith('line 2999\nline 3000\n'))

    def test_killed_program(self):
        """a program killed by a signal is a failure that names the signal, with its stderr; it is retried"""
        job = self.enqueue('q', '--backoff', 'fixed:0')
        mark = self.path('mark')
        self.drain(
            '--',
            self.script(
                'dies',
                'if [ -e %s ]; then exit 0; fi; : >%s; echo last words >&2; kill -KILL $$' % (mark, mark),
            ),
        )
        shown = self.show(job)
        self.assertEqual(
            (shown['state'], shown['attempt'], shown['failures'], shown['crashes']), ('completed', 2, 1, 0)
        )
        self.assertEqual(shown['errors'][0]['text'], 'killed by signal 9 (SIGKILL)\nlast words\n')

    def test_too_large_result(self):
        """more on stdout than a result may have: dead for good, with the reason in words"""
        job = self.enqueue()
        fits = self.enqueue('r')
        self.drain('--result-max', '1000', '--', self.script('much', 'head -c 1001 /dev/zero'))
        self.drain('--result-max', '1000', '--', self.script('less', 'head -c 1000 /dev/zero'), queue='r')
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['reason'], shown['attempt']), ('dead', 'PERMANENT', 1))
        self.assertIn('result could not be stored', shown['errors'][0]['text'])
        self.assertEqual(bytes_of(self.show(fits), 'result'), bytes(1000))

    def test_environment(self):
        """the program finds JOBQ_ID, JOBQ_ATTEMPT, JOBQ_FENCE, JOBQ_QUEUE, JOBQ_KIND and TRACEPARENT"""
        trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
        job = self.enqueue('q', '--kind', 'k', '--trace', trace)
        bare = self.enqueue('q')
        script = self.script(
            'env',
            'echo "$JOBQ_ID $JOBQ_ATTEMPT $JOBQ_FENCE $JOBQ_QUEUE $JOBQ_KIND ${TRACEPARENT-none} $OTHER"',
        )
        self.drain('--', script, env={'TRACEPARENT': 'not this one', 'JOBQ_ID': 'nor this', 'OTHER': 'kept'})
        shown = self.show(job)
        self.assertEqual(shown['result'].split(), [job, '1', str(shown['fence']), 'q', 'k', trace, 'kept'])
        shown = self.show(bare)
        self.assertEqual(shown['result'].split(), [bare, '1', str(shown['fence']), 'q', 'q', 'none', 'kept'])

    def test_arguments(self):
        """arguments behind -- reach the program as they are"""
        job = self.enqueue()
        script = self.script('args', 'printf "<%s>" "$@"')
        self.drain('--', script, '-j', '--', 'a b', '', '*', '--drain')
        self.assertEqual(self.show(job)['result'], '<-j><--><a b><><*><--drain>')

    def test_no_first_line(self):
        """a script without its first line is run by the shell, as a shell would do"""
        job = self.enqueue()
        self.drain('--', self.path('bare', 'echo "$0 $1"\n', 0o755), 'word')
        self.assertEqual(self.show(job)['result'], self.path('bare') + ' word\n')

    def test_found_on_path(self):
        """a program without a slash is looked for on PATH"""
        job = self.enqueue()
        self.script('only-here', 'echo found')
        self.drain('--', 'only-here', env={'PATH': '/nowhere:' + self.folder + ':' + os.environ['PATH']})
        self.assertEqual(self.show(job)['result'], 'found\n')
        self.jobq('work', 'q', '--drain', '--', 'only-here', code=USAGE)

    def test_vanished_program(self):
        """a program that cannot be started any more fails the job and says why"""
        script = self.script('vanishes', 'rm "$0"')
        jobs = [self.enqueue('q', '--max-attempts', '1') for _ in range(2)]
        self.drain('--', script)
        self.assertEqual(self.show(jobs[0])['state'], 'completed')
        self.assertEqual(
            self.show(jobs[1])['errors'][0]['text'],
            'the program could not be started: No such file or directory',
        )

    def test_clean_signals(self):
        """the program starts with default signals and no foreign descriptors"""
        job = self.enqueue()
        self.drain('--', self.script('looks', 'grep -E "^Sig(Ign|Blk)" /proc/self/status; ls /proc/self/fd'))
        lines = self.show(job)['result'].splitlines()
        self.assertEqual([line.split()[1].strip('0') for line in lines[:2]], ['', ''])
        self.assertEqual(lines[2:6], ['0', '1', '2', '3'])  # 3 is ls itself
        self.assertEqual(len(lines), 6)

    def test_background(self):
        """what a program leaves behind ends with it, and its open pipes are not waited for"""
        job = self.enqueue()
        self.drain('--', self.script('leaves', 'sleep 600 & echo $! >%s; echo done' % self.path('pid')))
        self.assertEqual(self.show(job)['result'], 'done\n')
        self.gone(*self.pids('pid'))

    # --- the worker ---

    def test_many_at_once(self):
        """-j: so many programs at once, and no more"""
        for _ in range(12):
            self.enqueue()
        running = self.path('running')
        os.mkdir(running)
        script = self.script(
            'counts',
            '''
            : >%(r)s/$$
            ls %(r)s | wc -l
            until [ -e %(go)s ]; do
                if [ $(ls %(r)s | wc -l) -ge 4 ]; then : >%(go)s; fi
            done
            rm %(r)s/$$'''
            % {'r': running, 'go': self.path('go')},
        )
        self.drain('-j', '4', '--', script)
        seen = [int(job['result']) for job in self.json('list', '--state', 'completed')]
        self.assertEqual(len(seen), 12)
        self.assertLessEqual(max(seen), 4)

    def test_kinds(self):
        """--kind: others are left alone"""
        b, a = self.enqueue('q', '--kind', 'b'), self.enqueue('q', '--kind', 'a')
        worker = self.start('work', 'q', '--kind', 'a', '--kind', 'c', '--', 'true')
        self.jobq('wait', a)
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)
        self.assertEqual((self.show(b)['state'], self.show(b)['attempt']), ('ready', 0))

    def test_queues_in_order(self):
        """several queues: the first one first"""
        for n in range(3):
            self.enqueue('second', str(n))
        for n in range(3):
            self.enqueue('first', str(n))
        log = self.path('log')
        self.jobq(
            'work', 'first', 'second', '--drain', '--', self.script('logs', 'echo $JOBQ_QUEUE >>%s' % log)
        )
        with open(log, encoding='utf-8') as file:
            self.assertEqual(file.read().split(), ['first'] * 3 + ['second'] * 3)

    def test_early(self):
        """--ack early: completed before the program starts; a failure changes nothing any more (rule 1)"""
        job = self.enqueue()
        self.drain(
            '--ack',
            'early',
            '--',
            self.script('asks', '"$JOBQ" -s "%s" show $JOBQ_ID >%s; exit 1' % (self.uri, self.path('said'))),
        )
        with open(self.path('said'), encoding='utf-8') as file:
            self.assertIn('state\tcompleted', file.read())
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['reason'], shown['failures']), ('completed', 'EARLY_ACK', 0))

    def test_registers(self):
        """a worker is seen in stats and leaves when it ends (rule 17)"""
        worker = self.start(
            'work', 'q', 'r', '-j', '3', '--kind', 'k', '--worker', 'me', '--lease', '9s', '--', 'true'
        )
        record = self.until_worker()
        self.assertEqual(
            {k: record[k] for k in ('worker', 'queues', 'kinds', 'capacity', 'lease_ms', 'pid')},
            {
                'worker': 'me',
                'queues': 'q,r',
                'kinds': 'k',
                'capacity': 3,
                'lease_ms': 9000,
                'pid': worker.pid,
            },
        )
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)
        self.assertEqual(self.json('stats')['workers'], [])

    # --- the end of a worker ---

    def stoppable(self, script, *words, job=()):
        """A worker whose one program has begun: (worker, job, pid of the program)."""
        job = self.enqueue('q', 'x', *job)
        worker = self.start(
            'work',
            'q',
            *words,
            '--',
            self.script('stoppable', 'echo $$ >%s\n%s' % (self.path('pid'), script))
        )
        return worker, job, self.pids('pid')[0]

    @on_servers
    def test_graceful(self):
        """SIGTERM: the program in hand may finish, no other is started, exit 0"""
        go = self.path('go')
        worker, job, _ = self.stoppable(
            'while [ ! -e %s ]; do read x <%s && break; done; echo finished' % (go, self.fifo('wake'))
        )
        later = self.enqueue()
        worker.send_signal(signal.SIGTERM)
        self.until(lambda: self.json('stats')['workers'] and worker.poll() is None, 'it still works')
        self.path('go', 'x')
        with open(self.path('wake'), 'w', encoding='utf-8') as wake:
            wake.write('x\n')
        self.assertEqual(self.ended(worker), OK)
        self.assertEqual((self.show(job)['state'], self.show(job)['result']), ('completed', 'finished\n'))
        shown = self.show(later)
        self.assertEqual((shown['state'], shown['failures']), ('ready', 0))

    def fifo(self, name):
        os.mkfifo(self.path(name))
        return self.path(name)

    def test_grace_ends(self):
        """after --grace the program is ended and its job given back at no cost (rule 7)"""
        worker, job, pid = self.stoppable('sleep 600 & echo $! >>%s; wait' % self.path('pid'), '--grace', '1')
        self.until(lambda: len(self.pids('pid')) == 2, 'both processes')
        worker.send_signal(signal.SIGINT)
        self.assertEqual(self.ended(worker), OK)
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['failures'], shown['releases']), ('ready', 0, 1))
        self.gone(*self.pids('pid'))
        self.assertIn(pid, self.pids('pid'))

    def test_second_signal(self):
        """a second signal hurries"""
        worker, job, pid = self.stoppable('exec sleep 600', '--grace', '10m')
        worker.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGINT)
        self.assertEqual(self.ended(worker), OK)
        self.assertEqual((self.show(job)['state'], self.show(job)['failures']), ('ready', 0))
        self.gone(pid)

    def test_stubborn(self):
        """a program that ignores SIGTERM gets SIGKILL"""
        worker, job, pid = self.stoppable("trap '' TERM; while :; do sleep 600; done", '--grace', '1')
        worker.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(worker), OK)
        self.assertEqual(self.show(job)['state'], 'ready')
        self.gone(pid)

    @on_servers
    def test_worker_killed(self):
        """kill -9 of the worker: its programs die with it, the job is run again, attempt 2 (rule 4)"""
        pid_file = self.path('pid')
        worker, job, _ = self.stoppable(
            'if [ $JOBQ_ATTEMPT = 1 ]; then sleep 600 & echo $! >>%s; wait; else echo again; fi' % pid_file,
            '--lease',
            '1h',
        )
        self.until(lambda: len(self.pids('pid')) == 2, 'the program and what it started')
        pids = self.pids('pid')
        worker.kill()
        self.ended(worker)
        self.gone(*pids)
        self.assertEqual(self.show(job)['state'], 'running')
        self.advance(3600001)
        self.assertTrue(self.show(job)['stuck'])
        self.drain('--', self.path('stoppable'))
        shown = self.show(job)
        self.assertEqual(
            (shown['state'], shown['attempt'], shown['failures'], shown['crashes'], shown['result']),
            ('completed', 2, 1, 1, 'again\n'),
        )
        self.assertEqual(shown['errors'][0]['kind'], 'LOST')

    def test_drain_waits_for_a_lease(self):
        """kill -9 of a worker: whoever drains says once whose lease it waits for, and does the job then"""
        worker, job, _ = self.stoppable('[ $JOBQ_ATTEMPT = 2 ] || exec sleep 600', '--worker', 'the-dead')
        worker.kill()
        self.ended(worker)
        drain = self.start('work', 'q', '--drain', '--', self.path('stoppable'))
        said = drain.stderr.readline().decode()
        self.assertRegex(said, r'^jobq work: waiting for the lease of 1 job held by the-dead until 20.*Z\n$')
        self.advance(30001)
        self.assertEqual(drain.communicate(timeout=tool.DEADLINE_S)[1], b'')
        self.assertEqual((drain.returncode, self.show(job)['state']), (OK, 'completed'))

    @on_servers
    def test_drain_leaves_what_it_cannot_do(self):
        """a paused queue and a kind that nobody asked for: it ends, and says what is left where"""
        self.enqueue('q', 'x')
        self.enqueue('q', 'y', '--kind', 'other')
        done = self.drain('--kind', 'q', '--', 'cat')
        self.assertEqual(
            done.err, 'jobq work: queue q: 1 ready job is left of kind other, for which there is no handler here\n'
        )
        self.assertEqual(self.counts(), {'completed': 1, 'ready': 1})
        self.jobq('pause', 'q')
        self.assertEqual(self.drain('--', 'cat').err, 'jobq work: queue q is paused: 1 ready job is left\n')
        self.assertEqual(self.counts(), {'completed': 1, 'ready': 1})

    @of_a_file
    def test_full_store(self):
        """no room in the store: said once, and with room again everything goes on"""

        def stay():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        worker = self.start('work', 'q', '--', 'cat', preexec_fn=stay)
        self.until_worker()
        _, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1, hard))  # stands for a full disk
        job = self.enqueue('q', 'x')
        self.assertRegex(worker.stderr.readline(), b'^jobq work: the store fails: .*tried again\n$')
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (hard, hard))
        self.assertEqual(worker.stderr.readline(), b'jobq work: the store works again\n')
        self.until(lambda: self.show(job)['state'] == 'completed', 'the job is done')
        worker.send_signal(signal.SIGTERM)
        self.assertEqual(worker.communicate(timeout=tool.DEADLINE_S)[1], b'')
        self.assertEqual(worker.returncode, OK)

    def test_lost_lease(self):
        """a worker that lost its lease ends the program and stores nothing (rule 2)"""
        worker, job, pid = self.stoppable('exec sleep 600', '--lease', '1s')
        self.jobq('cancel', job, '--hard')
        self.gone(pid)
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['failures']), ('cancelled', 0))
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)

    def test_soft_cancel(self):
        """a soft cancel is SIGTERM to the program; what it makes of it counts (rule 6)"""
        for script, state in (
            ("trap 'echo saved; exit 0' TERM; sleep 600 & wait", 'completed'),
            ('exec sleep 600', 'cancelled'),
        ):
            worker, job, pid = self.stoppable(script, '--lease', '1s')
            self.jobq('cancel', job)
            answer = self.run_at(self.uri, '--json', 'wait', job)
            self.assertEqual(answer.json['state'], state)
            self.gone(pid)
            worker.terminate()
            self.assertEqual(self.ended(worker), OK)
            os.unlink(self.path('pid'))

    def test_job_timeout(self):
        """the job's own timeout ends the program; dead as TIMEOUT after the last attempt (rule 5)"""
        worker, job, pid = self.stoppable(
            'exec sleep 600', '--lease', '1s', job=['--timeout', '300', '--max-attempts', '1']
        )
        shown = self.json('wait', job, code=1)
        self.assertEqual((shown['state'], shown['reason'], shown['crashes']), ('dead', 'TIMEOUT', 0))
        self.assertEqual(shown['errors'][0]['kind'], 'TIMEOUT')
        self.gone(pid)
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)

    def test_own_timeout(self):
        """--timeout of the command line ends the program and fails the job"""
        job = self.enqueue('q', '--max-attempts', '1')
        self.drain('--timeout', '200', '--', self.script('slow', 'echo busy >&2; exec sleep 600'))
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['reason']), ('dead', 'ATTEMPTS'))
        self.assertRegex(shown['errors'][0]['text'], r'^ended after its time was over \(\d+ ms\)\nbusy\n$')

    def test_long_job_keeps_its_lease(self):
        """a program that runs for several leases keeps its job (heartbeats)"""
        job = self.enqueue()
        self.drain('--lease', '300', '--', self.script('long', 'sleep 1.2; echo $JOBQ_ATTEMPT'))
        shown = self.show(job)
        self.assertEqual((shown['state'], shown['result'], shown['crashes']), ('completed', '1\n', 0))

    def test_drain_waits_for_overdue(self):
        """--drain takes what somebody else's death has left"""
        job = self.enqueue()
        self.claim('q', '--lease', '1h')
        self.advance(3600001)
        self.drain('--', 'true')
        self.assertEqual((self.show(job)['state'], self.show(job)['attempt']), ('completed', 2))

    def test_no_zombies(self):
        """nothing is left to be reaped, and no descriptor stays open"""
        for _ in range(30):
            self.enqueue()
        worker = self.start('work', 'q', '-j', '2', '--', 'true')
        self.until(lambda: self.counts() == {'completed': 30}, 'all done')
        children = subprocess.run(
            ['ps', '-o', 'stat=', '--ppid', str(worker.pid)], stdout=subprocess.PIPE, check=False
        ).stdout
        self.assertNotIn(b'Z', children)
        self.assertEqual(len(children.split()), 1)  # the keeper
        fds = len(os.listdir('/proc/%d/fd' % worker.pid))
        for _ in range(30):
            self.enqueue()
        self.until(lambda: self.counts() == {'completed': 60}, 'all done again')
        self.assertEqual(len(os.listdir('/proc/%d/fd' % worker.pid)), fds)
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)

    def test_two_workers(self):
        """two workers on one file: each job is done once"""
        for n in range(60):
            self.enqueue('q', str(n))
        script = self.script('once', 'cat >>%s; echo >>%s' % (self.path('log'), self.path('log')))
        workers = [self.start('work', 'q', '-j', '2', '--drain', '--', script) for _ in range(2)]
        self.assertEqual([self.ended(w) for w in workers], [OK, OK])
        self.assertEqual(self.counts(), {'completed': 60})
        self.assertTrue(all(j['attempt'] == 1 for j in self.json('list')))

    def test_wakes_up(self):
        """a worker that has nothing to do takes a job that another process puts"""
        worker = self.start('work', 'q', '--', 'echo', 'awake')
        self.until_worker()
        job = self.enqueue()
        self.assertEqual(self.json('wait', job)['result'], 'awake\n')
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)

    def test_not_found_id_is_not_worked(self):
        """a job that was dropped while it waited is not run"""
        job = self.enqueue('q', '--id', NO_ID)
        self.jobq('drop', job)
        self.drain('--', self.script('never', 'echo x >>%s' % self.path('ran')))
        self.assertFalse(os.path.exists(self.path('ran')))


if __name__ == '__main__':
    tool.main()
