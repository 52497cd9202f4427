#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make scripts of Lua files:  script.py OUT FOLDER NAME=FILE,FILE... [--library=NAME]

A script is its files one behind the other. The header OUT has  enum script { SCRIPT_NAME..., SCRIPT_COUNT }  and, where
SCRIPT_TEXTS is defined before it is included, an array of their names, texts and digests (SHA-1, by which a server
knows a script it has seen).

What is behind the first file becomes one function inside of it. A function that Lua makes finds the locals of the one around
it by walking a list, those of the one around that at once; and each of the two has room for 200 locals.

Comments are left out, lines stay. A line  local A, B = 1, '2'  whose names are in capitals and whose values are numbers or
plain strings declares constants: they are put in where they are used, because a function has room for 60 outer names, and
looks each of them up when it runs.

A script named by --library is made a second time, as a library of functions for servers that have those: all of its functions
are made once, in the first call (while it is loaded a library sees no more of Lua than its own text), instead of in each. What
stands between the lines  -- each call  and  -- end of each call  becomes a function too, which begins each call; one that returns
something has answered it. The last line,  return F(),  becomes the call of F. For that the files must set
there whatever changes while they run: a local that is changed elsewhere, or holds a table, and is not set there is an error.
The constant AS_SCRIPT is 0 in a library. It and its function have one name, which ends in the digest of the text: other versions
have other names, and a server holds as many as were loaded.
"""
import hashlib
import os
import re
import sys

VALUE = r"(?:-?\d+|'[^'\\]*')"
CONSTANTS = re.compile(rf'^local ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = ({VALUE}(?:, {VALUE})*)$')
BEGIN, END = '-- each call', '-- end of each call'


def read(path, constants):
    """Its lines; those of each call are marked still."""
    lines = []
    with open(path, encoding='utf-8') as source:
        for line in source:
            if line.strip() in (BEGIN, END):
                lines.append(line.strip())
                continue
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


def put_in(constants, lines):
    # Texts in quotes have no names in capitals but commands, which are no constants.
    return re.sub(r"(?<!')\b[A-Z][A-Z0-9_]*\b(?!')", lambda m: constants.get(m.group(), m.group()),
                  '\n'.join(line.lstrip() for line in lines) + '\n')


def script(files):
    lines = files[0] + ['return (function()'] + sum(files[1:], []) + ['end)()']
    return [line for line in lines if line not in (BEGIN, END)]


def names_set(line):
    """Those that a statement gives a value, if it is one that does."""
    found = re.match(r'\s*(?!local )(\w+(?:, \w+)*) = ', line)
    return found.group(1).split(', ') if found else []


def check_state(lines):
    """Nothing that one call leaves behind is there in the next."""
    inside, each_call, changed, state = False, set(), set(), set()
    for line in lines:
        found = re.match(r'local (\w+(?:, \w+)*)(?: = (.*))?$', line)
        if line in (BEGIN, END):
            inside = line == BEGIN
        elif inside:
            each_call.update(names_set(line))
        elif found:
            state.update(found.group(1).split(', '))
            if found.group(2) and re.search(r'\{ *\}', found.group(2)) and found.group(1) not in ('G', 'B', 'MEMO', 'TEXTS'):
                changed.add(found.group(1).split(', ')[0])
        elif line.startswith(' '):
            changed.update(names_set(line))
    # A name that is a local of a function too cannot be told from it: those are declared there.
    inner = {name for line in lines for said in re.findall(r'^ +local (\w+(?:, \w+)*)|function [\w.]*\(([^)]*)\)', line)
             for name in ', '.join(said).split(', ')}
    left = (changed & state) - each_call - inner
    if left:
        sys.exit(f'not set in each call: {", ".join(sorted(left))}')


def library(files):
    def begun(lines):
        return [{BEGIN: 'begin[#begin + 1] = function()', END: 'end'}.get(line, line) for line in lines]

    check_state(sum(files, []))
    found = re.match(r'return (\w+)\(\)$', files[-1][-1])
    if not found:
        sys.exit(f'a library ends with the call of a function, not with {files[-1][-1]}')
    called = ['return function(keys, argv)', 'KEYS, ARGV = keys, argv', 'local answer', 'for i = 1, #begin do',
              'answer = begin[i]()', 'if answer then', 'break', 'end', 'end', f'answer = answer or {found.group(1)}()',
              'KEYS, ARGV = nil, nil', 'return answer', 'end']
    return (['local run', 'local function make()', 'local KEYS, ARGV', 'local begin = {}'] + begun(files[0]) +
            ['return (function()'] + begun(sum(files[1:], []))[:-1] + called + ['end)()', 'end',
             'redis.register_function(NAME, function(keys, argv)', 'run = run or make()', 'return run(keys, argv)', 'end)'])


def literal(text):
    escaped = [line.replace('\\', '\\\\').replace('"', '\\"') for line in text.splitlines()]
    return '\n'.join(f'        "{line}\\n"' for line in escaped)


def texts(name, files, folder, as_library):
    """Of a script in the array."""
    constants = {}
    lines = [read(os.path.join(folder, file + '.lua'), constants) for file in files]
    text = put_in(constants, script(lines))
    parts = [f'    {{ "{name}", "{hashlib.sha1(text.encode()).hexdigest()}",', literal(text) + ',']
    if not as_library:
        return parts + ['        NULL, NULL },']
    text = put_in(dict(constants, AS_SCRIPT='0'), library(lines))
    known = f'libjobq_{name}_{hashlib.sha1(text.encode()).hexdigest()}'
    text = f'#!lua name={known}\n' + text.replace('(NAME,', f"('{known}',")
    return parts + [f'        "{known}",', literal(text) + ' },']


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    out, folder, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    scripts = [item.split('=') for item in rest if not item.startswith('--')]
    libraries = [item.split('=')[1] for item in rest if item.startswith('--library=')]
    parts = ['/* Made by script.py. */', '#ifndef SCRIPT_ENUM', '#define SCRIPT_ENUM', 'enum script {']
    parts += [f'    SCRIPT_{name.upper()},' for name, _ in scripts] + ['    SCRIPT_COUNT', '};', '#endif', '']
    parts += ['#ifdef SCRIPT_TEXTS', 'static const struct {',
              '    const char *name, *digest, *text, *function, *library; /* NULL: it is no function */', '} scripts[] = {']
    for name, files in scripts:
        parts += texts(name, files.split(','), folder, name in libraries)
    with open(out, 'w', encoding='utf-8') as header:
        header.write('\n'.join(parts + ['};', '#endif', '']))


if __name__ == '__main__':
    main()
