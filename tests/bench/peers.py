# SPDX-License-Identifier: MIT
"""Measure the queues that somebody would take instead of libjobq, in turn with it.

Each is driven by a small program in the language it is for (peers/drive.*), which knows how to enqueue and how to work. What a
figure is, how long it lasts and whether all jobs ran is decided here, the same for all: workers tell the number of each job
that they run and when, and a figure whose jobs did not all run is an error."""
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

from table import Row, Taken, tell

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'peers')
LONGEST_S = 300  # of one command of a peer
LEAST_S = 1      # of a figure of a peer: they are compiled while they run
LEAST_JOBS = 500 # of a figure
SILENCE_S = 60   # of a worker that still has jobs
PICKUPS, PICKUP_GAP_MS = 100, 25

# levels: of concurrency, or sizes of a batch; the best is the peer's drain. rate, slow_rate: about what it drains in a
# second, and one at a time: how many jobs a figure takes. without: figures that there is no call for.
Kind = namedtuple('Kind', 'name stores driver levels rate slow_rate without', defaults=((),))
NODE, PYTHON, RUBY = 'drive.mjs', 'drive.py', 'drive.rb'
NO_BULK = ('insert-1000',)
ONE_PROCESS = ('drain-2', 'pickup-p50')
ONE_AT_A_TIME = ('drain-1',)  # pg-boss in batches of one drained too little in twenty minutes to be measured
KINDS = [Kind('plainjob', ('sqlite normal',), NODE, (1, 10), 8000, 8000),
         Kind('persist-queue', ('sqlite full',), PYTHON, (1,), 1900, 1900, NO_BULK + ONE_PROCESS),
         Kind('bee-queue', ('redis',), NODE, (10, 50, 300), 14000, 1500),
         Kind('bullmq', ('redis',), NODE, (10, 50, 300), 9000, 1500),
         Kind('sidekiq', ('redis',), RUBY, (10, 50), 3000, 1000),
         Kind('celery', ('redis',), PYTHON, (1, 10), 1000, 1000, NO_BULK),
         Kind('rq', ('redis',), PYTHON, (1,), 230, 230),
         Kind('graphile-worker', ('postgres',), NODE, (10, 50, 100), 12000, 1000),
         Kind('pg-boss', ('postgres',), NODE, (100, 1000, 5000), 20000, 400, ONE_AT_A_TIME)]
ON_NODE = [kind.name for kind in KINDS if kind.driver == NODE]

UNPACKAGED = {'postgres': {'pgmq': 'neither Debian nor npm has its functions'}}

# One figure of libjobq (a run of jobq-bench and the line it prints) and what a peer does instead.
Contest = namedtuple('Contest', 'figure line theirs label slow', defaults=(False,))
CONTESTS = [Contest('insert-1', 'insert-1', 'insert-1', 'enqueue one at a time'),
            Contest('threads-64', 'threads-64', 'insert-1', '64 threads; theirs one a time'),
            Contest('keyed-1000', 'keyed-1000', 'insert-1000', 'enqueue 1000 a call, keys'),
            Contest('drain-500', 'drain-500', 'drain', 'drain, one process'),
            Contest('processes-2', 'processes-2', 'drain-2', 'drain, two processes'),
            Contest('drain-1', 'drain-1', 'drain-1', 'drain, one job at a time'),
            Contest('pickup', 'pickup-p50', 'pickup-p50', 'pickup, other process, p50', True),
            Contest('fill', 'bytes', 'bytes', 'bytes per waiting job', True),
            Contest('worker', 'worker-memory', 'memory', 'worker, resident', True)]
# What the ratio should reach, by store, line and peer.
GOALS = {'sqlite normal': {'insert-1': {'plainjob': 1}, 'keyed-1000': {'plainjob': 1.5}, 'drain-500': {'plainjob': 15},
                           'drain-1': {'plainjob': 3}, 'pickup-p50': {'plainjob': 5}},
         'redis': {'insert-1': {'bee-queue': 1, 'bullmq': 2},
                   'threads-64': dict.fromkeys(('bee-queue', 'bullmq', 'sidekiq', 'celery', 'rq'), 5),
                   'keyed-1000': {'bullmq': 10, **dict.fromkeys(('bee-queue', 'sidekiq', 'rq'), 3.5)},
                   'drain-500': {'bee-queue': 8, 'bullmq': 12}, 'pickup-p50': {'bee-queue': 2},
                   'bytes': {'bullmq': 2.5, 'bee-queue': 1.25}},
         'postgres': {'insert-1': {'graphile-worker': 3, 'pg-boss': 3}, 'threads-64': {'graphile-worker': 10, 'pg-boss': 10},
                      'keyed-1000': {'graphile-worker': 5, 'pg-boss': 5}, 'drain-500': {'graphile-worker': 3, 'pg-boss': 3},
                      'pickup-p50': {'graphile-worker': 2}}}


def say(options, text):
    print('# ' + text, file=sys.stderr if options.json else sys.stdout, flush=True)


def goal(store, contest, peer):
    if contest.theirs == 'memory':
        return 10 if peer in ON_NODE else None
    return GOALS.get(store, {}).get(contest.line, {}).get(peer)


class Failed(Exception):
    """A peer did not do what it was asked to."""


class Process:
    """A process of a peer that tells, on a descriptor of its own, the number of each job and when it was."""

    def __init__(self, command, folder):
        self.lines, end = os.pipe()
        self.said = tempfile.TemporaryFile()
        self.rest = b''
        try:
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said,
                                            pass_fds=[end], env={**os.environ, 'JOBQ_PEER_LINES': str(end)})
        finally:
            os.close(end)

    def read(self):
        """[(number, seconds)] of whole lines; None at the end."""
        chunk = os.read(self.lines, 1 << 16)
        if not chunk:
            return None
        *whole, self.rest = (self.rest + chunk).split(b'\n')
        return [(int(number), float(when)) for number, when in (line.split() for line in whole)]

    def complaint(self):
        self.said.seek(0)
        return self.said.read().decode(errors='replace').strip()[-500:]

    def resident_mib(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith('VmRSS:'))

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.lines)
        self.said.close()


def all_of(processes, count, silence=SILENCE_S):
    """{number: when it ran first}, when so many different jobs ran."""
    when, open_ones = {}, {each.lines: each for each in processes}
    end = time.monotonic() + LONGEST_S
    while len(when) < count:
        if time.monotonic() > end:
            raise Failed(f'{len(when)} of {count} jobs ran in {LONGEST_S} seconds')
        ready = select.select(list(open_ones), [], [], silence)[0]
        if not ready:
            raise Failed(f'{len(when)} of {count} jobs ran: {processes[0].complaint()}')
        for each in ready:
            told = open_ones[each].read()
            if told is None:
                raise Failed(f'a worker ended by itself: {open_ones[each].complaint()}')
            for number, seconds in told:
                when.setdefault(number, seconds)
    return when


class Peer:
    """One other queue on one store."""

    def __init__(self, kind, store, options):
        self.kind, self.store, self.options = kind, store, options
        self.name = kind.name
        self.seconds = max(options.seconds, LEAST_S)
        self.folder = os.path.join(options.peers, store.name.split()[0])
        self.files = os.path.join(options.folder, 'peer')
        self.best = self.memory = None # the level, and what a worker took there

    def program(self, *words):
        if self.kind.driver == NODE:
            own = os.path.join(self.folder, 'node_modules', 'node', 'bin', 'node')
            start = [own if os.path.exists(own) else 'node', NODE]
        else:
            start = ['/usr/bin/python3' if self.kind.driver == PYTHON else 'ruby', os.path.join(HERE, self.kind.driver)]
        return [*start, self.kind.name, *(str(word) for word in words)]

    def call(self, *words):
        done = subprocess.run(self.program(*words), cwd=self.folder, capture_output=True, text=True, timeout=LONGEST_S,
                              check=False)
        if done.returncode != 0:
            raise Failed(f'{" ".join(map(str, words))}: {(done.stderr.strip() or "no words")[-500:]}')
        return done.stdout

    def found(self):
        """Whether it can be run; then its name has its version."""
        try:
            self.name = f'{self.kind.name} {self.call("-", "version").strip()}'
        except (Failed, OSError):
            return False
        return True

    def fresh(self):
        """The address of an empty store."""
        if self.store.name.startswith('sqlite'):
            shutil.rmtree(self.files, ignore_errors=True)
            os.mkdir(self.files)
            return os.path.join(self.files, 'q.db')
        self.store.fresh()
        return self.store.place

    def used(self):
        if self.store.name.startswith('sqlite'):
            return sum(entry.stat().st_size for entry in os.scandir(self.files))
        return self.store.used()

    def jobs(self, rate):
        return max(int(rate * self.seconds), LEAST_JOBS)

    def working(self, address, level, processes, count):
        """When each job ran that is there. Leaves what a worker takes of memory in self.memory."""
        started = []
        try:
            for _ in range(processes):
                started.append(Process(self.program(address, 'work', level), self.folder))
            when = all_of(started, count)
            self.memory = started[0].resident_mib()
            return when
        finally:
            for each in started:
                each.end()

    def drain(self, level, processes, jobs):
        address = self.fresh()
        self.call(address, 'fill', jobs)
        when = self.working(address, level, processes, jobs).values()
        return (jobs - 1) / (max(when) - min(when))

    def drain_best(self):
        """At all levels in the first round, then at the one that was best."""
        rates = {}
        for level in [self.best] if self.best else self.kind.levels:
            rates[level] = (self.drain(level, 1, self.jobs(self.kind.rate)), self.memory)
        self.best = max(rates, key=rates.get)
        rate, self.memory = rates[self.best]
        return rate

    def bytes(self):
        address, jobs = self.fresh(), self.jobs(self.kind.rate)
        before = self.used()
        self.call(address, 'fill', jobs)
        return (self.used() - before) / jobs

    def pickup(self):
        """A job of its own first, so that the worker is there."""
        address = self.fresh()
        self.call(address, 'fill', 1)
        started = [Process(self.program(address, 'work', 1), self.folder)]
        try:
            all_of(started, 1)
            started.append(Process(self.program(address, 'send', PICKUPS, PICKUP_GAP_MS), self.folder))
            sent = all_of(started[1:], PICKUPS)
            ran = all_of(started[:1], PICKUPS)
        finally:
            for each in started:
                each.end()
        return statistics.median(ran[number] - sent[number] for number in sent) * 1000

    def measure(self, figure):
        """The value of one of its figures."""
        if figure.startswith('insert-'):
            said = self.call(self.fresh(), figure, self.seconds)
            return float(said.split()[1])
        return {'drain': self.drain_best, 'bytes': self.bytes, 'pickup-p50': self.pickup, 'memory': lambda: self.memory,
                'drain-1': lambda: self.drain(1, 1, self.jobs(self.kind.slow_rate)),
                'drain-2': lambda: self.drain(self.best, 2, self.jobs(self.kind.rate))}[figure]()


def contest(store, what, peers, seen, options):
    """[(peer, Taken)] of one figure, libjobq and the peers in turn; seen: what each round brought so far, by peer and figure.
    A peer that fails is out of the rest of the run."""
    taken = [(peer, Taken()) for peer in peers if what.theirs not in peer.kind.without]
    for number in range(1 if what.slow and options.quick else options.rounds):
        value, unit = store.mine(what.figure)[what.line][:2]
        for peer, into in list(taken):
            theirs = (peer.name, what.theirs)
            try:
                if theirs not in seen[number]:
                    seen[number][theirs] = peer.measure(what.theirs)
                into.add(value, unit, peer.name, seen[number][theirs])
            except (Failed, subprocess.TimeoutExpired) as failure:
                say(options, f'{peer.name} FAILED: {what.label}: {failure}')
                taken.remove((peer, into))
                peers.remove(peer)
                options.failed = True
    return taken


def run(store, options):
    """Prints the table of one store and its peers. options.failed is set when one of them could not be measured."""
    peers = [Peer(kind, store, options) for kind in KINDS if store.name in kind.stores]
    for peer in [each for each in peers if not each.found()]:
        say(options, f'{store.name}: {peer.name} is left out: it could not be installed')
        peers.remove(peer)
        options.failed = True
    for name, why in UNPACKAGED.get(store.name, {}).items():
        say(options, f'{store.name}: {name} is left out: {why}')
    seen = [{} for _ in range(options.rounds)]
    for what in CONTESTS if peers else []:
        for peer, taken in contest(store, what, peers, seen, options):
            if taken.ratios:
                row = Row(what.line, what.label, None, goal(store.name, what, peer.kind.name))
                tell(store, row, what.label, taken, options.json)
    shutil.rmtree(os.path.join(options.folder, 'peer'), ignore_errors=True)
