# SPDX-License-Identifier: MIT
"""What the tests of the documents share: TAP output, the documents, and the blocks in them."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Tap:
    """Test Anything Protocol. Use as a context; the plan is written at its end."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            print('1..%d' % self.count, flush=True)

    def ok(self, good, name, detail=''):
        self.count += 1
        print('%sok %d - %s' % ('' if good else 'not ', self.count, name.replace('#', ' ')))
        if not good:
            self.failed += 1
            for line in str(detail).strip().splitlines():
                print('# ' + line)
        sys.stdout.flush()

    def none(self, problems, name):
        """The list of problems is empty."""
        self.ok(not problems, name, '\n'.join(problems))

    def skip(self, name, why):
        self.count += 1
        print('ok %d - %s # SKIP %s' % (self.count, name, why))

    def status(self):
        return 1 if self.failed else 0


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as file:
        return file.read()


def documents():
    """Every Markdown file at the top and below doc/, relative to the top."""
    found = [name for name in os.listdir(ROOT) if name.endswith('.md')]
    for folder, _, names in os.walk(os.path.join(ROOT, 'doc')):
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names if name.endswith('.md')]
    return sorted(found)


def blocks(text, language):
    """The fenced blocks of a Markdown text that are marked with this language."""
    return re.findall(r'^```%s\n(.*?)^```$' % re.escape(language), text, re.M | re.S)
