#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""doc/seeds.md points at what is there.

  - each row has a number of its own, in order, and a section says which numbers it has
  - each path in it is there; each test that is named is in its file, each command of jobq and each script exists
  - each row shows something, or says why not
"""
import os
import re
import sys

from page import ROOT, Tap, read

PAGE = 'doc/seeds.md'
ROW = re.compile(r'^\| (\d+) \| (.*) \| (.*) \| (.*) \|$', re.M)
SECTION = re.compile(r'^## .*\((\d+) to (\d+)\)$', re.M)
SPAN = re.compile(r'`([^`]+)`')
FOLDERS = ('lib/', 'include/', 'backends/', 'examples/', 'tests/', 'doc/')


def is_there(path):
    return os.path.exists(os.path.join(ROOT, path))


def test_problems(words):
    """Of a file and names of tests in it."""
    if not is_there(words[0]):
        return ['no %s' % words[0]]
    if not words[1:] or os.path.isdir(os.path.join(ROOT, words[0])):
        return []
    text = read(words[0])
    found = set(re.findall(r'def (test_\w+)', text)) | set(re.findall(r'\b(?:START_TEST|CASE|TEST)\((\w+)', text)) \
        | set(re.findall(r'^(?:static )?void (\w+)\(', text, re.M))
    return ['no test %s in %s' % (name, words[0]) for name in words[1:] if name not in found]


def span_problems(span, commands):
    words = span.split()
    if words[0].startswith(FOLDERS):
        return test_problems(words)
    if words[0] == 'sh':
        return [] if is_there(words[1]) else ['no %s' % words[1]]
    if words[0] == 'jobq' and len(words) > 1:
        return [] if words[1] in commands else ['no command jobq %s' % words[1]]
    return []


def shows(text, commands):
    """Whether there is anything in it that can be run, or a reason."""
    runnable = [s for s in SPAN.findall(text) if s.startswith(('tests/', 'sh ', 'jobq '))]
    return bool(runnable) or re.match(r'(Differently|Not done): \w', text)


def order_problems(text):
    numbers = [int(row[0]) for row in ROW.findall(text)]
    expected = [n for first, last in SECTION.findall(text) for n in range(int(first), int(last) + 1)]
    return ['row %d' % n for n in sorted(set(numbers) ^ set(expected))] + (
        [] if numbers == sorted(set(numbers)) else ['not in order, or twice'])


def main():
    text = read(PAGE)
    rows = ROW.findall(text)
    commands = set(re.findall(r'\.name = "([a-z]+)"', read('examples/jobq/commands.c')))
    with Tap() as tap:
        tap.ok(len(rows) == 116, 'each of the 116 things has a row', len(rows))
        tap.none(order_problems(text), 'each section has the rows that it says')
        tap.none(['row %s: %s' % (row[0], problem) for row in rows for span in SPAN.findall(row[2] + row[3])
                  for problem in span_problems(span, commands)], 'what the rows point at is there')
        tap.none(['row ' + row[0] for row in rows if not shows(row[3], commands)], 'each row shows something, or says why not')
        tap.none([problem for problem in test_problems(['tests/docs/test_seeds.py', 'test_that_is_not_there'])
                  if 'no test' not in problem] + ([] if span_problems('jobq nothing', commands) else ['taken']),
                 'what is not there would be noticed')
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
