#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Documents that say what holds name the test that shows it: `tests/FILE: CASE`.

  - each test that is named, in whatever document, is there: the file, and the name of the case in it
  - in the pages whose point it is, each row of a table and each section names one, or says that there is none
"""
import os
import re
import sys

from page import ROOT, Tap, documents, read

CLAIM = re.compile(r'`((?:tests|examples)/[\w./-]+): ([^`]+)`')
PAGES = ['doc/durability.md', 'doc/security.md', 'doc/contract-tests.md', 'doc/faults.md', 'doc/other-queues.md']
HEADS = re.compile(r'^\|-+|^\| (what|the server|setting|threat)')
LINKED = re.compile(r'^\| [^|]*\| \[')
NONE = re.compile('no test:', re.I)


def missing(name):
    """What the document names and is not there."""
    found = []
    for path, case in CLAIM.findall(read(name)):
        if not os.path.exists(os.path.join(ROOT, path)):
            found.append('%s: there is no %s' % (name, path))
        elif case not in read(path):
            found.append('%s: %s has no "%s"' % (name, path, case))
    return found


def proven(text):
    return CLAIM.search(text) or NONE.search(text)


def bare_rows(name):
    """Rows of tables that name no test and lead to no other page."""
    rows = [line for line in read(name).splitlines() if line.startswith('|')]
    return ['%s: %.60s' % (name, row) for row in rows
            if not HEADS.match(row) and not LINKED.match(row) and not proven(row)]


def bare_sections(name):
    found = []
    for section in re.split(r'^## ', read(name), flags=re.M)[1:]:
        if not proven(section):
            found.append('%s: %s' % (name, section.splitlines()[0]))
    return found


def main():
    with Tap() as tap:
        named = sum(len(CLAIM.findall(read(name))) for name in documents())
        tap.ok(named >= 100, 'the documents name tests', '%d' % named)
        tap.none([m for name in documents() for m in missing(name)], 'every test that is named is there')
        tap.none([m for name in PAGES for m in bare_rows(name)], 'every row names its test')
        tap.none(bare_sections('doc/durability.md'), 'every section on durability names its tests')
        rows = [line for line in read('doc/contract-tests.md').splitlines() if line.startswith('| ')]
        tap.ok(len(rows) == 1 + 24, 'the contract has 24 of them', '%d' % (len(rows) - 1))
        numbers = re.findall(r'^\| (\d+)\. ', read('doc/other-queues.md'), re.M)
        tap.ok(numbers == [str(n) for n in range(1, 48)], 'other queues have 47 of them, each once', ' '.join(numbers))
    return tap.status()


if __name__ == '__main__':
    sys.exit(main())
