#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Exported symbols, version maps, header comments and the manual say the same.

test_api.py INCLUDE-DIR MANUAL LIBRARY:MAP...

  - a library exports exactly the functions that the public headers declare with JOBQ_API, all together
  - a version map exports nothing but jobq_*
  - the comment above each declaration tells threads, errors, since; ownership where memory changes hands;
    units where a number is a time or a size
  - libjobq(3) names each function
  - libjobq.so itself needs the C library only
  - no library has the mistakes of a build with -Dmutants=true (tests/mutants/run.py looks that those have them)
"""
import glob
import os
import re
import sys

from kit import Tap, run

DECLARATION = re.compile(r'^JOBQ_API\s+([^;()]*?)\b(jobq_\w+)\s*\(((?:[^;()]|\([^;()]*\))*)\)'
                         r'(?:\s*__attribute__\s*\(\([^;]*?\)\))?\s*;', re.M)
COMMENT = re.compile(r'/\*((?:(?!\*/).)*)\*/\s*\Z', re.S)
OWNERSHIP = re.compile(r'\b(own|owned|owns|lent|lends|static text|free|frees|freed|memory|arena|lives?)\b', re.I)
UNITS = re.compile(r'\b(ms|milliseconds?|instants?|fence|clock|bytes?|cursor|number of)\b', re.I)
TIME_NAME = re.compile(r'(_ms|^ms)$')
SIZE_NAME = re.compile(r'(bytes|count|max|limit|size|items)$')
SYSTEM = re.compile(r'^(libc\.|libc\.musl|libpthread\.|ld-|ld\.|linux-vdso)')


class Function:
    def __init__(self, header, result, name, arguments, comment):
        self.header, self.result, self.name = header, result.strip(), name
        self.arguments = [' '.join(a.split()) for a in arguments.split(',')]
        self.comment = ' '.join(line.strip().lstrip('*').strip() for line in comment.splitlines())

    def problems(self):
        found = []
        if not self.comment:
            return ['%s: %s has no comment of its own' % (self.header, self.name)]
        for word, pattern in (('threads', r'\bthreads?\b'), ('since', r'\bSince \d+\.\d+'),
                              ('errors', r'\berrors?\b|\bReturns\b|\bnever fails\b|\bcannot fail\b')):
            if not re.search(pattern, self.comment, re.I):
                found.append(word)
        if ('*' in self.result or any('**' in a for a in self.arguments)) and not OWNERSHIP.search(self.comment):
            found.append('ownership')
        if self.numbers_without_unit() and not UNITS.search(self.comment):
            found.append('units of ' + ', '.join(self.numbers_without_unit()))
        return ['%s: %s does not say: %s' % (self.header, self.name, ', '.join(found))] if found else []

    def numbers_without_unit(self):
        if TIME_NAME.search(self.name):
            return []
        bad = []
        for argument in self.arguments:
            name = re.split(r'[ *]', argument)[-1]
            if 'int64_t' in argument and not TIME_NAME.search(name):
                bad.append(name)
            if 'size_t' in argument and not SIZE_NAME.search(name):
                bad.append(name)
        if 'int64_t' in self.result:
            bad.append('the result')
        return bad


def functions_of(header):
    """The functions that a header declares, each with the comment that ends right above it."""
    with open(header, encoding='utf-8') as file:
        text = file.read()
    found = []
    for match in DECLARATION.finditer(text):
        before = text[:match.start()]
        comment = COMMENT.search(before)
        adjoining = comment and before[comment.end(1) + 2:].count('\n') <= 1
        found.append(Function(os.path.basename(header), match.group(1), match.group(2), match.group(3),
                              comment.group(1) if adjoining else ''))
    marks = len(re.findall(r'^JOBQ_API\b', text, re.M))
    if marks != len(found):
        raise SystemExit('%s: %d times JOBQ_API, %d declarations understood' % (header, marks, len(found)))
    return found


def exported(library):
    """Dynamic symbols that the library defines, without their version; the version names themselves left out."""
    status, text = run(['readelf', '--dyn-syms', '--wide', library])
    if status != 0:
        raise SystemExit(text)
    names = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 8 and words[0].rstrip(':').isdigit() and words[6] not in ('UND', 'ABS') \
                and words[4] in ('GLOBAL', 'WEAK', 'UNIQUE'):
            names.add(words[7].split('@')[0])
    return names


def needed(library):
    return re.findall(r'\(NEEDED\).*\[(.+)\]', run(['readelf', '--dynamic', '--wide', library])[1])


def map_globals(name):
    with open(name, encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
    found = []
    for block in re.findall(r'global:(.*?)(?:local:|\})', text, re.S):
        found += [word.strip() for word in block.split(';') if word.strip()]
    return found, re.search(r'local:\s*\*\s*;', text)


def check_map(tap, name):
    names, hides = map_globals(name)
    tap.ok(names and hides and all(word.startswith('jobq_') for word in names),
           '%s exports jobq_* and hides the rest' % os.path.basename(name), ' '.join(names))


def main():
    include, manual, libraries = sys.argv[1], sys.argv[2], sys.argv[3:]
    functions = [f for header in sorted(glob.glob(os.path.join(include, 'jobq', '*.h'))) for f in functions_of(header)]
    declared = {f.name for f in functions}
    with Tap() as tap:
        tap.ok(len(functions) >= 20, 'the headers declare functions')
        tap.none([p for f in functions for p in f.problems()], 'each of %d says what a caller must know' % len(functions))
        everything = set()
        for pair in libraries:
            library, version_map = pair.split(':')
            name, symbols = os.path.basename(library), exported(library)
            everything |= symbols
            tap.ok(symbols, '%s exports something' % name)
            tap.none(sorted(symbols - declared), '%s: what is exported is declared' % name)
            check_map(tap, version_map)
            with open(library, 'rb') as file:
                tap.ok(b'JOBQ_MUTANT' not in file.read(), '%s has no mistake to choose' % name)
            strange = [n for n in needed(library) if not SYSTEM.match(n)]
            if name.startswith('libjobq.so'):
                tap.none(strange, '%s needs the C library only' % name)
            else:
                # Symbols are versioned per library, so that nobody resolves one from the wrong one.
                tap.none(sorted(s for s in symbols if not s.startswith('jobq_')), '%s exports jobq_* only' % name)
        # A store that was left out of this build leaves its header out of the comparison too.
        built = {re.sub(r'^libjobq-?|\.so.*$', '', os.path.basename(pair.split(':')[0])) for pair in libraries}
        missing = [f for f in functions if f.name not in everything
                   and (f.header[:-2] in built or f.header in ('jobq.h', 'backend.h', 'memory.h'))]
        tap.none(['%s (%s)' % (f.name, f.header) for f in missing], 'what is declared is exported')
        with open(manual, encoding='utf-8') as file:
            page = file.read().replace('\\-', '-').replace('\\_', '_')
        tap.none(['%s (%s)' % (f.name, f.header) for f in functions if not re.search(r'\b%s\b' % f.name, page)],
                 '%s names each function' % os.path.basename(manual))
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
