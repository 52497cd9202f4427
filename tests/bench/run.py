#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run the limit programs and libjobq in turn, A B A B, and print the medians and their ratio.

Ratios are oriented so that larger is better. Single figures mean little on a shared machine; the ratio of two things
run next to each other means more."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

# name of the row, libjobq's figure, the limit's figure
SQLITE = [
    ('enqueue one at a time', 'insert-1', 'insert-1'),
    ('enqueue 100 a call', 'insert-100', 'insert-100'),
    ('enqueue 1000 a call', 'insert-1000', 'insert-1000'),
    ('enqueue 1000 a call, keys', 'keyed-1000', 'insert-1000'),
    ('enqueue, 8 threads, one handle', 'threads-8', 'insert-1'),
    ('enqueue, 64 threads, one handle', 'threads-64', 'insert-1'),
    ('drain, worker, no-op handler', 'drain', 'drain-100'),
    ('pickup, another process', 'pickup', 'pickup'),
]
MEMORY = [(row, mine, None) for row, mine, _ in SQLITE if mine != 'pickup']


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        sys.exit(f'{" ".join(command)}: {done.stderr.strip() or done.returncode}')
    return {line.split()[0]: (float(line.split()[1]), line.split()[2]) for line in done.stdout.splitlines()}


class Sqlite:
    def __init__(self, build, folder, mode):
        self.build, self.folder, self.mode, self.serial = build, folder, mode, 0
        self.name = f'sqlite {mode}'
        self.rows = SQLITE

    def mine(self, figure, seconds):
        self.serial += 1
        path = os.path.join(self.folder, f'q{self.serial}.db')
        answer = run([os.path.join(self.build, 'jobq-bench'), f'sqlite:{path}?synchronous={self.mode}',
                      str(seconds), figure])
        for end in ('', '-wal', '-shm'):
            if os.path.exists(path + end):
                os.unlink(path + end)
        return answer

    def limit(self, figure, seconds):
        return run([os.path.join(self.build, 'limit-sqlite'), os.path.join(self.folder, 'limit.db'), self.mode,
                    str(seconds), figure])


class Memory:
    name, rows = 'memory', MEMORY

    def __init__(self, build):
        self.build = build

    def mine(self, figure, seconds):
        return run([os.path.join(self.build, 'jobq-bench'), 'memory:', str(seconds), figure])


def measure(store, options):
    """Every figure of a store as {(row, name): [(mine, limit or None), ...]}."""
    taken = {}
    for _ in range(options.rounds):
        for row, mine, limit in store.rows:
            against = store.limit(limit, options.seconds) if limit else {}
            for name, (value, unit) in store.mine(mine, options.seconds).items():
                other = against.get(name.replace(mine, limit) if limit else name, (None,))[0]
                label = row if not name.startswith('pickup') else f'{row}, {name[7:]}'
                taken.setdefault((label, unit), []).append((value, other))
    return taken


def show(value):
    return f'{value:,.0f}' if value >= 100 else f'{value:.2f}'


def spread(values):
    return f'{show(statistics.median(values))} ({show(min(values))}-{show(max(values))})'


def report(store, taken, as_json):
    for (row, unit), pairs in taken.items():
        mine = [pair[0] for pair in pairs]
        limits = [pair[1] for pair in pairs if pair[1]]
        ratios = [a / b if unit != 'ms' else b / a for a, b in pairs if b]
        ratio = statistics.median(ratios) if ratios else None
        if as_json:
            print(json.dumps({'name': f'{store.name}: {row}', 'value': statistics.median(mine), 'unit': unit,
                              'against': 'limit' if limits else None, 'ratio': ratio}))
        else:
            print(f'{store.name:14} {row:34} {spread(mine):>30} {spread(limits) if limits else "-":>30} '
                  f'{f"{ratio:.2f}" if ratio else "-":>6}  {unit}')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', required=True)
    parser.add_argument('--quick', action='store_true', help='one second a figure instead of two')
    parser.add_argument('--json', action='store_true', help='one object a line')
    parser.add_argument('--store', choices=['sqlite', 'memory'], action='append')
    options = parser.parse_args()
    options.rounds, options.seconds = 3, 0.7 if options.quick else 2
    build = os.path.join(options.build, 'tests', 'bench')
    stores = options.store or ['memory', 'sqlite']
    with tempfile.TemporaryDirectory(prefix='jobq-bench.') as folder:
        if not options.json:
            print(f'# {platform.platform()}, {os.cpu_count()} cores, {options.rounds} rounds of {options.seconds} s; '
                  'median (min-max); ratio of medians of pairs, larger is better')
            print(f'{"store":14} {"figure":34} {"libjobq":>30} {"limit":>30} {"ratio":>6}')
        for name in stores:
            parts = [Memory(build)] if name == 'memory' else [Sqlite(build, folder, m) for m in ('full', 'normal')]
            for store in parts:
                report(store, measure(store, options), options.json)


main()
