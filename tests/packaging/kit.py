# SPDX-License-Identifier: MIT
"""What the packaging tests share: TAP output, running commands, the files of the tree."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

WARNINGS = ['-Wall', '-Wextra', '-pedantic', '-Werror']
# The examples leave members out on purpose, zero being the default, and name the others: C++17 compilers know that, and
# only say that it is C++20 when they are asked to be pedantic.
CXX_WARNINGS = ['-Wall', '-Wextra', '-Wno-missing-field-initializers', '-Werror']


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
        return good

    def none(self, problems, name):
        """The list of problems is empty."""
        return self.ok(not problems, name, '\n'.join(problems))

    def status(self):
        return 1 if self.failed else 0


def run(command, env=None, cwd=None, stdin=None):
    """(status, stdout and stderr together) of a command."""
    merged = dict(os.environ, LC_ALL='C', **(env or {}))
    done = subprocess.run(command, env=merged, cwd=cwd, stdin=subprocess.DEVNULL if stdin is None else stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    return done.returncode, done.stdout


def tree_files():
    """Every file of the tree, relative to its top: what git tracks or would track; without git all there is."""
    if os.path.exists(os.path.join(ROOT, '.git')):
        status, text = run(['git', '-c', 'safe.directory=*', '-C', ROOT, 'ls-files', '-z', '--cached', '--others',
                            '--exclude-standard'])
        if status == 0:
            return sorted(name for name in set(text.split('\0')) if name and os.path.isfile(os.path.join(ROOT, name)))
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if not f.startswith('build') and f not in ('.git', '__pycache__')]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    return sorted(found)


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8', errors='replace') as file:
        return file.read()
