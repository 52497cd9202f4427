#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the README shows works: test_readme.py README-PROGRAM HELLO [JOBQ]

  - its program prints what the README says it prints, and leaves nothing undone
  - examples/hello.c greets, also on a store that it used before
  - its shell lines run as they stand, with a ./send-mail that repeats its input
"""
import os
import subprocess
import sys
import tempfile

from page import Tap, blocks, read


def run(command, folder, **more):
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', timeout=60, check=False, **more)
    return done.returncode, done.stdout


def check_shell(tap, jobq, folder):
    lines = next(block for block in blocks(read('README.md'), 'sh') if 'jobq enqueue' in block)
    script = os.path.join(folder, 'send-mail')
    with open(script, 'w', encoding='utf-8') as out:
        out.write('#!/bin/sh\nexec cat\n')
    os.chmod(script, 0o755)
    env = dict(os.environ, PATH=os.path.dirname(jobq) + ':' + os.environ['PATH'])
    status, text = run(['sh', '-eu', '-c', lines], folder, env=env)
    tap.ok(status == 0, 'the shell lines of the README run', text)
    tap.ok(text.count('completed') >= 2, 'and show the completed jobs', text)


def main():
    program, hello, *jobq = [os.path.abspath(name) for name in sys.argv[1:]]
    with Tap() as tap, tempfile.TemporaryDirectory() as folder:
        promised = blocks(read('README.md'), 'text')[0]
        status, text = run([program], folder)
        tap.ok(status == 0 and text == promised, 'the README\'s program prints what it says', 'status %d\n%s' % (status, text))
        for turn in ('', ', a second time'):
            status, text = run([hello], folder)
            tap.ok(status == 0 and text == 'hello world, attempt 1\n', 'hello greets' + turn, text)
        if jobq:
            check_shell(tap, jobq[0], folder)
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
