#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may include whom.

  include/jobq       each other as <jobq/...>, and the C standard library
  lib/               jobq/jobq.h, jobq/backend.h, jobq/memory.h and its own headers; no database
  backends/X         jobq/jobq.h, jobq/backend.h, jobq/X.h, its own headers and those of backends/lookup, which is no store and
                     knows of none: not lib/, not another store
  examples/          <jobq/*.h> as installed, headers of their own, those of examples/service and examples/dashboard: not
                     lib/, not backends/
  tests/inject       jobq/backend.h, the stores' public headers, its own and those of tests/conformance
  tests/conformance  jobq/backend.h (with jobq/jobq.h), the stores' public headers, its own, those of tests/inject and of
                     tests/servers
"""
import os
import re
import sys

from kit import Tap, read, tree_files

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
DATABASES = ('sqlite3.h', 'hiredis/', 'hiredis.h', 'valkey/', 'libpq-fe.h', 'libpq/', 'postgres')
PUBLIC = re.compile(r'^jobq/[a-z]+\.h$')
STANDARD = {'stddef.h', 'stdint.h', 'stdbool.h', 'stdarg.h', 'stdio.h', 'sqlite3.h', 'libpq-fe.h'}


# Libraries that several examples share; the rest is for itself.
SHARED = ['examples/service', 'examples/dashboard']
ALONE = {'examples', 'examples/jobq', 'examples/loop', 'examples/ledger', 'examples/backend-template'}
STORES = {'memory.h', 'sqlite.h', 'redis.h', 'postgres.h'}
# Made by the build for each store that has such texts; an example may have a header of that name.
MADE = {'steps.h', 'functions.h', 'statements.h'}


def rule_of(name):
    """(allowed jobq headers or None for all, folders whose headers are its own, other libraries allowed)."""
    parts = name.split('/')
    if parts[0] == 'include':
        return None, ['include/jobq'], False
    if parts[0] == 'lib':
        return {'jobq.h', 'backend.h', 'memory.h'}, ['lib'], False
    if parts[:2] == ['backends', 'lookup']:
        return set(), ['backends/lookup'], False
    if parts[0] == 'backends':
        return {'jobq.h', 'backend.h', parts[1] + '.h'}, ['backends/' + parts[1], 'backends/lookup'], True
    if parts[0] == 'examples':
        own = '/'.join(parts[:2]) if len(parts) > 2 else 'examples'
        return None, [own] + (SHARED if own not in ALONE else []), True
    if parts[:2] == ['tests', 'inject']:
        return {'jobq.h', 'backend.h'} | STORES, ['tests/inject', 'tests/conformance'], False
    return {'jobq.h', 'backend.h', 'conformance.h'} | STORES, ['tests/conformance', 'tests/inject',
                                                                      'tests/servers'], False


def own_header(name, target, folders, headers):
    """Whether an include means a header beside the file or below one of its own folders."""
    beside = os.path.normpath(os.path.join(os.path.dirname(name), target))
    for folder in folders:
        if beside in headers and beside.startswith(folder + '/'):
            return True
        if any(h.startswith(folder + '/') and h.endswith('/' + target) for h in headers):
            return True
    return False


def problem_of(name, quote, target, headers):
    """Why this include is not allowed; None when it is. headers: every .h of the tree."""
    allowed, folders, others = rule_of(name)
    if PUBLIC.match(target):
        if allowed is not None and target[5:] not in allowed:
            return 'includes <%s>' % target
        return None if quote == '<' else 'takes the public header <%s> with quotes' % target
    if not others and target.startswith(DATABASES) and not name.startswith('include/'):
        return 'includes a database: %s' % target
    if name.startswith('include/') and target not in STANDARD:
        return 'a public header includes %s' % target
    if own_header(name, target, folders, headers) or (name.startswith('backends/') and target in MADE):
        return None
    if quote == '<' and ('/' in target or os.path.exists('/usr/include/' + target)):
        return None
    if os.path.basename(target) in {os.path.basename(header) for header in headers}:
        return 'reaches out of %s/: %s' % (folders[0], target)
    return None  # made by the build, or the compiler's own


def problems_under(prefix, files):
    headers = {name for name in files if name.endswith('.h')}
    found = []
    for name in files:
        if name.startswith(prefix) and name.endswith(('.c', '.h', '.h.in', '.cc', '.cpp')):
            for quote, target in INCLUDE.findall(read(name)):
                problem = problem_of(name, quote, target, headers)
                if problem:
                    found.append('%s: %s' % (name, problem))
    return found


def internal_users(files):
    """Build files outside lib/ and tests/ that use the copy of the library that shows everything."""
    return [name for name in files if name.endswith('meson.build') and name.startswith(('examples/', 'backends/'))
            and 'jobq_internal' in read(name)]


def main():
    files = tree_files()
    with Tap() as tap:
        for prefix in ('include/', 'lib/', 'backends/', 'examples/', 'tests/inject/', 'tests/conformance/'):
            seen = [name for name in files if name.startswith(prefix) and name.endswith(('.c', '.h'))]
            tap.ok(seen, '%s has sources to look at' % prefix)
            tap.none(problems_under(prefix, files), '%s includes only what it may' % prefix)
        tap.none(internal_users(files), 'stores and examples link what is installed')
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
