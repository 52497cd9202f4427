#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run the limit programs and libjobq in turn, A B A B, and print the medians and their ratio.

Ratios are oriented so that larger is better. Single figures mean little on a shared machine; the ratio of two things
run next to each other means more."""
import argparse
import os
import platform
import subprocess
import sys
import tempfile

import peers
from table import Figure, Row, Taken, call, lines, tell

DRAIN = 'drain-500'


def one(name, label, limit=None, goal=None):
    return Figure(name, limit, [Row(name, label, 'limit' if limit else None, goal)])


def two_processes(goal):
    return Figure('processes-2', None, [Row('processes-2', 'drain, 2 processes', DRAIN, goal)])


def together(goal):
    return Figure('together', None, [Row('together-fill', 'one fills, one drains: fill', 'told', goal),
                                     Row('together-drain', 'one fills, one drains: drain', 'told', goal)], True)


PICKUP = Figure('pickup', 'pickup', [Row('pickup-p50', 'pickup, other process, p50', 'limit', 0.71),
                                     Row('pickup-p99', 'pickup, other process, p99', 'pickup-p50', 0.2)], True)
WORKER = Figure('worker', None, [Row('worker-memory', 'worker of 8 threads, resident', '12 MiB', 1),
                                 Row('worker-idle', 'worker, idle, of a core', '0.5 %', 1)], True)
TENANTS = Figure('tenants', None, [Row('tenants', 'drain, 1,000 groups, limits', 'told', 0.5)], True)
BACKLOG = Figure('backlog-1000000', None, [Row('backlog-put', 'put before {n} waiting', 'told', 0.85),
                                           Row('backlog-drain', 'drain of {n} waiting', 'told', 0.85)], True, 'backlog-50000')
FINISHED = Figure('finished-1000000', None, [Row('finished-put', 'put beside {n} finished', 'told', 0.85),
                                             Row('finished-drain', 'drain beside {n} finished', 'told', 0.85)], True,
                  'finished-20000')
BYTES = Figure('fill', 'bytes', [Row('bytes', 'bytes per waiting job', 'limit', 0.77)], True)
COMMON = [PICKUP, TENANTS, BACKLOG, FINISHED, BYTES, WORKER]

MEMORY = [one('insert-1', 'enqueue one at a time'), one('insert-1000', 'enqueue 1000 a call'),
          one('keyed-1000', 'enqueue 1000 a call, keys'), one('threads-64', 'enqueue, 64 threads, one handle'),
          Figure(DRAIN, None, [Row(DRAIN, 'drain, worker, no-op handler', '1000000 jobs/s', 1)]),
          one('drain-1', 'drain, one job at a time'), TENANTS,
          Figure('instructions', None, [Row(f'instructions-{verb}', f'instructions per {verb}')
                                        for verb in ('enqueue', 'claim', 'ack')], True)]


def sqlite(crowd_goal):
    return [one('insert-1', 'enqueue one at a time', 'insert-1', 0.85),
            one('insert-100', 'enqueue 100 a call', 'insert-100'), one('insert-1000', 'enqueue 1000 a call', 'insert-1000'),
            one('keyed-1000', 'enqueue 1000 a call, keys', 'insert-1000', 0.8),
            one('threads-8', 'enqueue, 8 threads, one handle', 'insert-1'),
            one('threads-64', 'enqueue, 64 threads, one handle', 'insert-1', crowd_goal),
            one(DRAIN, 'drain, worker, no-op handler', 'drain-100', 0.8), two_processes(1.0),
            one('drain-1', 'drain, one job at a time', 'drain-1', 0.85), together(0.4), *COMMON]


REDIS = [one('insert-1', 'enqueue one at a time', 'insert-1', 0.85), one('insert-1000', 'enqueue 1000 a call', 'bulk-100'),
         one('keyed-1000', 'enqueue 1000 a call, keys', 'bulk-100', 0.8),
         one('threads-64', 'enqueue, 64 threads, one handle', 'pipeline-64', 0.9),
         one(DRAIN, 'drain, worker, no-op handler', 'drain-100', 0.8), two_processes(1.0),
         one('drain-1', 'drain, one job at a time', 'drain-1', 0.85), together(None), *COMMON]

POSTGRES = [one('insert-1', 'enqueue one at a time', 'insert-1', 0.85), one('insert-1000', 'enqueue 1000 a call', 'bulk-1000'),
            one('keyed-1000', 'enqueue 1000 a call, keys', 'bulk-1000', 0.8),
            one('threads-64', 'enqueue, 64 threads, one handle', 'pipeline-64', 0.8),
            one(DRAIN, 'drain, worker, no-op handler', 'drain-100', 0.8), two_processes(1.0),
            one('drain-1', 'drain, one job at a time', 'drain-1', 0.85), together(None), *COMMON,
            Figure('churn', None, [Row('churn', 'churn, last fifth over first', 'told', 0.9),
                                   Row('churn-reader', 'churn, a snapshot held open', 'told', 0.8)], True)]


class Store:
    """What the stores have in common: the calls of jobq-bench."""

    def __init__(self, name, options, figures, jobs_per_second):
        self.name, self.options, self.figures = name, options, figures
        self.jobs = max(int(jobs_per_second * options.seconds), 20000)

    def program(self, name):
        return os.path.join(self.options.build, 'tests', 'bench', name)

    def bench(self, uri, figure):
        return [self.program('jobq-bench'), uri, str(self.options.seconds), str(self.jobs), figure]

    def mine(self, figure):
        if hasattr(self, figure):
            return getattr(self, figure)()
        return lines(self.bench(self.fresh(), figure))

    def settings(self):
        return call(self.bench(self.fresh(), 'settings')).strip()

    def fill(self):
        """Bytes per waiting job."""
        uri = self.fresh()
        before = self.used()
        call(self.bench(uri, 'fill'))
        return {'bytes': ((self.used() - before) / -(-self.jobs // 1000) / 1000, 'bytes', None, None)}


class Memory(Store):
    def __init__(self, options):
        super().__init__('memory', options, MEMORY, 600000)

    def fresh(self):
        return 'memory:'

    def counted(self, figure):
        with tempfile.NamedTemporaryFile(prefix='jobq-bench.') as out:
            call(['valgrind', '--tool=callgrind', f'--callgrind-out-file={out.name}', *self.bench('memory:', figure)])
            return next(int(line.split()[1]) for line in out.read().decode().splitlines() if line.startswith('summary:'))

    def instructions(self):
        """The difference of a longer and a shorter run; then that of the verbs, one of which is added to the others."""
        few, more = 500, 2500
        cost = [(self.counted(f'{stage}-{more}') - self.counted(f'{stage}-{few}')) / (more - few)
                for stage in ('put', 'take', 'steps')]
        return {f'instructions-{verb}': (value, 'instructions', None, None)
                for verb, value in zip(('enqueue', 'claim', 'ack'), (cost[0], cost[1] - cost[0], cost[2] - cost[1]))}


class Sqlite(Store):
    def __init__(self, options, folder, mode):
        super().__init__(f'sqlite {mode}', options, sqlite(10 if mode == 'full' else None), 100000)
        self.path, self.limit_path, self.mode = os.path.join(folder, 'q.db'), os.path.join(folder, 'limit.db'), mode

    def fresh(self):
        for end in ('', '-wal', '-shm'):
            if os.path.exists(self.path + end):
                os.unlink(self.path + end)
        return f'sqlite:{self.path}?synchronous={self.mode}'

    def used(self):
        return os.stat(self.path).st_size if os.path.exists(self.path) else 0

    def limit(self, figure):
        return lines([self.program('limit-sqlite'), self.limit_path, self.mode, str(self.options.seconds), str(self.jobs),
                      figure])


class Server(Store):
    def limit(self, figure):
        self.fresh()
        return lines(self.limit_command(figure))

    def limit_command(self, figure):
        return [self.program(self.limit_program), self.place, str(self.options.seconds), str(self.jobs), figure]

    def fresh(self):
        call(self.limit_command('wipe'))
        return self.uri

    def used(self):
        return lines(self.limit_command('used'))['used'][0]


class Redis(Server):
    limit_program = 'limit-redis'

    def __init__(self, options):
        super().__init__('redis', options, REDIS, 100000)
        self.place = os.environ['REDIS_SOCKET']
        self.uri = f'redis+unix://{self.place}'


class Postgres(Server):
    limit_program = 'limit-postgres'

    def __init__(self, options):
        super().__init__('postgres', options, POSTGRES, 40000)
        self.uri = os.environ['JOBQ_TEST_POSTGRES']
        self.place = self.uri

    def churn(self):
        answer = {}
        seconds = '10' if self.options.quick else '60'
        for name, extra in ('churn', []), ('churn-reader', ['reader']):
            said = call([self.program('churn'), self.fresh(), seconds, *extra]).splitlines()
            fifths = [float(line.split()[1]) for line in said if line.startswith('fifth-')]
            answer[name] = (fifths[-1], 'jobs/s', 'first', fifths[0])
        return answer


def held_against(row, mine, limit, figure):
    """(what, value) that the row is held against; (None, None) for nothing."""
    if row.against is None:
        return None, None
    if row.against == 'limit':
        return 'limit ' + figure.limit, (limit.get(row.name) or limit[figure.limit])[0]
    if row.against == 'told':
        return mine[row.name][2:]
    if row.against in mine:
        return row.against, mine[row.against][0]
    return row.against, float(row.against.split()[0])


def measure(store, figure, seen, options):
    """A figure in all rounds, the limit and the library in turn: [(row, label, Taken)]. seen: what each round brought so far."""
    quick = figure.quick and options.quick
    name = figure.quick if quick else figure.name
    taken = [Taken() for _ in figure.rows]
    for number in range(1 if figure.slow and options.quick else options.rounds):
        limit = store.limit(figure.limit) if figure.limit else {}
        seen[number].update(store.mine(name))
        for row, into in zip(figure.rows, taken):
            into.add(*seen[number][row.name][:2], *held_against(row, seen[number], limit, figure))
    count = f'{int(name.split("-")[1]):,}' if figure.quick else ''
    return [(row, row.label.format(n=count), into) for row, into in zip(figure.rows, taken)]


def run(store, options):
    if not options.json:
        print(f'# {store.name}: {store.settings()}', flush=True)
    seen = [{} for _ in range(options.rounds)]
    for figure in store.figures:
        for row, label, taken in measure(store, figure, seen, options):
            tell(store, row, label, taken, options.json)
    if store.name != 'memory': # which other processes cannot share
        count = store.mine('once')['once'][0]
        if not options.json:
            print(f'# {store.name}: each of {count:,.0f} jobs ran and completed exactly once, in two processes', flush=True)


def stores(options, folder):
    for name in options.store or ['memory', 'sqlite', 'redis', 'postgres']:
        if name == 'memory':
            yield Memory(options)
        elif name == 'sqlite':
            yield Sqlite(options, folder, 'full')
            yield Sqlite(options, folder, 'normal')
        else:
            yield Redis(options) if name == 'redis' else Postgres(options)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True)
    parser.add_argument('--quick', action='store_true', help='short figures, the slow ones once: some four minutes')
    parser.add_argument('--json', action='store_true', help='one object a line')
    parser.add_argument('--store', choices=['memory', 'sqlite', 'redis', 'postgres'], action='append')
    parser.add_argument('--peers', metavar='FOLDER', help='measure other queues too; what npm brings of them is in FOLDER')
    parser.add_argument('--only-peers', action='store_true', help='and not the limit programs')
    options = parser.parse_args()
    options.rounds, options.seconds = 3, 0.25 if options.quick else 2
    options.failed = False
    with tempfile.TemporaryDirectory(prefix='jobq-bench.') as folder:
        options.folder = folder
        if not options.json:
            print(f'# {platform.platform()}, {os.cpu_count()} cores, {options.rounds} rounds of {options.seconds} s; median '
                  '(min-max); median of the ratios of pairs, larger is better')
            print(f'{"store":13} {"figure":31} {"libjobq":>29} {"unit":12} {"held against":>29} {"":22} {"ratio":>6}  goal')
        for store in stores(options, folder):
            if not options.only_peers:
                run(store, options)
            if options.peers:
                peers.run(store, options)
    return 1 if options.failed else 0


if __name__ == '__main__':
    sys.exit(main())
