#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every source, script, statement and build file says its licence in its first five lines."""
import os
import re
import sys

from kit import Tap, read, tree_files

# By their end, and by their full name. Everything else has to be in NEED_NONE, so that a new kind of file is
# not overlooked.
NEED = ('.c', '.h', '.h.in', '.cc', '.cpp', '.py', '.sh', '.sql', '.lua', '.js', '.mjs', '.css', '.html', '.map', '.tbl',
        '.pml', '.build', '.options', 'meson_options.txt', 'Makefile', '.yml', '.toml', '.md', '.scd', '.in', '.supp', '.service',
        '.ci/run', '.gitignore', '.editorconfig', '.clang-format', '.1', '.3', '.7', '.dot', '.svg')
NEED_NONE = ('LICENSE', '.gitattributes', '.abi', '.json', '.txt', '.tsv', '.csv', '.bin', '.hex', '.dump', '.png', '.jpg',
             '.wav', '.corpus')
TAG = re.compile(r'SPDX-License-Identifier: MIT\b')


def main():
    without, unknown, looked = [], [], 0
    for name in tree_files():
        if name.endswith(NEED):
            looked += 1
            if not TAG.search('\n'.join(read(name).splitlines()[:5])):
                without.append(name)
        elif not name.endswith(NEED_NONE) and '/corpus/' not in name and '/fixtures/' not in name:
            if not os.path.basename(name).startswith('.') and TAG.search('\n'.join(read(name).splitlines()[:5])):
                continue
            unknown.append(name)
    with Tap() as tap:
        tap.ok(looked >= 10, 'there are files to look at')
        tap.none(without, 'each of %d files has its SPDX tag' % looked)
        tap.none(unknown, 'no file of a kind that this test does not know')
        tap.ok('MIT License' in read('LICENSE'), 'LICENSE is the MIT licence')
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
