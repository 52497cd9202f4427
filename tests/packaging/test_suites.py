#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_suites.py BUILD: the suite `threads`, which is what the thread sanitizer runs, has every test of the library's parts that
starts a thread, and no other: where there is one thread it finds nothing."""
import json
import os
import re
import sys

from kit import Tap, read, tree_files

STARTS = re.compile(r'\b(pthread_create|jobq_worker_(dispatch|run))\b')


def main():
    with open(os.path.join(sys.argv[1], 'meson-info', 'intro-tests.json'), encoding='utf-8') as file:
        marked = {test['name']: any(suite.endswith(':threads') for suite in test['suite']) for test in json.load(file)}
    sources = [name for name in tree_files() if re.match(r'tests/(unit|sqlite)/test_\w+\.c$', name)]
    with Tap() as tap:
        found = 0
        for source in sources:
            folder, name = re.match(r'tests/(\w+)/test_(\w+)\.c', source).groups()
            name = name if folder == 'unit' else folder + '-' + name
            if name in marked:
                threads = bool(STARTS.search(read(source)))
                found += threads
                tap.ok(marked[name] == threads, '%s is %sin the suite threads' % (name, '' if threads else 'not '))
        tap.ok(found, 'some of them start threads')
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
