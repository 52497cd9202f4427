#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shell scripts are POSIX sh: dash (or whatever sh is) reads them and shellcheck finds nothing."""
import os
import re
import shutil
import sys

from kit import ROOT, Tap, read, run, tree_files


def main():
    scripts = [name for name in tree_files() if name.endswith('.sh') or re.match(r'#! ?/bin/sh\b', read(name)[:20])]
    shell = shutil.which('dash') or 'sh'
    with Tap() as tap:
        tap.ok('tests/all.sh' in scripts, 'there are scripts')
        for name in scripts:
            status, text = run([shell, '-n', os.path.join(ROOT, name)])
            tap.ok(status == 0, '%s: %s reads it' % (name, os.path.basename(shell)), text)
            status, text = run(['shellcheck', '-x', '-s', 'sh', name], cwd=ROOT)
            tap.ok(status == 0, '%s: shellcheck' % name, text)
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
