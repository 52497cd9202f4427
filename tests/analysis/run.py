#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What gcc's analyzer, clang-tidy and cppcheck say about the sources, less what is explained.

run.py --build DIR [--tool gcc|clang-tidy|cppcheck]... [--jobs N] [--all] [PART-OF-A-PATH]...

DIR is a build by meson, for its compile_commands.json; sources below lib, backends and examples are looked at. A finding is
explained by a line of known.txt beside this program that names its tool, its check, its file and a part of its text, and the
reason. Prints what is not explained, and lines of known.txt that explain nothing any more, unless only some of the files or
tools were looked at. 0 if there is neither. --all prints each finding, explained or not.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PARTS = ('lib/', 'backends/', 'examples/')
TOOLS = ('gcc', 'clang-tidy', 'cppcheck')

Finding = collections.namedtuple('Finding', 'tool check file line text')
Known = collections.namedtuple('Known', 'number tool check file text')

FUNCTION = re.compile(r"^\S+: In function '([^']+)':")
WARNING = re.compile(r'^(\S+?):(\d+):\d+: (?:warning|error): (.*) \[([^\]]+)\]$')


def known_findings():
    """Lines 'tool check file text', fields apart by two blanks or more; what follows # at the start of a line is the reason."""
    found, reason = [], False
    with open(os.path.join(HERE, 'known.txt'), encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip()
            if not line or line.startswith('#'):
                reason = bool(line)
                continue
            if not reason:
                sys.exit(f'known.txt:{number}: a finding without a reason above it')
            found.append(Known(number, *re.split(r'\s{2,}', line, maxsplit=3)))
    return found


def explains(known, finding):
    return known.tool == finding.tool and fnmatch.fnmatch(finding.check, known.check) and \
        fnmatch.fnmatch(finding.file, known.file) and known.text in finding.text


def sources(build, wanted):
    """Each source once, as the compiler is called for it."""
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as commands:
        commands = json.load(commands)
    found = {}
    for entry in commands:
        path = os.path.relpath(os.path.join(entry['directory'], entry['file']), ROOT)
        if path.startswith(PARTS) and path.endswith('.c') and (not wanted or any(part in path for part in wanted)):
            found.setdefault(path, entry)
    return found


def run(words, cwd):
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, errors='replace',
                          env={**os.environ, 'LC_ALL': 'C'})


def name_of(path, directory):
    """Below ROOT. A path is told as the command knows it: from the top, or from the directory that it runs in."""
    return os.path.relpath(os.path.realpath(os.path.join(directory, path)), os.path.realpath(ROOT))


def findings_in(tool, text, directory):
    """Warnings in the shape that gcc and clang have in common, with the function in front where it is told."""
    found, function = [], ''
    for line in text.splitlines():
        inside = FUNCTION.match(line)
        if inside:
            function = inside.group(1) + ': '
        warning = WARNING.match(line)
        if warning:
            path = name_of(warning.group(1), directory)
            check = re.sub(r'^-W', '', warning.group(4).split(',')[0])
            found.append(Finding(tool, check, path, int(warning.group(2)),
                                 (function if tool == 'gcc' else '') + re.sub(r' \[CWE-\d+\]$', '', warning.group(3))))
    return found


def by_gcc(path, entry):
    """Without optimization: what is inlined is said once for each place, and far from where it stands."""
    words, taken = shlex.split(entry['command']), []
    if os.path.basename(words[0]) == 'ccache':
        words = words[1:]
    skip = False
    for word in words:
        if not skip and word not in ('-MD', '-MQ', '-MF', '-o', '-c') and not re.match(r'-O\d|-g|-Werror|-fdiagnostics', word):
            taken.append(word)
        skip = word in ('-MQ', '-MF', '-o')
    done = run([*taken, '-O0', '-fanalyzer', '-fdiagnostics-plain-output', '-fdiagnostics-path-format=none', '-S', '-o', os.devnull], entry['directory'])
    if done.returncode:
        sys.exit(f'{path}: gcc ended with {done.returncode}\n{done.stderr[-2000:]}')
    return findings_in('gcc', done.stderr, entry['directory'])


def by_clang_tidy(path, entry):
    done = run(['clang-tidy', '--quiet', f'--config-file={HERE}/clang-tidy.yaml', '-p', entry['directory'],
                '--extra-arg=-Wno-unknown-warning-option', os.path.join(ROOT, path)], entry['directory'])
    if 'error:' in done.stdout or (done.returncode and 'warning:' not in done.stdout):
        sys.exit(f'{path}: clang-tidy ended with {done.returncode}\n{done.stdout}{done.stderr}')
    return findings_in('clang-tidy', done.stdout, entry['directory'])


def by_cppcheck(entries, jobs):
    """All at once; it reads the same commands, and looks into functions of other files where it knows them."""
    with tempfile.NamedTemporaryFile('w', suffix='.json') as project:
        json.dump(list(entries.values()), project)
        project.flush()
        done = run(['cppcheck', f'--project={project.name}', '--enable=warning,performance,portability', '--inconclusive',
                    '--std=c11', '--quiet', '-j', str(jobs), '--template={file}\t{line}\t{id}\t{severity}: {message}'], ROOT)
    found = set()
    for line in done.stderr.splitlines():
        fields = line.split('\t')
        if len(fields) == 4 and fields[0] != 'nofile':
            path = os.path.relpath(os.path.join(ROOT, fields[0]), ROOT)
            found.add(Finding('cppcheck', fields[2], path, int(fields[1]), fields[3]))
    if done.returncode:
        sys.exit(f'cppcheck ended with {done.returncode}\n{done.stdout}{done.stderr}')
    return sorted(found)


def look(options, tools, entries):
    found = set()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for tool, program in (('gcc', by_gcc), ('clang-tidy', by_clang_tidy)):
            if tool in tools:
                for findings in pool.map(program, entries, entries.values()):
                    found.update(findings)
    if 'cppcheck' in tools:
        found.update(by_cppcheck(entries, options.jobs))
    return sorted(found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--tool', action='append', choices=TOOLS)
    parser.add_argument('--jobs', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--all', action='store_true')
    parser.add_argument('paths', nargs='*')
    options = parser.parse_args()
    tools = options.tool or TOOLS
    entries = sources(options.build, options.paths)
    known, used, unexplained = known_findings(), set(), 0
    findings = look(options, tools, entries)
    for finding in findings:
        reasons = [each for each in known if explains(each, finding)]
        used.update(reasons)
        unexplained += not reasons
        if options.all or not reasons:
            print(f'{finding.tool}  {finding.check}  {finding.file}:{finding.line}  {finding.text}')
    idle = [each for each in known if each not in used and each.tool in tools and not options.paths]
    for each in idle:
        print(f'known.txt:{each.number}: explains nothing: {each.tool}  {each.check}  {each.file}  {each.text}')
    print(f'{", ".join(tools)}: files={len(entries)} findings={len(findings)} explained={len(findings) - unexplained} '
          f'unexplained={unexplained} idle={len(idle)}')
    return 1 if unexplained or idle else 0


if __name__ == '__main__':
    sys.exit(main())
