# SPDX-License-Identifier: MIT
"""The table that run.py prints: what a row is, what the rounds bring for it, and how it is said."""
import json
import statistics
import subprocess
import sys
from collections import namedtuple

# One run of jobq-bench. limit: the figure of the limit program that runs before it. slow: once only with --quick.
Figure = namedtuple('Figure', 'name limit rows slow quick', defaults=(False, None))
# One row of the table. name: of the program's line. against: 'limit'; 'told', what the same line says; a number with a unit; or
# another of libjobq's lines. goal: what the ratio should reach.
Row = namedtuple('Row', 'name label against goal', defaults=(None, None))
SMALLER = {'ms', 'bytes', 'MiB', '%', 'instructions'}


def call(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode != 0:
        sys.exit(f'{" ".join(command)}: {done.stderr.strip() or done.returncode}')
    return done.stdout


def lines(command):
    """{name: (value, unit, what it is held against, its value)}"""
    answer = {}
    for line in call(command).splitlines():
        word = line.split() + [None, None]
        answer[word[0]] = (float(word[1]), word[2], word[3], float(word[4]) if word[4] else None)
    return answer


class Taken:
    """What the rounds have brought for one row."""

    def __init__(self):
        self.values, self.others, self.ratios, self.unit, self.against = [], [], [], '', None

    def add(self, value, unit, against, other):
        self.unit, self.against = unit, against
        self.values.append(value)
        if other is None:
            return
        self.others.append(other)
        top, bottom = (other, value) if unit in SMALLER else (value, other)
        self.ratios.append(top / bottom if bottom else float('inf'))


def show(value):
    return f'{value:,.0f}' if value >= 100 else f'{value:.2f}'


def spread(values):
    if not values:
        return '-'
    if len(set(values)) == 1:
        return show(values[0])
    return f'{show(statistics.median(values))} ({show(min(values))}-{show(max(values))})'


def tell(store, row, label, taken, as_json):
    ratio = statistics.median(taken.ratios) if taken.ratios else None
    if as_json:
        bounded = None if ratio is None else min(ratio, 1e6)
        print(json.dumps({'name': f'{store.name}: {label}', 'value': statistics.median(taken.values), 'unit': taken.unit,
                          'against': taken.against, 'ratio': bounded,
                          **({'goal': row.goal} if row.goal is not None else {})}), flush=True)
        return
    shown = '-' if ratio is None else f'{min(ratio, 999.99):.2f}'
    wanted = '' if row.goal is None else f'{row.goal:.2f} {"yes" if ratio >= row.goal else "no"}'
    print(f'{store.name:13} {label:31} {spread(taken.values):>29} {taken.unit:12} {spread(taken.others):>29} '
          f'{taken.against or "":22} {shown:>6}  {wanted}', flush=True)
