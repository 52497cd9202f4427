#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Put the texts of statement files into a C header:  embed.py NAME OUT FILE...

The header has  enum NAME { NAME_FILE..., NAME_COUNT }  in the order given, and, where NAME_TEXTS is defined (in capitals)
before it is included, two arrays: NAME_texts, what the files say, and NAME_names, what they are called. Lines that are
comments are left out; the rest of the text stays as it is, so that the line a database complains about can be found.
"""
import os
import re
import sys


def word_of(path):
    return re.sub(r'[^a-z0-9]+', '_', os.path.splitext(os.path.basename(path))[0].lower())


def literal_of(path):
    with open(path, encoding='utf-8') as source:
        lines = [line.rstrip() for line in source if line.strip() and not line.lstrip().startswith('--')]
    if not lines:
        sys.exit(f'{path}: no statement in it')
    escaped = [line.replace('\\', '\\\\').replace('"', '\\"') for line in lines]
    return '\n'.join(f'        "{line}\\n"' for line in escaped)


def header(name, paths):
    upper, words = name.upper(), [word_of(path) for path in paths]
    if len(set(words)) != len(words):
        sys.exit(f'{name}: two files have the same name')
    out = ['/* Made by embed.py. */', f'#ifndef {upper}_ENUM', f'#define {upper}_ENUM', f'enum {name} {{']
    out += [f'    {upper}_{word.upper()},' for word in words]
    out += [f'    {upper}_COUNT', '};', '#endif', '', f'#ifdef {upper}_TEXTS']
    out += [f'static const char *const {name}_names[] = {{'] + [f'    "{word}",' for word in words] + ['};']
    out += [f'static const char *const {name}_texts[] = {{']
    # In brackets, so that no compiler takes two lines for a comma that is missing.
    out += [f'    /* {word} */ (\n{literal_of(path)}),' for word, path in zip(words, paths)]
    return '\n'.join(out + ['};', '#endif', ''])


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    name, target, paths = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(target, 'w', encoding='utf-8') as out:
        out.write(header(name, paths))


main()
