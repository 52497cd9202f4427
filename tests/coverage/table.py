#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lines and branches that were run: table.py [--missing | --names] FILE, where FILE is what gcovr says as JSON.

Prints a line for each file, for each part and for all. With --missing also of each function the lines with a branch that nothing
took; with --names only the functions that have one, as doc/coverage.md lists them. 0 if each part has at least 90 % of its lines and 80 % of its branches.
"""
import collections
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PARTS = ('lib', 'backends/lookup', 'backends/sqlite', 'backends/redis', 'backends/postgres')
JUDGED = ('lib', 'backends/sqlite', 'backends/redis', 'backends/postgres')
LEAST_LINES, LEAST_BRANCHES = 90, 80


class Counts:
    def __init__(self):
        self.lines = self.run = self.branches = self.taken = 0

    def add(self, other):
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def shares(self):
        return 100 * self.run / max(self.lines, 1), 100 * self.taken / max(self.branches, 1)

    def line(self, name):
        lines, branches = self.shares()
        return f'{name:36} {self.lines:6} {lines:6.1f} % {self.branches:7} {branches:6.1f} %'


def count(file):
    counts = Counts()
    for line in file['lines']:
        if line.get('gcovr/noncode'):
            continue
        counts.lines += 1
        counts.run += line['count'] > 0
        counts.branches += len(line['branches'])
        counts.taken += sum(branch['count'] > 0 for branch in line['branches'])
    return counts


def missing(file):
    """(function, text of the line): what was never run, and conditions of which one way was never gone."""
    with open(os.path.join(ROOT, file['file']), encoding='utf-8') as source:
        text = source.read().splitlines()
    begins = sorted((each['lineno'], each['name']) for each in file.get('functions', ()))
    found = collections.OrderedDict()
    for line in file['lines']:
        number = line['line_number']
        if line.get('gcovr/noncode') or not any(branch['count'] == 0 for branch in line['branches']):
            continue
        function = next((name for begin, name in reversed(begins) if begin <= number), '')
        found.setdefault(function, []).append(('' if line['count'] else 'not reached: ') + text[number - 1].strip())
    return found


def main():
    words = [word for word in sys.argv[1:] if word not in ('--missing', '--names')]
    with open(words[0], encoding='utf-8') as counts:
        files = json.load(counts)['files']
    parts, whole, low = collections.defaultdict(Counts), Counts(), False
    print(f'{"":36} {"lines":>6} {"run":>8} {"branches":>7} {"taken":>8}')
    for file in sorted(files, key=lambda each: each['file']):
        counts = count(file)
        if counts.lines:
            print(counts.line(file['file']))
            parts[next(part for part in PARTS if file['file'].startswith(part + '/'))].add(counts)
            whole.add(counts)
    print()
    for part in PARTS:
        lines, branches = parts[part].shares()
        under = part in JUDGED and (lines < LEAST_LINES or branches < LEAST_BRANCHES)
        low = low or under
        print(parts[part].line(part) + ('  too few' if under else ''))
    print(whole.line('all'))
    if '--missing' in sys.argv:
        for file in sorted(files, key=lambda each: each['file']):
            for function, texts in missing(file).items():
                print(f'- `{file["file"]}: {function}`: ' + ', '.join(f'`{text}`' for text in texts))
    if '--names' in sys.argv:
        for file in sorted(files, key=lambda each: each['file']):
            if missing(file):
                print(f'- `{file["file"]}`: ' + ', '.join(missing(file)))
    return 1 if low else 0


if __name__ == '__main__':
    sys.exit(main())
