#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tests/all.sh says at its end: a test that neither the plain nor the asan part ran is a failure, and so is what did not
end as it should."""
import json
import os
import sys
import tempfile

from kit import ROOT, Tap, run

TALLY = os.path.join(ROOT, 'tests', 'tally.py')
BUILT = {'one': [], 'two': [], 'three': ['full']}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def part(root, name, ran, result='OK', built=BUILT):
    """A part whose build has these tests and that ran some of them."""
    write(os.path.join(root, name, 'meson-info', 'intro-tests.json'), json.dumps(
        [{'name': test, 'suite': ['libjobq:unit'] + ['libjobq:' + suite for suite in suites]} for test, suites in built.items()]))
    write(os.path.join(root, name, 'meson-logs', 'testlog.json'), ''.join(
        json.dumps({'name': 'libjobq:unit / ' + test, 'result': result, 'stdout': '', 'duration': 1.0}) + '\n' for test in ran))
    write(os.path.join(root, name + '.list'), ''.join('libjobq:unit / %s\n' % test for test in ran))


def check(tap, name, parts, expected, arguments=(), full='', say=''):
    """parts: what each ran, with the arguments of part()."""
    with tempfile.TemporaryDirectory() as root:
        for part_name, arguments_of in parts.items():
            part(root, part_name, **arguments_of)
        status, text = run([sys.executable, TALLY, *arguments, root, *parts], env={'JOBQ_TEST_FULL': full})
        tap.ok(status == expected and say in text, name, text)


def main():
    one, two, all_three = {'ran': ['one']}, {'ran': ['two']}, {'ran': list(BUILT)}
    with Tap() as tap:
        check(tap, 'two parts together run all', {'plain': one, 'asan': two}, 0, say='2 passed, 0 failed, 0 skipped')
        check(tap, 'one that neither runs', {'plain': one, 'asan': one}, 1, say='neither plain nor asan runs: two\n')
        check(tap, 'tsan is not enough', {'plain': one, 'asan': one, 'tsan': two}, 1, say='runs: two\n')
        check(tap, 'the plain part alone', {'plain': one}, 1, say='runs: two\n')
        check(tap, 'another part alone is a choice', {'asan': one}, 0)
        check(tap, 'all are asked for', {'plain': one, 'asan': two}, 1, full='1', say='runs: three\n')
        check(tap, 'all of them', {'plain': all_three, 'asan': two}, 0, full='1')
        check(tap, 'one that only a sanitized build has', {'plain': all_three, 'asan': dict(two, built={'four': []})}, 1,
              say='runs: four\n')
        check(tap, 'the same of a list', {'plain': one, 'asan': one}, 1, ['--list'], say='runs: two\n')
        check(tap, 'a list that has all', {'plain': one, 'asan': two}, 0, ['--list'], say='1 in plain, 1 in asan')
        check(tap, 'one that failed', {'plain': all_three, 'asan': dict(two, result='FAIL')}, 1, say='1 failed')
        check(tap, 'one that died', {'plain': dict(all_three, result='TIMEOUT')}, 1, say='3 failed')
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
