#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up what meson's logs say: tally.py [--list] BUILD-ROOT PART...

Prints what failed with what it said about it, what was skipped and why, one line per part with the tests that took longest
and, last, "N passed, N failed, N skipped". A test that speaks TAP counts as many as it reports, any other counts one. A test
that died before it could say "not ok" is a failure all the same, and so is a part that could not be built or left
no log, or a test that neither the plain nor the asan part ran. There is no such thing as a failure that was expected.

With --list the parts were only asked what they would run (PART.list), and each test is printed once with its parts.
"""
import json
import os
import re
import sys

LINE = re.compile(r'^(not )?ok\b(.*)$', re.M)
SKIPPED = re.compile(r'#\s*skip', re.I)
GOOD = ('OK', 'EXPECTEDFAIL')
COMPLETE = {'plain', 'asan'} # together they run every test


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


def logged(root, part):
    """What meson wrote about each test of a part."""
    with open(os.path.join(root, part, 'meson-logs', 'testlog.json'), encoding='utf-8') as lines:
        return [json.loads(line) for line in lines]


def count_part(root, part):
    """(passed, failed, skipped) of a part, and its tests."""
    if os.path.exists(os.path.join(root, part + '.broken')):
        return [0, 1, 0], []
    try:
        tests = logged(root, part)
    except FileNotFoundError:
        return ([1, 0, 0] if part == 'clang' else [0, 1, 0]), []
    total = [0, 0, 0]
    for test in tests:
        counts = count_test(test)
        total = [a + b for a, b in zip(total, counts)]
        report(part, test, counts)
    return total, tests


def bare(name):
    """meson's name of a test without project and suites."""
    return name.split(' / ', 1)[-1].strip()


def left_out(root, parts, ran):
    """The tests of an ordinary day, or with JOBQ_TEST_FULL all, that are built for the plain or the asan part and ran in
    neither. Without the plain part somebody chose to do with less."""
    if 'plain' not in parts:
        return []
    expected = set()
    for part in COMPLETE.intersection(parts):
        with open(os.path.join(root, part, 'meson-info', 'intro-tests.json'), encoding='utf-8') as file:
            tests = json.load(file)
        expected.update(test['name'] for test in tests
                        if os.environ.get('JOBQ_TEST_FULL') or not any(s.endswith(':full') for s in test['suite']))
    return sorted(expected.difference(*(ran[part] for part in COMPLETE.intersection(parts))))


def tell_left_out(missing):
    if missing:
        print('  failed: neither plain nor asan runs: ' + ', '.join(missing))
    return len(missing)


def tally(root, parts):
    total, ran = [0, 0, 0], {}
    for part in parts:
        counts, tests = count_part(root, part)
        ran[part] = {bare(test['name']) for test in tests}
        total = [a + b for a, b in zip(total, counts)]
        print('  %-8s %6d passed, %d failed, %d skipped' % (part, *counts))
        if tests:
            print('    of %.0f seconds: %s' % (sum(test['duration'] for test in tests), longest(tests)))
    if not any(os.path.exists(os.path.join(root, part + '.broken')) for part in parts):
        total[1] += tell_left_out(left_out(root, parts, ran))
    print('%d passed, %d failed, %d skipped' % tuple(total))
    return 1 if total[1] or not total[0] else 0


def show(root, parts):
    parts = [part for part in parts if part != 'clang'] # it runs none
    ran = {}
    for part in parts:
        with open(os.path.join(root, part + '.list'), encoding='utf-8') as lines:
            ran[part] = {bare(line) for line in lines if line.strip()}
    for name in sorted(set().union(*ran.values())):
        print('  %-40s %s' % (name, ' '.join(part for part in parts if name in ran[part])))
    print(', '.join('%d in %s' % (len(ran[part]), part) for part in parts))
    return 1 if tell_left_out(left_out(root, parts, ran)) else 0


def main():
    if sys.argv[1] == '--list':
        return show(sys.argv[2], sys.argv[3:])
    return tally(sys.argv[1], sys.argv[2:])


if __name__ == '__main__':
    sys.exit(main())
