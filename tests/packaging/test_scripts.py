#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shell scripts are POSIX sh: dash (or whatever sh is) reads them and shellcheck finds nothing. And what they share
builds in one folder one at a time."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from kit import ROOT, Tap, read, run, tree_files


# In place of ninja: says whether somebody else was in there at the same time.
NINJA = """#!/bin/sh
case " $* " in *" -n "*) exit 0 ;; esac
mkdir "$FOLDER/busy" 2>/dev/null || echo overlap >>"$FOLDER/said"
echo build >>"$FOLDER/said"
sleep 0.2
rmdir "$FOLDER/busy"
"""


def check_builds(tap, shell):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (('ninja', NINJA), ('meson', '#!/bin/sh\n: >"$FOLDER/tree/build.ninja"\n')):
            with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
                file.write(text)
            os.chmod(os.path.join(folder, name), 0o755)
        script = 'ROOT=%s; . "$ROOT/tests/lib.sh"; build_tree "$FOLDER/tree" && rebuild_tree "$FOLDER/tree" -Dx=y' % ROOT
        env = dict(os.environ, FOLDER=folder, PATH=folder + ':' + os.environ['PATH'])
        runs = [subprocess.Popen([shell, '-eu', '-c', script], env=env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
        texts = [process.communicate(timeout=60)[0] for process in runs]
        tap.ok([process.returncode for process in runs] == [0] * 3, 'three builds in one folder', ''.join(texts))
        with open(os.path.join(folder, 'said'), encoding='utf-8') as file:
            said = file.read().split()
        tap.ok(said == ['build'] * 6, 'one after the other', ' '.join(said))
        tap.ok(any('another run builds' in text for text in texts), 'who waits says so', ''.join(texts))


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
        check_builds(tap, shell)
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
