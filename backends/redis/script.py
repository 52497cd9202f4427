#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make scripts of Lua files:  script.py OUT NAME=FILE,FILE... FOLDER...

A script is its files one behind the other. The header OUT has  enum script { SCRIPT_NAME..., SCRIPT_COUNT }  and, where
SCRIPT_TEXTS is defined before it is included, an array of their names, texts and digests (SHA-1, by which a server
knows a script it has seen).

What is behind the first file becomes one function inside of it. A function that Lua makes finds the locals of the one around
it by walking a list, those of the one around that at once; and each of the two has room for 200 locals.

Comments are left out, lines stay. A line  local A, B = 1, '2'  whose names are in capitals and whose values are numbers or
plain strings declares constants: they are put in where they are used, because a function has room for 60 outer names, and
looks each of them up when it runs.
"""
import hashlib
import os
import re
import sys

VALUE = r"(?:-?\d+|'[^'\\]*')"
CONSTANTS = re.compile(rf'^local ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = ({VALUE}(?:, {VALUE})*)$')


def read(path, constants):
    lines = []
    with open(path, encoding='utf-8') as source:
        for line in source:
            line = re.sub(r'\s*--(?!\[).*$', '', line.rstrip('\n')).rstrip()
            found = CONSTANTS.match(line)
            if found:
                names, values = found.group(1).split(', '), found.group(2).split(', ')
                if len(names) != len(values):
                    sys.exit(f'{path}: {line}: as many names as values')
                constants.update(zip(names, values))
            elif line:
                lines.append(line)
    return lines


def script(paths):
    constants, lines = {}, []
    for path in paths:
        lines += read(path, constants)
        if path == paths[0]:
            lines.append('return (function()')
    text = '\n'.join(lines) + '\nend)()\n'
    # Texts in quotes have no names in capitals but commands, which are no constants.
    return re.sub(r"(?<!')\b[A-Z][A-Z0-9_]*\b(?!')", lambda m: constants.get(m.group(), m.group()), text)


def literal(text):
    escaped = [line.replace('\\', '\\\\').replace('"', '\\"') for line in text.splitlines()]
    return '\n'.join(f'        "{line}\\n"' for line in escaped)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    out, folder, scripts = sys.argv[1], sys.argv[2], [item.split('=') for item in sys.argv[3:]]
    parts = ['/* Made by script.py. */', '#ifndef SCRIPT_ENUM', '#define SCRIPT_ENUM', 'enum script {']
    parts += [f'    SCRIPT_{name.upper()},' for name, _ in scripts] + ['    SCRIPT_COUNT', '};', '#endif', '']
    parts += ['#ifdef SCRIPT_TEXTS', 'static const struct {', '    const char *name, *digest, *text;', '} scripts[] = {']
    for name, files in scripts:
        text = script([os.path.join(folder, file + '.lua') for file in files.split(',')])
        digest = hashlib.sha1(text.encode()).hexdigest()
        parts.append(f'    {{ "{name}", "{digest}",\n{literal(text)} }},')
    with open(out, 'w', encoding='utf-8') as header:
        header.write('\n'.join(parts + ['};', '#endif', '']))


if __name__ == '__main__':
    main()
