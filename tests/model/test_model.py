#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The model of the lease protocol holds in every order of events; with one guard taken out it breaks, and in the way
that the guard is there to prevent (S2, S3, S5, S6, S7, S9; nothing stuck)."""
import os
import re
import subprocess
import sys
import tempfile

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lease.pml')
STUCK = r'jobs\[0\]\.state==3.*jobs\[1\]\.state==4'

# What is taken out, and the assertion that must fail then.
MUTANTS = (
    ('M1', 'an outcome by the id alone', r'sent_in\[\d\]==jobs\[\d\]\.fence', 'a late ack ends the next lease'),
    ('M2', 'a sweep by the id alone', r'jobs\[swept\]\.state==3', 'what has ended is judged again'),
    ('M3', 'a sweep that does not look at the lease again', r'jobs\[swept\]\.expired', 'a renewed lease is taken'),
    ('M4', "the worker's name as token", r'sent_in\[\d\]==jobs\[\d\]\.fence', 'an old word counts in the next lease'),
    ('M5', 'starts counted by failures only', r'jobs\[\d\]\.starts<=', 'more starts than the limits allow'),
    ('M6', 'no limit in the sweep', STUCK, 'out of attempts and never ended'),
    ('M7', 'a slot given back by a repeat', r'slots==running', 'more slots than rows that run'),
    ('M8', 'no sweep', STUCK, 'a lost answer leaves a job running for ever'),
    ('M9', 'a repeated put not looked for', r'jobs\[\d\]\.made==1', 'one request, two jobs'),
    ('M10', 'a key not looked at', r'one_key', 'two live jobs with one key'),
)


def explore(folder, mutant):
    """(assertion that failed or None, states looked at)"""
    words = ['-D' + mutant] if mutant else []
    subprocess.run(['spin'] + words + ['-a', MODEL], cwd=folder, check=True, capture_output=True)
    # A mistake is met long before all is seen: there compiling is what takes time.
    subprocess.run([os.environ.get('CC', 'cc'), '-O0' if mutant else '-O1', '-w', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c'],
                   cwd=folder, check=True, capture_output=True)
    said = subprocess.run(['./pan', '-m10000', '-w22'], cwd=folder, capture_output=True, text=True, check=True).stdout
    states = re.search(r'(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored', said)
    if 'max search depth too small' in said or not states:
        raise RuntimeError('not everything was looked at:\n' + said)
    failed = re.search(r'pan:1: (.*) \(at depth', said)
    return failed and failed.group(1), int(float(states.group(1)))


def main():
    number, bad = 0, 0

    def ok(good, text, detail):
        nonlocal number, bad
        number += 1
        bad += not good
        print('%s %d - %s' % ('ok' if good else 'not ok', number, text), flush=True)
        print('# ' + detail.replace('\n', '\n# '), flush=True)

    with tempfile.TemporaryDirectory(prefix='jobq-model-') as folder:
        failed, states = explore(folder, None)
        ok(failed is None, 'the model holds in every order of events', failed or '%d states' % states)
        ok(states > 100000, 'and there are many', '%d states' % states)
        for mutant, what, assertion, why in MUTANTS:
            failed, _ = explore(folder, mutant)
            ok(bool(failed and re.search(assertion, failed)), '%s, %s: %s' % (mutant, what, why), failed or 'it holds')
    print('1..%d' % number)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
