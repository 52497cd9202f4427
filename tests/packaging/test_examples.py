#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The C in the manual and in the documents compiles.

test_examples.py INCLUDE-DIR

Examples are the .EX blocks of doc/man and the ```c blocks of README.md and doc/*.md. One that includes a
header of ours is compiled as it stands, under both languages; any other C is taken as statements in a function that
has `q`, a handle, in hand. A block of the manual that is no C (a shell line, a drawing) starts with $ or has neither an
include nor a line that ends in a semicolon.
"""
import re
import sys
import tempfile

from kit import CXX_WARNINGS, Tap, WARNINGS, read, run, tree_files

FENCE = re.compile(r'^```c\n(.*?)^```', re.M | re.S)
ROFF = re.compile(r'^\.EX\b[^\n]*\n(.*?)^\.EE', re.M | re.S)
PRELUDE = ''.join('#include <%s>\n' % h for h in ('jobq/jobq.h', 'stdio.h', 'stdlib.h', 'string.h', 'stdint.h')) \
    + 'int example(struct jobq *q);\nint example(struct jobq *q)\n{\n(void)q;\n%s\nreturn 0;\n}\n'


def unroff(text):
    """Roff's escapes back to plain C."""
    lines = [line for line in text.splitlines() if not line.startswith('.')]
    text = '\n'.join(line[2:] if line.startswith('\\&') else line for line in lines)
    text = re.sub(r'\\f(\[\w*\]|\(..|.)', '', text)
    for escape, plain in (('\\-', '-'), ('\\(dq', '"'), ('\\(aq', "'"), ('\\[dq]', '"'), ('\\[aq]', "'"), ('\\&', ''),
                          ('\\(ha', '^'), ('\\(ti', '~'), ('\\e', '\\'), ('\\\\', '\\')):
        text = text.replace(escape, plain)
    return text


def is_c(block):
    return not block.lstrip().startswith('$') and re.search(r'^#include|;\s*$', block, re.M)


def examples():
    """(name, C) of every example."""
    for name in tree_files():
        if name == 'README.md' or re.match(r'doc/.*\.md$', name):
            blocks = FENCE.findall(read(name))
        elif re.match(r'doc/man/.*\.[1-8](\.in)?$', name):
            blocks = [block for block in map(unroff, ROFF.findall(read(name))) if is_c(block)]
        else:
            continue
        for number, block in enumerate(blocks, 1):
            yield '%s, example %d' % (name, number), block


def compiled(block, include, language):
    text = block if '#include' in block else PRELUDE % block
    command = ['cc', '-std=c11', '-x', 'c', *WARNINGS] if language == 'c' else \
        ['c++', '-std=c++17', '-x', 'c++', *CXX_WARNINGS]
    with tempfile.NamedTemporaryFile('w', suffix='.c', encoding='utf-8') as source:
        source.write(text)
        source.flush()
        return run(command + ['-D_POSIX_C_SOURCE=200809L', '-I' + include, '-fsyntax-only', source.name])


def main():
    include = sys.argv[1]
    seen = []
    with Tap() as tap:
        for name, block in examples():
            seen.append(name)
            for language in ('c', 'c++') if '#include' in block else ('c',):
                status, text = compiled(block, include, language)
                tap.ok(status == 0, '%s, as %s' % (name, language), text)
        tap.ok(any(name.startswith('README') for name in seen), 'the README shows C')
        tap.ok(any(name.startswith('doc/man/') for name in seen), 'the manual shows C')
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
