#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""libjobq(3) and the headers have the same functions, and the documents name nothing that is not there.

  - the prototypes of the page are those of the public headers, both ways, to the letter
  - every jobq_... and JOBQ_... word in the page and in the documents is one of the headers
  - groff reads the page without a warning
"""
import glob
import os
import re
import shutil
import subprocess
import sys

from page import ROOT, Tap, documents, read

PAGE = 'doc/man/libjobq.3'
DECLARATION = re.compile(r'^(?:JOBQ_API\s+)?((?:\w+ )+\**jobq_\w+\([^;]*?;)', re.M | re.S)
WORD = re.compile(r'\b(?:jobq|JOBQ)_\w*\w\b')


def headers():
    return '\n'.join(read(os.path.relpath(name, ROOT)) for name in sorted(glob.glob(ROOT + '/include/jobq/*.h')))


def declared(text):
    """The prototypes, each on one line and without attributes."""
    return {re.sub(r'\s*__attribute__\s*\(\(.*\)\)', '', ' '.join(m.group(1).split())) for m in DECLARATION.finditer(text)}


def listed(text):
    return {m.group(1).replace('\\-', '-') for m in re.finditer(r'^\.B (.*\bjobq_\w+\(.*\);)$', text, re.M)}


def unknown_words(name, known):
    """Words of ours that no header has; a * or ... behind them means a family."""
    text = read(name).replace('\\-', '-').replace('\\_', '_')
    found = []
    for match in WORD.finditer(text):
        word, behind = match.group(), text[match.end():match.end() + 2]
        family = behind.startswith(('*', '…', '_*', '...')) and any(k.startswith(word) for k in known)
        if word not in known and not family:
            found.append('%s: %s' % (name, word))
    return found


def main():
    text = headers()
    page = read(PAGE)
    known = set(WORD.findall(text)) | {'JOBQ_STORE', 'JOBQ_STORE_FILE'} | handed_to_commands() | of_the_tests()
    with Tap() as tap:
        tap.ok(len(declared(text)) >= 60, 'the headers declare functions')
        tap.none(sorted(declared(text) - listed(page)), 'each function of the headers is on the page')
        tap.none(sorted(listed(page) - declared(text)), 'each function on the page is in the headers')
        names = [PAGE] + documents()
        tap.none(sorted({w for name in names for w in unknown_words(name, known)}),
                 '%d documents name only what is there' % len(names))
        groff = shutil.which('groff')
        if groff:
            done = subprocess.run([groff, '-man', '-Tutf8', '-ww', os.path.join(ROOT, PAGE)], stderr=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, text=True, check=False)
            tap.ok(done.returncode == 0 and not done.stderr, 'groff reads the page', done.stderr)
        else:
            tap.skip('groff reads the page', 'no groff here')
        return tap.status()


def handed_to_commands():
    """Environment variables that the programs read or give to their children: the sources name them."""
    words = set()
    for name in glob.glob(ROOT + '/examples/jobq/*.c') + glob.glob(ROOT + '/examples/service/*.c'):
        words |= set(re.findall(r'"(JOBQ_\w+?)(?:=\w*)?"', read(os.path.relpath(name, ROOT))))
    return words


def of_the_tests():
    """Variables of the test scripts."""
    return set(WORD.findall(read('tests/all.sh') + read('tests/lib.sh') + read('tests/dashboard/browser/views.mjs')))


if __name__ == '__main__':
    sys.exit(main())
