#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the documents point at is there.

  - each relative link names a file of the tree, and its anchor a heading of that file
  - each path that is written as `folder/file` is there
  - each page below doc/ can be reached from the README
"""
import os
import re
import sys

from page import ROOT, Tap, documents, read

LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
PATH = re.compile(r'`((?:lib|include|backends|examples|tests|doc)/[\w./-]*)`')
CODE = re.compile(r'^```.*?^```$', re.M | re.S)


def anchor(heading):
    text = re.sub(r'[`*]|\[|\]\([^)]*\)', '', heading).strip().lower()
    return re.sub(r'[^\w\- ]', '', text).replace(' ', '-')


def anchors(name):
    return {anchor(h) for h in re.findall(r'^#+ (.*)$', CODE.sub('', read(name)), re.M)}


def targets(name):
    """(file relative to the top, anchor or None) of each relative link."""
    for target in LINK.findall(CODE.sub('', read(name))):
        if re.match(r'[a-z]+:', target):
            continue
        path, _, mark = target.partition('#')
        full = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        yield full, mark or None


def broken(name):
    found = []
    for path, mark in targets(name):
        if not os.path.exists(os.path.join(ROOT, path)):
            found.append('%s: no file %s' % (name, path))
        elif mark and mark not in anchors(path):
            found.append('%s: no heading %s in %s' % (name, mark, path))
    return found


def missing_paths(name):
    return ['%s: no %s' % (name, path) for path in PATH.findall(read(name))
            if not os.path.exists(os.path.join(ROOT, path.rstrip('/')))]


def reached(start):
    seen, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name in seen or not name.endswith('.md') or not os.path.exists(os.path.join(ROOT, name)):
            continue
        seen.add(name)
        todo += [path for path, _ in targets(name)]
    return seen


def main():
    names = documents()
    links = sum(len(list(targets(name))) for name in names)
    with Tap() as tap:
        tap.ok(links >= 20, 'there are links')
        tap.none([b for name in names for b in broken(name)], '%d links resolve' % links)
        tap.none([m for name in names for m in missing_paths(name)], 'files that are named are there')
        tap.none(sorted(set(n for n in names if n.startswith('doc/')) - reached('README.md')),
                 'the README leads to every page')
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
