#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each public header compiles alone, and twice in one file, as C11 and as C++17:
no warning at -pedantic with the project's own list and the one on implicit conversions.

test_headers.py INCLUDE-DIR
"""
import glob
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'packaging'))
from kit import Tap, WARNINGS, run  # noqa: E402

STRICT = ['-Wwrite-strings', '-Wformat=2', '-Wconversion', '-Wundef', '-Wshadow']
C_ONLY = ['-Wstrict-prototypes', '-Wmissing-prototypes', '-Wc++-compat']
# A program that looks only at the C standard must be able to include them: no POSIX macro is given.
LANGUAGES = (('C11', ['cc', '-std=c11', '-x', 'c'] + C_ONLY), ('C++17', ['c++', '-std=c++17', '-x', 'c++']))


def main():
    include = sys.argv[1]
    headers = sorted(glob.glob(os.path.join(include, 'jobq', '*.h')))
    with Tap() as tap, tempfile.TemporaryDirectory() as folder:
        tap.ok(len(headers) >= 3, 'there are headers')
        for header in headers:
            name = 'jobq/' + os.path.basename(header)
            source = os.path.join(folder, 'alone.c')
            with open(source, 'w', encoding='utf-8') as file:
                file.write('#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' % (name, name))
            for language, command in LANGUAGES:
                status, text = run(command + WARNINGS + STRICT + ['-I' + include, '-fsyntax-only', source])
                tap.ok(status == 0, '%s alone as %s' % (name, language), text)
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
