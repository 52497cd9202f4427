#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up what meson's logs say: tally.py BUILD-ROOT PART...

Prints what failed with what it said about it, what was skipped and why, one line per part with the tests that took longest
and, last, "N passed, N failed, N skipped". A test that speaks TAP counts as many as it reports, any other counts one. A test
that died before it could say "not ok" is a failure all the same, and so is a part that could not be built or left
no log. There is no such thing as a failure that was expected.
"""
import json
import os
import re
import sys

LINE = re.compile(r'^(not )?ok\b(.*)$', re.M)
SKIPPED = re.compile(r'#\s*skip', re.I)
GOOD = ('OK', 'EXPECTEDFAIL')


def count_test(test):
    """(passed, failed, skipped) of one test."""
    counts = [0, 0, 0]
    lines = LINE.findall(test.get('stdout') or '')
    for bad, rest in lines:
        counts[1 if bad else 2 if SKIPPED.search(rest) else 0] += 1
    result = test['result']
    if result == 'SKIP':
        return counts if counts[2] else [0, 0, 1]
    if result in GOOD:
        return counts if lines else [1, 0, 0]
    if not counts[1]:
        counts[1] = 1
    return counts


def explain(test):
    """The lines that a reader needs of a failed test: each "not ok" with its remarks, or the end of its output."""
    output = (test.get('stdout') or '').splitlines()
    told, within = [], False
    for line in output:
        within = line.startswith('not ok') or (within and line.startswith('#'))
        if within:
            told.append(line)
    if not told:
        told = (output + (test.get('stderr') or '').splitlines())[-40:]
    elif test.get('stderr'):
        told += test['stderr'].splitlines()[-20:]
    return told[:80]


def reasons(test):
    return [rest.strip(' -') for _, rest in LINE.findall(test.get('stdout') or '') if SKIPPED.search(rest)]


def report(part, test, counts):
    if counts[1]:
        print('  failed in %s: %s (%s)' % (part, test['name'], test['result']))
        for line in explain(test):
            print('    | ' + line)
    if counts[2]:
        print('  skipped in %s: %s: %s' % (part, test['name'], '; '.join(reasons(test)) or 'all of it'))


def longest(tests, most=8):
    """Which tests to look at when a part takes too long, in seconds."""
    slow = sorted(tests, key=lambda test: -test['duration'])[:most]
    return ', '.join('%s %.0f' % (test['name'].rsplit(' / ')[-1], test['duration']) for test in slow)


def count_part(root, part):
    """(passed, failed, skipped) of a part, and its tests."""
    if os.path.exists(os.path.join(root, part + '.broken')):
        return [0, 1, 0], []
    log = os.path.join(root, part, 'meson-logs', 'testlog.json')
    if not os.path.exists(log):
        return ([1, 0, 0] if part == 'clang' else [0, 1, 0]), []
    total = [0, 0, 0]
    with open(log, encoding='utf-8') as lines:
        tests = [json.loads(line) for line in lines]
    for test in tests:
        counts = count_test(test)
        total = [a + b for a, b in zip(total, counts)]
        report(part, test, counts)
    return total, tests


def main():
    root, parts = sys.argv[1], sys.argv[2:]
    total = [0, 0, 0]
    for part in parts:
        counts, tests = count_part(root, part)
        total = [a + b for a, b in zip(total, counts)]
        print('  %-8s %6d passed, %d failed, %d skipped' % (part, *counts))
        if tests:
            print('    of %.0f seconds: %s' % (sum(test['duration'] for test in tests), longest(tests)))
    print('%d passed, %d failed, %d skipped' % tuple(total))
    return 1 if total[1] or not total[0] else 0


if __name__ == '__main__':
    sys.exit(main())
